//! Every object that some sidecar names: of any version that git still leads to, of any index, of any work tree.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::Serialize;

use super::sidecars;
use crate::base::fs::{self, FsError};
use crate::base::progress::Unit;
use crate::base::text::conflict_marker;
use crate::base::{Failure, Kind, ObjectId, Progress};
use crate::model::manifest::{self, Manifest, Sidecar};
use crate::ops::error::{During, Error, Result};
use crate::ops::state::State;
use crate::ops::tracked::SUFFIX;
use crate::ops::workspace::Workspace;
use crate::repo::{BlobId, NamedFile, RepoError, Roots};
use crate::store::StoreError;

/// How every sidecar begins.
const BEGIN: &[u8] = b"mvc ";

/// A sidecar that cannot be read: a merge or an editor made something else of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// Where it lies.
    pub path: String,
    /// What leads to it.
    pub of: String,
    /// What is wrong with it.
    pub problem: String,
}

/// What is needed, as far as it was looked for. What was found once stays needed for as long as this lives.
pub(in crate::ops) struct Needed<'a> {
    ws: &'a Workspace,
    roots: Roots,
    blobs: HashSet<BlobId>,
    texts: HashSet<ObjectId>,
    /// The objects.
    pub(in crate::ops) objects: HashSet<ObjectId>,
    /// Distinct texts of sidecars.
    pub(super) sidecars: usize,
    pub(super) unreadable: Vec<Unreadable>,
}

impl<'a> Needed<'a> {
    pub(in crate::ops) fn new(ws: &'a Workspace) -> Self {
        Self {
            ws,
            roots: ws.repo().roots(|path| path.ends_with(SUFFIX)),
            blobs: HashSet::new(),
            texts: HashSet::new(),
            objects: HashSet::new(),
            sidecars: 0,
            unreadable: Vec::new(),
        }
    }

    pub(super) fn commits(&self) -> u64 {
        self.roots.commits
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.roots.pruned
    }

    pub(super) fn roots(&self) -> &Roots {
        &self.roots
    }

    /// Looks everywhere, and adds what is new. In the order in which a sidecar travels: it lies in a work tree before
    /// it is staged, and is staged before it is a version.
    pub(in crate::ops) fn gather(&mut self, progress: &dyn Progress) -> Result<()> {
        let unknown = || "cannot tell what is needed";
        let trees = self.ws.repo().work_trees().during(unknown)?;
        for tree in &trees {
            for path in sidecars::below(&tree.root).during(unknown)? {
                self.file(&path).during(unknown)?;
            }
            for (path, stamp) in State::load(&tree.git_dir)?.stamped() {
                let path = path.to_string();
                self.stamp(&stamp.blob, path).during(unknown)?;
            }
        }
        self.roots.gather().during(unknown)?;
        let new: Vec<NamedFile> = self
            .roots
            .files()
            .filter(|file| !self.blobs.contains(&file.blob))
            .cloned()
            .collect();
        progress.begin("reading sidecars", Unit::Items, Some(new.len() as u64));
        let done = new.iter().try_for_each(|file| {
            if progress.cancelled() {
                return Err(StoreError::Cancelled.into());
            }
            progress.advance(1);
            self.blob(file)
        });
        progress.end();
        done.during(unknown)
    }

    /// A file of a work tree.
    fn file(&mut self, path: &Path) -> Result<()> {
        let limit = manifest::MAX_TEXT as u64;
        if is_long(path, limit)? && !begins(path)? {
            return Ok(());
        }
        if let Some(text) = fs::read_if_present(path, limit)? {
            let of = format!("{}, as it lies in its work tree", path.display());
            self.text(&text, path.display().to_string(), &of)?;
        }
        Ok(())
    }

