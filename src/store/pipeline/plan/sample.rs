//! Bytes of an item by which it is judged.

use super::Effort;
use crate::base::id::CHUNK;
use crate::store::codec::Format;
use crate::store::writer::PutItem;

/// How many places of an item are sampled, and how many bytes of each.
const fn count(effort: Effort) -> u64 {
    match effort {
        Effort::Quick => 4,
        Effort::Thorough => 12,
    }
}
const SAMPLE: u64 = 32 << 10;

/// How many chunks of a matrix are looked at for what its rows have in common, and how many numbers of it at least
/// and at most.
const ROW_SAMPLES: u64 = 8;
const ROW_NUMBERS: (u64, u64) = (1 << 18, 1 << 20);

/// Bytes of an item, with their offset in it.
pub(super) type Piece = (u64, Vec<u8>);

/// Bytes from all over an item, each from another chunk.
pub(super) fn samples(item: &PutItem<'_>, effort: Effort) -> Vec<Piece> {
    let chunks = places(item, count(effort)).into_iter().map(|(start, len)| {
        let sample = len.min(SAMPLE);
        // Aligned to numbers of any width.
        (start + (len - sample) / 2 / 8 * 8, sample)
    });
    // Who reads the chunk meets an error again, and reports it.
    chunks
        .filter_map(|(offset, len)| read(item, offset, len))
        .collect()
}

/// Chunks of a matrix, each to be read when it is its turn, and how many numbers of them to look at.
pub(super) fn rows(item: &PutItem<'_>, format: Format) -> (Vec<impl Fn() -> Option<Piece>>, usize) {
    let numbers = item.len / format.width() as u64;
    let most = (numbers / 16).clamp(ROW_NUMBERS.0, ROW_NUMBERS.1);
    let chunks = places(item, ROW_SAMPLES).into_iter();
    let pieces = chunks.map(|(start, len)| move || read(item, start, len));
    (pieces.collect(), most as usize)
}

/// Where some of the item's chunks begin, evenly spread, and their lengths.
fn places(item: &PutItem<'_>, most: u64) -> Vec<(u64, u64)> {
    let chunks = item.len.div_ceil(CHUNK as u64);
    let count = chunks.min(most);
    let starts = (0..count).map(|i| (2 * i + 1) * chunks / (2 * count) * CHUNK as u64);
    starts
        .map(|start| (start, (item.len - start).min(CHUNK as u64)))
        .collect()
}

fn read(item: &PutItem<'_>, offset: u64, len: u64) -> Option<Piece> {
    let mut bytes = vec![0; len as usize];
    let read = item.source.read_exact_at(&mut bytes, item.offset + offset);
    read.ok().map(|()| (offset, bytes))
}
