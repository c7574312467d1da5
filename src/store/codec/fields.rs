//! Codec 7: blocks of quantised numbers, taken apart by their fields.
//!
//! A block is a scale or several, and small integers that they are multiplied with, packed into a few bits each. Each
//! field's numbers are coded on their own, as bytes. Against a base they are predicted: what a number stood for there,
//! divided by the scale that it has now, is what it should be. So a scale that changed a little changes no number,
//! and where a number is off, the key says how likely that was. A base may also be the floats that were quantised:
//! then these are the values.

mod decode;
mod encode;
mod layout;
mod peaks;
mod predict;
mod slices;
mod values;

use super::view::Format;
use super::{Codec, CodecError, Decoder, Encoder, Stored, block, delta, with_part};
use crate::base::fields::{Field, Fields, Kind};
use crate::store::layout::Cursor;
use predict::{From, Prediction, Units};

pub(super) use layout::{is_sound, read as read_tables};
pub(in crate::store) use values::{values, values_of_block};

pub(super) const ID: u8 = 7;

/// What a chunk is coded against: nothing, blocks, or with this and the format's number, floats.
const ALONE: u8 = 0;
const BASE: u8 = 1;
const FLOATS: u8 = 1;

/// More bytes of floats than this do not belong to a byte of blocks.
const MOST_FLOATS: usize = 16;

/// How the numbers of a field are stored.
const BLOCK: u8 = 0;
const PLANES: u8 = 1;
const DELTA: u8 = 2;
const PEAKS: u8 = 3;

/// What is written of blocks that did not change, and of others.
const SAME: u8 = 0;
const CHANGED: u8 = 1;

const WRONG: CodecError = CodecError::Malformed("the blocks of a chunk are malformed");

/// What one thread needs for fields.
#[derive(Default)]
pub(super) struct Fielding {
    /// The numbers of all fields, in the base and now.
    before: Side,
    after: Side,
    /// The floats that were quantised.
    floats: Vec<f32>,
    /// What the scales of blocks should be by these, before they are rounded.
    peaks: Vec<f32>,
    keys: Vec<u8>,
    /// What numbers should be.
    seen: Vec<u8>,
    /// The base's blocks, where it ends before the chunk's.
    base: Vec<u8>,
    bytes: Vec<u8>,
    payload: Vec<u8>,
}

/// What a chunk is coded against.
#[derive(Clone, Copy)]
pub(super) enum Under<'a> {
    Nothing,
    /// The bytes of the same place in other blocks of the same fields.
    Blocks(&'a [u8]),
    /// The floats that its whole blocks stand for.
    Floats(Format, &'a [u8]),
}

/// The same without the bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Alone,
    Blocks,
    Floats(Format),
}

impl Mode {
    fn of(under: Under<'_>) -> Self {
        match under {
            Under::Nothing => Self::Alone,
            Under::Blocks(_) => Self::Blocks,
            Under::Floats(format, _) => Self::Floats(format),
        }
    }

    fn write(self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Alone => ALONE,
            Self::Blocks => BASE,
            Self::Floats(format) => FLOATS + format.code(),
        });
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, CodecError> {
        match cursor.u8().ok_or(block::SHORT)? {
            ALONE => Ok(Self::Alone),
            BASE => Ok(Self::Blocks),
            other => match Format::by_code(other - FLOATS) {
                Some(format @ (Format::Bf16 | Format::F16 | Format::F32)) => {
                    Ok(Self::Floats(format))
                }
                Some(Format::I8 | Format::E4m3 | Format::E5m2) | None => Err(WRONG),
            },
        }
    }

    /// True for a field whose numbers are predicted from values.
    fn predicts(self, fields: &Fields, at: usize) -> bool {
        let scaled = !fields.fields[at].scales.is_empty();
        match self {
            Self::Alone => false,
            Self::Blocks => scaled,
            Self::Floats(_) => scaled && at + 1 == fields.fields.len(),
        }
    }
}

/// How many values the last field of a block stands for.
fn values_of(fields: &Fields) -> usize {
    fields
        .fields
        .last()
        .map_or(0, |last| usize::from(last.count))
}

/// Where in an object of floats those are that blocks stand for.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Floats {
    pub(in crate::store) format: Format,
    bytes: u64,
    /// Bytes of the floats of a block.
    wide: u64,
}

impl Floats {
    /// `None` where the numbers of a block are not known to be values.
    pub(in crate::store) fn of(format: Format, fields: &Fields) -> Option<Self> {
        Some(Self {
            format,
            bytes: u64::from(fields.bytes),
            wide: (values_of_block(fields)? * format.width()) as u64,
        })
    }

    /// Where the floats begin of the first whole block at or after `offset`.
    pub(in crate::store) fn offset(&self, offset: u64) -> u64 {
        offset.div_ceil(self.bytes).saturating_mul(self.wide)
    }

    /// Bytes of the floats of the whole blocks in `len` bytes from `offset` on.
    pub(in crate::store) fn len(&self, offset: u64, len: u64) -> u64 {
        let end = (offset + len) / self.bytes;
        end.saturating_sub(offset.div_ceil(self.bytes)) * self.wide
    }
}

/// Blocks taken apart.
#[derive(Default)]
struct Side {
    units: Vec<Vec<u8>>,
    values: Vec<Vec<f32>>,
    scales: Units,
}

impl Side {
    fn begin(&mut self, fields: &Fields) {
        self.units.resize(fields.fields.len(), Vec::new());
        self.values.resize(fields.fields.len(), Vec::new());
    }

    /// Sets the values of a field if others are multiplied with it.
    fn end(&mut self, fields: &Fields, at: usize) {
        let uses = |field: &Field| {
            let mut others = field.scales.iter().chain(field.offset.fields());
            others.any(|other| usize::from(*other) == at)
        };
        if fields.fields[at..].iter().any(uses) {
            predict::values(
                fields.fields[at].kind,
                &self.units[at],
                &mut self.values[at],
            );
        }
    }
}

