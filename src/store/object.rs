//! One stored object, read chunk by chunk; every chunk is proved before a byte of it is given out.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::base::id::{CHUNK, chunk_value};
use crate::base::{ObjectId, ReadAt};

use super::Shared;
use super::codec::{Decoder, Stored};
use super::error::{Flaw, Result, StoreError};
use super::pack::Pack;
use super::record::{Body, Chunk, Part, Record};

/// The longest chain of objects that depend on each other.
const DEPTH: u8 = 8;

/// An object of the store, open for reading. Reads are verified; several threads may read at once.
pub struct Object {
    shared: Arc<Shared>,
    pack: Arc<Pack>,
    record: Record,
    depth: u8,
    bases: Vec<OnceLock<Object>>,
    /// Where each part begins.
    starts: Vec<u64>,
    last: Mutex<Last>,
}

/// The chunk that was read last, and the tools it was read with.
#[derive(Default)]
struct Last {
    tools: Option<Decoder>,
    index: Option<u64>,
    bytes: Vec<u8>,
}

impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Object")
            .field("id", &self.record.id)
            .field("len", &self.record.len)
            .finish_non_exhaustive()
    }
}

impl Object {
    /// `depth` is how many objects depend on this one, in a chain.
    pub(super) fn open(shared: &Arc<Shared>, id: &ObjectId, depth: u8) -> Result<Self> {
        shared.packs.first_good(id, |pack, entry| {
            let record = pack.record(&shared.packs.handles, entry)?;
            if depth > DEPTH {
                return Err(pack.damaged(*id, Flaw::Depth));
            }
            Ok(Self::new(shared, pack, record, depth))
        })
    }

    /// An object of this record, which was proved, in this very pack.
    pub(super) fn new(shared: &Arc<Shared>, pack: &Arc<Pack>, record: Record, depth: u8) -> Self {
        let starts = match &record.body {
            Body::Chunks(_) => Vec::new(),
            Body::Parts(parts) => parts
                .iter()
                .scan(0, |at, part| {
                    let start = *at;
                    *at += u64::from(part.len);
                    Some(start)
                })
                .collect(),
        };
        Self {
            shared: shared.clone(),
            pack: pack.clone(),
            depth,
            bases: record.bases.iter().map(|_| OnceLock::new()).collect(),
            starts,
            record,
            last: Mutex::default(),
        }
    }

    /// The object's name.
    pub fn id(&self) -> ObjectId {
        self.record.id
    }

    /// The number of chunks of 1 MiB.
    pub fn chunks(&self) -> u64 {
        self.record.chunks()
    }

    /// Puts the verified bytes of chunk `index` into `out`, whatever it held.
    pub fn read_chunk(&self, index: u64, out: &mut Vec<u8>) -> Result<()> {
        let mut last = self.take_last();
        let tools = last.tools.get_or_insert_with(Decoder::new);
        let done = self.decode_chunk(index, tools, out);
        self.give_last(last);
        done
    }

    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    pub(super) fn pack(&self) -> &Arc<Pack> {
        &self.pack
    }

    fn flawed(&self, flaw: Flaw) -> StoreError {
        self.pack.damaged(self.record.id, flaw)
    }

