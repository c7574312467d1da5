//! Tracked weights: the sidecars of a work tree, an index or a commit, and what each says.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::Metadata;
use std::io;
use std::sync::Arc;

use super::error::{During, Error, Result};
use super::state::{Stamp, State};
use super::weights;
use super::workspace::Workspace;
use crate::base::{Kind, ObjectId, ReadAt, RepoPath, fs};
use crate::model::format::FormatError;
use crate::model::manifest::{
    self, Entry, Format, Manifest, ManifestError, Piece, Sidecar, Stored,
};
use crate::model::{How, scan};
use crate::repo::{BlobId, CommitId, IndexFile};
use crate::store::{StoreError, Writer};

/// What a sidecar's name adds to its weights file's.
pub const SUFFIX: &str = ".mvc";

/// The sidecar of a weights file.
pub fn sidecar_path(weights: &RepoPath) -> RepoPath {
    weights.with_suffix(SUFFIX)
}

/// The weights file of a sidecar, or `None` for any other file.
pub fn weights_path(sidecar: &RepoPath) -> Option<RepoPath> {
    sidecar.without_suffix(SUFFIX)
}

/// One sidecar as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked {
    text: Text,
    /// The BLAKE3 of its text, which stamps refer to.
    pub id: ObjectId,
    /// Whether the weights file is executable: a sidecar has the mode of its weights.
    pub executable: bool,
}

/// The text of a sidecar, or where it is: of most sidecars only the id is wanted, and a model of many tensors has a
/// text of megabytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Text {
    Read(Arc<[u8]>),
    /// Git has it, and a stamp the id.
    Git(BlobId),
}

impl Tracked {
    pub(crate) fn new(text: Vec<u8>, executable: bool) -> Self {
        Self {
            id: ObjectId::of(&text),
            text: Text::Read(text.into()),
            executable,
        }
    }

    /// One that git has, and that is not read where the weights' stamp tells its id.
    fn of_git(
        ws: &Workspace,
        state: &State,
        weights: &RepoPath,
        blob: BlobId,
        executable: bool,
    ) -> Result<Self> {
        let stamp = state.stamp(weights);
        if let Some(stamp) = stamp.filter(|stamp| BlobId::from_hex(&stamp.blob) == Some(blob)) {
            return Ok(Self {
                text: Text::Git(blob),
                id: stamp.sidecar,
                executable,
            });
        }
        let read = Self::of_blob(ws, weights, &blob)?;
        Ok(Self { executable, ..read })
    }

    /// One that git has, read; of weights that nobody executes.
    pub fn of_blob(ws: &Workspace, weights: &RepoPath, blob: &BlobId) -> Result<Self> {
        ws.count_sidecar();
        let text = ws
            .repo()
            .blob(blob, manifest::MAX_TEXT as u64)
            .during(|| format!("cannot read {}", sidecar_path(weights)))?;
        Ok(Self::new(text, false))
    }

    /// Its text.
    pub fn text(&self, ws: &Workspace) -> Result<Arc<[u8]>> {
        let blob = match &self.text {
            Text::Read(text) => return Ok(text.clone()),
            Text::Git(blob) => blob,
        };
        ws.count_sidecar();
        let text = ws.repo().blob(blob, manifest::MAX_TEXT as u64)?;
        match ObjectId::of(&text) == self.id {
            true => Ok(text.into()),
            // The stamp said otherwise, and what it says was decided on.
            false => Err(Error::refused(
                Kind::Damaged,
                format!("git's object {blob} is not the sidecar that a stamp says it is"),
            )),
        }
    }

    /// Git's name of its text.
    pub fn blob(&self, ws: &Workspace) -> Result<BlobId> {
        match &self.text {
            Text::Read(text) => Ok(ws.repo().blob_name(text)?),
            Text::Git(blob) => Ok(*blob),
        }
    }

