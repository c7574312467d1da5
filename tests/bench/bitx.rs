//! XOR with zstd as ZipLLM's BitX does it: the exponents apart from signs and mantissas, both through zstd 3.
//!
//! Written after its paper and its code, for sizes and speeds beside mvc's own codecs, which are measured with this
//! file too.

use std::io::Result;

use zstd::bulk::{Compressor, Decompressor};

/// What is kept from one call to the next.
pub(crate) struct BitX {
    compressor: Compressor<'static>,
    decompressor: Decompressor<'static>,
}

impl BitX {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            compressor: Compressor::new(3)?,
            decompressor: Decompressor::new()?,
        })
    }

    /// Numbers of `width` bytes against as many others; the two streams.
    pub(crate) fn encode(&mut self, new: &[u8], base: &[u8], width: usize) -> Result<[Vec<u8>; 2]> {
        let (exponents, rest) = match width {
            1 => split::<1>(new, base, 5),
            2 => split::<2>(new, base, 8),
            4 => split::<4>(new, base, 8),
            _ => split::<8>(new, base, 8),
        };
        let mut streams = [exponents, rest];
        for stream in &mut streams {
            let frame = self.compressor.compress(stream)?;
            if frame.len() < stream.len() {
                *stream = frame;
            }
        }
        Ok(streams)
    }

    /// The numbers again.
    pub(crate) fn decode(
        &mut self,
        streams: &[Vec<u8>; 2],
        base: &[u8],
        width: usize,
    ) -> Result<Vec<u8>> {
        let count = base.len() / width;
        let mut whole = |stream: &Vec<u8>, len| match stream.len() == len {
            true => Ok(stream.clone()),
            false => self.decompressor.decompress(stream, len),
        };
        let exponents = whole(&streams[0], count)?;
        let rest = whole(&streams[1], count * if width == 1 { 1 } else { width - 1 })?;
        Ok(match width {
            1 => join::<1>(&exponents, &rest, base, 5),
            2 => join::<2>(&exponents, &rest, base, 8),
            4 => join::<4>(&exponents, &rest, base, 8),
            _ => join::<8>(&exponents, &rest, base, 8),
        })
    }
}

/// Bits of a number below its exponent; of F64, whose exponent is longer than a byte, those below its lower part.
fn mantissa<const W: usize>(exponent: usize) -> usize {
    if W == 8 { 52 } else { 8 * W - 1 - exponent }
}

fn split<const W: usize>(new: &[u8], base: &[u8], exponent: usize) -> (Vec<u8>, Vec<u8>) {
    let mantissa = mantissa::<W>(exponent);
    let count = new.len() / W;
    let width = if W == 1 { 1 } else { W - 1 };
    let mut exponents = vec![0; count];
    let mut rest = vec![0; count * width];
    let numbers = new.as_chunks::<W>().0.iter().zip(base.as_chunks::<W>().0);
    for (((a, b), low), rest) in numbers
        .zip(&mut exponents)
        .zip(rest.chunks_exact_mut(width))
    {
        let bits = word(a) ^ word(b);
        *low = (bits >> mantissa) as u8 & (255 >> (8 - exponent));
        let above = bits >> (mantissa + exponent) << mantissa;
        let bytes = (bits & ((1 << mantissa) - 1) | above).to_le_bytes();
        rest.copy_from_slice(&bytes[..width]);
    }
    (exponents, rest)
}

fn join<const W: usize>(exponents: &[u8], rest: &[u8], base: &[u8], exponent: usize) -> Vec<u8> {
    let mantissa = mantissa::<W>(exponent);
    let width = if W == 1 { 1 } else { W - 1 };
    let mut out = vec![0; exponents.len() * W];
    let numbers = out
        .as_chunks_mut::<W>()
        .0
        .iter_mut()
        .zip(base.as_chunks::<W>().0);
    for (((out, base), low), rest) in numbers.zip(exponents).zip(rest.chunks_exact(width)) {
        let mut bytes = [0; 8];
        bytes[..width].copy_from_slice(rest);
        let rest = u64::from_le_bytes(bytes);
        let above = rest >> mantissa << (mantissa + exponent);
        let bits = rest & ((1 << mantissa) - 1) | u64::from(*low) << mantissa | above;
        let bytes = (bits ^ word(base)).to_le_bytes();
        out.copy_from_slice(&bytes[..W]);
    }
    out
}

fn word<const W: usize>(number: &[u8; W]) -> u64 {
    let mut bytes = [0; 8];
    bytes[..W].copy_from_slice(number);
    u64::from_le_bytes(bytes)
}
