//! Putting objects into the store.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use crate::base::fs::{Fs, Writeback};
use crate::base::id::CHUNK;
use crate::base::progress::Unit;
use crate::base::{Fields, ObjectId, Progress, ReadAt};

use super::codec::Chunk;
use super::error::{Result, StoreError};
use super::hash::{self, Span};
use super::hold::Hold;
use super::kindred::Kindred;
use super::pack::{Pack, PackWriter, Sealed};
use super::parallel::for_each;
use super::pipeline::{Effort, Task};
use super::sound::Sound;
use super::{Element, Format, Shared, Store, layout, pipeline};

/// A pack that is longer takes no further object.
pub(super) const PACK: u64 = 256 << 20;
/// A pack that was written or found useful less than this ago is as good as new.
const FRESH: Duration = Duration::from_secs(60 * 60);

/// One object to put.
pub struct PutItem<'a> {
    /// Where its bytes are.
    pub source: &'a dyn ReadAt,
    /// From which byte on.
    pub offset: u64,
    /// How many.
    pub len: u64,
    /// What they are. Numbers begin at the first byte.
    pub element: Element,
    /// The object that was here before. Where its first chunk is the same, the rest is compared before anything
    /// is encoded.
    pub expect: Option<ObjectId>,
    /// Objects that are likely to be similar, the likeliest first: numbers are stored as their differences to one of
    /// them where that is smaller.
    pub bases: Vec<Candidate>,
    /// What is known of its numbers, so that they can be computed from others.
    pub numbers: Option<Numbers>,
    /// What the blocks are made of, where its bytes are blocks of quantised numbers. The first begins at the first byte.
    pub fields: Option<Fields>,
}

/// An object that is likely to be similar to an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The object.
    pub id: ObjectId,
    /// Which version of a file it is from, as a number that the caller gives: the version that is best for some
    /// tensors of a file is likely the best for the others too, and is then the only one that is tried.
    pub version: usize,
}

/// The numbers of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// How their bytes are read.
    pub format: Format,
    /// How many of them are a row of its matrix; 0 where it is none.
    pub columns: u64,
}

impl PutItem<'_> {
    pub(super) fn span(&self) -> Span<'_> {
        Span {
            source: self.source,
            offset: self.offset,
            len: self.len,
        }
    }

    /// Its bytes from `offset` on, as what they are.
    pub(super) fn chunk<'a>(&'a self, raw: &'a [u8], offset: u64) -> Chunk<'a> {
        Chunk {
            raw,
            element: self.element.storable(),
            fields: self.fields.as_ref(),
            offset,
        }
    }
}

/// What became of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// The object that it is.
    pub id: ObjectId,
    /// Bytes that it added to the store; 0 if it was there already.
    pub written: u64,
    /// What it was written with, where it was written with other objects.
    pub bases: Vec<ObjectId>,
}

/// What a writer published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The new packs.
    pub packs: Vec<ObjectId>,
    /// Objects in them.
    pub objects: u64,
    /// Bytes of these objects.
    pub raw: u64,
    /// Bytes of their chunks and records.
    pub stored: u64,
}

/// Writes objects into packs that nobody sees before [`Writer::finish`]. Dropped before, it leaves nothing.
pub struct Writer {
    store: Store,
    known: Known,
    output: Output,
    failed: bool,
    _hold: Hold,
}

impl Writer {
    pub(super) fn start(store: Store) -> Result<Self> {
        let hold = Hold::shared(&store.shared)?;
        Ok(Self {
            known: Known::new(&store.shared),
            output: Output::new(&store.shared, 0),
            store,
            failed: false,
            _hold: hold,
        })
    }

    /// Writes these objects although the store has them: what is there is damaged, or is to be replaced.
    pub fn anew(&mut self, ids: impl IntoIterator<Item = ObjectId>) {
        self.known.anew.extend(ids);
    }

    /// Splits packs at another length.
    #[cfg(test)]
    pub(super) fn split_at(&mut self, limit: u64) {
        self.output.limit = limit;
    }

