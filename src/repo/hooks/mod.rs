//! mvc's line in git's hook scripts: which hooks, where they lie, putting it in, taking it out, and whether it works.
//!
//! Hooks that are there stay: a script gets one line more, and is byte for byte what it was once the line goes.
//! What is no shell script, or belongs to more than this repository, is never touched; it is named instead.

#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzz;
mod line;
mod plan;
mod script;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use crate::base::fs::FsError;
use crate::base::kind::{Failure, Kind};
use crate::base::text::printable;

use line::Edit;
pub use plan::{act, install, plan_install, plan_uninstall, status, uninstall};

/// A hook that mvc takes part in. What each is for is in `docs/git.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    /// Before a commit: weights and sidecars must agree.
    PreCommit,
    /// Before a push: what the commits need must be where others find it.
    PrePush,
    /// After `checkout`, `switch`, `restore`, `clone`, `worktree add`.
    PostCheckout,
    /// After a merge or pull that made or moved to a commit.
    PostMerge,
    /// At the end of a rebase, and after `commit --amend`.
    PostRewrite,
    /// After git wrote the index; with 1 it also wrote the work tree: `reset --hard`, `stash`, `cherry-pick`, every
    /// `--abort`.
    PostIndexChange,
    /// After each patch of `git am`.
    PostApplypatch,
}

impl Hook {
    /// All of them.
    pub const ALL: [Hook; 7] = [
        Hook::PreCommit,
        Hook::PrePush,
        Hook::PostCheckout,
        Hook::PostMerge,
        Hook::PostRewrite,
        Hook::PostIndexChange,
        Hook::PostApplypatch,
    ];

    /// Git's name for it, which is also its file's.
    pub fn name(self) -> &'static str {
        match self {
            Hook::PreCommit => "pre-commit",
            Hook::PrePush => "pre-push",
            Hook::PostCheckout => "post-checkout",
            Hook::PostMerge => "post-merge",
            Hook::PostRewrite => "post-rewrite",
            Hook::PostIndexChange => "post-index-change",
            Hook::PostApplypatch => "post-applypatch",
        }
    }

    /// The hook of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hook| hook.name() == name)
    }
}

/// Why a hook that is there cannot take mvc's line.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Obstacle {
    /// No shell runs it.
    Interpreter(String),
    /// It is a program.
    Binary,
    /// It is a symbolic link, and what it leads to may serve others.
    Link(PathBuf),
    /// It is a folder, or a device.
    NotAFile,
    /// Git does not run it now, and making it executable would switch on more than mvc's line.
    NotExecutable,
    /// It is longer than any script.
    TooLong,
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Interpreter(name) => write!(f, "is run by `{}`, not by a shell", printable(name)),
            Self::Binary => f.write_str("is a program, not a shell script"),
            Self::Link(target) => write!(f, "is a symbolic link to {}", target.display()),
            Self::NotAFile => f.write_str("is not a file"),
            Self::NotExecutable => f.write_str("is not executable, so git does not run it"),
            Self::TooLong => f.write_str("is too long for a script"),
        }
    }
}

/// How a hook stands.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The line is in it, and git runs it.
    Installed,
    /// A line of another version of mvc is in it.
    Outdated,
    /// There is no such hook.
    Missing,
    /// There is a hook without the line.
    Foreign,
    /// The line is in it, but the script is not executable, so git does not run it.
    NotExecutable,
    /// The line is in the repository's own hooks, but `core.hooksPath` makes git look elsewhere.
    Silenced,
    /// There is a hook that cannot take the line.
    NotComposable(Obstacle),
}

/// One hook and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct HookStatus {
    /// The hook.
    pub hook: Hook,
    /// The script that git would run.
    pub path: PathBuf,
    /// How it stands.
    pub state: State,
}

/// What was done to a hook, or what would be.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// A script was made for mvc's line.
    Created,
    /// A script that was there got the line.
    Added,
    /// The line was there in another wording.
    Updated,
    /// There was nothing to do.
    Unchanged,
    /// The line was taken out of a script, which is what it was before.
    Removed,
    /// The script had nothing but mvc's own in it.
    Deleted,
    /// The line cannot be put in; the user has to call `mvc hook` from there.
    Refused(Obstacle),
}

/// The change of one hook.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Step {
    /// The hook.
    pub hook: Hook,
    /// Its script.
    pub path: PathBuf,
    /// What is done.
    pub action: Action,
    #[serde(skip)]
    edit: Edit,
    #[serde(skip)]
    mode: u32,
}

/// Hooks cannot be installed at all.
#[derive(Debug, thiserror::Error)]
pub enum HooksError {
    /// Git looks for hooks in a folder that is not this repository's.
    #[error(
        "git looks for hooks in {}, outside of this repository, and what is there runs in other repositories too",
        dir.display()
    )]
    Outside {
        /// The folder that `core.hooksPath` names.
        dir: PathBuf,
    },
    /// The disk refused.
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl Failure for HooksError {
    fn kind(&self) -> Kind {
        match self {
            Self::Outside { .. } => Kind::Unsupported,
            Self::Fs(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Outside { .. } => Some(
                "run `git config core.hooksPath .git/hooks` to use hooks of this repository, or call \
                 `mvc hook NAME \"$@\" </dev/null` from those"
                    .into(),
            ),
            Self::Fs(e) => e.hint(),
        }
    }
}

/// The result of looking at hooks or changing them.
pub type Result<T> = std::result::Result<T, HooksError>;
