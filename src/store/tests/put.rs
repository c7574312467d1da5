//! Putting and reading back.

use super::*;
use crate::base::Kind;
use crate::base::kind::Failure;
use crate::base::progress::Unit;

fn examples() -> Vec<Vec<u8>> {
    let lens = [0, 1, 4, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7];
    let mut all: Vec<_> = lens.iter().map(|len| weights(*len, *len as u64)).collect();
    all.push(vec![0; 2 * CHUNK + 4]);
    all
}

#[test]
fn folders_that_another_made_are_made_durable_too() {
    struct Synced(std::sync::Mutex<Vec<PathBuf>>);
    impl crate::base::fs::Faults for Synced {
        fn before(&self, op: crate::base::fs::Op, path: &Path) -> std::io::Result<()> {
            if op == crate::base::fs::Op::SyncDir {
                self.0.lock().expect("not poisoned").push(path.to_owned());
            }
            Ok(())
        }
    }
    let sandbox = Sandbox::new();
    // Whoever made it has died at once.
    std::fs::create_dir_all(layout::packs(&sandbox.path())).expect("made");
    let synced = Arc::new(Synced(std::sync::Mutex::default()));
    let store = Store::open(Fs::with_faults(synced.clone()), &sandbox.path()).expect("opened");
    put(&store, &[weights(9, 1)], F32).expect("put");
    let dir = sandbox.path();
    let wanted = [
        sandbox.dir.path().to_owned(),
        dir.clone(),
        layout::packs(&dir),
    ];
    let synced = synced.0.lock().expect("not poisoned");
    assert!(
        wanted.iter().all(|path| synced.contains(path)),
        "{synced:?}"
    );
}

#[test]
fn what_is_put_comes_back() {
    for element in [F32, Element::Bytes, Element::number(16, true)] {
        let sandbox = Sandbox::new();
        let all = examples();
        let puts = put(&sandbox.store(), &all, element).expect("put");
        for (put, bytes) in puts.iter().zip(&all) {
            assert_eq!(put.id, ObjectId::of(bytes));
            assert!(put.written > 0);
        }
        holds(&sandbox.store(), &all);
        assert_eq!(sandbox.files("tmp").len(), 0);
        // Again: nothing is new, so nothing is written.
        let again = put(&sandbox.store(), &all, element).expect("put again");
        assert!(again.iter().all(|put| put.written == 0));
        assert_eq!(sandbox.files("packs").len(), 2);
    }
}

#[test]
fn an_empty_store_is_no_error_and_leaves_no_folder() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let id = ObjectId::of(b"x");
    assert!(!store.contains(&id).expect("looked up"));
    let missing = store.object(&id).expect_err("not there");
    assert_eq!(missing.kind(), Kind::Missing);
    assert_eq!(store.verify(&Silent).expect("verified"), Checked::default());
    assert_eq!(store.usage().expect("counted"), Usage::default());
    assert!(!sandbox.path().exists());
}

#[test]
fn twins_in_one_batch_are_stored_once() {
    let sandbox = Sandbox::new();
    let one = weights(2 * CHUNK + 8, 1);
    let small = weights(100, 2);
    let all = vec![
        one.clone(),
        small.clone(),
        one.clone(),
        small.clone(),
        weights(64, 9),
    ];
    let puts = put(&sandbox.store(), &all, F32).expect("put");
    let new: Vec<_> = puts.iter().map(|put| put.written > 0).collect();
    assert_eq!(new, [true, true, false, false, true]);
    holds(&sandbox.store(), &all);
    assert_eq!(sandbox.store().usage().expect("counted").objects, 3);
}

#[test]
fn one_writer_takes_several_batches_and_shows_nothing_before_its_end() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let (a, b) = (weights(CHUNK * 2, 1), weights(50, 2));
    let mut writer = store.writer().expect("started");
    writer.put_all(&[item(&a, F32)], &Silent).expect("put");
    let puts = writer
        .put_all(&[item(&a, F32), item(&b, F32)], &Silent)
        .expect("put");
    assert_eq!(puts[0].written, 0, "this writer has it already");
    assert!(!store.contains(&ObjectId::of(&a)).expect("looked up"));
    let written = writer.finish().expect("finished");
    assert_eq!((written.objects, written.packs.len()), (2, 1));
    holds(&store, &[a, b]);
}

