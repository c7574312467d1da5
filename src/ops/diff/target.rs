//! What is compared with what: from the words of the command line to two sides or two files.

use crate::base::text::printable;
use crate::base::{Failure, Kind, RepoPath};
use crate::ops::error::{Error, Result};
use crate::ops::sides::Side;
use crate::ops::weights;
use crate::ops::workspace::{Workspace, if_found};

/// A weights file of a side.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct File {
    pub(super) side: Side,
    pub(super) path: RepoPath,
}

impl File {
    /// What people call it.
    pub(super) fn name(&self) -> String {
        match &self.side {
            Side::Worktree => self.path.to_string(),
            Side::Commit { typed, .. } => format!("{typed}:{}", self.path),
        }
    }
}

/// Two things to compare.
#[derive(Debug, PartialEq)]
pub(super) enum Target {
    /// Everything of two sides, or what lies below some paths.
    Sides {
        /// `None` before the first commit.
        before: Option<Side>,
        after: Side,
        only: Vec<RepoPath>,
    },
    /// Two weights files.
    Files { before: File, after: File },
}

/// Reads the forms `[A [B]]`, `A..B`, `A...B`, `REV:PATH [REV:PATH]`, and paths of the work tree in place of
/// `REV:PATH`; `paths` came after `--`.
pub(super) fn parse(ws: &Workspace, what: &[String], paths: &[String]) -> Result<Target> {
    let only: Vec<RepoPath> = paths
        .iter()
        .filter(|path| !(path.as_str() == "." && ws.prefix().is_empty()))
        .map(|path| ws.path(path))
        .collect::<Result<_>>()?;
    let sides = |before, after| Target::Sides {
        before,
        after,
        only: only.clone(),
    };
    let target = match what {
        [] => sides(head(ws)?, Side::Worktree),
        [one] => match (file(ws, one)?, range(ws, one)?) {
            (Some(before), _) => {
                let path = before.path.clone();
                let side = Side::Worktree;
                let after = File { side, path };
                Target::Files { before, after }
            }
            (None, Some((before, after))) => sides(Some(before), after),
            (None, None) => match (Side::commit(ws, one), on_disk(ws, one)?) {
                (Ok(side), _) => sides(Some(side), Side::Worktree),
                (Err(e), Some(path)) if e.kind() == Kind::NotFound && only.is_empty() => {
                    Target::Sides {
                        before: head(ws)?,
                        after: Side::Worktree,
                        only: vec![path],
                    }
                }
                (Err(e), _) => return Err(e),
            },
        },
        [a, b] => match (file(ws, a)?, file(ws, b)?) {
            (None, None) => match (Side::commit(ws, a), Side::commit(ws, b)) {
                (Ok(a), Ok(b)) => sides(Some(a), b),
                (a_side, b_side) => match (on_disk(ws, a)?, on_disk(ws, b)?) {
                    (Some(a), Some(b)) => files(worktree(a), worktree(b)),
                    (None, Some(path)) if only.is_empty() => Target::Sides {
                        before: Some(a_side?),
                        after: Side::Worktree,
                        only: vec![path],
                    },
                    _ => sides(Some(a_side?), b_side?),
                },
            },
            (Some(a), Some(b)) => files(a, b),
            (Some(a), None) => {
                let b = like(ws, b, &a.path)?;
                files(a, b)
            }
            (None, Some(b)) => files(like(ws, a, &b.path)?, b),
        },
        more => {
            let message = format!("two things are compared, not {}", more.len());
            let hint = "paths to look at come after `--`, as in `mvc diff v1 v2 -- encoder`";
            return Err(Error::advised(Kind::Usage, message, hint));
        }
    };
    match &target {
        Target::Files { .. } if !only.is_empty() => Err(Error::advised(
            Kind::Usage,
            "two files are compared whole, so there are no paths to choose from",
            "leave out what follows `--`; `--tensor` chooses tensors",
        )),
        _ => Ok(target),
    }
}

fn files(before: File, after: File) -> Target {
    Target::Files { before, after }
}

/// The other side of a file: a file of the work tree, or a revision, whose file of the same path is meant.
fn like(ws: &Workspace, typed: &str, path: &RepoPath) -> Result<File> {
    if on_disk(ws, typed)?.is_none()
        && let Some(side) = found(Side::commit(ws, typed))?
    {
        let path = path.clone();
        return Ok(File { side, path });
    }
    Ok(worktree(ws.path(typed)?))
}

/// `None` where there is no such revision.
fn found(side: Result<Side>) -> Result<Option<Side>> {
    match side {
        Ok(side) => Ok(Some(side)),
        Err(e) if e.kind() == Kind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn worktree(path: RepoPath) -> File {
    let side = Side::Worktree;
    File { side, path }
}

/// HEAD; `None` before the first commit.
fn head(ws: &Workspace) -> Result<Option<Side>> {
    let typed = "HEAD".to_owned();
    let head = if_found(ws.repo().resolve(&typed))?;
    Ok(head.map(|id| Side::Commit { typed, id }))
}

/// `REV:PATH`, where an empty REV is the work tree. `:/text` and `^{/a:b}` are git's own spellings of revisions.
fn file(ws: &Workspace, typed: &str) -> Result<Option<File>> {
    let Some((revision, path)) = typed.split_once(':') else {
        return Ok(None);
    };
    if typed.starts_with(":/") || revision.contains('{') && !revision.contains('}') {
        return Ok(None);
    }
    let side = match revision {
        "" => Side::Worktree,
        revision => Side::commit(ws, revision)?,
    };
    let path = ws.path_in_revision(path)?;
    Ok(Some(File { side, path }))
}

/// `A..B`; `A...B`, which begins at their merge base; either may be left out and is HEAD then.
fn range(ws: &Workspace, typed: &str) -> Result<Option<(Side, Side)>> {
    let Some((a, b)) = typed.split_once("..") else {
        return Ok(None);
    };
    if b.starts_with('/') || on_disk(ws, typed)?.is_some() {
        return Ok(None);
    }
    let or_head = |typed: &str| Side::commit(ws, if typed.is_empty() { "HEAD" } else { typed });
    let Some(b) = b.strip_prefix('.') else {
        return Ok(Some((or_head(a)?, or_head(b)?)));
    };
    let (a_side, b_side) = (or_head(a)?, or_head(b)?);
    let base = match (&a_side, &b_side) {
        (Side::Commit { id: a, .. }, Side::Commit { id: b, .. }) => ws.repo().merge_base(a, b)?,
        _ => None,
    };
    let none = || {
        let message = format!("{} have no commit in common", printable(typed));
        let hint = "with two dots, the two are compared as they are";
        Error::advised(Kind::NotFound, message, hint)
    };
    let id = base.ok_or_else(none)?;
    let typed = id.short();
    Ok(Some((Side::Commit { typed, id }, b_side)))
}

/// A path of the work tree, where a file or a folder is there.
fn on_disk(ws: &Workspace, typed: &str) -> Result<Option<RepoPath>> {
    let Ok(path) = ws.path(typed) else {
        return Ok(None);
    };
    if ws.on_disk(&path).is_dir() {
        return Ok(Some(path));
    }
    let tracked = crate::ops::tracked::in_worktree(ws, &path)?.is_some();
    let there = tracked || weights::lstat(ws, &path)?.is_some();
    Ok(there.then_some(path))
}
