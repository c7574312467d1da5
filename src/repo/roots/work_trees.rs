//! All work trees of a repository.

use std::path::{Path, PathBuf};

use crate::repo::discover::Repo;
use crate::repo::error::{RepoError, Result};

/// One work tree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkTree {
    /// Its top.
    pub root: PathBuf,
    /// Git's folder of it.
    pub git_dir: PathBuf,
}

impl Repo {
    /// The main work tree, where there is one, and every linked one. One that is gone, or lies on a disk that is not
    /// there, is an error: nobody can tell what is in it.
    pub fn work_trees(&self) -> Result<Vec<WorkTree>> {
        let reading = || RepoError::reading("the list of work trees");
        let gix = self.gix();
        let mut found = vec![WorkTree {
            root: self.root().to_owned(),
            git_dir: self.git_dir().to_owned(),
        }];
        let main = gix.main_repo().map_err(reading())?;
        if let Some(root) = main.workdir() {
            found.push(WorkTree {
                root: root.to_owned(),
                git_dir: self.common_dir().to_owned(),
            });
        }
        for linked in gix.worktrees().map_err(reading())? {
            found.push(WorkTree {
                root: linked.base().map_err(reading())?,
                git_dir: linked.git_dir().to_owned(),
            });
        }
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        for tree in &mut found {
            if !tree.root.is_dir() {
                return Err(RepoError::NoWorkTree {
                    root: tree.root.clone(),
                });
            }
            tree.root = real(&tree.root);
            tree.git_dir = real(&tree.git_dir);
        }
        found.sort();
        found.dedup_by(|a, b| a.root == b.root && a.git_dir == b.git_dir);
        Ok(found)
    }
}
