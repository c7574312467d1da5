//! Whether views have the ids that sidecars say: the one thing of a sidecar that no stored object proves.
//!
//! Views show at most 8 times the bytes of their file, so there is a bound on what there is to hash; what is needed
//! for that is a storage whose bytes can be read in any order for nothing, and a chunk of the store is 1 MiB. So a
//! small storage is read into memory, and a large one goes into a temporary file, unless its views are all runs of
//! bytes in the order of the storage, as in one flat parameter: these are hashed as they are read.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;

use crate::base::fs::FsError;
use crate::base::source::FileSource;
use crate::base::{Fs, Kind, Progress, ReadAt};
use crate::model::{Manifest, Segment, Storage};
use crate::ops::error::{Error, Result};
use crate::store::{CopyOut, Store};

/// The longest storage that is held in memory.
const IN_MEMORY: u64 = 256 << 20;

/// The views of a store's sidecars, those that were checked before left out.
pub(super) struct Views<'a> {
    store: &'a Store,
    fs: &'a Fs,
    /// Where large storages are laid out.
    tmp: PathBuf,
    in_memory: u64,
    good: HashSet<Storage>,
}

impl<'a> Views<'a> {
    pub(super) fn new(store: &'a Store, fs: &'a Fs, tmp: PathBuf) -> Self {
        Self {
            store,
            fs,
            tmp,
            in_memory: IN_MEMORY,
            good: HashSet::new(),
        }
    }

    /// The names of the views whose bytes have another id. Bytes that are missing, damaged or too few are found as
    /// the objects that they are.
    pub(super) fn wrong(
        &mut self,
        manifest: &Manifest,
        progress: &dyn Progress,
    ) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        for segment in &manifest.segments {
            let Segment::Storage(storage) = segment else {
                continue;
            };
            if self.good.contains(storage) {
                continue;
            }
            match self.of_storage(storage, progress)? {
                Some(none) if none.is_empty() => {
                    self.good.insert(storage.clone());
                }
                found => wrong.extend(found.into_iter().flatten()),
            }
        }
        Ok(wrong)
    }

    /// [`Views::wrong`] of one storage; `None` where it cannot be read.
    fn of_storage(
        &self,
        storage: &Storage,
        progress: &dyn Progress,
    ) -> Result<Option<Vec<String>>> {
        let Ok(object) = self.store.object(&storage.id) else {
            return Ok(None);
        };
        if object.len() != storage.bytes {
            return Ok(None);
        }
        if storage.bytes <= self.in_memory {
            return match self.store.read(&storage.id, storage.bytes) {
                Ok(bytes) => found(differing(storage, &bytes, 0, progress), progress),
                Err(_) => Ok(None),
            };
        }
        if storage.views.iter().all(|view| view.strides.is_empty()) {
            return found(differing(storage, &object, 0, progress), progress);
        }
        let file = self.fs.temp_in(&self.tmp)?;
        let job = CopyOut {
            id: storage.id,
            len: storage.bytes,
            file: &file,
            offset: 0,
        };
        if !self.store.copy_out(&[job], progress)?.is_empty() {
            return Ok(None);
        }
        let source =
            FileSource::open(file.path()).map_err(|e| FsError::new("read", file.path(), e))?;
        found(differing(storage, &source, 0, progress), progress)
    }
}

/// `None` for bytes that cannot be read.
fn found(names: io::Result<Vec<String>>, progress: &dyn Progress) -> Result<Option<Vec<String>>> {
    match names {
        Ok(names) => Ok(Some(names)),
        Err(_) if progress.cancelled() => Err(Error::refused(Kind::Cancelled, "stopped")),
        Err(_) => Ok(None),
    }
}

/// The names of the views that are not what they should be in the bytes of their storage, which begins at `base` of
/// `source`. An error of kind `Interrupted` once `progress` is cancelled.
pub(in crate::ops) fn differing(
    storage: &Storage,
    source: &dyn ReadAt,
    base: u64,
    progress: &dyn Progress,
) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for view in &storage.views {
        if progress.cancelled() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if view.id_in(source, base, progress)? != view.id {
            names.push(view.name.clone());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::progress::Silent;
    use crate::base::{Dtype, ObjectId};
    use crate::model::View;
    use crate::model::manifest::Format;
    use crate::store::{Element, PutItem};

    fn view(name: &str, shape: &[u64], offset: u64, strides: &[u64], bytes: &[u8]) -> View {
        let mut view = View {
            name: name.into(),
            dtype: Dtype::U8,
            shape: shape.to_vec(),
            offset,
            strides: strides.to_vec(),
            id: ObjectId::of(b""),
        };
        view.id = view.id_in(&bytes.to_vec(), 0, &Silent).expect("inside");
        view
    }

    #[test]
    fn views_are_what_their_ids_say_however_their_storage_is_read() {
        let dir = tempfile::tempdir().expect("a temp folder");
        let fs = Fs::new();
        let store = Store::open(fs.clone(), dir.path()).expect("opened");
        let bytes: Vec<u8> = (0..3u32 << 20).map(|i| (i ^ i >> 7) as u8).collect();
        let mut writer = store.writer().expect("started");
        let item = PutItem {
            source: &bytes,
            offset: 0,
            len: bytes.len() as u64,
            element: Element::number(1, false),
            expect: None,
            bases: Vec::new(),
            numbers: None,
            fields: None,
        };
        writer.put_all(&[item], &Silent).expect("put");
        writer.finish().expect("published");

        let runs = vec![
            view("first", &[9], 0, &[], &bytes),
            view("most", &[2, 1 << 20], 77, &[], &bytes),
        ];
        let turned = view("turned", &[1 << 10, 1 << 11], 5, &[1, 1 << 10], &bytes);
        let apart = view("apart", &[3], 1, &[1 << 20], &bytes);
        let all = [runs.clone(), vec![turned, apart]].concat();
        for (in_memory, views) in [(u64::MAX, &all), (0, &runs), (0, &all)] {
            let storage = Storage {
                key: "0".into(),
                dtype: Dtype::U8,
                bytes: bytes.len() as u64,
                id: ObjectId::of(&bytes),
                views: views.clone(),
            };
            let of = |storage| Manifest {
                format: Format::Torch,
                segments: vec![Segment::Storage(storage)],
            };
            let mut checked = Views::new(&store, &fs, dir.path().join("tmp"));
            checked.in_memory = in_memory;
            let wrong = checked.wrong(&of(storage.clone()), &Silent);
            assert_eq!(wrong.expect("checked"), Vec::<String>::new());
            assert!(checked.good.contains(&storage));
            for (lie, view) in views.iter().enumerate() {
                let mut storage = storage.clone();
                storage.views[lie].id = ObjectId::of(b"others");
                let wrong = checked.wrong(&of(storage), &Silent).expect("checked");
                assert_eq!(wrong, std::slice::from_ref(&view.name));
            }
            // Those are for who looks at objects.
            let mut gone = storage.clone();
            gone.id = ObjectId::of(b"gone");
            gone.views[0].id = gone.id;
            assert!(
                checked
                    .wrong(&of(gone), &Silent)
                    .expect("checked")
                    .is_empty()
            );
        }
        let left = std::fs::read_dir(dir.path().join("tmp")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "files that were laid out are gone");
    }
}
