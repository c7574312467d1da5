//! Objects of no version that others are written with: a repack does without them where that takes less.

use std::time::Duration;

use super::bases::{XOR, against, publish};
use super::deltas::{put_after, record, tuned};
use super::gc::{collect, ids};
use super::repack::{begin, chain, end, height, newest_first, order, repack, steps, stored};
use super::*;

fn there(sandbox: &Sandbox, bytes: &[u8]) -> bool {
    let found = sandbox.store().contains(&ObjectId::of(bytes));
    found.expect("looked up")
}

/// A store of one version and some that are written with it.
fn star(count: u32) -> (Sandbox, Vec<u8>, Vec<Vec<u8>>) {
    let first = weights(90_000, 1);
    let all: Vec<_> = (2..2 + count).map(|seed| tuned(&first, seed)).collect();
    let sandbox = Sandbox::new();
    put_after(&sandbox.store(), &first, &[]);
    for bytes in &all {
        put_after(&sandbox.store(), bytes, &[&first]);
    }
    (sandbox, first, all)
}

#[test]
fn what_alone_is_left_of_a_chain_is_written_alone() {
    let all = steps(90_000, 4);
    let sandbox = chain(&all);
    let last = &all[3..];
    let done = collect(&sandbox.store(), &ids(last)).expect("done");
    assert_eq!(done.plan.leftovers.objects, 3);
    assert_eq!(done.trashed.packs, 0, "gc alone leaves all that it needs");
    let (repacked, _) = repack(&sandbox.store(), &newest_first(last), &ids(last)).expect("done");
    let done = repacked.done.expect("done");
    assert_eq!((done.recoded, done.let_go), (1, 3));
    assert_eq!(done.heights, [1]);
    assert_eq!(height(&sandbox.store(), &all[3]), 0);
    assert!(all[..3].iter().all(|bytes| !there(&sandbox, bytes)));
    let fresh = Sandbox::new();
    put_after(&fresh.store(), &all[3], &[]);
    assert_eq!(stored(&sandbox.store()), stored(&fresh.store()));
    holds(&sandbox.store(), last);
}

#[test]
fn of_few_versions_one_takes_the_place_of_what_they_were_written_with() {
    for count in [2, 3, 4] {
        let (sandbox, first, all) = star(count);
        let order = newest_first(&all);
        let before = stored(&sandbox.store());
        let (repacked, _) = repack(&sandbox.store(), &order, &ids(&all)).expect("done");
        let done = repacked.done.expect("done");
        assert_eq!((done.recoded, done.let_go), (u64::from(count), 1));
        assert!(!there(&sandbox, &first));
        assert!(done.stored < before, "{} of {before}", done.stored);
        assert_eq!(done.heights[0], 1);
        assert_eq!(height(&sandbox.store(), &all[count as usize - 1]), 0);
        holds(&sandbox.store(), &all);
        let (again, _) = repack(&sandbox.store(), &order, &ids(&all)).expect("done");
        assert_eq!(again.packs, 0);
    }
}

#[test]
fn what_many_are_written_with_stays() {
    let (sandbox, first, all) = star(9);
    let before = stored(&sandbox.store());
    let order = newest_first(&all);
    for written in [10, 0] {
        let (repacked, _) = repack(&sandbox.store(), &order, &ids(&all)).expect("done");
        assert_eq!((repacked.packs, repacked.objects), (written, written));
        assert_eq!(repacked.done.expect("done").let_go, 0);
        assert!(there(&sandbox, &first));
        assert!(stored(&sandbox.store()) <= before);
    }
    holds(&sandbox.store(), &all);
}

#[test]
fn packs_of_a_repack_are_due_again_once_much_of_them_is_of_no_version() {
    let all = steps(90_000, 4);
    let sandbox = chain(&all);
    repack(&sandbox.store(), &newest_first(&all), &ids(&all)).expect("done");
    let last = &all[3..];
    assert_eq!(height(&sandbox.store(), &all[3]), 1);
    let (repacked, _) = repack(&sandbox.store(), &newest_first(last), &ids(last)).expect("done");
    assert_eq!(repacked.packs, 1);
    assert_eq!(height(&sandbox.store(), &all[3]), 0);
    assert!(all[..3].iter().all(|bytes| !there(&sandbox, bytes)));
    holds(&sandbox.store(), last);
}

