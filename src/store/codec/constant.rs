//! Codec 1: one element, repeated. Zeroed tensors, norms of ones, padding.

use super::{Codec, CodecError, Decoder, Element, Stored};

pub(super) const ID: u8 = 1;

/// The longest element that is repeated.
const LONGEST: usize = 8;

pub(super) struct Constant;

/// Appends the element to `out` and says true, if `raw` is nothing but its repetition (the last one may be cut).
pub(super) fn encode(raw: &[u8], element: Element, out: &mut Vec<u8>) -> bool {
    let width = match element {
        Element::Bytes => 1,
        Element::Number { width, .. } => usize::from(width),
    };
    if raw.len() <= width {
        return false;
    }
    // Equal to itself one element further on: true for repetitions alone, and false at once for the rest.
    let repeats = raw[width..] == raw[..raw.len() - width];
    if repeats {
        out.extend(&raw[..width]);
    }
    repeats
}

impl Codec for Constant {
    fn id(&self) -> u8 {
        ID
    }

    fn name(&self) -> &'static str {
        "constant"
    }

    fn decode(
        &self,
        chunk: &Stored<'_>,
        _: &mut Decoder,
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        let element = chunk.payload;
        if !(1..=LONGEST).contains(&element.len()) {
            return Err(CodecError::Malformed("a constant has an impossible length"));
        }
        // Once, then as much again as there is, until it is full: whole copies instead of tiny ones.
        let mut filled = element.len().min(out.len());
        out[..filled].copy_from_slice(&element[..filled]);
        while filled < out.len() {
            let more = filled.min(out.len() - filled);
            out.copy_within(..more, filled);
            filled += more;
        }
        Ok(())
    }
}
