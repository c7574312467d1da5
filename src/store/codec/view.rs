//! Codec 5: the delta codec, against what is computed from a base instead of the base itself.
//!
//! Three things are computed. The base in another number format: a tensor that is the rounding of a stored one, its
//! widening or its quantisation has hardly any differences to that. The base times a factor: weight decay shrinks what
//! no gradient reaches by one factor for all of a tensor. And the base with a matrix of low rank added: training moves
//! the weights of a matrix together, so that a few directions make up half of a step and more, and cost only what two
//! narrow matrices cost. What the computed numbers miss, the differences say, so that the bytes are exact however a
//! framework rounded.

mod decay;
mod factors;
mod fit;
mod format;
mod predict;
mod project;
mod quantise;

use super::{Codec, CodecError, Decoder, Encoder, Stored, block, delta, with_part};
use crate::store::layout::Cursor;

pub use format::Format;

use factors::{Left, Right};
pub(super) use factors::{RANKS, Ranks};
use format::is_finite;
use project::Projector;

pub(in crate::store) use decay::decay;
pub(in crate::store) use fit::Sample;
pub(in crate::store) use quantise::factor;

pub(in crate::store) const ID: u8 = 5;

const UNKNOWN: CodecError = CodecError::Malformed("the view of a base is of a later day");

/// Flags: a matrix of low rank is added.
const LOW_RANK: u8 = 1;
/// Floats are multiplied with a factor.
const TIMES: u8 = 2;

/// From which numbers to which.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::store) struct Conversion {
    /// The format of the base's numbers.
    pub(in crate::store) from: Format,
    /// The format of the numbers at hand.
    pub(in crate::store) to: Format,
    /// What numbers are multiplied with: a finite one, and an F32 where they become integers.
    pub(in crate::store) factor: f64,
}

impl Conversion {
    fn write(&self, low_rank: bool, out: &mut Vec<u8>) {
        let times = self.multiplies();
        let flags = (LOW_RANK * u8::from(low_rank)) | (TIMES * u8::from(times));
        out.extend([self.from.code() | self.to.code() << 4, flags]);
        if self.to == Format::I8 {
            out.extend((self.factor as f32).to_le_bytes());
        } else if times {
            out.extend(self.factor.to_le_bytes());
        }
    }

    /// The conversion at the front of `cursor`, and whether a matrix of low rank is added.
    fn read(cursor: &mut Cursor<'_>) -> Result<(Self, bool), CodecError> {
        let [formats, flags] = cursor.array().ok_or(block::SHORT)?;
        let format = |code| Format::by_code(code).ok_or(UNKNOWN);
        let (from, to) = (format(formats & 15)?, format(formats >> 4)?);
        let times = flags & TIMES != 0;
        if flags & !(LOW_RANK | TIMES) != 0 || (times && to == Format::I8) {
            return Err(UNKNOWN);
        }
        let factor = match to {
            Format::I8 => f64::from(f32::from_le_bytes(cursor.array().ok_or(block::SHORT)?)),
            _ if times => f64::from_le_bytes(cursor.array().ok_or(block::SHORT)?),
            _ => 1.0,
        };
        // Times 0 it would yield a NaN, of which every processor has its own.
        if times && !factor.is_finite() {
            return Err(CodecError::Malformed("the factor of a view is no number"));
        }
        let low_rank = flags & LOW_RANK != 0;
        Ok((Self { from, to, factor }, low_rank))
    }

    /// True where floats are multiplied.
    fn multiplies(&self) -> bool {
        self.to != Format::I8 && self.factor != 1.0
    }

    /// The numbers of `base` as bits of F32, times the factor if they are to be floats.
    #[inline(always)]
    fn widen(&self, base: &[u8], wide: &mut [u32]) {
        self.from.widen(base, wide);
        if self.multiplies() {
            for wide in wide {
                // In F64 the product of a number and of a factor that is an F32 is exact, so that it is rounded once.
                let product = (f64::from(f32::from_bits(*wide)) * self.factor) as f32;
                let moves = is_finite(*wide);
                *wide = if moves { product.to_bits() } else { *wide };
            }
        }
    }

    /// How many bytes of the base belong to `len` bytes.
    pub(in crate::store) fn base_len(&self, len: u64) -> u64 {
        len / self.to.width() as u64 * self.from.width() as u64
    }
}

/// How an encoder looks at a base, the same for all chunks of an object.
pub(in crate::store) struct View {
    conversion: Conversion,
    /// A matrix of low rank to be added, and what finds its other half for each chunk.
    low_rank: Option<(Right, Projector)>,
}

impl View {
    /// The base's numbers in another format.
    pub(in crate::store) fn of(conversion: Conversion) -> Self {
        Self {
            conversion,
            low_rank: None,
        }
    }

