//! What can go wrong when a repository is read.

use std::path::PathBuf;

use crate::base::fs::FsError;
use crate::base::kind::{Failure, Kind};
use crate::base::path::PathError;
use crate::base::text::{printable, size};

use super::git::GitError;
use super::id::{BlobId, CommitId};

/// The result of reading a repository.
pub type Result<T> = std::result::Result<T, RepoError>;

/// A repository cannot be found, read, or used.
#[derive(Debug, thiserror::Error)]
pub enum RepoError {
    /// There is none at this folder or above it.
    #[error("there is no git repository at {} or above it", from.display())]
    NoRepository {
        /// Where the search began.
        from: PathBuf,
        /// What git said.
        said: String,
    },
    /// It belongs to another user, and git will not touch it.
    #[error("git does not trust this repository: {}", lines(said))]
    Untrusted {
        /// Git's own words, which name the command that changes its mind.
        said: String,
    },
    /// It has no work tree.
    #[error("{} is a bare repository, which has no work tree", git_dir.display())]
    Bare {
        /// The repository.
        git_dir: PathBuf,
    },
    /// The search began inside git's own folder.
    #[error("{} is inside git's own folder, not in a work tree", from.display())]
    InsideGitDir {
        /// Where the search began.
        from: PathBuf,
    },
    /// A sort of repository that mvc does not read.
    #[error("this repository {0}, which mvc does not read")]
    Unsupported(&'static str),
    /// No commit is called this.
    #[error("there is no revision `{}`", printable(rev))]
    NoRevision {
        /// As it was given.
        rev: String,
        /// Branches and tags with nearly this name.
        near: Vec<String>,
    },
    /// It names something, but no commit.
    #[error("`{}` is a {kind}, not a commit", printable(rev))]
    NotACommit {
        /// As it was given.
        rev: String,
        /// `tree` or `blob`.
        kind: String,
    },
    /// HEAD's branch has no commit yet.
    #[error("the branch `{}` has no commit yet", printable(branch))]
    Unborn {
        /// The branch.
        branch: String,
    },
    /// An object of git is not there: a partial clone, or a damaged repository.
    #[error("git's object {id} is not in the repository")]
    NoObject {
        /// Its name.
        id: String,
    },
    /// An object of git is not what its name says.
    #[error("git's object {id} is damaged")]
    Damaged {
        /// Its name.
        id: String,
    },
    /// A file in git is longer than it may be.
    #[error("git's object {id} has {}, and at most {} are read", size(*len), size(*limit))]
    TooLong {
        /// Its name.
        id: BlobId,
        /// Its length.
        len: u64,
        /// The most that is read.
        limit: u64,
    },
    /// A commit holds a path that mvc will not touch.
    #[error("commit {commit}")]
    Path {
        /// The commit.
        commit: CommitId,
        /// What is wrong with the path.
        source: PathError,
    },
    /// A commit holds the same name twice in one folder.
    #[error("commit {commit} holds `{}` twice", printable(path))]
    Twice {
        /// The commit.
        commit: CommitId,
        /// The path.
        path: String,
    },
    /// A commit's folders are nested too deep to be meant.
    #[error("commit {commit} has folders nested more than {limit} deep")]
    Deep {
        /// The commit.
        commit: CommitId,
        /// How deep folders are followed.
        limit: usize,
    },
    /// This clone lacks history, and the question is about all of it.
    #[error("this clone lacks a part of its history, so that nobody can tell what that needs")]
    Shallow,
    /// A ref says neither a commit nor another ref.
    #[error("the ref {} is broken", printable(&path.display().to_string()))]
    BrokenRef {
        /// Its file.
        path: PathBuf,
    },
    /// A work tree of this repository is not where it should be.
    #[error("the work tree {} is not there, so that nobody can tell what it needs", printable(&root.display().to_string()))]
    NoWorkTree {
        /// Where it should be.
        root: PathBuf,
    },
    /// Something leads to what is not there or not as it should be.
    #[error("cannot follow {}", printable(of))]
    Following {
        /// What leads there.
        of: String,
        /// What is wrong there.
        source: Box<RepoError>,
    },
    /// Git's own files cannot be read.
    #[error("cannot read {what}")]
    Read {
        /// What was read.
        what: String,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The git program refused or failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The disk refused.
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl RepoError {
    /// An error of gix while reading `what`.
    pub(super) fn reading(what: impl ToString) -> impl FnOnce(gix::Error) -> Self {
        move |source| Self::Read {
            what: what.to_string(),
            source: Box::new(source),
        }
    }
}

/// Foreign words of several lines, safe for a terminal.
fn lines(said: &str) -> String {
    said.lines().map(printable).collect::<Vec<_>>().join("\n")
}

impl Failure for RepoError {
    fn kind(&self) -> Kind {
        match self {
            Self::NoRepository { .. }
            | Self::Untrusted { .. }
            | Self::Bare { .. }
            | Self::InsideGitDir { .. } => Kind::NotARepository,
            Self::Unsupported(_) => Kind::Unsupported,
            Self::NoRevision { .. } | Self::NotACommit { .. } | Self::Unborn { .. } => {
                Kind::NotFound
            }
            Self::NoObject { .. } | Self::Shallow | Self::NoWorkTree { .. } => Kind::Missing,
            Self::Damaged { .. } | Self::Read { .. } | Self::BrokenRef { .. } => Kind::Damaged,
            Self::Following { source, .. } => source.kind(),
            Self::TooLong { .. } | Self::Path { .. } | Self::Twice { .. } | Self::Deep { .. } => {
                Kind::BadInput
            }
            Self::Git(e) => e.kind(),
            Self::Fs(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoRepository { .. } => Some("run `mvc init` to make one here".into()),
            Self::Bare { .. } => Some("clone it, and work in the clone".into()),
            Self::InsideGitDir { .. } => Some("go to the work tree and run the command again".into()),
            Self::NoRevision { near, .. } if !near.is_empty() => {
                let near: Vec<_> = near.iter().map(|name| format!("`{}`", printable(name))).collect();
                Some(format!("did you mean {}?", near.join(" or ")))
            }
            Self::NoRevision { .. } => Some("`mvc log`, `mvc branch` and `mvc tag` list what there is".into()),
            Self::Unborn { .. } => Some("make the first one with `mvc commit`".into()),
            Self::NoObject { .. } => {
                Some("`git fetch --refetch` brings what a partial clone left out; `git fsck` lists damage".into())
            }
            Self::Damaged { .. } | Self::Read { .. } | Self::BrokenRef { .. } => {
                Some("`git fsck` lists what is damaged".into())
            }
            Self::Shallow => Some("`git fetch --unshallow` brings it".into()),
            Self::NoWorkTree { .. } => Some(
                "make its disk available, or let it go: `git worktree prune` (and before, if it is locked, `git \
                 worktree unlock`)"
                    .into(),
            ),
            Self::Following { source, .. } => source.hint(),
            Self::Unsupported(_)
            | Self::Untrusted { .. }
            | Self::NotACommit { .. }
            | Self::TooLong { .. }
            | Self::Path { .. }
            | Self::Twice { .. }
            | Self::Deep { .. } => None,
            Self::Git(e) => e.hint(),
            Self::Fs(e) => e.hint(),
        }
    }
}
