//! Copies of objects that are open because others are written with them: what many chunks need is opened once, and
//! however many a record names, few are open at a time.

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::ObjectId;

use super::opened::{Fit, Opened};

/// So many bytes of records are open at most, and one record more.
const MOST: usize = 16 << 20;

/// Open copies, by what they are taken for.
#[derive(Default)]
pub(super) struct Shelf {
    open: HashMap<(ObjectId, Fit), Arc<Opened>>,
    bytes: usize,
}

impl Shelf {
    pub(super) fn get(&self, id: &ObjectId, fit: Fit) -> Option<Arc<Opened>> {
        self.open.get(&(*id, fit)).cloned()
    }

    pub(super) fn put(&mut self, fit: Fit, opened: &Arc<Opened>) {
        let bytes = opened.record.footprint();
        if self.bytes + bytes > MOST {
            self.clear();
        }
        self.bytes += bytes;
        let id = opened.record.id;
        self.open.insert((id, fit), opened.clone());
    }

    pub(super) fn clear(&mut self) {
        self.open.clear();
        self.bytes = 0;
    }
}
