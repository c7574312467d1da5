//! What stays of numbers when all of them move a little: of pairs of them, which is the larger.

use crate::base::id::CHUNK;
use crate::base::{Fields, ReadAt};
use crate::store::Element;
use crate::store::chain::Tools;
use crate::store::codec::{Format, block_values, values_of_block};
use crate::store::object::Object;
use crate::store::writer::{Numbers, PutItem};

/// So many numbers make a sketch.
pub(super) const NUMBERS: usize = 128;

/// Of 64 pairs so many may change places between a number's versions. Of numbers that have nothing to do with each
/// other, half do; that only so many do is one case of 26,000.
const NEAR: u32 = 16;

/// A pair a bit. One of equal numbers says nothing, and is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sketch(u64);

impl Sketch {
    /// The sketch of the first numbers of `bytes`; `None` where there are too few.
    pub(super) fn of(bytes: &[u8], element: Element) -> Option<Self> {
        let bytes = bytes.get(..size(element))?;
        let Element::Number { width, float } = element else {
            return None;
        };
        let numbers = bytes.chunks_exact(usize::from(width)).map(|number| {
            let mut wide = [0; 8];
            wide[8 - number.len()..].copy_from_slice(number);
            let wide = i64::from_le_bytes(wide);
            // Floats that are negative are the smaller the larger the rest of their bits is.
            match float && wide < 0 {
                true => i64::MIN - wide,
                false => wide,
            }
        });
        let numbers: Vec<i64> = numbers.collect();
        let (left, right) = numbers.split_at(NUMBERS / 2);
        let pairs = left.iter().zip(right).enumerate();
        Some(Self(
            pairs.fold(0, |bits, (i, (a, b))| bits | u64::from(a < b) << i),
        ))
    }

    /// The sketch of what the first blocks of `bytes` stand for; `None` where it is of too few.
    pub(super) fn of_blocks(bytes: &[u8], fields: &Fields) -> Option<Self> {
        let values = block_values(fields, bytes).into_iter();
        let values: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
        Self::of(&values, Format::F32.element())
    }

    /// False where the numbers may be any.
    pub(super) fn tells(self) -> bool {
        self.0 != 0
    }

    pub(super) fn is_near(self, other: Self) -> bool {
        self.distance(other) <= NEAR
    }

    /// How many pairs are in another order.
    pub(super) fn distance(self, other: Self) -> u32 {
        (self.0 ^ other.0).count_ones()
    }

    /// By one of these a sketch is looked up: chances are that one half of it did not change.
    pub(super) fn halves(self) -> [u64; 2] {
        [self.0 & 0xffff_ffff, self.0 >> 32 | 1 << 32]
    }
}

/// Bytes of the numbers that a sketch is of.
pub(super) fn size(element: Element) -> usize {
    match element {
        Element::Number { width, .. } => NUMBERS * usize::from(width),
        Element::Bytes => NUMBERS,
    }
}

/// The sketch of the first numbers of an item; `None` where they are too few, say nothing, or where it is not known how
/// numbers of other dtypes would become these. That of blocks is of what they stand for.
pub(super) fn beginning(item: &PutItem<'_>) -> Option<Sketch> {
    let read = |len: u64| {
        let mut bytes = vec![0; len.min(item.len) as usize];
        let read = item.source.read_exact_at(&mut bytes, item.offset);
        read.ok().map(|()| bytes)
    };
    let sketch = match (item.numbers, &item.fields) {
        (Some(Numbers { format, .. }), _) => {
            let element = format.element();
            Sketch::of(&read(size(element) as u64)?, element)
        }
        (None, Some(fields)) => Sketch::of_blocks(&read(blocks(fields)?)?, fields),
        (None, None) => None,
    };
    sketch.filter(|sketch| sketch.tells())
}

/// Bytes of the blocks that a sketch is of.
pub(super) fn blocks(fields: &Fields) -> Option<u64> {
    let count = NUMBERS.div_ceil(values_of_block(fields)?);
    Some(count as u64 * u64::from(fields.bytes))
}

/// How many numbers an item is, or its blocks stand for.
pub(super) fn numbers_of(item: &PutItem<'_>) -> Option<u64> {
    match (item.numbers, &item.fields) {
        (Some(Numbers { format, .. }), _) => Some(item.len / format.width() as u64),
        (None, Some(fields)) => {
            let each = values_of_block(fields)? as u64;
            Some(item.len / u64::from(fields.bytes) * each)
        }
        (None, None) => None,
    }
}

/// An object that is looked at in many places, chunk by chunk.
pub(super) struct Peek<'a> {
    object: &'a Object,
    index: Option<u64>,
    chunk: Vec<u8>,
}

impl<'a> Peek<'a> {
    pub(super) fn new(object: &'a Object) -> Self {
        Self {
            object,
            index: None,
            chunk: Vec::new(),
        }
    }

    /// The sketch of the numbers from `offset` on; `None` where the object ends before, or cannot be read.
    pub(super) fn sketch(&mut self, offset: u64, tools: &mut Tools) -> Option<Sketch> {
        let element = self.object.record().element;
        let size = size(element);
        if offset.checked_add(size as u64)? > self.object.len() {
            return None;
        }
        let index = offset / CHUNK as u64;
        let within = (offset % CHUNK as u64) as usize;
        if self.index != Some(index) {
            self.index = None;
            let object = self.object;
            object.decode_chunk(index, tools, &mut self.chunk).ok()?;
            self.index = Some(index);
        }
        if let Some(bytes) = self.chunk.get(within..within + size) {
            return Sketch::of(bytes, element);
        }
        let mut bytes = Vec::new();
        let read = self.object.window(offset, size, tools, &mut bytes);
        read.ok().and_then(|()| Sketch::of(&bytes, element))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(seed: u32, step: f32) -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        let numbers = (0..NUMBERS).map(|i| next() + step * (i as f32 * 77.7).sin());
        numbers.flat_map(f32::to_le_bytes).collect()
    }

    #[test]
    fn a_sketch_stays_near_through_small_steps_and_through_rounding() {
        let f32s = Element::number(4, true);
        let of = |bytes: &[u8]| Sketch::of(bytes, f32s).expect("enough numbers");
        for seed in 0..50 {
            let first = floats(seed, 0.0);
            let second = floats(seed, 0.05);
            assert!(of(&first).is_near(of(&second)), "{seed}");
            assert!(!of(&first).is_near(of(&floats(seed + 1000, 0.0))), "{seed}");
            let rounded: Vec<u8> = first
                .as_chunks::<4>()
                .0
                .iter()
                .flat_map(|number| [number[2], number[3]])
                .collect();
            let rounded = Sketch::of(&rounded, Element::number(2, true)).expect("enough");
            assert!(rounded.is_near(of(&first)), "{seed}");
        }
        assert_eq!(Sketch::of(&floats(1, 0.0)[1..], f32s), None);
        assert!(!of(&[0; 512]).tells());
    }
}
