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
    scratch: Vec<u8>,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self {
            frames: Decompressor::new(),
            delta: delta::Decoding::new(),
            view: view::Viewing::default(),
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

/// What one thread needs to encode chunk after chunk.
pub(super) struct Encoder {
    frames: Compressor,
    delta: delta::Encoding,
    view: view::Viewing,
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
            scratch: Vec::new(),
            other: Vec::new(),
            trial: Vec::new(),
        }
    }

    /// Writes `raw` into `out`, which is cleared, in the codec whose number is returned. For codec
    /// [`raw::ID`] the stored bytes are the raw ones and `out` means nothing. Whether what they may be coded
    /// `against` is needed to decode, [`needs_base`] says.
    pub(super) fn encode(
        &mut self,
        raw: &[u8],
        element: Element,
        against: Option<Against<'_>>,
        out: &mut Vec<u8>,
    ) -> u8 {
        out.clear();
        if constant::encode(raw, element, out) {
            return constant::ID;
        }
        let mut codec = match (element, against) {
            (Element::Number { width, float }, Some(against)) => {
                let Against {
                    base,
                    view,
                    offset,
                    strips,
                } = against;
                let inner = view.map_or(delta::ID, |_| view::ID);
                if !strips.is_empty() {
                    mosaic::begin(strips, inner, out);
                }
                match view {
                    Some(view) => view::encode(raw, base, view, offset, self, out),
                    None => delta::encode(raw, base, width, float, self, out),
                }
                match strips {
                    [] => inner,
                    _ => mosaic::ID,
                }
            }
            _ => self.alone(raw, element, out),
        };
        // Numbers that have nothing to do with their base are shorter without it.
        if needs_base(codec) && out.len() * 4 > raw.len() {
            let mut other = std::mem::take(&mut self.other);
            other.clear();
            let alone = self.alone(raw, element, &mut other);
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

    /// Appends `raw` in the codec that suits its elements.
    fn alone(&mut self, raw: &[u8], element: Element, out: &mut Vec<u8>) -> u8 {
        match element {
            Element::Number { width, float } => {
                planes::encode(raw, width, float, self, out);
                planes::ID
            }
            Element::Bytes => {
                zstd::encode(raw, &mut self.frames, out);
                zstd::ID
            }
        }
    }

    /// The shared tables of an object whose chunks are coded with `view`.
    pub(super) fn tables(&mut self, view: &View) -> Vec<u8> {
        view::tables(view, self)
    }

    /// How many bytes `raw` would be stored as.
    pub(super) fn size(
        &mut self,
        raw: &[u8],
        element: Element,
        against: Option<Against<'_>>,
    ) -> usize {
        let mut out = std::mem::take(&mut self.trial);
        let size = match self.encode(raw, element, against, &mut out) {
            raw::ID => raw.len(),
            _ => out.len(),
        };
        self.trial = out;
        size
    }
}

/// True for the codecs that decode with a base alone.
pub(super) fn needs_base(codec: u8) -> bool {
    matches!(codec, delta::ID | view::ID | mosaic::ID)
}

/// What a chunk may be coded against.
#[derive(Clone, Copy)]
pub(super) struct Against<'a> {
    /// The bytes of a base that belong to it.
    pub(super) base: &'a [u8],
    /// What is made of them; `None` for nothing.
    pub(super) view: Option<&'a View>,
    /// Where in its object the chunk begins.
    pub(super) offset: u64,
    /// Of what the base's bytes were put together, if they were: such as [`mosaic_fits`].
    pub(super) strips: &'a [Strip],
}

pub(super) use mosaic::{Strip, are_apart, fits as mosaic_fits};
pub(super) use raw::ID as RAW;
pub use view::Format;
pub(super) use view::{Conversion, Sample, View, factor};

#[cfg(test)]
mod measure;
#[cfg(test)]
mod tests;
