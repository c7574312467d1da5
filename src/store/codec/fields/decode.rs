//! Stored bytes to blocks.

use super::super::frame::Decompressor;
use super::super::{Codec, CodecError, Decoder, Element, Stored, block, delta, planes};
use super::{
    ALONE, BASE, BLOCK, CHANGED, Cut, DELTA, Fielding, PLANES, WRONG, layout, padded, predict,
    slices,
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
    let fields = layout::read(chunk.tables)?;
    let size = usize::from(fields.bytes);
    let mut cursor = Cursor(chunk.payload);
    let based = match cursor.u8().ok_or(block::SHORT)? {
        ALONE => false,
        BASE => true,
        _ => return Err(WRONG),
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
    if !kept.is_empty() {
        for index in &kept {
            let start = *index as usize * size;
            whole[start..start + size].fill(0);
        }
        for at in 0..fields.fields.len() {
            work.decode(&fields, at, kept.len(), based, tools, &mut cursor)?;
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
        based: bool,
        tools: &mut Decoder,
        cursor: &mut Cursor<'_>,
    ) -> Result<(), CodecError> {
        let field = &fields.fields[at];
        let len = blocks * field.units();
        let mut units = std::mem::take(&mut self.after.units[at]);
        units.clear();
        units.resize(len, 0);
        let width = field.kind.width() as u8;
        let float = field.kind.is_float();
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
            PLANES if !based => {
                let chunk = numbers(block::piece(cursor)?, &[]);
                planes::Planes.decode(&chunk, tools, &mut units)?;
            }
            DELTA if based || !float => {
                let mut payload = Cursor(block::piece(cursor)?);
                let keyed = based && !field.scales.is_empty();
                let octaves = match keyed {
                    true => Some(block::length(&mut payload, 0x1ff)? as u16),
                    false => None,
                };
                match self.predict(fields, at, blocks, based, octaves) {
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
            _ => return Err(WRONG),
        }
        self.after.units[at] = units;
        self.after.end(fields, at);
        Ok(())
    }
}
