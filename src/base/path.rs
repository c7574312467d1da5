//! Paths inside a repository, checked when they are made, so that none leads out of it.

use std::path::{Path, PathBuf};

use super::kind::{Failure, Kind};
use super::text::printable;

/// A file's path from the top of the work tree: `/` between names, UTF-8, never absolute, empty or leading out.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct RepoPath(String);

/// A path that mvc will not touch.
#[derive(Debug, thiserror::Error)]
#[error("the path {:?} {problem}", printable(path))]
pub struct PathError {
    path: String,
    problem: &'static str,
}

impl Failure for PathError {
    fn kind(&self) -> Kind {
        Kind::BadInput
    }
}

impl RepoPath {
    /// Checks a path that came from a repository, a sidecar or a configuration.
    ///
    /// Refused: empty, absolute, with `.`, `..` or empty names, with NUL, with a name that git would read as
    /// its own folder on any file system (`.git` in any case, `git~1`).
    pub fn new(path: &str) -> Result<Self, PathError> {
        match Self::problem(path) {
            Some(problem) => Err(PathError {
                path: path.to_owned(),
                problem,
            }),
            None => Ok(Self(path.to_owned())),
        }
    }

    fn problem(path: &str) -> Option<&'static str> {
        if path.is_empty() {
            return Some("is empty");
        }
        if path.contains('\0') {
            return Some("contains a NUL byte");
        }
        if path.starts_with('/') {
            return Some("is absolute");
        }
        path.split('/').find_map(|name| match name {
            "" => Some("has an empty name in it"),
            "." | ".." => Some("leads out of its folder"),
            _ if is_git_dir(name) => Some("names git's own folder"),
            _ => None,
        })
    }

    /// From a path on this machine that lies below `root`; both as the user or the system spells them.
    pub fn below(root: &Path, path: &Path) -> Result<Self, PathError> {
        let fail = |problem| PathError {
            path: path.to_string_lossy().into_owned(),
            problem,
        };
        let inside = path
            .strip_prefix(root)
            .map_err(|_| fail("is outside of the work tree"))?;
        let text = inside.to_str().ok_or_else(|| fail("is not UTF-8"))?;
        Self::new(text)
    }

    /// The path as text, `/` between names.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The file's own name.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The folder it lies in, `""` at the top.
    pub fn folder(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// The path with something appended to the file's name.
    pub fn with_suffix(&self, suffix: &str) -> Self {
        Self(format!("{}{suffix}", self.0))
    }

    /// The path without a suffix of the file's name, where it has it and something is left.
    pub fn without_suffix(&self, suffix: &str) -> Option<Self> {
        let path = self.0.strip_suffix(suffix)?;
        (!path.is_empty() && !path.ends_with('/')).then(|| Self(path.to_owned()))
    }

    /// Another file in the same folder, or below it.
    pub fn sibling(&self, name: &str) -> Result<Self, PathError> {
        match self.folder() {
            "" => Self::new(name),
            folder => Self::new(&format!("{folder}/{name}")),
        }
    }

    /// Where it lies on this machine.
    pub fn on(&self, root: &Path) -> PathBuf {
        root.join(&self.0)
    }

    /// The first folder between `root` and the file that is a symbolic link or no folder at all: writing
    /// through it would leave the repository.
    pub fn blocked_by(&self, root: &Path) -> Option<PathBuf> {
        let mut folder = root.to_owned();
        let folders = self.folder();
        for name in folders.split('/').filter(|name| !name.is_empty()) {
            folder.push(name);
            match folder.symlink_metadata() {
                Ok(stat) if stat.is_dir() => continue,
                Ok(_) => return Some(folder),
                Err(_) => return None,
            }
        }
        None
    }
}

/// True for names that some file system takes for `.git`.
fn is_git_dir(name: &str) -> bool {
    let plain = name.trim_end_matches([' ', '.']);
    let plain = plain.split(':').next().unwrap_or(plain);
    plain.eq_ignore_ascii_case(".git") || plain.eq_ignore_ascii_case("git~1")
}

impl std::fmt::Display for RepoPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&printable(&self.0))
    }
}

impl std::fmt::Debug for RepoPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_out() {
        let bad = [
            "",
            "/etc/passwd",
            "..",
            "a/../b",
            "./a",
            "a//b",
            "a/",
            ".git/config",
            "a/.GIT/x",
            "git~1",
            ".git ./x",
            ".git::$INDEX_ALLOCATION/x",
            "a\0b",
        ];
        for path in bad {
            assert!(RepoPath::new(path).is_err(), "{path:?}");
        }
        for path in [
            "model.safetensors",
            "a b/🤖/x.pth",
            ".gitignore",
            "..a",
            "a/.github/x",
        ] {
            assert!(RepoPath::new(path).is_ok(), "{path:?}");
        }
    }

    #[test]
    fn names_and_folders() {
        let path = RepoPath::new("a/b/c.pth").expect("good");
        assert_eq!((path.folder(), path.name()), ("a/b", "c.pth"));
        assert_eq!(path.with_suffix(".mvc").without_suffix(".mvc"), Some(path));
        assert_eq!(
            RepoPath::new(".mvc").expect("good").without_suffix(".mvc"),
            None
        );
    }

    #[test]
    fn a_linked_folder_blocks() {
        let dir = tempfile::tempdir().expect("a temp folder");
        std::fs::create_dir(dir.path().join("real")).expect("made");
        std::os::unix::fs::symlink("/tmp", dir.path().join("link")).expect("linked");
        let path = |text| RepoPath::new(text).expect("good");
        assert_eq!(path("real/x").blocked_by(dir.path()), None);
        assert_eq!(path("new/x").blocked_by(dir.path()), None);
        assert_eq!(
            path("link/x").blocked_by(dir.path()),
            Some(dir.path().join("link"))
        );
    }
}
