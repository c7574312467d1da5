//! Stored bytes to blocks.

use super::super::frame::Decompressor;
use super::super::{Codec, CodecError, Decoder, Element, Stored, block, delta, planes};
use super::Side;
use super::peaks::Peak;
use super::{
    BLOCK, CHANGED, Cut, DELTA, Fielding, MOST_FLOATS, Mode, PEAKS, PLANES, WRONG, layout, padded,
    peaks, predict, slices, values_of,
};
use crate::base::fields::Fields;
use crate::store::layout::Cursor;

/// Fills `out`.
pub(super) fn decode(
    chunk: &Stored<'_>,
    work: &mut Fielding,
    tools: &mut Decoder,
    out: &mut [u8],
) -> Result<(), CodecError> {
    if chunk.element != Element::number(1, false) {
        return Err(CodecError::Malformed("blocks of fields are no bytes"));
    }
    let fields = layout::read(chunk.tables)?;
    let size = usize::from(fields.bytes);
    let mut cursor = Cursor(chunk.payload);
    let mode = Mode::read(&mut cursor)?;
    let based = mode == Mode::Blocks;
    let said = match mode {
        Mode::Floats(_) => block::length(&mut cursor, out.len().saturating_mul(MOST_FLOATS))?,
        Mode::Alone | Mode::Blocks => 0,
    };
    let head = block::length(&mut cursor, out.len().min(size - 1))?;
    let cut = Cut::new(head, out.len(), size);
    read_edges(chunk, &cut, based, &mut cursor, tools, out)?;
    let whole = &mut out[cut.head..cut.head + cut.whole];
    let kept = read_kept(&cut, based, &mut cursor, &mut tools.frames)?;
    let blocks = slices::Chosen { size, kept: &kept };
    work.before.begin(&fields);
    work.after.begin(&fields);
    if based {
        let under = padded(chunk.base, &cut, &mut work.base);
        whole.copy_from_slice(under);
        for (field, units) in fields.fields.iter().zip(&mut work.before.units) {
            slices::gather(field, blocks, whole, units);
        }
    }
    if let Mode::Floats(format) = mode {
        if said != cut.blocks() * values_of(&fields) * format.width() {
            return Err(WRONG);
        }
        work.widen(&fields, cut.blocks(), format, chunk.base);
    }
    if !kept.is_empty() {
        match kept.len() == cut.blocks() {
            true => whole.fill(0),
            false => {
                for index in &kept {
                    let start = *index as usize * size;
                    whole[start..start + size].fill(0);
                }
            }
        }
        for at in 0..fields.fields.len() {
            work.decode(&fields, at, kept.len(), mode, tools, &mut cursor)?;
        }
        for (field, units) in fields.fields.iter().zip(&work.after.units) {
            slices::scatter(field, blocks, units, whole);
        }
    }
    match cursor.0.is_empty() {
        true => Ok(()),
        false => Err(WRONG),
    }
}

/// Reads what lies beside whole blocks.
fn read_edges(
    chunk: &Stored<'_>,
    cut: &Cut,
    based: bool,
    cursor: &mut Cursor<'_>,
    tools: &mut Decoder,
    out: &mut [u8],
) -> Result<(), CodecError> {
    let mut edges = vec![0; out.len() - cut.whole];
    block::block(cursor, &mut tools.frames, &mut edges)?;
    if based {
        let others = cut.edges(chunk.base, out.len());
        edges.iter_mut().zip(others).for_each(|(a, b)| *a ^= b);
    }
    let (head, tail) = edges.split_at(cut.head);
    out[..cut.head].copy_from_slice(head);
    out[cut.head + cut.whole..].copy_from_slice(tail);
    Ok(())
}

/// Reads which blocks changed; all of them where there is no base.
fn read_kept(
    cut: &Cut,
    based: bool,
    cursor: &mut Cursor<'_>,
    frames: &mut Decompressor,
) -> Result<Vec<u32>, CodecError> {
    let all = 0..cut.blocks() as u32;
    if !based {
        return Ok(all.collect());
    }
    let mut marks = vec![0; cut.blocks()];
    block::block(cursor, frames, &mut marks)?;
    match marks.iter().all(|mark| *mark <= CHANGED) {
        true => Ok(all
            .filter(|index| marks[*index as usize] == CHANGED)
            .collect()),
        false => Err(WRONG),
    }
}

impl Fielding {
    /// Reads the numbers of a field.
    fn decode(
        &mut self,
        fields: &Fields,
        at: usize,
        blocks: usize,
        mode: Mode,
        tools: &mut Decoder,
        cursor: &mut Cursor<'_>,
    ) -> Result<(), CodecError> {
        let field = &fields.fields[at];
        let len = blocks * field.units();
        let mut units = std::mem::take(&mut self.after.units[at]);
        // All of it is written below.
        units.resize(len, 0);
        let width = field.kind.width() as u8;
        let float = field.kind.is_float();
        let based = mode == Mode::Blocks;
        let predicted = mode.predicts(fields, at);
        let mut peaked = false;
        let numbers = |payload, base| Stored {
            payload,
            element: Element::number(width, float),
            tables: &[],
            base,
        };
        match cursor.u8().ok_or(block::SHORT)? {
            BLOCK => {
                block::block(cursor, &mut tools.frames, &mut units)?;
                if based {
                    self.before.end(fields, at);
                }
            }
            PLANES if !based && !predicted => {
                let chunk = numbers(block::piece(cursor)?, &[]);
                planes::Planes.decode(&chunk, tools, &mut units)?;
            }
            DELTA if based || !float => {
                let mut payload = Cursor(block::piece(cursor)?);
                let octaves = match predicted {
                    true => Some(block::length(&mut payload, 0x1ff)? as u16),
                    false => None,
                };
                match self.predict(fields, at, blocks, mode, octaves) {
                    Some(_) => {
                        delta::decode_keyed(payload.0, &self.seen, &self.keys, tools, &mut units)?;
                        predict::flip(&self.keys, &mut units);
                    }
                    None => {
                        let chunk = numbers(payload.0, &self.seen);
                        delta::Delta.decode(&chunk, tools, &mut units)?;
                    }
                }
            }
            PEAKS if matches!(mode, Mode::Floats(_)) && float && field.count == 1 => {
                let mut payload = Cursor(block::piece(cursor)?);
                let peak = Peak::read(&mut payload)?;
                peak.make(&self.floats, values_of(fields), &mut self.peaks);
                let made = peaks::narrow(field.kind, &self.peaks);
                let chunk = numbers(payload.0, &made);
                delta::Delta.decode(&chunk, tools, &mut units)?;
                peaked = true;
            }
            _ => return Err(WRONG),
        }
        self.after.units[at] = units;
        self.after.end(fields, at);
        if peaked {
            let Side { units, values, .. } = &mut self.after;
            peaks::unround(field.kind, &self.peaks, &units[at], &mut values[at]);
        }
        Ok(())
    }
}
