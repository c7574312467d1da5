//! `mvc restore`: single files back to a version, uncommitted changes in them given up.

use serde::Serialize;

use super::error::{Error, Result};
use super::materialise::{self, Unrestored};
use super::tracked::{self, Tracked, TrackedFiles, sidecar_path, weights_path};
use super::workspace::Workspace;
use crate::base::{Kind, Progress, RepoPath};
use crate::repo::Restore;

/// What `restore` is asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Files, their sidecars, or folders.
    pub paths: Vec<String>,
    /// The version to take; the index where none is named.
    pub source: Option<String>,
}

/// What `restore` did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Weights that were written.
    pub written: Vec<RepoPath>,
    /// Weights that held the version already.
    pub unchanged: Vec<RepoPath>,
    /// Files that git restored.
    pub plain: Vec<RepoPath>,
    /// Weights that changed while this ran, and were left alone.
    pub left: Vec<RepoPath>,
    /// Weights that could not be restored.
    pub unrestored: Vec<Unrestored>,
    /// Bytes written.
    pub bytes: u64,
}

/// Restores.
pub fn run(ws: &Workspace, options: &Options, progress: &dyn Progress) -> Result<Report> {
    let source = options
        .source
        .as_ref()
        .map(|revision| ws.repo().resolve(revision))
        .transpose()?;
    let versions = match &source {
        Some(commit) => tracked::of_commit(ws, commit)?,
        None => tracked::of_index(ws)?,
    };
    let mut chosen = TrackedFiles::new();
    let mut plain = Vec::new();
    for typed in &options.paths {
        choose(ws, typed, &versions, &mut chosen, &mut plain)?;
    }
    let mut report = Report::default();
    let mut wanted: Vec<(RepoPath, Tracked)> = Vec::new();
    let state = ws.state()?;
    for (path, tracked) in &chosen {
        let condition = super::weights::condition(ws, &state, path, tracked, progress)?;
        match condition {
            (super::weights::Condition::Clean, stamp) => {
                if let Some(stamp) = stamp {
                    ws.update_state(|state| state.set(path, stamp))?;
                }
                report.unchanged.push(path.clone());
            }
            _ => wanted.push((path.clone(), tracked.clone())),
        }
    }
    let prepared = materialise::prepare(ws, &wanted, progress)?;
    let sidecars: Vec<RepoPath> = prepared
        .paths()
        .chain(&report.unchanged)
        .map(sidecar_path)
        .chain(plain.iter().cloned())
        .collect();
    if !sidecars.is_empty() {
        ws.git().restore(source, Restore::WorkTree, &sidecars)?;
    }
    report.unrestored = prepared.failed.clone();
    let installed = prepared.install(ws)?;
    report.written = installed.written;
    report.left = installed.left;
    report.bytes = installed.bytes;
    report.plain = plain;
    Ok(report)
}

/// Adds what one typed path stands for: a weights file, its sidecar, a folder of them, or a plain file.
fn choose(
    ws: &Workspace,
    typed: &str,
    versions: &TrackedFiles,
    chosen: &mut TrackedFiles,
    plain: &mut Vec<RepoPath>,
) -> Result<()> {
    if typed == "." && ws.prefix().is_empty() {
        chosen.extend(versions.clone());
        return Ok(());
    }
    let path = ws.path(typed)?;
    let weights = weights_path(&path)
        .filter(|weights| versions.contains_key(weights))
        .unwrap_or_else(|| path.clone());
    if let Some(tracked) = versions.get(&weights) {
        chosen.insert(weights, tracked.clone());
        return Ok(());
    }
    let prefix = format!("{}/", path.as_str());
    let inside: Vec<_> = versions
        .iter()
        .filter(|(weights, _)| weights.as_str().starts_with(&prefix))
        .collect();
    if !inside.is_empty() {
        chosen.extend(
            inside
                .into_iter()
                .map(|(path, tracked)| (path.clone(), tracked.clone())),
        );
        return Ok(());
    }
    if ws.repo().index()?.iter().any(|file| file.path == path) {
        plain.push(path);
        return Ok(());
    }
    Err(Error::advised(
        Kind::NotFound,
        format!("this version has no file {path}"),
        "`mvc show` lists what a version has",
    ))
}
