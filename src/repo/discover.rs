//! Finding a repository and opening it.
//!
//! The git program itself is asked where the repository lies: its environment variables, linked work trees,
//! `safe.directory` and whatever it learns next mean to mvc what they mean to git. gix then opens what git named,
//! and reads nothing but that repository.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::base::fs::FsError;

use super::environment::Environment;
use super::error::{RepoError, Result};
use super::git::{Git, GitError, Talk, said};
use super::id::ObjectFormat;

/// A git repository with a work tree. `Send`, `Sync`, and cheap to clone; it holds no locks and caches nothing that
/// another process could change unseen.
#[derive(Clone)]
pub struct Repo {
    inner: Arc<Inner>,
}

struct Inner {
    gix: gix::ThreadSafeRepository,
    git: Git,
    root: PathBuf,
    git_dir: PathBuf,
    common_dir: PathBuf,
    index_path: PathBuf,
    hooks_dir: PathBuf,
    prefix: String,
    format: ObjectFormat,
}

impl Repo {
    /// Finds the repository that `from` lies in, with the environment of this process.
    pub fn discover(from: &Path) -> Result<Self> {
        Self::discover_with(from, &Environment::from_process())
    }

    /// Finds the repository that git would use in the folder `from` with this environment: `GIT_DIR`,
    /// `GIT_WORK_TREE`, `GIT_INDEX_FILE` and their kin count, as git sets them for hooks.
    pub fn discover_with(from: &Path, environment: &Environment) -> Result<Self> {
        let from = folder(from)?;
        let top = outermost(&from);
        let mut avoid: Vec<&Path> = top.as_deref().into_iter().collect();
        avoid.extend(environment.get("GIT_WORK_TREE").map(Path::new));
        let git = Git::find(environment, &from, &avoid)?;
        let answer = ask(&git, &from)?;
        Self::open(git, environment, answer)
    }

    /// [`Repo::init_with`] with the environment of this process.
    pub fn init(dir: &Path) -> Result<(Self, bool)> {
        Self::init_with(dir, &Environment::from_process())
    }

    /// Opens the repository that the folder `dir` lies in, or makes one there, as `git init` does with the user's
    /// templates and default branch. True if it was made. Done twice, it changes nothing.
    pub fn init_with(dir: &Path, environment: &Environment) -> Result<(Self, bool)> {
        match Self::discover_with(dir, environment) {
            Ok(repo) => return Ok((repo, false)),
            Err(RepoError::NoRepository { .. }) => {}
            Err(e) => return Err(e),
        }
        let dir = folder(dir)?;
        let git = Git::find(environment, &dir, &[&dir])?;
        git.write(["init", "--quiet"], None, Talk::Capture)?;
        Ok((Self::discover_with(&dir, environment)?, true))
    }

    fn open(git: Git, environment: &Environment, answer: Answer) -> Result<Self> {
        let mut options = gix::open::Options::isolated()
            // git has judged by now whether this repository is to be trusted.
            .with(gix::sec::Trust::Full)
            .open_path_as_is(true);
        if environment.get("GIT_NO_REPLACE_OBJECTS").is_some() {
            options = options.config_overrides(["core.useReplaceRefs=false"]);
        }
        let opened = options
            .open(&answer.git_dir)
            .map_err(RepoError::reading(format!(
                "the repository {}",
                answer.git_dir.display()
            )))?;
        let common_dir = real(&answer.common_dir);
        if real(opened.to_thread_local().common_dir()) != common_dir {
            return Err(RepoError::Unsupported(
                "has its GIT_COMMON_DIR elsewhere than its own files say",
            ));
        }
        let git = match git.program().canonicalize() {
            // Known only now: the work tree may be elsewhere than where the search began.
            Ok(program) if program.starts_with(&answer.root) => {
                Git::find(environment, &answer.root, &[&answer.root])?
            }
            _ => git,
        };
        let git = git.moved(&answer.root, settled(environment, &answer));
        Ok(Self {
            inner: Arc::new(Inner {
                gix: opened,
                git,
                root: answer.root,
                git_dir: answer.git_dir,
                common_dir,
                index_path: answer.index_path,
                hooks_dir: answer.hooks_dir,
                prefix: answer.prefix,
                format: answer.format,
            }),
        })
    }

    /// The top of the work tree, absolute and without symbolic links.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// Git's folder of this work tree, absolute.
    pub fn git_dir(&self) -> &Path {
        &self.inner.git_dir
    }

    /// Git's folder that all work trees of this repository share, absolute and without symbolic links.
    pub fn common_dir(&self) -> &Path {
        &self.inner.common_dir
    }

    /// The index that counts now; inside a hook it may be a temporary one.
    pub fn index_path(&self) -> &Path {
        &self.inner.index_path
    }

    /// Where git looks for hooks: `core.hooksPath`, or `hooks` in the common dir.
    pub fn hooks_dir(&self) -> &Path {
        &self.inner.hooks_dir
    }

    /// Where the search began, from the top of the work tree: `a/b`, or `""` at the top.
    pub fn prefix(&self) -> &str {
        &self.inner.prefix
    }

    /// The hash that git's objects are named by here.
    pub fn object_format(&self) -> ObjectFormat {
        self.inner.format
    }

