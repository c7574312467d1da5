//! One file per command: wiring, words, exit codes. What an operation does is tested beside it.

mod add;
mod checkout;
mod commit;
mod completions;
mod demo;
mod diff;
mod history;
mod hooks;
mod init;
mod json;
mod restore;
mod shards;
mod sidecars;
mod track;
mod verify;
