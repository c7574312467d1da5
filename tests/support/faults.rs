//! A disk that counts what is done to it, and fails where a test says.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use mvc::base::Fs;
use mvc::base::fs::{Faults, Op};

/// When the disk fails.
#[derive(Clone, Copy, Debug)]
enum When {
    Never,
    /// This call alone, counted from 0: a full disk that somebody clears.
    At(usize),
    /// This call and all after it: what a killed process looks like to the disk.
    From(usize),
    /// Every call of this sort.
    Every(Op),
}

/// A disk that counts what is done to it, and fails where a test says.
#[derive(Debug)]
pub(crate) struct Disk {
    when: When,
    error: io::ErrorKind,
    calls: Mutex<Vec<(Op, PathBuf)>>,
}

impl Disk {
    /// Fails never, and counts.
    pub(crate) fn counting() -> Arc<Self> {
        Self::new(When::Never, io::ErrorKind::Other)
    }

    /// Fails call `number`, counted from 0, with this error.
    pub(crate) fn failing_at(number: usize, error: io::ErrorKind) -> Arc<Self> {
        Self::new(When::At(number), error)
    }

    /// Fails call `number` and all that follow.
    pub(crate) fn dead_from(number: usize) -> Arc<Self> {
        Self::new(When::From(number), io::ErrorKind::Other)
    }

    /// Fails every call of this sort with this error.
    pub(crate) fn refusing(op: Op, error: io::ErrorKind) -> Arc<Self> {
        Self::new(When::Every(op), error)
    }

    fn new(when: When, error: io::ErrorKind) -> Arc<Self> {
        Arc::new(Self {
            when,
            error,
            calls: Mutex::default(),
        })
    }

    /// The seam that leads to this disk.
    pub(crate) fn fs(self: &Arc<Self>) -> Fs {
        Fs::with_faults(self.clone())
    }

    /// Every call so far, in order.
    pub(crate) fn calls(&self) -> Vec<(Op, PathBuf)> {
        self.calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How many calls there were so far: run once counting, then once for each number below it.
    pub(crate) fn count(&self) -> usize {
        self.calls().len()
    }
}

impl Faults for Disk {
    fn before(&self, op: Op, path: &Path) -> io::Result<()> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let number = calls.len();
        calls.push((op, path.to_owned()));
        let fails = match self.when {
            When::Never => false,
            When::At(at) => number == at,
            When::From(first) => number >= first,
            When::Every(refused) => op == refused,
        };
        match fails {
            true => Err(self.error.into()),
            false => Ok(()),
        }
    }
}
