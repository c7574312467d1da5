//! Objects of no version, which stay only because others are written with them: such as the first version of a model,
//! when only later ones are kept.
//!
//! A repack puts off to write them. Whatever some copy of which needs one is tried without it first, and may take more
//! for that: all that goes with the leftover, if nothing else needs it, and where others do, what they are likely not
//! to need, since they can be written with this one then. The others share what still goes with the leftover. If one
//! of them cannot do without, it is written after all, just before it. What something needs that cannot be coded anew
//! is none of them.

use std::collections::{HashMap, HashSet};

use crate::base::ObjectId;

use super::View;
use super::web::Copy;

/// What is written with a leftover is like the others that are, and takes about a quarter more than it does when it is
/// written with one of these: a step that is as long again has about one bit more, of four.
const MORE: u64 = 4;

/// One of them.
#[derive(Default)]
struct Leftover<'a> {
    /// The copy that is written if one has to be, once it is known.
    own: Option<&'a Copy>,
    /// Bytes of the smallest copy, less what all but the first took that were written without it.
    room: u64,
    /// How many objects that stay are still to be written that need it, and their bytes.
    users: u64,
    taken: u64,
    /// What needed it and was written without.
    heirs: Vec<ObjectId>,
}

/// All of them that are not written.
#[derive(Default)]
pub(super) struct PutOff<'a> {
    all: HashMap<ObjectId, Leftover<'a>>,
    /// Which of them each object needs that stays, and its bytes.
    of: HashMap<ObjectId, (Vec<ObjectId>, u64)>,
}

impl<'a> PutOff<'a> {
    /// What is idle, and lies in packs that are due.
    pub(super) fn of(view: &View) -> Self {
        let mut left = Self::default();
        for id in view.idle.iter().filter(|id| view.is_due(id)) {
            let room = view.web.get(id).map_or(0, |node| node.least());
            let leftover = Leftover {
                room,
                ..Leftover::default()
            };
            left.all.insert(*id, leftover);
        }
        if left.all.is_empty() {
            return left;
        }
        let stay = || view.kept.objects.keys();
        for id in stay() {
            if !left.has(id) && !view.may_be_coded(id) {
                let below = left.below_any(view, id);
                below.iter().for_each(|id| _ = left.all.remove(id));
            }
        }
        for id in stay() {
            if left.has(id) {
                continue;
            }
            let below = left.below_any(view, id);
            if below.is_empty() {
                continue;
            }
            let bytes = view.web.get(id).map_or(0, |node| node.least());
            for base in &below {
                if let Some(leftover) = left.all.get_mut(base) {
                    leftover.users += 1;
                    leftover.taken += bytes;
                }
            }
            left.of.insert(*id, (below, bytes));
        }
        left
    }

    /// The leftovers that some copy of an object needs, directly or through others of them.
    fn below_any(&self, view: &View, id: &ObjectId) -> Vec<ObjectId> {
        let (mut found, mut met, mut left) = (Vec::new(), HashSet::new(), vec![*id]);
        while let Some(id) = left.pop() {
            for need in view.web.copies(&id).iter().flat_map(|copy| &copy.needs) {
                if self.all.contains_key(need) && met.insert(*need) {
                    found.push(*need);
                    left.push(*need);
                }
            }
        }
        found
    }

    /// Whether this is one that is not written.
    pub(super) fn has(&self, id: &ObjectId) -> bool {
        self.all.contains_key(id)
    }

    /// Those that are not written after all.
    pub(super) fn ids(&self) -> impl Iterator<Item = &ObjectId> {
        self.all.keys()
    }

    /// Puts one off. This is its copy if it has to be written.
    pub(super) fn put_off(&mut self, id: &ObjectId, own: &'a Copy) {
        if let Some(leftover) = self.all.get_mut(id) {
            leftover.own = Some(own);
        }
    }

    /// Those that have to be written for a copy with these needs: each after those that it needs itself.
    pub(super) fn below(&self, needs: &[ObjectId]) -> Vec<ObjectId> {
        let (mut order, mut met) = (Vec::new(), HashSet::new());
        self.descend(needs, &mut met, &mut order);
        order
    }

    fn descend(&self, needs: &[ObjectId], met: &mut HashSet<ObjectId>, order: &mut Vec<ObjectId>) {
        for id in needs {
            if let Some(leftover) = self.all.get(id)
                && met.insert(*id)
            {
                let below = leftover.own.map_or(&[][..], |copy| &copy.needs);
                self.descend(below, met, order);
                order.push(*id);
            }
        }
    }

    /// What was written without those: it stands for them.
    pub(super) fn heirs(&self, id: &ObjectId) -> &[ObjectId] {
        self.all.get(id).map_or(&[], |leftover| &leftover.heirs)
    }

    /// What an object of `stored` bytes may take more if it does without these.
    pub(super) fn room(&self, below: &[ObjectId], stored: u64) -> u64 {
        let room = |leftover: &Leftover<'_>| match leftover.heirs.is_empty() {
            // The others will be written with this one, if all goes well.
            true => {
                let others = leftover.taken.saturating_sub(stored) / MORE;
                leftover.room.saturating_sub(others)
            }
            false => leftover.room / leftover.users.max(1),
        };
        let leftovers = below.iter().filter_map(|id| self.all.get(id));
        leftovers.map(room).fold(0, u64::saturating_add)
    }

    /// Counts an object as written; without those that it needed, where it took so many bytes `more`.
    pub(super) fn decided(&mut self, id: &ObjectId, more: Option<u64>) {
        let Some((below, bytes)) = self.of.remove(id) else {
            return;
        };
        let mut rest = more.unwrap_or(0);
        for base in &below {
            if let Some(leftover) = self.all.get_mut(base) {
                leftover.users = leftover.users.saturating_sub(1);
                leftover.taken = leftover.taken.saturating_sub(bytes);
                // What the first one took is spent whether the others do without or not.
                if !leftover.heirs.is_empty() {
                    let paid = rest.min(leftover.room);
                    leftover.room -= paid;
                    rest -= paid;
                }
                if more.is_some() {
                    leftover.heirs.push(*id);
                }
            }
        }
    }

    /// One has to be written: this copy of it.
    pub(super) fn take(&mut self, id: &ObjectId) -> Option<&'a Copy> {
        self.all.remove(id)?.own
    }
}
