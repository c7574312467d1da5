//! The header of safetensors files, read strictly
//! (<https://github.com/huggingface/safetensors#format>): 8 bytes little-endian length, JSON, tensors.
//!
//! Accepted beyond what the reference writes: unknown dtypes (as bytes), unknown fields, any alignment. Refused
//! beyond what it refuses: names, fields and metadata keys that are given twice, which it silently merges.

use std::collections::HashSet;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::Result;
use super::tiling::{Placed, Tiling, UNKNOWN};
use crate::base::text::printable;
use crate::base::{Dtype, ReadAt};
use crate::model::manifest::{Format, MAX_RANK, MAX_TENSORS, Manifest, Segment, Tensor, countable};

/// The longest header that is read, as in the reference implementation.
const MAX_HEADER: u64 = 100_000_000;

/// How long a header can be, with the length before it: it has at least `{}`.
pub(crate) const HEADER_BYTES: std::ops::RangeInclusive<u64> = 10..=8 + MAX_HEADER;

/// What is wrong with a header.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// Not even a length.
    #[error("the file has {0} bytes, too few for a header")]
    Short(u64),
    /// What git has in place of weights that git-lfs keeps.
    #[error("this is a git-lfs pointer, not the weights")]
    Pointer,
    /// What a server sent in place of weights.
    #[error("this is a web page, not the weights")]
    WebPage,
    /// A length that no header has.
    #[error("the header claims {0} bytes, and at most {MAX_HEADER} are read")]
    Long(u64),
    /// A length beyond the file.
    #[error("the header claims {header} bytes, and the file has {file}")]
    PastEnd {
        /// What the header claims, with its own length.
        header: u64,
        /// What there is.
        file: u64,
    },
    /// Something before the JSON object.
    #[error("the header does not begin with `{{`")]
    Start,
    /// Something other than spaces after it.
    #[error("the header goes on after its closing `}}`")]
    End,
    /// Not the JSON that a header is.
    #[error("the header cannot be read: {}", printable(&.0.to_string()))]
    Json(#[from] serde_json::Error),
    /// Dtype and shape need another number of bytes.
    #[error(
        "the tensor {:?} is {dtype} {shape:?}, and its place has {bytes} bytes",
        printable(name)
    )]
    Size {
        /// The tensor.
        name: String,
        /// Its dtype.
        dtype: Dtype,
        /// Its sides.
        shape: Vec<u64>,
        /// The length of its place.
        bytes: u64,
    },
    /// A place that ends before it begins.
    #[error("the tensor {:?} ends before it begins", printable(name))]
    Backwards {
        /// The tensor.
        name: String,
    },
    /// A place beyond the file.
    #[error(
        "the tensor {:?} ends {past} bytes after the file does",
        printable(name)
    )]
    TensorPastEnd {
        /// The tensor.
        name: String,
        /// By how much.
        past: u64,
    },
    /// Two tensors on the same bytes.
    #[error(
        "the tensors {:?} and {:?} overlap",
        printable(first),
        printable(second)
    )]
    Overlap {
        /// The one that begins first.
        first: String,
        /// The other.
        second: String,
    },
    /// Bytes that no tensor has.
    #[error(
        "{bytes} bytes before the tensor {:?} belong to no tensor",
        printable(name)
    )]
    Hole {
        /// The tensor after the hole.
        name: String,
        /// How many.
        bytes: u64,
    },
    /// Bytes after the last tensor.
    #[error("{0} bytes at the end belong to no tensor")]
    Trailing(u64),
}

/// A header that holds together.
pub(crate) struct Header {
    /// The bytes of the header with its length, where the tensors begin.
    pub(crate) bytes: u64,
    /// The tensors in byte order, each beginning where the one before ends.
    pub(crate) tensors: Vec<Placed>,
}

