//! What an item's chunks are coded against: decided once for all of them, by samples.

mod bases;
mod contest;
mod fitted;
mod full;
mod rearrange;
mod sample;
mod sketch;
mod source;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::ObjectId;

use super::super::chain::Tools;
use super::super::codec::{Against, Conversion, Encoder, Floats, Format, Look, Sample, View};
use super::super::object::Object;
use super::super::writer::{Numbers, PutItem};
use super::super::{Element, Shared};
use bases::Bases;
use contest::{Contest, Contests};
use full::Full;
pub(super) use rearrange::Search;
use sample::{Piece, rows, samples};
use sketch::{Sketch, size};
pub(super) use source::Place;
use source::Source;

/// The longest chain of deltas that is written. Each object on the way costs time at every read, and with bases well
/// chosen ([`full`]) longer chains would save little.
pub(in crate::store) const HEIGHT: u8 = 4;

/// A base that makes an item so many times smaller is taken before others are tried.
const GOOD: usize = 16;

/// A base is taken where it saves at least a tenth of what the item would be without one.
const WORTH: (usize, usize) = (9, 10);

/// What naming a base takes.
const NAME: usize = 32;

/// Items up to this length are not compared: what a difference saves, naming its base takes.
const TINY: u64 = 2 * NAME as u64;

/// How much is tried to store an item small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Effort {
    /// What a commit can wait for.
    Quick,
    /// Everything that is likely to help. The caller answers for the candidates: each of them is tried, and their
    /// chains are not looked at.
    Thorough,
}

/// What is made of a base's bytes.
#[derive(Default)]
enum Way {
    #[default]
    Same,
    View(View),
    Floats(Floats),
}

/// What an item is coded against.
#[derive(Default)]
pub(super) struct Plan {
    source: Option<Source>,
    way: Way,
    /// What all chunks share.
    tables: Vec<u8>,
}

impl Plan {
    fn against(source: Source, way: Way) -> Self {
        Self {
            source: Some(source),
            way,
            tables: Vec::new(),
        }
    }

    /// Where the base bytes are that belong to `len` bytes of the item from `offset` on; `None` where there are none.
    fn place(&self, offset: u64, len: usize) -> Option<(Place, usize)> {
        let (offset, len) = match &self.way {
            Way::View(view) => {
                let base_len = |len| view.conversion().base_len(len);
                (base_len(offset), base_len(len as u64) as usize)
            }
            Way::Floats(floats) => (
                floats.offset(offset),
                floats.len(offset, len as u64) as usize,
            ),
            Way::Same => (offset, len),
        };
        Some((self.source.as_ref()?.place(offset, len)?, len))
    }

    /// Puts these bytes into `out`, and says where they are; `None` where there are none, or none that can be read.
    pub(super) fn read(
        &self,
        offset: u64,
        len: usize,
        tools: &mut Tools,
        out: &mut Vec<u8>,
    ) -> Option<Place> {
        let (place, len) = self.place(offset, len)?;
        self.source.as_ref()?.read(&place, len, tools, out)?;
        Some(place)
    }

    /// What is made of the base's bytes.
    pub(super) fn look(&self) -> Look<'_> {
        match &self.way {
            Way::Same => Look::Same,
            Way::View(view) => Look::View(view),
            Way::Floats(floats) => Look::Floats(*floats),
        }
    }
}

/// A plan, and what each of the samples shrinks to with it.
struct Tried {
    plan: Plan,
    sizes: Vec<usize>,
}

impl Tried {
    fn total(&self) -> usize {
        self.sizes.iter().sum()
    }
}

/// The base bytes of a sample, if it has some, and where they are.
type Window = Option<(Place, Vec<u8>)>;

/// The plans of the items at work. Each is made by the first worker that needs it, while others that need the same
/// one wait, and dropped when its item is done.
pub(super) struct Plans<'a> {
    slots: Vec<Mutex<Option<Arc<Plan>>>>,
    contests: Mutex<Contests>,
    search: Search<'a>,
}

impl<'a> Plans<'a> {
    /// Room for the plans of so many items.
    pub(super) fn new(items: usize, search: Search<'a>) -> Self {
        Self {
            slots: std::iter::repeat_with(Mutex::default).take(items).collect(),
            contests: Mutex::default(),
            search,
        }
    }

    /// False where an item has nothing that it could be coded against.
    pub(super) fn has_any(&self, number: usize, item: &PutItem<'_>) -> bool {
        let somewhere = !item.bases.is_empty() || self.search.fresh(number).is_some();
        somewhere && item.len > TINY && item.element.storable() != Element::Bytes
    }

    pub(super) fn get(&self, item: usize, make: impl FnOnce() -> Plan) -> Arc<Plan> {
        let mut slot = self.slots[item]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        slot.get_or_insert_with(|| Arc::new(make())).clone()
    }

