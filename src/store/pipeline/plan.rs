//! What an item's chunks are coded against: decided once for all of them, by samples.

mod contest;
mod rearrange;
mod sample;
mod sketch;
mod source;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::ObjectId;

use super::super::codec::{Against, Conversion, Encoder, Format, Sample, View, factor};
use super::super::object::{Object, Tools};
use super::super::writer::{Candidate, Numbers, PutItem};
use super::super::{Element, Shared};
use contest::Contests;
pub(super) use rearrange::Search;
use sample::{Piece, rows, samples};
pub(super) use source::Place;
use source::Source;

/// The longest chain of deltas that is written. Each object on the way costs time at every read, and bases further
/// back are hardly worse: the difference grows with the logarithm of the steps between.
const HEIGHT: u8 = 4;

/// No more objects than this are tried as bases of one item.
const CANDIDATES: usize = 8;

/// A base that makes an item so many times smaller is taken before others are tried.
const GOOD: usize = 16;

/// A base is taken where it saves at least a tenth of what the item would be without one.
const WORTH: (usize, usize) = (9, 10);

/// What an item is coded against.
#[derive(Default)]
pub(super) struct Plan {
    source: Option<Source>,
    view: Option<View>,
    /// What all chunks share.
    tables: Vec<u8>,
}

impl Plan {
    fn against(source: Source, view: Option<View>) -> Self {
        Self {
            source: Some(source),
            view,
            tables: Vec::new(),
        }
    }

