//! Numbers and their base to a payload.

use std::marker::PhantomData;

use super::super::Encoder;
use super::super::block;
use super::super::machine::{self, Machine, Work};
use super::bits::BitWriter;
use super::choose::Choice;
use super::groups::{self, BLOCK};
use super::merge::{Merger, PARTS};
use super::number::Word;
use super::rans;
use super::table::{Counts, Table};
use super::token::{Quads, TOKENS};

/// What one thread needs to encode.
pub(in super::super) struct Encoding {
    pub(super) merger: Merger,
    marks: Vec<u8>,
    base: Vec<u8>,
    parts: Vec<u8>,
    tokens: Vec<u8>,
    bits: Vec<u8>,
    words: Vec<u8>,
}

impl Encoding {
    pub(in super::super) fn new() -> Self {
        Self {
            merger: Merger::new(),
            marks: Vec::new(),
            base: Vec::new(),
            parts: Vec::new(),
            tokens: Vec::new(),
            bits: Vec::new(),
            words: Vec::new(),
        }
    }
}

/// What is known of integers of a few bits.
#[derive(Clone, Copy)]
pub(in super::super) struct Symbols<'a> {
    /// How many bits they have.
    pub(in super::super) bits: u8,
    /// For each, a key below 64 that says with which table it is coded; otherwise that follows from its base.
    pub(in super::super) keys: Option<&'a [u8]>,
}

/// Appends the payload of `raw`, numbers of the type `W`, to `out`.
pub(super) fn encode<W: Word>(
    raw: &[u8],
    base: &[u8],
    float: bool,
    symbols: Option<Symbols<'_>>,
    tools: &mut Encoder,
    out: &mut Vec<u8>,
) {
    let (whole, tail) = raw.split_at(raw.len() / W::WIDTH * W::WIDTH);
    let delta = &mut tools.delta;
    let base = match base.get(..whole.len()) {
        Some(base) => base,
        None => {
            delta.base.clear();
            delta.base.extend(&base[..base.len() / W::WIDTH * W::WIDTH]);
            delta.base.resize(whole.len(), 0);
            &delta.base
        }
    };
    let group = Choice::GROUP;
    groups::compare::<W>(whole, base, group, &mut delta.marks);
    let kept = groups::kept(&delta.marks).unwrap_or_default();
    let changes = Changes::<W> {
        new: whole,
        base,
        kept: &kept,
        group,
        float,
        symbols,
        word: PhantomData,
    };
    let choice = Choice::new(&changes, &mut delta.merger);
    choice.head.write(out);
    block::put_block(&delta.marks, &mut tools.frames, out);
    if !kept.is_empty() {
        delta.bits.clear();
        let mut bits = BitWriter::new(&mut delta.bits);
        let mut counts = [[[0; TOKENS]; PARTS]; 2];
        machine::fastest(Tokens {
            changes: &changes,
            choice: &choice,
            parts: &mut delta.parts,
            tokens: &mut delta.tokens,
            bits: &mut bits,
            counts: &mut counts,
        });
        bits.finish();
        let [mut counts, odd] = counts;
        for (even, odd) in counts.iter_mut().flatten().zip(odd.iter().flatten()) {
            *even += odd;
        }
        let merged = delta.merger.merge(&choice.starts, &counts);
        let tables: Vec<Table> = merged.counts.iter().map(Table::new).collect();

        let mut side = Vec::new();
        merged.intervals.write(&mut side);
        tables.iter().for_each(|table| table.write(&mut side));
        block::put_number(side.len() as u64, out);
        block::put_block(&side, &mut tools.frames, out);
        let mut stream = Vec::new();
        machine::fastest(rans::Writing {
            tables: &tables,
            table_of: &merged.interval_of,
            lanes: 1 << choice.head.lanes,
            parts: &delta.parts,
            tokens: &delta.tokens,
            words: &mut delta.words,
            out: &mut stream,
        });
        block::put_piece(&stream, out);
        block::put_piece(&delta.bits, out);
    }
    out.extend(tail);
}

/// The groups of a chunk that changed.
pub(super) struct Changes<'a, W> {
    pub(super) new: &'a [u8],
    pub(super) base: &'a [u8],
    pub(super) kept: &'a [u32],
    /// Numbers per group, as a logarithm.
    pub(super) group: u32,
    pub(super) float: bool,
    pub(super) symbols: Option<Symbols<'a>>,
    pub(super) word: PhantomData<W>,
}

/// Some groups while they are encoded.
pub(super) struct Block<W> {
    pub(super) new: [W; BLOCK],
    pub(super) base: [W; BLOCK],
    pub(super) differences: [W; BLOCK],
    pub(super) keys: [i16; BLOCK],
}

