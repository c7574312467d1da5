//! Groups of neighbouring numbers: those that did not change are left out, the others are taken together.

use std::ops::Range;

use super::number::Word;

/// The fewest numbers of a group, as a logarithm.
pub(super) const SMALLEST: u32 = 5;

/// Numbers that are coded at a time: whole groups, few enough to stay in the first-level cache.
pub(super) const BLOCK: usize = 1024;

/// The bits of a byte that are a key.
pub(super) const KEYS: u8 = 63;

/// What is written of groups without a change, and of those with one.
pub(super) const SAME: u8 = 0;
pub(super) const CHANGED: u8 = 1;

/// How many groups of 2^`log` numbers the numbers are.
pub(super) fn count(numbers: usize, log: u32) -> usize {
    numbers.div_ceil(1 << log)
}

/// Writes for each group whether something changed.
pub(super) fn compare<W: Word>(new: &[u8], base: &[u8], log: u32, marks: &mut Vec<u8>) {
    let bytes = W::WIDTH << log;
    let groups = new.chunks(bytes).zip(base.chunks(bytes));
    marks.clear();
    marks.extend(groups.map(|(new, base)| if new == base { SAME } else { CHANGED }));
}

/// The groups that changed, or none where a mark is neither [`SAME`] nor [`CHANGED`].
pub(super) fn kept(marks: &[u8]) -> Option<Vec<u32>> {
    if marks.iter().any(|mark| *mark > CHANGED) {
        return None;
    }
    let groups = marks.iter().zip(0..);
    let kept = groups.filter(|(mark, _)| **mark == CHANGED);
    Some(kept.map(|(_, group)| group).collect())
}

/// Copies all of `base` to `numbers` but the groups of a list, ascending.
pub(super) fn keep<W: Word>(base: &[u8], groups: &[u32], log: u32, numbers: &mut [u8]) {
    let bytes = W::WIDTH << log;
    let mut start = 0;
    for group in groups {
        let end = *group as usize * bytes;
        if start < end {
            numbers[start..end].copy_from_slice(&base[start..end]);
        }
        start = end + bytes;
    }
    if start < numbers.len() {
        numbers[start..].copy_from_slice(&base[start..]);
    }
}

/// Where `count` numbers from the beginning of a group on lie.
pub(super) fn place<W: Word>(group: u32, count: usize, log: u32) -> Range<usize> {
    let start = ((group as usize) << log) * W::WIDTH;
    start..start + count * W::WIDTH
}

/// Where groups begin that follow each other without gaps.
#[inline(always)]
fn run(groups: &[u32]) -> Option<usize> {
    let [first, .., last] = groups else {
        return None;
    };
    let alike = last.wrapping_sub(*first) as usize == groups.len() - 1;
    alike.then_some(*first as usize)
}

/// Copies groups of `numbers`, one after the other, to `block`; the last group is filled up with zeros.
#[inline(always)]
pub(super) fn gather<W: Word>(numbers: &[u8], groups: &[u32], log: u32, block: &mut [W]) {
    let numbers = W::split(numbers);
    let run = run(groups).and_then(|first| numbers.get(first << log..)?.get(..block.len()));
    if let Some(run) = run {
        for (place, number) in block.iter_mut().zip(run) {
            *place = W::from_bytes(*number);
        }
        return;
    }
    for (group, places) in groups.iter().zip(block.chunks_mut(1 << log)) {
        let start = (*group as usize) << log;
        let numbers = numbers.get(start..).unwrap_or_default();
        for (place, number) in places.iter_mut().zip(numbers) {
            *place = W::from_bytes(*number);
        }
        if let Some(beyond) = places.get_mut(numbers.len()..) {
            beyond.fill(W::default());
        }
    }
}

/// The keys of [`gather`]'s numbers.
#[inline(always)]
pub(super) fn gather_keys(keys: &[u8], groups: &[u32], log: u32, block: &mut [i16]) {
    let mut bytes = [0u8; BLOCK];
    let bytes = &mut bytes[..block.len()];
    gather(keys, groups, log, bytes);
    for (key, byte) in block.iter_mut().zip(bytes) {
        *key = i16::from(*byte & KEYS);
    }
}

/// The reverse of [`gather`].
#[inline(always)]
pub(super) fn scatter<W: Word>(block: &[W], groups: &[u32], log: u32, numbers: &mut [u8]) {
    let numbers = W::split_mut(numbers);
    let run = run(groups).map(|first| first << log);
    if let Some(run) = run.and_then(|start| numbers.get_mut(start..start + block.len())) {
        for (number, value) in run.iter_mut().zip(block) {
            *number = value.to_bytes();
        }
        return;
    }
    for (group, values) in groups.iter().zip(block.chunks(1 << log)) {
        let start = (*group as usize) << log;
        let numbers = numbers.get_mut(start..).unwrap_or_default();
        for (number, value) in numbers.iter_mut().zip(values) {
            *number = value.to_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_gathered_and_scattered() {
        let base: Vec<u8> = (0..141).map(|i| i as u8).collect();
        let mut new = base.clone();
        new[70] ^= 1;
        new[139] ^= 1;
        let mut found = Vec::new();
        compare::<u16>(&new[..140], &base[..140], 5, &mut found);
        assert_eq!(found, [0, 1, 1]);
        assert_eq!(count(70, 5), 3);
        let groups = kept(&found).expect("they are marks");
        assert_eq!(groups, [1, 2]);
        assert_eq!(kept(&[0, 2]), None);
        let mut block = [9u16; 64];
        gather(&new[..140], &groups, 5, &mut block);
        assert_eq!(block[0], u16::from_le_bytes([64, 65]));
        assert_eq!(block[32 + 6..], [0; 26]);
        let mut back = vec![0xee; base.len()];
        keep::<u16>(&base, &groups, 5, &mut back);
        assert_eq!(back[..64], base[..64]);
        assert_eq!(
            back[64..],
            [0xee; 77],
            "the last group ends with the numbers"
        );
        scatter(&block, &groups, 5, &mut back[..140]);
        assert_eq!(back[..140], new[..140]);
    }

    #[test]
    fn groups_are_the_same_whether_or_not_there_is_a_gap() {
        let numbers: Vec<u8> = (0..1280u32).map(|i| ((i * i) >> 3) as u8).collect();
        for groups in [&[0][..], &[3], &[2, 3, 4], &[0, 2], &[1, 2, 4], &[0, 19]] {
            let mut block = vec![0u16; groups.len() << 5];
            gather(&numbers, groups, 5, &mut block);
            let mut back = vec![0; numbers.len()];
            scatter(&block, groups, 5, &mut back);
            for (group, bytes) in (0..).zip(numbers.chunks(64)) {
                let at = group as usize * 64..group as usize * 64 + 64;
                let found = groups.iter().position(|kept| *kept == group);
                let Some(found) = found else {
                    assert_eq!(back[at], [0; 64], "{groups:?} {group}");
                    continue;
                };
                assert_eq!(back[at], *bytes, "{groups:?} {group}");
                let first = u16::from_le_bytes([bytes[0], bytes[1]]);
                assert_eq!(block[found << 5], first);
            }
        }
    }
}
