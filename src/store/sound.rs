//! Whether stored bytes are still those that were written, told by their checksums, with nothing decoded.
//!
//! An object that is damaged counts as missing to a writer: good bytes that come by are written once more, so that
//! nothing new comes to depend on what cannot be read, and the store heals.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::ObjectId;

use super::Shared;
use super::chain::{DEPTH, refused};
use super::codec::{self, CodecError};
use super::error::{Flaw, Result, StoreError};
use super::opened::{Fit, ONE_MORE, UNLISTED};
use super::pack::Pack;
use super::record::{Body, Record};

/// An object, and what it is taken for.
type Need = (ObjectId, Fit);

/// What is known of objects: each is read once, however many depend on it.
#[derive(Default)]
pub(super) struct Sound {
    /// Those that are sound, and how many objects each depends on in a chain.
    heights: Mutex<HashMap<Need, u8>>,
    /// Those that are not, where so many objects depend on them in a chain: as many ways may lead to one as its users
    /// like.
    bad: Mutex<HashSet<(Need, u8)>>,
}

impl Sound {
    /// True if some copy of the object, and of everything that it depends on, has the checksums of its records.
    pub(super) fn is(&self, shared: &Arc<Shared>, id: &ObjectId) -> bool {
        self.height(shared, &(*id, Fit::Any), 0).is_ok()
    }

    fn height(&self, shared: &Arc<Shared>, need: &Need, depth: u8) -> Result<u8> {
        let known = || self.heights.lock().unwrap_or_else(PoisonError::into_inner);
        let height = known().get(need).copied();
        if let Some(height) = height.filter(|height| depth + height <= DEPTH) {
            return Ok(height);
        }
        let (id, fit) = need;
        let bad = || self.bad.lock().unwrap_or_else(PoisonError::into_inner);
        if bad().contains(&(*need, depth)) {
            return Err(StoreError::Missing { id: *id });
        }
        let handles = &shared.packs.handles;
        let height = shared.packs.first_good(id, |pack, entry| {
            if depth > DEPTH {
                return Err(pack.damaged(*id, Flaw::Depth));
            }
            let record = pack.record(handles, entry)?;
            let fits = fit.check(&record);
            fits.map_err(|flaw| pack.damaged(*id, flaw))?;
            let mut height = 0;
            for need in own(shared, pack, &record)? {
                height = height.max(1 + self.height(shared, &need, depth + 1)?);
            }
            Ok(height)
        });
        match &height {
            Ok(height) => _ = known().insert(*need, *height),
            Err(_) => _ = bad().insert((*need, depth)),
        }
        height
    }
}

/// Checks the bytes of one copy, and says what it depends on.
fn own(shared: &Shared, pack: &Arc<Pack>, record: &Record) -> Result<BTreeSet<Need>> {
    let chunks = match &record.body {
        Body::Chunks(chunks) => chunks,
        Body::Parts(parts) => {
            let needs = parts.iter().map(|part| (part.id, Fit::Part(part.len)));
            return Ok(needs.collect());
        }
    };
    let mut needs = BTreeSet::new();
    for (index, chunk) in (0..).zip(chunks) {
        let payload = pack.checked_payload(&shared.packs.handles, record, index)?;
        let strips = match codec::strips(chunk.codec, &payload, record.chunk_len(index)) {
            Ok(strips) => strips,
            // It is whole, and not for this mvc to read.
            Err(CodecError::Unknown(_)) => Vec::new(),
            Err(problem) => return Err(refused(pack, &record.id, index, problem)),
        };
        if chunk.base.is_some() && !strips.is_empty() {
            return Err(pack.damaged(record.id, ONE_MORE));
        }
        let named: BTreeSet<u8> = strips.iter().map(|strip| strip.base).collect();
        for base in named.into_iter().chain(chunk.base) {
            let base = record.bases.get(usize::from(base));
            let base = base.ok_or_else(|| pack.damaged(record.id, UNLISTED))?;
            needs.insert((*base, Fit::Any));
        }
    }
    Ok(needs)
}
