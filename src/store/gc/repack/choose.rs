//! Where each object may go: what was decided of others, and which of them it may be written with.

use std::collections::HashMap;

use crate::base::ObjectId;
use crate::store::Element;
use crate::store::chain::DEPTH;
use crate::store::pipeline::{HEIGHT, WORK};
use crate::store::writer::Candidate;

use super::Wanted;
use super::leftover::PutOff;
use super::takes::{self, Takes};
use super::web::{Copy, Node};

/// So many candidates are tried for one object.
const CANDIDATES: usize = 12;
/// An object that should be shallow may take so much of its length more for that: an eighth. And all such objects
/// together may take a sixteenth of what is written.
const PRICE: u64 = 8;
const ALL: u64 = 16;

/// What short chains may cost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Price {
    /// Bytes of the chunks and records of all that is written.
    pub(super) stored: u64,
    /// Bytes of the objects whose chains are to be shortened.
    pub(super) raw: u64,
}

impl Price {
    /// What one object may take more.
    fn of(self, len: u64) -> u64 {
        let share = u128::from(self.stored / ALL) * u128::from(len) / u128::from(self.raw.max(1));
        (len / PRICE).min(u64::try_from(share).unwrap_or(u64::MAX))
    }
}

/// What was decided of an object.
#[derive(Debug)]
pub(super) struct Place {
    /// How many objects have to be decoded before it can be.
    pub(super) height: u8,
    /// The longest chain on from it over all copies, old and new.
    pub(super) tall: u8,
    pub(super) element: Element,
    pub(super) len: u64,
    /// The most work for one chunk of it over all copies, old and new, with this chunk.
    pub(super) each: u64,
    /// What it is written with.
    pub(super) needs: Vec<ObjectId>,
}

impl Place {
    /// Of an object of which this copy is the one to keep, and with a new one where it is `coded` with these.
    pub(super) fn of(
        node: &Node,
        height: u8,
        needs: &[ObjectId],
        coded: bool,
        places: &Places,
    ) -> Self {
        let one = |id: &ObjectId| places.get(id).map(Self::taken);
        let old = node.copies.iter();
        let old = old.map(|copy| {
            (
                &copy.needs[..],
                copy.takes.work(&copy.needs, node.element, one),
            )
        });
        let new = coded.then(|| (needs, Takes::One.work(needs, node.element, one)));
        let (mut tall, mut work) = (0, 0);
        for (needs, more) in old.chain(new) {
            let above = needs
                .iter()
                .map(|id| 1 + places.get(id).map_or(0, |place| place.tall));
            tall = above.max().unwrap_or(0).max(tall);
            work = more.max(work);
        }
        Self {
            height,
            tall,
            element: node.element,
            len: node.len,
            each: takes::chunk(node.len, node.tables).saturating_add(work),
            needs: needs.to_vec(),
        }
    }

    /// What who takes chunks of it has to know.
    fn taken(&self) -> (Element, u64, u64) {
        (self.element, self.len, self.each)
    }
}

/// By object.
pub(super) type Places = HashMap<ObjectId, Place>;

/// How many objects have to be decoded before this copy can be. What is not there counts for nothing: such a copy
/// cannot be read, and is not made worse.
pub(super) fn height(copy: &Copy, places: &Places) -> u8 {
    let above = |need: &ObjectId| 1 + places.get(need).map_or(0, |place| place.height);
    copy.needs.iter().map(above).max().unwrap_or(0)
}

/// What an object may be written with, and what it may take then.
pub(super) struct Choice {
    pub(super) bases: Vec<Candidate>,
    pub(super) at_most: u64,
}

/// The leftovers that an object's best copy needs, among all that are put off.
#[derive(Clone, Copy)]
pub(super) struct Below<'a> {
    pub(super) ids: &'a [ObjectId],
    pub(super) left: &'a PutOff<'a>,
}

/// Finds what an object, of which this is the best copy, may be written with; `None` where there is nothing, and no
/// leftover that it is to do without.
pub(super) fn choose(
    wanted: &Wanted,
    node: &Node,
    own: &Copy,
    places: &Places,
    price: Price,
    below: Below<'_>,
) -> Option<Choice> {
    // What is written with it gets no longer chain than any other object has.
    let most = wanted.height.min(HEIGHT.saturating_sub(node.up));
    // What adds up in others takes no more than it did.
    let bearable = if node.shared { node.work } else { WORK };
    let mut bases: Vec<Candidate> = Vec::new();
    let mut left: Vec<Candidate> = wanted.likely.iter().rev().copied().collect();
    let Below { ids, left: put_off } = below;
    left.extend(ids.iter().map(|id| Candidate {
        id: *id,
        version: 0,
    }));
    let mut tried = Vec::new();
    while let Some(candidate) = left.pop() {
        if candidate.id == wanted.id || tried.contains(&candidate.id) {
            continue;
        }
        tried.push(candidate.id);
        // What is not decided yet may need this one.
        let Some(place) = places.get(&candidate.id) else {
            continue;
        };
        let one = |_: &ObjectId| Some(place.taken());
        let work = Takes::One.work(&[candidate.id], node.element, one);
        let there = !put_off.has(&candidate.id);
        if there && place.height < most && node.up + 1 + place.tall <= DEPTH && work <= bearable {
            bases.push(candidate);
        } else {
            // What it is written with itself stands for it.
            let version = candidate.version;
            let heirs = put_off.heirs(&candidate.id).iter().rev();
            let stand = place.needs.iter().rev().chain(heirs);
            left.extend(stand.map(|id| Candidate { id: *id, version }));
        }
        if bases.len() == CANDIDATES || tried.len() == 4 * CANDIDATES {
            break;
        }
    }
    if bases.is_empty() && ids.is_empty() {
        return None;
    }
    let room = put_off.room(ids, own.stored);
    let at_most = match wanted.shallow && height(own, places) > most {
        true => own.stored + price.of(node.len).max(room),
        false => own.stored.saturating_add(room).saturating_sub(1),
    };
    Some(Choice { bases, at_most })
}