/// How a chunk falls into blocks.
struct Cut {
    /// Bytes before the first whole block.
    head: usize,
    /// Bytes of whole blocks.
    whole: usize,
    size: usize,
}

impl Cut {
    fn new(head: usize, len: usize, size: usize) -> Self {
        Self {
            head,
            whole: (len - head) / size * size,
            size,
        }
    }

    fn blocks(&self) -> usize {
        self.whole / self.size
    }

    /// What lies beside whole blocks in bytes of which all beyond the end are zeros.
    fn edges(&self, bytes: &[u8], len: usize) -> Vec<u8> {
        let places = (0..self.head).chain(self.head + self.whole..len);
        let edges = places.map(|at| bytes.get(at).copied().unwrap_or(0));
        edges.collect()
    }
}

/// The shared tables of an object of such blocks; none where the fields are not sound.
pub(in crate::store) fn tables(fields: &Fields) -> Vec<u8> {
    let mut tables = Vec::new();
    if is_sound(fields) {
        layout::write(fields, &mut tables);
    }
    tables
}

/// The base's bytes that belong to whole blocks, zeros where it ends before.
fn padded<'a>(base: &'a [u8], cut: &Cut, room: &'a mut Vec<u8>) -> &'a [u8] {
    match base.get(cut.head..cut.head + cut.whole) {
        Some(bytes) => bytes,
        None => {
            room.clear();
            room.extend(base.get(cut.head..).unwrap_or_default());
            room.resize(cut.whole, 0);
            room
        }
    }
}

/// What a field's numbers are coded against where there is no base: the middle of what they may be.
fn middle(field: &Field) -> u8 {
    match field.kind {
        Kind::Unsigned(_) => 1 << (predict::bits(field) - 1),
        Kind::Signed | Kind::F16 | Kind::F32 => 0,
    }
}

impl Fielding {
    /// Sets what the numbers of a field should be, and the key of each where values predict them: then says where
    /// octaves begin, which is as given or chosen.
    fn predict(
        &mut self,
        fields: &Fields,
        at: usize,
        blocks: usize,
        mode: Mode,
        octaves: Option<u16>,
    ) -> Option<u16> {
        let field = &fields.fields[at];
        let Self {
            before,
            after,
            floats,
            keys,
            seen,
            ..
        } = self;
        seen.clear();
        match mode {
            Mode::Alone | Mode::Floats(_) => seen.resize(blocks * field.units(), middle(field)),
            Mode::Blocks => {
                before.end(fields, at);
                seen.extend(&before.units[at]);
            }
        }
        if !mode.predicts(fields, at) {
            return None;
        }
        after.scales.set(fields, field, blocks, &after.values);
        let from = match mode {
            Mode::Floats(_) => From::Values(floats),
            Mode::Alone | Mode::Blocks => {
                before.scales.set(fields, field, blocks, &before.values);
                From::Base(&before.scales)
            }
        };
        let octaves = octaves.unwrap_or_else(|| after.scales.octaves());
        keys.resize(seen.len(), 0);
        let prediction = Prediction {
            field,
            from,
            after: &after.scales,
            octaves,
            units: seen,
            keys,
        };
        prediction.make();
        Some(octaves)
    }

    /// Sets the floats of so many blocks; those beyond the end of `bytes` are zeros.
    fn widen(&mut self, fields: &Fields, blocks: usize, format: Format, bytes: &[u8]) {
        let mut wide = [0; 1024];
        let len = blocks * values_of(fields);
        self.floats.clear();
        self.floats.reserve(len);
        for bytes in bytes.chunks(wide.len() * format.width()) {
            let count = (bytes.len() / format.width()).min(len - self.floats.len());
            let wide = &mut wide[..count];
            format.widen(bytes, wide);
            self.floats
                .extend(wide.iter().map(|bits| f32::from_bits(*bits)));
        }
        self.floats.resize(len, 0.0);
    }
}

/// Appends `raw`, the bytes of an object of blocks from `offset` on.
pub(super) fn encode(
    raw: &[u8],
    fields: &Fields,
    offset: u64,
    under: Under<'_>,
    tools: &mut Encoder,
    out: &mut Vec<u8>,
) {
    with_part(
        tools,
        |tools| &mut tools.fields,
        |work, tools| encode::encode(raw, fields, offset, under, work, tools, out),
    );
}

pub(super) struct Blocks;

impl Codec for Blocks {
    fn id(&self) -> u8 {
        ID
    }

    fn name(&self) -> &'static str {
        "fields"
    }

    /// As many as the chunk has, or, of floats, as it says.
    fn base_len(&self, payload: &[u8], len: usize) -> Result<usize, CodecError> {
        let mut cursor = Cursor(payload);
        match Mode::read(&mut cursor)? {
            Mode::Alone | Mode::Blocks => Ok(len),
            Mode::Floats(_) => block::length(&mut cursor, len.saturating_mul(MOST_FLOATS)),
        }
    }

    fn decode(
        &self,
        chunk: &Stored<'_>,
        tools: &mut Decoder,
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        with_part(
            tools,
            |tools| &mut tools.fields,
            |work, tools| decode::decode(chunk, work, tools, out),
        )
    }
}

/// True where a chunk needs its base.
pub(super) fn is_based(payload: &[u8]) -> bool {
    payload.first().is_some_and(|mode| *mode != ALONE)
}

/// True where a chunk's base is floats.
pub(super) fn is_of_floats(payload: &[u8]) -> bool {
    payload.first().is_some_and(|mode| *mode > BASE)
}

#[cfg(test)]
mod tests;
