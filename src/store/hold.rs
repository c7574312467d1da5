//! The store's lock, as whoever uses it needs it.
//!
//! Writers share it; what takes packs away holds it alone. That is what keeps apart a commit that finds an object
//! known and a gc that finds it needed by nobody: the one holds the lock from before it looks until the sidecar that
//! names the object lies in the work tree, and the other looks at the work trees only once it is alone.

use std::time::Duration;

use crate::base::lock::{Lock, Mode};

use super::error::Result;
use super::{Shared, layout};

/// How long one waits for the other.
const WAIT: Duration = Duration::from_secs(30);

/// While it lives, no object of the store goes away.
#[must_use = "dropped, it holds nothing"]
#[derive(Debug)]
pub struct Hold {
    _lock: Lock,
}

impl Hold {
    /// Beside others that do the same. The folder of the store is made where there is none.
    pub(super) fn shared(shared: &Shared) -> Result<Self> {
        let (fs, dir) = (&shared.fs, &shared.dir);
        if !dir.is_dir() {
            fs.create_dir_all(dir)?;
            if let Some(parent) = dir.parent().filter(|p| !p.as_os_str().is_empty()) {
                fs.sync_dir(parent)?;
            }
        }
        Self::take(shared, Mode::Shared)
    }

    /// With nobody else, in a store that is there.
    pub(super) fn alone(shared: &Shared) -> Result<Self> {
        Self::take(shared, Mode::Exclusive)
    }

    fn take(shared: &Shared, mode: Mode) -> Result<Self> {
        let lock = Lock::take(&layout::lock(&shared.dir), mode, WAIT)?;
        // Until the lock was ours, packs may have come and gone.
        shared.packs.refresh(true)?;
        Ok(Self { _lock: lock })
    }
}
