//! Moving HEAD and the files of the work tree.

use crate::base::RepoPath;
use crate::repo::id::CommitId;

use super::index::list;
use super::names::branch_name;
use super::{Git, Result, Talk};

/// Where HEAD goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// Onto a local branch.
    Branch(&'a str),
    /// Onto a commit, on no branch.
    Detached(CommitId),
    /// Onto a branch that is made for it.
    New {
        /// The branch.
        name: &'a str,
        /// Where it starts; HEAD's commit if none is given.
        start: Option<CommitId>,
    },
    /// Onto a new local branch that follows this branch of a remote, as in `origin/main`.
    Follow(&'a str),
}

/// What [`Git::restore`] writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restore {
    /// The index.
    Index,
    /// The work tree.
    WorkTree,
    /// Both.
    Both,
}

impl Git {
    /// Switches. Changed files that the target would overwrite are refused, and so are *ignored* files, which git
    /// overwrites by default: weights are ignored files. `force` throws away changes of tracked files, and
    /// overwrites ignored ones too.
    ///
    /// An error does not say that HEAD stayed: the exit code of the user's `post-checkout` hook is git's.
    pub fn switch(&self, target: Target<'_>, force: bool, talk: Talk) -> Result<()> {
        let mut args: Vec<String> = ["switch", "--quiet", "--no-guess"].map(String::from).into();
        args.push(
            if force {
                "--force"
            } else {
                "--no-overwrite-ignore"
            }
            .into(),
        );
        match target {
            Target::Branch(name) => args.push(branch_name(name)?.into()),
            Target::Detached(commit) => args.extend(["--detach".into(), commit.to_string()]),
            Target::New { name, start } => {
                args.extend([
                    "--no-track".into(),
                    "--create".into(),
                    branch_name(name)?.into(),
                ]);
                args.extend(start.map(|start| start.to_string()));
            }
            Target::Follow(name) => {
                args.extend([
                    "--track".into(),
                    format!("refs/remotes/{}", branch_name(name)?),
                ]);
            }
        }
        self.write(args, None, talk).map(drop)
    }

    /// Writes these paths as `source` has them (HEAD for the index, the index for the work tree, if none is given).
    /// A path that the source does not have is removed; one that is unknown to both is an error.
    pub fn restore(
        &self,
        source: Option<CommitId>,
        what: Restore,
        paths: &[RepoPath],
    ) -> Result<()> {
        let mut args: Vec<String> = ["--literal-pathspecs", "restore", "--quiet"]
            .map(String::from)
            .into();
        if let Some(source) = source {
            args.push(format!("--source={source}"));
        }
        let flags: &[&str] = match what {
            Restore::Index => &["--staged"],
            Restore::WorkTree => &["--worktree"],
            Restore::Both => &["--staged", "--worktree"],
        };
        args.extend(flags.iter().map(ToString::to_string));
        args.extend(["--pathspec-from-file=-", "--pathspec-file-nul"].map(String::from));
        match paths {
            [] => Ok(()),
            paths => self
                .write(args, Some(&list(paths)), Talk::Capture)
                .map(drop),
        }
    }
}
