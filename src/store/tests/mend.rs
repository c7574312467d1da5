//! What is damaged is mended where its bytes are to be had, and nothing is lost where they are not.

use std::collections::HashSet;

use super::bases::{XOR, against, publish};
use super::copies::raw;
use super::damage::{overwrite, pack_and_index};
use super::deltas::{put_after, record, tuned};
use super::gc::ids;
use super::*;

/// Mends with these bytes at hand.
fn mend(sandbox: &Sandbox, at_hand: &[Vec<u8>], needed: &HashSet<ObjectId>) -> Collected {
    let store = sandbox.store();
    let checked = store.verify(&Silent).expect("checked");
    let good = |id: &ObjectId| store.read(id, u64::MAX).is_ok();
    let lost: Vec<&Vec<u8>> = at_hand
        .iter()
        .filter(|bytes| !good(&ObjectId::of(bytes)))
        .collect();
    let mut writer = store.writer().expect("a writer");
    writer.anew(lost.iter().map(|bytes| ObjectId::of(bytes)));
    let items: Vec<_> = lost.iter().map(|bytes| item(bytes, F32)).collect();
    writer.put_all(&items, &Silent).expect("put");
    writer.finish().expect("published");
    // What is open of a pack that was made anew under its own name is the old one.
    let store = sandbox.store();
    let good = |id: &ObjectId| store.read(id, u64::MAX).is_ok();
    store
        .rebuild_indexes(&checked.broken_indexes())
        .expect("rebuilt");
    let packs = checked.broken_packs(good);
    let mut collection = store
        .mend(packs)
        .expect("locked")
        .expect("there is a store");
    collection.copy(needed, &Silent).expect("copied");
    let alone = collection.alone().expect("nobody else");
    alone.finish(needed, &Silent).expect("finished")
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).expect("read");
    bytes[at] ^= 1;
    overwrite(path, &bytes);
}

#[test]
fn whatever_byte_is_damaged_the_store_is_whole_again_with_good_bytes() {
    let sandbox = Sandbox::new();
    let all = [
        weights(90, 1),
        vec![7; 50],
        b"text ".repeat(20),
        vec![0; CHUNK + 1],
    ];
    put(&sandbox.store(), &all, F32).expect("put");
    let whole: Vec<(PathBuf, Vec<u8>)> = pack_and_index(&sandbox)
        .into_iter()
        .map(|path| (path.clone(), std::fs::read(path).expect("read")))
        .collect();
    for (hurt, bytes) in &whole {
        for at in (0..bytes.len()).step_by(7) {
            for folder in ["packs", "trash"] {
                let _ = std::fs::remove_dir_all(sandbox.path().join(folder));
            }
            std::fs::create_dir(sandbox.path().join("packs")).expect("made");
            for (path, bytes) in &whole {
                std::fs::write(path, bytes).expect("written");
            }
            flip(hurt, at);
            mend(&sandbox, &all, &ids(&all));
            let store = sandbox.store();
            let checked = store.verify(&Silent).expect("verified");
            let name = hurt.extension().unwrap_or_default().to_string_lossy();
            // A version or a feature that is not known is no damage.
            let newer = |damage: &Damage| damage.harm == Harm::Newer;
            assert!(
                checked.damage.iter().all(newer),
                "{name} {at}: {:?}",
                checked.damage
            );
            for bytes in &all {
                let read = store.read(&ObjectId::of(bytes), u64::MAX);
                assert_eq!(&read.expect("there"), bytes, "{name} {at}");
            }
        }
    }
}

#[test]
fn the_last_copy_of_what_is_needed_stays_and_so_does_all_beside_it() {
    let sandbox = Sandbox::new();
    let (hurt, fine) = (weights(CHUNK, 1), weights(CHUNK, 2));
    put(&sandbox.store(), &[hurt.clone(), fine.clone()], F32).expect("put");
    let [pack, _] = pack_and_index(&sandbox);
    flip(&pack, 1000);
    let before = sandbox.files("packs");
    let needed = ids(&[hurt.clone(), fine.clone()]);
    let done = mend(&sandbox, &[], &needed);
    assert_eq!((done.trashed.packs, sandbox.files("packs")), (0, before));
    // With its bytes the pack goes, and what was good of it stays, needed or not.
    let done = mend(
        &sandbox,
        std::slice::from_ref(&hurt),
        &ids(std::slice::from_ref(&hurt)),
    );
    assert_eq!(done.trashed.packs, 1);
    holds(&sandbox.store(), &[hurt, fine]);
}

#[test]
fn what_is_damaged_and_needed_by_nothing_goes_with_what_is_written_with_it() {
    let sandbox = Sandbox::new();
    let (base, next, fine) = (weights(CHUNK, 1), weights(CHUNK, 2), weights(CHUNK, 3));
    put(&sandbox.store(), &[base.clone(), fine.clone()], F32).expect("put");
    let [pack, _] = pack_and_index(&sandbox);
    publish(&sandbox, vec![against(&next, &base, 0, XOR)]);
    flip(
        &pack,
        record(&sandbox.store(), &base).payload as usize + 1000,
    );
    let done = mend(&sandbox, &[], &ids(std::slice::from_ref(&fine)));
    assert_eq!(done.trashed.packs, 2);
    holds(&sandbox.store(), std::slice::from_ref(&fine));
    assert!(
        !sandbox
            .store()
            .contains(&ObjectId::of(&next))
            .expect("looked up")
    );
}

