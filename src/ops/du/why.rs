//! Why a version costs what it costs: of each run of bytes of its files how it is stored, against what, and what else
//! it serves.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use serde::Serialize;

use super::Report;
use crate::base::text::chain;
use crate::base::{Failure, Kind, ObjectId, RepoPath};
use crate::model::{Manifest, Segment};
use crate::ops::error::Result;
use crate::ops::tracked::{self, TrackedFiles};
use crate::ops::workspace::Workspace;
use crate::repo::{CommitId, CommitInfo};
use crate::store::Store;

/// What one tensor, storage or literal of a version costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// The weights file.
    pub path: RepoPath,
    /// The tensors in it, aliases and views included; none for a literal.
    pub names: Vec<String>,
    /// The object that holds it.
    pub object: ObjectId,
    /// Its length.
    pub raw: u64,
    /// Bytes of its chunks in the store, those of its parts included.
    pub stored: u64,
    /// How many chunks are of each codec, and of each kind of view.
    pub codecs: BTreeMap<&'static str, u64>,
    /// How many parts it was cut into; 0 for most.
    pub parts: u64,
    /// How many objects must be decoded one after the other for a chunk of it, less 1; `None` where one is missing.
    pub height: Option<u8>,
    /// What it is written with.
    pub bases: Vec<Base>,
    /// Whether no older version has it.
    pub new: bool,
    /// The other versions that have it, newest first.
    pub also_in: Vec<Named>,
    /// Why nothing is known of how it is stored.
    pub problem: Option<String>,
}

/// A version, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    /// The version.
    pub commit: CommitId,
    /// Its tags and branches.
    pub refs: Vec<String>,
}

impl Named {
    fn new(commit: &CommitInfo) -> Self {
        Self {
            commit: commit.id,
            refs: super::names(commit),
        }
    }
}

/// An object that another is written with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Base {
    /// The object.
    pub object: ObjectId,
    /// What it is in the oldest version that has it; `None` where no version that was looked at does.
    pub is: Option<Place>,
}

/// Where an object is found in history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The version.
    pub version: Named,
    /// The weights file.
    pub path: RepoPath,
    /// A tensor of it; `None` for a literal.
    pub name: Option<String>,
}

/// Which versions have which objects, and what they call them. Each sidecar is read once, however many versions have
/// it; only those of listed versions are kept.
#[derive(Default)]
pub(super) struct Known {
    /// The versions of each sidecar, by their places in history, and of each object the sidecars.
    versions: Vec<BTreeSet<usize>>,
    sidecars: HashMap<ObjectId, BTreeSet<usize>>,
    /// The version, file and tensor that had an object first.
    first: HashMap<ObjectId, (usize, RepoPath, Option<String>)>,
    met: HashMap<(RepoPath, ObjectId), Met>,
    /// The files of the listed versions, by their places in history.
    files: BTreeMap<usize, Vec<(RepoPath, Rc<Manifest>)>>,
}

/// A sidecar that some version has.
#[derive(Clone)]
struct Met {
    /// Its place among [`Known::versions`].
    place: usize,
    /// What it says, if a listed version has it.
    says: Option<Rc<Manifest>>,
}

impl Known {
    /// Takes in a version that is not listed, as far as it can be read. Versions come one after the other, the oldest
    /// first.
    pub(super) fn look(&mut self, ws: &Workspace, at: usize, files: TrackedFiles) {
        for (path, tracked) in files {
            match self.met.get(&(path.clone(), tracked.id)) {
                Some(Met { place, .. }) => {
                    self.versions[*place].insert(at);
                }
                None => {
                    let Ok(manifest) = tracked::manifest(ws, &path, &tracked) else {
                        continue;
                    };
                    let place = self.note(at, &path, &manifest);
                    self.met
                        .insert((path, tracked.id), Met { place, says: None });
                }
            }
        }
    }

