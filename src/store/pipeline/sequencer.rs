//! The end of the pipeline: appends pieces in the order of the items, and decides what is kept.

use std::collections::BTreeMap;

use crossbeam_channel::{Receiver, Sender};

use crate::base::id::{CHUNK, ChunkValue, id_of_chunks};
use crate::base::{ObjectId, Progress};

use super::super::codec::field_tables;
use super::super::pack::Mark;
use super::super::record::{Body, Chunk, Part, Record};
use super::plan::{Place, Plans};
use super::{Coded, Done, Element, Known, Numbered, Output, Put, Result, Task};

/// An object whose chunks are arriving.
struct Growing {
    mark: Mark,
    payload: u64,
    chunks: Vec<Chunk>,
    /// Whether a chunk is coded against the item's bases.
    based: bool,
    values: Vec<ChunkValue>,
}

pub(super) struct Sequencer<'a> {
    task: &'a Task<'a>,
    known: &'a Known,
    plans: &'a Plans<'a>,
    output: &'a mut Output,
    progress: &'a dyn Progress,
    puts: &'a mut [Option<Put>],
    spare: Sender<Vec<u8>>,
    growing: Option<Growing>,
    /// The parts of the item at hand, and what they added to the store.
    parts: Vec<Part>,
    written: u64,
    /// What the item at hand is coded against.
    bases: Vec<ObjectId>,
}

impl<'a> Sequencer<'a> {
    pub(super) fn new(
        task: &'a Task<'a>,
        known: &'a Known,
        plans: &'a Plans<'a>,
        output: &'a mut Output,
        progress: &'a dyn Progress,
        puts: &'a mut [Option<Put>],
        spare: Sender<Vec<u8>>,
    ) -> Self {
        Self {
            task,
            known,
            plans,
            output,
            progress,
            puts,
            spare,
            growing: None,
            parts: Vec::new(),
            written: 0,
            bases: Vec::new(),
        }
    }

    /// Takes results until there are no more, and gives a ticket back for each.
    pub(super) fn run(
        mut self,
        arrived: Receiver<Numbered<Result<Done>>>,
        tickets: Receiver<()>,
    ) -> Result<()> {
        let mut early = BTreeMap::new();
        let mut next = 0;
        for (number, done) in arrived {
            early.insert(number, done);
            while let Some(done) = early.remove(&next) {
                next += 1;
                self.take(done?)?;
                let _ = tickets.recv();
            }
        }
        Ok(())
    }

    fn take(&mut self, done: Done) -> Result<()> {
        match done {
            Done::Batch(all) => all.into_iter().try_for_each(|done| self.take(done)),
            Done::Single {
                item,
                id,
                len,
                part,
                coded,
            } => {
                let written = match coded {
                    Some(coded) if self.known.add(id) => self.single(item, id, len, coded)?,
                    _ => 0,
                };
                if part {
                    let len = len as u32; // a part is one chunk at most
                    self.parts.push(Part { id, len });
                    self.written += written;
                } else {
                    self.put(item, id, written);
                }
                self.progress.advance(len as u64);
                Ok(())
            }
            Done::Chunk {
                item,
                index,
                len,
                value,
                coded,
            } => {
                self.chunk(item, index, value, coded)?;
                self.progress.advance(len as u64);
                Ok(())
            }
            Done::Parts { item, values } => self.end_parts(item, values),
        }
    }

    fn record(&self, item: usize, id: ObjectId, len: u64, payload: u64, body: Body) -> Record {
        let fields = self.task.items[item].fields.as_ref();
        Record {
            id,
            len,
            element: self.task.items[item].element.storable(),
            bases: Vec::new(),
            tables: fields.map(field_tables).unwrap_or_default(),
            payload,
            body,
            values: Vec::new(),
        }
    }

    fn single(&mut self, item: usize, id: ObjectId, len: usize, coded: Coded) -> Result<u64> {
        let payload = self.output.for_object()?.len();
        let chunks = match len {
            0 => Vec::new(),
            _ => vec![stored(&coded, 0)],
        };
        let mut record = self.record(item, id, len as u64, payload, Body::Chunks(chunks));
        if coded.against.is_some() {
            self.refer(&mut record, item);
        }
        let mut written = 0;
        if self.fits(item, &record) {
            let pack = self.output.current()?;
            pack.append(&coded.payload)?;
            written = record.stored() + pack.end_object(&record)?;
        }
        self.give_back(coded.payload);
        Ok(written)
    }

