//! The `git` program: for everything that must run the user's hooks, credentials, signing or work tree rules.
//!
//! It is found on `PATH`, never inside a work tree, started by its absolute path, and given paths on its standard
//! input, so that no path is read as an option or a pattern. What it says is never interpreted beyond its
//! machine-readable formats, so that the user's language and settings do not matter.

mod commit;
mod error;
mod index;
mod names;
mod status;
mod switch;

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub use commit::{CommitOptions, Committed};
pub use error::GitError;
use error::Result;
pub use index::IndexEdit;
pub use status::{Status, StatusEntry};
pub use switch::{Restore, Target};

use super::environment::{Environment, INSIDE};

/// Who sees what git and the hooks it runs have to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Talk {
    /// Nobody: what git said is in the error if it fails. It gets no standard input.
    Capture,
    /// The user: standard input (where mvc has nothing to say on it) and standard error are the process's own, so
    /// that hooks, editors and passphrase prompts work. Standard output is still captured.
    Inherit,
}

/// The git program at one place. Cheap to clone, `Send` and `Sync`.
#[derive(Clone, Debug)]
pub struct Git {
    program: PathBuf,
    folder: PathBuf,
    environment: Environment,
}

/// What a finished git left.
pub(super) struct Output {
    pub(super) code: Option<i32>,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

impl Git {
    /// Finds git on the `PATH` of `environment`, to be run in `folder`; a program that lies in one of the `avoid`
    /// folders is passed over, since anybody who can commit could have put it there.
    pub fn find(environment: &Environment, folder: &Path, avoid: &[&Path]) -> Result<Self> {
        let avoid: Vec<PathBuf> = avoid
            .iter()
            .filter_map(|path| path.canonicalize().ok())
            .collect();
        let mut passed_over = Vec::new();
        for candidate in environment.search_path() {
            let candidate = candidate.join("git");
            if !is_program(&candidate) {
                continue;
            }
            // Both the name and what it links to: either could lie in the work tree.
            let real = candidate
                .canonicalize()
                .unwrap_or_else(|_| candidate.clone());
            let parent = candidate
                .parent()
                .and_then(|folder| folder.canonicalize().ok());
            let inside = |path: &Path| avoid.iter().any(|folder| path.starts_with(folder));
            if inside(&real) || parent.is_some_and(|parent| inside(&parent)) {
                passed_over.push(candidate);
                continue;
            }
            return Ok(Self {
                program: candidate,
                folder: folder.to_owned(),
                environment: environment.clone(),
            });
        }
        Err(GitError::NoProgram { passed_over })
    }

    /// The same program in another folder and environment.
    pub(super) fn moved(&self, folder: &Path, environment: Environment) -> Self {
        Self {
            program: self.program.clone(),
            folder: folder.to_owned(),
            environment,
        }
    }

    /// Where the program lies.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The environment that it is started with, but for what marks it as mvc's own.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Runs git to read something: it takes no lock that is not needed. Anything but success is an error.
    pub(super) fn read<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Vec<u8>> {
        self.read_with(args, b"")
    }

    /// [`Git::read`] with something on standard input.
    pub(super) fn read_with<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
        input: &[u8],
    ) -> Result<Vec<u8>> {
        let call = self.call(args).reading();
        let output = call.run(Some(input))?;
        match output.code {
            Some(0) => Ok(output.stdout),
            _ => Err(call.failed(output)),
        }
    }

    /// Runs git to read something where exit code 1 means "no".
    pub(super) fn ask<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
        input: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        let call = self.call(args).reading();
        let output = call.run(Some(input))?;
        match output.code {
            Some(0) => Ok(Some(output.stdout)),
            Some(1) => Ok(None),
            _ => Err(call.failed(output)),
        }
    }

    /// Runs git to change something. Anything but success is an error.
    pub(super) fn write<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
        input: Option<&[u8]>,
        talk: Talk,
    ) -> Result<Vec<u8>> {
        let call = self.call(args).talking(talk);
        let output = call.run(input)?;
        match output.code {
            Some(0) => Ok(output.stdout),
            _ => Err(call.failed(output)),
        }
    }

    pub(super) fn call<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Call<'_> {
        Call {
            git: self,
            args: args
                .into_iter()
                .map(|arg| arg.as_ref().to_owned())
                .collect(),
            variables: Vec::new(),
            talk: Talk::Capture,
        }
    }

    /// The value of a configuration key as git resolves it, with all files, includes and `GIT_CONFIG_*`.
    pub fn config(&self, key: &str) -> Result<Option<String>> {
        let value = self.ask(["config", "--null", "--get", key], b"")?;
        Ok(value.map(|value| {
            String::from_utf8_lossy(value.strip_suffix(b"\0").unwrap_or(&value)).into_owned()
        }))
    }

    /// Sets a configuration key of this repository, in place of all values it had there.
    pub fn set_config(&self, key: &str, value: &str) -> Result<()> {
        let args = ["config", "--local", "--replace-all", key, value];
        self.write(args, None, Talk::Capture).map(drop)
    }

    /// Removes a section of this repository's configuration, as in `merge.mvc`; one that is not there is fine.
    pub fn remove_config(&self, section: &str) -> Result<()> {
        let keys = format!("^{}\\.", section.replace('.', "\\."));
        match self.ask(["config", "--local", "--get-regexp", &keys], b"")? {
            None => Ok(()),
            Some(_) => {
                let args = ["config", "--local", "--remove-section", section];
                self.write(args, None, Talk::Capture).map(drop)
            }
        }
    }
}