#[test]
fn what_cannot_be_written_anew_keeps_what_it_needs() {
    let (sandbox, first, all) = star(2);
    // Nothing is known of the second: a reflog names it, and no version.
    let order = order(&[&all[1]]);
    for packs in [3, 0] {
        let (repacked, _) = repack(&sandbox.store(), &order, &ids(&all)).expect("done");
        assert_eq!(repacked.packs, packs);
        let done = repacked.done.expect("done");
        assert_eq!((done.recoded, done.let_go), (0, 0));
        assert!(there(&sandbox, &first));
    }
    holds(&sandbox.store(), &all);
}

#[test]
fn nothing_takes_more_for_a_leftover_that_something_later_keeps() {
    // The last of a chain of its own needs the first too, and nothing is known of it.
    let (sandbox, first, mut all) = star(2);
    let mut last = first.clone();
    for seed in [50, 51] {
        let next = tuned(&last, seed);
        put_after(&sandbox.store(), &next, &[&last]);
        all.push(next.clone());
        last = next;
    }
    let odd = weights(3000, 5);
    publish(&sandbox, vec![against(&odd, &last, 0, XOR)]);
    let needed = ids(&[&all[..2], std::slice::from_ref(&odd)].concat());
    let order = newest_first(&all[..2]);
    let before = stored(&sandbox.store());
    let (repacked, _) = repack(&sandbox.store(), &order, &needed).expect("done");
    let done = repacked.done.expect("done");
    assert_eq!(done.let_go, 0);
    assert!(there(&sandbox, &first) && there(&sandbox, &all[3]));
    assert!(stored(&sandbox.store()) <= before);
    holds(&sandbox.store(), &[&all[..], &[odd]].concat());
}

#[test]
fn a_pack_of_a_repack_is_left_alone_until_it_is_old() {
    let all = steps(90_000, 4);
    let sandbox = chain(&all);
    repack(&sandbox.store(), &newest_first(&all), &ids(&all)).expect("done");
    let last = &all[3..];
    let order = newest_first(last);
    let week = Duration::from_secs(7 * 24 * 60 * 60);
    let before = sandbox.files("packs");
    let (collection, repacked) =
        begin(&sandbox.store(), &order, &ids(last), week).expect("looked at");
    assert_eq!(repacked.packs, 0, "nothing of it could go yet");
    drop(collection);
    assert_eq!(sandbox.files("packs"), before);
    let (repacked, _) = repack(&sandbox.store(), &order, &ids(last)).expect("done");
    assert_eq!(repacked.packs, 1);
}

#[test]
fn what_something_was_cut_into_is_needed_as_it_is() {
    let sandbox = Sandbox::new();
    let whole = weights(9 << 20, 1);
    put(
        &sandbox.store(),
        std::slice::from_ref(&whole),
        Element::Bytes,
    )
    .expect("put");
    let all = std::slice::from_ref(&whole);
    let done = collect(&sandbox.store(), &ids(all)).expect("done");
    assert_eq!(done.plan.leftovers.objects, 0);
    for packs in [1, 0] {
        let (repacked, done) =
            repack(&sandbox.store(), &Order::default(), &ids(all)).expect("done");
        assert_eq!(repacked.packs, packs);
        assert_eq!(repacked.done.expect("done").let_go, 0);
        assert_eq!(done.plan.leftovers.objects, 0);
    }
    holds(&sandbox.store(), all);
}

