//! Work that is compiled twice: for any machine, and for one with wider vectors, where there is one.

use super::rans;
use super::table::Slots;

/// Instructions that a machine has.
pub(super) trait Machine: Copy {
    /// Decodes one token of every state, and says how many words that took.
    fn step(
        self,
        states: &mut [u32; rans::LANES],
        rows: &[u16; rans::LANES],
        slots: &Slots,
        words: &[u8; 2 * rans::LANES],
        tokens: &mut [u8; rans::LANES],
    ) -> usize;
}

/// What any machine has.
#[derive(Clone, Copy)]
pub(super) struct Plain;

impl Machine for Plain {
    #[inline(always)]
    fn step(
        self,
        states: &mut [u32; rans::LANES],
        rows: &[u16; rans::LANES],
        slots: &Slots,
        words: &[u8; 2 * rans::LANES],
        tokens: &mut [u8; rans::LANES],
    ) -> usize {
        rans::step(states, rows, slots, words, tokens)
    }
}

/// Something to do, whose code the compiler writes anew for each machine. All that it calls in its inner loops
/// must be `inline(always)`.
pub(super) trait Work {
    type Output;

    fn run<M: Machine>(self, machine: M) -> Self::Output;
}

/// Does `work` with the best that this machine has.
pub(super) fn fastest<W: Work>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = super::simd_x86::Avx2::detect() {
        return avx2.run(work);
    }
    work.run(Plain)
}
