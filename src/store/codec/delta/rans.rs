//! Range asymmetric numeral systems: tokens to a stream of 16-bit words and back, by several states in turn.
//!
//! Token i belongs to state i mod n, so that the steps of n tokens do not wait for each other. A state is at least
//! 2^16; a decoder that finds it below takes the next word into its lower half, in the order of the tokens.

use super::super::CodecError;
use super::super::machine::{Machine, Work};
use super::merge::PARTS;
use super::table::{Slots, TABLES, Table};
use super::token::TOKENS;

/// The most states.
pub(in super::super) const LANES: usize = 32;

/// What every state is before the first token, seen from the encoder: after the last one, from the decoder.
const START: u32 = 1 << 16;

const WRONG: CodecError = CodecError::Malformed("the tokens of a delta are malformed");

/// Decodes tokens, step after step.
pub(super) struct TokenReader<'a> {
    states: [u32; LANES],
    lanes: usize,
    words: &'a [u8],
}

impl<'a> TokenReader<'a> {
    /// `stream` is the first states of `lanes` (at most 32) lanes, and words.
    pub(super) fn new(stream: &'a [u8], lanes: usize) -> Result<Self, CodecError> {
        let (first, words) = stream.split_at_checked(4 * lanes).ok_or(WRONG)?;
        let mut states = [START; LANES];
        for (state, bytes) in states.iter_mut().zip(first.as_chunks().0) {
            *state = u32::from_le_bytes(*bytes);
            if *state < START {
                return Err(WRONG);
            }
        }
        Ok(Self {
            states,
            lanes,
            words,
        })
    }

    /// Fills `tokens`, a multiple of [`LANES`], with the table of each at its row.
    #[inline(always)]
    pub(super) fn take<M: Machine>(
        &mut self,
        machine: M,
        rows: &[u16],
        slots: &Slots,
        tokens: &mut [u8],
    ) -> Result<(), CodecError> {
        match self.lanes {
            LANES => self.wide(machine, rows, slots, tokens),
            _ => self.narrow(rows, slots, tokens),
        }
    }

    #[inline(always)]
    fn wide<M: Machine>(
        &mut self,
        machine: M,
        rows: &[u16],
        slots: &Slots,
        tokens: &mut [u8],
    ) -> Result<(), CodecError> {
        let rows = rows.as_chunks::<LANES>().0;
        let tokens = tokens.as_chunks_mut::<LANES>().0;
        let (states, words) = (&mut self.states, self.words);
        let (done, taken) = machine.steps(states, rows, slots, words, tokens);
        self.words = self.words.get(2 * taken..).ok_or(WRONG)?;
        // The last words may be fewer than a step could take.
        for (rows, tokens) in rows.iter().zip(tokens).skip(done) {
            let mut words = [0; 2 * LANES];
            let there = self.words.len().min(words.len());
            words[..there].copy_from_slice(&self.words[..there]);
            let taken = step(&mut self.states, rows, slots, &words, tokens);
            self.words = self.words.get(2 * taken..).ok_or(WRONG)?;
        }
        Ok(())
    }

    fn narrow(&mut self, rows: &[u16], slots: &Slots, tokens: &mut [u8]) -> Result<(), CodecError> {
        for (row, token) in rows.chunks(self.lanes).zip(tokens.chunks_mut(self.lanes)) {
            for ((state, row), token) in self.states.iter_mut().zip(row).zip(token) {
                *token = advance(state, *row, slots);
                if *state < START {
                    let (word, rest) = self.words.split_first_chunk().ok_or(WRONG)?;
                    *state = *state << 16 | u32::from(u16::from_le_bytes(*word));
                    self.words = rest;
                }
            }
        }
        Ok(())
    }

    /// Fails unless all words are taken and all states are what the encoder began with.
    pub(super) fn finish(self) -> Result<(), CodecError> {
        match self.words.is_empty() && self.states == [START; LANES] {
            true => Ok(()),
            false => Err(WRONG),
        }
    }
}

/// One token of one state, which is not yet refilled.
#[inline(always)]
fn advance(state: &mut u32, row: u16, slots: &Slots) -> u8 {
    // Rows are multiples of 4096, and an index of 16 bits is below the number of slots.
    let slot = slots[usize::from(row | (*state & (Table::SUM - 1)) as u16)];
    *state = slot.frequency() * (*state >> Table::BITS) + slot.bias();
    slot.token()
}

