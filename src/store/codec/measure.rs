//! Ratios and speeds of the codecs on one core, for whoever changes them:
//! `tests/bench/run codecs`, or `cargo test --release --lib -- --ignored --nocapture codecs_in_figures`.
//!
//! `MVC_MINILM` names the folder of MiniLM, whose fine-tune is `minilm/v2.safetensors` in `MVC_WORKLOAD`
//! (`../shared/workload`); where either is missing, weights are made up. `MVC_CASE` leaves out the cases whose name is
//! without it. Everything is in chunks of 1 MiB, tables included, best of five rounds or of `MVC_ROUNDS`. `MVC_PYTHON`
//! names a Python that has ZipNN, which is then measured beside: on the numbers (as `planes` is), and on their XOR.

#![expect(clippy::print_stdout, reason = "it reports to whoever runs it")]

mod blocks;
mod peers;
pub(in crate::store) mod quantised;
mod weights;

use std::time::Instant;

use super::*;
use crate::base::Quant;
use crate::base::id::CHUNK;
use weights::{bf16, decay, f16, fp8, large_matrix, made_up, minilm, prune, wide};

/// Rounds of each measurement; the best counts.
fn rounds() -> usize {
    let wanted = std::env::var("MVC_ROUNDS").ok();
    wanted.and_then(|rounds| rounds.parse().ok()).unwrap_or(5)
}

/// A tensor and what it was before.
#[derive(Clone)]
struct Pair {
    kind: &'static str,
    columns: usize,
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
        "{:34} {:24} {:24} {:24} {:24} ZipNN, XOR",
        "ratio, GB/s in, GB/s out", "delta", "planes", "BitX", "ZipNN"
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
    report_views("BF16 fine-tune, encoder, low rank", Format::Bf16, || {
        map(only("encoder"), bf16)
    });
    report_views("BF16 fine-tune, whole, low rank", Format::Bf16, || {
        map(pairs.clone(), bf16)
    });
    report_views("F32 fine-tune, encoder, low rank", Format::F32, || {
        only("encoder")
    });
    report_views("F32 fine-tune, whole, low rank", Format::F32, || {
        pairs.clone()
    });
    report_views("F16 fine-tune, encoder, low rank", Format::F16, || {
        map(only("encoder"), f16)
    });
    report_views("BF16 of 4096 columns, low rank", Format::Bf16, || {
        map(vec![large_matrix()], bf16)
    });
    for kind in ["words", "encoder"] {
        report(&format!("F32 fine-tune, {kind}"), 4, || only(kind));
    }
    report("F32 fine-tune, whole", 4, || pairs.clone());
    report("F16 fine-tune, whole", 2, || map(pairs.clone(), f16));
    report("E5M2 fine-tune, whole", 1, || {
        map(map(pairs.clone(), bf16), fp8)
    });
    report("F64 fine-tune, encoder", 8, || map(only("encoder"), wide));
    for depth in [1, 8] {
        report_chain("BF16 fine-tune, whole", depth, || map(pairs.clone(), bf16));
    }

    for quant in [Quant::Q8_0, Quant::Q4_0, Quant::Q4K, Quant::Q6K] {
        // Vectors and small tensors stay floats.
        let large = pairs.iter().filter(|pair| pair.new.len() >= 1 << 17);
        blocks::report(quant, || large.cloned().collect());
    }

