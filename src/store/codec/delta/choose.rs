//! What an encoder may choose, decided by a sample of the groups that changed.

use super::encode::{Block, Changes};
use super::groups::{BLOCK, SMALLEST};
use super::head::Head;
use super::merge::{Merger, Sample};
use super::number::Word;
use super::token::{Alphabet, FREQUENT, Finder, Scheme, TOKENS};

/// Numbers that are sampled of a chunk.
const SAMPLE: usize = 16_384;

/// All choices for one chunk.
pub(super) struct Choice {
    pub(super) head: Head,
    pub(super) alphabet: Alphabet,
    /// Where the parts begin whose tokens are counted.
    pub(super) starts: Vec<i16>,
    pub(super) zeros: Zeros,
}

/// How numbers become zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zeros {
    /// Not often enough for tokens of their own.
    Rare,
    /// They lose their sign: a mask was set.
    Plain,
    /// They keep it: a mask was multiplied.
    Signed,
}

impl Zeros {
    /// Which of the tokens of zero says what `new` is, if it became zero.
    #[inline(always)]
    pub(super) fn token<W: Word>(self, new: W, base: W) -> Option<u8> {
        let sign = W::sign(base);
        if new != W::sign(new) || base == sign {
            return None;
        }
        match self {
            Self::Signed if new == sign => Some(2),
            _ => Some(u8::from(new != W::default())),
        }
    }
}

impl Choice {
    /// How many numbers a group has, as a logarithm.
    pub(super) const GROUP: u32 = SMALLEST + 1;

    pub(super) fn new<W: Word>(changes: &Changes<'_, W>, merger: &mut Merger) -> Self {
        let numbers = changes.kept.len() << changes.group;
        let scheme = match changes.symbols {
            Some(symbols) => Scheme::of_symbols(symbols.bits),
            None => Scheme::of(W::WIDTH),
        };
        let alphabet = scheme
            .alphabet(W::BITS)
            .expect("the default is valid, as a test proves");
        let mut choice = Self {
            head: Head {
                group: changes.group,
                lanes: match numbers {
                    0..4096 => 0,
                    4096..32_768 => 3,
                    _ => 5,
                },
                scheme,
            },
            alphabet,
            starts: Vec::new(),
            zeros: Zeros::Rare,
        };
        if numbers == 0 {
            return choice;
        }
        let sample = Sampled::take(changes);
        if changes.symbols.is_none() {
            // Integers of a few bits are zero by themselves, and told by their differences.
            choice.zeros = sample.zeros();
        }
        if let Some((scheme, alphabet)) = sample.frequent(&choice) {
            choice.head.scheme = scheme;
            choice.alphabet = alphabet;
        }
        let samples = sample.tokens(&choice);
        let edges = sample.edges(&choice);
        let fine = choice.zeros != Zeros::Rare;
        choice.starts = merger.parts(&samples, |key| {
            if changes
                .symbols
                .is_some_and(|symbols| symbols.keys.is_some())
            {
                return key;
            }
            let edges = edges.iter().filter(|edge| **edge <= key);
            edges.fold(least::<W>(key, changes.float, fine), |least, edge| {
                least.max(*edge)
            })
        });
        choice
    }

    /// What finds the frequent differences.
    pub(super) fn finder(&self) -> Finder {
        Finder::new(&self.head.scheme.frequent, self.alphabet.frequent())
    }

    /// For each key, its part.
    pub(super) fn part_of(&self) -> Box<[u8; 1 << 15]> {
        let mut part_of = Box::new([0; 1 << 15]);
        for (part, start) in self.starts.iter().enumerate().skip(1) {
            part_of[*start as usize & 0x7fff..].fill(part as u8);
        }
        part_of
    }

    /// The tokens of some numbers.
    #[inline(always)]
    pub(super) fn tokens<W: Word>(
        &self,
        finder: &Finder,
        new: &[W],
        base: &[W],
        differences: &[W],
        tokens: &mut [u8],
    ) {
        let scheme = &self.head.scheme;
        for (token, difference) in tokens.iter_mut().zip(differences) {
            *token = scheme.token(*difference);
        }
        if !scheme.frequent.is_empty() {
            for (token, difference) in tokens.iter_mut().zip(differences) {
                if let Some(frequent) = finder.token(difference.to_u64()) {
                    *token = frequent;
                }
            }
        }
        if self.zeros != Zeros::Rare {
            for (token, (new, base)) in tokens.iter_mut().zip(new.iter().zip(base)) {
                if let Some(zero) = self.zeros.token(*new, *base) {
                    *token = self.alphabet.zero + zero;
                }
            }
        }
    }
}

/// The smallest key that must share a table with `key`: that of the same exponent, or nearly.
fn least<W: Word>(key: i16, float: bool, fine: bool) -> i16 {
    let low = match (float, W::WIDTH) {
        (true, 1) => 8,
        (true, 8) => 4,
        (true, _) if fine => 4,
        (true, _) => 7,
        (false, _) => (14 - (key as u16).leading_zeros() as i32).max(0),
    };
    key >> low << low
}

