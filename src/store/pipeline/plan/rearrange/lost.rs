//! The objects of tensors that are no longer there, and what is known of them during one put.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::base::id::CHUNK;
use crate::base::{ObjectId, ReadAt};
use crate::store::chain::Tools;
use crate::store::height::tallest;
use crate::store::kindred::{Fresh, Kindred};
use crate::store::object::Object;
use crate::store::parallel::for_each;
use crate::store::{Element, Shared};

use super::super::HEIGHT;
use super::super::sketch::{NUMBERS, Peek, Sketch, size};

/// So many bytes of lost objects are looked at, however few came in their place.
const LEAST: u64 = 64 << 20;

/// No more lost objects than this are looked at.
const MOST: usize = 1 << 16;

/// The names of so many lost objects are compared with that of a part, and so many of them are looked through for it.
const COMPARED: usize = 1 << 13;
const WHOLES: usize = 32;

/// So many sketches of the beginning of an object are known.
const HEAD: u64 = 4;

/// What looking through an object for a part is taken to cost, in bytes.
const LOOK: u64 = 4 << 20;

/// More objects that begin alike tell nothing.
const ALIKE: usize = 8;

/// So many lost objects of one length are compared with what one of them may have been cast to, and so many of them
/// are tried.
const EQUALS: usize = 1 << 12;
const CASTS: usize = 4;

/// So many parts of equal length are looked for in an object.
const STACKED: u64 = 1024;

/// So often a matrix is looked through for rows that moved, before any was found that has some.
const MOVES: u64 = 6;

/// How often something may be tried: what succeeds earns further trials.
pub(super) struct Credit {
    left: AtomicU64,
}

impl Credit {
    fn of(trials: u64) -> Self {
        Self {
            left: AtomicU64::new(trials),
        }
    }

    /// Takes one trial; false where there is none left.
    pub(super) fn take(&self) -> bool {
        let less = |left: u64| left.checked_sub(1);
        let order = Ordering::Relaxed;
        self.left.fetch_update(order, order, less).is_ok()
    }

    fn any(&self) -> bool {
        self.left.load(Ordering::Relaxed) > 0
    }

    /// A trial was worth it.
    pub(super) fn earn(&self, trials: usize) {
        self.left.fetch_add(trials as u64, Ordering::Relaxed);
    }
}

/// What one put looks for among what was lost.
pub(in crate::store::pipeline) struct Search<'a> {
    shared: &'a Arc<Shared>,
    kindred: &'a Kindred,
    /// Bytes of items that were not there before.
    fresh: u64,
    /// How often something may still be looked for in vain.
    parts: Credit,
    pub(super) moves: Credit,
    heads: OnceLock<Heads>,
    stacks: Mutex<HashMap<(ObjectId, u64), Stack>>,
}

/// Sketches at the beginnings of what would be an object's parts of equal length.
type Stack = Arc<OnceLock<Vec<(u64, Sketch)>>>;

impl<'a> Search<'a> {
    pub(in crate::store::pipeline) fn new(
        shared: &'a Arc<Shared>,
        kindred: &'a Kindred,
        lengths: impl Iterator<Item = u64>,
    ) -> Self {
        let lengths = lengths.zip(&kindred.new);
        let fresh = lengths.filter_map(|(len, new)| new.is_some().then_some(len));
        let fresh = fresh.sum::<u64>();
        Self {
            shared,
            kindred,
            fresh,
            parts: Credit::of((LEAST + fresh) / LOOK),
            moves: Credit::of(MOVES),
            heads: OnceLock::new(),
            stacks: Mutex::default(),
        }
    }

