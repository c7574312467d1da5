//! Survivors of packs that are written anew: copied as they are, payload and record, into packs of their own.
//!
//! What an object is written with is named by id and not by place, so that a copy is as good wherever it lies; only
//! the offset of its payload is its pack's own.

use std::collections::HashSet;
use std::sync::Arc;

use crate::base::fs::Writeback;
use crate::base::{ObjectId, Progress};
use crate::store::error::{Result, StoreError};
use crate::store::pack::{Entry, Pack, PackWriter};
use crate::store::record::{Body, Record};
use crate::store::writer::PACK;
use crate::store::{Shared, layout};

use super::prove::Prover;
use super::survey::Survey;

/// What copying came to.
#[derive(Default)]
pub(super) struct Done {
    /// New packs.
    pub(super) packs: HashSet<ObjectId>,
    /// Bytes of their chunks and records.
    pub(super) stored: u64,
    /// Packs in which a survivor turned out damaged, and those survivors. Such a pack stays.
    pub(super) hurt: HashSet<ObjectId>,
    pub(super) damaged: Vec<ObjectId>,
}

/// Copies survivors, and publishes them. The old packs are not touched.
pub(super) fn copy(
    shared: &Arc<Shared>,
    survey: &Survey,
    survivors: &[(usize, Vec<Entry>)],
    prover: &mut Prover,
    progress: &dyn Progress,
) -> Result<Done> {
    let mut done = Done::default();
    let mut writer: Option<PackWriter> = None;
    let writeback = Writeback::default();
    for (at, entries) in survivors {
        let pack = &survey.packs[*at].pack;
        let mut sound = true;
        for entry in entries {
            if !prover.is_good(shared, pack, entry, progress)? {
                done.damaged.push(entry.id);
                sound = false;
            }
        }
        if !sound {
            done.hurt.insert(pack.name);
            continue;
        }
        for entry in entries {
            if progress.cancelled() {
                return Err(StoreError::Cancelled);
            }
            if let Some(full) = writer.take_if(|writer| writer.len() >= PACK) {
                publish(shared, full, &mut done)?;
            }
            let writer = match &mut writer {
                Some(writer) => writer,
                none => {
                    let tmp = layout::tmp(&shared.dir);
                    let writer = none.insert(PackWriter::create(&shared.fs, &tmp, 0)?);
                    writer.write_back(&writeback);
                    writer
                }
            };
            append(shared, pack, entry, writer)?;
            progress.advance(1);
        }
    }
    if let Some(last) = writer {
        publish(shared, last, &mut done)?;
    }
    shared.packs.refresh(true)?;
    Ok(done)
}

/// Copies one object, its chunks and its record.
pub(super) fn append(
    shared: &Shared,
    pack: &Arc<Pack>,
    entry: &Entry,
    writer: &mut PackWriter,
) -> Result<()> {
    let handles = &shared.packs.handles;
    let record = pack.record(handles, entry)?;
    let begin = writer.len();
    let chunks = match &record.body {
        Body::Chunks(chunks) => chunks.as_slice(),
        Body::Parts(_) => &[],
    };
    for index in 0..chunks.len() as u64 {
        // Not a byte is copied that was not checked on this very way.
        writer.append(&pack.checked_payload(handles, &record, index)?)?;
    }
    let record = Record {
        payload: match chunks.is_empty() {
            true => record.payload,
            false => begin,
        },
        ..record
    };
    writer.end_object(&record)?;
    Ok(())
}

fn publish(shared: &Shared, writer: PackWriter, done: &mut Done) -> Result<()> {
    let sealed = writer.seal()?;
    done.packs.insert(sealed.footer.hash);
    done.stored += sealed.footer.stored;
    let durable = sealed.sync(&shared.fs, &layout::tmp(&shared.dir))?;
    durable.publish(&shared.fs, &layout::packs(&shared.dir))?;
    Ok(())
}
