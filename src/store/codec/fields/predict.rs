//! What the numbers of a field should be, by what they stood for in the base and by what they are multiplied with now.
//!
//! A base's number says a value, and the new scales say which number that value is. How near the value lies to the
//! next number tells how likely that one is, and how coarse the scale is tells how likely any other one is: both make
//! the key by which tables are chosen.

use super::super::machine::{self, Machine, Work};
use super::super::view::Format;
use crate::base::fields::{Field, Fields, Kind, Offset};

/// The bit of a key's byte that says: what is coded are negatives.
const FLIP: u8 = 0x80;

/// Adding this to what is small rounds it to the nearest integer, ties to even: taking it away leaves that.
const ROUND: f32 = 12_582_912.0;

/// The numbers of a field as F32, for those that multiply others.
pub(super) fn values(kind: Kind, units: &[u8], out: &mut Vec<f32>) {
    out.clear();
    match kind {
        Kind::Unsigned(zero) => out.extend(units.iter().map(|unit| number(kind, *unit, zero))),
        Kind::Signed => out.extend(units.iter().map(|unit| number(kind, *unit, 0))),
        Kind::F16 => floats(Format::F16, units, out),
        Kind::F32 => floats(Format::F32, units, out),
    }
}

fn floats(format: Format, units: &[u8], out: &mut Vec<f32>) {
    let mut wide = vec![0; units.len() / format.width()];
    format.widen(units, &mut wide);
    out.extend(wide.into_iter().map(f32::from_bits));
}

#[inline(always)]
fn number(kind: Kind, unit: u8, zero: u8) -> f32 {
    match kind {
        Kind::Signed => f32::from(unit as i8),
        _ => f32::from(i16::from(unit) - i16::from(zero)),
    }
}

/// What one unit of the numbers is, and what is added, for each part of each block in which both are the same.
#[derive(Default)]
pub(super) struct Units {
    scale: Vec<f32>,
    offset: Vec<f32>,
}

/// How many parts a block has for a field: as many as the finest of what it is multiplied with.
fn parts(fields: &Fields, field: &Field) -> usize {
    let others = field.scales.iter().chain(field.offset.fields());
    let counts = others.filter_map(|other| fields.fields.get(usize::from(*other)));
    counts
        .map(|other| usize::from(other.count))
        .max()
        .unwrap_or(1)
}

impl Units {
    /// Sets them for `blocks` blocks, by the values of all fields before.
    pub(super) fn set(
        &mut self,
        fields: &Fields,
        field: &Field,
        blocks: usize,
        values: &[Vec<f32>],
    ) {
        let parts = parts(fields, field);
        let count = usize::from(field.count);
        let product = |list: &[u8], out: &mut Vec<f32>, first: f32| {
            out.clear();
            out.resize(blocks * parts, first);
            for other in list {
                let Some(values) = values.get(usize::from(*other)) else {
                    continue;
                };
                let own = values.len() / blocks.max(1);
                // Of each part, which value its first number is multiplied with.
                let value_of = (0..parts).map(|part| part * (count / parts) * own / count);
                let value_of: Vec<usize> = value_of.collect();
                let blocks = out.chunks_exact_mut(parts);
                for (places, values) in blocks.zip(values.chunks_exact(own.max(1))) {
                    for (place, at) in places.iter_mut().zip(&value_of) {
                        *place *= values.get(*at).copied().unwrap_or(0.0);
                    }
                }
            }
        };
        product(&field.scales, &mut self.scale, 1.0);
        match &field.offset {
            Offset::None => product(&[], &mut self.offset, 0.0),
            Offset::Plus(list) => product(list, &mut self.offset, 1.0),
            Offset::Minus(list) => product(list, &mut self.offset, -1.0),
        }
    }

    /// Makes values of numbers, which are as many for each of the units.
    pub(super) fn apply(&self, numbers: &mut [f32]) {
        let run = numbers.len() / self.scale.len().max(1);
        let units = self.scale.iter().zip(&self.offset);
        for (numbers, (scale, offset)) in numbers.chunks_exact_mut(run.max(1)).zip(units) {
            numbers
                .iter_mut()
                .for_each(|number| *number = *number * scale + offset);
        }
    }

    /// Where octaves should begin, in halves of them.
    pub(super) fn octaves(&self) -> u16 {
        let places = self.scale.iter().map(|scale| octave(*scale));
        places.max().unwrap_or(0).saturating_sub(7)
    }
}

/// How large a scale is, in halves of octaves; what is no number is the largest, whatever its bits are on a machine.
#[inline(always)]
fn octave(scale: f32) -> u16 {
    match scale.is_nan() {
        true => 0x1ff,
        false => (scale.to_bits() >> 22 & 0x1ff) as u16,
    }
}

/// Where the values are that numbers should stand for.
#[derive(Clone, Copy)]
pub(super) enum From<'a> {
    /// What the base's numbers stand for.
    Base(&'a Units),
    /// These.
    Values(&'a [f32]),
}

/// Replaces a base's numbers by what the new ones should be, and sets a key for each.
pub(super) struct Prediction<'a> {
    pub(super) field: &'a Field,
    pub(super) from: From<'a>,
    pub(super) after: &'a Units,
    pub(super) octaves: u16,
    pub(super) units: &'a mut [u8],
    pub(super) keys: &'a mut [u8],
}

