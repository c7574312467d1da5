//! Reading, hashing and encoding by several threads, appending by one.
//!
//! ```text
//! dispatcher --jobs--> workers --results--> sequencer (the caller's thread) --> pack
//!      ^------------------ tickets --------------|
//! ```
//!
//! The dispatcher hands out work in the order of the items, and the sequencer appends in that order. Each piece
//! of work needs a ticket, which the sequencer gives back, so that the pieces in flight are a few per worker,
//! whatever the sizes. When any end hangs up, the others end.

mod plan;
mod sequencer;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::base::id::{CHUNK, ChunkValue, chunk_value};
use crate::base::{ObjectId, Progress};

use super::Element;
use super::cdc::{LARGE, LONGEST, first_part};
use super::chain::Tools;
use super::checksum::checksum;
use super::codec::{Against, Encoder, RAW, needs_base};
use super::error::{Result, StoreError};
use super::kindred::Kindred;
use super::parallel::workers;
use super::writer::{Known, Output, Put, PutItem};
pub(super) use plan::{Effort, HEIGHT};
use plan::{Place, Plan, Planner, Plans, Search};
use sequencer::Sequencer;

/// Items up to this length travel in batches: handing one over costs more than encoding it.
const SMALL: u64 = 64 << 10;
/// A batch is full with so many items, or with a chunk's bytes.
const BATCH: usize = 256;
/// A chunk is coded alone where decoding it would take so much work on its bases: a reader's limit is far above.
pub(super) const WORK: u64 = 64 << 20;

/// A piece of work.
enum Job {
    /// Items that are small.
    Batch { items: Vec<usize> },
    /// Chunk `index` of an item.
    Chunk { item: usize, index: u64 },
    /// A part of an item that is cut by content.
    Part { item: usize, bytes: Vec<u8> },
}

/// A piece of work done.
enum Done {
    /// Small items, in order.
    Batch(Vec<Done>),
    /// An item, or a part of one, that is a single chunk; `coded` unless it is known.
    Single {
        item: usize,
        id: ObjectId,
        len: usize,
        part: bool,
        coded: Option<Coded>,
    },
    /// One of several chunks of an item.
    Chunk {
        item: usize,
        index: u64,
        len: usize,
        value: ChunkValue,
        coded: Coded,
    },
    /// The end of an item whose parts came before.
    Parts {
        item: usize,
        values: Vec<ChunkValue>,
    },
}

/// A chunk as it will be stored.
struct Coded {
    codec: u8,
    /// What it is coded against.
    against: Option<Place>,
    checksum: u64,
    payload: Vec<u8>,
}

type Numbered<T> = (u64, T);

/// What is to be put, and how.
pub(super) struct Task<'a> {
    pub(super) items: &'a [PutItem<'a>],
    /// The numbers of those that are put.
    pub(super) todo: &'a [usize],
    pub(super) effort: Effort,
    /// What the chunks and the record of each item may take at most: one that would take more is not written. Without
    /// a number, an item may take what it takes.
    pub(super) at_most: &'a [u64],
}

/// Puts the items whose numbers are in `todo`, and sets their `puts`.
pub(super) fn run(
    task: &Task<'_>,
    known: &Known,
    output: &mut Output,
    progress: &dyn Progress,
    puts: &mut [Option<Put>],
    kindred: &Kindred,
) -> Result<()> {
    let Task {
        items,
        todo,
        effort,
        ..
    } = *task;
    if todo.is_empty() {
        return Ok(());
    }
    let threads = workers();
    let (tickets, returned) = bounded(threads * 4);
    let (jobs, taken) = bounded(threads);
    let (results, arrived) = unbounded();
    let (spare, spares) = unbounded();
    let lengths = items.iter().map(|item| item.len);
    let search = Search::new(known.shared(), kindred, lengths);
    let plans = &Plans::new(items.len(), search);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (taken, results, spares) = (taken.clone(), results.clone(), spares.clone());
            scope.spawn(move || {
                let place = At {
                    items,
                    known,
                    plans,
                    effort,
                };
                work(place, &taken, &results, &spares);
            });
        }
        drop((taken, spares));
        let dispatcher = Dispatcher {
            items,
            tickets,
            jobs,
            results,
            progress,
            number: 0,
        };
        scope.spawn(move || dispatcher.run(todo));
        let sequencer = Sequencer::new(task, known, plans, output, progress, puts, spare);
        // By value: when this returns early, the channels close and the threads end.
        sequencer.run(arrived, returned)
    })
}

