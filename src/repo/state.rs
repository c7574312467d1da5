//! What git is in the middle of, and what a clone left out.

use super::discover::Repo;
use super::error::{RepoError, Result};

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
