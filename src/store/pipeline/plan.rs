//! What an item's chunks are coded against: decided once for all of them, by samples.

use std::sync::{Arc, Mutex, PoisonError};

use crate::base::ObjectId;
use crate::base::id::CHUNK;

use super::super::Shared;
use super::super::codec::Encoder;
use super::super::object::{Object, Tools};
use super::super::writer::PutItem;

/// The longest chain of deltas that is written. Each object on the way costs time at every read, and bases further
/// back are hardly worse: the difference grows with the logarithm of the steps between.
const HEIGHT: u8 = 4;

/// No more objects than this are tried as bases of one item.
const CANDIDATES: usize = 8;

/// How many places of an item are sampled, and how many bytes of each.
const SAMPLES: u64 = 4;
const SAMPLE: usize = 32 << 10;

/// A base is taken where it saves at least a tenth of what the item would be without one.
const WORTH: (usize, usize) = (9, 10);

/// What an item is coded against.
pub(super) struct Plan {
    base: Option<Object>,
}

impl Plan {
    /// The base, if there is one that helps.
    pub(super) fn base(&self) -> Option<&Object> {
        self.base.as_ref()
    }
}

/// The plans of the items at work. Each is made by the first worker that needs it, while others that need the same
/// one wait, and dropped when its item is done.
pub(super) struct Plans {
    slots: Vec<Mutex<Option<Arc<Plan>>>>,
}

impl Plans {
    /// Room for the plans of so many items.
    pub(super) fn new(items: usize) -> Self {
        Self {
            slots: std::iter::repeat_with(Mutex::default).take(items).collect(),
        }
    }

    pub(super) fn get(&self, item: usize, make: impl FnOnce() -> Plan) -> Arc<Plan> {
        let mut slot = self.slots[item]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        slot.get_or_insert_with(|| Arc::new(make())).clone()
    }

    /// Drops the plan of an item; the id of its base.
    pub(super) fn end(&self, item: usize) -> Option<ObjectId> {
        let mut slot = self.slots[item]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Some(slot.take()?.base()?.id())
    }
}

/// Makes plans, with one thread's tools.
pub(super) struct Planner<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) tools: &'a mut Tools,
    pub(super) encoder: &'a mut Encoder,
}

impl Planner<'_> {
    /// Looks for the best base of an item. What cannot be read is no base, and no error either: the item is then
    /// stored as if it had no past.
    pub(super) fn plan(&mut self, item: &PutItem<'_>) -> Plan {
        let mut candidates = self.candidates(item);
        let certain = candidates.len() == 1 && item.len <= CHUNK as u64;
        let base = match certain {
            // Coding it costs no more than sampling it.
            true => candidates.pop(),
            false => self.best(item, candidates),
        };
        Plan { base }
    }

    /// The objects that may serve, each once. Where a chain would become too long, what its end is coded against
    /// stands for it.
    fn candidates(&mut self, item: &PutItem<'_>) -> Vec<Object> {
        let mut found: Vec<Object> = Vec::new();
        let mut ids: Vec<ObjectId> = item.bases.iter().rev().copied().collect();
        let mut tried = Vec::new();
        while let Some(id) = ids.pop() {
            if tried.contains(&id) || tried.len() == 2 * CANDIDATES {
                continue;
            }
            tried.push(id);
            let Ok(object) = Object::open(self.shared, &id, 0, self.tools) else {
                continue;
            };
            match object.height(self.tools) {
                Ok(height) if height < HEIGHT => found.push(object),
                Ok(_) => ids.extend(object.record().bases.iter().rev()),
                Err(_) => {}
            }
            if found.len() == CANDIDATES {
                break;
            }
        }
        found
    }

    /// The candidate that makes samples of the item smallest, if that is worth it.
    fn best(&mut self, item: &PutItem<'_>, candidates: Vec<Object>) -> Option<Object> {
        if candidates.is_empty() {
            return None;
        }
        let samples = samples(item);
        let alone = samples
            .iter()
            .map(|(_, new)| self.encoder.size(new, item.element, None));
        let alone: usize = alone.sum();
        let (mut best, mut least) = (None, alone / WORTH.1 * WORTH.0);
        for candidate in candidates {
            let size = self.size(item, &samples, &candidate);
            if size.is_some_and(|size| size < least) {
                (best, least) = (Some(candidate), size.unwrap_or(least));
            }
        }
        best
    }

    /// What samples shrink to against a candidate.
    fn size(
        &mut self,
        item: &PutItem<'_>,
        samples: &[(u64, Vec<u8>)],
        candidate: &Object,
    ) -> Option<usize> {
        let mut base = Vec::new();
        let sizes = samples.iter().map(|(offset, new)| {
            candidate
                .window(*offset, new.len(), self.tools, &mut base)
                .ok()?;
            Some(self.encoder.size(new, item.element, Some(&base)))
        });
        sizes.sum()
    }
}

/// Bytes from all over an item, with their offsets in it: each from another chunk.
fn samples(item: &PutItem<'_>) -> Vec<(u64, Vec<u8>)> {
    let chunks = item.len.div_ceil(CHUNK as u64);
    let count = chunks.min(SAMPLES);
    let places = (0..count).map(|i| {
        let chunk = (2 * i + 1) * chunks / (2 * count);
        let start = chunk * CHUNK as u64;
        let len = (item.len - start).min(CHUNK as u64);
        let sample = len.min(SAMPLE as u64);
        // Aligned to numbers of any width.
        (start + (len - sample) / 2 / 8 * 8, sample as usize)
    });
    let read = places.filter_map(|(offset, len)| {
        let mut bytes = vec![0; len];
        let read = item.source.read_exact_at(&mut bytes, item.offset + offset);
        // Who reads the chunk meets the error again, and reports it.
        read.ok().map(|()| (offset, bytes))
    });
    read.collect()
}
