//! Bytes that are nearly what they were: the same at every run.

/// Numbers that lengths and counts are not checked against often enough.
const ODD: [u64; 16] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    (1 << 20) + 1,
    i32::MAX as u64,
    1 << 31,
    u32::MAX as u64,
    1 << 32,
    i64::MAX as u64,
    1 << 63,
    u64::MAX,
];

/// The same numbers in a text, and what ends or opens things there.
const WORDS: [&str; 14] = [
    "0",
    "-1",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999999999",
    "1e999",
    "\n",
    "\r\n",
    "\"",
    "\\u0000",
    "<<<<<<< x\n",
    "é\u{202e}🦀",
    " ",
];

/// What nests, in the formats that are read.
const NESTING: [&str; 5] = ["[", "{\"a\":", "a.", "(", "]"];

/// A source of the same numbers at every run.
pub(super) struct Random(u64);

impl Random {
    /// For each name another sequence.
    pub(super) fn named(name: &str) -> Self {
        let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(seed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `end`; 0 where that is 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() >> 11) as usize % end.max(1)
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// Changes a few places of `bytes`; `other` is a second example of the same kind.
pub(super) fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..=random.below(3) {
        once(bytes, other, random);
    }
}

/// How a number is written.
#[derive(Clone, Copy)]
pub(super) enum Width {
    /// In four bytes.
    Four,
    /// In eight bytes.
    Eight,
    /// Seven bits a byte, as many as it takes.
    Sevens,
}

/// Every seed in which one number is another, at each place near its ends, where lengths and counts stand.
pub(super) fn lies(bytes: &[u8], act: &mut dyn FnMut(usize, Vec<u8>)) {
    const NEAR: usize = 112;
    const NUMBERS: [u64; 5] = [0, (1 << 20) + 1, 1 << 29, u32::MAX as u64, u64::MAX];
    let far = bytes.len().saturating_sub(NEAR);
    for at in (0..bytes.len()).filter(|at| *at < NEAR || *at >= far) {
        for width in [Width::Four, Width::Eight, Width::Sevens] {
            for number in NUMBERS {
                let mut lying = bytes.to_vec();
                lie(&mut lying, at, width, number);
                act(at, lying);
            }
        }
    }
}

/// Puts a number in the place of the one that begins at `at`.
fn lie(bytes: &mut Vec<u8>, at: usize, width: Width, mut number: u64) {
    let (end, field) = match width {
        Width::Four => (at + 4, number.to_le_bytes()[..4].to_vec()),
        Width::Eight => (at + 8, number.to_le_bytes().to_vec()),
        Width::Sevens => {
            let last = bytes[at..].iter().position(|byte| *byte < 0x80);
            let mut field = Vec::new();
            while number >= 0x80 {
                field.push(number as u8 | 0x80);
                number >>= 7;
            }
            field.push(number as u8);
            (last.map_or(bytes.len(), |ahead| at + ahead + 1), field)
        }
    };
    bytes.splice(at..end.min(bytes.len()), field);
}

/// Nearly `bytes`, with a part of them over and over, until there are `len`.
pub(super) fn lengthened(bytes: &[u8], len: usize, random: &mut Random) -> Vec<u8> {
    let from = random.below(bytes.len());
    let end = (from + 1 + random.below(200)).min(bytes.len());
    let (head, tail) = bytes.split_at(end);
    let part = &head[from..];
    let times = len.saturating_sub(bytes.len()) / part.len().max(1);
    [head, &part.repeat(times), tail].concat()
}

fn once(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(bytes.len());
    match random.below(11) {
        0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
        1 if !bytes.is_empty() => bytes[at] = random.next() as u8,
        2 if !bytes.is_empty() => bytes[at] = *random.of(&ODD) as u8,
        3 | 4 => {
            // A length that lies, in each width and both orders.
            let width = 1 << random.below(4);
            let near = bytes.len() as u64;
            let number = match random.below(5) {
                0 => near,
                1 => near + 1,
                _ => *random.of(&ODD),
            };
            let mut field = number.to_le_bytes()[..width].to_vec();
            if random.below(4) == 0 {
                field.reverse();
            }
            let end = bytes.len().min(at + width);
            bytes.splice(at..end, field);
        }
        10 => lie(bytes, at, Width::Sevens, *random.of(&ODD)),
        5 => {
            let end = (at + 1 + random.below(40)).min(bytes.len());
            bytes.drain(at.min(end)..end);
        }
        6 => {
            let end = (at + 1 + random.below(40)).min(bytes.len());
            let again = bytes[at.min(end)..end].to_vec();
            bytes.splice(at..at, again);
        }
        7 => {
            // A number, or any word, of the text is another.
            let is_digit = |byte: &u8| byte.is_ascii_digit();
            let from = bytes[at..].iter().position(is_digit);
            let from = from.map_or(at, |ahead| at + ahead);
            let digits = bytes[from..].iter().take_while(|byte| is_digit(byte));
            let end = from + digits.count();
            bytes.splice(from..end, random.of(&WORDS).bytes());
        }
        8 if random.below(4) == 0 => {
            let deep = random.of(&NESTING).repeat(1 + random.below(2000));
            bytes.splice(at..at, deep.bytes());
        }
        _ => {
            let from = random.below(other.len());
            let end = (from + random.below(60)).min(other.len());
            bytes.splice(at..at, other[from..end].iter().copied());
        }
    }
}
