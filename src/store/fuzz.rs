//! The store's readers as functions of any bytes.
//!
//! Checksums that lie inside of the bytes are set right before they are read: a reader has to bear what a liar
//! writes, and damage would end at them.

use std::path::Path;

use super::checksum::checksum;
use super::codec::{self, Decoder, Stored};
use super::layout::{Cursor, HEADER_LEN, PACK_MAGIC, check_header};
use super::pack::{Entry, Handle, Handles, Pack, Table, Which, read_footer, rebuild};
use super::record::Record;
use crate::base::ObjectId;
use crate::base::fuzz::Target;
use crate::base::id::CHUNK;
use crate::store::Element;

/// All of this layer.
pub(crate) static TARGETS: [Target; 11] = [
    Target {
        name: "pack",
        run: pack,
        memory: |bytes| (16 << 10) + 6 * bytes.len(),
    },
    Target {
        name: "index",
        run: index,
        memory: |bytes| (16 << 10) + 6 * bytes.len(),
    },
    Target {
        name: "record",
        run: record,
        memory: |bytes| (4 << 10) + 4 * bytes.len(),
    },
    Target {
        name: "codec-raw",
        run: |bytes| decode(0, bytes),
        memory: of_codec,
    },
    Target {
        name: "codec-constant",
        run: |bytes| decode(1, bytes),
        memory: of_codec,
    },
    Target {
        name: "codec-zstd",
        run: |bytes| decode(2, bytes),
        memory: of_codec,
    },
    Target {
        name: "codec-planes",
        run: |bytes| decode(3, bytes),
        memory: of_codec,
    },
    Target {
        name: "codec-delta",
        run: |bytes| decode(4, bytes),
        memory: of_codec,
    },
    Target {
        name: "codec-view",
        run: |bytes| decode(5, bytes),
        // The right factor has up to 2^20 numbers, in a few bytes where they are all the same.
        memory: |bytes| of_codec(bytes) + (8 << 20),
    },
    Target {
        name: "codec-mosaic",
        run: |bytes| decode(6, bytes),
        // Its strips and all their runs, and what a view has.
        memory: |bytes| of_codec(bytes) + (12 << 20),
    },
    Target {
        name: "codec-fields",
        run: |bytes| decode(7, bytes),
        // The units of all fields, those of the base's blocks and what is predicted of them, four bytes of each.
        memory: |bytes| 24 * of_codec(bytes),
    },
];

/// The place of what a footer says of its directory, and of the directory's checksum, from the end of a pack.
const FOOTER: usize = 80;
const SUM: usize = 48;

/// A pack, whose records and directory get right checksums: everything that is in it.
fn pack(bytes: &[u8]) -> bool {
    let name = ObjectId::of(b"any");
    let handles = Handles::default();
    let bytes = mended(bytes);
    let open = || {
        check_header(bytes.get(..HEADER_LEN).unwrap_or(&bytes), PACK_MAGIC)?;
        Ok::<_, super::layout::Unusable>(Handle::holding(bytes.clone()))
    };
    let Ok(file) = handles.get(name, Which::Pack, open) else {
        return false;
    };
    let (Ok(footer), Ok(table), Ok(_)) =
        (read_footer(&file), Table::of_pack(&file), rebuild(&file))
    else {
        return false;
    };
    assert_eq!(footer.count, table.count);
    let pack = Pack::new(Path::new("/nowhere"), name);
    let Ok(entries) = pack.entries(&handles) else {
        return false;
    };
    entries.iter().all(|entry| {
        let found = pack.find(&handles, &entry.id).ok().and_then(Result::ok);
        assert_eq!(
            found.flatten().as_ref(),
            Some(entry),
            "what is listed is found"
        );
        of_pack(&pack, &handles, entry)
    })
}

/// Reads one object's record, and the stored bytes of its chunks.
fn of_pack(pack: &Pack, handles: &Handles, entry: &Entry) -> bool {
    let Ok(record) = pack.record(handles, entry) else {
        return false;
    };
    let stored = match record.stored() {
        0 => 0,
        _ => record.chunks(),
    };
    (0..stored).all(|index| {
        pack.payload(handles, &record, index, &mut Vec::new())
            .is_ok()
    })
}

