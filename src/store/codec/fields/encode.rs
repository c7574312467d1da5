//! Blocks to stored bytes.

use super::super::{Encoder, block, delta, planes};
use super::delta::Symbols;
use super::peaks::Peak;
use super::{
    BLOCK, CHANGED, Cut, DELTA, Fielding, Mode, PEAKS, PLANES, SAME, Under, padded, peaks, predict,
    slices, values_of,
};
use crate::base::fields::Fields;

/// Appends `raw`, the bytes of an object from `offset` on, against a base where there is one. The fields must be sound.
pub(in super::super) fn encode(
    raw: &[u8],
    fields: &Fields,
    offset: u64,
    under: Under<'_>,
    work: &mut Fielding,
    tools: &mut Encoder,
    out: &mut Vec<u8>,
) {
    let size = usize::from(fields.bytes);
    let phase = (offset % size as u64) as usize;
    let head = ((size - phase) % size).min(raw.len());
    let cut = Cut::new(head, raw.len(), size);
    let whole = &raw[cut.head..cut.head + cut.whole];
    let mode = Mode::of(under);
    mode.write(out);
    let mut edges = cut.edges(raw, raw.len());
    let mut kept: Vec<u32> = (0..cut.blocks() as u32).collect();
    let mut room = std::mem::take(&mut work.base);
    let mut below: &[u8] = &[];
    match under {
        Under::Nothing => {
            block::put_number(cut.head as u64, out);
            block::put_block(&edges, &mut tools.frames, out);
        }
        Under::Floats(format, base) => {
            work.widen(fields, cut.blocks(), format, base);
            block::put_number((work.floats.len() * format.width()) as u64, out);
            block::put_number(cut.head as u64, out);
            block::put_block(&edges, &mut tools.frames, out);
        }
        Under::Blocks(base) => {
            block::put_number(cut.head as u64, out);
            let others = cut.edges(base, raw.len());
            edges.iter_mut().zip(others).for_each(|(a, b)| *a ^= b);
            block::put_block(&edges, &mut tools.frames, out);
            below = padded(base, &cut, &mut room);
            let pairs = whole.chunks_exact(size).zip(below.chunks_exact(size));
            let marks = pairs.map(|(new, base)| if new == base { SAME } else { CHANGED });
            let marks: Vec<u8> = marks.collect();
            kept.retain(|index| marks[*index as usize] == CHANGED);
            block::put_block(&marks, &mut tools.frames, out);
        }
    }
    let blocks = slices::Chosen { size, kept: &kept };
    let Fielding { before, after, .. } = &mut *work;
    for (side, bytes) in [(before, below), (after, whole)] {
        side.begin(fields);
        for (field, units) in fields.fields.iter().zip(&mut side.units) {
            slices::gather(field, blocks, bytes, units);
        }
    }
    if !kept.is_empty() {
        for at in 0..fields.fields.len() {
            work.encode(fields, at, kept.len(), mode, tools, out);
        }
    }
    work.base = room;
}

impl Fielding {
    /// Appends the numbers of a field.
    fn encode(
        &mut self,
        fields: &Fields,
        at: usize,
        blocks: usize,
        mode: Mode,
        tools: &mut Encoder,
        out: &mut Vec<u8>,
    ) {
        let field = &fields.fields[at];
        let width = field.kind.width() as u8;
        let bits = predict::bits(field);
        let octaves = self.predict(fields, at, blocks, mode, None);
        let peak = self.peak(fields, at, mode);
        let Self {
            after,
            keys,
            seen,
            payload,
            bytes,
            floats,
            peaks,
            ..
        } = self;
        let units = &after.units[at];
        payload.clear();
        let how = match (peak, field.kind.is_float(), octaves) {
            (Some(peak), ..) => {
                peak.write(payload);
                peak.make(floats, values_of(fields), peaks);
                let made = peaks::narrow(field.kind, peaks);
                delta::encode(units, &made, width, true, tools, payload);
                PEAKS
            }
            (None, float, None) if mode != Mode::Blocks && (float || bits == 8) => {
                planes::encode(units, width, float, tools, payload);
                PLANES
            }
            (None, _, Some(octaves)) => {
                block::put_number(u64::from(octaves), payload);
                bytes.clear();
                bytes.extend(units);
                predict::flip(keys, bytes);
                let keys = Some(keys.as_slice());
                delta::encode_symbols(bytes, seen, Symbols { bits, keys }, tools, payload);
                DELTA
            }
            (None, true, None) => {
                delta::encode(units, seen, width, true, tools, payload);
                DELTA
            }
            (None, false, None) => {
                let symbols = Symbols { bits, keys: None };
                delta::encode_symbols(units, seen, symbols, tools, payload);
                DELTA
            }
        };
        let how = if payload.len() < units.len() {
            how
        } else {
            BLOCK
        };
        out.push(how);
        match how {
            BLOCK => block::put_block(units, &mut tools.frames, out),
            _ => block::put_piece(payload, out),
        }
        after.end(fields, at);
        if how == PEAKS {
            peaks::unround(field.kind, peaks, &after.units[at], &mut after.values[at]);
        }
    }

    /// How a field's numbers follow from floats, if they do.
    fn peak(&self, fields: &Fields, at: usize, mode: Mode) -> Option<Peak> {
        let field = &fields.fields[at];
        if !matches!(mode, Mode::Floats(_)) || !field.kind.is_float() || field.count != 1 {
            return None;
        }
        Peak::find(
            &self.floats,
            values_of(fields),
            field.kind,
            &self.after.units[at],
        )
    }
}
