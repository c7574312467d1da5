//! What nobody needs goes, what is needed stays, whatever lies beside it and wherever gc is cut off.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use super::bases::{XOR, against, publish};
use super::copies::raw;
use super::crash::Faulty;
use super::*;
use crate::base::Kind;
use crate::base::kind::Failure;

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

pub(super) fn ids(all: &[Vec<u8>]) -> HashSet<ObjectId> {
    all.iter().map(|bytes| ObjectId::of(bytes)).collect()
}

/// Collects without any grace time.
pub(super) fn collect(store: &Store, needed: &HashSet<ObjectId>) -> Result<Collected> {
    collect_after(store, needed, Duration::ZERO)
}

fn collect_after(store: &Store, needed: &HashSet<ObjectId>, grace: Duration) -> Result<Collected> {
    let mut collection = store.collect(grace)?.expect("there is a store");
    collection.copy(needed, &Silent)?;
    collection.alone()?.finish(needed, &Silent)
}

fn plan(store: &Store, needed: &HashSet<ObjectId>) -> Plan {
    let collection = store.collect(Duration::ZERO).expect("locked");
    let mut collection = collection.expect("there is a store");
    collection.plan(needed, &Silent).expect("planned")
}

fn fates(plan: &Plan) -> Vec<Fate> {
    let mut fates: Vec<Fate> = plan.packs.iter().map(|fate| fate.fate).collect();
    fates.sort_by_key(|fate| *fate as u8);
    fates
}

fn count(sandbox: &Sandbox) -> usize {
    sandbox.files("packs").len() / 2
}

/// Makes every pack so much older.
fn age(sandbox: &Sandbox, by: Duration) {
    let time = SystemTime::now() - by;
    for file in sandbox.files("packs") {
        let file = std::fs::File::open(file).expect("there");
        file.set_modified(time).expect("set");
    }
}

/// Makes what lies in the trash so much older.
fn age_trash(sandbox: &Sandbox, by: Duration) {
    for bin in sandbox.files("trash") {
        let name = bin
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let time = name.parse::<u64>().expect("seconds") - by.as_secs();
        std::fs::rename(&bin, bin.with_file_name(time.to_string())).expect("renamed");
    }
}

#[test]
fn a_pack_that_nobody_needs_goes_to_the_trash_and_comes_back() {
    let sandbox = Sandbox::new();
    let (old, new) = (vec![weights(5000, 1)], vec![weights(5000, 2)]);
    put(&sandbox.store(), &old, F32).expect("put");
    put(&sandbox.store(), &new, F32).expect("put");
    let seen = plan(&sandbox.store(), &ids(&new));
    assert_eq!(fates(&seen), [Fate::Goes, Fate::Stays]);
    assert_eq!(count(&sandbox), 2, "a plan does nothing");
    let done = collect(&sandbox.store(), &ids(&new)).expect("collected");
    assert_eq!((done.trashed.packs, done.purged.packs), (1, 0));
    holds(&sandbox.store(), &new);
    assert!(matches!(
        sandbox.store().read(&ObjectId::of(&old[0]), 9999),
        Err(StoreError::Missing { .. })
    ));
    let trash = sandbox.store().trash().expect("listed");
    assert_eq!((trash.packs, trash.bytes), (1, done.trashed.bytes));
    let back = sandbox.store().restore_trash().expect("restored");
    assert_eq!(back.packs, 1);
    holds(&sandbox.store(), &[old, new].concat());
    assert_eq!(sandbox.store().trash().expect("listed").packs, 0);
    assert_eq!(sandbox.files("trash"), Vec::<PathBuf>::new());
    assert_eq!(count(&sandbox), 2);
}

#[test]
fn the_trash_is_emptied_only_by_a_later_gc_after_the_grace_time() {
    let sandbox = Sandbox::new();
    let all = vec![weights(5000, 1)];
    put(&sandbox.store(), &all, F32).expect("put");
    age(&sandbox, 2 * WEEK);
    let run = || collect_after(&sandbox.store(), &HashSet::new(), WEEK).expect("collected");
    assert_eq!((run().trashed.packs, run().purged.packs), (1, 0));
    age_trash(&sandbox, WEEK + Duration::from_secs(1));
    assert_eq!(run().purged.packs, 1);
    assert_eq!(sandbox.files("trash"), Vec::<PathBuf>::new());
    assert_eq!(sandbox.files("packs"), Vec::<PathBuf>::new());
}

