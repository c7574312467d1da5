//! Numbers quantised in blocks, as ggml's reference does it: `quantize_row_*_ref` in its `ggml-quants.c`.

use crate::base::Quant;

use super::super::view::Format;

/// The blocks that floats become; what is left of the last one is left out.
pub(in crate::store) fn quantised(quant: Quant, bytes: &[u8]) -> Vec<u8> {
    let floats: Vec<f32> = super::floats(bytes).collect();
    let size = quant.block();
    let blocks = floats.chunks_exact(size.values as usize);
    let mut out = Vec::with_capacity(blocks.len() * size.bytes as usize);
    for block in blocks {
        match quant {
            Quant::Q8_0 => q8_0(block, &mut out),
            Quant::Q4_0 => q4_0(block, &mut out),
            Quant::Q4K => q4_k(block, &mut out),
            Quant::Q6K => q6_k(block, &mut out),
            other => panic!("{} is not made here", other.name()),
        }
    }
    out
}

/// Numbers of one format as those of another; integers with the factor that makes the largest one 127.
pub(in crate::store) fn cast(from: Format, to: Format, bytes: &[u8]) -> Vec<u8> {
    let mut wide = vec![0; bytes.len() / from.width()];
    from.widen(bytes, &mut wide);
    let values: Vec<f32> = wide.iter().map(|bits| f32::from_bits(*bits)).collect();
    let factor = 127.0 / largest(&values).abs();
    let mut out = vec![0; wide.len() * to.width()];
    to.narrow(&wide, factor, &mut out);
    out
}

fn half(x: f32) -> [u8; 2] {
    let mut bytes = [0; 2];
    Format::F16.narrow(&[x.to_bits()], 1.0, &mut bytes);
    bytes
}

fn wide(bytes: [u8; 2]) -> f32 {
    let mut wide = [0];
    Format::F16.widen(&bytes, &mut wide);
    f32::from_bits(wide[0])
}

/// The number that is largest by its size.
fn largest(values: &[f32]) -> f32 {
    let larger = |most: f32, x: &f32| if x.abs() > most.abs() { *x } else { most };
    values.iter().fold(0.0, larger)
}

fn inverse(x: f32) -> f32 {
    if x == 0.0 { 0.0 } else { 1.0 / x }
}

fn q8_0(values: &[f32], out: &mut Vec<u8>) {
    let d = largest(values).abs() / 127.0;
    out.extend(half(d));
    let inverse = inverse(d);
    out.extend(values.iter().map(|x| (x * inverse).round() as i8 as u8));
}

fn q4_0(values: &[f32], out: &mut Vec<u8>) {
    let d = largest(values) / -8.0;
    out.extend(half(d));
    let inverse = inverse(d);
    let number = |x: f32| ((x * inverse + 8.5) as u8).min(15);
    let (low, high) = values.split_at(16);
    let pairs = low.iter().zip(high);
    out.extend(pairs.map(|(low, high)| number(*low) | number(*high) << 4));
}

fn nearest(x: f32, least: i32, most: i32) -> i32 {
    (x.round_ties_even() as i32).clamp(least, most)
}

/// Scale and offset of 32 values, from 0 to 15.
fn fit_15(values: &[f32]) -> (f32, f32) {
    let square: f32 = values.iter().map(|x| x * x).sum();
    let mean = (square / 32.0).sqrt();
    let weights: Vec<f32> = values.iter().map(|x| mean + x.abs()).collect();
    let least = values.iter().copied().fold(0.0, f32::min);
    let most = values.iter().copied().fold(f32::MIN, f32::max);
    if most <= least {
        return (0.0, -least);
    }
    let number = |inverse: f32, x: f32| nearest(inverse * (x - least), 0, 15) as f32;
    let error = |numbers: &[f32], scale: f32, least: f32| -> f32 {
        let each = numbers.iter().zip(values).zip(&weights);
        each.map(|((q, x), w)| w * (scale * q + least - x).powi(2))
            .sum()
    };
    let first = 15.0 / (most - least);
    let mut best = (first.recip(), least);
    let numbers: Vec<f32> = values.iter().map(|x| number(first, *x)).collect();
    let mut smallest = error(&numbers, best.0, best.1);
    for step in 0..=20 {
        let inverse = (-1.0 + 0.1 * step as f32 + 15.0) / (most - least);
        let numbers: Vec<f32> = values.iter().map(|x| number(inverse, *x)).collect();
        let mut sums = [0f32; 5];
        for ((q, x), w) in numbers.iter().zip(values).zip(&weights) {
            let terms = [*w, w * x, w * q, w * q * q, w * q * x];
            sums.iter_mut()
                .zip(terms)
                .for_each(|(sum, term)| *sum += term);
        }
        let [w, x, q, qq, qx] = sums;
        let determinant = w * qq - q * q;
        if determinant > 0.0 {
            let (mut scale, mut least) = (
                (w * qx - x * q) / determinant,
                (qq * x - q * qx) / determinant,
            );
            if least > 0.0 {
                (scale, least) = (qx / qq, 0.0);
            }
            let now = error(&numbers, scale, least);
            if now < smallest {
                (smallest, best) = (now, (scale, least));
            }
        }
    }
    (best.0, -best.1)
}

