//! The record of an object: how its bytes are stored, and what proves each of its chunks.

use std::collections::BTreeSet;

use crate::base::ObjectId;
use crate::base::id::{CHUNK, ChunkValue, id_of_chunks};

use super::Element;
use super::checksum::checksum;
use super::error::Flaw;
use super::layout::Cursor;

/// Bytes before the list of bases.
const FIXED: usize = 32 + 8 + 4 + 4 + 4 + 4 + 8;
/// Bytes per chunk, without its chaining value.
const CHUNK_ENTRY: usize = 24;
/// Bytes per part.
const PART_ENTRY: usize = 36;
/// Tables are no longer: those of a matrix of low rank have a million numbers at most.
const TABLES: usize = 4 << 20;
/// The base index that means "none".
const NO_BASE: u8 = 0xff;

/// One object in one pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) id: ObjectId,
    pub(super) len: u64,
    pub(super) element: Element,
    /// Objects that chunks are coded against.
    pub(super) bases: Vec<ObjectId>,
    /// Tables that the codecs of several chunks share.
    pub(super) tables: Vec<u8>,
    /// Where the first chunk's stored bytes lie in the pack; the others follow.
    pub(super) payload: u64,
    pub(super) body: Body,
    /// The chaining value of every chunk, where there is more than one.
    pub(super) values: Vec<ChunkValue>,
}

/// Where the bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// In this pack, chunk by chunk.
    Chunks(Vec<Chunk>),
    /// In other objects, one after the other.
    Parts(Vec<Part>),
}

/// One stored chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) codec: u8,
    /// Index into the record's bases.
    pub(super) base: Option<u8>,
    /// Where in the base the bytes begin that this chunk is coded against.
    pub(super) base_offset: u64,
    /// Length of the stored bytes, at most [`CHUNK`].
    pub(super) stored: u32,
    /// Checksum of the stored bytes.
    pub(super) checksum: u64,
    /// Where the stored bytes begin, from [`Record::payload`]; computed, not stored.
    pub(super) at: u64,
}

/// One part of an object that is cut by content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) id: ObjectId,
    /// At most [`CHUNK`].
    pub(super) len: u32,
}

impl Record {
    /// The number of chunks of 1 MiB, however they are stored.
    pub(super) fn chunks(&self) -> u64 {
        self.len.div_ceil(CHUNK as u64)
    }

    /// Bytes of chunk `index`, which must exist.
    pub(super) fn chunk_len(&self, index: u64) -> usize {
        (self.len - index * CHUNK as u64).min(CHUNK as u64) as usize
    }

    /// Stored bytes of all chunks in this pack.
    pub(super) fn stored(&self) -> u64 {
        match &self.body {
            Body::Chunks(chunks) => chunks.last().map_or(0, |c| c.at + u64::from(c.stored)),
            Body::Parts(_) => 0,
        }
    }

    /// About as many bytes as it takes in memory.
    pub(super) fn footprint(&self) -> usize {
        let rows = match &self.body {
            Body::Chunks(chunks) => size_of_val(chunks.as_slice()),
            Body::Parts(parts) => 2 * size_of_val(parts.as_slice()),
        };
        let lists = size_of_val(self.bases.as_slice()) + size_of_val(self.values.as_slice());
        size_of::<Self>() + self.tables.len() + rows + lists
    }

    /// The objects that it is written with: bases or parts.
    pub(super) fn needs(&self) -> Vec<ObjectId> {
        match &self.body {
            Body::Chunks(_) => self.bases.clone(),
            Body::Parts(parts) => parts.iter().map(|part| part.id).collect(),
        }
    }

    /// Checks that the chunk values yield the id, so that each of them proves its chunk.
    pub(super) fn prove(&self) -> Result<(), Flaw> {
        let good = match self.chunks() {
            0 => self.id == ObjectId::of(b""),
            1 => true, // proved by its bytes
            _ => id_of_chunks(&self.values) == Some(self.id),
        };
        if good { Ok(()) } else { Err(Flaw::Proof) }
    }