    /// Where the base bytes are that belong to `len` bytes of the item from `offset` on; `None` where there are none.
    fn place(&self, offset: u64, len: usize) -> Option<(Place, usize)> {
        let (offset, len) = match &self.view {
            Some(view) => {
                let base_len = |len| view.conversion().base_len(len);
                (base_len(offset), base_len(len as u64) as usize)
            }
            None => (offset, len),
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

    /// What is made of the base's bytes; `None` for nothing.
    pub(super) fn view(&self) -> Option<&View> {
        self.view.as_ref()
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
        somewhere && item.element.storable() != Element::Bytes
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
    pub(super) tools: &'a mut Tools,
    pub(super) encoder: &'a mut Encoder,
}

impl Planner<'_> {
    /// Looks for the best base of an item, and for the best way to look at it. What cannot be read is no base, and
    /// no error either: the item is then stored as if it had no past.
    pub(super) fn plan(&mut self, number: usize, item: &PutItem<'_>) -> Plan {
        let candidates = self.candidates(item);
        if candidates.is_empty() && self.plans.search.fresh(number).is_none() {
            return Plan::default();
        }
        let samples = samples(item);
        let alone = samples
            .iter()
            .map(|(_, new)| self.encoder.size(new, item.element, None));
        let alone: Vec<usize> = alone.collect();
        let mut tried = self.best(item, &candidates, &samples, &alone);
        if let Some(better) = self.rearranged(number, item, &candidates, &samples, &alone, &tried) {
            tried = better;
        }
        let size = tried.total();
        let mut plan = match self.with_low_rank(item, &tried.plan) {
            Some(better) if self.size(item, &samples, &better) < Some(size) => better,
            _ => tried.plan,
        };
        if let Some(view) = &plan.view {
            plan.tables = self.encoder.tables(view);
        }
        plan
    }

    /// The objects that may serve, each once. Where a chain would become too long, what its end is coded against
    /// stands for it.
    fn candidates(&mut self, item: &PutItem<'_>) -> Vec<(usize, Arc<Object>)> {
        let mut found = Vec::new();
        let mut left = self.plans.contests().order(&item.bases);
        left.reverse();
        let mut tried = Vec::new();
        while let Some(Candidate { id, version }) = left.pop() {
            if tried.contains(&id) || tried.len() == 2 * CANDIDATES {
                continue;
            }
            tried.push(id);
            let Ok(object) = Object::open(self.shared, &id, 0, self.tools) else {
                continue;
            };
            match object.height(self.tools) {
                Ok(height) if height < HEIGHT => found.push((version, Arc::new(object))),
                Ok(_) => {
                    let bases = object.record().bases.iter().rev();
                    left.extend(bases.map(|id| Candidate { id: *id, version }));
                }
                Err(_) => {}
            }
            if found.len() == CANDIDATES {
                break;
            }
        }
        found
    }

    /// The base and the conversion of it that make samples of the item smallest, if one is worth it; without, they
    /// are as large as one has to undercut.
    fn best(
        &mut self,
        item: &PutItem<'_>,
        candidates: &[(usize, Arc<Object>)],
        samples: &[Piece],
        alone: &[usize],
    ) -> Tried {
        let worth = alone.iter().map(|size| size / WORTH.1 * WORTH.0);
        let mut best = Tried {
            plan: Plan::default(),
            sizes: worth.collect(),
        };
        let alone = alone.iter().sum::<usize>();
        let mut winner = None;
        for (version, base) in candidates {
            for conversion in conversions(item, base.record().element) {
                let view = match conversion {
                    Some(conversion) => match self.fitted(base, conversion, samples) {
                        Some(conversion) => Some(View::of(conversion)),
                        None => continue,
                    },
                    None => None,
                };
                let plan = Plan::against(Source::One(base.clone()), view);
                match self.sizes(item, samples, &plan) {
                    Some(sizes) if sizes.iter().sum::<usize>() < best.total() => {
                        best = Tried { plan, sizes };
                        winner = Some(*version);
                    }
                    _ => {}
                }
            }
            if best.total() * GOOD < alone {
                break;
            }
        }
        if candidates.len() > 1 {
            self.plans.contests().end(winner);
        }
        best
    }

    /// A conversion, with the factor that integers need.
    fn fitted(
        &mut self,
        base: &Arc<Object>,
        conversion: Conversion,
        samples: &[Piece],
    ) -> Option<Conversion> {
        if conversion.to != Format::I8 {
            return Some(conversion);
        }
        let plan = Plan::against(Source::One(base.clone()), Some(View::of(conversion)));
        let (mut new, mut old, mut window) = (Vec::new(), Vec::new(), Vec::new());
        for (offset, bytes) in samples {
            plan.read(*offset, bytes.len(), self.tools, &mut window)?;
            new.extend(bytes.iter().take(window.len() / conversion.from.width()));
            old.extend(&window);
        }
        let factor = factor(&new, &old, conversion.from)?;
        Some(Conversion {
            factor,
            ..conversion
        })
    }

    /// What samples shrink to with a plan; `None` where its base cannot be read.
    fn size(&mut self, item: &PutItem<'_>, samples: &[Piece], plan: &Plan) -> Option<usize> {
        Some(self.sizes(item, samples, plan)?.iter().sum())
    }

    /// What each of the samples shrinks to with a plan: one for which it has no base bytes, to what it is alone.
    fn sizes(&mut self, item: &PutItem<'_>, samples: &[Piece], plan: &Plan) -> Option<Vec<usize>> {
        let mut base = Vec::new();
        let sizes = samples.iter().map(|(offset, new)| {
            if plan.place(*offset, new.len()).is_none() {
                return Some(self.encoder.size(new, item.element, None));
            }
            let place = plan.read(*offset, new.len(), self.tools, &mut base)?;
            let against = Against {
                base: &base,
                view: plan.view(),
                offset: *offset,
                strips: place.strips(),
            };
            Some(self.encoder.size(new, item.element, Some(against)))
        });
        sizes.collect()
    }

    /// A plan with a matrix of low rank added to its base, if one pays.
    fn with_low_rank(&mut self, item: &PutItem<'_>, plan: &Plan) -> Option<Plan> {
        let source = plan.source.as_ref()?;
        let Numbers { format, columns } = item.numbers?;
        let conversion = match plan.view() {
            Some(view) => *view.conversion(),
            None => same(format),
        };
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
        Some(Plan::against(source.clone(), Some(view)))
    }
}

fn same(format: Format) -> Conversion {
    Conversion {
        from: format,
        to: format,
        factor: 1.0,
    }
}

/// How an item's numbers may come from a base of such elements: `None` for just as they are.
fn conversions(item: &PutItem<'_>, base: Element) -> Vec<Option<Conversion>> {
    let plain = vec![None];
    if base == item.element.storable() {
        return plain;
    }
    let (Some(Numbers { format: to, .. }), Element::Number { width, float: true }) =
        (item.numbers, base)
    else {
        return plain;
    };
    let from: &[Format] = match width {
        2 => &[Format::Bf16, Format::F16],
        4 => &[Format::F32],
        _ => return plain,
    };
    from.iter()
        .map(|from| {
            Some(Conversion {
                from: *from,
                ..same(to)
            })
        })
        .collect()
}
