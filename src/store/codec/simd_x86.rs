//! The inner loops on x86-64 with AVX2: what the compiler makes of the plain code with wider vectors, and the one
//! step that it cannot widen by itself.

#![expect(unsafe_code, reason = "vector instructions, after they were detected")]

use std::arch::x86_64::*;
use std::sync::OnceLock;

use super::delta::rans::LANES;
use super::delta::{Meanings, Slots, TOKENS, Table};
use super::machine::{Machine, Pair, Plain, Quads, Work};
use super::view::Ranks;

/// Proof that this machine has AVX2 and the bit instructions that came with it.
#[derive(Clone, Copy)]
pub(super) struct Avx2 {
    deposits: bool,
}

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        let all = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt");
        // Asked once: the question may trap where the machine is a virtual one.
        static DEPOSITS: OnceLock<bool> = OnceLock::new();
        all.then(|| Self {
            deposits: *DEPOSITS.get_or_init(deposits),
        })
    }

    /// Does `work`, compiled for such a machine.
    pub(super) fn run<W: Work>(self, work: W) -> W::Output {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { run(self, work) }
    }
}

/// The bytes that a cache moves at once.
const LINE: usize = 64;

/// False on processors that take deposits and extractions apart bit by bit: AMD's before Zen 3.
fn deposits() -> bool {
    let vendor = __cpuid(0);
    let version = __cpuid(1).eax;
    let family = (version >> 8 & 0xf) + (version >> 20 & 0xff);
    let amd = [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes)
        == [*b"Auth", *b"enti", *b"cAMD"];
    !amd || family >= 0x19
}

#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn run<W: Work>(avx2: Avx2, work: W) -> W::Output {
    work.run(avx2)
}

impl Machine for Avx2 {
    #[inline(always)]
    fn steps(
        self,
        states: &mut [u32; LANES],
        rows: &[[u16; LANES]],
        slots: &Slots,
        words: &[u8],
        tokens: &mut [[u8; LANES]],
    ) -> (usize, usize) {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { steps(states, rows, slots, words, tokens) }
    }