    /// The same with a matrix of low rank added, if samples say that this may pay.
    pub(in crate::store) fn with_low_rank(conversion: Conversion, sample: &Sample) -> Option<Self> {
        let right = fit::fit(sample)?;
        let projector = Projector::new(&right);
        Some(Self {
            conversion,
            low_rank: Some((right, projector)),
        })
    }

    pub(in crate::store) fn conversion(&self) -> &Conversion {
        &self.conversion
    }
}

/// What one thread needs for views.
#[derive(Default)]
pub(super) struct Viewing {
    /// The factors that were read last, and the tables that they were read from.
    right: Option<(Vec<u8>, Right)>,
    left: Left,
    /// What was computed.
    seen: Vec<u8>,
}

/// The shared tables of an object that is coded with this view.
pub(super) fn tables(view: &View, tools: &mut Encoder) -> Vec<u8> {
    let mut tables = Vec::new();
    if let Some((right, _)) = &view.low_rank {
        right.write(&mut tools.frames, &mut tables);
    }
    tables
}

/// Appends `raw`, the bytes of an object from `offset` on, as differences to what `view` makes of `base`.
pub(super) fn encode(
    raw: &[u8],
    base: &[u8],
    view: &View,
    offset: u64,
    tools: &mut Encoder,
    out: &mut Vec<u8>,
) {
    with_part(
        tools,
        |tools| &mut tools.view,
        |viewing, tools| encode_seen(raw, base, view, offset, viewing, tools, out),
    );
}

fn encode_seen(
    raw: &[u8],
    base: &[u8],
    view: &View,
    offset: u64,
    viewing: &mut Viewing,
    tools: &mut Encoder,
    out: &mut Vec<u8>,
) {
    let conversion = &view.conversion;
    conversion.write(view.low_rank.is_some(), out);
    let Viewing { left, seen, .. } = viewing;
    let factors = match &view.low_rank {
        Some((right, projector)) => {
            let first = offset / conversion.to.width() as u64 % right.columns() as u64;
            project::project(projector, conversion, raw, base, first as usize, left);
            left.write(&mut tools.frames, out);
            Some((right, &*left))
        }
        None => None,
    };
    predict::predict(conversion, base, factors, raw.len(), seen);
    let width = conversion.to.width() as u8;
    delta::encode(raw, seen, width, conversion.to != Format::I8, tools, out);
}

pub(super) struct Views;

impl Codec for Views {
    fn id(&self) -> u8 {
        ID
    }

    fn name(&self) -> &'static str {
        "view"
    }

    fn kind(&self, payload: &[u8]) -> &'static str {
        match Conversion::read(&mut Cursor(payload)) {
            Ok((_, true)) => "low rank",
            Ok((conversion, false)) if conversion.multiplies() => "decay",
            Ok((Conversion { to: Format::I8, .. }, false)) => "int8",
            Ok((Conversion { from, to, .. }, false)) if from != to => "cast",
            _ => self.name(),
        }
    }

    fn base_len(&self, payload: &[u8], len: usize) -> Result<usize, CodecError> {
        let (conversion, _) = Conversion::read(&mut Cursor(payload))?;
        Ok(conversion.base_len(len as u64) as usize)
    }

    fn decode(
        &self,
        chunk: &Stored<'_>,
        tools: &mut Decoder,
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        with_part(
            tools,
            |tools| &mut tools.view,
            |viewing, tools| decode(chunk, viewing, tools, out),
        )
    }
}

fn decode(
    chunk: &Stored<'_>,
    viewing: &mut Viewing,
    tools: &mut Decoder,
    out: &mut [u8],
) -> Result<(), CodecError> {
    let mut cursor = Cursor(chunk.payload);
    let (conversion, low_rank) = Conversion::read(&mut cursor)?;
    if chunk.element != conversion.to.element() {
        return Err(CodecError::Malformed(
            "a view has other elements than its object",
        ));
    }
    let Viewing { right, left, seen } = viewing;
    let factors = match low_rank {
        true => {
            let known = right.take().filter(|(tables, _)| tables == chunk.tables);
            let (_, right) = right.insert(match known {
                Some(known) => known,
                None => (
                    chunk.tables.to_vec(),
                    Right::read(chunk.tables, &mut tools.frames)?,
                ),
            });
            let numbers = out.len() / conversion.to.width();
            left.read(right, numbers, &mut cursor, &mut tools.frames)?;
            Some((&*right, &*left))
        }
        false => None,
    };
    predict::predict(&conversion, chunk.base, factors, out.len(), seen);
    let rest = Stored {
        payload: cursor.0,
        base: seen,
        ..*chunk
    };
    delta::Delta.decode(&rest, tools, out)
}

#[cfg(test)]
mod tests;
