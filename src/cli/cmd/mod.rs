//! One file per command: its arguments (doc comments are the help), and `run`, which calls one operation and
//! shows its report.

pub(super) mod add;
pub(super) mod branch;
pub(super) mod checkout;
pub(super) mod commit;
pub(super) mod completions;
pub(super) mod demo;
pub(super) mod diff;
pub(super) mod du;
pub(super) mod eval;
pub(super) mod eval_worker;
pub(super) mod gc;
pub(super) mod hook;
pub(super) mod hooks;
pub(super) mod init;
pub(super) mod log;
pub(super) mod metrics;
pub(super) mod reference;
pub(super) mod restore;
pub(super) mod show;
pub(super) mod status;
pub(super) mod tag;
pub(super) mod track;
pub(super) mod untrack;
pub(super) mod verify;
