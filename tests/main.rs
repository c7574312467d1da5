//! The tests of mvc from outside, in one binary: linking one is much faster than linking many.

mod attacks;
mod cli;
mod crash;
#[cfg(feature = "eval")]
mod docs;
mod git_commands;
mod interop;
mod links;
#[cfg(feature = "eval")]
mod real_models;
mod roundtrip;
mod style;
mod support;
mod unchanged;
mod writeback;
