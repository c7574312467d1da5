//! `mvc add`: weights into the store, their sidecars into the index; anything else goes to `git add`.

use std::collections::BTreeSet;
use std::rc::Rc;

use serde::Serialize;

use super::error::{During, Error, Result};
use super::relatives::{Family, File};
use super::state::Stamp;
use super::tracked::{self, Tracked, sidecar_path};
use super::weights::{self, Opened};
use super::workspace::Workspace;
use super::{materialise, reconcile, track};
use crate::base::text::conflict_marker;
use crate::base::{Failure, Kind, ObjectId, Progress, RepoPath};
use crate::model::{How, Manifest};
use crate::store::Writer;

/// What `add` is asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Track files as plain bytes, whatever they look like.
    pub opaque: bool,
    /// Read what the store has of unchanged weights, and store anew what is damaged there.
    pub heal: bool,
}

/// One weights file that was added.
#[derive(Clone, Debug, Serialize)]
pub struct Added {
    /// The weights file.
    pub path: RepoPath,
    /// How many tensors it holds.
    pub tensors: usize,
    /// Its length in bytes.
    pub bytes: u64,
    /// Bytes that the store grew by.
    pub written: u64,
    /// True if it had no sidecar before.
    pub new: bool,
    /// What its owner should know.
    pub notes: Vec<String>,
}

/// What `add` did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Weights whose sidecars changed.
    pub added: Vec<Added>,
    /// Weights that are what their sidecars say.
    pub unchanged: Vec<RepoPath>,
    /// Other files, handed to git.
    pub plain: Vec<RepoPath>,
    /// Plain files so large that they look like weights.
    pub large: Vec<RepoPath>,
    /// What was brought in line first.
    pub reconciled: reconcile::Report,
}

/// A file in plain git that is larger than this draws a warning.
pub const LARGE: u64 = 10 << 20;

/// Adds what was named: files, or folders with all weights in them.
pub fn run(
    ws: &Workspace,
    paths: &[String],
    options: &Options,
    progress: &dyn Progress,
) -> Result<Report> {
    // Weights that only lag behind their sidecar are no new version of it.
    let reconciled = reconcile::run(ws, progress)?;
    let config = ws.config()?;
    let patterns = config.patterns()?;
    let known = tracked::of_worktree(ws)?;
    let candidates = track::candidates(ws, &config)?;
    // A pattern's files are weights wherever they lie, also where no walk looks for them.
    let picked = |path: &RepoPath| {
        let stat = || ws.on_disk(path).symlink_metadata();
        track::picks(&config, &patterns, path) && stat().is_ok_and(|stat| !stat.is_dir())
    };
    let in_git = track::in_git(ws)?;
    let is_weights = |path: &RepoPath| {
        known.contains_key(path)
            || candidates.contains(path)
            || (picked(path) && !in_git.contains(path) && !track::is_nested(ws, path))
    };
    let mut chosen: BTreeSet<RepoPath> = BTreeSet::new();
    let mut plain = Vec::new();
    let mut folders = Vec::new();
    for typed in paths {
        let path = ws.place(typed)?;
        let full = path
            .as_ref()
            .map_or_else(|| ws.root().to_owned(), |path| ws.on_disk(path));
        match path {
            Some(path) if is_weights(&path) => {
                chosen.insert(path);
            }
            path if full.is_dir() => {
                let prefix = path
                    .as_ref()
                    .map_or(String::new(), |path| format!("{}/", path.as_str()));
                let inside = |weights: &&RepoPath| weights.as_str().starts_with(&prefix);
                chosen.extend(known.keys().chain(&candidates).filter(inside).cloned());
                folders.push(prefix);
            }
            Some(path) => plain.push(path),
            None => {}
        }
    }
    must_be_there(ws, &plain)?;
    let inside = |path: &RepoPath| folders.iter().any(|f| path.as_str().starts_with(f));
    let modified = match folders.is_empty() {
        true => Vec::new(),
        false => ws.git().modified()?,
    };
    let of_git = modified
        .iter()
        .filter(|path| inside(path) && in_git.contains(*path));
    let weights_of_git = plain.iter().chain(of_git).filter(|path| picked(path));
    track::refuse_plain(ws, &weights_of_git.collect::<Vec<_>>())?;
    let mut report = weights(
        ws,
        &chosen.into_iter().collect::<Vec<_>>(),
        options,
        progress,
    )?;
    if options.opaque && !plain.is_empty() {
        let message = format!("{} is not among the tracked files", plain[0]);
        return Err(Error::advised(
            Kind::NotFound,
            message,
            format!("run `mvc track {}` first", ws.typed(&plain[0])),
        ));
    }
    report.large = plain
        .iter()
        .filter(|path| is_large(ws, path))
        .cloned()
        .collect();
    if !plain.is_empty() {
        ws.git().stage(&plain)?;
    }
    if !folders.is_empty() {
        let mut others = ws.git().modified()?;
        others.extend(ws.git().untracked()?);
        others.retain(|path| inside(path) && !picked(path));
        report
            .large
            .extend(others.iter().filter(|path| is_large(ws, path)).cloned());
        ws.git().stage(&others)?;
        plain.extend(others);
    }
    report.plain = plain;
    report.reconciled = reconciled;
    Ok(report)
}

