//! Where the likeliest base ends a chain that is full: which of those below it to take.
//!
//! The last one but the end is the nearest, but what is written with it ends a full chain again, and the next version
//! is still further away from it. One further down costs more now, and leaves room: as long as there is some, versions
//! after it are written with the one just before them. So what counts is the cost of a version on average until the
//! chain is full again. Steps that add up then cost about as a tree of the chain's height has it, and not ever more.

use super::HEIGHT;

/// Divides by every number of versions until a chain is full.
const PARTS: u64 = 12;

/// What a version costs with one of the bases that are left.
pub(super) struct Full {
    /// What the likeliest base would make of it: about that, the next version will cost where there is room.
    pub(super) next: usize,
}

impl Full {
    /// The cost of a version on average, in twelfths of a byte, if this one takes `size` with a base of such a chain.
    pub(super) fn cost(&self, size: usize, height: u8) -> u64 {
        let room = u64::from(HEIGHT.saturating_sub(height + 1));
        let (size, next) = (size as u64, self.next as u64);
        size.saturating_add(room.saturating_mul(next))
            .saturating_mul(PARTS)
            / (1 + room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `count` versions cost, each of which is at most so many objects from one that is whole.
    fn walk(count: usize, cost: impl Fn(usize) -> usize, choose: bool) -> Vec<usize> {
        // The base of each, and its height.
        let mut chain: Vec<(usize, u8)> = vec![(0, 0)];
        let mut costs = vec![0];
        for version in 1..count {
            let (mut base, mut height) = (version - 1, chain[version - 1].1);
            if height == HEIGHT {
                let full = Full { next: cost(1) };
                let mut least = u64::MAX;
                let mut below = version - 1;
                while chain[below].1 > 0 && (choose || least == u64::MAX) {
                    below = chain[below].0;
                    let here = full.cost(cost(version - below), chain[below].1);
                    if here <= least {
                        (least, base, height) = (here, below, chain[below].1);
                    }
                }
            }
            chain.push((base, height + 1));
            costs.push(cost(version - base));
        }
        assert!(chain.iter().all(|(_, height)| *height <= HEIGHT));
        costs
    }

    #[test]
    fn versions_of_a_long_line_do_not_cost_ever_more() {
        // Each changes others than those before did; or all go on by a step of chance.
        let changes = |steps: usize| 1000 * steps;
        let wanders = |steps: usize| 3000 + (500.0 * (steps as f64).log2()) as usize;
        let mean = |costs: &[usize]| costs.iter().sum::<usize>() / costs.len();
        for (count, most) in [(16, 2300), (50, 3500), (500, 22_000)] {
            let costs = walk(count, changes, true);
            assert!(mean(&costs) < most, "{count}: {}", mean(&costs));
            let nearest = walk(count, changes, false);
            assert!(mean(&nearest) > count * 300, "{}", mean(&nearest));
        }
        for count in [16, 50, 500] {
            let costs = walk(count, wanders, true);
            assert!(mean(&costs[1..]) < 3700, "{count}: {}", mean(&costs));
        }
        assert!(mean(&walk(500, wanders, false)) > 6000);
    }

    #[test]
    fn what_is_much_nearer_is_taken_though_it_leaves_no_room() {
        let full = Full { next: 100 };
        assert!(full.cost(100, 3) < full.cost(1000, 2));
        assert!(full.cost(300, 3) > full.cost(320, 2));
        assert_eq!(full.cost(usize::MAX, 0), u64::MAX / 4);
    }
}
