//! Sidecars: the text that git holds in place of a weights file.
//!
//! The grammar is in `docs/format.md`. There is exactly one text for a given manifest, and [`Manifest::parse`]
//! accepts no other, so that equal models are equal files to git.

mod check;
mod error;
mod group;
mod parse;
mod write;

use std::io;

use crate::base::{Dtype, ObjectId, Progress, ReadAt};

pub(crate) use check::countable;
pub use error::{ManifestError, Result};
pub use group::group_of;
pub use write::Rendered;
pub(crate) use write::write_shape;

/// What a sidecar's name ends with, after the whole name of its weights file.
pub const SUFFIX: &str = ".mvc";

/// The version of the grammar, in the first line.
pub const VERSION: u64 = 1;

/// Above so many tensors the list moves into the store.
pub const MAX_INLINE: usize = 20_000;

/// Above so many bytes the list moves into the store, however few tensors have such long names.
pub const MAX_INLINE_TEXT: usize = 8 << 20;

/// The longest sidecar that is read.
pub const MAX_TEXT: usize = 64 << 20;

/// The longest list that is read out of the store.
pub const MAX_BODY: usize = 512 << 20;

/// The most tensors that a sidecar may announce.
pub const MAX_TENSORS: u64 = 4_000_000;

/// The most dimensions of a tensor.
pub const MAX_RANK: usize = 64;

/// How the bytes of a weights file are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// <https://github.com/huggingface/safetensors>
    Safetensors,
    /// A zip archive written by `torch.save`.
    Torch,
    /// <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>
    Gguf,
    /// Bytes.
    Opaque,
}

impl Format {
    /// All formats.
    pub const ALL: [Format; 4] = [
        Format::Safetensors,
        Format::Torch,
        Format::Gguf,
        Format::Opaque,
    ];

    /// The name in a sidecar's first line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Safetensors => "safetensors",
            Format::Torch => "torch",
            Format::Gguf => "gguf",
            Format::Opaque => "opaque",
        }
    }

    /// Reads a name; `None` where no format of this mvc has it.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// One weights file: its segments in byte order, which cover every byte of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// How the file is understood.
    pub format: Format,
    /// What it is made of, in byte order; none in an empty file.
    pub segments: Vec<Segment>,
}

/// A run of bytes of a weights file, stored as one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Bytes that are no tensor; at least one, and never next to another literal.
    Literal {
        /// How many.
        bytes: u64,
        /// Their object.
        id: ObjectId,
    },
    /// A tensor that lies there whole and in order.
    Tensor(Tensor),
    /// Bytes that tensors look at in some other way.
    Storage(Storage),
}

impl Segment {
    /// Its length in the file.
    pub fn bytes(&self) -> u64 {
        match self {
            Segment::Literal { bytes, .. } => *bytes,
            Segment::Tensor(tensor) => tensor.bytes,
            Segment::Storage(storage) => storage.bytes,
        }
    }

    /// The object that holds its bytes.
    pub fn id(&self) -> ObjectId {
        match self {
            Segment::Literal { id, .. } => *id,
            Segment::Tensor(tensor) => tensor.id,
            Segment::Storage(storage) => storage.id,
        }
    }
}

/// A tensor and every name that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Its name; of several, the first in byte order.
    pub name: String,
    /// How its bytes are read.
    pub dtype: Dtype,
    /// Its sides, none for a scalar.
    pub shape: Vec<u64>,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its object.
    pub id: ObjectId,
    /// Its other names, sorted.
    pub aliases: Vec<String>,
}

/// A torch storage that is seen through views.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Storage {
    /// Its key in the file.
    pub key: String,
    /// How the pickle types it; a view may read it otherwise.
    pub dtype: Dtype,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its object.
    pub id: ObjectId,
    /// What looks at it, at least one, sorted by offset and name.
    pub views: Vec<View>,
}

/// A tensor that lies somewhere in a storage.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// Its name.
    pub name: String,
    /// How its elements are read.
    pub dtype: Dtype,
    /// Its sides.
    pub shape: Vec<u64>,
    /// Where its first element lies in the storage, in bytes.
    pub offset: u64,
    /// Elements from one index to the next, per side; empty where it lies whole and in order.
    pub strides: Vec<u64>,
    /// The BLAKE3 of the tensor laid out whole and in order, so that it equals the id of the same tensor in
    /// any other file. No object of that name need exist.
    pub id: ObjectId,
}

/// A named tensor of a weights file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// How its bytes are read.
    pub dtype: Dtype,
    /// Its sides.
    pub shape: Vec<u64>,
    /// The BLAKE3 of the tensor laid out whole and in order.
    pub id: ObjectId,
    /// Where it lies.
    pub location: Location,
}

/// Where a tensor's bytes lie, in the file and in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Where they begin in the file.
    pub offset: u64,
    /// The object that holds them.
    pub object: ObjectId,
    /// Where they begin in that object.
    pub within: u64,
    /// From the first to the last byte; of a strided tensor this is more or less than its own length.
    pub bytes: u64,
    /// Elements from one index to the next, per side; `None` where the tensor lies whole and in order.
    pub strides: Option<Vec<u64>>,
}

