//! The inner loops on x86-64 with AVX2: what the compiler makes of the plain code with wider vectors, and the one
//! step that it cannot widen by itself.

#![expect(unsafe_code, reason = "vector instructions, after they were detected")]

use std::arch::x86_64::*;

use super::delta::rans::LANES;
use super::delta::{Slots, Table};
use super::machine::{Machine, Pair, Plain, Work};

/// Proof that this machine has AVX2 and the bit instructions that came with it.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        let all = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt");
        all.then_some(Self(()))
    }

    /// Does `work`, compiled for such a machine.
    pub(super) fn run<W: Work>(self, work: W) -> W::Output {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { run(self, work) }
    }
}

#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn run<W: Work>(avx2: Avx2, work: W) -> W::Output {
    work.run(avx2)
}

impl Machine for Avx2 {
    #[inline(always)]
    fn step(
        self,
        states: &mut [u32; LANES],
        rows: &[u16; LANES],
        slots: &Slots,
        words: &[u8; 2 * LANES],
        tokens: &mut [u8; LANES],
    ) -> usize {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { step(states, rows, slots, words, tokens) }
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
        // SAFETY: `self` exists, so the features were detected.
        unsafe { multiply(matrix, columns, row, first, sums) }
    }
}

/// How many sums are kept in registers at once.
const SUMS: usize = 32;

#[inline]
#[target_feature(enable = "avx2")]
fn multiply(matrix: &[Pair], columns: usize, row: &[Pair], first: usize, sums: &mut [i32]) {
    let lines = matrix.len() / columns.max(1);
    let row = &row[..row.len().min(lines)];
    let whole = sums.len().min(columns.saturating_sub(first)) / SUMS * SUMS;
    for at in (0..whole).step_by(SUMS) {
        let mut found = [_mm256_setzero_si256(); SUMS / 8];
        for (index, pair) in row.iter().enumerate() {
            let [a, b] = pair.map(|x| u32::from(x as u16));
            let pairs = _mm256_set1_epi32((a | b << 16) as i32);
            // SAFETY: `index` is one of the lines of the matrix, and 32 columns from `first + at` on are in a line.
            let line = unsafe { matrix.as_ptr().add(index * columns + first + at) };
            for (quarter, sum) in found.iter_mut().enumerate() {
                // SAFETY: four times 8 columns of 4 bytes.
                let columns = unsafe { _mm256_loadu_si256(line.add(8 * quarter).cast()) };
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(columns, pairs));
            }
        }
        for (quarter, sum) in found.iter().enumerate() {
            // SAFETY: four times 8 of the 32 sums from `at` on.
            unsafe { _mm256_storeu_si256(sums.as_mut_ptr().add(at + 8 * quarter).cast(), *sum) };
        }
    }
    Plain.multiply(matrix, columns, row, first + whole, &mut sums[whole..]);
}

/// For each set of lanes that need a word: which of the next words each lane gets, four bits a lane.
static WORD_OF_LANE: [u64; 256] = word_of_lane();

const fn word_of_lane() -> [u64; 256] {
    let mut table = [0; 256];
    let mut set = 0;
    while set < 256 {
        let (mut lane, mut word) = (0, 0);
        while lane < 8 {
            if set >> lane & 1 == 1 {
                table[set] |= word << (8 * lane);
                word += 1;
            }
            lane += 1;
        }
        set += 1;
    }
    table
}

#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn step(
    states: &mut [u32; LANES],
    rows: &[u16; LANES],
    slots: &Slots,
    words: &[u8; 2 * LANES],
    tokens: &mut [u8; LANES],
) -> usize {
    let residue = _mm256_set1_epi32(Table::SUM as i32 - 1);
    let mut taken = 0;
    let mut found = [_mm256_setzero_si256(); 4];
    for (quarter, found) in found.iter_mut().enumerate() {
        let at = 8 * quarter;
        // SAFETY: 8 states from the 8th, 16th or 24th of 32 on, 8 rows of 2 bytes likewise.
        let (state, row) = unsafe {
            (
                _mm256_loadu_si256(states.as_ptr().add(at).cast()),
                _mm_loadu_si128(rows.as_ptr().add(at).cast()),
            )
        };
        let index = _mm256_or_si256(_mm256_cvtepu16_epi32(row), _mm256_and_si256(state, residue));
        // SAFETY: an index of 16 bits is below the number of slots, which are of 4 bytes.
        let slot = unsafe { _mm256_i32gather_epi32::<4>(slots.as_ptr().cast(), index) };
        let frequency = _mm256_srli_epi32::<19>(slot);
        let bias = _mm256_and_si256(_mm256_srli_epi32::<7>(slot), residue);
        let quotient = _mm256_srli_epi32::<{ Table::BITS as i32 }>(state);
        let next = _mm256_add_epi32(_mm256_mullo_epi32(frequency, quotient), bias);
        *found = _mm256_and_si256(slot, _mm256_set1_epi32(0x7f));

        let upper = _mm256_srli_epi32::<16>(next);
        let short = _mm256_cmpeq_epi32(upper, _mm256_setzero_si256());
        let set = _mm256_movemask_ps(_mm256_castsi256_ps(short)) as usize;
        // SAFETY: `taken` is at most 8 for each quarter before this one, and 16 bytes from word 24 of 32 on are
        // the last ones.
        let refill = unsafe { _mm_loadu_si128(words.as_ptr().add(2 * taken).cast()) };
        let order = _mm_cvtsi64_si128(WORD_OF_LANE[set & 0xff] as i64);
        let refill =
            _mm256_permutevar8x32_epi32(_mm256_cvtepu16_epi32(refill), _mm256_cvtepu8_epi32(order));
        let refilled = _mm256_or_si256(_mm256_slli_epi32::<16>(next), refill);
        let next = _mm256_blendv_epi8(next, refilled, short);
        taken += set.count_ones() as usize;
        // SAFETY: the 8 states that were loaded.
        unsafe { _mm256_storeu_si256(states.as_mut_ptr().add(at).cast(), next) };
    }
    let [a, b, c, d] = found;
    // Packing works on halves; the last permutation puts the four bytes of each in order.
    let bytes = _mm256_packus_epi16(_mm256_packus_epi32(a, b), _mm256_packus_epi32(c, d));
    let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    let bytes = _mm256_permutevar8x32_epi32(bytes, order);
    // SAFETY: 32 tokens of one byte.
    unsafe { _mm256_storeu_si256(tokens.as_mut_ptr().cast(), bytes) };
    taken
}