    /// Git's name of its text, where git is known to have it.
    pub fn in_git(&self) -> Option<BlobId> {
        match &self.text {
            Text::Read(_) => None,
            Text::Git(blob) => Some(*blob),
        }
    }

    /// The permission bits that the weights file is created with, before the umask that git would apply.
    pub fn mode(&self) -> u32 {
        if self.executable { 0o755 } else { 0o644 }
    }
}

/// Sidecars by the path of the weights file they speak of.
pub type TrackedFiles = BTreeMap<RepoPath, Tracked>;

/// All sidecars of a commit.
pub fn of_commit(ws: &Workspace, commit: &CommitId) -> Result<TrackedFiles> {
    let files = ws.repo().files(commit, &|path| path.ends_with(SUFFIX))?;
    let state = ws.state()?;
    let mut found = TrackedFiles::new();
    for file in files {
        if let Some(weights) = weights_path(&file.path) {
            let tracked = Tracked::of_git(ws, &state, &weights, file.blob, file.executable)?;
            found.insert(weights, tracked);
        }
    }
    Ok(found)
}

/// All weights files of a commit, and git's name of the sidecar of each.
pub fn names_of_commit(ws: &Workspace, commit: &CommitId) -> Result<Vec<(RepoPath, BlobId)>> {
    let files = ws.repo().files(commit, &|path| path.ends_with(SUFFIX))?;
    let files = files.into_iter();
    Ok(files
        .filter_map(|file| Some((weights_path(&file.path)?, file.blob)))
        .collect())
}

/// All sidecars of the index, conflicted ones left out.
pub fn of_index(ws: &Workspace) -> Result<TrackedFiles> {
    let files = ws.repo().index_where(&|path| path.ends_with(SUFFIX))?;
    let state = ws.state()?;
    let mut found = TrackedFiles::new();
    for file in files.into_iter().filter(|file| file.stage == 0) {
        if let Some(weights) = weights_path(&file.path) {
            let tracked = Tracked::of_git(ws, &state, &weights, file.blob, file.executable)?;
            found.insert(weights, tracked);
        }
    }
    Ok(found)
}

/// The sidecar of one weights file as it lies in the work tree.
pub fn in_worktree(ws: &Workspace, weights: &RepoPath) -> Result<Option<Tracked>> {
    found_in_worktree(ws, weights, |_| None)
}

