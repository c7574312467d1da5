//! All versions that names lead to.

use std::collections::BTreeSet;

use super::error::Result;
use super::workspace::{Workspace, if_found};
use crate::repo::{CommitId, LogOptions, RepoError};

/// Every commit that HEAD, a branch, a tag or the stash reaches, the newest first; where the history of one ends too
/// early, what there is of it, and why.
pub(super) fn of_all(ws: &Workspace) -> Result<(Vec<CommitId>, Vec<RepoError>)> {
    let repo = ws.repo();
    let branches = repo.branches()?.into_iter().map(|branch| branch.commit);
    let mut tips: Vec<CommitId> = branches.collect();
    let remote = repo.remote_branches()?.into_iter();
    tips.extend(remote.map(|branch| branch.commit));
    tips.extend(repo.tags()?.into_iter().filter_map(|tag| tag.commit));
    for name in ["HEAD", "refs/stash"] {
        tips.extend(if_found(repo.resolve(name))?);
    }
    let (mut commits, mut errors) = (Vec::new(), Vec::new());
    if tips.is_empty() || walk(ws, &tips, &mut commits).is_ok() {
        return Ok((commits, errors));
    }
    commits.clear();
    let mut seen = BTreeSet::new();
    for tip in tips {
        let mut reached = Vec::new();
        errors.extend(walk(ws, &[tip], &mut reached).err());
        reached.retain(|commit| seen.insert(*commit));
        commits.extend(reached);
    }
    Ok((commits, errors))
}

/// Adds what these commits reach, the newest first, as far as it is there.
fn walk(
    ws: &Workspace,
    tips: &[CommitId],
    reached: &mut Vec<CommitId>,
) -> std::result::Result<(), RepoError> {
    for commit in ws.repo().log(tips, LogOptions::default())? {
        reached.push(commit?.id);
    }
    Ok(())
}
