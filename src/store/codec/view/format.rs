//! Number formats, block by block: to single precision, and back with rounding to the nearest.

use crate::store::Element;

/// How the bytes of a number are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// The upper half of an F32.
    Bf16,
    /// IEEE 754 half precision.
    F16,
    /// IEEE 754 single precision.
    F32,
    /// Two's complement bytes that stand for multiples of a scale.
    I8,
    /// Eight bits, 4 of them for the exponent; no infinity, and one NaN of either sign (OCP E4M3).
    E4m3,
    /// Eight bits, 5 of them for the exponent: the upper half of an F16 (OCP E5M2).
    E5m2,
}

impl Format {
    /// Bytes per number.
    pub(in crate::store) fn width(self) -> usize {
        match self {
            Self::I8 | Self::E4m3 | Self::E5m2 => 1,
            Self::Bf16 | Self::F16 => 2,
            Self::F32 => 4,
        }
    }

    /// What the store takes such numbers for.
    pub(in crate::store) fn element(self) -> Element {
        Element::number(self.width() as u8, self != Self::I8)
    }

    /// How many bits its mantissa has.
    pub(super) fn precision(self) -> usize {
        match self {
            Self::I8 => 0,
            Self::E5m2 => 2,
            Self::E4m3 => 3,
            Self::Bf16 => 7,
            Self::F16 => 10,
            Self::F32 => 23,
        }
    }

    /// The exponent of F32 from which on a number has all bits of its mantissa.
    pub(super) fn least_exponent(self) -> u32 {
        match self {
            Self::F16 | Self::E5m2 => 113,
            Self::E4m3 => 121,
            Self::I8 | Self::Bf16 | Self::F32 => 1,
        }
    }

    /// Its number in stored bytes.
    pub(in crate::store::codec) fn code(self) -> u8 {
        match self {
            Self::Bf16 => 1,
            Self::F16 => 2,
            Self::F32 => 3,
            Self::I8 => 4,
            Self::E4m3 => 5,
            Self::E5m2 => 6,
        }
    }

    pub(in crate::store::codec) fn by_code(code: u8) -> Option<Self> {
        let all = [
            Self::Bf16,
            Self::F16,
            Self::F32,
            Self::I8,
            Self::E4m3,
            Self::E5m2,
        ];
        all.into_iter().find(|format| format.code() == code)
    }

    /// The numbers of `bytes` as bits of F32, which is exact. An I8 is the number that it is, without its scale.
    #[inline(always)]
    pub(in crate::store::codec) fn widen(self, bytes: &[u8], wide: &mut [u32]) {
        match self {
            Self::Bf16 => {
                for (wide, bytes) in wide.iter_mut().zip(bytes.as_chunks().0) {
                    *wide = u32::from(u16::from_le_bytes(*bytes)) << 16;
                }
            }
            Self::F16 => {
                for (wide, bytes) in wide.iter_mut().zip(bytes.as_chunks().0) {
                    *wide = from_half(u16::from_le_bytes(*bytes));
                }
            }
            Self::F32 => {
                for (wide, bytes) in wide.iter_mut().zip(bytes.as_chunks().0) {
                    *wide = u32::from_le_bytes(*bytes);
                }
            }
            Self::I8 => {
                for (wide, byte) in wide.iter_mut().zip(bytes) {
                    *wide = f32::from(*byte as i8).to_bits();
                }
            }
            Self::E4m3 => {
                for (wide, byte) in wide.iter_mut().zip(bytes) {
                    *wide = from_e4m3(*byte);
                }
            }
            Self::E5m2 => {
                for (wide, byte) in wide.iter_mut().zip(bytes) {
                    *wide = from_half(u16::from(*byte) << 8);
                }
            }
        }
    }

