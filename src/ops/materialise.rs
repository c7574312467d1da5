//! Weights written from the store into the work tree: beside first, verified, then renamed and stamped.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;

use serde::Serialize;

use super::error::{During, Error, Result};
use super::state::{self, Stamp, Stat};
use super::tracked::{self, Tracked, sidecar_path};
use super::weights;
use super::workspace::Workspace;
use crate::base::fs::{self, ClosedTemp, Outgoing, TempFile, Writeback};
use crate::base::litter;
use crate::base::{Failure, Kind, ObjectId, Progress, RepoPath};
use crate::model::Manifest;
use crate::store::CopyOut;

/// A weights file that could not be restored, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Unrestored {
    /// The weights file.
    pub path: RepoPath,
    /// What is wrong, in words.
    pub problem: String,
    /// Whether objects are missing or damaged.
    pub kind: Kind,
    /// The objects that are.
    pub objects: Vec<ObjectId>,
    /// The tensors that they hold.
    pub tensors: Vec<String>,
}

/// A weights file that lies complete and verified beside its place.
struct Ready {
    path: RepoPath,
    temp: ClosedTemp,
    bytes: u64,
    sidecar: Tracked,
    /// What lay there when this began; the file is replaced only while it is still that.
    replaces: Option<Stat>,
}

/// A weights file that is being written.
struct Writing {
    path: RepoPath,
    temp: TempFile,
    manifest: Manifest,
    sidecar: Tracked,
    replaces: Option<Stat>,
}

/// So many files are written at once: each is an open descriptor, and a model may come in thousands of shards.
const AT_ONCE: usize = 64;

/// So many files are synced at once.
const SYNCS: usize = 8;

/// Weights written beside their places.
pub struct Prepared {
    ready: Vec<Ready>,
    /// What could not be written.
    pub failed: Vec<Unrestored>,
}

/// What became of prepared weights.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Installed {
    /// Weights files that now hold what their sidecars say.
    pub written: Vec<RepoPath>,
    /// Weights files that changed while this ran, and were left alone.
    pub left: Vec<RepoPath>,
    /// Bytes written.
    pub bytes: u64,
}

/// Writes weights beside their places, every object verified. Files whose objects are missing or damaged are
/// listed; the others are prepared all the same.
pub fn prepare(
    ws: &Workspace,
    wanted: &[(RepoPath, Tracked)],
    progress: &dyn Progress,
) -> Result<Prepared> {
    let mut prepared = Prepared {
        ready: Vec::new(),
        failed: Vec::new(),
    };
    let folders: BTreeSet<&str> = wanted.iter().map(|(path, _)| path.folder()).collect();
    for folder in folders {
        litter::sweep(ws.fs(), &ws.root().join(folder))?;
    }
    let writeback = Writeback::default();
    for batch in wanted.chunks(AT_ONCE) {
        prepared.batch(ws, batch, &writeback, progress)?;
    }
    Ok(prepared)
}

impl Prepared {
    fn batch(
        &mut self,
        ws: &Workspace,
        wanted: &[(RepoPath, Tracked)],
        writeback: &Writeback,
        progress: &dyn Progress,
    ) -> Result<()> {
        let writing = self.begin(ws, wanted, writeback)?;
        let failures = copy(ws, &writing, progress)?;
        let mut complete = Vec::new();
        for (file, bad) in writing.into_iter().zip(failures) {
            match bad {
                Some((kind, objects)) => {
                    let failed = Unrestored::of(&file.path, &file.manifest, kind, objects);
                    self.failed.push(failed);
                }
                None => complete.push(file),
            }
        }
        sync(&complete)?;
        for file in complete {
            self.ready.push(Ready {
                bytes: file.manifest.file_len(),
                temp: file.temp.close(),
                path: file.path,
                sidecar: file.sidecar,
                replaces: file.replaces,
            });
        }
        Ok(())
    }

    /// Opens a file beside each place; what cannot be restored is listed.
    fn begin(
        &mut self,
        ws: &Workspace,
        wanted: &[(RepoPath, Tracked)],
        writeback: &Writeback,
    ) -> Result<Vec<Writing>> {
        let mut writing = Vec::new();
        for (path, tracked) in wanted {
            let manifest = match tracked::manifest(ws, path, tracked) {
                Ok(manifest) => manifest,
                Err(e) if matches!(e.kind(), Kind::Missing | Kind::Damaged) => {
                    self.failed.push(Unrestored::whole(path, &e));
                    continue;
                }
                Err(e) => return Err(e),
            };
            let absent = absent(ws, &manifest)?;
            if !absent.is_empty() {
                self.failed
                    .push(Unrestored::of(path, &manifest, Kind::Missing, absent));
                continue;
            }
            if let Err(e) = tracked::agrees(ws, path, &manifest) {
                self.failed.push(Unrestored::whole(path, &e));
                continue;
            }
            let replaces = weights::lstat(ws, path)?;
            if let Some(blocked) = path.blocked_by(ws.root()) {
                let problem = format!("{} is not a folder of the work tree", blocked.display());
                let kind = Kind::BadInput;
                self.failed.push(Unrestored {
                    path: path.clone(),
                    problem,
                    kind,
                    objects: vec![],
                    tensors: vec![],
                });
                continue;
            }
            let target = ws.on_disk(path);
            fs::forget(&target);
            let mut temp = ws.fs().temp_beside(&target)?;
            temp.write_back(writeback);
            temp.set_len(manifest.file_len())?;
            writing.push(Writing {
                path: path.clone(),
                temp,
                manifest,
                sidecar: tracked.clone(),
                replaces,
            });
        }
        Ok(writing)
    }
}

