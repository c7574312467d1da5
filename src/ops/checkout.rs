//! `mvc checkout`: another version in the work tree, weights and all.
//!
//! Weights are written and verified beside their places before git moves HEAD, and renamed after it has: where
//! anything refuses, nothing has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Serialize;

use super::error::{Error, Result};
use super::materialise::{self, Unrestored};
use super::reconcile;
use super::tracked::{self, Tracked, TrackedFiles, same, sidecar_path};
use super::weights::{self, Condition};
use super::workspace::{Workspace, if_found};
use crate::base::fs::TEMP_PREFIX;
use crate::base::text::{chain, count};
use crate::base::{Kind, ObjectId, Progress, RepoPath};
use crate::repo::{CommitId, Talk, Target};

/// What `checkout` is asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The revision; HEAD where only a new branch is asked for.
    pub revision: Option<String>,
    /// A new branch to make there.
    pub new_branch: Option<String>,
    /// Overwrite uncommitted changes.
    pub force: bool,
    /// Whether git and the user's hooks may talk to the user.
    pub talk: Option<Talk>,
}

/// What `checkout` did.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The commit that is checked out now.
    pub commit: CommitId,
    /// Its branch; `None` for a detached HEAD.
    pub branch: Option<String>,
    /// Weights that were written.
    pub written: Vec<RepoPath>,
    /// Weights that were removed because this version has none of them.
    pub removed: Vec<RepoPath>,
    /// Weights with uncommitted changes that both versions have alike, and that stayed.
    pub kept: Vec<RepoPath>,
    /// Weights that changed while this ran, and were left alone.
    pub left: Vec<RepoPath>,
    /// Weights that could not be restored.
    pub unrestored: Vec<Unrestored>,
    /// Bytes written.
    pub bytes: u64,
    /// What git or a hook of the user said when it failed after HEAD had moved.
    pub complaint: Option<String>,
}

/// Checks out.
pub fn run(ws: &Workspace, options: &Options, progress: &dyn Progress) -> Result<Report> {
    reconcile::run(ws, progress)?;
    let Goal {
        commit,
        branch,
        follow,
    } = goal(ws, options.revision.as_deref())?;
    let plan = plan(ws, &commit, options.force, progress)?;
    let sidecars: BTreeMap<RepoPath, ObjectId> = plan
        .write
        .iter()
        .map(|(path, tracked)| (path.clone(), tracked.id))
        .collect();
    let mut prepared = materialise::prepare(ws, &plan.write, progress)?;
    prepared.replacing(&plan.seen);
    prepared.expect_nothing(&plan.from_git);
    let target = match (&options.new_branch, &branch, &follow) {
        (Some(name), _, _) => Target::New {
            name,
            start: options.revision.as_ref().map(|_| commit),
        },
        (None, Some(branch), _) => Target::Branch(branch),
        (None, None, Some(remote)) => Target::Follow(remote),
        (None, None, None) => Target::Detached(commit),
    };
    let aside = Aside::put(ws, &plan.to_git)?;
    let before = ws.repo().head()?;
    let talk = options.talk.unwrap_or(Talk::Capture);
    let complaint = match ws.git().switch(target, options.force, talk) {
        Ok(()) => None,
        Err(e) => {
            let now = ws.repo().head()?;
            if now == before || now.commit() != Some(commit) {
                return Err(e.into());
            }
            // The exit code of the user's own post-checkout hook is git's, and HEAD has moved by then.
            Some(chain(&e))
        }
    };
    aside.drop_all()?;
    // Outside of a sparse checkout git wrote no sidecar, and no weights are wanted.
    prepared.keep(|path| ws.on_disk(&sidecar_path(path)).symlink_metadata().is_ok());
    let unrestored = prepared.failed.clone();
    let installed = prepared.install(ws)?;
    let mut left = installed.left;
    let mut removed = Vec::new();
    for (path, stat) in plan.remove {
        if weights::lstat(ws, &path)? == Some(stat) {
            materialise::remove(ws, &path)?;
            removed.push(path);
        } else {
            left.push(path);
        }
    }
    ws.update_state(|state| {
        for (path, stamp) in plan.stamp {
            state.set(&path, stamp);
        }
        for failed in &unrestored {
            let pending = super::state::Pending {
                reason: failed.problem.clone(),
                sidecar: sidecars.get(&failed.path).copied(),
                seen: None,
            };
            state.mark(&failed.path, pending);
        }
    })?;
    let branch = ws.repo().head()?.branch().map(ToOwned::to_owned);
    let (written, bytes) = (installed.written, installed.bytes);
    Ok(Report {
        commit,
        branch,
        written,
        removed,
        kept: plan.kept,
        left,
        unrestored,
        bytes,
        complaint,
    })
}