/// The other ends of the channels are gone: the sequencer has failed.
struct HungUp;

struct Dispatcher<'a> {
    items: &'a [PutItem<'a>],
    tickets: Sender<()>,
    jobs: Sender<Numbered<Job>>,
    results: Sender<Numbered<Result<Done>>>,
    progress: &'a dyn Progress,
    number: u64,
}

impl Dispatcher<'_> {
    fn run(mut self, todo: &[usize]) {
        // An error has told the sequencer already, or it is the sequencer that has failed.
        let _ = self.all(todo);
    }

    fn all(&mut self, todo: &[usize]) -> std::result::Result<(), HungUp> {
        let (mut batch, mut size) = (Vec::new(), 0);
        for item in todo {
            let len = self.items[*item].len;
            let small = len <= SMALL;
            if small {
                batch.push(*item);
                size += len;
            }
            let full = !small || batch.len() == BATCH || size >= CHUNK as u64;
            if full && !batch.is_empty() {
                size = 0;
                self.job(Job::Batch {
                    items: std::mem::take(&mut batch),
                })?;
            }
            if !small {
                self.item(*item)?;
            }
        }
        match batch.is_empty() {
            true => Ok(()),
            false => self.job(Job::Batch { items: batch }),
        }
    }

    fn item(&mut self, item: usize) -> std::result::Result<(), HungUp> {
        let PutItem { len, element, .. } = self.items[item];
        if element.storable() == Element::Bytes && len > LARGE {
            return match self.parts(item) {
                Ok(values) => self.result(Ok(Done::Parts { item, values })),
                Err(Some(error)) => self.result(Err(error)),
                Err(None) => Err(HungUp),
            };
        }
        (0..self.items[item].span().pieces())
            .try_for_each(|index| self.job(Job::Chunk { item, index }))
    }

    /// Cuts an item by content. Reading it in order is this thread's; parts are encoded by the workers.
    fn parts(&mut self, item: usize) -> std::result::Result<Vec<ChunkValue>, Option<StoreError>> {
        let span = self.items[item].span();
        let (mut chunk, mut buffer) = (Vec::new(), Vec::new());
        let mut values = Vec::new();
        for index in 0..span.pieces() {
            span.read_chunk(item, index, &mut chunk).map_err(Some)?;
            values.push(chunk_value(index, &chunk));
            buffer.extend_from_slice(&chunk);
            let last = index + 1 == span.pieces();
            let mut start = 0;
            while buffer.len() - start >= LONGEST || (last && start < buffer.len()) {
                let end = start + first_part(&buffer[start..]);
                let bytes = buffer[start..end].to_vec();
                self.job(Job::Part { item, bytes }).map_err(|HungUp| None)?;
                start = end;
            }
            buffer.drain(..start);
        }
        Ok(values)
    }

    fn ticket(&mut self) -> std::result::Result<u64, HungUp> {
        self.tickets.send(()).map_err(|_| HungUp)?;
        self.number += 1;
        Ok(self.number - 1)
    }

    fn job(&mut self, job: Job) -> std::result::Result<(), HungUp> {
        if self.progress.cancelled() {
            let _ = self.result(Err(StoreError::Cancelled));
            return Err(HungUp);
        }
        let number = self.ticket()?;
        self.jobs.send((number, job)).map_err(|_| HungUp)
    }

    /// Passes something by the workers, in its turn. Nothing follows an error.
    fn result(&mut self, done: Result<Done>) -> std::result::Result<(), HungUp> {
        let number = self.ticket()?;
        let failed = done.is_err();
        self.results.send((number, done)).map_err(|_| HungUp)?;
        if failed { Err(HungUp) } else { Ok(()) }
    }
}

/// What all workers work on.
#[derive(Clone, Copy)]
struct At<'a> {
    items: &'a [PutItem<'a>],
    known: &'a Known,
    plans: &'a Plans<'a>,
    effort: Effort,
}