/// One git command line, about to be run.
pub(super) struct Call<'a> {
    git: &'a Git,
    args: Vec<OsString>,
    variables: Vec<(&'static str, &'static str)>,
    talk: Talk,
}

impl Call<'_> {
    /// Takes no lock that is not needed: git refreshes the index on the side otherwise, and a hook of the git that
    /// holds the lock would fail.
    pub(super) fn reading(mut self) -> Self {
        self.variables.push(("GIT_OPTIONAL_LOCKS", "0"));
        self
    }

    /// Lets git say fixed words, for the few places that must tell refusals apart.
    pub(super) fn in_plain_words(mut self) -> Self {
        self.variables.push(("LC_ALL", "C"));
        self
    }

    pub(super) fn talking(mut self, talk: Talk) -> Self {
        self.talk = talk;
        self
    }

    /// Runs it to its end, whatever its exit code.
    pub(super) fn run(&self, input: Option<&[u8]>) -> Result<Output> {
        let mut command = Command::new(&self.git.program);
        self.git.environment.apply(&mut command);
        command
            .args(&self.args)
            .current_dir(&self.git.folder)
            .env(INSIDE, "1")
            .envs(self.variables.iter().copied())
            .stdout(Stdio::piped());
        command.stdin(match (input, self.talk) {
            (Some(bytes), _) if !bytes.is_empty() => Stdio::piped(),
            (None, Talk::Inherit) => Stdio::inherit(),
            (Some(_), _) | (None, Talk::Capture) => Stdio::null(),
        });
        command.stderr(match self.talk {
            Talk::Capture => Stdio::piped(),
            Talk::Inherit => Stdio::inherit(),
        });
        let start = |source| GitError::Start {
            program: self.git.program.clone(),
            folder: self.git.folder.clone(),
            source,
        };
        let mut child = command.spawn().map_err(start)?;
        let pipe = child.stdin.take();
        let output = std::thread::scope(|scope| {
            // Written beside the reading: git answers while it is still being asked, and both pipes are short.
            scope.spawn(move || {
                if let (Some(mut pipe), Some(bytes)) = (pipe, input) {
                    // A git that ends early says why itself.
                    let _ = pipe.write_all(bytes);
                }
            });
            child.wait_with_output()
        })
        .map_err(start)?;
        Ok(Output {
            code: output.status.code(),
            stdout: output.stdout,
            stderr: output.stderr,
        })
    }

    /// The error of a run that did not end well.
    pub(super) fn failed(&self, output: Output) -> GitError {
        GitError::Failed {
            command: self.shown(),
            code: output.code,
            said: said(&output.stderr),
        }
    }

    /// The command line as a person would type it.
    pub(super) fn shown(&self) -> String {
        let args = self.args.iter().map(|arg| arg.to_string_lossy());
        std::iter::once("git".into())
            .chain(args)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// What git said on standard error, without the last line break.
pub(super) fn said(stderr: &[u8]) -> String {
    String::from_utf8_lossy(stderr).trim_end().to_owned()
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|stat| stat.is_file() && stat.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn plant(folder: &Path) {
        std::fs::create_dir_all(folder).expect("made");
        let path = folder.join("git");
        std::fs::write(&path, "#!/bin/sh\nexit 0\n").expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("set");
    }

    #[test]
    fn a_git_inside_the_work_tree_is_passed_over() {
        let dir = tempfile::tempdir().expect("a temp folder");
        let (tree, system) = (dir.path().join("tree"), dir.path().join("system"));
        plant(&tree.join("bin"));
        plant(&system);
        let linked = dir.path().join("linked");
        std::os::unix::fs::symlink(tree.join("bin"), &linked).expect("linked");
        let path = |folders: &[&Path]| {
            Environment::empty().with("PATH", std::env::join_paths(folders).expect("joined"))
        };
        let found = Git::find(
            &path(&[&tree.join("bin"), &linked, &system]),
            &tree,
            &[&tree],
        );
        assert_eq!(found.expect("found").program(), system.join("git"));
        let refused = Git::find(&path(&[&linked]), &tree, &[&tree]).expect_err("only planted ones");
        assert!(refused.to_string().contains("passed over"), "{refused}");
    }

    #[test]
    fn input_and_output_larger_than_a_pipe_do_not_stall() {
        let dir = tempfile::tempdir().expect("a temp folder");
        let git = Git::find(
            &crate::repo::sandbox::environment(dir.path()),
            dir.path(),
            &[],
        )
        .expect("found");
        let input = "a b\n".repeat(200_000);
        let out = git
            .read_with(["stripspace"], input.as_bytes())
            .expect("ran");
        assert_eq!(out.len(), input.len());
    }
}
