//! Tensors for the evaluator: from files of the work tree or objects of the store, every byte checked.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use crate::base::fs::FsError;
use crate::base::progress::Silent;
use crate::base::text::printable;
use crate::base::{Dtype, Failure, Kind, ObjectId, ReadAt, RepoPath};
use crate::eval::{ReadError, Tensors};
use crate::model::format::FormatError;
use crate::model::view::Strided;
use crate::model::{Entry, How, Manifest, Segment, scan};
use crate::ops::error::{Error, Result};
use crate::ops::sides::SideFile;
use crate::ops::verify::views::differing;
use crate::ops::workspace::Workspace;
use crate::ops::{tracked, weights};

/// The longest single tensor that is read into memory for evaluation.
const LIMIT: u64 = 8 << 30;

/// The tensors of one model, over all its weights files.
pub(super) struct ModelTensors<'a> {
    ws: &'a Workspace,
    files: &'a [(RepoPath, SideFile)],
    by_name: HashMap<String, (usize, Entry)>,
}

impl<'a> ModelTensors<'a> {
    /// Joins the tensors of several files; a name that two files have is refused, since either could be meant.
    pub(super) fn new(ws: &'a Workspace, files: &'a [(RepoPath, SideFile)]) -> Result<Self> {
        let mut by_name = HashMap::new();
        for (index, (path, file)) in files.iter().enumerate() {
            if file.is_stored() {
                prove(ws, &file.manifest)?;
            }
            // All bytes may be as the sidecar says, and be called by another's name.
            if file.what.is_none() {
                file.agrees(ws, path)?;
                prove_views(ws, path, file)?;
            }
            for entry in file.manifest.tensors() {
                let name = entry.name.clone();
                if let Some((other, _)) = by_name.insert(name.clone(), (index, entry)) {
                    let (other, _) = &files[other];
                    let message = format!(
                        "the tensor `{}` is in {other} and in {path}",
                        printable(&name)
                    );
                    return Err(Error::refused(Kind::BadInput, message));
                }
            }
        }
        Ok(Self { ws, files, by_name })
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        let missing = || {
            Error::refused(
                Kind::NotFound,
                format!("there is no tensor `{}`", printable(name)),
            )
        };
        let (file, entry) = self.by_name.get(name).ok_or_else(missing)?;
        let (path, file) = &self.files[*file];
        let (source, base) = file.locate(self.ws, entry)?;
        let buffer =
            read(source.as_ref(), base, entry).map_err(|e| failed(e, &self.ws.on_disk(path)))?;
        // Hashed as it is used: what is measured is what the name says, not what lay there a moment ago.
        if ObjectId::of(&buffer) != entry.id {
            return Err(Error::Changed(path.clone()));
        }
        Ok(buffer)
    }
}

impl Tensors for ModelTensors<'_> {
    fn names(&self) -> Vec<String> {
        self.by_name.keys().cloned().collect()
    }

    fn info(&self, name: &str) -> Option<(Dtype, Vec<u64>)> {
        self.by_name
            .get(name)
            .map(|(_, entry)| (entry.dtype.clone(), entry.shape.clone()))
    }

    fn bytes(&self, name: &str) -> std::result::Result<Vec<u8>, ReadError> {
        Ok(self.read(name)?)
    }
}

/// The tensors of a suite's data file, which is read whole.
pub(super) struct DataTensors<'a> {
    bytes: &'a Vec<u8>,
    by_name: HashMap<String, Entry>,
}

impl<'a> DataTensors<'a> {
    pub(super) fn new(name: &str, bytes: &'a Vec<u8>) -> Result<Self> {
        // Its hint is none for data: to track a file as plain bytes makes it no better a suite.
        let bad = |e: FormatError| Error::refused(e.kind(), format!("{name} is {e}"));
        let scanned = scan(bytes, name, How { opaque: false });
        let entries = weights::outline(scanned.map_err(bad)?.tiling).tensors();
        Ok(Self {
            bytes,
            by_name: entries
                .into_iter()
                .map(|entry| (entry.name.clone(), entry))
                .collect(),
        })
    }
}