    #[inline(always)]
    fn look_up(self, tokens: &[[u8; LANES]], meanings: &Meanings, quads: &mut [Quads]) {
        // SAFETY: `self` exists, so the features were detected.
        unsafe {
            match meanings.len {
                0..=32 => look_up_meanings::<2>(tokens, meanings, quads),
                33..=48 => look_up_meanings::<3>(tokens, meanings, quads),
                49..=64 => look_up_meanings::<4>(tokens, meanings, quads),
                65..=80 => look_up_meanings::<5>(tokens, meanings, quads),
                _ => look_up_meanings::<{ TOKENS / 16 }>(tokens, meanings, quads),
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
        // SAFETY: `self` exists, so the features were detected.
        unsafe { multiply(matrix, columns, row, first, sums) }
    }

    #[inline(always)]
    fn project(self, steps: &[f32], columns: &[Ranks], ranks: usize, sums: &mut Ranks) {
        // SAFETY: `self` exists, so the features were detected.
        unsafe {
            match ranks {
                0..=8 => project::<1>(steps, columns, sums),
                9..=16 => project::<2>(steps, columns, sums),
                17..=24 => project::<3>(steps, columns, sums),
                _ => project::<4>(steps, columns, sums),
            }
        }
    }

    #[inline(always)]
    fn prefetch(self, bytes: &[u8]) {
        for line in bytes.chunks(LINE) {
            // SAFETY: any processor that has AVX2 has it, and what it does with an address is nothing that shows.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) }
        }
    }

    #[inline(always)]
    fn deposits(self) -> bool {
        self.deposits
    }

    #[inline(always)]
    fn deposit(self, word: u64, mask: u64) -> u64 {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { _pdep_u64(word, mask) }
    }

    #[inline(always)]
    fn extract(self, word: u64, mask: u64) -> u64 {
        // SAFETY: `self` exists, so the features were detected.
        unsafe { _pext_u64(word, mask) }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn multiply(matrix: &[Pair], columns: usize, row: &[Pair], first: usize, sums: &mut [i32]) {
    if row.is_empty() {
        return sums.fill(0);
    }
    let lines = matrix.len() / columns.max(1);
    let row = &row[..row.len().min(lines)];
    let there = sums.len().min(columns.saturating_sub(first));
    let mut at = 0;
    // SAFETY: so many columns from `first + at` on are in each line, and so many sums from `at` on.
    unsafe {
        while there - at >= 64 {
            add_up::<8>(
                matrix.as_ptr().add(first + at),
                columns,
                row,
                &mut sums[at..at + 64],
            );
            at += 64;
        }
        if there - at >= 32 {
            add_up::<4>(
                matrix.as_ptr().add(first + at),
                columns,
                row,
                &mut sums[at..at + 32],
            );
            at += 32;
        }
    }
    Plain.multiply(matrix, columns, row, first + at, &mut sums[at..]);
}

/// Eight times `VECTORS` sums, which stay in registers.
///
/// # Safety
/// `column` must begin so many pairs, and so must what lies `columns` pairs after it, for each pair of `row`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn add_up<const VECTORS: usize>(
    column: *const Pair,
    columns: usize,
    row: &[Pair],
    sums: &mut [i32],
) {
    let mut found = [_mm256_setzero_si256(); VECTORS];
    for (line, [a, b]) in row.iter().enumerate() {
        let pair = _mm256_set1_epi32(i32::from(*b) << 16 | i32::from(*a as u16));
        for (vector, sum) in found.iter_mut().enumerate() {
            // SAFETY: as the caller says.
            let columns =
                unsafe { _mm256_loadu_si256(column.add(line * columns + 8 * vector).cast()) };
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(columns, pair));
        }
    }
    for (place, sum) in sums.as_chunks_mut::<8>().0.iter_mut().zip(found) {
        // SAFETY: 8 sums of 4 bytes.
        unsafe { _mm256_storeu_si256(place.as_mut_ptr().cast(), sum) };
    }
}

/// Adds products for `VECTORS` (at most 4) times eight ranks.
#[inline]
#[target_feature(enable = "avx2")]
fn project<const VECTORS: usize>(steps: &[f32], columns: &[Ranks], sums: &mut Ranks) {
    // Two sums of each: one would wait for itself.
    let mut found = [[_mm256_setzero_ps(); VECTORS]; 2];
    let mut add = |turn: usize, step: f32, column: &Ranks| {
        let step = _mm256_set1_ps(step);
        for (sum, ranks) in found[turn].iter_mut().zip(column.as_chunks::<8>().0) {
            // SAFETY: 8 numbers of 4 bytes.
            let ranks = unsafe { _mm256_loadu_ps(ranks.as_ptr()) };
            *sum = _mm256_add_ps(*sum, _mm256_mul_ps(step, ranks));
        }
    };
    let (pairs, last) = steps[..steps.len().min(columns.len())].as_chunks::<2>();
    for ([a, b], [first, second]) in pairs.iter().zip(columns.as_chunks::<2>().0) {
        add(0, *a, first);
        add(1, *b, second);
    }
    if let (Some(step), Some(column)) = (last.first(), columns.get(2 * pairs.len())) {
        add(0, *step, column);
    }
    let [even, odd] = found;
    for (sum, (a, b)) in sums
        .as_chunks_mut::<8>()
        .0
        .iter_mut()
        .zip(even.into_iter().zip(odd))
    {
        // SAFETY: 8 sums of 4 bytes.
        unsafe {
            let before = _mm256_loadu_ps(sum.as_ptr());
            _mm256_storeu_ps(sum.as_mut_ptr(), _mm256_add_ps(before, _mm256_add_ps(a, b)));
        }
    }
}

/// The states are in vectors of 8.
const QUARTERS: usize = LANES / 8;

/// For each set of lanes that need a word: which two bytes of the next words each lane gets. An index with the
/// topmost bit set makes zeros, for lanes that need none.
static WORDS_OF_LANES: [[u8; 16]; 256] = words_of_lanes();

const fn words_of_lanes() -> [[u8; 16]; 256] {
    let mut table = [[0x80; 16]; 256];
    let mut set = 0;
    while set < 256 {
        let (mut lane, mut byte) = (0, 0);
        while lane < 8 {
            if set >> lane & 1 == 1 {
                table[set][2 * lane] = byte;
                table[set][2 * lane + 1] = byte + 1;
                byte += 2;
            }
            lane += 1;
        }
        set += 1;
    }
    table
}

#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn steps(
    states: &mut [u32; LANES],
    rows: &[[u16; LANES]],
    slots: &Slots,
    words: &[u8],
    tokens: &mut [[u8; LANES]],
) -> (usize, usize) {
    let mut own = [_mm256_setzero_si256(); QUARTERS];
    for (state, lanes) in own.iter_mut().zip(states.chunks_exact(8)) {
        // SAFETY: 8 states of 4 bytes.
        *state = unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) };
    }
    let (mut done, mut taken) = (0, 0);
    for (rows, tokens) in rows.iter().zip(tokens) {
        let Some(words) = words.get(2 * taken..).and_then(<[u8]>::first_chunk) else {
            break;
        };
        taken += step(&mut own, rows, slots, words, tokens);
        done += 1;
    }
    for (state, lanes) in own.iter().zip(states.chunks_exact_mut(8)) {
        // SAFETY: 8 states of 4 bytes.
        unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), *state) };
    }
    (done, taken)
}

