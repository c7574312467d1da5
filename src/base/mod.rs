//! What every layer stands on: names, errors, paths, configuration, and the one way to the disk.
//!
//! Nothing here knows git, packs, file formats or networks. Terms:
//!
//! - **object**: raw bytes named by their BLAKE3 ([`ObjectId`]).
//! - **dtype**: how the bytes of a tensor are read as numbers ([`Dtype`]).
//! - **seam**: [`Fs`], through which every write, sync, rename and unlink goes, so that tests can count
//!   them and make any of them fail.

pub mod config;
pub mod dtype;
pub mod fields;
pub mod fs;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
pub mod id;
pub mod kind;
pub mod litter;
pub mod lock;
pub mod path;
pub mod patterns;
pub mod progress;
pub mod quant;
pub mod source;
pub mod text;
pub mod walk;

pub use dtype::Dtype;
pub use fields::Fields;
pub use fs::Fs;
pub use id::ObjectId;
pub use kind::{Failure, Kind};
pub use path::RepoPath;
pub use progress::Progress;
pub use quant::Quant;
pub use source::ReadAt;
