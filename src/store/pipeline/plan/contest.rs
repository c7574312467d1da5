//! Which version's tensors turned out to be the best bases, so that not every tensor of a file tries all versions.

use std::collections::HashMap;

use crate::store::writer::Candidate;

/// After so many contests, a version that won three of four is no longer contested.
const ENOUGH: u32 = 6;

/// The contests of one put.
#[derive(Default)]
pub(super) struct Contests {
    held: u32,
    won: HashMap<usize, u32>,
}

impl Contests {
    /// Counts a contest of several candidates, and which version won.
    pub(super) fn end(&mut self, winner: Option<usize>) {
        self.held += 1;
        if let Some(version) = winner {
            *self.won.entry(version).or_default() += 1;
        }
    }

    /// The candidates in the order of their versions' success, otherwise as they are; the best alone where it is
    /// known.
    pub(super) fn order(&self, candidates: &[Candidate]) -> Vec<Candidate> {
        let won = |candidate: &Candidate| self.won.get(&candidate.version).copied().unwrap_or(0);
        let mut ordered = candidates.to_vec();
        ordered.sort_by_key(|candidate| std::cmp::Reverse(won(candidate)));
        let known = ordered
            .first()
            .is_some_and(|best| self.held >= ENOUGH && won(best) * 4 >= self.held * 3);
        if known {
            ordered.truncate(1);
        }
        ordered
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ObjectId;

    #[test]
    fn a_version_that_wins_is_tried_first_and_in_the_end_alone() {
        let candidates: Vec<Candidate> = (0..3)
            .map(|version| Candidate {
                id: ObjectId::of(&[version as u8]),
                version,
            })
            .collect();
        let versions = |contests: &Contests| -> Vec<usize> {
            let ordered = contests.order(&candidates);
            ordered.iter().map(|candidate| candidate.version).collect()
        };
        let mut contests = Contests::default();
        assert_eq!(versions(&contests), [0, 1, 2]);
        contests.end(Some(2));
        assert_eq!(versions(&contests), [2, 0, 1]);
        contests.end(None);
        (0..4).for_each(|_| contests.end(Some(2)));
        assert_eq!(versions(&contests), [2]);
        (0..4).for_each(|_| contests.end(Some(1)));
        assert_eq!(versions(&contests), [2, 1, 0]);
    }
}