/// The tiling of a safetensors file: the header as a literal, then the tensors.
pub(super) fn scan(file: &dyn ReadAt) -> Result<Tiling> {
    let header = read_header(file, file.len())?;
    let mut segments = Vec::with_capacity(1 + header.tensors.len());
    segments.push(Segment::Literal {
        bytes: header.bytes,
        id: UNKNOWN,
    });
    segments.extend(header.tensors.into_iter().map(|tensor| {
        Segment::Tensor(Tensor {
            bytes: tensor.end - tensor.begin,
            name: tensor.name,
            dtype: tensor.dtype,
            shape: tensor.shape,
            id: UNKNOWN,
            aliases: Vec::new(),
        })
    }));
    Ok(Tiling::new(Manifest {
        format: Format::Safetensors,
        segments,
    }))
}

/// How long the header at the start of `source` says it is, with its own length: no longer than can be read, nor than
/// the file of `file_len` bytes.
pub(crate) fn header_len(source: &dyn ReadAt, file_len: u64) -> Result<u64> {
    if file_len < 8 {
        return Err(HeaderError::Short(file_len).into());
    }
    let mut length = [0; 8];
    source.read_exact_at(&mut length, 0)?;
    match &length.to_ascii_lowercase()[..] {
        b"version " => return Err(HeaderError::Pointer.into()),
        [b'<', b'!', b'd', ..] | [b'<', b'h', b't', b'm', b'l', ..] => {
            return Err(HeaderError::WebPage.into());
        }
        _ => {}
    }
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER {
        return Err(HeaderError::Long(length).into());
    }
    let bytes = 8 + length;
    if bytes > file_len {
        let (header, file) = (bytes, file_len);
        return Err(HeaderError::PastEnd { header, file }.into());
    }
    Ok(bytes)
}

/// Reads the header at the start of `source`, which need not go on after it, of a file of `file_len` bytes.
pub(crate) fn read_header(source: &dyn ReadAt, file_len: u64) -> Result<Header> {
    let bytes = header_len(source, file_len)?;
    let mut json = vec![0; (bytes - 8) as usize];
    source.read_exact_at(&mut json, 8)?;
    let mut tensors = parse(&json)?;
    place(&mut tensors, bytes, file_len)?;
    Ok(Header { bytes, tensors })
}

/// Sorts the tensors by their places and checks that these cover the file after the header once.
fn place(
    tensors: &mut [Placed],
    start: u64,
    file_len: u64,
) -> std::result::Result<(), HeaderError> {
    let room = file_len - start;
    for tensor in &mut *tensors {
        if tensor.end < tensor.begin {
            let name = tensor.name.clone();
            return Err(HeaderError::Backwards { name });
        }
        if tensor.end > room {
            return Err(HeaderError::TensorPastEnd {
                name: tensor.name.clone(),
                past: tensor.end - room,
            });
        }
        let bytes = tensor.end - tensor.begin;
        let known = tensor.dtype.size().is_some();
        if known && tensor.dtype.bytes(&tensor.shape) != Some(bytes) {
            return Err(HeaderError::Size {
                name: tensor.name.clone(),
                dtype: tensor.dtype.clone(),
                shape: tensor.shape.clone(),
                bytes,
            });
        }
        tensor.begin += start;
        tensor.end += start;
    }
    tensors.sort_by(|a, b| (a.begin, a.end, &a.name).cmp(&(b.begin, b.end, &b.name)));
    let mut last: Option<&Placed> = None;
    for tensor in &*tensors {
        let end = last.map_or(start, |last| last.end);
        match last {
            Some(last) if tensor.begin < end => {
                return Err(HeaderError::Overlap {
                    first: last.name.clone(),
                    second: tensor.name.clone(),
                });
            }
            _ if tensor.begin > end => {
                return Err(HeaderError::Hole {
                    name: tensor.name.clone(),
                    bytes: tensor.begin - end,
                });
            }
            _ => last = Some(tensor),
        }
    }
    match file_len - last.map_or(start, |last| last.end) {
        0 => Ok(()),
        bytes => Err(HeaderError::Trailing(bytes)),
    }
}

fn parse(json: &[u8]) -> std::result::Result<Vec<Placed>, HeaderError> {
    if json.first() != Some(&b'{') {
        return Err(HeaderError::Start);
    }
    let mut reader = serde_json::Deserializer::from_slice(json);
    let tensors = HeaderSeed.deserialize(&mut reader)?;
    // Spaces pad a header; other white space, which JSON would allow, does not.
    let padded = json.iter().rev().find(|c| **c != b' ') == Some(&b'}');
    reader.end().map_err(|_| HeaderError::End)?;
    match padded {
        true => Ok(tensors),
        false => Err(HeaderError::End),
    }
}

