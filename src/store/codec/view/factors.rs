//! A matrix of low rank as the product of two narrow ones: the right one is an object's, with a row of the matrix's
//! columns for each rank; the left one is a chunk's, with the chunk's rows.

use super::super::CodecError;
use super::super::block;
use super::super::frame::{Compressor, Decompressor};
use super::super::machine::Pair;
use crate::store::layout::Cursor;

/// The highest rank.
pub(in super::super) const RANKS: usize = 32;
/// A number for each rank, of one row or one column.
pub(in super::super) type Ranks = [f32; RANKS];
/// Matrices of fewer columns have no factors.
pub(super) const NARROWEST: usize = 16;
/// The right factor has no more numbers than this.
pub(super) const MOST: usize = 1 << 20;
/// Numbers are from minus this to this, so that a sum of [`RANKS`] products fits 32 bits.
pub(super) const LARGEST: i16 = 2047;

const WRONG: CodecError = CodecError::Malformed("the factors of a matrix are malformed");

/// The right factor.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) struct Right {
    columns: usize,
    rank: usize,
    /// Products are multiplied with 2^exponent.
    exponent: i8,
    /// For each two ranks, a pair for each column; where the rank is odd, the last second numbers are zero.
    pairs: Vec<Pair>,
}

impl Right {
    /// `value` says the number of a rank and a column, between -[`LARGEST`] and [`LARGEST`].
    pub(super) fn new(
        columns: usize,
        rank: usize,
        exponent: i8,
        value: impl Fn(usize, usize) -> i16,
    ) -> Self {
        let ranks = (0..rank).step_by(2);
        let pairs = ranks.flat_map(|rank| (0..columns).map(move |column| (rank, column)));
        let second = |r, column| {
            if r + 1 < rank {
                value(r + 1, column)
            } else {
                0
            }
        };
        Self {
            columns,
            rank,
            exponent,
            pairs: pairs
                .map(|(r, column)| [value(r, column), second(r, column)])
                .collect(),
        }
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    pub(super) fn rank(&self) -> usize {
        self.rank
    }

    /// What sums of products are multiplied with.
    pub(super) fn scale(&self) -> f32 {
        // By way of F64, where none of these is denormal.
        2f64.powi(i32::from(self.exponent)) as f32
    }

    /// For ranks 0 and 1 a pair for each column, then for ranks 2 and 3, and so on.
    pub(super) fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    pub(super) fn value(&self, rank: usize, column: usize) -> i16 {
        let pair = self.pairs.get(rank / 2 * self.columns + column);
        pair.map_or(0, |pair| pair[rank % 2])
    }

    /// Appends columns, rank, exponent, and the numbers rank by rank.
    pub(super) fn write(&self, frames: &mut Compressor, out: &mut Vec<u8>) {
        block::put_number(self.columns as u64, out);
        block::put_number(self.rank as u64, out);
        out.push(self.exponent as u8);
        let ranks = 0..self.rank;
        let values =
            ranks.flat_map(|rank| (0..self.columns).map(move |column| self.value(rank, column)));
        put_values(&values.collect::<Vec<_>>(), frames, out);
    }

    /// The right factor that `tables` is.
    pub(super) fn read(tables: &[u8], frames: &mut Decompressor) -> Result<Self, CodecError> {
        let mut cursor = Cursor(tables);
        let columns = block::length(&mut cursor, MOST)?;
        let rank = block::length(&mut cursor, RANKS)?;
        let exponent = cursor.u8().ok_or(block::SHORT)? as i8;
        if columns < NARROWEST || rank == 0 || columns * rank > MOST {
            return Err(WRONG);
        }
        let mut values = Vec::new();
        read_values(columns * rank, &mut cursor, frames, &mut values)?;
        match cursor.0.is_empty() {
            true => Ok(Self::new(columns, rank, exponent, |rank, column| {
                values[rank * columns + column]
            })),
            false => Err(WRONG),
        }
    }
}

/// The left factor of a chunk.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Left {
    /// The column of the chunk's first number.
    pub(super) first: usize,
    /// Row by row, as many as the right factor has ranks.
    pub(super) values: Vec<i16>,
}

impl Left {
    /// How many rows a chunk of `numbers` touches.
    pub(super) fn rows(first: usize, numbers: usize, columns: usize) -> usize {
        match numbers {
            0 => 0,
            _ => (first + numbers).div_ceil(columns.max(1)),
        }
    }