    /// All verified bytes.
    pub(super) fn read_all(&self) -> Result<Vec<u8>> {
        let mut tools = Decoder::new();
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

    /// Puts the verified bytes of chunk `index` into `out`, whatever it held: from another copy of the object
    /// where this one is damaged and there is one.
    pub(super) fn decode_chunk(
        &self,
        index: u64,
        tools: &mut Decoder,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let damage = match self.decode_own(index, tools, out) {
            Err(damage @ StoreError::Damaged { .. }) => damage,
            done => return done,
        };
        let packs = &self.shared.packs;
        let copy = packs.first_good(&self.record.id, |pack, entry| {
            if pack.name == self.pack.name {
                return Err(self.flawed(Flaw::Value(index)));
            }
            let record = pack.record(&packs.handles, entry)?;
            Self::new(&self.shared, pack, record, self.depth).decode_own(index, tools, out)
        });
        copy.map_err(|_| damage)
    }

    /// [`Object::decode_chunk`] from this very pack.
    pub(super) fn decode_own(
        &self,
        index: u64,
        tools: &mut Decoder,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        if index >= self.chunks() {
            return Err(self.flawed(Flaw::Length(self.record.len)));
        }
        out.resize(self.record.chunk_len(index), 0);
        match &self.record.body {
            Body::Chunks(chunks) => {
                let chunk = usize::try_from(index).ok().and_then(|i| chunks.get(i));
                let chunk = chunk.ok_or_else(|| self.flawed(Flaw::Length(self.record.len)))?;
                self.decode_stored(index, chunk, tools, out)?;
            }
            Body::Parts(parts) => self.join_parts(index, parts, tools, out)?,
        }
        let good = match usize::try_from(index)
            .ok()
            .and_then(|i| self.record.values.get(i))
        {
            Some(value) => *value == chunk_value(index, out),
            None => self.record.id == ObjectId::of(out),
        };
        if good {
            Ok(())
        } else {
            Err(self.flawed(Flaw::Value(index)))
        }
    }

    fn decode_stored(
        &self,
        index: u64,
        chunk: &Chunk,
        tools: &mut Decoder,
        out: &mut [u8],
    ) -> Result<()> {
        let handles = &self.shared.packs.handles;
        let payload = self.pack.payload(handles, &self.record, index)?;
        let mut base = Vec::new();
        if let Some(which) = chunk.base {
            self.base(which)?
                .window(chunk.base_offset, out.len(), tools, &mut base)?;
        }
        let stored = Stored {
            payload: &payload,
            element: self.record.element,
            tables: &self.record.tables,
            base: &base,
        };
        tools
            .decode(chunk.codec, &stored, out)
            .map_err(|problem| match problem {
                super::codec::CodecError::Unknown(codec) => StoreError::Unsupported {
                    pack: self.pack.name,
                    what: format!("codec {codec}"),
                },
                problem => self.flawed(Flaw::Codec {
                    chunk: index,
                    problem,
                }),
            })
    }

    fn base(&self, which: u8) -> Result<&Object> {
        let missing = || self.flawed(Flaw::Record("a chunk names a base that is not listed"));
        let which = usize::from(which);
        let place = self.bases.get(which).ok_or_else(missing)?;
        let id = self.record.bases.get(which).ok_or_else(missing)?;
        if let Some(base) = place.get() {
            return Ok(base);
        }
        let base = Self::open(&self.shared, id, self.depth + 1)?;
        Ok(place.get_or_init(|| base))
    }

    /// Up to `len` verified bytes from `offset` on: fewer where the object ends before.
    fn window(
        &self,
        offset: u64,
        len: usize,
        tools: &mut Decoder,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let end = self.record.len.min(offset.saturating_add(len as u64));
        let mut at = offset;
        let mut chunk = Vec::new();
        while at < end {
            let index = at / CHUNK as u64;
            self.decode_chunk(index, tools, &mut chunk)?;
            let from = (at % CHUNK as u64) as usize;
            let to = chunk.len().min(from + (end - at) as usize);
            out.extend(&chunk[from..to]);
            at += (to - from) as u64;
        }
        Ok(())
    }

    fn join_parts(
        &self,
        index: u64,
        parts: &[Part],
        tools: &mut Decoder,
        out: &mut [u8],
    ) -> Result<()> {
        let from = index * CHUNK as u64;
        let to = from + out.len() as u64;
        let first = self.starts.partition_point(|start| *start <= from).max(1) - 1;
        let mut bytes = Vec::new();
        for (part, start) in parts.iter().zip(&self.starts).skip(first) {
            if *start >= to {
                break;
            }
            let object = Self::open(&self.shared, &part.id, self.depth + 1)?;
            if matches!(object.record.body, Body::Parts(_)) || object.len() != u64::from(part.len) {
                return Err(self.flawed(Flaw::Record("a part is not what it should be")));
            }
            object.decode_chunk(0, tools, &mut bytes)?;
            // The part's bytes that lie in this chunk, and where in it they lie.
            let low = from.max(*start);
            let high = to.min(*start + u64::from(part.len));
            let place = (low - from) as usize..(high - from) as usize;
            out[place].copy_from_slice(&bytes[(low - start) as usize..(high - start) as usize]);
        }
        Ok(())
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
            .filter(|end| *end <= self.record.len)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut at = offset;
        let mut rest = buffer;
        while at < end {
            let index = at / CHUNK as u64;
            if last.index != Some(index) {
                last.index = None; // not there if decoding fails
                let tools = last.tools.get_or_insert_with(Decoder::new);
                self.decode_chunk(index, tools, &mut last.bytes)?;
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
        self.record.len
    }

    /// Fills `buffer`; an error carries a [`StoreError`] where the bytes are damaged or a base is missing.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut last = self.take_last();
        let done = self.fill(buffer, offset, &mut last);
        self.give_last(last);
        done
    }
}