/// The pack with right checksums wherever its directory leads to something.
fn mended(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let Some(end) = bytes.len().checked_sub(FOOTER) else {
        return bytes;
    };
    let mut footer = Cursor(&bytes[end..]);
    let (start, count) = (footer.u64().unwrap_or(0), footer.u64().unwrap_or(0));
    let start = usize::try_from(start).unwrap_or(usize::MAX);
    let Some(directory) = bytes.get(start..end).map(<[u8]>::to_vec) else {
        return bytes;
    };
    let sum = checksum(&directory).to_le_bytes();
    bytes[end + FOOTER - SUM..][..8].copy_from_slice(&sum);
    let ids = usize::try_from(count)
        .ok()
        .and_then(|count| count.checked_mul(32));
    let mut rows = Cursor(ids.and_then(|ids| directory.get(ids..)).unwrap_or_default());
    while let (Some(at), Some(len)) = (rows.u64(), rows.u32()) {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let body = at.checked_add(len as usize).filter(|end| *end <= start);
        if let Some(sum_at) = body
            .and_then(|end| end.checked_sub(8))
            .filter(|sum| *sum > at)
        {
            let sum = checksum(&bytes[at..sum_at]);
            bytes[sum_at..sum_at + 8].copy_from_slice(&sum.to_le_bytes());
        }
    }
    bytes
}

/// An index, less the hash of itself that it ends with.
fn index(bytes: &[u8]) -> bool {
    let own = ObjectId::of(bytes);
    let file = Handle::holding([bytes, own.as_bytes()].concat());
    let Ok(table) = Table::of_index(&file) else {
        return false;
    };
    let Ok(entries) = table.entries(&file) else {
        return false;
    };
    let holding = || Ok(std::sync::Arc::new(Handle::holding(bytes.to_vec())));
    entries.iter().all(|entry| {
        let found = table.find(&entry.id, holding).ok().flatten();
        assert_eq!(found.as_ref(), Some(entry), "what is listed is found");
        true
    })
}

/// A record, less its checksum.
fn record(bytes: &[u8]) -> bool {
    let whole = [bytes, &checksum(bytes).to_le_bytes()[..]].concat();
    let Ok(record) = Record::decode(&whole) else {
        return false;
    };
    let _ = record.prove();
    assert!(record.encode() == whole, "there is one form of a record");
    true
}

/// What a codec is handed with a chunk.
struct Around<'a> {
    element: Element,
    /// The length of the chunk.
    len: usize,
    tables: &'a [u8],
    base: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Around<'a> {
    /// A byte for the elements, four each for the lengths of the chunk, the tables and the base, the stored bytes, and
    /// these two. Lengths are cut to what there is.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor(bytes);
        let element = match cursor.u8()? % 9 {
            8 => Element::Bytes,
            number => Element::number(1 << (number / 2), number % 2 == 1),
        };
        let [len, tables, base] = [cursor.u32()?, cursor.u32()?, cursor.u32()?];
        let last =
            |bytes: &'a [u8], len: u32| bytes.split_at(bytes.len().saturating_sub(len as usize));
        let (rest, base) = last(cursor.0, base);
        let (payload, tables) = last(rest, tables);
        Some(Self {
            element,
            len: (len as usize).min(CHUNK),
            tables,
            base,
            payload,
        })
    }
}

/// The tools of a thread, the chunk, and what a decoder computes of it.
fn of_codec(bytes: &[u8]) -> usize {
    let len = Around::read(bytes).map_or(0, |around| around.len);
    (1 << 20) + 4 * len + 2 * bytes.len()
}

fn decode(id: u8, bytes: &[u8]) -> bool {
    let Some(around) = Around::read(bytes) else {
        return false;
    };
    let asked = codec::base_len(id, around.payload, around.len);
    let strips = codec::strips(id, around.payload, around.len);
    let (Ok(wanted), Ok(_)) = (asked, strips) else {
        return false;
    };
    let chunk = Stored {
        payload: around.payload,
        element: around.element,
        tables: around.tables,
        base: &around.base[..around.base.len().min(wanted)],
    };
    let mut decoder = Decoder::new();
    let mut out = vec![0xaa; around.len];
    let decoded = decoder.decode(id, &chunk, &mut out).is_ok();
    // What was read before leaves nothing behind.
    let mut again = vec![0x55; around.len];
    assert_eq!(decoder.decode(id, &chunk, &mut again).is_ok(), decoded);
    assert!(!decoded || out == again, "all of a chunk is decoded");
    decoded
}

#[cfg(test)]
mod tests;
