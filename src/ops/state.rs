//! Stamps: which sidecar each weights file of this work tree was last known to hold, and its stat data then.
//!
//! git has already rewritten the sidecars when one of its hooks runs, so a sidecar alone cannot tell clean old
//! weights from uncommitted training. The stamp can: a file that still has its stamp's stat data holds what the
//! stamp's sidecar says, and may be replaced. The file `<git dir>/mvc/state` is one of each work tree and is
//! only a memory: where it is lost, files are hashed again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::error::Result;
use crate::base::fs::{self, FsError};
use crate::base::lock::{Lock, Mode};
use crate::base::{Fs, ObjectId, RepoPath};

/// Stat data younger than this at the time of a stamp proves nothing: the clock of a file system ticks in
/// steps of up to 10 ms, and a write within the same step leaves no trace.
const TICK: Duration = Duration::from_millis(20);

/// The longest state file that is read: some 200,000 weights files.
const LIMIT: u64 = 64 << 20;

/// How long a command waits for another one that is writing the state.
const WAIT: Duration = Duration::from_secs(10);

/// What the file system says of a file, as far as it changes when the file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stat {
    /// Length in bytes.
    pub size: u64,
    /// Time of the last write, nanoseconds since 1970.
    pub mtime: i128,
    /// Time of the last change of data, mode or links, nanoseconds since 1970.
    pub ctime: i128,
    /// The file's number; a rename over it brings another.
    pub inode: u64,
}

impl Stat {
    /// From what `lstat` says.
    pub fn of(metadata: &Metadata) -> Self {
        let nanos =
            |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Self {
            size: metadata.len(),
            mtime: nanos(metadata.mtime(), metadata.mtime_nsec()),
            ctime: nanos(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }

    fn latest(&self) -> i128 {
        self.mtime.max(self.ctime)
    }

    /// True if whatever is written after this time changes the stat data.
    pub fn settled_at(&self, at: i128) -> bool {
        self.latest() + (TICK.as_nanos() as i128) < at
    }
}

/// What one weights file was known to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The BLAKE3 of the sidecar's text.
    pub sidecar: ObjectId,
    /// Git's name of the sidecar's text, by which it is found again once git has rewritten the sidecar: a file
    /// that was only touched or copied is then compared with what it was.
    pub blob: String,
    /// The weights file's stat data.
    pub stat: Stat,
    /// Since when they are known to agree, nanoseconds since 1970: the file was read after this.
    pub at: i128,
}

impl Stamp {
    /// The same said again, as of now.
    pub fn renewed(&self) -> Self {
        Self {
            at: now(),
            ..self.clone()
        }
    }

    /// True if a file with this stat data is proved unchanged without reading it.
    pub fn proves(&self, stat: &Stat) -> bool {
        self.stat == *stat && self.stat.settled_at(self.at)
    }
}

/// The time, nanoseconds since 1970.
pub fn now() -> i128 {
    SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(0, |elapsed| elapsed.as_nanos() as i128)
}

/// Waits until files written before this call can be stamped with stat data that proves something.
pub fn settle(latest: &[Stat]) {
    let Some(latest) = latest.iter().map(Stat::latest).max() else {
        return;
    };
    let ready = latest + TICK.as_nanos() as i128 + 1_000_000;
    // A file from the future (a clock that was set back) is never worth waiting for: it is hashed each time.
    let wait = (ready - now()).clamp(0, 2 * TICK.as_nanos() as i128);
    std::thread::sleep(Duration::from_nanos(wait as u64));
}

/// All stamps of a work tree, and what is pending in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The layout version, 1.
    mvc: u32,
    /// The stamps, by path of the weights file.
    files: BTreeMap<String, Stamp>,
    /// Weights that a hook left alone although their sidecar changed.
    #[serde(default)]
    pending: BTreeMap<String, Pending>,
    /// What the store was seen to have all of.
    #[serde(default)]
    stored: Stored,
}

/// The packs of a store, by name and length.
pub type Packs = BTreeSet<(ObjectId, u64)>;

