//! Blocks to the numbers of a field, one after the other, and back.
//!
//! Eight bytes are moved at a time: bits are masked before they go up and after they came down, so that none of a
//! neighbour's get in.

use super::layout::mask;
use crate::base::fields::{Field, Slice};

/// Which of the blocks in `bytes`, of `size` bytes each.
#[derive(Clone, Copy)]
pub(super) struct Chosen<'a> {
    pub(super) size: usize,
    pub(super) kept: &'a [u32],
}

impl Chosen<'_> {
    fn start(self, index: u32) -> usize {
        index as usize * self.size
    }
}

/// So many blocks at a time stay near while one run after the other is moved.
const NEAR: usize = 64;

/// Sets `units` to the numbers of a field. Blocks beyond the end of `bytes` are zeros.
pub(super) fn gather(field: &Field, blocks: Chosen<'_>, bytes: &[u8], units: &mut Vec<u8>) {
    let each = field.units();
    units.clear();
    units.resize(blocks.kept.len() * each, 0);
    let parts = blocks.kept.chunks(NEAR).zip(units.chunks_mut(NEAR * each));
    for (kept, units) in parts {
        for slice in &field.slices {
            each_run(slice, Chosen { kept, ..blocks }, each, |runs, shift| {
                let mask = mask(slice.bits);
                let up = |from: &[u8], to: &mut [u8]| move_bits(from, shift, to, slice.at, mask);
                match slice.run {
                    2 => runs.gather::<2>(bytes, units, up),
                    4 => runs.gather::<4>(bytes, units, up),
                    16 => runs.gather::<16>(bytes, units, up),
                    32 => runs.gather::<32>(bytes, units, up),
                    64 => runs.gather::<64>(bytes, units, up),
                    run => {
                        let places = 0..usize::from(run);
                        places.for_each(|at| runs.further(at).gather::<1>(bytes, units, up));
                    }
                }
            });
        }
    }
}

/// The reverse of [`gather`], into bytes whose bits of the field are zeros.
pub(super) fn scatter(field: &Field, blocks: Chosen<'_>, units: &[u8], bytes: &mut [u8]) {
    let each = field.units();
    let parts = blocks.kept.chunks(NEAR).zip(units.chunks(NEAR * each));
    for (kept, units) in parts {
        for slice in &field.slices {
            each_run(slice, Chosen { kept, ..blocks }, each, |runs, shift| {
                let mask = mask(slice.bits);
                let down = |from: &[u8], to: &mut [u8]| move_bits(from, slice.at, to, shift, mask);
                match slice.run {
                    2 => runs.scatter::<2>(units, bytes, down),
                    4 => runs.scatter::<4>(units, bytes, down),
                    16 => runs.scatter::<16>(units, bytes, down),
                    32 => runs.scatter::<32>(units, bytes, down),
                    64 => runs.scatter::<64>(units, bytes, down),
                    run => {
                        let places = 0..usize::from(run);
                        places.for_each(|at| runs.further(at).scatter::<1>(units, bytes, down));
                    }
                }
            });
        }
    }
}

/// The same run of several blocks: a loop over them for each usual length is faster than one over the runs of each.
#[derive(Clone, Copy)]
struct Runs<'a> {
    blocks: Chosen<'a>,
    /// Units of a block.
    each: usize,
    byte: usize,
    unit: usize,
}

impl Runs<'_> {
    /// What begins so many bytes, and units, after it.
    fn further(self, by: usize) -> Self {
        Self {
            byte: self.byte + by,
            unit: self.unit + by,
            ..self
        }
    }

    #[inline(always)]
    fn gather<const RUN: usize>(
        self,
        bytes: &[u8],
        units: &mut [u8],
        move_run: impl Fn(&[u8], &mut [u8]),
    ) {
        let kept = self.blocks.kept.iter();
        for (index, units) in kept.zip(units.chunks_exact_mut(self.each)) {
            let start = self.blocks.start(*index);
            let block = bytes.get(start..start + self.blocks.size);
            let from = block.and_then(|block| block.get(self.byte..)?.first_chunk::<RUN>());
            let to = units.get_mut(self.unit..);
            if let (Some(from), Some(to)) = (from, to.and_then(<[u8]>::first_chunk_mut::<RUN>)) {
                move_run(from, to);
            }
        }
    }

    #[inline(always)]
    fn scatter<const RUN: usize>(
        self,
        units: &[u8],
        bytes: &mut [u8],
        move_run: impl Fn(&[u8], &mut [u8]),
    ) {
        let kept = self.blocks.kept.iter();
        for (index, units) in kept.zip(units.chunks_exact(self.each)) {
            let start = self.blocks.start(*index);
            let block = bytes.get_mut(start..start + self.blocks.size);
            let to = block.and_then(|block| block.get_mut(self.byte..)?.first_chunk_mut::<RUN>());
            let from = units.get(self.unit..);
            if let (Some(from), Some(to)) = (from.and_then(<[u8]>::first_chunk::<RUN>), to) {
                move_run(from, to);
            }
        }
    }
}

/// Calls with each run of a slice in blocks of `each` units, and its shift.
#[inline(always)]
fn each_run<'a>(slice: &Slice, blocks: Chosen<'a>, each: usize, mut act: impl FnMut(Runs<'a>, u8)) {
    let run = usize::from(slice.run);
    let mut unit = usize::from(slice.first);
    for group in 0..usize::from(slice.groups) {
        for step in 0..slice.steps {
            let byte = usize::from(slice.byte) + group * run;
            let runs = Runs {
                blocks,
                each,
                byte,
                unit,
            };
            act(runs, slice.shift + step * slice.bits);
            unit += run;
        }
    }
}

/// Puts bits of each byte, from bit `down` on, into those of another from bit `up` on.
#[inline(always)]
fn move_bits(from: &[u8], down: u8, to: &mut [u8], up: u8, mask: u8) {
    if mask == 0xff {
        to.copy_from_slice(from);
        return;
    }
    let masks = u64::from_le_bytes([mask; 8]);
    let (words, rest) = from.as_chunks::<8>();
    let (places, last) = to.as_chunks_mut::<8>();
    for (word, place) in words.iter().zip(places) {
        let bits = u64::from_le_bytes(*word) >> down & masks;
        *place = (u64::from_le_bytes(*place) | bits << up).to_le_bytes();
    }
    for (byte, place) in rest.iter().zip(last) {
        *place |= (byte >> down & mask) << up;
    }
}
