//! Weights written from the store into the work tree: beside first, verified, then renamed and stamped.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;

use serde::Serialize;

use super::error::{During, Result};
use super::state::{self, Stamp, Stat};
use super::tracked::{self, Tracked, sidecar_path};
use super::weights;
use super::workspace::Workspace;
use crate::base::fs::TempFile;
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
    temp: TempFile,
    sidecar: Tracked,
    /// What lay there when this began; the file is replaced only while it is still that.
    replaces: Option<Stat>,
}

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
    let mut manifests: Vec<Manifest> = Vec::new();
    for (path, tracked) in wanted {
        let manifest = match tracked::manifest(ws, path, tracked) {
            Ok(manifest) => manifest,
            Err(e) if matches!(e.kind(), Kind::Missing | Kind::Damaged) => {
                prepared.failed.push(Unrestored::whole(path, &e));
                continue;
            }
            Err(e) => return Err(e),
        };
        let absent = absent(ws, &manifest)?;
        if !absent.is_empty() {
            prepared
                .failed
                .push(Unrestored::of(path, &manifest, Kind::Missing, absent));
            continue;
        }
        if let Err(e) = tracked::agrees(ws, path, &manifest) {
            prepared.failed.push(Unrestored::whole(path, &e));
            continue;
        }
        let replaces = weights::lstat(ws, path)?;
        if let Some(blocked) = path.blocked_by(ws.root()) {
            let problem = format!("{} is not a folder of the work tree", blocked.display());
            let kind = Kind::BadInput;
            prepared.failed.push(Unrestored {
                path: path.clone(),
                problem,
                kind,
                objects: vec![],
                tensors: vec![],
            });
            continue;
        }
        let mut temp = ws.fs().temp_beside(&ws.on_disk(path))?;
        temp.set_len(manifest.file_len())?;
        prepared.ready.push(Ready {
            path: path.clone(),
            temp,
            sidecar: tracked.clone(),
            replaces,
        });
        manifests.push(manifest);
    }
    let failures = copy(ws, &prepared.ready, &manifests, progress)?;
    let mut index = 0;
    let failed = &mut prepared.failed;
    prepared.ready.retain(|ready| {
        let (bad, manifest) = (&failures[index], &manifests[index]);
        index += 1;
        if let Some((kind, objects)) = bad {
            failed.push(Unrestored::of(
                &ready.path,
                manifest,
                *kind,
                objects.clone(),
            ));
        }
        bad.is_none()
    });
    for ready in &prepared.ready {
        ready.temp.sync()?;
    }
    Ok(prepared)
}

type Bad = Option<(Kind, Vec<ObjectId>)>;

/// Copies every object of every manifest into its temporary file; what failed, by file.
fn copy(
    ws: &Workspace,
    ready: &[Ready],
    manifests: &[Manifest],
    progress: &dyn Progress,
) -> Result<Vec<Bad>> {
    let mut jobs = Vec::new();
    let mut owner = Vec::new();
    for (file, (ready, manifest)) in ready.iter().zip(manifests).enumerate() {
        let mut offset = 0;
        for (id, len, _) in manifest.objects() {
            jobs.push(CopyOut {
                id,
                len,
                file: &ready.temp,
                offset,
            });
            owner.push(file);
            offset += len;
        }
    }
    let mut failures: Vec<Bad> = vec![None; ready.len()];
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
        let mut folders = BTreeSet::new();
        for ready in self.ready {
            let full = ws.on_disk(&ready.path);
            if weights::lstat(ws, &ready.path)? != ready.replaces {
                done.left.push(ready.path);
                continue;
            }
            ready
                .temp
                .set_mode(mode(ws, &ready.path, ready.sidecar.executable))?;
            done.bytes += ready.temp.metadata()?.len();
            ready
                .temp
                .rename_to(&full)
                .during(|| format!("cannot put {} in its place", ready.path))?;
            folders.insert(full.parent().map(ToOwned::to_owned).unwrap_or_default());
            done.written.push(ready.path.clone());
            let stat = weights::lstat(ws, &ready.path)?;
            if let Some(stat) = stat {
                // Stamped at once: a crash before the end leaves only files that are known to be clean.
                let stamp = Stamp {
                    sidecar: ready.sidecar.id,
                    blob: ws.repo().blob_name(&ready.sidecar.text)?.to_string(),
                    stat,
                    at: state::now(),
                };
                ws.update_state(|state| state.set(&ready.path, stamp))?;
            }
        }
        for folder in folders {
            ws.fs().sync_dir(&folder)?;
        }
        restamp(ws, &done.written)?;
        Ok(done)
    }
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
