//! Bytes to F64, without branches where it matters, so that the compiler can use vectors.

use super::quant;
use crate::base::Dtype;

/// Widens elements to F64, exactly but for 64-bit integers beyond 2^53; quantised ones in whole blocks. False, and
/// nothing written, where the dtype is not one of numbers. The parts of complex numbers are elements.
pub(super) fn decode(dtype: &Dtype, bytes: &[u8], out: &mut [f64]) -> bool {
    match dtype {
        Dtype::F32 | Dtype::C64 => each(bytes, out, |b| f64::from(f32::from_le_bytes(b))),
        Dtype::F64 | Dtype::C128 => each(bytes, out, f64::from_le_bytes),
        Dtype::BF16 => each(bytes, out, |b| {
            f64::from(f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16))
        }),
        Dtype::F16 => each(bytes, out, |b| half(u16::from_le_bytes(b))),
        Dtype::U8 | Dtype::Bool => each(bytes, out, |[b]: [u8; 1]| f64::from(b)),
        Dtype::I8 => each(bytes, out, |b| f64::from(i8::from_le_bytes(b))),
        Dtype::U16 => each(bytes, out, |b| f64::from(u16::from_le_bytes(b))),
        Dtype::I16 => each(bytes, out, |b| f64::from(i16::from_le_bytes(b))),
        Dtype::U32 => each(bytes, out, |b| f64::from(u32::from_le_bytes(b))),
        Dtype::I32 => each(bytes, out, |b| f64::from(i32::from_le_bytes(b))),
        Dtype::U64 => each(bytes, out, |b| u64::from_le_bytes(b) as f64),
        Dtype::I64 => each(bytes, out, |b| i64::from_le_bytes(b) as f64),
        Dtype::F8E4M3 => by_table(bytes, out, f8_e4m3),
        Dtype::F8E5M2 => by_table(bytes, out, |b| half(u16::from(b) << 8)),
        Dtype::Quant(quant) => return quant::decode(*quant, bytes, out),
        Dtype::Other(_) => return false,
    }
    true
}

/// True for dtypes that are decoded.
pub(super) fn is_decoded(dtype: &Dtype) -> bool {
    match dtype {
        Dtype::Quant(quant) => quant::reader(*quant).is_some(),
        dtype => dtype.size().is_some(),
    }
}

#[inline(always)]
fn each<const N: usize>(bytes: &[u8], out: &mut [f64], read: impl Fn([u8; N]) -> f64) {
    let (elements, _) = bytes.as_chunks::<N>();
    for (out, element) in out.iter_mut().zip(elements) {
        *out = read(*element);
    }
}

fn by_table(bytes: &[u8], out: &mut [f64], read: impl Fn(u8) -> f64) {
    let mut table = [0.0; 256];
    for (value, byte) in table.iter_mut().zip(0..=u8::MAX) {
        *value = read(byte);
    }
    each(bytes, out, |[b]: [u8; 1]| table[usize::from(b)]);
}

/// An F16 by its bits: moved into the place of an F32's exponent and mantissa it is too small by 2^112, which a
/// multiplication mends for subnormals too.
#[inline(always)]
pub(super) fn half(bits: u16) -> f64 {
    const SCALE: f32 = f32::from_bits((127 + 112) << 23);
    const LARGEST: u32 = 0x7c00 << 13;
    let sign = u32::from(bits & 0x8000) << 16;
    let magnitude = u32::from(bits & 0x7fff) << 13;
    let finite = (f32::from_bits(magnitude) * SCALE).to_bits();
    let special = magnitude | 0x7f80_0000;
    let value = if magnitude >= LARGEST {
        special
    } else {
        finite
    };
    f64::from(f32::from_bits(value | sign))
}

/// OCP E4M3: bias 7, no infinities, NaN where all exponent and mantissa bits are set.
fn f8_e4m3(bits: u8) -> f64 {
    let (exponent, mantissa) = (i32::from(bits >> 3 & 15), f64::from(bits & 7));
    let magnitude = match (exponent, bits & 7) {
        (15, 7) => f64::NAN,
        (0, _) => mantissa * (-9f64).exp2(),
        (e, _) => (1.0 + mantissa / 8.0) * f64::from(e - 7).exp2(),
    };
    if bits & 0x80 == 0 {
        magnitude
    } else {
        -magnitude
    }
}

/// The value nearest to `value` that the dtype can hold, ties to even, widened again; `None` where that is not
/// worked out here. NaN becomes any number.
pub(super) fn round(dtype: &Dtype, value: f64) -> Option<f64> {
    match dtype {
        Dtype::F32 => Some(f64::from(value as f32)),
        Dtype::F64 => Some(value),
        Dtype::F16 => Some(half::f16::from_f32(odd(value)).to_f64()),
        Dtype::BF16 => {
            // Half of the last place that stays, less one for an even value, carries into it.
            let bits = odd(value).to_bits();
            let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000;
            Some(f64::from(f32::from_bits(rounded)))
        }
        _ => None,
    }
}

/// A value in F32, rounded to odd where it does not fit, so that rounding it once more is rounding it once. (The
/// `from_f64` of the types themselves looks at the upper half of the bits only and takes values for ties.)
fn odd(value: f64) -> f32 {
    let near = value as f32;
    let (wide, bits) = (f64::from(near), near.to_bits());
    match () {
        _ if wide == value || !near.is_finite() => near,
        _ if wide.abs() > value.abs() => f32::from_bits((bits - 1) | 1),
        _ => f32::from_bits(bits | 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_is_read_as_the_crate_reads_it() {
        for bits in 0..=u16::MAX {
            let (ours, theirs) = (half(bits), half::f16::from_bits(bits).to_f64());
            assert!(
                ours == theirs || ours.is_nan() && theirs.is_nan(),
                "{bits:#x}"
            );
            assert_eq!(ours.is_sign_negative(), theirs.is_sign_negative());
        }
    }

    #[test]
    fn small_floats_are_read_as_their_specification_says() {
        for (bits, value) in [
            (0x7e, 448.0),
            (0x38, 1.0),
            (0x01, 0.001953125),
            (0xb8, -1.0),
        ] {
            assert_eq!(f8_e4m3(bits), value);
        }
        assert!(f8_e4m3(0x7f).is_nan() && f8_e4m3(0xff).is_nan());
        let mut out = [0.0; 3];
        assert!(decode(&Dtype::F8E5M2, &[0x7b, 0x01, 0x7c], &mut out));
        assert_eq!(out, [57344.0, (-16f64).exp2(), f64::INFINITY]);
    }

    #[test]
    fn rounding_once_is_rounding_right() {
        let round = |value| round(&Dtype::BF16, value);
        let tie = 1.0 + (-8f64).exp2();
        assert_eq!(round(tie), Some(1.0));
        for above in [-23f64, -40.0, -52.0].map(|e| tie + e.exp2()) {
            assert_eq!(round(above), Some(1.0 + (-7f64).exp2()), "{above}");
        }
        let below = tie - (-52f64).exp2();
        assert_eq!(round(below), Some(1.0));
        for value in [
            -3.5,
            1e-40,
            f64::MAX,
            -f64::from(f32::MAX),
            f64::INFINITY,
            0.1,
            65504.9,
        ] {
            let expected = half::bf16::from_f32(odd(value)).to_f64();
            assert_eq!(round(value), Some(expected), "{value}");
        }
    }
}
