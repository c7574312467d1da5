//! Taking away what nobody needs. What is needed is for others to say: here it is a set of ids.
//!
//! 1. Beside writers, a [`Collection`] plans, and copies what is needed of packs that hold little else, into new
//!    packs. Nothing is taken away.
//! 2. [`Alone`], it plans anew with what is needed by then, and puts packs aside: those of which every needed object
//!    lies in another pack, where it was read to its end. So the moment for which writers wait is short, and whatever
//!    they came to need meanwhile stays.
//! 3. A later one removes for good what has lain in the trash for the grace time. What turns out to be needed before
//!    is brought back.
//!
//! Before all that, packs may be written anew, in a better order: [`repack`].
//!
//! A pack that was written, or found useful by a writer, within the grace time is left alone, and so is all that its
//! objects are written with. Damaged packs are mended in the same way: what is good of them is copied, whatever their
//! age, and the pack is put aside once it holds nothing needed that cannot be read elsewhere. Killed at any point, it leaves a store in which everything needed can be read, at worst
//! in two packs, and can be run again.

mod copy;
mod mend;
mod plan;
mod prove;
mod repack;
mod survey;
mod trash;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::base::progress::Unit;
use crate::base::{ObjectId, Progress, litter};

use super::error::Result;
use super::hold::Hold;
use super::pack::Pack;
use super::{Shared, Store, layout};

use mend::Mending;
use plan::{Planned, Rules};
use prove::Prover;
use repack::Repacking;
pub use repack::{Done, Heights, Order, Repacked, Wanted};
use survey::Survey;

/// What becomes of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Nothing in it is needed that is not elsewhere too.
    Goes,
    /// What is needed of it is written anew, and the rest goes.
    Rewritten,
    /// A repack writes what is needed of it anew, and the rest goes.
    Repacked,
    /// It is needed, or too little of it is not.
    Stays,
    /// It is younger than the grace time.
    Young,
}

/// A pack, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PackFate {
    /// The pack.
    pub pack: ObjectId,
    /// What becomes of it.
    pub fate: Fate,
    /// Objects in it.
    pub objects: u64,
    /// How many of them nobody needs.
    pub unneeded: u64,
    /// Bytes of their chunks and records.
    pub unneeded_bytes: u64,
    /// Bytes of it and its index.
    pub disk: u64,
    /// Bytes that are free without it, but for what is written anew.
    pub freed: u64,
    /// Seconds since it was written, or last found useful by a writer.
    pub age: u64,
}

/// Objects of no version that others are written with. A repack does without them where that takes less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Leftovers {
    /// How many.
    pub objects: u64,
    /// Bytes of their chunks and records.
    pub bytes: u64,
}

/// What gc would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Every pack.
    pub packs: Vec<PackFate>,
    /// Objects that are needed and there.
    pub needed: u64,
    /// Their bytes, raw.
    pub raw: u64,
    /// Which of them are needed only because others are written with them.
    pub leftovers: Leftovers,
    /// Objects that are needed and in no pack.
    pub missing: Vec<ObjectId>,
    /// Objects that are needed and of which no copy can be read; what holds them stays.
    pub damaged: Vec<ObjectId>,
}

/// Some packs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Amount {
    /// How many.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, bytes: u64) {
        self.packs += 1;
        self.bytes += bytes;
    }
}

/// What lies in the trash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Trash {
    /// Packs.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Seconds that the oldest has lain there.
    pub oldest: Option<u64>,
}

/// What gc did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// How it saw the store when it was alone.
    pub plan: Plan,
    /// Packs that were put into the trash.
    pub trashed: Amount,
    /// Packs that were removed from the trash for good.
    pub purged: Amount,
    /// Packs that were brought back from the trash, since something in them is needed.
    pub back: Amount,
    /// Files of dead processes that were cleared.
    pub litter: usize,
}

impl Store {
    /// Begins to collect, beside writers. `None` where there is no store yet.
    pub fn collect(&self, grace: Duration) -> Result<Option<Collection>> {
        if !self.shared.dir.is_dir() {
            return Ok(None);
        }
        Ok(Some(Collection {
            hold: Hold::shared(&self.shared)?,
            work: Work {
                shared: self.shared.clone(),
                grace,
                prover: Prover::default(),
                stay: HashSet::new(),
                mending: Mending::default(),
                repacking: Repacking::default(),
            },
        }))
    }

    /// What lies in the trash.
    pub fn trash(&self) -> Result<Trash> {
        Ok(trash::content(&trash::bins(&self.shared.dir)?))
    }

    /// How many of these objects lie in the trash.
    pub fn in_trash(&self, ids: &[ObjectId]) -> Result<usize> {
        Ok(trash::having(&trash::bins(&self.shared.dir)?, ids))
    }

    /// Brings back everything that lies in the trash, as young as if it were written now.
    pub fn restore_trash(&self) -> Result<Amount> {
        if !self.shared.dir.is_dir() {
            return Ok(Amount::default());
        }
        let _hold = Hold::alone(&self.shared)?;
        let amount = trash::bring_back(&self.shared, None)?;
        self.shared.packs.refresh(true)?;
        Ok(amount)
    }
}

/// What a gc goes by, beside writers and alone.
struct Work {
    shared: Arc<Shared>,
    grace: Duration,
    prover: Prover,
    /// Packs that stay whatever a plan says: something needed in them turned out damaged, or they were just written.
    stay: HashSet<ObjectId>,
    mending: Mending,
    repacking: Repacking,
}

