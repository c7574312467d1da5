//! Frequencies of tokens: from counts to a sum of 4096, as bytes, and as the slots that a decoder looks up.

use super::super::CodecError;
use super::token::TOKENS;
use crate::store::layout::Cursor;

use super::super::block;

/// A chunk has at most so many tables.
pub(in super::super) const TABLES: usize = 16;

pub(in super::super) type Counts = [u32; TOKENS];

/// The frequencies of one table: zero for tokens that do not occur.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Table(pub(in super::super) [u16; TOKENS]);

impl Table {
    /// The logarithm of what frequencies add up to.
    pub(in super::super) const BITS: u32 = 12;
    pub(in super::super) const SUM: u32 = 1 << Self::BITS;

    /// Frequencies near to `counts`, at least 1 for what was counted at all. Without counts, token 0 gets all.
    pub(in super::super) fn new(counts: &Counts) -> Self {
        let total: u32 = counts.iter().sum();
        let mut frequencies = [0u16; TOKENS];
        let most = (0..TOKENS)
            .rev()
            .max_by_key(|token| counts[*token])
            .unwrap_or_default();
        let mut left = i32::from(Self::SUM as u16);
        let mut error = 0.0;
        for (token, (frequency, count)) in frequencies.iter_mut().zip(counts).enumerate() {
            if *count > 0 && token != most {
                let exact = f64::from(*count) * f64::from(Self::SUM) / f64::from(total);
                // What rounding gave or took is made good at the next ones, but not so that it hurts them.
                let wanted = exact - f64::clamp(error, -exact / 16.0, exact / 16.0);
                *frequency = frequency_of(code_of(wanted.round().max(1.0) as u16));
                error += f64::from(*frequency) - exact;
                left -= i32::from(*frequency);
            }
        }
        // Many tokens that hardly occur may leave nothing: then the largest give.
        while left < 1 {
            let largest = frequencies.iter_mut().max();
            let Some(largest) = largest else { break };
            let less = frequency_of(code_of(*largest) - 1);
            left += i32::from(*largest - less);
            *largest = less;
        }
        frequencies[most] = left as u16;
        Self(frequencies)
    }

    /// Appends how many tokens have a code, the token that gets what the others leave, and the codes of the
    /// frequencies.
    pub(in super::super) fn write(&self, out: &mut Vec<u8>) {
        let count = self
            .0
            .iter()
            .rposition(|frequency| *frequency > 0)
            .unwrap_or_default()
            + 1;
        // Any token whose frequency cannot be written, or else the largest.
        let odd = self
            .0
            .iter()
            .position(|frequency| frequency_of(code_of(*frequency)) != *frequency);
        let rest = odd
            .or_else(|| (0..count).max_by_key(|token| self.0[*token]))
            .unwrap_or_default();
        out.extend([count as u8, rest as u8]);
        out.extend(self.0[..count].iter().map(|frequency| code_of(*frequency)));
    }

    /// The table at the front of `cursor`, for `tokens` (at most 128) tokens.
    pub(in super::super) fn read(
        cursor: &mut Cursor<'_>,
        tokens: usize,
    ) -> Result<Self, CodecError> {
        let wrong = CodecError::Malformed("a table of a delta is malformed");
        let [count, rest] = cursor.array().ok_or(block::SHORT)?.map(usize::from);
        let codes = cursor.take(count).ok_or(block::SHORT)?;
        if rest >= count || count > tokens.min(TOKENS) {
            return Err(wrong);
        }
        let mut frequencies = [0; TOKENS];
        for (frequency, code) in frequencies.iter_mut().zip(codes) {
            if *code > LARGEST {
                return Err(wrong);
            }
            *frequency = frequency_of(*code);
        }
        frequencies[rest] = 0;
        let sum: u32 = frequencies
            .iter()
            .map(|frequency| u32::from(*frequency))
            .sum();
        match Self::SUM.checked_sub(sum) {
            Some(left @ 1..) => frequencies[rest] = left as u16,
            _ => return Err(wrong),
        }
        Ok(Self(frequencies))
    }

    /// Fills the slots of the table.
    pub(in super::super) fn fill(&self, slots: &mut [Slot]) {
        let mut rest = slots;
        for (token, frequency) in self.0.iter().enumerate() {
            let Some((run, after)) = rest.split_at_mut_checked(usize::from(*frequency)) else {
                return;
            };
            for (bias, slot) in run.iter_mut().enumerate() {
                *slot = Slot::new(token as u32, u32::from(*frequency), bias as u32);
            }
            rest = after;
        }
    }
}

/// The code of the frequency 4096.
const LARGEST: u8 = 80;