    let tuned = |change: &dyn Fn(&Pair) -> Vec<u8>| -> Vec<Pair> {
        let pairs = pairs.iter().map(|pair| Pair {
            kind: pair.kind,
            columns: pair.columns,
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
            columns: self.columns,
            base: change(&self.base),
            new: change(&self.new),
        }
    }
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.as_chunks().0.iter().copied().map(f32::from_le_bytes)
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
    let show = |(stored, encode, decode): Figures| {
        let speed = |seconds: f64| raw as f64 / seconds / 1e9;
        let ratio = raw as f64 / stored as f64;
        format!(" {ratio:9.3}x {:6.3} {:6.3}", speed(encode), speed(decode))
    };
    let mut line = [delta, planes, peers::bitx(&chunks, usize::from(width))]
        .map(show)
        .concat();
    for xor in [false, true] {
        line += &peers::zipnn(name, &chunks, xor).map_or(format!(" {:>10}", "-"), show);
    }
    println!("{name:34}{line}");
}

/// The same with matrices of low rank.
fn report_views(name: &str, format: Format, pairs: impl FnOnce() -> Vec<Pair>) {
    let wanted = std::env::var("MVC_CASE").unwrap_or_default();
    if !name.contains(&wanted) {
        return;
    }
    let conversion = Conversion {
        from: format,
        to: format,
        factor: 1.0,
    };
    let element = Element::number(format.width() as u8, true);
    let pairs = pairs();
    let raw: usize = pairs.iter().map(|pair| pair.new.len()).sum();
    let mut views = Vec::new();
    let fitting = best(|| {
        let fitted = pairs.iter().map(|pair| {
            let numbers = pair.new.len() / format.width();
            let mut sample = Sample::new(pair.columns as u64, numbers as u64)?;
            sample.add(&conversion, &pair.new, &pair.base, 0, 1 << 18);
            View::with_low_rank(conversion, &sample)
        });
        views = fitted.collect();
    });
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
    let tables: Vec<Vec<u8>> = views
        .iter()
        .map(|view| {
            view.as_ref()
                .map(|view| encoder.tables(view))
                .unwrap_or_default()
        })
        .collect();
    let mut chunks = Vec::new();
    for (at, pair) in pairs.iter().enumerate() {
        let pieces = pair.new.chunks(CHUNK).zip(pair.base.chunks(CHUNK));
        chunks.extend(pieces.enumerate().map(|(index, (new, base))| {
            let against = Against {
                base,
                look: views[at].as_ref().map_or(Look::Same, Look::View),
                strips: &[],
            };
            let chunk = Chunk {
                raw: new,
                element,
                fields: None,
                offset: (index * CHUNK) as u64,
            };
            (chunk, against, tables[at].as_slice())
        }));
    }
    let mut stored = vec![(0, Vec::new()); chunks.len()];
    let encoding = best(|| {
        for ((chunk, against, _), (codec, out)) in chunks.iter().zip(&mut stored) {
            *codec = encoder.encode(chunk, Some(*against), out);
        }
    });
    let mut room = vec![0; CHUNK];
    let mut decode = |at: usize| {
        let (Chunk { raw: new, .. }, against, tables) = chunks[at];
        let (codec, out) = &stored[at];
        let chunk = Stored {
            payload: if *codec == RAW { new } else { out },
            element,
            tables,
            base: against.base,
        };
        let out = &mut room[..new.len()];
        decoder
            .decode(*codec, &chunk, out)
            .expect("it was just encoded");
        &*out == new
    };
    assert!((0..chunks.len()).all(&mut decode), "other bytes");
    let decoding = best(|| (0..chunks.len()).for_each(|at| _ = decode(at)));
    let shared: usize = tables.iter().map(Vec::len).sum();
    let size: usize = stored.iter().map(|(_, out)| out.len()).sum();
    let speed = |seconds: f64| raw as f64 / seconds / 1e9;
    println!(
        "{name:34} {:8.3}x {:6.3} {:6.3}  fit {:6.3}, tables {:.1} %",
        raw as f64 / (size + shared) as f64,
        speed(encoding),
        speed(decoding),
        speed(fitting),
        100.0 * shared as f64 / (size + shared) as f64,
    );
}

/// A fine-tune in so many steps of the same length, each a delta to the one before: how fast the last is decoded from
/// the first, chunk by chunk, and what all of them take.
fn report_chain(name: &str, depth: usize, pairs: impl FnOnce() -> Vec<Pair>) {
    let name = format!("{name}, in {depth}");
    let wanted = std::env::var("MVC_CASE").unwrap_or_default();
    if !name.contains(&wanted) {
        return;
    }
    let element = Element::number(2, true);
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
    let pairs = pairs();
    let chunks: Vec<(&[u8], &[u8])> = pairs
        .iter()
        .flat_map(|pair| pair.new.chunks(CHUNK).zip(pair.base.chunks(CHUNK)))
        .collect();
    let mut link = |base: &[u8], new: &[u8]| {
        let mut out = Vec::new();
        delta::encode(new, base, 2, true, &mut encoder, &mut out);
        out
    };
    let chains: Vec<Vec<Vec<u8>>> = chunks
        .iter()
        .map(|(new, base)| {
            let version = |step| between(base, new, step as f32 / depth as f32);
            let links = (0..depth).map(|step| link(&version(step), &version(step + 1)));
            links.collect()
        })
        .collect();
    let mut rooms = [vec![0; CHUNK], vec![0; CHUNK]];
    let mut decode = |at: usize| {
        let (new, base) = chunks[at];
        rooms[0][..base.len()].copy_from_slice(base);
        for payload in &chains[at] {
            let [base, out] = &mut rooms;
            let chunk = Stored {
                payload,
                element,
                tables: &[],
                base: &base[..new.len()],
            };
            let decoded = decoder.decode(delta::ID, &chunk, &mut out[..new.len()]);
            decoded.expect("it was just encoded");
            rooms.swap(0, 1);
        }
        rooms[0][..new.len()] == *new
    };
    assert!((0..chunks.len()).all(&mut decode), "other bytes");
    // All chunks in one go: the clock of a thread moves too rarely for a single one.
    let decoding = best(|| (0..chunks.len()).for_each(|at| _ = decode(at)));
    let raw: usize = chunks.iter().map(|(new, _)| new.len()).sum();
    let stored: usize = chains.iter().flatten().map(Vec::len).sum();
    println!(
        "{name:34} {:9.3}x {:6} {:6.3}",
        (raw * depth) as f64 / stored as f64,
        "",
        raw as f64 / decoding / 1e9,
    );
}

/// BF16 on the way from one to another.
fn between(from: &[u8], to: &[u8], way: f32) -> Vec<u8> {
    let float = |bytes: &[u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16);
    let pairs = from.as_chunks().0.iter().zip(to.as_chunks().0);
    let mixed = pairs.flat_map(|(from, to)| {
        let (from, to) = (float(from), float(to));
        (from + (to - from) * way).to_le_bytes()
    });
    // Both ends are what they were, whatever arithmetic makes of them.
    match way {
        0.0 => from.to_vec(),
        1.0 => to.to_vec(),
        _ => bf16(&mixed.collect::<Vec<u8>>()),
    }
}

/// Bytes, and seconds to encode and to decode.
type Figures = (usize, f64, f64);

fn run(
    codec: u8,
    element: Element,
    chunks: &[(&[u8], &[u8])],
    encode: impl Fn(&[u8], &[u8], &mut Encoder, &mut Vec<u8>),
) -> Figures {
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

/// Seconds that some work takes at best. It is done again and again until the clock, which moves every few
/// milliseconds, has moved far enough to be believed.
fn best(mut work: impl FnMut()) -> f64 {
    const ENOUGH: f64 = 0.1;
    let rounds = (0..rounds()).map(|_| {
        let start = now();
        let mut times = 0.0;
        loop {
            work();
            times += 1.0;
            let took = now() - start;
            if took >= ENOUGH {
                return took / times;
            }
        }
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
