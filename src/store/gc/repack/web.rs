//! What is written with what, over all copies of all objects: everything that a reader may meet, whichever copies it
//! takes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::base::{ObjectId, Progress};
use crate::store::Shared;
use crate::store::chain::DEPTH;
use crate::store::error::{Flaw, Result, StoreError};
use crate::store::gc::survey::Survey;
use crate::store::opened::Opened;
use crate::store::pack::Entry;
use crate::store::work::MOST;
use crate::store::{Element, record::Body};

use super::takes::{self, Takes};

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
    /// What it takes of these for one chunk.
    pub(super) takes: Takes,
}

/// An object, and what readers may meet below and above it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) copies: Vec<Copy>,
    pub(super) len: u64,
    pub(super) element: Element,
    /// Whether a copy is made of parts.
    pub(super) parted: bool,
    /// Bytes of the longest tables of a copy.
    pub(super) tables: u64,
    /// The longest chain of objects that some choice of copies leads through, from it on and up to it.
    pub(super) down: u8,
    pub(super) up: u8,
    /// The most bytes of others that one of its chunks takes, all the way down, whichever copies are read.
    pub(super) work: u64,
    /// Whether some copy of another object takes chunks of it and of others for one of its own: what it takes more
    /// itself adds up there.
    pub(super) shared: bool,
}

impl Node {
    /// Whether it is numbers in one piece.
    pub(super) fn is_tensor(&self) -> bool {
        matches!(self.element, Element::Number { .. }) && !self.parted && self.len > 0
    }

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
                    tables: 0,
                    down: 0,
                    up: 0,
                    work: 0,
                    shared: false,
                });
                let opened = Opened::new(&listed.pack, record);
                let record = &opened.record;
                node.tables = node.tables.max(record.tables.len() as u64);
                node.parted |= matches!(record.body, Body::Parts(_));
                node.copies.push(Copy {
                    pack: at,
                    entry: *entry,
                    stored: record.stored() + u64::from(entry.len),
                    needs: record.needs(),
                    takes: Takes::of(shared, &opened),
                });
            }
        }
        let mut web = Self { nodes };
        web.mark_shared();
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

    /// Its copies.
    pub(super) fn copies(&self, id: &ObjectId) -> &[Copy] {
        self.get(id).map_or(&[], |node| &node.copies)
    }

    /// Whether every copy of an object lies in a pack that is due.
    pub(super) fn is_due(&self, id: &ObjectId, due: &HashSet<usize>) -> bool {
        let copies = self.copies(id);
        !copies.is_empty() && copies.iter().all(|copy| due.contains(&copy.pack))
    }

    /// Whether an object may be coded anew, with other bases or with none, where these packs are due.
    pub(super) fn may_be_coded(
        &self,
        id: &ObjectId,
        wanted: &HashSet<ObjectId>,
        due: &HashSet<usize>,
    ) -> bool {
        let tensor = self.get(id).is_some_and(Node::is_tensor);
        tensor && wanted.contains(id) && self.is_due(id, due)
    }

    /// True if with these further copies, each of an object that is there and with bases that are, no choice of copies
    /// leads anywhere that a reader does not follow, nor to more work than it does.
    pub(super) fn bears(&mut self, more: &HashMap<ObjectId, Vec<ObjectId>>) -> bool {
        let there = |id: &ObjectId| self.nodes.contains_key(id);
        let mut all = more.iter();
        if !all.all(|(id, bases)| there(id) && bases.iter().all(there)) {
            return false;
        }
        let before: HashMap<ObjectId, u64> =
            self.nodes.iter().map(|(id, n)| (*id, n.work)).collect();
        // What was too much before is no affair of who makes it no worse.
        self.measure(more).is_none()
            && self
                .nodes
                .iter()
                .all(|(id, node)| node.work <= MOST.max(before[id]))
    }

    /// Marks what is taken together with others.
    fn mark_shared(&mut self) {
        let copies = self.nodes.values().flat_map(|node| &node.copies);
        let several = copies.filter(|copy| copy.takes != Takes::One);
        let mut left: Vec<ObjectId> = several.flat_map(|copy| copy.needs.clone()).collect();
        while let Some(id) = left.pop() {
            if let Some(node) = self.nodes.get_mut(&id)
                && !std::mem::replace(&mut node.shared, true)
            {
                left.extend(node.copies.iter().flat_map(|copy| &copy.needs));
            }
        }
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
        order.sort_unstable_by_key(|id| down[id]);
        let mut up: HashMap<ObjectId, u8> = HashMap::new();
        for id in order.iter().rev() {
            let next = up.get(id).copied().unwrap_or(0) + 1;
            for need in self.below(id, more) {
                let above = up.entry(need).or_insert(0);
                *above = next.max(*above);
            }
        }
        let work = self.works(more, &order);
        for (id, node) in &mut self.nodes {
            node.down = down[id];
            node.up = up.get(id).copied().unwrap_or(0);
            node.work = work[id];
        }
        None
    }

    /// The work of each object; `order` has those that another needs before it.
    fn works(
        &self,
        more: &HashMap<ObjectId, Vec<ObjectId>>,
        order: &[ObjectId],
    ) -> HashMap<ObjectId, u64> {
        let mut work: HashMap<ObjectId, u64> = HashMap::with_capacity(order.len());
        let nodes = order
            .iter()
            .filter_map(|id| Some((id, self.nodes.get(id)?)));
        for (id, node) in nodes {
            let one = |base: &ObjectId| {
                let below = self.nodes.get(base)?;
                let each = takes::chunk(below.len, below.tables);
                let work = work.get(base).copied().unwrap_or(0);
                Some((below.element, below.len, each.saturating_add(work)))
            };
            let takes = |copy: &Copy| copy.takes.work(&copy.needs, node.element, one);
            let old = node.copies.iter().map(takes);
            let new = more
                .get(id)
                .map(|bases| Takes::One.work(bases, node.element, one));
            let most = old.chain(new).max().unwrap_or(0);
            work.insert(*id, most);
        }
        work
    }

    /// What some copy of an object is written with.
    fn below(&self, id: &ObjectId, more: &HashMap<ObjectId, Vec<ObjectId>>) -> Vec<ObjectId> {
        let old = self.copies(id).iter().flat_map(|copy| &copy.needs).copied();
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
