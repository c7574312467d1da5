//! Whether stored bytes are still those that were written, told by their checksums, with nothing decoded.
//!
//! An object that is damaged counts as missing to a writer: good bytes that come by are written once more, so that
//! nothing new comes to depend on what cannot be read, and the store heals.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::base::ObjectId;

use super::Shared;
use super::error::{Flaw, Result, StoreError};
use super::object::DEPTH;
use super::pack::Pack;
use super::record::{Body, Record};

/// True if some copy of the object, and of everything that it depends on, has the checksums of its records.
pub(super) fn is_sound(shared: &Arc<Shared>, id: &ObjectId) -> bool {
    sound(shared, id, 0, &mut HashMap::new())
}

/// What is `known` of an object at a depth is not looked at again: as many ways may lead to one as its users like.
fn sound(
    shared: &Arc<Shared>,
    id: &ObjectId,
    depth: u8,
    known: &mut HashMap<(ObjectId, u8), bool>,
) -> bool {
    if let Some(sound) = known.get(&(*id, depth)) {
        return *sound;
    }
    let handles = &shared.packs.handles;
    let found = shared.packs.first_good(id, |pack, entry| {
        if depth > DEPTH {
            return Err(pack.damaged(*id, Flaw::Depth));
        }
        let record = pack.record(handles, entry)?;
        let needs = own(shared, pack, &record)?;
        let bad = needs
            .into_iter()
            .find(|need| !sound(shared, need, depth + 1, known));
        match bad {
            Some(id) => Err(StoreError::Missing { id }),
            None => Ok(()),
        }
    });
    known.insert((*id, depth), found.is_ok());
    found.is_ok()
}

/// Checks the bytes of one copy, and says which objects it depends on.
fn own(shared: &Shared, pack: &Arc<Pack>, record: &Record) -> Result<BTreeSet<ObjectId>> {
    let chunks = match &record.body {
        Body::Chunks(chunks) => chunks,
        Body::Parts(parts) => return Ok(parts.iter().map(|part| part.id).collect()),
    };
    let mut needs = BTreeSet::new();
    for (index, chunk) in (0..).zip(chunks) {
        pack.checked_payload(&shared.packs.handles, record, index)?;
        let base = chunk.base.map(usize::from);
        needs.extend(base.and_then(|base| record.bases.get(base)));
    }
    Ok(needs)
}