    /// Bits of F32 to the nearest number of this format, ties to even; for I8, times `factor` before.
    #[inline(always)]
    pub(in crate::store::codec) fn narrow(self, wide: &[u32], factor: f32, bytes: &mut [u8]) {
        match self {
            Self::Bf16 => {
                for (wide, bytes) in wide.iter().zip(bytes.as_chunks_mut().0) {
                    *bytes = to_bf16(*wide).to_le_bytes();
                }
            }
            Self::F16 => {
                for (wide, bytes) in wide.iter().zip(bytes.as_chunks_mut().0) {
                    *bytes = to_half(*wide).to_le_bytes();
                }
            }
            Self::F32 => {
                for (wide, bytes) in wide.iter().zip(bytes.as_chunks_mut().0) {
                    *bytes = wide.to_le_bytes();
                }
            }
            Self::I8 => {
                for (wide, byte) in wide.iter().zip(bytes) {
                    // NaN becomes 0, and what is beyond the range its end.
                    *byte = (f32::from_bits(*wide) * factor).round_ties_even() as i8 as u8;
                }
            }
            Self::E4m3 => {
                for (wide, byte) in wide.iter().zip(bytes) {
                    *byte = to_e4m3(*wide);
                }
            }
            Self::E5m2 => {
                for (wide, byte) in wide.iter().zip(bytes) {
                    *byte = to_e5m2(*wide);
                }
            }
        }
    }
}

/// True for what is neither infinite nor NaN.
#[inline(always)]
pub(super) fn is_finite(wide: u32) -> bool {
    wide & 0x7f80_0000 != 0x7f80_0000
}

#[inline(always)]
fn to_bf16(wide: u32) -> u16 {
    let rounded = wide.wrapping_add(0x7fff + (wide >> 16 & 1));
    let kept = match wide & 0x7fff_ffff > 0x7f80_0000 {
        // Rounding could make it infinite.
        true => wide | 0x40_0000,
        false => rounded,
    };
    (kept >> 16) as u16
}

#[inline(always)]
fn from_half(half: u16) -> u32 {
    let magnitude = u32::from(half & 0x7fff) << 13;
    let sign = u32::from(half & 0x8000) << 16;
    // 2^112 makes up for the difference of the exponents' biases, of denormals too.
    let scaled = (f32::from_bits(magnitude) * f32::from_bits(0x7780_0000)).to_bits();
    match half & 0x7c00 == 0x7c00 {
        true => sign | magnitude | 0x7f80_0000,
        false => sign | scaled,
    }
}

#[inline(always)]
fn to_half(wide: u32) -> u16 {
    let sign = (wide >> 16) as u16 & 0x8000;
    let magnitude = wide & 0x7fff_ffff;
    // Below 2^-14 the last bit weighs 2^-24: adding 0.5, whose last bit weighs that, rounds there.
    let small = (f32::from_bits(magnitude) + 0.5)
        .to_bits()
        .wrapping_sub(0x3f00_0000);
    let normal = magnitude
        .wrapping_sub(112 << 23)
        .wrapping_add(0xfff + (magnitude >> 13 & 1))
        >> 13;
    let half = match magnitude {
        0..0x3880_0000 => small as u16,
        0x3880_0000..0x4780_0000 => normal as u16,
        0x4780_0000..=0x7f80_0000 => 0x7c00,
        _ => 0x7e00 | (magnitude >> 13) as u16 & 0x3ff,
    };
    sign | half
}

#[inline(always)]
fn from_e4m3(byte: u8) -> u32 {
    let magnitude = u32::from(byte & 0x7f) << 20;
    let sign = u32::from(byte & 0x80) << 24;
    // 2^120 makes up for the difference of the exponents' biases.
    let scaled = (f32::from_bits(magnitude) * f32::from_bits(0x7b80_0000)).to_bits();
    match byte & 0x7f {
        0x7f => sign | 0x7fc0_0000,
        _ => sign | scaled,
    }
}

