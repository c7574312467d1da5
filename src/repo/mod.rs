//! Everything that knows git.
//!
//! [`Repo`] reads: revisions, commits, trees, the index, tags and branches, through gix, which appears in no
//! signature. [`Git`] runs the git program, for whatever must run the user's hooks, credentials, signing or work
//! tree rules, and for questions whose answer is git's own business. [`block`] and [`hooks`] edit the files that mvc
//! shares with the user: ignore rules, attributes and hook scripts.
//!
//! Nothing here knows tensors, stores or `mvc.toml`; nothing prints, and nothing reads the process's environment
//! but [`Environment::from_process`]. Terms:
//!
//! - **git dir**: git's folder of one work tree; **common dir**: the one that all work trees of a repository share.
//! - **unborn**: a branch that HEAD names and that has no commit yet.

pub mod block;
mod discover;
mod environment;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod git;
mod history;
pub mod hooks;
mod id;
mod index;
mod refs;
mod revision;
mod roots;
#[cfg(test)]
mod sandbox;
mod state;
#[cfg(test)]
mod tests;
mod tree;

pub use discover::Repo;
pub use environment::{Environment, INSIDE, SKIP_HOOKS};
pub use error::{RepoError, Result};
pub use git::{
    CommitOptions, Committed, Git, GitError, IndexEdit, Restore, Status, StatusEntry, Talk, Target,
};
pub use history::{CommitInfo, Log, LogOptions, Person, Time};
pub use id::{BlobId, CommitId, ObjectFormat};
pub use index::IndexFile;
pub use refs::{Branch, Head, Label, LabelKind, Tag};
pub use roots::{NamedFile, Roots, WorkTree};
pub use state::InProgress;
pub use tree::TreeFile;
