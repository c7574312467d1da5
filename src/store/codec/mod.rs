//! How the bytes of one chunk are written smaller: a codec per file, known by a number that never changes.
//!
//! An encoder may choose as it likes; a decoder never guesses: the record names the codec, the raw length is
//! known before, and bytes that are too few, too many or malformed are an error, never a panic or an allocation
//! that grows with what they claim. That the decoded bytes are the right ones is proved by the caller.
//!
//! A new codec is one file with an `impl Codec`, and one line in [`CODECS`].

mod block;
mod constant;
mod delta;
mod fields;
mod frame;
mod machine;
mod mosaic;
mod planes;
mod raw;
#[cfg(target_arch = "x86_64")]
mod simd_x86;
mod view;
#[cfg(test)]
mod xor;
mod zstd;

use super::Element;
use crate::base::Fields;
use frame::{Compressor, Decompressor};

/// All codecs of this build.
static CODECS: &[&dyn Codec] = &[
    &raw::Raw,
    &constant::Constant,
    &zstd::Zstd,
    &planes::Planes,
    &delta::Delta,
    &view::Views,
    &mosaic::Mosaics,
    &fields::Blocks,
    #[cfg(test)]
    &xor::Xor,
];

/// A chunk does not decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// No codec of this build has that number.
    #[error("codec {0} is unknown")]
    Unknown(u8),
    /// The stored bytes are not what the codec writes.
    #[error("{0}")]
    Malformed(&'static str),
}

/// A chunk as it is stored, with all that its codec may look at.
#[derive(Clone, Copy)]
pub(super) struct Stored<'a> {
    pub(super) payload: &'a [u8],
    pub(super) element: Element,
    /// The object's shared tables.
    pub(super) tables: &'a [u8],
    /// The verified bytes of the base from the chunk's base offset on, or of the codec's strips: as many as the codec
    /// wants, fewer where the base ends before, none where there is no base.
    pub(super) base: &'a [u8],
}

/// One way of storing a chunk.
trait Codec: Sync {
    /// Its number in records.
    fn id(&self) -> u8;
    /// Its name in reports.
    fn name(&self) -> &'static str;
    /// What this payload is, for reports.
    fn kind(&self, _payload: &[u8]) -> &'static str {
        self.name()
    }
    /// How many bytes of the base belong to a chunk of `len` bytes.
    fn base_len(&self, _payload: &[u8], len: usize) -> Result<usize, CodecError> {
        Ok(len)
    }
    /// Of which bytes of which bases its base bytes are put together; none where the record alone says it.
    fn strips(&self, _payload: &[u8], _len: usize) -> Result<Vec<Strip>, CodecError> {
        Ok(Vec::new())
    }
    /// Fills all of `out`, whose length is the chunk's raw length, or fails.
    fn decode(
        &self,
        chunk: &Stored<'_>,
        tools: &mut Decoder,
        out: &mut [u8],
    ) -> Result<(), CodecError>;
}

fn by_id(id: u8) -> Option<&'static dyn Codec> {
    CODECS.iter().find(|codec| codec.id() == id).copied()
}

/// The name of a codec, for reports.
pub(super) fn name(id: u8) -> &'static str {
    by_id(id).map_or("unknown", |codec| codec.name())
}

/// What a chunk of a codec is that begins with this payload, for reports.
pub(super) fn kind(id: u8, payload: &[u8]) -> &'static str {
    by_id(id).map_or("unknown", |codec| codec.kind(payload))
}

/// How many bytes of its base a chunk of `len` bytes needs.
pub(super) fn base_len(codec: u8, payload: &[u8], len: usize) -> Result<usize, CodecError> {
    by_id(codec)
        .ok_or(CodecError::Unknown(codec))?
        .base_len(payload, len)
}

/// Of which bytes of which bases the base bytes of a chunk of `len` bytes are put together; none where its row alone
/// says it. Reading them costs no more than a few times their length, but for what the bases cost.
pub(super) fn strips(codec: u8, payload: &[u8], len: usize) -> Result<Vec<Strip>, CodecError> {
    by_id(codec)
        .ok_or(CodecError::Unknown(codec))?
        .strips(payload, len)
}