#[test]
fn what_others_come_to_need_meanwhile_stays() {
    for late in [false, true] {
        let all = steps(90_000, 3);
        let sandbox = chain(&all);
        let last = &all[2..];
        let (mut collection, repacked) = begin(
            &sandbox.store(),
            &newest_first(last),
            &ids(last),
            Duration::ZERO,
        )
        .expect("written");
        assert_eq!(repacked.done.expect("done").let_go, 2);
        if late {
            // So late that nothing is copied any more: what holds it stays, and is whole.
            collection.copy(&ids(last), &Silent).expect("copied");
        }
        // Written with what is about to go; and what is about to go becomes a version again.
        let next = tuned(&all[1], 77);
        put_after(&sandbox.store(), &next, &[&all[1]]);
        let bases = record(&sandbox.store(), &next).bases;
        assert_eq!(bases, [ObjectId::of(&all[1])]);
        let needed = [&all[1..], std::slice::from_ref(&next)].concat();
        match late {
            true => {
                _ = collection
                    .alone()
                    .expect("alone")
                    .finish(&ids(&needed), &Silent)
            }
            false => _ = end(collection, &ids(&needed)).expect("done"),
        }
        holds(&sandbox.store(), &needed);
        assert!(there(&sandbox, &all[0]));
    }
}

#[test]
fn old_copies_and_what_they_need_stay_where_the_new_one_is_damaged() {
    let all = steps(90_000, 3);
    let sandbox = chain(&all);
    let last = &all[2..];
    let before = sandbox.files("packs");
    let (collection, _) = begin(
        &sandbox.store(),
        &newest_first(last),
        &ids(last),
        Duration::ZERO,
    )
    .expect("written");
    let new = sandbox.files("packs").into_iter();
    let new = new.filter(|path| !before.contains(path));
    for path in new.filter(|path| path.extension().is_some_and(|e| e == "pack")) {
        let mut raw = std::fs::read(&path).expect("read");
        raw[60] ^= 1; // in the chunk
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(&path, mode).expect("set");
        std::fs::write(&path, &raw).expect("written");
    }
    end(collection, &ids(last)).expect("done");
    assert!(all.iter().all(|bytes| there(&sandbox, bytes)));
    let id = ObjectId::of(&all[2]);
    assert_eq!(sandbox.store().read(&id, u64::MAX).expect("read"), all[2]);
}

#[test]
fn an_object_that_is_open_is_read_on_though_what_its_copy_needs_went() {
    for open in ["the object", "the index"] {
        let all = steps(3 * CHUNK, 3);
        let sandbox = chain(&all);
        let id = ObjectId::of(&all[2]);
        let store = sandbox.store();
        let object = match open {
            "the object" => Some(store.object(&id).expect("opened")),
            _ => {
                assert!(store.contains(&id).expect("looked up"));
                None
            }
        };
        let last = &all[2..];
        let (repacked, _) =
            repack(&sandbox.store(), &newest_first(last), &ids(last)).expect("repacked");
        assert_eq!(repacked.done.expect("done").let_go, 2);
        std::fs::remove_dir_all(sandbox.path().join("trash")).expect("removed");
        if let Some(object) = object {
            let mut chunk = Vec::new();
            for (index, bytes) in (0..).zip(all[2].chunks(CHUNK)) {
                object.read_chunk(index, &mut chunk).expect("read");
                assert_eq!(chunk, bytes, "chunk {index}");
            }
        }
        assert_eq!(store.read(&id, u64::MAX).expect("read"), all[2], "{open}");
    }
}

#[test]
fn an_old_pack_that_has_to_stay_is_whole() {
    let (first, other) = (weights(90_000, 1), weights(9000, 5));
    let second = tuned(&first, 2);
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    put_after(&store, &first, &[]);
    let mut writer = store.writer().expect("a writer");
    let based = PutItem {
        bases: vec![Candidate {
            id: ObjectId::of(&first),
            version: 0,
        }],
        ..item(&second, F32)
    };
    let items = [based, item(&other, F32)];
    writer.put_all(&items, &Silent).expect("put");
    writer.finish().expect("published");
    assert_eq!(record(&store, &second).bases, [ObjectId::of(&first)]);
    let last = std::slice::from_ref(&second);
    let order = newest_first(last);
    let (mut collection, repacked) =
        begin(&store, &order, &ids(last), Duration::ZERO).expect("written");
    assert_eq!(repacked.done.expect("done").let_go, 1);
    collection.copy(&ids(last), &Silent).expect("copied");
    // The other one becomes a version, too late to be copied: so the second lies there too, in its old copy.
    let needed = [second, other];
    let alone = collection.alone().expect("alone");
    alone.finish(&ids(&needed), &Silent).expect("done");
    assert!(there(&sandbox, &first));
    holds(&sandbox.store(), &needed);
}
