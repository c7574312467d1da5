//! What can go wrong between weights and a score.

use crate::base::text::{count, printable};
use crate::base::{Dtype, Failure, Kind};

/// The result of anything here.
pub type Result<T> = std::result::Result<T, EvalError>;

/// An evaluation cannot be made.
///
/// A score outside its tolerance is no error: see [`super::claim::Outcome`].
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// Nothing says how the weights are put together.
    #[error("neither `layers` nor a config.json says how the model is put together")]
    NoArchitecture,
    /// `mvc.toml` describes a model or a suite that cannot be.
    #[error("{place}: {problem}")]
    Contradiction {
        /// Which layer, suite or key.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
    /// config.json is no JSON, or lacks a field, or has one of the wrong type.
    #[error("config.json {0}")]
    ConfigJson(String),
    /// An architecture, or a part of one, that is not built in.
    #[error("{what} is not supported")]
    Unsupported {
        /// The field and its value.
        what: String,
    },
    /// The weights lack tensors that the architecture needs.
    #[error("the weights lack {}", some(.0))]
    Lacking(Vec<String>),
    /// A tensor of the weights has another shape than the architecture gives it.
    #[error("the tensor `{}` has shape {found}, and {wanted}", printable(tensor))]
    Shape {
        /// Its name.
        tensor: String,
        /// Its shape, as `[3, 4]`.
        found: String,
        /// What the architecture wants, as a clause.
        wanted: String,
    },
    /// A tensor's elements cannot be computed with.
    #[error("the tensor `{}` has dtype {dtype}, and {wanted}", printable(tensor))]
    Dtype {
        /// Its name.
        tensor: String,
        /// Its dtype.
        dtype: Dtype,
        /// What is needed, as a clause.
        wanted: &'static str,
    },
    /// A tensor holds a number that F32 does not.
    #[error(
        "the tensor `{}` holds a number beyond F32, in which all is computed",
        printable(tensor)
    )]
    Beyond {
        /// Its name.
        tensor: String,
    },
    /// The suite's data has no tensor of that name.
    #[error("the data has no tensor `{}`, only {}", printable(tensor), some(known))]
    NoData {
        /// The name that the suite gives.
        tensor: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// A tensor of the suite's data does not fit the task or the model.
    #[error("the data's tensor `{}` {problem}", printable(tensor))]
    Data {
        /// Its name.
        tensor: String,
        /// What is wrong, as a predicate.
        problem: String,
    },
    /// A layer was handed numbers of a shape that it cannot take.
    #[error("{layer}: {problem}")]
    Layer {
        /// Which one, as in "layer 3 (linear `fc1`)".
        layer: String,
        /// What is wrong.
        problem: String,
    },
    /// A tensor's bytes could not be read.
    #[error("cannot read the tensor `{}`", printable(tensor))]
    Read {
        /// Its name.
        tensor: String,
        /// What the reader said.
        source: ReadError,
    },
    /// The operating system refused a limit.
    #[error("cannot limit this process's {what}")]
    Limit {
        /// Memory or time.
        what: &'static str,
        /// What it said.
        source: std::io::Error,
    },
    /// A measurement that came from another process cannot be read.
    #[error("the evaluator's answer is malformed: {0}")]
    Answer(&'static str),
    /// The numerical library refused something that was checked before.
    #[error("cannot compute {what}")]
    Compute {
        /// What was being computed.
        what: String,
        /// What the library said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The user asked to stop.
    #[error("the evaluation was interrupted")]
    Cancelled,
    /// This mvc was built without the evaluator.
    #[error("this mvc was built without its evaluator")]
    Disabled,
}

impl Failure for EvalError {
    fn kind(&self) -> Kind {
        match self {
            Self::NoArchitecture | Self::Contradiction { .. } => Kind::Config,
            Self::ConfigJson(_)
            | Self::Lacking(_)
            | Self::Shape { .. }
            | Self::Data { .. }
            | Self::Layer { .. } => Kind::BadInput,
            Self::Unsupported { .. }
            | Self::Dtype { .. }
            | Self::Beyond { .. }
            | Self::Disabled => Kind::Unsupported,
            Self::NoData { .. } => Kind::NotFound,
            Self::Read { source, .. } => source.0.kind(),
            Self::Limit { .. } => Kind::Io,
            Self::Answer(_) | Self::Compute { .. } => Kind::Bug,
            Self::Cancelled => Kind::Cancelled,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoArchitecture => {
                Some("give the model `layers` in mvc.toml, or put its config.json beside it".into())
            }
            Self::Disabled => Some("build it with `cargo build --release --features eval`".into()),
            Self::Read { source, .. } => source.0.hint(),
            Self::Contradiction { .. }
            | Self::ConfigJson(_)
            | Self::Unsupported { .. }
            | Self::Lacking(_)
            | Self::Shape { .. }
            | Self::Dtype { .. }
            | Self::Beyond { .. }
            | Self::NoData { .. }
            | Self::Data { .. }
            | Self::Layer { .. }
            | Self::Limit { .. }
            | Self::Answer(_)
            | Self::Compute { .. }
            | Self::Cancelled => None,
        }
    }
}

/// What a reader of tensors said, whichever layer it lives in.
#[derive(Debug)]
pub struct ReadError(Box<dyn Failure>);

impl<F: Failure> From<F> for ReadError {
    fn from(failure: F) -> Self {
        Self(Box::new(failure))
    }
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// A few of many names: "`a`, `b` and 3 others".
fn some(names: &[String]) -> String {
    const SHOWN: usize = 4;
    let shown: Vec<_> = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{}`", printable(name)))
        .collect();
    match names.len().saturating_sub(SHOWN) {
        0 if names.is_empty() => "none".into(),
        0 => shown.join(", "),
        more => format!("{} and {}", shown.join(", "), count(more, "other")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_of_names_are_cut() {
        let names: Vec<_> = (0..6).map(|i| format!("t{i}")).collect();
        assert_eq!(
            EvalError::Lacking(names).to_string(),
            "the weights lack `t0`, `t1`, `t2`, `t3` and 2 others"
        );
        assert_eq!(
            EvalError::Lacking(vec!["a\u{1b}".into()]).to_string(),
            "the weights lack `a\\u{1b}`"
        );
    }
}
