//! Work that is compiled twice: for any machine, and for one with wider vectors, where there is one.

use super::delta::{Slots, rans};

/// Two numbers, whose products with two others are added in one instruction.
pub(super) type Pair = [i16; 2];

/// Instructions that a machine has.
pub(super) trait Machine: Copy {
    /// Decodes one token of every state, and says how many words that took.
    fn step(
        self,
        states: &mut [u32; rans::LANES],
        rows: &[u16; rans::LANES],
        slots: &Slots,
        words: &[u8; 2 * rans::LANES],
        tokens: &mut [u8; rans::LANES],
    ) -> usize;

    /// Sets each sum to what the products of its column with `row` add up to. For each pair of `row`, `matrix` has
    /// a pair for each of `columns` columns; the first sum is that of column `first`.
    fn multiply(
        self,
        matrix: &[Pair],
        columns: usize,
        row: &[Pair],
        first: usize,
        sums: &mut [i32],
    );
}

/// What any machine has.
#[derive(Clone, Copy)]
pub(super) struct Plain;

impl Machine for Plain {
    #[inline(always)]
    fn step(
        self,
        states: &mut [u32; rans::LANES],
        rows: &[u16; rans::LANES],
        slots: &Slots,
        words: &[u8; 2 * rans::LANES],
        tokens: &mut [u8; rans::LANES],
    ) -> usize {
        rans::step(states, rows, slots, words, tokens)
    }

    #[inline(always)]
    fn multiply(
        self,
        matrix: &[Pair],
        columns: usize,
        row: &[Pair],
        first: usize,
        sums: &mut [i32],
    ) {
        sums.fill(0);
        for (pair, line) in row.iter().zip(matrix.chunks_exact(columns.max(1))) {
            let [a, b] = pair.map(i32::from);
            let line = line.get(first..).unwrap_or_default();
            for (sum, column) in sums.iter_mut().zip(line) {
                let [x, y] = column.map(i32::from);
                // Factors are bounded so that no sum leaves its range.
                *sum = sum.wrapping_add(a * x + b * y);
            }
        }
    }
}

/// Something to do, whose code the compiler writes anew for each machine. All that it calls in its inner loops
/// must be `inline(always)`.
pub(super) trait Work {
    type Output;

    fn run<M: Machine>(self, machine: M) -> Self::Output;
}

/// Does `work` with the best that this machine has.
pub(super) fn fastest<W: Work>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = super::simd_x86::Avx2::detect() {
        return avx2.run(work);
    }
    work.run(Plain)
}
