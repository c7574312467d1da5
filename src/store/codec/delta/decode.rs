//! A payload and the base back to numbers, block by block, so that all but the slots stays in the nearest cache.

use std::marker::PhantomData;

use super::super::block;
use super::super::frame::Decompressor;
use super::super::machine::{self, Machine, Quads, Work};
use super::super::{CodecError, Decoder, Stored};
use super::bits::{self, BitReader, NEAR};
use super::context::Intervals;
use super::groups::{self, BLOCK};
use super::head::Head;
use super::number::Word;
use super::rans::{LANES, TokenReader};
use super::table::{Slot, Slots, TABLES, Table};
use super::token::{Alphabet, Meanings, ZEROS};
use crate::store::layout::Cursor;

/// The most bytes of intervals and tables before compression.
const MOST_TABLES: usize = 8192;

/// What one thread needs to decode.
pub(in super::super) struct Decoding {
    slots: Box<Slots>,
    side: Vec<u8>,
}

impl Decoding {
    pub(in super::super) fn new() -> Self {
        Self {
            slots: Box::new([Slot::default(); TABLES << Table::BITS]),
            side: Vec::new(),
        }
    }
}

/// Fills `out`, whose numbers are of the type `W`; with the `keys` that it was encoded with.
pub(super) fn decode<W: Word>(
    chunk: &Stored<'_>,
    float: bool,
    keys: Option<&[u8]>,
    tools: &mut Decoder,
    out: &mut [u8],
) -> Result<(), CodecError> {
    let numbers = out.len() / W::WIDTH;
    let (whole, tail) = out.split_at_mut(numbers * W::WIDTH);
    let base = chunk.base.get(..whole.len());
    if base.is_none() {
        let shared = chunk.base.len() / W::WIDTH * W::WIDTH;
        whole[..shared].copy_from_slice(&chunk.base[..shared]);
        whole[shared..].fill(0);
    }

    let mut cursor = Cursor(chunk.payload);
    let head = Head::read(&mut cursor)?;
    let Decoding { slots, side } = &mut tools.delta;
    side.clear();
    side.resize(groups::count(numbers, head.group), 0);
    block::block(&mut cursor, &mut tools.frames, side)?;
    let kept = groups::kept(side);
    let kept = kept.ok_or(CodecError::Malformed("a group of a delta is malformed"))?;
    if let Some(base) = base {
        groups::keep::<W>(base, &kept, head.group, whole);
    }
    if !kept.is_empty() {
        let changes = Changes {
            head: &head,
            base,
            kept: &kept,
            float,
            keys,
        };
        changes.decode::<W>(&mut cursor, &mut tools.frames, slots, side, whole)?;
    }
    if cursor.0.len() != tail.len() {
        return Err(CodecError::Malformed("a delta has another length"));
    }
    tail.copy_from_slice(cursor.0);
    Ok(())
}

/// The groups of a chunk that changed.
struct Changes<'a> {
    head: &'a Head,
    /// The base's numbers; none where they are in what is to be filled.
    base: Option<&'a [u8]>,
    kept: &'a [u32],
    float: bool,
    keys: Option<&'a [u8]>,
}

impl Changes<'_> {
    fn decode<W: Word>(
        &self,
        cursor: &mut Cursor<'_>,
        frames: &mut Decompressor,
        slots: &mut Slots,
        side: &mut Vec<u8>,
        whole: &mut [u8],
    ) -> Result<(), CodecError> {
        let head = self.head;
        let alphabet = head.scheme.alphabet(W::BITS);
        let alphabet =
            alphabet.ok_or(CodecError::Malformed("the tokens of a delta are unknown"))?;
        side.clear();
        side.resize(block::length(cursor, MOST_TABLES)?, 0);
        block::block(cursor, frames, side)?;
        let (intervals, occur) = tables(&mut Cursor(side), &alphabet, slots)?;
        let stream = block::piece(cursor)?;
        let mut tokens = TokenReader::new(stream, 1 << head.lanes)?;
        let mut bits = BitReader::new(block::piece(cursor)?);

        machine::fastest(Blocks::<W> {
            changes: self,
            intervals: &intervals,
            alphabet: &alphabet,
            occur,
            slots,
            tokens: &mut tokens,
            bits: &mut bits,
            whole,
            word: PhantomData,
        })?;
        tokens.finish()?;
        bits.finish()
    }
}

