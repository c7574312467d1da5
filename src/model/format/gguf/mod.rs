//! Files of ggml and llama.cpp (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>): keys with values, a
//! list of tensors, then their bytes, each at a multiple of the alignment.
//!
//! Read strictly, and of the values only what says where the tensors lie. Accepted beyond what ggml reads: arrays in
//! arrays, longer names, any order of the tensors, and bytes between and after them that are no tensor's.

mod cursor;
mod metadata;
mod types;

use std::collections::HashSet;

use super::tiling::{Placed, Tiling, UNKNOWN};
use super::{FormatError, Result};
use crate::base::ReadAt;
use crate::base::text::printable;
use crate::model::manifest::{
    Format, MAX_TENSORS, Manifest, ManifestError, Segment, Tensor, countable,
};
use cursor::Cursor;
pub(crate) use types::has;

/// The longest header that is read: keys, values and the list of tensors.
const MAX_HEADER: u64 = 256 << 20;

/// The most keys that are read.
const MAX_KEYS: u64 = 1 << 16;

/// The longest key or name of a tensor that is read, in bytes.
const MAX_NAME: u64 = u16::MAX as u64;

/// The most sides of a tensor.
pub(crate) const MAX_SIDES: usize = 4;

/// What a file with one tensor takes up before that tensor, at least: the counts, a tensor without name or sides,
/// and padding to a multiple of 8.
pub(crate) const LEAST_HEADER: u64 = 48;

/// Why a file is kept as plain bytes.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Not even the magic number.
    #[error("it does not begin with `GGUF`")]
    NotGguf,
    /// Numbers of a big-endian machine.
    #[error("its numbers are big-endian")]
    BigEndian,
    /// An older or newer layout.
    #[error("it is GGUF of version {0}, and versions 2 and 3 are read")]
    Version(u32),
    /// A header that goes on where the file does not.
    #[error("its header goes on after the file ends")]
    Cut,
    /// More than is read.
    #[error("its header has more than {MAX_HEADER} bytes, which is more than are read")]
    LongHeader,
    /// More keys than are read.
    #[error("it announces {0} keys, and at most {MAX_KEYS} are read")]
    Keys(u64),
    /// More tensors than are read.
    #[error("it announces {0} tensors, and at most {MAX_TENSORS} are read")]
    Tensors(u64),
    /// A key or a name that is not read.
    #[error("it has a key or a name of {0} bytes, and at most {MAX_NAME} are read")]
    LongName(u64),
    /// A name that is no text.
    #[error("the name of its tensor {0}, counted from 0, is not UTF-8")]
    Encoding(u64),
    /// A key or its value.
    #[error("its key {:?} {problem}", printable(key))]
    Key {
        /// The key.
        key: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// What the list says of a tensor cannot be.
    #[error("its tensor {:?} {problem}", printable(name))]
    Tensor {
        /// The tensor.
        name: String,
        /// What is wrong with it.
        problem: TensorProblem,
    },
    /// Two tensors on the same bytes.
    #[error(
        "its tensors {:?} and {:?} overlap",
        printable(first),
        printable(second)
    )]
    Overlap {
        /// The one that begins first.
        first: String,
        /// The other.
        second: String,
    },
    /// Only keys: a vocabulary, for example.
    #[error("it holds no tensors")]
    NoTensors,
    /// What no sidecar can say.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// What is wrong with a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TensorProblem {
    /// Two have its name.
    #[error("is listed twice")]
    Duplicate,
    /// More sides than are read.
    #[error("has {0} sides, and at most {MAX_SIDES} are read")]
    Sides(u32),
    /// More elements than can be counted.
    #[error("has sides whose product is too large")]
    Elements,
    /// A type that ggml has dropped, or that is younger than this mvc.
    #[error("has the type {0}, which this mvc does not know")]
    Type(u32),
    /// Rows of a quantised tensor that end inside of a block.
    #[error("has rows that are not whole blocks of its type")]
    Rows,
    /// A place that is not aligned.
    #[error("lies at {0}, which is not a multiple of the alignment")]
    Alignment(u64),
    /// A place beyond the file.
    #[error("ends after the file does")]
    PastEnd,
}

/// The tiling of a file: the header as a literal, then the tensors, and literals wherever bytes are left between them.
pub(super) fn scan(file: &dyn ReadAt) -> Result<Tiling> {
    let tensors = read_header(file, file.len())?;
    let mut segments = Vec::with_capacity(2 * tensors.len() + 1);
    let mut end = 0;
    let fill = |segments: &mut Vec<Segment>, from: u64, to: u64| {
        if from < to {
            let (bytes, id) = (to - from, UNKNOWN);
            segments.push(Segment::Literal { bytes, id });
        }
    };
    for tensor in tensors {
        fill(&mut segments, end, tensor.begin);
        end = tensor.end;
        segments.push(Segment::Tensor(Tensor {
            bytes: tensor.end - tensor.begin,
            name: tensor.name,
            dtype: tensor.dtype,
            shape: tensor.shape,
            id: UNKNOWN,
            aliases: Vec::new(),
        }));
    }
    fill(&mut segments, end, file.len());
    let format = Format::Gguf;
    let manifest = Manifest { format, segments };
    manifest.validate().map_err(Refusal::from)?;
    manifest.check_length().map_err(Refusal::from)?;
    Ok(Tiling::new(manifest))
}