    fn chunk(&mut self, item: usize, index: u64, value: ChunkValue, coded: Coded) -> Result<()> {
        let mut growing = match self.growing.take() {
            Some(growing) => growing,
            None => {
                let pack = self.output.for_object()?;
                Growing {
                    mark: pack.mark()?,
                    payload: pack.len(),
                    chunks: Vec::new(),
                    based: false,
                    values: Vec::new(),
                }
            }
        };
        let at = growing.chunks.last();
        let at = at.map_or(0, |chunk| chunk.at + u64::from(chunk.stored));
        growing.chunks.push(stored(&coded, at));
        growing.values.push(value);
        growing.based |= coded.against.is_some();
        self.output.current()?.append(&coded.payload)?;
        self.give_back(coded.payload);
        if index + 1 < self.task.items[item].span().pieces() {
            self.growing = Some(growing);
            return Ok(());
        }
        self.end_chunks(item, growing)
    }

    /// Large buffers are used again.
    fn give_back(&self, buffer: Vec<u8>) {
        if buffer.capacity() >= CHUNK / 2 {
            let _ = self.spare.send(buffer);
        }
    }

    fn end_chunks(&mut self, item: usize, growing: Growing) -> Result<()> {
        let id = id_of_chunks(&growing.values).expect("an item of chunks has two or more");
        let mut written = 0;
        let known = self.known.has(&id)?;
        let body = Body::Chunks(growing.chunks);
        let len = self.task.items[item].len;
        let mut record = self.record(item, id, len, growing.payload, body);
        record.values = growing.values;
        if growing.based {
            self.refer(&mut record, item);
        }
        if known || !self.fits(item, &record) {
            // Only now could that be known; its chunks go again.
            self.output.current()?.back_to(growing.mark)?;
        } else {
            self.known.add(id);
            let end = self.output.current()?.end_object(&record)?;
            written = record.stored() + end;
        }
        self.put(item, id, written);
        Ok(())
    }

    /// Whether a record and its chunks take no more than the item may.
    fn fits(&self, item: usize, record: &Record) -> bool {
        let most = self.task.at_most.get(item);
        most.is_none_or(|most| record.stored() + record.encode().len() as u64 <= *most)
    }

    /// Names what the chunks of an item are coded against.
    fn refer(&mut self, record: &mut Record, item: usize) {
        if let Some((bases, tables)) = self.plans.end(item) {
            record.bases = bases;
            if !tables.is_empty() {
                // A view is of numbers, which no blocks are.
                debug_assert!(record.tables.is_empty(), "tables of fields are overwritten");
                record.tables = tables;
            }
            self.bases.clone_from(&record.bases);
        }
    }

    fn put(&mut self, item: usize, id: ObjectId, written: u64) {
        self.plans.end(item);
        let mut bases = std::mem::take(&mut self.bases);
        if written == 0 {
            bases.clear();
        }
        self.puts[item] = Some(Put { id, written, bases });
    }

    fn end_parts(&mut self, item: usize, values: Vec<ChunkValue>) -> Result<()> {
        let id = id_of_chunks(&values).expect("an item that is cut has several chunks");
        let parts = std::mem::take(&mut self.parts);
        let mut written = std::mem::take(&mut self.written);
        if !self.known.has(&id)? {
            self.known.add(id);
            let payload = self.output.for_object()?.len();
            let len = self.task.items[item].len;
            let mut record = self.record(item, id, len, payload, Body::Parts(parts));
            record.element = Element::Bytes;
            record.values = values;
            written += self.output.current()?.end_object(&record)?;
        }
        self.put(item, id, written);
        Ok(())
    }
}

fn stored(coded: &Coded, at: u64) -> Chunk {
    let (base, base_offset) = match coded.against {
        Some(Place::Window(base, offset)) => (Some(base), offset),
        // The stored bytes say it.
        Some(Place::Strips(_)) | None => (None, 0),
    };
    Chunk {
        codec: coded.codec,
        base,
        base_offset,
        stored: coded.payload.len() as u32, // at most a chunk, or it would have stayed raw
        checksum: coded.checksum,
        at,
    }
}