/// The slots at 8 indices. Loads of each by itself: AMD's processors take a gather apart into more than that, and
/// Intel's have had to be slowed down. Two by two, since the step waits for them: four in a row would wait for each
/// other.
///
/// # Safety
/// All indices must be below the number of slots.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn look_up(slots: &Slots, indices: __m256i) -> __m256i {
    let two = |indices: u64| {
        // SAFETY: a slot is 4 bytes, and the index is below their number.
        let slot = |index: u64| unsafe { slots.as_ptr().add(index as usize).cast::<i32>().read() };
        let first = _mm_cvtsi32_si128(slot(indices & 0xffff_ffff));
        _mm_insert_epi32::<1>(first, slot(indices >> 32))
    };
    let four = |indices: __m128i| {
        let low = two(_mm_cvtsi128_si64(indices) as u64);
        let high = two(_mm_extract_epi64::<1>(indices) as u64);
        _mm_unpacklo_epi64(low, high)
    };
    let low = four(_mm256_castsi256_si128(indices));
    let high = four(_mm256_extracti128_si256::<1>(indices));
    _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(low), high)
}

#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn step(
    states: &mut [__m256i; QUARTERS],
    rows: &[u16; LANES],
    slots: &Slots,
    words: &[u8; 2 * LANES],
    tokens: &mut [u8; LANES],
) -> usize {
    let residue = _mm256_set1_epi32(Table::SUM as i32 - 1);
    let mut taken = 0;
    let mut found = [_mm256_setzero_si256(); QUARTERS];
    for (quarter, (state, found)) in states.iter_mut().zip(&mut found).enumerate() {
        // SAFETY: 8 rows of 2 bytes from the 8th, 16th or 24th of 32 on.
        let row = unsafe { _mm_loadu_si128(rows.as_ptr().add(8 * quarter).cast()) };
        let residues = _mm256_and_si256(*state, residue);
        let index = _mm256_or_si256(_mm256_cvtepu16_epi32(row), residues);
        // SAFETY: an index of 16 bits is below the number of slots, which are of 4 bytes.
        let slot = unsafe { look_up(slots, index) };
        let frequency = _mm256_srli_epi32::<19>(slot);
        let bias = _mm256_and_si256(_mm256_srli_epi32::<7>(slot), residue);
        let quotient = _mm256_srli_epi32::<{ Table::BITS as i32 }>(*state);
        let next = _mm256_add_epi32(_mm256_mullo_epi32(frequency, quotient), bias);
        *found = _mm256_and_si256(slot, _mm256_set1_epi32(0x7f));

        let upper = _mm256_srli_epi32::<16>(next);
        let short = _mm256_cmpeq_epi32(upper, _mm256_setzero_si256());
        let set = _mm256_movemask_ps(_mm256_castsi256_ps(short)) as usize;
        // SAFETY: `taken` is at most 8 for each quarter before this one, and 16 bytes from word 24 of 32 on are
        // the last ones.
        let refill = unsafe { _mm_loadu_si128(words.as_ptr().add(2 * taken).cast()) };
        // SAFETY: 16 bytes of a table with a place for each set.
        let order = unsafe { _mm_loadu_si128(WORDS_OF_LANES.as_ptr().add(set & 0xff).cast()) };
        let refill = _mm256_cvtepu16_epi32(_mm_shuffle_epi8(refill, order));
        let moved = _mm256_sllv_epi32(next, _mm256_and_si256(short, _mm256_set1_epi32(16)));
        *state = _mm256_or_si256(moved, refill);
        taken += set.count_ones() as usize;
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

/// For each number of raw bits, at most 14: the bytes of a mask of so many.
static MASK: [[u8; 16]; 2] = masks();

const fn masks() -> [[u8; 16]; 2] {
    let mut bytes = [[0; 16]; 2];
    let mut bits = 0;
    while bits < 16 {
        let mask = (1u16 << bits) - 1;
        bytes[0][bits] = mask as u8;
        bytes[1][bits] = (mask >> 8) as u8;
        bits += 1;
    }
    bytes
}

/// What tokens stand for, of which there are `PARTS` times 16.
#[inline]
#[target_feature(enable = "avx2")]
fn look_up_meanings<const PARTS: usize>(
    tokens: &[[u8; LANES]],
    meanings: &Meanings,
    quads: &mut [Quads],
) {
    for (tokens, quads) in tokens.iter().zip(quads) {
        // SAFETY: 32 tokens of one byte.
        let tokens = unsafe { _mm256_loadu_si256(tokens.as_ptr().cast()) };
        let [mut bits, mut low, mut high] = [_mm256_setzero_si256(); 3];
        for part in 0..PARTS {
            // The tokens of this part become indices into it; all others get the topmost bit, which makes zeros.
            let within = _mm256_xor_si256(tokens, _mm256_set1_epi8(16 * part as i8));
            let index = _mm256_adds_epu8(within, _mm256_set1_epi8(0x70));
            bits = _mm256_or_si256(bits, of_sixteen(&meanings.bits.as_chunks().0[part], index));
            low = _mm256_or_si256(low, of_sixteen(&meanings.low.as_chunks().0[part], index));
            high = _mm256_or_si256(high, of_sixteen(&meanings.high.as_chunks().0[part], index));
        }
        let masks = MASK.each_ref().map(|mask| of_sixteen(mask, bits));
        join(masks, &mut quads.places);
        join([low, high], &mut quads.least);
    }
}

/// The bytes at these indices.
#[inline]
#[target_feature(enable = "avx2")]
fn of_sixteen(bytes: &[u8; 16], indices: __m256i) -> __m256i {
    // SAFETY: 16 bytes.
    let bytes = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
    _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bytes), indices)
}

/// Numbers of 16 bits in order, from their lower and upper bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn join([low, high]: [__m256i; 2], quads: &mut [u64; LANES / 4]) {
    let (even, odd) = (
        _mm256_unpacklo_epi8(low, high),
        _mm256_unpackhi_epi8(low, high),
    );
    let halves = [
        _mm256_permute2x128_si256::<0x20>(even, odd),
        _mm256_permute2x128_si256::<0x31>(even, odd),
    ];
    for (place, half) in quads.as_chunks_mut::<4>().0.iter_mut().zip(halves) {
        // SAFETY: 4 words of 8 bytes.
        unsafe { _mm256_storeu_si256(place.as_mut_ptr().cast(), half) };
    }
}
