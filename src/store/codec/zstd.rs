//! Codec 2: one zstd frame, for bytes that are no numbers.

use super::frame::Compressor;
use super::{Codec, CodecError, Decoder, Stored};

pub(super) const ID: u8 = 2;

pub(super) struct Zstd;

/// Appends the frame to `out`.
pub(super) fn encode(raw: &[u8], frames: &mut Compressor, out: &mut Vec<u8>) {
    frames.general(raw, out);
}

impl Codec for Zstd {
    fn id(&self) -> u8 {
        ID
    }

    fn name(&self) -> &'static str {
        "zstd"
    }

    fn decode(
        &self,
        chunk: &Stored<'_>,
        tools: &mut Decoder,
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        tools.frames.fill(chunk.payload, out)
    }
}
