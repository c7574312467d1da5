//! `mvc verify --repair`: what is damaged or missing, from wherever its bytes can still be had.
//!
//! 1. What cannot be read is looked for in the trash, and in the weights files of all work trees ([`sources`]). What
//!    is found is stored again, by itself: written with nothing else, it cannot come to depend on what is damaged.
//! 2. Indexes that are damaged or missing are made anew from their packs.
//! 3. Damaged packs are written anew by gc's means: what is good of them is copied, and they go into the trash once
//!    all in them that is needed can be read elsewhere. One with the last copy of something needed stays as it is.
//!
//! Nothing is ever removed, and killed at any point it can be run again.

use std::collections::{BTreeSet, HashSet};

use serde::Serialize;

use super::needs::Needs;
use super::{Report, Scope, everything_needed, prove, run, sources};
use crate::base::text::chain;
use crate::base::{Failure, Kind, ObjectId, Progress};
use crate::ops::error::Result;
use crate::ops::gc::{Amount, Needed, prune};
use crate::ops::workspace::Workspace;
use crate::store::{Checked, Collected, Harm};

/// An object that can be read again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Healed {
    /// The object.
    pub object: ObjectId,
    /// Where its bytes were found; `None` where what it is written with was.
    pub from: Option<String>,
    /// The weights files and tensors that need it.
    pub affects: Vec<String>,
}

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Repair {
    /// Objects that could not be read before.
    pub healed: Vec<Healed>,
    /// Packs whose indexes were made anew.
    pub indexes: Vec<ObjectId>,
    /// Packs that were written with what is good of damaged ones.
    pub written: Amount,
    /// Damaged packs that were put into the trash.
    pub trashed: Amount,
    /// Packs that were brought back from the trash, since something in them is needed.
    pub back: Amount,
    /// Why damaged packs stay where they are, where it cannot be told what of them is needed.
    pub left: Option<String>,
}

/// Mends what can be mended, and then checks everything once more.
pub fn repair(ws: &Workspace, progress: &dyn Progress) -> Result<Report> {
    let (needs, _) = everything_needed(ws, progress)?;
    let checked = ws.store().verify(progress)?;
    let lost = lost(ws, &needs, &checked, progress)?;
    let mut repair = Repair {
        healed: heal(ws, &needs, &lost, progress)?,
        ..Repair::default()
    };
    repair.indexes = ws.store().rebuild_indexes(&checked.broken_indexes())?;
    let healed: BTreeSet<ObjectId> = repair.healed.iter().map(|healed| healed.object).collect();
    let packs = checked.broken_packs(|id| healed.contains(id) || !lost.contains(id));
    let orphans = checked.damage.iter().any(|d| d.harm == Harm::Orphan);
    // What is needed and still missing may lie in the trash, with what it is written with.
    if !packs.is_empty() || orphans || healed.len() < lost.len() {
        match collect(&again(ws)?, packs, progress) {
            Ok(Some((written, done))) => {
                repair.written = written;
                repair.trashed = done.trashed;
                repair.back = done.back;
            }
            Ok(None) => {}
            Err(e) if e.kind() == Kind::Cancelled => return Err(e),
            // What was healed is healed all the same.
            Err(e) => repair.left = Some(chain(&e)),
        }
    }
    Ok(Report {
        repair: Some(repair),
        ..run(&again(ws)?, &Scope::All, progress)?
    })
}

/// Opened anew. What is stored again may make the very pack that was damaged, under its own name, and what is open of
/// that is the old file.
fn again(ws: &Workspace) -> Result<Workspace> {
    Workspace::with(ws.repo().clone(), ws.fs().clone())
}

/// Everything that is damaged or missing and of which no copy can be read.
fn lost(
    ws: &Workspace,
    needs: &Needs,
    checked: &Checked,
    progress: &dyn Progress,
) -> Result<BTreeSet<ObjectId>> {
    let mut suspects: BTreeSet<ObjectId> = BTreeSet::new();
    for damage in &checked.damage {
        suspects.extend(damage.object);
        if let Harm::Base(base) = damage.harm {
            suspects.insert(base);
        }
    }
    for id in needs.objects.keys() {
        // Of what is in some pack, the check has told.
        if !ws.store().contains(id)? {
            suspects.insert(*id);
        }
    }
    let mut lost = BTreeSet::new();
    for id in suspects {
        if prove(ws.store(), &id, progress)?.is_err() {
            lost.insert(id);
        }
    }
    Ok(lost)
}

/// Stores again what can be found, and says what can be read by it.
fn heal(
    ws: &Workspace,
    needs: &Needs,
    lost: &BTreeSet<ObjectId>,
    progress: &dyn Progress,
) -> Result<Vec<Healed>> {
    let from = sources::store_again(ws, needs, lost, progress)?;
    let fresh = again(ws)?;
    let mut healed = Vec::new();
    for id in lost {
        if prove(fresh.store(), id, progress)?.is_ok() {
            let affects = needs.objects.get(id).map(|need| need.affects.iter());
            healed.push(Healed {
                object: *id,
                from: from.get(id).cloned(),
                affects: affects.into_iter().flatten().cloned().collect(),
            });
        }
    }
    Ok(healed)
}

fn collect(
    ws: &Workspace,
    packs: HashSet<ObjectId>,
    progress: &dyn Progress,
) -> Result<Option<(Amount, Collected)>> {
    let Some(collection) = ws.store().mend(packs)? else {
        return Ok(None);
    };
    let mut needed = Needed::new(ws);
    needed.gather(progress)?;
    let (_, written, done) = prune(collection, &mut needed, progress)?;
    Ok(Some((written, done)))
}