impl Tensors for DataTensors<'_> {
    fn names(&self) -> Vec<String> {
        self.by_name.keys().cloned().collect()
    }

    fn info(&self, name: &str) -> Option<(Dtype, Vec<u64>)> {
        self.by_name
            .get(name)
            .map(|entry| (entry.dtype.clone(), entry.shape.clone()))
    }

    fn bytes(&self, name: &str) -> std::result::Result<Vec<u8>, ReadError> {
        let missing = || {
            Error::refused(
                Kind::NotFound,
                format!("there is no tensor `{}`", printable(name)),
            )
        };
        let entry = self.by_name.get(name).ok_or_else(missing)?;
        let source: &dyn ReadAt = self.bytes;
        let read = read(source, entry.location.offset, entry);
        Ok(read.map_err(|e| FsError::new("read", Path::new(name), e))?)
    }
}

/// A tensor's elements, whole and in order, of a tensor that begins at `base`.
fn read(source: &dyn ReadAt, base: u64, entry: &Entry) -> io::Result<Vec<u8>> {
    let too_long = || {
        io::Error::new(
            io::ErrorKind::FileTooLarge,
            "the tensor is too long to evaluate",
        )
    };
    let bytes = entry
        .dtype
        .bytes(&entry.shape)
        .unwrap_or(entry.location.bytes);
    let mut buffer = vec![
        0;
        usize::try_from(bytes)
            .ok()
            .filter(|_| bytes <= LIMIT)
            .ok_or_else(too_long)?
    ];
    let strides = entry.location.strides.as_deref().unwrap_or_default();
    match Strided::new(0, &entry.dtype, &entry.shape, strides) {
        Some(strided) => strided.of(source, base).read_exact_at(&mut buffer, 0)?,
        // An element size that nobody knows: the bytes as they lie.
        None => source.read_exact_at(&mut buffer, base)?,
    }
    Ok(buffer)
}

/// Proves every object of a version's file, also those that no measurement needs: what cannot be restored is not
/// to pass.
fn prove(ws: &Workspace, manifest: &Manifest) -> Result<()> {
    let mut chunk = Vec::new();
    for (id, bytes, _) in manifest.objects() {
        let object = ws.store().object(&id)?;
        for index in 0..object.chunks() {
            object.read_chunk(index, &mut chunk)?;
        }
        if object.len() != bytes {
            let message = format!("the object {id} has another length than the sidecar says");
            return Err(Error::refused(Kind::Damaged, message));
        }
    }
    Ok(())
}

/// Proves the ids of views, which are the sidecar's word alone: the objects have those of their storages.
fn prove_views(ws: &Workspace, path: &RepoPath, file: &SideFile) -> Result<()> {
    for piece in file.manifest.pieces() {
        let Segment::Storage(storage) = piece.segment else {
            continue;
        };
        let (source, base) = file.locate_piece(ws, &piece)?;
        let wrong = differing(storage, source.as_ref(), base, &Silent);
        let wrong = wrong.map_err(|e| failed(e, &ws.on_disk(path)))?;
        if let Some(name) = wrong.first() {
            file.unchanged(ws)?;
            let sidecar = tracked::sidecar_path(path);
            let name = printable(name);
            return Err(Error::refused(
                Kind::BadInput,
                format!("{sidecar} does not describe its file: the view `{name}` is another"),
            ));
        }
    }
    Ok(())
}

/// What the store said of an object reaches us through a reader, as an error of reading.
fn failed(error: io::Error, path: &Path) -> Error {
    match error.downcast::<crate::store::StoreError>() {
        Ok(store) => store.into(),
        Err(error) => FsError::new("read", path, error).into(),
    }
}
