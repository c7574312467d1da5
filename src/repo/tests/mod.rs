//! Real git is asked the same questions.

mod changing;
mod files;
mod finding;
mod history;
mod roots;

use std::path::Path;

use super::sandbox::Sandbox;
use super::*;
use crate::base::{Failure, Kind, RepoPath};

fn path(text: &str) -> RepoPath {
    RepoPath::new(text).expect("a good path")
}

fn id(hex: &str) -> CommitId {
    CommitId::from_hex(hex).expect("an id")
}
