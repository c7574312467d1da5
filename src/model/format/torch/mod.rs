//! Checkpoints of `torch.save`: a zip archive with a pickle that describes tensors and an entry for each storage
//! (<https://pytorch.org/docs/stable/notes/serialization.html>).
//!
//! The pickle is data here: a machine of our own reads it into values and never calls, imports or builds what it
//! names. Whatever is not understood in full makes the file opaque, with a note that says why.

mod names;
mod pickle;
mod rebuild;
mod zip;

use std::collections::BTreeMap;
use std::io;

use super::tiling::{Tiling, UNKNOWN};
use crate::base::text::printable;
use crate::base::{Dtype, ReadAt};
use crate::model::manifest::{Format, Manifest, ManifestError, Segment, Storage, Tensor, View};
use names::Named;
use pickle::Values;
use zip::ZipEntry;

/// The longest pickle that is read.
const MAX_PICKLE: u64 = 64 << 20;

/// What a zip archive begins with.
const ZIP_MAGIC: &[u8] = b"PK\x03\x04";

/// Why a checkpoint is kept as plain bytes.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// The format of torch before 1.6.
    #[error("it is a checkpoint in the format that torch wrote before version 1.6")]
    Legacy,
    /// Something else.
    #[error("it is no checkpoint of torch")]
    NotTorch,
    /// A zip archive that torch did not write, or a damaged one.
    #[error("its zip archive {0}")]
    Zip(&'static str),
    /// An archive with code.
    #[error("it is a TorchScript archive, which holds code")]
    Script,
    /// Storages of a big-endian machine.
    #[error("its numbers are big-endian")]
    BigEndian,
    /// A pickle that is too long.
    #[error("its pickle has {0} bytes, and at most {MAX_PICKLE} are read")]
    LongPickle(u64),
    /// A pickle that does something that checkpoints do not do.
    #[error("its pickle, at byte {at}, {problem}")]
    Pickle {
        /// Where.
        at: usize,
        /// What.
        problem: &'static str,
    },
    /// A pickle whose values no checkpoint has.
    #[error("its pickle {0}")]
    Values(&'static str),
    /// A tensor that has no name: it is a part of an object of a class, a whole module for example.
    #[error("a tensor lies inside {}", printable(.0))]
    Held(String),
    /// A tensor whose name is not clear.
    #[error("two tensors would have the name {:?}", printable(.0))]
    SameName(String),
    /// Nothing that has a name.
    #[error("it holds no tensors")]
    NoTensors,
    /// A storage and the entry that should hold it.
    #[error("its storage {:?} {problem}", printable(key))]
    Storage {
        /// The storage.
        key: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// What the pickle says of a tensor cannot be.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// Why a scan ended early.
#[derive(Debug)]
pub(super) enum Stop {
    /// The disk.
    Read(io::Error),
    /// The file is to be opaque.
    Refused(Refusal),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The result of a step of a scan.
type Result<T> = std::result::Result<T, Stop>;

/// The tiling of a checkpoint.
pub(super) fn scan(file: &dyn ReadAt) -> Result<Tiling> {
    let mut magic = [0; 4];
    let known = file.len().min(4) as usize;
    file.read_exact_at(&mut magic[..known], 0)?;
    if magic != ZIP_MAGIC {
        let refusal = match magic {
            [0x80, 2..=5, ..] => Refusal::Legacy,
            _ => Refusal::NotTorch,
        };
        return Err(refusal.into());
    }
    let entries = zip::directory(file)?;
    let root = root(&entries)?;
    let find = |name: &str| {
        let wanted = |entry: &&ZipEntry| entry.name.strip_prefix(root) == Some(name);
        entries.iter().find(wanted)
    };
    let in_root = |entry: &ZipEntry| entry.name.starts_with(root);
    let code = |entry: &ZipEntry| {
        let name = entry.name.strip_prefix(root).unwrap_or("");
        name.starts_with("code/") || name == "constants.pkl"
    };
    if !entries.iter().all(in_root) {
        return Err(Refusal::Zip("has files beside those of torch").into());
    }
    if entries.iter().any(code) {
        return Err(Refusal::Script.into());
    }
    if let Some(order) = find("byteorder")
        && read(file, order, 16)? != Some(b"little".to_vec())
    {
        return Err(Refusal::BigEndian.into());
    }
    let pickle = find("data.pkl").ok_or(Refusal::Zip("has no data.pkl"))?;
    let bytes = read(file, pickle, MAX_PICKLE)?.ok_or(Refusal::LongPickle(pickle.len))?;
    let (values, top) = pickle::read(&bytes)?;
    let named = names::all(&values, top)?;
    let storages = by_storage(&values, named);
    let mut placed = Vec::with_capacity(storages.len());
    let places: BTreeMap<&str, &ZipEntry> = entries
        .iter()
        .filter_map(|entry| {
            let name = entry.name.strip_prefix(root)?;
            Some((name.strip_prefix("data/")?, entry))
        })
        .collect();
    for (key, tensors) in storages {
        let entry = places.get(key.as_str());
        let refused = |problem| {
            let key = key.clone();
            Stop::Refused(Refusal::Storage { key, problem })
        };
        let entry = entry.ok_or_else(|| refused("is not in the archive"))?;
        if tensors.iter().any(|t| t.tensor.storage_bytes != entry.len) {
            return Err(refused("has another length than the pickle says"));
        }
        placed.push((entry.offset, segment(key, entry.len, tensors)));
    }
    tile(file.len(), placed)
}

/// The folder that all entries of an archive lie in, with its slash.
fn root(entries: &[ZipEntry]) -> Result<&str> {
    let mut roots = entries.iter().filter_map(|entry| {
        let root = entry.name.strip_suffix("data.pkl")?;
        let name = root.strip_suffix('/')?;
        (!name.is_empty() && !name.contains('/')).then_some(root)
    });
    match (roots.next(), roots.next()) {
        (Some(root), None) => Ok(root),
        (None, _) => Err(Refusal::Zip("has no data.pkl").into()),
        _ => Err(Refusal::Zip("has more than one data.pkl").into()),
    }
}

/// The bytes of a small entry; `None` where it is longer than `limit`.
fn read(file: &dyn ReadAt, entry: &ZipEntry, limit: u64) -> Result<Option<Vec<u8>>> {
    if entry.len > limit {
        return Ok(None);
    }
    let mut bytes = vec![0; entry.len as usize];
    file.read_exact_at(&mut bytes, entry.offset)?;
    Ok(Some(bytes))
}

/// The tensors by the storage that they look at, in the order of the keys.
fn by_storage(values: &Values<'_>, named: Vec<Named>) -> BTreeMap<String, Vec<Named>> {
    let mut storages: BTreeMap<String, Vec<Named>> = BTreeMap::new();
    for tensor in named {
        let key = values.text(tensor.tensor.key).to_owned();
        storages.entry(key).or_default().push(tensor);
    }
    storages
}

/// A storage as a tensor, where all who look at it see the same whole of it, else with its views.
fn segment(key: String, bytes: u64, mut tensors: Vec<Named>) -> Segment {
    tensors.sort_by(|a, b| (a.tensor.offset, &a.name).cmp(&(b.tensor.offset, &b.name)));
    let view = |named: Named| View {
        name: named.name,
        dtype: named.tensor.dtype,
        shape: named.tensor.shape,
        offset: named.tensor.offset,
        strides: named.tensor.strides,
        id: UNKNOWN,
    };
    let first = tensors.first().map(|named| named.tensor.dtype.clone());
    let mut storage = Storage {
        key,
        dtype: first.unwrap_or(Dtype::U8),
        bytes,
        id: UNKNOWN,
        views: tensors.into_iter().map(view).collect(),
    };
    if !storage.is_tensor() {
        return Segment::Storage(storage);
    }
    let first = storage.views.remove(0);
    Segment::Tensor(Tensor {
        name: first.name,
        dtype: first.dtype,
        shape: first.shape,
        bytes,
        id: UNKNOWN,
        aliases: storage.views.into_iter().map(|view| view.name).collect(),
    })
}

/// Puts segments in their places and literals between them.
fn tile(file_len: u64, mut placed: Vec<(u64, Segment)>) -> Result<Tiling> {
    placed.sort_by_key(|(offset, segment)| (*offset, segment.bytes()));
    let mut segments = Vec::with_capacity(2 * placed.len() + 1);
    let mut end = 0u64;
    let fill = |segments: &mut Vec<Segment>, from: u64, to: u64| {
        if from < to {
            segments.push(Segment::Literal {
                bytes: to - from,
                id: UNKNOWN,
            });
        }
    };
    for (offset, segment) in placed {
        fill(&mut segments, end, offset);
        end = offset.saturating_add(segment.bytes());
        segments.push(segment);
    }
    fill(&mut segments, end, file_len);
    let format = Format::Torch;
    let manifest = Manifest { format, segments };
    manifest.validate().map_err(Refusal::from)?;
    manifest.check_length().map_err(Refusal::from)?;
    Ok(Tiling::new(manifest))
}

#[cfg(test)]
mod tests;
