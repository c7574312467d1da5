//! A repository opened once for one command: git, the object store, and the work tree's own files.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::error::Result;
use super::state::{Stamp, State};
use crate::base::config::{self, Config};
use crate::base::text::shell_word;
use crate::base::{Failure, Fs, Kind, RepoPath, fs};
use crate::repo::{CommitId, Environment, Git, Repo};
use crate::store::Store;

/// Everything an operation works on. Send + Sync, so that a server can hold one.
pub struct Workspace {
    repo: Repo,
    store: Store,
    fs: Fs,
    sidecars_read: AtomicUsize,
}

impl Workspace {
    /// Opens the repository that `from` lies in, as git would find it in this environment.
    pub fn open(from: &Path, environment: &Environment, fs: Fs) -> Result<Self> {
        Self::with(Repo::discover_with(from, environment)?, fs)
    }

    pub(crate) fn with(repo: Repo, fs: Fs) -> Result<Self> {
        let store = Store::open(fs.clone(), &repo.common_dir().join("mvc"))?;
        Ok(Self {
            repo,
            store,
            fs,
            sidecars_read: AtomicUsize::new(0),
        })
    }

    /// The repository, for reading.
    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    /// The `git` program, for what must run the user's hooks, credentials and signing.
    pub fn git(&self) -> &Git {
        self.repo.git()
    }

    /// The objects of all work trees of the repository.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The way to the disk.
    pub fn fs(&self) -> &Fs {
        &self.fs
    }

    /// How many sidecars were read whole so far, each as often as it was: commands are to leave alone those of what
    /// did not change.
    pub fn sidecars_read(&self) -> usize {
        self.sidecars_read.load(Ordering::Relaxed)
    }

    pub(in crate::ops) fn count_sidecar(&self) {
        self.sidecars_read.fetch_add(1, Ordering::Relaxed);
    }

    /// The top of the work tree.
    pub fn root(&self) -> &Path {
        self.repo.root()
    }

    /// Where in the work tree the command was started: a folder without a slash at its end, `""` at the top.
    pub fn prefix(&self) -> &str {
        self.repo.prefix().trim_end_matches('/')
    }

    /// A path as the user typed it, relative to where the command was started.
    pub fn path(&self, typed: &str) -> Result<RepoPath> {
        Ok(RepoPath::below(self.root(), &self.full(typed))?)
    }

    /// [`Self::path`], or `None` for the top of the work tree, which is no path.
    pub fn place(&self, typed: &str) -> Result<Option<RepoPath>> {
        let full = self.full(typed);
        match full == self.root() {
            true => Ok(None),
            false => Ok(Some(RepoPath::below(self.root(), &full)?)),
        }
    }

    fn full(&self, typed: &str) -> PathBuf {
        let mut full = self.root().join(self.prefix());
        for part in Path::new(typed).components() {
            match part {
                std::path::Component::CurDir => {}
                std::path::Component::ParentDir => {
                    full.pop();
                }
                part => full.push(part),
            }
        }
        full
    }

    /// A path as the user would type it where the command was started, quoted for a shell where that needs it.
    pub fn typed(&self, path: &RepoPath) -> String {
        let mut from = self.prefix();
        let mut up = String::new();
        let rest = loop {
            if from.is_empty() {
                break path.as_str();
            }
            if let Some(rest) = path
                .as_str()
                .strip_prefix(from)
                .and_then(|rest| rest.strip_prefix('/'))
            {
                break rest;
            }
            up.push_str("../");
            from = from.rsplit_once('/').map_or("", |(folder, _)| folder);
        };
        shell_word(&format!("{up}{rest}"))
    }

    /// [`Self::typed`] of several, with spaces between.
    pub fn typed_all(&self, paths: &[RepoPath]) -> String {
        let typed: Vec<String> = paths.iter().map(|path| self.typed(path)).collect();
        typed.join(" ")
    }

    /// The path of `REV:PATH`, as git reads it: from the top of the work tree, or with `./` or `../` before it from
    /// where the command was started.
    pub fn path_in_revision(&self, typed: &str) -> Result<RepoPath> {
        match typed.starts_with("./") || typed.starts_with("../") {
            true => self.path(typed),
            false => Ok(RepoPath::new(typed)?),
        }
    }

    /// `mvc.toml` of the work tree; absent is the default.
    pub fn config(&self) -> Result<Config> {
        match self.read(&RepoPath::new(config::FILE)?, config::LIMIT)? {
            Some(bytes) => Ok(Config::parse(&bytes)?),
            None => Ok(Config::default()),
        }
    }

    /// A plain file of the work tree, of at most so many bytes; `None` where there is none. Links are refused, for a
    /// clone can bring them.
    pub fn read(&self, path: &RepoPath, limit: u64) -> Result<Option<Vec<u8>>> {
        Ok(fs::read_in_tree(self.root(), path, limit)?)
    }

    /// `mvc.toml` of a commit; absent is the default.
    pub fn config_at(&self, commit: &CommitId) -> Result<Config> {
        match self
            .repo
            .file(commit, &RepoPath::new(config::FILE)?, config::LIMIT)?
        {
            Some(bytes) => Ok(Config::parse(&bytes)?),
            None => Ok(Config::default()),
        }
    }

    /// The stamps of this work tree.
    pub fn state(&self) -> Result<State> {
        State::load(self.repo.git_dir())
    }

    /// Changes the stamps of this work tree.
    pub(crate) fn update_state(&self, change: impl FnOnce(&mut State)) -> Result<State> {
        State::update(&self.fs, self.repo.git_dir(), change)
    }

    /// Stamps weights that were read and found to be what their sidecar says. A stamp saves reading them again and is
    /// nothing more: where it cannot be written, as in a repository that is read-only, nothing is wrong.
    pub(crate) fn remember(&self, stamps: Vec<(RepoPath, Stamp)>) {
        if !stamps.is_empty() {
            let _ = self.update_state(|state| {
                for (path, stamp) in stamps {
                    state.set(&path, stamp);
                }
            });
        }
    }

    /// Where a file lies on this machine.
    pub fn on_disk(&self, path: &RepoPath) -> PathBuf {
        path.on(self.root())
    }
}

/// `None` where a version does not have the thing, other errors as they are.
pub(crate) fn if_found<T>(
    result: std::result::Result<T, crate::repo::RepoError>,
) -> Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(e) if e.kind() == Kind::NotFound => Ok(None),
        Err(e) => Err(e.into()),
    }
}
