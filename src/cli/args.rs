//! The flags that every command has.

use std::path::PathBuf;

use crate::base::{Failure, Kind};

/// The flags that every command has.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Run as if started in this folder
    #[arg(short = 'C', value_name = "DIR", global = true)]
    pub folder: Vec<PathBuf>,
    /// Print only what was asked for: no notes, no progress
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more of what happens
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Print the report as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// When to use colour; NO_COLOR turns `auto` off
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true)]
    pub color: clap::ColorChoice,
}

impl Global {
    /// The folder that the command is for, absolute. As in git, each `-C` is relative to the one before it.
    pub fn folder(&self) -> Result<PathBuf, FolderError> {
        let mut folder =
            std::env::current_dir().map_err(|source| FolderError::Current { source })?;
        for step in &self.folder {
            folder.push(step);
            if !folder.is_dir() {
                return Err(FolderError::NotAFolder { path: step.clone() });
            }
        }
        Ok(folder)
    }
}

/// There is no folder to work in.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The current folder cannot be found out: it was removed, or a folder above it cannot be read.
    #[error("the current folder cannot be found")]
    Current {
        /// What the system said.
        source: std::io::Error,
    },
    /// `-C` names none.
    #[error("cannot change to {}: there is no such folder", path.display())]
    NotAFolder {
        /// As it was given.
        path: PathBuf,
    },
}

impl Failure for FolderError {
    fn kind(&self) -> Kind {
        match self {
            FolderError::Current { .. } => Kind::Io,
            FolderError::NotAFolder { .. } => Kind::NotFound,
        }
    }
}
