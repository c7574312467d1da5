//! Quantised blocks to numbers, as ggml's reference does it: in F32, product by product.
//!
//! Where the layout of a type needs a table of thousands of values (`IQ1` to `IQ3`), or is young, it is not decoded:
//! no figures are better than ones that may be wrong.

use super::decode::half;
use crate::base::Quant;

/// What turns one block of a type into its elements.
type Read = fn(&[u8], &mut [f64]);

/// The reader of a type; `None` where it is not decoded.
pub(super) fn reader(quant: Quant) -> Option<Read> {
    match quant {
        Quant::Q4_0 => Some(q4_0),
        Quant::Q4_1 => Some(q4_1),
        Quant::Q5_0 => Some(q5_0),
        Quant::Q5_1 => Some(q5_1),
        Quant::Q8_0 => Some(q8_0),
        Quant::Q2K => Some(q2_k),
        Quant::Q3K => Some(q3_k),
        Quant::Q4K => Some(q4_k),
        Quant::Q5K => Some(q5_k),
        Quant::Q6K => Some(q6_k),
        Quant::Q8K => Some(q8_k),
        Quant::Iq4Nl => Some(iq4_nl),
        Quant::Iq4Xs => Some(iq4_xs),
        Quant::Tq1_0 => Some(tq1_0),
        Quant::Tq2_0 => Some(tq2_0),
        Quant::Mxfp4 => Some(mxfp4),
        Quant::Q1_0
        | Quant::Q8_1
        | Quant::Iq1S
        | Quant::Iq1M
        | Quant::Iq2Xxs
        | Quant::Iq2Xs
        | Quant::Iq2S
        | Quant::Iq3Xxs
        | Quant::Iq3S
        | Quant::Nvfp4 => None,
    }
}

/// Decodes whole blocks. False, and nothing written, where the type is not decoded.
pub(super) fn decode(quant: Quant, bytes: &[u8], out: &mut [f64]) -> bool {
    let Some(read) = reader(quant) else {
        return false;
    };
    let block = quant.block();
    let blocks = bytes.chunks_exact(block.bytes as usize);
    for (bytes, out) in blocks.zip(out.chunks_exact_mut(block.values as usize)) {
        read(bytes, out);
    }
    true
}

/// The values that 4 bits stand for in `IQ4_NL` and `IQ4_XS`.
const IQ4: [i8; 16] = [
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
];

/// Twice the values of 4-bit floats (OCP E2M1).
const E2M1: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

fn f16(bytes: &[u8], at: usize) -> f32 {
    // Exact: every F16 is an F32.
    half(u16::from_le_bytes([bytes[at], bytes[at + 1]])) as f32
}

fn signed(byte: u8) -> f32 {
    f32::from(byte.cast_signed())
}

/// Numbers of 4 bits, the low halves of all bytes before the high ones.
fn nibbles(bytes: &[u8], out: &mut [f64], value: impl Fn(u8) -> f32) {
    let (low, high) = out.split_at_mut(bytes.len());
    for ((byte, low), high) in bytes.iter().zip(low).zip(high) {
        *low = value(byte & 15).into();
        *high = value(byte >> 4).into();
    }
}

/// Numbers of 5 bits: [`nibbles`], and a word with the highest bit of each.
fn fives(high: &[u8], bytes: &[u8], out: &mut [f64], value: impl Fn(u8) -> f32) {
    let high = u32::from_le_bytes([high[0], high[1], high[2], high[3]]);
    let five = |low: u8, i: usize| value(low | ((high >> i & 1) as u8) << 4).into();
    for (i, byte) in bytes.iter().enumerate() {
        out[i] = five(byte & 15, i);
        out[i + 16] = five(byte >> 4, i + 16);
    }
}

fn q4_0(block: &[u8], out: &mut [f64]) {
    let d = f16(block, 0);
    nibbles(&block[2..], out, |q| d * (f32::from(q) - 8.0));
}

fn q4_1(block: &[u8], out: &mut [f64]) {
    let (d, m) = (f16(block, 0), f16(block, 2));
    nibbles(&block[4..], out, |q| d * f32::from(q) + m);
}

fn q5_0(block: &[u8], out: &mut [f64]) {
    let d = f16(block, 0);
    let value = |q| d * (f32::from(q) - 16.0);
    fives(&block[2..6], &block[6..], out, value);
}

fn q5_1(block: &[u8], out: &mut [f64]) {
    let (d, m) = (f16(block, 0), f16(block, 2));
    let value = |q| d * f32::from(q) + m;
    fives(&block[4..8], &block[8..], out, value);
}

fn q8_0(block: &[u8], out: &mut [f64]) {
    let d = f16(block, 0);
    for (out, byte) in out.iter_mut().zip(&block[2..]) {
        *out = (d * signed(*byte)).into();
    }
}

/// Where an element of 256 lies whose numbers of 2 bits are spread over all bytes of its half: which byte of 64,
/// and how far up in it.
fn pair_place(i: usize) -> (usize, usize) {
    (i / 128 * 32 + i % 32, i % 128 / 32 * 2)
}

fn q2_k(block: &[u8], out: &mut [f64]) {
    let (scales, numbers) = (&block[..16], &block[16..80]);
    let (d, least) = (f16(block, 80), f16(block, 82));
    for (i, out) in out.iter_mut().enumerate() {
        let (at, shift) = pair_place(i);
        let (q, scale) = (numbers[at] >> shift & 3, scales[i / 16]);
        let offset = least * f32::from(scale >> 4);
        *out = (d * f32::from(scale & 15) * f32::from(q) - offset).into();
    }
}