/// What a code stands for: up to 8 itself, above that four bits of precision.
fn frequency_of(code: u8) -> u16 {
    match code {
        0..16 => u16::from(code),
        _ => (8 | u16::from(code & 7)) << (code / 8 - 1),
    }
}

/// The code whose frequency is nearest; above 0 for what is above 0.
fn code_of(frequency: u16) -> u8 {
    if frequency < 16 {
        return frequency as u8;
    }
    let low = 12 - frequency.leading_zeros();
    let rounded = (frequency + (1 << (low - 1))) >> low;
    // Where it is rounded up to the next power of two, this is the first code of that.
    (rounded as u8 - 8) + 8 * (low as u8 + 1)
}

/// What one residue of a state means: token, frequency, and how far into the token's range it lies.
#[derive(Clone, Copy, Debug, Default)]
#[repr(transparent)]
pub(in super::super) struct Slot(u32);

impl Slot {
    fn new(token: u32, frequency: u32, bias: u32) -> Self {
        Self(frequency << 19 | bias << 7 | token)
    }

    #[inline(always)]
    pub(in super::super) fn frequency(self) -> u32 {
        self.0 >> 19
    }

    #[inline(always)]
    pub(in super::super) fn bias(self) -> u32 {
        self.0 >> 7 & 0xfff
    }

    #[inline(always)]
    pub(in super::super) fn token(self) -> u8 {
        self.0 as u8 & 0x7f
    }
}

/// The slots of all tables of a chunk.
pub(in super::super) type Slots = [Slot; TABLES << Table::BITS];

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pairs: &[(usize, u32)]) -> Counts {
        let mut counts = [0; TOKENS];
        pairs
            .iter()
            .for_each(|(token, count)| counts[*token] = *count);
        counts
    }

    #[test]
    fn frequencies_add_up_and_come_back() {
        let all = std::array::from_fn(|i| 1 + (i as u32 % 3) * 5000);
        let many = std::array::from_fn(|i| if i == 77 { 100_000_000 } else { 1 });
        for counts in [
            counts(&[]),
            counts(&[(5, 1)]),
            counts(&[(0, 1), (127, u32::MAX - 1)]),
            counts(&[(0, 7), (3, 7), (4, 7)]),
            all,
            many,
        ] {
            let table = Table::new(&counts);
            let sum: u32 = table.0.iter().map(|f| u32::from(*f)).sum();
            assert_eq!(sum, Table::SUM);
            let seen = counts.iter().zip(&table.0).all(|(c, f)| *c == 0 || *f > 0);
            assert!(seen);
            let mut out = Vec::new();
            table.write(&mut out);
            let mut cursor = Cursor(&out);
            assert_eq!(Table::read(&mut cursor, TOKENS), Ok(table));
            assert!(cursor.0.is_empty());
            assert!(Table::read(&mut Cursor(&out[..out.len() - 1]), TOKENS).is_err());
        }
    }

    #[test]
    fn codes_are_near() {
        for code in 0..=LARGEST {
            assert_eq!(code_of(frequency_of(code)), code);
        }
        for frequency in 1..=4096u16 {
            let near = frequency_of(code_of(frequency));
            assert!(
                near.abs_diff(frequency) * 16 <= frequency,
                "{frequency} {near}"
            );
        }
    }

    #[test]
    fn tables_of_other_tokens_are_refused() {
        let mut out = Vec::new();
        Table::new(&counts(&[(5, 1)])).write(&mut out);
        assert!(Table::read(&mut Cursor(&out), 6).is_ok());
        assert!(Table::read(&mut Cursor(&out), 5).is_err());
        let fails = |bytes: &[u8]| Table::read(&mut Cursor(bytes), 9).is_err();
        assert!(!fails(&[1, 0, 80]) && !fails(&[1, 0, 3]) && !fails(&[2, 0, 9, 79]));
        assert!(fails(&[2, 0, 9, 80]), "4096 leaves nothing");
        assert!(fails(&[2, 1, 81, 0]), "no such code");
        assert!(
            fails(&[0, 0]) && fails(&[1, 1, 5]) && fails(&[10, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1])
        );
    }

    #[test]
    fn slots_say_what_a_state_means() {
        let mut slots = [Slot::default(); 4096];
        Table::new(&counts(&[(3, 1), (9, 3)])).fill(&mut slots);
        let (last, first) = (slots[1023], slots[1024]);
        assert_eq!(
            (last.token(), last.frequency(), last.bias()),
            (3, 1024, 1023)
        );
        assert_eq!(
            (first.token(), first.frequency(), first.bias()),
            (9, 3072, 0)
        );
        Table::new(&counts(&[(8, 1)])).fill(&mut slots);
        assert_eq!((slots[4095].frequency(), slots[4095].bias()), (4096, 4095));
    }
}
