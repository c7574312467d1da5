//! Versions of the same numbers: stored as differences where that is smaller, and always what they were.

use super::*;
use crate::store::record::Record;

/// The same floats after a small step of each.
pub(super) fn tuned(base: &[u8], seed: u32) -> Vec<u8> {
    let mut state = seed;
    let floats = base.as_chunks::<4>().0.iter().map(|bytes| {
        state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        let step = (state >> 24) as f32 * 1e-7;
        f32::from_le_bytes(*bytes) * (1.0 + step)
    });
    floats.flat_map(f32::to_le_bytes).collect()
}

fn candidate((version, bytes): (usize, &&Vec<u8>)) -> Candidate {
    Candidate {
        id: ObjectId::of(bytes),
        version,
    }
}

/// Puts one object with these bases.
pub(super) fn put_after(store: &Store, bytes: &Vec<u8>, bases: &[&Vec<u8>]) -> Put {
    let mut writer = store.writer().expect("a writer");
    let item = PutItem {
        bases: bases.iter().enumerate().map(candidate).collect(),
        ..item(bytes, F32)
    };
    let puts = writer.put_all(&[item], &Silent).expect("put");
    writer.finish().expect("published");
    puts[0].clone()
}

pub(super) fn record(store: &Store, bytes: &[u8]) -> Record {
    let object = store.object(&ObjectId::of(bytes)).expect("there");
    object.record().clone()
}

#[test]
fn a_version_is_stored_as_its_difference_to_the_one_before() {
    for len in [400, CHUNK - 4, 3 * CHUNK + 2002] {
        let sandbox = Sandbox::new();
        let store = sandbox.store();
        let first = weights(len, 1);
        let second = tuned(&first, 7);
        let whole = put_after(&store, &first, &[]).written;
        let delta = put_after(&store, &second, &[&first]).written;
        assert!(
            len < CHUNK / 2 || delta * 10 < whole * 7,
            "{delta} of {whole}"
        );
        assert_eq!(record(&store, &second).bases, [ObjectId::of(&first)]);
        holds(&sandbox.store(), &[first, second]);
    }
}

#[test]
fn what_is_no_relative_is_no_base() {
    for len in [4000, 2 * CHUNK + 40] {
        let sandbox = Sandbox::new();
        let store = sandbox.store();
        let (first, second) = (weights(len, 1), weights(len, 2));
        put_after(&store, &first, &[]);
        put_after(&store, &second, &[&first]);
        assert_eq!(record(&store, &second).bases, []);
        holds(&sandbox.store(), &[first, second]);
    }
}

#[test]
fn the_nearest_of_several_bases_is_taken() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let near = weights(2 * CHUNK, 1);
    let (far, farther) = (tuned(&tuned(&near, 1), 2), weights(2 * CHUNK, 9));
    for bytes in [&near, &far, &farther] {
        put_after(&store, bytes, &[]);
    }
    let new = tuned(&near, 77);
    let nowhere = weights(2 * CHUNK, 1000);
    put_after(&store, &new, &[&nowhere, &farther, &far, &near]);
    assert_eq!(record(&store, &new).bases, [ObjectId::of(&near)]);
    holds(&sandbox.store(), &[near, far, farther, new]);
}

#[test]
fn chains_stay_short() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let mut all = vec![weights(CHUNK + 4000, 1)];
    put_after(&store, &all[0], &[]);
    for step in 0..12 {
        let last = &all[all.len() - 1];
        let next = tuned(last, step);
        put_after(&store, &next, &[last]);
        all.push(next);
    }
    let heights = all
        .iter()
        .map(|bytes| store.height(&ObjectId::of(bytes)).expect("known"));
    let heights: Vec<u8> = heights.collect();
    assert_eq!(heights[..5], [0, 1, 2, 3, 4]);
    assert!(heights.iter().all(|height| *height <= 4), "{heights:?}");
    assert!(heights[1..].iter().all(|height| *height > 0), "{heights:?}");
    holds(&sandbox.store(), &all);
}

