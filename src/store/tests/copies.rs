//! Objects that lie in several packs, of which the first has something wrong.

use super::super::checksum::checksum;
use super::super::codec::RAW;
use super::super::record::{Body, Chunk, Part, Record};
use super::bases::{Handmade, XOR, against, publish};
use super::*;

/// Stored as it is.
pub(super) fn raw(bytes: &[u8]) -> Handmade {
    let (mut record, stored) = against(bytes, b"", 0, RAW);
    record.bases.clear();
    if let Body::Chunks(chunks) = &mut record.body {
        chunks.iter_mut().for_each(|chunk| chunk.base = None);
    }
    (record, stored)
}

fn chunks(record: &mut Record) -> &mut Vec<Chunk> {
    match &mut record.body {
        Body::Chunks(chunks) => chunks,
        Body::Parts(_) => panic!("it has chunks"),
    }
}

/// The concatenation of other objects.
pub(super) fn parted(parts: &[&[u8]]) -> Handmade {
    let part = |bytes: &&[u8]| Part {
        id: ObjectId::of(bytes),
        len: bytes.len() as u32,
    };
    let (mut record, _) = raw(&parts.concat());
    record.body = Body::Parts(parts.iter().map(part).collect());
    (record, Vec::new())
}

/// A store in which the pack of the first records is looked into before that of the others.
pub(super) fn in_order(first: &[Handmade], then: &[Handmade]) -> Sandbox {
    for seed in 0.. {
        let sandbox = Sandbox::new();
        let filler = vec![raw(&weights(40, 1000 + seed))];
        let name = publish(&sandbox, [first, &filler].concat());
        if name < publish(&sandbox, then.to_vec()) {
            return sandbox;
        }
    }
    unreachable!("half of all names are smaller")
}

/// Everything that reads gives the object, although a copy is bad, which is told.
fn served(sandbox: &Sandbox, bytes: &[u8], what: &str) {
    let store = sandbox.store();
    let id = ObjectId::of(bytes);
    assert!(
        store.read(&id, u64::MAX).expect(what) == bytes,
        "{what}: read"
    );
    let object = sandbox.store().object(&id).expect(what);
    assert_eq!(object.len(), bytes.len() as u64, "{what}");
    let mut tail = [0; 9];
    let at = bytes.len() - 9;
    object.read_exact_at(&mut tail, at as u64).expect(what);
    assert_eq!(tail, bytes[at..], "{what}");
    let file = temp(sandbox.dir.path());
    let job = CopyOut {
        id,
        len: bytes.len() as u64,
        file: &file,
        offset: 3,
    };
    let failed = sandbox.store().copy_out(&[job], &Silent).expect("copied");
    assert_eq!(failed.len(), 0, "{what}: {failed:?}");
    let mut copied = vec![0; bytes.len()];
    file.read_exact_at(&mut copied, 3).expect("written");
    assert!(copied == bytes, "{what}: copied");
    assert_eq!(file.metadata().expect("there").len(), 3 + job.len, "{what}");
    let size = store.stored_size(&id).expect(what).expect(what);
    assert_eq!(size.raw, bytes.len() as u64, "{what}");
    let checked = store.verify(&Silent).expect("verified");
    assert_ne!(checked.damage, [], "{what}");
}

#[test]
fn whatever_is_wrong_with_the_first_copy_the_next_one_serves() {
    for len in [100, CHUNK, 2 * CHUNK + 300] {
        let bytes = weights(len, 1);
        let with = |change: &dyn Fn(&mut Record, &mut Vec<u8>)| {
            let (mut record, mut stored) = raw(&bytes);
            change(&mut record, &mut stored);
            (record, stored)
        };
        let bad: Vec<(&str, Handmade)> = vec![
            (
                "a codec of a newer mvc",
                with(&|record, _| {
                    chunks(record)
                        .iter_mut()
                        .for_each(|chunk| chunk.codec = 249)
                }),
            ),
            (
                "a codec of a newer mvc in the last chunk",
                with(&|record, _| chunks(record).last_mut().expect("one").codec = 249),
            ),
            ("too short", with(&|record, _| record.len -= 1)),
            (
                "other bytes",
                with(&|_, stored| *stored.last_mut().expect("one") ^= 1),
            ),
            (
                "a base that is not there",
                against(&bytes, b"nowhere", 0, XOR),
            ),
            (
                "what does not decode",
                with(&|record, _| chunks(record)[0].codec = 2),
            ),
        ];
        let longer = with(&|record, stored| {
            record.len += 1;
            stored.push(0);
            chunks(record).last_mut().expect("one").stored += 1;
        });
        let longer = (len % CHUNK != 0).then_some(("too long", longer));
        for (what, bad) in bad.into_iter().chain(longer) {
            served(&in_order(&[bad], &[raw(&bytes)]), &bytes, what);
        }
    }
}

#[test]
fn a_copy_of_another_length_is_never_written() {
    // The sidecar believes the copy that lies: what is right has no room where it is asked for.
    let bytes = weights(100, 1);
    let (mut lie, stored) = raw(&bytes);
    lie.len = 60;
    let sandbox = in_order(&[(lie, stored)], &[raw(&bytes)]);
    let file = temp(sandbox.dir.path());
    let job = CopyOut {
        id: ObjectId::of(&bytes),
        len: 60,
        file: &file,
        offset: 0,
    };
    let failed = sandbox.store().copy_out(&[job], &Silent).expect("copied");
    assert_eq!(failed.len(), 1);
    assert_eq!(file.metadata().expect("there").len(), 0);
}

