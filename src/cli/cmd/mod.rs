//! One file per command: its arguments (doc comments are the help), and `run`, which calls one operation and
//! shows its report.

pub(super) mod completions;
pub(super) mod reference;
