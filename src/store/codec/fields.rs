//! Codec 7: blocks of quantised numbers, taken apart by their fields.
//!
//! A block is a scale or several, and small integers that they are multiplied with, packed into a few bits each. Each
//! field's numbers are coded on their own, as bytes. Against a base they are predicted: what a number stood for there,
//! divided by the scale that it has now, is what it should be. So a scale that changed a little changes no number,
//! and where a number is off, the key says how likely that was.

mod decode;
mod encode;
mod layout;
mod predict;
mod slices;

use super::{Codec, CodecError, Decoder, Stored, delta};
use crate::base::fields::{Field, Fields, Kind};
use predict::{Prediction, Units};

pub(super) use encode::encode;
pub(super) use layout::{is_sound, read as read_tables};

pub(super) const ID: u8 = 7;

/// What a chunk is coded against.
const ALONE: u8 = 0;
const BASE: u8 = 1;

/// How the numbers of a field are stored.
const BLOCK: u8 = 0;
const PLANES: u8 = 1;
const DELTA: u8 = 2;

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
    keys: Vec<u8>,
    /// What numbers should be.
    seen: Vec<u8>,
    /// The base's blocks, where it ends before the chunk's.
    base: Vec<u8>,
    bytes: Vec<u8>,
    payload: Vec<u8>,
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
    /// Sets what the numbers of a field should be, and the key of each where it is one that is scaled: then says where
    /// octaves begin, which is as given or chosen.
    fn predict(
        &mut self,
        fields: &Fields,
        at: usize,
        blocks: usize,
        based: bool,
        octaves: Option<u16>,
    ) -> Option<u16> {
        let field = &fields.fields[at];
        let Self {
            before,
            after,
            keys,
            seen,
            ..
        } = self;
        seen.clear();
        if !based {
            seen.resize(blocks * field.units(), middle(field));
            return None;
        }
        before.end(fields, at);
        seen.extend(&before.units[at]);
        if field.scales.is_empty() {
            return None;
        }
        before.scales.set(fields, field, blocks, &before.values);
        after.scales.set(fields, field, blocks, &after.values);
        let octaves = octaves.unwrap_or_else(|| after.scales.octaves());
        keys.clear();
        keys.resize(seen.len(), 0);
        let prediction = Prediction {
            field,
            before: &before.scales,
            after: &after.scales,
            octaves,
            units: seen,
            keys,
        };
        prediction.make();
        Some(octaves)
    }
}

pub(super) struct Blocks;

impl Codec for Blocks {
    fn id(&self) -> u8 {
        ID
    }

    fn name(&self) -> &'static str {
        "fields"
    }

    fn decode(
        &self,
        chunk: &Stored<'_>,
        tools: &mut Decoder,
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        let mut work = std::mem::take(&mut tools.fields);
        let done = decode::decode(chunk, &mut work, tools, out);
        tools.fields = work;
        done
    }
}

/// True where a chunk needs its base.
pub(super) fn is_based(payload: &[u8]) -> bool {
    payload.first() == Some(&BASE)
}

#[cfg(test)]
mod tests;
