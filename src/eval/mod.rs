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
#[cfg(not(feature = "eval"))]
mod disabled;
pub mod error;
pub mod limits;
#[cfg(feature = "eval")]
mod measure;
pub mod metrics;
#[cfg(feature = "eval")]
mod network;
#[cfg(feature = "eval")]
mod numbers;
pub mod safetensors;
#[cfg(feature = "eval")]
mod score;
pub mod suite;
mod tensors;
pub mod train;

pub use architecture::Architecture;
#[cfg(not(feature = "eval"))]
pub use disabled::measure;
pub use error::{EvalError, ReadError, Result};
#[cfg(feature = "eval")]
pub use measure::measure;
pub use metrics::Measured;
pub use tensors::Tensors;

/// True if this mvc can measure and train.
pub const ENABLED: bool = cfg!(feature = "eval");