    /// The record as it lies in a pack.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FIXED + 96 + self.values.len() * 56);
        out.extend(self.id.as_bytes());
        out.extend(self.len.to_le_bytes());
        let (width, float) = match self.element {
            Element::Bytes => (0, false),
            Element::Number { width, float } => (width, float),
        };
        let (layout, count) = match &self.body {
            Body::Chunks(chunks) => (0, chunks.len()),
            Body::Parts(parts) => (1, parts.len()),
        };
        out.extend([layout, width, u8::from(float), 0]);
        out.extend([self.bases.len() as u8, 0, 0, 0]);
        out.extend((self.tables.len() as u32).to_le_bytes());
        out.extend((count as u32).to_le_bytes());
        out.extend(self.payload.to_le_bytes());
        self.bases.iter().for_each(|id| out.extend(id.as_bytes()));
        out.extend(&self.tables);
        match &self.body {
            Body::Chunks(chunks) => chunks.iter().for_each(|chunk| {
                out.extend([chunk.codec, chunk.base.unwrap_or(NO_BASE), 0, 0]);
                out.extend(chunk.stored.to_le_bytes());
                out.extend(chunk.base_offset.to_le_bytes());
                out.extend(chunk.checksum.to_le_bytes());
            }),
            Body::Parts(parts) => parts.iter().for_each(|part| {
                out.extend(part.id.as_bytes());
                out.extend(part.len.to_le_bytes());
            }),
        }
        self.values.iter().for_each(|value| out.extend(value));
        out.extend(checksum(&out).to_le_bytes());
        out
    }

    /// Reads a record. Everything is allocated in proportion to `bytes`, and every number is checked.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Flaw> {
        let (body, sum) = bytes
            .split_last_chunk::<8>()
            .ok_or(Flaw::Record("it is cut short"))?;
        if checksum(body) != u64::from_le_bytes(*sum) {
            return Err(Flaw::Record("its checksum is wrong"));
        }
        let mut cursor = Cursor(body);
        let record = Self::fields(&mut cursor)?;
        match cursor.0.is_empty() {
            true => Ok(record),
            false => Err(Flaw::Record("bytes follow it")),
        }
    }

    fn fields(cursor: &mut Cursor<'_>) -> Result<Self, Flaw> {
        let short = || Flaw::Record("it is cut short");
        let id = cursor.id().ok_or_else(short)?;
        let len = cursor.u64().ok_or_else(short)?;
        let [layout, width, flags, phase] = cursor.array().ok_or_else(short)?;
        let [bases, reserved @ ..]: [u8; 4] = cursor.array().ok_or_else(short)?;
        let tables = cursor.u32().ok_or_else(short)? as usize;
        let count = cursor.u32().ok_or_else(short)? as usize;
        let payload = cursor.u64().ok_or_else(short)?;
        let element = match (width, flags) {
            (0, 0) => Element::Bytes,
            (1 | 2 | 4 | 8, 0 | 1) => Element::Number {
                width,
                float: flags == 1,
            },
            _ => return Err(Flaw::Record("its element type is unknown")),
        };
        if phase != 0 || reserved != [0; 3] {
            return Err(Flaw::Record("reserved bytes are set"));
        }
        let listed = cursor
            .take(usize::from(bases) * 32)
            .ok_or_else(short)?
            .as_chunks::<32>()
            .0;
        let bases: Vec<_> = listed.iter().map(|id| ObjectId::from_bytes(*id)).collect();
        if bases.iter().collect::<BTreeSet<_>>().len() != bases.len() {
            return Err(Flaw::Record("it lists a base twice"));
        }
        if tables > TABLES {
            return Err(Flaw::Record("its tables are too long"));
        }
        let tables = cursor.take(tables).ok_or_else(short)?.to_vec();
        let chunks = len.div_ceil(CHUNK as u64);
        let body = match layout {
            0 if count as u64 == chunks => Body::Chunks(read_chunks(cursor, count, bases.len())?),
            1 if chunks > 0 && bases.is_empty() => Body::Parts(read_parts(cursor, count, len)?),
            0 | 1 => return Err(Flaw::Record("its counts contradict each other")),
            _ => return Err(Flaw::Record("its layout is unknown")),
        };
        let values = match chunks {
            0 | 1 => Vec::new(),
            many => {
                let size = usize::try_from(many).ok().and_then(|n| n.checked_mul(32));
                let listed = cursor.take(size.ok_or_else(short)?).ok_or_else(short)?;
                listed.as_chunks::<32>().0.to_vec()
            }
        };
        Ok(Self {
            id,
            len,
            element,
            bases,
            tables,
            payload,
            body,
            values,
        })
    }
}

