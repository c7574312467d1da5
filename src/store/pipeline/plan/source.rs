//! Where an item's base bytes come from: one object, or several laid side by side.

use std::sync::Arc;

use crate::base::{ObjectId, ReadAt};
use crate::store::assemble::{Bases, assemble};
use crate::store::chain::Tools;
use crate::store::codec::{Strip, are_apart, mosaic_fits};
use crate::store::error::Result;
use crate::store::object::Object;

/// A record has no room for more bases.
pub(super) const BASES: usize = 254;

/// No layout has more runs.
const RUNS: u64 = 1 << 20;

/// What an item's base bytes are made of.
#[derive(Clone)]
pub(super) enum Source {
    /// They are those of one object.
    One(Arc<Object>),
    /// They are put together.
    Laid(Arc<Layout>),
}

/// How objects lie side by side: strips as long as all of an item, of which no two overlap.
pub(super) struct Layout {
    /// At most [`BASES`].
    bases: Vec<Arc<Object>>,
    strips: Vec<Strip>,
}

/// What the base bytes of a chunk are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store::pipeline) enum Place {
    /// The bytes of one base from an offset on.
    Window(u8, u64),
    /// Such as a mosaic can say.
    Strips(Vec<Strip>),
}

impl Place {
    /// The strips of a mosaic, none for a window.
    pub(in crate::store::pipeline) fn strips(&self) -> &[Strip] {
        match self {
            Self::Window(..) => &[],
            Self::Strips(strips) => strips,
        }
    }
}

impl Source {
    /// Where the base bytes from `offset` on are; `None` where there are none, or none that a chunk can say.
    pub(super) fn place(&self, offset: u64, len: usize) -> Option<Place> {
        match self {
            Self::One(_) => Some(Place::Window(0, offset)),
            Self::Laid(layout) => layout.place(offset, len as u64),
        }
    }

    /// Puts them into `out`.
    pub(super) fn read(
        &self,
        place: &Place,
        len: usize,
        tools: &mut Tools,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let bases = match self {
            Self::One(base) => std::slice::from_ref(base),
            Self::Laid(layout) => &layout.bases,
        };
        let done = match place {
            Place::Window(base, offset) => {
                bases[usize::from(*base)].window(*offset, len, tools, out)
            }
            Place::Strips(strips) => {
                let mut chunk = Vec::new();
                assemble(strips, len, &mut Laid { bases, tools }, &mut chunk, out)
            }
        };
        done.ok()
    }

    /// The objects, in the order in which places count them.
    pub(super) fn ids(&self) -> Vec<ObjectId> {
        match self {
            Self::One(base) => vec![base.id()],
            Self::Laid(layout) => layout.bases.iter().map(|base| base.id()).collect(),
        }
    }
}

/// Objects that lie side by side.
struct Laid<'a> {
    bases: &'a [Arc<Object>],
    tools: &'a mut Tools,
}

impl Bases for Laid<'_> {
    fn len(&mut self, base: u8) -> Result<u64> {
        Ok(self.bases[usize::from(base)].len())
    }

    fn chunk(&mut self, base: u8, index: u64, out: &mut Vec<u8>) -> Result<()> {
        self.bases[usize::from(base)].base_chunk(index, self.tools, out)
    }
}

impl Layout {
    /// A layout as long as an item of `len` bytes; `None` where the strips leave it or overlap, where there are none,
    /// or more than can be looked after.
    pub(super) fn new(bases: Vec<Arc<Object>>, strips: Vec<Strip>, len: u64) -> Option<Self> {
        let runs = strips.iter().map(|strip| strip.runs).sum::<u64>();
        let good = runs <= RUNS && are_apart(&strips, len);
        good.then_some(Self { bases, strips })
    }

    fn place(&self, offset: u64, len: u64) -> Option<Place> {
        let mut strips = Vec::new();
        self.strips
            .iter()
            .for_each(|strip| clip(strip, offset, offset + len, &mut strips));
        strips.sort_by_key(|strip| strip.at);
        strips.dedup_by(|next, last| {
            let follows = next.base == last.base
                && (next.runs, last.runs) == (1, 1)
                && (last.at + last.len, last.from + last.len) == (next.at, next.from);
            if follows {
                last.len += next.len;
            }
            follows
        });
        if let [strip] = strips.as_slice()
            && (strip.at, strip.runs) == (0, 1)
        {
            let end = self.bases[usize::from(strip.base)].len();
            if strip.len == len || strip.from + strip.len == end {
                return Some(Place::Window(strip.base, strip.from));
            }
        }
        mosaic_fits(&strips).then_some(Place::Strips(strips))
    }
}

/// Adds what a strip has from `low` to `high`, as seen from `low`.
fn clip(strip: &Strip, low: u64, high: u64, found: &mut Vec<Strip>) {
    let start = |run: u64| strip.at + run * strip.stride;
    // The first run that ends above `low`, and the first that begins at `high` or above.
    let (mut first, end) = match strip.runs {
        1 => (
            u64::from(strip.at + strip.len <= low),
            u64::from(strip.at < high),
        ),
        runs => (
            (low + 1)
                .saturating_sub(strip.at + strip.len)
                .div_ceil(strip.stride),
            high.saturating_sub(strip.at)
                .div_ceil(strip.stride)
                .min(runs),
        ),
    };
    let mut cut = |run: u64| {
        let from = low.saturating_sub(start(run));
        let to = (high - start(run)).min(strip.len);
        found.push(Strip::run(
            strip.base,
            start(run) + from - low,
            strip.from + run * strip.base_stride + from,
            to - from,
        ));
    };
    if first < end && start(first) < low {
        cut(first);
        first += 1;
    }
    let mut whole = end;
    if first < end && start(end - 1) + strip.len > high {
        whole -= 1;
        cut(whole);
    }
    match whole.saturating_sub(first) {
        0 => {}
        1 => cut(first),
        runs => found.push(Strip {
            at: start(first) - low,
            from: strip.from + first * strip.base_stride,
            runs,
            ..*strip
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn paint(strips: &[Strip], len: usize) -> Vec<(u8, u64)> {
        let mut painted = vec![(255, 0); len];
        for strip in strips {
            for run in 0..strip.runs {
                for byte in 0..strip.len {
                    let at = strip.at + run * strip.stride + byte;
                    let place = &mut painted[at as usize];
                    assert_eq!(*place, (255, 0), "painted twice");
                    *place = (strip.base, strip.from + run * strip.base_stride + byte);
                }
            }
        }
        painted
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

        #[test]
        fn what_is_clipped_is_what_was_there(
            (at, len, runs, gap) in (0u64..50, 1u64..20, 1u64..9, 0u64..20),
            (from, base_gap) in (0u64..100, 0u64..30),
            (low, size) in (0u64..200, 1u64..200),
        ) {
            let mut strip = Strip::run(3, at, from, len);
            if runs > 1 {
                strip = Strip { runs, stride: len + gap, base_stride: base_gap, ..strip };
            }
            let whole = paint(&[strip], 800);
            let mut clipped = Vec::new();
            clip(&strip, low, low + size, &mut clipped);
            let clipped = paint(&clipped, size as usize);
            prop_assert_eq!(&clipped[..], &whole[low as usize..(low + size) as usize]);
        }
    }
}
