//! Files of a commit.

use std::collections::HashSet;

use gix::bstr::{BString, ByteSlice};

use crate::base::RepoPath;

use super::discover::Repo;
use super::error::{RepoError, Result};
use super::id::{BlobId, CommitId};

/// Folders in a commit are followed so deep; no file system allows a path of that many.
const DEEPEST: usize = 512;

/// A file of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeFile {
    /// Where it lies.
    pub path: RepoPath,
    /// Its content.
    pub blob: BlobId,
    /// Whether it may be run.
    pub executable: bool,
}

/// Where the way to a path ends.
struct End<'a> {
    path: &'a str,
    mode: gix::objs::tree::EntryMode,
    id: gix::ObjectId,
}

impl Repo {
    /// The files of a commit whose paths `keep` picks, in git's order. Symbolic links, submodules and paths that are
    /// not UTF-8 are no files here. A kept path that mvc will not touch, or that is there twice, is an error.
    pub fn files(&self, commit: &CommitId, keep: &dyn Fn(&str) -> bool) -> Result<Vec<TreeFile>> {
        let gix = self.gix();
        let root = self.root_tree(&gix, commit)?;
        let mut files = Vec::new();
        let walk = Walk {
            gix: &gix,
            commit: *commit,
            keep,
        };
        walk.folder(root, "", 0, &mut files)?;
        Ok(files)
    }

    /// The file of a commit at this path, if there is one that is no link and no folder, and its content.
    pub fn file(&self, commit: &CommitId, path: &RepoPath, limit: u64) -> Result<Option<Vec<u8>>> {
        match self.file_entry(commit, path)? {
            Some(file) => self.blob(&file.blob, limit).map(Some),
            None => Ok(None),
        }
    }

    /// The file of a commit at this path, without its content.
    pub fn file_entry(&self, commit: &CommitId, path: &RepoPath) -> Result<Option<TreeFile>> {
        let found = self.end_of(commit, path)?;
        Ok(found
            .filter(|end| end.mode.is_blob() && end.path == path.as_str())
            .map(|end| TreeFile {
                path: path.clone(),
                blob: BlobId::new(end.id),
                executable: end.mode.is_executable(),
            }))
    }

    /// The symbolic link or submodule of a commit that this path names or lies behind.
    pub fn link(&self, commit: &CommitId, path: &RepoPath) -> Result<Option<String>> {
        let found = self.end_of(commit, path)?;
        Ok(found
            .filter(|end| !end.mode.is_blob())
            .map(|end| end.path.to_owned()))
    }

