//! Blocks of quantised numbers.

use super::super::*;
use super::quantised::quantised;
use super::{Pair, best};
use crate::base::Quant;
use crate::base::id::CHUNK;

/// Where a chunk begins, its bytes, those of its base, and the floats that its blocks stand for.
type Piece<'a> = (u64, &'a [u8], &'a [u8], &'a [u8]);

/// Floats quantised in blocks: against what they were, alone, against the floats themselves, and what zstd makes of the
/// same chunks, alone and of their XOR.
pub(super) fn report(quant: Quant, pairs: impl FnOnce() -> Vec<Pair>) {
    let name = format!("{} fine-tune", quant.name());
    let wanted = std::env::var("MVC_CASE").unwrap_or_default();
    if !name.contains(&wanted) {
        return;
    }
    let quantised = |bytes: &[u8]| quantised(quant, bytes);
    let floats = pairs();
    let pairs: Vec<(Vec<u8>, Vec<u8>)> = floats
        .iter()
        .map(|pair| (quantised(&pair.new), quantised(&pair.base)))
        .collect();
    let fields = quant.fields();
    let place = Floats::of(Format::F32, &fields).expect("its numbers are values");
    let tables = fields::tables(&fields);
    let element = Element::number(1, false);
    let chunks: Vec<Piece<'_>> = pairs
        .iter()
        .zip(&floats)
        .flat_map(|((new, base), floats)| {
            let places = (0..).step_by(CHUNK);
            let pieces = new.chunks(CHUNK).zip(base.chunks(CHUNK));
            places.zip(pieces).map(move |(at, (new, base))| {
                let start = place.offset(at) as usize;
                let len = place.len(at, new.len() as u64) as usize;
                (at, new, base, &floats.new[start..start + len])
            })
        })
        .collect();
    let raw: usize = chunks.iter().map(|(_, new, ..)| new.len()).sum();
    let speed = |seconds: f64| raw as f64 / seconds / 1e9;
    let mut line = format!("{name:34}");
    for case in 0..3 {
        let under = |at: usize| {
            let (_, _, base, floats) = chunks[at];
            match case {
                0 => (fields::Under::Blocks(base), base),
                1 => (fields::Under::Nothing, base),
                _ => (fields::Under::Floats(Format::F32, floats), floats),
            }
        };
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        let mut stored = vec![Vec::new(); chunks.len()];
        let encoding = best(|| {
            for (at, out) in stored.iter_mut().enumerate() {
                let (offset, new, ..) = chunks[at];
                out.clear();
                fields::encode(new, &fields, offset, under(at).0, &mut encoder, out);
            }
        });
        let mut room = vec![0; CHUNK];
        let mut decode = |at: usize| {
            let (_, new, ..) = chunks[at];
            let chunk = Stored {
                payload: &stored[at],
                element,
                tables: &tables,
                base: under(at).1,
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
        let sizes = chunks.iter().map(|(_, new, base, _)| {
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
    println!("{line}  delta, alone, of floats; zstd of XOR, alone");
}