/// Reads the header at the start of `source`, which need not go on after it, of a file of `file_len` bytes: its tensors
/// in byte order, none inside of another.
pub(crate) fn read_header(source: &dyn ReadAt, file_len: u64) -> Result<Vec<Placed>> {
    let mut cursor = Cursor::new(source, file_len);
    if cursor.limit() < 4 || cursor.array()? != *b"GGUF" {
        return Err(Refusal::NotGguf.into());
    }
    match cursor.u32()? {
        2 | 3 => {}
        // A small number with its bytes the other way round.
        version if version & 0xffff == 0 && version != 0 => return Err(Refusal::BigEndian.into()),
        version => return Err(Refusal::Version(version).into()),
    }
    let (tensors, keys) = (cursor.u64()?, cursor.u64()?);
    if tensors > MAX_TENSORS {
        return Err(Refusal::Tensors(tensors).into());
    }
    if keys > MAX_KEYS {
        return Err(Refusal::Keys(keys).into());
    }
    let alignment = metadata::alignment(&mut cursor, keys)?;
    let mut placed = Vec::new();
    for index in 0..tensors {
        placed.push(read_tensor(&mut cursor, index, alignment)?);
    }
    let start = cursor.at().next_multiple_of(alignment);
    place(&mut placed, start, file_len)?;
    if placed.is_empty() {
        return Err(Refusal::NoTensors.into());
    }
    Ok(placed)
}

/// Reads what the list says of one tensor: its place is one from the start of all tensors yet.
fn read_tensor(cursor: &mut Cursor<'_>, index: u64, alignment: u64) -> Result<Placed> {
    let name = String::from_utf8(cursor.name()?).map_err(|_| Refusal::Encoding(index))?;
    let count = cursor.u32()?;
    let mut shape = Vec::new();
    let wrong = |name: &str, problem| {
        let name = name.to_owned();
        FormatError::from(Refusal::Tensor { name, problem })
    };
    if count as usize > MAX_SIDES {
        return Err(wrong(&name, TensorProblem::Sides(count)));
    }
    for _ in 0..count {
        shape.push(cursor.u64()?);
    }
    // The innermost side comes first here, and last wherever shapes are written.
    shape.reverse();
    let (number, begin) = (cursor.u32()?, cursor.u64()?);
    if !countable(&shape) {
        return Err(wrong(&name, TensorProblem::Elements));
    }
    let dtype = types::dtype(number).ok_or_else(|| wrong(&name, TensorProblem::Type(number)))?;
    let whole = |values: u64| shape.last().unwrap_or(&1).is_multiple_of(values);
    if !dtype.block().is_some_and(|block| whole(block.values)) {
        return Err(wrong(&name, TensorProblem::Rows));
    }
    let bytes = dtype.bytes(&shape);
    let bytes = bytes.ok_or_else(|| wrong(&name, TensorProblem::Elements))?;
    if !begin.is_multiple_of(alignment) {
        return Err(wrong(&name, TensorProblem::Alignment(begin)));
    }
    let end = begin.checked_add(bytes);
    Ok(Placed {
        end: end.ok_or_else(|| wrong(&name, TensorProblem::PastEnd))?,
        name,
        dtype,
        shape,
        begin,
    })
}

/// Moves the tensors to where they lie in the file, sorts them by that, and checks that they share no byte.
fn place(tensors: &mut [Placed], start: u64, file_len: u64) -> std::result::Result<(), Refusal> {
    let mut names = HashSet::with_capacity(tensors.len());
    for tensor in &*tensors {
        let wrong = |problem| {
            let name = tensor.name.clone();
            Err(Refusal::Tensor { name, problem })
        };
        if !names.insert(tensor.name.as_str()) {
            return wrong(TensorProblem::Duplicate);
        }
        let end = tensor.end.checked_add(start);
        if end.is_none_or(|end| end > file_len) {
            return wrong(TensorProblem::PastEnd);
        }
    }
    for tensor in &mut *tensors {
        tensor.begin += start;
        tensor.end += start;
    }
    tensors.sort_by(|a, b| (a.begin, a.end, &a.name).cmp(&(b.begin, b.end, &b.name)));
    for (first, second) in tensors.iter().zip(tensors.iter().skip(1)) {
        if second.begin < first.end {
            let (first, second) = (first.name.clone(), second.name.clone());
            return Err(Refusal::Overlap { first, second });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