#[test]
fn a_base_and_a_part_are_looked_for_in_all_packs() {
    let base = weights(500, 1);
    let bytes = weights(500, 2);
    let (mut lie, stored) = raw(&base);
    lie.len = 20;
    let good = vec![raw(&base), against(&bytes, &base, 0, XOR)];
    served(&in_order(&[(lie, stored)], &good), &bytes, "a base");

    let [a, b, c] = [1, 2, 3].map(|seed| weights(70_000, 10 + seed));
    let twice = [&a[..], &b[..]].concat();
    // A part that is made of parts is none.
    let bad = vec![parted(&[&a, &b]), raw(&a), raw(&b)];
    let good = vec![raw(&twice), raw(&c), parted(&[&twice, &c])];
    let whole = [twice, c].concat();
    let sandbox = in_order(&bad, &good);
    let store = sandbox.store();
    let id = ObjectId::of(&whole);
    assert!(store.read(&id, u64::MAX).expect("read") == whole);
    assert_eq!(store.verify(&Silent).expect("verified").damage, []);
}

#[test]
fn copies_of_copies_are_tried_once_each() {
    // Eight bases deep, eight copies each, of which the last that is tried is good, or none is.
    const COPIES: u64 = 8;
    for deepest_is_there in [false, true] {
        let all: Vec<_> = (0..9).map(|seed| weights(100, seed)).collect();
        let sandbox = Sandbox::new();
        for copy in 0..COPIES {
            let mut records: Vec<Handmade> = all
                .windows(2)
                .map(|pair| against(&pair[0], &pair[1], 0, XOR))
                .collect();
            if copy > 0 {
                // Wrong, which only shows once the base was read.
                records.iter_mut().for_each(|(_, stored)| stored[0] ^= 1);
            }
            if deepest_is_there {
                records.push(raw(&all[8]));
            }
            records.push(raw(&weights(40, 1000 + copy)));
            publish(&sandbox, records);
        }
        let store = sandbox.store();
        let read = store.read(&ObjectId::of(&all[0]), 100);
        match deepest_is_there {
            true => assert_eq!(read.expect("one copy of each is good"), all[0]),
            false => assert!(read.is_err()),
        }
    }
}

#[test]
fn the_place_of_no_chunks_has_no_meaning() {
    let sandbox = Sandbox::new();
    let (a, b) = (weights(70_000, 1), weights(70_000, 2));
    let name = publish(
        &sandbox,
        vec![raw(&a), raw(&b), raw(b""), parted(&[&a, &b])],
    );
    let path = sandbox.path().join("packs").join(format!("{name}.pack"));
    let mut bytes = std::fs::read(&path).expect("there");
    for id in [
        ObjectId::of(&[a.clone(), b.clone()].concat()),
        ObjectId::of(b""),
    ] {
        let at = bytes
            .windows(32)
            .position(|window| window == id.as_bytes())
            .expect("its record");
        let payload = at + 32 + 8 + 4 + 4 + 4 + 4;
        bytes[payload..payload + 8].copy_from_slice(&u64::MAX.to_le_bytes());
        // No bases, no values; the record is cut where its checksum is right again.
        let rows = if id == ObjectId::of(b"") { 0 } else { 2 * 36 };
        let end = payload + 8 + rows;
        let sum = checksum(&bytes[at..end]);
        bytes[end..end + 8].copy_from_slice(&sum.to_le_bytes());
    }
    republish(&sandbox, &path, bytes);
    holds(&sandbox.store(), &[[a, b].concat(), Vec::new()]);
}

#[test]
fn totals_are_those_of_the_objects() {
    for field in [16, 24] {
        let sandbox = Sandbox::new();
        put(&sandbox.store(), &[weights(500, 1), weights(90, 2)], F32).expect("put");
        let path = sandbox
            .files("packs")
            .into_iter()
            .find(|path| path.extension() == Some("pack".as_ref()))
            .expect("one");
        let mut bytes = std::fs::read(&path).expect("there");
        let at = bytes.len() - 80 + field;
        bytes[at] ^= 1;
        republish(&sandbox, &path, bytes);
        let damage = sandbox.store().verify(&Silent).expect("verified").damage;
        assert_eq!(damage.len(), 1, "{damage:?}");
        assert!(damage[0].what.contains("totals"), "{damage:?}");
    }
}

/// Puts a pack under the name that it has once its hash is right again, without an index.
fn republish(sandbox: &Sandbox, old: &Path, mut bytes: Vec<u8>) {
    let end = bytes.len() - 40;
    let hash = ObjectId::of(&bytes[..end]);
    bytes[end..end + 32].copy_from_slice(hash.as_bytes());
    std::fs::remove_file(old).expect("removed");
    std::fs::remove_file(old.with_extension("idx")).expect("removed");
    let packs = sandbox.path().join("packs");
    std::fs::write(packs.join(format!("{hash}.pack")), bytes).expect("written");
}
