//! What a repack goes by: every version of every weights file, the newest first, and of each tensor the others that it
//! may be like.
//!
//! Versions that a branch, a tag or HEAD names are read most: their tensors should need one other at most. Of the
//! others, every third may need three, every ninth two, every twenty-seventh one, and the rest four: so each has one
//! near it that it may be written with, and chains stay short however long the history is.

use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

use crate::base::progress::Unit;
use crate::base::{ObjectId, Progress, RepoPath};
use crate::model::{Manifest, Segment, manifest};
use crate::ops::error::Result;
use crate::ops::relatives::{File, Relatives};
use crate::ops::tracked::{self, SUFFIX, Tracked, weights_path};
use crate::ops::weights;
use crate::ops::workspace::{Workspace, if_found};
use crate::repo::{BlobId, CommitId, LogOptions};
use crate::store::{Order, StoreError, Wanted};

/// So many commits are looked at, the newest; what only older ones have is kept as it is.
const COMMITS: usize = 10_000;
/// How far before and behind a version others are that its tensors may be like.
const NEAR: usize = 3;
/// Of so many other files the newest version is looked at.
const OTHERS: usize = 3;

/// The versions of one weights file, each once.
#[derive(Default)]
struct Line {
    /// Its sidecars, the newest first, and where in the whole history each comes first.
    versions: Vec<(BlobId, usize)>,
    met: HashSet<BlobId>,
}

/// Reads the history of all branches, tags and HEAD.
pub(super) fn order(ws: &Workspace, progress: &dyn Progress) -> Result<Order> {
    let tips = tips(ws)?;
    let options = LogOptions {
        limit: Some(COMMITS),
        ..LogOptions::default()
    };
    let mut lines: BTreeMap<RepoPath, Line> = BTreeMap::new();
    let mut read: HashSet<BlobId> = HashSet::new();
    let mut places = 0;
    for commit in ws.repo().log(&tips, options)? {
        let commit = commit?.id;
        let tip = tips.contains(&commit);
        for (path, blob) in sidecars(ws, &commit)? {
            let line = lines.entry(path).or_default();
            if line.met.insert(blob) {
                line.versions.push((blob, places));
                places += 1;
            }
            if tip {
                read.insert(blob);
            }
        }
    }
    progress.begin("reading sidecars", Unit::Items, Some(places as u64));
    let mut builder = Builder {
        ws,
        progress,
        newest: Vec::new(),
        shallow: HashSet::new(),
        met: HashSet::new(),
        versions: Vec::new(),
    };
    let done = builder.all(&lines, &read);
    progress.end();
    done?;
    let mut versions = builder.versions;
    versions.sort_by_key(|(place, _)| *place);
    Ok(Order {
        versions: versions.into_iter().map(|(_, objects)| objects).collect(),
    })
}

/// What names the versions that are read most.
fn tips(ws: &Workspace) -> Result<Vec<CommitId>> {
    let repo = ws.repo();
    let mut tips: Vec<CommitId> = if_found(repo.resolve("HEAD"))?.into_iter().collect();
    tips.extend(repo.branches()?.into_iter().map(|branch| branch.commit));
    tips.extend(repo.remote_branches()?.into_iter().map(|b| b.commit));
    tips.extend(repo.tags()?.into_iter().filter_map(|tag| tag.commit));
    let mut met = HashSet::new();
    tips.retain(|tip| met.insert(*tip));
    Ok(tips)
}

fn sidecars(ws: &Workspace, commit: &CommitId) -> Result<Vec<(RepoPath, BlobId)>> {
    let files = ws.repo().files(commit, &|path| path.ends_with(SUFFIX))?;
    let files = files.into_iter();
    let named = files.filter_map(|file| Some((weights_path(&file.path)?, file.blob)));
    Ok(named.collect())
}

/// A version of a file, read.
struct Version {
    place: usize,
    file: Rc<File>,
    /// Whether a branch, a tag or HEAD names it.
    read: bool,
}

struct Builder<'a> {
    ws: &'a Workspace,
    progress: &'a dyn Progress,
    /// The newest version of each file.
    newest: Vec<(&'a RepoPath, Rc<File>)>,
    /// What should have short chains.
    shallow: HashSet<ObjectId>,
    /// What some version has already.
    met: HashSet<ObjectId>,
    versions: Vec<(usize, Vec<Wanted>)>,
}

