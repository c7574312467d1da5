//! A folder, a home and an environment of its own, in which mvc and git behave the same on every machine.

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Output;

const GIT_CONFIG: &str = "\
[user]
	name = Ada Lovelace
	email = ada@example.com
[init]
	defaultBranch = main
[gc]
	auto = 0
[advice]
	detachedHead = false
";

/// The first moment of every sandbox: 2026-01-02 03:04:05 UTC.
const EPOCH: u64 = 1_767_323_045;

/// A folder to work in, gone when dropped.
#[derive(Debug)]
pub(crate) struct Sandbox {
    all: tempfile::TempDir,
    work: PathBuf,
    /// Seconds since the start: each program that is run sees the next second, so that commits have an order.
    clock: Cell<u64>,
    extra: Vec<(OsString, OsString)>,
}

impl Sandbox {
    /// An empty folder that is in no git repository.
    pub(crate) fn new() -> Self {
        let all = tempfile::Builder::new()
            .prefix("mvc-test-")
            .tempdir()
            .expect("a writable temp folder");
        // A symbolic link on the way (macOS, some CI) would make the paths that git prints differ from ours.
        let top = all.path().canonicalize().expect("just made");
        for folder in ["home", "work", "tmp"] {
            std::fs::create_dir(top.join(folder)).expect("an empty folder");
        }
        std::fs::write(top.join("home/.gitconfig"), GIT_CONFIG).expect("an empty home");
        Self {
            work: top.join("work"),
            all,
            clock: Cell::new(0),
            extra: Vec::new(),
        }
    }

    /// Another one whose work folder holds the same: faster than making it again.
    pub(crate) fn copied(&self) -> Self {
        let sandbox = Self::new();
        for (path, (bytes, mode)) in super::repo::tree(&self.work) {
            sandbox.write(&path, bytes);
            let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(sandbox.path(&path), permissions).expect("our own file");
        }
        sandbox.clock.set(self.clock.get());
        sandbox
    }

    /// A folder that is an empty git repository on branch `main`.
    pub(crate) fn repo() -> Self {
        let sandbox = Self::new();
        sandbox.git(&["init", "--quiet"]).ok();
        sandbox
    }

    /// Sets a variable for every program that is run from now on.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.extra.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// The folder to work in.
    pub(crate) fn dir(&self) -> &Path {
        &self.work
    }

    /// The home folder of the sandbox.
    pub(crate) fn home(&self) -> PathBuf {
        self.work.with_file_name("home")
    }

    /// Where a file of the work folder lies.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.work.join(name)
    }

    /// Writes a file and the folders above it.
    pub(crate) fn write(&self, name: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("below the work folder"))
            .expect("a writable folder");
        std::fs::write(&path, bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }

    /// Reads a file.
    #[track_caller]
    pub(crate) fn read(&self, name: impl AsRef<Path>) -> Vec<u8> {
        let path = self.path(name);
        std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// Reads a text file.
    #[track_caller]
    pub(crate) fn text(&self, name: impl AsRef<Path>) -> String {
        String::from_utf8(self.read(name)).expect("UTF-8")
    }

    /// Removes a file.
    #[track_caller]
    pub(crate) fn remove(&self, name: impl AsRef<Path>) {
        let path = self.path(name);
        std::fs::remove_file(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }

    /// True if there is something of that name.
    pub(crate) fn has(&self, name: impl AsRef<Path>) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    /// Runs mvc in the work folder.
    pub(crate) fn mvc(&self, args: &[&str]) -> Output {
        self.mvc_in("", args)
    }

    /// Runs mvc in a folder below the work folder (or anywhere, by an absolute path).
    pub(crate) fn mvc_in(&self, folder: impl AsRef<Path>, args: &[&str]) -> Output {
        self.run(Path::new(env!("CARGO_BIN_EXE_mvc")), folder.as_ref(), args)
    }

    /// Runs git in the work folder.
    pub(crate) fn git(&self, args: &[&str]) -> Output {
        self.git_in("", args)
    }

    /// Runs git in a folder below the work folder (or anywhere, by an absolute path).
    pub(crate) fn git_in(&self, folder: impl AsRef<Path>, args: &[&str]) -> Output {
        self.run(&find("git"), folder.as_ref(), args)
    }

    /// A program in this environment, not yet started.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let now = self.clock.get() + 1;
        self.clock.set(now);
        let date = format!("{} +0000", EPOCH + now);
        let mvc = Path::new(env!("CARGO_BIN_EXE_mvc"));
        let folders = [mvc, &find("git"), &find("sh")]
            .map(|program| program.parent().expect("a file").to_owned());
        let mut command = Command::new(program);
        command
            .env_clear()
            .current_dir(&self.work)
            .env(
                "PATH",
                std::env::join_paths(folders).expect("no colon in the folders"),
            )
            .env("HOME", self.home())
            .env("TMPDIR", self.work.with_file_name("tmp"))
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .env("TERM", "dumb")
            .env("COLUMNS", "100")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", self.home().join(".gitconfig"))
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_DATE", &date)
            .envs(self.extra.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    fn run(&self, program: &Path, folder: &Path, args: &[&str]) -> Output {
        let name = program
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let call = format!("{name} {}", args.join(" "));
        let done = self
            .command(program)
            .current_dir(self.work.join(folder))
            .args(args)
            .output()
            .unwrap_or_else(|e| panic!("{call}: {e}"));
        let code = done
            .status
            .code()
            .unwrap_or_else(|| 128 + done.status.signal().unwrap_or_default());
        Output {
            call,
            code,
            stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
            bytes: done.stdout,
            folder: self.work.to_string_lossy().into_owned(),
        }
    }

    /// `git fsck --strict` finds nothing, and `git status` works.
    #[track_caller]
    pub(crate) fn assert_git_is_whole(&self) {
        let checked = self.git(&["fsck", "--strict", "--no-dangling"]).ok();
        assert!(checked.stderr.trim().is_empty(), "{}", checked.stderr);
        self.git(&["status", "--porcelain"]).ok();
    }

    /// Forgets every reflog, and what git put aside: only refs, indexes and work trees lead to versions then.
    pub(crate) fn forget(&self) {
        let all = [
            "reflog",
            "expire",
            "--expire=all",
            "--expire-unreachable=all",
            "--all",
        ];
        self.git(&all).ok();
        let _ = std::fs::remove_file(self.path(".git/ORIG_HEAD"));
    }

    /// Keeps the folder and says where it is: for a look at a failing test.
    #[expect(dead_code, reason = "called by hand while a test is being mended")]
    pub(crate) fn keep(self) -> PathBuf {
        self.all.keep()
    }
}

/// A program of this machine.
pub(crate) fn find(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
        .unwrap_or_else(|| panic!("the tests need `{name}` on the PATH"))
}
