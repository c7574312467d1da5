//! What all files of the store share: names, heads, integers and the checksum.
//!
//! Integers are little-endian. `docs/format.md` is the specification; this file and `record.rs` follow it.

use std::path::{Path, PathBuf};

use crate::base::ObjectId;

/// Length of the head that every file of the store begins with.
pub(super) const HEADER_LEN: usize = 32;
/// The version of the format that this build writes, and the newest that it reads.
pub(super) const VERSION: u32 = 1;
/// The required feature flags that this build understands: none exist yet.
const REQUIRED_KNOWN: u32 = 0;

/// The first eight bytes of a pack.
pub(super) const PACK_MAGIC: [u8; 8] = *b"mvcpack\n";
/// The first eight bytes of an index.
pub(super) const INDEX_MAGIC: [u8; 8] = *b"mvcindx\n";
/// The last eight bytes of a pack.
pub(super) const END_MAGIC: [u8; 8] = *b"mvcpend\n";

/// Where the packs lie, below the store's folder.
pub(super) fn packs(dir: &Path) -> PathBuf {
    dir.join("packs")
}

/// Where unfinished files lie.
pub(super) fn tmp(dir: &Path) -> PathBuf {
    dir.join("tmp")
}

/// Where gc puts packs that nobody needs, in a folder named for the time.
pub(super) fn trash(dir: &Path) -> PathBuf {
    dir.join("trash")
}

/// The lock that writers share and that gc holds alone.
pub(super) fn lock(dir: &Path) -> PathBuf {
    dir.join("lock")
}

/// Why a file of the store cannot be used at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// Well-formed as far as can be told, but made by a newer mvc; what is new.
    Newer(String),
    /// Not what it should be; what is wrong.
    Damaged(&'static str),
}

/// The optional flag of a pack whose objects were each put in the best place that a repack could find, so that no
/// later one looks at them again.
pub(super) const SETTLED: u32 = 1;

/// The head of a file: magic, version 1, no required flags, these optional ones, zeros.
pub(super) fn header(magic: [u8; 8], optional: u32) -> [u8; HEADER_LEN] {
    let mut head = [0; HEADER_LEN];
    head[..8].copy_from_slice(&magic);
    head[8..12].copy_from_slice(&VERSION.to_le_bytes());
    head[16..20].copy_from_slice(&optional.to_le_bytes());
    head
}

/// The optional flags of a head that was checked.
pub(super) fn optional(head: &[u8]) -> u32 {
    let field = head.get(16..20).and_then(|field| field.try_into().ok());
    field.map_or(0, u32::from_le_bytes)
}

/// Checks the head of a file. Unknown optional flags are fine; unknown required ones are a newer mvc's.
pub(super) fn check_header(head: &[u8], magic: [u8; 8]) -> Result<(), Unusable> {
    let mut head = Cursor(head);
    let short = Unusable::Damaged("its head is cut short");
    if head.array().ok_or(short.clone())? != magic {
        return Err(Unusable::Damaged("it does not begin as it should"));
    }
    let version = head.u32().ok_or(short.clone())?;
    let required = head.u32().ok_or(short.clone())?;
    let _optional = head.u32().ok_or(short.clone())?;
    let reserved: [u8; 12] = head.array().ok_or(short)?;
    match version {
        0 => return Err(Unusable::Damaged("its version is 0")),
        VERSION => {}
        newer => return Err(Unusable::Newer(format!("version {newer}"))),
    }
    if required & !REQUIRED_KNOWN != 0 {
        return Err(Unusable::Newer(format!("features {required:#x}")));
    }
    match reserved == [0; 12] {
        true => Ok(()),
        false => Err(Unusable::Damaged("reserved bytes of its head are set")),
    }
}

/// Untrusted bytes, taken from the front; `None` where they end.
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(front)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*front)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn id(&mut self) -> Option<ObjectId> {
        self.array().map(ObjectId::from_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_ours_newer_or_damaged() {
        let good = header(PACK_MAGIC, 0);
        assert_eq!(check_header(&good, PACK_MAGIC), Ok(()));
        assert!(check_header(&good, INDEX_MAGIC).is_err());
        assert!(check_header(&good[..31], PACK_MAGIC).is_err());
        let with = |at: usize, value: u8| {
            let mut head = good;
            head[at] = value;
            check_header(&head, PACK_MAGIC)
        };
        assert_eq!(with(8, 2), Err(Unusable::Newer("version 2".into())));
        assert_eq!(with(12, 4), Err(Unusable::Newer("features 0x4".into())));
        assert_eq!(with(16, 255), Ok(()), "optional features may be ignored");
        assert_eq!(optional(&header(PACK_MAGIC, SETTLED)), SETTLED);
        assert_eq!((optional(&good), optional(b"short")), (0, 0));
        assert!(matches!(with(8, 0), Err(Unusable::Damaged(_))));
        assert!(matches!(with(31, 1), Err(Unusable::Damaged(_))));
    }
}
