//! Bringing weights in line with sidecars that plain git has rewritten: what every hook runs, and every verb first.
//!
//! Only stamps and stat data are looked at where nothing changed. A weights file is replaced or removed only
//! while its stamp proves that it holds a version; anything else is left alone, marked, and said.

use serde::Serialize;

use super::error::Result;
use super::materialise::{self, Installed, Unrestored};
use super::state::{Stamp, State};
use super::tracked::{self, Tracked};
use super::weights;
use super::workspace::Workspace;
use crate::base::{Progress, RepoPath};

/// What reconcile did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Weights brought in line with their sidecars.
    pub written: Vec<RepoPath>,
    /// Clean weights whose sidecar is gone, removed.
    pub removed: Vec<RepoPath>,
    /// Weights that hold uncommitted changes while their sidecar changed: untouched, and marked.
    pub left: Vec<RepoPath>,
    /// Weights whose objects are missing or damaged.
    pub unrestored: Vec<Unrestored>,
    /// Sidecars that cannot be read, with the reason.
    pub unreadable: Vec<(RepoPath, String)>,
    /// True if a rebase or the like is under way, and weights wait for its end.
    pub waiting: bool,
}

impl Report {
    /// True if nothing had to be done.
    pub fn is_quiet(&self) -> bool {
        self.written.is_empty()
            && self.removed.is_empty()
            && self.left.is_empty()
            && self.unrestored.is_empty()
            && self.unreadable.is_empty()
    }

    /// True if some weights are not what their sidecars say.
    pub fn is_incomplete(&self) -> bool {
        !self.left.is_empty() || !self.unrestored.is_empty() || !self.unreadable.is_empty()
    }
}

/// Brings weights in line with the sidecars of the work tree.
pub fn run(ws: &Workspace, progress: &dyn Progress) -> Result<Report> {
    let mut report = Report::default();
    let state = ws.state()?;
    let sidecars = tracked::of_worktree(ws)?;
    let mut wanted: Vec<(RepoPath, Tracked)> = Vec::new();
    let mut clean: Vec<(RepoPath, Stamp)> = Vec::new();
    for (path, tracked) in &sidecars {
        match plan(ws, &state, path, tracked, progress) {
            Ok(Plan::Nothing) => {}
            Ok(Plan::Write) => wanted.push((path.clone(), tracked.clone())),
            Ok(Plan::Stamp(stamp)) => clean.push((path.clone(), stamp)),
            Ok(Plan::Leave) => report.left.push(path.clone()),
            Err(e) => report.unreadable.push((path.clone(), chain(&e))),
        }
    }
    let gone: Vec<RepoPath> = state
        .stamped()
        .map(|(path, _)| path)
        .filter(|path| !sidecars.contains_key(path))
        .collect();
    for path in gone {
        retire(ws, &state, &path, &mut report)?;
    }
    if !wanted.is_empty() {
        let prepared = materialise::prepare(ws, &wanted, progress)?;
        report.unrestored.extend(prepared.failed.iter().cloned());
        let Installed { written, left, .. } = prepared.install(ws)?;
        report.written = written;
        report.left.extend(left);
    }
    mark(ws, &state, &report, clean)?;
    Ok(report)
}

enum Plan {
    Nothing,
    Write,
    Stamp(Stamp),
    Leave,
}

fn plan(
    ws: &Workspace,
    state: &State,
    path: &RepoPath,
    tracked: &Tracked,
    progress: &dyn Progress,
) -> Result<Plan> {
    let stamp = state.stamp(path);
    let up_to_date = stamp.is_some_and(|stamp| stamp.sidecar == tracked.id);
    let Some(stat) = weights::lstat(ws, path)? else {
        // Weights that the user removed stay removed until they are asked for.
        return Ok(if up_to_date {
            Plan::Nothing
        } else {
            Plan::Write
        });
    };
    if up_to_date {
        return Ok(Plan::Nothing);
    }
    // A sidecar that cannot be read must never cost the weights.
    let manifest = tracked::manifest(ws, path, tracked)?;
    if stamp.is_some_and(|stamp| stamp.proves(&stat)) {
        return Ok(Plan::Write);
    }
    let opened = weights::open(ws, path)?;
    if weights::holds(&opened, &manifest, progress)? {
        opened.unchanged(ws)?;
        return Ok(Plan::Stamp(Stamp::now(tracked.id, opened.stat)));
    }
    if let Some(stamp) = stamp.filter(|stamp| stamp.stat == stat) {
        // Too young to be proved by stat data: whether it is still the stamped version, only its bytes tell.
        return Ok(match holds_stamped(ws, stamp, &opened, path, progress)? {
            true => Plan::Write,
            false => Plan::Leave,
        });
    }
    Ok(Plan::Leave)
}

/// True if the file still holds the version of its stamp, whose sidecar is looked for in HEAD and the reflog's
/// last position of it.
fn holds_stamped(
    ws: &Workspace,
    stamp: &Stamp,
    opened: &weights::Opened,
    path: &RepoPath,
    progress: &dyn Progress,
) -> Result<bool> {
    for revision in ["HEAD", "ORIG_HEAD", "HEAD@{1}"] {
        let Ok(commit) = ws.repo().resolve(revision) else {
            continue;
        };
        let Some(before) = tracked::of_commit(ws, &commit)?.remove(path) else {
            continue;
        };
        if before.id == stamp.sidecar {
            return weights::holds(opened, &tracked::manifest(ws, path, &before)?, progress);
        }
    }
    Ok(false)
}

/// A weights file whose sidecar is gone: removed while it is provably stored, kept otherwise.
fn retire(ws: &Workspace, state: &State, path: &RepoPath, report: &mut Report) -> Result<()> {
    let proved = match (state.stamp(path), weights::lstat(ws, path)) {
        (Some(stamp), Ok(Some(stat))) => stamp.proves(&stat),
        (_, Ok(None)) => {
            ws.update_state(|state| state.forget(path))?;
            return Ok(());
        }
        _ => false,
    };
    if proved {
        materialise::remove(ws, path)?;
        report.removed.push(path.clone());
    } else {
        // It holds work that no version has: it becomes an ordinary file that nobody tracks.
        ws.update_state(|state| state.forget(path))?;
        report.left.push(path.clone());
    }
    Ok(())
}

/// Records what was found clean and what was left alone.
fn mark(
    ws: &Workspace,
    before: &State,
    report: &Report,
    clean: Vec<(RepoPath, Stamp)>,
) -> Result<()> {
    let marks: Vec<(&RepoPath, &str)> = report
        .left
        .iter()
        .map(|path| {
            (
                path,
                "its sidecar changed while it holds uncommitted changes",
            )
        })
        .chain(
            report
                .unrestored
                .iter()
                .map(|failed| (&failed.path, "its objects are not in the store")),
        )
        .collect();
    let settled = |path: &RepoPath| {
        before.pending(path).is_some() && !marks.iter().any(|(marked, _)| *marked == path)
    };
    let over: Vec<RepoPath> = before
        .stamped()
        .map(|(path, _)| path)
        .filter(settled)
        .collect();
    if marks.is_empty() && clean.is_empty() && over.is_empty() {
        return Ok(());
    }
    ws.update_state(|state| {
        for path in &over {
            state.unmark(path);
        }
        for (path, stamp) in clean {
            state.set(&path, stamp);
        }
        for (path, reason) in marks {
            state.mark(path, reason);
        }
    })?;
    Ok(())
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
