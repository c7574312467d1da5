//! A chunk, read down the chain of what it is written with.
//!
//! What a chunk is decoded from, chunk by chunk down a chain of bases, is proved with it: if its own bytes are right,
//! it does not matter how. Only where they are not, all of the chain is read again and proved link by link, to find
//! the copy that is bad and another that is good.
//!
//! An object may lie in several packs. Whatever is wrong with one copy, as a whole or in one chunk, the next is
//! tried: damage of a record or a chunk, a length that is not its, a codec of a newer mvc, a base that is gone.

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::ObjectId;
use crate::base::id::CHUNK;

use super::Shared;
use super::assemble::{Bases, assemble};
use super::codec::{self, CodecError, Decoder, Stored};
use super::error::{Flaw, Result, StoreError};
use super::opened::{Fit, ONE_MORE, Opened};
use super::pack::Pack;
use super::record::{Body, Chunk, Part};
use super::shelf::Shelf;
use super::work::Work;

/// The longest chain of objects that depend on each other.
pub(super) const DEPTH: u8 = 8;

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
    /// Bases and parts that are open.
    shelf: Shelf,
    pub(super) work: Work,
}

impl Tools {
    fn spare(&mut self) -> Vec<u8> {
        self.spares.pop().unwrap_or_default()
    }

    fn give_back(&mut self, buffer: Vec<u8>) {
        self.spares.push(buffer);
    }

    /// Nothing is known of what a chunk needs that is read now.
    fn begin(&mut self) {
        self.learned.clear();
        self.work.begin();
    }
}

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

/// An object, one of its chunks or, with [`WHOLE`], its record, and how many objects depend on it in a chain.
type Need = (ObjectId, u64, u8);

/// Stands for no chunk.
const WHOLE: u64 = u64::MAX;

/// Reads chunks with one thread's tools.
pub(super) struct Chain<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) tools: &'a mut Tools,
}

/// What is for objects that nothing depends on.
impl Chain<'_> {
    /// Opens the first copy of an object that fits.
    pub(super) fn open(&mut self, id: &ObjectId, fit: Fit) -> Result<Arc<Opened>> {
        self.find(id, 0, fit)
    }

    /// Puts the verified bytes of a chunk into `out`, whatever it held: from this copy of its object, or from another
    /// where this one cannot give them and there is one.
    pub(super) fn chunk(&mut self, of: &Opened, index: u64, out: &mut Vec<u8>) -> Result<()> {
        self.verified(of, 0, index, out)
    }

    /// [`Chain::chunk`] from this very copy.
    pub(super) fn own(&mut self, of: &Opened, index: u64, out: &mut Vec<u8>) -> Result<()> {
        self.tools.begin();
        if of.leans() {
            self.tools.trusting = true;
            let proved = self.proved(of, 0, index, out);
            self.tools.trusting = false;
            if proved.is_ok() {
                return proved;
            }
            self.tools.shelf.clear();
            self.tools.begin();
        }
        self.proved(of, 0, index, out)
    }

    /// [`Chain::chunk`], counted as what is read for another object.
    pub(super) fn base_chunk(&mut self, of: &Opened, index: u64, out: &mut Vec<u8>) -> Result<()> {
        self.below(of, 0, index, out)
    }

    /// Puts up to `len` bytes from `offset` on into `out`, counted like these: fewer where the object ends before.
    pub(super) fn window(
        &mut self,
        of: &Opened,
        offset: u64,
        len: usize,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        self.windowed(of, 0, offset, len, out)
    }
}