/// One token of every state, and how many words they took, without a branch.
#[inline(always)]
pub(in super::super) fn step(
    states: &mut [u32; LANES],
    rows: &[u16; LANES],
    slots: &Slots,
    words: &[u8; 2 * LANES],
    tokens: &mut [u8; LANES],
) -> usize {
    let words = words.as_chunks::<2>().0;
    let mut taken = 0;
    for ((state, row), token) in states.iter_mut().zip(rows).zip(tokens) {
        *token = advance(state, *row, slots);
        // `taken` is below the lanes, which the mask tells the compiler.
        let word = u32::from(u16::from_le_bytes(words[taken & (LANES - 1)]));
        // Masks, since a choice would become a branch that nobody can foresee.
        let short = u32::from(*state < START);
        *state = *state << (16 * short) | word & short.wrapping_neg();
        taken += short as usize;
    }
    taken
}

/// How one token is pushed onto a state, without a division.
#[derive(Clone, Copy, Default)]
struct Push {
    /// 2^shift by the frequency, rounded up: exact for every state that is not full.
    reciprocal: u64,
    shift: u8,
    start: u16,
    /// 4096 less the frequency.
    gap: u16,
    /// A state is full where its upper half is above this.
    limit: u16,
}

impl Push {
    fn new(frequency: u32, start: u32) -> Self {
        let shift = 64 - frequency.saturating_sub(1).leading_zeros();
        Self {
            reciprocal: (1u64 << shift).div_ceil(u64::from(frequency.max(1))),
            shift: shift as u8,
            start: start as u16,
            gap: (Table::SUM - frequency) as u16,
            limit: (frequency << (16 - Table::BITS)).wrapping_sub(1) as u16,
        }
    }
}

/// Appends the stream of tokens, a multiple of the lanes: first states, then words.
pub(super) struct Writing<'a> {
    pub(super) tables: &'a [Table],
    /// For each part, its table.
    pub(super) table_of: &'a [u8; PARTS],
    pub(super) lanes: usize,
    /// For each token, its part.
    pub(super) parts: &'a [u8],
    pub(super) tokens: &'a [u8],
    /// Room for words, whatever it holds.
    pub(super) words: &'a mut Vec<u8>,
    pub(super) out: &'a mut Vec<u8>,
}

