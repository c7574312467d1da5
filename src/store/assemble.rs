//! The base bytes of a chunk: a window of one base, or strips of several put together; and what they may cost.
//!
//! A chunk may need several chunks of its bases, each of these several of theirs, and so on. What a writer in good
//! order makes of that stays far below the limit here; without one, a few kilobytes of malice would be hours of work.

use crate::base::ReadAt;
use crate::base::id::CHUNK;

use super::codec::{self, Strip};
use super::error::{Flaw, Result};
use super::object::{Object, Tools, refused};
use super::record::Chunk;

/// The most that may be decoded for one chunk.
const MOST: u64 = 1 << 30;

/// What a chunk of a base costs beside its bytes.
const EACH: u64 = 64 << 10;

/// Counts what is decoded of bases.
#[derive(Default)]
pub(super) struct Work {
    done: u64,
    begun: u64,
}

impl Work {
    /// A chunk is read that nothing depends on.
    pub(super) fn begin(&mut self) {
        self.begun = self.done;
    }

    /// All that was counted, over many chunks.
    pub(super) fn done(&self) -> u64 {
        self.done
    }

    /// False where it is too much.
    fn add(&mut self, bytes: usize) -> bool {
        self.done += bytes as u64 + EACH;
        self.done - self.begun <= MOST
    }
}

impl Object {
    /// Puts the base bytes of one of its chunks into `out`: none for a chunk that is coded alone.
    pub(super) fn base_bytes(
        &self,
        index: u64,
        chunk: &Chunk,
        payload: &[u8],
        len: usize,
        tools: &mut Tools,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let refused = |problem| refused(self.pack(), &self.id(), index, problem);
        let strips = codec::strips(chunk.codec, payload, len).map_err(refused)?;
        let needed = || codec::base_len(chunk.codec, payload, len).map_err(refused);
        match chunk.base {
            Some(which) if strips.is_empty() => {
                let base = self.base(which, tools)?;
                base.window(chunk.base_offset, needed()?, tools, out)
            }
            Some(_) => Err(self.flawed(Flaw::Record("a mosaic has a base of its own"))),
            None if strips.is_empty() => {
                out.clear();
                Ok(())
            }
            None => {
                let own = |which, tools: &mut Tools| self.base(which, tools);
                assemble(&strips, needed()?, tools, out, own)
            }
        }
    }

    /// Puts up to `len` verified bytes from `offset` on into `out`: fewer where the object ends before.
    pub(super) fn window(
        &self,
        offset: u64,
        len: usize,
        tools: &mut Tools,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let end = self.len().min(offset.saturating_add(len as u64));
        let mut at = offset;
        if at < end && at.is_multiple_of(CHUNK as u64) && end - at <= CHUNK as u64 {
            self.base_chunk(at / CHUNK as u64, tools, out)?;
            out.truncate(len);
            return Ok(());
        }
        out.clear();
        let mut chunk = tools.spare();
        while at < end {
            let index = at / CHUNK as u64;
            self.base_chunk(index, tools, &mut chunk)?;
            let from = (at % CHUNK as u64) as usize;
            let to = chunk.len().min(from + (end - at) as usize);
            out.extend(&chunk[from..to]);
            at += (to - from) as u64;
        }
        tools.give_back(chunk);
        Ok(())
    }

    /// A chunk of an object that another one is coded against.
    fn base_chunk(&self, index: u64, tools: &mut Tools, out: &mut Vec<u8>) -> Result<()> {
        if !tools.work.add(self.record().chunk_len(index)) {
            return Err(self.flawed(Flaw::Work));
        }
        self.decode_chunk(index, tools, out)
    }
}

/// Bytes of one chunk of a base, and where they go.
struct Segment {
    base: u8,
    chunk: u64,
    /// Where they begin in the chunk.
    from: usize,
    to: usize,
    len: usize,
}

/// Puts `len` bytes together in `out`: those of the strips, which end within them, and zeros where there are none.
/// Each chunk of a base is decoded once.
pub(super) fn assemble<'o>(
    strips: &[Strip],
    len: usize,
    tools: &mut Tools,
    out: &mut Vec<u8>,
    mut base: impl FnMut(u8, &mut Tools) -> Result<&'o Object>,
) -> Result<()> {
    out.clear();
    out.resize(len, 0);
    let mut segments = Vec::new();
    for strip in strips {
        cut(strip, base(strip.base, tools)?.len(), &mut segments);
    }
    segments.sort_by_key(|segment| (segment.base, segment.chunk));
    let mut chunk = tools.spare();
    for same in segments.chunk_by(|a, b| (a.base, a.chunk) == (b.base, b.chunk)) {
        base(same[0].base, tools)?.base_chunk(same[0].chunk, tools, &mut chunk)?;
        for Segment { from, to, len, .. } in same {
            out[*to..to + len].copy_from_slice(&chunk[*from..from + len]);
        }
    }
    tools.give_back(chunk);
    Ok(())
}

/// Cuts the runs of a strip at the chunks of its base, which has `end` bytes.
fn cut(strip: &Strip, end: u64, segments: &mut Vec<Segment>) {
    for run in 0..strip.runs {
        let mut from = strip.from + run * strip.base_stride;
        let mut to = strip.at + run * strip.stride;
        let last = end.min(from + strip.len);
        while from < last {
            let within = from % CHUNK as u64;
            let len = (last - from).min(CHUNK as u64 - within);
            segments.push(Segment {
                base: strip.base,
                chunk: from / CHUNK as u64,
                from: within as usize,
                to: to as usize,
                len: len as usize,
            });
            from += len;
            to += len;
        }
    }
}
