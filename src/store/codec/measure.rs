//! Ratios and speeds of the codecs on one core, for whoever changes them:
//! `cargo test --release --lib -- --ignored --nocapture codecs_in_figures`.
//!
//! `MVC_MINILM` names the folder of MiniLM, whose fine-tune is `../shared/workload/minilm/v2.safetensors`; where
//! either is missing, weights are made up. `MVC_CASE` leaves out the cases whose name is without it. Everything is in chunks of 1 MiB, tables included, best of five rounds.

#![expect(clippy::print_stdout, reason = "it reports to whoever runs it")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::*;
use crate::base::id::CHUNK;

const ROUNDS: usize = 5;

/// A tensor and what it was before.
#[derive(Clone)]
struct Pair {
    kind: &'static str,
    base: Vec<u8>,
    new: Vec<u8>,
}

#[test]
#[ignore = "a measurement"]
fn codecs_in_figures() {
    let pairs = minilm().unwrap_or_else(made_up);
    let only = |kind: &'static str| -> Vec<Pair> {
        let some = pairs.iter().filter(|pair| pair.kind == kind);
        some.cloned().collect()
    };
    println!(
        "{:34} {:>8}  {:>6} {:>6} {:>8}  {:>6} {:>6} {:>8}",
        "", "delta", "GB/s", "GB/s", "planes", "GB/s", "GB/s", "bitx"
    );
    for kind in ["words", "encoder", "rest"] {
        report(&format!("BF16 fine-tune, {kind}"), 2, || {
            map(only(kind), bf16)
        });
    }
    report("BF16 fine-tune, all but words", 2, || {
        let some = pairs.iter().filter(|pair| pair.kind != "words");
        map(some.cloned().collect(), bf16)
    });
    report("BF16 fine-tune, whole", 2, || map(pairs.clone(), bf16));
    for kind in ["words", "encoder"] {
        report(&format!("F32 fine-tune, {kind}"), 4, || only(kind));
    }
    report("F32 fine-tune, whole", 4, || pairs.clone());
    report("F16 fine-tune, whole", 2, || map(pairs.clone(), f16));
    report("E5M2 fine-tune, whole", 1, || {
        map(map(pairs.clone(), bf16), fp8)
    });
    report("F64 fine-tune, encoder", 8, || map(only("encoder"), wide));

    let tuned = |change: &dyn Fn(&Pair) -> Vec<u8>| -> Vec<Pair> {
        let pairs = pairs.iter().map(|pair| Pair {
            kind: pair.kind,
            base: pair.new.clone(),
            new: change(pair),
        });
        pairs.collect()
    };
    report("F32 unchanged", 4, || tuned(&|pair| pair.new.clone()));
    report("F32, 1 % of weights changed", 4, || {
        tuned(&|pair| {
            stirred(
                &pair.new,
                |x, random| if random < 655 { x * 1.001 } else { x },
            )
        })
    });
    for (name, zero) in [("0", 0.0), ("-0", -0.0)] {
        report(&format!("F32, half pruned to {name}"), 4, || {
            tuned(&|pair| prune(&pair.new, |_| zero))
        });
    }
    report("F32, half pruned by a mask", 4, || {
        tuned(&|pair| prune(&pair.new, |x| x * 0.0))
    });
    for (name, falling) in [("constant", false), ("falling", true)] {
        report(&format!("F32, {name} decay, words"), 4, || {
            let words = only("words");
            words.iter().map(|pair| decay(pair, falling)).collect()
        });
        report(&format!("F32, {name} decay, whole"), 4, || {
            pairs.iter().map(|pair| decay(pair, falling)).collect()
        });
    }
    let step = |pair: &Pair| {
        stirred(
            &pair.new,
            |x, random| {
                if random & 1 == 0 { x + 2e-5 } else { x - 2e-5 }
            },
        )
    };
    report("F32, first step", 4, || tuned(&step));
    report("BF16, first step", 2, || map(tuned(&step), bf16));
}

fn map(pairs: Vec<Pair>, change: fn(&[u8]) -> Vec<u8>) -> Vec<Pair> {
    pairs.into_iter().map(|pair| pair.map(change)).collect()
}

/// Each weight, changed with a random number of 16 bits at hand.
fn stirred(bytes: &[u8], change: impl Fn(f32, u32) -> f32) -> Vec<u8> {
    let mut state = 1u32;
    let floats = floats(bytes).map(|x| {
        state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        change(x, state >> 16)
    });
    floats.flat_map(f32::to_le_bytes).collect()
}

