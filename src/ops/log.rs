//! `mvc log`: versions, newest first, with the weights each changed and how its metrics moved.

use std::collections::BTreeMap;

use serde::Serialize;

use super::error::Result;
use super::metrics::{self, Moved, Values};
use super::status::What;
use super::tracked::{SUFFIX, weights_path};
use super::workspace::{Workspace, if_found};
use crate::base::RepoPath;
use crate::base::text::chain;
use crate::repo::{BlobId, CommitId, CommitInfo, LogOptions};

/// What `log` is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to begin; HEAD where none is named.
    pub revision: Option<String>,
    /// The most versions to list.
    pub limit: Option<usize>,
    /// Whether to read metrics.
    pub metrics: bool,
}

/// One version.
#[derive(Clone, Debug, Serialize)]
pub struct Version {
    /// The commit.
    #[serde(flatten)]
    pub commit: CommitInfo,
    /// The weights it changed against its first parent.
    pub weights: Vec<(RepoPath, What)>,
    /// Its metrics against its first parent's; empty where they were not asked for.
    pub metrics: Vec<Moved>,
    /// Why its metrics cannot be read, where they were asked for: one bad file in the past hides no other version.
    pub unreadable: Option<String>,
}

/// The versions.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Newest first.
    pub versions: Vec<Version>,
}

/// Lists versions.
pub fn run(ws: &Workspace, options: &Options) -> Result<Report> {
    let typed = options.revision.as_deref().unwrap_or("HEAD");
    let start = match &options.revision {
        Some(revision) => Some(ws.repo().resolve(revision)?),
        None => if_found(ws.repo().resolve(typed))?,
    };
    let Some(start) = start else {
        return Ok(Report {
            versions: Vec::new(),
        });
    };
    let mut memory = Memory {
        ws,
        sidecars: BTreeMap::new(),
        metrics: BTreeMap::new(),
    };
    let config = ws.config()?;
    let mut versions = Vec::new();
    let walk = LogOptions {
        limit: options.limit,
        ..LogOptions::default()
    };
    for commit in ws.repo().log(&[start], walk)? {
        let commit = commit?;
        let parent = commit.parents.first().copied();
        let weights = memory.changed(parent.as_ref(), &commit.id)?;
        let (metrics, unreadable) = match options.metrics {
            true => {
                let before = parent
                    .as_ref()
                    .and_then(|parent| memory.metrics(parent).ok());
                match memory.metrics(&commit.id) {
                    Ok(after) => {
                        let before = before.unwrap_or_default();
                        (metrics::compare(&config, &before, &after), None)
                    }
                    Err(problem) => (Vec::new(), Some(problem)),
                }
            }
            false => (Vec::new(), None),
        };
        versions.push(Version {
            commit,
            weights,
            metrics,
            unreadable,
        });
    }
    Ok(Report { versions })
}

type Sidecars = BTreeMap<RepoPath, BlobId>;

/// What was read of a commit: each is looked at as a child and again as a parent.
struct Memory<'a> {
    ws: &'a Workspace,
    sidecars: BTreeMap<CommitId, Sidecars>,
    metrics: BTreeMap<CommitId, Known>,
}

/// A commit's metrics, or why they cannot be read.
type Known = std::result::Result<Values, String>;

impl Memory<'_> {
    fn sidecars(&mut self, commit: &CommitId) -> Result<&Sidecars> {
        if !self.sidecars.contains_key(commit) {
            let files = self
                .ws
                .repo()
                .files(commit, &|path| path.ends_with(SUFFIX))?;
            let found = files
                .into_iter()
                .filter_map(|file| Some((weights_path(&file.path)?, file.blob)))
                .collect();
            self.sidecars.insert(*commit, found);
        }
        Ok(&self.sidecars[commit])
    }

    fn changed(
        &mut self,
        parent: Option<&CommitId>,
        commit: &CommitId,
    ) -> Result<Vec<(RepoPath, What)>> {
        let before = match parent {
            Some(parent) => self.sidecars(parent)?.clone(),
            None => Sidecars::new(),
        };
        let after = self.sidecars(commit)?;
        let mut changed: Vec<(RepoPath, What)> = Vec::new();
        for (path, blob) in after {
            match before.get(path) {
                None => changed.push((path.clone(), What::New)),
                Some(old) if old != blob => changed.push((path.clone(), What::Modified)),
                Some(_) => {}
            }
        }
        let gone = before.keys().filter(|path| !after.contains_key(*path));
        changed.extend(gone.map(|path| (path.clone(), What::Deleted)));
        changed.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(changed)
    }

    fn metrics(&mut self, commit: &CommitId) -> Known {
        let ws = self.ws;
        let read = || metrics::of_commit(ws, commit).map_err(|e| chain(&e));
        self.metrics.entry(*commit).or_insert_with(read).clone()
    }
}
