//! The store as a whole: what is put comes back, from any order of events and of failures.

mod bases;
mod blocks;
mod casts;
mod copies;
mod crash;
mod damage;
mod decay;
mod deltas;
mod gc;
mod gc_beside;
mod malice;
mod many;
mod mend;
mod mosaics;
mod put;
mod rearranged;
mod repack;
mod repack_copies;
mod repack_leftovers;
mod repack_work;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;
use crate::base::fs::TempFile;
use crate::base::id::CHUNK;
use crate::base::progress::Silent;

const F32: Element = Element::number(4, true);

/// A store in a folder of its own.
struct Sandbox {
    dir: TempDir,
}

impl Sandbox {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a temp folder"),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("mvc")
    }

    fn store(&self) -> Store {
        Store::open(Fs::new(), &self.path()).expect("opened")
    }

    fn files(&self, folder: &str) -> Vec<PathBuf> {
        files(&self.path().join(folder))
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries.map(|e| e.expect("listed").path()).collect();
    files.sort();
    files
}

/// The same bytes for the same seed: floats of a small spread, so that they compress.
fn weights(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(len + 4);
    while bytes.len() < len {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let noise = (state >> 41) as u32;
        let sign = (state as u32 & 0x100) << 23;
        bytes.extend((sign | (120 + (noise & 3)) << 23 | noise).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

fn item(bytes: &Vec<u8>, element: Element) -> PutItem<'_> {
    PutItem {
        source: bytes,
        offset: 0,
        len: bytes.len() as u64,
        element,
        expect: None,
        bases: Vec::new(),
        numbers: None,
        fields: None,
    }
}

/// Puts these in one pack.
fn put(store: &Store, all: &[Vec<u8>], element: Element) -> Result<Vec<Put>> {
    put_split(store, all, element, u64::MAX >> 16)
}

/// Puts these in packs that take no further object above `limit` bytes.
fn put_split(store: &Store, all: &[Vec<u8>], element: Element, limit: u64) -> Result<Vec<Put>> {
    let mut writer = store.writer()?;
    writer.split_at(limit);
    let items: Vec<_> = all.iter().map(|bytes| item(bytes, element)).collect();
    let puts = writer.put_all(&items, &Silent)?;
    writer.finish()?;
    Ok(puts)
}

/// Everything in the store that is in `all` is right, and the store is undamaged.
fn holds(store: &Store, all: &[Vec<u8>]) {
    for bytes in all {
        let id = ObjectId::of(bytes);
        assert_eq!(&store.read(&id, u64::MAX).expect("read"), bytes);
        assert!(store.contains(&id).expect("looked up"));
    }
    let checked = store.verify(&Silent).expect("verified");
    assert_eq!(checked.damage, []);
}

fn temp(dir: &Path) -> TempFile {
    Fs::new().temp_in(dir).expect("created")
}
