//! Which packs are worth to be written anew.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::base::ObjectId;
use crate::store::Shared;
use crate::store::error::Result;
use crate::store::gc::survey::{Kept, Survey};
use crate::store::writer::PACK;

use super::web::Web;

/// A pack below this is small.
const SMALL: u64 = PACK / 4;
/// So many small packs that a repack wrote may lie beside each other.
const FEW: usize = 8;

/// A base of no version is worth to be done without if no more objects than this are written with it: of more, each
/// would take more with another base than it does together.
const USERS: usize = 4;

/// What says which packs are due.
pub(super) struct Sides<'a> {
    pub(super) survey: &'a Survey,
    pub(super) kept: &'a Kept,
    pub(super) web: &'a Web,
    pub(super) needed: &'a HashSet<ObjectId>,
    /// What may be coded anew, if it is a tensor.
    pub(super) wanted: &'a HashSet<ObjectId>,
    pub(super) grace: Duration,
}

impl Sides<'_> {
    /// The packs of the survey that are due: those that no repack wrote, old ones that hold much of no version, and all
    /// small ones where there are many of those. What holds nothing that is kept is for gc.
    pub(super) fn due(&self, shared: &Shared) -> Result<HashSet<usize>> {
        let copies = self.kept.objects.values().flatten();
        let used: HashSet<usize> = copies.map(|copied| copied.pack).collect();
        let (mut due, mut small, mut rest) = (HashSet::new(), Vec::new(), Vec::new());
        for at in used {
            let listed = &self.survey.packs[at];
            if !listed.pack.is_settled(&shared.packs.handles)? {
                due.insert(at);
                continue;
            }
            if listed.disk < SMALL {
                small.push(at);
            }
            rest.push(at);
        }
        if small.len() > FEW {
            due.extend(small);
        }
        // What is young stays as it is, needed or not, and would be copied whole.
        rest.retain(|at| !due.contains(at) && self.survey.packs[*at].age >= self.grace);
        // A base can only go if all that is written with it lies in packs that are due.
        loop {
            let all: HashSet<usize> = due.iter().chain(&rest).copied().collect();
            let holds = self.holds(&self.spare(&all));
            let before = rest.len();
            rest.retain(|at| {
                let stay = holds.get(at).copied().unwrap_or(0);
                self.survey.packs[*at].is_worth(stay)
            });
            if rest.len() == before {
                due.extend(rest);
                return Ok(due);
            }
        }
    }

    /// Bytes of what is kept in each pack, but for these.
    fn holds(&self, but: &HashSet<ObjectId>) -> HashMap<usize, u64> {
        let mut holds = HashMap::new();
        let kept = self.kept.objects.iter().filter(|(id, _)| !but.contains(id));
        for copied in kept.flat_map(|(_, copies)| copies) {
            *holds.entry(copied.pack).or_default() += copied.stored;
        }
        holds
    }

    /// The objects of no version that few others are written with, all of which may be coded anew where these packs
    /// are due.
    fn spare(&self, due: &HashSet<usize>) -> HashSet<ObjectId> {
        let mut users: HashMap<ObjectId, usize> = HashMap::new();
        let asked = |id: &ObjectId| self.needed.contains(id) || self.kept.parts.contains(id);
        for id in self.kept.objects.keys().filter(|id| asked(id)) {
            let count = match self.web.may_be_coded(id, self.wanted, due) {
                true => 1,
                false => USERS + 1,
            };
            let (mut left, mut met) = (vec![*id], HashSet::new());
            while let Some(id) = left.pop() {
                for need in self.web.copies(&id).iter().flat_map(|copy| &copy.needs) {
                    if !asked(need) && met.insert(*need) {
                        *users.entry(*need).or_default() += count;
                        left.push(*need);
                    }
                }
            }
        }
        users.retain(|_, users| *users <= USERS);
        users.into_keys().collect()
    }
}
