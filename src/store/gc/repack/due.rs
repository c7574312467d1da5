//! Which packs are worth to be written anew.

use std::collections::HashSet;

use crate::store::Shared;
use crate::store::error::Result;
use crate::store::gc::survey::{Kept, Survey};
use crate::store::writer::PACK;

/// A pack below this is small.
const SMALL: u64 = PACK / 4;
/// So many small packs that a repack wrote may lie beside each other.
const FEW: usize = 8;

/// The packs of the survey that are due: those that no repack wrote, and all small ones where there are many of those.
/// What holds nothing that is kept is for gc.
pub(super) fn due(shared: &Shared, survey: &Survey, kept: &Kept) -> Result<HashSet<usize>> {
    let copies = kept.objects.values().flatten();
    let used: HashSet<usize> = copies.map(|copied| copied.pack).collect();
    let (mut due, mut small) = (HashSet::new(), HashSet::new());
    for at in used {
        let listed = &survey.packs[at];
        if !listed.pack.is_settled(&shared.packs.handles)? {
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
