//! One verb a file: what mvc does, without a terminal.
//!
//! An operation takes a [`Workspace`], its options and a [`Progress`](crate::base::Progress), and returns a plain
//! report that can be serialised. Nothing here prints, exits, or reads the process's environment. This layer is the
//! only glue between the repository, the store, the models and the evaluator, which do not know each other.
//!
//! Terms:
//!
//! - **tracked**: a weights file that has a sidecar ([`tracked`]).
//! - **stamp**: what a weights file was last known to hold, and its stat data then ([`state`]).
//! - **dirty**: a weights file that is not what its sidecar says; mvc never overwrites it unasked.
//! - **materialise**: to write weights from the store into the work tree ([`materialise`]).
//! - **reconcile**: to materialise what plain git has changed the sidecars of ([`reconcile`]).

pub mod add;
pub mod blocks;
pub mod checkout;
pub mod commit;
pub mod demo;
pub mod diff;
pub mod du;
pub mod error;
pub mod eval;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
pub mod gc;
mod history;
pub mod hook;
pub mod hooks;
pub mod init;
pub mod kindred;
pub mod log;
pub mod materialise;
pub mod metrics;
pub mod models;
mod plain;
pub mod reconcile;
pub mod refs;
pub mod relatives;
pub mod restore;
pub mod shards;
pub mod show;
pub mod sides;
pub mod state;
pub mod status;
pub mod track;
pub mod tracked;
pub mod verify;
pub mod weights;
mod workspace;

pub use crate::eval::claim::Verdict;
pub use crate::repo::hooks::{
    Action as HookAction, HookStatus, State as HookState, Step as HookStep,
};
pub use crate::repo::{Branch, CommitInfo, CommitOptions, Environment, Label, Tag, Talk};
pub use error::{Error, Result};
pub use workspace::Workspace;

/// How many threads an operation spreads its work over.
pub(crate) fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}