impl Pair {
    fn map(self, change: fn(&[u8]) -> Vec<u8>) -> Self {
        Self {
            kind: self.kind,
            base: change(&self.base),
            new: change(&self.new),
        }
    }
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.as_chunks().0.iter().copied().map(f32::from_le_bytes)
}

fn bf16(bytes: &[u8]) -> Vec<u8> {
    let rounded = floats(bytes).map(|x| {
        let bits = x.to_bits();
        ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
    });
    rounded.flat_map(u16::to_le_bytes).collect()
}

fn f16(bytes: &[u8]) -> Vec<u8> {
    let rounded = floats(bytes).map(|x| {
        // Good for what weights are: below 2^-14 it flushes to zero.
        let bits = x.abs().to_bits();
        let bits = (bits + 0xfff + (bits >> 13 & 1)) >> 13;
        (bits.saturating_sub(112 << 10) as u16) | u16::from(x < 0.0) << 15
    });
    rounded.flat_map(u16::to_le_bytes).collect()
}

/// BF16 to a float of eight bits with five of exponent, made to fit by a scale.
fn fp8(bytes: &[u8]) -> Vec<u8> {
    let rounded = bytes.as_chunks().0.iter().map(|bytes| {
        let bits = u16::from_le_bytes(*bytes);
        let magnitude = (bits & 0x7fff).saturating_sub(103 << 7) + 16;
        (magnitude >> 5).min(127) as u8 | (bits >> 8 & 0x80) as u8
    });
    rounded.collect()
}

fn wide(bytes: &[u8]) -> Vec<u8> {
    floats(bytes)
        .flat_map(|x| f64::from(x).to_le_bytes())
        .collect()
}

fn prune(bytes: &[u8], zero: impl Fn(f32) -> f32) -> Vec<u8> {
    let mut sizes: Vec<f32> = floats(bytes).map(f32::abs).collect();
    let middle = sizes.len() / 2;
    let (_, threshold, _) = sizes.select_nth_unstable_by(middle, f32::total_cmp);
    let pruned = floats(bytes).map(|x| if x.abs() < *threshold { zero(x) } else { x });
    pruned.flat_map(f32::to_le_bytes).collect()
}

/// What 300 steps of weight decay make of the rows of 384 that a fine-tune did not touch.
fn decay(pair: &Pair, falling: bool) -> Pair {
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

/// Encodes and decodes all chunks, and prints ratio and speeds.
fn report(name: &str, width: u8, pairs: impl FnOnce() -> Vec<Pair>) {
    let wanted = std::env::var("MVC_CASE").unwrap_or_default();
    if !name.contains(&wanted) {
        return;
    }
    let pairs = pairs();
    let element = Element::number(width, true);
    let chunks: Vec<(&[u8], &[u8])> = pairs
        .iter()
        .flat_map(|pair| pair.new.chunks(CHUNK).zip(pair.base.chunks(CHUNK)))
        .collect();
    let raw: usize = chunks.iter().map(|(new, _)| new.len()).sum();
    let delta = run(delta::ID, element, &chunks, |new, base, tools, out| {
        delta::encode(new, base, width, true, tools, out);
    });
    let planes = run(planes::ID, element, &chunks, |new, _, tools, out| {
        planes::encode(new, width, true, tools, out);
    });
    let reference = chunks
        .iter()
        .map(|(new, base)| bitx(new, base, usize::from(width)));
    let reference: usize = reference.sum();
    print!("{name:34}");
    for (stored, encode, decode) in [delta, planes] {
        let speed = |seconds: f64| raw as f64 / seconds / 1e9;
        let ratio = raw as f64 / stored as f64;
        print!(" {ratio:8.3}x {:6.3} {:6.3}", speed(encode), speed(decode));
    }
    println!(" {:8.3}x", raw as f64 / reference as f64);
}

/// Bytes, and seconds to encode and to decode.
fn run(
    codec: u8,
    element: Element,
    chunks: &[(&[u8], &[u8])],
    encode: impl Fn(&[u8], &[u8], &mut Encoder, &mut Vec<u8>),
) -> (usize, f64, f64) {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
    let mut payloads = vec![Vec::new(); chunks.len()];
    let encoding = best(|| {
        for ((new, base), out) in chunks.iter().zip(&mut payloads) {
            out.clear();
            encode(new, base, &mut encoder, out);
        }
    });
    let mut room = vec![0; CHUNK];
    let mut decode = |at: usize| {
        let (new, base) = chunks[at];
        let chunk = Stored {
            payload: &payloads[at],
            element,
            tables: &[],
            base,
        };
        let out = &mut room[..new.len()];
        let decoded = decoder.decode(codec, &chunk, out);
        decoded.expect("it was just encoded");
        &*out == new
    };
    assert!((0..chunks.len()).all(&mut decode), "other bytes");
    let decoding = best(|| (0..chunks.len()).for_each(|at| _ = decode(at)));
    (payloads.iter().map(Vec::len).sum(), encoding, decoding)
}

fn best(mut work: impl FnMut()) -> f64 {
    let rounds = (0..ROUNDS).map(|_| {
        let start = now();
        work();
        now() - start
    });
    rounds.fold(f64::MAX, f64::min)
}

/// Seconds that this thread has run, where the system tells: other programs on the machine then matter little.
fn now() -> f64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let ran = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let ran = ran.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    match ran {
        Some(nanoseconds) => nanoseconds as f64 / 1e9,
        None => START.get_or_init(Instant::now).elapsed().as_secs_f64(),
    }
}

