//! What a base becomes, block by block: widened, multiplied with a factor, a matrix of low rank added, narrowed.

use std::ops::Range;

use super::super::machine::{self, Machine, Work};
use super::Conversion;
use super::factors::{Left, RANKS, Right};
use super::format::is_finite;

/// Numbers at a time.
const BLOCK: usize = 1024;
/// Of a matrix with more columns than this, so many are taken for several rows before the next ones: their part of the
/// right factor stays in the nearest cache meanwhile, which has no room for all of it.
const STRIP: usize = 512;
const ROWS: usize = 16;

/// Fills `seen` with the numbers that belong to `len` bytes. Where `base` ends early, the numbers are zero.
pub(super) fn predict(
    conversion: &Conversion,
    base: &[u8],
    factors: Option<(&Right, &Left)>,
    len: usize,
    seen: &mut Vec<u8>,
) {
    let width = conversion.to.width();
    seen.resize(len / width * width, 0);
    machine::fastest(Prediction {
        conversion,
        base,
        factors,
        seen,
    });
}

struct Prediction<'a> {
    conversion: &'a Conversion,
    base: &'a [u8],
    factors: Option<(&'a Right, &'a Left)>,
    seen: &'a mut [u8],
}

impl Work for Prediction<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: Machine>(mut self, machine: M) {
        let count = self.seen.len() / self.conversion.to.width();
        let mut room = Room {
            wide: [0; BLOCK],
            sums: [0; BLOCK],
            moved: [0; BLOCK],
        };
        match self.factors {
            Some((right, left)) if right.columns() > STRIP => {
                let mut strips = strips(right.columns(), left.first, count).peekable();
                while let Some(numbers) = strips.next() {
                    let next = strips.peek().cloned();
                    self.numbers(machine, numbers, next.unwrap_or_default(), &mut room);
                }
            }
            _ => self.numbers(machine, 0..count, 0..0, &mut room),
        }
    }
}

/// Some numbers on their way.
struct Room {
    /// The base's.
    wide: [u32; BLOCK],
    sums: [i32; BLOCK],
    /// Not in place, or else the compiler makes stores of it that skip what does not move, which are slow.
    moved: [u32; BLOCK],
}

impl Prediction<'_> {
    /// Computes some numbers; those of `next` will follow.
    #[inline(always)]
    fn numbers<M: Machine>(
        &mut self,
        machine: M,
        numbers: Range<usize>,
        next: Range<usize>,
        room: &mut Room,
    ) {
        let Conversion { from, to, factor } = *self.conversion;
        let factor = factor as f32;
        let Room { wide, sums, moved } = room;
        for start in numbers.clone().step_by(BLOCK) {
            let count = BLOCK.min(numbers.end - start);
            let (wide, sums) = (&mut wide[..count], &mut sums[..count]);
            let base = self.base.get(start * from.width()..).unwrap_or_default();
            let there = count.min(base.len() / from.width());
            self.conversion.widen(base, &mut wide[..there]);
            wide[there..].fill(0);
            // While all this is computed, what comes next has time to come: strips are nowhere near each other.
            let soon = match start + count {
                end if end < numbers.end => end..numbers.end.min(end + BLOCK),
                _ => next.clone(),
            };
            let bytes = |width: usize| soon.start * width..soon.end * width;
            machine.prefetch(self.base.get(bytes(from.width())).unwrap_or_default());
            machine.prefetch(self.seen.get(bytes(to.width())).unwrap_or_default());
            if let Some((right, left)) = self.factors {
                multiply(machine, right, left, start, sums);
                let scale = right.scale();
                for ((moved, wide), sum) in moved.iter_mut().zip(&*wide).zip(sums) {
                    let sum_of_both = (f32::from_bits(*wide) + *sum as f32 * scale).to_bits();
                    // Adding nothing would make a positive zero of a negative one.
                    let moves = *sum != 0 && is_finite(*wide);
                    *moved = if moves { sum_of_both } else { *wide };
                }
            }
            let found = match self.factors {
                Some(_) => &moved[..count],
                None => &*wide,
            };
            let place = start * to.width()..(start + count) * to.width();
            to.narrow(found, factor, &mut self.seen[place]);
        }
    }
}

/// The numbers of a chunk of `count`, of which the first is in column `first`, strip by strip.
fn strips(columns: usize, first: usize, count: usize) -> impl Iterator<Item = Range<usize>> {
    let rows = (first + count).div_ceil(columns);
    let groups = (0..rows).step_by(ROWS);
    let strips = groups.flat_map(move |row| (0..columns).step_by(STRIP).map(move |at| (row, at)));
    strips.flat_map(move |(row, at)| {
        (row..rows.min(row + ROWS)).map(move |row| {
            let ends = [at, columns.min(at + STRIP)];
            let [start, end] = ends.map(|at| (row * columns + at).clamp(first, first + count));
            start - first..end - first
        })
    })
}

/// Sets `sums` to those of the products for the numbers from `start` on.
#[inline(always)]
fn multiply<M: Machine>(machine: M, right: &Right, left: &Left, start: usize, sums: &mut [i32]) {
    let (columns, rank) = (right.columns(), right.rank());
    let mut at = left.first + start;
    let mut rest = sums;
    while !rest.is_empty() {
        let (row, column) = (at / columns, at % columns);
        let (sums, after) = rest.split_at_mut((columns - column).min(rest.len()));
        let values = left.values.get(row * rank..(row + 1) * rank);
        let mut pairs = [[0; 2]; RANKS / 2];
        for (pair, values) in pairs.iter_mut().zip(values.unwrap_or_default().chunks(2)) {
            *pair = [values[0], values.get(1).copied().unwrap_or(0)];
        }
        machine.multiply(
            right.pairs(),
            columns,
            &pairs[..rank.div_ceil(2)],
            column,
            sums,
        );
        at += sums.len();
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_are_all_numbers_once() {
        for (columns, first, count) in [
            (513, 0, 513 * 40),
            (1000, 999, 1),
            (1000, 999, 2),
            (4096, 77, 524_288),
            (600, 5, 0),
            (1 << 20, 1 << 19, 1 << 18),
        ] {
            let mut all: Vec<_> = strips(columns, first, count).flatten().collect();
            all.sort_unstable();
            assert_eq!(all, (0..count).collect::<Vec<_>>(), "{columns} {first}");
        }
    }
}
