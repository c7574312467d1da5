//! What becomes of each pack.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::base::{ObjectId, Progress};
use crate::store::Shared;
use crate::store::error::Result;
use crate::store::pack::Entry;

use super::prove::Prover;
use super::survey::{Copied, Kept, Listed, Replaced, Survey};
use super::{Fate, Leftovers, PackFate, Plan};

/// What the planner has to respect.
pub(super) struct Rules<'a> {
    /// Younger packs stay as they are.
    pub(super) grace: Duration,
    /// Packs that stay whatever lies in them.
    pub(super) stay: &'a HashSet<ObjectId>,
    /// Damaged packs, which are written anew whatever their age and however little that frees.
    pub(super) mend: &'a HashSet<ObjectId>,
    /// Packs of which a repack wrote what is needed anew: they go, however young they are.
    pub(super) retired: &'a HashSet<ObjectId>,
    /// Whether packs may be written anew; where not, only those go that hold nothing any more.
    pub(super) rewrite: bool,
}

impl Rules<'_> {
    fn is_young(&self, listed: &Listed) -> bool {
        let name = &listed.pack.name;
        listed.age < self.grace && !self.mend.contains(name) && !self.retired.contains(name)
    }

    /// True where so little of a pack is kept that it is worth to write that anew, or where it is to go in any case.
    fn is_worth(&self, listed: &Listed, kept: u64) -> bool {
        let name = &listed.pack.name;
        self.mend.contains(name) || self.retired.contains(name) || listed.is_worth(kept)
    }

    fn fate(&self, standing: &Standing, listed: &Listed) -> Fate {
        match standing {
            Standing { stays: true, .. } | Standing { hurt: true, .. } => Fate::Stays,
            Standing { survivors, .. } if survivors.is_empty() => Fate::Goes,
            Standing { own, .. } if self.rewrite && self.is_worth(listed, *own) => Fate::Rewritten,
            _ => Fate::Stays,
        }
    }
}

/// A plan, and what to do for it.
pub(super) struct Planned {
    pub(super) plan: Plan,
    /// Of packs that are written anew: what is copied, by the place of the pack in the survey.
    pub(super) survivors: Vec<(usize, Vec<Entry>)>,
}

/// Where a pack stands.
#[derive(Clone, Default)]
struct Standing {
    stays: bool,
    /// It has a copy of something needed that is the last one, and damaged.
    hurt: bool,
    /// Bytes of what only this pack is to keep.
    own: u64,
    survivors: Vec<Entry>,
}

/// Decides. What stays keeps all that it is written with, also what nobody needs: a pack that is there can be read
/// whole. So each pack that turns out to stay may keep others, until nothing changes any more.
pub(super) fn plan(
    shared: &Arc<Shared>,
    survey: &Survey,
    needed: &HashSet<ObjectId>,
    rules: &Rules<'_>,
    prover: &mut Prover,
    progress: &dyn Progress,
) -> Result<Planned> {
    let mut retired = rules.retired.clone();
    loop {
        let mut replaced = Replaced {
            retired: &retired,
            prover,
        };
        let planned = attempt(shared, survey, needed, rules, &mut replaced, progress)?;
        let packs = planned.plan.packs.iter();
        let stay = packs.filter(|of| of.fate == Fate::Stays && retired.contains(&of.pack));
        let stay: Vec<ObjectId> = stay.map(|of| of.pack).collect();
        if stay.is_empty() {
            return Ok(planned);
        }
        // What lies in these is to be read from them too.
        stay.iter().for_each(|pack| _ = retired.remove(pack));
    }
}

