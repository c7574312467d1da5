//! The evaluator: runs a model on a suite's data, and compares with what a commit claims.
//!
//! Terms:
//!
//! - **architecture**: how tensors are put together ([`Architecture`]).
//! - **suite**: data, a task, and bounds ([`crate::base::config::Suite`], checked in [`suite`]).
//! - **claim**: metrics that were recorded for certain weights, architecture, tokenizer, suite and data ([`claim`]).
//! - **outcome**: pass, fail, or cannot compare, which is never a pass ([`claim::Outcome`]).
//!
//! This layer opens no files: it reads through [`Tensors`], which the caller implements over a work tree or the
//! store, having checked the bytes. It runs in a process of its own, which limits itself by [`limits`].
//! Everything but running a network is there without the feature `eval`, too.

mod answer;
pub mod architecture;
pub mod claim;
pub mod error;
pub mod limits;
pub mod metrics;
pub mod suite;
mod tensors;

#[cfg(feature = "eval")]
pub mod measure;
#[cfg(feature = "eval")]
mod network;

pub use architecture::Architecture;
pub use error::{EvalError, ReadError, Result};
pub use metrics::Measured;
pub use tensors::Tensors;
