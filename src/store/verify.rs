//! Reading and checking everything there is.

mod found;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::base::id::IdHasher;
use crate::base::progress::Unit;
use crate::base::{ObjectId, Progress};

use super::Shared;
use super::chain::Tools;
use super::error::{Result, StoreError};
use super::layout::{self, PACK_MAGIC, Unusable, check_header};
use super::object::Object;
use super::pack::{Entry, Handle, Pack, Problem, Table, read_footer};
use super::parallel::{Numbering, for_each};
use super::record::Body;

use found::Found;
pub use found::{Checked, Damage, Harm};

/// Objects of more chunks than this are checked by several threads at once.
const MANY: u64 = 64;

/// See [`super::Store::verify`].
pub(super) fn verify(shared: &Arc<Shared>, progress: &dyn Progress) -> Result<Checked> {
    shared.packs.refresh(true)?;
    let packs = shared.packs.all();
    let found = Found::default();
    orphans(shared, &packs, &found);

    let length = |pack: &Arc<Pack>| pack.path.metadata().map_or(0, |stat| stat.len());
    let total = packs.iter().map(length).sum();
    progress.begin("checking packs", Unit::Bytes, Some(total));
    let listed = for_each(packs.len() as u64, Vec::new, |own, number| {
        let pack = &packs[number as usize];
        own.push((pack, check_pack(pack, &found, progress)?));
        Ok::<_, StoreError>(())
    });
    progress.end();
    let mut entries: Vec<(&Arc<Pack>, Entry)> = Vec::new();
    let mut said = Vec::new();
    for (pack, listed) in listed?.into_iter().flatten() {
        said.extend(listed.totals.map(|totals| (pack.name, totals)));
        entries.extend(listed.entries.into_iter().map(|entry| (pack, entry)));
    }
    // In the order of the disk.
    entries.sort_unstable_by_key(|(pack, entry)| (pack.name, entry.offset));

    progress.begin("checking objects", Unit::Bytes, None);
    let checked = check_objects(shared, &entries, &found, progress);
    progress.end();
    let (good, sums) = checked?;
    for (pack, totals) in said {
        // Of a pack with a record that cannot be read there is no sum, and the record was told of.
        if let Some(sum) = sums.get(&pack).unwrap_or(&Some(Totals::default()))
            && *sum != totals
        {
            found.add(
                pack,
                None,
                Harm::Bytes,
                "its totals are not those of its objects",
            );
        }
    }
    Ok(Checked {
        packs: packs.len() as u64,
        objects: entries.len() as u64,
        bytes: good,
        damage: found.all(),
    })
}

/// Reports indexes without a pack. `packs` were listed before, and others may have been published since.
fn orphans(shared: &Shared, packs: &[Arc<Pack>], found: &Found) {
    let Ok(files) = std::fs::read_dir(layout::packs(&shared.dir)) else {
        return; // listed just before, or there is no such folder
    };
    for file in files.flatten() {
        let name = file.file_name();
        let id = name
            .to_str()
            .and_then(|name| name.strip_suffix(".idx"))
            .and_then(ObjectId::from_hex);
        if let Some(id) = id
            && !packs.iter().any(|pack| pack.name == id)
            && !is_there(&layout::packs(&shared.dir).join(format!("{id}.pack")))
        {
            found.add(
                id,
                None,
                Harm::Orphan,
                "the index is there, but the pack is not",
            );
        }
    }
}

/// False only where there is surely nothing of that name.
fn is_there(path: &Path) -> bool {
    match path.symlink_metadata() {
        Err(e) => e.kind() != io::ErrorKind::NotFound,
        Ok(_) => true,
    }
}

/// Bytes of a pack's objects, and bytes that their chunks and records take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    raw: u128,
    stored: u128,
}

impl Totals {
    fn of(table: &Table) -> Self {
        Self {
            raw: table.raw.into(),
            stored: table.stored.into(),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            raw: self.raw + other.raw,
            stored: self.stored + other.stored,
        }
    }
}

/// What the records of each pack add up to; `None` where one of them cannot be read.
type Sums = BTreeMap<ObjectId, Option<Totals>>;

/// What a pack lists.
#[derive(Default)]
struct Listed {
    entries: Vec<Entry>,
    /// What it says that they add up to.
    totals: Option<Totals>,
}

