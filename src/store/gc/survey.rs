//! Which objects there are and where, and which of them are kept.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::base::{ObjectId, Progress};
use crate::store::Shared;
use crate::store::error::{Result, StoreError};
use crate::store::pack::{Entry, Pack};
use crate::store::record::{Body, Record};

use super::prove::Prover;

/// From which share of bytes that need not stay on, in percent, a pack is written anew without them.
const WORTH: u64 = 30;

/// A pack and all that it lists.
pub(super) struct Listed {
    pub(super) pack: Arc<Pack>,
    pub(super) entries: Vec<Entry>,
    /// Bytes of its chunks and records.
    pub(super) stored: u64,
    /// Bytes of the pack and its index.
    pub(super) disk: u64,
    /// Since when it was neither written nor found useful.
    pub(super) age: Duration,
}

impl Listed {
    /// True where so few bytes of it are to stay that it is worth to write these anew.
    pub(super) fn is_worth(&self, stay: u64) -> bool {
        let rest = u128::from(self.stored.saturating_sub(stay));
        rest * 100 >= u128::from(self.stored) * u128::from(WORTH)
    }
}

/// All packs, as they were listed at one moment.
pub(super) struct Survey {
    pub(super) packs: Vec<Listed>,
    /// Packs that are to be mended, and of which nobody can say what they hold.
    pub(super) unlisted: Vec<Arc<Pack>>,
    places: HashMap<ObjectId, Vec<Place>>,
}

/// A pack of a survey, and an entry of it.
type Place = (u32, u32);

/// One copy of an object that is kept.
#[derive(Clone, Debug)]
pub(super) struct Copied {
    /// The pack, by its place in the survey.
    pub(super) pack: usize,
    pub(super) entry: Entry,
    /// Bytes of its chunks and its record; of the record alone where that cannot be read.
    pub(super) stored: u64,
    /// False where its record cannot be read.
    pub(super) readable: bool,
}

/// What is kept: objects that somebody asked for, and all that these are written with.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) objects: HashMap<ObjectId, Vec<Copied>>,
    /// What was asked for and is in no pack.
    pub(super) missing: BTreeSet<ObjectId>,
    /// Bytes of the objects, raw.
    pub(super) raw: u64,
    /// What kept objects were cut into: as much asked for as these.
    pub(super) parts: HashSet<ObjectId>,
    /// The packs of copies that were replaced, and the bytes of each.
    pub(super) replaced: Vec<(usize, u64)>,
}

impl Survey {
    /// Lists everything. A pack that cannot be listed is an error: what lies in it may be written with objects of
    /// other packs, and nobody could say which. Not so where it is to be mended, for what it holds cannot be read.
    pub(super) fn take(shared: &Shared, mend: &HashSet<ObjectId>) -> Result<Self> {
        shared.packs.refresh(true)?;
        let (mut packs, mut unlisted) = (Vec::new(), Vec::new());
        let mut places: HashMap<ObjectId, Vec<Place>> = HashMap::new();
        for pack in shared.packs.all().iter() {
            let handles = &shared.packs.handles;
            let listed = pack.entries(handles).and_then(|entries| {
                let (_, _, stored) = pack.totals(handles)?;
                Ok((entries, stored))
            });
            let (entries, stored) = match listed {
                Err(StoreError::Pack { .. }) if mend.contains(&pack.name) => {
                    unlisted.push(pack.clone());
                    continue;
                }
                listed => listed?,
            };
            for (at, entry) in (0..).zip(&entries) {
                let place = (packs.len() as u32, at);
                places.entry(entry.id).or_default().push(place);
            }
            packs.push(Listed {
                disk: pack.disk(),
                age: age(pack),
                pack: pack.clone(),
                entries,
                stored,
            });
        }
        Ok(Self {
            packs,
            unlisted,
            places,
        })
    }

    /// Adds these objects to what is kept, and every base and part of any copy of them, and so on. A copy may be
    /// written with others than the next one is; all are kept, but for those that were `replaced`.
    pub(super) fn keep(
        &self,
        shared: &Arc<Shared>,
        ids: impl IntoIterator<Item = ObjectId>,
        kept: &mut Kept,
        replaced: &mut Replaced<'_>,
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut waiting: Vec<ObjectId> = ids.into_iter().collect();
        while let Some(id) = waiting.pop() {
            if kept.objects.contains_key(&id) {
                continue;
            }
            if progress.cancelled() {
                return Err(StoreError::Cancelled);
            }
            let Some(places) = self.places.get(&id) else {
                kept.missing.insert(id);
                continue;
            };
            let is_replaced = replaced.has(self, shared, places, progress)?;
            let mut copies = Vec::with_capacity(places.len());
            let mut raw = 0;
            for (pack, entry) in places {
                let listed = &self.packs[*pack as usize];
                let entry = listed.entries[*entry as usize];
                let record = listed.pack.record(&shared.packs.handles, &entry).ok();
                let chunks = record.as_ref().map_or(0, Record::stored);
                let stored = chunks + u64::from(entry.len);
                if is_replaced && replaced.is_retired(self, *pack) {
                    kept.replaced.push((*pack as usize, stored));
                    continue;
                }
                copies.push(Copied {
                    pack: *pack as usize,
                    entry,
                    stored,
                    readable: record.is_some(),
                });
                if let Some(record) = record {
                    raw = raw.max(record.len);
                    waiting.extend(record.needs());
                    if let Body::Parts(parts) = &record.body {
                        kept.parts.extend(parts.iter().map(|part| part.id));
                    }
                }
            }
            kept.raw = kept.raw.saturating_add(raw);
            kept.objects.insert(id, copies);
        }
        Ok(())
    }
}

/// What lies in packs of which a repack wrote what stays anew, and elsewhere too.
///
/// A copy of it in such a pack is none that has to stay, nor anything that only this copy is written with, where one
/// in another pack was read to its end. That one's bases are kept in the same way: so each of them can be read without
/// what is let go, and hence it can.
pub(super) struct Replaced<'a> {
    /// The packs.
    pub(super) retired: &'a HashSet<ObjectId>,
    pub(super) prover: &'a mut Prover,
}

impl Replaced<'_> {
    fn is_retired(&self, survey: &Survey, pack: u32) -> bool {
        let listed = &survey.packs[pack as usize];
        self.retired.contains(&listed.pack.name)
    }

    /// True where some copy in another pack can be read.
    fn has(
        &mut self,
        survey: &Survey,
        shared: &Arc<Shared>,
        places: &[Place],
        progress: &dyn Progress,
    ) -> Result<bool> {
        let is_retired = |(pack, _): &Place| self.is_retired(survey, *pack);
        if !places.iter().any(is_retired) {
            return Ok(false);
        }
        for (pack, entry) in places {
            if self.is_retired(survey, *pack) {
                continue;
            }
            let listed = &survey.packs[*pack as usize];
            let entry = &listed.entries[*entry as usize];
            if self.prover.is_good(shared, &listed.pack, entry, progress)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// How long ago a pack got the time that it has; one from the future, or without a time, is new.
fn age(pack: &Pack) -> Duration {
    let modified = pack.path.metadata().and_then(|stat| stat.modified());
    let age = modified.map(|time| SystemTime::now().duration_since(time).unwrap_or_default());
    age.unwrap_or_default()
}
