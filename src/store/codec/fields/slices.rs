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

/// Sets `units` to the numbers of a field. Blocks beyond the end of `bytes` are zeros.
pub(super) fn gather(field: &Field, blocks: Chosen<'_>, bytes: &[u8], units: &mut Vec<u8>) {
    units.clear();
    units.resize(blocks.kept.len() * field.units(), 0);
    for (index, units) in blocks
        .kept
        .iter()
        .zip(units.chunks_exact_mut(field.units()))
    {
        let start = blocks.start(*index);
        let Some(block) = bytes.get(start..start + blocks.size) else {
            continue;
        };
        for slice in &field.slices {
            each_run(slice, |byte, unit, shift| {
                let run = usize::from(slice.run);
                let (from, to) = (&block[byte..byte + run], &mut units[unit..unit + run]);
                move_bits(from, shift, to, slice.at, mask(slice.bits));
            });
        }
    }
}

/// The reverse of [`gather`], into bytes whose bits of the field are zeros.
pub(super) fn scatter(field: &Field, blocks: Chosen<'_>, units: &[u8], bytes: &mut [u8]) {
    for (index, units) in blocks.kept.iter().zip(units.chunks_exact(field.units())) {
        let start = blocks.start(*index);
        let Some(block) = bytes.get_mut(start..start + blocks.size) else {
            continue;
        };
        for slice in &field.slices {
            each_run(slice, |byte, unit, shift| {
                let run = usize::from(slice.run);
                let (from, to) = (&units[unit..unit + run], &mut block[byte..byte + run]);
                move_bits(from, slice.at, to, shift, mask(slice.bits));
            });
        }
    }
}

/// Calls with byte, number and shift of each run of a slice.
#[inline(always)]
fn each_run(slice: &Slice, mut act: impl FnMut(usize, usize, u8)) {
    let run = usize::from(slice.run);
    let mut unit = usize::from(slice.first);
    for group in 0..usize::from(slice.groups) {
        for step in 0..slice.steps {
            let byte = usize::from(slice.byte) + group * run;
            act(byte, unit, slice.shift + step * slice.bits);
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
