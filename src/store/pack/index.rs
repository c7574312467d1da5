//! The list of a pack's objects: as the index holds it, and as the pack itself does.
//!
//! Both are checked as a whole when they are loaded. What stays in memory is a fanout and four bytes per
//! object; ids and record positions are read where they lie.

use std::io;

use crate::base::ObjectId;
use crate::base::id::IdHasher;
use crate::store::checksum::checksum;
use crate::store::layout::{
    Cursor, END_MAGIC, HEADER_LEN, INDEX_MAGIC, Unusable, check_header, header,
};

use super::handles::{Handle, Which};

/// Bytes of the four totals at the front of an index and in a pack's footer: directory offset (0 in an index),
/// objects, raw bytes, stored bytes.
const TOTALS: usize = 32;
const FANOUT: usize = 256 * 4;
/// Bytes of a pack's footer: totals, checksum of the directory, hash of all before, magic.
pub(in crate::store) const FOOTER: usize = TOTALS + 8 + 32 + 8;
/// Bytes per object in a directory: id, record offset, record length.
const ROW: u64 = 32 + 12;

/// Where an object's record lies in its pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Entry {
    pub(in crate::store) id: ObjectId,
    pub(in crate::store) offset: u64,
    pub(in crate::store) len: u32,
}

/// What a pack says of itself at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Footer {
    pub(in crate::store) directory: u64,
    pub(in crate::store) count: u64,
    pub(in crate::store) raw: u64,
    pub(in crate::store) stored: u64,
    pub(in crate::store) directory_sum: u64,
    pub(in crate::store) hash: ObjectId,
}

/// A list of objects that was found good.
#[derive(Debug)]
pub(in crate::store) struct Table {
    pub(in crate::store) which: Which,
    pub(in crate::store) count: u64,
    pub(in crate::store) raw: u64,
    pub(in crate::store) stored: u64,
    /// The hash that the index names as its pack's.
    pub(in crate::store) hash: ObjectId,
    ids_at: u64,
    rows_at: u64,
    /// How many ids begin with a byte up to each.
    fanout: Vec<u32>,
    /// Bytes 1 to 4 of every id, in order.
    keys: Vec<u32>,
}

/// A problem with a list: of the disk, or of its bytes.
pub(in crate::store) enum Problem {
    Io(io::Error),
    Unusable(Unusable),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged("it is cut short"),
            _ => Problem::Io(error),
        }
    }
}

impl From<Unusable> for Problem {
    fn from(unusable: Unusable) -> Self {
        Problem::Unusable(unusable)
    }
}

fn damaged(what: &'static str) -> Problem {
    Problem::Unusable(Unusable::Damaged(what))
}

/// The directory of these entries, sorted by id: all ids, then offset and length of each.
pub(super) fn directory(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(entries.len() * ROW as usize);
    entries.iter().for_each(|e| out.extend(e.id.as_bytes()));
    for entry in entries {
        out.extend(entry.offset.to_le_bytes());
        out.extend(entry.len.to_le_bytes());
    }
    out
}

/// A whole index. `directory` is that of the pack.
pub(super) fn encode(entries: &[Entry], directory: &[u8], footer: &Footer) -> Vec<u8> {
    let mut out = Vec::with_capacity(directory.len() + 2048);
    out.extend(header(INDEX_MAGIC, 0));
    for total in [0, footer.count, footer.raw, footer.stored] {
        out.extend(total.to_le_bytes());
    }
    let mut up_to = [0u32; 256];
    for entry in entries {
        up_to[usize::from(entry.id.as_bytes()[0])] += 1;
    }
    let mut sum = 0;
    for count in up_to {
        sum += count;
        out.extend(sum.to_le_bytes());
    }
    out.extend(directory);
    out.extend(footer.hash.as_bytes());
    let own = ObjectId::of(&out);
    out.extend(own.as_bytes());
    out
}

/// The index that belongs to a pack, made from the pack alone.
pub(in crate::store) fn rebuild(file: &Handle) -> Result<Vec<u8>, Problem> {
    let footer = read_footer(file)?;
    let table = Table::of_pack(file)?;
    let entries = table.entries(file)?;
    Ok(encode(&entries, &directory(&entries), &footer))
}

