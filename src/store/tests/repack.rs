//! Objects in better places: nothing is lost, nothing goes in circles, and what is read most is near.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use super::deltas::{put_after, record, tuned};
use super::gc::ids;
use super::rearranged::{COLUMNS, ROW, matrix};
use super::*;
use crate::base::kind::{Failure, Kind};

/// Versions of one tensor, the newest first: each may be like any other, the newest should be shallow.
pub(super) fn order(newest_first: &[&Vec<u8>]) -> Order {
    let id = |at: usize| ObjectId::of(newest_first[at]);
    let count = newest_first.len();
    let versions = (0..count).map(|at| {
        let mut others: Vec<usize> = (0..count).filter(|other| *other != at).collect();
        others.sort_by_key(|other| other.abs_diff(at));
        let likely = others.into_iter().map(|version| Candidate {
            id: id(version),
            version,
        });
        vec![Wanted {
            id: id(at),
            numbers: None,
            likely: likely.collect(),
            height: if at == 0 { 1 } else { 4 },
            shallow: at == 0,
        }]
    });
    Order {
        versions: versions.collect(),
    }
}

pub(super) fn newest_first(all: &[Vec<u8>]) -> Order {
    order(&all.iter().rev().collect::<Vec<_>>())
}

/// Writes anew and publishes, and takes nothing away yet.
pub(super) fn begin(
    store: &Store,
    order: &Order,
    needed: &HashSet<ObjectId>,
    grace: Duration,
) -> Result<(Collection, Repacked)> {
    let mut collection = store.collect(grace)?.expect("there is a store");
    let repacked = collection.repack(order, needed, &Silent)?;
    let (collection, right) = collection.alone()?.publish(&Silent)?;
    assert!(right, "nobody wrote meanwhile");
    Ok((collection, repacked))
}

pub(super) fn end(mut collection: Collection, needed: &HashSet<ObjectId>) -> Result<Collected> {
    collection.copy(needed, &Silent)?;
    collection.alone()?.finish(needed, &Silent)
}

pub(super) fn repack(
    store: &Store,
    order: &Order,
    needed: &HashSet<ObjectId>,
) -> Result<(Repacked, Collected)> {
    let (collection, repacked) = begin(store, order, needed, Duration::ZERO)?;
    Ok((repacked, end(collection, needed)?))
}

/// The longest chain over any choice of copies; `None` for a circle. Found in another way than the store does it.
pub(super) fn longest(store: &Store) -> Option<usize> {
    let shared = &store.shared;
    shared.packs.refresh(true).expect("listed");
    let mut needs: BTreeMap<ObjectId, BTreeSet<ObjectId>> = BTreeMap::new();
    for pack in shared.packs.all().iter() {
        for entry in pack.entries(&shared.packs.handles).expect("listed") {
            let record = pack.record(&shared.packs.handles, &entry).expect("whole");
            needs.entry(entry.id).or_default().extend(record.needs());
        }
    }
    // Takes away, again and again, everything that needs nothing that is left.
    let mut rounds = 0;
    while !needs.is_empty() {
        let left: BTreeSet<ObjectId> = needs.keys().copied().collect();
        let before = needs.len();
        needs.retain(|_, of| of.iter().any(|id| left.contains(id)));
        if needs.len() == before {
            return None;
        }
        rounds += 1;
    }
    Some(rounds - 1)
}

pub(super) fn height(store: &Store, bytes: &[u8]) -> u8 {
    store.height(&ObjectId::of(bytes)).expect("there")
}

pub(super) fn stored(store: &Store) -> u64 {
    store.usage().expect("listed").stored
}

/// Versions of a tensor, each a small step from the one before.
pub(super) fn steps(len: usize, count: u32) -> Vec<Vec<u8>> {
    let mut all = vec![weights(len, 1)];
    for seed in 1..count {
        all.push(tuned(&all[all.len() - 1], seed));
    }
    all
}

/// A store in which each of them is written with the one before, in a pack of its own.
pub(super) fn chain(all: &[Vec<u8>]) -> Sandbox {
    let sandbox = Sandbox::new();
    put_after(&sandbox.store(), &all[0], &[]);
    for pair in all.windows(2) {
        put_after(&sandbox.store(), &pair[1], &[&pair[0]]);
    }
    sandbox
}

