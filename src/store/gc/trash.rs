//! Packs that nobody needs, put aside for a while: one rename away from being back.
//!
//! `trash/<seconds since 1970>/` holds what one gc put there. On the way out the index goes first, on the way back the
//! pack does: at no moment is there an index without its pack.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::base::ObjectId;
use crate::base::fs::{self, Fs};
use crate::store::error::Result;
use crate::store::pack::{Handles, Pack};
use crate::store::{Shared, layout};

use super::{Amount, Trash};

/// What one gc put aside.
pub(super) struct Bin {
    dir: PathBuf,
    pub(super) packs: Vec<Pack>,
    /// How long ago; a time in the future is now.
    age: Duration,
}

/// All bins, the oldest first. Other names in the trash are nobody's business.
pub(super) fn bins(dir: &Path) -> Result<Vec<Bin>> {
    let trash = layout::trash(dir);
    let now = seconds();
    let mut bins = Vec::new();
    for name in names(&trash)? {
        let Some(time) = name.parse::<u64>().ok() else {
            continue;
        };
        let dir = trash.join(&name);
        let mut packs: Vec<ObjectId> = names(&dir)?.iter().filter_map(|n| pack_name(n)).collect();
        packs.sort_unstable();
        bins.push(Bin {
            packs: packs.into_iter().map(|id| Pack::new(&dir, id)).collect(),
            dir,
            age: Duration::from_secs(now.saturating_sub(time)),
        });
    }
    bins.sort_by_key(|bin| std::cmp::Reverse(bin.age));
    Ok(bins)
}

/// What lies in the trash.
pub(super) fn content(bins: &[Bin]) -> Trash {
    let full = bins.iter().filter(|bin| !bin.packs.is_empty());
    Trash {
        packs: bins.iter().map(|bin| bin.packs.len() as u64).sum(),
        bytes: bins.iter().flat_map(|bin| &bin.packs).map(Pack::disk).sum(),
        oldest: full.map(|bin| bin.age.as_secs()).max(),
    }
}

/// Which of these objects lie in the trash.
pub(super) fn having(bins: &[Bin], ids: &[ObjectId]) -> usize {
    let handles = Handles::default();
    let there = |id: &&ObjectId| {
        bins.iter()
            .flat_map(|bin| &bin.packs)
            .any(|pack| has(pack, &handles, id))
    };
    ids.iter().filter(there).count()
}

fn has(pack: &Pack, handles: &Handles, id: &ObjectId) -> bool {
    // What cannot be listed cannot be had back from it either.
    matches!(pack.find(handles, id), Ok(Ok(Some(_))))
}

/// Puts packs aside. What holds their needed objects is durable by now.
/// Indexes that have no pack go too.
pub(super) fn put_aside(shared: &Shared, packs: &[&Pack], orphans: &[PathBuf]) -> Result<Amount> {
    let mut amount = Amount::default();
    if packs.is_empty() && orphans.is_empty() {
        return Ok(amount);
    }
    let (fs, dir) = (&shared.fs, &shared.dir);
    let trash = layout::trash(dir);
    let bin = trash.join(seconds().to_string());
    fs.create_dir_all(&bin)?;
    fs.sync_dir(dir)?;
    fs.sync_dir(&trash)?;
    for pack in packs {
        let size = pack.disk();
        let to = Pack::new(&bin, pack.name);
        if is_there(&pack.index_path()) {
            fs.rename(&pack.index_path(), &to.index_path())?;
        }
        fs.rename(&pack.path, &to.path)?;
        amount.add(size);
    }
    for index in orphans {
        if let Some(name) = index.file_name() {
            fs.rename(index, &bin.join(name))?;
        }
    }
    fs.sync_dir(&bin)?;
    fs.sync_dir(&layout::packs(dir))?;
    Ok(amount)
}

/// Brings packs back: all, or those that hold one of these objects.
pub(super) fn bring_back(shared: &Shared, only: Option<&BTreeSet<ObjectId>>) -> Result<Amount> {
    let mut amount = Amount::default();
    let handles = Handles::default();
    let wanted = |pack: &Pack| only.is_none_or(|ids| ids.iter().any(|id| has(pack, &handles, id)));
    let (fs, packs) = (&shared.fs, layout::packs(&shared.dir));
    for bin in bins(&shared.dir)? {
        let mut back = false;
        for pack in bin.packs.iter().filter(|pack| wanted(pack)) {
            fs.create_dir_all(&packs)?;
            let size = pack.disk();
            let to = Pack::new(&packs, pack.name);
            // Young again before it is back, or the next gc would take it away at once. The pack of another user cannot
            // be made so, and is better back than not.
            let _ = fs.touch(&pack.path);
            fs.rename(&pack.path, &to.path)?;
            if is_there(&pack.index_path()) {
                fs.rename(&pack.index_path(), &to.index_path())?;
            }
            amount.add(size);
            back = true;
        }
        if back {
            fs.sync_dir(&packs)?;
            fs.sync_dir(&bin.dir)?;
            clear(fs, &bin.dir)?;
        }
    }
    Ok(amount)
}

/// Removes for good what was put aside longer ago than this.
pub(super) fn purge(shared: &Shared, grace: Duration) -> Result<Amount> {
    let mut amount = Amount::default();
    for bin in bins(&shared.dir)? {
        if bin.age < grace {
            continue;
        }
        for pack in &bin.packs {
            let size = pack.disk();
            shared.fs.remove_file(&pack.path)?;
            amount.add(size);
        }
        clear(&shared.fs, &bin.dir)?;
    }
    Ok(amount)
}

/// Removes a bin in which there is no pack: indexes are nothing without.
fn clear(fs: &Fs, bin: &Path) -> Result<()> {
    let names = names(bin)?;
    if names.iter().any(|name| pack_name(name).is_some()) {
        return Ok(());
    }
    for name in &names {
        let index = name.strip_suffix(".idx").and_then(ObjectId::from_hex);
        if index.is_some() {
            fs.remove_file(&bin.join(name))?;
        }
    }
    fs.remove_empty_dir(bin)?;
    Ok(())
}

fn pack_name(name: &str) -> Option<ObjectId> {
    name.strip_suffix(".pack").and_then(ObjectId::from_hex)
}

/// The names in a folder, those that are UTF-8; none where there is no folder.
pub(super) fn names(folder: &Path) -> Result<Vec<String>> {
    let paths = fs::list_if_present(folder)?.into_iter();
    let name = |path: PathBuf| path.file_name()?.to_str().map(str::to_owned);
    Ok(paths.filter_map(name).collect())
}

pub(super) fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn seconds() -> u64 {
    SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(0, |time| time.as_secs())
}