    /// What an item is, if it was not there before and something was lost.
    pub(in crate::store::pipeline) fn fresh(&self, item: usize) -> Option<&'a Fresh> {
        let new = self.kindred.new.get(item)?.as_ref();
        new.filter(|_| !self.kindred.lost.is_empty())
    }

    /// A lost object for what is written with several, and the length of its rows. That has to leave room for a version
    /// after it, which has no other base that is like it.
    pub(super) fn open(&self, lost: usize, tools: &mut Tools) -> Option<(Arc<Object>, u64)> {
        self.open_below(lost, HEIGHT - 1, tools)
    }

    /// A lost object below a height, and the length of its rows. Where it ends a chain that is long enough, the object
    /// that it is a difference to stands for it.
    pub(super) fn open_below(
        &self,
        lost: usize,
        height: u8,
        tools: &mut Tools,
    ) -> Option<(Arc<Object>, u64)> {
        let kin = self.kindred.lost.get(lost)?;
        let mut id = kin.id;
        loop {
            let object = Object::open(self.shared, &id, tools).ok()?;
            if object.len() != kin.len {
                return None;
            }
            if tallest(self.shared, &id).ok()? < height {
                return Some((Arc::new(object), kin.tensor.row));
            }
            let [base] = object.record().bases.as_slice() else {
                return None;
            };
            id = *base;
        }
    }

    /// Looks through those that an item may be a part of, the likeliest first, for one that `look` finds it in.
    pub(super) fn in_wholes<T>(
        &self,
        fresh: &Fresh,
        element: Element,
        len: u64,
        mut look: impl FnMut(usize) -> Option<T>,
    ) -> Option<T> {
        let wholes = self.wholes(fresh, element, len);
        let afforded = wholes.into_iter().take_while(|_| self.parts.take());
        let found = afforded.into_iter().find_map(&mut look)?;
        self.parts.earn(WHOLES);
        Some(found)
    }

    fn wholes(&self, fresh: &Fresh, element: Element, len: u64) -> Vec<usize> {
        if !self.parts.any() {
            return Vec::new();
        }
        let kin = self.kindred.lost.iter().take(MOST).enumerate();
        let mut fit: Vec<(usize, usize)> = kin
            .filter(|(_, kin)| kin.element.storable() == element && kin.len > len)
            .take(COMPARED)
            .map(|(at, kin)| (kin.tensor.likeness(fresh), at))
            .collect();
        fit.sort_by_key(|(likeness, at)| (std::cmp::Reverse(*likeness), *at));
        fit.into_iter().map(|(_, at)| at).take(WHOLES).collect()
    }

    /// Those that have rows of this length, the nearest in length first.
    pub(super) fn of_row(&self, row: u64, element: Element, len: u64) -> Vec<usize> {
        let kin = self.kindred.lost.iter().take(MOST).enumerate();
        let mut fit: Vec<(u64, usize)> = kin
            .filter(|(_, kin)| kin.element.storable() == element && kin.tensor.row == row)
            .map(|(at, kin)| (kin.len.abs_diff(len), at))
            .collect();
        fit.sort_unstable();
        fit.into_iter().map(|(_, at)| at).collect()
    }

    /// The beginnings of all lost objects.
    pub(super) fn heads(&self) -> &Heads {
        self.heads.get_or_init(|| self.read_heads())
    }

    /// The lost floats that numbers which begin so may have become, as many as these are: the likeliest first.
    pub(super) fn cast_to(&self, begins: Sketch, numbers: u64) -> Vec<usize> {
        let widths = [4, 2, 1].into_iter().flat_map(|width| {
            let len = numbers.saturating_mul(u64::from(width));
            let key = (Element::number(width, true), len);
            self.heads().wholes.get(&key).into_iter().flatten()
        });
        let near = widths.filter(|(_, head)| head.is_near(begins));
        let mut near: Vec<(u32, usize)> = near
            .map(|(at, head)| (head.distance(begins), *at))
            .collect();
        near.sort_unstable();
        near.into_iter().map(|(_, at)| at).take(CASTS).collect()
    }

    fn read_heads(&self) -> Heads {
        let mut bytes = LEAST.saturating_add(self.fresh);
        let kin = self.kindred.lost.iter().take(MOST);
        let count = kin
            .take_while(|kin| {
                let afforded = bytes > 0;
                bytes = bytes.saturating_sub(kin.len.min(CHUNK as u64));
                afforded
            })
            .count();
        let state = || (Tools::default(), Vec::new());
        let found = for_each(count as u64, state, |(tools, found), at| {
            let at = at as usize;
            let object = Object::open(self.shared, &self.kindred.lost[at].id, tools);
            let Ok(object) = object else { return Ok(()) };
            let mut peek = Peek::new(&object);
            let size = size(object.record().element) as u64;
            let head = (0..HEAD).map_while(|i| peek.sketch(i * size, tools));
            found.push((at, head.collect()));
            Ok::<_, std::convert::Infallible>(())
        });
        let Ok(found) = found;
        let mut all: Vec<(usize, Vec<Sketch>)> =
            found.into_iter().flat_map(|(_, found)| found).collect();
        all.sort_unstable_by_key(|(at, _)| *at);
        let mut heads = Heads::default();
        for (at, head) in all {
            let kin = &self.kindred.lost[at];
            heads.add(at, kin.element.storable(), kin.len, &head);
        }
        heads
    }

    /// Where parts of `len` bytes each would begin in an object, counted from its beginning and from its end: those
    /// places where it looks as `sketch` does.
    pub(super) fn stacked(
        &self,
        object: &Object,
        len: u64,
        sketch: Sketch,
        tools: &mut Tools,
    ) -> Vec<u64> {
        let key = (object.id(), len);
        let mut stacks = self.stacks.lock().unwrap_or_else(PoisonError::into_inner);
        let stack = stacks.entry(key).or_default().clone();
        drop(stacks);
        let known = stack.get_or_init(|| {
            let parts = (object.len() / len).min(STACKED);
            let from_end = (1..=parts).map(|i| object.len() - i * len);
            let mut places: Vec<u64> = (0..parts).map(|i| i * len).chain(from_end).collect();
            places.sort_unstable();
            places.dedup();
            let mut peek = Peek::new(object);
            let sketch = |place| Some((place, peek.sketch(place, tools)?));
            places.into_iter().filter_map(sketch).collect()
        });
        let near = known.iter().filter(|(_, old)| old.is_near(sketch));
        near.map(|(place, _)| *place).collect()
    }
}

