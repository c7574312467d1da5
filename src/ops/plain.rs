//! Plain files that a number depends on: the same ones on both sides, and regular ones.
//!
//! Git keeps where a symbolic link leads and not what lies there, and a device may never end: both are refused.

use std::io;

use super::error::{Error, Result};
use super::sides::Side;
use super::workspace::Workspace;
use crate::base::fs::FsError;
use crate::base::id::IdHasher;
use crate::base::source::FileSource;
use crate::base::text::printable;
use crate::base::{Kind, ObjectId, ReadAt, RepoPath};

/// Bytes that are read and hashed at once.
const PIECE: usize = 1 << 20;

impl Side {
    /// A regular file of this side; `None` where it has nothing of that name.
    pub fn regular(&self, ws: &Workspace, path: &RepoPath, limit: u64) -> Result<Option<Vec<u8>>> {
        match self.has_regular(ws, path)? {
            true => self.read(ws, path, limit),
            false => Ok(None),
        }
    }

    /// The hash of a regular file of this side. That of the work tree is read piece by piece, so that its length
    /// costs no memory; git gives out its own as a whole.
    pub fn regular_id(
        &self,
        ws: &Workspace,
        path: &RepoPath,
        limit: u64,
    ) -> Result<Option<ObjectId>> {
        if !self.has_regular(ws, path)? {
            return Ok(None);
        }
        match self {
            Self::Commit { .. } => {
                let bytes = self.read(ws, path, limit)?;
                Ok(bytes.map(|bytes| ObjectId::of(&bytes)))
            }
            Self::Worktree => {
                let full = ws.on_disk(path);
                let id = FileSource::open(&full).and_then(|file| hash(&file, limit));
                Ok(Some(id.map_err(|e| FsError::new("read", &full, e))?))
            }
        }
    }

    /// Whether this side has a file of that name; anything but a regular one is refused.
    pub fn has_regular(&self, ws: &Workspace, path: &RepoPath) -> Result<bool> {
        let other = |what: String| {
            Error::advised(
                Kind::BadInput,
                what,
                "put the file itself there: what a link leads to is not a part of any version",
            )
        };
        match self {
            Self::Commit { typed, id } => match ws.repo().link(id, path)? {
                Some(link) if link == path.as_str() => {
                    Err(other(format!("{path} of {typed} is a symbolic link")))
                }
                Some(link) => {
                    let link = printable(&link);
                    Err(other(format!(
                        "{path} of {typed} lies behind the link {link}"
                    )))
                }
                None => Ok(ws.repo().file_entry(id, path)?.is_some()),
            },
            Self::Worktree => {
                if let Some(link) = path.blocked_by(ws.root()) {
                    let link = link.strip_prefix(ws.root()).unwrap_or(&link).display();
                    return Err(other(format!(
                        "{path} lies behind {link}, which is no folder"
                    )));
                }
                let full = ws.on_disk(path);
                match full.symlink_metadata() {
                    Ok(stat) if stat.is_file() => Ok(true),
                    Ok(stat) if stat.is_symlink() => {
                        Err(other(format!("{path} is a symbolic link")))
                    }
                    Ok(_) => Err(other(format!("{path} is not a regular file"))),
                    Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
                    Err(e) => Err(FsError::new("stat", &full, e).into()),
                }
            }
        }
    }
}

fn hash(file: &FileSource, limit: u64) -> io::Result<ObjectId> {
    if file.len() > limit {
        let message = format!("more than {limit} bytes long");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    let mut hasher = IdHasher::new();
    let mut buffer = vec![0; PIECE];
    let mut at = 0;
    while at < file.len() {
        let piece = &mut buffer[..(file.len() - at).min(PIECE as u64) as usize];
        file.read_exact_at(piece, at)?;
        hasher.update(piece);
        at += piece.len() as u64;
    }
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_yield_the_hash_of_the_whole() {
        let dir = tempfile::tempdir().expect("a temp folder");
        let path = dir.path().join("data");
        for len in [0, 1, PIECE, 2 * PIECE + 7] {
            let bytes: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
            std::fs::write(&path, &bytes).expect("written");
            let file = FileSource::open(&path).expect("there");
            let id = hash(&file, len as u64).expect("read");
            assert_eq!(id, ObjectId::of(&bytes), "{len}");
            assert!(len == 0 || hash(&file, len as u64 - 1).is_err(), "{len}");
        }
    }
}
