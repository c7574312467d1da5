//! Old and new copies beside each other: no choice of them is a circle or a chain that is too long.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use proptest::prelude::*;

use super::bases::{XOR, against, publish};
use super::crash::Faulty;
use super::deltas::{put_after, record, tuned};
use super::gc::ids;
use super::repack::{
    begin, chain, end, height, longest, newest_first, order, repack, steps, stored,
};
use super::*;

#[test]
fn nothing_is_published_where_others_wrote_meanwhile_what_would_make_a_circle() {
    let all = steps(30_000, 3);
    let sandbox = Sandbox::new();
    for bytes in &all {
        put_after(&sandbox.store(), bytes, &[]);
    }
    let (needed, order) = (ids(&all), newest_first(&all));
    let store = sandbox.store();
    let mut collection = store.collect(Duration::ZERO).expect("locked").expect("one");
    collection
        .repack(&order, &needed, &Silent)
        .expect("written");
    // It writes older versions with newer ones; this is the other way round.
    publish(&sandbox, vec![against(&all[2], &all[1], 0, XOR)]);
    publish(&sandbox, vec![against(&all[1], &all[0], 0, XOR)]);
    let before = sandbox.files("packs");
    let alone = collection.alone().expect("alone");
    let (collection, right) = alone.publish(&Silent).expect("looked at");
    assert!(!right);
    assert_eq!(sandbox.files("packs"), before);
    assert_eq!(sandbox.files("tmp"), Vec::<PathBuf>::new());
    end(collection, &needed).expect("done");
    holds(&sandbox.store(), &all);
    // And once more, by what there is now.
    repack(&sandbox.store(), &order, &needed).expect("repacked");
    assert!(longest(&sandbox.store()).is_some_and(|long| long <= 8));
    holds(&sandbox.store(), &all);
}

#[test]
fn a_store_in_which_copies_already_go_in_a_circle_is_left_alone() {
    let all = steps(3000, 2);
    let sandbox = Sandbox::new();
    put(&sandbox.store(), &all, F32).expect("put");
    publish(&sandbox, vec![against(&all[0], &all[1], 0, XOR)]);
    publish(&sandbox, vec![against(&all[1], &all[0], 0, XOR)]);
    assert_eq!(longest(&sandbox.store()), None);
    let error = repack(&sandbox.store(), &newest_first(&all), &ids(&all)).expect_err("a circle");
    assert!(matches!(
        error,
        StoreError::Damaged {
            flaw: Flaw::Depth,
            ..
        }
    ));
    // Readers find their way, and a writer makes it no worse.
    let next = tuned(&all[1], 5);
    put_after(&sandbox.store(), &next, &[&all[1]]);
    assert_eq!(record(&sandbox.store(), &next).bases, []);
    holds(&sandbox.store(), &[&all[..], &[next]].concat());
}

/// Writes each of them whole, and all but the first also with the one before.
fn whole_and_chained(sandbox: &Sandbox, all: &[Vec<u8>]) {
    for bytes in all {
        put_after(&sandbox.store(), bytes, &[]);
    }
    for pair in all.windows(2) {
        let mut made = against(&pair[1], &pair[0], 0, XOR);
        made.0.element = F32;
        publish(sandbox, vec![made]);
    }
}

#[test]
fn a_writer_counts_the_longest_chain_over_all_copies() {
    // Whichever copy of each is listed first.
    for seed in 0..6 {
        let mut all = vec![weights(3000, seed)];
        (1..5).for_each(|next| all.push(tuned(&all[all.len() - 1], next)));
        let sandbox = Sandbox::new();
        whole_and_chained(&sandbox, &all);
        let store = sandbox.store();
        let next = tuned(&all[4], 9);
        put_after(&store, &next, &[&all[4]]);
        let end = ObjectId::of(&all[4]);
        assert!(!record(&store, &next).bases.contains(&end), "{seed}");
        assert_eq!(longest(&store), Some(4), "{seed}");
    }
}

#[test]
fn what_old_copies_make_too_long_is_no_base() {
    let sandbox = Sandbox::new();
    let mut one = vec![weights(3000, 1)];
    (2..10).for_each(|seed| one.push(weights(3000, seed)));
    let mut other = vec![weights(3000, 11)];
    (12..19).for_each(|seed| other.push(weights(3000, seed)));
    other.push(tuned(&one[8], 1));
    whole_and_chained(&sandbox, &one);
    whole_and_chained(&sandbox, &other);
    assert_eq!(longest(&sandbox.store()), Some(8));
    let needed = ids(&[one.clone(), other.clone()].concat());
    let order = order(&[&one[8], &other[8]]);
    let (again, repacked) =
        begin(&sandbox.store(), &order, &needed, Duration::ZERO).expect("written");
    assert_eq!(repacked.done.map(|done| done.recoded), Some(0));
    end(again, &needed).expect("done");
    holds(&sandbox.store(), &[one, other].concat());
    assert_eq!(longest(&sandbox.store()), Some(0));
}

