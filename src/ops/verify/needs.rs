//! Which objects versions need: where in which weights files, and of which versions.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Problem;
use super::views::Views;
use crate::base::text::chain;
use crate::base::{Dtype, Failure, Kind, ObjectId, Progress, RepoPath};
use crate::model::Manifest;
use crate::ops::error::Result;
use crate::ops::tracked::{self, Tracked};
use crate::ops::weights;
use crate::ops::workspace::Workspace;
use crate::repo::CommitId;

/// One text of a sidecar under one path, whatever versions it is in.
pub(super) struct Source {
    /// Its weights file.
    pub(super) path: RepoPath,
    /// Its versions, by their places in the list of all; none where only an index has it.
    versions: BTreeSet<usize>,
    /// What is wrong with itself.
    problems: Vec<Problem>,
}

/// Where an object's bytes lie in a weights file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The sidecar that says so, by its place in the list of all.
    pub(super) source: usize,
    /// From which byte on.
    pub(super) offset: u64,
    /// How many; sidecars that contradict each other lie.
    pub(super) len: u64,
}

/// Where an object is needed.
#[derive(Default)]
pub(super) struct Need {
    /// `path` or `path: tensor`.
    pub(super) affects: BTreeSet<String>,
    pub(super) places: BTreeSet<Place>,
    /// How its bytes are read; `None` for literals.
    pub(super) dtype: Option<Dtype>,
}

/// All that was found.
#[derive(Default)]
pub(super) struct Needs {
    /// The versions, newest first.
    pub(super) commits: Vec<CommitId>,
    pub(super) sources: Vec<Source>,
    pub(super) objects: BTreeMap<ObjectId, Need>,
    seen: HashMap<(RepoPath, ObjectId), usize>,
    /// Why the sidecars of some versions cannot be read, and of which.
    lost: Vec<(String, Kind, BTreeSet<usize>)>,
}

impl Needs {
    /// Adds the sidecars of these versions. What is wrong with one of them is kept, and ends nothing.
    pub(super) fn of_commits(
        &mut self,
        ws: &Workspace,
        views: &mut Views<'_>,
        commits: Vec<CommitId>,
        progress: &dyn Progress,
    ) -> Result<()> {
        for (at, commit) in commits.iter().enumerate() {
            match tracked::of_commit(ws, commit) {
                Ok(files) => {
                    for (path, tracked) in files {
                        self.sidecar(ws, views, &path, &tracked, Some(at), progress)?;
                    }
                }
                Err(e) => self.lost(&e, at),
            }
        }
        self.commits = commits;
        Ok(())
    }

    /// The sidecars of a version cannot be read: git's own objects may be gone.
    fn lost(&mut self, error: &dyn Failure, version: usize) {
        let (what, kind) = (chain(error), error.kind());
        match self.lost.iter_mut().find(|(known, ..)| *known == what) {
            Some((.., versions)) => _ = versions.insert(version),
            None => self.lost.push((what, kind, BTreeSet::from([version]))),
        }
    }

    /// Adds a sidecar of a version, or of an index alone.
    pub(super) fn sidecar(
        &mut self,
        ws: &Workspace,
        views: &mut Views<'_>,
        path: &RepoPath,
        tracked: &Tracked,
        version: Option<usize>,
        progress: &dyn Progress,
    ) -> Result<()> {
        let key = (path.clone(), tracked.id);
        if let Some(source) = self.seen.get(&key) {
            self.sources[*source].versions.extend(version);
            return Ok(());
        }
        let mut problems = Vec::new();
        match tracked::manifest(ws, path, tracked) {
            Ok(manifest) => {
                if let Err(e) = tracked::agrees(ws, path, &manifest) {
                    problems.push(unreadable(path, &e));
                }
                match views.wrong(&manifest, progress) {
                    Ok(wrong) => problems.extend(misnamed(path, &wrong)),
                    Err(e) if e.kind() == Kind::Cancelled => return Err(e),
                    Err(e) => problems.push(unreadable(path, &e)),
                }
                self.note(path, &manifest);
            }
            Err(e) => problems.push(unreadable(path, &e)),
        }
        self.seen.insert(key, self.sources.len());
        self.sources.push(Source {
            path: path.clone(),
            versions: version.into_iter().collect(),
            problems,
        });
        Ok(())
    }