/// Which tokens can occur.
#[derive(Default)]
struct Occur {
    /// None but so many, the first ones.
    len: usize,
    /// Any token of zero.
    zeros: bool,
}

/// All that the inner loops need.
struct Blocks<'a, 'b, W> {
    changes: &'a Changes<'a>,
    intervals: &'a Intervals,
    alphabet: &'a Alphabet,
    occur: Occur,
    slots: &'a Slots,
    tokens: &'a mut TokenReader<'b>,
    bits: &'a mut BitReader<'b>,
    whole: &'a mut [u8],
    word: PhantomData<W>,
}

impl<W: Word> Work for Blocks<'_, '_, W> {
    type Output = Result<(), CodecError>;

    #[inline(always)]
    fn run<M: Machine>(self, machine: M) -> Self::Output {
        let Changes {
            head,
            base,
            kept,
            float,
            keys,
        } = *self.changes;
        let mut block = Block::<W>::default();
        let few = Meanings::new(self.alphabet, self.occur.len).filter(|_| W::WIDTH == 2);
        let meanings = few.as_ref().filter(|_| machine.deposits());
        let zero = self.occur.zeros.then_some(self.alphabet.zero);
        let mut blocks = kept.chunks(BLOCK >> head.group).peekable();
        while let Some(groups) = blocks.next() {
            let len = groups.len() << head.group;
            let from = base.unwrap_or(self.whole);
            groups::gather(from, groups, head.group, &mut block.numbers[..len]);
            let mut own = [0; BLOCK];
            match keys {
                Some(keys) => groups::gather_keys(keys, groups, head.group, &mut own[..len]),
                None => block.keys(&mut own[..len], float),
            }
            self.intervals.rows(&own[..len], &mut block.rows[..len]);
            let (rows, tokens) = (&block.rows[..len], &mut block.tokens[..len]);
            self.tokens.take(machine, rows, self.slots, tokens)?;
            if let Some([next, ..]) = blocks.peek() {
                // Only now: the slots leave nothing where it was.
                let place = groups::place::<W>(*next, BLOCK, head.group);
                machine.prefetch(from.get(place.clone()).unwrap_or_default());
                machine.prefetch(self.whole.get(place).unwrap_or_default());
            }
            match meanings {
                Some(meanings) => block.deposits(machine, len, meanings, self.bits),
                None => block.differences(
                    len,
                    head.scheme.direct,
                    self.alphabet,
                    few.is_some(),
                    self.bits,
                ),
            }
            block.restore(len, float, zero);
            groups::scatter(&block.numbers[..len], groups, head.group, self.whole);
        }
        Ok(())
    }
}

/// Reads intervals and tables, and fills the slots. Also says which tokens can occur.
fn tables(
    cursor: &mut Cursor<'_>,
    alphabet: &Alphabet,
    slots: &mut Slots,
) -> Result<(Intervals, Occur), CodecError> {
    let wrong = CodecError::Malformed("the intervals of a delta are malformed");
    let intervals = Intervals::read(cursor)?;
    let mut occur = Occur::default();
    for row in slots
        .chunks_mut(Table::SUM as usize)
        .take(intervals.count())
    {
        let table = Table::read(cursor, alphabet.len)?;
        let zero = usize::from(alphabet.zero);
        occur.zeros |= table.0[zero..zero + ZEROS] != [0; ZEROS];
        let last = table.0.iter().rposition(|frequency| *frequency > 0);
        occur.len = occur.len.max(last.map_or(0, |last| last + 1));
        table.fill(row);
    }
    match cursor.0.is_empty() {
        true => Ok((intervals, occur)),
        false => Err(wrong),
    }
}

/// Some groups while they are decoded.
struct Block<W> {
    /// The base, then the new numbers.
    numbers: [W; BLOCK],
    differences: [W; BLOCK],
    rows: [u16; BLOCK],
    tokens: [u8; BLOCK],
    quads: [Quads; BLOCK / LANES],
}

