//! The factor by which a tensor shrank or grew, from some of its numbers and what they were.
//!
//! Weight decay multiplies all numbers of a tensor with one factor, and steps move those that a gradient reaches. Each
//! pair of an old and a new number allows a range of factors, as wide as a rounding. The true one lies in the range of
//! every number that nothing else moved, and so in more of them than any other factor, however many moved otherwise.

use super::Conversion;
use super::format::{Format, is_finite};

/// So many pairs are looked at first, and of so many of them ranges must have a factor in common: steps alone have
/// few in common.
const FIRST: usize = 1024;
const COMMON: usize = 8;
/// A factor is worth a trial where it saves a 16th of the bits of differences, as estimated.
const WORTH: (f32, f32) = (15.0, 16.0);

/// A number and what it was.
#[derive(Clone, Copy)]
struct Pair {
    new: u32,
    old: u32,
}

/// The factor that brings the numbers `base` nearest to the numbers `raw`, if there is one that many of them share and
/// that makes the differences much smaller.
pub(in crate::store) fn decay(raw: &[u8], base: &[u8], conversion: &Conversion) -> Option<f64> {
    let Conversion { from, to, .. } = *conversion;
    let count = (raw.len() / to.width()).min(base.len() / from.width());
    let every = |step: usize| {
        let places = (0..count).step_by(step.max(1));
        let pairs = places.map(|at| Pair {
            new: number(to, raw, at),
            old: number(from, base, at),
        });
        pairs.filter(move |pair| is_known(*pair, to))
    };
    let pairs: Vec<Pair> = every(count.div_ceil(FIRST)).collect();
    let first = most_common(pairs.iter().map(|pair| range(*pair, to)))?;
    let Range { least, most } = first.range;
    if first.count < COMMON || (least..=most).contains(&1.0) {
        return None;
    }
    // What many allow, all pairs together say more exactly.
    let finer = every(1).map(|pair| {
        let range = range(pair, to);
        Range {
            least: range.least.max(least),
            most: range.most.min(most),
        }
    });
    let finer = finer.filter(|range| range.least < range.most && *range != first.range);
    let within = most_common(finer).map_or(first.range, |common| common.range);
    let mut best = (bits(&pairs, 1.0, to) * WORTH.0 / WORTH.1, None);
    let middle = within.least / 2.0 + within.most / 2.0;
    // Frameworks round their factors to F32, mostly.
    let candidates = [f64::from(middle as f32), middle].into_iter();
    for factor in candidates.chain(medians(&pairs, middle, to)) {
        let bits = bits(&pairs, factor, to);
        if factor.is_finite() && factor != 1.0 && bits < best.0 {
            best = (bits, Some(factor));
        }
    }
    best.1
}

fn number(format: Format, bytes: &[u8], at: usize) -> u32 {
    let mut wide = [0];
    format.widen(&bytes[at * format.width()..][..format.width()], &mut wide);
    wide[0]
}

/// The last bit of a number's mantissa, among those of F32.
fn unit(format: Format) -> u32 {
    1 << (23 - format.precision())
}

/// True where a pair tells a factor: neither is zero or infinite, and the new number has all bits of its mantissa.
fn is_known(pair: Pair, format: Format) -> bool {
    let exponent = (pair.new & 0x7fff_ffff) >> 23;
    exponent >= format.least_exponent()
        && is_finite(pair.new)
        && is_finite(pair.old)
        && pair.old << 1 != 0
}

/// Factors that have something in common.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Range {
    least: f64,
    most: f64,
}

/// The factors that yield the new number, which is rounded to the nearest.
fn range(pair: Pair, format: Format) -> Range {
    let unit = unit(format);
    let magnitude = |bits: u32| f64::from(f32::from_bits(bits & 0x7fff_ffff));
    let (new, old) = (magnitude(pair.new), magnitude(pair.old));
    let ends = [pair.new - unit, pair.new + unit].map(|next| (new + magnitude(next)) / 2.0 / old);
    match (pair.new ^ pair.old) >> 31 {
        0 => Range {
            least: ends[0],
            most: ends[1],
        },
        _ => Range {
            least: -ends[1],
            most: -ends[0],
        },
    }
}

/// Factors, and how many ranges allow them.
struct Common {
    range: Range,
    count: usize,
}