#[test]
fn a_failure_at_any_point_loses_nothing_and_it_can_be_repeated() {
    let all = steps(9_000, 5);
    let lost = vec![weights(7000, 77)];
    let needed = ids(&all);
    let order = newest_first(&all);
    let make = || {
        let sandbox = chain(&all);
        put(&sandbox.store(), &lost, F32).expect("put");
        sandbox
    };
    for dead in [false, true] {
        let mut mixed = 0;
        for at in 0.. {
            let sandbox = make();
            let faulty = Arc::new(Faulty {
                at,
                dead,
                seen: Mutex::default(),
            });
            let fs = Fs::with_faults(faulty.clone());
            let store = Store::open(fs, &sandbox.path()).expect("opened");
            let done = repack(&store, &order, &needed);
            let calls = faulty.seen.lock().expect("not poisoned").clone();
            let ended = calls.len() <= at;
            assert!(done.is_ok() || !ended, "{calls:?}");
            let fresh = sandbox.store();
            holds(&fresh, &all);
            let long = longest(&fresh).expect("no circle");
            assert!(long <= 8, "{calls:?}");
            let packs = sandbox.files("packs");
            let packs = packs
                .iter()
                .filter(|p| p.extension().is_some_and(|e| e == "pack"));
            mixed += usize::from(packs.count() > 6);
            repack(&fresh, &order, &needed).expect("repeated");
            assert_eq!(height(&sandbox.store(), &all[4]), 1);
            assert_eq!(longest(&sandbox.store()), Some(3));
            holds(&sandbox.store(), &all);
            // What the dead one left is for whoever comes after it; here that is itself.
            assert!(dead || sandbox.files("tmp").is_empty(), "{calls:?}");
            if ended {
                break;
            }
        }
        assert!(
            mixed > 0,
            "it was cut off with old and new packs beside each other"
        );
    }
}

/// How a version of a made-up history is stored: written with which of those before it, if any, in how many copies.
fn history() -> impl Strategy<Value = Vec<(Vec<usize>, bool)>> {
    let version = (prop::collection::vec(0usize..100, 0..3), any::<bool>());
    prop::collection::vec(version, 2..10)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn of_any_history_no_choice_of_copies_is_a_circle_or_too_long(
        history in history(),
        shuffle in any::<u64>(),
        shallow in prop::collection::vec((0u8..5, any::<bool>()), 10),
    ) {
        let sandbox = Sandbox::new();
        let mut all: Vec<Vec<u8>> = Vec::new();
        let mut depth: HashMap<usize, u8> = HashMap::new();
        for (number, (bases, whole)) in history.iter().enumerate() {
            let of = bases.first().map(|base| base % number.max(1)).filter(|_| number > 0);
            let bytes = match of {
                Some(base) => tuned(&all[base], number as u32),
                None => weights(3000, number as u64),
            };
            all.push(bytes);
            let bytes = &all[number];
            // Copies that are written with others, as far as a reader follows them over any copies.
            let mut deepest = 0;
            let mut written = false;
            for base in bases.iter().filter(|_| number > 0).map(|base| base % number.max(1)) {
                if depth[&base] < 8 {
                    let mut made = against(bytes, &all[base], 0, XOR);
                    made.0.element = F32;
                    publish(&sandbox, vec![made]);
                    deepest = deepest.max(depth[&base] + 1);
                    written = true;
                }
            }
            if *whole || !written {
                put_after(&sandbox.store(), bytes, &[]);
            }
            depth.insert(number, deepest);
        }
        let mut list: Vec<&Vec<u8>> = all.iter().collect();
        list.sort_by_key(|bytes| ObjectId::of(bytes).as_bytes()[0] ^ shuffle as u8);
        let mut order = order(&list);
        for (version, (height, shallow)) in order.versions.iter_mut().zip(&shallow) {
            version[0].height = *height;
            version[0].shallow = *shallow;
        }
        let needed = ids(&all);
        let before = longest(&sandbox.store());
        prop_assert!(before.is_some_and(|long| long <= 8));
        let size = stored(&sandbox.store());
        let store = sandbox.store();
        let (collection, repacked) = begin(&store, &order, &needed, Duration::ZERO).expect("written");
        let mixed = longest(&sandbox.store());
        prop_assert!(mixed.is_some_and(|long| long <= 8), "{mixed:?}");
        end(collection, &needed).expect("done");
        holds(&sandbox.store(), &all);
        let after = longest(&sandbox.store()).expect("no circle");
        prop_assert!(after <= before.unwrap_or(0).max(4));
        let heights = repacked.done.map(|done| done.heights).unwrap_or_default();
        prop_assert_eq!(heights.len(), after + 1);
        prop_assert!(stored(&sandbox.store()) <= size + size / 16);
        let (again, _) = repack(&sandbox.store(), &order, &needed).expect("repacked");
        prop_assert_eq!(again.packs, 0);
    }
}
