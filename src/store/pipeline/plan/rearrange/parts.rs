//! A tensor that is made of others, or that others are made of: where their beginnings lie, and how far they go.
//!
//! Three things happen to tensors that are put side by side: they follow each other (rows below rows, experts in a
//! stack); each row has a piece of each (`c_attn` of GPT-2); or so many rows of each take turns, as those of each head
//! do. All three are a piece of each, again and again at equal distances.

use std::sync::Arc;

use crate::base::ReadAt;
use crate::store::chain::Tools;
use crate::store::codec::Strip;
use crate::store::object::Object;
use crate::store::writer::PutItem;

use super::super::sketch::{Peek, Sketch, size};
use super::super::source::{BASES, Layout};
use super::lost::Search;

/// At how many places a tensor's origin may be unknown, and at how many before the first that is not.
const MISSES: usize = 64;
const FIRST: usize = 4;

/// How many rows of a larger tensor may come before the first piece of a smaller one, where pieces take turns.
const TURNS: u64 = 256;

/// So many places of a larger tensor are looked at for a smaller one.
const PLACES: u64 = 1024;

/// An item, as the numbers in it are looked at.
pub(super) struct Looked<'a> {
    pub(super) item: &'a PutItem<'a>,
    /// Bytes of a row of its matrix; 0 where it is none.
    pub(super) row: u64,
}

impl Looked<'_> {
    pub(super) fn sketch(&self, offset: u64) -> Option<Sketch> {
        let element = self.item.element.storable();
        let mut bytes = vec![0; size(element)];
        let end = offset.checked_add(bytes.len() as u64)?;
        if end > self.item.len {
            return None;
        }
        let source = self.item.source;
        source
            .read_exact_at(&mut bytes, self.item.offset + offset)
            .ok()?;
        Sketch::of(&bytes, element)
    }
}

/// A piece of a part.
struct Piece {
    /// Bytes of it.
    len: u64,
    /// How many such pieces the part has.
    turns: u64,
}

/// What lies beside each other, piece by piece.
struct Pieces<'a> {
    looked: &'a Looked<'a>,
    tools: &'a mut Tools,
}

impl Pieces<'_> {
    /// How many bytes of `object` from `from` on are those of the item from `at` on, if they are as they begin: all
    /// that there can be of `whole` bytes, or so many rows of `row` bytes that `whole` is a multiple of them.
    fn agree(
        &mut self,
        at: u64,
        object: &Object,
        from: u64,
        row: u64,
        whole: u64,
    ) -> Option<Piece> {
        let size = size(object.record().element) as u64;
        let most = (self.looked.item.len - at)
            .min(object.len() - from)
            .min(whole);
        let mut peek = Peek::new(object);
        let looked = self.looked;
        let tools = &mut *self.tools;
        let mut same = |offset: u64| {
            let old = peek.sketch(from + offset, tools);
            let new = looked.sketch(at + offset);
            old.zip(new).is_some_and(|(old, new)| old.is_near(new))
        };
        if most < size || !same(0) {
            return None;
        }
        let width = size / super::super::sketch::NUMBERS as u64;
        if same((most - size) / width * width) {
            return Some(Piece {
                len: most,
                turns: 1,
            });
        }
        if row == 0 {
            return None;
        }
        // Up to `low` they agree, at `high` they do not.
        let (mut low, mut high) = (size, most);
        while high - low > size {
            let middle = (low + (high - low) / 2) / width * width;
            match same(middle - size / 2 / width * width) {
                true => low = middle,
                false => high = middle,
            }
        }
        let rows = (low + (high - low) / 2 + row / 2) / row;
        let piece = rows * row;
        let fits = rows > 0 && piece.abs_diff(low) <= 2 * size && whole.is_multiple_of(piece);
        fits.then(|| Piece {
            len: piece,
            turns: whole / piece,
        })
    }
}

/// A layout as it grows.
#[derive(Default)]
struct Growing {
    bases: Vec<Arc<Object>>,
    strips: Vec<Strip>,
}

impl Growing {
    /// Adds pieces of an object; false where there is no room for another one.
    fn add(&mut self, object: &Arc<Object>, strip: Strip) -> bool {
        let known = self.bases.iter().position(|base| base.id() == object.id());
        let base = match known {
            Some(base) => base,
            None if self.bases.len() == BASES => return false,
            None => {
                self.bases.push(object.clone());
                self.bases.len() - 1
            }
        };
        self.strips.push(Strip {
            base: base as u8,
            ..strip
        });
        true
    }

