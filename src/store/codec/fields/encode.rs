//! Blocks to stored bytes.

use super::super::{Encoder, block, delta, planes};
use super::delta::Symbols;
use super::{
    ALONE, BASE, BLOCK, CHANGED, Cut, DELTA, Fielding, PLANES, SAME, padded, predict, slices,
};
use crate::base::fields::Fields;

/// Appends `raw`, the bytes of an object from `offset` on, against those of a base where there is one. The fields
/// must be sound.
pub(in super::super) fn encode(
    raw: &[u8],
    fields: &Fields,
    offset: u64,
    base: Option<&[u8]>,
    tools: &mut Encoder,
    out: &mut Vec<u8>,
) {
    let size = usize::from(fields.bytes);
    let phase = (offset % size as u64) as usize;
    let head = ((size - phase) % size).min(raw.len());
    let cut = Cut::new(head, raw.len(), size);
    let whole = &raw[cut.head..cut.head + cut.whole];
    let mut work = std::mem::take(&mut tools.fields);
    out.push(if base.is_some() { BASE } else { ALONE });
    block::put_number(cut.head as u64, out);
    let mut edges = cut.edges(raw, raw.len());
    let mut kept: Vec<u32> = (0..cut.blocks() as u32).collect();
    let mut room = std::mem::take(&mut work.base);
    let mut under: &[u8] = &[];
    if let Some(base) = base {
        let others = cut.edges(base, raw.len());
        edges.iter_mut().zip(others).for_each(|(a, b)| *a ^= b);
        block::put_block(&edges, &mut tools.frames, out);
        under = padded(base, &cut, &mut room);
        let pairs = whole.chunks_exact(size).zip(under.chunks_exact(size));
        let marks = pairs.map(|(new, base)| if new == base { SAME } else { CHANGED });
        let marks: Vec<u8> = marks.collect();
        kept.retain(|index| marks[*index as usize] == CHANGED);
        block::put_block(&marks, &mut tools.frames, out);
    } else {
        block::put_block(&edges, &mut tools.frames, out);
    }
    let blocks = slices::Chosen { size, kept: &kept };
    let Fielding { before, after, .. } = &mut work;
    for (side, bytes) in [(before, under), (after, whole)] {
        side.begin(fields);
        for (field, units) in fields.fields.iter().zip(&mut side.units) {
            slices::gather(field, blocks, bytes, units);
        }
    }
    if !kept.is_empty() {
        for at in 0..fields.fields.len() {
            work.encode(fields, at, kept.len(), base.is_some(), tools, out);
        }
    }
    work.base = room;
    tools.fields = work;
}

impl Fielding {
    /// Appends the numbers of a field.
    fn encode(
        &mut self,
        fields: &Fields,
        at: usize,
        blocks: usize,
        based: bool,
        tools: &mut Encoder,
        out: &mut Vec<u8>,
    ) {
        let field = &fields.fields[at];
        let width = field.kind.width() as u8;
        let bits = predict::bits(field);
        let octaves = self.predict(fields, at, blocks, based, None);
        let Self {
            after,
            keys,
            seen,
            payload,
            bytes,
            ..
        } = self;
        let units = &after.units[at];
        payload.clear();
        let how = match (field.kind.is_float(), octaves) {
            (float, _) if !based && (float || bits == 8) => {
                planes::encode(units, width, float, tools, payload);
                PLANES
            }
            (_, Some(octaves)) => {
                block::put_number(u64::from(octaves), payload);
                bytes.clear();
                bytes.extend(units);
                predict::flip(keys, bytes);
                let keys = Some(keys.as_slice());
                delta::encode_symbols(bytes, seen, Symbols { bits, keys }, tools, payload);
                DELTA
            }
            (true, None) => {
                delta::encode(units, seen, width, true, tools, payload);
                DELTA
            }
            (false, None) => {
                let symbols = Symbols { bits, keys: None };
                delta::encode_symbols(units, seen, symbols, tools, payload);
                DELTA
            }
        };
        if payload.len() < units.len() {
            out.push(how);
            block::put_piece(payload, out);
        } else {
            out.push(BLOCK);
            block::put_block(units, &mut tools.frames, out);
        }
        after.end(fields, at);
    }
}