impl Work {
    /// What stays: what is needed, and what stays whether it is or not.
    fn all(&self, needed: &HashSet<ObjectId>) -> HashSet<ObjectId> {
        let more = self.mending.good.iter().chain(&self.repacking.held);
        needed.iter().chain(more).copied().collect()
    }

    fn survey(&self) -> Result<Survey> {
        Survey::take(&self.shared, &self.mending.packs)
    }

    /// `rewrite` says whether packs may be written anew; where not, only those go that hold nothing any more.
    fn planned(
        &mut self,
        survey: &Survey,
        needed: &HashSet<ObjectId>,
        rewrite: bool,
        progress: &dyn Progress,
    ) -> Result<Planned> {
        let none = &HashSet::new();
        let rules = Rules {
            grace: self.grace,
            stay: &self.stay,
            mend: &self.mending.packs,
            retired: match self.repacking.published {
                true => &self.repacking.due,
                false => none,
            },
            rewrite,
        };
        let prover = &mut self.prover;
        plan::plan(&self.shared, survey, needed, &rules, prover, progress)
    }
}

/// A gc that works beside writers and takes nothing away.
pub struct Collection {
    hold: Hold,
    work: Work,
}

impl Collection {
    /// Says what would be done, and does nothing.
    ///
    /// Errors: `Pack` and `Unsupported` where a pack cannot be listed: what it holds may need any other.
    pub fn plan(&mut self, needed: &HashSet<ObjectId>, progress: &dyn Progress) -> Result<Plan> {
        let survey = self.work.survey()?;
        let mut plan = self.work.planned(&survey, needed, true, progress)?.plan;
        self.work.repacking.tell(&mut plan);
        Ok(plan)
    }

    /// Copies what is needed of packs that hold little else. Returns the plan, and what was written.
    pub fn copy(
        &mut self,
        needed: &HashSet<ObjectId>,
        progress: &dyn Progress,
    ) -> Result<(Plan, Amount)> {
        let survey = self.work.survey()?;
        let Work {
            shared,
            prover,
            mending,
            ..
        } = &mut self.work;
        mending.good = mend::good(shared, &survey, &mending.packs, prover, progress)?;
        let needed = &self.work.all(needed);
        let mut planned = self.work.planned(&survey, needed, true, progress)?;
        let total = planned
            .survivors
            .iter()
            .map(|(_, of)| of.len() as u64)
            .sum();
        progress.begin("copying what is needed", Unit::Items, Some(total));
        let Work {
            shared,
            prover,
            stay,
            ..
        } = &mut self.work;
        let done = copy::copy(shared, &survey, &planned.survivors, prover, progress);
        progress.end();
        let done = done?;
        stay.extend(done.hurt);
        planned.plan.damaged.extend(done.damaged);
        let written = Amount {
            packs: done.packs.len() as u64,
            bytes: done.stored,
        };
        stay.extend(done.packs);
        self.work.repacking.tell(&mut planned.plan);
        Ok((planned.plan, written))
    }

    /// Waits until nobody else uses the store's lock. What is needed is to be asked anew after this.
    pub fn alone(self) -> Result<Alone> {
        let Self { hold, work } = self;
        drop(hold);
        Ok(Alone {
            _hold: Hold::alone(&work.shared)?,
            work,
        })
    }
}

/// A gc that nobody writes beside.
pub struct Alone {
    _hold: Hold,
    work: Work,
}

impl Alone {
    /// Brings back from the trash what is needed, removes what has lain there for the grace time, and puts aside
    /// what is not needed.
    pub fn finish(
        mut self,
        needed: &HashSet<ObjectId>,
        progress: &dyn Progress,
    ) -> Result<Collected> {
        let work = &mut self.work;
        let needed = &work.all(needed);
        let mut collected = Collected::default();
        let mut tried = BTreeSet::new();
        let (survey, planned) = loop {
            let survey = work.survey()?;
            let planned = work.planned(&survey, needed, false, progress)?;
            // What comes back may be written with what lies in the trash too.
            let missing: BTreeSet<ObjectId> = planned.plan.missing.iter().copied().collect();
            if missing.is_subset(&tried) {
                break (survey, planned);
            }
            let back = trash::bring_back(&work.shared, Some(&missing))?;
            collected.back.packs += back.packs;
            collected.back.bytes += back.bytes;
            tried.extend(missing);
        };
        // Before anything is put aside: what one gc puts there, only a later one removes.
        collected.purged = trash::purge(&work.shared, work.grace)?;
        let gone = |fate: &&PackFate| fate.fate == Fate::Goes;
        let gone: HashSet<ObjectId> = planned
            .plan
            .packs
            .iter()
            .filter(gone)
            .map(|fate| fate.pack)
            .collect();
        let listed = survey.packs.iter().map(|listed| &listed.pack);
        let mut packs: Vec<&Pack> = listed
            .filter(|pack| gone.contains(&pack.name))
            .map(|pack| &**pack)
            .collect();
        if planned.plan.missing.is_empty() && planned.plan.damaged.is_empty() {
            // Nothing that they may hold is needed; while anything is, they may be what somebody can mend.
            packs.extend(survey.unlisted.iter().map(|pack| &**pack));
        }
        let orphans = match work.mending.orphans {
            true => mend::orphans(&work.shared)?,
            false => Vec::new(),
        };
        collected.trashed = trash::put_aside(&work.shared, &packs, &orphans)?;
        collected.litter = litter::sweep(&work.shared.fs, &layout::tmp(&work.shared.dir))?;
        work.shared.packs.refresh(true)?;
        collected.plan = planned.plan;
        Ok(collected)
    }
}