    fn done(self, len: u64) -> Option<Layout> {
        Layout::new(self.bases, self.strips, len)
    }
}

/// Pieces of `len` bytes from `at` on, one after the other in their base, in turn with others in the item: `turns` of
/// them every `period` bytes.
fn pieces(at: u64, len: u64, turns: u64, period: u64) -> Strip {
    match turns {
        1 => Strip::run(0, at, 0, len),
        runs => Strip {
            runs,
            stride: period,
            base_stride: len,
            ..Strip::run(0, at, 0, len)
        },
    }
}

/// Which lost objects an item is made of, as their beginnings tell.
pub(super) fn made_of(
    looked: &Looked<'_>,
    search: &Search<'_>,
    tools: &mut Tools,
) -> Option<Layout> {
    let whole = looked.item.len;
    let element = looked.item.element.storable();
    let mut grown = Growing::default();
    // How often the pieces take turns: known once the first one is.
    let (mut at, mut turns, mut misses) = (0, None, 0);
    let mut step = search.heads().shortest(element);
    while at < whole / turns.unwrap_or(1) && misses <= turns.map_or(FIRST, |_| MISSES) {
        let Some((object, piece)) = beginning(looked, at, turns, search, tools) else {
            misses += 1;
            at += step;
            continue;
        };
        let each = *turns.get_or_insert(piece.turns);
        let strip = pieces(at, piece.len, each, whole / each);
        if !whole.is_multiple_of(each) || !grown.add(&object, strip) {
            break;
        }
        step = piece.len;
        at += piece.len;
    }
    grown.done(whole)
}

/// The object that begins at a place of an item, and its first piece there.
fn beginning(
    looked: &Looked<'_>,
    at: u64,
    turns: Option<u64>,
    search: &Search<'_>,
    tools: &mut Tools,
) -> Option<(Arc<Object>, Piece)> {
    let element = looked.item.element.storable();
    let sketch = |number| looked.sketch(at + number * size(element) as u64);
    for lost in search.heads().near(sketch, element) {
        let Some((object, row)) = search.open(lost, tools) else {
            continue;
        };
        let len = object.len();
        let mut pieces = Pieces { looked, tools };
        let piece = match turns {
            None => pieces.agree(at, &object, 0, row, len),
            Some(turns) if len.is_multiple_of(turns) => {
                pieces.agree(at, &object, 0, 0, len / turns)
            }
            Some(_) => None,
        };
        if let Some(piece) = piece {
            return Some((object, piece));
        }
    }
    None
}

/// Where in one of the lost objects an item lies.
pub(super) fn part_of(
    looked: &Looked<'_>,
    object: &Arc<Object>,
    object_row: u64,
    search: &Search<'_>,
    tools: &mut Tools,
) -> Option<Layout> {
    let Looked { item, row } = *looked;
    let (len, whole) = (item.len, object.len());
    let element = item.element.storable();
    if object.record().element != element || len >= whole {
        return None;
    }
    let sketch = looked.sketch(0).filter(|sketch| sketch.tells())?;
    let mut places = search.stacked(object, len, sketch, tools);
    let mut peek = Peek::new(object);
    let mut add = |place: u64, tools: &mut Tools| {
        if peek
            .sketch(place, tools)
            .is_some_and(|old| old.is_near(sketch))
        {
            places.push(place);
        }
    };
    if row > 0 && object_row > row && whole / object_row == len / row {
        (0..(object_row / row).min(PLACES)).for_each(|i| add(i * row, tools));
        (1..=(object_row / row).min(PLACES)).for_each(|i| add(object_row - i * row, tools));
    }
    if row > 0 && object_row == row {
        (1..TURNS.min(whole / row)).for_each(|i| add(i * row, tools));
    }
    places.iter().find_map(|from| {
        let mut pieces = Pieces { looked, tools };
        let Piece { len: piece, turns } = pieces.agree(0, object, *from, row, len)?;
        let strip = match turns {
            1 => Strip::run(0, 0, *from, piece),
            runs => Strip {
                runs,
                stride: piece,
                base_stride: whole / turns,
                ..Strip::run(0, 0, *from, piece)
            },
        };
        let is_turn = whole.is_multiple_of(turns);
        let layout = is_turn.then(|| Layout::new(vec![object.clone()], vec![strip], len));
        layout.flatten()
    })
}
