//! Locks between processes, released by the kernel when a process dies, so that none is ever stale.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::fs::FsError;
use super::kind::{Failure, Kind};

/// A lock could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process held it for the whole wait.
    #[error("{} is locked by {holder}", path.display())]
    Busy {
        /// The lock file.
        path: PathBuf,
        /// Who wrote their name into it last.
        holder: String,
    },
    /// The lock file cannot be used.
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl Failure for LockError {
    fn kind(&self) -> Kind {
        match self {
            LockError::Busy { .. } => Kind::Busy,
            LockError::Fs(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            LockError::Busy { .. } => {
                Some("wait for the other command to end, then run this one again".into())
            }
            LockError::Fs(e) => e.hint(),
        }
    }
}

/// A held lock; dropped, it is free.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// How a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Beside others that share it: writers of new packs.
    Shared,
    /// Alone: gc, repack, changes of the state file.
    Exclusive,
}

impl Lock {
    /// Takes the lock at `path`, waiting at most `wait` for others. The folder must exist.
    pub fn take(path: &Path, mode: Mode, wait: Duration) -> Result<Self, LockError> {
        let fail = |e| FsError::new("lock", path, e);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(fail)?;
        let deadline = Instant::now() + wait;
        loop {
            let tried = match mode {
                Mode::Shared => file.try_lock_shared(),
                Mode::Exclusive => file.try_lock(),
            };
            match tried {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(LockError::Busy {
                        path: path.to_owned(),
                        holder: holder(&mut file),
                    });
                }
                Err(TryLockError::Error(e)) => return Err(fail(e).into()),
            }
        }
        if mode == Mode::Exclusive {
            // Only for the message above; a lock whose name cannot be written is still a lock.
            let _ = sign(&mut file);
        }
        Ok(Self { _file: file })
    }
}

fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "process {}", std::process::id())
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let _ = file
        .rewind()
        .and_then(|()| file.take(64).read_to_string(&mut text));
    match text.trim() {
        "" => "another process".to_owned(),
        name => super::text::printable(name).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exclusive_keeps_others_out_and_shared_does_not() {
        let dir = tempfile::tempdir().expect("a temp folder");
        let path = dir.path().join("lock");
        let now = Duration::ZERO;
        let first = Lock::take(&path, Mode::Shared, now).expect("free");
        let second = Lock::take(&path, Mode::Shared, now).expect("shared");
        let refused = Lock::take(&path, Mode::Exclusive, now).expect_err("held");
        assert_eq!(refused.kind(), Kind::Busy);
        drop((first, second));
        let alone = Lock::take(&path, Mode::Exclusive, now).expect("free again");
        let refused = Lock::take(&path, Mode::Shared, now).expect_err("held");
        assert!(
            refused
                .to_string()
                .contains(&format!("process {}", std::process::id())),
            "{refused}"
        );
        drop(alone);
    }
}