    /// The git program, at the top of this work tree.
    pub fn git(&self) -> &Git {
        &self.inner.git
    }

    /// The environment that this repository was found with.
    pub fn environment(&self) -> &Environment {
        self.inner.git.environment()
    }

    /// A handle for one thread.
    pub(super) fn gix(&self) -> gix::Repository {
        self.inner.gix.to_thread_local()
    }
}

impl std::fmt::Debug for Repo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repo")
            .field("root", &self.inner.root)
            .finish_non_exhaustive()
    }
}

/// What git says of a repository.
struct Answer {
    root: PathBuf,
    git_dir: PathBuf,
    common_dir: PathBuf,
    index_path: PathBuf,
    hooks_dir: PathBuf,
    prefix: String,
    format: ObjectFormat,
}

fn ask(git: &Git, from: &Path) -> Result<Answer> {
    let args = [
        "rev-parse",
        "--path-format=absolute",
        "--show-object-format",
        "--show-ref-format",
        "--absolute-git-dir",
        "--git-common-dir",
        "--git-path",
        "index",
        "--git-path",
        "hooks",
        "--show-toplevel",
        "--show-prefix",
    ];
    let call = git.call(args).reading().in_plain_words();
    let output = call.run(Some(b""))?;
    if output.code != Some(0) {
        return Err(refusal(git, from, said(&output.stderr)));
    }
    let odd = || {
        RepoError::Git(GitError::Answer {
            command: call.shown(),
        })
    };
    let text = String::from_utf8(output.stdout)
        .map_err(|_| RepoError::Unsupported("lies under a path that is not UTF-8"))?;
    let lines: Vec<&str> = text.split_terminator('\n').collect();
    let &[
        format,
        refs,
        git_dir,
        common_dir,
        index_path,
        hooks_dir,
        root,
        prefix,
    ] = lines.as_slice()
    else {
        return Err(match lines.len() {
            9.. => RepoError::Unsupported("lies under a path with a line break"),
            _ => odd(),
        });
    };
    // An older git repeats an option that it does not know, and knows no reftable.
    if refs == "reftable" {
        return Err(RepoError::Unsupported(
            "keeps its refs in the reftable format",
        ));
    }
    Ok(Answer {
        root: root.into(),
        git_dir: git_dir.into(),
        common_dir: common_dir.into(),
        index_path: index_path.into(),
        hooks_dir: hooks_dir.into(),
        prefix: prefix.trim_end_matches('/').to_owned(),
        format: match format {
            "sha1" => ObjectFormat::Sha1,
            "sha256" => ObjectFormat::Sha256,
            _ => {
                return Err(RepoError::Unsupported(
                    "names its objects by an unknown hash",
                ));
            }
        },
    })
}

/// Why git would not say where the repository is.
fn refusal(git: &Git, from: &Path, said: String) -> RepoError {
    if said.contains("dubious ownership") || said.contains("safe.directory") {
        return RepoError::Untrusted { said };
    }
    let asked = git.read(["rev-parse", "--is-bare-repository", "--absolute-git-dir"]);
    let text = asked.map(|out| String::from_utf8_lossy(&out).into_owned());
    match text.as_deref().map(|text| text.split_once('\n')) {
        Ok(Some(("true", git_dir))) => RepoError::Bare {
            git_dir: git_dir.trim_end().into(),
        },
        Ok(Some(_)) => RepoError::InsideGitDir {
            from: from.to_owned(),
        },
        Ok(None) | Err(_) => RepoError::NoRepository {
            from: from.to_owned(),
            said,
        },
    }
}

/// The environment for git at the top of the work tree. Variables with relative paths, as hooks get them, mean
/// something else there, so they become absolute.
fn settled(environment: &Environment, answer: &Answer) -> Environment {
    let mut settled = environment.clone();
    let set = |name: &str| environment.get(name).is_some();
    // A work tree that only `core.worktree` names cannot be found from itself.
    let lost = !set("GIT_DIR") && answer.root.join(".git").symlink_metadata().is_err();
    let fixed = [
        ("GIT_DIR", &answer.git_dir, lost),
        ("GIT_WORK_TREE", &answer.root, lost),
        ("GIT_COMMON_DIR", &answer.common_dir, false),
        ("GIT_INDEX_FILE", &answer.index_path, false),
    ];
    for (name, path, always) in fixed {
        if always || set(name) {
            settled = settled.with(name, path.as_os_str());
        }
    }
    // Where git was called from means nothing to a git at the top.
    settled.without("GIT_PREFIX")
}

/// The folder as an absolute path without symbolic links.
fn folder(path: &Path) -> Result<PathBuf> {
    let fail = |e| FsError::new("open the folder", path, e);
    let real = path.canonicalize().map_err(fail)?;
    match real.is_dir() {
        true => Ok(real),
        false => Err(fail(std::io::ErrorKind::NotADirectory.into()).into()),
    }
}

/// The outermost folder around `from` that looks like a work tree.
fn outermost(from: &Path) -> Option<PathBuf> {
    let trees = from
        .ancestors()
        .filter(|folder| folder.join(".git").symlink_metadata().is_ok());
    trees.last().map(Path::to_owned)
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}
