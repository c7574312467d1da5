//! Objects into new packs, in the order in which they are decided.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::base::id::CHUNK;
use crate::base::progress::Unit;
use crate::base::{ObjectId, Progress, ReadAt};
use crate::store::Shared;
use crate::store::chain::Tools;
use crate::store::codec::fields_of;
use crate::store::error::{Flaw, Result, StoreError};
use crate::store::gc::copy::append;
use crate::store::gc::prove::Prover;
use crate::store::kindred::Kindred;
use crate::store::layout::SETTLED;
use crate::store::object::Object;
use crate::store::pack::Sealed;
use crate::store::pipeline::{self, Effort, Task};
use crate::store::writer::{Known, Numbers, Output, PutItem};

use super::choose::{Below, Choice, Place, Places, Price, choose, height};
use super::leftover::PutOff;
use super::web::{Copy, Node};
use super::{Order, View, Wanted};

/// So many objects are open at once, and no more than with so many bytes of chunks: each keeps the one that was read of
/// it last, and those of its chain.
const OPEN: usize = 1024;
const HELD: u64 = 32 << 20;

/// What was written.
pub(super) struct Written {
    pub(super) packs: Vec<Sealed>,
    /// What became of everything that is kept.
    pub(super) places: Places,
    /// What each object that was coded anew is written with.
    pub(super) bases: HashMap<ObjectId, Vec<ObjectId>>,
    pub(super) recoded: u64,
    /// Bytes of chunks and records.
    pub(super) stored: u64,
    /// Objects of no version that nothing is written with any more, and that were not written.
    pub(super) let_go: u64,
}

/// Writes all objects that are due.
pub(super) fn write(
    shared: &Arc<Shared>,
    view: &View,
    order: &Order,
    prover: &mut Prover,
    progress: &dyn Progress,
) -> Result<Written> {
    let mut wanted: HashMap<ObjectId, (usize, &Wanted)> = HashMap::new();
    for (version, objects) in order.versions.iter().enumerate() {
        for object in objects {
            wanted.entry(object.id).or_insert((version + 1, object));
        }
    }
    // What some copy of an object is written with comes before it. Of those that neither needs, the newer one does;
    // those of which there is nothing to decide come first.
    let mut all: Vec<((u8, usize), ObjectId, &Node)> = Vec::new();
    for id in view.kept.objects.keys() {
        if let Some(node) = view.web.get(id) {
            let version = wanted.get(id).filter(|_| view.is_due(id));
            let version = version.map_or(0, |(version, _)| *version);
            all.push(((node.down, version), *id, node));
        }
    }
    all.sort_unstable_by_key(|(rank, id, _)| (*rank, *id));
    let due = all.iter().filter(|(_, id, _)| view.is_due(id));
    let (mut todo, mut total, mut price) = (Vec::new(), 0, Price::default());
    for (_, id, node) in due {
        todo.push(*id);
        total += node.len;
        price.stored += node.least();
        let deep = wanted.get(id).map(|(_, wanted)| wanted);
        if deep.is_some_and(|wanted| wanted.shallow && node.down > wanted.height) {
            price.raw += node.len;
        }
    }
    progress.begin("repacking", Unit::Bytes, Some(total));
    let mut writing = Writing {
        shared,
        view,
        known: Known::but_for(shared, todo),
        output: Output::new(shared, SETTLED),
        prover,
        progress,
        price,
        left: PutOff::of(view),
        written: Written {
            packs: Vec::new(),
            places: Places::new(),
            bases: HashMap::new(),
            recoded: 0,
            stored: 0,
            let_go: 0,
        },
    };
    let waves = all.chunk_by(|(one, ..), (other, ..)| one == other);
    let done = waves
        .flat_map(|wave| few(wave, |(_, _, node)| node.len))
        .try_for_each(|wave| {
            let wave = wave.iter().map(|(_, id, node)| (*id, *node));
            writing.wave(wave.collect(), &wanted)
        });
    progress.end();
    done?;
    let Writing {
        output,
        left,
        mut written,
        ..
    } = writing;
    written.packs = output.end()?;
    for id in left.ids() {
        written.places.remove(id);
        written.let_go += 1;
    }
    Ok(written)
}

/// Cuts objects of these lengths into runs that may be open together.
fn few<T>(objects: &[T], len: impl Fn(&T) -> u64) -> Vec<&[T]> {
    let (mut runs, mut from, mut held) = (Vec::new(), 0, 0);
    for (at, object) in objects.iter().enumerate() {
        let more = len(object).min(CHUNK as u64);
        if at > from && (at - from == OPEN || held + more > HELD) {
            runs.push(&objects[from..at]);
            (from, held) = (at, 0);
        }
        held += more;
    }
    runs.push(&objects[from..]);
    runs
}

