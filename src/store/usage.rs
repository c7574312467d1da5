//! How much room things take.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{ObjectId, ReadAt};

use super::Shared;
use super::chain::Tools;
use super::codec::{self, VIEW};
use super::error::{Result, StoreError};
use super::object::Object;
use super::packs::is_gone;
use super::record::Body;

/// What a store holds. An object that lies in two packs counts twice, as it does on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    /// Packs.
    pub packs: u64,
    /// Objects.
    pub objects: u64,
    /// Bytes of the objects themselves.
    pub raw: u64,
    /// Bytes of their chunks and records.
    pub stored: u64,
    /// Bytes of all packs and indexes.
    pub disk: u64,
}

/// How an object is stored.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct StoredSize {
    /// Its length.
    pub raw: u64,
    /// Bytes of its chunks, those of its parts included.
    pub stored: u64,
    /// How many chunks are of each codec, and of each kind of view.
    pub codecs: BTreeMap<&'static str, u64>,
    /// The objects that it is coded against.
    pub bases: Vec<ObjectId>,
    /// How many parts it was cut into; 0 for most.
    pub parts: u64,
}

pub(super) fn usage(shared: &Shared) -> Result<Usage> {
    shared.packs.refresh(false)?;
    let mut usage = Usage::default();
    for pack in shared.packs.all().iter() {
        usage.packs += 1;
        usage.disk += pack.disk();
        match pack.totals(&shared.packs.handles) {
            Ok((objects, raw, stored)) => {
                usage.objects += objects;
                usage.raw += raw;
                usage.stored += stored;
            }
            // What cannot be listed still takes its room; `verify` is for saying that it is damaged.
            Err(StoreError::Pack { .. } | StoreError::Unsupported { .. }) => {}
            // Taken away since it was listed.
            Err(e) if is_gone(&e) => usage.packs -= 1,
            Err(e) => return Err(e),
        }
    }
    Ok(usage)
}

pub(super) fn stored_size(shared: &Arc<Shared>, id: &ObjectId) -> Result<Option<StoredSize>> {
    let tools = &mut Tools::default();
    let object = match Object::open(shared, id, tools) {
        Ok(object) => object,
        Err(StoreError::Missing { .. }) => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut size = StoredSize {
        raw: object.len(),
        stored: 0,
        codecs: BTreeMap::new(),
        bases: object.record().bases.clone(),
        parts: 0,
    };
    add(shared, &mut size, &object);
    if let Body::Parts(parts) = &object.record().body {
        size.parts = parts.len() as u64;
        for part in parts {
            add(shared, &mut size, &Object::open(shared, &part.id, tools)?);
        }
    }
    Ok(Some(size))
}

/// Views of an object are of one kind: the first one tells, and no more is read of it than that takes.
fn add(shared: &Shared, size: &mut StoredSize, object: &Object) {
    let record = object.record();
    size.stored += record.stored();
    let Body::Chunks(chunks) = &record.body else {
        return;
    };
    let mut view = None;
    for (index, chunk) in (0..).zip(chunks) {
        let name = match chunk.codec {
            VIEW => *view.get_or_insert_with(|| {
                let mut payload = Vec::new();
                let handles = &shared.packs.handles;
                // What cannot be read is told as what its record says.
                let read = object.pack().payload(handles, record, index, &mut payload);
                read.map_or(codec::name(VIEW), |()| codec::kind(VIEW, &payload))
            }),
            other => codec::name(other),
        };
        *size.codecs.entry(name).or_default() += 1;
    }
}
