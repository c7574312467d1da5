//! Files that reach the disk while they are still being written.
//!
//! With a sync at the end alone the disk is idle while there is something to compute, and then everybody waits for the
//! disk. Here a thread asks for what was written whenever enough of it has come together. Nothing relies on it: a file
//! is durable when its own [`TempFile::sync`] says so, which then has little left to do.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread::JoinHandle;

use super::{Fs, FsError, Op, Result, TempFile};

/// So much is written before the disk is asked for it: large enough that asking costs nothing beside it, and little to
/// wait for at the end.
const EVERY: u64 = 64 << 20;

/// Sees to it that what is written to several files is soon on the disk. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Writeback(Arc<Asking>);

#[derive(Debug)]
struct Asking {
    every: u64,
    /// Bytes written since the disk was last asked.
    fresh: AtomicU64,
    written: Arc<Written>,
    /// Started when there is something to ask for; `None` where no thread was to be had.
    thread: OnceLock<Option<(SyncSender<()>, JoinHandle<()>)>>,
}

/// The files that were written to since the disk was last asked.
type Written = Mutex<Vec<Weak<Early>>>;

/// What the thread needs to know of a file.
#[derive(Debug)]
pub(super) struct Early {
    fs: Fs,
    file: Arc<File>,
    path: PathBuf,
    /// Whether it is among those that were written to.
    listed: AtomicBool,
    has_failed: AtomicBool,
    /// Held while the disk is asked. The system tells of a failed write once: who hears it last has to say so too.
    failure: Mutex<Option<FsError>>,
}

impl Default for Writeback {
    fn default() -> Self {
        Self::every(EVERY)
    }
}

impl Writeback {
    /// The disk is asked whenever so many bytes were written.
    fn every(every: u64) -> Self {
        Self(Arc::new(Asking {
            every,
            fresh: AtomicU64::new(0),
            written: Arc::default(),
            thread: OnceLock::new(),
        }))
    }

    /// `bytes` were written to a file.
    pub(super) fn wrote(&self, early: &Arc<Early>, bytes: u64) {
        let Asking {
            every,
            fresh,
            written,
            thread,
        } = &*self.0;
        if !early.listed.swap(true, Ordering::AcqRel) {
            let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
            written.push(Arc::downgrade(early));
        }
        if fresh.fetch_add(bytes, Ordering::Relaxed) + bytes >= *every {
            fresh.store(0, Ordering::Relaxed);
            if let Some((wake, _)) = thread.get_or_init(|| start(written.clone())) {
                let _ = wake.try_send(());
            }
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let Some((wake, thread)) = self.thread.take().flatten() else {
            return;
        };
        drop(wake);
        // Of what a thread can do here nothing panics but a test's faults.
        let _ = thread.join();
    }
}

fn start(written: Arc<Written>) -> Option<(SyncSender<()>, JoinHandle<()>)> {
    // One that waits is enough: it will see all that is listed by then.
    let (wake, woken) = sync_channel(1);
    let thread = std::thread::Builder::new().spawn(move || ask(&woken, &written));
    Some((wake, thread.ok()?))
}

fn ask(woken: &Receiver<()>, written: &Written) {
    while woken.recv().is_ok() {
        let files = std::mem::take(&mut *written.lock().unwrap_or_else(PoisonError::into_inner));
        // A file that is gone needs no disk.
        files
            .iter()
            .filter_map(Weak::upgrade)
            .for_each(|early| early.ask());
    }
}

impl Early {
    pub(super) fn of(temp: &TempFile) -> Self {
        Self {
            fs: temp.fs.clone(),
            file: temp.file.clone(),
            path: temp.path.clone(),
            listed: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
            failure: Mutex::default(),
        }
    }

    fn ask(&self) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the disk is asked: what is written from here on is listed again.
        if !self.listed.swap(false, Ordering::AcqRel) {
            return;
        }
        let asked = self.fs.call(Op::Sync, &self.path, || self.file.sync_data());
        if let Err(e) = asked {
            *failure = Some(e);
            self.has_failed.store(true, Ordering::Release);
        }
    }

    /// An error where the disk failed, from then on.
    pub(super) fn check(&self) -> Result<()> {
        match self.has_failed.load(Ordering::Acquire) {
            true => self.wait(),
            false => Ok(()),
        }
    }