    /// The sidecar of weights that lie in a work tree, where git has it.
    fn stamp(&mut self, blob: &str, path: String) -> Result<()> {
        let Some(blob) = BlobId::from_hex(blob) else {
            return Ok(());
        };
        if self.blobs.contains(&blob) {
            return Ok(());
        }
        match self.ws.repo().blob(&blob, manifest::MAX_TEXT as u64) {
            Ok(text) => {
                self.blobs.insert(blob);
                let of = format!("the stamp of {path}");
                self.text(&text, format!("{path}{SUFFIX}"), &of)
            }
            // Never staged, or thrown away since: a memory of what no longer is.
            Err(RepoError::NoObject { .. }) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// A file of git's.
    fn blob(&mut self, file: &NamedFile) -> Result<()> {
        let named = !file.path.is_empty();
        let text = match self.ws.repo().blob(&file.blob, manifest::MAX_TEXT as u64) {
            // Only a ref has a name for it, and it is no sidecar.
            Err(RepoError::TooLong { .. }) if !named => Vec::new(),
            text => text.during(|| format!("cannot read {}, of {}", file.path, file.of))?,
        };
        if named || text.starts_with(BEGIN) {
            self.text(&text, file.path.clone(), &file.of)?;
        }
        self.blobs.insert(file.blob);
        Ok(())
    }

    fn text(&mut self, text: &[u8], path: String, of: &str) -> Result<()> {
        let id = ObjectId::of(text);
        if self.texts.contains(&id) {
            return Ok(());
        }
        let tried = || format!("cannot read {path}, of {of}");
        match Manifest::parse(text) {
            Ok(Sidecar::Inline(manifest)) => self.manifest(&manifest),
            Ok(Sidecar::Stored(stored)) => {
                let body = self.list(stored.id, tried)?;
                match Manifest::parse_stored(&stored, &body) {
                    Ok(manifest) => self.manifest(&manifest),
                    Err(e) if e.kind() == Kind::Unsupported => return Err(e).during(tried),
                    Err(e) => {
                        self.names(&body);
                        self.unread(path, of, &e);
                    }
                }
            }
            // It may name things in ways that nobody here knows of.
            Err(e) if e.kind() == Kind::Unsupported => return Err(e).during(tried),
            // No mvc can restore weights by it. Whatever it may have named stays all the same.
            Err(e) => {
                self.names(text);
                for line in text.split(|byte| *byte == b'\n') {
                    if line.starts_with(b"tensors ") {
                        for id in ids(line) {
                            let body = self.list(id, tried)?;
                            self.names(&body);
                        }
                    }
                }
                let is_ours = || {
                    let text = std::str::from_utf8(text).ok();
                    text.and_then(conflict_marker).is_some()
                };
                if text.starts_with(BEGIN) || is_ours() {
                    self.unread(path, of, &e);
                }
            }
        }
        self.sidecars += 1;
        self.texts.insert(id);
        Ok(())
    }

    fn manifest(&mut self, manifest: &Manifest) {
        self.objects
            .extend(manifest.segments.iter().map(manifest::Segment::id));
    }

    /// A list of tensors that lies in the store, itself an object.
    fn list(&mut self, id: ObjectId, tried: impl Fn() -> String) -> Result<Vec<u8>> {
        self.objects.insert(id);
        let store = self.ws.store();
        match store.read(&id, manifest::MAX_BODY as u64) {
            Err(StoreError::Missing { .. }) if store.in_trash(&[id])? > 0 => {
                let message = format!("{}: its list of tensors lies in the trash", tried());
                let hint = "`mvc gc --restore-trash` brings it back";
                Err(Error::advised(Kind::Missing, message, hint))
            }
            body => body.during(tried),
        }
    }

    fn names(&mut self, text: &[u8]) {
        self.objects.extend(ids(text));
    }

    fn unread(&mut self, path: String, of: &str, problem: &dyn Failure) {
        self.unreadable.push(Unreadable {
            path,
            of: of.to_owned(),
            problem: problem.to_string(),
        });
    }
}

/// Everything in a text that is written like an object's id.
fn ids(text: &[u8]) -> impl Iterator<Item = ObjectId> {
    text.split(|byte| !byte.is_ascii_alphanumeric())
        .filter_map(|word| std::str::from_utf8(word).ok())
        .filter_map(ObjectId::from_hex)
}

fn is_long(path: &Path, limit: u64) -> Result<bool> {
    match path.symlink_metadata() {
        Ok(stat) => Ok(stat.len() > limit),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(FsError::new("stat", path, e).into()),
    }
}

/// True for a file that begins as a sidecar does.
fn begins(path: &Path) -> Result<bool> {
    let fail = |e| FsError::new("read", path, e);
    let mut begin = Vec::new();
    let file = File::open(path).map_err(fail)?;
    file.take(BEGIN.len() as u64)
        .read_to_end(&mut begin)
        .map_err(fail)?;
    Ok(begin == BEGIN)
}