/// A segment and where it begins in the file.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// Where it begins.
    pub offset: u64,
    /// What it is.
    pub segment: &'a Segment,
}

/// What a sidecar's text says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sidecar {
    /// Everything.
    Inline(Manifest),
    /// Where the list is: it was too long for git.
    Stored(Stored),
}

/// A list of segments that lies in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// How the file is understood.
    pub format: Format,
    /// How many tensors the list names.
    pub count: u64,
    /// The object that holds its text.
    pub id: ObjectId,
}

impl Manifest {
    /// The length of the weights file.
    pub fn file_len(&self) -> u64 {
        self.segments
            .iter()
            .fold(0, |sum, segment| sum.saturating_add(segment.bytes()))
    }

    /// Its segments with their places, in byte order.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let mut end = 0u64;
        self.segments.iter().map(move |segment| {
            let offset = end;
            end = end.saturating_add(segment.bytes());
            Piece { offset, segment }
        })
    }

    /// How many names of tensors there are, aliases and views included.
    pub fn count(&self) -> usize {
        let names = |segment: &Segment| match segment {
            Segment::Literal { .. } => 0,
            Segment::Tensor(tensor) => 1 + tensor.aliases.len(),
            Segment::Storage(storage) => storage.views.len(),
        };
        self.segments.iter().map(names).sum()
    }

    /// Every named tensor in the order of the file, aliases and views included.
    pub fn tensors(&self) -> Vec<Entry> {
        let mut entries = Vec::with_capacity(self.count());
        for piece in self.pieces() {
            match piece.segment {
                Segment::Literal { .. } => {}
                Segment::Tensor(tensor) => entries.extend(
                    std::iter::once(&tensor.name)
                        .chain(&tensor.aliases)
                        .map(|name| tensor.entry(name, piece.offset)),
                ),
                Segment::Storage(storage) => entries.extend(
                    storage
                        .views
                        .iter()
                        .map(|view| view.entry(storage, piece.offset)),
                ),
            }
        }
        entries
    }

    /// Every stored object in byte order, an object that several segments share once for each: its id, its
    /// length, and for tensors how its bytes are read.
    pub fn objects(&self) -> Vec<(ObjectId, u64, Option<Dtype>)> {
        let dtype = |segment: &Segment| match segment {
            Segment::Literal { .. } => None,
            Segment::Tensor(tensor) => Some(tensor.dtype.clone()),
            Segment::Storage(storage) => Some(storage.dtype.clone()),
        };
        self.segments
            .iter()
            .map(|segment| (segment.id(), segment.bytes(), dtype(segment)))
            .collect()
    }
}

impl Storage {
    /// True where all its views are one tensor that is the whole of it, in order: then it is no storage but that
    /// [`Tensor`].
    pub(crate) fn is_tensor(&self) -> bool {
        let whole = |view: &View| {
            let bytes = view.dtype.bytes(&view.shape);
            view.offset == 0 && view.strides.is_empty() && bytes == Some(self.bytes)
        };
        self.views.first().is_some_and(|first| {
            let alike = |view: &View| (&view.dtype, &view.shape) == (&first.dtype, &first.shape);
            self.views.iter().all(|view| whole(view) && alike(view))
        })
    }
}

impl Tensor {
    fn entry(&self, name: &str, offset: u64) -> Entry {
        Entry {
            name: name.to_owned(),
            dtype: self.dtype.clone(),
            shape: self.shape.clone(),
            id: self.id,
            location: Location {
                offset,
                object: self.id,
                within: 0,
                bytes: self.bytes,
                strides: None,
            },
        }
    }
}

impl View {
    /// How it lies in its storage; `None` where its numbers cannot be: an unknown element size, an overflow.
    pub(crate) fn strided(&self) -> Option<crate::model::view::Strided> {
        crate::model::view::Strided::new(self.offset, &self.dtype, &self.shape, &self.strides)
    }

    /// The id of its elements in the bytes of its storage, which begins at `base` of `source`: it proves or refutes the
    /// one that it has.
    pub fn id_in(
        &self,
        source: &dyn ReadAt,
        base: u64,
        progress: &dyn Progress,
    ) -> io::Result<ObjectId> {
        match self.strided() {
            Some(strided) => strided.of(source, base).id(progress),
            None => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn entry(&self, storage: &Storage, offset: u64) -> Entry {
        Entry {
            name: self.name.clone(),
            dtype: self.dtype.clone(),
            shape: self.shape.clone(),
            id: self.id,
            location: Location {
                offset: offset.saturating_add(self.offset),
                object: storage.id,
                within: self.offset,
                bytes: self.strided().map_or(0, |strided| strided.extent()),
                strides: (!self.strides.is_empty()).then(|| self.strides.clone()),
            },
        }
    }
}

#[cfg(test)]
mod tests;
