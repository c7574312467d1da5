//! What can be wrong with a sidecar.

use super::{MAX_BODY, MAX_RANK, MAX_TENSORS, MAX_TEXT, VERSION};
use crate::base::text::printable;
use crate::base::{Failure, Kind, ObjectId};

/// The result of reading or checking a sidecar.
pub type Result<T> = std::result::Result<T, ManifestError>;

/// A sidecar that cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A merge left its marks.
    #[error("line {line} of the sidecar is a conflict marker of an unfinished merge")]
    Conflict {
        /// The line, from 1.
        line: usize,
    },
    /// Lines end as on Windows: git rewrote the file.
    #[error("line {line} of the sidecar ends with a carriage return")]
    LineEndings {
        /// The line, from 1.
        line: usize,
    },
    /// Its version, format or a kind of line is not known here.
    #[error("the sidecar was written by a newer mvc: {what}")]
    Newer {
        /// What is not known.
        what: String,
    },
    /// No UTF-8.
    #[error("the sidecar is not UTF-8 text")]
    Encoding,
    /// Longer than anything mvc writes.
    #[error("the sidecar has {bytes} bytes, and at most {MAX_TEXT} are read")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A line that says nothing.
    #[error("line {line} of the sidecar {problem}")]
    Malformed {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// It can be understood, but mvc would have written it otherwise.
    #[error("line {line} of the sidecar is not as mvc writes it")]
    NotCanonical {
        /// The line, from 1.
        line: usize,
    },
    /// What a tensor's line says cannot be.
    #[error("the sidecar's tensor {:?} {problem}", printable(name))]
    Tensor {
        /// The tensor or storage.
        name: String,
        /// What is wrong with it.
        problem: TensorProblem,
    },
    /// More tensors than can be.
    #[error("the sidecar announces {count} tensors, and at most {MAX_TENSORS} are read")]
    TooMany {
        /// How many.
        count: u64,
    },
    /// A list that no reader would take, such as that of many tensors with very long names.
    #[error(
        "the list of its tensors would have more than {MAX_BODY} bytes, which is more than are read"
    )]
    LongList,
    /// A list that belongs into the store.
    #[error("the sidecar's list of tensors is too long to be written out")]
    Inline,
    /// A list that belongs into the sidecar.
    #[error("the sidecar's list of tensors is short, and lies in the store all the same")]
    Stored,
    /// A safetensors file begins with its header, and has no other bytes that are no tensor.
    #[error(
        "the sidecar does not begin with the one literal that a safetensors file has, its header"
    )]
    Literals,
    /// A GGUF file begins with its header, and a tensor follows.
    #[error("the sidecar does not begin with what a GGUF file has, its header and a tensor")]
    NoHeader,
    /// The segments are longer than a file can be.
    #[error("the sidecar's segments together are longer than any file")]
    Overflow,
    /// The list in the store is not the one that the sidecar announces.
    #[error("the list of tensors {id} names {found} tensors, not {count}")]
    Count {
        /// The list.
        id: ObjectId,
        /// How many the sidecar announces.
        count: u64,
        /// How many it has.
        found: u64,
    },
    /// The weights file has another length.
    #[error("the file has {found} bytes, and its sidecar describes {expected}")]
    Length {
        /// By the sidecar.
        expected: u64,
        /// In truth.
        found: u64,
    },
    /// The weights file's own header is not as long as the literal that it should be.
    #[error("the file's header has {found} bytes, and its sidecar describes {expected}")]
    HeaderLength {
        /// By the sidecar.
        expected: u64,
        /// In truth.
        found: u64,
    },
    /// The weights file's own header says something else.
    #[error(
        "the sidecar and the file's header disagree about {:?}",
        printable(name)
    )]
    Disagrees {
        /// The first tensor they disagree about.
        name: String,
    },
    /// The weights file's own header cannot be read.
    #[error("the header of the file that the sidecar describes cannot be read")]
    Header(#[source] Box<crate::model::format::FormatError>),
}

/// What cannot be about one tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TensorProblem {
    /// Two have its name.
    #[error("is listed twice")]
    Duplicate,
    /// Dtype and shape need another number of bytes.
    #[error("has a length that its dtype and shape do not give")]
    Length,
    /// More dimensions than are read.
    #[error("has more than {MAX_RANK} dimensions")]
    Rank,
    /// More elements than can be counted.
    #[error("has sides whose product is too large")]
    Sides,
    /// No bytes, and the id of some.
    #[error("has no bytes, and an id that is not that of no bytes")]
    Empty,
    /// A view that leaves its storage, or whose numbers overflow.
    #[error("reaches beyond its storage")]
    Bounds,
    /// Views that spread few bytes over far more elements than there are.
    #[error("repeats its bytes too often")]
    Spread,
    /// Names or views not in their order.
    #[error("is not in its place in the order")]
    Order,
    /// Strides that say what no strides would say, or are not in their one form.
    #[error("has strides that are not as mvc writes them")]
    Strides,
    /// A storage without views.
    #[error("is a storage without views")]
    Unseen,
    /// A storage that should be written as a tensor.
    #[error("is a storage that is one whole tensor")]
    Whole,
    /// A storage that is stored as other numbers than its first view has.
    #[error("is a storage of another dtype than its first view")]
    StorageDtype,
    /// An opaque file has no tensors, and only torch has storages.
    #[error("is of a kind that the file's format does not have")]
    Kind,
}

impl Failure for ManifestError {
    fn kind(&self) -> Kind {
        match self {
            Self::Conflict { .. } => Kind::Conflict,
            Self::Newer { .. } => Kind::Unsupported,
            Self::LineEndings { .. }
            | Self::Encoding
            | Self::TooLong { .. }
            | Self::Malformed { .. }
            | Self::NotCanonical { .. }
            | Self::Tensor { .. }
            | Self::TooMany { .. }
            | Self::LongList
            | Self::Inline
            | Self::Stored
            | Self::Literals
            | Self::NoHeader
            | Self::Overflow
            | Self::Count { .. }
            | Self::Length { .. }
            | Self::HeaderLength { .. }
            | Self::Disagrees { .. } => Kind::BadInput,
            Self::Header(source) => source.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Conflict { .. } => Some(
                "take one side of the sidecar with `git checkout --ours` or `git checkout --theirs`, \
                 then `git add` it"
                    .into(),
            ),
            Self::LineEndings { .. } => Some(
                "git rewrote it; run `mvc init` to add `*.mvc text eol=lf` to .gitattributes, \
                 then check the sidecar out again"
                    .into(),
            ),
            Self::Newer { .. } => Some(format!(
                "update mvc; this one reads version {VERSION} of sidecars"
            )),
            Self::Header(source) => source.hint(),
            Self::Encoding
            | Self::TooLong { .. }
            | Self::Malformed { .. }
            | Self::NotCanonical { .. }
            | Self::Tensor { .. }
            | Self::TooMany { .. }
            | Self::LongList
            | Self::Inline
            | Self::Stored
            | Self::Literals
            | Self::NoHeader
            | Self::Overflow
            | Self::Count { .. }
            | Self::Length { .. }
            | Self::HeaderLength { .. }
            | Self::Disagrees { .. } => None,
        }
    }
}
