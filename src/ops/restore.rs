//! `mvc restore`: single files back to a version, uncommitted changes in them given up.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::error::{Error, Result};
use super::materialise::{self, Unrestored};
use super::tracked::{self, Tracked, TrackedFiles, sidecar_path, weights_path};
use super::workspace::Workspace;
use crate::base::{Kind, Progress, RepoPath};
use crate::repo::{BlobId, CommitId, Restore};

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
        choose(
            ws,
            typed,
            source.as_ref(),
            &versions,
            &mut chosen,
            &mut plain,
        )?;
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
    source: Option<&CommitId>,
    versions: &TrackedFiles,
    chosen: &mut TrackedFiles,
    plain: &mut Vec<RepoPath>,
) -> Result<()> {
    if typed == "." && ws.prefix().is_empty() {
        chosen.extend(versions.clone());
        plain.extend(changed(ws, source, "")?);
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
    let before = chosen.len() + plain.len();
    let inside = |weights: &RepoPath| weights.as_str().starts_with(&prefix);
    let files = versions.iter().filter(|(weights, _)| inside(weights));
    chosen.extend(files.map(|(path, tracked)| (path.clone(), tracked.clone())));
    plain.extend(changed(ws, source, &prefix)?);
    if chosen.len() + plain.len() > before || ws.on_disk(&path).is_dir() {
        return Ok(());
    }
    if ws.repo().index()?.iter().any(|file| file.path == path) {
        plain.push(path);
        return Ok(());
    }
    if let Some(source) = source
        && ws.repo().file_entry(source, &path)?.is_some()
    {
        plain.push(path);
        return Ok(());
    }
    Err(Error::advised(
        Kind::NotFound,
        format!("this version has no file {path}"),
        "`mvc show` lists what a version has",
    ))
}

/// The plain files below a folder (`""` for the top, otherwise with its slash) that git would restore.
fn changed(ws: &Workspace, source: Option<&CommitId>, prefix: &str) -> Result<Vec<RepoPath>> {
    let mut paths: BTreeSet<RepoPath> = ws.git().modified()?.into_iter().collect();
    if let Some(source) = source {
        let inside = |path: &str| path.starts_with(prefix);
        let index: BTreeMap<RepoPath, BlobId> = ws
            .repo()
            .index_where(&inside)?
            .into_iter()
            .map(|file| (file.path, file.blob))
            .collect();
        let files = ws.repo().files(source, &inside)?;
        let has: BTreeSet<RepoPath> = files.iter().map(|file| file.path.clone()).collect();
        let differs = files
            .into_iter()
            .filter(|file| index.get(&file.path) != Some(&file.blob));
        paths.extend(differs.map(|file| file.path));
        // Of a file that the version lacks git would remove the changes and the file: it stays.
        paths.retain(|path| has.contains(path));
    }
    paths.retain(|path| path.as_str().starts_with(prefix) && weights_path(path).is_none());
    Ok(paths.into_iter().collect())
}
