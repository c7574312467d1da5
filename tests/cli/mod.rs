//! One file per command: wiring, words, exit codes. What an operation does is tested beside it.

mod add;
mod checkout;
mod commit;
mod completions;
mod demo;
mod diff;
mod du;
#[cfg(feature = "eval")]
mod eval;
#[cfg(feature = "eval")]
mod eval_bad;
#[cfg(feature = "eval")]
mod eval_key;
#[cfg(feature = "eval")]
mod eval_process;
mod gc;
mod gguf;
mod history;
mod hooks;
mod init;
mod json;
mod lost;
mod rearranged;
mod repack;
mod repair;
mod restore;
mod shards;
mod sidecars;
mod track;
mod verify;
