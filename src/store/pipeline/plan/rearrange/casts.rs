//! A tensor that was renamed, and cast, quantised or sorted anew at once: known by how its numbers begin, which
//! rounding hardly changes.

use std::sync::Arc;

use crate::store::writer::PutItem;

use super::super::sample::Piece;
use super::super::sketch::{beginning, numbers_of};
use super::super::source::Source;
use super::super::{HEIGHT, Plan, Planner, Way, casts};
use super::{Best, RENAMED, rows};

impl Planner<'_> {
    /// Tries the lost floats that an item may have been cast from, as they are and with rows that moved.
    pub(super) fn cast(
        &mut self,
        item: &PutItem<'_>,
        samples: &[Piece],
        alone: &[usize],
        best: &mut Best<'_>,
    ) {
        let search = &self.plans.search;
        let Some((begins, numbers)) = beginning(item).zip(numbers_of(item)) else {
            return;
        };
        for lost in search.cast_to(begins, numbers) {
            let Some((base, row)) = search.open_below(lost, HEIGHT, self.tools) else {
                continue;
            };
            for way in casts(item, base.record().element) {
                let plan = Plan::against(Source::One(base.clone()), way);
                best.take(self.fitted(item, samples, plan));
            }
            if !best.is_astray(alone) {
                return;
            }
            // As llama.cpp sorts the rows of queries and keys: the first one stays.
            let Some((base, _)) = search.open(lost, self.tools) else {
                continue;
            };
            if !search.moves.take() {
                continue;
            }
            let element = base.record().element;
            let layout = rows::moved_and_cast(item, &base, row, self.tools).map(Arc::new);
            let same = (element == item.element.storable()).then_some(Way::Same);
            for way in same.into_iter().chain(casts(item, element)) {
                let source = layout.clone().map(Source::Laid);
                let plan = source.map(|source| Plan::against(source, way));
                if best.take(plan.and_then(|plan| self.fitted(item, samples, plan))) {
                    search.moves.earn(RENAMED);
                }
            }
            if !best.is_astray(alone) {
                return;
            }
        }
    }
}