/// The footer as it lies in a pack, less hash and magic.
pub(super) fn footer_front(directory: u64, count: u64, raw: u64, stored: u64, sum: u64) -> Vec<u8> {
    [directory, count, raw, stored, sum]
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}

/// Reads the footer of a pack and checks it against the length of the file.
pub(in crate::store) fn read_footer(file: &Handle) -> Result<Footer, Problem> {
    let at = file
        .len
        .checked_sub(FOOTER as u64)
        .filter(|at| *at >= HEADER_LEN as u64)
        .ok_or_else(|| damaged("it is cut short"))?;
    let bytes = file.read(at, FOOTER)?;
    let mut cursor = Cursor(&bytes);
    let mut number = || cursor.u64().unwrap_or(0);
    let (directory, count) = (number(), number());
    let (raw, stored, directory_sum) = (number(), number(), number());
    let hash = cursor.id().ok_or_else(|| damaged("it is cut short"))?;
    if cursor.0 != END_MAGIC {
        return Err(damaged("it does not end as it should"));
    }
    let end = count
        .checked_mul(ROW)
        .and_then(|len| directory.checked_add(len));
    if end != Some(at) || directory < HEADER_LEN as u64 || u32::try_from(count).is_err() {
        return Err(damaged("its directory does not fit"));
    }
    Ok(Footer {
        directory,
        count,
        raw,
        stored,
        directory_sum,
        hash,
    })
}

impl Table {
    /// Loads an index, all of which is checked.
    pub(in crate::store) fn of_index(file: &Handle) -> Result<Self, Problem> {
        let front = file.read(0, HEADER_LEN + TOTALS + FANOUT)?;
        check_header(&front, INDEX_MAGIC)?;
        let mut cursor = Cursor(front.get(HEADER_LEN..).unwrap_or_default());
        let mut number = || cursor.u64().unwrap_or(0);
        let (zero, count, raw, stored) = (number(), number(), number(), number());
        let rows = u32::try_from(count).ok().map(|n| u64::from(n) * ROW);
        if zero != 0 || rows.is_none_or(|rows| front.len() as u64 + rows + 64 != file.len) {
            return Err(damaged("its length does not fit its count"));
        }
        let fanout: Vec<u32> = std::iter::from_fn(|| cursor.u32()).collect();
        let mut hasher = IdHasher::new();
        hasher.update(&front);
        let ids_at = front.len() as u64;
        let mut loader = Loader::new(count);
        let mut at = ids_at;
        stream(file, at, count * 32, |bytes| {
            hasher.update(bytes);
            loader.ids(bytes)
        })?;
        at += count * 32;
        let rows_at = at;
        stream(file, at, count * 12, |bytes| {
            hasher.update(bytes);
            Ok(())
        })?;
        let end = file.read(at + count * 12, 64)?;
        let mut cursor = Cursor(&end);
        let (hash, own) = (cursor.id(), cursor.id());
        let hash = hash.ok_or_else(|| damaged("it is cut short"))?;
        if own != Some(hasher.update(hash.as_bytes()).finish()) {
            return Err(damaged("its hash is wrong"));
        }
        let (own_fanout, keys) = loader.finish();
        if fanout != own_fanout {
            return Err(damaged("its fanout does not fit its ids"));
        }
        Ok(Self {
            which: Which::Index,
            count,
            raw,
            stored,
            hash,
            ids_at,
            rows_at,
            fanout,
            keys,
        })
    }

    /// Loads the directory of a pack, for want of an index.
    pub(in crate::store) fn of_pack(file: &Handle) -> Result<Self, Problem> {
        let footer = read_footer(file)?;
        let len = usize::try_from(footer.count * ROW).map_err(|_| damaged("it is too long"))?;
        let bytes = file.read(footer.directory, len)?;
        if checksum(&bytes) != footer.directory_sum {
            return Err(damaged("its directory is damaged"));
        }
        let mut loader = Loader::new(footer.count);
        loader.ids(bytes.get(..footer.count as usize * 32).unwrap_or_default())?;
        let (fanout, keys) = loader.finish();
        Ok(Self {
            which: Which::Pack,
            count: footer.count,
            raw: footer.raw,
            stored: footer.stored,
            hash: footer.hash,
            ids_at: footer.directory,
            rows_at: footer.directory + footer.count * 32,
            fanout,
            keys,
        })
    }

