//! The factor between a base's numbers and an item's: that of a quantisation, or that of weight decay.

use crate::store::codec::{Conversion, Format, View, decay, factor};
use crate::store::writer::PutItem;

use super::sample::Piece;
use super::{Plan, Planner, Tried, Way, Window, conversion};

/// Samples that are so many times smaller than their bytes have nothing left that a factor could save.
const NOTHING: usize = 64;

impl Planner<'_> {
    /// What samples shrink to with a plan, and with a factor that integers need, or that makes floats smaller. `None`
    /// where the base cannot be read, or integers have no such factor.
    pub(super) fn fitted(
        &mut self,
        item: &PutItem<'_>,
        samples: &[Piece],
        mut plan: Plan,
    ) -> Option<Tried> {
        let windows = self.windows(samples, &plan)?;
        let conversion = conversion(item, &plan.way);
        let is_cast = matches!(plan.way, Way::View(_));
        if let Some(conversion) = conversion.filter(|of| is_cast && of.to == Format::I8) {
            let (new, old) = gathered(samples, &windows, &conversion);
            let factor = f64::from(factor(&new, &old, conversion.from)?);
            plan.way = times(conversion, factor);
        }
        let sizes = self.sizes_by(item, samples, &windows, &plan);
        let tried = Tried { plan, sizes };
        let bytes: usize = samples.iter().map(|(_, bytes)| bytes.len()).sum();
        if tried.total() * NOTHING < bytes {
            return Some(tried);
        }
        let scaled = conversion.filter(|of| of.to != Format::I8).and_then(|of| {
            let (new, old) = gathered(samples, &windows, &of);
            let factor = decay(&new, &old, &of)?;
            let source = tried.plan.source.clone()?;
            let plan = Plan::against(source, times(of, factor));
            let sizes = self.sizes_by(item, samples, &windows, &plan);
            Some(Tried { plan, sizes })
        });
        let smaller = scaled.filter(|scaled| scaled.total() < tried.total());
        Some(smaller.unwrap_or(tried))
    }
}

fn times(conversion: Conversion, factor: f64) -> Way {
    Way::View(View::of(Conversion {
        factor,
        ..conversion
    }))
}

/// The numbers of samples and those of their base, one for each.
fn gathered(samples: &[Piece], windows: &[Window], of: &Conversion) -> (Vec<u8>, Vec<u8>) {
    let (mut new, mut old) = (Vec::new(), Vec::new());
    for ((_, bytes), window) in samples.iter().zip(windows) {
        let base = window.as_ref().map_or(&[][..], |(_, base)| base);
        let count = (bytes.len() / of.to.width()).min(base.len() / of.from.width());
        new.extend(&bytes[..count * of.to.width()]);
        old.extend(&base[..count * of.from.width()]);
    }
    (new, old)
}
