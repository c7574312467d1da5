//! zstd frames of known length; the only file that calls zstd.
//!
//! Frames carry neither checksum nor content size, since the record knows both. Decoding writes straight into a
//! buffer of the exact length: no window is allocated, whatever a frame claims.

use std::io::Cursor;

use ::zstd::zstd_safe::{self, CCtx, CParameter, DCtx, ParamSwitch, Strategy};

use super::CodecError;

/// The level for general bytes: headers, text, tokenizers, opaque files.
const LEVEL: i32 = 3;

/// Two compressors of one thread, which keep their parameters and memory.
pub(super) struct Compressor {
    general: CCtx<'static>,
    huffman: CCtx<'static>,
}

impl Compressor {
    pub(super) fn new() -> Self {
        let make = |parameters: &[CParameter]| {
            let mut context = CCtx::create();
            let always = [
                CParameter::ContentSizeFlag(false),
                CParameter::ChecksumFlag(false),
                CParameter::DictIdFlag(false),
            ];
            for parameter in always.iter().chain(parameters) {
                // Fixed, valid values, which the tests exercise; one that a future zstd refuses costs
                // size alone, since what is written is a frame in any case.
                let _ = context.set_parameter(*parameter);
            }
            context
        };
        Self {
            general: make(&[CParameter::CompressionLevel(LEVEL)]),
            // Entropy coding without matches: on byte planes of weights, matches are chance, and cost time
            // and size. This combination is the only way to ask zstd for it.
            huffman: make(&[
                CParameter::Strategy(Strategy::ZSTD_fast),
                CParameter::TargetLength(131_072),
                CParameter::MinMatch(7),
                CParameter::HashLog(6),
                CParameter::LiteralCompressionMode(ParamSwitch::Enable),
            ]),
        }
    }

    /// Appends a general frame to `out`.
    pub(super) fn general(&mut self, raw: &[u8], out: &mut Vec<u8>) {
        append(&mut self.general, raw, out);
    }

    /// Appends a frame without matches to `out`.
    pub(super) fn huffman(&mut self, raw: &[u8], out: &mut Vec<u8>) {
        append(&mut self.huffman, raw, out);
    }
}

fn append(context: &mut CCtx<'static>, raw: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.reserve(zstd_safe::compress_bound(raw.len()));
    let mut end = Cursor::new(out);
    end.set_position(start as u64);
    context
        .compress2(&mut end, raw)
        .expect("a buffer of the bound holds any frame");
}

/// The decompressor of one thread.
pub(super) struct Decompressor(DCtx<'static>);

impl Decompressor {
    pub(super) fn new() -> Self {
        Self(DCtx::create())
    }

    /// Fills `out` from exactly one frame.
    pub(super) fn fill(&mut self, frame: &[u8], out: &mut [u8]) -> Result<(), CodecError> {
        match zstd_safe::find_frame_compressed_size(frame) {
            Ok(len) if len == frame.len() => {}
            Ok(_) => return Err(CodecError::Malformed("bytes follow a zstd frame")),
            Err(_) => return Err(CodecError::Malformed("a zstd frame is malformed")),
        }
        match self.0.decompress(out, frame) {
            Ok(len) if len == out.len() => Ok(()),
            Ok(_) => Err(CodecError::Malformed("a zstd frame is too short")),
            Err(_) => Err(CodecError::Malformed("a zstd frame is malformed")),
        }
    }
}