#[test]
fn the_newest_version_comes_near_and_small_packs_become_one() {
    let all = steps(60_000, 5);
    let sandbox = chain(&all);
    let store = sandbox.store();
    assert_eq!(height(&store, &all[4]), 4);
    let before = stored(&store);
    let needed = ids(&all);
    let order = newest_first(&all);
    let mut collection = store.collect(Duration::ZERO).expect("locked").expect("one");
    let said = collection
        .repack_plan(&order, &needed, &Silent)
        .expect("planned");
    assert_eq!((said.packs, said.objects, &said.done), (5, 5, &None));
    assert_eq!(said.heights, [1, 1, 1, 1, 1]);
    assert_eq!(said.shallow, [0, 0, 0, 0, 1]);
    let fates = collection.plan(&needed, &Silent).expect("planned").packs;
    assert!(fates.iter().all(|pack| pack.fate == Fate::Repacked));
    drop(collection);
    assert_eq!(sandbox.files("packs").len(), 10, "nothing was done");

    let (repacked, done) = repack(&store, &order, &needed).expect("repacked");
    let after = repacked.done.expect("done");
    assert_eq!((after.packs, after.recoded), (1, 1));
    assert_eq!(after.shallow, [0, 1]);
    assert_eq!(after.heights, [1, 2, 1, 1]);
    assert_eq!((done.trashed.packs, done.plan.packs.len()), (5, 6));
    assert_eq!(height(&sandbox.store(), &all[4]), 1);
    let now = stored(&sandbox.store());
    assert_eq!(now, after.stored);
    assert!(now <= before + before / 16, "{now} after {before}");
    holds(&sandbox.store(), &all);

    let (again, done) = repack(&sandbox.store(), &order, &needed).expect("repacked");
    assert_eq!((again.packs, again.objects), (0, 0));
    assert_eq!(again.done.map(|done| done.packs), Some(0));
    assert_eq!(done.trashed.packs, 0);
}

#[test]
fn what_was_stored_before_its_relatives_were_known_is_written_with_them() {
    let all = steps(90_000, 4);
    let sandbox = Sandbox::new();
    for bytes in &all {
        put_after(&sandbox.store(), bytes, &[]);
    }
    let before = stored(&sandbox.store());
    let (repacked, _) =
        repack(&sandbox.store(), &newest_first(&all), &ids(&all)).expect("repacked");
    let after = stored(&sandbox.store());
    assert!(after * 3 < before * 2, "{after} of {before}");
    assert_eq!(repacked.done.map(|done| done.recoded), Some(3));
    // The newest is the one that is whole.
    assert_eq!(height(&sandbox.store(), &all[3]), 0);
    holds(&sandbox.store(), &all);
}

#[test]
fn a_poor_base_gives_way_to_a_better_one() {
    let first = weights(90_000, 1);
    let far: Vec<u8> = (1..60).fold(first.clone(), |bytes, seed| tuned(&bytes, seed));
    let near = tuned(&far, 99);
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    put_after(&store, &first, &[]);
    put_after(&store, &far, &[&first]);
    put_after(&store, &near, &[&first]);
    let before = record(&store, &near);
    assert_eq!(before.bases, [ObjectId::of(&first)]);
    let all = [first, near.clone(), far.clone()];
    let (repacked, _) = repack(&store, &newest_first(&all), &ids(&all)).expect("repacked");
    let after = record(&sandbox.store(), &near);
    assert_eq!(after.bases, [ObjectId::of(&far)]);
    assert!(after.stored() * 10 < before.stored() * 9);
    assert_eq!(repacked.done.map(|done| done.recoded), Some(1));
    holds(&sandbox.store(), &all);
}

#[test]
fn no_mosaic_is_written_whose_work_would_multiply_along_new_chains() {
    let before = matrix(900, 1);
    let (first, rest) = before.split_at(100 * ROW);
    let all = [before.clone(), [rest, first].concat()];
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    all.iter()
        .for_each(|bytes| _ = put_after(&store, bytes, &[]));
    let mut order = newest_first(&all);
    for wanted in order.versions.iter_mut().flatten() {
        wanted.numbers = Some(Numbers {
            format: Format::F32,
            columns: COLUMNS as u64,
        });
    }
    repack(&store, &order, &ids(&all)).expect("repacked");
    for bytes in &all {
        assert_eq!(record(&sandbox.store(), bytes).bases, []);
    }
    holds(&sandbox.store(), &all);
}

