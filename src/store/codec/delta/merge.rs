//! Which intervals an encoder chooses: those that make data and tables smallest, found by joining neighbours.
//!
//! Two rounds: a sample says where intervals may begin at all, at most 64 places; after all was counted for these,
//! they are joined to at most 16, with the true counts.

use super::context::Intervals;
use super::table::{Counts, TABLES};
use super::token::TOKENS;

/// The most parts that are counted.
pub(super) const PARTS: usize = 64;

/// One sampled difference: its key, its token.
pub(super) type Sample = (i16, u8);

/// What a table costs beside its data, in bits: something per table and per token with a frequency.
const TABLE_COST: f32 = 16.0;
const TOKEN_COST: f32 = 8.0;

/// Neighbouring keys that share a table.
#[derive(Clone)]
struct Part {
    start: i16,
    counts: Counts,
    cost: f32,
    /// How many parts of the first round it is made of.
    parts: usize,
}

impl Part {
    fn new(start: i16) -> Self {
        Self {
            start,
            counts: [0; TOKENS],
            cost: 0.0,
            parts: 1,
        }
    }

    fn absorb(&mut self, right: &Self) {
        let counts = self.counts.iter_mut().zip(&right.counts);
        counts.for_each(|(a, b)| *a += b);
        self.parts += right.parts;
    }
}

/// The result of the second round.
pub(super) struct Merged {
    pub(super) intervals: Intervals,
    /// The counts of each interval.
    pub(super) counts: Vec<Counts>,
    /// For each part of the first round, its interval.
    pub(super) interval_of: [u8; PARTS],
}

/// Joins intervals.
pub(super) struct Merger {
    /// n log2 n.
    logs: Vec<f32>,
    /// For each key, which part begins with it: its index and one.
    places: Vec<u16>,
}

impl Merger {
    pub(super) fn new() -> Self {
        let logs = (0..8192).map(|n| n_log_n(n as f32)).collect();
        Self {
            logs,
            places: Vec::new(),
        }
    }

    /// Where parts begin, at most [`PARTS`] of them, ascending; the first stands for all keys below, too. `first`
    /// tells for a key the smallest one that cannot be told from it.
    pub(super) fn parts(&mut self, samples: &[Sample], first: impl Fn(i16) -> i16) -> Vec<i16> {
        self.places.clear();
        self.places.resize(1 << 15, 0);
        let mut parts: Vec<Part> = Vec::new();
        for (key, token) in samples {
            let start = first(*key);
            let place = &mut self.places[start as usize & 0x7fff];
            if *place == 0 {
                parts.push(Part::new(start));
                *place = parts.len() as u16;
            }
            parts[usize::from(*place) - 1].counts[usize::from(*token)] += 1;
        }
        parts.sort_unstable_by_key(|part| part.start);
        self.join(&mut parts, PARTS, f32::MIN);
        parts.iter().map(|part| part.start).collect()
    }

    /// Joins parts, whose tokens were counted.
    pub(super) fn merge(&self, starts: &[i16], counts: &[Counts; PARTS]) -> Merged {
        let parts = starts.iter().zip(counts);
        let mut parts: Vec<Part> = parts
            .map(|(start, counts)| Part {
                counts: *counts,
                ..Part::new(*start)
            })
            .collect();
        self.join(&mut parts, TABLES, 0.0);
        let mut interval_of = [0; PARTS];
        let owners = parts.iter().zip(0u8..);
        let owners = owners.flat_map(|(part, at)| std::iter::repeat_n(at, part.parts));
        interval_of
            .iter_mut()
            .zip(owners)
            .for_each(|(place, owner)| *place = owner);
        let starts: Vec<i16> = parts.iter().skip(1).map(|part| part.start).collect();
        Merged {
            intervals: Intervals::new(&starts),
            counts: parts.iter().map(|part| part.counts).collect(),
            interval_of,
        }
    }

    /// Joins neighbours, those first whose joining costs least, until they are at most `most` and none costs less
    /// than `worth`.
    fn join(&self, parts: &mut Vec<Part>, most: usize, worth: f32) {
        for part in &mut *parts {
            part.cost = self.cost(&part.counts);
        }
        // What joining part i and part i + 1 would cost.
        let losses = parts.windows(2).map(|pair| self.loss(pair));
        let mut losses: Vec<f32> = losses.collect();
        while let Some((at, loss)) = smallest(&losses) {
            if parts.len() <= most && loss >= worth {
                break;
            }
            let right = parts.remove(at + 1);
            losses.remove(at);
            parts[at].absorb(&right);
            parts[at].cost = self.cost(&parts[at].counts);
            for at in at.saturating_sub(1)..=at {
                if let (Some(loss), Some(pair)) = (losses.get_mut(at), parts.get(at..at + 2)) {
                    *loss = self.loss(pair);
                }
            }
        }
    }

    fn loss(&self, pair: &[Part]) -> f32 {
        let [left, right] = pair else { return 0.0 };
        let mut both = left.clone();
        both.absorb(right);
        self.cost(&both.counts) - left.cost - right.cost
    }

    /// Bits of data with these counts, and of their table.
    fn cost(&self, counts: &Counts) -> f32 {
        let log = |n: u32| match self.logs.get(n as usize) {
            Some(log) => *log,
            None => n_log_n(n as f32),
        };
        let mut used = 0;
        let mut total = 0;
        let mut sum = 0.0;
        for count in counts.iter().filter(|count| **count > 0) {
            total += count;
            used += 1;
            sum += log(*count);
        }
        log(total) - sum + TABLE_COST + TOKEN_COST * used as f32
    }
}

fn n_log_n(n: f32) -> f32 {
    n * n.max(1.0).log2()
}

fn smallest(values: &[f32]) -> Option<(usize, f32)> {
    let pairs = values.iter().copied().enumerate();
    pairs.min_by(|(_, a), (_, b)| a.total_cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_gets_intervals_of_its_own() {
        let samples: Vec<Sample> = (0..8000i32)
            .map(|i| ((i % 1000) as i16, u8::from(i % 1000 >= 300) * (i % 7) as u8))
            .collect();
        let mut merger = Merger::new();
        let starts = merger.parts(&samples, |key| key / 100 * 100);
        assert_eq!(starts, [0, 100, 200, 300, 400, 500, 600, 700, 800, 900]);
        let mut counts = [[0; TOKENS]; PARTS];
        for (key, token) in &samples {
            counts[*key as usize / 100][usize::from(*token)] += 1;
        }
        let merged = merger.merge(&starts, &counts);
        assert_eq!(merged.intervals, Intervals::new(&[300]));
        assert_eq!(merged.interval_of[..11], [0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0]);
        assert_eq!(merged.counts[0].iter().sum::<u32>(), 2400);
        assert_eq!(merged.counts[1].iter().sum::<u32>(), 5600);
    }

    #[test]
    fn there_are_never_too_many() {
        let samples: Vec<Sample> = (0..12_800).map(|i| (i / 100, (i / 100) as u8)).collect();
        let mut merger = Merger::new();
        let starts = merger.parts(&samples, |key| key);
        assert_eq!(starts.len(), PARTS);
        assert!(starts.is_sorted() && starts[0] == 0);
        let counts = std::array::from_fn(|i| std::array::from_fn(|j| 9000 * u32::from(i == j)));
        let merged = merger.merge(&starts, &counts);
        assert_eq!(merged.intervals.count(), TABLES);
        assert_eq!(usize::from(merged.interval_of[PARTS - 1]), TABLES - 1);
        assert!(merger.parts(&[], |key| key).is_empty());
    }
}