#[test]
fn what_is_needed_comes_back_from_the_trash_by_itself() {
    let sandbox = Sandbox::new();
    let base = weights(3000, 1);
    let bytes = weights(2000, 2);
    put(&sandbox.store(), std::slice::from_ref(&base), F32).expect("put");
    publish(&sandbox, vec![against(&bytes, &base, 0, XOR)]);
    let done = collect(&sandbox.store(), &HashSet::new()).expect("collected");
    assert_eq!(done.trashed.packs, 2);
    age_trash(&sandbox, 9 * WEEK);
    // The one that is needed is written with the other.
    let needed = ids(std::slice::from_ref(&bytes));
    let missing = plan(&sandbox.store(), &needed).missing;
    assert_eq!(sandbox.store().in_trash(&missing).expect("listed"), 1);
    let done = collect(&sandbox.store(), &needed).expect("collected");
    assert_eq!((done.back.packs, done.purged.packs), (2, 0));
    assert_eq!(done.plan.missing, []);
    holds(&sandbox.store(), &[base, bytes]);
}

#[test]
fn survivors_of_a_pack_are_copied_as_they_are() {
    let sandbox = Sandbox::new();
    let all: Vec<_> = (0..10).map(|seed| weights(60_000, seed)).collect();
    put(&sandbox.store(), &all, F32).expect("put");
    let large = vec![weights(6 << 20, 77), weights(3 * CHUNK + 9, 78), Vec::new()];
    put(&sandbox.store(), &large, Element::Bytes).expect("put");
    let needed = [&all[..4], &large[..1], &large[2..]].concat();
    let size = |bytes: &Vec<u8>| {
        sandbox
            .store()
            .stored_size(&ObjectId::of(bytes))
            .expect("read")
    };
    let before: Vec<_> = needed.iter().map(size).collect();
    let seen = plan(&sandbox.store(), &ids(&needed));
    assert_eq!(fates(&seen), [Fate::Rewritten, Fate::Rewritten]);
    let done = collect(&sandbox.store(), &ids(&needed)).expect("collected");
    assert_eq!(done.trashed.packs, 2);
    let after: Vec<_> = needed.iter().map(size).collect();
    assert_eq!(before, after, "no codec was asked");
    holds(&sandbox.store(), &needed);
    for gone in [&all[5], &large[1]] {
        assert!(
            !sandbox
                .store()
                .contains(&ObjectId::of(gone))
                .expect("looked up")
        );
    }
    // There is nothing left to do.
    let done = collect(&sandbox.store(), &ids(&needed)).expect("collected");
    assert_eq!((done.trashed.packs, count(&sandbox)), (0, 1));
}

#[test]
fn whichever_name_the_new_pack_has_it_is_the_old_one_that_goes() {
    for seed in 0..6 {
        let sandbox = Sandbox::new();
        let all: Vec<_> = (0..2).map(|n| weights(5000, 10 * seed + n)).collect();
        let twice: Vec<_> = (2..8).map(|n| weights(5000, 10 * seed + n)).collect();
        // Most of what the first pack has lies in the second too, which has nothing else.
        put(&sandbox.store(), &[&all[..], &twice[..]].concat(), F32).expect("put");
        publish(&sandbox, twice.iter().map(|bytes| raw(bytes)).collect());
        let needed = [&all[..1], &twice[..]].concat();
        let done = collect(&sandbox.store(), &ids(&needed)).expect("collected");
        assert_eq!(done.trashed.packs, 1, "{seed}");
        holds(&sandbox.store(), &needed);
        let gone = ObjectId::of(&all[1]);
        assert!(!sandbox.store().contains(&gone).expect("looked up") || count(&sandbox) == 1);
        // Alone.
        let sandbox = Sandbox::new();
        put(&sandbox.store(), &all, F32).expect("put");
        collect(&sandbox.store(), &ids(&all[..1])).expect("collected");
        holds(&sandbox.store(), &all[..1]);
        assert!(
            !sandbox.store().contains(&gone).expect("looked up"),
            "{seed}"
        );
        assert_eq!(count(&sandbox), 1);
    }
}

