//! Bases for what is not where it was: rows that moved, tensors that were put together, taken apart or renamed.
//!
//! Names and shapes say where to look first; what is taken, samples decide.

mod casts;
mod lost;
mod parts;
mod rows;

use std::sync::Arc;

use crate::base::ReadAt;
use crate::store::object::Object;
use crate::store::writer::{Numbers, PutItem};

use super::sample::Piece;
use super::sketch::{Peek, size};
use super::source::{Layout, Source};
use super::{Bases, Plan, Planner, Tried, WORTH, Way};

pub(in crate::store::pipeline) use lost::Search;
use parts::Looked;

/// So many matrices of other names are looked through for rows that moved.
const RENAMED: usize = 2;

impl Planner<'_> {
    /// A plan of several places that makes samples of the item smaller than what was tried so far.
    pub(super) fn rearranged(
        &mut self,
        number: usize,
        item: &PutItem<'_>,
        bases: &Bases,
        samples: &[Piece],
        alone: &[usize],
        tried: &Tried,
    ) -> Option<Tried> {
        let search = &self.plans.search;
        let fresh = search.fresh(number);
        let row = match (fresh, item.numbers) {
            (Some(fresh), _) => fresh.row,
            (None, Some(Numbers { format, columns })) => columns * format.width() as u64,
            (None, None) => 0,
        };
        let mut best = Best {
            found: None,
            so_far: tried,
        };
        let own = bases.found.first().map(|base| &base.object);
        if let Some(base) = own.filter(|base| self.is_astray(item, base, alone, tried)) {
            let afforded = base.len() != item.len || search.moves.take();
            let layout = afforded.then(|| rows::moved(item, row, base, self.tools));
            if best.take(self.tried(item, samples, layout.flatten())) {
                search.moves.earn(RENAMED);
            }
        }
        let fresh = match fresh {
            Some(fresh) if best.is_astray(alone) => fresh,
            _ => return best.found,
        };
        let looked = Looked { item, row };
        let layout = parts::made_of(&looked, search, self.tools);
        best.take(self.tried(item, samples, layout));
        if best.is_astray(alone) {
            self.cast(item, samples, alone, &mut best);
        }
        if !best.is_astray(alone) {
            return best.found;
        }
        let element = item.element.storable();
        let layout = search.in_wholes(fresh, element, item.len, |lost| {
            let (object, object_row) = search.open(lost, self.tools)?;
            parts::part_of(&looked, &object, object_row, search, self.tools)
        });
        best.take(self.tried(item, samples, layout));
        let mut alike = search.of_row(row, element, item.len).into_iter();
        for _ in 0..RENAMED {
            if !best.is_astray(alone) || !search.moves.take() {
                break;
            }
            let lost = alike.next();
            let object = lost.and_then(|lost| search.open(lost, self.tools));
            let layout = object.and_then(|(base, _)| rows::moved(item, row, &base, self.tools));
            if best.take(self.tried(item, samples, layout)) {
                search.moves.earn(RENAMED);
            }
        }
        best.found
    }

    /// True where an item's base is likely to lie at another place in parts: samples gain nothing from it, or where
    /// the shorter one ends they have nothing in common.
    fn is_astray(
        &mut self,
        item: &PutItem<'_>,
        base: &Object,
        alone: &[usize],
        tried: &Tried,
    ) -> bool {
        if tried.astray(alone) {
            return true;
        }
        let element = item.element.storable();
        let shorter = item.len.min(base.len());
        if item.len == base.len() || base.record().element != element {
            return false;
        }
        let Some(end) = shorter.checked_sub(size(element) as u64) else {
            return false;
        };
        let end = end / 8 * 8;
        let new = Looked { item, row: 0 }.sketch(end);
        let old = Peek::new(base).sketch(end, self.tools);
        new.zip(old).is_some_and(|(new, old)| !new.is_near(old))
    }

    fn tried(
        &mut self,
        item: &PutItem<'_>,
        samples: &[Piece],
        layout: Option<Layout>,
    ) -> Option<Tried> {
        let plan = Plan::against(Source::Laid(Arc::new(layout?)), Way::Same);
        let sizes = self.sizes(item, samples, &plan)?;
        Some(Tried { plan, sizes })
    }
}

/// The best of what was tried.
struct Best<'a> {
    found: Option<Tried>,
    /// Without it.
    so_far: &'a Tried,
}

impl Best<'_> {
    fn now(&self) -> &Tried {
        self.found.as_ref().unwrap_or(self.so_far)
    }

    /// True if it is better than all before.
    fn take(&mut self, tried: Option<Tried>) -> bool {
        let total = self.now().total();
        let better = tried.filter(|tried| tried.total() < total);
        let is_better = better.is_some();
        self.found = better.or(self.found.take());
        is_better
    }

    /// True where another plan may do better by far.
    fn is_astray(&self, alone: &[usize]) -> bool {
        self.now().astray(alone)
    }
}

impl Tried {
    /// True where some sample gains less than what a base is worth.
    fn astray(&self, alone: &[usize]) -> bool {
        let gains = |(size, alone): (&usize, &usize)| *size < alone / WORTH.1 * WORTH.0;
        self.plan.source.is_none() || !self.sizes.iter().zip(alone).all(gains)
    }
}
