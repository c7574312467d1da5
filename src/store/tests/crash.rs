//! The disk fails, or the process dies, at every single point.

use std::io;
use std::sync::Mutex;

use super::*;
use crate::base::fs::{Faults, Op};

/// Fails call number `at`, alone or with all that follow, as for a killed process.
pub(super) struct Faulty {
    pub(super) at: usize,
    pub(super) dead: bool,
    pub(super) seen: Mutex<Vec<Op>>,
}

impl Faults for Faulty {
    fn before(&self, op: Op, _path: &Path) -> io::Result<()> {
        let mut seen = self.seen.lock().expect("no test panics while holding it");
        seen.push(op);
        let call = seen.len() - 1;
        if call == self.at || (self.dead && call > self.at) {
            return Err(io::Error::other("faulty"));
        }
        Ok(())
    }
}

#[test]
fn a_failure_at_any_point_leaves_a_store_that_verifies_and_a_put_that_can_be_repeated() {
    let old = vec![weights(1000, 1), weights(CHUNK + 8, 2)];
    let new = vec![weights(2 * CHUNK + 8, 3), weights(2000, 4), old[1].clone()];
    for dead in [false, true] {
        let mut points = 0;
        loop {
            let sandbox = Sandbox::new();
            put(&sandbox.store(), &old, F32).expect("put");
            let faulty = Arc::new(Faulty {
                at: points,
                dead,
                seen: Mutex::default(),
            });
            let fs = Fs::with_faults(faulty.clone());
            let store = Store::open(fs, &sandbox.path()).expect("opened");
            let done = put(&store, &new, F32);
            let calls = faulty.seen.lock().expect("not poisoned").clone();
            if calls.len() <= points {
                // The fault was beyond the last call.
                done.expect("no fault");
                assert!(calls.contains(&Op::Sync) && calls.contains(&Op::Rename));
                assert!(points > 10, "{calls:?}");
                break;
            }
            // Removing what is temporary may fail; all else is told.
            assert!(done.is_err(), "{calls:?}");
            // What is there is whole: all of the new pack or nothing.
            let fresh = sandbox.store();
            holds(&fresh, &old);
            let there = |bytes: &Vec<u8>| fresh.contains(&ObjectId::of(bytes)).expect("looked up");
            assert_eq!(there(&new[0]), there(&new[1]), "{calls:?}");
            put(&fresh, &new, F32).expect("repeated");
            holds(&sandbox.store(), &new);
            points += 1;
        }
    }
}

#[test]
fn parts_are_published_before_what_they_are_parts_of() {
    let large = vec![weights(6 << 20, 3)];
    for at in 0.. {
        let sandbox = Sandbox::new();
        let faulty = Arc::new(Faulty {
            at,
            dead: true,
            seen: Mutex::default(),
        });
        let store = Store::open(Fs::with_faults(faulty.clone()), &sandbox.path()).expect("opened");
        let done = put_split(&store, &large, Element::Bytes, 2 << 20);
        if faulty.seen.lock().expect("not poisoned").len() <= at {
            done.expect("no fault");
            assert!(sandbox.files("packs").len() > 4);
            break;
        }
        assert!(done.is_err());
        // Packs may be there or not, but nothing that is there lacks anything.
        holds(&sandbox.store(), &[]);
    }
}

#[test]
fn a_fault_on_the_target_of_a_copy_is_an_error() {
    let sandbox = Sandbox::new();
    let bytes = weights(3 * CHUNK, 1);
    put(&sandbox.store(), std::slice::from_ref(&bytes), F32).expect("put");
    let fs = Fs::with_faults(Arc::new(Faulty {
        at: 2,
        dead: true,
        seen: Mutex::default(),
    }));
    let file = fs.temp_in(sandbox.dir.path()).expect("created");
    let job = CopyOut {
        id: ObjectId::of(&bytes),
        len: bytes.len() as u64,
        file: &file,
        offset: 0,
    };
    let done = sandbox.store().copy_out(&[job], &Silent);
    assert!(matches!(done, Err(StoreError::Fs(_))));
}