    /// Looks an id up; `file` is the one that the table was loaded from.
    pub(in crate::store) fn find(
        &self,
        id: &ObjectId,
        file: impl FnOnce() -> Result<std::sync::Arc<Handle>, Problem>,
    ) -> Result<Option<Entry>, Problem> {
        let [first, a, b, c, d, ..] = *id.as_bytes();
        let key = u32::from_be_bytes([a, b, c, d]);
        let up_to = |byte: u8| self.fanout.get(usize::from(byte)).copied().unwrap_or(0) as usize;
        let start = first.checked_sub(1).map_or(0, up_to);
        let bucket = self.keys.get(start..up_to(first)).unwrap_or_default();
        let from = bucket.partition_point(|k| *k < key);
        let same = bucket[from..].iter().take_while(|k| **k == key).count();
        if same == 0 {
            return Ok(None);
        }
        let file = file()?;
        for row in start + from..start + from + same {
            if file.read(self.ids_at + row as u64 * 32, 32)? == id.as_bytes() {
                return self.entry(*id, row as u64, &file).map(Some);
            }
        }
        Ok(None)
    }

    fn entry(&self, id: ObjectId, row: u64, file: &Handle) -> Result<Entry, Problem> {
        let bytes = file.read(self.rows_at + row * 12, 12)?;
        let mut cursor = Cursor(&bytes);
        let (offset, len) = (cursor.u64(), cursor.u32());
        match (offset, len) {
            (Some(offset), Some(len)) => Ok(Entry { id, offset, len }),
            _ => Err(damaged("it is cut short")),
        }
    }

    /// All entries, in order of their ids.
    pub(in crate::store) fn entries(&self, file: &Handle) -> Result<Vec<Entry>, Problem> {
        let count = self.keys.len();
        let ids = file.read(self.ids_at, count * 32)?;
        let rows = file.read(self.rows_at, count * 12)?;
        let mut cursor = Cursor(&rows);
        let mut entries = Vec::with_capacity(count);
        for id in ids.as_chunks::<32>().0 {
            let (Some(offset), Some(len)) = (cursor.u64(), cursor.u32()) else {
                return Err(damaged("it is cut short"));
            };
            let id = ObjectId::from_bytes(*id);
            entries.push(Entry { id, offset, len });
        }
        Ok(entries)
    }
}

/// Reads `len` bytes from `at` in pieces that are whole numbers of ids.
fn stream(
    file: &Handle,
    at: u64,
    len: u64,
    mut act: impl FnMut(&[u8]) -> Result<(), Problem>,
) -> Result<(), Problem> {
    const PIECE: u64 = 1 << 20;
    let mut done = 0;
    while done < len {
        let piece = (len - done).min(PIECE);
        act(&file.read(at + done, piece as usize)?)?;
        done += piece;
    }
    Ok(())
}

/// Takes ids in order, and makes the part of a table that stays in memory.
struct Loader {
    counts: Vec<u32>,
    keys: Vec<u32>,
    last: Option<[u8; 32]>,
}

impl Loader {
    /// `count` was checked against the length of the file.
    fn new(count: u64) -> Self {
        Self {
            counts: vec![0; 256],
            keys: Vec::with_capacity(count as usize),
            last: None,
        }
    }

    fn ids(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        for id in bytes.as_chunks::<32>().0 {
            if self.last.is_some_and(|last| last >= *id) {
                return Err(damaged("its ids are not in order"));
            }
            self.last = Some(*id);
            let [first, a, b, c, d, ..] = *id;
            self.counts[usize::from(first)] += 1;
            self.keys.push(u32::from_be_bytes([a, b, c, d]));
        }
        Ok(())
    }

    fn finish(self) -> (Vec<u32>, Vec<u32>) {
        let mut sum = 0;
        let fanout = self
            .counts
            .iter()
            .map(|count| {
                sum += count;
                sum
            })
            .collect();
        (fanout, self.keys)
    }
}
