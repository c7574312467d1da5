//! Blocks of quantised numbers.

use super::super::*;
use super::quantised::quantised;
use super::{Pair, best};
use crate::base::Quant;
use crate::base::id::CHUNK;

/// Floats quantised in blocks: against what they were, alone, and what zstd makes of the same chunks, alone and of
/// their XOR.
pub(super) fn report(quant: Quant, pairs: impl FnOnce() -> Vec<Pair>) {
    let name = format!("{} fine-tune", quant.name());
    let wanted = std::env::var("MVC_CASE").unwrap_or_default();
    if !name.contains(&wanted) {
        return;
    }
    let quantised = |bytes: &[u8]| quantised(quant, bytes);
    let pairs: Vec<(Vec<u8>, Vec<u8>)> = pairs()
        .iter()
        .map(|pair| (quantised(&pair.new), quantised(&pair.base)))
        .collect();
    let fields = quant.fields();
    let tables = fields::tables(&fields);
    let element = Element::number(1, false);
    let chunks: Vec<(u64, &[u8], &[u8])> = pairs
        .iter()
        .flat_map(|(new, base)| {
            let places = (0..).step_by(CHUNK);
            let pieces = new.chunks(CHUNK).zip(base.chunks(CHUNK));
            places.zip(pieces).map(|(at, (new, base))| (at, new, base))
        })
        .collect();
    let raw: usize = chunks.iter().map(|(_, new, _)| new.len()).sum();
    let speed = |seconds: f64| raw as f64 / seconds / 1e9;
    let mut line = format!("{name:34}");
    for based in [true, false] {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        let mut stored = vec![Vec::new(); chunks.len()];
        let encoding = best(|| {
            for ((offset, new, base), out) in chunks.iter().zip(&mut stored) {
                out.clear();
                let base = based.then_some(*base);
                fields::encode(new, &fields, *offset, base, &mut encoder, out);
            }
        });
        let mut room = vec![0; CHUNK];
        let mut decode = |at: usize| {
            let (_, new, base) = chunks[at];
            let chunk = Stored {
                payload: &stored[at],
                element,
                tables: &tables,
                base,
            };
            let out = &mut room[..new.len()];
            let decoded = decoder.decode(fields::ID, &chunk, out);
            decoded.expect("it was just encoded");
            &*out == new
        };
        assert!((0..chunks.len()).all(&mut decode), "other bytes");
        let decoding = best(|| (0..chunks.len()).for_each(|at| _ = decode(at)));
        let size: usize = stored.iter().map(Vec::len).sum();
        let ratio = raw as f64 / size as f64;
        let (encoding, decoding) = (speed(encoding), speed(decoding));
        line += &format!(" {ratio:9.3}x {encoding:6.3} {decoding:6.3}");
    }
    let mut frames = Compressor::new();
    for xor in [true, false] {
        let sizes = chunks.iter().map(|(_, new, base)| {
            let mut bytes = new.to_vec();
            if xor {
                bytes.iter_mut().zip(*base).for_each(|(a, b)| *a ^= b);
            }
            let mut out = Vec::new();
            frames.general(&bytes, &mut out);
            out.len()
        });
        let size: usize = sizes.sum();
        line += &format!(" {:9.3}x", raw as f64 / size as f64);
    }
    println!("{line}  delta, alone; zstd of XOR, alone");
}