/// The factors that most ranges allow.
fn most_common(ranges: impl Iterator<Item = Range>) -> Option<Common> {
    let (mut starts, mut ends): (Vec<f64>, Vec<f64>) =
        ranges.map(|range| (range.least, range.most)).unzip();
    starts.sort_unstable_by(f64::total_cmp);
    ends.sort_unstable_by(f64::total_cmp);
    let mut best: Option<Common> = None;
    let mut ended = 0;
    for (started, least) in starts.iter().enumerate() {
        while ends.get(ended).is_some_and(|end| end < least) {
            ended += 1;
        }
        let count = started + 1 - ended;
        if best.as_ref().is_none_or(|best| count > best.count) {
            best = Some(Common {
                range: Range {
                    least: *least,
                    most: ends[ended],
                },
                count,
            });
        }
    }
    best
}

/// The medians of the ratios that are near a factor: numbers that were rounded many times on their way scatter around
/// it, and its range is one of many.
fn medians(pairs: &[Pair], near: f64, format: Format) -> impl Iterator<Item = f64> {
    let value = |bits: u32| f64::from(f32::from_bits(bits));
    let mut ratios: Vec<f64> = pairs
        .iter()
        .map(|pair| value(pair.new) / value(pair.old))
        .collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let last_place = near.abs() * 2f64.powi(-(format.precision() as i32));
    [2.0, 16.0, 128.0].into_iter().filter_map(move |places| {
        let from = ratios.partition_point(|ratio| *ratio < near - places * last_place);
        let to = ratios.partition_point(|ratio| *ratio <= near + places * last_place);
        ratios.get(from..to)?.get((to - from) / 2).copied()
    })
}

/// What the differences of pairs take with a factor, in bits, as estimated: their lengths by their frequency, and what
/// comes after the first bit of each.
fn bits(pairs: &[Pair], factor: f64, to: Format) -> f32 {
    // From -64 to 63 bits: the negative ones have lengths of their own.
    let mut counts = [0u32; 128];
    let mut bits = 0.0;
    for pair in pairs {
        let product = (f64::from(f32::from_bits(pair.old)) * factor) as f32;
        let seen = &mut [0; 4][..to.width()];
        to.narrow(&[product.to_bits()], 1.0, seen);
        let difference = (order(pair.new) - order(number(to, seen, 0))) / i64::from(unit(to));
        let length = i64::from(64 - difference.unsigned_abs().leading_zeros());
        counts[(64 + length * difference.signum()) as usize & 127] += 1;
        bits += (length - 1).max(0) as f32;
    }
    let all = pairs.len() as f32;
    let seen = counts.iter().filter(|count| **count > 0);
    bits + seen
        .map(|count| *count as f32)
        .map(|count| count * (all / count).log2())
        .sum::<f32>()
}

