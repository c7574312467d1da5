//! What a chunk says about itself before anything else.

use super::super::CodecError;
use super::super::block;
use super::groups::SMALLEST;
use super::rans::LANES;
use super::token::{FREQUENT, Scheme};
use crate::store::layout::Cursor;

/// The first bytes of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Numbers per group, as a logarithm: 5 to 8.
    pub(super) group: u32,
    /// States of the token stream, as a logarithm: 0 to 5.
    pub(super) lanes: u32,
    pub(super) scheme: Scheme,
}

impl Head {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(((self.group - SMALLEST) | (self.lanes << 2)) as u8);
        out.push(self.scheme.direct | self.scheme.lead << 4);
        out.push(self.scheme.frequent.len() as u8);
        for value in &self.scheme.frequent {
            block::put_number(*value, out);
        }
    }

    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, CodecError> {
        let [shape, ranges, frequent] = cursor.array().ok_or(block::SHORT)?;
        let lanes = u32::from(shape >> 2);
        if 1 << lanes.min(8) > LANES || usize::from(frequent) > FREQUENT {
            return Err(CodecError::Malformed("the head of a delta is malformed"));
        }
        let values = (0..frequent).map(|_| block::number(cursor));
        Ok(Self {
            scheme: Scheme {
                frequent: values.collect::<Result<_, _>>()?,
                direct: ranges & 15,
                lead: ranges >> 4,
            },
            group: SMALLEST + u32::from(shape & 3),
            lanes,
        })
    }
}
