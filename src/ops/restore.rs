//! `mvc restore`: single files back to a version, uncommitted changes in them given up.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::error::{Error, Result};
use super::materialise::{self, Unrestored};
use super::reconcile;
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
    /// Sidecars that were not what they are in that version.
    pub sidecars: Vec<RepoPath>,
    /// Files that git restored.
    pub plain: Vec<RepoPath>,
    /// Weights that changed while this ran, and were left alone.
    pub left: Vec<RepoPath>,
    /// Weights that could not be restored.
    pub unrestored: Vec<Unrestored>,
    /// Bytes written.
    pub bytes: u64,
    /// What was brought in line first.
    pub reconciled: reconcile::Report,
}

/// Restores.
pub fn run(ws: &Workspace, options: &Options, progress: &dyn Progress) -> Result<Report> {
    let reconciled = reconcile::run(ws, progress)?;
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
    let mut report = Report {
        reconciled,
        ..Report::default()
    };
    let mut wanted: Vec<(RepoPath, Tracked)> = Vec::new();
    let state = ws.state()?;
    for (path, tracked) in &chosen {
        let condition = super::weights::condition(ws, &state, path, tracked, progress)?;
        match condition {
            (super::weights::Condition::Clean, stamp) => {
                ws.remember(
                    stamp
                        .map(|stamp| (path.clone(), stamp))
                        .into_iter()
                        .collect(),
                );
                report.unchanged.push(path.clone());
            }
            _ => wanted.push((path.clone(), tracked.clone())),
        }
        let here = tracked::in_worktree(ws, path)?;
        if here.as_ref().is_none_or(|here| here.id != tracked.id) {
            report.sidecars.push(sidecar_path(path));
        }
    }
    refuse_only_copies(ws, &wanted, progress)?;
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

/// Fails where weights would be written over that are a version, and that the store has lost.
fn refuse_only_copies(
    ws: &Workspace,
    wanted: &[(RepoPath, Tracked)],
    progress: &dyn Progress,
) -> Result<()> {
    let state = ws.state()?;
    let mut only = Vec::new();
    for (path, tracked) in wanted {
        let Ok(Some(here)) = tracked::in_worktree(ws, path) else {
            continue;
        };
        // What is wanted is not what lies there; and of what the store has, nothing has to be read.
        if here.id == tracked.id
            || !materialise::is_lost(ws, tracked::manifest(ws, path, &here).ok().as_ref())?
        {
            continue;
        }
        let condition = super::weights::condition(ws, &state, path, &here, progress);
        if matches!(condition, Ok((super::weights::Condition::Clean, _))) {
            only.push(path.clone());
        }
    }
    match only.is_empty() {
        true => Ok(()),
        false => Err(materialise::only_copies(ws, &only)),
    }
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
    let Some(path) = ws.place(typed)? else {
        chosen.extend(versions.clone());
        plain.extend(changed(ws, source, "")?);
        return Ok(());
    };
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
    let sidecar = sidecar_path(&path);
    if source.is_none()
        && ws
            .repo()
            .index()?
            .iter()
            .any(|file| file.path == sidecar && file.stage != 0)
    {
        let typed = ws.typed(&sidecar);
        return Err(Error::advised(
            Kind::Conflict,
            format!("{sidecar} has conflicts, so it is not decided what {path} is"),
            format!(
                "take one side first: `git checkout --ours {typed}` or `--theirs`, and `git add {typed}`"
            ),
        ));
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