/// The commit to go to, the local branch to be on, and the branch of a remote that a new local one should follow.
struct Goal {
    commit: CommitId,
    branch: Option<String>,
    follow: Option<String>,
}

/// As git reads it: a local branch before a tag of the same name, `-` for the branch before, HEAD for where it is,
/// and a name that only one remote has as a branch stands for that branch.
fn goal(ws: &Workspace, typed: Option<&str>) -> Result<Goal> {
    let typed = typed.unwrap_or("HEAD");
    let branch = match typed {
        "HEAD" | "@" => ws.repo().head()?.branch().map(ToOwned::to_owned),
        "-" => ws.git().branch_before("@{-1}")?,
        typed if typed.starts_with("@{-") => ws.git().branch_before(typed)?,
        typed => Some(typed.to_owned()),
    };
    if let Some(branch) = branch
        && let Some(commit) = ws.repo().branch_commit(&branch)?
    {
        return Ok(Goal {
            commit,
            branch: Some(branch),
            follow: None,
        });
    }
    let revision = if typed == "-" { "@{-1}" } else { typed };
    let unknown = match ws.repo().resolve(revision) {
        Ok(commit) => {
            return Ok(Goal {
                commit,
                branch: None,
                follow: None,
            });
        }
        Err(e) => e,
    };
    let remotes = ws.repo().remote_branches()?;
    let mut same = remotes
        .into_iter()
        .filter(|branch| branch.name.split_once('/').is_some_and(|(_, b)| b == typed));
    match (same.next(), same.next()) {
        (Some(branch), None) => Ok(Goal {
            commit: branch.commit,
            branch: None,
            follow: Some(branch.name),
        }),
        _ => Err(unknown.into()),
    }
}

#[derive(Default)]
struct Plan {
    write: Vec<(RepoPath, Tracked)>,
    remove: Vec<(RepoPath, super::state::Stat)>,
    stamp: Vec<(RepoPath, super::state::Stamp)>,
    kept: Vec<RepoPath>,
    /// What lay at each path when it was decided.
    seen: BTreeMap<RepoPath, Option<super::state::Stat>>,
    /// Clean weights that are files of git in the target: git refuses to write over them while they lie there.
    to_git: Vec<RepoPath>,
    /// Weights that are files of git here: git removes them, and refuses where they hold changes.
    from_git: BTreeSet<RepoPath>,
}

/// What has to be done to the weights, decided before anything is touched.
fn plan(ws: &Workspace, commit: &CommitId, force: bool, progress: &dyn Progress) -> Result<Plan> {
    let target = tracked::of_commit(ws, commit)?;
    let head = match if_found(ws.repo().resolve("HEAD"))? {
        Some(head) => tracked::of_commit(ws, &head)?,
        None => TrackedFiles::new(),
    };
    let here = tracked::of_worktree(ws)?;
    let state = ws.state()?;
    let mut plan = Plan::default();
    let mut dirty = Vec::new();
    let mut only_copies = Vec::new();
    let of_git = |path: &RepoPath| !target.contains_key(path) && here.contains_key(path);
    let to_git = ws.repo().files(commit, &|path| {
        RepoPath::new(path).is_ok_and(|path| of_git(&path))
    })?;
    let to_git: BTreeSet<RepoPath> = to_git.into_iter().map(|file| file.path).collect();
    let from_git = ws.repo().index_where(&|path| {
        RepoPath::new(path)
            .is_ok_and(|path| target.contains_key(&path) && !here.contains_key(&path))
    })?;
    plan.from_git = from_git.into_iter().map(|file| file.path).collect();
    let stamped = state.stamped().map(|(path, _)| path);
    let paths: BTreeSet<RepoPath> = target
        .keys()
        .chain(here.keys())
        .cloned()
        .chain(stamped)
        .collect();
    for path in paths {
        let wanted = target.get(&path);
        let found = weights::lstat(ws, &path)?;
        plan.seen.insert(path.clone(), found);
        let Some(stat) = found else {
            if let Some(wanted) = wanted {
                plan.write.push((path, wanted.clone()));
            }
            continue;
        };
        if let (Some(wanted), true) = (wanted, plan.from_git.contains(&path)) {
            plan.write.push((path, wanted.clone()));
            continue;
        }
        let condition = match here.get(&path) {
            Some(tracked) => weights::condition(ws, &state, &path, tracked, progress).map(
                |(condition, stamp)| {
                    plan.stamp.extend(stamp.map(|stamp| (path.clone(), stamp)));
                    condition
                },
            ),
            None if state.stamp(&path).is_some_and(|stamp| stamp.proves(&stat)) => {
                Ok(Condition::Clean)
            }
            None => Ok(Condition::Modified),
        };
        // A sidecar that cannot be read proves nothing.
        let clean = matches!(condition, Ok(Condition::Clean));
        let stays = wanted.is_some() && same(here.get(&path), wanted);
        if clean && !stays && !force {
            let manifest = match (here.get(&path), state.stamp(&path)) {
                (Some(here), _) => tracked::manifest(ws, &path, here).ok(),
                (None, Some(stamp)) => tracked::of_stamp(ws, &path, stamp),
                (None, None) => None,
            };
            if materialise::is_lost(ws, manifest.as_ref())? {
                only_copies.push(path);
                continue;
            }
        }
        match (wanted, clean) {
            (Some(_), true) if stays => {}
            (Some(wanted), true) => plan.write.push((path, wanted.clone())),
            (Some(wanted), false) if let Some(stamp) = already(ws, &path, wanted, progress)? => {
                plan.stamp.push((path.clone(), stamp));
            }
            (Some(wanted), false) if force => plan.write.push((path, wanted.clone())),
            // As git does with files that are alike in both commits: the changes stay.
            (Some(wanted), false) if same(head.get(&path), Some(wanted)) => plan.kept.push(path),
            (Some(_), false) => dirty.push(path),
            (None, _) if to_git.contains(&path) && (clean || force) => plan.to_git.push(path),
            // What is staged and in no commit goes along, as its sidecar does.
            (None, true) if head.contains_key(&path) => plan.remove.push((path, stat)),
            (None, false) if force && head.contains_key(&path) => plan.remove.push((path, stat)),
            (None, false) if head.contains_key(&path) => dirty.push(path),
            (None, _) => {}
        }
    }
    match (dirty.is_empty(), only_copies.is_empty()) {
        (true, true) => Ok(plan),
        (false, _) => Err(refusal(ws, &dirty, &here)),
        (true, false) => Err(materialise::only_copies(ws, &only_copies)),
    }
}

