//! Objects written anew, each in the best place that there is: with a base that none was known of before, or a better
//! one, in few large packs, and the versions that are read most with short chains.
//!
//! **No circle, and no chain that is too long, for a reader that takes any copy.** New copies are visible beside the
//! old ones, for a moment or, after a crash, for long. So what counts is the [`web::Web`]: all copies of all objects,
//! old and new, with everything that any of them is written with.
//!
//! 1. Objects are decided one after the other, and all that some old copy of an object is written with comes before
//!    it: first those that no copy needs anything for, then those that need only these, and so on. A new copy is
//!    written only with what was decided before. So every line of the web, old and new, leads from later to earlier,
//!    and none can close a circle.
//! 2. A new copy of X is written with Y only where the longest chain that leads up to X over old copies, this line,
//!    and the longest chain on from Y over all copies are 8 lines together at most. Consider any chain over any
//!    copies, and the first of its lines that is new: before it there are only old ones, and what follows was
//!    measured. So it has 8 lines at most; and a chain of old lines alone is what it was.
//! 3. Packs are published while nobody writes ([`Alone::publish`]), and only if 1 and 2 still hold of the web as it
//!    is by then, new lines of others included. A writer that comes later counts the longest chain over all copies
//!    ([`crate::store::height`]).
//!
//! In the same way no chunk comes to take more of others than a reader decodes for it ([`takes`]): what some copy takes
//! together with others, where work adds up, is never written to take more than it did; everything else stays below
//! what a writer allows itself; and the sum is taken once more before anything is shown.
//!
//! Old packs go after that, as in any gc: each once every object of it that is needed was read to its end elsewhere.
//! Taking them away only takes lines from the web. Cut off anywhere, there are old packs, or these and some new ones;
//! of an old copy that was replaced, what it was written with may go before it, and is brought back by the next gc.

mod choose;
mod due;
mod leftover;
mod takes;
mod web;
mod write;

use std::collections::{HashMap, HashSet};

use crate::base::{ObjectId, Progress};
use crate::store::error::Result;
use crate::store::hold::Hold;
use crate::store::layout;
use crate::store::pack::Durable;
use crate::store::writer::{Candidate, Numbers};

use super::survey::{Kept, Replaced, Survey};
use super::{Alone, Collection, Fate, Plan, Work};
use web::{Node, Web};

/// An object of a version, as far as it may be written with others.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The object.
    pub id: ObjectId,
    /// What is known of its numbers.
    pub numbers: Option<Numbers>,
    /// Objects that are likely to be similar, the likeliest first.
    pub likely: Vec<Candidate>,
    /// How many objects may have to be decoded before one of its chunks can be.
    pub height: u8,
    /// Whether it may take a little more room for that.
    pub shallow: bool,
}

/// What a repack goes by: the objects of each version that are in no newer one, the newest version first.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// The versions.
    pub versions: Vec<Vec<Wanted>>,
}

/// How many of some objects need a chain of each length, from 0 on.
pub type Heights = Vec<u64>;

/// What a repack finds, and does.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Repacked {
    /// Packs whose objects are written anew.
    pub packs: u64,
    /// Their bytes, and those of their indexes.
    pub disk: u64,
    /// Objects of them that stay.
    pub objects: u64,
    /// Bytes of the chunks and records of these.
    pub stored: u64,
    /// Chains of all objects that stay, and of those that should have short ones.
    pub heights: Heights,
    /// The same of the objects that should have short ones.
    pub shallow: Heights,
    /// What became of them; `None` where it is only said what would be done.
    pub done: Option<Done>,
    /// Whether others wrote meanwhile what kept all of it from being shown.
    pub disturbed: bool,
}

/// What a repack did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Done {
    /// New packs.
    pub packs: u64,
    /// How many objects were coded anew; the others were copied as they were.
    pub recoded: u64,
    /// Bytes of the chunks and records of all.
    pub stored: u64,
    /// Objects of no version that nothing is written with any more, and that go.
    pub let_go: u64,
    /// As [`Repacked::heights`].
    pub heights: Heights,
    /// As [`Repacked::shallow`].
    pub shallow: Heights,
}

