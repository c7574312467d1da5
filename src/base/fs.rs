//! The I/O seam: every write, sync, rename and unlink of mvc goes through an [`Fs`].
//!
//! Tests give it [`Faults`], which count the calls and make any of them fail, or all from one on, which is what
//! a killed process looks like to the disk. The one pattern for anything durable is: write beside, sync, rename,
//! sync the folder; nobody ever sees half a file under its final name.

mod outgoing;
mod read;
mod writeback;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::kind::{Failure, Kind};
use super::litter;

pub use outgoing::{Outgoing, forget};
pub use read::{list_if_present, read_if_present, read_in_tree, read_limited};
use writeback::Early;
pub use writeback::Writeback;

/// The prefix of every temporary file of mvc, which ignore rules and `gc` know.
pub const TEMP_PREFIX: &str = ".mvc-tmp-";

/// What is about to be done to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Make a folder.
    CreateDir,
    /// Create a new file.
    Create,
    /// Write bytes into a file.
    Write,
    /// Change a file's permissions.
    SetMode,
    /// Make a file's bytes durable.
    Sync,
    /// Give a file its final name.
    Rename,
    /// Remove a file or an empty folder.
    Unlink,
    /// Make a folder's entries durable.
    SyncDir,
    /// Give a file the time of now.
    Touch,
}

impl std::fmt::Display for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Op::CreateDir => "create the folder",
            Op::Create => "create",
            Op::Write => "write",
            Op::SetMode => "set the mode of",
            Op::Sync => "sync",
            Op::Rename => "rename a finished file to",
            Op::Unlink => "remove",
            Op::SyncDir => "sync the folder",
            Op::Touch => "set the time of",
        })
    }
}

/// A test's hand in the seam: asked before each call, and able to fail it.
pub trait Faults: Send + Sync {
    /// An error makes the call fail without touching the disk.
    fn before(&self, op: Op, path: &Path) -> io::Result<()>;
}

/// The disk refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}", path.display())]
pub struct FsError {
    what: String,
    path: PathBuf,
    source: io::Error,
}

impl FsError {
    /// An error of doing `what` ("read", "list", ...) to `path`.
    pub fn new(what: impl ToString, path: &Path, source: io::Error) -> Self {
        Self {
            what: what.to_string(),
            path: path.to_owned(),
            source,
        }
    }

    /// What the operating system said.
    pub fn io(&self) -> &io::Error {
        &self.source
    }
}

impl Failure for FsError {
    fn kind(&self) -> Kind {
        match self.source.kind() {
            // Said here and not by the system: what is there is nothing to work on.
            io::ErrorKind::InvalidInput if self.source.raw_os_error().is_none() => Kind::BadInput,
            _ => Kind::Io,
        }
    }

    fn hint(&self) -> Option<String> {
        match self.source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Some("nothing was lost; free some space and run the command again".into())
            }
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Some(
                "nothing was lost; make it writable for this user and run the command again".into(),
            ),
            _ => None,
        }
    }
}

/// The result of a call through the seam.
pub type Result<T> = std::result::Result<T, FsError>;

/// The disk. Cheap to clone; the default one has no faults.
#[derive(Clone, Default)]
pub struct Fs {
    faults: Option<Arc<dyn Faults>>,
}

impl std::fmt::Debug for Fs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fs")
            .field("faults", &self.faults.is_some())
            .finish()
    }
}

impl Fs {
    /// The disk as it is.
    pub fn new() -> Self {
        Self::default()
    }

    /// A disk that asks `faults` before every call.
    pub fn with_faults(faults: Arc<dyn Faults>) -> Self {
        Self {
            faults: Some(faults),
        }
    }

    fn call<T>(&self, op: Op, path: &Path, act: impl FnOnce() -> io::Result<T>) -> Result<T> {
        let allowed = self
            .faults
            .as_ref()
            .map_or(Ok(()), |faults| faults.before(op, path));
        allowed
            .and_then(|()| act())
            .map_err(|e| FsError::new(op, path, e))
    }

    /// Makes a folder and its parents; one that exists is fine.
    pub fn create_dir_all(&self, path: &Path) -> Result<()> {
        match path.is_dir() {
            true => Ok(()),
            false => self.call(Op::CreateDir, path, || std::fs::create_dir_all(path)),
        }
    }

