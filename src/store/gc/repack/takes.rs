//! What reading one chunk of a copy takes of others, at most: the bytes that [`crate::store::work`] counts.

use std::collections::HashMap;

use crate::base::ObjectId;
use crate::base::id::CHUNK;
use crate::store::assemble::touched;
use crate::store::codec::{MOSAIC, strips};
use crate::store::opened::Opened;
use crate::store::record::Body;
use crate::store::work::cost;
use crate::store::{Element, Shared};

/// How many objects one chunk of a copy takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// None, or one: what is needed of it follows from what its numbers are.
    One,
    /// So many chunks of each of these together.
    Strips(HashMap<ObjectId, u64>),
    /// So many parts.
    Parts(u64),
}

/// What a chunk costs of an object of so many bytes, with such tables.
pub(super) fn chunk(len: u64, tables: u64) -> u64 {
    cost(len.min(CHUNK as u64) + tables)
}

impl Takes {
    pub(super) fn of(shared: &Shared, opened: &Opened) -> Self {
        let record = &opened.record;
        let chunks = match &record.body {
            Body::Chunks(chunks) => chunks,
            Body::Parts(parts) => {
                let count = |index| opened.parts_of(parts, index).count() as u64;
                return Self::Parts((0..record.chunks()).map(count).max().unwrap_or(0));
            }
        };
        let (mut most, mut payload) = (HashMap::new(), Vec::new());
        let mosaics = (0..).zip(chunks).filter(|(_, row)| row.codec == MOSAIC);
        for (index, row) in mosaics {
            // What cannot be read takes nothing.
            let handles = &shared.packs.handles;
            let read = opened.pack.payload(handles, record, index, &mut payload);
            if row.base.is_some() || read.is_err() {
                continue;
            }
            let strips = strips(row.codec, &payload, record.chunk_len(index)).unwrap_or_default();
            for (base, chunks) in touched(&strips) {
                if let Some(id) = record.bases.get(usize::from(base)) {
                    let of = most.entry(*id).or_insert(0);
                    *of = chunks.max(*of);
                }
            }
        }
        match most.is_empty() {
            true => Self::One,
            false => Self::Strips(most),
        }
    }

    /// The work, where a copy of numbers `element` is written with `needs`. `one` says of each what its numbers are,
    /// how long it is, and the work for one of its chunks, with this chunk; `None` of what is not there.
    pub(super) fn work(
        &self,
        needs: &[ObjectId],
        element: Element,
        one: impl Fn(&ObjectId) -> Option<(Element, u64, u64)>,
    ) -> u64 {
        let found = needs.iter().filter_map(|id| Some((id, one(id)?)));
        let window =
            |base: Element, len, each: u64| each.saturating_mul(window(element, base, len));
        match self {
            Self::One => found
                .map(|(_, (base, len, each))| window(base, len, each))
                .max()
                .unwrap_or(0),
            Self::Parts(count) => {
                let most = found.map(|(_, (_, _, each))| each).max().unwrap_or(0);
                most.saturating_mul(*count)
            }
            // Chunks that name one base in their row may be among them.
            Self::Strips(most) => found
                .map(|(id, (base, len, each))| match most.get(id) {
                    Some(count) => each.saturating_mul(*count),
                    None => window(base, len, each),
                })
                .fold(0, u64::saturating_add),
        }
    }
}

/// The most chunks of a base of `len` bytes that the base bytes of one chunk lie in.
fn window(element: Element, base: Element, len: u64) -> u64 {
    let width = |element| match element {
        Element::Bytes => 1,
        Element::Number { width, .. } => u64::from(width),
    };
    // Blocks are taken for bytes, and have two bits a number or more.
    let wide = match element {
        Element::Number { width: 1, .. } => 8 * width(base),
        _ => width(base).div_ceil(width(element)),
    };
    (wide + 1).min(len.div_ceil(CHUNK as u64))
}