/// Reads the whole header object.
struct HeaderSeed;

impl<'de> DeserializeSeed<'de> for HeaderSeed {
    type Value = Vec<Placed>;

    fn deserialize<D: Deserializer<'de>>(
        self,
        from: D,
    ) -> std::result::Result<Vec<Placed>, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for HeaderSeed {
    type Value = Vec<Placed>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        mut map: A,
    ) -> std::result::Result<Vec<Placed>, A::Error> {
        let mut tensors = Vec::new();
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format_args!("{name:?} is given twice")));
            }
            if name == "__metadata__" {
                map.next_value_seed(MetadataSeed)?;
                continue;
            }
            if tensors.len() as u64 >= MAX_TENSORS {
                return Err(A::Error::custom("more tensors than are read"));
            }
            tensors.push(map.next_value_seed(TensorSeed(name))?);
        }
        Ok(tensors)
    }
}

/// Reads `__metadata__`: text to text, each key once.
struct MetadataSeed;

impl<'de> DeserializeSeed<'de> for MetadataSeed {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> std::result::Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for MetadataSeed {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("metadata from text to text")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value::<String>()?;
            if let Some(key) = keys.replace(key) {
                let problem = format_args!("the metadata key {key:?} is given twice");
                return Err(A::Error::custom(problem));
            }
        }
        Ok(())
    }
}

/// Reads the object of one tensor, whose name is known.
struct TensorSeed(String);

impl<'de> DeserializeSeed<'de> for TensorSeed {
    type Value = Placed;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> std::result::Result<Placed, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for TensorSeed {
    type Value = Placed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object that describes the tensor {:?}", self.0)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Placed, A::Error> {
        let name = self.0;
        // Named here because an error deep inside the JSON knows only its line and column.
        let about = |problem: &dyn fmt::Display| {
            A::Error::custom(format_args!("the tensor {name:?}: {problem}"))
        };
        let mut dtype = None;
        let mut shape = None;
        let mut place = None;
        let mut fields = HashSet::new();
        while let Some(field) = map.next_key::<String>()? {
            match field.as_str() {
                "dtype" => {
                    let text = map.next_value::<String>().map_err(|e| about(&e))?;
                    let known = Dtype::parse(&text);
                    dtype = Some(known.ok_or_else(|| about(&"a dtype that is no name"))?);
                }
                "shape" => shape = Some(map.next_value_seed(ShapeSeed).map_err(|e| about(&e))?),
                "data_offsets" => {
                    place = Some(map.next_value::<[u64; 2]>().map_err(|e| about(&e))?)
                }
                _ => {
                    map.next_value::<IgnoredAny>().map_err(|e| about(&e))?;
                }
            }
            if let Some(field) = fields.replace(field) {
                return Err(about(&format_args!("{field:?} is given twice")));
            }
        }
        let [begin, end] = place.ok_or_else(|| about(&"no data_offsets"))?;
        let dtype = dtype.ok_or_else(|| about(&"no dtype"))?;
        let shape = shape.ok_or_else(|| about(&"no shape"))?;
        Ok(Placed {
            name,
            dtype,
            shape,
            begin,
            end,
        })
    }
}

/// Reads a shape of at most [`MAX_RANK`] sides.
struct ShapeSeed;

impl<'de> DeserializeSeed<'de> for ShapeSeed {
    type Value = Vec<u64>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> std::result::Result<Vec<u64>, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ShapeSeed {
    type Value = Vec<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a shape")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Vec<u64>, A::Error> {
        let mut shape = Vec::new();
        while let Some(side) = seq.next_element()? {
            if shape.len() == MAX_RANK {
                return Err(A::Error::custom("more dimensions than are read"));
            }
            shape.push(side);
        }
        if !countable(&shape) {
            return Err(A::Error::custom("sides whose product is too large"));
        }
        Ok(shape)
    }
}

#[cfg(test)]
mod tests;
