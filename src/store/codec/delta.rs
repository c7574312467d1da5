//! Codec 4: numbers as their differences to those of a base, one by one.
//!
//! Where base and new number are near, their difference as ordered integers is small, and how small follows from
//! the size of the base: entropy coding with a table chosen by that size reaches what no coding of the bytes alone
//! can. A group of numbers that did not change costs a byte before compression, and reading it is a copy.

mod bits;
mod choose;
mod context;
mod decode;
mod encode;
mod groups;
mod head;
mod merge;
mod number;
pub(super) mod rans;
mod table;
mod token;

use super::{Codec, CodecError, Decoder, Element, Encoder, Stored};

pub(super) use decode::Decoding;
pub(super) use encode::{Encoding, Symbols};
pub(super) use table::{Slots, Table};
pub(super) use token::{Meanings, TOKENS};

pub(super) const ID: u8 = 4;

pub(super) struct Delta;

/// Appends `raw` as its differences to `base`, which may be shorter: what it lacks counts as zeros.
pub(super) fn encode(
    raw: &[u8],
    base: &[u8],
    width: u8,
    float: bool,
    tools: &mut Encoder,
    out: &mut Vec<u8>,
) {
    match width {
        1 => encode::encode::<u8>(raw, base, float, None, tools, out),
        2 => encode::encode::<u16>(raw, base, float, None, tools, out),
        4 => encode::encode::<u32>(raw, base, float, None, tools, out),
        _ => encode::encode::<u64>(raw, base, float, None, tools, out),
    }
}

/// [`encode`] for integers of a few bits, a byte each.
pub(super) fn encode_symbols(
    raw: &[u8],
    base: &[u8],
    symbols: Symbols<'_>,
    tools: &mut Encoder,
    out: &mut Vec<u8>,
) {
    encode::encode::<u8>(raw, base, false, Some(symbols), tools, out);
}

/// The reverse of [`encode_symbols`] with keys.
pub(super) fn decode_keyed(
    payload: &[u8],
    base: &[u8],
    keys: &[u8],
    tools: &mut Decoder,
    out: &mut [u8],
) -> Result<(), CodecError> {
    let chunk = Stored {
        payload,
        element: Element::number(1, false),
        tables: &[],
        base,
    };
    decode::decode::<u8>(&chunk, false, Some(keys), tools, out)
}

impl Codec for Delta {
    fn id(&self) -> u8 {
        ID
    }

    fn name(&self) -> &'static str {
        "delta"
    }

    fn decode(
        &self,
        chunk: &Stored<'_>,
        tools: &mut Decoder,
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        match chunk.element {
            Element::Number { width: 1, float } => {
                decode::decode::<u8>(chunk, float, None, tools, out)
            }
            Element::Number { width: 2, float } => {
                decode::decode::<u16>(chunk, float, None, tools, out)
            }
            Element::Number { width: 4, float } => {
                decode::decode::<u32>(chunk, float, None, tools, out)
            }
            Element::Number { width: 8, float } => {
                decode::decode::<u64>(chunk, float, None, tools, out)
            }
            _ => Err(CodecError::Malformed("a delta of what has no elements")),
        }
    }
}

#[cfg(test)]
mod tests;
