//! What the scale of a block should be by the floats that were quantised: a peak of them, divided by a number that is
//! the same for all blocks.

use super::super::CodecError;
use super::super::block;
use super::super::view::Format;
use crate::base::fields::Kind;
use crate::store::layout::Cursor;

/// Which peak.
const RULES: u8 = 4;

/// Blocks by which a rule is found.
const SAMPLE: usize = 512;

/// How scales follow from floats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Peak {
    /// 0: the float that is largest by its size; 1: its size; 2: the least float; 3: the greatest less the least.
    rule: u8,
    divisor: f32,
}

impl Peak {
    /// The rule that makes most of these scales, if it makes more than half of them.
    pub(super) fn find(floats: &[f32], each: usize, kind: Kind, units: &[u8]) -> Option<Self> {
        let mut scales = Vec::new();
        super::predict::values(kind, units, &mut scales);
        let blocks = floats.chunks_exact(each).zip(&scales).take(SAMPLE);
        let blocks: Vec<(&[f32], f32)> = blocks.map(|(floats, scale)| (floats, *scale)).collect();
        let mut best = None;
        let mut most = blocks.len() / 2;
        for rule in 0..RULES {
            let ratios = blocks
                .iter()
                .map(|(floats, scale)| peak(rule, floats) / scale);
            let mut ratios: Vec<f32> = ratios.filter(|ratio| ratio.is_finite()).collect();
            ratios.sort_by(f32::total_cmp);
            let Some(middle) = ratios.get(ratios.len() / 2) else {
                continue;
            };
            let divisor = middle.round();
            if divisor == 0.0 {
                continue;
            }
            let peaks = blocks
                .iter()
                .map(|(floats, _)| peak(rule, floats) / divisor);
            let made = narrow(kind, &peaks.collect::<Vec<f32>>());
            let width = kind.width();
            let pairs = made.chunks_exact(width).zip(units.chunks_exact(width));
            let right = pairs.filter(|(made, unit)| made == unit).count();
            if right > most {
                most = right;
                best = Some(Self { rule, divisor });
            }
        }
        best
    }

    pub(super) fn write(self, out: &mut Vec<u8>) {
        out.push(self.rule);
        out.extend(self.divisor.to_le_bytes());
    }

    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, CodecError> {
        let rule = cursor.u8().ok_or(block::SHORT)?;
        let divisor = f32::from_le_bytes(cursor.array().ok_or(block::SHORT)?);
        match rule < RULES {
            true => Ok(Self { rule, divisor }),
            false => Err(super::WRONG),
        }
    }

    /// Sets `peaks` to what the scale of each block should be.
    pub(super) fn make(self, floats: &[f32], each: usize, peaks: &mut Vec<f32>) {
        peaks.clear();
        let blocks = floats.chunks_exact(each.max(1));
        let scales = blocks.map(|floats| peak(self.rule, floats) / self.divisor);
        // The bits of what is no number differ between machines.
        peaks.extend(scales.map(|scale| if scale.is_nan() { 0.0 } else { scale }));
    }
}

/// Floats as the numbers of a field of floats.
pub(super) fn narrow(kind: Kind, floats: &[f32]) -> Vec<u8> {
    let format = match kind {
        Kind::F32 => Format::F32,
        Kind::F16 | Kind::Unsigned(_) | Kind::Signed => Format::F16,
    };
    let wide: Vec<u32> = floats.iter().map(|float| float.to_bits()).collect();
    let mut bytes = vec![0; floats.len() * format.width()];
    format.narrow(&wide, 1.0, &mut bytes);
    bytes
}

/// Puts what a scale was before it was rounded in place of it, where it was rounded to it.
pub(super) fn unround(kind: Kind, peaks: &[f32], units: &[u8], values: &mut [f32]) {
    let width = kind.width();
    let made = narrow(kind, peaks);
    let same = made.chunks_exact(width).zip(units.chunks_exact(width));
    for ((value, peak), (made, unit)) in values.iter_mut().zip(peaks).zip(same) {
        if made == unit {
            *value = *peak;
        }
    }
}

fn peak(rule: u8, floats: &[f32]) -> f32 {
    let larger = |most: f32, float: &f32| match float.abs() > most.abs() {
        true => *float,
        false => most,
    };
    let largest = || floats.iter().fold(0.0, larger);
    let least = || {
        floats
            .iter()
            .fold(f32::MAX, |least, x| if *x < least { *x } else { least })
    };
    let most = || {
        floats
            .iter()
            .fold(f32::MIN, |most, x| if *x > most { *x } else { most })
    };
    match rule {
        0 => largest(),
        1 => largest().abs(),
        2 => least(),
        _ => most() - least(),
    }
}
