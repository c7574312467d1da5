//! A stream of raw bits: the lowest bit of the lowest byte first, unused bits of the last byte zero.

use super::super::CodecError;

/// Writes bits.
pub(super) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    at: usize,
    pending: u64,
    count: u32,
}

impl<'a> BitWriter<'a> {
    /// Appends to `out`.
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self {
            at: out.len(),
            out,
            pending: 0,
            count: 0,
        }
    }

    /// Appends of each value the lowest bits, at most 56; `most` bytes at most.
    #[inline(always)]
    pub(super) fn extend(&mut self, values: impl Iterator<Item = (u64, u32)>, most: usize) {
        self.out.resize(self.at + most + 16, 0);
        // What changes with each value is kept where no other write could change it.
        let (out, mut at) = (self.out.as_mut_slice(), self.at);
        let (mut pending, mut count) = (self.pending, self.count);
        for (value, bits) in values {
            pending |= lowest(value, bits) << count;
            count += bits;
            if let Some(place) = out.get_mut(at..at + 8) {
                place.copy_from_slice(&pending.to_le_bytes());
            }
            at += (count >> 3) as usize;
            pending >>= count & !7;
            count &= 7;
        }
        (self.at, self.pending, self.count) = (at, pending, count);
    }

    /// Ends the stream at a whole byte.
    pub(super) fn finish(self) {
        self.out.truncate(self.at + usize::from(self.count > 0));
    }
}

/// The lowest bits (at most 63) of `word`.
#[inline(always)]
pub(super) fn lowest(word: u64, bits: u32) -> u64 {
    word & ((1u64 << bits) - 1)
}

/// Reads bits. Beyond the end they are zeros, which [`BitReader::finish`] tells.
#[derive(Clone, Copy)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// At least the next 56 bits.
    #[inline(always)]
    pub(super) fn peek(&self) -> u64 {
        let byte = self.at >> 3;
        let word = match self.bytes.get(byte..byte + 8) {
            Some(eight) => {
                let mut word = [0; 8];
                word.copy_from_slice(eight);
                u64::from_le_bytes(word)
            }
            None => self.last(byte),
        };
        word >> (self.at & 7)
    }

    /// Goes on by so many bits.
    #[inline(always)]
    pub(super) fn skip(&mut self, bits: u32) {
        self.at += bits as usize;
    }

    /// The next bits, to be read without asking each time whether they are there; in `room` where they are the last.
    #[inline(always)]
    pub(super) fn near<'b>(&self, room: &'b mut [u8; NEAR + 8]) -> NearBits<'b>
    where
        'a: 'b,
    {
        let byte = self.at >> 3;
        let next = self.bytes.get(byte..).and_then(<[u8]>::first_chunk);
        let bytes = match next {
            Some(next) => next,
            None => {
                self.last_into(byte, room);
                room
            }
        };
        let first = self.at as u32 & 7;
        NearBits {
            bytes,
            first,
            at: first,
        }
    }

    #[cold]
    fn last_into(&self, byte: usize, place: &mut [u8]) {
        let rest = self.bytes.get(byte..).unwrap_or_default();
        place.iter_mut().zip(rest).for_each(|(a, b)| *a = *b);
    }

    #[cold]
    fn last(&self, byte: usize) -> u64 {
        let rest = self.bytes.get(byte..).unwrap_or_default();
        let bytes = rest.iter().take(8).rev();
        bytes.fold(0, |word, byte| word << 8 | u64::from(*byte))
    }

    /// Fails unless the stream ends here.
    pub(super) fn finish(self) -> Result<(), CodecError> {
        if self.at.div_ceil(8) != self.bytes.len() {
            return Err(CodecError::Malformed("the raw bits have another length"));
        }
        match (self.bytes.last(), self.at % 8) {
            (Some(last), used @ 1..) if last >> used != 0 => {
                Err(CodecError::Malformed("unused bits are set"))
            }
            _ => Ok(()),
        }
    }
}

/// How many bytes are near: what 32 numbers of at most 14 bits take, and a byte that is begun already.
pub(super) const NEAR: usize = 64;

/// Bits that lie near, whatever is beyond them.
pub(super) struct NearBits<'a> {
    bytes: &'a [u8; NEAR + 8],
    first: u32,
    at: u32,
}

impl NearBits<'_> {
    /// At least the next 56 bits, if no more than [`NEAR`] less 8 bytes were taken.
    #[inline(always)]
    pub(super) fn peek(&self) -> u64 {
        let byte = (self.at >> 3) as usize & (NEAR - 1);
        let mut word = [0; 8];
        word.copy_from_slice(&self.bytes[byte..byte + 8]);
        u64::from_le_bytes(word) >> (self.at & 7)
    }

    /// Goes on by so many bits.
    #[inline(always)]
    pub(super) fn skip(&mut self, bits: u32) {
        self.at += bits;
    }

    /// How many bits were taken.
    #[inline(always)]
    pub(super) fn taken(&self) -> u32 {
        self.at - self.first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_back() {
        let values: Vec<(u64, u32)> = (0..500u64)
            .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15), (i * 7 % 57) as u32))
            .collect();
        let mut out = Vec::new();
        let mut writer = BitWriter::new(&mut out);
        for values in values.chunks(100) {
            writer.extend(values.iter().copied(), 700);
        }
        writer.finish();
        let mut reader = BitReader::new(&out);
        for (value, bits) in &values {
            assert_eq!(lowest(reader.peek(), *bits), value & ((1 << bits) - 1));
            reader.skip(*bits);
        }
        assert_eq!(reader.finish(), Ok(()));
        let mut reader = BitReader::new(&out);
        for values in values.chunks(8) {
            let mut room = [0; NEAR + 8];
            let mut near = reader.near(&mut room);
            for (value, bits) in values {
                assert_eq!(lowest(near.peek(), *bits), value & ((1 << bits) - 1));
                near.skip(*bits);
            }
            reader.skip(near.taken());
        }
        assert_eq!(reader.finish(), Ok(()));
        assert!(BitReader::new(&out).finish().is_err());
        let mut short = BitReader::new(&out[..1]);
        short.skip(30);
        assert!(short.finish().is_err());
        let mut unused = BitReader::new(&[0xff]);
        unused.skip(3);
        assert!(unused.finish().is_err());
    }
}