fn q4_k(values: &[f32], out: &mut Vec<u8>) {
    let fits: Vec<(f32, f32)> = values.chunks(32).map(fit_15).collect();
    let (scale, offset) = fits.iter().fold((0f32, 0f32), |most, fit| {
        (most.0.max(fit.0), most.1.max(fit.1))
    });
    let six = |x: f32, most: f32| nearest(63.0 * inverse(most) * x, 0, 63) as u8;
    let (d, least) = (half(scale / 63.0), half(offset / 63.0));
    let mut packed = [0u8; 12];
    let parts: Vec<(u8, u8)> = fits
        .iter()
        .map(|fit| (six(fit.0, scale), six(fit.1, offset)))
        .collect();
    for (part, (s, m)) in parts.iter().enumerate() {
        if part < 4 {
            (packed[part], packed[part + 4]) = (*s, *m);
        } else {
            packed[part + 4] = s & 15 | m << 4;
            packed[part - 4] |= s >> 4 << 6;
            packed[part] |= m >> 4 << 6;
        }
    }
    out.extend(d);
    out.extend(least);
    out.extend(packed);
    let numbers = values.chunks(32).zip(&parts).flat_map(|(values, (s, m))| {
        let (unit, offset) = (wide(d) * f32::from(*s), wide(least) * f32::from(*m));
        let number = move |x: &f32| match unit == 0.0 {
            true => 0,
            false => nearest((x + offset) / unit, 0, 15) as u8,
        };
        values.iter().map(number)
    });
    let numbers: Vec<u8> = numbers.collect();
    for numbers in numbers.chunks(64) {
        let (low, high) = numbers.split_at(32);
        out.extend(low.iter().zip(high).map(|(low, high)| low | high << 4));
    }
}

/// The scale of 16 values, from -32 to 31.
fn fit_31(values: &[f32]) -> f32 {
    let most = largest(values);
    if most.abs() < 1e-15 {
        return 0.0;
    }
    let sums = |inverse: f32| {
        let each = values.iter().map(|x| {
            let q = nearest(inverse * x, -32, 31) as f32;
            (x * x * x * q, x * x * q * q)
        });
        each.fold((0.0, 0.0), |sum, term| (sum.0 + term.0, sum.1 + term.1))
    };
    let (product, square) = sums(-32.0 / most);
    let mut scale = product * inverse(square);
    let mut best = scale * product;
    for step in (-9..=9).filter(|step| *step != 0) {
        let (product, square) = sums(-(32.0 + 0.1 * step as f32) / most);
        if square > 0.0 && product * product > best * square {
            scale = product / square;
            best = scale * product;
        }
    }
    scale
}

fn q6_k(values: &[f32], out: &mut Vec<u8>) {
    let fits: Vec<f32> = values.chunks(16).map(fit_31).collect();
    let most = largest(&fits);
    let d = half(most / -128.0);
    let times = -128.0 * inverse(most);
    let scales: Vec<i8> = fits
        .iter()
        .map(|fit| nearest(times * fit, -128, 127) as i8)
        .collect();
    let numbers = values.chunks(16).zip(&scales).flat_map(|(values, scale)| {
        let unit = wide(d) * f32::from(*scale);
        let number = move |x: &f32| match unit == 0.0 {
            true => 32,
            false => (nearest(x / unit, -32, 31) + 32) as u8,
        };
        values.iter().map(number)
    });
    let numbers: Vec<u8> = numbers.collect();
    for half in numbers.chunks(128) {
        out.extend((0..64).map(|i| half[i] & 15 | half[i + 64] << 4));
    }
    for half in numbers.chunks(128) {
        let part = |i: usize, of: usize| half[i + 32 * of] >> 4 << (2 * of);
        out.extend((0..32).map(|i| (0..4).map(|of| part(i, of)).sum::<u8>()));
    }
    out.extend(scales.iter().map(|scale| *scale as u8));
    out.extend(d);
}