/// Numbers from all over the chunk.
struct Sampled<W> {
    new: Vec<W>,
    base: Vec<W>,
    differences: Vec<W>,
    keys: Vec<i16>,
}

impl<W: Word> Sampled<W> {
    fn take(changes: &Changes<'_, W>) -> Self {
        let most = SAMPLE >> changes.group;
        let step = changes.kept.len().div_ceil(most).max(1);
        let groups: Vec<u32> = changes.kept.iter().step_by(step).copied().collect();
        let mut sample = Self {
            new: Vec::with_capacity(SAMPLE),
            base: Vec::with_capacity(SAMPLE),
            differences: Vec::with_capacity(SAMPLE),
            keys: Vec::with_capacity(SAMPLE),
        };
        let mut block = Block::<W>::default();
        for groups in groups.chunks(BLOCK >> changes.group) {
            let len = changes.gather(groups, &mut block);
            sample.new.extend(&block.new[..len]);
            sample.base.extend(&block.base[..len]);
            sample.differences.extend(&block.differences[..len]);
            sample.keys.extend(&block.keys[..len]);
        }
        sample
    }

    fn zeros(&self) -> Zeros {
        let (mut zeros, mut positive, mut signed) = (0, 0, 0);
        for (new, base) in self.new.iter().zip(&self.base) {
            let zero = usize::from(*new == W::sign(*new) && *base != W::sign(*base));
            zeros += zero;
            positive += zero & usize::from(*new == W::default());
            signed += zero & usize::from(*new == W::sign(*base));
        }
        match zeros * 256 > self.new.len() {
            true if signed > positive.max(zeros - positive) => Zeros::Signed,
            true => Zeros::Plain,
            false => Zeros::Rare,
        }
    }

    /// Where zeros end and other numbers begin, if pruning went by size.
    fn edges(&self, choice: &Choice) -> Vec<i16> {
        if choice.zeros == Zeros::Rare {
            return Vec::new();
        }
        let (mut largest, mut smallest) = (0, i16::MAX);
        for ((new, base), key) in self.new.iter().zip(&self.base).zip(&self.keys) {
            match choice.zeros.token(*new, *base) {
                Some(_) => largest = largest.max(*key),
                None if *base != W::sign(*base) => smallest = smallest.min(*key),
                None => {}
            }
        }
        vec![smallest, largest.saturating_add(1)]
    }

    /// A scheme with tokens for the most frequent differences, if it pays.
    fn frequent(&self, choice: &Choice) -> Option<(Scheme, Alphabet)> {
        const STEP: usize = 4;
        let sampled = self.new.iter().zip(&self.base).zip(&self.differences);
        let mut values: Vec<u64> = sampled
            .step_by(STEP)
            .filter(|((new, base), _)| {
                choice.zeros == Zeros::Rare || choice.zeros.token(**new, **base).is_none()
            })
            .map(|(_, difference)| difference.to_u64())
            .collect();
        values.sort_unstable();
        let runs = values.chunk_by(|a, b| a == b);
        let mut runs: Vec<(usize, u64)> = runs
            .filter(|run| run.len() > 3)
            .filter_map(|run| run.first().map(|value| (run.len(), *value)))
            .filter(|(_, value)| *value >= 4)
            .collect();
        runs.sort_unstable_by(|a, b| b.cmp(a));
        let scheme = Scheme {
            direct: choice.head.scheme.direct.min(2),
            lead: choice.head.scheme.lead.min(1),
            frequent: Vec::new(),
        };
        runs.truncate((TOKENS - scheme.alphabet(W::BITS)?.len).min(FREQUENT));
        let scheme = Scheme {
            frequent: runs.iter().map(|(_, value)| *value).collect(),
            ..scheme
        };
        let alphabet = scheme.alphabet(W::BITS)?;
        let plain = bits::<W>(&values, &choice.head.scheme, &choice.alphabet);
        let better = bits::<W>(&values, &scheme, &alphabet) + (24 * runs.len()) as f32;
        (!runs.is_empty() && better < plain * 0.9).then_some((scheme, alphabet))
    }

    fn tokens(&self, choice: &Choice) -> Vec<Sample> {
        let mut tokens = vec![0; self.new.len()];
        let finder = choice.finder();
        choice.tokens(
            &finder,
            &self.new,
            &self.base,
            &self.differences,
            &mut tokens,
        );
        self.keys.iter().copied().zip(tokens).collect()
    }
}

/// How many bits differences would be, coded with a single table.
fn bits<W: Word>(differences: &[u64], scheme: &Scheme, alphabet: &Alphabet) -> f32 {
    let finder = Finder::new(&scheme.frequent, alphabet.frequent());
    let mut counts = [0u32; TOKENS];
    let mut bits = 0.0;
    for difference in differences {
        let frequent = finder.token(*difference);
        let token = frequent.unwrap_or_else(|| scheme.token(W::from_u64(*difference)));
        let token = usize::from(token & 0x7f);
        counts[token] += 1;
        bits += f32::from(alphabet.bits[token]);
    }
    let all = differences.len() as f32;
    let seen = counts.iter().filter(|count| **count > 0);
    bits + seen
        .map(|count| *count as f32 * (all / *count as f32).log2())
        .sum::<f32>()
}