    /// Reads, names, encodes and appends these objects, by several threads; objects that the store has already
    /// are not written. Results are in the order of the items. Memory does not grow with the objects.
    ///
    /// Errors: `Changed` and `Source` name the item; `Cancelled`; the disk's. After an error nothing of this
    /// writer can be published.
    pub fn put_all(&mut self, items: &[PutItem<'_>], progress: &dyn Progress) -> Result<Vec<Put>> {
        self.put_among(items, &Kindred::default(), progress)
    }

    /// [`Writer::put_all`] of items that may be made of what was lost since, or be parts of it.
    pub fn put_among(
        &mut self,
        items: &[PutItem<'_>],
        kindred: &Kindred,
        progress: &dyn Progress,
    ) -> Result<Vec<Put>> {
        if self.failed {
            return Err(StoreError::Aborted);
        }
        let done = self.put(items, kindred, progress);
        self.failed = done.is_err();
        done
    }

    fn put(
        &mut self,
        items: &[PutItem<'_>],
        kindred: &Kindred,
        progress: &dyn Progress,
    ) -> Result<Vec<Put>> {
        let mut puts = self.unchanged(items, progress)?;
        let todo: Vec<usize> = (0..items.len()).filter(|at| puts[*at].is_none()).collect();
        let total = todo.iter().map(|at| items[*at].len).sum();
        progress.begin("storing", Unit::Bytes, Some(total));
        let task = Task {
            items,
            todo: &todo,
            effort: Effort::Quick,
            at_most: &[],
        };
        let (known, output) = (&self.known, &mut self.output);
        let done = pipeline::run(&task, known, output, progress, &mut puts, kindred);
        progress.end();
        done?;
        let all = puts.into_iter().map(|put| put.ok_or(StoreError::Aborted));
        all.collect()
    }

    /// Finds the items that are what they were, without encoding them.
    fn unchanged(
        &self,
        items: &[PutItem<'_>],
        progress: &dyn Progress,
    ) -> Result<Vec<Option<Put>>> {
        let mut puts: Vec<Option<Put>> = items.iter().map(|_| None).collect();
        let large: Vec<(usize, ObjectId)> = items
            .iter()
            .enumerate()
            .filter(|(_, item)| item.len > CHUNK as u64)
            .filter_map(|(at, item)| Some((at, item.expect?)))
            .collect();
        let state = || (Vec::new(), Vec::new());
        let same = for_each(large.len() as u64, state, |(same, buffer), number| {
            let (at, expect) = large[number as usize];
            if self.begins_like(&items[at], at, &expect, buffer)? {
                same.push(at);
            }
            Ok::<_, StoreError>(())
        })?;
        let same: Vec<usize> = same.into_iter().flat_map(|(same, _)| same).collect();
        if same.is_empty() {
            return Ok(puts);
        }
        let spans: Vec<_> = same.iter().map(|at| items[*at].span()).collect();
        let total = spans.iter().map(|span| span.len).sum();
        progress.begin("comparing", Unit::Bytes, Some(total));
        let ids = hash::ids(&spans, progress);
        progress.end();
        // An error names the item by its place among the spans.
        let ids = ids.map_err(|e| match e {
            StoreError::Changed { item } => StoreError::Changed { item: same[item] },
            StoreError::Source { item, source } => StoreError::Source {
                item: same[item],
                source,
            },
            e => e,
        })?;
        for (at, id) in same.into_iter().zip(ids) {
            if self.known.has(&id)? {
                puts[at] = Some(Put {
                    id,
                    written: 0,
                    bases: Vec::new(),
                });
            }
        }
        Ok(puts)
    }

    fn begins_like(
        &self,
        item: &PutItem<'_>,
        at: usize,
        expect: &ObjectId,
        buffer: &mut Vec<u8>,
    ) -> Result<bool> {
        // What is not readable is no obstacle here: the item is then stored as if new.
        let Ok(object) = self.store.object(expect) else {
            return Ok(false);
        };
        if object.len() != item.len {
            return Ok(false);
        }
        item.span().read_chunk(at, 0, buffer)?;
        let first = object.record().values.first();
        Ok(first == Some(&crate::base::id::chunk_value(0, buffer)))
    }

    /// Makes everything durable, then visible. Where there is nothing new, nothing is written.
    ///
    /// Packs appear one after the other, each of them whole, and none before those that it depends on.
    pub fn finish(mut self) -> Result<Written> {
        if self.failed {
            return Err(StoreError::Aborted);
        }
        self.known.freshen();
        self.output.seal()?;
        let mut written = Written::default();
        if self.output.sealed.is_empty() {
            return Ok(written);
        }
        let Output {
            fs, tmp, sealed, ..
        } = self.output;
        let dir = &self.store.shared.dir;
        let packs = layout::packs(dir);
        let mut durable = Vec::with_capacity(sealed.len());
        for pack in sealed {
            written.packs.push(pack.footer.hash);
            written.objects += pack.footer.count;
            written.raw += pack.footer.raw;
            written.stored += pack.footer.stored;
            durable.push(pack.sync(&fs, &tmp)?);
        }
        fs.create_dir_all(&packs)?;
        // Also where both were there already: whoever made them may have died before they were durable.
        fs.sync_dir(dir)?;
        if let Some(parent) = dir.parent().filter(|p| !p.as_os_str().is_empty()) {
            fs.sync_dir(parent)?;
        }
        for pack in durable {
            pack.publish(&fs, &packs)?;
        }
        self.store.shared.packs.refresh(true)?;
        Ok(written)
    }
}

/// Which objects need not be written: those of the store and those of this writer.
pub(super) struct Known {
    shared: Arc<Shared>,
    new: RwLock<HashSet<ObjectId>>,
    /// What is written again although the store has it.
    anew: HashSet<ObjectId>,
    /// The packs that objects were found in.
    used: Mutex<HashMap<ObjectId, Arc<Pack>>>,
    sound: Sound,
}

impl Known {
    fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: shared.clone(),
            new: RwLock::default(),
            anew: HashSet::new(),
            used: Mutex::default(),
            sound: Sound::default(),
        }
    }

    /// For who writes these objects although the store has them.
    pub(super) fn but_for(shared: &Arc<Shared>, ids: impl IntoIterator<Item = ObjectId>) -> Self {
        let mut known = Self::new(shared);
        known.anew.extend(ids);
        known
    }

    /// The store itself.
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// True if the object need not be written. One whose stored bytes are damaged is written again: any good copy
    /// serves.
    pub(super) fn has(&self, id: &ObjectId) -> Result<bool> {
        let new = self.new.read().unwrap_or_else(PoisonError::into_inner);
        let own = new.contains(id);
        drop(new);
        // As of the writer's start: what others publish meanwhile is at worst stored twice, while asking the
        // disk for every new object would cost more than most of them do.
        let shared = &self.shared;
        if own {
            return Ok(true);
        }
        if self.anew.contains(id) {
            return Ok(false);
        }
        let Some(pack) = shared.packs.listed(id)? else {
            return Ok(false);
        };
        let sound = self.sound.is(shared, id);
        if sound {
            let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            used.entry(pack.name).or_insert(pack);
        }
        Ok(sound)
    }

    /// Packs whose objects are wanted anew are young again to gc, as if they were written now. It is a second net
    /// below the lock, for a file system that does not keep locks; where it fails, as on the pack of another user,
    /// nothing is wrong.
    fn freshen(&self) {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        for pack in used.values() {
            let modified = pack.path.metadata().and_then(|stat| stat.modified());
            let age = modified.ok().and_then(|time| time.elapsed().ok());
            if age.is_some_and(|age| age > FRESH) {
                let _ = self.shared.fs.touch(&pack.path);
            }
        }
    }

    /// Adds an object that is about to be written; false if this writer has it already.
    pub(super) fn add(&self, id: ObjectId) -> bool {
        self.new
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id)
    }
}

/// The packs of a writer.
pub(super) struct Output {
    fs: Fs,
    tmp: std::path::PathBuf,
    writeback: Writeback,
    current: Option<PackWriter>,
    sealed: Vec<Sealed>,
    limit: u64,
    /// The optional flags of each of them.
    flags: u32,
}

impl Output {
    /// Packs with these optional flags.
    pub(super) fn new(shared: &Shared, flags: u32) -> Self {
        Self {
            fs: shared.fs.clone(),
            tmp: layout::tmp(&shared.dir),
            writeback: Writeback::default(),
            current: None,
            sealed: Vec::new(),
            limit: PACK,
            flags,
        }
    }

    /// All packs, complete, the oldest first.
    pub(super) fn end(mut self) -> Result<Vec<Sealed>> {
        self.seal()?;
        Ok(self.sealed)
    }

    /// The pack that the next object goes into.
    pub(super) fn for_object(&mut self) -> Result<&mut PackWriter> {
        // Sealed packs hold files open, so that a huge put has larger packs instead of many.
        let limit = self.limit << (self.sealed.len() / 64).min(16);
        if self
            .current
            .as_ref()
            .is_some_and(|pack| pack.len() >= limit)
        {
            self.seal()?;
        }
        self.current()
    }

    /// The pack that the object at hand goes into.
    pub(super) fn current(&mut self) -> Result<&mut PackWriter> {
        let pack = match self.current.take() {
            Some(pack) => pack,
            None => {
                let mut pack = PackWriter::create(&self.fs, &self.tmp, self.flags)?;
                pack.write_back(&self.writeback);
                pack
            }
        };
        Ok(self.current.insert(pack))
    }

    fn seal(&mut self) -> Result<()> {
        if let Some(pack) = self.current.take().filter(|pack| !pack.is_empty()) {
            self.sealed.push(pack.seal()?);
        }
        Ok(())
    }
}
