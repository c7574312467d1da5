//! Models in several files: is every shard where the index says, and are all of one version?
//!
//! A mix of shards loads without an error and computes nonsense, so status and commit say it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::error::{During, Result};
use super::tracked::{self, Tracked, TrackedFiles, sidecar_path};
use super::weights;
use super::workspace::{Workspace, if_found};
use crate::base::fs::FsError;
use crate::base::text::{chain, more};
use crate::base::{ObjectId, Progress, RepoPath};
use crate::model::shards::{self, Index, Problem};
use crate::model::{How, Manifest, scan};
use crate::repo::{BlobId, CommitInfo, LabelKind, LogOptions};

/// How many versions back a shard is looked for.
const VERSIONS: usize = 50;

/// Problems of one index that are told in full.
const TOLD: usize = 3;

/// What is wrong with the sharded models of the work tree, a line each. `here` are its sidecars and `modified` the
/// weights files that are not what theirs say; of these only headers are read, and more where a version is likely.
pub fn warnings(
    ws: &Workspace,
    here: &TrackedFiles,
    modified: &BTreeSet<RepoPath>,
    progress: &dyn Progress,
) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for path in indexes(ws, here)? {
        let index = match read(ws, &path) {
            Ok(Some(index)) => index,
            Ok(None) => continue,
            Err(e) => {
                warnings.push(chain(&e));
                continue;
            }
        };
        let shards: Vec<RepoPath> = index
            .files()
            .into_iter()
            .map(|name| path.sibling(name.as_str()))
            .collect::<std::result::Result<_, _>>()?;
        if !shards.iter().any(|shard| here.contains_key(shard)) {
            continue;
        }
        match disagreements(ws, &index, &shards, here, modified) {
            Ok(problems) => warnings.extend(text(&path, &problems)),
            Err(e) => warnings.push(chain(&e)),
        }
        warnings.extend(mix(ws, &path, &shards, here, modified, progress)?);
    }
    Ok(warnings)
}

/// How an index and its shards disagree, in one line; nothing where they do not.
pub(super) fn text(path: &RepoPath, problems: &[Problem]) -> Option<String> {
    let first = problems.iter().take(TOLD).map(ToString::to_string);
    let mut first = first.collect::<Vec<_>>().join("; ");
    if let Some(more) = more(problems.len(), TOLD) {
        first = format!("{first}, {more}");
    }
    (!problems.is_empty()).then(|| format!("{path} and its shards disagree: {first}"))
}

/// The index files beside tracked weights.
fn indexes(ws: &Workspace, here: &TrackedFiles) -> Result<BTreeSet<RepoPath>> {
    let folders: BTreeSet<&str> = here.keys().map(RepoPath::folder).collect();
    let mut found = BTreeSet::new();
    for folder in folders {
        if ws.root().join(folder).is_dir() {
            let files = plain_files(ws, folder)?;
            let indexes = files.into_iter();
            found.extend(indexes.filter(|file| file.name().ends_with(shards::SUFFIX)));
        }
    }
    Ok(found)
}

/// The plain files that lie directly in a folder of the work tree; `""` is the top.
fn plain_files(ws: &Workspace, folder: &str) -> Result<Vec<RepoPath>> {
    let full = ws.root().join(folder);
    let fail = |e| FsError::new("list", &full, e);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&full).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        if entry.file_type().map_err(fail)?.is_file() {
            found.extend(RepoPath::below(ws.root(), &entry.path()).ok());
        }
    }
    Ok(found)
}

fn read(ws: &Workspace, path: &RepoPath) -> Result<Option<Index>> {
    let Some(bytes) = ws.read(path, shards::LIMIT)? else {
        return Ok(None);
    };
    let index = Index::parse(&bytes).during(|| format!("cannot follow {path}"))?;
    Ok(Some(index))
}

fn disagreements(
    ws: &Workspace,
    index: &Index,
    shards: &[RepoPath],
    here: &TrackedFiles,
    modified: &BTreeSet<RepoPath>,
) -> Result<Vec<Problem>> {
    let mut manifests = Vec::new();
    for (name, path) in index.files().into_iter().zip(shards) {
        if weights::lstat(ws, path)?.is_none() {
            continue;
        }
        let manifest = match here.get(path).filter(|_| !modified.contains(path)) {
            Some(known) => tracked::manifest(ws, path, known)?,
            None => outline(ws, path)?,
        };
        manifests.push((name.clone(), manifest));
    }
    let files: Vec<_> = manifests
        .iter()
        .map(|(name, manifest)| (name.clone(), manifest))
        .collect();
    Ok(shards::check(index, &files))
}

/// What a weights file holds as far as its header says: its ids are none.
fn outline(ws: &Workspace, path: &RepoPath) -> Result<Manifest> {
    let opened = weights::open(ws, path)?;
    let scanned = scan(&opened.source, path.name(), How { opaque: false })
        .during(|| format!("cannot read {path}"))?;
    Ok(weights::outline(scanned.tiling))
}

