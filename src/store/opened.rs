//! One copy of an object, opened: its record, which was proved, and the pack that it lies in.

use std::sync::Arc;

use crate::base::id::{CHUNK, chunk_value};
use crate::base::{Fields, ObjectId};

use super::codec;
use super::error::{Flaw, Result, StoreError};
use super::pack::Pack;
use super::record::{Body, Chunk, Part, Record};

/// A copy of an object whose chunks can be read.
pub(super) struct Opened {
    pub(super) pack: Arc<Pack>,
    pub(super) record: Record,
    /// Where each part begins.
    starts: Vec<u64>,
}

impl Opened {
    pub(super) fn new(pack: &Arc<Pack>, record: Record) -> Self {
        let starts = match &record.body {
            Body::Chunks(_) => Vec::new(),
            Body::Parts(parts) => parts
                .iter()
                .scan(0, |at, part| {
                    let start = *at;
                    *at += u64::from(part.len);
                    Some(start)
                })
                .collect(),
        };
        Self {
            pack: pack.clone(),
            record,
            starts,
        }
    }

    pub(super) fn flawed(&self, flaw: Flaw) -> StoreError {
        self.pack.damaged(self.record.id, flaw)
    }

    /// True if some chunk is decoded from other objects.
    pub(super) fn leans(&self) -> bool {
        !self.record.bases.is_empty() || !self.starts.is_empty()
    }

    /// What its blocks are made of, where it was stored as blocks.
    pub(super) fn fields(&self) -> Option<Fields> {
        codec::fields_of(self.record.element, &self.record.tables)
    }

    /// The object that chunks name by this number.
    pub(super) fn base(&self, which: u8) -> Result<&ObjectId> {
        let base = self.record.bases.get(usize::from(which));
        base.ok_or_else(|| self.flawed(UNLISTED))
    }

    /// The row of a chunk that is stored in this pack.
    pub(super) fn row<'a>(&self, chunks: &'a [Chunk], index: u64) -> Result<&'a Chunk> {
        let chunk = usize::try_from(index).ok().and_then(|i| chunks.get(i));
        chunk.ok_or_else(|| self.flawed(Flaw::Length(self.record.len)))
    }

    /// The parts that have bytes of a chunk, and where each begins in the object.
    pub(super) fn parts_of<'a>(
        &'a self,
        parts: &'a [Part],
        index: u64,
    ) -> impl Iterator<Item = (&'a Part, u64)> {
        let from = index * CHUNK as u64;
        let to = from + self.record.chunk_len(index) as u64;
        let first = self.starts.partition_point(|start| *start <= from).max(1) - 1;
        let all = parts.iter().zip(self.starts.iter().copied()).skip(first);
        all.take_while(move |(_, start)| *start < to)
    }

    /// Checks that a chunk is what the record, or the object's name, says it is.
    pub(super) fn prove(&self, index: u64, bytes: &[u8]) -> Result<()> {
        let values = &self.record.values;
        let value = usize::try_from(index).ok().and_then(|i| values.get(i));
        let good = match value {
            Some(value) => *value == chunk_value(index, bytes),
            None => self.record.id == ObjectId::of(bytes),
        };
        match good {
            true => Ok(()),
            false => Err(self.flawed(Flaw::Value(index))),
        }
    }
}

/// A base's number that is beyond the record's list.
pub(super) const UNLISTED: Flaw = Flaw::Record("a chunk names a base that is not listed");

/// A chunk of several bases whose row names one more.
pub(super) const ONE_MORE: Flaw = Flaw::Record("a mosaic has a base of its own");

/// What an object is taken for by who opens it: copies that are something else are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Fit {
    Any,
    /// It has this length.
    Len(u64),
    /// It is a part of this length.
    Part(u32),
}

impl Fit {
    pub(super) fn check(self, record: &Record) -> std::result::Result<(), Flaw> {
        match self {
            Self::Any => Ok(()),
            Self::Len(len) if record.len == len => Ok(()),
            Self::Len(_) => Err(Flaw::Length(record.len)),
            Self::Part(len) => match record.body {
                Body::Chunks(_) if record.len == u64::from(len) => Ok(()),
                _ => Err(Flaw::Record("as a part it is not what it should be")),
            },
        }
    }
}