/// What one thread needs to decode chunk after chunk.
pub(super) struct Decoder {
    frames: Decompressor,
    delta: delta::Decoding,
    view: view::Viewing,
    fields: fields::Fielding,
    scratch: Vec<u8>,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self {
            frames: Decompressor::new(),
            delta: delta::Decoding::new(),
            view: view::Viewing::default(),
            fields: fields::Fielding::default(),
            scratch: Vec::new(),
        }
    }

    /// Fills `out` with the raw bytes of a chunk.
    pub(super) fn decode(
        &mut self,
        codec: u8,
        chunk: &Stored<'_>,
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        by_id(codec)
            .ok_or(CodecError::Unknown(codec))?
            .decode(chunk, self, out)
    }
}

/// Works with a part of the tools that is taken out of them, so that the others are at hand, and put back after.
fn with_part<Tools, Part: Default, Done>(
    tools: &mut Tools,
    part: fn(&mut Tools) -> &mut Part,
    work: impl FnOnce(&mut Part, &mut Tools) -> Done,
) -> Done {
    let mut own = std::mem::take(part(tools));
    let done = work(&mut own, tools);
    *part(tools) = own;
    done
}

/// What one thread needs to encode chunk after chunk.
pub(super) struct Encoder {
    frames: Compressor,
    delta: delta::Encoding,
    view: view::Viewing,
    fields: fields::Fielding,
    scratch: Vec<u8>,
    /// The stored bytes of a second codec.
    other: Vec<u8>,
    /// Stored bytes of which only the length matters.
    trial: Vec<u8>,
}

impl Encoder {
    pub(super) fn new() -> Self {
        Self {
            frames: Compressor::new(),
            delta: delta::Encoding::new(),
            view: view::Viewing::default(),
            fields: fields::Fielding::default(),
            scratch: Vec::new(),
            other: Vec::new(),
            trial: Vec::new(),
        }
    }

    /// Writes a chunk into `out`, which is cleared, in the codec whose number is returned. For codec
    /// [`raw::ID`] the stored bytes are the raw ones and `out` means nothing. Whether what it may be coded
    /// `against` is needed to decode, [`needs_base`] says.
    pub(super) fn encode(
        &mut self,
        chunk: &Chunk<'_>,
        against: Option<Against<'_>>,
        out: &mut Vec<u8>,
    ) -> u8 {
        out.clear();
        let raw = chunk.raw;
        if constant::encode(raw, chunk.element, out) {
            return constant::ID;
        }
        let mut codec = self.based(chunk, against, out);
        // Numbers that have nothing to do with their base are shorter without it.
        if needs_base(codec, out) && out.len() * 4 > raw.len() {
            let mut other = std::mem::take(&mut self.other);
            other.clear();
            let alone = self.alone(chunk, &mut other);
            if other.len() < out.len() {
                codec = alone;
                std::mem::swap(&mut other, out);
            }
            self.other = other;
        }
        // A chunk that hardly shrinks costs time at every read and saves nothing.
        if out.len() * 100 >= raw.len() * 98 {
            return raw::ID;
        }
        codec
    }

    /// Appends a chunk as its differences to a base, or alone where there is none.
    fn based(&mut self, chunk: &Chunk<'_>, against: Option<Against<'_>>, out: &mut Vec<u8>) -> u8 {
        let Chunk {
            raw,
            element,
            offset,
            ..
        } = *chunk;
        match (element, against) {
            (Element::Number { width, float }, Some(against)) => {
                let Against { base, look, strips } = against;
                // Blocks that are put together of others are numbers to the codecs: strips may begin inside of them.
                let is_part = |look| matches!(look, Look::Floats(_)) || strips.is_empty();
                let blocks = chunk.blocks().filter(|_| is_part(look));
                let inner = match look {
                    Look::View(_) => view::ID,
                    Look::Floats(_) if blocks.is_some() => fields::ID,
                    Look::Same | Look::Floats(_) => delta::ID,
                };
                if !strips.is_empty() {
                    mosaic::begin(strips, inner, out);
                }
                let codec = match (look, blocks) {
                    (Look::View(view), _) => {
                        view::encode(raw, base, view, offset, self, out);
                        view::ID
                    }
                    (Look::Floats(floats), Some(fields)) => {
                        let under = fields::Under::Floats(floats.format, base);
                        fields::encode(raw, fields, offset, under, self, out);
                        fields::ID
                    }
                    (Look::Same, Some(fields)) => {
                        let under = fields::Under::Blocks(base);
                        fields::encode(raw, fields, offset, under, self, out);
                        fields::ID
                    }
                    (Look::Same | Look::Floats(_), None) => {
                        delta::encode(raw, base, width, float, self, out);
                        delta::ID
                    }
                };
                match strips {
                    [] => codec,
                    _ => mosaic::ID,
                }
            }
            _ => self.alone(chunk, out),
        }
    }