/// How lost objects begin.
#[derive(Default)]
pub(super) struct Heads {
    /// By the half of which sketch of its beginning: the object, and the first sketch.
    places: HashMap<(Element, u64, u64), Vec<(usize, Sketch)>>,
    shortest: HashMap<Element, u64>,
    /// By length: the objects, and the first sketch of each.
    wholes: HashMap<(Element, u64), Vec<(usize, Sketch)>>,
}

impl Heads {
    fn add(&mut self, at: usize, element: Element, len: u64, head: &[Sketch]) {
        let Some(first) = head.first().filter(|first| first.tells()) else {
            return;
        };
        let shortest = self.shortest.entry(element).or_insert(u64::MAX);
        *shortest = len.min(*shortest);
        let wholes = self.wholes.entry((element, len)).or_default();
        if wholes.len() < EQUALS {
            wholes.push((at, *first));
        }
        for (number, sketch) in (0..).zip(head).filter(|(_, sketch)| sketch.tells()) {
            for half in sketch.halves() {
                let places = self.places.entry((element, number, half)).or_default();
                if places.len() < ALIKE {
                    places.push((at, *first));
                }
            }
        }
    }

    /// The lost objects that begin as `sketch` says, which is given how many sketches after the beginning: each once.
    pub(super) fn near(
        &self,
        sketch: impl Fn(u64) -> Option<Sketch>,
        element: Element,
    ) -> Vec<usize> {
        let Some(first) = sketch(0).filter(|first| first.tells()) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for number in 0..HEAD {
            let Some(sketch) = sketch(number) else {
                break;
            };
            let halves = sketch.halves().into_iter();
            let known = halves.filter_map(|half| self.places.get(&(element, number, half)));
            let near = known.flatten().filter(|(_, head)| head.is_near(first));
            for (at, _) in near {
                if !found.contains(at) {
                    found.push(*at);
                }
            }
        }
        found.truncate(ALIKE);
        found
    }

    /// The length of the shortest of them.
    pub(super) fn shortest(&self, element: Element) -> u64 {
        let shortest = self.shortest.get(&element).copied();
        shortest.unwrap_or(NUMBERS as u64)
    }
}