impl<W: Word> Default for Block<W> {
    fn default() -> Self {
        Self {
            numbers: [W::default(); BLOCK],
            differences: [W::default(); BLOCK],
            rows: [0; BLOCK],
            tokens: [0; BLOCK],
            quads: [Quads::default(); BLOCK / LANES],
        }
    }
}

impl<W: Word> Block<W> {
    /// The keys of the base's numbers.
    #[inline(always)]
    fn keys(&self, keys: &mut [i16], float: bool) {
        for (key, number) in keys.iter_mut().zip(&self.numbers) {
            *key = W::key(*number, float);
        }
    }

    /// Adds raw bits to tokens; of four they are `few` where one read has them.
    #[inline(always)]
    fn differences(
        &mut self,
        len: usize,
        direct: u8,
        alphabet: &Alphabet,
        few: bool,
        bits: &mut BitReader<'_>,
    ) {
        let (tokens, differences) = (&self.tokens[..len], &mut self.differences[..]);
        let most = tokens.iter().fold(0, |most, token| most.max(*token));
        if u32::from(most) >> direct == 0 {
            // Each token is all of its difference.
            for (difference, token) in differences.iter_mut().zip(tokens) {
                *difference = W::from_u64(u64::from(*token));
            }
            return;
        }
        match (W::WIDTH, few) {
            (2, true) => add_bits::<W, 4>(tokens, alphabet, bits, differences),
            (2 | 4, _) => add_bits::<W, 1>(tokens, alphabet, bits, differences),
            (1, _) => add_bits::<W, 8>(tokens, alphabet, bits, differences),
            _ => add_many_bits(tokens, alphabet, bits, differences),
        }
    }

    /// The same for numbers of 16 bits, four of them side by side in a word.
    #[inline(always)]
    fn deposits<M: Machine>(
        &mut self,
        machine: M,
        len: usize,
        meanings: &Meanings,
        bits: &mut BitReader<'_>,
    ) {
        let steps = len / LANES;
        let (tokens, quads) = (self.tokens.as_chunks().0, &mut self.quads[..steps]);
        machine.look_up(&tokens[..steps], meanings, quads);
        // A copy, which no write through the slice can change.
        let mut reader = *bits;
        let differences = self.differences.as_chunks_mut::<LANES>().0;
        for (quads, differences) in quads.iter().zip(differences) {
            let mut room = [0; NEAR + 8];
            let mut near = reader.near(&mut room);
            let fours = quads.places.iter().zip(&quads.least);
            for ((places, least), differences) in fours.zip(differences.as_chunks_mut::<4>().0) {
                // Raw bits are below the lowest bit of what they are added to: nothing is carried.
                let sums = least | machine.deposit(near.peek(), *places);
                for (at, difference) in differences.iter_mut().enumerate() {
                    *difference = W::from_u64(sums >> (16 * at) & 0xffff);
                }
                near.skip(places.count_ones());
            }
            reader.skip(near.taken());
        }
        *bits = reader;
    }

    /// Differences to new numbers, and zeros where `zero` or one of the tokens after it says so.
    #[inline(always)]
    fn restore(&mut self, len: usize, float: bool, zero: Option<u8>) {
        let numbers = &mut self.numbers[..len];
        if let Some(zero) = zero {
            let pairs = numbers.iter_mut().zip(&mut self.differences);
            for ((number, difference), token) in pairs.zip(&self.tokens) {
                let new = match token.wrapping_sub(zero) {
                    0 => W::default(),
                    1 => W::negative_zero(),
                    2 => W::sign(*number),
                    _ => continue,
                };
                *difference = W::differ(new, *number, float);
            }
        }
        let pairs = numbers.iter_mut().zip(&self.differences);
        match float {
            true => pairs.for_each(|(number, difference)| {
                *number = W::restore(*difference, *number, true);
            }),
            false => pairs.for_each(|(number, difference)| {
                *number = W::restore(*difference, *number, false);
            }),
        }
    }
}

