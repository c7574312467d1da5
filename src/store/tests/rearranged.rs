//! Tensors that are put together, taken apart, renamed, or whose rows moved: they cost what changed in them.

use super::deltas::{put_after, record, tuned};
use super::gc::{collect, ids};
use super::*;

pub(super) const COLUMNS: usize = 384;
pub(super) const ROW: usize = COLUMNS * 4;

/// A matrix of so many rows of random numbers, none of which has to do with another.
pub(super) fn matrix(rows: usize, seed: u64) -> Vec<u8> {
    let mut state = seed << 32;
    let numbers = (0..rows * COLUMNS).map(|_| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let sum = (0..4)
            .map(|part| (bits >> (16 * part)) as u16)
            .map(f32::from);
        (sum.sum::<f32>() - 131_070.0) * 1e-6
    });
    numbers.flat_map(f32::to_le_bytes).collect()
}

/// The first `columns` of each row of `bytes`, and so on, in turns: rows of `widths` bytes side by side.
fn side_by_side(parts: &[&[u8]], widths: &[usize]) -> Vec<u8> {
    let turns = parts[0].len() / widths[0];
    let pieces = (0..turns).flat_map(|turn| {
        let each = parts.iter().zip(widths);
        each.map(move |(part, width)| &part[turn * width..][..*width])
    });
    pieces.flatten().copied().collect()
}

fn fresh(name: &str, row: usize) -> Fresh {
    Fresh {
        name: name.into(),
        row: row as u64,
    }
}

/// Puts tensors that were not there before, given what was: name, bytes of a row, bytes. What they cost together.
fn put_fresh(store: &Store, lost: &[(&str, usize, &[u8])], new: &[(&str, usize, &Vec<u8>)]) -> u64 {
    let lost = lost.iter().map(|(name, row, bytes)| Kin {
        id: ObjectId::of(bytes),
        len: bytes.len() as u64,
        element: F32,
        tensor: fresh(name, *row),
    });
    let kindred = Kindred {
        lost: lost.collect(),
        new: new
            .iter()
            .map(|(name, row, _)| Some(fresh(name, *row)))
            .collect(),
    };
    let items: Vec<_> = new.iter().map(|(_, _, bytes)| item(bytes, F32)).collect();
    let mut writer = store.writer().expect("a writer");
    let puts = writer.put_among(&items, &kindred, &Silent).expect("put");
    writer.finish().expect("published");
    puts.iter().map(|put| put.written).sum()
}

/// What it costs to put these matrices after those that they came from.
fn unfused(before: &[Vec<u8>], after: &[Vec<u8>]) -> u64 {
    let sandbox = Sandbox::new();
    put(&sandbox.store(), before, F32).expect("put");
    let pairs = before.iter().zip(after);
    pairs
        .map(|(before, after)| put_after(&sandbox.store(), after, &[before]).written)
        .sum()
}

