//! The tests of mvc from outside, in one binary: linking one is much faster than linking many.

mod cli;
mod docs;
mod git_commands;
mod real_models;
mod crash;
mod interop;
mod roundtrip;
mod style;
mod support;
