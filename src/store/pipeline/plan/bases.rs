//! The objects that may serve as an item's base.

use std::sync::Arc;

use crate::store::height::tallest;
use crate::store::object::Object;
use crate::store::writer::{Candidate, PutItem};

use super::{HEIGHT, Planner, is_small};

/// No more objects than this are tried as bases of one item.
const CANDIDATES: usize = 8;

/// An object that may serve as a base.
pub(super) struct Found {
    pub(super) version: usize,
    pub(super) object: Arc<Object>,
    /// How many objects have to be decoded before it can be.
    pub(super) height: u8,
}

/// What may serve as an item's base.
#[derive(Default)]
pub(super) struct Bases {
    pub(super) found: Vec<Found>,
    /// The likeliest, where it cannot serve since it ends a chain that is full.
    pub(super) full: Option<Arc<Object>>,
}

impl Bases {
    /// Of how many versions they are.
    pub(super) fn versions(&self) -> usize {
        let mut versions: Vec<usize> = self.found.iter().map(|base| base.version).collect();
        versions.sort_unstable();
        versions.dedup();
        versions.len()
    }
}

impl Planner<'_> {
    /// The objects that may serve, each once. Where a chain would become too long, all below its end stand for it.
    pub(super) fn candidates(&mut self, item: &PutItem<'_>) -> Bases {
        let mut bases = Bases::default();
        let mut left = self.plans.contests().order(&item.bases, is_small(item));
        left.reverse();
        let mut tried = Vec::new();
        // What stands for another.
        let mut below = Vec::new();
        while let Some(Candidate { id, version }) = left.pop() {
            if tried.contains(&id) || tried.len() == 2 * CANDIDATES {
                continue;
            }
            tried.push(id);
            let Ok(object) = Object::open(self.shared, &id, self.tools) else {
                continue;
            };
            let Ok(height) = tallest(self.shared, &id) else {
                continue;
            };
            let is_full = height >= HEIGHT;
            if is_full || below.contains(&id) {
                let needs = object.record().bases.iter().rev();
                left.extend(needs.clone().map(|id| Candidate { id: *id, version }));
                below.extend(needs);
            }
            let object = Arc::new(object);
            match is_full {
                true if bases.found.is_empty() => _ = bases.full.get_or_insert(object),
                true => {}
                false => bases.found.push(Found {
                    version,
                    object,
                    height,
                }),
            }
            if bases.found.len() == CANDIDATES {
                break;
            }
        }
        bases
    }

    /// All candidates that are there.
    pub(super) fn all(&mut self, item: &PutItem<'_>) -> Bases {
        let open = |candidate: &Candidate| {
            let object = Object::open(self.shared, &candidate.id, self.tools);
            Some(Found {
                version: candidate.version,
                object: Arc::new(object.ok()?),
                height: 0,
            })
        };
        Bases {
            found: item.bases.iter().filter_map(open).collect(),
            full: None,
        }
    }
}