#[test]
fn a_dropped_writer_leaves_nothing() {
    let sandbox = Sandbox::new();
    let a = weights(CHUNK * 2, 1);
    let mut writer = sandbox.store().writer().expect("started");
    writer.put_all(&[item(&a, F32)], &Silent).expect("put");
    assert_eq!(sandbox.files("tmp").len(), 1);
    drop(writer);
    assert_eq!(sandbox.files("tmp").len(), 0);
    assert_eq!(sandbox.files("packs").len(), 0);
}

#[test]
fn an_expected_object_is_compared_before_it_is_encoded() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let old = weights(3 * CHUNK, 1);
    put(&store, std::slice::from_ref(&old), F32).expect("put");
    let mut late = old.clone();
    *late.last_mut().expect("not empty") ^= 1;
    let mut early = old.clone();
    early[0] ^= 1;
    let mut items: Vec<_> = [&old, &late, &early].map(|b| item(b, F32)).into();
    for item in &mut items {
        item.expect = Some(ObjectId::of(&old));
    }
    let mut writer = store.writer().expect("started");
    let puts = writer.put_all(&items, &Silent).expect("put");
    let new: Vec<_> = puts.iter().map(|put| put.written > 0).collect();
    assert_eq!(new, [false, true, true]);
    writer.finish().expect("finished");
    holds(&store, &[old, late, early]);
}

#[test]
fn large_literals_share_their_parts() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let old = weights(6 << 20, 1);
    let mut new = old.clone();
    new.splice(3_000_000..3_000_000, *b"inserted");
    let puts = put(&store, &[old.clone(), new.clone()], Element::Bytes).expect("put");
    assert!(puts[1].written < puts[0].written / 2, "{puts:?}");
    holds(&store, &[old.clone(), new]);
    let id = ObjectId::of(&old);
    let size = store.stored_size(&id).expect("read").expect("there");
    assert!(size.parts > 6 && size.stored > 1_000_000, "{size:?}");
    // Any range of it, verified chunk by chunk.
    let object = store.object(&id).expect("opened");
    let mut range = vec![0; CHUNK + 20];
    for at in [0, 1, CHUNK - 10, 4 * CHUNK - 5, old.len() - range.len()] {
        object.read_exact_at(&mut range, at as u64).expect("read");
        assert!(range == old[at..at + range.len()]);
    }
}

#[test]
fn packs_are_split_between_objects() {
    let sandbox = Sandbox::new();
    let all: Vec<_> = (0..6).map(|seed| weights(2 * CHUNK, seed)).collect();
    put_split(&sandbox.store(), &all, F32, 3 << 20).expect("put");
    assert_eq!(sandbox.files("packs").len(), 3 * 2);
    holds(&sandbox.store(), &all);
    let large = vec![weights(6 << 20, 7)];
    put_split(&sandbox.store(), &large, Element::Bytes, 1 << 20).expect("put");
    assert!(sandbox.files("packs").len() > 5 * 2);
    holds(&sandbox.store(), &large);
}

#[test]
fn ranges_of_an_object_are_verified_reads() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let bytes = weights(2 * CHUNK + 100, 3);
    put(&store, std::slice::from_ref(&bytes), F32).expect("put");
    let object = store.object(&ObjectId::of(&bytes)).expect("opened");
    assert_eq!((object.len(), object.chunks()), (bytes.len() as u64, 3));
    let mut range = [0; 50];
    for at in [0, CHUNK - 25, CHUNK, 2 * CHUNK + 50] {
        object.read_exact_at(&mut range, at as u64).expect("read");
        assert_eq!(range, bytes[at..at + 50]);
    }
    let end = object.read_exact_at(&mut range, bytes.len() as u64 - 49);
    let end = end.expect_err("beyond the end");
    assert_eq!(end.kind(), std::io::ErrorKind::UnexpectedEof);
    let mut last = vec![9];
    object.read_chunk(2, &mut last).expect("read");
    assert_eq!(last, bytes[2 * CHUNK..]);
    assert!(object.read_chunk(3, &mut last).is_err());
    let limited = store.read(&object.id(), 100).expect_err("too long");
    assert_eq!(limited.kind(), Kind::BadInput);
}