/// Sidecars that the store had every object of, while it had these packs: an object goes with its pack alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    packs: Packs,
    sidecars: BTreeSet<ObjectId>,
}

/// Why a weights file was left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// In words.
    pub reason: String,
    /// The sidecar that it was not brought in line with; `None` where there is none any more.
    pub sidecar: Option<ObjectId>,
    /// Its stat data if they prove that it still holds what it held then.
    pub seen: Option<Stat>,
}

impl State {
    /// Reads the state of a work tree; a missing or unreadable file is an empty state, since it is only a memory.
    pub fn load(git_dir: &Path) -> Result<Self> {
        let bytes = fs::read_if_present(&file(git_dir), LIMIT)?;
        let state = bytes.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        Ok(state.filter(|state| state.mvc == 1).unwrap_or_default())
    }

    /// Changes the state of a work tree under its lock: what others wrote meanwhile is kept. Nothing is
    /// written where nothing changes.
    pub fn update(fs: &Fs, git_dir: &Path, change: impl FnOnce(&mut Self)) -> Result<Self> {
        let path = file(git_dir);
        let folder = path.parent().unwrap_or(git_dir);
        fs.create_dir_all(folder)?;
        let _lock = Lock::take(&folder.join("state.lock"), Mode::Exclusive, WAIT)?;
        let before = Self::load(git_dir)?;
        let mut after = before.clone();
        after.mvc = 1;
        change(&mut after);
        if after != before {
            let text =
                serde_json::to_vec(&after).map_err(|e| FsError::new("encode", &path, e.into()))?;
            fs.replace(&path, &text, 0o644)?;
        }
        Ok(after)
    }

    /// The stamp of a weights file.
    pub fn stamp(&self, path: &RepoPath) -> Option<&Stamp> {
        self.files.get(path.as_str())
    }

    /// The sidecars that a store of these packs has every object of, as far as that is remembered.
    pub fn stored(&self, packs: &Packs) -> BTreeSet<ObjectId> {
        match self.stored.packs.is_subset(packs) {
            true => self.stored.sidecars.clone(),
            false => BTreeSet::new(),
        }
    }

    /// Remembers of which sidecars a store of these packs has every object. Those of no stamp are soon forgotten.
    pub fn set_stored(&mut self, packs: Packs, mut sidecars: BTreeSet<ObjectId>) {
        let stamped: BTreeSet<ObjectId> = self.files.values().map(|stamp| stamp.sidecar).collect();
        sidecars.retain(|sidecar| stamped.contains(sidecar));
        self.stored = Stored { packs, sidecars };
    }

    /// All stamped weights files.
    pub fn stamped(&self) -> impl Iterator<Item = (RepoPath, &Stamp)> {
        self.files
            .iter()
            .filter_map(|(path, stamp)| Some((RepoPath::new(path).ok()?, stamp)))
    }

    /// Stamps a weights file, which settles what was pending of it.
    pub fn set(&mut self, path: &RepoPath, stamp: Stamp) {
        self.files.insert(path.as_str().to_owned(), stamp);
        self.pending.remove(path.as_str());
    }

    /// Forgets a weights file.
    pub fn forget(&mut self, path: &RepoPath) {
        self.files.remove(path.as_str());
        self.pending.remove(path.as_str());
    }

    /// Makes what is known of a weights file what it was before.
    pub fn put_back(&mut self, path: &RepoPath, before: &Self) {
        self.forget(path);
        if let Some(stamp) = before.stamp(path) {
            self.set(path, stamp.clone());
        }
        if let Some(pending) = before.mark_of(path) {
            self.mark(path, pending.clone());
        }
    }

    /// Why a hook left this weights file alone.
    pub fn pending(&self, path: &RepoPath) -> Option<&str> {
        self.mark_of(path).map(|pending| pending.reason.as_str())
    }

    /// What is pending of this weights file.
    pub fn mark_of(&self, path: &RepoPath) -> Option<&Pending> {
        self.pending.get(path.as_str())
    }

    /// All weights files that were left alone.
    pub fn marked(&self) -> impl Iterator<Item = (RepoPath, &Pending)> {
        self.pending
            .iter()
            .filter_map(|(path, pending)| Some((RepoPath::new(path).ok()?, pending)))
    }

