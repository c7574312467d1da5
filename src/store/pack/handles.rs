//! Open files, few at a time: a store may have more packs than a process may have files.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::ObjectId;

/// How many files stay open between reads.
const KEPT: usize = 64;

/// Which file of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Which {
    Pack,
    Index,
}

/// An open file, and the length it has: files of the store never change.
#[derive(Debug)]
pub(in crate::store) struct Handle {
    bytes: Bytes,
    pub(in crate::store) len: u64,
}

/// Where the bytes of a handle are.
#[derive(Debug)]
enum Bytes {
    File(File),
    #[cfg(any(test, feature = "fuzzing"))]
    Memory(Vec<u8>),
}

impl Handle {
    pub(in crate::store) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        let bytes = Bytes::File(file);
        Ok(Self { bytes, len })
    }

    /// As if a file held these bytes.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(in crate::store) fn holding(bytes: Vec<u8>) -> Self {
        Self {
            len: bytes.len() as u64,
            bytes: Bytes::Memory(bytes),
        }
    }

    /// `len` bytes from `offset`; `UnexpectedEof`, before anything is allocated, where there are not so many.
    pub(in crate::store) fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_into(offset, len, &mut bytes)?;
        Ok(bytes)
    }

    /// [`Handle::read`] into `out`, whatever it held.
    pub(in crate::store) fn read_into(
        &self,
        offset: u64,
        len: usize,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        match offset.checked_add(len as u64) {
            Some(end) if end <= self.len => {}
            _ => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        out.resize(len, 0);
        self.fill(offset, out)
    }

    pub(in crate::store) fn fill(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match &self.bytes {
            Bytes::File(file) => file.read_exact_at(buffer, offset),
            #[cfg(any(test, feature = "fuzzing"))]
            Bytes::Memory(bytes) => crate::base::ReadAt::read_exact_at(bytes, buffer, offset),
        }
    }
}

/// The files used last.
#[derive(Debug, Default)]
pub(in crate::store) struct Handles {
    open: Mutex<VecDeque<(ObjectId, Which, Arc<Handle>)>>,
}

impl Handles {
    /// The open file of that pack, opened and checked by `open` if it is not open yet.
    pub(in crate::store) fn get<E>(
        &self,
        name: ObjectId,
        which: Which,
        open: impl FnOnce() -> Result<Handle, E>,
    ) -> Result<Arc<Handle>, E> {
        let lock = || self.open.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut kept = lock();
            let found = kept.iter().position(|(n, w, _)| *n == name && *w == which);
            if let Some(at) = found {
                let handle = kept[at].2.clone();
                if at >= KEPT / 2 {
                    // Towards the front again, but not at every read.
                    kept.swap(at, 0);
                }
                return Ok(handle);
            }
        }
        let handle = Arc::new(open()?);
        let mut kept = lock();
        kept.push_front((name, which, handle.clone()));
        kept.truncate(KEPT);
        Ok(handle)
    }
}
