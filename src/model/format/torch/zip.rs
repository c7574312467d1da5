//! The directory of a zip archive
//! (<https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>), as far as torch writes it: entries that are
//! stored as they are, one after the other, in an archive that begins and ends with the file.
//!
//! General readers look for archives inside of files and believe counts before they have seen entries; this one
//! refuses whatever is not exactly in its place, and allocates nothing that the file does not hold.

use std::collections::HashSet;

use super::{Refusal, Result};
use crate::base::ReadAt;

/// The longest directory that is read.
const MAX_DIRECTORY: u64 = 256 << 20;

/// The end record, without a comment.
const END: u64 = 22;

/// The record that says where the end record of large archives is.
const LOCATOR: u64 = 20;

/// The end record of large archives, without extensions.
const LARGE_END: u64 = 56;

/// The fixed part of a directory record.
const RECORD: usize = 46;

/// The fixed part of the header before an entry's bytes.
const LOCAL: usize = 30;

/// An entry of an archive.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ZipEntry {
    /// Its name.
    pub(super) name: String,
    /// Where its bytes begin in the file.
    pub(super) offset: u64,
    /// How many they are.
    pub(super) len: u64,
}

/// Where the directory is.
struct End {
    start: u64,
    bytes: u64,
    records: u64,
}

fn refused<T>(problem: &'static str) -> Result<T> {
    Err(Refusal::Zip(problem).into())
}

/// The entries of the archive that this file is, in the order of their bytes.
pub(super) fn directory(file: &dyn ReadAt) -> Result<Vec<ZipEntry>> {
    let end = find_end(file)?;
    if end.bytes > MAX_DIRECTORY || end.records > end.bytes / RECORD as u64 {
        return refused("claims more entries than are read");
    }
    let mut bytes = vec![0; end.bytes as usize];
    file.read_exact_at(&mut bytes, end.start)?;
    let mut rest = bytes.as_slice();
    let mut names = HashSet::new();
    let mut places = Vec::new();
    for _ in 0..end.records {
        let (record, after) = read_record(rest)?;
        rest = after;
        if !names.insert(record.name) {
            return refused("has two entries of one name");
        }
        let begin = read_local(file, &record, end.start)?;
        let entry = ZipEntry {
            name: record.name.to_owned(),
            offset: begin,
            len: record.len,
        };
        places.push((record.header, entry));
    }
    if !rest.is_empty() {
        return refused("has a directory that is longer than its entries");
    }
    places.sort_by_key(|(header, entry)| (*header, entry.offset));
    let mut last = 0;
    for (header, entry) in &places {
        if *header < last {
            return refused("has entries that overlap");
        }
        last = entry.offset + entry.len;
    }
    Ok(places.into_iter().map(|(_, entry)| entry).collect())
}

/// Reads the record at the very end of the file, and the larger one that it may point to.
fn find_end(file: &dyn ReadAt) -> Result<End> {
    let Some(at) = file.len().checked_sub(END) else {
        return refused("is too short");
    };
    let mut end = [0; END as usize];
    file.read_exact_at(&mut end, at)?;
    if !end.starts_with(b"PK\x05\x06") || u16_at(&end, 20) != Some(0) {
        return refused("does not end where the file does");
    }
    let small = |offset| u16_at(&end, offset).map_or(0, u64::from);
    let medium = |offset| u32_at(&end, offset).map_or(0, u64::from);
    if (small(4), small(6)) != (0, 0) || small(8) != small(10) {
        return refused("has several volumes");
    }
    let said = End {
        records: small(10),
        bytes: medium(12),
        start: medium(16),
    };
    let (found, limit) = match find_large_end(file, at)? {
        Some((large, limit)) => {
            let agrees = |said: u64, most: u64, large: u64| said == most || said == large;
            let agree = agrees(said.records, u64::from(u16::MAX), large.records)
                && agrees(said.bytes, u64::from(u32::MAX), large.bytes)
                && agrees(said.start, u64::from(u32::MAX), large.start);
            if !agree {
                return refused("has end records that disagree");
            }
            (large, limit)
        }
        None => (said, at),
    };
    match found.start.checked_add(found.bytes) {
        Some(end) if end == limit => Ok(found),
        _ => refused("has a directory that is not where it should be"),
    }
}

