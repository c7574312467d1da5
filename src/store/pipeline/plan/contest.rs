//! Which version's tensors turned out to be the best bases, so that not every tensor of a file tries all versions.

use std::collections::HashMap;

use crate::store::writer::Candidate;

/// After so many contests, a version that won three of four is no longer contested.
const ENOUGH: u32 = 6;

/// A version that was no use so many times in a row is tried seldom.
const PATIENCE: u32 = 8;

/// Every so many times, for an item that is worth the trouble.
const SELDOM: u32 = 16;

/// The contests of one put.
#[derive(Default)]
pub(super) struct Contests {
    held: u32,
    won: HashMap<usize, u32>,
    small: Streaks,
    large: Streaks,
}

/// How often each version was of no use since it was of use.
type Streaks = HashMap<usize, u32>;

/// One item's contest.
#[derive(Default)]
pub(super) struct Contest {
    /// Whether it is one of many that are not worth much each.
    pub(super) small: bool,
    /// Whether there were candidates of several versions.
    pub(super) contested: bool,
    /// The versions that were tried.
    pub(super) tried: Vec<usize>,
    /// The one of them that is best, if any is of use.
    pub(super) winner: Option<usize>,
}

impl Contest {
    /// Counts a version among those that were tried, once.
    pub(super) fn try_version(&mut self, version: usize) {
        if !self.tried.contains(&version) {
            self.tried.push(version);
        }
    }
}

impl Contests {
    /// Counts a contest.
    pub(super) fn end(&mut self, contest: Contest) {
        let streaks = match contest.small {
            true => &mut self.small,
            false => &mut self.large,
        };
        for version in contest.tried {
            *streaks.entry(version).or_default() += 1;
        }
        self.held += u32::from(contest.contested);
        if let Some(version) = contest.winner {
            self.small.remove(&version);
            self.large.remove(&version);
            *self.won.entry(version).or_default() += u32::from(contest.contested);
        }
    }

    /// The candidates in the order of their versions' success, otherwise as they are; the best alone where it is
    /// known. Those of versions that are of no use are left out most of the time, so that what is tried goes by what
    /// there is to store, and not by how many versions and files know its names. Only of a large item the likeliest
    /// is always tried.
    pub(super) fn order(&mut self, candidates: &[Candidate], small: bool) -> Vec<Candidate> {
        let won = |candidate: &Candidate| self.won.get(&candidate.version).copied().unwrap_or(0);
        let mut ordered = candidates.to_vec();
        ordered.sort_by_key(|candidate| std::cmp::Reverse(won(candidate)));
        let known = ordered
            .first()
            .is_some_and(|best| self.held >= ENOUGH && won(best) * 4 >= self.held * 3);
        if known {
            ordered.truncate(1);
        }
        let likeliest = candidates.first().filter(|_| !small);
        let streaks = match small {
            true => &mut self.small,
            false => &mut self.large,
        };
        ordered.retain(|candidate| {
            let Some(streak) = streaks.get_mut(&candidate.version) else {
                return true;
            };
            let is_due = match small {
                // Of thousands of small tensors there may be as many in one file.
                true => streak.is_power_of_two(),
                false => streak.is_multiple_of(SELDOM),
            };
            let wanted = *streak < PATIENCE || is_due || likeliest == Some(candidate);
            if !wanted {
                *streak += 1;
            }
            wanted
        });
        ordered
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ObjectId;

    fn candidates(count: usize) -> Vec<Candidate> {
        (0..count)
            .map(|version| Candidate {
                id: ObjectId::of(&[version as u8]),
                version,
            })
            .collect()
    }

    fn contest(tried: &[usize], winner: Option<usize>, small: bool) -> Contest {
        Contest {
            small,
            contested: true,
            tried: tried.to_vec(),
            winner,
        }
    }

    fn versions(ordered: &[Candidate]) -> Vec<usize> {
        ordered.iter().map(|candidate| candidate.version).collect()
    }

    #[test]
    fn a_version_that_wins_is_tried_first_and_in_the_end_alone() {
        for small in [true, false] {
            let candidates = candidates(3);
            let mut contests = Contests::default();
            let order = |contests: &mut Contests| versions(&contests.order(&candidates, small));
            let all = [0, 1, 2];
            assert_eq!(order(&mut contests), [0, 1, 2]);
            contests.end(contest(&all, Some(2), small));
            assert_eq!(order(&mut contests), [2, 0, 1]);
            contests.end(contest(&all, None, small));
            (0..4).for_each(|_| contests.end(contest(&all, Some(2), small)));
            assert_eq!(order(&mut contests), [2]);
            (0..4).for_each(|_| contests.end(contest(&all, Some(1), small)));
            assert_eq!(order(&mut contests)[..2], [2, 1]);
        }
    }

    /// How many candidates are tried for so many items, each of which has `files`; `useful` is of use to every item.
    fn trials(items: usize, files: usize, small: bool, useful: Option<usize>) -> Vec<usize> {
        let candidates = candidates(files);
        let mut contests = Contests::default();
        let mut trials = Vec::new();
        for _ in 0..items {
            let tried = versions(&contests.order(&candidates, small));
            contests.end(contest(
                &tried,
                useful.filter(|useful| tried.contains(useful)),
                small,
            ));
            trials.extend(tried);
        }
        trials
    }

    #[test]
    fn what_is_tried_in_vain_goes_by_the_items_and_not_by_the_files_that_know_their_names() {
        // Each of the files some times at first, and then each time after twice as many.
        assert!(trials(20_000, 24, true, None).len() <= 24 * (8 + 15));
        let each = 24 * (8 + 20_000 / 16) + 20_000;
        assert!(trials(20_000, 24, false, None).len() <= each);
        let one = trials(20_000, 1, true, None).len();
        assert!((8..=8 + 15).contains(&one));
    }

    #[test]
    fn a_version_that_is_of_use_is_always_tried() {
        for (small, useful) in [(true, 0), (true, 3), (false, 3)] {
            let trials = trials(1000, 4, small, Some(useful));
            assert_eq!(
                trials.iter().filter(|tried| **tried == useful).count(),
                1000
            );
        }
        assert_eq!(trials(1000, 1, true, Some(0)).len(), 1000);
    }

    #[test]
    fn a_version_that_is_of_use_late_is_found_and_the_likeliest_is_never_lost() {
        let candidates = candidates(2);
        let mut contests = Contests::default();
        for small in [true, false] {
            for _ in 0..100 {
                let tried = versions(&contests.order(&candidates, small));
                contests.end(contest(&tried, None, small));
            }
        }
        assert!(versions(&contests.order(&candidates, false)).contains(&0));
        let mut waited = 0;
        while !versions(&contests.order(&candidates, true)).contains(&1) {
            waited += 1;
        }
        assert!(waited <= 100);
        contests.end(contest(&[1], Some(1), true));
        assert!(versions(&contests.order(&candidates, true)).contains(&1));
        assert!(versions(&contests.order(&candidates, false)).contains(&1));
    }
}