#[test]
fn a_pack_of_which_little_is_not_needed_stays_as_it_is() {
    let sandbox = Sandbox::new();
    let all: Vec<_> = (0..10).map(|seed| weights(10_000, seed)).collect();
    put(&sandbox.store(), &all, F32).expect("put");
    let packs = sandbox.files("packs");
    let done = collect(&sandbox.store(), &ids(&all[2..])).expect("collected");
    assert_eq!(done.trashed.packs, 0);
    assert_eq!(done.plan.packs[0].unneeded, 2);
    assert!(done.plan.packs[0].unneeded_bytes > 0);
    assert_eq!(sandbox.files("packs"), packs);
    let done = collect(&sandbox.store(), &ids(&all[4..])).expect("collected");
    assert_eq!(done.trashed.packs, 1);
    holds(&sandbox.store(), &all[4..]);
}

#[test]
fn bases_and_parts_of_what_is_needed_stay() {
    let sandbox = Sandbox::new();
    let chain: Vec<_> = (0..4).map(|seed| weights(50_000, seed)).collect();
    let large = vec![weights(6 << 20, 9)];
    put(&sandbox.store(), &chain[..1], F32).expect("put");
    for pair in chain.windows(2) {
        publish(&sandbox, vec![against(&pair[1], &pair[0], 0, XOR)]);
    }
    put_split(&sandbox.store(), &large, Element::Bytes, 1 << 20).expect("put");
    let lost = vec![weights(5000, 99)];
    put(&sandbox.store(), &lost, F32).expect("put");
    let needed = [&chain[3..], &large[..]].concat();
    let done = collect(&sandbox.store(), &ids(&needed)).expect("collected");
    assert_eq!(done.trashed.packs, 1);
    holds(&sandbox.store(), &[chain.clone(), large].concat());
    // The last one alone is let go: what it was written with is needed by nobody else.
    let done = collect(&sandbox.store(), &ids(&chain[1..2])).expect("collected");
    assert!(done.trashed.packs > 2);
    holds(&sandbox.store(), &chain[..2]);
    assert!(
        !sandbox
            .store()
            .contains(&ObjectId::of(&chain[2]))
            .expect("looked up")
    );
}

#[test]
fn a_young_pack_stays_and_so_does_what_it_is_written_with() {
    let sandbox = Sandbox::new();
    let (base, bytes) = (weights(50_000, 1), weights(50_000, 2));
    put(&sandbox.store(), std::slice::from_ref(&base), F32).expect("put");
    age(&sandbox, 3 * WEEK);
    publish(&sandbox, vec![against(&bytes, &base, 0, XOR)]);
    let run = || collect_after(&sandbox.store(), &HashSet::new(), WEEK).expect("collected");
    let done = run();
    assert_eq!(fates(&done.plan), [Fate::Stays, Fate::Young]);
    holds(&sandbox.store(), &[base, bytes]);
    age(&sandbox, 3 * WEEK);
    assert_eq!(run().trashed.packs, 2);
}

#[test]
fn a_pack_in_which_a_writer_finds_what_it_puts_is_young_again() {
    let sandbox = Sandbox::new();
    let all = vec![weights(5000, 1)];
    put(&sandbox.store(), &all, F32).expect("put");
    age(&sandbox, 3 * WEEK);
    let puts = put(&sandbox.store(), &all, F32).expect("put");
    assert_eq!(puts[0].written, 0);
    let done = collect_after(&sandbox.store(), &HashSet::new(), WEEK).expect("collected");
    assert_eq!(fates(&done.plan), [Fate::Young]);
    holds(&sandbox.store(), &all);
}

