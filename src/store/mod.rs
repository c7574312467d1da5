//! Objects, kept for good: raw bytes named by their BLAKE3, stored small, verified whenever they are read.
//!
//! ```text
//! <common git dir>/mvc/packs/<hash>.pack   chunks and records of many objects; written once
//!                      packs/<hash>.idx    where each object's record lies
//!                      tmp/                packs on their way
//!                      trash/<time>/       packs that gc put aside
//!                      lock                shared by writers, held alone by gc
//! ```
//!
//! - A **chunk** is 1 MiB of an object's raw bytes, the last one shorter; each is stored in a **codec**.
//! - A **record** says how an object's chunks are stored and what proves each of them.
//! - A **part** is an object of its own that a large file without tensors was cut into, by content.
//!
//! Nothing is visible before it is whole and durable, nothing that is visible ever changes, and readers take no
//! lock. What this folder never does: return bytes that are not those that were named, know what a tensor is
//! called, or talk to git. The files are specified in `docs/format.md`.

mod assemble;
mod cdc;
mod chain;
mod checksum;
mod codec;
mod copy;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod gc;
mod hash;
mod height;
mod hold;
mod kindred;
mod layout;
mod object;
mod opened;
mod pack;
mod packs;
mod parallel;
mod pipeline;
mod record;
mod shelf;
mod sound;
mod usage;
mod verify;
mod work;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::base::{Fs, ObjectId, Progress, ReadAt};

pub use codec::{CodecError, Format};
pub use copy::{CopyOut, Failed};
pub use error::{Flaw, Result, StoreError};
pub use gc::{Alone, Amount, Collected, Collection, Fate, Leftovers, PackFate, Plan, Trash};
pub use gc::{Done, Heights, Order, Repacked, Wanted};
pub use hash::{Span, hash_all};
pub use hold::Hold;
pub use kindred::{Fresh, Kin, Kindred};
pub use object::Object;
pub use usage::{StoredSize, Usage};
pub use verify::{Checked, Damage, Harm};
pub use writer::{Candidate, Numbers, Put, PutItem, Writer, Written};

use packs::Packs;

/// What an object's bytes are, so far as it helps to store them: no part of its name, and never needed to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// No tensor: headers, text, whole files. Where they are more than a few MiB, they are cut by content, which
    /// suits bytes that shift and no tensor; a tensor of unknown numbers has numbers of one byte.
    Bytes,
    /// Little-endian numbers.
    Number {
        /// Bytes per number: 1, 2, 4 or 8. Any other is stored as numbers of one byte.
        width: u8,
        /// True for sign, exponent, mantissa.
        float: bool,
    },
}

impl Element {
    /// Numbers of `width` bytes.
    pub const fn number(width: u8, float: bool) -> Self {
        Self::Number { width, float }
    }

    /// Only what a record can say.
    fn storable(self) -> Self {
        match self {
            Self::Bytes
            | Self::Number {
                width: 1 | 2 | 4 | 8,
                ..
            } => self,
            Self::Number { .. } => Self::number(1, false),
        }
    }
}

/// A store of objects. Cheap to clone, and safe to use from several threads and processes at once.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    fs: Fs,
    dir: PathBuf,
    packs: Packs,
}

impl Store {
    /// Opens the store in `dir`. One that does not exist is empty, and is made at the first write.
    pub fn open(fs: Fs, dir: &Path) -> Result<Self> {
        let shared = Shared {
            fs,
            dir: dir.to_owned(),
            packs: Packs::new(layout::packs(dir)),
        };
        shared.packs.refresh(true)?;
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// True if some pack lists the object, published by this process or another. Quick, and proves nothing about
    /// its bytes: that is for [`Store::verify`] and for reading.
    pub fn contains(&self, id: &ObjectId) -> Result<bool> {
        self.shared.packs.contains(id)
    }

    /// The packs that there are, by name and length.
    pub fn packs(&self) -> Result<BTreeSet<(ObjectId, u64)>> {
        self.shared.packs.refresh(false)?;
        let packs = self.shared.packs.all();
        // One that gc took away meanwhile is none.
        let named = packs.iter().filter_map(|pack| {
            let metadata = pack.path.metadata().ok()?;
            Some((pack.name, metadata.len()))
        });
        Ok(named.collect())
    }

    /// True if some pack lists the object, and the stored bytes of it and of all that it depends on are those that
    /// were written: reads them, and decodes nothing.
    pub fn is_sound(&self, id: &ObjectId) -> Result<bool> {
        Ok(self.contains(id)? && sound::Sound::default().is(&self.shared, id))
    }

    /// Opens an object. Its chunk values are proved to yield its id, its chunks when they are read.
    ///
    /// Errors: `Missing`; `Damaged` where no pack has a good record; `Unsupported` or `Pack` where it is in no
    /// pack that can be listed, but some cannot.
    pub fn object(&self, id: &ObjectId) -> Result<Object> {
        Object::open(&self.shared, id, &mut chain::Tools::default())
    }

    /// All bytes of an object, verified. One longer than `limit` is an error before anything is read.
    pub fn read(&self, id: &ObjectId, limit: u64) -> Result<Vec<u8>> {
        let object = self.object(id)?;
        let len = object.len();
        if len > limit {
            return Err(StoreError::TooLong {
                id: *id,
                len,
                limit,
            });
        }
        object.read_all()
    }

    /// Keeps every object where it is until the hold is dropped. Whoever makes something that names objects takes it
    /// before looking for what is known, and drops it when what names them is durable.
    pub fn hold(&self) -> Result<Hold> {
        Hold::shared(&self.shared)
    }

    /// Starts writing. Takes the store's lock, shared with other writers, until it is dropped or finished.
    pub fn writer(&self) -> Result<Writer> {
        Writer::start(self.clone())
    }

    /// Copies whole objects into files, in parallel. Every byte is verified before it is written.
    ///
    /// Returns what failed, by job: other jobs are not affected, and what such a job left in its file means
    /// nothing. An error of writing, or cancelling, ends everything.
    pub fn copy_out(&self, jobs: &[CopyOut<'_>], progress: &dyn Progress) -> Result<Vec<Failed>> {
        copy::copy_out(&self.shared, jobs, progress)
    }

    /// Reads and checks every byte of every pack, index, record, chunk and object. Damage is listed, and never
    /// ends the check; an error is of cancelling, or of a folder that cannot be listed.
    pub fn verify(&self, progress: &dyn Progress) -> Result<Checked> {
        verify::verify(&self.shared, progress)
    }

    /// How much there is.
    pub fn usage(&self) -> Result<Usage> {
        usage::usage(&self.shared)
    }

    /// How many objects must be decoded one after the other before one of the object's chunks can be, if a reader
    /// takes the copies for which it is most.
    pub fn height(&self, id: &ObjectId) -> Result<u8> {
        height::tallest(&self.shared, id)
    }

    /// How an object is stored; `None` where it is not.
    pub fn stored_size(&self, id: &ObjectId) -> Result<Option<StoredSize>> {
        usage::stored_size(&self.shared, id)
    }
}
