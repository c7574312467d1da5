//! `mvc du`: what versions really cost on the disk.

use std::collections::BTreeSet;

use serde::Serialize;

use super::error::Result;
use super::tracked;
use super::workspace::Workspace;
use crate::base::ObjectId;
use crate::repo::{CommitId, CommitInfo, LogOptions};

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
}

/// What the store holds.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Versions, newest first.
    pub versions: Vec<Version>,
    /// Bytes of all versions' weights files, as if each were kept whole.
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
pub fn run(ws: &Workspace, revision: Option<&str>, limit: Option<usize>) -> Result<Report> {
    let usage = ws.store().usage()?;
    let mut report = Report {
        versions: Vec::new(),
        raw: 0,
        distinct: usage.raw,
        stored: usage.disk,
        packs: usage.packs,
        objects: usage.objects,
    };
    let start = match revision {
        Some(revision) => Some(ws.repo().resolve(revision)?),
        None => super::workspace::if_found(ws.repo().resolve("HEAD"))?,
    };
    let Some(start) = start else {
        return Ok(report);
    };
    let mut seen: BTreeSet<ObjectId> = BTreeSet::new();
    let options = LogOptions {
        limit,
        ..LogOptions::default()
    };
    let mut commits = ws
        .repo()
        .log(&[start], options)?
        .collect::<std::result::Result<Vec<_>, _>>()?;
    commits.reverse();
    for commit in commits {
        let files = tracked::of_commit(ws, &commit.id)?;
        let mut version = Version {
            commit: commit.id,
            refs: names(&commit),
            subject: commit.subject,
            raw: 0,
            added: 0,
        };
        for (path, tracked) in &files {
            let manifest = tracked::manifest(ws, path, tracked)?;
            version.raw += manifest.file_len();
            for (id, _, _) in manifest.objects() {
                if seen.insert(id) {
                    version.added += ws.store().stored_size(&id)?.map_or(0, |size| size.stored);
                }
            }
        }
        report.raw += version.raw;
        report.versions.push(version);
    }
    report.versions.reverse();
    Ok(report)
}

fn names(commit: &CommitInfo) -> Vec<String> {
    commit
        .labels
        .iter()
        .map(|label| label.name.clone())
        .collect()
}