impl Prediction<'_> {
    pub(super) fn make(self) {
        machine::fastest(self);
    }
}

impl Work for Prediction<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: Machine>(self, _: M) {
        let (zero, bits) = match self.field.kind {
            Kind::Unsigned(zero) => (i16::from(zero), bits(self.field)),
            _ => (0x80, 8),
        };
        let flip = if self.field.kind == Kind::Signed {
            0x80
        } else {
            0
        };
        let range = (f32::from(-zero), f32::from((1 << bits) - 1 - zero));
        let run = self.units.len() / self.after.scale.len().max(1);
        let units = self.units.chunks_exact_mut(run.max(1));
        let keys = self.keys.chunks_exact_mut(run.max(1));
        let after = self.after.scale.iter().zip(&self.after.offset);
        for (index, ((units, keys), after)) in units.zip(keys).zip(after).enumerate() {
            let octave = octave(*after.0).saturating_sub(self.octaves).min(7) as u8 * 8;
            let part = Part {
                after: (*after.0, *after.1),
                range,
                zero,
                flip,
                octave,
            };
            match self.from {
                From::Base(before) => {
                    let scale = before.scale.get(index).copied().unwrap_or(0.0);
                    let offset = before.offset.get(index).copied().unwrap_or(0.0);
                    part.of_base((scale, offset), units, keys);
                }
                From::Values(values) => {
                    let values = values.get(index * run..).unwrap_or_default();
                    // As above.
                    match units.len() {
                        32 => part.of_values::<32>(values, units, keys),
                        16 => part.of_values::<16>(values, units, keys),
                        _ => part.of_values::<1>(values, units, keys),
                    }
                }
            }
        }
    }
}

/// How many bits the numbers of a field have.
pub(super) fn bits(field: &Field) -> u8 {
    let ends = field.slices.iter().map(|slice| slice.at + slice.bits);
    ends.max().unwrap_or(8)
}

/// Numbers with one scale.
struct Part {
    after: (f32, f32),
    range: (f32, f32),
    zero: i16,
    /// What makes unsigned bytes of signed ones.
    flip: u8,
    octave: u8,
}

impl Part {
    #[inline(always)]
    fn of_base(&self, before: (f32, f32), units: &mut [u8], keys: &mut [u8]) {
        // Most parts have one of these lengths, and are faster for it.
        match units.len() {
            32 => self.of_runs::<32>(before, units, keys),
            16 => self.of_runs::<16>(before, units, keys),
            _ => self.of_runs::<1>(before, units, keys),
        }
    }

    #[inline(always)]
    fn of_runs<const RUN: usize>(&self, before: (f32, f32), units: &mut [u8], keys: &mut [u8]) {
        let runs = units.as_chunks_mut::<RUN>().0.iter_mut();
        for (units, keys) in runs.zip(keys.as_chunks_mut::<RUN>().0) {
            for (unit, key) in units.iter_mut().zip(keys) {
                let number = f32::from(i16::from(*unit ^ self.flip) - self.zero);
                (*unit, *key) = self.predict(number * before.0 + before.1);
            }
        }
    }

    #[inline(always)]
    fn of_values<const RUN: usize>(&self, values: &[f32], units: &mut [u8], keys: &mut [u8]) {
        let runs = units.as_chunks_mut::<RUN>().0.iter_mut();
        let runs = runs.zip(keys.as_chunks_mut::<RUN>().0);
        for ((units, keys), values) in runs.zip(values.as_chunks::<RUN>().0) {
            for ((unit, key), value) in units.iter_mut().zip(keys).zip(values) {
                (*unit, *key) = self.predict(*value);
            }
        }
    }

    /// The number that a value should be, or its negative, and its key.
    #[inline(always)]
    fn predict(&self, value: f32) -> (u8, u8) {
        let exact = (value - self.after.1) / self.after.0;
        // What is no number becomes the lowest one, and no zero is negative.
        let exact = if exact > self.range.0 {
            exact
        } else {
            self.range.0
        };
        let exact = if exact < self.range.1 {
            exact
        } else {
            self.range.1
        } + 0.0;
        // The lowest bits of this sum are the nearest integer, ties to even.
        let sum = exact + ROUND;
        let beside = exact - (sum - ROUND);
        let predicted = (sum.to_bits() as u8).wrapping_add(self.zero as u8) ^ self.flip;
        let negative = ((beside.to_bits() as i32) >> 31) as u8;
        let near = (beside.abs() * 16.0 + ROUND).to_bits() as u8;
        (
            (predicted ^ negative).wrapping_sub(negative),
            negative & FLIP | self.octave | near.min(7),
        )
    }
}

/// Makes negatives where keys say so, or takes that back.
pub(super) fn flip(keys: &[u8], units: &mut [u8]) {
    for (unit, key) in units.iter_mut().zip(keys) {
        let negative = ((*key as i8) >> 7) as u8;
        *unit = (*unit ^ negative).wrapping_sub(negative);
    }
}