/// Makes files durable, several at once: the disk takes them together.
fn sync(files: &[Writing]) -> Result<()> {
    let each = files.len().div_ceil(SYNCS).max(1);
    let some = |files: &[Writing]| files.iter().try_for_each(|file| file.temp.sync());
    std::thread::scope(|scope| {
        let running: Vec<_> = files
            .chunks(each)
            .map(|files| scope.spawn(move || some(files)))
            .collect();
        for thread in running {
            match thread.join() {
                Ok(done) => done?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(())
    })
}

type Bad = Option<(Kind, Vec<ObjectId>)>;

/// Copies every object of every manifest into its temporary file; what failed, by file.
fn copy(ws: &Workspace, files: &[Writing], progress: &dyn Progress) -> Result<Vec<Bad>> {
    let mut jobs = Vec::new();
    let mut owner = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let mut offset = 0;
        for (id, len, _) in file.manifest.objects() {
            jobs.push(CopyOut {
                id,
                len,
                file: &file.temp,
                offset,
            });
            owner.push(index);
            offset += len;
        }
    }
    let mut failures: Vec<Bad> = vec![None; files.len()];
    for failed in ws.store().copy_out(&jobs, progress)? {
        let (_, objects) =
            failures[owner[failed.job]].get_or_insert((failed.error.kind(), Vec::new()));
        objects.push(jobs[failed.job].id);
    }
    Ok(failures)
}

/// The objects of a manifest that the store does not have.
pub fn absent(ws: &Workspace, manifest: &Manifest) -> Result<Vec<ObjectId>> {
    let mut absent = Vec::new();
    for (id, _, _) in manifest.objects() {
        if !ws.store().contains(&id)? {
            absent.push(id);
        }
    }
    Ok(absent)
}

/// True where weights cannot be had again: what they hold is not all in the store, or cannot be told.
pub fn is_lost(ws: &Workspace, manifest: Option<&Manifest>) -> Result<bool> {
    manifest.map_or(Ok(true), |manifest| Ok(!absent(ws, manifest)?.is_empty()))
}

/// The refusal to write over weights that are lost elsewhere.
pub fn only_copies(ws: &Workspace, paths: &[RepoPath]) -> Error {
    let names: Vec<String> = paths.iter().map(ToString::to_string).collect();
    Error::advised(
        Kind::WouldOverwrite,
        format!(
            "the store has lost what these weights hold, and no other copy is known: {}",
            names.join(", ")
        ),
        format!(
            "`mvc add {}` stores them again; remove them where they are not wanted any more",
            ws.typed_all(paths)
        ),
    )
}

impl Unrestored {
    fn of(path: &RepoPath, manifest: &Manifest, kind: Kind, objects: Vec<ObjectId>) -> Self {
        let bad: BTreeSet<&ObjectId> = objects.iter().collect();
        let mut tensors: Vec<String> = weights::named_objects(manifest)
            .into_iter()
            .filter(|(_, id)| bad.contains(id))
            .map(|(name, _)| name.to_owned())
            .collect();
        tensors.sort();
        let what = if kind == Kind::Missing {
            "not in the store"
        } else {
            "damaged in the store"
        };
        let problem = format!(
            "{} {what}",
            crate::base::text::count(objects.len(), "object")
        );
        Self {
            path: path.clone(),
            problem,
            kind,
            objects,
            tensors,
        }
    }

    fn whole(path: &RepoPath, error: &dyn Failure) -> Self {
        Self {
            path: path.clone(),
            problem: error.to_string(),
            kind: error.kind(),
            objects: vec![],
            tensors: vec![],
        }
    }
}

impl Prepared {
    /// The files that are complete.
    pub fn paths(&self) -> impl Iterator<Item = &RepoPath> {
        self.ready.iter().map(|ready| &ready.path)
    }

    /// Says what lay at a path when it was decided to replace it, which is before this was prepared: whoever wrote
    /// to it since then keeps what they wrote.
    pub fn replacing(&mut self, decided: &BTreeMap<RepoPath, Option<Stat>>) {
        for ready in &mut self.ready {
            if let Some(stat) = decided.get(&ready.path) {
                ready.replaces = *stat;
            }
        }
    }

    /// Drops the files that nothing asks for any more.
    pub fn keep(&mut self, wanted: impl Fn(&RepoPath) -> bool) {
        self.ready.retain(|ready| wanted(&ready.path));
    }

    /// These places will be empty by the time the files get their names: git removes what lies there.
    pub fn expect_nothing(&mut self, at: &BTreeSet<RepoPath>) {
        for ready in self
            .ready
            .iter_mut()
            .filter(|ready| at.contains(&ready.path))
        {
            ready.replaces = None;
        }
    }

    /// Gives the prepared files their names and stamps them. A file that is no longer what it was when it was
    /// prepared is left alone: somebody wrote to it meanwhile.
    pub fn install(self, ws: &Workspace) -> Result<Installed> {
        let mut done = Installed::default();
        let mut ready = self.ready.into_iter();
        loop {
            // Stamped every few files: a crash leaves few that have to be read to be known as clean.
            let batch: Vec<Ready> = ready.by_ref().take(AT_ONCE).collect();
            if batch.is_empty() {
                break;
            }
            let mut stamps = Vec::new();
            let mut outgoing = Outgoing::default();
            let placed = batch
                .into_iter()
                .try_for_each(|file| place(ws, file, &mut done, &mut stamps, &mut outgoing));
            ws.update_state(|state| {
                for (path, stamp) in stamps {
                    state.set(&path, stamp);
                }
            })?;
            placed?;
            outgoing.free(super::threads());
        }
        let folders: BTreeSet<&str> = done.written.iter().map(RepoPath::folder).collect();
        for folder in folders {
            ws.fs().sync_dir(&ws.root().join(folder))?;
        }
        restamp(ws, &done.written)?;
        Ok(done)
    }
}

/// Puts one file in its place.
fn place(
    ws: &Workspace,
    file: Ready,
    done: &mut Installed,
    stamps: &mut Vec<(RepoPath, Stamp)>,
    outgoing: &mut Outgoing,
) -> Result<()> {
    let full = ws.on_disk(&file.path);
    if weights::lstat(ws, &file.path)? != file.replaces {
        done.left.push(file.path);
        return Ok(());
    }
    let mode = mode(ws, &file.path, file.sidecar.executable);
    file.temp.set_mode(mode)?;
    outgoing.hold(&full);
    file.temp
        .rename_to(&full)
        .during(|| format!("cannot put {} in its place", file.path))?;
    done.bytes += file.bytes;
    done.written.push(file.path.clone());
    if let Some(stat) = weights::lstat(ws, &file.path)? {
        let stamp = Stamp {
            sidecar: file.sidecar.id,
            blob: file.sidecar.blob(ws)?.to_string(),
            stat,
            at: state::now(),
        };
        stamps.push((file.path, stamp));
    }
    Ok(())
}

/// Stamps files once more when their stat data has settled, so that status need not read them.
pub fn restamp(ws: &Workspace, paths: &[RepoPath]) -> Result<()> {
    let mut stats = Vec::new();
    for path in paths {
        stats.extend(weights::lstat(ws, path)?);
    }
    state::settle(&stats);
    let current: Vec<(&RepoPath, Option<Stat>)> = paths
        .iter()
        .map(|path| Ok((path, weights::lstat(ws, path)?)))
        .collect::<Result<_>>()?;
    ws.update_state(|state| {
        for (path, stat) in current {
            let Some(stat) = stat else { continue };
            if let Some(stamp) = state.stamp(path).filter(|stamp| stamp.stat == stat) {
                let stamp = stamp.renewed();
                state.set(path, stamp);
            }
        }
    })?;
    Ok(())
}

/// Weights have the permissions of their sidecar, which git made with the user's umask.
fn mode(ws: &Workspace, path: &RepoPath, executable: bool) -> u32 {
    match ws.on_disk(&sidecar_path(path)).symlink_metadata() {
        Ok(stat) if stat.is_file() => stat.permissions().mode(),
        _ if executable => 0o755,
        _ => 0o644,
    }
}

/// Removes weights that are clean and no longer wanted, and the folders that this empties.
pub fn remove(ws: &Workspace, path: &RepoPath) -> Result<()> {
    let full = ws.on_disk(path);
    ws.fs().remove_file(&full)?;
    let mut folder = full.parent();
    while let Some(here) = folder.filter(|here| *here != ws.root() && here.starts_with(ws.root())) {
        if !here.is_dir() || !ws.fs().remove_empty_dir(here)? {
            break;
        }
        folder = here.parent();
    }
    ws.update_state(|state| state.forget(path))?;
    Ok(())
}
