//! One file per command: wiring, words, exit codes. What an operation does is tested beside it.

mod add;
mod checkout;
mod commit;
mod completions;
mod demo;
mod diff;
mod hooks;
mod shards;
mod history;
mod init;
mod json;
mod restore;
mod track;
mod verify;
