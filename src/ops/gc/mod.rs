//! `mvc gc`: room again, from what no version, no reflog and no work tree needs any more.
//!
//! What is needed is asked twice: beside writers, for the plan and the copying, and once more when the store is held
//! alone, just before anything is put aside. Whoever stores objects holds the lock until their sidecar lies in a work
//! tree, so that the second look sees it.

mod lost;
mod needed;
mod order;
mod sidecars;

use std::time::Duration;

use serde::Serialize;

use super::error::Result;
use super::workspace::Workspace;
use crate::base::{ObjectId, Progress};
pub use crate::store::{Amount, Fate, Leftovers, PackFate, Trash};
use crate::store::{Collected, Collection, Order, Plan};
pub use crate::store::{Done, Heights, Repacked};

pub use lost::Lost;
pub(in crate::ops) use needed::Needed;
pub use needed::Unreadable;

/// How long packs are left alone, and how long they lie in the trash, unless something else is asked for.
pub const GRACE: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// What `gc` is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether anything is done; otherwise it is only said.
    pub prune: bool,
    /// The grace time.
    pub grace: Duration,
    /// Whether packs are written anew, each object in the best place that there is.
    pub repack: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            prune: false,
            grace: GRACE,
            repack: false,
        }
    }
}

/// What `gc` found, and did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Whether anything was done.
    pub pruned: bool,
    /// The grace time, in seconds.
    pub grace: u64,
    /// Commits that were looked at.
    pub commits: u64,
    /// Distinct sidecars that something leads to.
    pub sidecars: usize,
    /// Objects that are needed and there.
    pub needed: u64,
    /// Their bytes, raw.
    pub raw: u64,
    /// Which of them no version has: they stay because others are written with them.
    pub leftovers: Leftovers,
    /// Objects that are needed and not there.
    pub missing: usize,
    /// How many of those lie in the trash, from which `prune` brings them back.
    pub in_trash: usize,
    /// Objects that are needed and damaged; what holds them stays.
    pub damaged: Vec<ObjectId>,
    /// Sidecars that no mvc can read; everything that has a name in them stays.
    pub unreadable: Vec<Unreadable>,
    /// Commits of reflogs that git itself has thrown away.
    pub forgotten: u64,
    /// What becomes of each pack.
    pub packs: Vec<PackFate>,
    /// Weights of commits that nothing leads to, whose objects go.
    pub lost: Vec<Lost>,
    /// What is, or was, written anew in a better order; `None` where that was not asked for.
    pub repack: Option<Repacked>,
    /// Packs that were written with what is needed of others, and their bytes.
    pub written: Amount,
    /// Packs that were put into the trash.
    pub trashed: Amount,
    /// Packs that were removed from the trash for good.
    pub purged: Amount,
    /// Packs that were brought back from the trash, since something in them is needed.
    pub back: Amount,
    /// Files of killed commands that were cleared.
    pub litter: usize,
    /// What lies in the trash now.
    pub trash: Trash,
}

/// Says what nobody needs, and with `prune` puts it into the trash.
///
/// Refuses where anything that might name objects cannot be read.
pub fn run(ws: &Workspace, options: &Options, progress: &dyn Progress) -> Result<Report> {
    let mut report = Report {
        pruned: options.prune,
        grace: options.grace.as_secs(),
        ..Report::default()
    };
    let Some(mut collection) = ws.store().collect(options.grace)? else {
        return Ok(report);
    };
    let mut needed = Needed::new(ws);
    needed.gather(progress)?;
    if options.repack {
        let order = order::order(ws, progress)?;
        report.repack = Some(match options.prune {
            false => collection.repack_plan(&order, &needed.objects, progress)?,
            true => {
                let (again, repacked) = repack(collection, &order, &needed, progress)?;
                collection = again;
                repacked
            }
        });
    }
    let plan = match options.prune {
        false => collection.plan(&needed.objects, progress)?,
        true => {
            let (mut plan, written, done) = prune(collection, &mut needed, progress)?;
            report.written = written;
            report.trashed = done.trashed;
            report.purged = done.purged;
            report.back = done.back;
            report.litter = done.litter;
            (plan.needed, plan.raw) = (done.plan.needed, done.plan.raw);
            plan.leftovers = done.plan.leftovers;
            plan.missing = done.plan.missing;
            plan.damaged.extend(done.plan.damaged);
            plan
        }
    };
    report.commits = needed.commits();
    report.sidecars = needed.sidecars;
    report.forgotten = needed.forgotten();
    report.needed = plan.needed;
    report.raw = plan.raw;
    report.leftovers = plan.leftovers;
    report.missing = plan.missing.len();
    report.in_trash = ws.store().in_trash(&plan.missing)?;
    report.damaged = plan.damaged;
    report.damaged.sort_unstable();
    report.damaged.dedup();
    report.packs = plan.packs;
    if !options.prune {
        report.lost = lost::look(ws, &needed)?;
    }
    report.unreadable = needed.unreadable;
    report.trash = ws.store().trash()?;
    Ok(report)
}

/// Writes packs anew beside writers, and shows them alone. The old ones are taken away by the [`prune`] that follows.
fn repack(
    mut collection: Collection,
    order: &Order,
    needed: &Needed<'_>,
    progress: &dyn Progress,
) -> Result<(Collection, Repacked)> {
    let mut repacked = collection.repack(order, &needed.objects, progress)?;
    if repacked.packs > 0 {
        let (again, published) = collection.alone()?.publish(progress)?;
        collection = again;
        if !published {
            repacked.done = None;
            repacked.disturbed = true;
        }
    }
    Ok((collection, repacked))
}

/// Takes away what is not needed: copies beside writers, and puts aside alone, by what is needed by then. The plan that
/// was copied by, what was written, and what was done.
pub(in crate::ops) fn prune(
    mut collection: Collection,
    needed: &mut Needed<'_>,
    progress: &dyn Progress,
) -> Result<(Plan, Amount, Collected)> {
    let (plan, written) = collection.copy(&needed.objects, progress)?;
    let alone = collection.alone()?;
    // Whatever was stored or committed meanwhile.
    needed.gather(progress)?;
    let done = alone.finish(&needed.objects, progress)?;
    Ok((plan, written, done))
}

/// Brings back everything that lies in the trash.
pub fn restore_trash(ws: &Workspace) -> Result<Amount> {
    Ok(ws.store().restore_trash()?)
}
