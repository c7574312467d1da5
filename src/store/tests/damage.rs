//! Bits flip, files vanish, and other versions write.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::base::Kind;
use crate::base::kind::Failure;

pub(super) fn overwrite(path: &Path, bytes: &[u8]) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).expect("set");
    std::fs::write(path, bytes).expect("written");
}

pub(super) fn pack_and_index(sandbox: &Sandbox) -> [PathBuf; 2] {
    let mut files = sandbox.files("packs");
    files.sort_by_key(|path| path.extension() == Some("idx".as_ref()));
    files.try_into().expect("a pack and its index")
}

#[test]
fn every_flipped_bit_is_found_and_no_wrong_byte_is_ever_read() {
    let sandbox = Sandbox::new();
    let mut all = vec![weights(90, 1), vec![7; 50], b"text ".repeat(20), Vec::new()];
    // Several chunks in few bytes, so that every byte of their values is flipped too.
    all.push(vec![0; CHUNK + 1]);
    put(&sandbox.store(), &all[..2], F32).expect("put");
    for file in sandbox.files("packs") {
        std::fs::remove_file(file).expect("removed");
    }
    put(&sandbox.store(), &all, F32).expect("put");
    for path in pack_and_index(&sandbox) {
        let good = std::fs::read(&path).expect("read");
        assert!(good.len() < 4000);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            overwrite(&path, &bad);
            let store = sandbox.store();
            // Unknown optional features are the one thing that may differ; but the hash does too.
            let checked = store.verify(&Silent).expect("verified");
            assert_ne!(checked.damage, [], "byte {at} of {}", path.display());
            for bytes in &all {
                let id = ObjectId::of(bytes);
                if let Ok(read) = store.read(&id, u64::MAX) {
                    assert_eq!(&read, bytes, "byte {at}");
                }
            }
            if path.extension() == Some("idx".as_ref()) {
                // The pack alone is enough.
                all[..4].iter().for_each(|bytes| {
                    assert_eq!(
                        &store.read(&ObjectId::of(bytes), u64::MAX).expect("read"),
                        bytes
                    );
                });
            }
        }
        for len in [0, 1, 31, 32, 100, good.len() - 1] {
            overwrite(&path, &good[..len]);
            assert_ne!(
                sandbox.store().verify(&Silent).expect("verified").damage,
                []
            );
        }
        overwrite(&path, &[&good[..], b"x"].concat());
        assert_ne!(
            sandbox.store().verify(&Silent).expect("verified").damage,
            []
        );
        overwrite(&path, &good);
    }
    holds(&sandbox.store(), &all);
}

#[test]
fn a_pack_without_index_is_read_and_an_index_without_pack_is_reported() {
    let sandbox = Sandbox::new();
    let all = vec![weights(100, 1), weights(2 * CHUNK, 2)];
    put(&sandbox.store(), &all, F32).expect("put");
    let [pack, index] = pack_and_index(&sandbox);
    let saved = std::fs::read(&index).expect("read");
    std::fs::remove_file(&index).expect("removed");
    holds(&sandbox.store(), &all);
    overwrite_new(&index, &saved);
    std::fs::remove_file(&pack).expect("removed");
    let checked = sandbox.store().verify(&Silent).expect("verified");
    assert_eq!(checked.damage.len(), 1);
}

#[test]
fn an_index_that_cannot_be_read_is_done_without() {
    let sandbox = Sandbox::new();
    // More packs than there are files kept open, so that some are opened anew.
    let all: Vec<_> = (0..70).map(|seed| weights(100, seed)).collect();
    for bytes in &all {
        put(&sandbox.store(), std::slice::from_ref(bytes), F32).expect("put");
    }
    let (before, after) = (sandbox.store(), sandbox.store());
    let there = |store: &Store| {
        all.iter().all(|bytes| {
            store
                .contains(&ObjectId::of(bytes))
                .expect("the packs are whole")
        })
    };
    assert!(there(&before));
    for path in sandbox.files("packs") {
        if path.extension().is_some_and(|extension| extension == "idx") {
            std::fs::remove_file(&path).expect("removed");
            std::fs::create_dir(&path).expect("made");
        }
    }
    assert!(there(&before) && there(&after));
    // It is told all the same, and a pack that cannot be read is told by its own name.
    let damage = after.verify(&Silent).expect("verified").damage;
    assert_eq!(damage.len(), all.len(), "{damage:?}");
    let packs = sandbox.files("packs");
    let pack = packs
        .iter()
        .find(|path| path.extension().is_some_and(|e| e == "pack"));
    let pack = pack.expect("there are 70");
    std::fs::remove_file(pack).expect("removed");
    std::fs::create_dir(pack).expect("made");
    let fresh = sandbox.store();
    let error = all
        .iter()
        .find_map(|bytes| fresh.contains(&ObjectId::of(bytes)).err());
    let said = error.expect("it cannot be read").to_string();
    assert!(said.contains(&*pack.to_string_lossy()), "{said}");
}

