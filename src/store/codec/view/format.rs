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
}

impl Format {
    /// Bytes per number.
    pub(in crate::store) fn width(self) -> usize {
        match self {
            Self::I8 => 1,
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
            Self::Bf16 => 7,
            Self::F16 => 10,
            Self::F32 => 23,
        }
    }

    /// Its number in stored bytes.
    pub(in crate::store::codec) fn code(self) -> u8 {
        match self {
            Self::Bf16 => 1,
            Self::F16 => 2,
            Self::F32 => 3,
            Self::I8 => 4,
        }
    }

    pub(in crate::store::codec) fn by_code(code: u8) -> Option<Self> {
        let all = [Self::Bf16, Self::F16, Self::F32, Self::I8];
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
