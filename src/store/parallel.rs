//! Work on numbered pieces by a few threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How many threads work: one per processor that this process may use, and at least two, so that reading and
/// computing overlap.
pub(super) fn workers() -> usize {
    std::thread::available_parallelism().map_or(2, |n| n.get().max(2))
}

/// Calls `act` with every number below `count`, taken in order by several threads, each with its own state.
///
/// Returns the states. After an error no further number is taken; of several errors, one is returned.
pub(super) fn for_each<S: Send, E: Send>(
    count: u64,
    state: impl Fn() -> S + Sync,
    act: impl Fn(&mut S, u64) -> Result<(), E> + Sync,
) -> Result<Vec<S>, E> {
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let work = || {
        let mut own = state();
        while !stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                break;
            }
            if let Err(e) = act(&mut own, number) {
                stop.store(true, Ordering::Relaxed);
                return Err(e);
            }
        }
        Ok(own)
    };
    if count < 2 {
        return work().map(|own| vec![own]);
    }
    let threads = (workers() as u64).min(count);
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running
            .into_iter()
            .map(|thread| match thread.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    })
}

/// Numbers all pieces of things that have several each, one thing after the other.
pub(super) struct Numbering {
    /// How many pieces come before those of each thing, and at last their total.
    before: Vec<u64>,
}

impl Numbering {
    pub(super) fn new(pieces: impl Iterator<Item = u64>) -> Self {
        let mut before = vec![0];
        let mut total = 0;
        for count in pieces {
            total += count;
            before.push(total);
        }
        Self { before }
    }

    pub(super) fn total(&self) -> u64 {
        self.before.last().copied().unwrap_or(0)
    }

    /// The thing and its piece that have this number, which must be below the total.
    pub(super) fn find(&self, number: u64) -> (usize, u64) {
        let thing = self.before.partition_point(|before| *before <= number) - 1;
        (thing, number - self.before[thing])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_worked_on_once() {
        let states = for_each(1000, Vec::new, |own: &mut Vec<u64>, n| -> Result<(), ()> {
            own.push(n);
            Ok(())
        });
        let mut all = states.expect("no errors").concat();
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
        let fails = for_each(1000, || (), |(), n| if n == 500 { Err(n) } else { Ok(()) });
        assert_eq!(fails, Err(500));
    }

    #[test]
    fn numbers_find_their_things_and_empty_things_have_none() {
        let numbering = Numbering::new([2, 0, 3].into_iter());
        let found: Vec<_> = (0..numbering.total()).map(|n| numbering.find(n)).collect();
        assert_eq!(found, [(0, 0), (0, 1), (2, 0), (2, 1), (2, 2)]);
    }
}
