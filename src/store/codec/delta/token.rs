//! Differences as tokens: a small alphabet for the entropy coder, and raw bits for what it need not know.
//!
//! Below 2^direct a difference is its own token. Above, the token tells its bit length and the `lead` bits after
//! the topmost one; the rest follows raw, since it is noise. After these come the tokens of a new value that is
//! zero whatever the base was (pruning), and those of differences that are so frequent in the chunk that even
//! their lowest bits are no noise (early training, weight decay).

use super::number::Word;

/// Tokens are below this.
pub(in super::super) const TOKENS: usize = 128;
/// The tokens of new values that are zero.
pub(super) const ZEROS: usize = 3;
/// More than this many frequent differences are malformed.
pub(super) const FREQUENT: usize = 64;

/// How the tokens of a chunk are made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scheme {
    pub(super) direct: u8,
    pub(super) lead: u8,
    /// Differences with a token each.
    pub(super) frequent: Vec<u64>,
}

/// What every token of a chunk stands for.
pub(super) struct Alphabet {
    /// The smallest difference of the token.
    pub(super) least: [u64; TOKENS],
    /// How many raw bits are added to it.
    pub(super) bits: [u8; TOKENS],
    /// The first token of a new value that is zero: positive; then negative; then with the sign of the base.
    pub(super) zero: u8,
    /// How many tokens there are.
    pub(super) len: usize,
}

/// What each token of numbers of 16 bits stands for, byte by byte, so that vectors can look it up.
pub(in super::super) struct Meanings {
    /// How many raw bits, at most 14.
    pub(in super::super) bits: [u8; TOKENS],
    /// The bytes of the smallest difference.
    pub(in super::super) low: [u8; TOKENS],
    pub(in super::super) high: [u8; TOKENS],
    /// So many tokens can occur: the first ones.
    pub(in super::super) len: usize,
}

impl Meanings {
    /// For the first `len` tokens. None where the raw bits of four numbers may be more than a reader takes at once.
    pub(super) fn new(alphabet: &Alphabet, len: usize) -> Option<Self> {
        let few = alphabet.bits.iter().all(|bits| *bits <= 14);
        few.then(|| Self {
            bits: alphabet.bits,
            low: alphabet.least.map(|least| least as u8),
            high: alphabet.least.map(|least| (least >> 8) as u8),
            len,
        })
    }
}

/// For each token of numbers of 16 bits, the places of its raw bits in the lowest quarter, and from bit 32 on the
/// smallest difference.
pub(super) struct Quads([u64; TOKENS]);

impl Quads {
    /// None where the raw bits of four numbers may be more than a writer takes at once.
    pub(super) fn new(alphabet: &Alphabet) -> Option<Self> {
        let few = alphabet.bits.iter().all(|bits| *bits <= 14);
        let quad = |token: usize| alphabet.least[token] << 32 | ((1 << alphabet.bits[token]) - 1);
        few.then(|| Self(std::array::from_fn(quad)))
    }

    /// The places of the raw bits of four numbers side by side, and their smallest differences.
    #[inline(always)]
    pub(super) fn of(&self, tokens: [u8; 4]) -> (u64, u64) {
        let [a, b, c, d] = tokens.map(|token| self.0[usize::from(token & 0x7f)]);
        let (low, high) = (a | b << 16, c | d << 16);
        let (lower, upper) = (0xffff_ffff, 0xffff_ffff << 32);
        (low & lower | high << 32, low >> 32 | high & upper)
    }
}

impl Alphabet {
    /// The token of the first frequent difference.
    pub(super) fn frequent(&self) -> u8 {
        self.zero + ZEROS as u8
    }
}

impl Scheme {
    /// The scheme that suits numbers of `width` bytes by default, as measured on fine-tunes.
    pub(super) fn of(width: usize) -> Self {
        let (direct, lead) = match width {
            1 | 2 => (4, 2),
            4 => (2, 2),
            _ => (3, 0),
        };
        Self {
            direct,
            lead,
            frequent: Vec::new(),
        }
    }

    /// The scheme that suits integers of so many bits: as few raw bits as can be, since they are told from values by
    /// how often they are.
    pub(super) fn of_symbols(bits: u8) -> Self {
        Self {
            direct: (bits + 1).clamp(2, 6),
            lead: 2,
            frequent: Vec::new(),
        }
    }

    /// How many tokens tell ranges, for numbers of `bits` bits.
    fn ranges(&self, bits: u32) -> usize {
        (1 << self.direct) + ((bits - u32::from(self.direct)) << self.lead) as usize
    }

