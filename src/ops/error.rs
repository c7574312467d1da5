//! What goes wrong in an operation: an error of a lower layer, put into the words of what was tried.

use crate::base::config::ConfigError;
use crate::base::fs::FsError;
use crate::base::lock::LockError;
use crate::base::path::PathError;
use crate::base::patterns::PatternError;
use crate::base::{Failure, Kind, RepoPath};

/// An operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk refused.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The object store refused or is damaged.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// A sidecar cannot be read.
    #[error(transparent)]
    Manifest(#[from] crate::model::manifest::ManifestError),
    /// A weights file cannot be read.
    #[error(transparent)]
    Format(#[from] crate::model::format::FormatError),
    /// git, or the repository, refused.
    #[error(transparent)]
    Repo(#[from] crate::repo::RepoError),
    /// The git program refused or failed.
    #[error(transparent)]
    Git(#[from] crate::repo::GitError),
    /// A block in an ignore or attributes file is torn.
    #[error(transparent)]
    Block(#[from] crate::repo::block::BlockError),
    /// A git hook cannot be installed or removed.
    #[error(transparent)]
    Hooks(#[from] crate::repo::hooks::HooksError),
    /// Claims cannot be read.
    #[error(transparent)]
    Claim(#[from] crate::eval::claim::ClaimError),
    /// An index of shards cannot be read.
    #[error(transparent)]
    Shards(#[from] crate::model::shards::IndexError),
    /// Tensors cannot be read to compare them.
    #[error(transparent)]
    Stats(crate::model::stats::StatsError),
    /// The evaluator refused.
    #[error(transparent)]
    Eval(#[from] crate::eval::EvalError),
    /// `mvc.toml` cannot be followed.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Another process is at work.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A path leads out of the repository.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A pattern cannot be read.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// What was tried when something else went wrong.
    #[error("{tried}")]
    During {
        /// What was tried, on what.
        tried: String,
        /// What went wrong.
        source: Box<Error>,
    },
    /// An operation's own refusal.
    #[error("{message}")]
    Refused {
        /// What it means.
        kind: Kind,
        /// What, on what, and why.
        message: String,
        /// What to type next.
        hint: Option<String>,
    },
    /// A weights file changed under a running command.
    #[error("{0} changed while it was read")]
    Changed(RepoPath),
}

/// The result of an operation.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A refusal without advice.
    pub(crate) fn refused(kind: Kind, message: impl Into<String>) -> Self {
        Self::Refused {
            kind,
            message: message.into(),
            hint: None,
        }
    }

    /// A refusal with what to type next.
    pub(crate) fn advised(kind: Kind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused {
            kind,
            message: message.into(),
            hint: Some(hint.into()),
        }
    }
}

impl Failure for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Fs(e) => e.kind(),
            Self::Store(e) => e.kind(),
            Self::Manifest(e) => e.kind(),
            Self::Format(e) => e.kind(),
            Self::Repo(e) => e.kind(),
            Self::Git(e) => e.kind(),
            Self::Block(e) => e.kind(),
            Self::Hooks(e) => e.kind(),
            Self::Claim(e) => e.kind(),
            Self::Shards(e) => e.kind(),
            Self::Stats(e) => e.kind(),
            Self::Eval(e) => e.kind(),
            Self::Config(e) => e.kind(),
            Self::Lock(e) => e.kind(),
            Self::Path(e) => e.kind(),
            Self::Pattern(e) => e.kind(),
            Self::During { source, .. } => source.kind(),
            Self::Refused { kind, .. } => *kind,
            Self::Changed(_) => Kind::Changed,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Fs(e) => e.hint(),
            Self::Store(e) => e.hint(),
            Self::Manifest(e) => e.hint(),
            Self::Format(e) => e.hint(),
            Self::Repo(e) => e.hint(),
            Self::Git(e) => e.hint(),
            Self::Block(e) => e.hint(),
            Self::Hooks(e) => e.hint(),
            Self::Claim(e) => e.hint(),
            Self::Shards(e) => e.hint(),
            Self::Stats(e) => e.hint(),
            Self::Eval(e) => e.hint(),
            Self::Config(e) => e.hint(),
            Self::Lock(e) => e.hint(),
            Self::Path(e) => e.hint(),
            Self::Pattern(e) => e.hint(),
            Self::During { source, .. } => source.hint(),
            Self::Refused { hint, .. } => hint.clone(),
            Self::Changed(_) => {
                Some("wait until nothing writes to it, then run the command again".into())
            }
        }
    }
}

/// What the store said of a damaged or missing object is told as its own, whoever was reading.
impl From<crate::model::stats::StatsError> for Error {
    fn from(error: crate::model::stats::StatsError) -> Self {
        use crate::model::stats::StatsError;
        match error {
            StatsError::Read(error) => match error.downcast::<crate::store::StoreError>() {
                Ok(error) => Self::Store(error),
                Err(error) => Self::Stats(StatsError::Read(error)),
            },
            StatsError::Shape | StatsError::Cancelled => Self::Stats(error),
        }
    }
}

/// Adds what was tried to an error.
pub(crate) trait During<T> {
    /// `tried` is evaluated only where something went wrong.
    fn during<S: Into<String>>(self, tried: impl FnOnce() -> S) -> Result<T>;
}

impl<T, E: Into<Error>> During<T> for std::result::Result<T, E> {
    fn during<S: Into<String>>(self, tried: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|e| Error::During {
            tried: tried().into(),
            source: Box::new(e.into()),
        })
    }
}
