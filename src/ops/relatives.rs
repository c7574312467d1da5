//! Which stored tensors a new one may be like: those of the same name in other versions and other files.
//!
//! What a repository has of them is looked through once for all files of a command ([`Family`]); of which versions a
//! file's own come first is each file's affair ([`Relatives`]).

mod file;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;

use super::error::Result;
use super::tracked::{self, SUFFIX, Tracked, weights_path};
use super::workspace::{Workspace, if_found};
use crate::base::{Dtype, RepoPath};
use crate::model::{Manifest, Tensor, Tiling, manifest};
use crate::repo::{BlobId, CommitId, LogOptions, RepoError};
use crate::store::Candidate;
pub(in crate::ops) use file::{Endings, File, Known, becomes};

/// How many sidecars count, and how many of one place are looked at for those that do.
const VERSIONS: usize = 12;
const FILES: usize = 512;
/// How many commits before HEAD are, and how many branches and tags.
const COMMITS: usize = 24;
const TIPS: usize = 8;
/// And of how many of those before HEAD other files count: a model may have been taken away, or be called otherwise
/// now.
const RECENT: usize = 4;
/// How many files of the same command count.
const PUBLISHED: usize = 8;
/// So many bytes of other files' sidecars are read for one file, and so many times its own: what a commit costs goes
/// by what changed, not by what lies beside it.
const OTHERS: (u64, u64) = (1 << 20, 8);
/// About what a tensor takes in a sidecar beside its name.
const LINE: u64 = 100;

/// The files that tensors may come from, the likeliest first.
pub struct Relatives {
    files: Vec<Rc<File>>,
}

impl Relatives {
    /// These, the likeliest first.
    pub(in crate::ops) fn new(files: Vec<Rc<File>>) -> Self {
        Self { files }
    }

    /// The tensors of each file.
    pub(super) fn tensors(&self) -> impl Iterator<Item = impl Iterator<Item = &Tensor>> {
        self.files.iter().map(|file| file.tensors())
    }

    /// True where a tensor that was renamed as a whole may be this one.
    pub(super) fn has_ending(&self, new: &Known<'_>) -> bool {
        self.files.iter().any(|file| file.renamed(new).is_some())
    }

    /// The objects that a tensor may be like, each once.
    pub fn of(&self, name: &str, shape: &[u64], dtype: &Dtype) -> Vec<Candidate> {
        let mut found: Vec<Candidate> = Vec::new();
        let new = Known { name, shape, dtype };
        for (version, file) in self.files.iter().enumerate() {
            let id = file.named(name).or_else(|| file.renamed(&new));
            if let Some(id) = id.filter(|id| found.iter().all(|known| known.id != *id)) {
                found.push(Candidate { id, version });
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
    published: Vec<(RepoPath, Rc<File>)>,
    /// Files of this very command, whose objects are not.
    unpublished: Vec<(RepoPath, Rc<File>)>,
    /// The names of those, hashed.
    names: (RandomState, HashSet<u64>),
}

/// Where sidecars are.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Commit(CommitId),
    Index,
}

/// Whose sidecars of a place count: that of the file at hand, or those of others; of some places only of others that
/// have tensors of the same names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Own,
    Others,
    Namesakes,
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
            unpublished: Vec::new(),
            names: Default::default(),
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
        let before: Vec<CommitId> = log.map(|commit| commit.id).collect();
        let branches = ws
            .repo()
            .branches()?
            .into_iter()
            .map(|branch| branch.commit);
        let tags = ws.repo().tags()?.into_iter().filter_map(|tag| tag.commit);
        let tips: Vec<CommitId> = branches.take(TIPS).chain(tags.take(TIPS)).collect();
        places.extend(before.iter().chain(&tips).copied().map(own));
        places.push(others(head));
        let recent = before.iter().take(RECENT);
        let namesakes = recent.chain(&tips).copied().map(Place::Commit);
        places.extend(namesakes.map(|place| (place, Whose::Namesakes)));
        Ok(family)
    }

    /// Adds a file of the same command, whose objects lie in a pack that is not published yet.
    pub fn put(&mut self, path: &RepoPath, manifest: Manifest) {
        let file = Rc::new(File::new(manifest));
        let (hasher, names) = &mut self.names;
        names.extend(file.names().map(|name| hasher.hash_one(name)));
        self.unpublished.push((path.clone(), file));
    }

    /// True if a file that was [put](Self::put) may have something for a file that is cut like this.
    pub fn waits_for(&self, tiling: &Tiling) -> bool {
        let (hasher, known) = &self.names;
        let mut names = names(tiling);
        names.any(|name| known.contains(&hasher.hash_one(name)))
    }

