//! One side of a comparison or a measurement: the work tree or a commit, its weights files, and their bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::{During, Error, Result};
use super::state::Stat;
use super::tracked;
use super::weights::{self, Condition};
use super::workspace::Workspace;
use super::{status, track};
use crate::base::config::Config;
use crate::base::fs::FsError;
use crate::base::source::FileSource;
use crate::base::{Kind, Progress, ReadAt, RepoPath};
use crate::model::manifest::Piece;
use crate::model::{Entry, How, Manifest};
use crate::repo::CommitId;

/// A version, or the work tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Side {
    /// The files as they lie in the work tree.
    Worktree,
    /// A commit, as it was typed.
    Commit {
        /// What was typed.
        typed: String,
        /// The commit.
        id: CommitId,
    },
}

impl Side {
    /// A commit by any of git's spellings.
    pub fn commit(ws: &Workspace, typed: &str) -> Result<Self> {
        Ok(Self::Commit {
            typed: typed.to_owned(),
            id: ws.repo().resolve(typed)?,
        })
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        match self {
            Self::Worktree => "work tree",
            Self::Commit { typed, .. } => typed,
        }
    }

    /// `mvc.toml` of this side.
    pub fn config(&self, ws: &Workspace) -> Result<Config> {
        match self {
            Self::Worktree => ws.config(),
            Self::Commit { id, .. } => ws.config_at(id),
        }
    }

    /// Whether this side has a weights file of that name.
    pub fn has_weights(&self, ws: &Workspace, path: &RepoPath) -> Result<bool> {
        match self {
            Self::Worktree => Ok(weights::lstat(ws, path)?.is_some()),
            Self::Commit { id, .. } => Ok(ws
                .repo()
                .file_entry(id, &tracked::sidecar_path(path))?
                .is_some()),
        }
    }

    /// A plain file of this side; `None` where it has none.
    pub fn read(&self, ws: &Workspace, path: &RepoPath, limit: u64) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Worktree => ws.read(path, limit),
            Self::Commit { id, .. } => Ok(ws.repo().file(id, path, limit)?),
        }
    }

    /// Every plain file of this side that git has or would offer to take, sorted.
    pub fn every_file(&self, ws: &Workspace) -> Result<Vec<RepoPath>> {
        let mut files: Vec<RepoPath> = match self {
            Self::Commit { id, .. } => {
                let files = ws.repo().files(id, &|_| true)?;
                files.into_iter().map(|file| file.path).collect()
            }
            Self::Worktree => {
                let mut visible = super::models::visible_files(ws)?;
                let is_file = |path: &RepoPath| {
                    let stat = ws.on_disk(path).symlink_metadata();
                    stat.is_ok_and(|stat| stat.is_file())
                };
                visible.retain(is_file);
                visible
            }
        };
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// The weights files of this side that `keep` picks. Those of the work tree that have changed are hashed.
    pub fn files(
        &self,
        ws: &Workspace,
        keep: &dyn Fn(&RepoPath) -> bool,
        progress: &dyn Progress,
    ) -> Result<BTreeMap<RepoPath, SideFile>> {
        match self {
            Self::Commit { typed, id } => {
                let mut sidecars = tracked::of_commit(ws, id)?;
                sidecars.retain(|path, _| keep(path));
                let files = tracked::manifests(ws, &sidecars)
                    .during(|| format!("cannot read the weights of {typed}"))?;
                Ok(files
                    .into_iter()
                    .map(|(path, manifest)| (path, SideFile::stored(manifest)))
                    .collect())
            }
            Self::Worktree => {
                let mut paths: std::collections::BTreeSet<RepoPath> =
                    tracked::of_worktree(ws)?.into_keys().collect();
                paths.extend(track::candidates(ws, &ws.config()?)?);
                paths.retain(keep);
                let mut files = BTreeMap::new();
                for path in paths {
                    if weights::lstat(ws, &path)?.is_some() {
                        let file = SideFile::of_worktree(ws, &path, progress)?;
                        files.insert(path, file);
                    }
                }
                Ok(files)
            }
        }
    }

    /// One weights file of this side.
    pub fn file(
        &self,
        ws: &Workspace,
        path: &RepoPath,
        progress: &dyn Progress,
    ) -> Result<SideFile> {
        let found = match self {
            Self::Worktree => weights::lstat(ws, path)?
                .map(|_| SideFile::of_worktree(ws, path, progress))
                .transpose()?,
            Self::Commit { id, .. } => {
                let tracked = tracked::of_commit(ws, id)?.remove(path);
                let manifest = tracked
                    .map(|tracked| tracked::manifest(ws, path, &tracked))
                    .transpose()?;
                manifest.map(SideFile::stored)
            }
        };
        found.ok_or_else(|| {
            let message = format!("{} has no weights file {path}", self.name());
            Error::advised(
                Kind::NotFound,
                message,
                "`mvc show REV` lists the weights of a version",
            )
        })
    }
}

