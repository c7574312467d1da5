//! How long a chain may become that a reader follows, whichever copies it takes.

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::ObjectId;

use super::Shared;
use super::chain::DEPTH;
use super::error::{Flaw, Result};

/// The longest chain of objects that are needed for one of this object's chunks, over all copies of all of them: where
/// copies differ, a reader may take any. An error where it is longer than a reader follows, or where an object of it
/// is not there.
pub(super) fn tallest(shared: &Arc<Shared>, id: &ObjectId) -> Result<u8> {
    climb(shared, id, 0, &mut HashMap::new())
}

fn climb(
    shared: &Arc<Shared>,
    id: &ObjectId,
    depth: u8,
    known: &mut HashMap<ObjectId, u8>,
) -> Result<u8> {
    let height = match known.get(id) {
        Some(height) => *height,
        None => {
            let handles = &shared.packs.handles;
            let records = shared.packs.all_good(id, |pack, entry| {
                if depth > DEPTH {
                    return Err(pack.damaged(*id, Flaw::Depth));
                }
                pack.record(handles, entry)
            })?;
            let mut height = 0;
            for record in &records {
                for need in record.needs() {
                    height = height.max(1 + climb(shared, &need, depth + 1, known)?);
                }
            }
            known.insert(*id, height);
            height
        }
    };
    match depth.saturating_add(height) {
        0..=DEPTH => Ok(height),
        _ => shared
            .packs
            .first_good(id, |pack, _| Err(pack.damaged(*id, Flaw::Depth))),
    }
}