fn overwrite_new(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("written");
}

#[test]
fn damage_is_told_by_object_and_spares_the_others() {
    let sandbox = Sandbox::new();
    let (hurt, fine) = (weights(CHUNK, 1), weights(CHUNK, 2));
    put(&sandbox.store(), &[hurt.clone(), fine.clone()], F32).expect("put");
    let [pack, _] = pack_and_index(&sandbox);
    let mut bytes = std::fs::read(&pack).expect("read");
    bytes[1000] ^= 1;
    overwrite(&pack, &bytes);
    let store = sandbox.store();
    let id = ObjectId::of(&hurt);
    let error = store.read(&id, u64::MAX).expect_err("damaged");
    assert_eq!(error.kind(), Kind::Damaged);
    assert_eq!(
        store.read(&ObjectId::of(&fine), u64::MAX).expect("read"),
        fine
    );
    let checked = store.verify(&Silent).expect("verified");
    let objects: Vec<_> = checked.damage.iter().filter_map(|d| d.object).collect();
    assert_eq!(objects, [id]);
    assert_eq!(checked.bytes, CHUNK as u64);
    let file = temp(sandbox.dir.path());
    let jobs = [hurt, fine].map(|bytes| CopyOut {
        id: ObjectId::of(&bytes),
        len: CHUNK as u64,
        file: &file,
        offset: 0,
    });
    let failed = store.copy_out(&jobs, &Silent).expect("copied");
    assert_eq!(failed.len(), 1);
    assert_eq!((failed[0].job, failed[0].error.kind()), (0, Kind::Damaged));
}

#[test]
fn another_copy_serves_where_one_is_damaged() {
    let (here, there) = (Sandbox::new(), Sandbox::new());
    let all = [weights(2 * CHUNK, 1), weights(CHUNK, 2)];
    put(&here.store(), &all, F32).expect("put");
    put(&there.store(), &all[..1], F32).expect("put");
    let [pack, _] = pack_and_index(&here);
    let [copy, _] = pack_and_index(&there);
    let mut bytes = std::fs::read(&pack).expect("read");
    bytes[1000] ^= 1;
    overwrite(&pack, &bytes);
    let id = ObjectId::of(&all[0]);
    assert!(here.store().read(&id, u64::MAX).is_err());
    let name = copy.file_name().expect("it has one");
    std::fs::copy(&copy, here.path().join("packs").join(name)).expect("copied");
    let store = here.store();
    assert_eq!(store.read(&id, u64::MAX).expect("read"), all[0]);
    assert_ne!(store.verify(&Silent).expect("verified").damage, []);
}

#[test]
fn a_newer_pack_is_refused_by_name_and_the_others_are_read() {
    let sandbox = Sandbox::new();
    let (new, old) = (weights(100, 1), weights(100, 2));
    put(&sandbox.store(), std::slice::from_ref(&new), F32).expect("put");
    let [pack, index] = pack_and_index(&sandbox);
    for path in [&pack, &index] {
        let mut bytes = std::fs::read(path).expect("read");
        bytes[12] = 1; // a required feature
        overwrite(path, &bytes);
    }
    let store = sandbox.store();
    put(&store, std::slice::from_ref(&old), F32).expect("put");
    assert_eq!(store.read(&ObjectId::of(&old), 100).expect("read"), old);
    let id = ObjectId::of(&new);
    assert!(!store.contains(&id).expect("looked up"));
    let refused = store.object(&id).expect_err("newer");
    assert_eq!(refused.kind(), Kind::Unsupported);
    assert!(refused.to_string().contains("newer mvc"), "{refused}");
    assert_ne!(store.verify(&Silent).expect("verified").damage, []);
    assert_eq!(store.usage().expect("counted").packs, 2);
}