    /// [`Early::check`], when the disk has answered.
    pub(super) fn wait(&self) -> Result<()> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        match &*failure {
            Some(e) => Err(FsError::new(&e.what, &e.path, again(&e.source))),
            None => Ok(()),
        }
    }

    /// All of it is durable: the thread need not ask.
    pub(super) fn synced(&self) {
        self.listed.store(false, Ordering::Release);
    }
}

/// The same error once more.
fn again(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::base::fs::Faults;

    /// Counts syncs, by file, and fails the first.
    #[derive(Default)]
    struct Syncs {
        fails: bool,
        seen: Mutex<Vec<PathBuf>>,
    }

    impl Faults for Syncs {
        fn before(&self, op: Op, path: &Path) -> io::Result<()> {
            if op != Op::Sync {
                return Ok(());
            }
            let mut seen = self.seen.lock().expect("not poisoned");
            seen.push(path.to_owned());
            match self.fails && seen.len() == 1 {
                true => Err(io::ErrorKind::StorageFull.into()),
                false => Ok(()),
            }
        }
    }

    impl Syncs {
        fn seen(&self) -> Vec<PathBuf> {
            self.seen.lock().expect("not poisoned").clone()
        }

        fn wait_for(&self, count: usize) {
            let start = Instant::now();
            while self.seen().len() < count {
                assert!(start.elapsed() < Duration::from_secs(60), "nobody asked");
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    fn disk(fails: bool) -> (tempfile::TempDir, Arc<Syncs>, Fs) {
        let syncs = Arc::new(Syncs {
            fails,
            ..Syncs::default()
        });
        let dir = tempfile::tempdir().expect("a temp folder");
        (dir, syncs.clone(), Fs::with_faults(syncs))
    }

    fn temp(fs: &Fs, dir: &tempfile::TempDir, writeback: &Writeback) -> TempFile {
        let mut temp = fs.temp_in(dir.path()).expect("created");
        temp.write_back(writeback);
        temp
    }

    #[test]
    fn files_are_asked_for_whenever_enough_was_written() {
        let (dir, syncs, fs) = disk(false);
        let writeback = Writeback::every(100);
        let [mut a, b, c] = [(); 3].map(|()| temp(&fs, &dir, &writeback));
        a.write_all(&[1; 60]).expect("written");
        c.write_all_at(&[1; 20], 5).expect("written");
        let gone = c.path().to_owned();
        drop(c);
        assert_eq!(syncs.seen(), [] as [PathBuf; 0]);
        b.write_all_at(&[1; 20], 0).expect("written");
        syncs.wait_for(2);
        let paths = [a.path().to_owned(), b.path().to_owned()];
        assert_eq!(syncs.seen(), paths, "and not {}", gone.display());
        b.write_all_at(&[1; 100], 7).expect("written");
        syncs.wait_for(3);
        b.sync().expect("synced");
        assert_eq!(syncs.seen()[2..], [b.path(), b.path()]);
    }

    #[test]
    fn a_failure_that_only_the_thread_heard_of_is_told_to_whoever_writes_or_syncs() {
        let (dir, syncs, fs) = disk(true);
        let writeback = Writeback::every(1);
        let other = temp(&fs, &dir, &writeback);
        let file = temp(&fs, &dir, &writeback);
        file.write_all_at(b"x", 0).expect("written");
        syncs.wait_for(1);
        // The disk would take it now.
        for error in [file.sync(), file.sync(), file.write_all_at(b"x", 0)] {
            let error = error.expect_err("the disk is full");
            assert_eq!(error.io().kind(), io::ErrorKind::StorageFull);
            assert!(error.to_string().starts_with("cannot sync "), "{error}");
        }
        other.write_all_at(b"x", 0).expect("another file");
        other.sync().expect("synced");
    }

    #[test]
    fn an_error_can_be_told_again() {
        let full = again(&io::Error::from_raw_os_error(28));
        assert_eq!(full.raw_os_error(), Some(28));
        let own = again(&io::Error::new(io::ErrorKind::InvalidInput, "a pipe"));
        let told = (own.kind(), own.to_string());
        assert_eq!(told, (io::ErrorKind::InvalidInput, "a pipe".to_owned()));
    }
}
