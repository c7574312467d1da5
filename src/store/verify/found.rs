//! What a check finds, and what could be done about it.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, PoisonError};

use crate::base::ObjectId;
use crate::store::error::StoreError;
use crate::store::layout::Unusable;
use crate::store::pack::Problem;
use crate::store::packs::is_gone;

/// The outcome of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Packs that were read.
    pub packs: u64,
    /// Objects that were read, good and damaged.
    pub objects: u64,
    /// Bytes of the objects that are good.
    pub bytes: u64,
    /// Everything that is wrong; empty for a good store.
    pub damage: Vec<Damage>,
}

impl Checked {
    /// Packs that are to be written anew. `can_be_read` is asked of objects by now, after what could be healed was.
    pub fn broken_packs(&self, can_be_read: impl Fn(&ObjectId) -> bool) -> HashSet<ObjectId> {
        let broken = self.damage.iter().filter(|damage| match damage.harm {
            Harm::Bytes => true,
            // With its base healed, nothing is wrong with it; without, nothing that is good goes with it.
            Harm::Base(_) => damage.object.is_some_and(|id| !can_be_read(&id)),
            Harm::Index | Harm::Orphan | Harm::Newer | Harm::Unreadable => false,
        });
        broken.map(|damage| damage.pack).collect()
    }

    /// Packs whose indexes are to be made anew.
    pub fn broken_indexes(&self) -> HashSet<ObjectId> {
        let broken = self.damage.iter().filter(|d| d.harm == Harm::Index);
        broken.map(|damage| damage.pack).collect()
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Damage {
    /// In which pack, or in its index.
    pub pack: ObjectId,
    /// With which object, where it is one alone.
    pub object: Option<ObjectId>,
    /// What became of it.
    pub harm: Harm,
    /// The same in words.
    pub what: String,
}

/// Kinds of damage, by what could be done about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    /// Bytes of the pack are not those that were written.
    Bytes,
    /// Only the index is wrong; the pack can do without.
    Index,
    /// The index is there, and its pack is not.
    Orphan,
    /// Its own bytes are good; this object, which it is written with, is missing or damaged.
    Base(ObjectId),
    /// A newer mvc wrote it.
    Newer,
    /// The disk cannot read it.
    Unreadable,
}

/// Damage found by several threads.
#[derive(Default)]
pub(super) struct Found(Mutex<BTreeSet<Damage>>);

impl Found {
    /// All of it, in order.
    pub(super) fn all(self) -> Vec<Damage> {
        let all = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        all.into_iter().collect()
    }

    pub(super) fn add(
        &self,
        pack: ObjectId,
        object: Option<ObjectId>,
        harm: Harm,
        what: impl ToString,
    ) {
        let what = what.to_string();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(Damage {
            pack,
            object,
            harm,
            what,
        });
    }

    /// `damaged` is the harm where the bytes are to blame.
    pub(super) fn problem(&self, pack: ObjectId, of: &str, damaged: Harm, problem: &Problem) {
        let (harm, what) = match problem {
            Problem::Unusable(Unusable::Newer(what)) => (
                Harm::Newer,
                format!("{of} was written by a newer mvc ({what})"),
            ),
            Problem::Unusable(Unusable::Damaged(what)) => {
                (damaged, format!("{of} is damaged: {what}"))
            }
            // The pack can do without an index, whatever keeps that from being read.
            Problem::Io(e) => {
                let harm = match damaged {
                    Harm::Index => Harm::Index,
                    _ => Harm::Unreadable,
                };
                (harm, format!("{of} cannot be read: {e}"))
            }
        };
        self.add(pack, None, harm, what);
    }

    pub(super) fn object(&self, pack: ObjectId, id: ObjectId, error: &StoreError) {
        match error {
            StoreError::Damaged { id: of, flaw, .. } if *of == id => {
                self.add(pack, Some(id), Harm::Bytes, flaw);
            }
            // Removed since it was listed.
            error if is_gone(error) => {}
            // Of something that this object needs.
            StoreError::Damaged { id: of, .. } | StoreError::Missing { id: of } => {
                self.add(pack, Some(id), Harm::Base(*of), error);
            }
            // A list that cannot be read is told by itself, for the pack as a whole.
            StoreError::Pack { .. } => self.add(pack, Some(id), Harm::Bytes, error),
            StoreError::Unsupported { .. } => self.add(pack, Some(id), Harm::Newer, error),
            error => self.add(pack, Some(id), Harm::Unreadable, error),
        }
    }
}
