//! Which stored tensors a new one may be like: those of the same name in other versions and other files.
//!
//! What a repository has of them is looked through once for all files of a command ([`Family`]); of which versions a
//! file's own come first is each file's affair ([`Relatives`]).

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::error::Result;
use super::tracked::{self, SUFFIX, Tracked, weights_path};
use super::weights::named_objects;
use super::workspace::{Workspace, if_found};
use crate::base::{Dtype, ObjectId, RepoPath};
use crate::model::{Manifest, Segment, Tensor, Tiling, manifest};
use crate::repo::{BlobId, CommitId, LogOptions};
use crate::store::Candidate;

/// How many sidecars count, and how many of one place are looked at for those that do.
const VERSIONS: usize = 12;
const FILES: usize = 512;
/// How many commits before HEAD are, and how many branches and tags.
const COMMITS: usize = 24;
const TIPS: usize = 8;

/// The files that tensors may come from, the likeliest first.
pub struct Relatives {
    files: Vec<Rc<File>>,
}

/// What one version of one file holds.
pub(in crate::ops) struct File {
    tensors: Vec<Tensor>,
    objects: HashMap<String, ObjectId>,
    /// By shape, dtype and the last parts of a name: for tensors that were renamed as a whole.
    endings: HashMap<Ending, ObjectId>,
}

type Ending = (Vec<u64>, Dtype, String);

/// The part of a name that prefixes such as `model.` or `module.` leave alone: its last four parts.
pub(super) fn ending(name: &str) -> String {
    let parts: Vec<&str> = name.rsplit('.').take(4).collect();
    parts.join(".")
}

impl File {
    pub(in crate::ops) fn new(manifest: &Manifest) -> Self {
        let objects = named_objects(manifest).into_iter();
        let tensors = manifest.segments.iter();
        let tensors = tensors.filter_map(|segment| match segment {
            Segment::Tensor(tensor) => Some(tensor.clone()),
            Segment::Storage(_) | Segment::Literal { .. } => None,
        });
        let tensors: Vec<Tensor> = tensors.collect();
        Self {
            objects: objects.map(|(name, id)| (name.to_owned(), id)).collect(),
            endings: tensors
                .iter()
                .map(|tensor| {
                    let key = (
                        tensor.shape.clone(),
                        tensor.dtype.clone(),
                        ending(&tensor.name),
                    );
                    (key, tensor.id)
                })
                .collect(),
            tensors,
        }
    }

    /// True if it has a tensor of one of these names.
    fn has_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.objects.contains_key(*name))
    }
}

impl Relatives {
    /// These, the likeliest first.
    pub(in crate::ops) fn new(files: Vec<Rc<File>>) -> Self {
        Self { files }
    }

    /// The tensors of each file.
    pub(super) fn tensors(&self) -> impl Iterator<Item = &[Tensor]> {
        self.files.iter().map(|file| file.tensors.as_slice())
    }

    /// True where a tensor that was renamed as a whole may be this one.
    pub(super) fn has_ending(&self, name: &str, shape: &[u64], dtype: &Dtype) -> bool {
        let key = (shape.to_vec(), dtype.clone(), ending(name));
        self.files
            .iter()
            .any(|file| file.endings.contains_key(&key))
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

/// All that a repository has of weights files, as far as it was looked at.
pub struct Family<'a> {
    ws: &'a Workspace,
    /// Where to look, the likeliest places first.
    places: Vec<(Place, Whose)>,
    /// The sidecars of each place that was looked at.
    listings: HashMap<Place, Rc<Listing>>,
    /// What sidecars say; `None` where that cannot be read.
    files: HashMap<BlobId, Option<Rc<File>>>,
    /// Files of this very command, whose objects are published.
    published: Vec<Rc<File>>,
}

/// Where sidecars are.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Commit(CommitId),
    Index,
}

/// Whose sidecars of a place count: that of the file at hand, or those of others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Own,
    Others,
}

/// Weights files, and the sidecar of each.
type Listing = Vec<(RepoPath, BlobId)>;

