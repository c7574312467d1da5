//! Reading one published pack.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::base::ObjectId;
use crate::base::fs::FsError;
use crate::store::checksum::checksum;
use crate::store::error::{Flaw, Result, StoreError};
use crate::store::layout::{HEADER_LEN, PACK_MAGIC, SETTLED, Unusable, check_header, optional};
use crate::store::record::{Body, Chunk, Record};

use super::handles::{Handle, Handles, Which};
use super::index::{Entry, Problem, Table};

/// A pack that was listed. Opened when it is first asked for something.
#[derive(Debug)]
pub(in crate::store) struct Pack {
    pub(in crate::store) name: ObjectId,
    pub(in crate::store) path: PathBuf,
    /// From the index, or from the pack where there is no good index.
    table: OnceLock<std::result::Result<Table, Unusable>>,
    /// From the pack, if the index turned bad after it had been loaded.
    own: OnceLock<Table>,
}

impl Pack {
    pub(in crate::store) fn new(packs: &Path, name: ObjectId) -> Self {
        Self {
            name,
            path: packs.join(format!("{name}.pack")),
            table: OnceLock::new(),
            own: OnceLock::new(),
        }
    }

    pub(in crate::store) fn index_path(&self) -> PathBuf {
        self.path.with_extension("idx")
    }

    /// Bytes that it and its index take; 0 for what is not there.
    pub(in crate::store) fn disk(&self) -> u64 {
        let length = |path: &Path| path.metadata().map_or(0, |stat| stat.len());
        length(&self.path) + length(&self.index_path())
    }

    /// The error that tells of this pack.
    pub(in crate::store) fn unusable(&self, why: &Unusable) -> StoreError {
        let pack = self.name;
        match why {
            Unusable::Newer(what) => StoreError::Unsupported {
                pack,
                what: what.clone(),
            },
            Unusable::Damaged(what) => StoreError::Pack { pack, what },
        }
    }

    pub(in crate::store) fn damaged(&self, id: ObjectId, flaw: Flaw) -> StoreError {
        StoreError::Damaged {
            id,
            pack: self.name,
            flaw,
        }
    }

    /// The pack itself cannot be read. Of the index nothing is told: it only saves time.
    fn failed(&self, problem: Problem) -> StoreError {
        match problem {
            Problem::Unusable(why) => self.unusable(&why),
            Problem::Io(e) => FsError::new("read", &self.path, e).into(),
        }
    }

    /// The open pack file, whose head was checked.
    pub(in crate::store) fn file(&self, handles: &Handles) -> Result<Arc<Handle>> {
        self.open(handles, Which::Pack)
            .map_err(|problem| self.failed(problem))
    }

    fn open(&self, handles: &Handles, which: Which) -> std::result::Result<Arc<Handle>, Problem> {
        handles.get(self.name, which, || match which {
            Which::Index => Ok(Handle::open(&self.index_path())?),
            Which::Pack => {
                let file = Handle::open(&self.path)?;
                check_header(&file.read(0, HEADER_LEN)?, PACK_MAGIC)?;
                Ok(file)
            }
        })
    }

    /// The list of objects: from the index, or from the pack itself where there is no good index.
    ///
    /// The outer error is of the disk, and may be gone at the next try.
    fn table(&self, handles: &Handles) -> Result<std::result::Result<&Table, Unusable>> {
        if self.table.get().is_none() {
            let loaded = match self.load(handles) {
                Ok(table) => Ok(table),
                Err(Problem::Unusable(why)) => Err(why),
                Err(problem) => return Err(self.failed(problem)),
            };
            let _ = self.table.set(loaded);
        }
        match self.table.get() {
            Some(Ok(table)) => Ok(Ok(table)),
            Some(Err(why)) => Ok(Err(why.clone())),
            None => Ok(Err(Unusable::Damaged("it was not loaded"))),
        }
    }

    fn load(&self, handles: &Handles) -> std::result::Result<Table, Problem> {
        let index = self
            .open(handles, Which::Index)
            .and_then(|file| Table::of_index(&file));
        match index {
            Ok(table) if table.hash == self.name => Ok(table),
            // Whatever keeps the index from being read, the pack can do without.
            Ok(_) | Err(_) => Table::of_pack(&*self.open(handles, Which::Pack)?),
        }
    }

    fn own(&self, handles: &Handles) -> std::result::Result<&Table, Problem> {
        match self.own.get() {
            Some(table) => Ok(table),
            None => {
                let table = Table::of_pack(&*self.open(handles, Which::Pack)?)?;
                Ok(self.own.get_or_init(|| table))
            }
        }
    }

