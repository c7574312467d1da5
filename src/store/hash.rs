//! Naming bytes without storing them.

use std::io;

use crate::base::id::{CHUNK, ChunkValue, chunk_value, id_of_chunks};
use crate::base::progress::Unit;
use crate::base::{ObjectId, Progress, ReadAt};

use super::error::{Result, StoreError};
use super::parallel::{Numbering, for_each};

/// Bytes that lie somewhere.
#[derive(Clone, Copy)]
pub struct Span<'a> {
    /// Where.
    pub source: &'a dyn ReadAt,
    /// From which byte on.
    pub offset: u64,
    /// How many.
    pub len: u64,
}

impl Span<'_> {
    /// Puts the bytes of chunk `index` into `out`. `item` is the span's number in errors.
    pub(super) fn read_chunk(&self, item: usize, index: u64, out: &mut Vec<u8>) -> Result<()> {
        let at = index * CHUNK as u64;
        out.resize((self.len - at).min(CHUNK as u64) as usize, 0);
        let offset = self.offset.checked_add(at);
        let read = match offset {
            Some(offset) => self.source.read_exact_at(out, offset),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        };
        read.map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => StoreError::Changed { item },
            _ => StoreError::Source { item, source },
        })
    }

    /// How many chunks there are; the empty span has one empty chunk.
    pub(super) fn pieces(&self) -> u64 {
        self.len.div_ceil(CHUNK as u64).max(1)
    }
}

/// The ids of the objects that these bytes are, in order; read and hashed by several threads.
///
/// Errors: `Changed` where a source ends early, `Source` where it cannot be read, `Cancelled`.
pub fn hash_all(items: &[Span<'_>], progress: &dyn Progress) -> Result<Vec<ObjectId>> {
    let total = items.iter().map(|item| item.len).sum();
    progress.begin("hashing", Unit::Bytes, Some(total));
    let done = ids(items, progress);
    progress.end();
    done
}

/// What a worker found: the number of a piece, and its value or, where it is all of an object, the id's bytes.
type Values = Vec<(u64, ChunkValue)>;

/// [`hash_all`] as part of another stage.
pub(super) fn ids(items: &[Span<'_>], progress: &dyn Progress) -> Result<Vec<ObjectId>> {
    let numbering = Numbering::new(items.iter().map(Span::pieces));
    let state = || (Vec::new(), Values::new());
    let found = for_each(numbering.total(), state, |(buffer, values), number| {
        if progress.cancelled() {
            return Err(StoreError::Cancelled);
        }
        let (item, index) = numbering.find(number);
        let span = &items[item];
        span.read_chunk(item, index, buffer)?;
        let value = match span.pieces() {
            1 => *ObjectId::of(buffer).as_bytes(),
            _ => chunk_value(index, buffer),
        };
        values.push((number, value));
        progress.advance(buffer.len() as u64);
        Ok(())
    })?;
    let mut values: Values = found.into_iter().flat_map(|(_, values)| values).collect();
    values.sort_unstable_by_key(|(number, _)| *number);
    let mut values = values.into_iter().map(|(_, value)| value);
    let ids = items.iter().map(|span| {
        let own: Vec<_> = values.by_ref().take(span.pieces() as usize).collect();
        match own[..] {
            [id] => ObjectId::from_bytes(id),
            _ => id_of_chunks(&own).expect("every span of several chunks has all its values"),
        }
    });
    Ok(ids.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::progress::Silent;

    #[test]
    fn ids_are_those_of_the_bytes() {
        let bytes: Vec<u8> = (0..3 * CHUNK + 5).map(|i| (i / 9) as u8).collect();
        let lens = [0, 1, CHUNK, CHUNK + 1, 3 * CHUNK];
        let span = |len: usize| Span {
            source: &bytes,
            offset: 5,
            len: len as u64,
        };
        let ids = hash_all(&lens.map(span), &Silent).expect("hashed");
        assert_eq!(ids, lens.map(|len| ObjectId::of(&bytes[5..5 + len])));
        let short = hash_all(&[span(1), span(bytes.len())], &Silent).expect_err("too long");
        assert!(matches!(short, StoreError::Changed { item: 1 }));
    }
}