/// A plan, as far as what was `replaced` may go.
fn attempt(
    shared: &Arc<Shared>,
    survey: &Survey,
    needed: &HashSet<ObjectId>,
    rules: &Rules<'_>,
    replaced: &mut Replaced<'_>,
    progress: &dyn Progress,
) -> Result<Planned> {
    let mut kept = Kept::default();
    survey.keep(
        shared,
        needed.iter().copied(),
        &mut kept,
        replaced,
        progress,
    )?;
    let needs: HashSet<ObjectId> = kept.objects.keys().copied().collect();
    let (raw, missing) = (kept.raw, std::mem::take(&mut kept.missing));
    let leftovers = leftovers(&kept, needed);
    let mut used = vec![0u64; survey.packs.len()];
    for copied in kept.objects.values().flatten() {
        used[copied.pack] = used[copied.pack].saturating_add(copied.stored);
    }
    for (pack, stored) in &kept.replaced {
        used[*pack] = used[*pack].saturating_add(*stored);
    }
    let mut standings = vec![Standing::default(); survey.packs.len()];
    let mut new = Vec::new();
    for (at, listed) in survey.packs.iter().enumerate() {
        if rules.is_young(listed) || rules.stay.contains(&listed.pack.name) {
            new.push(at);
        }
    }
    let mut damaged = loop {
        for at in new.drain(..) {
            standings[at].stays = true;
            let all = survey.packs[at].entries.iter().map(|entry| entry.id);
            survey.keep(shared, all, &mut kept, replaced, progress)?;
        }
        let damaged = settle(
            shared,
            survey,
            &kept,
            rules,
            &mut standings,
            replaced.prover,
            progress,
        )?;
        for (at, standing) in standings.iter().enumerate() {
            let fate = rules.fate(standing, &survey.packs[at]);
            if !standing.stays && fate == Fate::Stays {
                new.push(at);
            }
        }
        if new.is_empty() {
            break damaged;
        }
    };
    damaged.retain(|id| needs.contains(id));
    let mut survivors = Vec::new();
    let mut packs = Vec::new();
    for (at, standing) in standings.into_iter().enumerate() {
        let listed = &survey.packs[at];
        let fate = match rules.fate(&standing, listed) {
            Fate::Stays if rules.is_young(listed) => Fate::Young,
            fate => fate,
        };
        let dead = listed.entries.iter().filter(|e| !needs.contains(&e.id));
        packs.push(PackFate {
            pack: listed.pack.name,
            fate,
            objects: listed.entries.len() as u64,
            unneeded: dead.count() as u64,
            unneeded_bytes: listed.stored.saturating_sub(used[at]),
            disk: listed.disk,
            freed: match fate {
                Fate::Goes => listed.disk,
                Fate::Rewritten => listed.stored.saturating_sub(standing.own),
                Fate::Stays | Fate::Young | Fate::Repacked => 0,
            },
            age: listed.age.as_secs(),
        });
        if fate == Fate::Rewritten {
            survivors.push((at, standing.survivors));
        }
    }
    Ok(Planned {
        plan: Plan {
            packs,
            needed: needs.len() as u64,
            raw,
            leftovers,
            missing: missing.into_iter().collect(),
            damaged: damaged.into_iter().collect(),
        },
        survivors,
    })
}

/// What is kept and was not asked for, neither itself nor as a part.
fn leftovers(kept: &Kept, needed: &HashSet<ObjectId>) -> Leftovers {
    let mut leftovers = Leftovers::default();
    let asked = |id: &ObjectId| needed.contains(id) || kept.parts.contains(id);
    for (_, copies) in kept.objects.iter().filter(|(id, _)| !asked(id)) {
        leftovers.objects += 1;
        let stored = copies.iter().map(|copied| copied.stored);
        leftovers.bytes += stored.min().unwrap_or(0);
    }
    leftovers
}

/// Gives each kept object the one pack that keeps it: one that stays anyway, or else one that need not be written anew,
/// and of these the one with the most that is kept. Where a copy elsewhere is let go for it, it is read first.
/// Returns the objects of which no copy can be read.
fn settle(
    shared: &Arc<Shared>,
    survey: &Survey,
    kept: &Kept,
    rules: &Rules<'_>,
    standings: &mut [Standing],
    prover: &mut Prover,
    progress: &dyn Progress,
) -> Result<BTreeSet<ObjectId>> {
    let mut damaged = BTreeSet::new();
    let mut holds = vec![0u64; standings.len()];
    for copied in kept.objects.values().flatten() {
        holds[copied.pack] = holds[copied.pack].saturating_add(copied.stored);
    }
    for standing in standings.iter_mut() {
        let stays = standing.stays;
        *standing = Standing {
            stays,
            ..Standing::default()
        };
    }
    let rank = |copied: &Copied| {
        let (listed, holds) = (&survey.packs[copied.pack], holds[copied.pack]);
        (
            !standings[copied.pack].stays,
            rules.is_worth(listed, holds),
            std::cmp::Reverse(holds),
            listed.pack.name,
        )
    };
    let mut homes: Vec<(Option<&Copied>, &Vec<Copied>)> = Vec::with_capacity(kept.objects.len());
    for copies in kept.objects.values() {
        let mut order: Vec<&Copied> = copies.iter().collect();
        order.sort_by_key(|copied| rank(copied));
        let all_stay = copies.iter().all(|copied| standings[copied.pack].stays);
        let mut home = None;
        for copied in order {
            let pack = &survey.packs[copied.pack].pack;
            let trusted = copied.readable && (copies.len() == 1 || all_stay);
            if trusted || prover.is_good(shared, pack, &copied.entry, progress)? {
                home = Some(copied);
                break;
            }
        }
        homes.push((home, copies));
    }
    for (home, copies) in homes {
        match home {
            Some(copied) => {
                let standing = &mut standings[copied.pack];
                standing.own = standing.own.saturating_add(copied.stored);
                standing.survivors.push(copied.entry);
            }
            // None can be read: each may be the one that somebody can mend.
            None => {
                for copied in copies {
                    standings[copied.pack].hurt = true;
                    damaged.insert(copied.entry.id);
                }
            }
        }
    }
    for standing in standings.iter_mut() {
        // In the order of the disk.
        standing
            .survivors
            .sort_unstable_by_key(|entry| entry.offset);
    }
    Ok(damaged)
}