    /// Creates a temporary file in `dir` (made if missing) under a new name, readable by its owner alone until
    /// its mode is set. It is removed when dropped, unless it was renamed.
    pub fn temp_in(&self, dir: &Path) -> Result<TempFile> {
        self.create_dir_all(dir)?;
        loop {
            let path = dir.join(litter::name());
            let made = self.call(Op::Create, &path, || {
                OpenOptions::new()
                    .read(true)
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&path)
            });
            match made {
                Ok(file) => {
                    return Ok(TempFile {
                        fs: self.clone(),
                        file: Arc::new(file),
                        path,
                        kept: false,
                        early: None,
                    });
                }
                Err(e) if e.source.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(e) => return Err(e),
            }
        }
    }

    /// Creates a temporary file beside `target`, on the same file system and so one rename away from it.
    pub fn temp_beside(&self, target: &Path) -> Result<TempFile> {
        self.temp_in(parent(target))
    }

    /// Puts `bytes` under `path` as a whole: written beside, synced, renamed, folder synced.
    pub fn replace(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
        let mut temp = self.temp_beside(path)?;
        temp.write_all(bytes)?;
        temp.set_mode(mode)?;
        temp.sync()?;
        temp.rename_to(path)?;
        self.sync_dir(parent(path))
    }

    /// Removes a file; one that is not there is fine.
    pub fn remove_file(&self, path: &Path) -> Result<()> {
        self.call(Op::Unlink, path, || match std::fs::remove_file(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        })
    }

    /// Removes a folder if it is empty; true if it is gone.
    pub fn remove_empty_dir(&self, path: &Path) -> Result<bool> {
        self.call(Op::Unlink, path, || match std::fs::remove_dir(path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
            Err(e) => Err(e),
        })
    }

    /// Renames a file that is complete and synced.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.call(Op::Rename, to, || std::fs::rename(from, to))
    }

    /// Makes a file one that was written now.
    pub fn touch(&self, path: &Path) -> Result<()> {
        let now = std::time::SystemTime::now();
        self.call(Op::Touch, path, || File::open(path)?.set_modified(now))
    }

    /// Makes renames and removals in a folder durable.
    pub fn sync_dir(&self, path: &Path) -> Result<()> {
        self.call(Op::SyncDir, path, || File::open(path)?.sync_all())
    }
}

/// The folder that `path` lies in.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// A file under a temporary name, on its way to its final one.
#[derive(Debug)]
pub struct TempFile {
    fs: Fs,
    file: Arc<File>,
    path: PathBuf,
    kept: bool,
    /// Who has it written back before it is complete.
    early: Option<(Arc<Early>, Writeback)>,
}

impl TempFile {
    /// Has what is written from now on written back soon. Where the disk then fails, the next write or sync says so.
    pub fn write_back(&mut self, writeback: &Writeback) {
        self.early = Some((Arc::new(Early::of(self)), writeback.clone()));
    }

    /// Writes so many bytes.
    fn written(&self, len: usize, write: impl FnOnce(&File) -> io::Result<()>) -> Result<()> {
        if let Some((early, _)) = &self.early {
            early.check()?;
        }
        self.fs.call(Op::Write, &self.path, || write(&self.file))?;
        if let Some((early, writeback)) = &self.early {
            writeback.wrote(early, len as u64);
        }
        Ok(())
    }

    /// Where it lies now.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file system says of it now.
    pub fn metadata(&self) -> Result<std::fs::Metadata> {
        self.file
            .metadata()
            .map_err(|e| FsError::new("stat", &self.path, e))
    }