    fn contests(&self) -> MutexGuard<'_, Contests> {
        self.contests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops the plan of an item; the ids of its bases, and the tables that its chunks share.
    pub(super) fn end(&self, item: usize) -> Option<(Vec<ObjectId>, Vec<u8>)> {
        let mut slot = self.slots[item]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let plan = slot.take()?;
        Some((plan.source.as_ref()?.ids(), plan.tables.clone()))
    }
}

/// Makes plans, with one thread's tools.
pub(super) struct Planner<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) plans: &'a Plans<'a>,
    pub(super) effort: Effort,
    pub(super) tools: &'a mut Tools,
    pub(super) encoder: &'a mut Encoder,
}

impl Planner<'_> {
    /// Looks for the best base of an item, and for the best way to look at it. What cannot be read is no base, and
    /// no error either: the item is then stored as if it had no past.
    pub(super) fn plan(&mut self, number: usize, item: &PutItem<'_>) -> Plan {
        let bases = match self.effort {
            Effort::Quick => self.candidates(item),
            Effort::Thorough => self.all(item),
        };
        if bases.found.is_empty() && self.plans.search.fresh(number).is_none() {
            return Plan::default();
        }
        let samples = samples(item, self.effort);
        let alone = samples
            .iter()
            .map(|(offset, new)| self.encoder.size(&item.chunk(new, *offset), None));
        let alone: Vec<usize> = alone.collect();
        let mut tried = self.best(item, &bases, &samples, &alone);
        // A repack writes none: what its chunks need is measured against copies that are about to go, and multiplies
        // along a chain with what is written for their bases meanwhile.
        if self.effort == Effort::Quick
            && let Some(better) = self.rearranged(number, item, &bases, &samples, &alone, &tried)
        {
            tried = better;
        }
        let size = tried.total();
        let mut plan = match self.with_low_rank(item, &tried.plan) {
            Some(better) if self.size(item, &samples, &better) < Some(size) => better,
            _ => tried.plan,
        };
        if let Way::View(view) = &plan.way {
            plan.tables = self.encoder.tables(view);
        }
        plan
    }

    /// The base and the conversion of it that make samples of the item smallest, if one is worth it; without, they
    /// are as large as one has to undercut.
    fn best(
        &mut self,
        item: &PutItem<'_>,
        bases: &Bases,
        samples: &[Piece],
        alone: &[usize],
    ) -> Tried {
        let worth = alone.iter().map(|size| size / WORTH.1 * WORTH.0);
        let mut worth: Vec<usize> = worth.collect();
        // A small item is a single sample.
        if let Some(first) = worth.first_mut() {
            *first = first.saturating_sub(NAME);
        }
        let mut best = Tried {
            plan: Plan::default(),
            sizes: worth,
        };
        let worth = best.total();
        let alone = alone.iter().sum::<usize>();
        let end = bases.full.as_ref();
        let end = end.and_then(|end| self.with(item, end, samples, worth));
        let full = end.map(|tried| Full {
            next: tried.total(),
        });
        let cost = |size: usize, height: u8| match &full {
            Some(full) => full.cost(size, height),
            None => size as u64,
        };
        let mut least = u64::MAX;
        let mut contest = Contest {
            small: is_small(item),
            ..Contest::default()
        };
        for base in &bases.found {
            contest.try_version(base.version);
            if let Some(tried) = self.with(item, &base.object, samples, worth)
                && cost(tried.total(), base.height) < least
            {
                least = cost(tried.total(), base.height);
                best = tried;
                contest.winner = Some(base.version);
            }
            let is_good = best.total() * GOOD < alone;
            if self.effort == Effort::Quick && is_good && full.is_none() {
                break;
            }
        }
        if self.effort == Effort::Quick {
            contest.contested = bases.versions() > 1;
            self.plans.contests().end(contest);
        }
        best
    }

    /// The best plan with this base, if it is below what one is `worth`.
    fn with(
        &mut self,
        item: &PutItem<'_>,
        base: &Arc<Object>,
        samples: &[Piece],
        worth: usize,
    ) -> Option<Tried> {
        let element = base.record().element;
        let mut best: Option<Tried> = None;
        for (number, way) in ways(item, element).into_iter().enumerate() {
            // BF16 and F16 look alike to the store: of which of them a base is, only samples tell.
            let told = number > 0 && element == item.element.storable();
            if told && (best.is_some() || !self.is_like(samples, base)) {
                break;
            }
            let plan = Plan::against(Source::One(base.clone()), way);
            let least = best.as_ref().map_or(worth, Tried::total);
            let tried = self.fitted(item, samples, plan);
            best = tried.filter(|tried| tried.total() < least).or(best);
        }
        best
    }

    /// True where the numbers of a sample are in about the order of those of a base of such elements, whatever their
    /// format.
    fn is_like(&mut self, samples: &[Piece], base: &Object) -> bool {
        let element = base.record().element;
        let sketches = samples.first().and_then(|(offset, new)| {
            let mut old = Vec::new();
            let read = base.window(*offset, size(element), self.tools, &mut old);
            read.ok()?;
            Some((Sketch::of(new, element)?, Sketch::of(&old, element)?))
        });
        sketches.is_some_and(|(new, old)| new.is_near(old))
    }

    /// What samples shrink to with a plan; `None` where its base cannot be read.
    fn size(&mut self, item: &PutItem<'_>, samples: &[Piece], plan: &Plan) -> Option<usize> {
        Some(self.sizes(item, samples, plan)?.iter().sum())
    }

    /// What each of the samples shrinks to with a plan: one for which it has no base bytes, to what it is alone.
    fn sizes(&mut self, item: &PutItem<'_>, samples: &[Piece], plan: &Plan) -> Option<Vec<usize>> {
        let windows = self.windows(samples, plan)?;
        Some(self.sizes_by(item, samples, &windows, plan))
    }

    /// The base bytes of each of the samples; `None` where one cannot be read.
    fn windows(&mut self, samples: &[Piece], plan: &Plan) -> Option<Vec<Window>> {
        let windows = samples.iter().map(|(offset, new)| {
            if plan.place(*offset, new.len()).is_none() {
                return Some(None);
            }
            let mut base = Vec::new();
            let place = plan.read(*offset, new.len(), self.tools, &mut base)?;
            Some(Some((place, base)))
        });
        windows.collect()
    }

    /// [`Planner::sizes`], with the base bytes at hand.
    fn sizes_by(
        &mut self,
        item: &PutItem<'_>,
        samples: &[Piece],
        windows: &[Window],
        plan: &Plan,
    ) -> Vec<usize> {
        let sizes = samples.iter().zip(windows).map(|((offset, new), window)| {
            let against = window.as_ref().map(|(place, base)| Against {
                base,
                look: plan.look(),
                strips: place.strips(),
            });
            self.encoder.size(&item.chunk(new, *offset), against)
        });
        sizes.collect()
    }

    /// A plan with a matrix of low rank added to its base, if one pays.
    fn with_low_rank(&mut self, item: &PutItem<'_>, plan: &Plan) -> Option<Plan> {
        let source = plan.source.as_ref()?;
        let Numbers { format, columns } = item.numbers?;
        let conversion = conversion(item, &plan.way)?;
        if format == Format::I8 {
            return None;
        }
        let mut sample = Sample::new(columns, item.len / format.width() as u64)?;
        let mut old = Vec::new();
        let (pieces, most) = rows(item, format);
        for (index, piece) in pieces.iter().enumerate() {
            let (offset, new) = piece()?;
            if plan.place(offset, new.len()).is_none() {
                continue;
            }
            plan.read(offset, new.len(), self.tools, &mut old)?;
            let most = most * (index + 1) / pieces.len();
            sample.add(&conversion, &new, &old, offset, most);
        }
        let view = View::with_low_rank(conversion, &sample)?;
        Some(Plan::against(source.clone(), Way::View(view)))
    }
}

