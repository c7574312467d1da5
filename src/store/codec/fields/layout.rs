//! The list of fields as bytes, and what makes one sound.

use super::super::CodecError;
use super::super::block::{self, put_number};
use crate::base::fields::{Field, Fields, Kind, Offset, Slice};
use crate::store::layout::Cursor;

/// The most bytes of a block, fields of it, and slices of a field.
const BYTES: usize = 4096;
const FIELDS: usize = 16;
const SLICES: usize = 16;

const WRONG: CodecError = CodecError::Malformed("the fields of a block are malformed");

/// True where taking blocks apart by these fields loses nothing: every bit of a block is one bit of one number.
pub(in super::super) fn is_sound(fields: &Fields) -> bool {
    let bytes = usize::from(fields.bytes);
    if !(1..=BYTES).contains(&bytes) || !(1..=FIELDS).contains(&fields.fields.len()) {
        return false;
    }
    let mut taken = vec![0u8; bytes];
    let each = fields.fields.iter().enumerate();
    let sound = each.fold(true, |sound, (at, field)| {
        sound && refers_back(fields, at, field) && takes(field, &mut taken)
    });
    let units: usize = fields.fields.iter().map(Field::units).sum();
    sound && units <= 4 * bytes && taken.iter().all(|bits| *bits == 0xff)
}

/// True where what a field is multiplied with, and what is added, comes before it and fits.
fn refers_back(fields: &Fields, at: usize, field: &Field) -> bool {
    let others = [&field.scales, field.offset.fields()];
    let fits = |other: &u8| match fields.fields[..at].get(usize::from(*other)) {
        // Few, since each takes four bytes while blocks are put together.
        Some(other) => {
            let few = other.count == 1 || other.count <= fields.bytes / 4;
            few && field.count.is_multiple_of(other.count.max(1))
        }
        None => false,
    };
    let scaled = !field.scales.is_empty() && !field.kind.is_float();
    let few = others.iter().all(|list| list.len() <= FIELDS);
    let none = others.iter().all(|list| list.is_empty()) && field.offset == Offset::None;
    few && (none || scaled) && others.into_iter().flatten().all(fits)
}

/// Marks the bits of the block that a field takes. False where they are not there, or taken already, and where a bit
/// of a number has two places.
fn takes(field: &Field, taken: &mut [u8]) -> bool {
    let units = field.units();
    if units == 0 || units > 4 * taken.len() || !(1..=SLICES).contains(&field.slices.len()) {
        return false;
    }
    let mut filled = vec![0u8; units];
    field
        .slices
        .iter()
        .all(|slice| takes_slice(slice, taken, &mut filled))
}

fn takes_slice(slice: &Slice, taken: &mut [u8], filled: &mut [u8]) -> bool {
    let Slice {
        first,
        at,
        bits,
        byte,
        shift,
        run,
        steps,
        groups,
    } = *slice;
    let (first, byte, run) = (usize::from(first), usize::from(byte), usize::from(run));
    let wide = u32::from(bits) * u32::from(steps) + u32::from(shift);
    let end = byte + run * usize::from(groups);
    if bits == 0 || slice.units() == 0 || wide > 8 || u32::from(at) + u32::from(bits) > 8 {
        return false;
    }
    if end > taken.len() || first + slice.units() > filled.len() {
        return false;
    }
    let mask = mask(bits);
    for unit in 0..slice.units() {
        let (turn, place) = (unit / run, unit % run);
        let (group, step) = (turn / usize::from(steps), turn % usize::from(steps));
        let of_block = mask << (usize::from(shift) + step * usize::from(bits));
        let of_number = mask << at;
        let (block, number) = (
            &mut taken[byte + group * run + place],
            &mut filled[first + unit],
        );
        if *block & of_block != 0 || *number & of_number != 0 {
            return false;
        }
        *block |= of_block;
        *number |= of_number;
    }
    true
}

/// So many bits that are set, at most 8.
pub(super) fn mask(bits: u8) -> u8 {
    (0xffu16 >> (8 - bits.min(8))) as u8
}