impl From<(Vec<Entry>, Table)> for Listed {
    fn from((entries, table): (Vec<Entry>, Table)) -> Self {
        Self {
            entries,
            totals: Some(Totals::of(&table)),
        }
    }
}

/// Checks a pack and its index as files, and returns what objects they list.
fn check_pack(pack: &Pack, found: &Found, progress: &dyn Progress) -> Result<Listed> {
    let name = pack.name;
    let directory = match open_pack(pack, found, progress) {
        Ok(directory) => directory,
        Err(Stop::Cancelled) => return Err(StoreError::Cancelled),
        Err(Stop::Gone) => return Ok(Listed::default()),
    };
    let index = Handle::open(&pack.index_path())
        .map_err(Problem::Io)
        .and_then(|file| {
            let table = Table::of_index(&file)?;
            Ok((table.entries(&file)?, table))
        });
    match (directory, index) {
        // Rebuilding it is only a matter of speed.
        (directory, Err(Problem::Io(e))) if e.kind() == io::ErrorKind::NotFound => {
            Ok(directory.map(Listed::from).unwrap_or_default())
        }
        (directory, Err(problem)) => {
            found.problem(name, "its index", Harm::Index, &problem);
            Ok(directory.map(Listed::from).unwrap_or_default())
        }
        (None, Ok(index)) => Ok(index.into()),
        (Some((entries, own)), Ok((listed, table))) => {
            let totals = |table: &Table| (table.count, Totals::of(table));
            if table.hash != name {
                found.add(name, None, Harm::Index, "its index is that of another pack");
            } else if listed != entries || totals(&table) != totals(&own) {
                found.add(name, None, Harm::Index, "its index contradicts it");
            }
            Ok((entries, own).into())
        }
    }
}

enum Stop {
    Cancelled,
    /// Removed since it was listed: gc's right, and no damage.
    Gone,
}

type Directory = Option<(Vec<Entry>, Table)>;

fn open_pack(
    pack: &Pack,
    found: &Found,
    progress: &dyn Progress,
) -> std::result::Result<Directory, Stop> {
    let report = |problem: &Problem| found.problem(pack.name, "the pack", Harm::Bytes, problem);
    let file = match Handle::open(&pack.path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(Stop::Gone),
        Err(e) => {
            report(&Problem::Io(e));
            return Ok(None);
        }
    };
    if let Err(problem) = check_whole(pack, &file, progress) {
        match problem {
            Some(problem) => report(&problem),
            None => return Err(Stop::Cancelled),
        }
    }
    let directory = Table::of_pack(&file).and_then(|table| Ok((table.entries(&file)?, table)));
    match directory {
        Ok(directory) => Ok(Some(directory)),
        Err(problem) => {
            report(&problem);
            Ok(None)
        }
    }
}

/// Checks head, footer and hash. `None` is cancelled.
fn check_whole(
    pack: &Pack,
    file: &Handle,
    progress: &dyn Progress,
) -> std::result::Result<(), Option<Problem>> {
    const PIECE: u64 = 1 << 20;
    let some = |e: io::Error| Some(Problem::from(e));
    let damaged = |what| Some(Problem::Unusable(Unusable::Damaged(what)));
    let head = file.read(0, layout::HEADER_LEN).map_err(some)?;
    check_header(&head, PACK_MAGIC).map_err(|why| Some(why.into()))?;
    let footer = read_footer(file).map_err(Some)?;
    // Behind the hash there is only the hash and what `read_footer` compared.
    let end = file.len - 40;
    let mut hasher = IdHasher::new();
    let mut at = 0;
    while at < end {
        if progress.cancelled() {
            return Err(None);
        }
        let len = (end - at).min(PIECE);
        hasher.update(&file.read(at, len as usize).map_err(some)?);
        progress.advance(len);
        at += len;
    }
    match hasher.finish() {
        hash if hash != footer.hash => Err(damaged("its hash is wrong")),
        hash if hash != pack.name => Err(damaged("its name is not its hash")),
        _ => Ok(()),
    }
}