/// Git stages the removal of a file that is gone, and says nothing of one that never was.
fn must_be_there(ws: &Workspace, plain: &[RepoPath]) -> Result<()> {
    let mut gone = plain
        .iter()
        .filter(|path| ws.on_disk(path).symlink_metadata().is_err())
        .peekable();
    if gone.peek().is_none() {
        return Ok(());
    }
    let index = ws.repo().index()?;
    match gone.find(|path| index.iter().all(|file| file.path != **path)) {
        Some(path) => Err(Error::refused(
            Kind::NotFound,
            format!("there is no file {path}"),
        )),
        None => Ok(()),
    }
}

/// True for a file that is large enough to look like weights.
pub fn is_large(ws: &Workspace, path: &RepoPath) -> bool {
    ws.on_disk(path)
        .symlink_metadata()
        .is_ok_and(|stat| stat.is_file() && stat.len() > LARGE)
}

/// Stores weights and stages their sidecars. Objects are durable before any sidecar names them.
pub fn weights(
    ws: &Workspace,
    paths: &[RepoPath],
    options: &Options,
    progress: &dyn Progress,
) -> Result<Report> {
    let report = store(ws, paths, options, progress)?;
    let sidecars: Vec<RepoPath> = report
        .added
        .iter()
        .map(|added| sidecar_path(&added.path))
        .collect();
    let unchanged: Vec<RepoPath> = report.unchanged.iter().map(sidecar_path).collect();
    let all: Vec<RepoPath> = sidecars.into_iter().chain(unchanged).collect();
    if !all.is_empty() {
        ws.git().stage(&all)?;
    }
    Ok(report)
}

/// Stores weights and writes their sidecars, staging nothing.
pub fn store(
    ws: &Workspace,
    paths: &[RepoPath],
    options: &Options,
    progress: &dyn Progress,
) -> Result<Report> {
    let mut report = Report::default();
    if paths.is_empty() {
        return Ok(report);
    }
    // What is found in the store has to be there still when a sidecar names it.
    let _hold = ws.store().hold()?;
    let state = ws.state()?;
    let sidecars = tracked::of_worktree_with(ws, &state)?;
    let mut stored = state.stored(&ws.store().packs()?);
    let mut writer: Option<Writer> = None;
    let mut pending: Vec<Pending> = Vec::new();
    let mut family: Option<Family<'_>> = None;
    for path in by_size(ws, paths) {
        let known = match sidecars.get(path) {
            Some(known) => Some(known.clone()),
            None => tracked::in_worktree(ws, path)?,
        };
        let opened = match weights::lstat(ws, path)? {
            Some(_) => weights::open(ws, path)?,
            None if known.is_some() => {
                let message = format!("{path} is gone from the work tree");
                let hint = format!(
                    "`mvc restore {}` brings it back, `git rm {}` lets it go",
                    ws.typed(path),
                    ws.typed(&sidecar_path(path))
                );
                return Err(Error::advised(Kind::NotFound, message, hint));
            }
            None => {
                return Err(Error::refused(
                    Kind::NotFound,
                    format!("there is no file {path}"),
                ));
            }
        };
        let proved = state.stamp(path).is_some_and(|stamp| {
            stamp.proves(&opened.stat)
                && known
                    .as_ref()
                    .is_some_and(|known| known.id == stamp.sidecar)
        });
        let same_mode = known
            .as_ref()
            .is_some_and(|known| known.executable == opened.executable);
        let again = options.opaque || options.heal || !same_mode;
        let is_remembered = |known: &Tracked| stored.contains(&known.id);
        if !again && proved && known.as_ref().is_some_and(is_remembered) {
            opened.unchanged(ws)?;
            report.unchanged.push(path.clone());
            continue;
        }
        let before = known
            .as_ref()
            .map(|known| tracked::manifest(ws, path, known))
            .transpose();
        let before: Option<Manifest> = match before {
            Ok(before) => before,
            // A newer mvc knows what it wrote there; this one would throw it away.
            Err(e) if e.kind() == Kind::Unsupported => return Err(e),
            // A sidecar that cannot be read (a merge left markers in it) is no reason not to write a good one; a file
            // of somebody else is.
            Err(_)
                if known.as_ref().is_some_and(|known| is_foreign(ws, known))
                    && !ws.repo().tracked(&sidecar_path(path))? =>
            {
                return Err(in_the_way(ws, path));
            }
            Err(_) => None,
        };
        if !options.opaque
            && same_mode
            && before.is_some()
            && is_stored(ws, before.as_ref(), options.heal)?
            && (proved || holds(&opened, before.as_ref(), progress)?)
        {
            opened.unchanged(ws)?;
            if let Some(known) = known.as_ref().filter(|_| !proved) {
                ws.remember(vec![(path.clone(), opened.stamp(ws, known)?)]);
            }
            stored.extend(known.map(|known| known.id));
            report.unchanged.push(path.clone());
            continue;
        }
        let how = How {
            opaque: options.opaque,
        };
        let adding = || format!("cannot add {path}");
        let scanned = weights::cut(&opened, how).during(adding)?;
        let family = match &mut family {
            Some(family) => family,
            none => none.insert(Family::find(ws)?),
        };
        if family.waits_for(&scanned.tiling) {
            // Only what is published can be a base.
            writer.take().map(Writer::finish).transpose()?;
            family.publish();
        }
        let before = before.map(|before| Rc::new(File::new(before)));
        let relatives = family.of(path, known.as_ref().zip(before.clone()), &scanned.tiling)?;
        let writer = match &mut writer {
            Some(writer) => writer,
            none => none.insert(ws.store().writer()?),
        };
        let before = before.as_ref().map(|before| before.manifest());
        let stored =
            weights::put(writer, &opened, scanned, before, &relatives, progress).during(adding)?;
        opened.unchanged(ws)?;
        let sidecar = Tracked::new(
            tracked::render(&stored.manifest, writer)?,
            opened.executable,
        );
        report.added.push(Added {
            path: path.clone(),
            tensors: stored.manifest.count(),
            bytes: opened.stat.size,
            written: stored.written,
            new: known.is_none(),
            notes: stored.notes,
        });
        pending.push(Pending {
            path: path.clone(),
            stamp: opened.stamp(ws, &sidecar)?,
            sidecar,
        });
        family.put(path, stored.manifest);
    }
    let place = |path: &RepoPath| paths.iter().position(|other| other == path);
    report.added.sort_by_cached_key(|added| place(&added.path));
    report.unchanged.sort_by_cached_key(place);
    if let Some(writer) = writer {
        writer.finish()?;
    }
    publish(ws, pending, stored)?;
    Ok(report)
}

