//! Objects that are coded against others, as any writer may: at any offset, and as deep as a reader goes.

use super::super::checksum::checksum;
use super::super::pack::PackWriter;
use super::super::record::{Body, Chunk, Record};
use super::*;
use crate::base::Kind;
use crate::base::id::{chunk_value, id_of_chunks};
use crate::base::kind::Failure;

pub(super) const XOR: u8 = 250;

/// A record and the bytes that it is stored as.
pub(super) type Handmade = (Record, Vec<u8>);

/// A record and its stored bytes: `bytes` XOR what `base` has from `offset` on.
pub(super) fn against(bytes: &[u8], base: &[u8], offset: usize, codec: u8) -> Handmade {
    let mut stored = bytes.to_vec();
    let tail = base.get(offset..).unwrap_or_default();
    stored.iter_mut().zip(tail).for_each(|(b, o)| *b ^= o);
    let values: Vec<_> = bytes
        .chunks(CHUNK)
        .enumerate()
        .map(|(i, chunk)| chunk_value(i as u64, chunk))
        .collect();
    let chunks = stored.chunks(CHUNK).enumerate().map(|(i, chunk)| Chunk {
        codec,
        base: Some(0),
        base_offset: (offset + i * CHUNK) as u64,
        stored: chunk.len() as u32,
        checksum: checksum(chunk),
        at: (i * CHUNK) as u64,
    });
    let id = id_of_chunks(&values).unwrap_or_else(|| ObjectId::of(bytes));
    let record = Record {
        id,
        len: bytes.len() as u64,
        element: Element::Bytes,
        bases: vec![ObjectId::of(base)],
        tables: Vec::new(),
        payload: 0,
        body: Body::Chunks(chunks.collect()),
        values: if values.len() > 1 { values } else { Vec::new() },
    };
    (record, stored)
}

/// Publishes a pack of handmade records; its name.
pub(super) fn publish(sandbox: &Sandbox, records: Vec<Handmade>) -> ObjectId {
    let fs = Fs::new();
    let dir = sandbox.path();
    let mut pack = PackWriter::create(&fs, &layout::tmp(&dir), 0).expect("created");
    for (mut record, stored) in records {
        record.payload = pack.len();
        pack.append(&stored).expect("written");
        pack.end_object(&record).expect("written");
    }
    let packs = layout::packs(&dir);
    fs.create_dir_all(&packs).expect("made");
    let sealed = pack.seal().expect("sealed");
    let name = sealed.footer.hash;
    let durable = sealed.sync(&fs, &layout::tmp(&dir)).expect("synced");
    durable.publish(&fs, &packs).expect("published");
    name
}

#[test]
fn a_base_is_read_at_any_offset_and_may_end_before() {
    let sandbox = Sandbox::new();
    let base = weights(2 * CHUNK + 500, 1);
    put(&sandbox.store(), std::slice::from_ref(&base), F32).expect("put");
    let mut all = vec![base.clone()];
    for (offset, len) in [
        (0, base.len()),
        (777, 2 * CHUNK + 9),
        (CHUNK, 2 * CHUNK + 3),
        (10, 99),
    ] {
        let bytes = weights(len, 100 + offset as u64);
        publish(&sandbox, vec![against(&bytes, &base, offset, XOR)]);
        all.push(bytes);
    }
    holds(&sandbox.store(), &all);
}

#[test]
fn chains_are_followed_eight_deep_and_no_deeper() {
    let sandbox = Sandbox::new();
    let all: Vec<_> = (0..10).map(|seed| weights(100, seed)).collect();
    put(&sandbox.store(), &all[..1], F32).expect("put");
    for pair in all.windows(2) {
        publish(&sandbox, vec![against(&pair[1], &pair[0], 0, XOR)]);
    }
    let store = sandbox.store();
    assert_eq!(
        store.read(&ObjectId::of(&all[8]), 100).expect("read"),
        all[8]
    );
    let deep = store
        .read(&ObjectId::of(&all[9]), 100)
        .expect_err("too deep");
    assert_eq!(deep.kind(), Kind::Damaged);
}

#[test]
fn circles_missing_bases_and_unknown_codecs_are_refused() {
    let sandbox = Sandbox::new();
    let (a, b, c, d) = (
        weights(64, 1),
        weights(64, 2),
        weights(64, 3),
        weights(64, 4),
    );
    let records = vec![
        against(&a, &b, 0, XOR),
        against(&b, &a, 0, XOR),
        against(&c, b"nowhere", 0, XOR),
        against(&d, &a, 0, 249),
    ];
    publish(&sandbox, records);
    let store = sandbox.store();
    let kind = |bytes: &Vec<u8>| {
        store
            .read(&ObjectId::of(bytes), 64)
            .expect_err("bad")
            .kind()
    };
    assert_eq!(kind(&a), Kind::Damaged);
    assert_eq!(kind(&c), Kind::Missing);
    assert_eq!(store.verify(&Silent).expect("verified").damage.len(), 4);
    // Nothing is wrong with this one but that its codec is of a later day.
    let sandbox = Sandbox::new();
    put(&sandbox.store(), std::slice::from_ref(&a), F32).expect("put");
    publish(&sandbox, vec![against(&d, &a, 0, 249)]);
    let store = sandbox.store();
    let error = store.read(&ObjectId::of(&d), 64).expect_err("not known");
    assert!(
        matches!(&error, StoreError::Unsupported { what, .. } if what == "codec 249"),
        "{error}"
    );
    assert_eq!(error.kind(), Kind::Unsupported);
    assert_eq!(store.read(&ObjectId::of(&a), 64).expect("known"), a);
}

#[test]
fn many_ways_to_few_objects_are_gone_once() {
    // Eight levels of ten objects, each of which needs all of the next: a hundred million ways down.
    const WIDE: usize = 10;
    let sandbox = Sandbox::new();
    let mut below: Vec<ObjectId> = Vec::new();
    let mut records = Vec::new();
    for level in 0..=8u8 {
        let object = |number: usize| {
            let value = |i: usize| [level ^ (16 * number + i) as u8; 32];
            let values: Vec<_> = (0..WIDE).map(value).collect();
            let chunk = |i: usize| Chunk {
                codec: XOR,
                base: (level > 0).then_some(i as u8),
                base_offset: 0,
                stored: 1,
                checksum: checksum(&[level]),
                at: i as u64,
            };
            let record = Record {
                id: id_of_chunks(&values).expect("a tree"),
                len: (WIDE * CHUNK) as u64,
                element: Element::Bytes,
                bases: below.clone(),
                tables: Vec::new(),
                payload: 0,
                body: Body::Chunks((0..WIDE).map(chunk).collect()),
                values,
            };
            (record, vec![level; WIDE])
        };
        let objects: Vec<Handmade> = (0..WIDE).map(object).collect();
        below = objects.iter().map(|(record, _)| record.id).collect();
        records.extend(objects);
    }
    publish(&sandbox, records);
    let store = sandbox.store();
    assert!(store.is_sound(&below[0]).expect("looked at"));
    assert_eq!(store.height(&below[0]).expect("looked at"), 8);
    let missing = [ObjectId::of(b"gone")];
    let (mut record, stored) = against(b"new", b"old", 0, XOR);
    record.bases = missing.to_vec();
    publish(&sandbox, vec![(record.clone(), stored)]);
    let store = sandbox.store();
    assert!(!store.is_sound(&record.id).expect("looked at"));
}
