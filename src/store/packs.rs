//! Which packs there are, and in which of them an object lies.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use crate::base::ObjectId;
use crate::base::fs::FsError;

use super::error::{Result, StoreError};
use super::layout::Unusable;
use super::pack::{Entry, Handles, Pack};

/// A folder that changed less than this ago may change again without its time telling.
const SETTLED: Duration = Duration::from_secs(2);

/// So often packs are listed again for one answer: gc may take away one after the other.
const PATIENCE: u32 = 16;

/// The packs of a store, as last listed.
#[derive(Debug)]
pub(super) struct Packs {
    folder: PathBuf,
    pub(super) handles: Handles,
    listed: RwLock<Listing>,
    /// Where the last object was found: the next one is likely there too.
    last: AtomicUsize,
}

#[derive(Clone, Debug, Default)]
struct Listing {
    packs: Arc<Vec<Arc<Pack>>>,
    /// The folder's time, if by that it can be told that nothing was published since.
    stamp: Option<SystemTime>,
}

/// Where an object lies, and the first pack that could not tell whether it has it.
type Found = (Vec<(Arc<Pack>, Entry)>, Option<(Arc<Pack>, Unusable)>);

impl Packs {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            handles: Handles::default(),
            listed: RwLock::default(),
            last: AtomicUsize::new(0),
        }
    }

    fn listing(&self) -> Listing {
        self.listed
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The packs as last listed.
    pub(super) fn all(&self) -> Arc<Vec<Arc<Pack>>> {
        self.listing().packs
    }

    /// Lists the packs again, without `force` only if the folder may have changed. True if it was read.
    pub(super) fn refresh(&self, force: bool) -> Result<bool> {
        let fail = |e| StoreError::from(FsError::new("list", &self.folder, e));
        let old = self.listing();
        let (modified, folder) = match self.folder.metadata().and_then(|stat| stat.modified()) {
            Ok(modified) if !force && old.stamp == Some(modified) => return Ok(false),
            Ok(modified) => (
                Some(modified),
                Some(std::fs::read_dir(&self.folder).map_err(fail)?),
            ),
            Err(e) if e.kind() == io::ErrorKind::NotFound => (None, None),
            Err(e) => return Err(fail(e)),
        };
        let mut packs = Vec::new();
        for file in folder.into_iter().flatten() {
            let name = file.map_err(fail)?.file_name();
            let id = name
                .to_str()
                .and_then(|name| name.strip_suffix(".pack"))
                .and_then(ObjectId::from_hex);
            if let Some(id) = id {
                packs.push(id);
            }
        }
        packs.sort_unstable();
        let known = |id: &ObjectId| {
            let at = old.packs.binary_search_by_key(id, |pack| pack.name).ok()?;
            old.packs.get(at).cloned()
        };
        let packs = packs
            .into_iter()
            .map(|id| known(&id).unwrap_or_else(|| Arc::new(Pack::new(&self.folder, id))))
            .collect();
        let settled = |time: &SystemTime| time.elapsed().is_ok_and(|age| age > SETTLED);
        *self.listed.write().unwrap_or_else(PoisonError::into_inner) = Listing {
            packs: Arc::new(packs),
            stamp: modified.filter(settled),
        };
        Ok(true)
    }

    fn scan(&self, id: &ObjectId, first_only: bool) -> Result<Found> {
        let packs = self.all();
        let (mut found, mut unusable) = (Vec::new(), None);
        let last = self.last.load(Ordering::Relaxed).min(packs.len());
        let from_last = (last..packs.len()).chain(0..last);
        for at in from_last {
            let pack = &packs[at];
            match pack.find(&self.handles, id)? {
                Ok(Some(entry)) => {
                    if found.is_empty() {
                        self.last.store(at, Ordering::Relaxed);
                    }
                    found.push((pack.clone(), entry));
                    if first_only {
                        break;
                    }
                }
                Ok(None) => {}
                Err(why) => unusable = unusable.or_else(|| Some((pack.clone(), why))),
            }
        }
        Ok((found, unusable))
    }

    /// Runs `act`, once more after listing again if it says `None`, and as often as packs are taken away meanwhile.
    fn twice<T>(
        &self,
        force: bool,
        mut act: impl FnMut() -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        let mut listed = false;
        for _ in 0..PATIENCE {
            match act() {
                Ok(None) if !listed && self.refresh(force)? => listed = true,
                Err(e) if is_gone(&e) => {
                    self.refresh(true)?;
                    listed = true;
                }
                done => return done,
            }
        }
        act()
    }

    pub(super) fn contains(&self, id: &ObjectId) -> Result<bool> {
        let found = self.twice(false, || self.listed(id))?;
        Ok(found.is_some())
    }

    /// A pack that has it and was listed before; does not list again.
    pub(super) fn listed(&self, id: &ObjectId) -> Result<Option<Arc<Pack>>> {
        Ok(self.scan(id, true)?.0.pop().map(|(pack, _)| pack))
    }

    /// Lists again where this is the error of a pack that gc took away under a reader: whoever looks for another
    /// copy then finds the one that gc left.
    pub(super) fn after(&self, error: &StoreError) {
        if is_gone(error) {
            // What cannot be listed is told by the search that follows.
            let _ = self.refresh(true);
        }
    }

    /// Calls `open` with each place where the object lies until one is good; the first failure otherwise.
    pub(super) fn first_good<T>(
        &self,
        id: &ObjectId,
        open: impl FnMut(&Arc<Pack>, &Entry) -> Result<T>,
    ) -> Result<T> {
        let mut good = self.good(id, 1, open)?;
        Ok(good.swap_remove(0))
    }

    /// Calls `open` with each place where the object lies: those that are good, of which there is one at least; the
    /// first failure otherwise.
    pub(super) fn all_good<T>(
        &self,
        id: &ObjectId,
        open: impl FnMut(&Arc<Pack>, &Entry) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.good(id, usize::MAX, open)
    }

    /// At most so many good places; at least one.
    fn good<T>(
        &self,
        id: &ObjectId,
        most: usize,
        mut open: impl FnMut(&Arc<Pack>, &Entry) -> Result<T>,
    ) -> Result<Vec<T>> {
        let found = self.twice(true, || {
            let (places, unusable) = self.scan(id, false)?;
            let (mut good, mut failure) = (Vec::new(), None);
            for (pack, entry) in &places {
                match open(pack, entry) {
                    Ok(opened) => good.push(opened),
                    Err(e) if is_gone(&e) => return Err(e),
                    Err(e) => failure = failure.or(Some(e)),
                }
                if good.len() == most {
                    break;
                }
            }
            if !good.is_empty() {
                return Ok(Some(Ok(good)));
            }
            let unlisted = || unusable.map(|(pack, why)| pack.unusable(&why));
            Ok(failure.or_else(unlisted).map(Err))
        })?;
        found.unwrap_or(Err(StoreError::Missing { id: *id }))
    }
}

/// True for the error of a pack that was listed and is there no more.
pub(super) fn is_gone(error: &StoreError) -> bool {
    matches!(error, StoreError::Fs(e) if e.io().kind() == io::ErrorKind::NotFound)
}