#[inline(always)]
fn to_e4m3(wide: u32) -> u8 {
    let magnitude = wide & 0x7fff_ffff;
    // The last bit of a number below 2^-6 weighs 2^-9, as that of 2^14 does.
    let small = rounded_beside(magnitude, 0x4680_0000);
    let byte = match magnitude {
        0..0x3c80_0000 => small,
        // 464 is halfway between the largest number and what would be the next, and goes to the even one.
        0x3c80_0000..=0x43e8_0000 => rounded(magnitude, 120, 20),
        _ => 0x7f,
    };
    (wide >> 24) as u8 & 0x80 | byte
}

#[inline(always)]
fn to_e5m2(wide: u32) -> u8 {
    let magnitude = wide & 0x7fff_ffff;
    // The last bit of a number below 2^-14 weighs 2^-16, as that of 2^7 does.
    let small = rounded_beside(magnitude, 0x4300_0000);
    let byte = match magnitude {
        0..0x3880_0000 => small,
        0x3880_0000..0x4770_0000 => rounded(magnitude, 112, 21),
        0x4770_0000..=0x7f80_0000 => 0x7c,
        _ => 0x7f,
    };
    (wide >> 24) as u8 & 0x80 | byte
}

/// A number below `beside`, in units of the last bit of that.
#[inline(always)]
fn rounded_beside(magnitude: u32, beside: u32) -> u8 {
    let sum = f32::from_bits(magnitude) + f32::from_bits(beside);
    sum.to_bits().wrapping_sub(beside) as u8
}

