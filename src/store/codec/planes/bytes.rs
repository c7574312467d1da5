//! Elements to planes of bytes and back.
//!
//! Blocks of a fixed number of elements go through arrays on the stack, so that each inner loop is over arrays
//! of one known length: the compiler then writes vector code for every width without any help.

/// Elements per block.
const BLOCK: usize = 128;

macro_rules! width {
    ($split:ident, $join:ident, $word:ty, $width:literal) => {
        fn $split(raw: &[u8], rotate: u32, planes: &mut [u8]) {
            let elements = raw.len() / $width;
            let mut block = [0 as $word; BLOCK];
            let mut at = 0;
            for run in raw.chunks(BLOCK * $width) {
                let (words, _) = run.as_chunks::<$width>();
                for (word, bytes) in block.iter_mut().zip(words) {
                    *word = <$word>::from_le_bytes(*bytes).rotate_left(rotate);
                }
                for plane in 0..$width {
                    let start = plane * elements + at;
                    let place = &mut planes[start..start + words.len()];
                    for (byte, word) in place.iter_mut().zip(&block) {
                        *byte = (word >> (8 * plane)) as u8;
                    }
                }
                at += words.len();
            }
        }

        fn $join(planes: &[&[u8]], rotate: u32, raw: &mut [u8]) {
            let mut at = 0;
            for run in raw.chunks_mut(BLOCK * $width) {
                let (words, _) = run.as_chunks_mut::<$width>();
                let mut block = [0 as $word; BLOCK];
                for (index, plane) in planes.iter().enumerate() {
                    let bytes = &plane[at..at + words.len()];
                    for (word, byte) in block.iter_mut().zip(bytes) {
                        *word |= <$word>::from(*byte) << (8 * index);
                    }
                }
                for (bytes, word) in words.iter_mut().zip(&block) {
                    *bytes = word.rotate_right(rotate).to_le_bytes();
                }
                at += words.len();
            }
        }
    };
}

width!(split2, join2, u16, 2);
width!(split4, join4, u32, 4);
width!(split8, join8, u64, 8);

/// Splits whole elements of `width` bytes into `planes`, one plane after the other.
///
/// Both have the same length, a multiple of `width`, which is 2, 4 or 8.
pub(super) fn split(raw: &[u8], width: u8, rotate: bool, planes: &mut [u8]) {
    let rotate = u32::from(rotate);
    match width {
        2 => split2(raw, rotate, planes),
        4 => split4(raw, rotate, planes),
        _ => split8(raw, rotate, planes),
    }
}

/// Joins 1, 2, 4 or 8 planes into the elements that they were.
///
/// `raw` is as long as all planes together, and each plane as long as there are elements.
pub(super) fn join(planes: &[&[u8]], rotate: bool, raw: &mut [u8]) {
    let rotate = u32::from(rotate);
    match planes {
        [only] => raw.copy_from_slice(only),
        [_, _] => join2(planes, rotate, raw),
        [_, _, _, _] => join4(planes, rotate, raw),
        _ => join8(planes, rotate, raw),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponent_of_a_float_fills_its_top_plane() {
        let raw: Vec<u8> = [1.0f32, -1.0, 0.5, 3.0]
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        let mut planes = vec![0; 16];
        split(&raw, 4, true, &mut planes);
        assert_eq!(planes[12..], [127, 127, 126, 128]);
        assert_eq!(planes[..4], [0, 1, 0, 0], "the sign went to the bottom");
    }
}
