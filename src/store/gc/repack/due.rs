//! Which packs are worth to be written anew.

use std::collections::{HashMap, HashSet};

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
/// From which share of such bases, and of what nobody needs, on, in percent, a pack is due.
const WORTH: u64 = 30;

/// The packs of the survey that are due: those that no repack wrote, those that hold much of no version, and all small
/// ones where there are many of those. What holds nothing that is kept is for gc.
pub(super) fn due(
    shared: &Shared,
    survey: &Survey,
    kept: &Kept,
    web: &Web,
    needed: &HashSet<ObjectId>,
) -> Result<HashSet<usize>> {
    let spare = spare(kept, web, needed);
    let mut holds: HashMap<usize, u64> = HashMap::new();
    for (id, copied) in kept
        .objects
        .iter()
        .flat_map(|(id, all)| all.iter().map(move |one| (id, one)))
    {
        let of = holds.entry(copied.pack).or_default();
        *of += if spare.contains(id) { 0 } else { copied.stored };
    }
    let (mut due, mut small) = (HashSet::new(), HashSet::new());
    for (at, holds) in holds {
        let listed = &survey.packs[at];
        let rest = u128::from(listed.stored.saturating_sub(holds));
        if !listed.pack.is_settled(&shared.packs.handles)?
            || rest * 100 >= u128::from(listed.stored) * u128::from(WORTH)
        {
            due.insert(at);
        } else if listed.disk < SMALL {
            small.insert(at);
        }
    }
    if small.len() > FEW {
        due.extend(small);
    }
    Ok(due)
}

/// The objects of no version that few others are written with.
fn spare(kept: &Kept, web: &Web, needed: &HashSet<ObjectId>) -> HashSet<ObjectId> {
    let mut users: HashMap<ObjectId, usize> = HashMap::new();
    for id in kept.objects.keys().filter(|id| needed.contains(id)) {
        let (mut left, mut met) = (vec![*id], HashSet::new());
        while let Some(id) = left.pop() {
            let copies = web.get(&id).map_or(&[][..], |node| &node.copies);
            let needs = copies.iter().flat_map(|copy| &copy.needs);
            for need in needs.filter(|need| !needed.contains(need)) {
                if met.insert(*need) {
                    *users.entry(*need).or_default() += 1;
                    left.push(*need);
                }
            }
        }
    }
    users.retain(|_, users| *users <= USERS);
    users.into_keys().collect()
}
