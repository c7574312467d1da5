//! Changing the index through the git program.

use crate::base::RepoPath;
use crate::repo::id::BlobId;

use super::{Git, GitError, Result, Talk};

/// One change of the index that does not look at the work tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexEdit {
    /// The path names this content from now on; conflict stages of it are gone.
    Set {
        /// The file.
        path: RepoPath,
        /// Its content.
        blob: BlobId,
        /// Whether it may be run.
        executable: bool,
    },
    /// The path is no longer in the index; the file stays.
    Remove {
        /// The file.
        path: RepoPath,
    },
}

impl IndexEdit {
    fn path(&self) -> &RepoPath {
        match self {
            Self::Set { path, .. } | Self::Remove { path } => path,
        }
    }
}

impl Git {
    /// Stages these very files as they are in the work tree, whatever ignore rules and sparse patterns say; one that
    /// is not there is staged as removed. A path with a conflict is resolved by it.
    pub fn stage(&self, paths: &[RepoPath]) -> Result<()> {
        // The plumbing command, since `git add` reads patterns, refuses ignored files, and stays out of what a
        // sparse checkout left out. `--remove` alone would drop entries that were left out.
        let args = [
            "update-index",
            "--add",
            "--remove",
            "--ignore-skip-worktree-entries",
            "-z",
            "--stdin",
        ];
        self.change(paths, args)
    }

    /// Removes these paths from the index, conflict stages and all; the files stay.
    pub fn remove_cached(&self, paths: &[RepoPath]) -> Result<()> {
        self.change(paths, ["update-index", "--force-remove", "-z", "--stdin"])
    }

    /// Gives these paths the index entries that they have in HEAD; in a repository without a commit, none.
    pub fn unstage(&self, paths: &[RepoPath]) -> Result<()> {
        let args = [
            "--literal-pathspecs",
            "reset",
            "--quiet",
            "--pathspec-from-file=-",
            "--pathspec-file-nul",
        ];
        self.change(paths, args)
    }

    fn change<const N: usize>(&self, paths: &[RepoPath], args: [&str; N]) -> Result<()> {
        match paths {
            [] => Ok(()),
            paths => self
                .write(args, Some(&list(paths)), Talk::Capture)
                .map(drop),
        }
    }

    /// Does all of these changes of the index, or none of them.
    pub fn edit_index(&self, edits: &[IndexEdit]) -> Result<()> {
        // A removal carries an id of zeros, as long as all others.
        let digits = edits.iter().find_map(|edit| match edit {
            IndexEdit::Set { blob, .. } => Some(blob.to_string().len()),
            IndexEdit::Remove { .. } => None,
        });
        let Some(digits) = digits else {
            let removed = edits.iter().map(|edit| edit.path().clone());
            return self.remove_cached(&removed.collect::<Vec<_>>());
        };
        let mut input = String::new();
        for edit in edits {
            let path = edit.path().as_str();
            input.push_str(&match edit {
                IndexEdit::Set {
                    blob, executable, ..
                } => {
                    let mode = if *executable { "100755" } else { "100644" };
                    format!("{mode} {blob} 0\t{path}\0")
                }
                // Mode 0 is git's own spelling of a removal.
                IndexEdit::Remove { .. } => format!("0 {:0>digits$}\t{path}\0", 0),
            });
        }
        let args = ["update-index", "-z", "--index-info"];
        self.write(args, Some(input.as_bytes()), Talk::Capture)
            .map(drop)
    }

    /// Writes content into git's own store, as it is, and returns its name.
    pub fn write_blob(&self, bytes: &[u8]) -> Result<BlobId> {
        let args = ["hash-object", "-w", "--stdin"];
        let out = self.write(args, Some(bytes), Talk::Capture)?;
        String::from_utf8(out)
            .ok()
            .and_then(|hex| BlobId::from_hex(hex.trim_end()))
            .ok_or_else(|| GitError::Answer {
                command: args.join(" "),
            })
    }
}

/// Paths as git reads them from its standard input.
pub(super) fn list(paths: &[RepoPath]) -> Vec<u8> {
    paths
        .iter()
        .flat_map(|path| path.as_str().bytes().chain([0]))
        .collect()
}