    /// What was [put](Self::put) is published.
    pub fn publish(&mut self) {
        self.published.append(&mut self.unpublished);
        self.names.1.clear();
    }

    /// The relatives of `path`, which held `before` and is now cut like this. What cannot be read is no relative.
    pub(in crate::ops) fn of(
        &mut self,
        path: &RepoPath,
        before: Option<(&Tracked, Rc<File>)>,
        tiling: &Tiling,
    ) -> Result<Relatives> {
        let mut seen = HashSet::new();
        let mut files = Vec::new();
        if let Some((tracked, file)) = before {
            seen.insert(tracked.blob(self.ws)?);
            files.push(file);
        }
        let own = names(tiling).map(|name| name.len() as u64 + LINE);
        let mut budget = OTHERS.0 + OTHERS.1 * own.sum::<u64>();
        for at in 0..self.places.len() {
            if files.len() >= VERSIONS {
                break;
            }
            let (place, whose) = self.places[at];
            let listing = self.listing(place)?;
            let mut wanted: Vec<&(RepoPath, BlobId)> = listing
                .iter()
                .filter(|(other, blob)| {
                    (other == path) == (whose == Whose::Own) && !seen.contains(blob)
                })
                .collect();
            wanted.sort_by_cached_key(|(other, _)| Reverse(likeness(path, other)));
            let mut found = Vec::new();
            for (other, blob) in wanted {
                if found.len() == FILES {
                    break;
                }
                let mut everything = u64::MAX;
                let most = match whose {
                    Whose::Own => &mut everything,
                    Whose::Others | Whose::Namesakes => &mut budget,
                };
                let file = self.file(other, blob, most);
                let counts =
                    |file: &Rc<File>| whose != Whose::Namesakes || file.shares_names(tiling);
                found.extend(file.filter(counts).map(|file| (file, *blob)));
            }
            // A shard's tensors may have been in any of many.
            found.sort_by_cached_key(|(file, _)| !file.shares_names(tiling));
            for (file, blob) in found {
                if files.len() < VERSIONS && seen.insert(blob) {
                    files.push(file);
                }
            }
        }
        files.extend(self.nearest(path, tiling));
        Ok(Relatives { files })
    }

    /// The likeliest files of this very command.
    fn nearest(&self, path: &RepoPath, tiling: &Tiling) -> Vec<Rc<File>> {
        let mut nearest: Vec<&(RepoPath, Rc<File>)> = self.published.iter().collect();
        nearest.sort_by_cached_key(|(other, file)| {
            (!file.seems_to_share(tiling), Reverse(likeness(path, other)))
        });
        let nearest = nearest.into_iter().take(PUBLISHED);
        nearest.map(|(_, file)| file.clone()).collect()
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

    /// What a sidecar says, if it is not longer than `most`, which becomes less by what is read.
    fn file(&mut self, path: &RepoPath, blob: &BlobId, most: &mut u64) -> Option<Rc<File>> {
        if let Some(known) = self.files.get(blob) {
            return known.clone();
        }
        let limit = (manifest::MAX_TEXT as u64).min(*most);
        let text = match self.ws.repo().blob(blob, limit) {
            // A file with more to change may have it read.
            Err(RepoError::TooLong { .. }) => return None,
            text => text.ok(),
        };
        self.ws.count_sidecar();
        *most = most.saturating_sub(text.as_ref().map_or(0, |text| text.len() as u64));
        let tracked = text.map(|text| Tracked::new(text, false));
        let tracked = tracked.map(|t| tracked::short_manifest(self.ws, path, &t, *most / LINE));
        let manifest = match tracked.transpose() {
            Ok(Some(None)) => return None,
            Ok(manifest) => manifest.flatten(),
            Err(_) => None,
        };
        if let Some(manifest) = &manifest {
            *most = most.saturating_sub(manifest.segments.len() as u64 * LINE);
        }
        let file = manifest.map(|manifest| Rc::new(File::new(manifest)));
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

/// The names of a file that is cut like this.
fn names(tiling: &Tiling) -> impl Iterator<Item = &str> {
    let spans = tiling.spans().iter();
    spans.filter_map(|span| span.name.as_deref())
}

/// How much of two paths is the same: shards of a model, and exports of it, are called alike.
fn likeness(a: &RepoPath, b: &RepoPath) -> usize {
    let (a, b) = (a.as_str().as_bytes(), b.as_str().as_bytes());
    let same = |(a, b): &(&u8, &u8)| a == b;
    let front = a.iter().zip(b).take_while(same).count();
    let back = a.iter().rev().zip(b.iter().rev()).take_while(same).count();
    (front + back).min(a.len().min(b.len()))
}
