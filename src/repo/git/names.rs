//! Making and deleting tags and branches.

use crate::repo::id::CommitId;

use super::{Git, GitError, Result, Talk};

/// Checks a branch's name, so that none is read as an option, a revision or a path.
pub(super) fn branch_name(name: &str) -> Result<&str> {
    checked("branch", "refs/heads/", name)
}

fn checked<'a>(what: &'static str, folder: &str, name: &'a str) -> Result<&'a str> {
    let whole = format!("{folder}{name}");
    let possible = gix::validate::reference::name(whole.as_str().into()).is_ok()
        && !name.starts_with('-')
        && name != "HEAD"
        && !name.contains("@{");
    match possible {
        true => Ok(name),
        false => Err(GitError::Name {
            what,
            name: name.to_owned(),
        }),
    }
}

impl Git {
    /// Makes a tag, annotated where there is a message. One that exists already is an error. Signing is as the user
    /// configured it.
    pub fn tag(
        &self,
        name: &str,
        commit: &CommitId,
        message: Option<&str>,
        talk: Talk,
    ) -> Result<()> {
        let name = checked("tag", "refs/tags/", name)?;
        let id = commit.to_string();
        let args: &[&str] = match message {
            // Lines that begin with `#` are the user's, as in a commit.
            Some(_) => &[
                "tag",
                "--annotate",
                "--cleanup=whitespace",
                "--file=-",
                name,
                &id,
            ],
            None => &["tag", name, &id],
        };
        self.write(args, message.map(str::as_bytes), talk).map(drop)
    }

    /// Deletes a tag.
    pub fn delete_tag(&self, name: &str) -> Result<()> {
        let name = checked("tag", "refs/tags/", name)?;
        self.write(["tag", "--delete", name], None, Talk::Capture)
            .map(drop)
    }

    /// Makes a branch without switching to it. One that exists already is an error.
    pub fn branch(&self, name: &str, commit: &CommitId) -> Result<()> {
        let args = [
            "branch",
            "--no-track",
            branch_name(name)?,
            &commit.to_string(),
        ];
        self.write(args, None, Talk::Capture).map(drop)
    }

    /// Deletes a branch; one whose commits are nowhere else only with `force`.
    pub fn delete_branch(&self, name: &str, force: bool) -> Result<()> {
        let delete = if force { "-D" } else { "-d" };
        self.write(["branch", delete, branch_name(name)?], None, Talk::Capture)
            .map(drop)
    }

    /// The local branch that HEAD was on before, as in `@{-1}`; `None` where it was on none, or there is no before.
    pub fn branch_before(&self, which: &str) -> Result<Option<String>> {
        let args = [
            "rev-parse",
            "--quiet",
            "--verify",
            "--symbolic-full-name",
            "--end-of-options",
            which,
        ];
        let name = self
            .ask(args, b"")?
            .and_then(|out| String::from_utf8(out).ok());
        Ok(name.and_then(|name| Some(name.trim_end().strip_prefix("refs/heads/")?.to_owned())))
    }
}
