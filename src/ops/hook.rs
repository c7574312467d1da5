//! `mvc hook NAME`: what git's hooks call.
//!
//! A hook never makes a plain git command fail because of weights, except where that is its purpose:
//! `pre-commit` refuses a commit whose sidecars would lie.

use std::collections::{BTreeSet, HashSet};

use serde::Serialize;

use super::error::{Error, Result};
use super::state::Stamp;
use super::tracked::{self, sidecar_path};
use super::weights::{self, Condition};
use super::workspace::{Workspace, if_found};
use super::{add, reconcile};
use crate::base::config::{self, Config, PreCommit};
use crate::base::text::shell_word;
use crate::base::{Kind, Progress, RepoPath};
use crate::repo::InProgress;

/// What a hook did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// What was brought in line.
    pub reconciled: reconcile::Report,
    /// What is to be said loudly on standard error.
    pub warnings: Vec<String>,
}

/// True for a hook whose failure must not be one of git's command: all but `pre-commit`, which refuses on purpose.
pub fn comes_after(name: &str) -> bool {
    name.starts_with("post-") || name == "pre-push"
}

/// Runs a hook with the arguments that git gave it. An unknown name is an error of use.
pub fn run(
    ws: &Workspace,
    name: &str,
    arguments: &[String],
    progress: &dyn Progress,
) -> Result<Report> {
    match name {
        "post-checkout" | "post-merge" | "post-rewrite" | "post-index-change"
        | "post-applypatch" | "post-commit" => {
            // With anything but 1 git has written its index alone, as every `git status` may do.
            let nothing =
                name == "post-index-change" && arguments.first().map(String::as_str) != Some("1");
            match nothing {
                true => Ok(Report::default()),
                false => after(ws, name, progress),
            }
        }
        "pre-commit" if !uses_mvc(ws)? => Ok(Report::default()),
        "pre-commit" => before_commit(ws, progress),
        "pre-push" if !uses_mvc(ws)? => Ok(Report::default()),
        "pre-push" => before_push(ws),
        _ => Err(Error::refused(
            Kind::Usage,
            format!("git has no hook {name:?} that mvc answers"),
        )),
    }
}

/// False in a work tree that has no sidecars, no stamps and no patterns: nothing of it is mvc's business.
fn uses_mvc(ws: &Workspace) -> Result<bool> {
    let has_sidecar = || -> Result<bool> {
        let sidecars = ws
            .repo()
            .index_where(&|path| path.ends_with(tracked::SUFFIX))?;
        Ok(!sidecars.is_empty())
    };
    Ok(ws.state()?.stamped().next().is_some()
        || ws
            .on_disk(&RepoPath::new(config::FILE)?)
            .symlink_metadata()
            .is_ok()
        || has_sidecar()?)
}

fn after(ws: &Workspace, name: &str, progress: &dyn Progress) -> Result<Report> {
    let mut report = Report::default();
    match waits(ws, name)? {
        true => report.reconciled.waiting = true,
        false => report.reconciled = reconcile::run(ws, progress)?,
    }
    Ok(report)
}

/// True at an inner step of a rebase or `am`: writing gigabytes for a commit that is left at once helps nobody.
///
/// Git runs all its hooks before it removes the files by which a rebase in progress is told, so its end is known
/// by other signs: `post-rewrite` runs, no step is left (a fast-forward has none and runs no `post-rewrite`), or
/// the sidecars are those from before it, as after `--abort`.
fn waits(ws: &Workspace, name: &str) -> Result<bool> {
    if !is_stepping(ws) || name == "post-rewrite" || !ws.repo().has_steps_left() {
        return Ok(false);
    }
    let Some(start) = ws.repo().began_at() else {
        return Ok(true);
    };
    let is_sidecar = |path: &str| path.ends_with(tracked::SUFFIX);
    let Some(files) = if_found(ws.repo().files(&start, &is_sidecar))? else {
        return Ok(true);
    };
    let before: BTreeSet<_> = files
        .into_iter()
        .map(|file| (file.path, file.blob))
        .collect();
    let now: BTreeSet<_> = ws
        .repo()
        .index_where(&is_sidecar)?
        .into_iter()
        .map(|file| (file.path, file.blob))
        .collect();
    Ok(before != now)
}

fn is_stepping(ws: &Workspace) -> bool {
    matches!(
        ws.repo().in_progress(),
        Some(InProgress::Rebase | InProgress::Am)
    )
}