    /// Appends bytes at the file's own position.
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        self.written(bytes.len(), |mut file| file.write_all(bytes))
    }

    /// Writes bytes at `offset`; callable from several threads at once.
    pub fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.written(bytes.len(), |file| file.write_all_at(bytes, offset))
    }

    /// Cuts or extends the file to `len` bytes, and puts its own position there.
    pub fn set_len(&mut self, len: u64) -> Result<()> {
        self.written(0, |mut file| {
            file.set_len(len)?;
            io::Seek::seek(&mut file, io::SeekFrom::Start(len)).map(drop)
        })
    }

    /// Fills `buffer` from `offset`.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        self.file
            .read_exact_at(buffer, offset)
            .map_err(|e| FsError::new("read", &self.path, e))
    }

    /// Gives it the permission bits of `mode`.
    pub fn set_mode(&self, mode: u32) -> Result<()> {
        let permissions = std::fs::Permissions::from_mode(mode & 0o7777);
        self.fs.call(Op::SetMode, &self.path, || {
            self.file.set_permissions(permissions)
        })
    }

    /// Makes its bytes durable.
    pub fn sync(&self) -> Result<()> {
        self.fs
            .call(Op::Sync, &self.path, || self.file.sync_all())?;
        if let Some((early, _)) = &self.early {
            early.wait()?;
            early.synced();
        }
        Ok(())
    }

    /// Gives it its final name, replacing what was there. The caller has synced it, and syncs the folder. An error
    /// means that it has not got the name: after the rename nothing can fail any more.
    pub fn rename_to(mut self, target: &Path) -> Result<()> {
        self.fs.rename(&self.path, target)?;
        self.kept = true;
        Ok(())
    }

    /// Closes a file that is complete and synced, and that gets its final name later: many may wait for that.
    pub fn close(mut self) -> ClosedTemp {
        self.kept = true;
        ClosedTemp {
            fs: self.fs.clone(),
            path: self.path.clone(),
            kept: false,
        }
    }
}

/// A complete file under a temporary name, no longer open.
#[derive(Debug)]
pub struct ClosedTemp {
    fs: Fs,
    path: PathBuf,
    kept: bool,
}

impl ClosedTemp {
    /// Gives it the permission bits of `mode`.
    pub fn set_mode(&self, mode: u32) -> Result<()> {
        let permissions = std::fs::Permissions::from_mode(mode & 0o7777);
        self.fs.call(Op::SetMode, &self.path, || {
            std::fs::set_permissions(&self.path, permissions)
        })
    }

    /// Gives it its final name, replacing what was there. The caller syncs the folder.
    pub fn rename_to(mut self, target: &Path) -> Result<()> {
        self.fs.rename(&self.path, target)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for ClosedTemp {
    fn drop(&mut self) {
        if !self.kept {
            let _ = self.fs.remove_file(&self.path);
        }
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if !self.kept {
            // Nothing can be done about a failure here; gc clears what a dead process leaves.
            let _ = self.fs.remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Fails call number `at` and all that follow, as a killed process would.
    struct DeadFrom {
        at: usize,
        seen: Mutex<Vec<Op>>,
    }

    impl Faults for DeadFrom {
        fn before(&self, op: Op, _path: &Path) -> io::Result<()> {
            let mut seen = self.seen.lock().expect("no test panics while holding it");
            seen.push(op);
            if seen.len() > self.at {
                Err(io::Error::other("killed"))
            } else {
                Ok(())
            }
        }
    }

    #[test]
    fn replace_shows_the_old_or_the_new_whole_at_every_fault_point() {
        let dir = tempfile::tempdir().expect("a temp folder");
        let path = dir.path().join("file");
        let points = 6; // create, write, mode, sync, rename, sync folder
        for at in 0..=points {
            std::fs::write(&path, b"old").expect("written");
            let faults = Arc::new(DeadFrom {
                at,
                seen: Mutex::default(),
            });
            let done = Fs::with_faults(faults.clone()).replace(&path, b"new bytes", 0o644);
            let now = std::fs::read(&path).expect("always there");
            assert_eq!(done.is_ok(), at == points, "{:?}", faults.seen.lock());
            assert_eq!(
                now,
                if at < 5 {
                    b"old".to_vec()
                } else {
                    b"new bytes".to_vec()
                }
            );
        }
    }

    #[test]
    fn a_dropped_temp_file_leaves_nothing() {
        let dir = tempfile::tempdir().expect("a temp folder");
        drop(Fs::new().temp_in(dir.path()).expect("created"));
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 0);
    }

    #[test]
    fn a_rename_has_nothing_left_that_could_fail() {
        // A handle beside the name would be one: there may be no descriptor left for it.
        let rename: fn(TempFile, &Path) -> Result<()> = TempFile::rename_to;
        let dir = tempfile::tempdir().expect("a temp folder");
        let temp = Fs::new().temp_in(dir.path()).expect("created");
        rename(temp, &dir.path().join("file")).expect("renamed");
        assert!(dir.path().join("file").is_file());
    }
}
