//! One weights file of the work tree: opened, tiled, hashed, compared with its sidecar, put into the store.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::error::{During, Error, Result};
use super::kindred;
use super::relatives::Relatives;
use super::state::{self, Stamp, Stat, State};
use super::tracked::Tracked;
use super::workspace::Workspace;
use crate::base::fs::FsError;
use crate::base::progress::Unit;
use crate::base::source::FileSource;
use crate::base::{Dtype, Fields, Kind, ObjectId, Progress, ReadAt, RepoPath};
use crate::model::format::Gather;
use crate::model::{How, Manifest, Scanned, Segment, Tiling, scan, tile_as};
use crate::store::{Element, Format, Numbers, PutItem, Span, StoreError, Writer, hash_all};

/// So many of the smallest tensors are read first, to see whether a file may be what its sidecar says.
const PROBED: usize = 8;

/// Larger tensors are not read for that.
const PROBED_BYTES: u64 = 1 << 20;

/// How a weights file of the work tree stands to its sidecar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It holds what the sidecar says.
    Clean,
    /// It holds something else: uncommitted training, or another version.
    Modified,
    /// It is not there.
    Missing,
}

/// An open weights file.
pub struct Opened {
    /// Its bytes.
    pub source: FileSource,
    /// Its stat data when it was opened.
    pub stat: Stat,
    /// Whether its owner may execute it.
    pub executable: bool,
    path: RepoPath,
    /// When it was opened, late enough for its stat data to tell of every later write.
    at: i128,
}

impl Opened {
    /// Says that the file, which was read and did not change meanwhile, holds what this sidecar says.
    pub fn stamp(&self, ws: &Workspace, sidecar: &Tracked) -> Result<Stamp> {
        Ok(Stamp {
            sidecar: sidecar.id,
            blob: sidecar.blob(ws)?.to_string(),
            stat: self.stat,
            at: self.at,
        })
    }

    /// Its stat data where they will tell of every later write.
    pub fn settled(&self) -> Option<Stat> {
        self.stat.settled_at(self.at).then_some(self.stat)
    }

    /// Fails where the file is not what it was when it was opened.
    pub fn unchanged(&self, ws: &Workspace) -> Result<()> {
        let now = self
            .source
            .metadata()
            .map_err(|e| FsError::new("stat", &ws.on_disk(&self.path), e))?;
        match (Stat::of(&now), lstat(ws, &self.path)?) {
            (open, Some(named)) if open == self.stat && named == self.stat => Ok(()),
            _ => Err(Error::Changed(self.path.clone())),
        }
    }
}

/// The stat data of a weights file; `None` where there is no file. A folder, symbolic link or device under its
/// name is refused: replacing it would destroy what mvc has not stored. What lies behind a link in place of a folder
/// is no file of this work tree.
pub fn lstat(ws: &Workspace, path: &RepoPath) -> Result<Option<Stat>> {
    if path.blocked_by(ws.root()).is_some() {
        return Ok(None);
    }
    let full = ws.on_disk(path);
    match full.symlink_metadata() {
        Ok(stat) if stat.is_file() => Ok(Some(Stat::of(&stat))),
        Ok(_) => Err(not_regular(path)),
        Err(e)
            if matches!(
                e.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(e) => Err(FsError::new("stat", &full, e).into()),
    }
}

/// Whether a weights file's owner may execute it; one that is not there may not be.
pub fn is_executable(ws: &Workspace, path: &RepoPath) -> Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    match ws.on_disk(path).symlink_metadata() {
        Ok(stat) => Ok(stat.permissions().mode() & 0o100 != 0),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(FsError::new("stat", &ws.on_disk(path), e).into()),
    }
}

fn not_regular(path: &RepoPath) -> Error {
    Error::advised(
        Kind::BadInput,
        format!("{path} is not a regular file"),
        "weights are versioned as regular files; put the file itself there instead of a link or a folder",
    )
}

