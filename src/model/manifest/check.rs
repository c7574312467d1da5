//! What must hold in a manifest beyond its grammar, and between a manifest and the file that it describes.

use std::collections::HashSet;

use super::error::{ManifestError, Result, TensorProblem};
use super::{Format, MAX_RANK, MAX_TENSORS, Manifest, Segment, Storage, Tensor, View};
use crate::base::text::printable;
use crate::base::{ObjectId, ReadAt};
use crate::model::format::{gguf, safetensors};
use crate::model::view;

/// The longest file there can be: offsets are signed on every system.
const MAX_FILE: u64 = i64::MAX as u64;

/// How often views may show the bytes of a file, so that hashing them is bounded by the file's length.
const MAX_SPREAD: u64 = 8;

/// Bytes that views of a small file may show in any case.
const FREE_SPREAD: u64 = 16 << 20;

/// True for sides whose product can be counted, those of 0 left out, so that no order of multiplying overflows.
pub(crate) fn countable(shape: &[u64]) -> bool {
    let sides = shape.iter().filter(|side| **side > 0);
    let product = sides.copied().try_fold(1u64, u64::checked_mul);
    product.is_some_and(|product| product <= i64::MAX as u64)
}

impl Manifest {
    /// Checks what the grammar cannot say: lengths, names, order, views inside their storages.
    pub(crate) fn validate(&self) -> Result<()> {
        let mut names = HashSet::with_capacity(self.segments.len());
        let mut keys = HashSet::new();
        let mut end = 0u64;
        let mut shown = 0u64;
        // The last segment of no bytes at this place.
        let mut empty: Option<&str> = None;
        for segment in &self.segments {
            end = end
                .checked_add(segment.bytes())
                .filter(|end| *end <= MAX_FILE)
                .ok_or(ManifestError::Overflow)?;
            let checked = match segment {
                Segment::Literal { .. } => Ok(()),
                Segment::Tensor(tensor) => check_tensor(self.format, tensor, &mut names),
                Segment::Storage(storage) => {
                    let first = keys.insert(storage.key.as_str());
                    check_storage(self.format, storage, first, &mut names, &mut shown)
                }
            };
            checked
                .and_then(|()| check_empty(segment, &mut empty))
                .map_err(|(name, problem)| ManifestError::Tensor {
                    name: name.to_owned(),
                    problem,
                })?;
        }
        match self.format {
            Format::Safetensors if !self.has_header() => return Err(ManifestError::Literals),
            Format::Gguf if !self.has_gguf_header() => return Err(ManifestError::NoHeader),
            Format::Gguf => self.validate_gguf()?,
            Format::Safetensors | Format::Torch | Format::Opaque => {}
        }
        match self.segments.iter().find_map(|segment| match segment {
            Segment::Storage(storage) => Some(storage),
            _ => None,
        }) {
            Some(storage) if shown > end.saturating_mul(MAX_SPREAD).max(FREE_SPREAD) => {
                Err(ManifestError::Tensor {
                    name: storage.key.clone(),
                    problem: TensorProblem::Spread,
                })
            }
            _ if names.len() as u64 > MAX_TENSORS => Err(ManifestError::TooMany {
                count: names.len() as u64,
            }),
            _ => Ok(()),
        }
    }

    /// Checks what is known of ids without any bytes: there is one for no bytes.
    pub(super) fn validate_ids(&self) -> Result<()> {
        let none = ObjectId::of(b"");
        let wrong = self.segments.iter().find_map(|segment| match segment {
            Segment::Literal { .. } => None,
            Segment::Tensor(tensor) => {
                (tensor.bytes == 0 && tensor.id != none).then_some(&tensor.name)
            }
            Segment::Storage(storage) if storage.bytes == 0 && storage.id != none => {
                Some(&storage.key)
            }
            Segment::Storage(storage) => {
                let wrong = |view: &&View| view.shape.contains(&0) && view.id != none;
                storage.views.iter().find(wrong).map(|view| &view.name)
            }
        });
        match wrong {
            Some(name) => Err(ManifestError::Tensor {
                name: name.clone(),
                problem: TensorProblem::Empty,
            }),
            None => Ok(()),
        }
    }

    /// True where one literal, which may be a header by its length, comes before nothing but tensors.
    fn has_header(&self) -> bool {
        let is_literal = |segment: &Segment| matches!(segment, Segment::Literal { .. });
        self.segments.split_first().is_some_and(|(header, rest)| {
            is_literal(header)
                && safetensors::HEADER_BYTES.contains(&header.bytes())
                && !rest.iter().any(is_literal)
        })
    }

    /// True where a literal, which may be a header by its length, comes before a tensor.
    fn has_gguf_header(&self) -> bool {
        match self.segments.as_slice() {
            [Segment::Literal { bytes, .. }, Segment::Tensor(_), ..] => {
                *bytes >= gguf::LEAST_HEADER
            }
            _ => false,
        }
    }

    /// Checks that GGUF has such dtypes and so many sides: ggml adds types, which only a newer mvc knows.
    fn validate_gguf(&self) -> Result<()> {
        let tensors = self.segments.iter().filter_map(|segment| match segment {
            Segment::Tensor(tensor) => Some(tensor),
            _ => None,
        });
        for tensor in tensors {
            let sides = tensor.shape.len();
            let what = match () {
                () if !gguf::has(&tensor.dtype) => format!("is {}", tensor.dtype),
                () if sides > gguf::MAX_SIDES => format!("has {sides} sides"),
                () => continue,
            };
            let name = printable(&tensor.name);
            let what = format!("its GGUF tensor {name:?} {what}");
            return Err(ManifestError::Newer { what });
        }
        Ok(())
    }

