//! `git commit`: the one way that mvc makes commits.

use crate::repo::id::CommitId;

use super::{Git, GitError, Result, Talk, said};

/// What is asked of a commit beside its message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitOptions {
    /// Commit even where nothing differs from the parent.
    pub allow_empty: bool,
    /// Replace the last commit.
    pub amend: bool,
    /// Run no `pre-commit` and `commit-msg` hook.
    pub no_verify: bool,
    /// Options that git knows and mvc only passes on: `--signoff`, `--gpg-sign`, `--author=...`, `--date=...`.
    /// They come from the command line, never from a file of the repository.
    pub pass: Vec<String>,
}

/// How a commit went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// The commit that was made.
    Made(CommitId),
    /// What is staged is what HEAD has: there was nothing to commit.
    Nothing,
}

impl Git {
    /// Commits what is staged. Without a message git opens the user's editor, so `talk` must be `Inherit`.
    ///
    /// Where git makes no commit although there was something to commit, the error is [`GitError::Refused`]; the
    /// index is as it was.
    pub fn commit(
        &self,
        message: Option<&str>,
        options: &CommitOptions,
        talk: Talk,
    ) -> Result<Committed> {
        let before = self.head()?;
        let mut args = vec!["commit", "--quiet"];
        let flags = [
            (options.allow_empty, "--allow-empty"),
            (options.amend, "--amend"),
            (options.no_verify, "--no-verify"),
            (message.is_some(), "--file=-"),
        ];
        args.extend(flags.iter().filter(|(on, _)| *on).map(|(_, flag)| flag));
        args.extend(options.pass.iter().map(String::as_str));
        let call = self.call(args).talking(talk);
        let output = call.run(message.map(str::as_bytes))?;
        match output.code {
            Some(0) => match self.head()? {
                Some(id) => Ok(Committed::Made(id)),
                None => Err(GitError::Answer {
                    command: call.shown(),
                }),
            },
            // Git ends with 1 for "nothing to commit", and for many refusals too; what is staged tells them apart.
            Some(1) if !options.amend && before == self.head()? && self.nothing_staged()? => {
                Ok(Committed::Nothing)
            }
            _ => Err(GitError::Refused {
                said: said(&output.stderr),
            }),
        }
    }

    /// The commit that HEAD stands on, as git sees it now.
    fn head(&self) -> Result<Option<CommitId>> {
        let out = self.ask(["rev-parse", "--quiet", "--verify", "HEAD^{commit}"], b"")?;
        Ok(out
            .and_then(|hex| String::from_utf8(hex).ok())
            .and_then(|hex| CommitId::from_hex(hex.trim_end())))
    }

    fn nothing_staged(&self) -> Result<bool> {
        let args = [
            "diff",
            "--cached",
            "--quiet",
            "--no-ext-diff",
            "--no-renames",
        ];
        Ok(self.ask(args, b"")?.is_some())
    }
}