impl<'a> Family<'a> {
    /// Finds out where to look: at a file's versions before this one, then at what else the repository holds, that is
    /// other files, and other branches' and tags' versions.
    pub fn find(ws: &'a Workspace) -> Result<Self> {
        let mut family = Self {
            ws,
            places: Vec::new(),
            listings: HashMap::new(),
            files: HashMap::new(),
            published: Vec::new(),
        };
        let Some(head) = if_found(ws.repo().resolve("HEAD"))? else {
            family.places.push((Place::Index, Whose::Others));
            return Ok(family);
        };
        let places = &mut family.places;
        let own = |commit| (Place::Commit(commit), Whose::Own);
        let others = |commit| (Place::Commit(commit), Whose::Others);
        places.push(own(head));
        places.extend(if_found(ws.repo().resolve("MERGE_HEAD"))?.map(own));
        places.extend(
            declared(ws)
                .into_iter()
                .flat_map(|base| [own(base), others(base)]),
        );
        places.push((Place::Index, Whose::Others));
        let options = LogOptions {
            limit: Some(COMMITS),
            ..LogOptions::default()
        };
        let log = ws.repo().log(&[head], options)?.flatten().skip(1);
        places.extend(log.map(|commit| own(commit.id)));
        let branches = ws.repo().branches()?.into_iter();
        places.extend(branches.take(TIPS).map(|branch| own(branch.commit)));
        let tags = ws.repo().tags()?.into_iter().filter_map(|tag| tag.commit);
        places.extend(tags.take(TIPS).map(own));
        places.push(others(head));
        Ok(family)
    }

    /// Adds a file of the same command, whose objects are published.
    pub fn publish(&mut self, manifest: &Manifest) {
        self.published.push(Rc::new(File::new(manifest)));
    }

    /// The relatives of `path`, which held `before` and is now cut like this. What cannot be read is no relative.
    pub fn of(
        &mut self,
        path: &RepoPath,
        before: Option<(&Tracked, &Manifest)>,
        tiling: &Tiling,
    ) -> Result<Relatives> {
        let spans = tiling.spans().iter();
        let names: Vec<&str> = spans.filter_map(|span| span.name.as_deref()).collect();
        let mut seen = HashSet::new();
        let mut files = Vec::new();
        if let Some((tracked, manifest)) = before {
            seen.insert(self.ws.repo().blob_name(&tracked.text)?);
            files.push(Rc::new(File::new(manifest)));
        }
        for at in 0..self.places.len() {
            if files.len() >= VERSIONS {
                break;
            }
            let (place, whose) = self.places[at];
            let listing = self.listing(place)?;
            let wanted = |other: &RepoPath| (other == path) == (whose == Whose::Own);
            let mut found = Vec::new();
            for (other, blob) in listing.iter().filter(|(other, _)| wanted(other)) {
                if found.len() < FILES && !seen.contains(blob) {
                    found.extend(self.file(other, blob).map(|file| (file, *blob)));
                }
            }
            // A shard's tensors may have been in any of many.
            found.sort_by_cached_key(|(file, _)| !file.has_any(&names));
            for (file, blob) in found {
                if files.len() < VERSIONS && seen.insert(blob) {
                    files.push(file);
                }
            }
        }
        files.extend(self.published.iter().cloned());
        Ok(Relatives { files })
    }

    fn listing(&mut self, place: Place) -> Result<Rc<Listing>> {
        if let Some(listing) = self.listings.get(&place) {
            return Ok(listing.clone());
        }
        let repo = self.ws.repo();
        let is_sidecar = |path: &str| path.ends_with(SUFFIX);
        let mut found: Listing = match place {
            Place::Commit(commit) => {
                let files = repo.files(&commit, &is_sidecar).unwrap_or_default();
                let files = files.into_iter();
                files
                    .filter_map(|file| Some((weights_path(&file.path)?, file.blob)))
                    .collect()
            }
            Place::Index => {
                let files = repo.index_where(&is_sidecar)?.into_iter();
                let files = files.filter(|file| file.stage == 0);
                files
                    .filter_map(|file| Some((weights_path(&file.path)?, file.blob)))
                    .collect()
            }
        };
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        let found = Rc::new(found);
        self.listings.insert(place, found.clone());
        Ok(found)
    }

    /// What a sidecar says.
    fn file(&mut self, path: &RepoPath, blob: &BlobId) -> Option<Rc<File>> {
        if let Some(known) = self.files.get(blob) {
            return known.clone();
        }
        let text = self.ws.repo().blob(blob, manifest::MAX_TEXT as u64).ok();
        let tracked = text.map(|text| Tracked::new(text, false));
        let manifest = tracked.and_then(|tracked| tracked::manifest(self.ws, path, &tracked).ok());
        let file = manifest.map(|manifest| Rc::new(File::new(&manifest)));
        self.files.insert(*blob, file.clone());
        file
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