/// In all of these, `depth` is how many objects depend on the one at hand, in a chain.
impl Chain<'_> {
    fn find(&mut self, id: &ObjectId, depth: u8, fit: Fit) -> Result<Arc<Opened>> {
        let packs = &self.shared.packs;
        let work = &mut self.tools.work;
        if depth <= DEPTH
            && let Some(opened) = self.tools.shelf.get(id, fit)
        {
            return Ok(opened);
        }
        let mut copies = packs.all_good(id, |pack, entry| {
            if depth > DEPTH {
                return Err(pack.damaged(*id, Flaw::Depth));
            }
            if depth > 0 && !work.open(entry.len) {
                return Err(pack.damaged(*id, Flaw::Work));
            }
            let record = pack.record(&packs.handles, entry)?;
            let fits = fit.check(&record);
            fits.map_err(|flaw| pack.damaged(*id, flaw))?;
            Ok(Opened::new(pack, record))
        })?;
        let lengths = copies.iter().map(|copy| copy.record.len);
        let doubt = lengths.min() != copies.iter().map(|copy| copy.record.len).max();
        let good = if doubt {
            self.long(&copies, depth)
        } else {
            Some(0)
        };
        let opened = Arc::new(copies.swap_remove(good.unwrap_or(0)));
        if depth > 0 && good.is_some() {
            self.tools.shelf.put(fit, &opened);
        }
        Ok(opened)
    }

    /// The first of these copies that proves its length: its last chunk does.
    fn long(&mut self, copies: &[Opened], depth: u8) -> Option<usize> {
        let id = copies.first()?.record.id;
        let this = (id, WHOLE, depth);
        if let Some(learned) = self.tools.learned.get(&this) {
            let good = (*learned)?;
            return copies.iter().position(|copy| copy.pack.name == good);
        }
        let trusting = std::mem::take(&mut self.tools.trusting);
        let mut bytes = self.tools.spare();
        let proves = |copy: &Opened| match copy.record.chunks().checked_sub(1) {
            Some(last) => self.tried(copy, depth, last, &mut bytes).is_ok(),
            None => true,
        };
        let good = copies.iter().position(proves);
        self.tools.give_back(bytes);
        self.tools.trusting = trusting;
        if depth > 0 {
            let good = good.map(|at| copies[at].pack.name);
            self.tools.learned.insert(this, good);
        }
        good
    }

    fn verified(&mut self, of: &Opened, depth: u8, index: u64, out: &mut Vec<u8>) -> Result<()> {
        if self.tools.trusting {
            return self.filled(of, depth, index, out);
        }
        let id = of.record.id;
        let this = (id, index, depth);
        let learned = match depth {
            0 => None,
            _ => self.tools.learned.get(&this).copied(),
        };
        let failure = match learned {
            Some(None) => return Err(of.flawed(Flaw::Value(index))),
            Some(Some(pack)) if pack != of.pack.name => of.flawed(Flaw::Value(index)),
            _ => match self.tried(of, depth, index, out) {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            },
        };
        let packs = &self.shared.packs;
        packs.after(&failure);
        let copy = packs.first_good(&id, |pack, entry| {
            let other = learned.flatten().is_some_and(|good| good != pack.name);
            if pack.name == of.pack.name || other {
                return Err(of.flawed(Flaw::Value(index)));
            }
            let record = pack.record(&packs.handles, entry)?;
            if record.len != of.record.len {
                // It may be right; but then nothing fits that was read of this one.
                return Err(pack.damaged(id, Flaw::Length(record.len)));
            }
            let copy = Opened::new(pack, record);
            self.tried(&copy, depth, index, out).map(|()| pack.name)
        });
        let good = copy.ok();
        if depth > 0 {
            self.tools.learned.insert(this, good);
        }
        good.map(drop).ok_or(failure)
    }

    /// One copy, of which another may be good where this one is not.
    fn tried(&mut self, of: &Opened, depth: u8, index: u64, out: &mut Vec<u8>) -> Result<()> {
        if depth == 0 {
            return self.own(of, index, out);
        }
        let before = self.tools.work.done();
        let proved = self.proved(of, depth, index, out);
        match proved {
            Err(_) if !self.tools.work.waste(before) => Err(of.flawed(Flaw::Work)),
            proved => proved,
        }
    }

    /// Decodes a chunk of this very copy and proves it.
    fn proved(&mut self, of: &Opened, depth: u8, index: u64, out: &mut Vec<u8>) -> Result<()> {
        self.filled(of, depth, index, out)?;
        of.prove(index, out)
    }

    /// Decodes a chunk of this very copy.
    fn filled(&mut self, of: &Opened, depth: u8, index: u64, out: &mut Vec<u8>) -> Result<()> {
        if index >= of.record.chunks() {
            return Err(of.flawed(Flaw::Length(of.record.len)));
        }
        out.resize(of.record.chunk_len(index), 0);
        match &of.record.body {
            Body::Chunks(chunks) => {
                let row = of.row(chunks, index)?;
                let mut payload = self.tools.spare();
                let mut base = self.tools.spare();
                let done = self.decoded(of, depth, index, row, [&mut payload, &mut base], out);
                self.tools.give_back(base);
                self.tools.give_back(payload);
                done
            }
            Body::Parts(parts) => self.joined(of, depth, index, parts, out),
        }
    }

    fn decoded(
        &mut self,
        of: &Opened,
        depth: u8,
        index: u64,
        row: &Chunk,
        [payload, base]: [&mut Vec<u8>; 2],
        out: &mut [u8],
    ) -> Result<()> {
        let handles = &self.shared.packs.handles;
        of.pack.payload(handles, &of.record, index, payload)?;
        let refused = |problem| refused(&of.pack, &of.record.id, index, problem);
        let strips = codec::strips(row.codec, payload, out.len()).map_err(refused)?;
        let needed = || codec::base_len(row.codec, payload, out.len()).map_err(refused);
        let mut bases = Listed {
            chain: self,
            of,
            depth: depth + 1,
        };
        match row.base {
            Some(which) if strips.is_empty() => {
                let opened = bases.open(which)?;
                self.windowed(&opened, depth + 1, row.base_offset, needed()?, base)?;
            }
            Some(_) => return Err(of.flawed(ONE_MORE)),
            None if strips.is_empty() => base.clear(),
            None => {
                let mut chunk = bases.chain.tools.spare();
                assemble(&strips, needed()?, &mut bases, &mut chunk, base)?;
                self.tools.give_back(chunk);
            }
        }
        let stored = Stored {
            payload,
            element: of.record.element,
            tables: &of.record.tables,
            base,
        };
        let decoder = self.tools.decoder.get_or_insert_with(Decoder::new);
        decoder.decode(row.codec, &stored, out).map_err(refused)
    }

    fn joined(
        &mut self,
        of: &Opened,
        depth: u8,
        index: u64,
        parts: &[Part],
        out: &mut [u8],
    ) -> Result<()> {
        let from = index * CHUNK as u64;
        let to = from + out.len() as u64;
        let mut bytes = self.tools.spare();
        for (part, start) in of.parts_of(parts, index) {
            let opened = self.find(&part.id, depth + 1, Fit::Part(part.len))?;
            self.below(&opened, depth + 1, 0, &mut bytes)?;
            // The part's bytes that lie in this chunk, and where in it they lie.
            let low = from.max(start);
            let high = to.min(start + u64::from(part.len));
            let place = (low - from) as usize..(high - from) as usize;
            out[place].copy_from_slice(&bytes[(low - start) as usize..(high - start) as usize]);
        }
        self.tools.give_back(bytes);
        Ok(())
    }

    fn windowed(
        &mut self,
        of: &Opened,
        depth: u8,
        offset: u64,
        len: usize,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let end = of.record.len.min(offset.saturating_add(len as u64));
        let mut at = offset;
        if at < end && at.is_multiple_of(CHUNK as u64) && end - at <= CHUNK as u64 {
            self.below(of, depth, at / CHUNK as u64, out)?;
            out.truncate(len);
            return Ok(());
        }
        out.clear();
        let mut chunk = self.tools.spare();
        while at < end {
            let index = at / CHUNK as u64;
            self.below(of, depth, index, &mut chunk)?;
            let from = (at % CHUNK as u64) as usize;
            let to = chunk.len().min(from + (end - at) as usize);
            out.extend(&chunk[from..to]);
            at += (to - from) as u64;
        }
        self.tools.give_back(chunk);
        Ok(())
    }

    /// A chunk of an object that another one is written with.
    fn below(&mut self, of: &Opened, depth: u8, index: u64, out: &mut Vec<u8>) -> Result<()> {
        let bytes = of.record.chunk_len(index) + of.record.tables.len();
        if !self.tools.work.decode(bytes as u64) {
            return Err(of.flawed(Flaw::Work));
        }
        self.verified(of, depth, index, out)
    }
}

/// The bases that a record lists, on which so many objects depend.
struct Listed<'c, 's> {
    chain: &'c mut Chain<'s>,
    of: &'c Opened,
    depth: u8,
}

impl Listed<'_, '_> {
    fn open(&mut self, which: u8) -> Result<Arc<Opened>> {
        self.chain.find(self.of.base(which)?, self.depth, Fit::Any)
    }
}

impl Bases for Listed<'_, '_> {
    fn len(&mut self, which: u8) -> Result<u64> {
        Ok(self.open(which)?.record.len)
    }

    fn chunk(&mut self, which: u8, index: u64, out: &mut Vec<u8>) -> Result<()> {
        let base = self.open(which)?;
        self.chain.below(&base, self.depth, index, out)
    }
}
