//! What a base becomes, block by block: widened, a matrix of low rank added, narrowed.

use super::super::machine::{self, Machine, Work};
use super::Conversion;
use super::factors::{Left, RANKS, Right};
use super::format::is_finite;

/// Numbers at a time.
const BLOCK: usize = 1024;

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
    fn run<M: Machine>(self, machine: M) {
        let Conversion { from, to, factor } = *self.conversion;
        let mut wide = [0u32; BLOCK];
        let mut sums = [0i32; BLOCK];
        let places = self.seen.chunks_mut(BLOCK * to.width());
        for (index, place) in places.enumerate() {
            let count = place.len() / to.width();
            let (wide, sums) = (&mut wide[..count], &mut sums[..count]);
            let start = index * BLOCK;
            let base = self.base.get(start * from.width()..).unwrap_or_default();
            let there = count.min(base.len() / from.width());
            from.widen(base, &mut wide[..there]);
            wide[there..].fill(0);
            if let Some((right, left)) = self.factors {
                multiply(machine, right, left, start, sums);
                let scale = right.scale();
                for (wide, sum) in wide.iter_mut().zip(sums) {
                    let moved = (f32::from_bits(*wide) + *sum as f32 * scale).to_bits();
                    // Adding nothing would make a positive zero of a negative one.
                    let moves = *sum != 0 && is_finite(*wide);
                    *wide = if moves { moved } else { *wide };
                }
            }
            to.narrow(wide, factor, place);
        }
    }
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
