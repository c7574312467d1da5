//! The left factor of a chunk: how far each of its rows moved in each of an object's directions.

use super::super::machine::{self, Machine, Work};
use super::Conversion;
use super::factors::{LARGEST, Left, RANKS, Ranks, Right};

/// Numbers at a time.
const BLOCK: usize = 1024;

/// A right factor, ready to be multiplied with from the other side.
pub(super) struct Projector {
    rank: usize,
    /// For each column.
    columns: Vec<Ranks>,
    /// What makes a left factor of a row's product with the columns.
    scales: Ranks,
}

impl Projector {
    pub(super) fn new(right: &Right) -> Self {
        let columns = (0..right.columns()).map(|column| {
            let value = |rank| {
                if rank < right.rank() {
                    right.value(rank, column)
                } else {
                    0
                }
            };
            std::array::from_fn(|rank| f32::from(value(rank)))
        });
        let columns: Vec<Ranks> = columns.collect();
        let mut squares = [0.0; RANKS];
        for column in &columns {
            squares
                .iter_mut()
                .zip(column)
                .for_each(|(sum, x)| *sum += x * x);
        }
        Self {
            rank: right.rank(),
            scales: squares.map(|sum| {
                if sum > 0.0 {
                    1.0 / (sum * right.scale())
                } else {
                    0.0
                }
            }),
            columns,
        }
    }
}

/// Sets `left` to what brings `base` nearest to `raw`, whose first number is in column `first`.
pub(super) fn project(
    projector: &Projector,
    conversion: &Conversion,
    raw: &[u8],
    base: &[u8],
    first: usize,
    left: &mut Left,
) {
    let columns = projector.columns.len();
    let numbers = raw.len() / conversion.to.width();
    let rows = Left::rows(first, numbers, columns);
    left.first = first;
    left.values.clear();
    left.values.reserve(rows * projector.rank);
    machine::fastest(Projection {
        projector,
        conversion,
        raw,
        base,
        left,
    });
}

struct Projection<'a> {
    projector: &'a Projector,
    conversion: &'a Conversion,
    raw: &'a [u8],
    base: &'a [u8],
    left: &'a mut Left,
}

impl Work for Projection<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: Machine>(self, machine: M) {
        let Projector {
            rank,
            columns,
            scales,
        } = self.projector;
        let numbers = self.raw.len() / self.conversion.to.width();
        let mut differences = Differences::new(self.conversion, self.raw, self.base);
        let mut sums = [0.0; RANKS];
        let mut at = 0;
        while at < numbers {
            let column = (self.left.first + at) % columns.len();
            let count = (columns.len() - column).min(numbers - at).min(BLOCK);
            let steps = differences.take(at, count);
            let columns = &columns[column..];
            machine.project(steps, columns, *rank, &mut sums);
            at += count;
            if column + count == self.projector.columns.len() || at == numbers {
                let moves = sums.iter().zip(scales).take(*rank);
                let limit = f32::from(LARGEST);
                self.left.values.extend(
                    moves.map(|(sum, scale)| (sum * scale).round().clamp(-limit, limit) as i16),
                );
                sums = [0.0; RANKS];
            }
        }
    }
}

/// The steps from the numbers of a base, times their factor, to those at hand, as far as both are finite.
pub(super) struct Differences<'a> {
    conversion: &'a Conversion,
    raw: &'a [u8],
    base: &'a [u8],
    new: [u32; BLOCK],
    old: [u32; BLOCK],
    steps: [f32; BLOCK],
}

impl<'a> Differences<'a> {
    pub(super) fn new(conversion: &'a Conversion, raw: &'a [u8], base: &'a [u8]) -> Self {
        Self {
            conversion,
            raw,
            base,
            new: [0; BLOCK],
            old: [0; BLOCK],
            steps: [0.0; BLOCK],
        }
    }

    /// `count` steps (at most 1024) from number `at` on.
    #[inline(always)]
    pub(super) fn take(&mut self, at: usize, count: usize) -> &[f32] {
        let Conversion { from, to, .. } = *self.conversion;
        let (new, old) = (&mut self.new[..count], &mut self.old[..count]);
        let places = [(to, self.raw, &mut *new), (from, self.base, &mut *old)];
        let [raw, base] = places.map(|(format, bytes, numbers)| {
            let bytes = bytes.get(at * format.width()..).unwrap_or_default();
            let there = count.min(bytes.len() / format.width());
            numbers[there..].fill(0);
            (bytes, &mut numbers[..there])
        });
        to.widen(raw.0, raw.1);
        self.conversion.widen(base.0, base.1);
        for (step, (new, old)) in self.steps.iter_mut().zip(new.iter().zip(&*old)) {
            let difference = f32::from_bits(*new) - f32::from_bits(*old);
            *step = if difference.abs() < 1e18 {
                difference
            } else {
                0.0
            };
        }
        &self.steps[..count]
    }
}
