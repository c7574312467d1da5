//! Random numbers that are the same everywhere.

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// The next 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Nearly normal, of deviation 1: the sum of four uniforms, which is as much as a number costs at 10^9 of them.
    pub(crate) fn normal(&mut self) -> f32 {
        let bits = self.bits();
        let sum: u32 = (0..4).map(|at| (bits >> (16 * at)) as u32 & 0xffff).sum();
        (sum as f32 / 65536.0 - 2.0) * 1.732
    }
}
