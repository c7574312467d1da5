//! One stored object, read chunk by chunk; every chunk is proved before a byte of it is given out.
//!
//! What a chunk is decoded from, chunk by chunk down a chain of bases, is proved with it: if its own bytes are right,
//! it does not matter how. Only where they are not, all of the chain is read again and proved link by link, to find
//! the copy that is bad and another that is good.
//!
//! An object may lie in several packs. Whatever is wrong with one copy, as a whole or in one chunk, the next is
//! tried: damage of a record or a chunk, a length that is not its, a codec of a newer mvc, a base that is gone.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::base::id::{CHUNK, chunk_value};
use crate::base::{Fields, ObjectId, ReadAt};

use super::assemble::Work;
use super::codec::{self, CodecError, Decoder, Stored};
use super::error::{Flaw, Result, StoreError};
use super::pack::Pack;
use super::record::{Body, Chunk, Part, Record};
use super::{Element, Shared};

/// The longest chain of objects that depend on each other.
pub(super) const DEPTH: u8 = 8;

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
    tools: Tools,
    index: Option<u64>,
    bytes: Vec<u8>,
}

/// What one thread needs to read chunk after chunk.
#[derive(Default)]
pub(super) struct Tools {
    decoder: Option<Decoder>,
    /// What was learned of bases and parts for the chunk that is being read: the pack whose copy is good where the
    /// first is not, `None` where no copy is. So each copy is tried once, however many copies of others need it.
    learned: HashMap<Need, Option<ObjectId>>,
    /// True while bases and parts are taken as they come, since what is made of them will be proved.
    trusting: bool,
    /// Buffers of a chunk each, two for each object of a chain: fresh ones would cost the kernel more than they
    /// hold.
    spares: Vec<Vec<u8>>,
    pub(super) work: Work,
    /// The heights of objects: many may have one base in common.
    heights: HashMap<ObjectId, u8>,
}

impl Tools {
    pub(super) fn spare(&mut self) -> Vec<u8> {
        self.spares.pop().unwrap_or_default()
    }

    pub(super) fn give_back(&mut self, buffer: Vec<u8>) {
        self.spares.push(buffer);
    }
}

/// A base's number that is beyond the record's list.
pub(super) const UNLISTED: Flaw = Flaw::Record("a chunk names a base that is not listed");

/// What it means that a codec gives up on a chunk.
pub(super) fn refused(pack: &Pack, id: &ObjectId, chunk: u64, problem: CodecError) -> StoreError {
    match problem {
        CodecError::Unknown(codec) => StoreError::Unsupported {
            pack: pack.name,
            what: format!("codec {codec}"),
        },
        problem => pack.damaged(*id, Flaw::Codec { chunk, problem }),
    }
}

/// An object, one of its chunks or, with [`WHOLE`], its record, and its depth.
type Need = (ObjectId, u64, u8);