    /// The tokens of numbers of `bits` bits, or none where they would be too many or make no sense.
    pub(super) fn alphabet(&self, bits: u32) -> Option<Alphabet> {
        if self.lead > self.direct || self.direct > 6 {
            return None;
        }
        let ranges = self.ranges(bits);
        let len = ranges + ZEROS + self.frequent.len();
        let too_large = |value: &u64| bits < 64 && *value >> bits != 0;
        if len > TOKENS || self.frequent.len() > FREQUENT || self.frequent.iter().any(too_large) {
            return None;
        }
        let mut alphabet = Alphabet {
            least: [0; TOKENS],
            bits: [0; TOKENS],
            zero: ranges as u8,
            len,
        };
        for token in 0..ranges {
            let direct = 1usize << self.direct;
            if token < direct {
                alphabet.least[token] = token as u64;
                continue;
            }
            let above = token - direct;
            let low = u32::from(self.direct) + (above >> self.lead) as u32 - u32::from(self.lead);
            let lead = (above & ((1 << self.lead) - 1)) as u64;
            alphabet.least[token] = (lead | 1 << self.lead) << low;
            alphabet.bits[token] = low as u8;
        }
        alphabet.least[ranges + ZEROS..len].copy_from_slice(&self.frequent);
        Some(alphabet)
    }

    /// The token of a difference, its frequent ones not looked at.
    #[inline(always)]
    pub(super) fn token<W: Word>(&self, difference: W) -> u8 {
        let (direct, lead) = (u32::from(self.direct), u32::from(self.lead));
        let above = difference
            .leading(lead)
            .wrapping_sub(direct << lead)
            .wrapping_add(1 << direct);
        // A mask, since a choice would become a branch that nobody can foresee.
        let small = u32::from(difference.to_u64() >> direct == 0).wrapping_neg();
        (difference.to_u64() as u32 & small | above & !small) as u8
    }
}

/// The frequent differences of a scheme, to be found while encoding.
pub(super) struct Finder {
    slots: [(u64, u8); 256],
}

impl Finder {
    /// Where the frequent differences begin among the tokens is `first`.
    pub(super) fn new(frequent: &[u64], first: u8) -> Self {
        let mut slots = [(0, 0); 256];
        for (index, value) in frequent.iter().enumerate().take(FREQUENT) {
            let mut at = Self::place(*value);
            while slots[at].1 != 0 {
                at = (at + 1) & 255;
            }
            slots[at] = (*value, first + index as u8);
        }
        Self { slots }
    }

    fn place(value: u64) -> usize {
        (value.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize
    }

    /// The token of `value`, if it is frequent.
    #[inline(always)]
    pub(super) fn token(&self, value: u64) -> Option<u8> {
        let mut at = Self::place(value);
        loop {
            match self.slots[at & 255] {
                (_, 0) => return None,
                (found, token) if found == value => return Some(token),
                _ => at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_tell_ranges_without_gaps() {
        for (direct, lead) in [(0, 0), (1, 0), (2, 1), (2, 2), (4, 2), (5, 1), (6, 0)] {
            let scheme = Scheme {
                direct,
                lead,
                frequent: Vec::new(),
            };
            let Some(alphabet) = scheme.alphabet(16) else {
                panic!("{direct} {lead} has too many tokens");
            };
            let mut next = 0u64;
            for token in 0..usize::from(alphabet.zero) {
                assert_eq!(alphabet.least[token], next, "{direct} {lead}");
                next += 1 << alphabet.bits[token];
                for value in [alphabet.least[token], next - 1] {
                    assert_eq!(usize::from(scheme.token(value as u16)), token);
                }
            }
            assert_eq!(next, 1 << 16);
        }
    }

    #[test]
    fn schemes_of_all_widths_are_valid() {
        for width in [1, 2, 4, 8] {
            let alphabet = Scheme::of(width).alphabet(8 * width as u32);
            let alphabet = alphabet.expect("the default is valid");
            let last = usize::from(alphabet.zero) - 1;
            let end = alphabet.least[last] + ((1u64 << alphabet.bits[last]) - 1);
            assert_eq!(end, u64::MAX >> (64 - 8 * width));
        }
        for bits in 0..=8 {
            let alphabet = Scheme::of_symbols(bits).alphabet(8);
            assert!(alphabet.is_some(), "{bits}");
        }
        let frequent = |value| Scheme {
            frequent: vec![value],
            ..Scheme::of(2)
        };
        assert!(frequent(0xffff).alphabet(16).is_some());
        assert!(frequent(0x1_0000).alphabet(16).is_none());
        assert!(
            Scheme {
                direct: 1,
                lead: 2,
                ..Scheme::default()
            }
            .alphabet(8)
            .is_none()
        );
        assert!(
            Scheme {
                direct: 4,
                lead: 2,
                ..Scheme::default()
            }
            .alphabet(64)
            .is_none()
        );
    }

    #[test]
    fn frequent_differences_are_found() {
        let values: Vec<u64> = (0..64).map(|i| i * 977 + 5).collect();
        let finder = Finder::new(&values, 40);
        for (index, value) in values.iter().enumerate() {
            assert_eq!(finder.token(*value), Some(40 + index as u8));
            assert_eq!(finder.token(value + 1), None);
        }
    }
}