fn work(
    place: At<'_>,
    jobs: &Receiver<Numbered<Job>>,
    results: &Sender<Numbered<Result<Done>>>,
    spares: &Receiver<Vec<u8>>,
) {
    let At {
        items,
        known,
        plans,
        effort,
    } = place;
    let mut worker = Worker {
        items,
        known,
        plans,
        effort,
        spares,
        spare: Vec::new(),
        encoder: Encoder::new(),
        tools: Tools::default(),
        raw: Vec::with_capacity(CHUNK),
        base: Vec::new(),
    };
    for (number, job) in jobs {
        let done = catch_unwind(AssertUnwindSafe(|| worker.act(job)));
        // A sequencer that waits for a panicked worker would wait for ever.
        let (done, panic) = match done {
            Ok(done) => (done, None),
            Err(panic) => (Err(StoreError::Aborted), Some(panic)),
        };
        let hung_up = results.send((number, done)).is_err();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
        if hung_up {
            return;
        }
    }
}

struct Worker<'a> {
    items: &'a [PutItem<'a>],
    known: &'a Known,
    plans: &'a Plans<'a>,
    effort: Effort,
    /// Buffers that come back from the sequencer.
    spares: &'a Receiver<Vec<u8>>,
    /// One of them that was not given away.
    spare: Vec<u8>,
    encoder: Encoder,
    tools: Tools,
    raw: Vec<u8>,
    base: Vec<u8>,
}

impl Worker<'_> {
    fn act(&mut self, job: Job) -> Result<Done> {
        match job {
            Job::Batch { items } => {
                let done = items.into_iter().map(|item| {
                    self.read(item, 0)?;
                    self.single(item, false)
                });
                Ok(Done::Batch(done.collect::<Result<_>>()?))
            }
            Job::Part { item, bytes } => {
                self.raw = bytes;
                self.single(item, true)
            }
            Job::Chunk { item, index } => {
                self.read(item, index)?;
                if self.items[item].len <= CHUNK as u64 {
                    return self.single(item, false);
                }
                Ok(Done::Chunk {
                    item,
                    index,
                    len: self.raw.len(),
                    value: chunk_value(index, &self.raw),
                    coded: self.encode(item, index),
                })
            }
        }
    }

    fn read(&mut self, item: usize, index: u64) -> Result<()> {
        let span = self.items[item].span();
        span.read_chunk(item, index, &mut self.raw)
    }

    /// An object of one chunk, which is encoded only if it is new.
    fn single(&mut self, item: usize, part: bool) -> Result<Done> {
        let id = ObjectId::of(&self.raw);
        let len = self.raw.len();
        let coded = match self.known.has(&id)? {
            true => None,
            false => Some(self.encode(item, 0)),
        };
        Ok(Done::Single {
            item,
            id,
            len,
            part,
            coded,
        })
    }

    /// The plan of an item, where the bytes are that its chunk from `offset` on may be coded against, and in `base`
    /// these; `None` where there are none.
    fn read_base(&mut self, item: usize, offset: u64) -> Option<(Arc<Plan>, Place)> {
        let put = &self.items[item];
        if !self.plans.has_any(item, put) {
            return None;
        }
        let plan = self.plans.get(item, || {
            let mut planner = Planner {
                shared: self.known.shared(),
                plans: self.plans,
                effort: self.effort,
                tools: &mut self.tools,
                encoder: &mut self.encoder,
            };
            planner.plan(item, put)
        });
        let before = self.tools.work.done();
        let place = plan.read(offset, self.raw.len(), &mut self.tools, &mut self.base)?;
        let work = self.tools.work.done() - before;
        (!self.base.is_empty() && work <= WORK).then_some((plan, place))
    }

    fn encode(&mut self, item: usize, index: u64) -> Coded {
        let offset = index * CHUNK as u64;
        let (plan, place) = self.read_base(item, offset).unzip();
        let against = plan
            .as_ref()
            .zip(place.as_ref())
            .map(|(plan, place)| Against {
                base: &self.base,
                look: plan.look(),
                strips: place.strips(),
            });
        let mut payload = match self.spare.capacity() {
            0 => self.spares.try_recv().unwrap_or_default(),
            _ => std::mem::take(&mut self.spare),
        };
        let chunk = self.items[item].chunk(&self.raw, offset);
        let codec = self.encoder.encode(&chunk, against, &mut payload);
        let based = needs_base(codec, &payload);
        if codec == RAW {
            std::mem::swap(&mut payload, &mut self.raw);
        }
        if payload.len() <= SMALL as usize {
            // Many of these may wait at once, each in the room that it needs and no more.
            let exact = payload.as_slice().to_vec();
            self.spare = std::mem::replace(&mut payload, exact);
        }
        Coded {
            codec,
            against: place.filter(|_| based),
            checksum: checksum(&payload),
            payload,
        }
    }
}
