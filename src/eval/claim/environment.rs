//! Where a metric was measured: as much of it as can change the last bits.

use serde::{Deserialize, Serialize};

/// The numerical library's version, as in Cargo.lock.
const CANDLE: &str = "0.11.1";

/// Program and processor of a measurement.
///
/// The number of threads is no part of it: measurements with one and with two were equal bit for bit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// The version of mvc; for people, it decides nothing.
    pub mvc: String,
    /// The version of candle, which computes.
    pub candle: String,
    /// The processor's architecture, as Rust names it.
    pub arch: String,
    /// The widest vector instructions that the processor has and candle looks for.
    pub simd: String,
}

impl Environment {
    /// This program on this machine.
    pub fn here() -> Self {
        Self {
            mvc: env!("CARGO_PKG_VERSION").into(),
            candle: CANDLE.into(),
            arch: std::env::consts::ARCH.into(),
            simd: simd().into(),
        }
    }

    /// True where numbers measured in both may be expected to be equal bit for bit.
    pub fn same_class(&self, other: &Self) -> bool {
        (&self.candle, &self.arch, &self.simd) == (&other.candle, &other.arch, &other.simd)
    }

    /// The class for people, as in `x86_64 avx2, candle 0.11.1`.
    pub fn class(&self) -> String {
        use crate::base::text::printable;
        format!(
            "{} {}, candle {}",
            printable(&self.arch),
            printable(&self.simd),
            printable(&self.candle)
        )
    }
}

#[cfg(target_arch = "x86_64")]
fn simd() -> &'static str {
    use std::arch::is_x86_feature_detected as has;
    match () {
        () if has!("avx512f") => "avx512",
        () if has!("avx2") && has!("fma") => "avx2",
        () => "baseline",
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn simd() -> &'static str {
    "baseline"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_librarys_version_is_the_locked_one() {
        let lock = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock"));
        let entry = format!("name = \"candle-core\"\nversion = \"{CANDLE}\"\n");
        assert!(
            lock.contains(&entry),
            "Cargo.lock has another candle than {CANDLE}"
        );
    }
}