/// Where a repack stands.
#[derive(Default)]
pub(super) struct Repacking {
    /// Packs that are written anew.
    pub(super) due: HashSet<ObjectId>,
    /// What stays of them because they are young, needed or not.
    pub(super) held: HashSet<ObjectId>,
    /// Whether what is written anew was published.
    pub(super) published: bool,
    ready: Vec<Durable>,
    /// What each object that was coded anew is written with.
    bases: HashMap<ObjectId, Vec<ObjectId>>,
}

impl Repacking {
    /// Says of packs that are due what becomes of them.
    pub(super) fn tell(&self, plan: &mut Plan) {
        let due = plan.packs.iter_mut();
        for pack in due.filter(|pack| self.due.contains(&pack.pack)) {
            pack.fate = match (self.published, pack.fate) {
                (false, Fate::Stays | Fate::Young | Fate::Rewritten) => Fate::Repacked,
                (true, Fate::Goes | Fate::Rewritten) => Fate::Repacked,
                (_, fate) => fate,
            };
        }
    }
}

/// All that is looked at.
struct View {
    survey: Survey,
    kept: Kept,
    web: Web,
    /// The packs that are due, by their places in the survey.
    due: HashSet<usize>,
    /// What is kept only because others are written with it.
    idle: HashSet<ObjectId>,
    /// What may be coded anew, if it is a tensor.
    wanted: HashSet<ObjectId>,
}

impl Collection {
    /// Says what [`Collection::repack`] would write anew, and does nothing.
    pub fn repack_plan(
        &mut self,
        order: &Order,
        needed: &HashSet<ObjectId>,
        progress: &dyn Progress,
    ) -> Result<Repacked> {
        Ok(self.look(order, needed, progress)?.1)
    }

    /// Writes the objects of packs that are due into new ones, which nobody sees yet. Memory does not grow with the
    /// bytes of the objects, only with their number.
    ///
    /// Errors: `Damaged` where an object of them cannot be read, or chains are longer than a reader follows.
    pub fn repack(
        &mut self,
        order: &Order,
        needed: &HashSet<ObjectId>,
        progress: &dyn Progress,
    ) -> Result<Repacked> {
        let (view, mut repacked) = self.look(order, needed, progress)?;
        let Work {
            shared,
            prover,
            repacking,
            ..
        } = &mut self.work;
        let mut written = write::write(shared, &view, order, prover, progress)?;
        let places = |id: &ObjectId| written.places.get(id).map(|place| place.height);
        let (heights, shallow) = count(&view, order, places);
        for sealed in std::mem::take(&mut written.packs) {
            let durable = sealed.sync(&shared.fs, &layout::tmp(&shared.dir))?;
            repacking.ready.push(durable);
        }
        repacking.bases = written.bases;
        repacked.done = Some(Done {
            packs: repacking.ready.len() as u64,
            recoded: written.recoded,
            stored: written.stored,
            let_go: written.let_go,
            heights,
            shallow,
        });
        Ok(repacked)
    }

