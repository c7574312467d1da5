//! One file per command: wiring, words, exit codes. What an operation does is tested beside it.

mod completions;
mod demo;
mod diff;
mod hooks;
mod shards;
