//! Repositories for the tests of this folder: real git, a home of their own, no settings of the machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Environment, Repo};

/// An environment in which git sees nothing of this machine but its programs.
pub(super) fn environment(home: &Path) -> Environment {
    let path = std::env::var_os("PATH").expect("tests run with a PATH");
    let now = "1700000000 +0100";
    Environment::empty()
        .with("PATH", path)
        .with("HOME", home)
        .with("GIT_CONFIG_GLOBAL", "/dev/null")
        .with("GIT_CONFIG_SYSTEM", "/dev/null")
        .with("GIT_AUTHOR_NAME", "A U Thor")
        .with("GIT_AUTHOR_EMAIL", "author@example.com")
        .with("GIT_COMMITTER_NAME", "C O Mitter")
        .with("GIT_COMMITTER_EMAIL", "committer@example.com")
        .with("GIT_AUTHOR_DATE", now)
        .with("GIT_COMMITTER_DATE", now)
        .with("GIT_TERMINAL_PROMPT", "0")
        .with("LC_ALL", "C")
}

/// A folder that is gone with the test, and real git in it.
pub(super) struct Sandbox {
    folder: tempfile::TempDir,
    pub(super) environment: Environment,
}

impl Sandbox {
    /// An empty folder.
    pub(super) fn empty() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("a b 🤖 ")
            .tempdir()
            .expect("a temp folder");
        let environment = environment(folder.path());
        Self {
            folder,
            environment,
        }
    }

    /// A repository `tree` without a commit, on `main`.
    pub(super) fn repository() -> Self {
        let sandbox = Self::empty();
        std::fs::create_dir(sandbox.path("tree")).expect("made");
        sandbox.git(&["init", "--quiet", "--initial-branch=main"]);
        sandbox
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().expect("there").join(name)
    }

    /// The repository at `tree`.
    pub(super) fn open(&self) -> Repo {
        Repo::discover_with(&self.path("tree"), &self.environment).expect("a repository")
    }

    /// Writes a file of `tree`.
    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.path("tree").join(name);
        std::fs::create_dir_all(path.parent().expect("has one")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    /// Writes, stages and commits a file of `tree`, and returns the commit's name.
    pub(super) fn commit(&self, name: &str, text: &str, message: &str) -> String {
        self.write(name, text);
        self.git(&["add", "--force", "--", name]);
        self.git(&["commit", "--quiet", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Runs real git in `tree`; it must succeed. Returns what it wrote, trimmed.
    pub(super) fn git(&self, args: &[&str]) -> String {
        let (ok, out, err) = self.try_git(args);
        assert!(ok, "git {args:?}: {err}");
        out
    }

    /// Runs real git in `tree`: success, standard output, standard error.
    pub(super) fn try_git(&self, args: &[&str]) -> (bool, String, String) {
        let mut command = Command::new("git");
        self.environment.apply(&mut command);
        let output = command
            .args(args)
            .current_dir(self.path("tree"))
            .output()
            .expect("git runs");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim_end().to_owned();
        (
            output.status.success(),
            text(output.stdout),
            text(output.stderr),
        )
    }
}