    /// The first thing on the way to a path that is no folder.
    fn end_of<'a>(&self, commit: &CommitId, path: &'a RepoPath) -> Result<Option<End<'a>>> {
        let gix = self.gix();
        let path = path.as_str();
        let mut folder = self.root_tree(&gix, commit)?;
        let mut start = 0;
        loop {
            let tree = find_tree(&gix, folder)?;
            let decoded = tree
                .decode()
                .map_err(RepoError::reading(format!("commit {commit}")))?;
            let end = path[start..].find('/').map_or(path.len(), |at| start + at);
            let last = end == path.len();
            let named = |entry: &&gix::objs::tree::EntryRef<'_>| {
                entry.filename == &path.as_bytes()[start..end]
            };
            // A folder on the way, and anything else at its end: no folder is a file.
            let mut entries = decoded.entries.iter().filter(named);
            let entry = entries
                .clone()
                .find(|entry| entry.mode.is_tree() != last)
                .or_else(|| entries.find(|entry| !entry.mode.is_tree()));
            match entry {
                None => return Ok(None),
                Some(entry) if entry.mode.is_tree() => {
                    folder = entry.oid.to_owned();
                    start = end + 1;
                }
                Some(entry) => {
                    return Ok(Some(End {
                        path: &path[..end],
                        mode: entry.mode,
                        id: entry.oid.to_owned(),
                    }));
                }
            }
        }
    }

    /// The content of a file in git, proven to be what its name says; longer than `limit` is an error before
    /// anything is read.
    pub fn blob(&self, id: &BlobId, limit: u64) -> Result<Vec<u8>> {
        let gix = self.gix();
        let reading = || RepoError::reading(format!("git's object {id}"));
        let missing = || RepoError::NoObject { id: id.to_string() };
        let header = gix
            .try_find_header(id.git())
            .map_err(reading())?
            .ok_or_else(missing)?;
        if header.size() > limit {
            return Err(RepoError::TooLong {
                id: *id,
                len: header.size(),
                limit,
            });
        }
        let mut object = gix
            .try_find_object(id.git())
            .map_err(reading())?
            .ok_or_else(missing)?;
        let hash = gix::objs::compute_hash(self.object_format().git(), object.kind, &object.data);
        let intact =
            hash.is_ok_and(|hash| hash == id.git()) && object.kind == gix::objs::Kind::Blob;
        match intact {
            true => Ok(std::mem::take(&mut object.data)),
            false => Err(RepoError::Damaged { id: id.to_string() }),
        }
    }

    /// The name that git gives this content, whether it has it or not.
    pub fn blob_name(&self, bytes: &[u8]) -> Result<BlobId> {
        let kind = self.object_format().git();
        let hash = gix::objs::compute_hash(kind, gix::objs::Kind::Blob, bytes)
            .map_err(RepoError::reading("the hash of a file"))?;
        Ok(BlobId::new(hash))
    }

    fn root_tree(&self, gix: &gix::Repository, commit: &CommitId) -> Result<gix::ObjectId> {
        let reading = || RepoError::reading(format!("commit {commit}"));
        let object = gix.try_find_object(commit.git()).map_err(reading())?;
        let object = object.ok_or_else(|| RepoError::NoObject {
            id: commit.to_string(),
        })?;
        let decoded = object.try_to_commit_ref().map_err(reading())?;
        Ok(decoded.tree())
    }
}

pub(super) fn find_tree(gix: &gix::Repository, id: gix::ObjectId) -> Result<gix::Tree<'_>> {
    // Git knows the empty tree without having it.
    if id.is_empty_tree() {
        return Ok(gix.empty_tree());
    }
    let reading = || RepoError::reading(format!("git's folder {id}"));
    let object = gix.try_find_object(id).map_err(reading())?;
    let object = object.ok_or_else(|| RepoError::NoObject { id: id.to_string() })?;
    object.try_into_tree().map_err(reading())
}

/// One walk through the folders of a commit.
struct Walk<'a> {
    gix: &'a gix::Repository,
    commit: CommitId,
    keep: &'a dyn Fn(&str) -> bool,
}

impl Walk<'_> {
    fn folder(
        &self,
        id: gix::ObjectId,
        prefix: &str,
        depth: usize,
        files: &mut Vec<TreeFile>,
    ) -> Result<()> {
        if depth > DEEPEST {
            return Err(RepoError::Deep {
                commit: self.commit,
                limit: DEEPEST,
            });
        }
        let tree = find_tree(self.gix, id)?;
        let decoded = tree
            .decode()
            .map_err(RepoError::reading(format!("git's folder {id}")))?;
        let mut names: HashSet<BString> = HashSet::with_capacity(decoded.entries.len());
        for entry in &decoded.entries {
            // A folder and a link of one name are the classic way out of a work tree.
            if !names.insert(entry.filename.to_owned()) {
                return Err(RepoError::Twice {
                    commit: self.commit,
                    path: format!("{prefix}{}", entry.filename),
                });
            }
            let Ok(name) = entry.filename.to_str() else {
                continue;
            };
            let path = format!("{prefix}{name}");
            if entry.mode.is_tree() {
                self.folder(entry.oid.to_owned(), &format!("{path}/"), depth + 1, files)?;
            } else if entry.mode.is_blob() && (self.keep)(&path) {
                files.push(TreeFile {
                    path: RepoPath::new(&path).map_err(|source| RepoError::Path {
                        commit: self.commit,
                        source,
                    })?,
                    blob: BlobId::new(entry.oid.to_owned()),
                    executable: entry.mode.is_executable(),
                });
            }
        }
        Ok(())
    }
}