/// Appends the list.
pub(super) fn write(fields: &Fields, out: &mut Vec<u8>) {
    put_number(u64::from(fields.bytes), out);
    out.push(fields.fields.len() as u8);
    for field in &fields.fields {
        let (kind, zero) = match field.kind {
            Kind::Unsigned(zero) => (0, zero),
            Kind::Signed => (1, 0),
            Kind::F16 => (2, 0),
            Kind::F32 => (3, 0),
        };
        out.extend([kind, zero]);
        put_number(u64::from(field.count), out);
        put_list(&field.scales, out);
        let (sign, offset) = match &field.offset {
            Offset::None => (0, [].as_slice()),
            Offset::Plus(fields) => (1, fields.as_slice()),
            Offset::Minus(fields) => (2, fields.as_slice()),
        };
        out.push(sign);
        put_list(offset, out);
        out.push(field.slices.len() as u8);
        for slice in &field.slices {
            put_number(u64::from(slice.first), out);
            out.extend([slice.at, slice.bits]);
            put_number(u64::from(slice.byte), out);
            out.push(slice.shift);
            put_number(u64::from(slice.run), out);
            out.extend([slice.steps, slice.groups]);
        }
    }
}

fn put_list(list: &[u8], out: &mut Vec<u8>) {
    out.push(list.len() as u8);
    out.extend(list);
}

/// Reads a list, and checks that it is sound.
pub(in super::super) fn read(bytes: &[u8]) -> Result<Fields, CodecError> {
    let mut cursor = Cursor(bytes);
    let size = block::length(&mut cursor, BYTES)? as u16;
    let count = byte(&mut cursor, FIELDS)?;
    let fields = (0..count)
        .map(|_| read_field(&mut cursor))
        .collect::<Result<_, _>>()?;
    let fields = Fields {
        bytes: size,
        fields,
    };
    match cursor.0.is_empty() && is_sound(&fields) {
        true => Ok(fields),
        false => Err(WRONG),
    }
}

fn read_field(cursor: &mut Cursor<'_>) -> Result<Field, CodecError> {
    let kind = match cursor.array().ok_or(block::SHORT)? {
        [0, zero] => Kind::Unsigned(zero),
        [1, 0] => Kind::Signed,
        [2, 0] => Kind::F16,
        [3, 0] => Kind::F32,
        _ => return Err(WRONG),
    };
    let count = block::length(cursor, 8 * BYTES)? as u16;
    let scales = list(cursor)?;
    let sign = byte(cursor, 2)?;
    let offset = match (sign, list(cursor)?) {
        (0, none) if none.is_empty() => Offset::None,
        (1, fields) => Offset::Plus(fields),
        (2, fields) => Offset::Minus(fields),
        _ => return Err(WRONG),
    };
    let slices = (0..byte(cursor, SLICES)?).map(|_| read_slice(cursor));
    let slices = slices.collect::<Result<_, _>>()?;
    Ok(Field {
        kind,
        count,
        scales,
        offset,
        slices,
    })
}

fn read_slice(cursor: &mut Cursor<'_>) -> Result<Slice, CodecError> {
    let first = block::length(cursor, 8 * BYTES)? as u16;
    let [at, bits] = cursor.array().ok_or(block::SHORT)?;
    let byte = block::length(cursor, BYTES)? as u16;
    let shift = cursor.u8().ok_or(block::SHORT)?;
    let run = block::length(cursor, BYTES)? as u16;
    let [steps, groups] = cursor.array().ok_or(block::SHORT)?;
    Ok(Slice {
        first,
        at,
        bits,
        byte,
        shift,
        run,
        steps,
        groups,
    })
}

fn list(cursor: &mut Cursor<'_>) -> Result<Vec<u8>, CodecError> {
    let len = byte(cursor, FIELDS)?;
    Ok(cursor.take(len).ok_or(block::SHORT)?.to_vec())
}

/// A byte that is at most `most`.
fn byte(cursor: &mut Cursor<'_>, most: usize) -> Result<usize, CodecError> {
    match usize::from(cursor.u8().ok_or(block::SHORT)?) {
        value if value <= most => Ok(value),
        _ => Err(WRONG),
    }
}