impl Work for Writing<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: Machine>(self, _: M) {
        let mut pushes = Box::new([[Push::default(); TOKENS]; TABLES]);
        for (pushes, table) in pushes.iter_mut().zip(self.tables) {
            let mut start = 0;
            for (push, frequency) in pushes.iter_mut().zip(&table.0) {
                *push = Push::new(u32::from(*frequency), start);
                start += u32::from(*frequency);
            }
        }
        let mut states = [START; LANES];
        // Backwards, so that a decoder goes forwards: words are collected from the end of a buffer of two bytes a
        // token, which is the most that there can be, after what a step at the front may look at in vain.
        let words = self.words;
        words.resize(2 * (LANES + self.tokens.len()), 0);
        let mut at = words.len();
        let steps = self
            .parts
            .chunks(self.lanes)
            .zip(self.tokens.chunks(self.lanes));
        for (parts, tokens) in steps.rev() {
            let Some(window) = words[..at].last_chunk_mut::<{ 2 * LANES }>() else {
                break; // never: a step takes no more than its tokens have
            };
            let window = window.as_chunks_mut::<2>().0;
            let mut free = LANES;
            let lanes = states.iter_mut().zip(parts).zip(tokens);
            for ((state, part), token) in lanes.rev() {
                let table = self.table_of[usize::from(*part) & (PARTS - 1)];
                let table = &pushes[usize::from(table) & (TABLES - 1)];
                let push = table[usize::from(token & 0x7f)];
                let full = u32::from(*state >> 16 > u32::from(push.limit));
                // There is a free place for each lane; the mask tells the compiler.
                window[free.wrapping_sub(1) & (LANES - 1)] = (*state as u16).to_le_bytes();
                free -= full as usize;
                let x = *state >> (16 * full);
                let quotient = ((u64::from(x) * push.reciprocal) >> push.shift) as u32;
                *state = x + u32::from(push.start) + quotient * u32::from(push.gap);
            }
            at -= 2 * (LANES - free);
        }
        for state in &states[..self.lanes] {
            self.out.extend(state.to_le_bytes());
        }
        self.out.extend(&words[at..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::codec::delta::table::{Counts, Slot};
    use crate::store::codec::machine::{self, Plain};

    fn tables() -> Vec<Table> {
        let spread: Counts = std::array::from_fn(|i| 1_000_000 >> (i % 20));
        let one: Counts = std::array::from_fn(|i| u32::from(i == 9));
        let near: Counts = std::array::from_fn(|i| [0, 1_000_000, 1][i % 3] * u32::from(i < 3));
        vec![Table::new(&spread), Table::new(&one), Table::new(&near)]
    }

    fn slots(tables: &[Table]) -> Box<Slots> {
        let mut slots = Box::new([Slot::default(); TABLES_SLOTS]);
        for (table, row) in tables.iter().zip(slots.chunks_mut(4096)) {
            table.fill(row);
        }
        slots
    }

    const TABLES_SLOTS: usize = 1 << 16;

    /// Tokens that the tables can say, most of them frequent.
    fn tokens(count: usize) -> (Vec<u16>, Vec<u8>) {
        let mut state = 5u32;
        let mut pairs = Vec::new();
        for _ in 0..count {
            state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            let random = state >> 8;
            let token = match random % 3 {
                0 => (random >> 4).trailing_zeros().min(19) as u8 + 20 * (random >> 20 & 3) as u8,
                1 => 9,
                _ => 1 + u8::from(random >> 4 & 0x3ff == 0),
            };
            pairs.push((((random % 3) << 12) as u16, token));
        }
        pairs.into_iter().unzip()
    }

    /// Decodes as many tokens as there are rows.
    struct Reading<'a> {
        stream: &'a [u8],
        lanes: usize,
        rows: &'a [u16],
        slots: &'a Slots,
    }

    impl Work for Reading<'_> {
        type Output = Result<Vec<u8>, CodecError>;

        fn run<M: Machine>(self, machine: M) -> Self::Output {
            let mut back = vec![0xaa; self.rows.len()];
            let mut reader = TokenReader::new(self.stream, self.lanes)?;
            for (rows, back) in self.rows.chunks(1024).zip(back.chunks_mut(1024)) {
                reader.take(machine, rows, self.slots, back)?;
            }
            reader.finish().map(|()| back)
        }
    }

    #[test]
    fn divisions_are_exact() {
        for frequency in 1..=Table::SUM {
            let push = Push::new(frequency, 0);
            let most = (u64::from(frequency) << 20) - 1;
            for x in [
                0,
                1,
                u64::from(frequency),
                65_536,
                most - u64::from(frequency),
                most,
            ] {
                for x in x.saturating_sub(2)..=(x + 2).min(most) {
                    let quotient = x.checked_mul(push.reciprocal).map(|y| y >> push.shift);
                    assert_eq!(
                        quotient,
                        Some(x / u64::from(frequency)),
                        "{x} / {frequency}"
                    );
                }
            }
        }
    }

    #[test]
    fn tokens_come_back() {
        let (tables, slots) = (tables(), slots(&tables()));
        for lanes in [1, 2, 8, 32] {
            for count in [0, 32, 64, 5024] {
                let (rows, tokens) = tokens(count);
                let mut out = Vec::new();
                let parts: Vec<u8> = rows.iter().map(|row| 5 + (row >> 12) as u8).collect();
                let writing = Writing {
                    tables: &tables,
                    table_of: &std::array::from_fn(|part| part.saturating_sub(5) as u8),
                    lanes,
                    parts: &parts,
                    tokens: &tokens,
                    words: &mut Vec::new(),
                    out: &mut out,
                };
                writing.run(Plain);
                let decode = |stream: &[u8]| {
                    let reading = || Reading {
                        stream,
                        lanes,
                        rows: &rows,
                        slots: &slots,
                    };
                    let back = reading().run(Plain);
                    assert_eq!(back, machine::fastest(reading()));
                    back
                };
                assert_eq!(decode(&out).as_ref(), Ok(&tokens), "{lanes} {count}");
                assert!(decode(&out[..out.len() - 1]).is_err());
                assert!(decode(&[&out[..], &[0, 0]].concat()).is_err());
                assert!(decode(&[]).is_err());
            }
        }
    }
}