/// Reads the end record of large archives, where there is one, and where it begins.
fn find_large_end(file: &dyn ReadAt, end: u64) -> Result<Option<(End, u64)>> {
    let Some(at) = end.checked_sub(LOCATOR) else {
        return Ok(None);
    };
    let mut locator = [0; LOCATOR as usize];
    file.read_exact_at(&mut locator, at)?;
    if !locator.starts_with(b"PK\x06\x07") {
        return Ok(None);
    }
    let large_at = u64_at(&locator, 8).unwrap_or(u64::MAX);
    if large_at.checked_add(LARGE_END) != Some(at) {
        return refused("has a large end record that is not where it should be");
    }
    let mut record = [0; LARGE_END as usize];
    file.read_exact_at(&mut record, large_at)?;
    let field = |offset| u64_at(&record, offset).unwrap_or(u64::MAX);
    let volumes = (u32_at(&record, 16), u32_at(&record, 20));
    let whole = volumes == (Some(0), Some(0)) && field(24) == field(32);
    if !record.starts_with(b"PK\x06\x06") || field(4) != LARGE_END - 12 || !whole {
        return refused("has a large end record that cannot be read");
    }
    let end = End {
        records: field(32),
        bytes: field(40),
        start: field(48),
    };
    Ok(Some((end, large_at)))
}

/// An entry as the directory has it.
struct Record<'a> {
    name: &'a str,
    /// Where the header before its bytes begins.
    header: u64,
    len: u64,
}

/// Reads a record, and gives what is after it.
fn read_record(bytes: &[u8]) -> Result<(Record<'_>, &[u8])> {
    let problem = "has a directory that cannot be read";
    let Some((record, rest)) = bytes.split_at_checked(RECORD) else {
        return refused(problem);
    };
    let small = |offset| u16_at(record, offset).map_or(0, usize::from);
    let medium = |offset| u32_at(record, offset).map_or(0, u64::from);
    let (flags, method) = (small(8), small(10));
    let (name_len, extra_len, comment_len) = (small(28), small(30), small(32));
    let name = rest.get(..name_len);
    let extra = rest.get(name_len..name_len + extra_len);
    let after = rest.get(name_len + extra_len + comment_len..);
    let (Some(name), Some(extra), Some(after)) = (name, extra, after) else {
        return refused(problem);
    };
    if !record.starts_with(b"PK\x01\x02") || small(34) != 0 {
        return refused(problem);
    }
    // Bits 0, 6 and 13: three ways to encrypt.
    if flags & 0x2041 != 0 {
        return refused("is encrypted");
    }
    if method != 0 {
        return refused("is compressed");
    }
    let Ok(name) = std::str::from_utf8(name) else {
        return refused("has names that are not UTF-8");
    };
    let mut large = large_fields(extra);
    let mut field = |small: u64| match small == u64::from(u32::MAX) {
        true => large.next().unwrap_or(u64::MAX),
        false => small,
    };
    // The order in which the large fields replace the small ones.
    let (len, stored, header) = (field(medium(24)), field(medium(20)), field(medium(42)));
    match len == stored {
        true => Ok((Record { name, header, len }, after)),
        false => refused("has entries of two lengths"),
    }
}

/// The 8-byte numbers that an entry's extra field has for those that do not fit into 4.
fn large_fields(extra: &[u8]) -> impl Iterator<Item = u64> {
    let mut rest = extra;
    let mut found: &[u8] = &[];
    while let (Some(kind), Some(len)) = (u16_at(rest, 0), u16_at(rest, 2)) {
        let end = 4 + usize::from(len);
        let Some(body) = rest.get(4..end) else {
            break;
        };
        if kind == 1 {
            found = body;
            break;
        }
        rest = &rest[end..];
    }
    found.as_chunks().0.iter().map(|b| u64::from_le_bytes(*b))
}

/// Reads the header before an entry's bytes; gives where these begin. They end before the directory.
fn read_local(file: &dyn ReadAt, record: &Record<'_>, limit: u64) -> Result<u64> {
    let outside = "has entries outside of itself";
    let end = record.header.checked_add(LOCAL as u64);
    if end.is_none_or(|end| end > limit) {
        return refused(outside);
    }
    let mut local = [0; LOCAL];
    file.read_exact_at(&mut local, record.header)?;
    let small = |offset| u16_at(&local, offset).map_or(0, u64::from);
    let (name_len, extra_len) = (small(26), small(28));
    if !local.starts_with(b"PK\x03\x04") || small(8) != 0 {
        return refused("has entries that its directory does not know");
    }
    let name_at = record.header + LOCAL as u64;
    let begin = name_at + name_len + extra_len;
    let end = begin.checked_add(record.len);
    if end.is_none_or(|end| end > limit) {
        return refused(outside);
    }
    let mut name = vec![0; name_len as usize];
    file.read_exact_at(&mut name, name_at)?;
    match name == record.name.as_bytes() {
        true => Ok(begin),
        false => refused("has entries that its directory calls otherwise"),
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let field = bytes.get(at..at.checked_add(2)?)?;
    field.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at.checked_add(4)?)?;
    field.try_into().ok().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(8)?)?;
    field.try_into().ok().map(u64::from_le_bytes)
}