impl<W: Word> Default for Block<W> {
    fn default() -> Self {
        Self {
            new: [W::default(); BLOCK],
            base: [W::default(); BLOCK],
            differences: [W::default(); BLOCK],
            keys: [0; BLOCK],
        }
    }
}

impl<W: Word> Changes<'_, W> {
    /// Gathers some groups, at most a block of them, and says how many numbers they are.
    #[inline(always)]
    pub(super) fn gather(&self, groups: &[u32], block: &mut Block<W>) -> usize {
        let len = groups.len() << self.group;
        groups::gather(self.new, groups, self.group, &mut block.new[..len]);
        groups::gather(self.base, groups, self.group, &mut block.base[..len]);
        let pairs = block.new[..len].iter().zip(&block.base);
        let results = block.differences.iter_mut().zip(&mut block.keys);
        let all = pairs.zip(results);
        match self.float {
            true => all.for_each(|((new, base), (difference, key))| {
                *difference = W::differ(*new, *base, true);
                *key = W::key(*base, true);
            }),
            false => all.for_each(|((new, base), (difference, key))| {
                *difference = W::differ(*new, *base, false);
                *key = W::key(*base, false);
            }),
        }
        if let Some(keys) = self.symbols.and_then(|symbols| symbols.keys) {
            groups::gather_keys(keys, groups, self.group, &mut block.keys[..len]);
        }
        len
    }
}

/// Writes parts, tokens and raw bits of all that changed, and counts the tokens of each part.
struct Tokens<'a, 'b, W> {
    changes: &'a Changes<'a, W>,
    choice: &'a Choice,
    parts: &'a mut Vec<u8>,
    tokens: &'a mut Vec<u8>,
    bits: &'a mut BitWriter<'b>,
    /// In two places that take turns: adding twice to one would wait for the first.
    counts: &'a mut [[Counts; PARTS]; 2],
}

impl<W: Word> Work for Tokens<'_, '_, W> {
    type Output = ();

    #[inline(always)]
    fn run<M: Machine>(self, machine: M) {
        let Self {
            changes,
            choice,
            counts,
            bits,
            ..
        } = self;
        let finder = choice.finder();
        let part_of = choice.part_of();
        let quads = Quads::new(&choice.alphabet).filter(|_| machine.deposits());
        let mut block = Block::<W>::default();
        let len = changes.kept.len() << changes.group;
        self.parts.resize(len, 0);
        self.tokens.resize(len, 0);
        let places = self
            .parts
            .chunks_mut(BLOCK)
            .zip(self.tokens.chunks_mut(BLOCK));
        for (groups, (parts, tokens)) in changes.kept.chunks(BLOCK >> changes.group).zip(places) {
            let len = changes.gather(groups, &mut block);
            let differences = &block.differences[..len];
            choice.tokens(
                &finder,
                &block.new[..len],
                &block.base[..len],
                differences,
                tokens,
            );
            let alphabet = &choice.alphabet;
            let none = tokens.iter().fold(0, |most, token| most.max(*token))
                >> choice.head.scheme.direct
                == 0;
            let values = tokens.iter().zip(differences).map(|(token, difference)| {
                let bits = alphabet.bits[usize::from(token & 0x7f)];
                (difference.to_u64(), u32::from(bits))
            });
            let most = len * W::WIDTH;
            match (W::BITS, &quads) {
                // Each token is all of its difference.
                _ if none => {}
                // More than a writer takes at once.
                (64, _) => bits.extend(values.flat_map(halves), most),
                (16, Some(quads)) => {
                    let differences = differences.as_chunks().0.iter();
                    let fours = tokens.as_chunks().0.iter().zip(differences);
                    let values = fours.map(|(tokens, differences)| {
                        let (places, _) = quads.of(*tokens);
                        let [a, b, c, d] = differences.map(W::to_u64);
                        let word = a | b << 16 | c << 32 | d << 48;
                        (machine.extract(word, places), places.count_ones())
                    });
                    bits.extend(values, most);
                }
                _ => bits.extend(values, most),
            }
            for (part, key) in parts.iter_mut().zip(&block.keys) {
                *part = part_of[*key as usize & 0x7fff];
            }
            let [even, odd] = &mut *counts;
            let pairs = parts
                .as_chunks::<2>()
                .0
                .iter()
                .zip(tokens.as_chunks::<2>().0);
            for (parts, tokens) in pairs {
                even[usize::from(parts[0]) % PARTS][usize::from(tokens[0] & 0x7f)] += 1;
                odd[usize::from(parts[1]) % PARTS][usize::from(tokens[1] & 0x7f)] += 1;
            }
        }
    }
}

/// Bits in two goes.
#[inline(always)]
fn halves((value, bits): (u64, u32)) -> [(u64, u32); 2] {
    let low = bits.min(32);
    [(value, low), (value >> low, bits - low)]
}
