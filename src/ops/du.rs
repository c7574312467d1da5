//! `mvc du`: what versions really cost on the disk.

mod why;

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::Serialize;

use super::error::Result;
use super::history;
use super::tracked::{self, Tracked};
use super::workspace::Workspace;
use crate::base::text::chain;
use crate::base::{ObjectId, RepoPath};
use crate::model::Manifest;
use crate::repo::{BlobId, CommitId, CommitInfo, LogOptions};
use why::Known;
pub use why::{Base, Cost, Named, Place};

/// What one version costs.
#[derive(Clone, Debug, Serialize)]
pub struct Version {
    /// The commit.
    pub commit: CommitId,
    /// Tags and branches at it.
    pub refs: Vec<String>,
    /// The first line of its message.
    pub subject: String,
    /// Bytes of its weights files in the work tree.
    pub raw: u64,
    /// Bytes in the store that no older listed version has.
    pub added: u64,
    /// Why the sidecars of some of its weights files cannot be read, where they cannot: one bad file in the past hides
    /// no other version.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
    /// What each run of bytes of its weights files costs, in their order; only where it was asked why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub costs: Option<Vec<Cost>>,
}

/// What `du` is asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where to begin; HEAD by default.
    pub revision: Option<String>,
    /// The most versions to list.
    pub limit: Option<usize>,
    /// Whether to say what each tensor costs, and why.
    pub why: bool,
}

/// What the store holds.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Versions, newest first.
    pub versions: Vec<Version>,
    /// Bytes of all weights files that any branch, tag, HEAD or the stash leads to, as if each version of each were
    /// kept whole, once.
    pub raw: u64,
    /// Bytes of the distinct objects, raw.
    pub distinct: u64,
    /// Bytes that the packs take.
    pub stored: u64,
    /// Packs in the store.
    pub packs: u64,
    /// Objects in the store.
    pub objects: u64,
}

/// Adds up the versions that HEAD, or a revision, reaches.
pub fn run(ws: &Workspace, options: &Options) -> Result<Report> {
    let usage = ws.store().usage()?;
    let mut report = Report {
        versions: Vec::new(),
        raw: 0,
        distinct: usage.raw,
        stored: usage.disk,
        packs: usage.packs,
        objects: usage.objects,
    };
    let start = match &options.revision {
        Some(revision) => Some(ws.repo().resolve(revision)?),
        None => super::workspace::if_found(ws.repo().resolve("HEAD"))?,
    };
    let Some(start) = start else {
        report.raw = whole(ws, &HashMap::new())?;
        return Ok(report);
    };
    let mut seen: BTreeSet<ObjectId> = BTreeSet::new();
    let mut lengths: HashMap<BlobId, u64> = HashMap::new();
    let log = LogOptions {
        // What a tensor is written with may be older than all that is listed.
        limit: options.limit.filter(|_| !options.why),
        ..LogOptions::default()
    };
    let history = ws
        .repo()
        .log(&[start], log)?
        .collect::<std::result::Result<Vec<_>, _>>()?;
    let listed = options.limit.unwrap_or(usize::MAX).min(history.len());
    let mut known = options.why.then(Known::default);
    for (at, commit) in history.iter().enumerate().rev() {
        if at >= listed {
            if let Some(known) = &mut known {
                known.look(ws, at, split(tracked::of_commit(ws, &commit.id)).0);
            }
            continue;
        }
        let mut version = Version {
            commit: commit.id,
            refs: names(commit),
            subject: commit.subject.clone(),
            raw: 0,
            added: 0,
            unreadable: Vec::new(),
            costs: None,
        };
        // Of files that are as in an older version.
        let mut again = 0;
        let mut add = |manifest: &Manifest| -> Result<()> {
            version.raw += manifest.file_len();
            for (id, _, _) in manifest.objects() {
                if seen.insert(id) {
                    version.added += ws.store().stored_size(&id)?.map_or(0, |size| size.stored);
                }
            }
            Ok(())
        };
        match &mut known {
            Some(known) => {
                let (files, unreadable) = split(tracked::of_commit(ws, &commit.id));
                version.unreadable = unreadable;
                for (_, manifest) in known.read(ws, at, files, &mut version.unreadable) {
                    add(manifest)?;
                }
            }
            None => {
                let (named, unreadable) = split(tracked::names_of_commit(ws, &commit.id));
                version.unreadable.extend(unreadable);
                for (path, blob) in named {
                    // All that an older version has, this one has for nothing.
                    if let Some(raw) = lengths.get(&blob) {
                        again += *raw;
                        continue;
                    }
                    match read(ws, &path, &blob) {
                        Ok(manifest) => {
                            lengths.insert(blob, manifest.file_len());
                            add(&manifest)?;
                        }
                        Err(e) => version.unreadable.push(chain(&e)),
                    }
                }
            }
        }
        version.raw += again;
        report.versions.push(version);
    }
    report.versions.reverse();
    report.raw = whole(ws, &lengths)?;
    if let Some(known) = known {
        known.explain(ws, &history, &mut report)?;
    }
    Ok(report)
}

/// Bytes of all weights files of all versions, each version of a file once. What cannot be read is for `verify` to tell
/// of. `lengths` are those that are known.
fn whole(ws: &Workspace, lengths: &HashMap<BlobId, u64>) -> Result<u64> {
    let mut seen = HashSet::new();
    let mut bytes = 0;
    for commit in history::of_all(ws)?.0 {
        for (path, blob) in split(tracked::names_of_commit(ws, &commit)).0 {
            if !seen.insert(blob) {
                continue;
            }
            bytes += match lengths.get(&blob) {
                Some(len) => *len,
                None => read(ws, &path, &blob).map_or(0, |manifest| manifest.file_len()),
            };
        }
    }
    Ok(bytes)
}

fn read(ws: &Workspace, path: &RepoPath, blob: &BlobId) -> Result<Manifest> {
    tracked::manifest(ws, path, &Tracked::of_blob(ws, path, blob)?)
}

/// What was found, or nothing and why.
fn split<T: Default>(found: Result<T>) -> (T, Vec<String>) {
    match found {
        Ok(found) => (found, Vec::new()),
        Err(e) => (T::default(), vec![chain(&e)]),
    }
}

fn names(commit: &CommitInfo) -> Vec<String> {
    commit
        .labels
        .iter()
        .map(|label| label.name.clone())
        .collect()
}
