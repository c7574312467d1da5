//! `mvc`: Git for model weights.
//!
//! A version of a model is a git commit. Its weights lie as tensors in a content-addressed store beside git's own;
//! git holds a small text file per weights file, its sidecar, which names them. A claim about a model is attached
//! to its bytes and measured again.
//!
//! # The layers
//!
//! ```text
//! cli  ->  ops  ->  repo | store | model | eval  ->  base
//! ```
//!
//! Siblings do not know each other, except that `eval` may use `model`; [`ops`] joins them. A test holds the walls.
//!
//! | module | owns | on the disk |
//! | --- | --- | --- |
//! | [`base`] | ids, errors, checked paths, configuration, the one way to the disk | reads `mvc.toml` |
//! | [`store`] | bytes in, id out: packs, chunks, codecs | `<git common dir>/mvc/` |
//! | [`model`] | tensors, file formats, sidecars, what changed | the text of `*.mvc` |
//! | [`repo`] | git: revisions, trees, index, commits, hooks | git's own files, the blocks in `.gitignore` and its kin |
//! | [`eval`] | architectures, suites, claims | the text of `mvc.evals.toml` |
//! | [`ops`] | one verb a file | `<git dir>/mvc/state`, weights and sidecars in the work tree |
//! | [`cli`] | arguments, words, colours, exit codes | nothing |
//!
//! The public interface is [`ops`] and [`base`]: an operation takes a [`ops::Workspace`], its options and a
//! [`base::Progress`], and returns a report that can be serialised. The library never prints, never exits, and takes
//! no current folder.

pub mod base;
pub mod cli;
pub mod eval;
pub mod model;
pub mod ops;
pub mod repo;
pub mod store;
