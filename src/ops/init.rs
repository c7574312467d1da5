//! `mvc init`: a repository that keeps weights.

use std::path::Path;

use serde::Serialize;

use super::blocks;
use super::error::Result;
use super::workspace::Workspace;
use crate::base::config;
use crate::base::text::chain;
use crate::base::{Failure, Fs, Kind, RepoPath};
use crate::repo::hooks::{self, Hook, Step};
use crate::repo::{Environment, Repo};

/// What `init` is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether git hooks are installed, so that plain git brings the right weights.
    pub hooks: bool,
    /// The mvc program that the hooks call where none is on PATH.
    pub program: Option<std::path::PathBuf>,
}

/// What `init` did.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The top of the work tree.
    pub root: String,
    /// True if the git repository is new too.
    pub created_git: bool,
    /// Files that were made or changed.
    pub changed: Vec<RepoPath>,
    /// What became of each hook; empty where hooks were not asked for.
    pub hooks: Vec<Step>,
    /// Why hooks were asked for and could not be installed.
    pub no_hooks: Option<String>,
}

/// What a new `mvc.toml` says.
const CONFIG: &str = "\
# What mvc keeps in this repository; see `mvc help track` and `mvc help eval`.
mvc = 1
track = []
";

/// Makes `dir` a git repository if it is in none, and one that mvc works in. Twice changes nothing.
pub fn run(dir: &Path, environment: &Environment, fs: Fs, options: &Options) -> Result<Report> {
    fs.create_dir_all(dir)?;
    let (repo, created_git) = Repo::init_with(dir, environment)?;
    let ws = Workspace::with(repo, fs)?;
    let mut changed = Vec::new();
    let config = RepoPath::new(config::FILE)?;
    if ws.on_disk(&config).symlink_metadata().is_err() {
        ws.fs()
            .replace(&ws.on_disk(&config), CONFIG.as_bytes(), 0o644)?;
        changed.push(config);
    }
    changed.extend(blocks::refresh(&ws, &ws.config()?)?);
    let program = options.program.as_deref();
    let (hooks, no_hooks) = match options.hooks {
        true => match hooks::install(ws.repo(), ws.fs(), &Hook::ALL, program) {
            Ok(steps) => (steps, None),
            // Where the user keeps hooks for all repositories, one of them is no place for ours; the rest stands.
            Err(e) if e.kind() == Kind::Unsupported => (Vec::new(), Some(chain(&e))),
            Err(e) => return Err(e.into()),
        },
        false => (Vec::new(), None),
    };
    Ok(Report {
        root: ws.root().display().to_string(),
        created_git,
        changed,
        hooks,
        no_hooks,
    })
}
