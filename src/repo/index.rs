//! The index: what git would commit.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use gix::bstr::ByteSlice;
use gix::index::entry::Flags;

use crate::base::RepoPath;

use super::discover::Repo;
use super::error::{RepoError, Result};
use super::id::BlobId;
use super::tree::find_tree;

/// An entry of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexFile {
    /// Where it lies.
    pub path: RepoPath,
    /// Its content.
    pub blob: BlobId,
    /// 0; in a conflict 1 for the common ancestor, 2 for ours, 3 for theirs.
    pub stage: u8,
    /// Whether it may be run.
    pub executable: bool,
    /// A sparse checkout left it out of the work tree.
    pub skip_worktree: bool,
    /// `git add --intent-to-add` named it; its content is not staged.
    pub intent_to_add: bool,
    /// What git saw of the file in the work tree, where that tells of every write since.
    seen: Option<Seen>,
}

/// Times closer together than this, in nanoseconds, may be the same tick of a file system's clock.
const TICK: i128 = 20_000_000;

/// What git saw of a file whose content it had read; times in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    mtime: i128,
    ctime: i128,
    inode: u32,
    size: u32,
}

impl Seen {
    fn of_entry(stat: &gix::index::entry::Stat) -> Self {
        let time = |time: gix::index::entry::stat::Time| nanos(time.secs.into(), time.nsecs.into());
        Self {
            mtime: time(stat.mtime),
            ctime: time(stat.ctime),
            inode: stat.ino,
            size: stat.size,
        }
    }

    /// As git writes it down: the low 32 bits of what is longer.
    fn of_file(metadata: &Metadata) -> Self {
        Self {
            mtime: nanos(metadata.mtime(), metadata.mtime_nsec()),
            ctime: nanos(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino() as u32,
            size: metadata.len() as u32,
        }
    }
}

fn nanos(seconds: i64, nanos: i64) -> i128 {
    i128::from(seconds) * 1_000_000_000 + i128::from(nanos)
}

impl IndexFile {
    /// True if a file of the work tree with this stat data is proved to hold what the index says, unread. A file that
    /// was written about when the index was is not.
    pub fn is_held_by(&self, metadata: &Metadata) -> bool {
        self.stage == 0 && self.seen == Some(Seen::of_file(metadata))
    }
}

impl Repo {
    /// The files in the index, in git's order. Symbolic links, submodules and paths that mvc would not touch are no
    /// files here.
    pub fn index(&self) -> Result<Vec<IndexFile>> {
        self.index_where(&|_| true)
    }

    /// The files in the index whose paths `keep` picks.
    pub fn index_where(&self, keep: &dyn Fn(&str) -> bool) -> Result<Vec<IndexFile>> {
        self.index_at(self.index_path(), keep)
    }

    /// The files in an index of this repository, such as another work tree's, whose paths `keep` picks.
    pub(super) fn index_at(
        &self,
        path: &Path,
        keep: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<IndexFile>> {
        let options = gix::index::decode::Options::default();
        let path = path.to_owned();
        let what = format!("the index {}", path.display());
        let index =
            gix::index::File::at_or_default(path, self.object_format().git(), false, options)
                .map_err(RepoError::reading(what))?;
        let written = index.timestamp();
        let written = nanos(written.unix_seconds(), written.nanoseconds().into());
        let mut files = Vec::new();
        for entry in index.entries() {
            let Ok(path) = entry.path(&index).to_str() else {
                continue;
            };
            if entry.mode.is_sparse() {
                self.collapsed(entry.id, path, keep, &mut files)?;
                continue;
            }
            let executable = match entry.mode {
                gix::index::entry::Mode::FILE => false,
                gix::index::entry::Mode::FILE_EXECUTABLE => true,
                _ => continue,
            };
            if !keep(path) {
                continue;
            }
            let Ok(path) = RepoPath::new(path) else {
                continue;
            };
            files.push(IndexFile {
                path,
                blob: BlobId::new(entry.id),
                stage: entry.stage_raw() as u8,
                executable,
                skip_worktree: entry.flags.contains(Flags::SKIP_WORKTREE),
                intent_to_add: entry.flags.contains(Flags::INTENT_TO_ADD),
                seen: Some(Seen::of_entry(&entry.stat))
                    .filter(|seen| seen.mtime.max(seen.ctime) + TICK < written),
            });
        }
        Ok(files)
    }

    /// The index entry of a path that is no conflict.
    pub fn staged_file(&self, path: &RepoPath) -> Result<Option<IndexFile>> {
        let files = self.index_where(&|other| other == path.as_str())?;
        Ok(files.into_iter().find(|file| file.stage == 0))
    }

    /// True if git tracks this path: the index has it, with or without a conflict.
    pub fn tracked(&self, path: &RepoPath) -> Result<bool> {
        Ok(!self
            .index_where(&|other| other == path.as_str())?
            .is_empty())
    }

    /// The files of a folder that a sparse index keeps as one entry.
    fn collapsed(
        &self,
        id: gix::ObjectId,
        folder: &str,
        keep: &dyn Fn(&str) -> bool,
        files: &mut Vec<IndexFile>,
    ) -> Result<()> {
        let gix = self.gix();
        let mut folders = vec![(id, folder.trim_end_matches('/').to_owned())];
        while let Some((id, folder)) = folders.pop() {
            let tree = find_tree(&gix, id)?;
            let decoded = tree
                .decode()
                .map_err(RepoError::reading(format!("git's folder {id}")))?;
            for entry in &decoded.entries {
                let Ok(name) = entry.filename.to_str() else {
                    continue;
                };
                let path = format!("{folder}/{name}");
                if entry.mode.is_tree() {
                    folders.push((entry.oid.to_owned(), path));
                } else if entry.mode.is_blob()
                    && keep(&path)
                    && let Ok(path) = RepoPath::new(&path)
                {
                    files.push(IndexFile {
                        path,
                        blob: BlobId::new(entry.oid.to_owned()),
                        stage: 0,
                        executable: entry.mode.is_executable(),
                        skip_worktree: true,
                        intent_to_add: false,
                        seen: None,
                    });
                }
            }
        }
        Ok(())
    }
}
