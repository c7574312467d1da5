//! What git is in the middle of, and what a clone left out.

use super::discover::Repo;
use super::error::{RepoError, Result};
use super::id::CommitId;

/// An operation of git that stopped for the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum InProgress {
    /// `git merge` with conflicts, or before its commit.
    Merge,
    /// `git rebase`.
    Rebase,
    /// `git am`.
    Am,
    /// `git cherry-pick`.
    CherryPick,
    /// `git revert`.
    Revert,
    /// `git bisect`.
    Bisect,
}

impl InProgress {
    /// The word for it, which is also git's command.
    pub fn name(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Rebase => "rebase",
            Self::Am => "am",
            Self::CherryPick => "cherry-pick",
            Self::Revert => "revert",
            Self::Bisect => "bisect",
        }
    }
}

impl Repo {
    /// What git is in the middle of, told by the files it leaves, in the order that `git status` tells it. A bisect
    /// is told last: one can merge within it.
    pub fn in_progress(&self) -> Option<InProgress> {
        let there = |name: &str| self.git_dir().join(name).symlink_metadata().is_ok();
        if there("MERGE_HEAD") {
            return Some(InProgress::Merge);
        }
        if there("rebase-apply") {
            return Some(match there("rebase-apply/applying") {
                true => InProgress::Am,
                false => InProgress::Rebase,
            });
        }
        if there("rebase-merge") {
            return Some(InProgress::Rebase);
        }
        if there("CHERRY_PICK_HEAD") {
            return Some(InProgress::CherryPick);
        }
        if there("REVERT_HEAD") {
            return Some(InProgress::Revert);
        }
        // Between two picks of several there is no head, only the list of what is left.
        if let Ok(todo) = std::fs::read_to_string(self.git_dir().join("sequencer/todo")) {
            let word = todo.split_whitespace().next().unwrap_or_default();
            return Some(match word {
                "revert" => InProgress::Revert,
                _ => InProgress::CherryPick,
            });
        }
        there("BISECT_LOG").then_some(InProgress::Bisect)
    }

    /// True in the middle of a rebase or an `am` that has steps to go after the one it is at. Git leaves these files
    /// until all hooks have run, so that a rebase that is as good as done is still in progress.
    pub fn has_steps_left(&self) -> bool {
        let read = |name: &str| std::fs::read_to_string(self.git_dir().join(name)).ok();
        if let Some(todo) = read("rebase-merge/git-rebase-todo") {
            let is_step =
                |line: &str| line.starts_with(|c: char| c.is_ascii_alphabetic()) && line != "noop";
            return todo.lines().any(|line| is_step(line.trim()));
        }
        let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
        match (number("rebase-apply/next"), number("rebase-apply/last")) {
            (Some(next), Some(last)) => next < last,
            _ => false,
        }
    }

    /// Where HEAD was when the rebase or `am` in progress began, which is where its `--abort` goes back to.
    pub fn began_at(&self) -> Option<CommitId> {
        let read = |name: &str| std::fs::read_to_string(self.git_dir().join(name)).ok();
        let text = match self.in_progress()? {
            InProgress::Rebase => {
                read("rebase-merge/orig-head").or_else(|| read("rebase-apply/orig-head"))
            }
            InProgress::Am => read("ORIG_HEAD"),
            InProgress::Merge
            | InProgress::CherryPick
            | InProgress::Revert
            | InProgress::Bisect => None,
        };
        CommitId::from_hex(text?.trim())
    }

    /// True if this clone lacks history.
    pub fn is_shallow(&self) -> Result<bool> {
        self.gix()
            .is_shallow()
            .map_err(RepoError::reading("the list of shallow commits"))
    }

    /// True if this clone lacks objects that its remote promised to send when asked.
    pub fn is_partial(&self) -> Result<bool> {
        let old = self.git().config("extensions.partialClone")?;
        let new = self.git().ask(
            ["config", "--get-regexp", r"^remote\..*\.promisor$", "true"],
            b"",
        )?;
        Ok(old.is_some() || new.is_some())
    }
}