#[test]
fn of_an_object_in_several_packs_one_good_copy_is_kept() {
    let bytes = weights(50_000, 1);
    let others: Vec<_> = (2..5).map(|seed| weights(50_000, seed)).collect();
    for damage in [false, true] {
        let sandbox = Sandbox::new();
        put(&sandbox.store(), std::slice::from_ref(&bytes), F32).expect("put");
        let [first] = packs(&sandbox).try_into().expect("one pack");
        // The larger pack would be the one to keep it; its copy is good or is not.
        let (mut record, mut stored) = against(&bytes, &others[0], 0, XOR);
        if damage {
            stored[70] ^= 1;
        }
        record.element = F32;
        publish(&sandbox, vec![(record, stored)]);
        put(&sandbox.store(), &others, F32).expect("put");
        let needed = ids(&[&others[..], std::slice::from_ref(&bytes)].concat());
        let done = collect(&sandbox.store(), &needed).expect("collected");
        assert_eq!(done.trashed.packs, 1, "damage: {damage}");
        assert_eq!(done.plan.damaged, []);
        assert!(!damage || packs(&sandbox).contains(&first));
        holds(&sandbox.store(), &others);
        holds(&sandbox.store(), std::slice::from_ref(&bytes));
    }
}

fn packs(sandbox: &Sandbox) -> Vec<PathBuf> {
    let mut files = sandbox.files("packs");
    files.retain(|path| path.extension().is_some_and(|e| e == "pack"));
    files
}

#[test]
fn a_pack_with_something_needed_that_is_damaged_stays_and_is_told() {
    let sandbox = Sandbox::new();
    let all: Vec<_> = (0..4).map(|seed| weights(50_000, seed)).collect();
    put(&sandbox.store(), &all, F32).expect("put");
    let [pack] = packs(&sandbox).try_into().expect("one pack");
    let mut raw = std::fs::read(&pack).expect("read");
    raw[40] ^= 1; // in the chunks of the first
    std::fs::set_permissions(&pack, std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .expect("set");
    std::fs::write(&pack, &raw).expect("written");
    let hurt = all
        .iter()
        .find(|bytes| sandbox.store().read(&ObjectId::of(bytes), 99_999).is_err());
    let hurt = hurt.expect("one of them is");
    let store = sandbox.store();
    let mut collection = store
        .collect(Duration::ZERO)
        .expect("locked")
        .expect("a store");
    let needed = ids(std::slice::from_ref(hurt));
    let (plan, written) = collection.copy(&needed, &Silent).expect("copied");
    assert_eq!(plan.damaged, [ObjectId::of(hurt)]);
    assert_eq!(written.packs, 0);
    let done = collection
        .alone()
        .expect("alone")
        .finish(&needed, &Silent)
        .expect("done");
    assert_eq!(done.trashed.packs, 0);
    assert_eq!(packs(&sandbox), [pack]);
    // Where it is not needed, it is no reason to keep anything.
    let fine: Vec<_> = all
        .iter()
        .filter(|bytes| *bytes != hurt)
        .take(2)
        .cloned()
        .collect();
    let done = collect(&sandbox.store(), &ids(&fine)).expect("collected");
    assert_eq!(done.trashed.packs, 1);
    holds(&sandbox.store(), &fine);
}

#[test]
fn where_a_pack_cannot_be_listed_nothing_is_done() {
    let sandbox = Sandbox::new();
    put(&sandbox.store(), &[weights(500, 1)], F32).expect("put");
    for (byte, kind) in [(8, Kind::Unsupported), (0, Kind::Damaged)] {
        put(&sandbox.store(), &[weights(500, 2 + byte as u64)], F32).expect("put");
        let files = sandbox.files("packs");
        let pack = packs(&sandbox).pop().expect("there");
        let good = std::fs::read(&pack).expect("read");
        let mut bad = good.clone();
        bad[byte] ^= 2;
        for path in [&pack, &pack.with_extension("idx")] {
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o644))
                .expect("set");
        }
        let index = std::fs::read(pack.with_extension("idx")).expect("read");
        std::fs::write(&pack, &bad).expect("written");
        std::fs::remove_file(pack.with_extension("idx")).expect("removed");
        let error = collect(&sandbox.store(), &HashSet::new()).expect_err("not to be listed");
        assert_eq!(error.kind(), kind);
        std::fs::write(&pack, &good).expect("written");
        std::fs::write(pack.with_extension("idx"), index).expect("written");
        assert_eq!(sandbox.files("packs"), files);
    }
}