/// Opens a weights file that must be there, never through a symbolic link.
pub fn open(ws: &Workspace, path: &RepoPath) -> Result<Opened> {
    let full: PathBuf = ws.on_disk(path);
    if let Some(blocked) = path.blocked_by(ws.root()) {
        let message = format!(
            "{path} lies behind {}, which is not a folder of the work tree",
            blocked.display()
        );
        return Err(Error::refused(Kind::BadInput, message));
    }
    let missing = || Error::refused(Kind::NotFound, format!("there is no file {path}"));
    // A file that was written this very moment could be written again without its stat data telling.
    state::settle(&[lstat(ws, path)?.ok_or_else(missing)?]);
    let at = state::now();
    let stat = lstat(ws, path)?.ok_or_else(missing)?;
    let fail = |e| FsError::new("read", &full, e);
    let source = FileSource::open(&full).map_err(fail)?;
    let metadata = source.metadata().map_err(fail)?;
    if Stat::of(&metadata) != stat {
        return Err(Error::Changed(path.clone()));
    }
    let executable = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o100 != 0;
    Ok(Opened {
        source,
        stat,
        executable,
        path: path.clone(),
        at,
    })
}

/// True where the file's bytes are what the manifest says, by the manifest's own tiling.
pub fn holds(opened: &Opened, manifest: &Manifest, progress: &dyn Progress) -> Result<bool> {
    Ok(which(opened, &[manifest], progress)?.is_some())
}

