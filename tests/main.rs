//! The tests of mvc from outside, in one binary: linking one is much faster than linking many.

mod cli;
mod git_commands;
mod docs;
mod style;
mod support;
