//! A matrix some of whose rows came, went or changed places: where each of its rows was.

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::id::CHUNK;
use crate::base::{Fields, ReadAt};
use crate::store::Element;
use crate::store::chain::Tools;
use crate::store::codec::{Strip, values_of_block};
use crate::store::object::Object;
use crate::store::writer::{Numbers, PutItem};

use super::super::sketch::{NUMBERS, Sketch, blocks, size};
use super::super::source::Layout;

/// Matrices of more rows are not looked through: what is remembered of each row stays in memory meanwhile.
const ROWS: u64 = 1 << 19;

/// Rows of fewer numbers are not told apart.
const SHORT: u64 = 16;

/// Where more runs of rows than this moved each by itself, telling them apart is not worth its cost.
const MOVES: usize = 1 << 16;

/// Rows that lie in the same order here and there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    new: usize,
    old: usize,
    rows: usize,
}

/// How the rows of `base` make up an item whose rows have `row` bytes; `None` where hardly any of them does, or all
/// are where they were.
pub(super) fn moved(
    item: &PutItem<'_>,
    row: u64,
    base: &Arc<Object>,
    tools: &mut Tools,
) -> Option<Layout> {
    let element = item.element.storable();
    if base.record().element != element {
        return None;
    }
    let new = || of_item(item, row, element);
    laid(new, row, item.len, base, tools)
}

/// The same where rows of `base_row` bytes of a base became others: the layout is that of the base's bytes.
pub(super) fn moved_and_cast(
    item: &PutItem<'_>,
    base: &Arc<Object>,
    base_row: u64,
    tools: &mut Tools,
) -> Option<Layout> {
    let new = || match (item.numbers, &item.fields) {
        (Some(Numbers { format, columns }), _) => {
            of_item(item, columns * format.width() as u64, format.element())
        }
        (None, Some(fields)) => of_blocks(item, fields, base_row, base),
        (None, None) => None,
    };
    laid(new, base_row, base.len(), base, tools)
}

/// How rows of `row` bytes of a base make up `len` bytes, whose rows begin as `new` says.
fn laid(
    new: impl Fn() -> Option<Vec<Sketch>>,
    row: u64,
    len: u64,
    base: &Arc<Object>,
    tools: &mut Tools,
) -> Option<Layout> {
    let element = base.record().element;
    if !has_rows(len, row, element) || !has_rows(base.len(), row, element) {
        return None;
    }
    let old = sketches(base.len(), row, element, |index, out| {
        base.decode_chunk(index, tools, out).ok()
    })?;
    let new = new().filter(|new| new.len() as u64 == len / row)?;
    let runs = runs(&new, &old);
    let found: usize = runs.iter().map(|run| run.rows).sum();
    let in_place = |run: &Run| run.new == run.old;
    if found * 8 < new.len() || runs.iter().all(in_place) || runs.len() > MOVES {
        return None;
    }
    let strip = |run: &Run| {
        let [new, old, rows] = [run.new, run.old, run.rows].map(|rows| rows as u64 * row);
        Strip::run(0, new, old, rows)
    };
    let strips = runs.iter().map(strip).collect();
    Layout::new(vec![base.clone()], strips, len)
}

/// True where so many bytes are rows that can be told apart.
fn has_rows(len: u64, row: u64, element: Element) -> bool {
    let Element::Number { width, .. } = element else {
        return false;
    };
    row >= SHORT * u64::from(width) && len.is_multiple_of(row) && (2..=ROWS).contains(&(len / row))
}

/// A sketch of the beginning of each row of an item.
fn of_item(item: &PutItem<'_>, row: u64, element: Element) -> Option<Vec<Sketch>> {
    if !has_rows(item.len, row, element) {
        return None;
    }
    let span = item.span();
    sketches(item.len, row, element, |index, out| {
        span.read_chunk(0, index, out).ok()
    })
}

/// The same of blocks, for what they stand for: rows of as many numbers as those of a base have, in whole blocks.
fn of_blocks(
    item: &PutItem<'_>,
    fields: &Fields,
    base_row: u64,
    base: &Object,
) -> Option<Vec<Sketch>> {
    let wide = size(base.record().element) as u64 / NUMBERS as u64;
    let each = values_of_block(fields)? as u64;
    let bytes = u64::from(fields.bytes);
    if base_row == 0 || !base_row.is_multiple_of(each * wide) {
        return None;
    }
    let row = base_row / (each * wide) * bytes;
    let rows = item.len / row;
    if rows > ROWS || rows * row != item.len {
        return None;
    }
    let mut begins = vec![0; blocks(fields)?.min(row) as usize];
    let sketch = |at: u64| {
        let place = item.offset.checked_add(at * row)?;
        item.source.read_exact_at(&mut begins, place).ok()?;
        Some(Sketch::of_blocks(&begins, fields).unwrap_or_default())
    };
    (0..rows).map(sketch).collect()
}

