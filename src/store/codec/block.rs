//! Short pieces of a payload: numbers of variable length, and side information as a block of bytes.

use super::CodecError;
use super::frame::{Compressor, Decompressor};
use crate::store::layout::Cursor;

/// How a block is stored.
const RAW: u8 = 0;
const CONSTANT: u8 = 1;
const FRAME: u8 = 2;

pub(super) const SHORT: CodecError = CodecError::Malformed("a delta is cut short");

/// Appends `value`: seven bits a byte, the lowest first, the top bit set in all bytes but the last.
pub(super) fn put_number(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The number at the front of `cursor`.
pub(super) fn number(cursor: &mut Cursor<'_>) -> Result<u64, CodecError> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = cursor.u8().ok_or(SHORT)?;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits || (byte == 0 && shift > 0) {
            break;
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(CodecError::Malformed("a number of a delta is malformed"))
}

/// The number at the front of `cursor`, if it is at most `most`.
pub(super) fn length(cursor: &mut Cursor<'_>, most: usize) -> Result<usize, CodecError> {
    match usize::try_from(number(cursor)?) {
        Ok(value) if value <= most => Ok(value),
        _ => Err(CodecError::Malformed("a length of a delta is impossible")),
    }
}

/// Appends the length of `bytes` and `bytes`.
pub(super) fn put_piece(bytes: &[u8], out: &mut Vec<u8>) {
    put_number(bytes.len() as u64, out);
    out.extend(bytes);
}

/// The bytes at the front of `cursor` after their length.
pub(super) fn piece<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], CodecError> {
    let len = length(cursor, cursor.0.len())?;
    cursor.take(len).ok_or(SHORT)
}

/// Appends `bytes` in the shortest way: kind, length as stored, bytes.
pub(super) fn put_block(bytes: &[u8], frames: &mut Compressor, out: &mut Vec<u8>) {
    let (kind, stored) = match bytes.split_first() {
        Some((first, rest)) if rest.iter().all(|byte| byte == first) => (CONSTANT, vec![*first]),
        _ => {
            let mut general = Vec::new();
            frames.general(bytes, &mut general);
            let mut huffman = Vec::new();
            frames.huffman(bytes, &mut huffman);
            if huffman.len() < general.len() {
                general = huffman;
            }
            match general.len() < bytes.len() {
                true => (FRAME, general),
                false => (RAW, bytes.to_vec()),
            }
        }
    };
    out.push(kind);
    put_piece(&stored, out);
}

/// Fills `room` with the block at the front of `cursor`.
pub(super) fn block(
    cursor: &mut Cursor<'_>,
    frames: &mut Decompressor,
    room: &mut [u8],
) -> Result<(), CodecError> {
    let kind = cursor.u8().ok_or(SHORT)?;
    let stored = piece(cursor)?;
    match (kind, stored) {
        (RAW, _) if stored.len() == room.len() => {
            room.copy_from_slice(stored);
            Ok(())
        }
        (CONSTANT, [byte]) if !room.is_empty() => {
            room.fill(*byte);
            Ok(())
        }
        (FRAME, _) => frames.fill(stored, room),
        _ => Err(CodecError::Malformed("a block of a delta is malformed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_in_one_way_only() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put_number(value, &mut out);
            assert_eq!(number(&mut Cursor(&out)), Ok(value));
        }
        assert!(number(&mut Cursor(&[0x80, 0])).is_err());
        assert!(number(&mut Cursor(&[0x80])).is_err());
        assert!(number(&mut Cursor(&[0xff; 11])).is_err());
        let over = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2];
        assert!(number(&mut Cursor(&over)).is_err());
    }

    #[test]
    fn blocks_come_back() {
        let repeated: Vec<u8> = (0..900).map(|i| u8::from(i % 300 < 20)).collect();
        for bytes in [&[][..], &[7], &[7; 99], &[1, 2, 3], &repeated] {
            let mut out = Vec::new();
            put_block(bytes, &mut Compressor::new(), &mut out);
            assert!(out.len() <= bytes.len() + 3);
            let mut room = vec![0xaa; bytes.len()];
            let mut cursor = Cursor(&out);
            assert_eq!(
                block(&mut cursor, &mut Decompressor::new(), &mut room),
                Ok(())
            );
            assert_eq!((room.as_slice(), cursor.0), (bytes, &[][..]));
            let mut longer = vec![0; bytes.len() + 1];
            let longer = block(&mut Cursor(&out), &mut Decompressor::new(), &mut longer);
            assert_eq!(
                longer.is_ok(),
                out[0] == CONSTANT,
                "its length is the reader's"
            );
        }
    }
}