    /// Takes in a listed version, and says what its sidecars say; of those that cannot be read, why.
    pub(super) fn read(
        &mut self,
        ws: &Workspace,
        at: usize,
        files: TrackedFiles,
        unreadable: &mut Vec<String>,
    ) -> &[(RepoPath, Rc<Manifest>)] {
        let mut read = Vec::with_capacity(files.len());
        for (path, tracked) in files {
            let key = (path, tracked.id);
            let met = self.met.get(&key).cloned();
            let says = match met.as_ref().and_then(|met| met.says.clone()) {
                Some(says) => says,
                None => match tracked::manifest(ws, &key.0, &tracked) {
                    Ok(says) => Rc::new(says),
                    Err(e) => {
                        unreadable.push(chain(&e));
                        continue;
                    }
                },
            };
            let place = match met {
                Some(met) => met.place,
                None => self.note(at, &key.0, &says),
            };
            self.versions[place].insert(at);
            read.push((key.0.clone(), says.clone()));
            let says = Some(says);
            self.met.insert(key, Met { place, says });
        }
        self.files.entry(at).or_insert(read)
    }

    /// Adds to each version of the report what its tensors cost. `history` is the one that the report begins in, the
    /// newest version first, and may be longer: bases are looked for in all of it.
    pub(super) fn explain(
        &self,
        ws: &Workspace,
        history: &[CommitInfo],
        report: &mut Report,
    ) -> Result<()> {
        for (at, version) in report.versions.iter_mut().enumerate() {
            let mut costs = Vec::new();
            for (path, manifest) in self.files.get(&at).into_iter().flatten() {
                for segment in &manifest.segments {
                    costs.push(self.cost(ws.store(), history, at, path, segment)?);
                }
            }
            version.costs = Some(costs);
        }
        Ok(())
    }

    /// Takes in a sidecar that was not met before; its place.
    fn note(&mut self, at: usize, path: &RepoPath, manifest: &Manifest) -> usize {
        let sidecar = self.versions.len();
        self.versions.push(BTreeSet::from([at]));
        for segment in &manifest.segments {
            let id = segment.id();
            self.sidecars.entry(id).or_default().insert(sidecar);
            let name = || names(segment).into_iter().next();
            let first = self.first.entry(id);
            first.or_insert_with(|| (at, path.clone(), name()));
        }
        sidecar
    }

    fn cost(
        &self,
        store: &Store,
        history: &[CommitInfo],
        at: usize,
        path: &RepoPath,
        segment: &Segment,
    ) -> Result<Cost> {
        let id = segment.id();
        let sidecars = self.sidecars.get(&id).into_iter().flatten();
        let versions: BTreeSet<usize> = sidecars
            .flat_map(|sidecar| self.versions[*sidecar].iter().copied())
            .collect();
        let mut cost = Cost {
            path: path.clone(),
            names: names(segment),
            object: id,
            raw: segment.bytes(),
            stored: 0,
            codecs: BTreeMap::new(),
            parts: 0,
            height: None,
            bases: Vec::new(),
            new: versions.last().is_none_or(|oldest| *oldest == at),
            also_in: versions
                .iter()
                .filter(|version| **version != at)
                .map(|version| Named::new(&history[*version]))
                .collect(),
            problem: None,
        };
        match store.stored_size(&id) {
            Ok(Some(size)) => {
                cost.stored = size.stored;
                cost.codecs = size.codecs;
                cost.parts = size.parts;
                let base = |object: &ObjectId| Base {
                    object: *object,
                    is: self.place(history, object),
                };
                cost.bases = size.bases.iter().map(base).collect();
                cost.height = store.height(&id).ok();
            }
            Ok(None) => cost.problem = Some("it is not in the store".to_owned()),
            Err(e) if matches!(e.kind(), Kind::Missing | Kind::Damaged | Kind::Unsupported) => {
                cost.problem = Some(e.to_string());
            }
            Err(e) => return Err(e.into()),
        }
        Ok(cost)
    }

    fn place(&self, history: &[CommitInfo], id: &ObjectId) -> Option<Place> {
        let (at, path, name) = self.first.get(id)?;
        Some(Place {
            version: Named::new(&history[*at]),
            path: path.clone(),
            name: name.clone(),
        })
    }
}

/// Every tensor that a run of bytes is.
fn names(segment: &Segment) -> Vec<String> {
    match segment {
        Segment::Literal { .. } => Vec::new(),
        Segment::Tensor(tensor) => std::iter::once(&tensor.name)
            .chain(&tensor.aliases)
            .cloned()
            .collect(),
        Segment::Storage(storage) => storage.views.iter().map(|v| v.name.clone()).collect(),
    }
}