#[test]
fn a_source_that_shrank_is_named() {
    let sandbox = Sandbox::new();
    let (good, short) = (weights(100, 1), weights(3 * CHUNK, 2));
    for element in [F32, Element::Bytes] {
        let mut cut = item(&short, element);
        cut.len += 2 * CHUNK as u64;
        let mut writer = sandbox.store().writer().expect("started");
        let changed = writer.put_all(&[item(&good, element), cut], &Silent);
        let changed = changed.expect_err("too short");
        assert!(
            matches!(changed, StoreError::Changed { item: 1 }),
            "{changed}"
        );
        assert!(writer.put_all(&[], &Silent).is_err());
        assert!(matches!(writer.finish(), Err(StoreError::Aborted)));
    }
    assert_eq!(sandbox.files("tmp").len() + sandbox.files("packs").len(), 0);
}

/// Cancels after so many bytes.
struct Impatient(std::sync::atomic::AtomicU64, u64);

impl Progress for Impatient {
    fn begin(&self, _: &str, _: Unit, _: Option<u64>) {}
    fn advance(&self, amount: u64) {
        self.0
            .fetch_add(amount, std::sync::atomic::Ordering::Relaxed);
    }
    fn end(&self) {}
    fn cancelled(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed) >= self.1
    }
}

#[test]
fn everything_can_be_cancelled() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let all: Vec<_> = (0..20).map(|seed| weights(CHUNK + 4, seed)).collect();
    let items: Vec<_> = all.iter().map(|bytes| item(bytes, F32)).collect();
    for after in [0, 3 << 20] {
        let soon = Impatient(0.into(), after);
        let mut writer = store.writer().expect("started");
        let stopped = writer.put_all(&items, &soon).expect_err("cancelled");
        assert_eq!(stopped.kind(), Kind::Cancelled);
    }
    put(&store, &all, F32).expect("put");
    let now = Impatient(0.into(), 0);
    assert!(matches!(store.verify(&now), Err(StoreError::Cancelled)));
    let file = temp(sandbox.dir.path());
    let job = CopyOut {
        id: ObjectId::of(&all[0]),
        len: all[0].len() as u64,
        file: &file,
        offset: 0,
    };
    let stopped = store.copy_out(&[job], &now);
    assert!(matches!(stopped, Err(StoreError::Cancelled)));
}

#[test]
fn copying_out_fails_job_by_job() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let all = examples();
    put(&store, &all, F32).expect("put");
    let file = temp(sandbox.dir.path());
    let mut offset = 3;
    let mut jobs = Vec::new();
    for bytes in &all {
        jobs.push(CopyOut {
            id: ObjectId::of(bytes),
            len: bytes.len() as u64,
            file: &file,
            offset,
        });
        offset += bytes.len() as u64;
    }
    let other = temp(sandbox.dir.path());
    let missing = CopyOut {
        id: ObjectId::of(b"none"),
        len: 5,
        file: &other,
        offset: 0,
    };
    let long = CopyOut {
        len: 2,
        file: &other,
        ..jobs[1]
    };
    jobs.extend([missing, long]);
    let failed = store.copy_out(&jobs, &Silent).expect("copied");
    let failed: Vec<_> = failed.iter().map(|f| (f.job, f.error.kind())).collect();
    let last = all.len();
    assert_eq!(failed, [(last, Kind::Missing), (last + 1, Kind::Damaged)]);
    let written = std::fs::read(file.path()).expect("read");
    assert!(written[3..] == all.concat());
}
