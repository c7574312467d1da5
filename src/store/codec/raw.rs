//! Codec 0: the bytes themselves.

use super::{Codec, CodecError, Decoder, Stored};

pub(in crate::store) const ID: u8 = 0;

pub(super) struct Raw;

impl Codec for Raw {
    fn id(&self) -> u8 {
        ID
    }

    fn name(&self) -> &'static str {
        "raw"
    }

    fn decode(
        &self,
        chunk: &Stored<'_>,
        _: &mut Decoder,
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        if chunk.payload.len() != out.len() {
            return Err(CodecError::Malformed("a raw chunk has another length"));
        }
        out.copy_from_slice(chunk.payload);
        Ok(())
    }
}