/// The largest files first, otherwise in their order: of two files with the same tensors, the smaller one is a cast of
/// the larger one more often than the other way round.
fn by_size<'a>(ws: &Workspace, paths: &'a [RepoPath]) -> Vec<&'a RepoPath> {
    let mut sorted: Vec<&RepoPath> = paths.iter().collect();
    let size = |path: &RepoPath| {
        ws.on_disk(path)
            .symlink_metadata()
            .map_or(0, |stat| stat.len())
    };
    sorted.sort_by_cached_key(|path| std::cmp::Reverse(size(path)));
    sorted
}

/// A sidecar to write once the objects are durable. The weights are closed by then: a folder of thousands of files
/// needs no thousands of descriptors.
struct Pending {
    path: RepoPath,
    sidecar: Tracked,
    stamp: Stamp,
}

/// Writes sidecars and stamps their weights; the objects are durable by now. `stored` are other sidecars of which
/// the store has every object.
fn publish(ws: &Workspace, pending: Vec<Pending>, mut stored: BTreeSet<ObjectId>) -> Result<()> {
    let packs = ws.store().packs()?;
    for Pending { path, sidecar, .. } in &pending {
        let target = ws.on_disk(&sidecar_path(path));
        let text = sidecar.text(ws)?;
        ws.fs().replace(&target, &text, sidecar.mode())?;
    }
    stored.extend(pending.iter().map(|pending| pending.sidecar.id));
    let nothing = pending.is_empty();
    let updated = ws.update_state(|state| {
        for Pending { path, stamp, .. } in pending {
            state.set(&path, stamp);
        }
        state.set_stored(packs, stored);
    });
    match updated {
        // What is stored is remembered for speed alone.
        Err(_) if nothing => Ok(()),
        updated => updated.map(|_| ()),
    }
}

/// True for what neither mvc nor a merge of its sidecars can have written.
fn is_foreign(ws: &Workspace, sidecar: &Tracked) -> bool {
    // What git has is the user's to say.
    let Ok(text) = sidecar.text(ws) else {
        return false;
    };
    let text = &*text;
    let is_text = std::str::from_utf8(text).ok();
    !text.is_empty() && !text.starts_with(b"mvc ") && is_text.and_then(conflict_marker).is_none()
}

fn in_the_way(ws: &Workspace, path: &RepoPath) -> Error {
    let sidecar = sidecar_path(path);
    let typed = ws.typed(&sidecar);
    Error::advised(
        Kind::WouldOverwrite,
        format!("{sidecar} is in the way: it is no sidecar, and the one of {path} has that name"),
        format!("move it, as in `mv {typed} {typed}.other`, and run the command again"),
    )
}

fn holds(opened: &Opened, manifest: Option<&Manifest>, progress: &dyn Progress) -> Result<bool> {
    manifest.map_or(Ok(false), |manifest| {
        weights::holds(opened, manifest, progress)
    })
}

/// True if every object of the manifest is in the store: only then is an unchanged file nothing to add.
fn is_stored(ws: &Workspace, manifest: Option<&Manifest>, heal: bool) -> Result<bool> {
    let Some(manifest) = manifest else {
        return Ok(false);
    };
    if !materialise::absent(ws, manifest)?.is_empty() {
        return Ok(false);
    }
    if heal {
        for (id, _, _) in manifest.objects() {
            if !ws.store().is_sound(&id)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}