/// Clean weights out of git's way: beside their places until git has moved HEAD, and back there if it refuses.
struct Aside<'a> {
    ws: &'a Workspace,
    moved: Vec<(RepoPath, PathBuf)>,
}

impl<'a> Aside<'a> {
    fn put(ws: &'a Workspace, paths: &[RepoPath]) -> Result<Self> {
        let mut aside = Self {
            ws,
            moved: Vec::new(),
        };
        for path in paths {
            let full = ws.on_disk(path);
            let name = format!("{TEMP_PREFIX}aside-{}", path.name());
            let beside = full.with_file_name(name);
            ws.fs().rename(&full, &beside)?;
            aside.moved.push((path.clone(), beside));
        }
        Ok(aside)
    }

    /// Git has its own files in their places now; the store has these.
    fn drop_all(mut self) -> Result<()> {
        for (path, beside) in std::mem::take(&mut self.moved) {
            self.ws.fs().remove_file(&beside)?;
            self.ws.update_state(|state| state.forget(&path))?;
        }
        Ok(())
    }
}

impl Drop for Aside<'_> {
    fn drop(&mut self) {
        for (path, beside) in &self.moved {
            // Where this fails the store has the bytes still, and `mvc restore` brings them.
            let _ = self.ws.fs().rename(beside, &self.ws.on_disk(path));
        }
    }
}

/// The stamp of a file that holds what is wanted already, whatever its stamp said.
fn already(
    ws: &Workspace,
    path: &RepoPath,
    wanted: &Tracked,
    progress: &dyn Progress,
) -> Result<Option<super::state::Stamp>> {
    let Ok(manifest) = tracked::manifest(ws, path, wanted) else {
        return Ok(None);
    };
    let opened = weights::open(ws, path)?;
    if !weights::holds(&opened, &manifest, progress)? {
        return Ok(None);
    }
    opened.unchanged(ws)?;
    Ok(Some(opened.stamp(ws, wanted)?))
}

fn refusal(ws: &Workspace, dirty: &[RepoPath], here: &TrackedFiles) -> Error {
    let names: Vec<String> = dirty.iter().map(ToString::to_string).collect();
    let what = count(dirty.len(), "weights file");
    let typed = ws.typed_all(dirty);
    let gives_up = match dirty.iter().all(|path| here.contains_key(path)) {
        true => format!("`mvc restore {typed}`"),
        // Without a sidecar there is nothing to restore them to.
        false => "`--force`".to_owned(),
    };
    Error::advised(
        Kind::WouldOverwrite,
        format!(
            "uncommitted weights would be overwritten: {what}: {}",
            names.join(", ")
        ),
        format!("`mvc commit` records them, {gives_up} gives them up"),
    )
}