/// [`in_worktree`], unread where `known` tells from its stat data what it is.
fn found_in_worktree(
    ws: &Workspace,
    weights: &RepoPath,
    known: impl FnOnce(&Metadata) -> Option<(BlobId, ObjectId)>,
) -> Result<Option<Tracked>> {
    if weights.blocked_by(ws.root()).is_some() {
        return Ok(None);
    }
    let path = ws.on_disk(&sidecar_path(weights));
    let stat = match path.symlink_metadata() {
        Ok(stat) => stat,
        Err(e)
            if matches!(
                e.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        Err(e) => return Err(fs::FsError::new("stat", &path, e).into()),
    };
    if !stat.is_file() {
        return Err(Error::refused(
            Kind::BadInput,
            format!("{} is not a regular file", sidecar_path(weights)),
        ));
    }
    let executable = std::os::unix::fs::PermissionsExt::mode(&stat.permissions()) & 0o100 != 0;
    if let Some((blob, id)) = known(&stat) {
        return Ok(Some(Tracked {
            text: Text::Git(blob),
            id,
            executable,
        }));
    }
    ws.count_sidecar();
    let text = fs::read_limited(&path, manifest::MAX_TEXT as u64)?;
    Ok(Some(Tracked::new(text, executable)))
}

/// The sidecars that lie in the work tree: those of the index, and those that were stamped, so that a sidecar
/// which was made but not yet staged is seen too.
pub fn of_worktree(ws: &Workspace) -> Result<TrackedFiles> {
    of_worktree_with(ws, &ws.state()?)
}

/// [`of_worktree`] for who has the stamps already. A sidecar is read only where the index does not prove that it is
/// the stamp's.
pub fn of_worktree_with(ws: &Workspace, state: &State) -> Result<TrackedFiles> {
    let sidecars = ws.repo().index_where(&|path| path.ends_with(SUFFIX))?;
    let staged: BTreeMap<RepoPath, &IndexFile> = sidecars
        .iter()
        .filter_map(|file| Some((weights_path(&file.path)?, file)))
        .collect();
    let mut paths: BTreeSet<RepoPath> = state.stamped().map(|(path, _)| path).collect();
    paths.extend(staged.keys().cloned());
    let mut found = TrackedFiles::new();
    for path in paths {
        let known = |stat: &Metadata| {
            let (file, stamp) = (staged.get(&path)?, state.stamp(&path)?);
            let same = file.is_held_by(stat) && BlobId::from_hex(&stamp.blob) == Some(file.blob);
            same.then_some((file.blob, stamp.sidecar))
        };
        if let Some(tracked) = found_in_worktree(ws, &path, known)? {
            found.insert(path, tracked);
        }
    }
    Ok(found)
}

/// What the sidecar of a stamp says, found in git by its name there: the work tree's has been rewritten by now.
/// `None` where git has no such text any more, or not all of what it names can be read: that proves nothing.
pub fn of_stamp(ws: &Workspace, weights: &RepoPath, stamp: &Stamp) -> Option<Manifest> {
    let blob = BlobId::from_hex(&stamp.blob)?;
    let text = ws.repo().blob(&blob, manifest::MAX_TEXT as u64).ok()?;
    let sidecar = Tracked::new(text, false);
    match sidecar.id == stamp.sidecar {
        true => manifest(ws, weights, &sidecar).ok(),
        false => None,
    }
}

/// What a sidecar says, its tensor list fetched from the store where it lies there.
pub fn manifest(ws: &Workspace, weights: &RepoPath, tracked: &Tracked) -> Result<Manifest> {
    let tried = || format!("cannot read {}", sidecar_path(weights));
    match Manifest::parse(&tracked.text(ws).during(tried)?).during(tried)? {
        Sidecar::Inline(manifest) => Ok(manifest),
        Sidecar::Stored(stored) => read_list(ws, &stored).during(tried),
    }
}

/// [`manifest()`]; `None` where its list lies in the store and has more tensors than this.
pub fn short_manifest(
    ws: &Workspace,
    weights: &RepoPath,
    tracked: &Tracked,
    most: u64,
) -> Result<Option<Manifest>> {
    let tried = || format!("cannot read {}", sidecar_path(weights));
    match Manifest::parse(&tracked.text(ws).during(tried)?).during(tried)? {
        Sidecar::Inline(manifest) => Ok(Some(manifest)),
        Sidecar::Stored(stored) if stored.count > most => Ok(None),
        Sidecar::Stored(stored) => read_list(ws, &stored).map(Some).during(tried),
    }
}

fn read_list(ws: &Workspace, stored: &Stored) -> Result<Manifest> {
    let body = ws.store().read(&stored.id, manifest::MAX_BODY as u64)?;
    Ok(Manifest::parse_stored(stored, &body)?)
}

/// Fails where a sidecar lists other tensors than the file itself, as the store holds it: its bytes may all be
/// there, and their names be another's. Bytes that are missing or damaged are found as the objects they are.
pub fn agrees(ws: &Workspace, weights: &RepoPath, manifest: &Manifest) -> Result<()> {
    describes(weights, manifest, &Spliced::new(ws, manifest))
}

/// [`agrees`] for a file whose bytes lie anywhere.
pub fn describes(weights: &RepoPath, manifest: &Manifest, file: &dyn ReadAt) -> Result<()> {
    let checked = match manifest.format {
        Format::Opaque => Ok(()),
        Format::Safetensors | Format::Gguf => manifest.check_header(file),
        Format::Torch => check_torch(manifest, file),
    };
    match checked {
        Err(ManifestError::Header(error)) if is_of_store(&error) => Ok(()),
        checked => {
            checked.during(|| format!("{} does not describe its file", sidecar_path(weights)))
        }
    }
}

/// True for an error of reading that the store gave.
fn is_of_store(error: &FormatError) -> bool {
    match error {
        FormatError::Read(error) => error.get_ref().is_some_and(|e| e.is::<StoreError>()),
        FormatError::Safetensors(_) | FormatError::Gguf(_) => false,
    }
}

/// Every name of a checkpoint's sidecar has to be the file's own. The file may have more: a later mvc may see more in
/// the same bytes.
fn check_torch(manifest: &Manifest, file: &dyn ReadAt) -> std::result::Result<(), ManifestError> {
    // By content, whatever it is called by now.
    let scanned = scan(file, "a.pt", How { opaque: false });
    let scanned = scanned.map_err(|error| ManifestError::Header(Box::new(error)))?;
    let of_file: HashMap<String, Entry> = weights::outline(scanned.tiling)
        .tensors()
        .into_iter()
        .map(|entry| (entry.name.clone(), entry))
        .collect();
    let same = |entry: &Entry| {
        of_file.get(&entry.name).is_some_and(|found| {
            (&found.dtype, &found.shape) == (&entry.dtype, &entry.shape)
                && found.location.offset == entry.location.offset
                && found.location.strides == entry.location.strides
        })
    };
    match manifest.tensors().into_iter().find(|entry| !same(entry)) {
        None => Ok(()),
        Some(entry) => Err(ManifestError::Disagrees { name: entry.name }),
    }
}

/// A weights file as the store holds it: the objects of its segments, one after the other.
struct Spliced<'a> {
    ws: &'a Workspace,
    /// Where each object ends in the file, and its id.
    ends: Vec<(u64, ObjectId)>,
}

