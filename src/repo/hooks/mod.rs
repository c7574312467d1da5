//! mvc's line in git's hook scripts: which hooks, where they lie, putting it in, taking it out, and whether it works.
//!
//! Hooks that are there stay: a script gets one line more, and is byte for byte what it was once the line goes.
//! What is no shell script, or belongs to more than this repository, is never touched; it is named instead.

mod line;
#[cfg(test)]
mod tests;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::base::Fs;
use crate::base::fs::{FsError, read_limited};
use crate::base::kind::{Failure, Kind};
use crate::base::text::printable;

use super::discover::Repo;
use line::Edit;

/// A script longer than this is not edited.
const LIMIT: u64 = 1 << 20;

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

/// What [`install`] would do, hook by hook. `program` is mvc's own absolute path, recorded for where `PATH` does not
/// have it; it is left out of hooks that lie in the work tree, where others would get it.
pub fn plan_install(repo: &Repo, hooks: &[Hook], program: Option<&Path>) -> Result<Vec<Step>> {
    let dir = repo.hooks_dir();
    let place = place(repo, dir);
    let program = match place {
        Place::Outside => {
            return Err(HooksError::Outside {
                dir: dir.to_owned(),
            });
        }
        Place::WorkTree => None,
        Place::GitDir => program,
    };
    let step = |hook: &Hook| {
        let path = dir.join(hook.name());
        let script = Script::read(&path)?;
        let (edit, action) = match script
            .check()
            .and_then(|()| line::insert(script.bytes(), *hook, program))
        {
            Err(obstacle) => (Edit::Nothing, Action::Refused(obstacle)),
            Ok(edit) => {
                let had = script.bytes().and_then(line::found).is_some();
                let action = match (&edit, &script) {
                    (Edit::Nothing | Edit::Delete, _) => Action::Unchanged,
                    (Edit::Write(_), Script::Missing) => Action::Created,
                    (Edit::Write(_), _) if had => Action::Updated,
                    (Edit::Write(_), _) => Action::Added,
                };
                (edit, action)
            }
        };
        Ok(Step {
            hook: *hook,
            path,
            action,
            edit,
            mode: script.mode(),
        })
    };
    hooks.iter().map(step).collect()
}

/// What [`uninstall`] would do, hook by hook: where git looks now, and in the repository's own hooks.
pub fn plan_uninstall(repo: &Repo) -> Result<Vec<Step>> {
    let own = repo.common_dir().join("hooks");
    let mut dirs = vec![repo.hooks_dir().to_owned()];
    if own != dirs[0] {
        dirs.push(own);
    }
    dirs.retain(|dir| place(repo, dir) != Place::Outside);
    let mut steps = Vec::new();
    for (dir, hook) in dirs
        .iter()
        .flat_map(|dir| Hook::ALL.map(|hook| (dir, hook)))
    {
        let path = dir.join(hook.name());
        let script = Script::read(&path)?;
        let edit = match &script {
            Script::File { bytes, .. } => line::remove(bytes),
            Script::Missing | Script::Obstacle(_) => Edit::Nothing,
        };
        let action = match edit {
            Edit::Nothing => Action::Unchanged,
            Edit::Write(_) => Action::Removed,
            Edit::Delete => Action::Deleted,
        };
        steps.push(Step {
            hook,
            path,
            action,
            edit,
            mode: script.mode(),
        });
    }
    Ok(steps)
}

/// Does what was planned. A script is replaced as a whole, so that git never runs half of one.
pub fn act(fs: &Fs, steps: &[Step]) -> Result<()> {
    for step in steps {
        match &step.edit {
            Edit::Nothing => {}
            Edit::Write(bytes) => fs.replace(&step.path, bytes, step.mode)?,
            Edit::Delete => fs.remove_file(&step.path)?,
        }
    }
    Ok(())
}

/// Puts mvc's line into these hooks. Done twice, it changes nothing.
pub fn install(repo: &Repo, fs: &Fs, hooks: &[Hook], program: Option<&Path>) -> Result<Vec<Step>> {
    let steps = plan_install(repo, hooks, program)?;
    act(fs, &steps)?;
    Ok(steps)
}

