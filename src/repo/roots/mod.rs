//! Every file of some name that anything in a repository still leads to: what must not be thrown away.
//!
//! - A **tip** is where the walk begins: an object that a ref, a reflog, a HEAD, or the notes of an operation in
//!   progress names, in any of the work trees ([`tips`]).
//! - From tips all commits, all their parents and all their folders are followed, each object once.
//! - The indexes of all work trees are read with every stage.
//!
//! Nothing is guessed: what should be there and is not, or is not what its name says, ends the walk with an error.
//! Replacements (`refs/replace`) are not followed, for both what is replaced and what replaces it must stay.

#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzz;
mod tips;
mod walk;
mod work_trees;

use std::collections::{BTreeMap, HashSet};

use super::discover::Repo;
use super::error::{RepoError, Result};
use super::id::{BlobId, CommitId};

use tips::Tip;
pub use work_trees::WorkTree;

/// A file that something leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFile {
    /// Its content.
    pub blob: BlobId,
    /// A path that it has, for people.
    pub path: String,
    /// What leads to it, for people: `commit 4f0c...`, `the index of ...`.
    pub of: String,
}

/// What a repository leads to, as far as it was followed.
pub struct Roots {
    repo: Repo,
    gix: gix::Repository,
    keep: fn(&str) -> bool,
    seen: HashSet<gix::ObjectId>,
    files: BTreeMap<BlobId, NamedFile>,
    /// Commits that were read.
    pub commits: u64,
    /// The same, and when each was made, in seconds since 1970.
    history: Vec<(i64, gix::ObjectId)>,
    /// Entries of reflogs and notes whose objects git has thrown away.
    pub pruned: u64,
    missing: HashSet<gix::ObjectId>,
}

impl Repo {
    /// Begins to look for files whose names `keep` picks.
    pub fn roots(&self, keep: fn(&str) -> bool) -> Roots {
        let mut gix = self.gix();
        gix.objects.ignore_replacements = true;
        Roots {
            repo: self.clone(),
            gix,
            keep,
            seen: HashSet::new(),
            files: BTreeMap::new(),
            commits: 0,
            history: Vec::new(),
            pruned: 0,
            missing: HashSet::new(),
        }
    }
}

impl Roots {
    /// Looks at every root, and follows what it leads to. Done again, it follows what came since, until nothing does:
    /// git may move a commit from one ref to another while both are read.
    ///
    /// Errors: `Shallow` in a clone without all history; `NoObject`, `Damaged` and the like for what cannot be read,
    /// inside `Following` which says what led there.
    pub fn gather(&mut self) -> Result<()> {
        if self.repo.is_shallow()? {
            return Err(RepoError::Shallow);
        }
        let mut before = None;
        loop {
            // From where things begin to where they end: what is staged now is a commit next.
            self.indexes()?;
            let tips = tips::all(&self.repo, &self.gix)?;
            for tip in tips {
                self.follow(tip)?;
            }
            let now = (self.seen.len(), self.files.len());
            if before.replace(now) == Some(now) {
                return Ok(());
            }
        }
    }

    /// All files found so far.
    pub fn files(&self) -> impl Iterator<Item = &NamedFile> {
        self.files.values()
    }

    /// All commits found so far, the newest first.
    pub fn history(&self) -> Vec<CommitId> {
        let mut commits = self.history.clone();
        // A commit that was read again, after a walk that failed, is here twice.
        commits.sort_by_key(|(time, id)| (std::cmp::Reverse(*time), *id));
        commits.dedup();
        commits
            .into_iter()
            .map(|(_, id)| CommitId::new(id))
            .collect()
    }

    /// Commits that git still has and that nothing leads to, as of the last [`Roots::gather`].
    pub fn lost(&self) -> Result<Vec<CommitId>> {
        let args = [
            "cat-file",
            "--batch-all-objects",
            "--unordered",
            "--batch-check=%(objecttype) %(objectname)",
        ];
        let all = self.repo.git().read(args)?;
        let text = String::from_utf8_lossy(&all);
        let mut lost: Vec<CommitId> = text
            .lines()
            .filter_map(|line| CommitId::from_hex(line.strip_prefix("commit ")?))
            .filter(|id| !self.seen.contains(&id.git()))
            .collect();
        lost.sort_unstable();
        Ok(lost)
    }

    /// The indexes of all work trees, and the one that counts now.
    fn indexes(&mut self) -> Result<()> {
        let mut paths: Vec<_> = tips::git_dirs(&self.repo)?
            .into_iter()
            .map(|dir| dir.join("index"))
            .collect();
        paths.push(self.repo.index_path().to_owned());
        paths.sort();
        paths.dedup();
        for path in paths {
            let of = format!("the index {}", path.display());
            let keep = self.keep;
            let found = self.repo.index_at(&path, &|path| keep(path));
            for file in found.map_err(following(&of))? {
                // What is only intended to be added is no content yet.
                if !file.intent_to_add {
                    self.note(file.blob, file.path.as_str(), &of);
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, blob: BlobId, path: &str, of: &str) {
        self.files.entry(blob).or_insert_with(|| NamedFile {
            blob,
            path: path.to_owned(),
            of: of.to_owned(),
        });
    }

    fn follow(&mut self, tip: Tip) -> Result<()> {
        if self.seen.contains(&tip.id) {
            return Ok(());
        }
        let there = self.gix.try_find_header(tip.id);
        if there.map_err(RepoError::reading(&tip.of))?.is_none() && !tip.must {
            // Git itself has let go of it: nobody can go back there.
            self.pruned += u64::from(self.missing.insert(tip.id));
            return Ok(());
        }
        self.walk(tip.id, &tip.of).map_err(following(&tip.of))
    }
}

/// Adds what led to an object that is not as it should be.
fn following(of: &str) -> impl FnOnce(RepoError) -> RepoError {
    let of = of.to_owned();
    move |source| RepoError::Following {
        of,
        source: Box::new(source),
    }
}