/// A weights file of one side.
pub struct SideFile {
    /// What it holds.
    pub manifest: Manifest,
    /// Whether it is what its sidecar says; always so in a commit.
    pub what: Option<status::What>,
    /// What its reader should know.
    pub notes: Vec<String>,
    bytes: Bytes,
}

enum Bytes {
    Store,
    File {
        source: Arc<FileSource>,
        path: RepoPath,
        stat: Stat,
    },
}

impl SideFile {
    fn stored(manifest: Manifest) -> Self {
        Self {
            manifest,
            what: None,
            notes: Vec::new(),
            bytes: Bytes::Store,
        }
    }

    fn of_worktree(ws: &Workspace, path: &RepoPath, progress: &dyn Progress) -> Result<Self> {
        let opened = weights::open(ws, path)?;
        let known = tracked::in_worktree(ws, path)?;
        let manifest = known
            .as_ref()
            .map(|known| tracked::manifest(ws, path, known))
            .transpose()?;
        let clean = match (&known, &manifest) {
            (Some(known), Some(_)) => {
                let (condition, _) = weights::condition(ws, &ws.state()?, path, known, progress)?;
                condition == Condition::Clean
            }
            _ => false,
        };
        let what = match (clean, &known) {
            (true, _) => None,
            (false, Some(_)) => Some(status::What::Modified),
            (false, None) => Some(status::What::New),
        };
        let (manifest, notes) = match manifest.filter(|_| clean) {
            Some(manifest) => (manifest, Vec::new()),
            None => weights::describe(&opened, How { opaque: false }, progress)
                .during(|| format!("cannot read {path}"))?,
        };
        opened.unchanged(ws)?;
        Ok(Self {
            manifest,
            what,
            notes,
            bytes: Bytes::File {
                path: path.clone(),
                stat: opened.stat,
                source: Arc::new(opened.source),
            },
        })
    }

    /// Fails where a file of the work tree is not what it was when it was opened.
    pub fn unchanged(&self, ws: &Workspace) -> Result<()> {
        match &self.bytes {
            Bytes::Store => Ok(()),
            Bytes::File { source, path, stat } => {
                let now = source
                    .metadata()
                    .map_err(|e| FsError::new("stat", &ws.on_disk(path), e))?;
                match (Stat::of(&now), weights::lstat(ws, path)?) {
                    (open, Some(named)) if open == *stat && named == *stat => Ok(()),
                    _ => Err(Error::Changed(path.clone())),
                }
            }
        }
    }

    /// Fails where its sidecar lists other tensors than the file has.
    pub fn agrees(&self, ws: &Workspace, path: &RepoPath) -> Result<()> {
        match &self.bytes {
            Bytes::Store => tracked::agrees(ws, path, &self.manifest),
            Bytes::File { source, .. } => tracked::describes(path, &self.manifest, source.as_ref()),
        }
    }

    /// Whether it lies in the store, and not in the work tree.
    pub fn is_stored(&self) -> bool {
        matches!(self.bytes, Bytes::Store)
    }

    /// Where a run of its bytes lies: what to read it from, and where in it it begins.
    pub fn locate_piece(
        &self,
        ws: &Workspace,
        piece: &Piece<'_>,
    ) -> Result<(Arc<dyn ReadAt>, u64)> {
        match &self.bytes {
            Bytes::File { source, .. } => Ok((source.clone(), piece.offset)),
            Bytes::Store => Ok((Arc::new(ws.store().object(&piece.segment.id())?), 0)),
        }
    }

    /// Where the bytes of a tensor lie: what to read them from, and where in it they begin.
    pub fn locate(&self, ws: &Workspace, entry: &Entry) -> Result<(Arc<dyn ReadAt>, u64)> {
        match &self.bytes {
            Bytes::File { source, .. } => Ok((source.clone(), entry.location.offset)),
            Bytes::Store => Ok((
                Arc::new(ws.store().object(&entry.location.object)?),
                entry.location.within,
            )),
        }
    }
}