/// Takes mvc's line out of all hooks; a script of mvc's own goes.
pub fn uninstall(repo: &Repo, fs: &Fs) -> Result<Vec<Step>> {
    let steps = plan_uninstall(repo)?;
    act(fs, &steps)?;
    Ok(steps)
}

/// How each hook stands.
pub fn status(repo: &Repo) -> Result<Vec<HookStatus>> {
    let own = repo.common_dir().join("hooks");
    let state = |hook: Hook, path: &Path| -> Result<State> {
        let script = Script::read(path)?;
        let found = script.bytes().and_then(line::found);
        Ok(match (&script, found) {
            (Script::File { mode, .. }, Some(_)) if mode & 0o111 == 0 => State::NotExecutable,
            (_, Some(true)) => State::Installed,
            (_, Some(false)) => State::Outdated,
            (_, None) if own != repo.hooks_dir() && has_line(&own.join(hook.name()))? => {
                State::Silenced
            }
            (Script::Missing, None) => State::Missing,
            (script, None) => match script
                .check()
                .and_then(|()| line::insert(script.bytes(), hook, None))
            {
                Ok(_) => State::Foreign,
                Err(obstacle) => State::NotComposable(obstacle),
            },
        })
    };
    let status = |hook: Hook| {
        let path = repo.hooks_dir().join(hook.name());
        let state = state(hook, &path)?;
        Ok(HookStatus { hook, path, state })
    };
    Hook::ALL.into_iter().map(status).collect()
}

fn has_line(path: &Path) -> Result<bool> {
    Ok(Script::read(path)?.bytes().and_then(line::found).is_some())
}

/// Whose hooks a folder holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    GitDir,
    WorkTree,
    Outside,
}

fn place(repo: &Repo, dir: &Path) -> Place {
    // A folder that is not there yet is judged by the nearest one that is.
    let real = dir
        .ancestors()
        .find_map(|dir| dir.canonicalize().ok())
        .unwrap_or_default();
    match real {
        real if real.starts_with(repo.common_dir()) => Place::GitDir,
        real if real.starts_with(repo.root()) => Place::WorkTree,
        _ => Place::Outside,
    }
}

/// What lies under a hook's name.
enum Script {
    Missing,
    File { bytes: Vec<u8>, mode: u32 },
    Obstacle(Obstacle),
}

impl Script {
    fn read(path: &Path) -> Result<Self> {
        let stat = match path.symlink_metadata() {
            Ok(stat) => stat,
            Err(e)
                if matches!(
                    e.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(Self::Missing);
            }
            Err(e) => return Err(FsError::new("look at", path, e).into()),
        };
        Ok(if stat.is_symlink() {
            Self::Obstacle(Obstacle::Link(std::fs::read_link(path).unwrap_or_default()))
        } else if !stat.is_file() {
            Self::Obstacle(Obstacle::NotAFile)
        } else if stat.len() > LIMIT {
            Self::Obstacle(Obstacle::TooLong)
        } else {
            Self::File {
                bytes: read_limited(path, LIMIT)?,
                mode: stat.permissions().mode() & 0o7777,
            }
        })
    }

    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::File { bytes, .. } => Some(bytes),
            Self::Missing | Self::Obstacle(_) => None,
        }
    }

    fn mode(&self) -> u32 {
        match self {
            Self::File { mode, .. } => *mode,
            Self::Missing | Self::Obstacle(_) => 0o755,
        }
    }

    /// Whether it may be edited at all.
    fn check(&self) -> std::result::Result<(), Obstacle> {
        match self {
            Self::Missing => Ok(()),
            Self::Obstacle(obstacle) => Err(obstacle.clone()),
            Self::File { bytes, mode } if mode & 0o111 == 0 && line::found(bytes).is_none() => {
                Err(Obstacle::NotExecutable)
            }
            Self::File { .. } => Ok(()),
        }
    }
}
