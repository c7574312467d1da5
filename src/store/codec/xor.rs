//! A codec for tests alone: the chunk XOR its base. It proves that a codec with a base is one file and one line.

use super::{Codec, CodecError, Decoder, Stored};

pub(in crate::store) const ID: u8 = 250;

pub(super) struct Xor;

impl Codec for Xor {
    fn id(&self) -> u8 {
        ID
    }

    fn name(&self) -> &'static str {
        "xor"
    }

    fn decode(
        &self,
        chunk: &Stored<'_>,
        _: &mut Decoder,
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        if chunk.payload.len() != out.len() {
            return Err(CodecError::Malformed("another length"));
        }
        out.copy_from_slice(chunk.payload);
        for (byte, base) in out.iter_mut().zip(chunk.base) {
            *byte ^= base;
        }
        Ok(())
    }
}