struct Writing<'a> {
    shared: &'a Arc<Shared>,
    view: &'a View,
    /// What is written only if something cannot do without it.
    left: PutOff<'a>,
    known: Known,
    output: Output,
    prover: &'a mut Prover,
    progress: &'a dyn Progress,
    price: Price,
    written: Written,
}

/// An object that is tried with other bases.
struct Tried<'a> {
    id: ObjectId,
    node: &'a Node,
    own: &'a Copy,
    wanted: &'a Wanted,
    object: Object,
    choice: Choice,
    /// The leftovers that it does without if it is written anew.
    below: Vec<ObjectId>,
}

impl<'a> Writing<'a> {
    /// Decides objects of which none needs another: each is written with what was decided before.
    fn wave(
        &mut self,
        mut wave: Vec<(ObjectId, &'a Node)>,
        wanted: &HashMap<ObjectId, (usize, &'a Wanted)>,
    ) -> Result<()> {
        while !wave.is_empty() {
            wave = self.some(wave, wanted)?;
        }
        Ok(())
    }

    /// Decides objects of a wave; returns those of them that may be written with one of these.
    fn some(
        &mut self,
        wave: Vec<(ObjectId, &'a Node)>,
        wanted: &HashMap<ObjectId, (usize, &'a Wanted)>,
    ) -> Result<Vec<(ObjectId, &'a Node)>> {
        let (mut tried, mut copied, mut later) = (Vec::new(), Vec::new(), Vec::new());
        let mut claimed: HashSet<ObjectId> = HashSet::new();
        for (id, node) in wave {
            if !self.view.is_due(&id) {
                self.stays(id, node)?;
                continue;
            }
            let own = self.best(&id, node)?;
            if self.left.has(&id) {
                self.left.put_off(&id, own);
                self.place(id, node, height(own, &self.written.places), &own.needs);
                self.progress.advance(node.len);
                continue;
            }
            let below = self.left.below(&own.needs);
            if below.iter().any(|base| claimed.contains(base)) {
                later.push((id, node));
                continue;
            }
            let wanted = wanted.get(&id).filter(|_| node.is_tensor());
            let (places, left) = (&self.written.places, &self.left);
            let choice = wanted.and_then(|(_, wanted)| {
                let below = Below { ids: &below, left };
                let choice = choose(wanted, node, own, places, self.price, below)?;
                Some((*wanted, choice))
            });
            match choice {
                Some((wanted, choice)) => {
                    claimed.extend(&below);
                    let object = Object::open(self.shared, &id, &mut Tools::default())?;
                    tried.push(Tried {
                        id,
                        node,
                        own,
                        wanted,
                        object,
                        choice,
                        below,
                    });
                }
                None => copied.push((id, node, own)),
            }
        }
        copied.extend(self.code(&tried)?);
        copied
            .into_iter()
            .try_for_each(|(id, node, own)| self.copy(id, node, own))?;
        Ok(later)
    }

    /// Codes objects anew. Returns those that are better as they are.
    fn code(&mut self, tried: &[Tried<'a>]) -> Result<Vec<(ObjectId, &'a Node, &'a Copy)>> {
        let items: Vec<PutItem<'_>> = tried
            .iter()
            .map(|one| PutItem {
                source: &one.object,
                offset: 0,
                len: one.object.len(),
                element: one.object.element(),
                expect: None,
                bases: one.choice.bases.clone(),
                numbers: numbers(one),
                fields: fields_of(one.object.element(), &one.object.record().tables),
            })
            .collect();
        let todo: Vec<usize> = (0..items.len()).collect();
        let at_most: Vec<u64> = tried.iter().map(|one| one.choice.at_most).collect();
        let mut puts = vec![None; items.len()];
        let task = Task {
            items: &items,
            todo: &todo,
            effort: Effort::Thorough,
            at_most: &at_most,
        };
        let (known, output) = (&self.known, &mut self.output);
        let done = pipeline::run(
            &task,
            known,
            output,
            self.progress,
            &mut puts,
            &Kindred::default(),
        );
        done.map_err(|e| unreadable(e, tried))?;
        let mut same = Vec::new();
        for (put, one) in puts.into_iter().zip(tried) {
            let put = put.ok_or(StoreError::Aborted)?;
            if put.id != one.id {
                return Err(StoreError::Aborted);
            }
            if put.written == 0 {
                same.push((one.id, one.node, one.own));
                continue;
            }
            let places = &self.written.places;
            let below = || put.bases.iter().filter_map(|base| places.get(base));
            let height = below().map(|below| below.height + 1).max();
            let place = Place::of(one.node, height.unwrap_or(0), &put.bases, true, places);
            self.written.places.insert(one.id, place);
            self.written.bases.insert(one.id, put.bases);
            self.written.recoded += 1;
            self.written.stored += put.written;
            let more = put.written.saturating_sub(one.own.stored);
            let without = !one.below.is_empty();
            self.left.decided(&one.id, without.then_some(more));
        }
        Ok(same)
    }

    /// Copies an object as it is, after all that it needs.
    fn copy(&mut self, id: ObjectId, node: &Node, own: &Copy) -> Result<()> {
        self.keep_below(&own.needs)?;
        self.append(own)?;
        self.left.decided(&id, None);
        self.place(id, node, height(own, &self.written.places), &own.needs);
        self.progress.advance(node.len);
        Ok(())
    }

    fn append(&mut self, own: &Copy) -> Result<()> {
        if self.progress.cancelled() {
            return Err(StoreError::Cancelled);
        }
        let pack = &self.view.survey.packs[own.pack].pack;
        append(self.shared, pack, &own.entry, self.output.for_object()?)?;
        self.written.stored += own.stored;
        Ok(())
    }

    /// Writes the leftovers that a copy with these needs cannot do without.
    fn keep_below(&mut self, needs: &[ObjectId]) -> Result<()> {
        for id in self.left.below(needs) {
            if let Some(own) = self.left.take(&id) {
                self.append(own)?;
            }
        }
        Ok(())
    }

    /// Counts an object that stays where it is, with all that any copy of it needs.
    fn stays(&mut self, id: ObjectId, node: &Node) -> Result<()> {
        let stay = node.copies.iter();
        let stay = stay.filter(|copy| !self.view.due.contains(&copy.pack));
        let stay: Vec<&Copy> = stay.collect();
        for copy in &stay {
            self.keep_below(&copy.needs)?;
        }
        self.left.decided(&id, None);
        let deepest = stay
            .into_iter()
            .max_by_key(|copy| height(copy, &self.written.places));
        if let Some(copy) = deepest {
            self.place(id, node, height(copy, &self.written.places), &copy.needs);
        }
        Ok(())
    }

    fn place(&mut self, id: ObjectId, node: &Node, height: u8, needs: &[ObjectId]) {
        let place = Place::of(node, height, needs, false, &self.written.places);
        self.written.places.insert(id, place);
    }

    /// The copy of an object that is kept if nothing better is found: one that can be read, with a short chain, small.
    fn best(&mut self, id: &ObjectId, node: &'a Node) -> Result<&'a Copy> {
        let mut copies: Vec<&Copy> = node.copies.iter().collect();
        let places = &self.written.places;
        copies.sort_by_key(|copy| (height(copy, places), copy.stored));
        if let [only] = copies.as_slice() {
            return Ok(*only);
        }
        for copy in &copies {
            let pack = &self.view.survey.packs[copy.pack].pack;
            let prover = &mut *self.prover;
            if prover.is_good(self.shared, pack, &copy.entry, self.progress)? {
                return Ok(*copy);
            }
        }
        let first = copies.first().ok_or(StoreError::Missing { id: *id })?;
        let pack = &self.view.survey.packs[first.pack].pack;
        Err(pack.damaged(*id, Flaw::Value(0)))
    }
}

/// An object that cannot be read is told as such.
fn unreadable(error: StoreError, tried: &[Tried<'_>]) -> StoreError {
    let StoreError::Source { item, source } = error else {
        return error;
    };
    match source.downcast::<StoreError>() {
        Ok(error) => error,
        Err(source) => match tried.get(item) {
            Some(one) => {
                let path = &one.object.pack().path;
                crate::base::fs::FsError::new("read", path, source).into()
            }
            None => StoreError::Source { item, source },
        },
    }
}

/// What is known of an object's numbers, unless it was stored as others: the same bytes may be tensors of two types.
fn numbers(one: &Tried<'_>) -> Option<Numbers> {
    let as_stored = |numbers: &Numbers| numbers.format.element() == one.object.element();
    one.wanted.numbers.filter(as_stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_objects_are_open_together_and_none_is_left_out() {
        let mib = CHUNK as u64;
        let lengths: Vec<u64> = (0..5000)
            .map(|at| if at % 3 == 0 { at * 1000 } else { 7 })
            .chain((0..100).map(|at| (at % 5) * mib))
            .collect();
        let runs = few(&lengths, |len| *len);
        assert_eq!(runs.concat(), lengths);
        for run in &runs {
            let held: u64 = run.iter().map(|len| len.min(&mib)).sum();
            assert!(!run.is_empty() && run.len() <= OPEN && held <= HELD);
        }
        let held = |run: &[u64]| run.iter().map(|len| *len.min(&mib)).sum::<u64>();
        let full =
            |pair: &[&[u64]]| pair[0].len() == OPEN || held(pair[0]) + pair[1][0].min(mib) > HELD;
        assert!(
            runs.windows(2).all(full),
            "no run is shorter than it must be"
        );
    }
}
