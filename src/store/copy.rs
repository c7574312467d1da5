//! Objects into files: checkout's inner loop.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use crate::base::fs::TempFile;
use crate::base::id::CHUNK;
use crate::base::progress::Unit;
use crate::base::{ObjectId, Progress};

use super::Shared;
use super::chain::Tools;
use super::error::{Result, StoreError};
use super::object::Object;
use super::parallel::{Numbering, for_each};

/// A whole object that belongs into a file.
#[derive(Clone, Copy, Debug)]
pub struct CopyOut<'a> {
    /// The object.
    pub id: ObjectId,
    /// The length that it must have.
    pub len: u64,
    /// The file, not yet under its final name.
    pub file: &'a TempFile,
    /// Where in the file it begins.
    pub offset: u64,
}

/// A job that failed.
#[derive(Debug)]
pub struct Failed {
    /// Its place among the jobs.
    pub job: usize,
    /// Why.
    pub error: StoreError,
}

/// See [`super::Store::copy_out`].
pub(super) fn copy_out(
    shared: &Arc<Shared>,
    jobs: &[CopyOut<'_>],
    progress: &dyn Progress,
) -> Result<Vec<Failed>> {
    let total = jobs.iter().map(|job| job.len).sum();
    progress.begin("writing", Unit::Bytes, Some(total));
    let done = run(shared, jobs, progress);
    progress.end();
    done
}

fn run(shared: &Arc<Shared>, jobs: &[CopyOut<'_>], progress: &dyn Progress) -> Result<Vec<Failed>> {
    let failures = Mutex::new(Vec::new());
    let failed: Vec<_> = jobs.iter().map(|_| AtomicBool::new(false)).collect();
    let fail = |job: usize, error| {
        // The first failure of a job is enough.
        if !failed[job].swap(true, Ordering::Relaxed) {
            failures
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(Failed { job, error });
        }
    };
    let opened = for_each(jobs.len() as u64, Vec::new, |own, number| {
        if progress.cancelled() {
            return Err(StoreError::Cancelled);
        }
        let job = number as usize;
        let CopyOut { id, len, .. } = &jobs[job];
        match Object::open_sized(shared, id, *len, &mut Tools::default()) {
            Ok(object) => own.push((job, object)),
            Err(error) => fail(job, error),
        }
        Ok(())
    })?;
    let mut objects: Vec<(usize, Object)> = opened.into_iter().flatten().collect();
    objects.sort_unstable_by_key(|(job, _)| *job);

    let numbering = Numbering::new(objects.iter().map(|(_, object)| object.chunks()));
    let state = || (Tools::default(), Vec::new());
    for_each(numbering.total(), state, |(tools, bytes), number| {
        if progress.cancelled() {
            return Err(StoreError::Cancelled);
        }
        let (place, index) = numbering.find(number);
        let (job, object) = &objects[place];
        if failed[*job].load(Ordering::Relaxed) {
            return Ok(());
        }
        match object.decode_chunk(index, tools, bytes) {
            Ok(()) => {
                let target = &jobs[*job];
                let at = target.offset + index * CHUNK as u64;
                target.file.write_all_at(bytes, at)?;
                progress.advance(bytes.len() as u64);
            }
            Err(error) => fail(*job, error),
        }
        Ok(())
    })?;
    let mut failures = failures
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    failures.sort_unstable_by_key(|failure| failure.job);
    Ok(failures)
}