impl<'a> Builder<'a> {
    fn all(&mut self, lines: &'a BTreeMap<RepoPath, Line>, read: &HashSet<BlobId>) -> Result<()> {
        for (path, line) in lines {
            for (at, (blob, _)) in line.versions.iter().enumerate() {
                if at > 0 && !read.contains(blob) {
                    continue;
                }
                let Some(manifest) = self.manifest(path, blob) else {
                    continue;
                };
                if read.contains(blob) {
                    let all = manifest.segments.iter().map(Segment::id);
                    self.shallow.extend(all);
                }
                if at == 0 && self.newest.len() <= OTHERS {
                    self.newest.push((path, Rc::new(File::new(manifest))));
                }
            }
        }
        for (path, line) in lines {
            let mut versions = Vec::new();
            for (blob, place) in &line.versions {
                if self.progress.cancelled() {
                    return Err(StoreError::Cancelled.into());
                }
                self.progress.advance(1);
                let manifest = self.manifest(path, blob);
                versions.extend(manifest.map(|manifest| Version {
                    place: *place,
                    file: Rc::new(File::new(manifest)),
                    read: read.contains(blob),
                }));
            }
            for at in 0..versions.len() {
                self.version(path, &versions, at);
            }
        }
        Ok(())
    }

    /// What a sidecar says; `None` where nobody can read it, or its list is not there.
    fn manifest(&self, path: &RepoPath, blob: &BlobId) -> Option<Manifest> {
        let text = self.ws.repo().blob(blob, manifest::MAX_TEXT as u64).ok()?;
        tracked::manifest(self.ws, path, &Tracked::new(text, false)).ok()
    }

    /// Adds what a version has and none before it.
    fn version(&mut self, path: &RepoPath, versions: &[Version], at: usize) {
        let likely = near(at, versions.len()).into_iter();
        let mut files: Vec<Rc<File>> = likely.map(|near| versions[near].file.clone()).collect();
        let others = self.newest.iter().filter(|(other, _)| *other != path);
        files.extend(others.map(|(_, file)| file.clone()).take(OTHERS));
        let relatives = Relatives::new(files);
        let version = &versions[at];
        let mut objects = Vec::new();
        for segment in &version.file.manifest().segments {
            let (name, dtype, shape, id) = match segment {
                Segment::Literal { .. } => continue,
                Segment::Tensor(tensor) => {
                    (&tensor.name, &tensor.dtype, &tensor.shape[..], tensor.id)
                }
                Segment::Storage(storage) => (&storage.key, &storage.dtype, &[][..], storage.id),
            };
            if !self.met.insert(id) {
                continue;
            }
            let shallow = version.read || self.shallow.contains(&id);
            let mut likely = relatives.of(name, shape, dtype);
            likely.retain(|candidate| candidate.id != id);
            objects.push(Wanted {
                id,
                numbers: weights::numbers(dtype, shape),
                likely,
                height: if shallow { 1 } else { height(at) },
                shallow,
            });
        }
        if !objects.is_empty() {
            self.versions.push((version.place, objects));
        }
    }
}

/// How many objects a version may need that nobody reads often.
fn height(at: usize) -> u8 {
    match at {
        _ if at.is_multiple_of(27) => 1,
        _ if at.is_multiple_of(9) => 2,
        _ if at.is_multiple_of(3) => 3,
        _ => 4,
    }
}

/// The versions that one may be like, the likeliest first: its neighbours, the next of those that need little, the
/// newest and the oldest.
fn near(at: usize, count: usize) -> Vec<usize> {
    let mut near = Vec::new();
    for step in 1..=NEAR {
        near.extend([at.checked_sub(step), Some(at + step)]);
    }
    for step in [3, 9, 27] {
        let before = at - at % step;
        near.extend([Some(before), Some(before + step)]);
    }
    near.extend([Some(0), count.checked_sub(1)]);
    let mut met = HashSet::new();
    let near = near.into_iter().flatten();
    near.filter(|other| *other != at && *other < count && met.insert(*other))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_has_one_near_it_that_may_be_its_base() {
        for at in 0..200 {
            let most = height(at);
            let near = near(at, 200);
            assert!(!near.contains(&at) && near.len() <= 14, "{at}: {near:?}");
            assert_eq!(near.iter().collect::<HashSet<_>>().len(), near.len());
            let found = near
                .iter()
                .any(|other| height(*other) < most || *other == 0);
            assert!(found || at == 0 || most == 1, "{at}");
        }
        assert!(near(0, 1).is_empty());
        assert_eq!(near(1, 3), [0, 2]);
    }
}