    /// Where the record of `id` lies; `Err` inside where this pack cannot tell.
    pub(in crate::store) fn find(
        &self,
        handles: &Handles,
        id: &ObjectId,
    ) -> Result<std::result::Result<Option<Entry>, Unusable>> {
        let table = match self.table(handles)? {
            Ok(table) => table,
            Err(why) => return Ok(Err(why)),
        };
        let look = |table: &Table| table.find(id, || self.open(handles, table.which));
        let found = match look(table) {
            Err(_) if table.which == Which::Index => self.own(handles).and_then(look),
            found => found,
        };
        match found {
            Ok(entry) => Ok(Ok(entry)),
            Err(Problem::Unusable(why)) => Ok(Err(why)),
            Err(problem) => Err(self.failed(problem)),
        }
    }

    /// Whether a repack wrote it: see [`SETTLED`].
    pub(in crate::store) fn is_settled(&self, handles: &Handles) -> Result<bool> {
        let head = self.file(handles)?.read(0, HEADER_LEN);
        let head = head.map_err(|e| self.failed(Problem::Io(e)))?;
        Ok(optional(&head) & SETTLED != 0)
    }

    /// Objects, raw bytes and stored bytes in this pack.
    pub(in crate::store) fn totals(&self, handles: &Handles) -> Result<(u64, u64, u64)> {
        match self.table(handles)? {
            Ok(table) => Ok((table.count, table.raw, table.stored)),
            Err(why) => Err(self.unusable(&why)),
        }
    }

    /// Every object of this pack, in order of the ids.
    pub(in crate::store) fn entries(&self, handles: &Handles) -> Result<Vec<Entry>> {
        let table = match self.table(handles)? {
            Ok(table) => table,
            Err(why) => return Err(self.unusable(&why)),
        };
        let of = |table: &Table| table.entries(&*self.open(handles, table.which)?);
        let entries = match of(table) {
            Err(_) if table.which == Which::Index => self.own(handles).and_then(of),
            entries => entries,
        };
        entries.map_err(|problem| self.failed(problem))
    }

    /// Reads and proves a record.
    pub(in crate::store) fn record(&self, handles: &Handles, entry: &Entry) -> Result<Record> {
        let bytes = self.read(handles, entry.id, entry.offset, entry.len as usize)?;
        let flawed = |flaw| self.damaged(entry.id, flaw);
        let record = Record::decode(&bytes).map_err(flawed)?;
        if record.id != entry.id {
            return Err(flawed(Flaw::Record("it is another object's")));
        }
        // Of an object without chunks the place of the first has no meaning.
        let has_chunks = matches!(&record.body, Body::Chunks(chunks) if !chunks.is_empty());
        let end = record.payload.checked_add(record.stored());
        let before =
            record.payload >= HEADER_LEN as u64 && end.is_some_and(|end| end <= entry.offset);
        if has_chunks && !before {
            return Err(flawed(Flaw::Record("its chunks are not before it")));
        }
        record.prove().map_err(flawed)?;
        Ok(record)
    }

    /// Puts the stored bytes of a chunk into `out`, whatever it held; not checked: for who proves what they decode to.
    pub(in crate::store) fn payload(
        &self,
        handles: &Handles,
        record: &Record,
        index: u64,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        self.stored(handles, record, index, out).map(drop)
    }

    /// [`Pack::payload`], with its checksum compared.
    pub(in crate::store) fn checked_payload(
        &self,
        handles: &Handles,
        record: &Record,
        index: u64,
    ) -> Result<Vec<u8>> {
        let mut payload = Vec::new();
        let chunk = self.stored(handles, record, index, &mut payload)?;
        match chunk.checksum == checksum(&payload) {
            true => Ok(payload),
            false => Err(self.damaged(record.id, Flaw::Checksum(index))),
        }
    }

    fn stored<'a>(
        &self,
        handles: &Handles,
        record: &'a Record,
        index: u64,
        out: &mut Vec<u8>,
    ) -> Result<&'a Chunk> {
        let chunk = match &record.body {
            Body::Chunks(chunks) => usize::try_from(index).ok().and_then(|i| chunks.get(i)),
            Body::Parts(_) => None,
        };
        let chunk = chunk.ok_or_else(|| {
            self.damaged(record.id, Flaw::Record("a chunk that it does not have"))
        })?;
        let at = record.payload + chunk.at;
        self.read_into(handles, record.id, at, chunk.stored as usize, out)?;
        Ok(chunk)
    }

    fn read(&self, handles: &Handles, id: ObjectId, at: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_into(handles, id, at, len, &mut bytes)?;
        Ok(bytes)
    }

    fn read_into(
        &self,
        handles: &Handles,
        id: ObjectId,
        at: u64,
        len: usize,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let file = self.file(handles)?;
        file.read_into(at, len, out).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => {
                self.damaged(id, Flaw::Record("it lies beyond the end of the pack"))
            }
            _ => self.failed(Problem::Io(e)),
        })
    }
}
