//! Numbers of 1, 2, 4 and 8 bytes: what the difference of two is, and how large a base is.
//!
//! Every loop is over slices of one known element type, so that the compiler writes vector code for each width.

/// The bits of one number.
pub(super) trait Word: Copy + Default + Eq + 'static {
    /// Its bytes as they lie in a chunk.
    type Bytes: Copy;

    const WIDTH: usize;
    /// Its bits.
    const BITS: u32 = 8 * Self::WIDTH as u32;

    /// The whole numbers of `bytes`.
    fn split(bytes: &[u8]) -> &[Self::Bytes];
    fn split_mut(bytes: &mut [u8]) -> &mut [Self::Bytes];
    fn from_bytes(bytes: Self::Bytes) -> Self;
    fn to_bytes(self) -> Self::Bytes;

    fn from_u64(value: u64) -> Self;
    fn to_u64(self) -> u64;

    /// How `new` differs from `base`: 0 where they are the same bits, small where they are near.
    ///
    /// For floats, the sign of the base is taken from both, so that a growing weight differs by a positive number
    /// whatever its sign, and the rest is compared as ordered integers: the steps between floats of any bits.
    fn differ(new: Self, base: Self, float: bool) -> Self;
    /// The number that differs from `base` by `difference`.
    fn restore(difference: Self, base: Self, float: bool) -> Self;
    /// How large `base` is, from 0 to 32767: the topmost bits below the sign of a float (its exponent and what
    /// fits of its mantissa), the magnitude of an integer.
    fn key(base: Self, float: bool) -> i16;
    /// The place of the topmost bit, followed by the `lead` bits after it. Means nothing for numbers below
    /// 2^`lead`.
    fn leading(self, lead: u32) -> u32;
    /// Of `base`, the topmost bit alone: zero with its sign.
    fn sign(base: Self) -> Self;
    /// The topmost bit alone.
    fn negative_zero() -> Self;
}

macro_rules! word {
    ($word:ty, $signed:ty, $width:literal) => {
        impl Word for $word {
            type Bytes = [u8; $width];

            const WIDTH: usize = $width;

            #[inline(always)]
            fn split(bytes: &[u8]) -> &[[u8; $width]] {
                bytes.as_chunks().0
            }

            #[inline(always)]
            fn split_mut(bytes: &mut [u8]) -> &mut [[u8; $width]] {
                bytes.as_chunks_mut().0
            }

            #[inline(always)]
            fn from_bytes(bytes: [u8; $width]) -> Self {
                Self::from_le_bytes(bytes)
            }

            #[inline(always)]
            fn to_bytes(self) -> [u8; $width] {
                self.to_le_bytes()
            }

            #[inline(always)]
            fn from_u64(value: u64) -> Self {
                value as Self
            }

            #[inline(always)]
            fn to_u64(self) -> u64 {
                u64::from(self)
            }

            #[inline(always)]
            fn differ(new: Self, base: Self, float: bool) -> Self {
                const TOP: $word = 1 << (<$word>::BITS - 1);
                let difference = match float {
                    true => {
                        let sign = base & TOP;
                        let new = new ^ sign;
                        // Negative numbers order backwards: flipped, all below the positive ones.
                        let order = new ^ ((new as $signed >> (<$word>::BITS - 1)) as $word | TOP);
                        order.wrapping_sub(base | TOP)
                    }
                    false => new.wrapping_sub(base),
                };
                (difference << 1) ^ (difference as $signed >> (<$word>::BITS - 1)) as $word
            }

            #[inline(always)]
            fn restore(difference: Self, base: Self, float: bool) -> Self {
                const TOP: $word = 1 << (<$word>::BITS - 1);
                let difference = (difference >> 1) ^ (difference & 1).wrapping_neg();
                match float {
                    true => {
                        let order = (base | TOP).wrapping_add(difference);
                        let flip = !((order as $signed >> (<$word>::BITS - 1)) as $word) | TOP;
                        order ^ flip ^ (base & TOP)
                    }
                    false => base.wrapping_add(difference),
                }
            }

            #[inline(always)]
            fn key(base: Self, float: bool) -> i16 {
                match float {
                    true if $width == 1 => ((base & 0x7f) as i16) << 8,
                    true => (base >> (<$word>::BITS.saturating_sub(16))) as i16 & i16::MAX,
                    false => (base as $signed)
                        .unsigned_abs()
                        .min(i16::MAX as u16 as $word & <$word>::MAX) as i16,
                }
            }

            #[inline(always)]
            fn leading(self, lead: u32) -> u32 {
                if $width == 8 {
                    let log = 63 - (self as u64 | 1).leading_zeros();
                    return (log << lead)
                        + ((self as u64 >> (log.wrapping_sub(lead) & 63)) as u32)
                            .wrapping_sub(1 << lead);
                }
                // The exponent of a float is what is wanted, and is computed for a whole vector at a time. No
                // more than 24 bits, or it would be rounded up.
                let value = self as u32;
                let large = u32::from($width > 2 && value >> 24 != 0);
                let float = ((value >> (8 * large)) as i32 as f32).to_bits();
                (float >> (23 - lead)).wrapping_sub((127 - 8 * large) << lead)
            }

            #[inline(always)]
            fn sign(base: Self) -> Self {
                base & Self::negative_zero()
            }

            #[inline(always)]
            fn negative_zero() -> Self {
                1 << (<$word>::BITS - 1)
            }
        }
    };
}

word!(u8, i8, 1);
word!(u16, i16, 2);
word!(u32, i32, 4);
word!(u64, i64, 8);

#[cfg(test)]
mod tests {
    use super::*;

    fn back<W: Word + std::fmt::Debug>(new: u64, base: u64) {
        let (new, base) = (W::from_u64(new), W::from_u64(base));
        for float in [false, true] {
            let difference = W::differ(new, base, float);
            assert_eq!(W::restore(difference, base, float), new, "{base:?} {float}");
            assert_eq!(difference == W::default(), new == base);
            assert!(W::key(base, float) >= 0);
        }
    }

    #[test]
    fn every_pair_of_bits_comes_back() {
        for new in 0..256 {
            for base in 0..256 {
                back::<u8>(new, base);
            }
        }
        let mut state = 7u64;
        let edges = [
            0u64,
            1,
            0x7f80,
            0x7fc1,
            0x8000,
            0xffff,
            0x7f80_0000,
            0x8000_0000,
        ];
        let edges = edges
            .iter()
            .flat_map(|edge| [*edge, !edge, edge << 32, edge.swap_bytes()]);
        let edges: Vec<u64> = edges.collect();
        for new in &edges {
            for base in &edges {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(99);
                for (new, base) in [(*new, *base), (state, *base), (*new, state)] {
                    back::<u16>(new, base);
                    back::<u32>(new, base);
                    back::<u64>(new, base);
                }
            }
        }
    }

    #[test]
    fn growing_is_positive_and_one_step_is_one() {
        let differ = |new: f32, base: f32| u32::differ(new.to_bits(), base.to_bits(), true);
        assert_eq!(differ(1.0f32.next_up(), 1.0), 2);
        assert_eq!(differ((-1.0f32).next_down(), -1.0), 2);
        assert_eq!(differ(1.0f32.next_down(), 1.0), 1);
        assert_eq!(differ(-0.0, 0.0), 1, "the zeros are neighbours");
        assert_eq!(u8::differ(5, 7, false), 3);
    }
}