/// How a base's numbers become an item's, where these are known: they are the same ones, unless the way says otherwise.
fn conversion(item: &PutItem<'_>, way: &Way) -> Option<Conversion> {
    match way {
        Way::View(view) => Some(*view.conversion()),
        Way::Same | Way::Floats(_) => item.numbers.map(|numbers| same(numbers.format)),
    }
}

/// True where trying a base costs more than what it may save is worth, unless bases of its version are of use.
fn is_small(item: &PutItem<'_>) -> bool {
    item.len <= super::SMALL
}

fn same(format: Format) -> Conversion {
    Conversion {
        from: format,
        to: format,
        factor: 1.0,
    }
}

/// How an item's numbers may come from a base of such elements, the likeliest first.
fn ways(item: &PutItem<'_>, base: Element) -> Vec<Way> {
    let casts = casts(item, base);
    let same = base == item.element.storable() || casts.is_empty();
    same.then_some(Way::Same).into_iter().chain(casts).collect()
}

/// The same, other than as they are.
fn casts(item: &PutItem<'_>, base: Element) -> Vec<Way> {
    let from: &[Format] = match base {
        Element::Number {
            width: 2,
            float: true,
        } => &[Format::Bf16, Format::F16],
        Element::Number {
            width: 4,
            float: true,
        } => &[Format::F32],
        Element::Number {
            width: 1,
            float: true,
        } => &[Format::E4m3, Format::E5m2],
        _ => &[],
    };
    let from = from.iter().copied();
    match (item.numbers, &item.fields) {
        (Some(Numbers { format: to, .. }), _) => from
            .filter(|from| *from != to)
            .map(|from| Way::View(View::of(Conversion { from, ..same(to) })))
            .collect(),
        (None, Some(fields)) => {
            let wide = from.filter(|from| from.width() > 1);
            let floats = wide.filter_map(|from| Floats::of(from, fields));
            floats.map(Way::Floats).collect()
        }
        (None, None) => Vec::new(),
    }
}