/// A sketch of the beginning of each row; such as tells nothing where too little follows.
fn sketches(
    len: u64,
    row: u64,
    element: Element,
    mut read: impl FnMut(u64, &mut Vec<u8>) -> Option<()>,
) -> Option<Vec<Sketch>> {
    let size = size(element) as u64;
    let mut found = Vec::new();
    // Bytes from `start` on, as far as they were read.
    let (mut bytes, mut start) = (Vec::new(), 0);
    let mut chunk = Vec::new();
    for index in 0..len.div_ceil(CHUNK as u64) {
        read(index, &mut chunk)?;
        bytes.extend_from_slice(&chunk);
        let end = start + bytes.len() as u64;
        let mut next = found.len() as u64 * row;
        while next + size <= end {
            let at = (next - start) as usize;
            found.push(Sketch::of(&bytes[at..], element)?);
            next += row;
        }
        bytes.drain(..(next.min(end) - start) as usize);
        start = next.min(end);
    }
    found.resize((len / row) as usize, Sketch::default());
    Some(found)
}

/// Where each row was, as far as it can be told: the rows of one version looked up among those of the other.
fn runs(new: &[Sketch], old: &[Sketch]) -> Vec<Run> {
    let mut places: HashMap<u64, usize> = HashMap::new();
    for (row, sketch) in old.iter().enumerate().filter(|(_, sketch)| sketch.tells()) {
        for half in sketch.halves() {
            places.entry(half).or_insert(row);
        }
    }
    let near = |a: usize, b: usize| old.get(b).is_some_and(|old| new[a].is_near(*old));
    let mut runs: Vec<Run> = Vec::new();
    for row in 0..new.len() {
        let last = runs.last().copied().unwrap_or(Run {
            new: 0,
            old: 0,
            rows: 0,
        });
        let (end, next) = (last.new + last.rows, last.old + last.rows);
        if end == row && next < old.len() && near(row, next) {
            match runs.last_mut() {
                Some(run) => run.rows += 1,
                None => runs.push(Run { rows: 1, ..last }),
            }
            continue;
        }
        let halves = new[row].halves().into_iter();
        let known = halves.filter_map(|half| places.get(&half).copied());
        // As far from the end as before: what came or went did so in front.
        let from_end = (old.len() + row).checked_sub(new.len());
        let mut tried = known.chain(from_end).chain([row]);
        let found = tried.find(|place| new[row].tells() && near(row, *place));
        let Some(place) = found else { continue };
        match runs.last_mut() {
            // Rows between that changed beyond recognition are most likely still where they were.
            Some(run) if place >= next && place - run.old == row - run.new => {
                run.rows = row + 1 - run.new;
            }
            _ => {
                let before = (1..=place.min(row - end)).take_while(|i| near(row - i, place - i));
                let back = before.count();
                runs.push(Run {
                    new: row - back,
                    old: place - back,
                    rows: back + 1,
                });
            }
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const I32: Element = Element::number(4, false);

    fn rows(seeds: &[u32]) -> Vec<Sketch> {
        let row = |seed: &u32| {
            let mut state = *seed;
            let numbers = (0..128).map(|_| {
                state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
                state >> 4
            });
            let bytes: Vec<u8> = numbers.flat_map(u32::to_le_bytes).collect();
            Sketch::of(&bytes, I32).expect("enough")
        };
        seeds.iter().map(row).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

        #[test]
        fn rows_are_found_wherever_they_went(
            old in 2u32..200,
            cut in any::<prop::sample::Index>(),
            removed in 0usize..20,
            (place, added) in (any::<prop::sample::Index>(), 0usize..20),
        ) {
            let before: Vec<u32> = (1..=old).collect();
            let mut after = before.clone();
            let cut = cut.index(after.len());
            after.drain(cut..after.len().min(cut + removed));
            let place = place.index(after.len() + 1);
            let came = (0..added as u32).map(|i| 100_000 + i);
            after.splice(place..place, came);
            let runs = runs(&rows(&after), &rows(&before));
            let mut was = vec![None; after.len()];
            for run in runs {
                for i in 0..run.rows {
                    prop_assert_eq!(was[run.new + i], None);
                    was[run.new + i] = Some(before[run.old + i]);
                }
            }
            for (row, seed) in after.iter().enumerate() {
                let expected = (*seed < 100_000).then_some(*seed);
                prop_assert!(was[row] == expected || expected.is_none(), "row {}", row);
            }
        }
    }

    #[test]
    fn sketches_are_the_same_however_rows_lie_in_chunks() {
        for row in [64u64, 1000, 4 * 333_333] {
            let len = row * 9;
            let bytes: Vec<u8> = (0..len).map(|i| ((i * i) >> 5) as u8).collect();
            let read = |index: u64, out: &mut Vec<u8>| {
                *out = bytes.chunks(CHUNK).nth(index as usize)?.to_vec();
                Some(())
            };
            let found = sketches(len, row, I32, read).expect("read");
            assert_eq!(found.len(), 9);
            for (i, sketch) in found.iter().enumerate() {
                let expected = Sketch::of(&bytes[i * row as usize..], I32).unwrap_or_default();
                assert_eq!(*sketch, expected, "row {i} of {row}");
            }
        }
    }
}
