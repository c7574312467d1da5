//! What the scale of a block should be by the floats that were quantised: a peak of them, divided by a number that is
//! the same for all blocks.

use super::super::CodecError;
use super::super::block;
use super::super::machine::{self, Machine, Work};
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
        machine::fastest(Making {
            peak: self,
            floats,
            each,
            peaks,
        });
    }
}

struct Making<'a> {
    peak: Peak,
    floats: &'a [f32],
    each: usize,
    peaks: &'a mut Vec<f32>,
}

impl Work for Making<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: Machine>(self, _: M) {
        let Peak { rule, divisor } = self.peak;
        let blocks = self.floats.chunks_exact(self.each.max(1));
        self.peaks.reserve(blocks.len());
        for floats in blocks {
            let scale = peak(rule, floats) / divisor;
            // The bits of what is no number differ between machines.
            self.peaks.push(if scale.is_nan() { 0.0 } else { scale });
        }
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

#[inline(always)]
fn peak(rule: u8, floats: &[f32]) -> f32 {
    let largest = || {
        // As bits, which order sizes as they are, so that the compiler takes many at a time. What is no number is
        // none.
        let size = |float: &f32| match float.is_nan() {
            true => 0,
            false => float.abs().to_bits(),
        };
        let most = floats.iter().fold(0, |most, float| most.max(size(float)));
        let place = |(float, at)| if size(float) == most { at } else { u32::MAX };
        let places = floats.iter().zip(0u32..).map(place);
        let first = places.fold(u32::MAX, u32::min);
        let first = floats.get(first as usize).filter(|_| most > 0);
        first.copied().unwrap_or(0.0)
    };
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

#[cfg(test)]
mod tests {
    use super::*;

    /// One after the other, as it is specified.
    fn largest(floats: &[f32]) -> f32 {
        floats.iter().fold(0.0, |most: f32, float| {
            if float.abs() > most.abs() {
                *float
            } else {
                most
            }
        })
    }

    #[test]
    fn the_first_of_the_largest_floats_is_the_peak() {
        let (nan, infinity) = (f32::NAN, f32::INFINITY);
        let odd = [nan, -0.0, 0.0, 2.0, -2.0, -infinity, infinity, 1e-42, -nan];
        let mut state = 1u32;
        let mut floats: Vec<f32> = vec![0.0; 64];
        floats.extend([nan; 64]);
        for _ in 0..4096 {
            state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            floats.push(match state >> 28 {
                at @ 0..9 => odd[at as usize],
                _ => ((state >> 16) as f32 - 32_768.0) / 64.0,
            });
        }
        for each in [1, 2, 3, 16, 32, 33] {
            let wanted = floats.chunks_exact(each).map(largest);
            let wanted: Vec<u32> = wanted.map(f32::to_bits).collect();
            for (rule, sign) in [(0, 0), (1, 1 << 31)] {
                let peak = Peak { rule, divisor: 1.0 };
                let mut peaks = Vec::new();
                peak.make(&floats, each, &mut peaks);
                let found = peaks.iter().map(|peak| peak.to_bits());
                let wanted = wanted.iter().map(|bits| bits & !sign);
                assert!(found.eq(wanted), "{rule} {each}");
            }
        }
    }
}
