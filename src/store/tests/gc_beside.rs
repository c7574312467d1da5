//! gc beside readers and writers.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::gc::{collect, ids};
use super::*;

/// A store with one needed object in a pack that is to be written anew, and more packs than a process keeps open.
fn crowded() -> (Sandbox, Vec<u8>, Vec<Vec<u8>>) {
    let sandbox = Sandbox::new();
    let bytes = weights(4 * CHUNK, 1);
    put(
        &sandbox.store(),
        &[bytes.clone(), weights(5 * CHUNK, 2)],
        F32,
    )
    .expect("put");
    let others: Vec<_> = (100..170).map(|seed| weights(100, seed)).collect();
    for other in &others {
        put(&sandbox.store(), std::slice::from_ref(other), F32).expect("put");
    }
    (sandbox, bytes, others)
}

#[test]
fn an_object_that_is_open_is_read_on_from_the_pack_that_gc_left() {
    // What the reader has still open when the pack goes: all of it, nothing, or its index alone.
    for open in ["all", "nothing", "the index"] {
        let (sandbox, bytes, others) = crowded();
        let store = sandbox.store();
        let object = store.object(&ObjectId::of(&bytes)).expect("opened");
        let mut chunk = Vec::new();
        object.read_chunk(0, &mut chunk).expect("read");
        // So many others that the pack has to be opened again.
        let evict = || {
            for other in &others {
                store.read(&ObjectId::of(other), 100).expect("read");
            }
        };
        if open == "the index" {
            evict();
            assert!(store.contains(&object.id()).expect("looked up"));
        }
        let needed = ids(&[&others[..], std::slice::from_ref(&bytes)].concat());
        let done = collect(&sandbox.store(), &needed).expect("collected");
        assert_eq!(done.trashed.packs, 1);
        std::fs::remove_dir_all(sandbox.path().join("trash")).expect("removed");
        if open == "nothing" {
            evict();
        }
        for index in 0..4 {
            object.read_chunk(index, &mut chunk).expect("read");
            let at = index as usize * CHUNK;
            assert_eq!(chunk, bytes[at..at + CHUNK], "chunk {index}, {open}");
        }
        assert_eq!(
            store.read(&ObjectId::of(&bytes), u64::MAX).expect("read"),
            bytes
        );
        assert_eq!(store.verify(&Silent).expect("verified").damage, []);
    }
}

#[test]
fn writers_lose_nothing_to_a_gc_without_any_grace_time() {
    const WRITERS: u64 = 3;
    const ROUNDS: u64 = 12;
    let sandbox = Sandbox::new();
    put(&sandbox.store(), &[weights(100, 1)], F32).expect("put");
    // What sidecars name: an object is in it before its writer lets go of the lock.
    let named: Mutex<HashMap<ObjectId, u64>> = Mutex::default();
    let ended = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let snapshot = || -> HashSet<ObjectId> {
        let named = named.lock().expect("not poisoned");
        named
            .iter()
            .filter(|(_, times)| **times > 0)
            .map(|(id, _)| *id)
            .collect()
    };
    let count = |id: ObjectId, by: i64| {
        let mut named = named.lock().expect("not poisoned");
        let times = named.entry(id).or_default();
        *times = times.checked_add_signed(by).expect("named before");
    };
    // The same few objects again and again, so that most are known when they are put, and needed by nobody.
    let object = |number: u64| weights(20_000, 10 + number % 5);
    let write = |own: u64| {
        for round in 0..ROUNDS {
            let store = sandbox.store();
            let all = [object(own + round), weights(9000, 1000 * (own + 1) + round)];
            let hold = store.hold().expect("shared");
            put(&store, &all, F32).expect("put");
            all.iter().for_each(|bytes| count(ObjectId::of(bytes), 1));
            drop(hold);
            for bytes in &all {
                let read = store.read(&ObjectId::of(bytes), u64::MAX).expect("needed");
                assert_eq!(&read, bytes);
            }
            // Nobody needs the shared one any more.
            count(ObjectId::of(&all[0]), -1);
        }
        ended.fetch_add(1, Ordering::Relaxed);
    };
    let sweep = || {
        let mut trashed = 0;
        while !stop.load(Ordering::Relaxed) {
            let store = sandbox.store();
            let mut collection = store
                .collect(std::time::Duration::ZERO)
                .expect("shared")
                .expect("a store");
            collection.copy(&snapshot(), &Silent).expect("copied");
            let alone = collection.alone().expect("alone");
            // Asked once nobody writes.
            let done = alone.finish(&snapshot(), &Silent).expect("collected");
            trashed += done.trashed.packs;
        }
        trashed
    };
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|own| scope.spawn(move || write(own)))
            .collect();
        let sweepers: Vec<_> = (0..2).map(|_| scope.spawn(sweep)).collect();
        let wrote: Vec<_> = writers
            .into_iter()
            .map(|thread| thread.join().is_ok())
            .collect();
        stop.store(true, Ordering::Relaxed);
        let trashed: u64 = sweepers
            .into_iter()
            .map(|thread| thread.join().expect("swept"))
            .sum();
        assert!(wrote.iter().all(|ok| *ok));
        assert!(trashed > 0);
    });
    let store = sandbox.store();
    for id in snapshot() {
        store.read(&id, u64::MAX).expect("needed");
    }
    assert_eq!(store.verify(&Silent).expect("verified").damage, []);
}
