//! Where a large file without tensors is cut, so that an insertion changes a part or two and no more.

use fastcdc::v2020::FastCDC;

use crate::base::id::CHUNK;

/// Longer bytes without elements are cut into parts.
pub(super) const LARGE: u64 = 4 << 20;

const SHORTEST: usize = 64 << 10;
const AVERAGE: usize = 256 << 10;
/// A part is one chunk, so that it is proved by its id alone.
pub(super) const LONGEST: usize = CHUNK;

/// The length of the part that `bytes` begin with.
///
/// It depends on nothing but the first [`LONGEST`] of them, which must be there unless the input ends before.
pub(super) fn first_part(bytes: &[u8]) -> usize {
    let bytes = &bytes[..bytes.len().min(LONGEST)];
    FastCDC::new(bytes, SHORTEST, AVERAGE, LONGEST)
        .cut(0, bytes.len())
        .1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(mut bytes: &[u8]) -> Vec<&[u8]> {
        let mut parts = Vec::new();
        while !bytes.is_empty() {
            let (part, rest) = bytes.split_at(first_part(bytes));
            parts.push(part);
            bytes = rest;
        }
        parts
    }

    #[test]
    fn an_insertion_changes_few_parts() {
        let mut state = 7u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        })
        .take(8 << 20)
        .collect();
        let mut longer = noise.clone();
        longer.splice(1_000_000..1_000_000, [1, 2, 3]);
        let (old, new) = (parts(&noise), parts(&longer));
        assert_eq!(new.concat(), longer);
        assert!(new.len() > 10);
        assert!(new.iter().all(|part| part.len() <= LONGEST));
        let fresh = new.iter().filter(|part| !old.contains(part)).count();
        assert!(fresh <= 3, "{fresh} of {} parts are new", new.len());
    }
}
