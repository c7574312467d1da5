//! However objects are written anew, no chunk comes to take more of others than a reader decodes.

use std::time::Duration;

use super::super::codec::Strip;
use super::bases::publish;
use super::deltas::{put_after, record, tuned};
use super::gc::ids;
use super::malice::{level, spread};
use super::mosaics::mosaic;
use super::repack::{end, newest_first, repack};
use super::*;

#[test]
fn what_another_takes_together_with_others_is_written_no_deeper() {
    for together in [false, true] {
        let old = weights(40_000, 1);
        let all = [old.clone(), tuned(&old, 1)];
        let other = weights(40_000, 2);
        let beside = [&old[..20_000], &other[..20_000]].concat();
        let sandbox = Sandbox::new();
        let store = sandbox.store();
        let every = [&all[..], std::slice::from_ref(&other)].concat();
        every
            .iter()
            .for_each(|bytes| _ = put_after(&store, bytes, &[]));
        let mut needed = ids(&every);
        if together {
            let halves = |_| {
                vec![
                    Strip::run(0, 0, 0, 20_000),
                    Strip::run(1, 20_000, 0, 20_000),
                ]
            };
            publish(&sandbox, vec![mosaic(&beside, &[&old, &other], halves)]);
            needed.insert(ObjectId::of(&beside));
        }
        repack(&sandbox.store(), &newest_first(&all), &needed).expect("repacked");
        let deeper = !record(&sandbox.store(), &old).bases.is_empty();
        assert_eq!(deeper, !together);
        holds(&sandbox.store(), &every);
    }
}

#[test]
fn nothing_is_published_where_others_wrote_meanwhile_what_would_make_it_too_much_work() {
    const CHUNKS: usize = 7;
    let old = weights(CHUNKS * CHUNK, 1);
    let all = [old.clone(), tuned(&old, 1)];
    for levels in [2, 3] {
        let sandbox = Sandbox::new();
        let store = sandbox.store();
        put(&store, &all, F32).expect("put");
        let order = newest_first(&all);
        let mut collection = store.collect(Duration::ZERO).expect("locked").expect("one");
        collection
            .repack(&order, &ids(&all), &Silent)
            .expect("written");
        // Each chunk takes a byte of all chunks of the level below: 343 chunks with the third, and three times as many
        // where one of the lowest takes two others.
        let mut below = old.clone();
        let mut every = all.to_vec();
        for number in 1..=levels {
            let bytes = level(number, CHUNKS);
            publish(&sandbox, vec![spread(&bytes, &below)]);
            every.push(bytes.clone());
            below = bytes;
        }
        let (collection, right) = collection
            .alone()
            .and_then(|alone| alone.publish(&Silent))
            .expect("looked at");
        assert_eq!(right, levels < 3);
        end(collection, &ids(&every)).expect("done");
        let deeper = !record(&sandbox.store(), &old).bases.is_empty();
        assert_eq!(deeper, levels < 3);
        let mut chunk = Vec::new();
        let top = sandbox
            .store()
            .object(&ObjectId::of(&below))
            .expect("there");
        top.read_chunk(3, &mut chunk).expect("no malice");
        assert!(chunk == below[..CHUNK]);
    }
}