    fn note(&mut self, path: &RepoPath, manifest: &Manifest) {
        let mut names: BTreeMap<ObjectId, Vec<&str>> = BTreeMap::new();
        for (name, id) in weights::named_objects(manifest) {
            names.entry(id).or_default().push(name);
        }
        let source = self.sources.len();
        for (piece, (id, len, dtype)) in manifest.pieces().zip(manifest.objects()) {
            let need = self.objects.entry(id).or_default();
            need.places.insert(Place {
                source,
                offset: piece.offset,
                len,
            });
            need.dtype = need.dtype.take().or(dtype);
            match names.get(&id) {
                Some(names) => {
                    let names = names.iter().map(|name| format!("{path}: {name}"));
                    need.affects.extend(names);
                }
                None => {
                    need.affects.insert(path.to_string());
                }
            }
        }
    }

    /// What is wrong with sidecars themselves.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let of = |source: &Source| {
            let versions = self.named(&source.versions);
            let problem = |problem: &Problem| Problem {
                versions: versions.clone(),
                ..problem.clone()
            };
            source.problems.iter().map(problem).collect::<Vec<_>>()
        };
        let lost = self.lost.iter().map(|(what, kind, versions)| Problem {
            kind: *kind,
            what: what.clone(),
            object: None,
            affects: Vec::new(),
            versions: self.named(versions),
        });
        self.sources.iter().flat_map(of).chain(lost).collect()
    }

    /// A problem with an object, and with what needs it or one of these others, which are written with it.
    pub(super) fn problem(
        &self,
        id: ObjectId,
        others: impl IntoIterator<Item = ObjectId>,
        kind: Kind,
        what: String,
    ) -> Problem {
        let mut problem = self.among(std::iter::once(id).chain(others), kind, what);
        problem.object = Some(id);
        problem
    }

    /// A problem that concerns all of these objects.
    pub(super) fn among(
        &self,
        ids: impl IntoIterator<Item = ObjectId>,
        kind: Kind,
        what: String,
    ) -> Problem {
        let (mut affects, mut versions) = (BTreeSet::new(), BTreeSet::new());
        for need in ids.into_iter().filter_map(|id| self.objects.get(&id)) {
            affects.extend(need.affects.iter().cloned());
            let sources = need.places.iter().map(|place| place.source);
            versions.extend(sources.flat_map(|source| &self.sources[source].versions));
        }
        Problem {
            kind,
            what,
            object: None,
            affects: affects.into_iter().collect(),
            versions: self.named(&versions),
        }
    }

    /// What is wrong where a sidecar says another length than the object has.
    pub(super) fn measured(&self, id: ObjectId, bytes: u64) -> Option<Problem> {
        let need = self.objects.get(&id)?;
        let said = need.places.iter().find(|place| place.len != bytes)?.len;
        let what = format!("it is {bytes} bytes long, and a sidecar says {said}");
        Some(self.problem(id, [], Kind::Damaged, what))
    }

    fn named(&self, versions: &BTreeSet<usize>) -> Vec<CommitId> {
        let commit = |version: &usize| self.commits.get(*version).copied();
        versions.iter().filter_map(commit).collect()
    }
}

pub(super) fn unreadable(path: &RepoPath, error: &dyn Failure) -> Problem {
    Problem {
        kind: error.kind(),
        what: chain(error),
        object: None,
        affects: vec![path.to_string()],
        versions: Vec::new(),
    }
}

fn misnamed(path: &RepoPath, views: &[String]) -> Option<Problem> {
    let what = "the sidecar gives a tensor an id that its bytes do not have".to_owned();
    (!views.is_empty()).then(|| Problem {
        kind: Kind::BadInput,
        what,
        object: None,
        affects: views.iter().map(|name| format!("{path}: {name}")).collect(),
        versions: Vec::new(),
    })
}
