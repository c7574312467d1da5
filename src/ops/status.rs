//! `mvc status`: the work tree against HEAD.

use std::collections::BTreeSet;

use serde::Serialize;

use super::error::Result;
use super::reconcile;
use super::tracked::{self, weights_path};
use super::weights::{self, Condition};
use super::workspace::Workspace;
use super::{add, shards, track};
use crate::base::{Progress, RepoPath};
use crate::repo::{Head, StatusEntry};

/// One weights file that is not as HEAD has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The weights file.
    pub path: RepoPath,
    /// What happened to it.
    pub change: What,
    /// Why a hook left it alone, where one did.
    pub pending: Option<String>,
}

/// What happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// It is new.
    New,
    /// It holds something else.
    Modified,
    /// It is gone.
    Deleted,
    /// A merge left its sidecar in conflict.
    Conflict,
    /// Its sidecar was written but not staged.
    Unstaged,
    /// It may be executed now, or no longer.
    Mode,
}

/// What status found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The branch; `None` for a detached HEAD.
    pub branch: Option<String>,
    /// The commit; `None` before the first.
    pub commit: Option<String>,
    /// A merge, rebase or the like that is under way.
    pub in_progress: Option<String>,
    /// Weights that the next `git commit` would record.
    pub staged: Vec<Entry>,
    /// Weights that differ from their sidecar.
    pub changed: Vec<Entry>,
    /// Weights that a pattern picks and that have no sidecar.
    pub untracked: Vec<RepoPath>,
    /// Other files, as git sees them.
    pub plain: Vec<StatusEntry>,
    /// Untracked plain files so large that they look like weights.
    pub large: Vec<RepoPath>,
    /// What is wrong with models in several files.
    pub warnings: Vec<String>,
    /// How many weights files are clean.
    pub clean: usize,
    /// What was brought in line first.
    pub reconciled: reconcile::Report,
}

impl Report {
    /// True if nothing differs from HEAD.
    pub fn is_clean(&self) -> bool {
        self.staged.is_empty()
            && self.changed.is_empty()
            && self.untracked.is_empty()
            && self.plain.is_empty()
    }
}

/// Looks. Files are read only where their stat data proves nothing.
pub fn run(ws: &Workspace, progress: &dyn Progress) -> Result<Report> {
    let state = ws.state()?;
    let here = tracked::of_worktree_with(ws, &state)?;
    // Git goes through the whole work tree, and so does the search for new weights.
    let (changes, found) = std::thread::scope(|scope| {
        let git = scope.spawn(|| ws.git().status());
        let found = reconcile::run_on(ws, &state, &here, progress)
            .and_then(|reconciled| Ok((reconciled, track::candidates(ws, &ws.config()?)?)));
        let changes = git.join();
        (
            changes.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            found,
        )
    });
    let changes = changes?.entries;
    let (reconciled, matching) = found?;
    // Reconciling has stamped what it wrote.
    let state = ws.state()?;
    let head = ws.repo().head()?;
    let mut report = Report {
        reconciled,
        ..Report::default()
    };
    report.in_progress = ws.repo().in_progress().map(|what| what.name().to_owned());
    match head {
        Head::Branch { name, commit } => {
            report.branch = Some(name);
            report.commit = commit.map(|commit| commit.to_string());
        }
        Head::Detached { commit } => report.commit = Some(commit.to_string()),
    }
    let mut unstaged = BTreeSet::new();
    for change in changes {
        match weights_path(&change.path) {
            Some(path) => sidecar_change(&mut report, &mut unstaged, path, &change, &state),
            None => report.plain.push(change),
        }
    }
    let mut stamps = Vec::new();
    for (path, tracked) in &here {
        let pending = state.pending(path).map(ToOwned::to_owned);
        let entry = |change| Entry {
            path: path.clone(),
            change,
            pending: pending.clone(),
        };
        match weights::condition(ws, &state, path, tracked, progress) {
            // A sidecar with conflict markers is listed as such already.
            _ if listed(&report, path) => {}
            Ok((Condition::Clean, stamp)) => {
                stamps.extend(stamp.map(|stamp| (path.clone(), stamp)));
                let mode_changed = weights::is_executable(ws, path)? != tracked.executable;
                match (unstaged.contains(path), mode_changed) {
                    (true, _) => report.changed.push(entry(What::Unstaged)),
                    (false, true) => report.changed.push(entry(What::Mode)),
                    (false, false) => report.clean += 1,
                }
            }
            Ok((Condition::Modified, _)) => report.changed.push(entry(What::Modified)),
            Ok((Condition::Missing, _)) => report.changed.push(entry(What::Deleted)),
            Err(e) => return Err(e),
        }
    }
    let modified = report
        .changed
        .iter()
        .filter(|entry| !matches!(entry.change, What::Unstaged))
        .map(|entry| entry.path.clone())
        .collect();
    report.warnings = shards::warnings(ws, &here, &modified, progress)?;
    ws.remember(stamps);
    // A branch without their sidecar was checked out while they were dirty.
    for (path, pending) in state.marked().filter(|(path, _)| !here.contains_key(path)) {
        report.changed.push(Entry {
            path,
            change: What::Modified,
            pending: Some(pending.reason.clone()),
        });
    }
    let pending = |path: &RepoPath| state.pending(path).is_some();
    let known = |path: &RepoPath| here.contains_key(path) || pending(path);
    report.untracked = matching;
    report.untracked.retain(|path| !known(path));
    report.large = report
        .plain
        .iter()
        .filter(|change| change.untracked || change.staged == Some('A'))
        .filter(|change| add::is_large(ws, &change.path))
        .map(|change| change.path.clone())
        .collect();
    Ok(report)
}

fn listed(report: &Report, path: &RepoPath) -> bool {
    report.changed.iter().any(|entry| entry.path == *path)
}

fn sidecar_change(
    report: &mut Report,
    unstaged: &mut BTreeSet<RepoPath>,
    path: RepoPath,
    change: &StatusEntry,
    state: &super::state::State,
) {
    let pending = state.pending(&path).map(ToOwned::to_owned);
    let entry = |what| Entry {
        path: path.clone(),
        change: what,
        pending: pending.clone(),
    };
    if change.conflict {
        report.changed.push(entry(What::Conflict));
        return;
    }
    match change.staged {
        Some('A' | 'C') => report.staged.push(entry(What::New)),
        Some('D') => report.staged.push(entry(What::Deleted)),
        Some(_) => report.staged.push(entry(What::Modified)),
        None => {}
    }
    if change.unstaged == Some('D') {
        report.changed.push(Entry {
            change: What::Deleted,
            pending: Some(format!(
                "its sidecar is gone; `git restore {}` brings it back",
                change.path
            )),
            path,
        });
    } else if change.unstaged.is_some() || change.untracked {
        unstaged.insert(path);
    }
}
