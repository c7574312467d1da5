//! Chunks that are coded against several places at once: read, proved, kept for, and refused where they are malice.

use super::super::checksum::checksum;
use super::super::codec::{self, Against, Encoder, Look, Strip};
use super::super::record::{Body, Chunk, Record};
use super::bases::{Handmade, publish};
use super::*;
use crate::base::Kind;
use crate::base::id::{ChunkValue, chunk_value, id_of_chunks};
use crate::base::kind::Failure;

/// A record of `bytes`, each chunk against what these strips put together of the bases, and its stored bytes.
pub(super) fn mosaic(
    bytes: &[u8],
    bases: &[&[u8]],
    strips: impl Fn(usize) -> Vec<Strip>,
) -> Handmade {
    let (mut stored, mut chunks) = (Vec::new(), Vec::new());
    let mut encoder = Encoder::new();
    for (index, chunk) in bytes.chunks(CHUNK).enumerate() {
        let strips = strips(index);
        let mut base = vec![0; chunk.len()];
        for strip in &strips {
            for run in 0..strip.runs {
                let (to, from) = (
                    (strip.at + run * strip.stride) as usize,
                    (strip.from + run * strip.base_stride) as usize,
                );
                let len = strip.len as usize;
                let have = bases
                    .get(usize::from(strip.base))
                    .and_then(|base| base.get(from..from + len));
                if let Some(have) = have {
                    base[to..to + len].copy_from_slice(have);
                }
            }
        }
        let against = Against {
            base: &base,
            look: Look::Same,
            strips: &strips,
        };
        let mut payload = Vec::new();
        let raw = codec::Chunk {
            raw: chunk,
            element: F32,
            fields: None,
            offset: (index * CHUNK) as u64,
        };
        let codec = encoder.encode(&raw, Some(against), &mut payload);
        assert_eq!(codec, 6, "chunk {index}");
        chunks.push(Chunk {
            codec,
            base: None,
            base_offset: 0,
            stored: payload.len() as u32,
            checksum: checksum(&payload),
            at: stored.len() as u64,
        });
        stored.extend(payload);
    }
    let values = values(bytes);
    let id = id_of_chunks(&values).unwrap_or_else(|| ObjectId::of(bytes));
    let record = Record {
        id,
        len: bytes.len() as u64,
        element: F32,
        bases: bases.iter().map(|base| ObjectId::of(base)).collect(),
        tables: Vec::new(),
        payload: 0,
        body: Body::Chunks(chunks),
        values: if values.len() > 1 { values } else { Vec::new() },
    };
    (record, stored)
}

pub(super) fn values(bytes: &[u8]) -> Vec<ChunkValue> {
    let chunks = (0..).zip(bytes.chunks(CHUNK));
    chunks.map(|(i, chunk)| chunk_value(i, chunk)).collect()
}

/// Three matrices of 1000 rows, and the matrix of their rows side by side.
fn beside() -> ([Vec<u8>; 3], Vec<u8>) {
    let parts = [1, 2, 3].map(|seed| weights(1000 * 700, seed));
    let rows = (0..1000).flat_map(|row| parts.iter().map(move |part| &part[row * 700..][..700]));
    let whole = rows.flatten().copied().collect();
    (parts, whole)
}

/// Where chunk 0 or 1 of such a matrix is.
fn columns(index: usize) -> Vec<Strip> {
    let skipped = index * CHUNK;
    let mut strips = Vec::new();
    for row in 0..1000 {
        for part in 0..3 {
            let at = row * 2100 + part * 700;
            let from = at.max(skipped);
            let to = (at + 700).min(skipped + CHUNK);
            if from < to {
                let place = (from - skipped) as u64;
                let base = (row * 700 + from - at) as u64;
                strips.push(Strip::run(part as u8, place, base, (to - from) as u64));
            }
        }
    }
    strips
}

#[test]
fn a_chunk_is_put_together_of_several_bases_and_proved() {
    let sandbox = Sandbox::new();
    let (parts, whole) = beside();
    put(&sandbox.store(), &parts, F32).expect("put");
    let bases: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let (record, stored) = mosaic(&whole, &bases, columns);
    assert!(stored.len() * 50 < whole.len(), "{}", stored.len());
    publish(&sandbox, vec![(record.clone(), stored)]);
    let store = sandbox.store();
    holds(&store, &[&parts[..], &[whole]].concat());
    assert_eq!(store.height(&record.id).expect("known"), 1);
    assert!(store.is_sound(&record.id).expect("looked at"));
}

#[test]
fn every_base_of_a_mosaic_is_needed() {
    let (parts, whole) = beside();
    let bases: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    for lost in 0..3 {
        let sandbox = Sandbox::new();
        let others: Vec<_> = (0..3).filter(|part| *part != lost).collect();
        for part in others {
            put(&sandbox.store(), &parts[part..=part], F32).expect("put");
        }
        let (record, stored) = mosaic(&whole, &bases, columns);
        publish(&sandbox, vec![(record.clone(), stored)]);
        let store = sandbox.store();
        let error = store
            .read(&record.id, u64::MAX)
            .expect_err("a base is gone");
        assert_eq!(error.kind(), Kind::Missing);
        assert!(!store.is_sound(&record.id).expect("looked at"), "{lost}");
        assert_eq!(store.verify(&Silent).expect("verified").damage.len(), 1);
        put(&store, &parts[lost..=lost], F32).expect("put");
        assert!(store.is_sound(&record.id).expect("looked at"), "{lost}");
        holds(&sandbox.store(), std::slice::from_ref(&whole));
    }
}

#[test]
fn a_base_that_ends_before_is_zeros_and_one_that_is_not_listed_is_damage() {
    let base = weights(4000, 1);
    let mut bytes = base.clone();
    bytes.extend([0; 4000]);
    let mut zeros = base.clone();
    zeros.resize(8000, 0);
    let short = |_| vec![Strip::run(0, 0, 0, 8000)];
    let sandbox = Sandbox::new();
    put(&sandbox.store(), std::slice::from_ref(&base), F32).expect("put");
    let (mut record, stored) = mosaic(&bytes, &[&zeros], short);
    record.bases = vec![ObjectId::of(&base)];
    publish(&sandbox, vec![(record, stored)]);
    holds(&sandbox.store(), &[bytes]);

    let other = weights(8000, 7);
    let moved: Vec<u8> = [&other[..4000], &base].concat();
    let beyond = |_| vec![Strip::run(1, 4000, 0, 4000)];
    let (mut record, stored) = mosaic(&moved, &[&base, &base], beyond);
    record.bases.truncate(1);
    publish(&sandbox, vec![(record.clone(), stored)]);
    let store = sandbox.store();
    let error = store.read(&record.id, u64::MAX).expect_err("no such base");
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(!store.is_sound(&record.id).expect("looked at"));

    let whole = |_| vec![Strip::run(0, 4000, 0, 4000)];
    let moved: Vec<u8> = [&other[4000..], &base].concat();
    let (mut record, stored) = mosaic(&moved, &[&base], whole);
    let Body::Chunks(chunks) = &mut record.body else {
        unreachable!("it has chunks");
    };
    chunks[0].base = Some(0);
    publish(&sandbox, vec![(record.clone(), stored)]);
    let error = sandbox.store().read(&record.id, u64::MAX);
    let error = error.expect_err("its row names a base as well");
    assert_eq!(error.kind(), Kind::Damaged);
    let sound = sandbox.store().is_sound(&ObjectId::of(&moved));
    assert!(!sound.expect("looked at"));
}
