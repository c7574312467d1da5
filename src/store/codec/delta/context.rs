//! Which table codes a difference: chosen by how large the base is, which the decoder knows.
//!
//! The last bit of a float weighs 2^exponent, and a training step is much the same for all weights of a tensor:
//! so how far the new number lies from the base, in steps, follows from the base's size. The sizes are cut into at
//! most 16 intervals, each with a table.

use super::super::CodecError;
use super::super::block;
use super::table::{TABLES, Table};
use crate::store::layout::Cursor;

/// Intervals of keys, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Intervals {
    count: usize,
    /// The last key before each interval but the first; after the last interval, what no key is above.
    before: [i16; TABLES - 1],
}

impl Intervals {
    /// Intervals but the first begin at `starts`, ascending, at most 15 and none at 0.
    pub(super) fn new(starts: &[i16]) -> Self {
        let mut before = [i16::MAX; TABLES - 1];
        for (before, start) in before.iter_mut().zip(starts) {
            *before = start - 1;
        }
        Self {
            count: 1 + starts.len().min(before.len()),
            before,
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Appends how many follow the first, and how far each begins above the one before.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(self.count as u8 - 1);
        let mut last = -1;
        for before in &self.before[..self.count - 1] {
            block::put_number(u64::from(before.abs_diff(last)), out);
            last = *before;
        }
    }

    /// The intervals at the front of `cursor`.
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, CodecError> {
        let wrong = CodecError::Malformed("the intervals of a delta are malformed");
        let count = usize::from(cursor.u8().ok_or(block::SHORT)?);
        if count >= TABLES {
            return Err(wrong);
        }
        let mut starts = [0; TABLES - 1];
        let mut start = 0i16;
        for place in &mut starts[..count] {
            let step = block::length(cursor, (i16::MAX - start) as usize)?;
            if step == 0 {
                return Err(wrong);
            }
            start += step as i16;
            *place = start;
        }
        Ok(Self::new(&starts[..count]))
    }

    /// Writes to `rows` for each key the row of slots that its table has.
    #[inline(always)]
    pub(super) fn rows(&self, keys: &[i16], rows: &mut [u16]) {
        // All comparisons for each key: they are few and the same ones, so that they are made for many keys at once.
        for (row, key) in rows.iter_mut().zip(keys) {
            let mut interval = 0;
            for before in &self.before {
                interval += u16::from(key > before);
            }
            *row = interval << Table::BITS;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_count_the_starts_that_are_reached() {
        let intervals = Intervals::new(&[10, 20, 30]);
        let mut rows = [9; 5];
        intervals.rows(&[0, 9, 10, 29, i16::MAX], &mut rows);
        assert_eq!(rows.map(|row| row >> Table::BITS), [0, 0, 1, 2, 3]);
    }

    #[test]
    fn intervals_come_back() {
        let most: Vec<i16> = (1..16).map(|i| i * 2000 + 2767).collect();
        for starts in [&[][..], &[1], &[i16::MAX], &[7, 8], &most] {
            let mut out = Vec::new();
            Intervals::new(starts).write(&mut out);
            let mut cursor = Cursor(&out);
            assert_eq!(Intervals::read(&mut cursor), Ok(Intervals::new(starts)));
            assert!(cursor.0.is_empty());
        }
        let fails = |bytes: &[u8]| Intervals::read(&mut Cursor(bytes)).is_err();
        assert!(fails(&[]) && fails(&[1]) && fails(&[1, 0]) && fails(&[16]));
        assert!(fails(&[2, 0xff, 0xff, 1, 1]) && !fails(&[1, 0xff, 0xff, 1]));
    }
}