/// Which of these manifests the file's bytes are, each by its own tiling. Manifests of one tiling cost one read.
pub fn which(
    opened: &Opened,
    candidates: &[&Manifest],
    progress: &dyn Progress,
) -> Result<Option<usize>> {
    let mut read: Vec<(Tiling, Vec<ObjectId>)> = Vec::new();
    for (at, manifest) in candidates.iter().enumerate() {
        if opened.source.len() != manifest.file_len() || !may_hold(&opened.source, manifest) {
            continue;
        }
        let tiling = tile_as(manifest);
        if !read.iter().any(|(known, _)| *known == tiling) {
            let ids = hash_spans(&opened.source, &tiling, progress)?;
            read.push((tiling.clone(), ids));
        }
        let objects = manifest.objects();
        let wanted = || objects.iter().map(|(id, _, _)| id);
        let same =
            |(known, ids): &(Tiling, Vec<ObjectId>)| *known == tiling && ids.iter().eq(wanted());
        if read.iter().any(same) {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// False where a few of the smallest tensors show already that a file does not hold this. A step of training moves
/// all of them, and status is asked often while a model trains, so the file is not read whole for that answer.
fn may_hold(source: &dyn ReadAt, manifest: &Manifest) -> bool {
    let mut pieces: Vec<_> = manifest
        .pieces()
        .filter(|piece| !matches!(piece.segment, Segment::Literal { .. }))
        .filter(|piece| (1..=PROBED_BYTES).contains(&piece.segment.bytes()))
        .collect();
    pieces.sort_by_key(|piece| piece.segment.bytes());
    pieces.iter().take(PROBED).all(|piece| {
        let mut bytes = vec![0; piece.segment.bytes() as usize];
        match source.read_exact_at(&mut bytes, piece.offset) {
            Ok(()) => ObjectId::of(&bytes) == piece.segment.id(),
            // The whole read meets it again, and reports it.
            Err(_) => true,
        }
    })
}

/// How a weights file stands to a sidecar; reads it only where its stamp proves nothing. The stamp to keep
/// comes with it where the file was read and found clean.
pub fn condition(
    ws: &Workspace,
    state: &State,
    path: &RepoPath,
    tracked: &Tracked,
    progress: &dyn Progress,
) -> Result<(Condition, Option<Stamp>)> {
    let Some(stat) = lstat(ws, path)? else {
        return Ok((Condition::Missing, None));
    };
    let stamp = state.stamp(path);
    if let Some(stamp) = stamp.filter(|stamp| stamp.proves(&stat)) {
        let clean = stamp.sidecar == tracked.id;
        return Ok((
            if clean {
                Condition::Clean
            } else {
                Condition::Modified
            },
            None,
        ));
    }
    let manifest = super::tracked::manifest(ws, path, tracked)?;
    let opened = open(ws, path)?;
    if !holds(&opened, &manifest, progress).during(|| format!("cannot hash {path}"))? {
        return Ok((Condition::Modified, None));
    }
    opened.unchanged(ws)?;
    Ok((Condition::Clean, Some(opened.stamp(ws, tracked)?)))
}

/// What a weights file holds, not yet stored.
pub fn describe(
    opened: &Opened,
    how: How,
    progress: &dyn Progress,
) -> Result<(Manifest, Vec<String>)> {
    let Scanned { tiling, notes } = scan(&opened.source, opened.path.name(), how)?;
    let ids = hash_spans(&opened.source, &tiling, progress)?;
    let views = view_ids(opened, &tiling, progress)?;
    Ok((tiling.with_ids(&ids, &views), notes))
}

/// What a file holds as far as its header says: its ids are none.
pub fn outline(tiling: Tiling) -> Manifest {
    let none = ObjectId::of(b"");
    let spans = vec![none; tiling.spans().len()];
    let views = vec![none; tiling.gathers().len()];
    tiling.with_ids(&spans, &views)
}

/// What was done to store a weights file.
pub struct Stored {
    /// What it holds.
    pub manifest: Manifest,
    /// What its reader should know, such as why a checkpoint is tracked as plain bytes.
    pub notes: Vec<String>,
    /// Bytes that the store grew by.
    pub written: u64,
}

/// Cuts a weights file into spans.
pub fn cut(opened: &Opened, how: How) -> Result<Scanned> {
    Ok(scan(&opened.source, opened.path.name(), how)?)
}

/// Puts all objects of a weights file into the store. `before` is what the file held at its last version: its
/// tensors of the same name are compared first. `relatives` are what new ones may be stored as differences to.
pub fn put(
    writer: &mut Writer,
    opened: &Opened,
    scanned: Scanned,
    before: Option<&Manifest>,
    relatives: &Relatives,
    progress: &dyn Progress,
) -> Result<Stored> {
    let Scanned { tiling, notes } = scanned;
    let known = before.map(named_objects).unwrap_or_default();
    let items: Vec<PutItem<'_>> = tiling
        .spans()
        .iter()
        .map(|span| {
            let expect = span
                .name
                .as_deref()
                .and_then(|name| known.get(name).copied());
            PutItem {
                source: &opened.source,
                offset: span.offset,
                len: span.len,
                element: element(span.dtype.as_ref()),
                expect,
                bases: match (&span.name, &span.dtype) {
                    (Some(name), Some(dtype)) => relatives.of(name, &span.shape, dtype),
                    _ => Vec::new(),
                },
                numbers: span
                    .dtype
                    .as_ref()
                    .and_then(|dtype| numbers(dtype, &span.shape)),
                fields: span.dtype.as_ref().and_then(fields),
            }
        })
        .collect();
    let kindred = kindred::of(&tiling, relatives);
    let puts = writer.put_among(&items, &kindred, progress)?;
    let ids: Vec<ObjectId> = puts.iter().map(|put| put.id).collect();
    let views = view_ids(opened, &tiling, progress)?;
    let written = puts.iter().map(|put| put.written).sum();
    Ok(Stored {
        manifest: tiling.with_ids(&ids, &views),
        notes,
        written,
    })
}

/// Puts bytes that are no tensor into the store.
pub fn put_bytes(writer: &mut Writer, bytes: Vec<u8>) -> Result<ObjectId> {
    let item = PutItem {
        source: &bytes,
        offset: 0,
        len: bytes.len() as u64,
        element: Element::Bytes,
        expect: None,
        bases: Vec::new(),
        numbers: None,
        fields: None,
    };
    let put = writer.put_all(&[item], &crate::base::progress::Silent)?;
    Ok(put
        .first()
        .map_or_else(|| ObjectId::of(&bytes), |put| put.id))
}

fn hash_spans(
    source: &dyn ReadAt,
    tiling: &Tiling,
    progress: &dyn Progress,
) -> Result<Vec<ObjectId>> {
    let spans: Vec<Span<'_>> = tiling
        .spans()
        .iter()
        .map(|span| Span {
            source,
            offset: span.offset,
            len: span.len,
        })
        .collect();
    Ok(hash_all(&spans, progress)?)
}

/// The ids of tensors that do not lie whole and in order, laid out as if they did.
fn view_ids(opened: &Opened, tiling: &Tiling, progress: &dyn Progress) -> Result<Vec<ObjectId>> {
    let gathers = tiling.gathers();
    if gathers.is_empty() {
        return Ok(Vec::new());
    }
    let fail = |e: std::io::Error| match progress.cancelled() {
        true => Error::Store(StoreError::Cancelled),
        false => FsError::new("read", Path::new(opened.path.as_str()), e).into(),
    };
    let total = gathers.iter().map(Gather::len).sum();
    progress.begin("hashing views", Unit::Bytes, Some(total));
    let ids = gathers
        .iter()
        .map(|gather| gather.id(&opened.source, progress).map_err(fail))
        .collect();
    progress.end();
    ids
}

/// Which object holds each named tensor of a file; of a storage's views, the storage.
pub fn named_objects(manifest: &Manifest) -> HashMap<&str, ObjectId> {
    let mut named = HashMap::new();
    for segment in &manifest.segments {
        match segment {
            Segment::Literal { .. } => {}
            Segment::Tensor(tensor) => {
                let names = std::iter::once(&tensor.name).chain(&tensor.aliases);
                named.extend(names.map(|name| (name.as_str(), tensor.id)));
            }
            Segment::Storage(storage) => {
                named.insert(storage.key.as_str(), storage.id);
                named.extend(
                    storage
                        .views
                        .iter()
                        .map(|view| (view.name.as_str(), storage.id)),
                );
            }
        }
    }
    named
}

/// What the store may compute a tensor's numbers from others by.
pub(in crate::ops) fn numbers(dtype: &Dtype, shape: &[u64]) -> Option<Numbers> {
    let format = match dtype {
        Dtype::F32 => Format::F32,
        Dtype::F16 => Format::F16,
        Dtype::BF16 => Format::Bf16,
        Dtype::I8 => Format::I8,
        Dtype::F8E4M3 => Format::E4m3,
        Dtype::F8E5M2 => Format::E5m2,
        _ => return None,
    };
    let columns = columns(shape);
    Some(Numbers { format, columns })
}

/// How many numbers of a tensor are a row of its matrix; 0 where it is none.
pub(super) fn columns(shape: &[u64]) -> u64 {
    match shape {
        [] | [_] => 0,
        // Matrices in a stack: those of experts, and not the small ones of a convolution.
        [_, _, .., last] if *last >= 64 => *last,
        [_, rest @ ..] => {
            let product = rest.iter().try_fold(1u64, |a, b| a.checked_mul(*b));
            product.unwrap_or(0)
        }
    }
}

/// What a tensor's blocks are made of, where it is quantised.
pub(in crate::ops) fn fields(dtype: &Dtype) -> Option<Fields> {
    match dtype {
        Dtype::Quant(quant) => Some(quant.fields()),
        _ => None,
    }
}

/// How the store reads a tensor's bytes: by the width of what repeats in them.
pub(in crate::ops) fn element(dtype: Option<&Dtype>) -> Element {
    let Some(dtype) = dtype else {
        return Element::Bytes;
    };
    let width = match dtype {
        // A complex number is two floats side by side.
        Dtype::C64 => 4,
        Dtype::C128 => 8,
        known => known.size().unwrap_or(1) as u8,
    };
    let float = dtype.is_float() || matches!(dtype, Dtype::C64 | Dtype::C128);
    Element::Number { width, float }
}
