//! Whether one copy of an object can be read to its end.

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::{ObjectId, Progress};
use crate::store::Shared;
use crate::store::chain::Tools;
use crate::store::error::{Result, StoreError};
use crate::store::object::Object;
use crate::store::pack::{Entry, Pack};

/// Reads copies, each of them once.
#[derive(Default)]
pub(super) struct Prover {
    /// By object and pack.
    known: HashMap<(ObjectId, ObjectId), bool>,
    tools: Tools,
    bytes: Vec<u8>,
}

impl Prover {
    /// True if every chunk of this very copy decodes to what its object's name says. A disk that cannot read it makes
    /// it no good copy, and is no error.
    pub(super) fn is_good(
        &mut self,
        shared: &Arc<Shared>,
        pack: &Arc<Pack>,
        entry: &Entry,
        progress: &dyn Progress,
    ) -> Result<bool> {
        let key = (entry.id, pack.name);
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        let good = match self.read(shared, pack, entry, progress) {
            Ok(()) => true,
            Err(StoreError::Cancelled) => return Err(StoreError::Cancelled),
            Err(_) => false,
        };
        self.known.insert(key, good);
        Ok(good)
    }

    fn read(
        &mut self,
        shared: &Arc<Shared>,
        pack: &Arc<Pack>,
        entry: &Entry,
        progress: &dyn Progress,
    ) -> Result<()> {
        let record = pack.record(&shared.packs.handles, entry)?;
        let object = Object::new(shared, pack, record);
        for index in 0..object.chunks() {
            if progress.cancelled() {
                return Err(StoreError::Cancelled);
            }
            object.decode_own(index, &mut self.tools, &mut self.bytes)?;
        }
        Ok(())
    }
}