    /// Checks that a weights file is one that this manifest can describe: its length, and of safetensors and GGUF
    /// every name, dtype, shape and place in its header. The bytes of the tensors are not read.
    pub fn check(&self, file: &dyn ReadAt) -> Result<()> {
        let (expected, found) = (self.file_len(), file.len());
        if expected != found {
            return Err(ManifestError::Length { expected, found });
        }
        self.check_header(file)
    }

    /// The part of [`Manifest::check`] that needs only the file's first literal, as the store holds it.
    pub fn check_header(&self, header: &dyn ReadAt) -> Result<()> {
        let unread = |error| ManifestError::Header(Box::new(error));
        let tensors = match self.format {
            Format::Torch | Format::Opaque => return Ok(()),
            Format::Gguf => gguf::read_header(header, self.file_len()).map_err(unread)?,
            Format::Safetensors => {
                let found = safetensors::header_len(header, self.file_len()).map_err(unread)?;
                let expected = self.segments.first().map_or(0, Segment::bytes);
                if found != expected {
                    return Err(ManifestError::HeaderLength { expected, found });
                }
                let header = safetensors::read_header(header, self.file_len());
                header.map_err(unread)?.tensors
            }
        };
        let mut listed = self.tensors().into_iter();
        for expected in tensors {
            let agrees = listed.next().is_some_and(|entry| {
                entry.name == expected.name
                    && entry.dtype == expected.dtype
                    && entry.shape == expected.shape
                    && entry.location.offset == expected.begin
                    && entry.location.bytes == expected.end - expected.begin
            });
            if !agrees {
                let name = expected.name;
                return Err(ManifestError::Disagrees { name });
            }
        }
        match listed.next() {
            Some(entry) => Err(ManifestError::Disagrees { name: entry.name }),
            None => Ok(()),
        }
    }
}

/// What is wrong with which name.
type Checked<'a> = std::result::Result<(), (&'a str, TensorProblem)>;

fn check_tensor<'a>(
    format: Format,
    tensor: &'a Tensor,
    names: &mut HashSet<&'a str>,
) -> Checked<'a> {
    let name = tensor.name.as_str();
    let fits = match format {
        Format::Torch => true,
        Format::Safetensors | Format::Gguf => tensor.aliases.is_empty(),
        Format::Opaque => false,
    };
    if !fits {
        return Err((name, TensorProblem::Kind));
    }
    if tensor.shape.len() > MAX_RANK {
        return Err((name, TensorProblem::Rank));
    }
    if !countable(&tensor.shape) {
        return Err((name, TensorProblem::Sides));
    }
    let known = match format {
        Format::Gguf => tensor.dtype.block().is_some(),
        // Elsewhere such a name says nothing of blocks.
        Format::Safetensors | Format::Torch | Format::Opaque => tensor.dtype.size().is_some(),
    };
    if known && tensor.dtype.bytes(&tensor.shape) != Some(tensor.bytes) {
        return Err((name, TensorProblem::Length));
    }
    let mut last = name;
    for (i, name) in std::iter::once(&tensor.name)
        .chain(&tensor.aliases)
        .enumerate()
    {
        if !names.insert(name) {
            return Err((name, TensorProblem::Duplicate));
        }
        if i > 0 && name.as_str() <= last {
            return Err((name, TensorProblem::Order));
        }
        last = name;
    }
    Ok(())
}

fn check_storage<'a>(
    format: Format,
    storage: &'a Storage,
    first_of_key: bool,
    names: &mut HashSet<&'a str>,
    shown: &mut u64,
) -> Checked<'a> {
    let key = storage.key.as_str();
    if format != Format::Torch {
        return Err((key, TensorProblem::Kind));
    }
    if !first_of_key {
        return Err((key, TensorProblem::Duplicate));
    }
    if storage.views.is_empty() {
        return Err((key, TensorProblem::Unseen));
    }
    let mut last = None;
    for view in &storage.views {
        let name = view.name.as_str();
        if !names.insert(name) {
            return Err((name, TensorProblem::Duplicate));
        }
        if view.shape.len() > MAX_RANK {
            return Err((name, TensorProblem::Rank));
        }
        if !countable(&view.shape) {
            return Err((name, TensorProblem::Sides));
        }
        let strided = view.strided().ok_or((name, TensorProblem::Bounds))?;
        if strided.end() > storage.bytes {
            return Err((name, TensorProblem::Bounds));
        }
        if view::normal(&view.shape, &view.strides) != view.strides {
            return Err((name, TensorProblem::Strides));
        }
        if last.is_some_and(|last| last >= (view.offset, name)) {
            return Err((name, TensorProblem::Order));
        }
        last = Some((view.offset, name));
        *shown = shown.saturating_add(strided.bytes());
    }
    match storage.views.first() {
        Some(first) if first.dtype != storage.dtype => Err((key, TensorProblem::StorageDtype)),
        _ if storage.is_tensor() => Err((key, TensorProblem::Whole)),
        _ => Ok(()),
    }
}

/// Of segments of no bytes at one place, the last of which `before` names, the names are in order.
fn check_empty<'a>(segment: &'a Segment, before: &mut Option<&'a str>) -> Checked<'a> {
    let name = match segment {
        Segment::Literal { .. } => None,
        Segment::Tensor(tensor) => Some(tensor.name.as_str()),
        Segment::Storage(storage) => storage.views.first().map(|view| view.name.as_str()),
    };
    let name = name.filter(|_| segment.bytes() == 0);
    let last = std::mem::replace(before, name);
    match name {
        Some(name) if last.is_some_and(|last| last >= name) => Err((name, TensorProblem::Order)),
        _ => Ok(()),
    }
}