    /// Appends a chunk in the codec that suits its elements.
    fn alone(&mut self, chunk: &Chunk<'_>, out: &mut Vec<u8>) -> u8 {
        match (chunk.element, chunk.blocks()) {
            (Element::Number { .. }, Some(fields)) => {
                let under = fields::Under::Nothing;
                fields::encode(chunk.raw, fields, chunk.offset, under, self, out);
                fields::ID
            }
            (Element::Number { width, float }, None) => {
                planes::encode(chunk.raw, width, float, self, out);
                planes::ID
            }
            (Element::Bytes, _) => {
                zstd::encode(chunk.raw, &mut self.frames, out);
                zstd::ID
            }
        }
    }

    /// The shared tables of an object whose chunks are coded with `view`.
    pub(super) fn tables(&mut self, view: &View) -> Vec<u8> {
        view::tables(view, self)
    }

    /// How many bytes a chunk would be stored as.
    pub(super) fn size(&mut self, chunk: &Chunk<'_>, against: Option<Against<'_>>) -> usize {
        let mut out = std::mem::take(&mut self.trial);
        let size = match self.encode(chunk, against, &mut out) {
            raw::ID => chunk.raw.len(),
            _ => out.len(),
        };
        self.trial = out;
        size
    }
}

/// True for stored bytes that decode with a base alone.
pub(super) fn needs_base(codec: u8, payload: &[u8]) -> bool {
    matches!(codec, delta::ID | view::ID | mosaic::ID)
        || (codec == fields::ID && fields::is_based(payload))
}

/// A chunk to be stored.
#[derive(Clone, Copy)]
pub(super) struct Chunk<'a> {
    pub(super) raw: &'a [u8],
    pub(super) element: Element,
    /// What the blocks are made of that its bytes are.
    pub(super) fields: Option<&'a Fields>,
    /// Where in its object it begins.
    pub(super) offset: u64,
}

impl<'a> Chunk<'a> {
    /// The fields of its blocks, if it has some by which it can be taken apart.
    fn blocks(&self) -> Option<&'a Fields> {
        self.fields.filter(|fields| fields::is_sound(fields))
    }
}

/// The fields of blocks that an object's shared tables say, if they do.
pub(super) fn fields_of(element: Element, tables: &[u8]) -> Option<Fields> {
    match element == Element::number(1, false) && !tables.is_empty() {
        true => fields::read_tables(tables).ok(),
        false => None,
    }
}

/// What a chunk may be coded against.
#[derive(Clone, Copy)]
pub(super) struct Against<'a> {
    /// The bytes of a base that belong to it.
    pub(super) base: &'a [u8],
    /// What is made of them.
    pub(super) look: Look<'a>,
    /// Of what the base's bytes were put together, if they were: such as [`mosaic_fits`].
    pub(super) strips: &'a [Strip],
}

/// What is made of a base.
#[derive(Clone, Copy)]
pub(super) enum Look<'a> {
    /// Its bytes are of the same kind.
    Same,
    /// Numbers are computed from it.
    View(&'a View),
    /// It is the floats that blocks stand for.
    Floats(Floats),
}

pub(super) use fields::{Floats, tables as field_tables, values as block_values, values_of_block};
pub(super) use mosaic::{ID as MOSAIC, Strip, are_apart, fits as mosaic_fits};
pub(super) use raw::ID as RAW;
pub use view::Format;
pub(super) use view::{Conversion, ID as VIEW, Sample, View, decay, factor};

#[cfg(test)]
pub(super) mod measure;
#[cfg(test)]
mod tests;