    pub(super) fn write(&self, frames: &mut Compressor, out: &mut Vec<u8>) {
        block::put_number(self.first as u64, out);
        put_values(&self.values, frames, out);
    }

    /// Reads the left factor at the front of `cursor`, of a chunk of `numbers`.
    pub(super) fn read(
        &mut self,
        right: &Right,
        numbers: usize,
        cursor: &mut Cursor<'_>,
        frames: &mut Decompressor,
    ) -> Result<(), CodecError> {
        self.first = block::length(cursor, right.columns - 1)?;
        let rows = Self::rows(self.first, numbers, right.columns);
        read_values(rows * right.rank, cursor, frames, &mut self.values)
    }
}

/// Appends numbers as a block of their lower bytes and one of their upper ones, the sign lowest.
fn put_values(values: &[i16], frames: &mut Compressor, out: &mut Vec<u8>) {
    let folded = values.iter().map(|value| (value << 1 ^ value >> 15) as u16);
    let (low, high): (Vec<u8>, Vec<u8>) = folded.map(|x| (x as u8, (x >> 8) as u8)).unzip();
    block::put_block(&low, frames, out);
    block::put_block(&high, frames, out);
}

fn read_values(
    count: usize,
    cursor: &mut Cursor<'_>,
    frames: &mut Decompressor,
    values: &mut Vec<i16>,
) -> Result<(), CodecError> {
    let (mut low, mut high) = (vec![0; count], vec![0; count]);
    block::block(cursor, frames, &mut low)?;
    block::block(cursor, frames, &mut high)?;
    values.clear();
    values.extend(low.iter().zip(&high).map(|(low, high)| {
        let folded = u16::from_le_bytes([*low, *high]);
        (folded >> 1) as i16 ^ -((folded & 1) as i16)
    }));
    let range = -LARGEST..=LARGEST;
    match values.iter().all(|value| range.contains(value)) {
        true => Ok(()),
        false => Err(WRONG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right(columns: usize, rank: usize) -> Right {
        Right::new(columns, rank, -30, |rank, column| {
            ((rank * 977 + column * 31) % 2000) as i16 - 1000
        })
    }

    #[test]
    fn factors_come_back() {
        for (columns, rank) in [(16, 1), (100, 3), (4096, 32)] {
            let right = right(columns, rank);
            let mut tables = Vec::new();
            right.write(&mut Compressor::new(), &mut tables);
            let read = Right::read(&tables, &mut Decompressor::new());
            assert_eq!(read.as_ref(), Ok(&right));
            assert_eq!(right.scale(), 2f32.powi(-30));
            let smallest = Right::new(16, 1, i8::MIN, |_, _| 1).scale();
            assert_eq!(smallest.to_bits(), 1 << 21);
            assert!(Right::read(&tables[..tables.len() - 1], &mut Decompressor::new()).is_err());
            assert!(Right::read(&[&tables[..], &[0]].concat(), &mut Decompressor::new()).is_err());

            let left = Left {
                first: columns - 1,
                values: (0..rank as i16 * 3).map(|i| 2047 - 17 * i).collect(),
            };
            let mut out = Vec::new();
            left.write(&mut Compressor::new(), &mut out);
            let mut read = Left::default();
            let numbers = columns + 2;
            let frames = &mut Decompressor::new();
            assert_eq!(
                read.read(&right, numbers, &mut Cursor(&out), frames),
                Ok(())
            );
            assert_eq!(read, left);
            let more = numbers + columns;
            assert!(read.read(&right, more, &mut Cursor(&out), frames).is_err());
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        let fails = |columns: u64, rank: u64, value: i16| {
            let mut tables = Vec::new();
            block::put_number(columns, &mut tables);
            block::put_number(rank, &mut tables);
            tables.push(0);
            let values = vec![value; (columns * rank).min(1 << 21) as usize];
            put_values(&values, &mut Compressor::new(), &mut tables);
            Right::read(&tables, &mut Decompressor::new()).is_err()
        };
        assert!(!fails(16, 1, 2047) && !fails(1 << 15, 32, -2047));
        assert!(fails(15, 1, 0) && fails(16, 0, 0) && fails(16, 33, 0) && fails(1 << 16, 32, 0));
        assert!(fails(16, 1, 2048) && fails(16, 1, -2048) && fails(1 << 40, 1, 0));
    }
}
