//! Codec 6: codec 4, 5 or 7 against bytes that are put together of several bases, or of several places of one.
//!
//! A tensor may be several others side by side, a piece of a larger one, or one whose rows have moved: its numbers
//! lie elsewhere, and are the same or near. Where they lie, a list of **strips** says. What no strip covers is zero,
//! as it is where a base ends before.

use super::block::{self, SHORT};
use super::{Codec, CodecError, Decoder, Stored, by_id, delta, fields, view};
use crate::store::layout::Cursor;

pub(in crate::store) const ID: u8 = 6;

/// No list has more strips, and no more runs than these.
pub(in crate::store) const STRIPS: usize = 4096;
pub(in crate::store) const RUNS: u64 = 65_536;

const LATER: CodecError = CodecError::Malformed("a mosaic of a later day");
const IMPOSSIBLE: CodecError = CodecError::Malformed("a strip of a mosaic is impossible");

/// Runs of bytes of one base, at equal distances there, and at equal distances in what is put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Strip {
    /// Index into the record's bases.
    pub(in crate::store) base: u8,
    /// Where the first run begins in what is put together.
    pub(in crate::store) at: u64,
    /// Where the first run begins in the base.
    pub(in crate::store) from: u64,
    /// Bytes of each run.
    pub(in crate::store) len: u64,
    /// How many runs there are.
    pub(in crate::store) runs: u64,
    /// From run to run in what is put together, and in the base; 0 where there is only one.
    pub(in crate::store) stride: u64,
    pub(in crate::store) base_stride: u64,
}

impl Strip {
    /// A single run.
    pub(in crate::store) fn run(base: u8, at: u64, from: u64, len: u64) -> Self {
        Self {
            base,
            at,
            from,
            len,
            runs: 1,
            stride: 0,
            base_stride: 0,
        }
    }

    /// Where its last run ends, in what is put together and in the base; `None` where that is beyond all lengths.
    fn ends(&self) -> Option<(u64, u64)> {
        let last = self.runs.checked_sub(1)?;
        let end = |start: u64, stride: u64| {
            let start = start.checked_add(last.checked_mul(stride)?)?;
            start.checked_add(self.len).filter(|end| *end < 1 << 63)
        };
        Some((
            end(self.at, self.stride)?,
            end(self.from, self.base_stride)?,
        ))
    }
}

/// True if `strips` can be written as a list.
pub(in crate::store) fn fits(strips: &[Strip]) -> bool {
    let runs = strips.iter().map(|strip| strip.runs).sum::<u64>();
    (1..=STRIPS).contains(&strips.len()) && runs <= RUNS
}

/// True if there are strips, all runs end within `len` bytes, and no two overlap. It takes as much time and memory as
/// there are runs.
pub(in crate::store) fn are_apart(strips: &[Strip], len: u64) -> bool {
    let within = |strip: &Strip| strip.ends().is_some_and(|(end, _)| end <= len);
    if strips.is_empty() || !strips.iter().all(within) {
        return false;
    }
    let places = |strip: &Strip| {
        let (at, stride, len) = (strip.at, strip.stride, strip.len);
        (0..strip.runs).map(move |run| (at + run * stride, len))
    };
    let mut places: Vec<(u64, u64)> = strips.iter().flat_map(places).collect();
    places.sort_unstable();
    let apart = |pair: &[(u64, u64)]| pair[0].0 + pair[0].1 <= pair[1].0;
    places.windows(2).all(apart)
}

/// Appends what stands before the stored bytes of codec `inner`. The strips are in the order of their first runs, of
/// which no two overlap.
pub(super) fn begin(strips: &[Strip], inner: u8, out: &mut Vec<u8>) {
    out.push(inner);
    block::put_number(strips.len() as u64, out);
    let mut end = 0;
    for strip in strips {
        out.push(strip.base);
        let numbers = [strip.at - end, strip.from, strip.len, strip.runs - 1];
        numbers
            .into_iter()
            .for_each(|number| block::put_number(number, out));
        if strip.runs > 1 {
            block::put_number(strip.stride, out);
            block::put_number(strip.base_stride, out);
        }
        end = strip.at + strip.len;
    }
}

/// The stored bytes, taken apart.
struct Mosaic<'a> {
    inner: &'static dyn Codec,
    strips: Vec<Strip>,
    /// The stored bytes of the inner codec.
    rest: &'a [u8],
    /// How many bytes are put together.
    len: usize,
}

impl<'a> Mosaic<'a> {
    /// `len` is the length of the chunk.
    fn read(payload: &'a [u8], len: usize) -> Result<Self, CodecError> {
        let mut cursor = Cursor(payload);
        let inner = match cursor.u8().ok_or(SHORT)? {
            inner @ (delta::ID | view::ID | fields::ID) => inner,
            _ => return Err(LATER),
        };
        let count = block::length(&mut cursor, STRIPS)?;
        let mut strips = Vec::with_capacity(count);
        let mut end = 0;
        for _ in 0..count {
            let strip = strip(&mut cursor, end)?;
            end = strip.at + strip.len;
            strips.push(strip);
        }
        if inner == fields::ID && !fields::is_of_floats(cursor.0) {
            return Err(LATER);
        }
        let inner = by_id(inner).ok_or(CodecError::Unknown(inner))?;
        let len = inner.base_len(cursor.0, len)?;
        Ok(Self {
            inner,
            strips,
            rest: cursor.0,
            len,
        })
    }

    /// The strips, once it is known that what is put together of them costs no more than its length.
    fn strips(self) -> Result<Vec<Strip>, CodecError> {
        let runs = self.strips.iter().map(|strip| strip.runs);
        let runs = runs.fold(0u64, u64::saturating_add);
        match runs <= RUNS && are_apart(&self.strips, self.len as u64) {
            true => Ok(self.strips),
            false => Err(IMPOSSIBLE),
        }
    }
}

/// The strip at the front of `cursor`; the run before it ended at `end`.
fn strip(cursor: &mut Cursor<'_>, end: u64) -> Result<Strip, CodecError> {
    let base = cursor.u8().ok_or(SHORT)?;
    let mut number = || block::number(cursor);
    let (gap, from, len, more) = (number()?, number()?, number()?, number()?);
    let (stride, base_stride) = match more {
        0 => (0, 0),
        _ => (number()?, number()?),
    };
    let strip = Strip {
        base,
        at: end.checked_add(gap).ok_or(IMPOSSIBLE)?,
        from,
        len,
        runs: more.checked_add(1).ok_or(IMPOSSIBLE)?,
        stride,
        base_stride,
    };
    match strip.ends() {
        Some(_) if len > 0 => Ok(strip),
        _ => Err(IMPOSSIBLE),
    }
}

pub(super) struct Mosaics;

impl Codec for Mosaics {
    fn id(&self) -> u8 {
        ID
    }

    fn name(&self) -> &'static str {
        "mosaic"
    }

    fn base_len(&self, payload: &[u8], len: usize) -> Result<usize, CodecError> {
        Ok(Mosaic::read(payload, len)?.len)
    }

    fn strips(&self, payload: &[u8], len: usize) -> Result<Vec<Strip>, CodecError> {
        Mosaic::read(payload, len)?.strips()
    }

    fn decode(
        &self,
        chunk: &Stored<'_>,
        tools: &mut Decoder,
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        let Mosaic { inner, rest, .. } = Mosaic::read(chunk.payload, out.len())?;
        let rest = Stored {
            payload: rest,
            ..*chunk
        };
        inner.decode(&rest, tools, out)
    }
}

#[cfg(test)]
mod tests;