#[test]
fn what_dead_processes_left_is_cleared() {
    let sandbox = Sandbox::new();
    put(&sandbox.store(), &[weights(500, 1)], F32).expect("put");
    let mut child = std::process::Command::new("true").spawn().expect("run");
    let live = temp(&sandbox.path().join("tmp"));
    let name = live
        .path()
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let dead = name.replace(&std::process::id().to_string(), &child.id().to_string());
    child.wait().expect("ended");
    std::fs::write(sandbox.path().join("tmp").join(dead), b"half").expect("written");
    let done = collect(&sandbox.store(), &HashSet::new()).expect("collected");
    assert_eq!(done.litter, 1);
    assert_eq!(sandbox.files("tmp"), [live.path()]);
}

#[test]
fn a_failure_at_any_point_loses_nothing_and_gc_can_be_repeated() {
    let keep = [
        weights(CHUNK + 8, 1),
        weights(90_000, 2),
        weights(60_000, 3),
    ];
    let drop = [weights(90_000, 4), weights(80_000, 5)];
    let needed = ids(&keep);
    let make = || {
        let sandbox = Sandbox::new();
        put(&sandbox.store(), &[keep[0].clone()], F32).expect("put");
        put(&sandbox.store(), &[keep[1].clone(), drop[0].clone()], F32).expect("put");
        put(&sandbox.store(), &drop[1..], F32).expect("put");
        publish(&sandbox, vec![against(&keep[2], &keep[1], 0, XOR)]);
        // Something old for the trash, of which a part is needed again.
        publish(&sandbox, vec![against(&drop[1], &drop[0], 0, XOR)]);
        let old = ids(&keep[..1]);
        collect(&sandbox.store(), &old).expect("collected");
        age_trash(&sandbox, WEEK);
        put(&sandbox.store(), &drop[1..], F32).expect("put");
        sandbox
    };
    for dead in [false, true] {
        for at in 0.. {
            let sandbox = make();
            let faulty = Arc::new(Faulty {
                at,
                dead,
                seen: Mutex::default(),
            });
            let fs = Fs::with_faults(faulty.clone());
            let store = Store::open(fs, &sandbox.path()).expect("opened");
            let done = collect(&store, &needed);
            let calls = faulty.seen.lock().expect("not poisoned").clone();
            if calls.len() <= at {
                let done = done.expect("no fault");
                assert!(done.back.packs > 0 && done.trashed.packs > 0 && done.purged.packs > 0);
                break;
            }
            let fresh = sandbox.store();
            assert_eq!(
                fresh.verify(&Silent).expect("verified").damage,
                [],
                "{calls:?}"
            );
            let there = |bytes: &Vec<u8>| fresh.contains(&ObjectId::of(bytes)).expect("looked up");
            assert!(there(&keep[0]), "{calls:?}");
            // What was in the trash is there, or still in it.
            let gone: Vec<_> = keep
                .iter()
                .filter(|bytes| !there(bytes))
                .map(|b| ObjectId::of(b))
                .collect();
            assert_eq!(
                fresh.in_trash(&gone).expect("listed"),
                gone.len(),
                "{calls:?}"
            );
            collect(&fresh, &needed).expect("repeated");
            holds(&sandbox.store(), &keep);
            assert_eq!(sandbox.files("tmp").len(), 0, "{calls:?}");
        }
    }
}

#[test]
fn restoring_the_trash_can_be_cut_off_anywhere() {
    let all = [weights(9000, 1), weights(9000, 2)];
    for at in 0.. {
        let sandbox = Sandbox::new();
        for bytes in &all {
            put(&sandbox.store(), std::slice::from_ref(bytes), F32).expect("put");
        }
        collect(&sandbox.store(), &HashSet::new()).expect("collected");
        let faulty = Arc::new(Faulty {
            at,
            dead: true,
            seen: Mutex::default(),
        });
        let store = Store::open(Fs::with_faults(faulty.clone()), &sandbox.path()).expect("opened");
        let done = store.restore_trash();
        let ended = faulty.seen.lock().expect("not poisoned").len() <= at;
        assert_eq!(done.is_ok(), ended);
        assert_eq!(
            sandbox.store().verify(&Silent).expect("verified").damage,
            []
        );
        sandbox.store().restore_trash().expect("repeated");
        holds(&sandbox.store(), &all);
        if ended {
            break;
        }
    }
}