/// What BitX stores: XOR, the exponents apart from signs and mantissas, both through zstd 3.
fn bitx(new: &[u8], base: &[u8], width: usize) -> usize {
    let xor: Vec<u8> = new.iter().zip(base).map(|(a, b)| a ^ b).collect();
    let bits: Vec<u64> = xor
        .chunks_exact(width)
        .map(|bytes| {
            bytes
                .iter()
                .rev()
                .fold(0, |word, byte| word << 8 | u64::from(*byte))
        })
        .collect();
    let mantissa = 8 * width - 1 - [5, 8, 8, 11][width.trailing_zeros() as usize];
    let exponents: Vec<u8> = bits.iter().map(|bits| (bits >> mantissa) as u8).collect();
    let rest = bits.iter().flat_map(|bits| {
        let sign = bits >> (8 * width - 1) << mantissa;
        let rest = (bits & ((1 << mantissa) - 1)) | sign;
        rest.to_le_bytes()
            .into_iter()
            .take((mantissa + 1).div_ceil(8))
    });
    let rest: Vec<u8> = rest.collect();
    let mut frames = Compressor::new();
    let mut size = 0;
    for part in [&exponents, &rest] {
        let mut out = Vec::new();
        frames.general(part, &mut out);
        size += out.len().min(part.len());
    }
    size
}

/// The tensors of F32 of MiniLM before and after its fine-tune.
fn minilm() -> Option<Vec<Pair>> {
    let before = PathBuf::from(std::env::var_os("MVC_MINILM")?).join("model.safetensors");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let after = root.join("../shared/workload/minilm/v2.safetensors");
    let (before, after) = (tensors(&before)?, tensors(&after)?);
    let pairs = before.into_iter().filter_map(|(name, base)| {
        let new = after.get(&name)?.clone();
        let kind = match () {
            () if name.contains("word_embeddings") => "words",
            () if name.contains("LayerNorm") || !name.ends_with("weight") => "rest",
            () if name.contains("encoder") => "encoder",
            () => "rest",
        };
        Some(Pair { kind, base, new })
    });
    Some(pairs.collect())
}

fn tensors(path: &Path) -> Option<BTreeMap<String, Vec<u8>>> {
    let file = std::fs::read(path).ok()?;
    let (len, rest) = file.split_first_chunk()?;
    let (header, data) = rest.split_at_checked(u64::from_le_bytes(*len) as usize)?;
    let header: serde_json::Value = serde_json::from_slice(header).ok()?;
    let tensors = header.as_object()?.iter().filter_map(|(name, tensor)| {
        let offset = |i: usize| Some(tensor["data_offsets"][i].as_u64()? as usize);
        let bytes = data.get(offset(0)?..offset(1)?)?;
        (tensor["dtype"] == "F32").then(|| (name.clone(), bytes.to_vec()))
    });
    Some(tensors.collect())
}

fn made_up() -> Vec<Pair> {
    println!("MVC_MINILM names no MiniLM: weights are made up");
    let mut state = 1u64;
    let mut normal = || {
        let mut sum = -6.0;
        for _ in 0..12 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(99);
            sum += (state >> 40) as f32 / (1u64 << 24) as f32;
        }
        sum
    };
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
            base: bytes(base),
            new: bytes(new),
        }
    });
    pairs.to_vec()
}