/// Adds raw bits to tokens, `AT_ONCE` of which have at most 56 together.
#[inline(always)]
fn add_bits<W: Word, const AT_ONCE: usize>(
    tokens: &[u8],
    alphabet: &Alphabet,
    bits: &mut BitReader<'_>,
    differences: &mut [W],
) {
    // A copy, which no write through the slice can change.
    let mut reader = *bits;
    let tokens = tokens.as_chunks::<AT_ONCE>().0;
    let differences = differences.as_chunks_mut::<AT_ONCE>().0;
    for (tokens, differences) in tokens.iter().zip(differences) {
        let mut word = reader.peek();
        let mut taken = 0;
        for (token, difference) in tokens.iter().zip(differences) {
            let token = usize::from(token & 0x7f);
            let count = u32::from(alphabet.bits[token]);
            *difference = W::from_u64(alphabet.least[token] + bits::lowest(word, count));
            word >>= count;
            taken += count;
        }
        reader.skip(taken);
    }
    *bits = reader;
}

/// The same where a token may have up to 63.
fn add_many_bits<W: Word>(
    tokens: &[u8],
    alphabet: &Alphabet,
    bits: &mut BitReader<'_>,
    differences: &mut [W],
) {
    for (token, difference) in tokens.iter().zip(differences) {
        let token = usize::from(token & 0x7f);
        let count = u32::from(alphabet.bits[token]);
        let half = count.min(32);
        let low = bits::lowest(bits.peek(), half);
        bits.skip(half);
        let high = bits::lowest(bits.peek(), count - half);
        bits.skip(count - half);
        *difference = W::from_u64(alphabet.least[token] + (low | high << half));
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::Scheme;
    use super::*;

    /// Adds raw bits to the tokens of some numbers.
    struct Adding<'a> {
        alphabet: &'a Alphabet,
        tokens: &'a [u8],
        bits: &'a [u8],
        /// Also where the machine has no instruction for it.
        deposits: bool,
    }

    impl Work for Adding<'_> {
        type Output = Vec<u16>;

        fn run<M: Machine>(self, machine: M) -> Vec<u16> {
            let mut block = Block::<u16>::default();
            let len = self.tokens.len();
            block.tokens[..len].copy_from_slice(self.tokens);
            let meanings = Meanings::new(self.alphabet, self.alphabet.len);
            let reader = &mut BitReader::new(self.bits);
            match meanings.filter(|_| machine.deposits() || self.deposits) {
                Some(meanings) => block.deposits(machine, len, &meanings, reader),
                None => {
                    let few = Meanings::new(self.alphabet, self.alphabet.len).is_some();
                    block.differences(len, 0, self.alphabet, few, reader);
                }
            }
            block.differences[..len].to_vec()
        }
    }

    #[test]
    fn raw_bits_are_added_in_the_same_way_by_all_means() {
        let bits: Vec<u8> = (0..400u32).map(|i| ((i * i * 7) >> 3) as u8).collect();
        // Their alphabets are looked up in two parts, three, four, five, and all.
        let schemes = [
            (0, 0),
            (1, 0),
            (1, 1),
            (2, 1),
            (4, 2),
            (5, 1),
            (6, 0),
            (5, 2),
        ];
        for (direct, lead) in schemes {
            let scheme = Scheme {
                direct,
                lead,
                frequent: vec![5, 1000],
            };
            let alphabet = scheme.alphabet(16).expect("few enough tokens");
            // The last range is the one with most bits.
            let tokens = (0..128u8).map(|i| match i % 3 {
                0 => i % alphabet.len as u8,
                _ => alphabet.zero - 1,
            });
            let tokens: Vec<u8> = tokens.collect();
            let adding = |deposits| Adding {
                alphabet: &alphabet,
                tokens: &tokens,
                bits: &bits,
                deposits,
            };
            let mut one_by_one = vec![0u16; tokens.len()];
            let reader = &mut BitReader::new(&bits);
            add_many_bits(&tokens, &alphabet, reader, &mut one_by_one);
            for deposits in [false, true] {
                let plain = adding(deposits).run(machine::Plain);
                assert_eq!(plain, one_by_one, "{direct} {lead}");
                let fast = machine::fastest(adding(deposits));
                assert_eq!(fast, one_by_one, "{direct} {lead}");
            }
        }
    }
}
