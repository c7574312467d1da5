//! `mvc du`: what versions really cost on the disk.

mod why;

use std::collections::BTreeSet;

use serde::Serialize;

use super::error::Result;
use super::history;
use super::tracked::{self, SUFFIX, Tracked, TrackedFiles};
use super::workspace::Workspace;
use crate::base::ObjectId;
use crate::base::text::chain;
use crate::model::{Manifest, manifest};
use crate::repo::{CommitId, CommitInfo, LogOptions};
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
        raw: whole(ws)?,
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
        return Ok(report);
    };
    let mut seen: BTreeSet<ObjectId> = BTreeSet::new();
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
    let mut sidecars = Sidecars {
        ws,
        good: BTreeSet::new(),
    };
    for (at, commit) in history.iter().enumerate().rev() {
        let (files, unreadable) = sidecars.of(&commit.id);
        if at >= listed {
            if let Some(known) = &mut known {
                known.look(ws, at, files)?;
            }
            continue;
        }
        let mut version = Version {
            commit: commit.id,
            refs: names(commit),
            subject: commit.subject.clone(),
            raw: 0,
            added: 0,
            unreadable,
            costs: None,
        };
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
                for (_, manifest) in known.read(ws, at, files)? {
                    add(manifest)?;
                }
            }
            None => {
                for (path, tracked) in &files {
                    add(&tracked::manifest(ws, path, tracked)?)?;
                }
            }
        }
        report.versions.push(version);
    }
    report.versions.reverse();
    if let Some(known) = known {
        known.explain(ws, &history, &mut report)?;
    }
    Ok(report)
}

/// Bytes of all weights files of all versions, each version of a file once. What cannot be read is for `verify` to tell
/// of.
fn whole(ws: &Workspace) -> Result<u64> {
    let mut seen = BTreeSet::new();
    let mut bytes = 0;
    for commit in history::of_all(ws)?.0 {
        let sidecar = |path: &str| path.ends_with(SUFFIX);
        for file in ws.repo().files(&commit, &sidecar).unwrap_or_default() {
            if !seen.insert(file.blob) {
                continue;
            }
            let text = ws.repo().blob(&file.blob, manifest::MAX_TEXT as u64);
            let path = tracked::weights_path(&file.path);
            if let (Ok(text), Some(path)) = (text, path)
                && let Ok(manifest) = tracked::manifest(ws, &path, &Tracked::new(text, false))
            {
                bytes += manifest.file_len();
            }
        }
    }
    Ok(bytes)
}

/// Reads the sidecars of versions.
struct Sidecars<'a> {
    ws: &'a Workspace,
    /// Those that can be read, by their texts.
    good: BTreeSet<ObjectId>,
}

impl Sidecars<'_> {
    /// Those of a version that can be read, and why others cannot.
    fn of(&mut self, commit: &CommitId) -> (TrackedFiles, Vec<String>) {
        let mut files = match tracked::of_commit(self.ws, commit) {
            Ok(files) => files,
            Err(e) => return (TrackedFiles::new(), vec![chain(&e)]),
        };
        let mut unreadable = Vec::new();
        files.retain(|path, tracked| {
            if self.good.contains(&tracked.id) {
                return true;
            }
            match tracked::manifest(self.ws, path, tracked) {
                Ok(_) => self.good.insert(tracked.id),
                Err(e) => {
                    unreadable.push(chain(&e));
                    false
                }
            }
        });
        (files, unreadable)
    }
}

fn names(commit: &CommitInfo) -> Vec<String> {
    commit
        .labels
        .iter()
        .map(|label| label.name.clone())
        .collect()
}