/// Bits of F32 as integers in the order of the numbers.
fn order(bits: u32) -> i64 {
    let magnitude = i64::from(bits & 0x7fff_ffff);
    if bits >> 31 == 0 {
        magnitude
    } else {
        -magnitude
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMATS: [Format; 3] = [Format::F32, Format::Bf16, Format::F16];

    fn uniform(state: &mut u32) -> f32 {
        *state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        (*state >> 8) as f32 / (1 << 24) as f32 - 0.5
    }

    fn weights(count: usize) -> Vec<f32> {
        let mut state = 3;
        (0..count)
            .map(|_| uniform(&mut state) * uniform(&mut state))
            .collect()
    }

    fn narrow(format: Format, numbers: impl Iterator<Item = f32>) -> Vec<u8> {
        let wide: Vec<u32> = numbers.map(f32::to_bits).collect();
        let mut bytes = vec![0; wide.len() * format.width()];
        format.narrow(&wide, 1.0, &mut bytes);
        bytes
    }

    fn widen(format: Format, bytes: &[u8]) -> Vec<f32> {
        let mut wide = vec![0; bytes.len() / format.width()];
        format.widen(bytes, &mut wide);
        wide.into_iter().map(f32::from_bits).collect()
    }

    fn found(raw: &[u8], base: &[u8], from: Format, to: Format) -> Option<f64> {
        let conversion = Conversion {
            from,
            to,
            factor: 1.0,
        };
        decay(raw, base, &conversion)
    }

    /// How many numbers of 1000 are not what the factor makes of the base.
    fn missed(raw: &[u8], base: &[u8], from: Format, to: Format, factor: f64) -> usize {
        let times = |x: f32| (f64::from(x) * factor) as f32;
        let seen = narrow(to, widen(from, base).into_iter().map(times));
        let (raw, seen) = (widen(to, raw), widen(to, &seen));
        let wrong = raw.iter().zip(&seen).filter(|(a, b)| a != b).count();
        wrong * 1000 / raw.len()
    }

    #[test]
    fn one_factor_is_found_in_all_formats() {
        for (from, to) in FORMATS.into_iter().flat_map(|f| FORMATS.map(|t| (f, t))) {
            for count in [300, 40_000] {
                let base = narrow(from, weights(count).into_iter());
                for factor in [0.9f32, 0.61, 3.7, -1.0, -0.3] {
                    let raw = narrow(to, widen(from, &base).into_iter().map(|x| x * factor));
                    let found = found(&raw, &base, from, to).expect("one fits");
                    assert_eq!(
                        missed(&raw, &base, from, to, found),
                        0,
                        "{from:?} {to:?} {factor} {found}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_factor_is_that_of_f32_or_a_finer_one() {
        let base = weights(40_000);
        let old = narrow(Format::F32, base.iter().copied());
        let rounded = 0.999_94_f32;
        let raw = narrow(Format::F32, base.iter().map(|x| x * rounded));
        let factor = found(&raw, &old, Format::F32, Format::F32);
        assert_eq!(factor, Some(f64::from(rounded)));
        let fine = 1.0 - 2e-5 * 0.01 * 77.7;
        let raw = base.iter().map(|x| (f64::from(*x) * fine) as f32);
        let raw = narrow(Format::F32, raw);
        let factor = found(&raw, &old, Format::F32, Format::F32).expect("one fits");
        assert!((factor - fine).abs() < 1e-11, "{factor}");
        assert_ne!(factor, f64::from(factor as f32));
    }

    #[test]
    fn what_was_rounded_again_and_again_is_near_its_factor() {
        let base = weights(40_000);
        let old = narrow(Format::F32, base.iter().copied());
        for (times, most) in [(20, 6), (1000, 60)] {
            let shrink = |x: &f32| (0..times).fold(*x, |x, _| x * 0.9999);
            let raw = narrow(Format::F32, base.iter().map(shrink));
            let factor = found(&raw, &old, Format::F32, Format::F32).expect("one fits");
            let near = base.iter().zip(widen(Format::F32, &raw)).filter(|(x, y)| {
                let seen = (f64::from(**x) * factor) as f32;
                seen.to_bits().abs_diff(y.to_bits()) <= most
            });
            assert!(near.count() > 39_000, "{times}: {factor}");
        }
    }

    /// One number of `every` shrank, and the others moved too.
    fn tuned(base: &[f32], every: usize, factor: f32, step: f32) -> Vec<f32> {
        let mut state = 9;
        let moved = base.iter().enumerate().map(|(at, x)| {
            let step = uniform(&mut state) * step;
            x * factor + if at % every == 0 { 0.0 } else { step }
        });
        moved.collect()
    }

    #[test]
    fn those_that_nothing_moved_tell_the_factor() {
        let base = weights(40_000);
        let old = narrow(Format::F32, base.iter().copied());
        for every in [2, 7] {
            let raw = tuned(&base, every, 0.99, 1e-3);
            let raw = narrow(Format::F32, raw.into_iter());
            let factor = found(&raw, &old, Format::F32, Format::F32);
            assert_eq!(factor, Some(f64::from(0.99f32)), "{every}");
        }
    }

    #[test]
    fn there_is_none_without_decay() {
        let base = weights(40_000);
        for format in FORMATS {
            let old = narrow(format, base.iter().copied());
            for step in [0.0, 1e-6, 1e-4, 1e-2] {
                let raw = narrow(format, tuned(&base, usize::MAX, 1.0, step).into_iter());
                assert_eq!(found(&raw, &old, format, format), None, "{format:?} {step}");
            }
            let other = narrow(format, base.iter().rev().copied());
            assert_eq!(found(&other, &old, format, format), None);
        }
    }

    #[test]
    fn numbers_that_tell_nothing_are_no_trouble() {
        let ends = [
            0,
            1,
            0x7f7f_ffff,
            0x7f80_0000,
            0x7f80_0001,
            0x7fff_ffff,
            0x0080_0000,
            0x007f_ffff,
        ];
        let ends = ends.iter().flat_map(|end| [*end, end | 1 << 31]);
        let ends: Vec<u8> = ends.flat_map(u32::to_le_bytes).collect();
        for (from, to) in FORMATS.into_iter().flat_map(|f| FORMATS.map(|t| (f, t))) {
            for shift in 0..64 {
                let base: Vec<u8> = ends
                    .iter()
                    .cycle()
                    .skip(shift)
                    .copied()
                    .take(9000)
                    .collect();
                let raw = ends.repeat(50);
                let factor = found(&raw, &base, from, to);
                assert!(
                    factor.is_none_or(f64::is_finite),
                    "{from:?} {to:?} {factor:?}"
                );
            }
            assert_eq!(found(&[], &[], from, to), None);
            assert_eq!(found(&[0; 64], &[0; 64], from, to), None);
        }
    }
}
