//! What can go wrong with stored objects.

use crate::base::fs::FsError;
use crate::base::lock::LockError;
use crate::base::{Failure, Kind, ObjectId};

use super::codec::CodecError;

/// Why an object, a pack or an index of the store cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The record that describes the object is not well-formed.
    #[error("its record is malformed: {0}")]
    Record(&'static str),
    /// The chunk values do not yield the id.
    #[error("its chunk values do not yield its id")]
    Proof,
    /// The stored bytes of a chunk changed on the disk.
    #[error("the stored bytes of chunk {0} are damaged")]
    Checksum(u64),
    /// A chunk decodes to other bytes than those that were named.
    #[error("chunk {0} is not what its name says")]
    Value(u64),
    /// A chunk does not decode.
    #[error("chunk {chunk} cannot be decoded: {problem}")]
    Codec {
        /// Which chunk.
        chunk: u64,
        /// What the codec said.
        problem: CodecError,
    },
    /// Bases or parts refer to each other in a circle, or in a chain that is too long.
    #[error("it depends on a chain of more than 8 objects")]
    Depth,
    /// So much of bases would have to be decoded for one of its chunks that nothing in good order can need it.
    #[error("one of its chunks depends on more than 1 GiB of others")]
    Work,
    /// It is not as long as its user says.
    #[error("it is {0} bytes long")]
    Length(u64),
}

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No pack has it.
    #[error("object {id} is not in the store")]
    Missing {
        /// The object.
        id: ObjectId,
    },
    /// It is there, but its bytes are not what its name says.
    #[error("object {id} is damaged in pack {}: {flaw}", pack.short())]
    Damaged {
        /// The object.
        id: ObjectId,
        /// The pack it was read from.
        pack: ObjectId,
        /// What is wrong.
        flaw: Flaw,
    },
    /// A pack whose list of objects cannot be read by any way.
    #[error("pack {pack} is damaged: {what}")]
    Pack {
        /// The pack.
        pack: ObjectId,
        /// What is wrong.
        what: &'static str,
    },
    /// A pack has something that this build does not know.
    #[error("pack {pack} was written by a newer mvc ({what})")]
    Unsupported {
        /// The pack.
        pack: ObjectId,
        /// What is new.
        what: String,
    },
    /// An object is longer than its reader allows.
    #[error("object {id} is {len} bytes long, more than the {limit} that are allowed here")]
    TooLong {
        /// The object.
        id: ObjectId,
        /// Its length.
        len: u64,
        /// What the reader allows.
        limit: u64,
    },
    /// An input ended before the length it had when the work began.
    #[error("input {item} changed while it was read")]
    Changed {
        /// Which of the items given, from 0.
        item: usize,
    },
    /// An input cannot be read.
    #[error("cannot read input {item}")]
    Source {
        /// Which of the items given, from 0.
        item: usize,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// An earlier failure of this writer left nothing that could be published.
    #[error("the writer failed before and has nothing to publish")]
    Aborted,
    /// The user asked to stop.
    #[error("interrupted")]
    Cancelled,
    /// The disk refused.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The store's lock could not be had.
    #[error(transparent)]
    Lock(#[from] LockError),
}

impl Failure for StoreError {
    fn kind(&self) -> Kind {
        match self {
            Self::Missing { .. } => Kind::Missing,
            Self::Damaged { .. } | Self::Pack { .. } => Kind::Damaged,
            Self::Unsupported { .. } => Kind::Unsupported,
            Self::TooLong { .. } => Kind::BadInput,
            Self::Changed { .. } => Kind::Changed,
            Self::Source { .. } => Kind::Io,
            Self::Aborted => Kind::Bug,
            Self::Cancelled => Kind::Cancelled,
            Self::Fs(e) => e.kind(),
            Self::Lock(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { .. } => {
                Some(
                    "fetch it from where this version was made, or bring it back with `mvc gc --restore-trash` if gc \
                     took it away; then run the command again"
                        .into(),
                )
            }
            Self::Damaged { .. } | Self::Pack { .. } => {
                Some("`mvc verify --all` lists everything that is damaged".into())
            }
            Self::Unsupported { .. } => Some("update mvc on this machine".into()),
            Self::Changed { .. } => Some(
                "wait until whatever writes the file is done, then run the command again".into(),
            ),
            Self::TooLong { .. } | Self::Source { .. } | Self::Aborted | Self::Cancelled => None,
            Self::Fs(e) => e.hint(),
            Self::Lock(e) => e.hint(),
        }
    }
}

impl From<StoreError> for std::io::Error {
    fn from(error: StoreError) -> Self {
        let kind = match error.kind() {
            Kind::Missing => std::io::ErrorKind::NotFound,
            Kind::Io => std::io::ErrorKind::Other,
            _ => std::io::ErrorKind::InvalidData,
        };
        std::io::Error::new(kind, error)
    }
}

/// The result of a call of the store.
pub type Result<T> = std::result::Result<T, StoreError>;