/// Stands for no chunk.
const WHOLE: u64 = u64::MAX;

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
    pub(super) fn open(
        shared: &Arc<Shared>,
        id: &ObjectId,
        depth: u8,
        tools: &mut Tools,
    ) -> Result<Self> {
        Self::open_where(shared, id, depth, tools, |_| Ok(()))
    }

    /// [`Object::open`] for who knows how long it is: copies of another length are none.
    pub(super) fn open_sized(
        shared: &Arc<Shared>,
        id: &ObjectId,
        len: u64,
        tools: &mut Tools,
    ) -> Result<Self> {
        Self::open_where(shared, id, 0, tools, |record| match record.len == len {
            true => Ok(()),
            false => Err(Flaw::Length(record.len)),
        })
    }

    /// [`Object::open`] of the first copy whose record fits.
    fn open_where(
        shared: &Arc<Shared>,
        id: &ObjectId,
        depth: u8,
        tools: &mut Tools,
        fits: impl Fn(&Record) -> std::result::Result<(), Flaw>,
    ) -> Result<Self> {
        let mut copies = shared.packs.all_good(id, |pack, entry| {
            let record = pack.record(&shared.packs.handles, entry)?;
            if depth > DEPTH {
                return Err(pack.damaged(*id, Flaw::Depth));
            }
            fits(&record).map_err(|flaw| pack.damaged(*id, flaw))?;
            Ok(Self::new(shared, pack, record, depth))
        })?;
        let mut best = 0;
        if copies.iter().any(|copy| copy.len() != copies[0].len()) {
            let this = (*id, WHOLE, depth);
            let good = match tools.learned.get(&this) {
                Some(learned) => *learned,
                None => {
                    let proved = copies.iter().find(|copy| copy.proves_its_length(tools));
                    let good = proved.map(|copy| copy.pack.name);
                    tools.learned.insert(this, good);
                    good
                }
            };
            let is_good = |copy: &Self| Some(copy.pack.name) == good;
            best = copies.iter().position(is_good).unwrap_or(0);
        }
        Ok(copies.swap_remove(best))
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

    /// What its bytes were stored as.
    pub fn element(&self) -> Element {
        self.record.element
    }

    /// What its blocks are made of, where it was stored as blocks.
    pub fn fields(&self) -> Option<Fields> {
        codec::fields_of(self.record.element, &self.record.tables)
    }

    /// The number of chunks of 1 MiB.
    pub fn chunks(&self) -> u64 {
        self.record.chunks()
    }

    /// Puts the verified bytes of chunk `index` into `out`, whatever it held.
    pub fn read_chunk(&self, index: u64, out: &mut Vec<u8>) -> Result<()> {
        let mut last = self.take_last();
        let done = self.decode_chunk(index, &mut last.tools, out);
        self.give_last(last);
        done
    }

    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    pub(super) fn pack(&self) -> &Arc<Pack> {
        &self.pack
    }

    pub(super) fn flawed(&self, flaw: Flaw) -> StoreError {
        self.pack.damaged(self.record.id, flaw)
    }

    /// What proves the length that a record says is the last chunk.
    fn proves_its_length(&self, tools: &mut Tools) -> bool {
        let Some(last) = self.chunks().checked_sub(1) else {
            return true;
        };
        let trusting = std::mem::take(&mut tools.trusting);
        let proved = self.prove_own(last, tools, &mut Vec::new()).is_ok();
        tools.trusting = trusting;
        proved
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

    /// Puts the verified bytes of chunk `index` into `out`, whatever it held: from another copy of the object
    /// where this one cannot give them and there is one.
    pub(super) fn decode_chunk(
        &self,
        index: u64,
        tools: &mut Tools,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        if tools.trusting {
            return self.fill_own(index, tools, out);
        }
        let this = (self.record.id, index, self.depth);
        let learned = tools.learned.get(&this).copied();
        let failure = match learned {
            Some(None) => return Err(self.flawed(Flaw::Value(index))),
            Some(Some(pack)) if pack != self.pack.name => self.flawed(Flaw::Value(index)),
            _ => match self.decode_own(index, tools, out) {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            },
        };
        let packs = &self.shared.packs;
        packs.after(&failure);
        let copy = packs.first_good(&self.record.id, |pack, entry| {
            let other = learned.flatten().is_some_and(|good| good != pack.name);
            if pack.name == self.pack.name || other {
                return Err(self.flawed(Flaw::Value(index)));
            }
            let record = pack.record(&packs.handles, entry)?;
            if record.len != self.record.len {
                // It may be right; but then nothing fits that was read of this one.
                return Err(pack.damaged(record.id, Flaw::Length(record.len)));
            }
            let copy = Self::new(&self.shared, pack, record, self.depth);
            copy.decode_own(index, tools, out).map(|()| pack.name)
        });
        let good = copy.ok();
        if self.depth > 0 {
            tools.learned.insert(this, good);
        }
        good.map(drop).ok_or(failure)
    }

    /// [`Object::decode_chunk`] from this very pack.
    pub(super) fn decode_own(
        &self,
        index: u64,
        tools: &mut Tools,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        if self.depth == 0 {
            tools.learned.clear();
            tools.work.begin();
            if self.leans() {
                tools.trusting = true;
                let proved = self.prove_own(index, tools, out);
                tools.trusting = false;
                if proved.is_ok() {
                    return proved;
                }
                tools.learned.clear();
                tools.work.begin();
            }
        }
        self.prove_own(index, tools, out)
    }

    /// True if some chunk is decoded from other objects.
    fn leans(&self) -> bool {
        !self.bases.is_empty() || !self.starts.is_empty()
    }

    /// Decodes a chunk of this very pack and proves it.
    fn prove_own(&self, index: u64, tools: &mut Tools, out: &mut Vec<u8>) -> Result<()> {
        self.fill_own(index, tools, out)?;
        let values = &self.record.values;
        let value = usize::try_from(index).ok().and_then(|i| values.get(i));
        let good = match value {
            Some(value) => *value == chunk_value(index, out),
            None => self.record.id == ObjectId::of(out),
        };
        if good {
            Ok(())
        } else {
            Err(self.flawed(Flaw::Value(index)))
        }
    }

    /// Decodes a chunk of this very pack.
    fn fill_own(&self, index: u64, tools: &mut Tools, out: &mut Vec<u8>) -> Result<()> {
        if index >= self.chunks() {
            return Err(self.flawed(Flaw::Length(self.record.len)));
        }
        out.resize(self.record.chunk_len(index), 0);
        match &self.record.body {
            Body::Chunks(chunks) => {
                let chunk = usize::try_from(index).ok().and_then(|i| chunks.get(i));
                let chunk = chunk.ok_or_else(|| self.flawed(Flaw::Length(self.record.len)))?;
                self.decode_stored(index, chunk, tools, out)
            }
            Body::Parts(parts) => self.join_parts(index, parts, tools, out),
        }
    }

    fn decode_stored(
        &self,
        index: u64,
        chunk: &Chunk,
        tools: &mut Tools,
        out: &mut [u8],
    ) -> Result<()> {
        let handles = &self.shared.packs.handles;
        let mut payload = tools.spare();
        self.pack
            .payload(handles, &self.record, index, &mut payload)?;
        let mut base = tools.spare();
        self.base_bytes(index, chunk, &payload, out.len(), tools, &mut base)?;
        let stored = Stored {
            payload: &payload,
            element: self.record.element,
            tables: &self.record.tables,
            base: &base,
        };
        let decoder = tools.decoder.get_or_insert_with(Decoder::new);
        let decoded = decoder.decode(chunk.codec, &stored, out);
        tools.give_back(base);
        tools.give_back(payload);
        decoded.map_err(|problem| refused(&self.pack, &self.record.id, index, problem))
    }

    pub(super) fn base(&self, which: u8, tools: &mut Tools) -> Result<&Object> {
        let missing = || self.flawed(UNLISTED);
        let which = usize::from(which);
        let place = self.bases.get(which).ok_or_else(missing)?;
        let id = self.record.bases.get(which).ok_or_else(missing)?;
        if let Some(base) = place.get() {
            return Ok(base);
        }
        let base = Self::open(&self.shared, id, self.depth + 1, tools)?;
        Ok(place.get_or_init(|| base))
    }

    /// The most objects that one of its chunks depends on in a chain; an error where one cannot be opened.
    pub(super) fn height(&self, tools: &mut Tools) -> Result<u8> {
        if let Some(height) = tools.heights.get(&self.record.id) {
            return Ok(*height);
        }
        let mut height = match self.record.body {
            Body::Parts(_) => 1,
            Body::Chunks(_) => 0,
        };
        for which in 0..self.record.bases.len() {
            let base = self.base(which as u8, tools)?; // a record lists 255 at most
            height = height.max(1 + base.height(tools)?);
        }
        tools.heights.insert(self.record.id, height);
        Ok(height)
    }

    fn join_parts(
        &self,
        index: u64,
        parts: &[Part],
        tools: &mut Tools,
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
            let fits = |record: &Record| match record.body {
                Body::Chunks(_) if record.len == u64::from(part.len) => Ok(()),
                _ => Err(Flaw::Record("as a part it is not what it should be")),
            };
            let depth = self.depth + 1;
            let object = Self::open_where(&self.shared, &part.id, depth, tools, fits)?;
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
