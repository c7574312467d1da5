//! Which stored tensors a new one may be like: those of the same name in other versions and other files.

use std::collections::{HashMap, HashSet};

use super::error::Result;
use super::tracked::{self, Tracked};
use super::weights::named_objects;
use super::workspace::{Workspace, if_found};
use crate::base::{Dtype, ObjectId, RepoPath};
use crate::model::{Manifest, Segment, Tiling};
use crate::repo::{CommitId, LogOptions};
use crate::store::Candidate;

/// How many sidecars are looked at.
const VERSIONS: usize = 12;
/// How many commits before HEAD are, and how many branches and tags.
const COMMITS: usize = 24;
const TIPS: usize = 8;

/// The files that tensors may come from, the likeliest first.
#[derive(Default)]
pub struct Relatives {
    files: Vec<File>,
}

/// What one version of one file holds.
struct File {
    objects: HashMap<String, ObjectId>,
    /// By shape, dtype and the last parts of a name: for tensors that were renamed as a whole.
    endings: HashMap<Ending, ObjectId>,
}

type Ending = (Vec<u64>, Dtype, String);

/// The part of a name that prefixes such as `model.` or `module.` leave alone: its last four parts.
fn ending(name: &str) -> String {
    let parts: Vec<&str> = name.rsplit('.').take(4).collect();
    parts.join(".")
}

impl File {
    fn new(manifest: &Manifest) -> Self {
        let objects = named_objects(manifest).into_iter();
        let tensors = manifest
            .segments
            .iter()
            .filter_map(|segment| match segment {
                Segment::Tensor(tensor) => Some(tensor),
                _ => None,
            });
        Self {
            objects: objects.map(|(name, id)| (name.to_owned(), id)).collect(),
            endings: tensors
                .map(|tensor| {
                    let key = (
                        tensor.shape.clone(),
                        tensor.dtype.clone(),
                        ending(&tensor.name),
                    );
                    (key, tensor.id)
                })
                .collect(),
        }
    }
}

impl Relatives {
    /// The versions of `path` before this one, then what else the repository holds: other files, and other branches'
    /// and tags' versions. What cannot be read is no relative.
    pub fn find(
        ws: &Workspace,
        path: &RepoPath,
        before: Option<(&Tracked, &Manifest)>,
    ) -> Result<Self> {
        let mut search = Search {
            ws,
            seen: before.iter().map(|(tracked, _)| tracked.id).collect(),
            found: Self::default(),
        };
        let before = before.map(|(_, manifest)| File::new(manifest));
        search.found.files.extend(before);
        let Some(head) = if_found(ws.repo().resolve("HEAD"))? else {
            search.index(path)?;
            return Ok(search.found);
        };
        let merged = if_found(ws.repo().resolve("MERGE_HEAD"))?;
        for commit in [Some(head), merged].into_iter().flatten() {
            search.commit(&commit, path, true)?;
        }
        for base in declared(ws) {
            search.commit(&base, path, true)?;
            search.commit(&base, path, false)?;
        }
        search.index(path)?;
        let options = LogOptions {
            limit: Some(COMMITS),
            ..LogOptions::default()
        };
        for commit in ws.repo().log(&[head], options)?.flatten().skip(1) {
            search.commit(&commit.id, path, true)?;
        }
        let branches = ws
            .repo()
            .branches()?
            .into_iter()
            .map(|branch| branch.commit);
        let tags = ws.repo().tags()?.into_iter().filter_map(|tag| tag.commit);
        for commit in branches.take(TIPS).chain(tags.take(TIPS)) {
            search.commit(&commit, path, true)?;
        }
        search.commit(&head, path, false)?;
        Ok(search.found)
    }

    /// A file of the same command, whose objects are published.
    pub fn add(&mut self, manifest: &Manifest) {
        self.files.push(File::new(manifest));
    }

    /// The objects that a tensor may be like, each once.
    pub fn of(&self, name: &str, shape: &[u64], dtype: &Dtype) -> Vec<Candidate> {
        let mut found: Vec<Candidate> = Vec::new();
        let key = (shape.to_vec(), dtype.clone(), ending(name));
        for (version, file) in self.files.iter().enumerate() {
            let id = file.objects.get(name).or_else(|| file.endings.get(&key));
            if let Some(id) = id.filter(|id| found.iter().all(|known| known.id != **id)) {
                found.push(Candidate { id: *id, version });
            }
        }
        found
    }
}

/// The versions that mvc.toml names as bases of models.
fn declared(ws: &Workspace) -> Vec<CommitId> {
    let models = ws.config().map(|config| config.model).unwrap_or_default();
    let bases = models.into_values().filter_map(|model| model.base);
    bases
        .filter_map(|base| ws.repo().resolve(&base).ok())
        .collect()
}

/// True if a file has a tensor of a name that a tiling has too.
pub fn share_names(file: &Manifest, tiling: &Tiling) -> bool {
    let names = named_objects(file);
    let mut spans = tiling
        .spans()
        .iter()
        .filter_map(|span| span.name.as_deref());
    spans.any(|name| names.contains_key(name))
}

struct Search<'a> {
    ws: &'a Workspace,
    seen: HashSet<ObjectId>,
    found: Relatives,
}

impl Search<'_> {
    /// The sidecar of `path` in a commit, or all others.
    fn commit(&mut self, commit: &CommitId, path: &RepoPath, own: bool) -> Result<()> {
        if self.found.files.len() >= VERSIONS {
            return Ok(());
        }
        let Ok(files) = tracked::of_commit(self.ws, commit) else {
            return Ok(());
        };
        for (file, tracked) in files.iter().filter(|(file, _)| (*file == path) == own) {
            self.sidecar(file, tracked);
        }
        Ok(())
    }

    /// The other sidecars of the index.
    fn index(&mut self, path: &RepoPath) -> Result<()> {
        for (file, tracked) in tracked::of_index(self.ws)? {
            if file != *path {
                self.sidecar(&file, &tracked);
            }
        }
        Ok(())
    }

    fn sidecar(&mut self, path: &RepoPath, tracked: &Tracked) {
        if self.found.files.len() < VERSIONS
            && self.seen.insert(tracked.id)
            && let Ok(manifest) = tracked::manifest(self.ws, path, tracked)
        {
            self.found.files.push(File::new(&manifest));
        }
    }
}
