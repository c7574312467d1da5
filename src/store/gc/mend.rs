//! Damaged packs and indexes put in order. Where good bytes of what is lost are to be had is for others to know; here
//! is what the store has itself: other copies, the trash, and the directories of packs.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::base::{ObjectId, Progress};
use crate::store::error::{Result, StoreError};
use crate::store::object::Object;
use crate::store::pack::{Handle, Pack, rebuild};
use crate::store::{Shared, Store, layout};

use super::prove::Prover;
use super::survey::Survey;
use super::{Collection, trash};

/// What a [`Collection`] is to put in order.
#[derive(Default)]
pub(super) struct Mending {
    /// Packs that are damaged and are written anew.
    pub(super) packs: HashSet<ObjectId>,
    /// What is good of them: it stays, needed or not.
    pub(super) good: HashSet<ObjectId>,
    /// Whether indexes without a pack are put aside.
    pub(super) orphans: bool,
}

impl Store {
    /// A [`Collection`] that takes nothing away but these packs, which are damaged, once everything in them that is
    /// needed or good can be read elsewhere.
    pub fn mend(&self, packs: HashSet<ObjectId>) -> Result<Option<Collection>> {
        // Everything else is younger than that.
        let collection = self.collect(Duration::MAX)?;
        Ok(collection.map(|mut collection| {
            collection.work.mending = Mending {
                packs,
                good: HashSet::new(),
                orphans: true,
            };
            collection
        }))
    }

    /// Copies in the trash of these objects, those that can be read to their end.
    pub fn in_trash_good(&self, ids: &[ObjectId], progress: &dyn Progress) -> Result<Vec<Object>> {
        let shared = &self.shared;
        let mut prover = Prover::default();
        let mut found = Vec::new();
        let mut left: HashSet<ObjectId> = ids.iter().copied().collect();
        for bin in trash::bins(&shared.dir)? {
            for pack in bin.packs.into_iter().map(Arc::new) {
                // The same name is open for the pack that lies where it should.
                if shared
                    .packs
                    .all()
                    .iter()
                    .any(|there| there.name == pack.name)
                {
                    continue;
                }
                for id in left.clone() {
                    let Ok(Ok(Some(entry))) = pack.find(&shared.packs.handles, &id) else {
                        continue;
                    };
                    if prover.is_good(shared, &pack, &entry, progress)? {
                        let record = pack.record(&shared.packs.handles, &entry)?;
                        found.push(Object::new(shared, &pack, record));
                        left.remove(&id);
                    }
                }
            }
        }
        Ok(found)
    }

    /// Makes the index of each of these packs anew, and of each that has none, from the pack. Returns those for which
    /// that was possible.
    pub fn rebuild_indexes(&self, damaged: &HashSet<ObjectId>) -> Result<Vec<ObjectId>> {
        let shared = &self.shared;
        let mut done = Vec::new();
        for pack in shared.packs.all().iter() {
            if trash::is_there(&pack.index_path()) && !damaged.contains(&pack.name) {
                continue;
            }
            let Ok(file) = Handle::open(&pack.path) else {
                continue;
            };
            // A pack that cannot tell is told of by the next check.
            if let Ok(index) = rebuild(&file)
                && replace(shared, pack, &index).is_ok()
            {
                done.push(pack.name);
            }
        }
        Ok(done)
    }
}

/// An index is only there to save time: its place is taken by a whole one, in one step.
fn replace(shared: &Shared, pack: &Pack, index: &[u8]) -> Result<()> {
    let fs = &shared.fs;
    let mut file = fs.temp_in(&layout::tmp(&shared.dir))?;
    file.write_all(index)?;
    file.set_mode(0o444)?;
    file.sync()?;
    file.rename_to(&pack.index_path())?;
    fs.sync_dir(&layout::packs(&shared.dir))?;
    Ok(())
}

/// Indexes whose packs are gone.
pub(super) fn orphans(shared: &Shared) -> Result<Vec<PathBuf>> {
    let packs = layout::packs(&shared.dir);
    let names = trash::names(&packs)?.into_iter();
    let orphan = |name: String| {
        let id = name.strip_suffix(".idx").and_then(ObjectId::from_hex)?;
        let pack = Pack::new(&packs, id);
        (!trash::is_there(&pack.path)).then(|| pack.index_path())
    };
    Ok(names.filter_map(orphan).collect())
}

/// What is good of these packs.
pub(super) fn good(
    shared: &Arc<Shared>,
    survey: &Survey,
    mend: &HashSet<ObjectId>,
    prover: &mut Prover,
    progress: &dyn Progress,
) -> Result<HashSet<ObjectId>> {
    let mut good = HashSet::new();
    for listed in &survey.packs {
        if !mend.contains(&listed.pack.name) {
            continue;
        }
        for entry in &listed.entries {
            if progress.cancelled() {
                return Err(StoreError::Cancelled);
            }
            if prover.is_good(shared, &listed.pack, entry, progress)? {
                good.insert(entry.id);
            }
        }
    }
    Ok(good)
}
