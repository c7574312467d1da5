//! Reads a header from its front to its end, a page at a time, and never beyond what there is.

use super::{MAX_HEADER, MAX_NAME, Refusal, Result};
use crate::base::ReadAt;

/// Bytes that are read at a time.
const PAGE: u64 = 256 << 10;

/// A place in a header.
pub(super) struct Cursor<'a> {
    source: &'a dyn ReadAt,
    /// Where the bytes end.
    end: u64,
    at: u64,
    /// What was read last, and where it begins.
    page: Vec<u8>,
    start: u64,
}

impl<'a> Cursor<'a> {
    /// The front of a file of `file_len` bytes, of which `source` may have fewer.
    pub(super) fn new(source: &'a dyn ReadAt, file_len: u64) -> Self {
        Self {
            source,
            end: file_len.min(source.len()),
            at: 0,
            page: Vec::new(),
            start: 0,
        }
    }

    /// Where it is.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// How many bytes there are in all.
    pub(super) fn limit(&self) -> u64 {
        self.end
    }

    /// Where it will be after so many bytes, which must be there.
    fn after(&self, bytes: u64) -> Result<u64> {
        let after = self
            .at
            .checked_add(bytes)
            .filter(|after| *after <= self.end);
        match after {
            None => Err(Refusal::Cut.into()),
            Some(after) if after > MAX_HEADER => Err(Refusal::LongHeader.into()),
            Some(after) => Ok(after),
        }
    }

    /// Goes over so many bytes without reading them.
    pub(super) fn skip(&mut self, bytes: u64) -> Result<()> {
        self.at = self.after(bytes)?;
        Ok(())
    }

    /// The next bytes: few enough to lie in memory.
    fn take(&mut self, bytes: u64) -> Result<&[u8]> {
        let after = self.after(bytes)?;
        let held = self.start..=self.start + self.page.len() as u64;
        if !(held.contains(&self.at) && held.contains(&after)) {
            let most = PAGE.max(bytes).min(self.end - self.at);
            self.page.resize(most as usize, 0);
            // Should reading fail, nothing is held.
            self.start = self.end;
            self.source.read_exact_at(&mut self.page, self.at)?;
            self.start = self.at;
        }
        let from = (self.at - self.start) as usize;
        self.at = after;
        Ok(&self.page[from..from + bytes as usize])
    }

    /// The next bytes as an array.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    /// The next number of 32 bits.
    pub(super) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// The next number of 64 bits.
    pub(super) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A key or a name: its length, then its bytes.
    pub(super) fn name(&mut self) -> Result<Vec<u8>> {
        match self.u64()? {
            bytes if bytes > MAX_NAME => Err(Refusal::LongName(bytes).into()),
            bytes => Ok(self.take(bytes)?.to_vec()),
        }
    }
}