impl<'a> Spliced<'a> {
    fn new(ws: &'a Workspace, manifest: &Manifest) -> Self {
        let pieces = manifest.pieces();
        let end = |piece: Piece<'_>| (piece.offset + piece.segment.bytes(), piece.segment.id());
        Self {
            ws,
            ends: pieces.map(end).collect(),
        }
    }
}

impl ReadAt for Spliced<'_> {
    fn len(&self) -> u64 {
        self.ends.last().map_or(0, |(end, _)| *end)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let (mut rest, mut at) = (buffer, offset);
        let mut index = self.ends.partition_point(|(end, _)| *end <= offset);
        while !rest.is_empty() {
            let Some((end, id)) = self.ends.get(index) else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            let begin = index.checked_sub(1).map_or(0, |before| self.ends[before].0);
            let (front, back) = rest.split_at_mut(rest.len().min((end - at) as usize));
            let object = self.ws.store().object(id).map_err(io::Error::other)?;
            object.read_exact_at(front, at - begin)?;
            (rest, at, index) = (back, *end, index + 1);
        }
        Ok(())
    }
}

/// The manifests of many sidecars.
pub fn manifests(ws: &Workspace, files: &TrackedFiles) -> Result<BTreeMap<RepoPath, Manifest>> {
    files
        .iter()
        .map(|(path, tracked)| Ok((path.clone(), manifest(ws, path, tracked)?)))
        .collect()
}

/// The text of a sidecar for a manifest; a list that is too long for git goes into the store.
pub fn render(manifest: &Manifest, writer: &mut Writer) -> Result<Vec<u8>> {
    let rendered = manifest.render()?;
    if let Some(body) = rendered.body {
        super::weights::put_bytes(writer, body)?;
    }
    Ok(rendered.text.into_bytes())
}

/// True where two sidecars ask for the same file on disk.
pub(crate) fn same(a: Option<&Tracked>, b: Option<&Tracked>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.id == b.id && a.executable == b.executable,
        (None, None) => true,
        _ => false,
    }
}