/// One line where some shards are of one version and some of another, and no version has them all.
///
/// A shard that is of no version is new, and says nothing about the others: training may change one alone.
fn mix(
    ws: &Workspace,
    index: &RepoPath,
    shards: &[RepoPath],
    here: &TrackedFiles,
    modified: &BTreeSet<RepoPath>,
    progress: &dyn Progress,
) -> Result<Option<String>> {
    let Some(head) = if_found(ws.repo().resolve("HEAD"))? else {
        return Ok(None);
    };
    let shards: Vec<&RepoPath> = shards
        .iter()
        .filter(|path| here.contains_key(path))
        .collect();
    if !moved(ws, &head, &shards, here, modified)? {
        return Ok(None);
    }
    let options = LogOptions {
        limit: Some(VERSIONS),
        ..LogOptions::default()
    };
    let versions: Vec<CommitInfo> = ws
        .repo()
        .log(&[head], options)?
        .collect::<std::result::Result<_, _>>()?;
    let mut of: BTreeMap<&RepoPath, BTreeSet<usize>> = BTreeMap::new();
    for path in shards {
        let Some(known) = here.get(path) else {
            continue;
        };
        let past = Past::of(ws, path, &versions)?;
        let found = match modified.contains(path) {
            false => past.with(&known.id),
            true => past.holding(ws, path, progress)?,
        };
        if !found.is_empty() {
            of.insert(path, found);
        }
    }
    let common = of
        .values()
        .cloned()
        .reduce(|a, b| a.intersection(&b).copied().collect());
    if common.is_none_or(|common| !common.is_empty()) {
        return Ok(None);
    }
    let each: Vec<String> = of
        .iter()
        .filter_map(|(path, found)| {
            Some(format!("{path} is of {}", name(*found.first()?, &versions)))
        })
        .collect();
    Ok(Some(format!(
        "{index} has shards of different versions: {}",
        each.join(", ")
    )))
}

/// False where all shards are as HEAD has them, so that there is nothing to look for.
fn moved(
    ws: &Workspace,
    head: &crate::repo::CommitId,
    shards: &[&RepoPath],
    here: &TrackedFiles,
    modified: &BTreeSet<RepoPath>,
) -> Result<bool> {
    for path in shards {
        let known = here.get(path);
        let at_head = match ws.repo().file_entry(head, &sidecar_path(path))? {
            Some(file) => Some(sidecar(ws, path, &file.blob, file.executable)?),
            None => None,
        };
        let same = at_head.map(|tracked| tracked.id) == known.map(|tracked| tracked.id);
        if !same || modified.contains(*path) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn sidecar(ws: &Workspace, path: &RepoPath, blob: &BlobId, executable: bool) -> Result<Tracked> {
    let text = ws
        .repo()
        .blob(blob, crate::model::manifest::MAX_TEXT as u64)
        .during(|| format!("cannot read {}", sidecar_path(path)))?;
    Ok(Tracked::new(text, executable))
}

/// A version as people call it: HEAD, a tag or branch, or the first digits.
fn name(index: usize, versions: &[CommitInfo]) -> String {
    let Some(version) = versions.get(index).filter(|_| index > 0) else {
        return "HEAD".to_owned();
    };
    let tag = version
        .labels
        .iter()
        .find(|label| label.kind == LabelKind::Tag);
    let label = tag.or_else(|| version.labels.first());
    label.map_or_else(|| version.id.short(), |label| label.name.clone())
}

/// The sidecars that a weights file had, each with the versions that have it, by their place in the history.
struct Past(Vec<(Tracked, BTreeSet<usize>)>);

impl Past {
    fn of(ws: &Workspace, path: &RepoPath, versions: &[CommitInfo]) -> Result<Self> {
        let mut places: HashMap<BlobId, usize> = HashMap::new();
        let mut past: Vec<(Tracked, BTreeSet<usize>)> = Vec::new();
        for (index, version) in versions.iter().enumerate() {
            let Some(file) = ws.repo().file_entry(&version.id, &sidecar_path(path))? else {
                continue;
            };
            let place = *places.entry(file.blob).or_insert(past.len());
            match past.get_mut(place) {
                Some((_, found)) => {
                    found.insert(index);
                }
                None => {
                    let tracked = sidecar(ws, path, &file.blob, file.executable)?;
                    past.push((tracked, BTreeSet::from([index])));
                }
            }
        }
        Ok(Self(past))
    }

    /// The versions with this sidecar.
    fn with(&self, id: &ObjectId) -> BTreeSet<usize> {
        let same = self.0.iter().filter(|(tracked, _)| tracked.id == *id);
        same.flat_map(|(_, found)| found.iter().copied()).collect()
    }

    /// The versions that have what the weights file holds, whatever its own sidecar says.
    fn holding(
        &self,
        ws: &Workspace,
        path: &RepoPath,
        progress: &dyn Progress,
    ) -> Result<BTreeSet<usize>> {
        if weights::lstat(ws, path)?.is_none() {
            return Ok(BTreeSet::new());
        }
        let opened = weights::open(ws, path)?;
        for (tracked, found) in &self.0 {
            // A version that cannot be read any more is none that the file was taken from.
            let Ok(manifest) = tracked::manifest(ws, path, tracked) else {
                continue;
            };
            if weights::holds(&opened, &manifest, progress)? {
                return Ok(found.clone());
            }
        }
        Ok(BTreeSet::new())
    }
}