    fn look(
        &mut self,
        order: &Order,
        needed: &HashSet<ObjectId>,
        progress: &dyn Progress,
    ) -> Result<(View, Repacked)> {
        let shared = self.work.shared.clone();
        let survey = self.work.survey()?;
        let mut kept = Kept::default();
        let mut replaced = Replaced {
            retired: &HashSet::new(),
            prover: &mut self.work.prover,
        };
        let ids = needed.iter().copied();
        survey.keep(&shared, ids, &mut kept, &mut replaced, progress)?;
        let web = Web::of(&shared, &survey, progress)?;
        let wanted: HashSet<ObjectId> = order.versions.iter().flatten().map(|w| w.id).collect();
        let sides = due::Sides {
            survey: &survey,
            kept: &kept,
            web: &web,
            needed,
            wanted: &wanted,
            grace: self.work.grace,
        };
        let due = sides.due(&shared)?;
        let repacking = &mut self.work.repacking;
        for at in &due {
            let listed = &survey.packs[*at];
            repacking.due.insert(listed.pack.name);
            if listed.age < self.work.grace {
                let all = listed.entries.iter().map(|entry| entry.id);
                repacking.held.extend(all);
            }
        }
        let held = repacking.held.iter().copied();
        survey.keep(&shared, held, &mut kept, &mut replaced, progress)?;
        let asked = |id: &ObjectId| {
            needed.contains(id) || repacking.held.contains(id) || kept.parts.contains(id)
        };
        let idle = kept.objects.keys().filter(|id| !asked(id));
        let view = View {
            idle: idle.copied().collect(),
            wanted,
            survey,
            kept,
            web,
            due,
        };
        let of = |at: &usize| view.survey.packs[*at].disk;
        let todo = view.kept.objects.keys().filter(|id| view.is_due(id));
        let (mut objects, mut stored) = (0, 0);
        for id in todo {
            objects += 1;
            stored += view.web.get(id).map_or(0, Node::least);
        }
        let before = |id: &ObjectId| view.web.get(id).map(|node| node.down);
        let (heights, shallow) = count(&view, order, before);
        let repacked = Repacked {
            packs: view.due.len() as u64,
            disk: view.due.iter().map(of).sum(),
            objects,
            stored,
            heights,
            shallow,
            done: None,
            disturbed: false,
        };
        Ok((view, repacked))
    }
}

impl View {
    fn may_be_coded(&self, id: &ObjectId) -> bool {
        self.web.may_be_coded(id, &self.wanted, &self.due)
    }

    fn is_due(&self, id: &ObjectId) -> bool {
        self.web.is_due(id, &self.due)
    }
}

/// Counts objects by their heights: all that are kept, and those of them that should be shallow.
fn count(
    view: &View,
    order: &Order,
    height: impl Fn(&ObjectId) -> Option<u8>,
) -> (Heights, Heights) {
    let add = |heights: &mut Heights, height: u8| {
        let height = usize::from(height);
        if heights.len() <= height {
            heights.resize(height + 1, 0);
        }
        heights[height] += 1;
    };
    let (mut all, mut shallow) = (Heights::new(), Heights::new());
    let kept = view.kept.objects.keys().filter_map(&height);
    kept.for_each(|height| add(&mut all, height));
    let wanted = order.versions.iter().flatten().filter(|one| one.shallow);
    let kept = wanted.filter(|one| view.kept.objects.contains_key(&one.id));
    kept.filter_map(|one| height(&one.id))
        .for_each(|height| add(&mut shallow, height));
    (all, shallow)
}

impl Alone {
    /// Publishes what a repack wrote, and goes on beside writers. False where others wrote meanwhile what makes it
    /// wrong, such as an object that is now needed to read what it was to be written with: then nothing is published.
    pub fn publish(self, progress: &dyn Progress) -> Result<(Collection, bool)> {
        let Self { _hold, mut work } = self;
        let shared = work.shared.clone();
        let ready = std::mem::take(&mut work.repacking.ready);
        let bases = std::mem::take(&mut work.repacking.bases);
        let mut web = Web::of(&shared, &work.survey()?, progress)?;
        let right = web.bears(&bases);
        match right {
            true => {
                let packs = layout::packs(&shared.dir);
                for pack in ready {
                    work.stay.insert(pack.name());
                    pack.publish(&shared.fs, &packs)?;
                }
                shared.packs.refresh(true)?;
                work.repacking.published = true;
            }
            false => work.repacking = Repacking::default(),
        }
        drop(_hold);
        let hold = Hold::shared(&shared)?;
        Ok((Collection { hold, work }, right))
    }
}