#[test]
fn what_does_not_get_better_is_copied_as_it_is() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let all: Vec<_> = (0..4).map(|seed| weights(20_000, seed)).collect();
    put(&store, &all, F32).expect("put");
    let large = weights(6 << 20, 7);
    put(&store, &[large.clone(), Vec::new()], Element::Bytes).expect("put");
    let size = |bytes: &Vec<u8>| sandbox.store().stored_size(&ObjectId::of(bytes));
    let mut every = all.clone();
    every.extend([large, Vec::new()]);
    let before: Vec<_> = every.iter().map(|b| size(b).expect("read")).collect();
    let (repacked, done) = repack(&store, &newest_first(&all), &ids(&every)).expect("repacked");
    let after: Vec<_> = every.iter().map(|b| size(b).expect("read")).collect();
    assert_eq!(before, after);
    assert_eq!(repacked.done.map(|done| done.recoded), Some(0));
    assert_eq!(done.trashed.packs, 2);
    holds(&sandbox.store(), &every);
}

#[test]
fn an_object_of_several_chunks_that_does_not_get_better_leaves_nothing_behind() {
    let all = steps(2 * CHUNK + 400, 3);
    let sandbox = chain(&all);
    let before = stored(&sandbox.store());
    // Deep enough already, so that only fewer bytes would be a reason.
    let mut order = newest_first(&all);
    order.versions[0][0].shallow = false;
    let (repacked, _) = repack(&sandbox.store(), &order, &ids(&all)).expect("repacked");
    let done = repacked.done.expect("done");
    assert_eq!(done.recoded, 0);
    assert_eq!(done.stored, before);
    let disk = sandbox.store().usage().expect("listed").disk;
    assert!(disk < before + 5000, "{disk} for {before}");
    holds(&sandbox.store(), &all);
}

#[test]
fn what_is_not_needed_goes_and_what_is_young_stays() {
    let all = steps(30_000, 3);
    let sandbox = Sandbox::new();
    put(&sandbox.store(), &all, F32).expect("put");
    let needed = ids(&all[..2]);
    let order = newest_first(&all[..2]);
    let there = |bytes: &[u8]| {
        let found = sandbox.store().contains(&ObjectId::of(bytes));
        found.expect("looked up")
    };
    let week = Duration::from_secs(7 * 24 * 60 * 60);
    let (collection, repacked) = begin(&sandbox.store(), &order, &needed, week).expect("written");
    assert_eq!(repacked.objects, 3);
    let done = end(collection, &needed).expect("done");
    assert_eq!(done.trashed.packs, 1, "however young it is");
    assert!(there(&all[2]));
    // What a repack wrote is for gc, like all else.
    let mut collection = sandbox.store().collect(Duration::ZERO).expect("locked");
    let done = end(collection.take().expect("a store"), &needed).expect("done");
    assert_eq!(done.trashed.packs, 1);
    assert!(!there(&all[2]));
    holds(&sandbox.store(), &all[..2]);
}

#[test]
fn a_damaged_object_ends_it_before_anything_changed() {
    let all = steps(30_000, 3);
    let sandbox = chain(&all);
    for path in sandbox.files("packs") {
        if path.extension().is_some_and(|e| e == "pack") {
            let mut raw = std::fs::read(&path).expect("read");
            raw[60] ^= 1; // in the chunk
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
            std::fs::set_permissions(&path, mode).expect("set");
            std::fs::write(&path, &raw).expect("written");
        }
    }
    let before = sandbox.files("packs");
    let error = repack(&sandbox.store(), &newest_first(&all), &ids(&all)).expect_err("damaged");
    assert_eq!(error.kind(), Kind::Damaged);
    assert_eq!(sandbox.files("packs"), before);
    assert_eq!(sandbox.files("tmp"), Vec::<PathBuf>::new());
}

#[test]
fn many_small_packs_of_repacks_become_one() {
    let all = steps(20_000, 12);
    let sandbox = Sandbox::new();
    for count in 1..all.len() {
        put_after(&sandbox.store(), &all[count - 1], &[]);
        let order = newest_first(&all[..count]);
        let (repacked, _) = repack(&sandbox.store(), &order, &ids(&all)).expect("repacked");
        assert_eq!(repacked.packs, if count == 10 { 10 } else { 1 }, "{count}");
        assert_eq!(
            sandbox.files("packs").len() / 2,
            (count - 1) % 9 + 1,
            "{count}"
        );
    }
    holds(&sandbox.store(), &all[..11]);
}
