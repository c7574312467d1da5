//! Weights to measure by: those of MiniLM before and after a fine-tune, or made-up ones, and what becomes of weights.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Pair, floats};

/// The tensors of F32 of MiniLM before and after its fine-tune.
pub(super) fn minilm() -> Option<Vec<Pair>> {
    let before = PathBuf::from(std::env::var_os("MVC_MINILM")?).join("model.safetensors");
    let workload = std::env::var_os("MVC_WORKLOAD").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/workload");
    let after = workload
        .unwrap_or_else(beside)
        .join("minilm/v2.safetensors");
    let (before, after) = (tensors(&before)?, tensors(&after)?);
    let pairs = before.into_iter().filter_map(|(name, (columns, base))| {
        let new = after.get(&name)?.1.clone();
        let kind = match () {
            () if name.contains("word_embeddings") => "words",
            () if name.contains("LayerNorm") || !name.ends_with("weight") => "rest",
            () if name.contains("encoder") => "encoder",
            () => "rest",
        };
        Some(Pair {
            kind,
            columns,
            base,
            new,
        })
    });
    Some(pairs.collect())
}

fn tensors(path: &Path) -> Option<BTreeMap<String, (usize, Vec<u8>)>> {
    let file = std::fs::read(path).ok()?;
    let (len, rest) = file.split_first_chunk()?;
    let (header, data) = rest.split_at_checked(u64::from_le_bytes(*len) as usize)?;
    let header: serde_json::Value = serde_json::from_slice(header).ok()?;
    let tensors = header.as_object()?.iter().filter_map(|(name, tensor)| {
        let offset = |i: usize| Some(tensor["data_offsets"][i].as_u64()? as usize);
        let bytes = data.get(offset(0)?..offset(1)?)?;
        let columns = tensor["shape"][1].as_u64().unwrap_or(0) as usize;
        (tensor["dtype"] == "F32").then(|| (name.clone(), (columns, bytes.to_vec())))
    });
    Some(tensors.collect())
}

/// A matrix as large as those of language models, which moved in 24 directions and at random.
pub(super) fn large_matrix() -> Pair {
    const SIDE: usize = 4096;
    const RANK: usize = 24;
    let mut normal = normals();
    let mut factor = || (0..SIDE * RANK).map(|_| normal()).collect::<Vec<f32>>();
    let (left, right) = (factor(), factor());
    let base: Vec<f32> = (0..SIDE * SIDE / 4).map(|_| normal() * 0.02).collect();
    let mut new = base.clone();
    for (row, left) in new.chunks_mut(SIDE).zip(left.chunks(RANK)) {
        for (x, right) in row.iter_mut().zip(right.chunks(RANK)) {
            let pairs = left.iter().zip(right).enumerate();
            let step: f32 = pairs
                .map(|(rank, (a, b))| a * b / (1.0 + rank as f32))
                .sum();
            *x += 1e-4 * (step + normal());
        }
    }
    let bytes = |x: Vec<f32>| x.into_iter().flat_map(f32::to_le_bytes).collect();
    Pair {
        kind: "large",
        columns: SIDE,
        new: bytes(new),
        base: bytes(base),
    }
}

pub(super) fn made_up() -> Vec<Pair> {
    println!("MVC_MINILM names no MiniLM: weights are made up");
    let mut normal = normals();
    let pairs = ["words", "encoder", "rest"].map(|kind| {
        let base: Vec<f32> = (0..1 << 21).map(|_| normal() * 0.03).collect();
        let new: Vec<f32> = base
            .iter()
            .enumerate()
            .map(|(i, x)| {
                if kind == "words" && i / 384 % 4 > 0 {
                    *x
                } else {
                    x + normal() * 1e-4
                }
            })
            .collect();
        let bytes = |x: Vec<f32>| x.into_iter().flat_map(f32::to_le_bytes).collect();
        Pair {
            kind,
            columns: 512,
            base: bytes(base),
            new: bytes(new),
        }
    });
    pairs.to_vec()
}

/// Random numbers, nearly normal.
fn normals() -> impl FnMut() -> f32 {
    let mut state = 1u64;
    move || {
        let mut sum = -6.0;
        for _ in 0..12 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(99);
            sum += (state >> 40) as f32 / (1u64 << 24) as f32;
        }
        sum
    }
}

pub(super) fn bf16(bytes: &[u8]) -> Vec<u8> {
    let rounded = floats(bytes).map(|x| {
        let bits = x.to_bits();
        ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
    });
    rounded.flat_map(u16::to_le_bytes).collect()
}

pub(super) fn f16(bytes: &[u8]) -> Vec<u8> {
    let rounded = floats(bytes).map(|x| {
        // Good for what weights are: below 2^-14 it flushes to zero.
        let bits = x.abs().to_bits();
        let bits = (bits + 0xfff + (bits >> 13 & 1)) >> 13;
        (bits.saturating_sub(112 << 10) as u16) | u16::from(x < 0.0) << 15
    });
    rounded.flat_map(u16::to_le_bytes).collect()
}

/// BF16 to a float of eight bits with five of exponent, made to fit by a scale.
pub(super) fn fp8(bytes: &[u8]) -> Vec<u8> {
    let rounded = bytes.as_chunks().0.iter().map(|bytes| {
        let bits = u16::from_le_bytes(*bytes);
        let magnitude = (bits & 0x7fff).saturating_sub(103 << 7) + 16;
        (magnitude >> 5).min(127) as u8 | (bits >> 8 & 0x80) as u8
    });
    rounded.collect()
}

pub(super) fn wide(bytes: &[u8]) -> Vec<u8> {
    floats(bytes)
        .flat_map(|x| f64::from(x).to_le_bytes())
        .collect()
}

pub(super) fn prune(bytes: &[u8], zero: impl Fn(f32) -> f32) -> Vec<u8> {
    let mut sizes: Vec<f32> = floats(bytes).map(f32::abs).collect();
    let middle = sizes.len() / 2;
    let (_, threshold, _) = sizes.select_nth_unstable_by(middle, f32::total_cmp);
    let pruned = floats(bytes).map(|x| if x.abs() < *threshold { zero(x) } else { x });
    pruned.flat_map(f32::to_le_bytes).collect()
}

/// What 300 steps of weight decay make of the rows of 384 that a fine-tune did not touch.
pub(super) fn decay(pair: &Pair, falling: bool) -> Pair {
    let mut new = pair.new.clone();
    for (row, base) in new.chunks_mut(1536).zip(pair.base.chunks(1536)) {
        if row == base && pair.kind == "words" {
            for bytes in row.as_chunks_mut::<4>().0 {
                let mut x = f32::from_le_bytes(*bytes);
                for step in 0..300 {
                    let left = if falling {
                        (300 - step) as f32 / 300.0
                    } else {
                        1.0
                    };
                    let rate = 2e-7 * left;
                    x *= 1.0 - rate;
                }
                *bytes = x.to_le_bytes();
            }
        }
    }
    Pair {
        new,
        ..pair.clone()
    }
}
