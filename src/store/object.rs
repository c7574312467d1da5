//! One stored object, read chunk by chunk; every chunk is proved before a byte of it is given out.
//!
//! How a chunk comes to be what it is, down a chain of others, is [`super::chain`]'s.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::id::CHUNK;
use crate::base::{Fields, ObjectId, ReadAt};

use super::chain::{Chain, Tools};
use super::error::Result;
use super::opened::{Fit, Opened};
use super::pack::Pack;
use super::record::Record;
use super::{Element, Shared};

/// An object of the store, open for reading. Reads are verified; several threads may read at once.
pub struct Object {
    shared: Arc<Shared>,
    opened: Arc<Opened>,
    last: Mutex<Last>,
}

/// The chunk that was read last, and the tools it was read with.
#[derive(Default)]
struct Last {
    tools: Tools,
    index: Option<u64>,
    bytes: Vec<u8>,
}

impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Object")
            .field("id", &self.id())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl Object {
    pub(super) fn open(shared: &Arc<Shared>, id: &ObjectId, tools: &mut Tools) -> Result<Self> {
        Self::open_fit(shared, id, Fit::Any, tools)
    }

    /// [`Object::open`] for who knows how long it is: copies of another length are none.
    pub(super) fn open_sized(
        shared: &Arc<Shared>,
        id: &ObjectId,
        len: u64,
        tools: &mut Tools,
    ) -> Result<Self> {
        Self::open_fit(shared, id, Fit::Len(len), tools)
    }

    fn open_fit(shared: &Arc<Shared>, id: &ObjectId, fit: Fit, tools: &mut Tools) -> Result<Self> {
        let opened = Chain { shared, tools }.open(id, fit)?;
        Ok(Self::of(shared, opened))
    }

    /// An object of this record, which was proved, in this very pack.
    pub(super) fn new(shared: &Arc<Shared>, pack: &Arc<Pack>, record: Record) -> Self {
        Self::of(shared, Arc::new(Opened::new(pack, record)))
    }

    fn of(shared: &Arc<Shared>, opened: Arc<Opened>) -> Self {
        Self {
            shared: shared.clone(),
            opened,
            last: Mutex::default(),
        }
    }

    /// The object's name.
    pub fn id(&self) -> ObjectId {
        self.opened.record.id
    }

    /// What its bytes were stored as.
    pub fn element(&self) -> Element {
        self.opened.record.element
    }

    /// What its blocks are made of, where it was stored as blocks.
    pub fn fields(&self) -> Option<Fields> {
        self.opened.fields()
    }

    /// The number of chunks of 1 MiB.
    pub fn chunks(&self) -> u64 {
        self.opened.record.chunks()
    }

    pub(super) fn record(&self) -> &Record {
        &self.opened.record
    }

    pub(super) fn pack(&self) -> &Arc<Pack> {
        &self.opened.pack
    }

    pub(super) fn chain<'a>(&'a self, tools: &'a mut Tools) -> Chain<'a> {
        Chain {
            shared: &self.shared,
            tools,
        }
    }

    /// Puts the verified bytes of chunk `index` into `out`, whatever it held.
    pub fn read_chunk(&self, index: u64, out: &mut Vec<u8>) -> Result<()> {
        let mut last = self.take_last();
        let done = self.decode_chunk(index, &mut last.tools, out);
        self.give_last(last);
        done
    }

    /// [`Object::read_chunk`] for who has tools: from another copy of the object where this one cannot give them and
    /// there is one.
    pub(super) fn decode_chunk(
        &self,
        index: u64,
        tools: &mut Tools,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        self.chain(tools).chunk(&self.opened, index, out)
    }

    /// [`Object::decode_chunk`] from this very pack.
    pub(super) fn decode_own(
        &self,
        index: u64,
        tools: &mut Tools,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        self.chain(tools).own(&self.opened, index, out)
    }

    /// [`Object::decode_chunk`], counted as what is read for another object.
    pub(super) fn base_chunk(
        &self,
        index: u64,
        tools: &mut Tools,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        self.chain(tools).base_chunk(&self.opened, index, out)
    }

    /// Puts up to `len` verified bytes from `offset` on into `out`: fewer where the object ends before.
    pub(super) fn window(
        &self,
        offset: u64,
        len: usize,
        tools: &mut Tools,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        self.chain(tools).window(&self.opened, offset, len, out)
    }

    /// All verified bytes.
    pub(super) fn read_all(&self) -> Result<Vec<u8>> {
        let mut tools = Tools::default();
        let mut chunk = Vec::new();
        let mut all = Vec::new();
        for index in 0..self.chunks() {
            self.decode_chunk(index, &mut tools, &mut chunk)?;
            if self.chunks() == 1 {
                return Ok(chunk);
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }

    fn take_last(&self) -> Last {
        // Taken, not held: a second thread meanwhile starts with tools of its own.
        std::mem::take(&mut *self.last.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn give_last(&self, last: Last) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }

    fn fill(&self, buffer: &mut [u8], offset: u64, last: &mut Last) -> io::Result<()> {
        let end = offset
            .checked_add(buffer.len() as u64)
            .filter(|end| *end <= self.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut at = offset;
        let mut rest = buffer;
        while at < end {
            let index = at / CHUNK as u64;
            if last.index != Some(index) {
                last.index = None; // not there if decoding fails
                self.decode_chunk(index, &mut last.tools, &mut last.bytes)?;
                last.index = Some(index);
            }
            let chunk = &last.bytes[(at % CHUNK as u64) as usize..];
            let len = chunk.len().min(rest.len());
            let (front, back) = rest.split_at_mut(len);
            front.copy_from_slice(&chunk[..len]);
            rest = back;
            at += len as u64;
        }
        Ok(())
    }
}

impl ReadAt for Object {
    fn len(&self) -> u64 {
        self.opened.record.len
    }

    /// Fills `buffer`; an error carries a [`crate::store::StoreError`] where the bytes are damaged or a base is missing.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut last = self.take_last();
        let done = self.fill(buffer, offset, &mut last);
        self.give_last(last);
        done
    }
}