#[test]
fn rows_appended_or_cut_off_cost_only_themselves() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let first = weights(4 * CHUNK, 1);
    let mut longer = first.clone();
    longer.extend(weights(64 * 384 * 4, 5));
    let shorter = first[..3 * CHUNK + 999].to_vec();
    put_after(&store, &first, &[]);
    let appended = put_after(&store, &longer, &[&first]).written;
    assert!(appended < 64 * 384 * 4 + 2000, "{appended}");
    let cut = put_after(&store, &shorter, &[&first]).written;
    assert!(cut < 2000, "{cut}");
    holds(&sandbox.store(), &[first, longer, shorter]);
}

/// Puts one object of these numbers.
pub(super) fn put_numbers(
    store: &Store,
    bytes: &Vec<u8>,
    base: Option<&Vec<u8>>,
    numbers: Numbers,
) -> Put {
    let mut writer = store.writer().expect("a writer");
    let width = numbers.format.width() as u8;
    let item = PutItem {
        bases: base.map(|base| candidate((0, &base))).into_iter().collect(),
        numbers: Some(numbers),
        ..item(bytes, Element::number(width, numbers.format != Format::I8))
    };
    let puts = writer.put_all(&[item], &Silent).expect("put");
    writer.finish().expect("published");
    puts[0].clone()
}

#[test]
fn steps_of_low_rank_cost_their_factors_and_casts_cost_nothing() {
    const COLUMNS: usize = 500;
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let first = weights(2 * CHUNK + 4000, 1);
    let moved = first
        .as_chunks::<4>()
        .0
        .iter()
        .enumerate()
        .map(|(i, bytes)| {
            let (row, column) = (i / COLUMNS, i % COLUMNS);
            let step = ((row * 7 % 97) as f32 - 48.0) * ((column * 13 % 89) as f32 - 44.0);
            f32::from_le_bytes(*bytes) + step * 1e-6
        });
    let second: Vec<u8> = moved.flat_map(f32::to_le_bytes).collect();
    let rounded = second.as_chunks::<4>().0.iter().map(|bytes| {
        let bits = u32::from_le_bytes(*bytes);
        ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
    });
    let rounded: Vec<u8> = rounded.flat_map(u16::to_le_bytes).collect();
    let numbers = |format, columns| Numbers { format, columns };
    let columns = COLUMNS as u64;
    put_numbers(&store, &first, None, numbers(Format::F32, columns));
    let flat = Sandbox::new();
    put_after(&flat.store(), &first, &[]);
    let without = put_after(&flat.store(), &second, &[&first]).written;
    let with = put_numbers(&store, &second, Some(&first), numbers(Format::F32, columns)).written;
    assert!(with * 3 < without * 2, "{with} against {without}");
    let cast = put_numbers(&store, &rounded, Some(&second), numbers(Format::Bf16, 0)).written;
    assert!(cast < 500, "{cast}");
    holds(&sandbox.store(), &[first, second, rounded]);
}

#[test]
fn a_damaged_base_is_no_base() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let first = weights(CHUNK + 4000, 1);
    put_after(&store, &first, &[]);
    let pack = sandbox.files("packs").into_iter();
    let pack = pack.filter(|path| path.extension().is_some_and(|e| e == "pack"));
    for path in pack {
        let mut bytes = std::fs::read(&path).expect("read");
        bytes[1000] ^= 1;
        std::fs::remove_file(&path).expect("removed");
        std::fs::write(&path, bytes).expect("written");
    }
    let second = tuned(&first, 1);
    put_after(&sandbox.store(), &second, &[&first]);
    let read = sandbox.store().read(&ObjectId::of(&second), u64::MAX);
    assert_eq!(read.expect("it needs no other"), second);
}

#[test]
fn versions_of_a_long_line_do_not_cost_ever_more() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let mut line = vec![weights(CHUNK, 1)];
    put_after(&store, &line[0], &[]);
    let mut costs = Vec::new();
    for version in 1..24 {
        // Each changes other rows than those before did.
        let mut next = line[version - 1].clone();
        let rows = next
            .chunks_exact_mut(1024)
            .skip(version * 5 % 37)
            .step_by(37);
        for row in rows {
            let tuned = tuned(row, version as u32);
            row.copy_from_slice(&tuned);
        }
        costs.push(put_after(&store, &next, &[&line[version - 1]]).written);
        line.push(next);
    }
    // Written with the nearest base that is left, they would take 10 times as much as the first on average.
    let (first, all) = (costs[0], costs.iter().sum::<u64>());
    assert!(all < 3 * 23 * first, "{costs:?}");
    holds(&sandbox.store(), &line);
}