fn read_chunks(cursor: &mut Cursor<'_>, count: usize, bases: usize) -> Result<Vec<Chunk>, Flaw> {
    let short = || Flaw::Record("it is cut short");
    let size = count.checked_mul(CHUNK_ENTRY).ok_or_else(short)?;
    let mut rows = Cursor(cursor.take(size).ok_or_else(short)?);
    let mut chunks = Vec::with_capacity(count);
    let mut at = 0;
    for _ in 0..count {
        let [codec, base, reserved @ ..]: [u8; 4] = rows.array().ok_or_else(short)?;
        let stored = rows.u32().ok_or_else(short)?;
        let base_offset = rows.u64().ok_or_else(short)?;
        let checksum = rows.u64().ok_or_else(short)?;
        if reserved != [0; 2] {
            return Err(Flaw::Record("reserved bytes are set"));
        }
        if stored as usize > CHUNK {
            return Err(Flaw::Record("a chunk is stored in more bytes than it has"));
        }
        let base = (base != NO_BASE).then_some(base);
        if base.is_some_and(|base| usize::from(base) >= bases) {
            return Err(Flaw::Record("a chunk names a base that is not listed"));
        }
        chunks.push(Chunk {
            codec,
            base,
            base_offset,
            stored,
            checksum,
            at,
        });
        at += u64::from(stored);
    }
    Ok(chunks)
}

fn read_parts(cursor: &mut Cursor<'_>, count: usize, len: u64) -> Result<Vec<Part>, Flaw> {
    let short = || Flaw::Record("it is cut short");
    let size = count.checked_mul(PART_ENTRY).ok_or_else(short)?;
    let mut rows = Cursor(cursor.take(size).ok_or_else(short)?);
    let mut parts = Vec::with_capacity(count);
    let mut total = 0;
    for _ in 0..count {
        let id = rows.id().ok_or_else(short)?;
        let len = rows.u32().ok_or_else(short)?;
        if len == 0 || len as usize > CHUNK {
            return Err(Flaw::Record("a part has an impossible length"));
        }
        total += u64::from(len);
        parts.push(Part { id, len });
    }
    match total == len {
        true => Ok(parts),
        false => Err(Flaw::Record("its parts do not add up to its length")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples() -> Vec<Record> {
        let chunk = |at, base| Chunk {
            codec: 3,
            base,
            base_offset: 7,
            stored: 5,
            checksum: 9,
            at,
        };
        let number = Element::Number {
            width: 4,
            float: true,
        };
        let chunked = Record {
            id: ObjectId::of(b"a"),
            len: CHUNK as u64 + 1,
            element: number,
            bases: vec![ObjectId::of(b"b")],
            tables: vec![1, 2, 3],
            payload: 32,
            body: Body::Chunks(vec![chunk(0, None), chunk(5, Some(0))]),
            values: vec![[1; 32], [2; 32]],
        };
        let part = |len| Part {
            id: ObjectId::of(b"p"),
            len,
        };
        let parted = Record {
            bases: vec![],
            tables: vec![],
            element: Element::Bytes,
            body: Body::Parts(vec![part(CHUNK as u32), part(1)]),
            ..chunked.clone()
        };
        vec![chunked, parted]
    }

    #[test]
    fn records_go_there_and_back() {
        for record in examples() {
            assert_eq!(Record::decode(&record.encode()), Ok(record));
        }
    }

    #[test]
    fn a_record_with_any_byte_changed_is_refused() {
        for record in examples() {
            let good = record.encode();
            for at in 0..good.len() {
                let mut bad = good.clone();
                bad[at] ^= 1;
                assert!(Record::decode(&bad).is_err(), "byte {at}");
                assert!(Record::decode(&good[..at]).is_err(), "cut at {at}");
            }
        }
    }

    #[test]
    fn lies_under_a_right_checksum_are_refused_and_allocate_nothing() {
        for record in examples() {
            let good = record.encode();
            let body = good.len() - 8;
            for at in 32..body {
                for value in [0, 1, 0x7f, 0xff] {
                    let mut lie = good[..body].to_vec();
                    lie[at] = value;
                    lie.extend(checksum(&lie).to_le_bytes());
                    // Many are well-formed; none may panic, and what is read back must say the same again.
                    if let Ok(read) = Record::decode(&lie) {
                        assert_eq!(read.encode(), lie);
                    }
                }
            }
        }
    }

    #[test]
    fn a_base_that_is_listed_twice_and_tables_beyond_all_need_are_refused() {
        let [chunked, _] = examples().try_into().expect("two");
        let refused = |change: &dyn Fn(&mut Record)| {
            let mut record = chunked.clone();
            change(&mut record);
            Record::decode(&record.encode()).is_err()
        };
        assert!(!refused(&|record| record.bases.push(ObjectId::of(b"c"))));
        assert!(refused(&|record| record.bases.push(record.bases[0])));
        assert!(!refused(&|record| record.tables = vec![0; TABLES]));
        assert!(refused(&|record| record.tables = vec![0; TABLES + 1]));
    }
}