/// Checks objects one by one, the large ones afterwards and together. Returns how many bytes are good, and what the
/// records add up to.
fn check_objects(
    shared: &Arc<Shared>,
    entries: &[(&Arc<Pack>, Entry)],
    found: &Found,
    progress: &dyn Progress,
) -> Result<(u64, Sums)> {
    let state = || Checker {
        shared,
        found,
        progress,
        tools: Tools::default(),
        bytes: Vec::new(),
        good: 0,
        sums: Sums::new(),
        large: Vec::new(),
    };
    let checkers = for_each(entries.len() as u64, state, |checker, number| {
        let (pack, entry) = entries[number as usize];
        checker.object(pack, &entry)
    })?;
    let mut good: u64 = checkers.iter().map(|checker| checker.good).sum();
    let mut sums = Sums::new();
    for (pack, sum) in checkers.iter().flat_map(|checker| &checker.sums) {
        add(&mut sums, *pack, *sum);
    }
    let large: Vec<_> = checkers.into_iter().flat_map(|c| c.large).collect();
    let numbering = Numbering::new(large.iter().map(Object::chunks));
    let checkers = for_each(numbering.total(), state, |checker, number| {
        let (object, chunk) = numbering.find(number);
        checker.chunk(&large[object], chunk)
    })?;
    good += checkers.iter().map(|checker| checker.good).sum::<u64>();
    Ok((good, sums))
}

fn add(sums: &mut Sums, pack: ObjectId, more: Option<Totals>) {
    let sum = sums.entry(pack).or_insert(Some(Totals::default()));
    *sum = sum.zip(more).map(|(sum, more)| sum.plus(more));
}

struct Checker<'a> {
    shared: &'a Arc<Shared>,
    found: &'a Found,
    progress: &'a dyn Progress,
    tools: Tools,
    bytes: Vec<u8>,
    good: u64,
    sums: Sums,
    large: Vec<Object>,
}

impl Checker<'_> {
    fn object(&mut self, pack: &Arc<Pack>, entry: &Entry) -> Result<()> {
        let record = match pack.record(&self.shared.packs.handles, entry) {
            Ok(record) => record,
            Err(error) => {
                self.found.object(pack.name, entry.id, &error);
                add(&mut self.sums, pack.name, None);
                return Ok(());
            }
        };
        let totals = Totals {
            raw: record.len.into(),
            stored: u128::from(record.stored()) + u128::from(entry.len),
        };
        add(&mut self.sums, pack.name, Some(totals));
        let object = Object::new(self.shared, pack, record);
        if object.chunks() > MANY {
            self.large.push(object);
            return Ok(());
        }
        (0..object.chunks()).try_for_each(|index| self.chunk(&object, index))
    }

    fn chunk(&mut self, object: &Object, index: u64) -> Result<()> {
        if self.progress.cancelled() {
            return Err(StoreError::Cancelled);
        }
        let checked = self
            .stored(object, index)
            .and_then(|()| object.decode_own(index, &mut self.tools, &mut self.bytes));
        match checked {
            Ok(()) => self.good += self.bytes.len() as u64,
            Err(error) => self.found.object(object.pack().name, object.id(), &error),
        }
        self.progress
            .advance(object.record().chunk_len(index) as u64);
        Ok(())
    }

    /// Checks the stored bytes of a chunk, which tells damage of its own from that of a base.
    fn stored(&self, object: &Object, index: u64) -> Result<()> {
        let record = object.record();
        match &record.body {
            Body::Chunks(_) => {
                let handles = &self.shared.packs.handles;
                object.pack().checked_payload(handles, record, index)?;
            }
            Body::Parts(_) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Fs;
    use crate::base::progress::Silent;
    use crate::store::{Element, PutItem, Store};

    #[test]
    fn a_pack_that_is_published_meanwhile_is_no_damage() {
        let dir = tempfile::tempdir().expect("a temp folder");
        let store = Store::open(Fs::new(), dir.path()).expect("opened");
        let mut writer = store.writer().expect("nobody else writes");
        let item = PutItem {
            source: &b"bytes".to_vec(),
            offset: 0,
            len: 5,
            element: Element::Bytes,
            expect: None,
            bases: Vec::new(),
            numbers: None,
            fields: None,
        };
        writer.put_all(&[item], &Silent).expect("put");
        let pack = writer.finish().expect("published").packs[0];
        let told = || {
            let found = Found::default();
            // As they were listed before that.
            orphans(&store.shared, &[], &found);
            found.all().len()
        };
        assert_eq!(told(), 0);
        let path = layout::packs(dir.path()).join(format!("{pack}.pack"));
        std::fs::remove_file(path).expect("removed");
        assert_eq!(told(), 1);
    }
}