/// Puts `whole` after its parts and the parts after the whole, both as they were and after a step of training.
fn goes_there_and_back(
    parts: &[Vec<u8>],
    rows: &[usize],
    row: usize,
    fuse: impl Fn(&[Vec<u8>]) -> Vec<u8>,
) {
    let names: Vec<String> = (0..parts.len()).map(|i| format!("layer.3.{i}")).collect();
    let next: Vec<Vec<u8>> = (1..)
        .zip(parts)
        .map(|(seed, part)| tuned(part, seed))
        .collect();
    let (whole, next_whole) = (fuse(parts), fuse(&next));
    // Others of the same shape lie about.
    let others: Vec<Vec<u8>> = (0..4).map(|i| matrix(200 + i, 900 + i as u64)).collect();
    let step = unfused(parts, &next);
    let all: Vec<(&str, usize, &[u8])> = others
        .iter()
        .map(|other| ("layer.1.other", ROW, &other[..]))
        .chain(
            names
                .iter()
                .zip(rows)
                .zip(parts)
                .map(|((name, row), part)| (&name[..], *row, &part[..])),
        )
        .collect();
    for (new, most) in [
        (&whole, whole.len() as u64 / 100),
        (&next_whole, step * 11 / 10),
    ] {
        let sandbox = Sandbox::new();
        let store = sandbox.store();
        put(&store, &others, F32).expect("put");
        put(&store, parts, F32).expect("put");
        let written = put_fresh(&store, &all, &[("layer.3.fused", row, new)]);
        assert!(written < most, "fused: {written}, {most} at most");
        holds(&sandbox.store(), std::slice::from_ref(new));
        // All of the parts are needed for it, and nothing else.
        let object = store.object(&ObjectId::of(new)).expect("there");
        assert_eq!(object.record().bases.len(), parts.len());
        collect(&store, &ids(std::slice::from_ref(new))).expect("collected");
        holds(
            &sandbox.store(),
            &[parts, std::slice::from_ref(new)].concat(),
        );
    }
    for (new, most) in [(parts, whole.len() as u64 / 100), (&next, step * 11 / 10)] {
        let sandbox = Sandbox::new();
        let store = sandbox.store();
        put(&store, &others, F32).expect("put");
        put(&store, std::slice::from_ref(&whole), F32).expect("put");
        let mut lost = all[..others.len()].to_vec();
        lost.push(("layer.3.fused", row, &whole));
        let new: Vec<(&str, usize, &Vec<u8>)> = names
            .iter()
            .zip(rows)
            .zip(new)
            .map(|((name, row), part)| (&name[..], *row, part))
            .collect();
        let written = put_fresh(&store, &lost, &new);
        assert!(written < most, "split: {written}, {most} at most");
        let new: Vec<Vec<u8>> = new.into_iter().map(|(_, _, part)| part.clone()).collect();
        holds(&sandbox.store(), &new);
        collect(&store, &ids(&new)).expect("collected");
        holds(
            &sandbox.store(),
            &[&new[..], std::slice::from_ref(&whole)].concat(),
        );
    }
}

#[test]
fn rows_below_rows() {
    // As in grouped-query attention: keys and values are fewer.
    let parts = [matrix(768, 1), matrix(192, 2), matrix(192, 3)];
    goes_there_and_back(&parts, &[ROW; 3], ROW, |parts| parts.concat());
}

#[test]
fn experts_in_a_stack() {
    let parts: Vec<Vec<u8>> = (0..40).map(|seed| matrix(64, seed + 1)).collect();
    goes_there_and_back(&parts, &[ROW; 40], ROW, |parts| parts.concat());
}

#[test]
fn columns_beside_columns() {
    let parts = [matrix(500, 1), matrix(500, 2), matrix(250, 3)];
    let widths = [ROW, ROW, ROW / 2];
    goes_there_and_back(&parts, &widths, ROW * 5 / 2, |parts| {
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        side_by_side(&parts, &widths)
    });
}

#[test]
fn heads_that_take_turns() {
    let parts = [matrix(512, 1), matrix(512, 2), matrix(512, 3)];
    goes_there_and_back(&parts, &[ROW; 3], ROW, |parts| {
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        side_by_side(&parts, &[64 * ROW; 3])
    });
}

#[test]
fn other_names() {
    let before: Vec<Vec<u8>> = (0..12).map(|seed| matrix(300, seed + 1)).collect();
    let after: Vec<Vec<u8>> = (1..)
        .zip(&before)
        .map(|(seed, bytes)| tuned(bytes, seed))
        .collect();
    let most = unfused(&before, &after) * 11 / 10;
    let sandbox = Sandbox::new();
    put(&sandbox.store(), &before, F32).expect("put");
    let lost: Vec<(&str, usize, &[u8])> = before
        .iter()
        .map(|bytes| ("old", ROW, &bytes[..]))
        .collect();
    // The other way round, so that their order tells nothing.
    let new: Vec<(&str, usize, &Vec<u8>)> = after
        .iter()
        .rev()
        .map(|bytes| ("new", ROW, bytes))
        .collect();
    let written = put_fresh(&sandbox.store(), &lost, &new);
    assert!(written < most, "{written}, {most} at most");
    holds(&sandbox.store(), &after);
}