#[test]
fn a_healed_base_heals_what_is_written_with_it_in_its_place() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let first = weights(2 * CHUNK, 1);
    let second = tuned(&first, 7);
    let other = weights(500, 9);
    put(&store, &[first.clone(), other.clone()], F32).expect("put");
    let [pack, _] = pack_and_index(&sandbox);
    put_after(&store, &second, &[&first]);
    assert_eq!(record(&store, &second).bases, [ObjectId::of(&first)]);
    flip(&pack, record(&store, &first).payload as usize + 1000);
    let all = [first.clone(), second.clone(), other];
    let found = sandbox.store().verify(&Silent).expect("verified").damage;
    let harm = |bytes: &Vec<u8>| {
        let of = |d: &&Damage| d.object == Some(ObjectId::of(bytes));
        found.iter().find(of).map(|damage| damage.harm)
    };
    assert_eq!(harm(&first), Some(Harm::Bytes));
    assert_eq!(harm(&second), Some(Harm::Base(ObjectId::of(&first))));
    let done = mend(&sandbox, std::slice::from_ref(&first), &ids(&all));
    assert_eq!(done.trashed.packs, 1, "the pack of the base alone");
    let store = sandbox.store();
    assert_eq!(record(&store, &first).bases, []);
    assert_eq!(record(&store, &second).bases, [ObjectId::of(&first)]);
    holds(&store, &all);
}

#[test]
fn a_good_copy_supersedes_a_damaged_one() {
    let sandbox = Sandbox::new();
    let all = [weights(2 * CHUNK, 1), weights(CHUNK, 2)];
    put(&sandbox.store(), &all, F32).expect("put");
    let [pack, _] = pack_and_index(&sandbox);
    flip(&pack, 1000);
    put(&sandbox.store(), &all[..1], F32).expect("put: it counts as missing");
    assert_ne!(
        sandbox.store().verify(&Silent).expect("verified").damage,
        []
    );
    let done = mend(&sandbox, &[], &ids(&all));
    assert_eq!(done.trashed.packs, 1);
    holds(&sandbox.store(), &all);
    assert_eq!(sandbox.store().usage().expect("counted").objects, 2);
}

#[test]
fn an_index_without_a_pack_is_put_aside_and_a_pack_without_an_index_gets_one() {
    let sandbox = Sandbox::new();
    let all = [weights(100, 1)];
    put(&sandbox.store(), &all, F32).expect("put");
    let [pack, index] = pack_and_index(&sandbox);
    let whole = std::fs::read(&index).expect("read");
    std::fs::remove_file(&index).expect("removed");
    mend(&sandbox, &[], &ids(&all));
    assert_eq!(std::fs::read(&index).expect("made anew"), whole);
    std::fs::remove_file(&pack).expect("removed");
    mend(&sandbox, &all, &ids(&all));
    holds(&sandbox.store(), &all);
    // What is stored again is called the same: the pack is back under its own index.
    assert_eq!(sandbox.files("packs"), [index, pack]);
}

#[test]
fn copies_in_the_trash_are_found_if_they_are_good() {
    let sandbox = Sandbox::new();
    let (old, new) = (vec![weights(5000, 1)], vec![weights(5000, 2)]);
    put(&sandbox.store(), &old, F32).expect("put");
    put(&sandbox.store(), &new, F32).expect("put");
    super::gc::collect(&sandbox.store(), &ids(&new)).expect("collected");
    let look = |all: &[Vec<u8>]| {
        let wanted: Vec<_> = ids(all).into_iter().collect();
        let found = sandbox.store().in_trash_good(&wanted, &Silent);
        found.expect("looked").len()
    };
    assert_eq!((look(&old), look(&new)), (1, 0));
    let bin = sandbox.files("trash").pop().expect("one");
    let pack = files(&bin)
        .into_iter()
        .find(|path| path.extension().is_some_and(|e| e == "pack"));
    flip(&pack.expect("there"), 100);
    assert_eq!(look(&old), 0);
}

#[test]
fn a_copy_that_looks_sound_and_is_another_objects_is_superseded() {
    let sandbox = Sandbox::new();
    let (bytes, other) = (weights(4000, 1), weights(4000, 2));
    // Every checksum of it is right.
    let (record, _) = raw(&bytes);
    let (mut lie, stored) = raw(&other);
    lie.id = record.id;
    publish(&sandbox, vec![(lie, stored)]);
    assert!(sandbox.store().is_sound(&record.id).expect("looked at"));
    assert!(sandbox.store().read(&record.id, u64::MAX).is_err());
    let all = [bytes];
    let done = mend(&sandbox, &all, &ids(&all));
    assert_eq!(done.trashed.packs, 1);
    holds(&sandbox.store(), &all);
}

#[test]
fn a_pack_that_cannot_be_listed_goes_once_nothing_is_missing_any_more() {
    let sandbox = Sandbox::new();
    let all = [weights(4000, 1), weights(4000, 2)];
    put(&sandbox.store(), &all, F32).expect("put");
    let [pack, index] = pack_and_index(&sandbox);
    let bytes = std::fs::read(&pack).expect("read");
    flip(&pack, bytes.len() - 100);
    flip(&index, 40);
    let done = mend(&sandbox, &all[..1], &ids(&all));
    assert_eq!(done.trashed.packs, 0);
    assert!(pack.exists(), "it may be what somebody can mend");
    let done = mend(&sandbox, &all[1..], &ids(&all));
    assert_eq!(done.trashed.packs, 1);
    holds(&sandbox.store(), &all);
}
