//! `mvc hook NAME`: what git's hooks call.
//!
//! A hook never makes a plain git command fail because of weights, except where that is its purpose:
//! `pre-commit` refuses a commit whose sidecars would lie.

use serde::Serialize;

use super::error::{Error, Result};
use super::tracked::{self, sidecar_path};
use super::weights::{self, Condition};
use super::workspace::Workspace;
use super::{add, reconcile};
use crate::base::config::PreCommit;
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
            let nothing =
                name == "post-index-change" && arguments.first().map(String::as_str) != Some("1");
            if nothing || !uses_mvc(ws)? {
                return Ok(Report::default());
            }
            after(ws, name, progress)
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

/// False in a work tree that has neither sidecars nor stamps: nothing of it is mvc's business.
fn uses_mvc(ws: &Workspace) -> Result<bool> {
    let has_sidecar = || -> Result<bool> {
        Ok(ws
            .repo()
            .index()?
            .iter()
            .any(|file| tracked::weights_path(&file.path).is_some()))
    };
    Ok(ws.state()?.stamped().next().is_some() || has_sidecar()?)
}

fn after(ws: &Workspace, name: &str, progress: &dyn Progress) -> Result<Report> {
    let waits = matches!(
        ws.repo().in_progress(),
        Some(InProgress::Rebase | InProgress::Am)
    );
    // An inner step of a rebase only marks: writing gigabytes for a commit that is left at once helps nobody.
    // Its end runs post-rewrite, or post-index-change with nothing in progress any more.
    if waits && name != "post-rewrite" {
        return Ok(Report {
            reconciled: reconcile::Report {
                waiting: true,
                ..Default::default()
            },
            ..Default::default()
        });
    }
    let reconciled = reconcile::run(ws, progress)?;
    Ok(Report {
        reconciled,
        warnings: Vec::new(),
    })
}

/// Refuses a commit that would record new metrics with old weights, or weights themselves.
fn before_commit(ws: &Workspace, progress: &dyn Progress) -> Result<Report> {
    let config = ws.config()?;
    let patterns = config.patterns()?;
    let mut report = Report::default();
    let staged = ws.git().staged()?;
    let is_weights = |path: &RepoPath| {
        let tracked = ws.on_disk(&sidecar_path(path)).symlink_metadata().is_ok();
        (tracked || patterns.matches(path))
            && !config.is_suite_data(path)
            && tracked::weights_path(path).is_none()
    };
    let exists = |path: &&RepoPath| ws.on_disk(path).symlink_metadata().is_ok();
    if let Some(path) = staged.iter().filter(exists).find(|path| is_weights(path)) {
        let hint =
            format!("`git restore --staged {path} && mvc add {path}` stages their sidecar instead");
        return Err(Error::advised(
            Kind::WouldOverwrite,
            format!("weights are staged into git: {path}"),
            hint,
        ));
    }
    for path in staged.iter().filter(|path| add::is_large(ws, path)) {
        report.warnings.push(large(path));
    }
    let state = ws.state()?;
    let mut wrong = Vec::new();
    for (path, tracked) in tracked::of_index(ws)? {
        let condition = weights::condition(ws, &state, &path, &tracked, progress)?;
        if condition.0 == Condition::Modified {
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
                "`mvc add {0}` stages the weights as they are, `mvc restore {0}` brings the staged version back",
                names.join(" ")
            ),
        )),
    }
}

/// As long as objects have no remote, a push takes the sidecars and leaves the weights.
fn before_push(ws: &Workspace) -> Result<Report> {
    let count = tracked::of_index(ws)?.len();
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
    format!("{path} is over 10 MiB and about to go into plain git; `mvc track {path}` keeps it out")
}
