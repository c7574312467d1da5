//! Many objects, packs, writers.

use super::*;
use std::time::Instant;

#[test]
fn a_hundred_thousand_objects_are_found_at_once() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let all: Vec<Vec<u8>> = (0..100_000u32).map(|n| n.to_le_bytes().to_vec()).collect();
    put(&store, &all, Element::Bytes).expect("put");
    let store = sandbox.store();
    let begin = Instant::now();
    for bytes in &all {
        assert!(store.contains(&ObjectId::of(bytes)).expect("looked up"));
        let mut other = bytes.clone();
        other.push(1);
        assert!(!store.contains(&ObjectId::of(&other)).expect("looked up"));
    }
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
    for bytes in all.iter().step_by(997) {
        assert_eq!(&store.read(&ObjectId::of(bytes), 4).expect("read"), bytes);
    }
    assert_eq!(store.usage().expect("counted").objects, 100_000);
}

#[test]
fn more_packs_than_files_may_be_open() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let all: Vec<Vec<u8>> = (0..150).map(|seed| weights(200, seed)).collect();
    for bytes in &all {
        put(&store, std::slice::from_ref(bytes), F32).expect("put");
    }
    assert_eq!(sandbox.files("packs").len(), 300);
    holds(&store, &all);
    holds(&sandbox.store(), &all);
}

#[test]
fn writers_work_side_by_side_and_readers_see_what_is_published() {
    let sandbox = Sandbox::new();
    let reader = sandbox.store();
    let shared = weights(CHUNK + 4, 99);
    let all: Vec<Vec<Vec<u8>>> = (0..4)
        .map(|n| vec![weights(2 * CHUNK, n), shared.clone(), weights(500, 50 + n)])
        .collect();
    std::thread::scope(|scope| {
        for own in &all {
            let store = sandbox.store();
            scope.spawn(move || put(&store, own, F32).expect("put"));
        }
    });
    holds(&reader, &all.concat());
    assert_eq!(sandbox.files("tmp").len(), 0);
}
