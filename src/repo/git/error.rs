//! What can go wrong with the git program.

use std::path::PathBuf;

use crate::base::kind::{Failure, Kind};
use crate::base::text::printable;

/// The result of running git.
pub(super) type Result<T> = std::result::Result<T, GitError>;

/// The git program refused, failed, or is not there.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is none on `PATH`.
    #[error("there is no git on PATH{}", passed_over_words(passed_over))]
    NoProgram {
        /// Those that lie inside the work tree, and so are not run.
        passed_over: Vec<PathBuf>,
    },
    /// It cannot be started.
    #[error("cannot run {} in {}", program.display(), folder.display())]
    Start {
        /// Its absolute path.
        program: PathBuf,
        /// Where it was to run.
        folder: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// It ended with an error.
    #[error("`{}` {}{}", printable(command), ended(*code), said_words(said))]
    Failed {
        /// The command line.
        command: String,
        /// Its exit code; none where a signal ended it.
        code: Option<i32>,
        /// Its own words; empty where the user has seen them already.
        said: String,
    },
    /// It did not commit, although there was something to commit: a hook said no, there is no identity, signing
    /// failed, or a merge is not resolved.
    #[error("git refused the commit{}", said_words(said))]
    Refused {
        /// Its own words and those of the hook; empty where the user has seen them already.
        said: String,
    },
    /// Its answer makes no sense.
    #[error("cannot read the answer of `{}`", printable(command))]
    Answer {
        /// The command line.
        command: String,
    },
    /// A branch or tag of this name cannot be.
    #[error("`{}` is no possible name for a {what}", printable(name))]
    Name {
        /// `branch` or `tag`.
        what: &'static str,
        /// The name.
        name: String,
    },
}

fn passed_over_words(passed_over: &[PathBuf]) -> String {
    match passed_over {
        [] => String::new(),
        [first, ..] => format!(
            " (passed over {}, which lies inside the work tree)",
            first.display()
        ),
    }
}

fn ended(code: Option<i32>) -> String {
    code.map_or("was killed".into(), |code| {
        format!("ended with exit code {code}")
    })
}

/// Git's own words, one line each, safe for a terminal.
fn said_words(said: &str) -> String {
    match said {
        "" => String::new(),
        said => {
            let lines: Vec<_> = said.lines().map(printable).collect();
            format!(": {}", lines.join("\n"))
        }
    }
}

impl Failure for GitError {
    fn kind(&self) -> Kind {
        match self {
            Self::NoProgram { .. }
            | Self::Start { .. }
            | Self::Failed { .. }
            | Self::Refused { .. }
            | Self::Answer { .. } => Kind::Git,
            Self::Name { .. } => Kind::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoProgram { .. } => Some("install git 2.36 or newer".into()),
            Self::Refused { .. } => Some("nothing was committed; what was staged still is".into()),
            Self::Name { .. } => {
                Some("`git help check-ref-format` lists the rules for names".into())
            }
            Self::Start { .. } | Self::Failed { .. } | Self::Answer { .. } => None,
        }
    }
}
