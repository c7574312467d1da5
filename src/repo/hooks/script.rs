//! Hook scripts as they lie on the disk.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::base::fs::{FsError, read_limited};
use crate::repo::discover::Repo;

use super::{Obstacle, Result, line};

/// A script longer than this is not edited.
const LIMIT: u64 = 1 << 20;

/// Whose hooks a folder holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    GitDir,
    WorkTree,
    Outside,
}

pub(super) fn place(repo: &Repo, dir: &Path) -> Place {
    // A folder that is not there yet is judged by the nearest one that is.
    let real = dir
        .ancestors()
        .find_map(|dir| dir.canonicalize().ok())
        .unwrap_or_default();
    match real {
        real if real.starts_with(repo.common_dir()) => Place::GitDir,
        real if real.starts_with(repo.root()) => Place::WorkTree,
        _ => Place::Outside,
    }
}

/// What lies under a hook's name.
pub(super) enum Script {
    Missing,
    File { bytes: Vec<u8>, mode: u32 },
    Obstacle(Obstacle),
}

impl Script {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let stat = match path.symlink_metadata() {
            Ok(stat) => stat,
            Err(e)
                if matches!(
                    e.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(Self::Missing);
            }
            Err(e) => return Err(FsError::new("look at", path, e).into()),
        };
        Ok(if stat.is_symlink() {
            Self::Obstacle(Obstacle::Link(std::fs::read_link(path).unwrap_or_default()))
        } else if !stat.is_file() {
            Self::Obstacle(Obstacle::NotAFile)
        } else if stat.len() > LIMIT {
            Self::Obstacle(Obstacle::TooLong)
        } else {
            Self::File {
                bytes: read_limited(path, LIMIT)?,
                mode: stat.permissions().mode() & 0o7777,
            }
        })
    }

    pub(super) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::File { bytes, .. } => Some(bytes),
            Self::Missing | Self::Obstacle(_) => None,
        }
    }

    pub(super) fn mode(&self) -> u32 {
        match self {
            Self::File { mode, .. } => *mode,
            Self::Missing | Self::Obstacle(_) => 0o755,
        }
    }

    /// Whether it may be edited at all.
    pub(super) fn check(&self) -> std::result::Result<(), Obstacle> {
        match self {
            Self::Missing => Ok(()),
            Self::Obstacle(obstacle) => Err(obstacle.clone()),
            Self::File { bytes, mode } if mode & 0o111 == 0 && line::found(bytes).is_none() => {
                Err(Obstacle::NotExecutable)
            }
            Self::File { .. } => Ok(()),
        }
    }
}