fn q3_k(block: &[u8], out: &mut [f64]) {
    let (high, numbers, scales) = (&block[..32], &block[32..96], &block[96..108]);
    let d = f16(block, 108);
    for (i, out) in out.iter_mut().enumerate() {
        let s = i / 16;
        let low = scales[s % 8] >> (s / 8 * 4) & 15;
        let scale = low | (scales[8 + s % 4] >> (s / 4 * 2) & 3) << 4;
        let (at, shift) = pair_place(i);
        let q = f32::from(numbers[at] >> shift & 3);
        // A bit that is set stands for an offset of zero.
        let offset = match high[i % 32] >> (i / 32) & 1 {
            0 => 4.0,
            _ => 0.0,
        };
        *out = (d * (f32::from(scale) - 32.0) * (q - offset)).into();
    }
}

/// The scale and the minimum of one of eight parts: 6 bits each, in 12 bytes.
fn scale_and_least(packed: &[u8], part: usize) -> (f32, f32) {
    let (scale, least) = match part {
        0..4 => (packed[part] & 63, packed[part + 4] & 63),
        _ => (
            packed[part + 4] & 15 | packed[part - 4] >> 6 << 4,
            packed[part + 4] >> 4 | packed[part] >> 6 << 4,
        ),
    };
    (scale.into(), least.into())
}

/// The numbers of 4 bits of eight parts, two parts to 32 bytes, and `high` for what is above them.
fn eighths(block: &[u8], numbers: &[u8], out: &mut [f64], high: impl Fn(usize, usize) -> u8) {
    let (d, least) = (f16(block, 0), f16(block, 2));
    for (part, out) in out.chunks_exact_mut(32).enumerate() {
        let (scale, minimum) = scale_and_least(&block[4..16], part);
        let (d, offset) = (d * scale, least * minimum);
        for (i, out) in out.iter_mut().enumerate() {
            let low = numbers[part / 2 * 32 + i] >> (part % 2 * 4) & 15;
            *out = (d * f32::from(low | high(part, i) << 4) - offset).into();
        }
    }
}

fn q4_k(block: &[u8], out: &mut [f64]) {
    eighths(block, &block[16..], out, |_, _| 0);
}

fn q5_k(block: &[u8], out: &mut [f64]) {
    eighths(block, &block[48..], out, |part, i| {
        block[16 + i] >> part & 1
    });
}

fn q6_k(block: &[u8], out: &mut [f64]) {
    let (low, high, scales) = (&block[..128], &block[128..192], &block[192..208]);
    let d = f16(block, 208);
    for (i, out) in out.iter_mut().enumerate() {
        let four = low[i / 128 * 64 + i % 64] >> (i % 128 / 64 * 4) & 15;
        let (at, shift) = pair_place(i);
        let q = f32::from(four | (high[at] >> shift & 3) << 4) - 32.0;
        *out = (d * signed(scales[i / 16]) * q).into();
    }
}

fn q8_k(block: &[u8], out: &mut [f64]) {
    let d = f32::from_le_bytes([block[0], block[1], block[2], block[3]]);
    for (out, byte) in out.iter_mut().zip(&block[4..260]) {
        *out = (d * signed(*byte)).into();
    }
}

fn iq4_nl(block: &[u8], out: &mut [f64]) {
    let d = f16(block, 0);
    nibbles(&block[2..], out, |q| d * f32::from(IQ4[usize::from(q)]));
}

fn iq4_xs(block: &[u8], out: &mut [f64]) {
    let d = f16(block, 0);
    let high = u16::from_le_bytes([block[2], block[3]]);
    let parts = block[8..].chunks_exact(16).zip(out.chunks_exact_mut(32));
    for (part, (bytes, out)) in parts.enumerate() {
        let low = block[4 + part / 2] >> (part % 2 * 4) & 15;
        let scale = low | ((high >> (part * 2) & 3) as u8) << 4;
        let d = d * (f32::from(scale) - 32.0);
        nibbles(bytes, out, |q| d * f32::from(IQ4[usize::from(q)]));
    }
}

/// Digits to the base of 3, five to a byte: as a fraction of 256, from the highest digit down.
fn tq1_0(block: &[u8], out: &mut [f64]) {
    let d = f16(block, 52);
    let value = |byte: u8, digit: usize| {
        let shifted = byte.wrapping_mul([1, 3, 9, 27, 81][digit]);
        f64::from(d * (f32::from((u16::from(shifted) * 3) >> 8) - 1.0))
    };
    for (i, out) in out.iter_mut().enumerate() {
        *out = match i {
            0..160 => value(block[i % 32], i / 32),
            160..240 => value(block[32 + i % 16], (i - 160) / 16),
            _ => value(block[48 + i % 4], (i - 240) / 4),
        };
    }
}

fn tq2_0(block: &[u8], out: &mut [f64]) {
    let d = f16(block, 64);
    for (i, out) in out.iter_mut().enumerate() {
        let (at, shift) = pair_place(i);
        *out = (d * (f32::from(block[at] >> shift & 3) - 1.0)).into();
    }
}

fn mxfp4(block: &[u8], out: &mut [f64]) {
    // A power of two, halved for the table; the two smallest are subnormal.
    let d = f32::from_bits(match block[0] {
        small @ 0..2 => 0x0020_0000 << small,
        exponent => u32::from(exponent - 1) << 23,
    });
    nibbles(&block[1..], out, |q| d * f32::from(E2M1[usize::from(q)]));
}

#[cfg(test)]
mod tests;