/// The cost of an embedding after another one, by its own name or by another.
fn moved(before: &Vec<u8>, after: &Vec<u8>, renamed: bool) -> u64 {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    put_after(&store, before, &[]);
    let written = match renamed {
        true => put_fresh(&store, &[("old", ROW, before)], &[("new", ROW, after)]),
        false => {
            let numbers = Numbers {
                format: Format::F32,
                columns: COLUMNS as u64,
            };
            let item = PutItem {
                bases: vec![Candidate {
                    id: ObjectId::of(before),
                    version: 0,
                }],
                numbers: Some(numbers),
                ..item(after, F32)
            };
            let mut writer = store.writer().expect("a writer");
            let puts = writer.put_all(&[item], &Silent).expect("put");
            writer.finish().expect("published");
            puts[0].written
        }
    };
    holds(&sandbox.store(), &[before.clone(), after.clone()]);
    written
}

#[test]
fn rows_that_came_went_and_moved() {
    let before = matrix(4000, 1);
    let next = tuned(&before, 5);
    let step = unfused(std::slice::from_ref(&before), std::slice::from_ref(&next));
    let came = matrix(64, 77);
    let alone = unfused(&[matrix(1, 3)], std::slice::from_ref(&came));
    let front = |bytes: &[u8]| [&came, bytes].concat();
    let middle = |bytes: &[u8]| [&bytes[..1000 * ROW], &bytes[1100 * ROW..]].concat();
    let both = |bytes: &[u8]| middle(&front(bytes));
    // As many rows as before, which no length tells.
    let swapped = |bytes: &[u8]| [&came, &bytes[..1000 * ROW], &bytes[1064 * ROW..]].concat();
    type Change<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;
    let changes: [(Change<'_>, u64); 4] = [
        (&front, alone),
        (&middle, 0),
        (&both, alone),
        (&swapped, alone),
    ];
    for (number, (change, extra)) in changes.into_iter().enumerate() {
        for renamed in [false, true] {
            let unchanged = moved(&before, &change(&before), renamed);
            let most = extra + before.len() as u64 / 100;
            assert!(
                unchanged < most,
                "{number} {renamed}: {unchanged}, {most} at most"
            );
            let trained = moved(&before, &change(&next), renamed);
            let most = extra + step * 11 / 10;
            assert!(
                trained < most,
                "{number} {renamed}: {trained}, {most} at most"
            );
        }
    }
}

#[test]
fn what_is_no_kin_costs_what_it_is() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let before: Vec<Vec<u8>> = (0..6).map(|seed| matrix(256, seed + 1)).collect();
    put(&store, &before, F32).expect("put");
    let lost: Vec<(&str, usize, &[u8])> = before
        .iter()
        .map(|bytes| ("old", ROW, &bytes[..]))
        .collect();
    for rows in [128, 256, 768] {
        let new = matrix(rows, 1000 + rows as u64);
        put_fresh(&store, &lost, &[("new", ROW, &new)]);
        assert_eq!(record(&store, &new).bases, []);
        holds(&sandbox.store(), std::slice::from_ref(&new));
    }
}

#[test]
fn chains_through_fusions_stay_short() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let mut parts = vec![matrix(300, 1), matrix(300, 2)];
    let mut all = parts.clone();
    put(&store, &parts, F32).expect("put");
    for step in 0..4 {
        let whole = tuned(&parts.concat(), step);
        let lost: Vec<(&str, usize, &[u8])> =
            parts.iter().map(|part| ("part", ROW, &part[..])).collect();
        put_fresh(&store, &lost, &[("whole", ROW, &whole)]);
        let (left, right) = whole.split_at(300 * ROW);
        parts = [left, right].map(|part| tuned(part, step + 9)).to_vec();
        let new: Vec<(&str, usize, &Vec<u8>)> =
            parts.iter().map(|part| ("part", ROW, part)).collect();
        put_fresh(&store, &[("whole", ROW, &whole)], &new);
        all.push(whole);
        all.extend(parts.iter().cloned());
    }
    let heights = all
        .iter()
        .map(|bytes| store.height(&ObjectId::of(bytes)).expect("known"));
    let heights: Vec<u8> = heights.collect();
    assert_eq!(heights[2..5], [1, 2, 2]);
    assert!(heights.iter().all(|height| *height <= 4), "{heights:?}");
    holds(&sandbox.store(), &all);
}