/// A number with `bias` less in its exponent, and without so many `bits`, rounded to nearest even.
#[inline(always)]
fn rounded(magnitude: u32, bias: u32, bits: u32) -> u8 {
    let half = (1 << (bits - 1)) - 1 + (magnitude >> bits & 1);
    (magnitude.wrapping_sub(bias << 23).wrapping_add(half) >> bits) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrow(format: Format, value: f32, factor: f32) -> u64 {
        let mut bytes = [0; 8];
        let width = format.width();
        format.narrow(&[value.to_bits()], factor, &mut bytes[..width]);
        u64::from_le_bytes(bytes)
    }

    fn widened(format: Format, bits: u64) -> f32 {
        let mut wide = [0];
        format.widen(&bits.to_le_bytes()[..format.width()], &mut wide);
        f32::from_bits(wide[0])
    }

    /// The nearest of all halves, by trying them.
    fn nearest_half(value: f32) -> u16 {
        let halves = (0..0x7c00u16).map(|half| (half, half_value(half)));
        let distance = |x: f64| (x - f64::from(value.abs())).abs();
        let (nearest, _) = halves.fold((0, f64::MAX), |best, (half, x)| {
            let now = distance(x);
            match now < best.1 || (now == best.1 && half % 2 == 0) {
                true => (half, now),
                false => best,
            }
        });
        let overflows = f64::from(value.abs()) >= 65_520.0;
        (if overflows { 0x7c00 } else { nearest }) | u16::from(value.is_sign_negative()) << 15
    }

    fn half_value(half: u16) -> f64 {
        let (exponent, mantissa) = (i32::from(half >> 10), f64::from(half & 0x3ff));
        match exponent {
            0 => mantissa * 2f64.powi(-24),
            _ => (1024.0 + mantissa) * 2f64.powi(exponent - 25),
        }
    }

    #[test]
    fn halves_are_the_nearest() {
        let mut values = vec![
            0.0,
            -0.0,
            65_504.0,
            65_519.9,
            65_520.0,
            1e-8,
            2f32.powi(-25),
            6e-8,
        ];
        values.extend([
            5.97e-8,
            6.1e-5,
            6.103_5e-5,
            1.0 + 2f32.powi(-11),
            1.0 + 3.0 * 2f32.powi(-11),
        ]);
        values.extend((0..300).map(|i| (i as f32 - 150.0).powi(3) * 1e-5));
        for value in values {
            assert_eq!(
                narrow(Format::F16, value, 1.0),
                u64::from(nearest_half(value)),
                "{value}"
            );
        }
        assert_eq!(narrow(Format::F16, f32::INFINITY, 1.0), 0x7c00);
        assert!(widened(Format::F16, narrow(Format::F16, f32::NAN, 1.0)).is_nan());
    }

    #[test]
    fn numbers_widen_exactly_and_come_back() {
        for half in 0..0x7c00u16 {
            assert_eq!(
                f64::from(widened(Format::F16, u64::from(half))),
                half_value(half)
            );
        }
        for bits in 0..=u16::MAX {
            for format in [Format::F16, Format::Bf16] {
                let wide = widened(format, u64::from(bits));
                let back = narrow(format, wide, 1.0) as u16;
                let quiet = bits | if format == Format::F16 { 0x200 } else { 0x40 };
                assert_eq!(
                    back,
                    if wide.is_nan() { quiet } else { bits },
                    "{format:?} {bits:#x}"
                );
            }
        }
        assert_eq!(narrow(Format::Bf16, f32::MAX, 1.0), 0x7f80);
        assert_eq!(
            narrow(Format::Bf16, 1.0 + 2f32.powi(-8), 1.0),
            0x3f80,
            "ties to even"
        );
        assert_eq!(narrow(Format::Bf16, 1.0 + 3.0 * 2f32.powi(-8), 1.0), 0x3f82);
    }

    /// The value of a byte that is a float with so many bits of mantissa.
    fn small_value(byte: u8, mantissa: i32, bias: i32) -> f64 {
        let (exponent, rest) = (
            i32::from(byte) >> mantissa,
            i32::from(byte) & ((1 << mantissa) - 1),
        );
        let (leading, exponent) = match exponent {
            0 => (0, 1),
            _ => (1 << mantissa, exponent),
        };
        f64::from(leading + rest) * 2f64.powi(exponent - bias - mantissa)
    }

    #[test]
    fn small_floats_are_the_nearest() {
        for (format, mantissa, bias, largest, beyond) in [
            (Format::E4m3, 3, 7, 0x7e, 0x7f),
            (Format::E5m2, 2, 15, 0x7b, 0x7c),
        ] {
            let value = |byte| small_value(byte, mantissa, bias);
            let narrowed = |value: f64| narrow(format, value as f32, 1.0) as u8;
            for byte in 0..=largest {
                let (this, next) = (value(byte), value(byte + 1));
                assert_eq!(f64::from(widened(format, byte.into())), this, "{byte:#x}");
                assert_eq!(narrowed(this), byte);
                assert_eq!(narrowed(-this), byte | 0x80);
                let middle = (this + next) / 2.0;
                let up = if byte == largest { beyond } else { byte + 1 };
                let even = if byte % 2 == 0 { byte } else { up };
                assert_eq!(narrowed(middle), even, "{format:?} {byte:#x}");
                assert_eq!(
                    narrowed(middle * (1.0 - 1e-6)),
                    byte,
                    "{format:?} {byte:#x}"
                );
                assert_eq!(narrowed(middle * (1.0 + 1e-6)), up, "{format:?} {byte:#x}");
            }
            assert_eq!(narrowed(f64::INFINITY), beyond);
            assert_eq!(narrowed(f64::from(f32::MAX)), beyond);
            assert_eq!(narrowed(f64::NAN) & 0x7f, 0x7f);
            assert!(widened(format, 0x7f).is_nan() && widened(format, 0xff).is_nan());
            assert_eq!(narrowed(f64::from(f32::from_bits(1))), 0);
        }
        assert_eq!(widened(Format::E5m2, 0xfc), f32::NEG_INFINITY);
    }

    #[test]
    fn bytes_are_multiples_within_their_range() {
        let cases = [
            (0.5, 0),
            (1.5, 2),
            (-2.5, -2),
            (200.0, 127),
            (-200.0, -128),
            (f32::NAN, 0),
        ];
        for (value, byte) in cases {
            assert_eq!(narrow(Format::I8, value / 4.0, 4.0) as i8, byte, "{value}");
        }
        assert_eq!(widened(Format::I8, 0xfe), -2.0);
    }
}
