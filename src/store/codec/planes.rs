//! Codec 3: numbers split into planes of bytes, each plane coded by itself.
//!
//! Byte 0 of every element, then byte 1 of every element, and so on, from the least significant. Floats of
//! two bytes and more are rotated left by one bit before, so that the sign leaves the top and the exponent fills
//! it: the exponents of weights are few, mantissas are noise, and a plane of each compresses as well as its
//! entropy allows. What is left after the last whole element follows the planes as it is.

mod bytes;

use super::frame::Compressor;
use super::{Codec, CodecError, Decoder, Element, Encoder, Stored};
use crate::store::layout::Cursor;

pub(super) const ID: u8 = 3;

/// How one plane is stored.
const RAW: u8 = 0;
const CONSTANT: u8 = 1;
const FRAME: u8 = 2;

/// Above so many bits per byte in a sample, entropy coding would not pay.
const NOISE: f64 = 7.9;

pub(super) struct Planes;

/// True where the sign is rotated out of the top byte.
fn rotates(width: u8, float: bool) -> bool {
    float && width >= 2
}

/// Appends the planes of `raw` to `out`.
pub(super) fn encode(raw: &[u8], width: u8, float: bool, tools: &mut Encoder, out: &mut Vec<u8>) {
    let elements = raw.len() / usize::from(width);
    let (whole, tail) = raw.split_at(elements * usize::from(width));
    let planes: &[u8] = match width {
        1 => whole, // its only plane already
        _ => {
            tools.scratch.resize(whole.len(), 0);
            bytes::split(whole, width, rotates(width, float), &mut tools.scratch);
            &tools.scratch
        }
    };
    for plane in planes.chunks_exact(elements.max(1)) {
        encode_plane(plane, &mut tools.frames, out);
    }
    out.extend(tail);
}

/// Kind, length of what follows (u32), bytes.
fn encode_plane(plane: &[u8], frames: &mut Compressor, out: &mut Vec<u8>) {
    let head = out.len();
    out.extend([0; 5]);
    let first = plane[0];
    let kind = if plane.iter().all(|byte| *byte == first) {
        out.push(first);
        CONSTANT
    } else {
        let mut kind = RAW;
        if entropy(plane) <= NOISE {
            frames.huffman(plane, out);
            kind = FRAME;
        }
        if kind == RAW || out.len() - head - 5 >= plane.len() {
            out.truncate(head + 5);
            out.extend(plane);
            kind = RAW;
        }
        kind
    };
    let len = (out.len() - head - 5) as u32;
    out[head] = kind;
    out[head + 1..head + 5].copy_from_slice(&len.to_le_bytes());
}

/// Bits per byte of a sample of up to 8 Ki bytes, taken in runs from all over the plane.
fn entropy(plane: &[u8]) -> f64 {
    const RUNS: usize = 16;
    const RUN: usize = 512;
    let mut counts = [0u32; 256];
    let mut sampled = 0u32;
    let step = (plane.len() / RUNS).max(RUN);
    for run in plane.chunks(step) {
        let run = &run[..run.len().min(RUN)];
        run.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
        sampled += run.len() as u32;
    }
    let total = f64::from(sampled);
    let seen = counts.iter().filter(|count| **count > 0);
    seen.map(|count| f64::from(*count))
        .map(|count| count / total * (total / count).log2())
        .sum()
}

impl Codec for Planes {
    fn id(&self) -> u8 {
        ID
    }

    fn name(&self) -> &'static str {
        "planes"
    }

    fn decode(
        &self,
        chunk: &Stored<'_>,
        tools: &mut Decoder,
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        let Element::Number { width, float } = chunk.element else {
            return Err(CodecError::Malformed("planes of what has no elements"));
        };
        let elements = out.len() / usize::from(width);
        let (whole, tail) = out.split_at_mut(elements * usize::from(width));
        let mut cursor = Cursor(chunk.payload);
        if elements > 0 {
            // Raw planes are joined from where they lie; only the others need room.
            tools.scratch.resize(whole.len(), 0);
            let mut room = tools.scratch.chunks_exact_mut(elements);
            let mut planes: [&[u8]; 8] = [&[]; 8];
            for plane in planes.iter_mut().take(usize::from(width)) {
                let room = room
                    .next()
                    .ok_or(CodecError::Malformed("too many planes"))?;
                *plane = decode_plane(&mut cursor, &mut tools.frames, elements, room)?;
            }
            bytes::join(&planes[..usize::from(width)], rotates(width, float), whole);
        }
        if cursor.0.len() != tail.len() {
            return Err(CodecError::Malformed("the planes have another length"));
        }
        tail.copy_from_slice(cursor.0);
        Ok(())
    }
}

/// One plane of `elements` bytes, out of the payload or decoded into `room`.
fn decode_plane<'a>(
    cursor: &mut Cursor<'a>,
    frames: &mut super::frame::Decompressor,
    elements: usize,
    room: &'a mut [u8],
) -> Result<&'a [u8], CodecError> {
    let short = CodecError::Malformed("the planes are cut short");
    let kind = cursor.u8().ok_or(short)?;
    let len = cursor.u32().ok_or(short)? as usize;
    let stored = cursor.take(len).ok_or(short)?;
    match kind {
        RAW if len == elements => Ok(stored),
        RAW => Err(CodecError::Malformed("a raw plane has another length")),
        CONSTANT => match stored {
            [byte] => {
                room.fill(*byte);
                Ok(room)
            }
            _ => Err(CodecError::Malformed("a constant plane is not one byte")),
        },
        FRAME => {
            frames.fill(stored, room)?;
            Ok(room)
        }
        _ => Err(CodecError::Malformed("a plane is of no known kind")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_tell_noise_from_exponents() {
        let mut state = 1u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        })
        .take(1 << 18)
        .collect();
        assert!(entropy(&noise) > NOISE);
        let few: Vec<u8> = noise.iter().map(|byte| byte % 16).collect();
        assert!((entropy(&few) - 4.0).abs() < 0.01);
        assert_eq!(entropy(&[7]), 0.0);
    }
}
