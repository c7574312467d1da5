//! Work that is compiled twice: for any machine, and for one with wider vectors, where there is one.

use super::delta::{Meanings, Slots, TOKENS, rans};
use super::view::{RANKS, Ranks};

/// Two numbers, whose products with two others are added in one instruction.
pub(super) type Pair = [i16; 2];

/// What as many tokens as there are states stand for, as numbers of 16 bits, four in a word.
#[derive(Clone, Copy, Default)]
pub(super) struct Quads {
    /// The places of their raw bits.
    pub(super) places: [u64; rans::LANES / 4],
    /// Their smallest differences.
    pub(super) least: [u64; rans::LANES / 4],
}

/// Instructions that a machine has.
pub(super) trait Machine: Copy {
    /// Decodes one token of every state again and again, until `rows` or the words for a whole step run out. Says
    /// how many steps that were, and how many words they took.
    fn steps(
        self,
        states: &mut [u32; rans::LANES],
        rows: &[[u16; rans::LANES]],
        slots: &Slots,
        words: &[u8],
        tokens: &mut [[u8; rans::LANES]],
    ) -> (usize, usize);

    /// Sets `quads` to what four tokens each stand for, in order.
    fn look_up(self, tokens: &[[u8; rans::LANES]], meanings: &Meanings, quads: &mut [Quads]);

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

    /// Adds to the sums of the first `ranks` ranks the products of `steps` with their columns.
    fn project(self, steps: &[f32], columns: &[Ranks], ranks: usize, sums: &mut Ranks);

    /// Asks for bytes to be brought near, since they will be needed soon.
    fn prefetch(self, bytes: &[u8]);

    /// True if [`Machine::deposit`] and [`Machine::extract`] are one fast instruction each.
    fn deposits(self) -> bool;

    /// The lowest bits of `word` at the places that are set in `mask`, the lowest first.
    fn deposit(self, word: u64, mask: u64) -> u64;

    /// The bits of `word` at the places that are set in `mask`, the lowest first.
    fn extract(self, word: u64, mask: u64) -> u64;
}

/// What any machine has.
#[derive(Clone, Copy)]
pub(super) struct Plain;

impl Machine for Plain {
    #[inline(always)]
    fn steps(
        self,
        states: &mut [u32; rans::LANES],
        rows: &[[u16; rans::LANES]],
        slots: &Slots,
        words: &[u8],
        tokens: &mut [[u8; rans::LANES]],
    ) -> (usize, usize) {
        let (mut own, mut done, mut taken) = (*states, 0, 0);
        for (rows, tokens) in rows.iter().zip(tokens) {
            let Some(words) = words.get(2 * taken..).and_then(<[u8]>::first_chunk) else {
                break;
            };
            taken += rans::step(&mut own, rows, slots, words, tokens);
            done += 1;
        }
        *states = own;
        (done, taken)
    }

    #[inline(always)]
    fn look_up(self, tokens: &[[u8; rans::LANES]], meanings: &Meanings, quads: &mut [Quads]) {
        for (tokens, quads) in tokens.iter().zip(quads) {
            *quads = Quads::default();
            let fours = tokens.as_chunks::<4>().0.iter();
            let Quads { places, least } = quads;
            for ((tokens, places), least) in fours.zip(places).zip(least) {
                for (at, token) in tokens.iter().enumerate() {
                    let token = usize::from(*token) % TOKENS;
                    let (low, high) = (meanings.low[token], meanings.high[token]);
                    *places |= ((1 << meanings.bits[token]) - 1) << (16 * at);
                    *least |= u64::from(u16::from_le_bytes([low, high])) << (16 * at);
                }
            }
        }
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

    #[inline(always)]
    fn project(self, steps: &[f32], columns: &[Ranks], ranks: usize, sums: &mut Ranks) {
        let ranks = ranks.min(RANKS);
        for (step, column) in steps.iter().zip(columns) {
            for (sum, x) in sums[..ranks].iter_mut().zip(column) {
                *sum += step * x;
            }
        }
    }

    #[inline(always)]
    fn prefetch(self, _: &[u8]) {}

    #[inline(always)]
    fn deposits(self) -> bool {
        false
    }

    #[inline(always)]
    fn deposit(self, word: u64, mask: u64) -> u64 {
        let (mut rest, mut mask, mut spread) = (word, mask, 0);
        while mask != 0 {
            let place = mask & mask.wrapping_neg();
            spread |= place & (rest & 1).wrapping_neg();
            rest >>= 1;
            mask ^= place;
        }
        spread
    }

    #[inline(always)]
    fn extract(self, word: u64, mask: u64) -> u64 {
        let (mut mask, mut count, mut found) = (mask, 0, 0);
        while mask != 0 {
            let place = mask & mask.wrapping_neg();
            found |= u64::from(word & place != 0) << count;
            count += 1;
            mask ^= place;
        }
        found
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

#[cfg(test)]
mod tests {
    use super::*;

    struct Spread(u64, u64);

    impl Work for Spread {
        type Output = [u64; 2];

        fn run<M: Machine>(self, machine: M) -> [u64; 2] {
            let Self(word, mask) = self;
            [machine.deposit(word, mask), machine.extract(word, mask)]
        }
    }

    struct Project<'a>(&'a [f32], &'a [Ranks], usize);

    impl Work for Project<'_> {
        type Output = Ranks;

        fn run<M: Machine>(self, machine: M) -> Ranks {
            let mut sums = [0.5; RANKS];
            machine.project(self.0, self.1, self.2, &mut sums);
            sums
        }
    }

    #[test]
    fn vectors_project_like_one_number_after_the_other() {
        // Small integers, whose sums are exact in any order.
        let value = |i: usize| ((i * 37) % 101) as f32 - 50.0;
        let columns: Vec<Ranks> = (0..70)
            .map(|column| std::array::from_fn(|rank| value(column * 13 + rank * 7)))
            .collect();
        let steps: Vec<f32> = (0..70).map(|column| value(column * column)).collect();
        for count in [0, 1, 2, 7, 70] {
            for ranks in 1..=RANKS {
                let project = || Project(&steps[..count], &columns, ranks);
                let (fast, plain) = (fastest(project()), project().run(Plain));
                assert_eq!(fast[..ranks], plain[..ranks], "{count} {ranks}");
            }
        }
    }

    #[test]
    fn bits_are_deposited_at_their_places_and_extracted_from_there() {
        assert_eq!(Spread(0b1011, 0x8421).run(Plain), [0x8021, 0b0001]);
        let mask = 0x7fff_0007_0000_0001;
        assert_eq!(Spread(u64::MAX, mask).run(Plain), [mask, (1 << 19) - 1]);
        let mut state = 3u64;
        for mask in (0..2000u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let [deposited, extracted] = Spread(state, mask).run(Plain);
            assert_eq!(fastest(Spread(state, mask)), [deposited, extracted]);
            assert_eq!(Plain.deposit(extracted, mask), state & mask, "{mask:#x}");
            assert_eq!(deposited & !mask, 0);
        }
    }
}