/// Refuses a commit that would record new metrics with old weights, or weights themselves.
fn before_commit(ws: &Workspace, progress: &dyn Progress) -> Result<Report> {
    let config = ws.config()?;
    let mut report = Report::default();
    let staged = with_content(ws, &ws.git().staged()?)?;
    refuse_weights(ws, &config, &staged)?;
    for path in staged.iter().filter(|path| add::is_large(ws, path)) {
        report.warnings.push(large(path));
    }
    let state = ws.state()?;
    let mut wrong = Vec::new();
    for (path, tracked) in tracked::of_index(ws)? {
        let condition = weights::condition(ws, &state, &path, &tracked, progress)?;
        // Weights that wait for the end of a rebase hold a version, and nobody's work.
        let waits = || -> Result<bool> {
            let stat = weights::lstat(ws, &path)?;
            let proved = |stamp: &Stamp| stat.is_some_and(|stat| stamp.proves(&stat));
            Ok(is_stepping(ws) && state.stamp(&path).is_some_and(proved))
        };
        if condition.0 == Condition::Modified && !waits()? {
            wrong.push(path);
        }
    }
    if wrong.is_empty() {
        return Ok(report);
    }
    let names: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    match config.hooks.pre_commit {
        PreCommit::Update => {
            add::weights(ws, &wrong, &add::Options::default(), progress)?;
            report.warnings.push(format!(
                "the sidecars of {} were updated for this commit",
                names.join(", ")
            ));
            Ok(report)
        }
        PreCommit::Refuse => Err(Error::advised(
            Kind::WouldOverwrite,
            format!(
                "weights are not what the staged sidecars say: {}",
                names.join(", ")
            ),
            format!(
                "`mvc add {0}` stages the weights as they are, `mvc restore {0}` brings the staged version back, \
                 `git commit --no-verify` commits without them",
                ws.typed_all(&wrong)
            ),
        )),
    }
}

/// The files whose content the next commit changes, of those that are staged: what it removes is not among them.
pub(super) fn with_content(ws: &Workspace, staged: &[RepoPath]) -> Result<Vec<RepoPath>> {
    if staged.is_empty() {
        return Ok(Vec::new());
    }
    let named: HashSet<&str> = staged.iter().map(RepoPath::as_str).collect();
    let there = ws.repo().index_where(&|path| named.contains(path))?;
    let there: HashSet<RepoPath> = there.into_iter().map(|file| file.path).collect();
    let staged = staged.iter().filter(|path| there.contains(*path));
    Ok(staged.cloned().collect())
}

/// Fails where weights themselves are staged into git.
pub(super) fn refuse_weights(ws: &Workspace, config: &Config, staged: &[RepoPath]) -> Result<()> {
    let patterns = config.patterns()?;
    let is_weights = |path: &&RepoPath| {
        let tracked = ws.on_disk(&sidecar_path(path)).symlink_metadata().is_ok();
        (tracked || patterns.matches(path))
            && !config.is_suite_data(path)
            && tracked::weights_path(path).is_none()
    };
    let Some(path) = staged.iter().find(is_weights) else {
        return Ok(());
    };
    let typed = ws.typed(path);
    Err(Error::advised(
        Kind::WouldOverwrite,
        format!("weights are staged into git: {path}"),
        format!("`git rm --cached {typed} && mvc add {typed}` stages their sidecar instead"),
    ))
}

/// As long as objects have no remote, a push takes the sidecars and leaves the weights.
fn before_push(ws: &Workspace) -> Result<Report> {
    let count = ws
        .repo()
        .index_where(&|path| path.ends_with(tracked::SUFFIX))?
        .len();
    if count == 0 {
        return Ok(Report::default());
    }
    let what = crate::base::text::count(count, "weights file");
    let warnings = vec![
        format!("the weights stay behind: git pushes the sidecars of {what}, and no remote holds their objects"),
        "whoever clones this cannot check the weights out until they get the folder .git/mvc from you".to_owned(),
    ];
    Ok(Report {
        reconciled: reconcile::Report::default(),
        warnings,
    })
}

/// What is said of a large file that is about to go into plain git.
pub fn large(path: &RepoPath) -> String {
    let typed = shell_word(path.as_str());
    format!(
        "{path} is over 10 MiB and about to go into plain git; `mvc track {typed}` keeps it out"
    )
}
