//! What would take hours or all memory is refused, and takes nothing from what is good beside it.

use super::super::codec::Strip;
use super::bases::{Handmade, XOR, against, publish};
use super::copies::{in_order, parted, raw};
use super::mosaics::{mosaic, values};
use super::*;
use crate::base::Kind;
use crate::base::fuzz::limits::counted;
use crate::base::kind::Failure;

const CHUNKS: usize = 6;

/// An object of so many equal chunks.
pub(super) fn level(level: u8, chunks: usize) -> Vec<u8> {
    let mut chunk = vec![level; CHUNK];
    chunk[..4].fill(99); // what is constant would be stored as such
    chunk.repeat(chunks)
}

/// A level of which each chunk needs a byte of all chunks of the one below.
pub(super) fn spread(bytes: &[u8], below: &[u8]) -> Handmade {
    mosaic(bytes, &[below], |_| {
        let chunks = below.len().div_ceil(CHUNK) as u64;
        let each = (0..chunks).map(|i| Strip::run(0, 4 * i, i << 20, 1));
        each.collect()
    })
}

/// Nine levels, the lowest as it is: 6^8 chunks for one of the top.
fn levels() -> Vec<Handmade> {
    let levels: Vec<Vec<u8>> = (0..9).map(|number| level(number, CHUNKS)).collect();
    let above = levels.windows(2).map(|pair| spread(&pair[1], &pair[0]));
    std::iter::once(raw(&levels[0])).chain(above).collect()
}

#[test]
fn what_would_be_hours_of_work_is_refused() {
    let sandbox = Sandbox::new();
    publish(&sandbox, levels());
    let store = sandbox.store();
    let read = |number: u8| {
        let bytes = level(number, CHUNKS);
        let mut chunk = Vec::new();
        let object = store.object(&ObjectId::of(&bytes)).expect("there");
        let done = object.read_chunk(5, &mut chunk);
        done.map(|()| assert!(chunk == bytes[..CHUNK]))
    };
    let error = read(8).expect_err("refused");
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(error.to_string().contains("1 GiB"), "{error}");
    read(3).expect("216 chunks are no malice");
}

#[test]
fn a_copy_that_would_be_hours_of_work_takes_none_from_a_good_one() {
    let base = weights(CHUNKS * CHUNK, 1);
    let mut bad = levels();
    bad.truncate(8); // it is a base itself
    let (record, _) = bad.last_mut().expect("eight");
    record.id = ObjectId::of(&base);
    record.values = values(&base);
    // Its chunks begin in the middle of those of the base: each needs two.
    let bytes = weights(2 * CHUNK, 2);
    bad.push(against(&bytes, &base, 777, XOR));
    let sandbox = in_order(&bad, &[raw(&base)]);
    let mut chunk = Vec::new();
    let object = sandbox
        .store()
        .object(&ObjectId::of(&bytes))
        .expect("there");
    object.read_chunk(0, &mut chunk).expect("read");
    assert!(chunk == bytes[..CHUNK]);
}

#[test]
fn however_many_objects_a_chunk_names_few_are_open_at_once() {
    const WIDE: usize = 100;
    let sandbox = Sandbox::new();
    let lowest: Vec<Vec<u8>> = (0..WIDE as u64).map(|seed| weights(800, seed)).collect();
    let lowest: Vec<&[u8]> = lowest.iter().map(Vec::as_slice).collect();
    let each = |_| {
        let run = |i| Strip::run(i as u8, 80 * i, 0, 80);
        (0..WIDE as u64).map(run).collect::<Vec<_>>()
    };
    let beside = |bases: &[&[u8]], seed: u8| {
        let mut bytes: Vec<u8> = bases.iter().flat_map(|base| base[..80].to_vec()).collect();
        bytes[0] ^= seed;
        bytes
    };
    let middle: Vec<Vec<u8>> = (1..=WIDE as u8).map(|seed| beside(&lowest, seed)).collect();
    let middle: Vec<&[u8]> = middle.iter().map(Vec::as_slice).collect();
    let top = beside(&middle, 0);
    let heavy = |(mut record, stored): Handmade| {
        record.tables = vec![0; 100_000];
        (record, stored)
    };
    let mut records: Vec<Handmade> = lowest.iter().map(|bytes| heavy(raw(bytes))).collect();
    records.extend(
        middle
            .iter()
            .map(|bytes| heavy(mosaic(bytes, &lowest, each))),
    );
    records.push(mosaic(&top, &middle, each));
    publish(&sandbox, records);
    let store = sandbox.store();
    let read = |bytes: &[u8]| store.read(&ObjectId::of(bytes), u64::MAX);
    let (most, error) = counted(|| read(&top).map(drop));
    let error = error.expect_err("ten thousand objects");
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(error.to_string().contains("1 GiB"), "{error}");
    assert!(most < 32 << 20, "{most} bytes");
    assert!(read(middle[7]).expect("a hundred are no malice") == middle[7]);
}

#[test]
fn an_object_of_absurdly_many_parts_is_refused() {
    let sandbox = Sandbox::new();
    let byte = [7u8];
    let whole = |count: usize| parted(&vec![&byte[..]; count]);
    publish(&sandbox, vec![raw(&byte), whole(1000), whole(20_000)]);
    let store = sandbox.store();
    let read = |count: usize| store.read(&ObjectId::of(&vec![7; count]), u64::MAX);
    assert!(read(1000).expect("read") == [7; 1000]);
    let error = read(20_000).map(drop);
    let error = error.expect_err("more than a gigabyte of work");
    assert!(error.to_string().contains("1 GiB"), "{error}");
}

#[test]
fn a_part_that_is_not_what_it_should_be_is_not_sound() {
    let [a, b] = [1, 2].map(|seed| weights(70_000, seed));
    let twice = [&a[..], &b[..]].concat();
    let whole = parted(&[&twice, &a]);
    let sandbox = Sandbox::new();
    publish(
        &sandbox,
        vec![raw(&a), raw(&b), parted(&[&a, &b]), whole.clone()],
    );
    let sound = |sandbox: &Sandbox| sandbox.store().is_sound(&whole.0.id).expect("looked at");
    assert!(!sound(&sandbox), "it is made of parts itself");
    publish(&sandbox, vec![raw(&twice)]);
    assert!(sound(&sandbox));
    let (mut lie, stored) = raw(&a);
    lie.len += 1;
    let sandbox = Sandbox::new();
    publish(&sandbox, vec![(lie, stored), raw(&twice), whole.clone()]);
    assert!(!sound(&sandbox), "its only copy has another length");
}

#[test]
fn a_base_whose_length_was_in_doubt_is_looked_for_again() {
    let (base, bytes) = (weights(500, 1), weights(500, 2));
    let damaged = |len: u64| {
        let (mut record, mut stored) = raw(&base);
        record.len = len;
        stored[0] ^= 1;
        (record, stored)
    };
    let sandbox = in_order(
        &[damaged(20)],
        &[damaged(30), against(&bytes, &base, 0, XOR)],
    );
    let store = sandbox.store();
    let object = store.object(&ObjectId::of(&bytes)).expect("there");
    let mut chunk = Vec::new();
    object
        .read_chunk(0, &mut chunk)
        .expect_err("no base is good");
    publish(&sandbox, vec![raw(&base)]);
    assert!(
        !store
            .contains(&ObjectId::of(b"none"))
            .expect("listed again")
    );
    object.read_chunk(0, &mut chunk).expect("now there is one");
    assert!(chunk == bytes);
}
