//! Writing one pack under a temporary name, and publishing it.

use std::path::Path;

use crate::base::fs::{Fs, TempFile, Writeback};
use crate::base::id::IdHasher;
use crate::base::{ObjectId, fs};
use crate::store::checksum::checksum;
use crate::store::layout::{END_MAGIC, PACK_MAGIC, header};
use crate::store::record::Record;

use super::index::{self, Entry, Footer};

/// Small writes are collected up to this size.
const BUFFER: usize = 1 << 20;

/// A pack being written. Dropped, it is gone.
pub(in crate::store) struct PackWriter {
    temp: TempFile,
    /// Bytes that are in the file, and in the hash.
    flushed: u64,
    hasher: IdHasher,
    /// Bytes that are in neither yet.
    buffer: Vec<u8>,
    entries: Vec<Entry>,
    raw: u64,
    stored: u64,
}

/// A place that a pack can go back to.
pub(in crate::store) struct Mark {
    flushed: u64,
    hasher: IdHasher,
}

impl PackWriter {
    /// `flags` are the optional ones of its head.
    pub(in crate::store) fn create(fs: &Fs, tmp: &Path, flags: u32) -> fs::Result<Self> {
        Ok(Self {
            temp: fs.temp_in(tmp)?,
            flushed: 0,
            hasher: IdHasher::new(),
            buffer: header(PACK_MAGIC, flags).to_vec(),
            entries: Vec::new(),
            raw: 0,
            stored: 0,
        })
    }

    /// Has it written back before it is complete.
    pub(in crate::store) fn write_back(&mut self, writeback: &Writeback) {
        self.temp.write_back(writeback);
    }

    /// Length so far.
    pub(in crate::store) fn len(&self) -> u64 {
        self.flushed + self.buffer.len() as u64
    }

    /// True while no object was ended.
    pub(in crate::store) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn flush(&mut self) -> fs::Result<()> {
        if !self.buffer.is_empty() {
            self.temp.write_all(&self.buffer)?;
            self.hasher.update(&self.buffer);
            self.flushed += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Appends the stored bytes of a chunk.
    pub(in crate::store) fn append(&mut self, bytes: &[u8]) -> fs::Result<()> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush()?;
        }
        if bytes.len() >= BUFFER / 4 {
            self.flush()?;
            self.temp.write_all(bytes)?;
            self.hasher.update(bytes);
            self.flushed += bytes.len() as u64;
        } else {
            self.buffer.extend(bytes);
        }
        Ok(())
    }

    /// Marks the place where an object begins that may turn out to be known.
    pub(in crate::store) fn mark(&mut self) -> fs::Result<Mark> {
        self.flush()?;
        Ok(Mark {
            flushed: self.flushed,
            hasher: self.hasher.clone(),
        })
    }

    /// Forgets all chunks that were appended since `mark`.
    pub(in crate::store) fn back_to(&mut self, mark: Mark) -> fs::Result<()> {
        self.buffer.clear();
        if self.flushed != mark.flushed {
            self.temp.set_len(mark.flushed)?;
        }
        self.flushed = mark.flushed;
        self.hasher = mark.hasher;
        Ok(())
    }

    /// Ends an object whose chunks were appended. Returns the length of its record.
    pub(in crate::store) fn end_object(&mut self, record: &Record) -> fs::Result<u64> {
        let bytes = record.encode();
        self.entries.push(Entry {
            id: record.id,
            offset: self.len(),
            len: bytes.len() as u32,
        });
        self.raw += record.len;
        self.stored += record.stored() + bytes.len() as u64;
        self.append(&bytes)?;
        Ok(bytes.len() as u64)
    }

    /// Completes the pack with its directory and footer. No two objects in it have the same id.
    pub(in crate::store) fn seal(mut self) -> fs::Result<Sealed> {
        self.entries.sort_unstable_by_key(|entry| entry.id);
        let directory = index::directory(&self.entries);
        let (at, count) = (self.len(), self.entries.len() as u64);
        let sum = checksum(&directory);
        self.append(&directory)?;
        self.append(&index::footer_front(at, count, self.raw, self.stored, sum))?;
        self.flush()?;
        let hash = self.hasher.finish();
        self.buffer.extend(hash.as_bytes());
        self.buffer.extend(END_MAGIC);
        self.flush()?;
        let footer = Footer {
            directory: at,
            count,
            raw: self.raw,
            stored: self.stored,
            directory_sum: sum,
            hash,
        };
        Ok(Sealed {
            pack: self.temp,
            index: index::encode(&self.entries, &directory, &footer),
            footer,
        })
    }
}

/// A complete pack that nobody sees yet. Dropped, it is gone.
pub(in crate::store) struct Sealed {
    pack: TempFile,
    index: Vec<u8>,
    pub(in crate::store) footer: Footer,
}

impl Sealed {
    /// Makes pack and index durable, still under temporary names.
    pub(in crate::store) fn sync(self, fs: &Fs, tmp: &Path) -> fs::Result<Durable> {
        self.pack.set_mode(0o444)?;
        self.pack.sync()?;
        let mut index = fs.temp_in(tmp)?;
        index.write_all(&self.index)?;
        index.set_mode(0o444)?;
        index.sync()?;
        Ok(Durable {
            pack: self.pack,
            index,
            name: self.footer.hash,
        })
    }
}

/// A pack and its index on the disk, one rename away from being seen.
pub(in crate::store) struct Durable {
    pack: TempFile,
    index: TempFile,
    name: ObjectId,
}

impl Durable {
    /// The name that it is about to get.
    pub(in crate::store) fn name(&self) -> ObjectId {
        self.name
    }

    /// Shows the pack to all. It is whole at each of these steps: without an index it is only slower to open.
    pub(in crate::store) fn publish(self, fs: &Fs, packs: &Path) -> fs::Result<()> {
        self.pack
            .rename_to(&packs.join(format!("{}.pack", self.name)))?;
        self.index
            .rename_to(&packs.join(format!("{}.idx", self.name)))?;
        fs.sync_dir(packs)
    }
}