    /// Marks a weights file that was left alone.
    pub fn mark(&mut self, path: &RepoPath, pending: Pending) {
        self.pending.insert(path.as_str().to_owned(), pending);
    }

    /// Takes a mark back.
    pub fn unmark(&mut self, path: &RepoPath) {
        self.pending.remove(path.as_str());
    }
}

fn file(git_dir: &Path) -> PathBuf {
    git_dir.join("mvc").join("state")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(path: &Path) -> Stat {
        Stat::of(&path.symlink_metadata().expect("there"))
    }

    fn stamp(stat: Stat) -> Stamp {
        Stamp {
            sidecar: ObjectId::of(b""),
            blob: String::new(),
            stat,
            at: now(),
        }
    }

    #[test]
    fn a_fresh_file_proves_nothing_until_it_has_settled() {
        let dir = tempfile::tempdir().expect("a temp folder");
        let path = dir.path().join("weights");
        std::fs::write(&path, b"1").expect("written");
        let before = stat(&path);
        assert!(!stamp(before).proves(&before));
        settle(&[before]);
        let stamp = stamp(before);
        assert!(stamp.proves(&stat(&path)));
        std::fs::write(&path, b"2").expect("written");
        assert!(!stamp.proves(&stat(&path)));
    }

    #[test]
    fn updates_keep_what_others_wrote() {
        let dir = tempfile::tempdir().expect("a temp folder");
        let fs = Fs::new();
        let path = |name| RepoPath::new(name).expect("good");
        std::fs::write(dir.path().join("x"), b"").expect("written");
        let stamp = stamp(stat(&dir.path().join("x")));
        let why = Pending {
            reason: "why".to_owned(),
            sidecar: None,
            seen: None,
        };
        State::update(&fs, dir.path(), |s| s.set(&path("a"), stamp.clone())).expect("written");
        State::update(&fs, dir.path(), |s| s.mark(&path("b"), why)).expect("written");
        let state = State::load(dir.path()).expect("read");
        assert_eq!(state.stamp(&path("a")), Some(&stamp));
        assert_eq!(state.pending(&path("b")), Some("why"));
        let text = std::fs::read_to_string(file(dir.path())).expect("read");
        assert!(text.contains("\"stored\""));
        let before = text.replace(",\"stored\":{\"packs\":[],\"sidecars\":[]}", "");
        std::fs::write(file(dir.path()), before).expect("written");
        let older = State::load(dir.path()).expect("read");
        assert_eq!(older, state, "of an mvc that did not remember this");
        std::fs::write(file(dir.path()), b"garbage").expect("written");
        assert_eq!(State::load(dir.path()).expect("read"), State::default());
    }

    #[test]
    fn what_is_stored_is_remembered_as_long_as_its_packs_are_there() {
        let dir = tempfile::tempdir().expect("a temp folder");
        std::fs::write(dir.path().join("x"), b"").expect("written");
        let stamp = stamp(stat(&dir.path().join("x")));
        let [pack, other] = [b"1", b"2"].map(|name| ObjectId::of(name));
        let sidecar = stamp.sidecar;
        let mut state = State::default();
        state.set(&RepoPath::new("a").expect("good"), stamp);
        let packs = Packs::from([(pack, 100)]);
        state.set_stored(packs.clone(), BTreeSet::from([sidecar, other]));
        let sidecars = BTreeSet::from([sidecar]);
        assert_eq!(state.stored(&packs), sidecars, "no stamp has the other one");
        let more = Packs::from([(pack, 100), (other, 7)]);
        assert_eq!(state.stored(&more), sidecars);
        for changed in [
            Packs::new(),
            Packs::from([(pack, 99)]),
            Packs::from([(other, 100)]),
        ] {
            assert!(state.stored(&changed).is_empty(), "{changed:?}");
        }
        let text = serde_json::to_vec(&state).expect("encoded");
        let read: State = serde_json::from_slice(&text).expect("read");
        assert_eq!(read, state);
    }
}
