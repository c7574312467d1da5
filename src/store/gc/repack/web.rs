//! What is written with what, over all copies of all objects: everything that a reader may meet, whichever copies it
//! takes.

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::{ObjectId, Progress};
use crate::store::Shared;
use crate::store::chain::DEPTH;
use crate::store::error::{Flaw, Result, StoreError};
use crate::store::gc::survey::Survey;
use crate::store::pack::Entry;
use crate::store::{Element, record::Body};

/// One copy of an object.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    /// The pack, by its place in the survey.
    pub(super) pack: usize,
    pub(super) entry: Entry,
    /// Bytes of its chunks and its record.
    pub(super) stored: u64,
    /// What it is written with.
    pub(super) needs: Vec<ObjectId>,
}

/// An object, and what readers may meet below and above it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) copies: Vec<Copy>,
    pub(super) len: u64,
    pub(super) element: Element,
    /// Whether a copy is made of parts.
    pub(super) parted: bool,
    /// The longest chain of objects that some choice of copies leads through, from it on and up to it.
    pub(super) down: u8,
    pub(super) up: u8,
}

impl Node {
    /// Bytes of the smallest copy.
    pub(super) fn least(&self) -> u64 {
        let stored = self.copies.iter().map(|copy| copy.stored);
        stored.min().unwrap_or(0)
    }
}

/// All of them.
pub(super) struct Web {
    nodes: HashMap<ObjectId, Node>,
}

impl Web {
    /// Reads every record of every pack. One that cannot be read is no copy, and leads nowhere.
    ///
    /// Errors: `Damaged` where some choice of copies is a circle, or a chain that no reader follows.
    pub(super) fn of(
        shared: &Arc<Shared>,
        survey: &Survey,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let mut nodes: HashMap<ObjectId, Node> = HashMap::new();
        for (at, listed) in survey.packs.iter().enumerate() {
            for entry in &listed.entries {
                if progress.cancelled() {
                    return Err(StoreError::Cancelled);
                }
                let Ok(record) = listed.pack.record(&shared.packs.handles, entry) else {
                    continue;
                };
                let node = nodes.entry(entry.id).or_insert(Node {
                    copies: Vec::new(),
                    len: record.len,
                    element: record.element,
                    parted: false,
                    down: 0,
                    up: 0,
                });
                node.parted |= matches!(record.body, Body::Parts(_));
                node.copies.push(Copy {
                    pack: at,
                    entry: *entry,
                    stored: record.stored() + u64::from(entry.len),
                    needs: record.needs(),
                });
            }
        }
        let mut web = Self { nodes };
        if let Some(id) = web.measure(&HashMap::new()) {
            let pack = web.nodes.get(&id).and_then(|node| node.copies.first());
            let pack = pack.map(|copy| survey.packs[copy.pack].pack.name);
            return Err(StoreError::Damaged {
                id,
                pack: pack.unwrap_or(id),
                flaw: Flaw::Depth,
            });
        }
        Ok(web)
    }

    pub(super) fn get(&self, id: &ObjectId) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// True if with these further copies, each of an object that is there and with bases that are, no choice of copies
    /// leads anywhere that a reader does not follow.
    pub(super) fn bears(&mut self, more: &HashMap<ObjectId, Vec<ObjectId>>) -> bool {
        let there = |id: &ObjectId| self.nodes.contains_key(id);
        more.iter()
            .all(|(id, bases)| there(id) && bases.iter().all(there))
            && self.measure(more).is_none()
    }

    /// Measures how long chains are from each object on, and up to it. Returns an object from which on one is too
    /// long, or a circle, if there is any.
    fn measure(&mut self, more: &HashMap<ObjectId, Vec<ObjectId>>) -> Option<ObjectId> {
        let mut down = HashMap::with_capacity(self.nodes.len());
        for id in self.nodes.keys() {
            if self.descend(id, more, 0, &mut down).is_none() {
                return Some(*id);
            }
        }
        let mut order: Vec<ObjectId> = self.nodes.keys().copied().collect();
        order.sort_unstable_by_key(|id| std::cmp::Reverse(down[id]));
        let mut up: HashMap<ObjectId, u8> = HashMap::new();
        for id in order {
            let next = up.get(&id).copied().unwrap_or(0) + 1;
            for need in self.below(&id, more) {
                let above = up.entry(need).or_insert(0);
                *above = next.max(*above);
            }
        }
        for (id, node) in &mut self.nodes {
            node.down = down[id];
            node.up = up.get(id).copied().unwrap_or(0);
        }
        None
    }

    /// What some copy of an object is written with.
    fn below(&self, id: &ObjectId, more: &HashMap<ObjectId, Vec<ObjectId>>) -> Vec<ObjectId> {
        let copies = self.nodes.get(id).map_or(&[][..], |node| &node.copies);
        let old = copies.iter().flat_map(|copy| &copy.needs).copied();
        old.chain(more.get(id).into_iter().flatten().copied())
            .collect()
    }

    /// The longest chain from an object on; `None` where it is too long. `depth` ends circles.
    fn descend(
        &self,
        id: &ObjectId,
        more: &HashMap<ObjectId, Vec<ObjectId>>,
        depth: u8,
        known: &mut HashMap<ObjectId, u8>,
    ) -> Option<u8> {
        if let Some(down) = known.get(id) {
            return (depth + down <= DEPTH).then_some(*down);
        }
        if depth > DEPTH {
            return None;
        }
        let mut longest = 0;
        for need in self.below(id, more) {
            longest = longest.max(1 + self.descend(&need, more, depth + 1, known)?);
        }
        known.insert(*id, longest);
        Some(longest)
    }
}
