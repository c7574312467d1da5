//! Model files as tensors: what lies where in a weights file, how that is written down, and what changed
//! between two versions.
//!
//! Everything here is pure: it reads bytes through [`ReadAt`](crate::base::ReadAt) and returns values. It opens
//! no file, stores nothing and executes nothing that a file asks for. Terms:
//!
//! - **tiling**: a cut of a weights file into spans that cover every byte of it ([`Tiling`]).
//! - **sidecar**: a tiling with the id of every span, as text in git ([`Manifest`]).
//! - **literal**: a run of bytes that is no tensor: a header, padding, a zip directory, a whole opaque file.
//! - **storage**: bytes that torch tensors look at through views, maybe several at once.
//! - **weights id**: one id for all tensors of a model, whatever files they lie in ([`weights_id`]).

pub mod diff;
pub mod format;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
pub mod identity;
pub mod manifest;
pub mod shards;
pub mod stats;
pub mod verdict;
pub mod view;

#[cfg(test)]
pub(crate) mod testing;

pub use format::{How, Scanned, Tiling, scan, tile_as};
pub use identity::weights_id;
pub use manifest::{Entry, Format, Location, Manifest, Segment, Sidecar, Storage, Tensor, View};
