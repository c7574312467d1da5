//! The figures of changed tensors: both sides streamed, several tensors and blocks at a time.
//!
//! Memory is bounded by threads x block. Tensors with equal ids are never read, and a pair that occurs under
//! several names is read once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::base::progress::Unit;
use crate::base::text::printable;
use crate::base::{Dtype, ObjectId, Progress};
use crate::model::Entry;
use crate::model::diff::{Change, What};
use crate::model::stats::rank::{self, LowRank};
use crate::model::stats::{self, Input, Stats};
use crate::ops::error::{During, Result};
use crate::ops::sides::SideFile;
use crate::ops::workspace::Workspace;

/// Tensors of more bytes are shared by all threads; of smaller ones each thread has its own.
const LARGE: u64 = 8 << 20;

/// The longest rows of which the rank of a change is worked out: the sketch takes 64 steps an element.
const SKETCHED_COLUMNS: u64 = 16 << 10;

/// A change of fewer elements is no update of low rank, which moves whole rows.
const SKETCHED_SHARE: f64 = 0.25;

/// What was worked out of a tensor.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    pub(super) stats: Stats,
    pub(super) low_rank: Option<LowRank>,
}

/// A weights file of one side and its tensors, to which changes refer.
#[derive(Clone, Copy)]
pub(super) struct Of<'a> {
    pub(super) file: &'a SideFile,
    pub(super) entries: &'a [Entry],
}

struct Job<'a> {
    old: &'a Entry,
    new: &'a Entry,
    /// The changes that it answers.
    changes: Vec<usize>,
}

impl Job<'_> {
    fn bytes(&self) -> u64 {
        self.old.location.bytes.max(self.new.location.bytes)
    }
}

/// The figures of each change; `None` where its elements do not correspond, or where there is nothing to compare.
pub(super) fn measure(
    ws: &Workspace,
    before: Of<'_>,
    after: Of<'_>,
    changes: &[&Change],
    progress: &dyn Progress,
) -> Result<Vec<Option<Figures>>> {
    let jobs = jobs(before, after, changes);
    let total = jobs
        .iter()
        .map(|job| {
            job.old
                .location
                .bytes
                .saturating_add(job.new.location.bytes)
        })
        .fold(0, u64::saturating_add);
    let mut figures = vec![None; changes.len()];
    if jobs.is_empty() {
        return Ok(figures);
    }
    progress.begin("comparing", Unit::Bytes, Some(total));
    let done = run(ws, before.file, after.file, &jobs, progress);
    progress.end();
    for (job, found) in jobs.iter().zip(done?) {
        for change in &job.changes {
            if let Some(place) = figures.get_mut(*change) {
                place.clone_from(&found);
            }
        }
    }
    before.file.unchanged(ws)?;
    after.file.unchanged(ws)?;
    Ok(figures)
}

/// What has to be read, the largest first.
fn jobs<'a>(before: Of<'a>, after: Of<'a>, changes: &[&Change]) -> Vec<Job<'a>> {
    type Form<'a> = (ObjectId, &'a Dtype, &'a [u64]);
    fn form(entry: &Entry) -> Form<'_> {
        (entry.id, &entry.dtype, &entry.shape)
    }
    let mut places: HashMap<(Form<'_>, Form<'_>), usize> = HashMap::new();
    let mut jobs: Vec<Job<'a>> = Vec::new();
    for (i, change) in changes.iter().enumerate() {
        if !matches!(change.what, What::Changed | What::Dtype | What::Shape) {
            continue;
        }
        let old = change
            .before
            .as_ref()
            .and_then(|s| before.entries.get(s.index));
        let new = change
            .after
            .as_ref()
            .and_then(|s| after.entries.get(s.index));
        let (Some(old), Some(new)) = (old, new) else {
            continue;
        };
        let place = *places.entry((form(old), form(new))).or_insert(jobs.len());
        match jobs.get_mut(place) {
            Some(job) => job.changes.push(i),
            None => jobs.push(Job {
                old,
                new,
                changes: vec![i],
            }),
        }
    }
    jobs.sort_by_key(|job| std::cmp::Reverse(job.bytes()));
    jobs
}

fn run(
    ws: &Workspace,
    before: &SideFile,
    after: &SideFile,
    jobs: &[Job<'_>],
    progress: &dyn Progress,
) -> Result<Vec<Option<Figures>>> {
    let threads = crate::ops::threads();
    let large = jobs.iter().take_while(|job| job.bytes() > LARGE).count();
    let mut figures = Vec::with_capacity(jobs.len());
    for job in jobs.iter().take(large) {
        figures.push(one(ws, before, after, job, threads, progress)?);
    }
    let small = jobs.get(large..).unwrap_or_default();
    let next = AtomicUsize::new(0);
    let worker = || -> Result<Vec<(usize, Option<Figures>)>> {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = small.get(index) else {
                return Ok(done);
            };
            match one(ws, before, after, job, 1, progress) {
                Ok(found) => done.push((index, found)),
                Err(e) => {
                    // The others need not go on.
                    next.store(small.len(), Ordering::Relaxed);
                    return Err(e);
                }
            }
        }
    };
    let mut found = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.min(small.len()))
            .map(|_| scope.spawn(worker))
            .collect();
        let mut all = Vec::new();
        for worker in workers {
            match worker.join() {
                Ok(done) => all.extend(done?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok::<_, crate::ops::Error>(all)
    })?;
    found.sort_unstable_by_key(|(index, _)| *index);
    figures.extend(found.into_iter().map(|(_, figures)| figures));
    Ok(figures)
}

fn one(
    ws: &Workspace,
    before: &SideFile,
    after: &SideFile,
    job: &Job<'_>,
    threads: usize,
    progress: &dyn Progress,
) -> Result<Option<Figures>> {
    let tried = || format!("cannot compare the tensor `{}`", printable(&job.new.name));
    let (old_source, old_offset) = before.locate(ws, job.old).during(tried)?;
    let (new_source, new_offset) = after.locate(ws, job.new).during(tried)?;
    let old = Input {
        offset: old_offset,
        ..Input::in_file(old_source.as_ref(), job.old)
    };
    let new = Input {
        offset: new_offset,
        ..Input::in_file(new_source.as_ref(), job.new)
    };
    let Some(stats) = stats::compare(&old, &new, threads, progress).during(tried)? else {
        return Ok(None);
    };
    let low_rank = match may_be_low_rank(job, &stats) {
        true => rank::of_difference(&old, &new, progress).during(tried)?,
        false => None,
    };
    Ok(Some(Figures { stats, low_rank }))
}

/// True where the sketch is cheap and could say something.
fn may_be_low_rank(job: &Job<'_>, stats: &Stats) -> bool {
    job.old.dtype.is_float()
        && job.old.dtype == job.new.dtype
        && job.old.shape == job.new.shape
        && matches!(job.old.shape.as_slice(), [_, columns] if *columns <= SKETCHED_COLUMNS)
        && stats.new_non_finite == 0
        && stats.changed_share() >= SKETCHED_SHARE
}
