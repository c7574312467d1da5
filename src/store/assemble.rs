//! Base bytes that are put together of strips of several objects.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::id::CHUNK;

use super::codec::Strip;
use super::error::Result;

/// Objects, by the numbers that strips give them.
pub(super) trait Bases {
    /// How long one is.
    fn len(&mut self, base: u8) -> Result<u64>;

    /// Puts a chunk of one into `out`, whatever it held.
    fn chunk(&mut self, base: u8, index: u64, out: &mut Vec<u8>) -> Result<()>;
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
/// Each chunk of a base is decoded once, into `chunk`.
pub(super) fn assemble(
    strips: &[Strip],
    len: usize,
    bases: &mut impl Bases,
    chunk: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<()> {
    out.clear();
    out.resize(len, 0);
    let mut segments = Vec::new();
    for strip in strips {
        cut(strip, bases.len(strip.base)?, &mut segments);
    }
    segments.sort_by_key(|segment| (segment.base, segment.chunk));
    for same in segments.chunk_by(|a, b| (a.base, a.chunk) == (b.base, b.chunk)) {
        bases.chunk(same[0].base, same[0].chunk, chunk)?;
        for Segment { from, to, len, .. } in same {
            out[*to..to + len].copy_from_slice(&chunk[*from..from + len]);
        }
    }
    Ok(())
}

/// How many chunks of each base have bytes of these strips.
pub(super) fn touched(strips: &[Strip]) -> BTreeMap<u8, u64> {
    let mut segments = Vec::new();
    strips
        .iter()
        .for_each(|strip| cut(strip, u64::MAX, &mut segments));
    let chunks: BTreeSet<(u8, u64)> = segments.iter().map(|of| (of.base, of.chunk)).collect();
    let mut touched = BTreeMap::new();
    for (base, _) in chunks {
        *touched.entry(base).or_insert(0) += 1;
    }
    touched
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
