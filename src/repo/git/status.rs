//! What git says of the work tree, read from its machine-readable formats.

use crate::base::RepoPath;

use super::index::list;
use super::{Git, GitError, Result};

/// The work tree against the index against HEAD.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Status {
    /// Files that differ somewhere, in git's order. Renames are a removal and an addition.
    pub entries: Vec<StatusEntry>,
    /// Paths that are not UTF-8 or that mvc would not touch: git knows about them, mvc does not.
    pub unreadable: u64,
}

/// One file that differs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct StatusEntry {
    /// The file.
    pub path: RepoPath,
    /// How the index differs from HEAD, in git's letters: `A`, `M`, `D`, `T`.
    pub staged: Option<char>,
    /// How the work tree differs from the index, in git's letters: `M`, `D`, `T`, and `A` for `git add --intent-to-add`.
    pub unstaged: Option<char>,
    /// A merge left it with stages to choose from.
    pub conflict: bool,
    /// Git does not know it and no rule ignores it.
    pub untracked: bool,
}

impl Git {
    /// All files that differ, the untracked ones among them one by one.
    pub fn status(&self) -> Result<Status> {
        let args = [
            "status",
            "--porcelain=v2",
            "-z",
            "--no-renames",
            "--untracked-files=all",
            "--ignore-submodules=all",
        ];
        parse(&self.read(args)?).ok_or_else(|| GitError::Answer {
            command: args.join(" "),
        })
    }

    /// The paths whose index entry differs from HEAD.
    pub fn staged(&self) -> Result<Vec<RepoPath>> {
        let args = [
            "diff",
            "--cached",
            "--name-only",
            "-z",
            "--no-ext-diff",
            "--no-renames",
            "--no-relative",
        ];
        Ok(paths(&self.read(args)?))
    }

    /// The tracked files whose content in the work tree differs from the index, the missing ones among them.
    pub fn modified(&self) -> Result<Vec<RepoPath>> {
        let args = [
            "diff",
            "--name-only",
            "-z",
            "--no-ext-diff",
            "--no-renames",
            "--no-relative",
            "--ignore-submodules=all",
        ];
        let mut paths = paths(&self.read(args)?);
        // A conflict is listed once as itself and once as its difference.
        paths.dedup();
        Ok(paths)
    }

    /// The files that git does not know and that no rule ignores.
    pub fn untracked(&self) -> Result<Vec<RepoPath>> {
        self.read([
            "ls-files",
            "--others",
            "--exclude-standard",
            "--full-name",
            "-z",
        ])
        .map(|out| paths(&out))
    }

    /// The files that git does not know because a rule ignores them.
    pub fn ignored_files(&self) -> Result<Vec<RepoPath>> {
        self.read([
            "ls-files",
            "--others",
            "--ignored",
            "--exclude-standard",
            "--full-name",
            "-z",
        ])
        .map(|out| paths(&out))
    }

    /// Those of the paths that a rule ignores. Tracked files are not ignored, whatever the rules say.
    pub fn ignored(&self, of: &[RepoPath]) -> Result<Vec<RepoPath>> {
        match of {
            [] => Ok(Vec::new()),
            of => {
                let out = self.ask(["check-ignore", "-z", "--stdin"], &list(of))?;
                Ok(out.map_or_else(Vec::new, |out| paths(&out)))
            }
        }
    }

    /// The value of an attribute for each of the paths, in their order: `None` where it is unspecified; `set` and
    /// `unset` are git's words for a bare name and one with `-`.
    pub fn attribute(&self, name: &str, of: &[RepoPath]) -> Result<Vec<Option<String>>> {
        if of.is_empty() {
            return Ok(Vec::new());
        }
        let args = ["check-attr", "-z", "--stdin", name];
        let out = self.read_with(args, &list(of))?;
        let fields: Vec<&[u8]> = out.split(|byte| *byte == 0).collect();
        let values: Vec<_> = fields
            .chunks_exact(3)
            .filter_map(|answer| answer.get(2))
            .map(|value| match *value {
                b"unspecified" => None,
                value => Some(String::from_utf8_lossy(value).into_owned()),
            })
            .collect();
        match values.len() == of.len() {
            true => Ok(values),
            false => Err(GitError::Answer {
                command: args.join(" "),
            }),
        }
    }
}

/// The paths of a NUL-separated list; those that mvc would not touch are left out.
fn paths(out: &[u8]) -> Vec<RepoPath> {
    out.split(|byte| *byte == 0).filter_map(path).collect()
}

fn path(bytes: &[u8]) -> Option<RepoPath> {
    RepoPath::new(std::str::from_utf8(bytes).ok()?).ok()
}

/// Reads `git status --porcelain=v2 -z`; `None` if it is not that.
fn parse(out: &[u8]) -> Option<Status> {
    let mut status = Status::default();
    for record in out
        .split(|byte| *byte == 0)
        .filter(|record| !record.is_empty())
    {
        // A path comes last and may hold spaces, so the fields before it are counted.
        let fields = match record.first()? {
            b'1' => 9,
            b'u' => 11,
            b'?' | b'!' => 2,
            b'#' => continue,
            _ => return None,
        };
        let fields: Vec<&[u8]> = record.splitn(fields, |byte| *byte == b' ').collect();
        let kind = record.first()?;
        let Some(path) = path(fields.last()?) else {
            status.unreadable += 1;
            continue;
        };
        let letter = |at: usize| {
            let letter = fields.get(1).and_then(|letters| letters.get(at));
            letter
                .map(|letter| char::from(*letter))
                .filter(|letter| *letter != '.')
        };
        let known = *kind == b'1';
        status.entries.push(StatusEntry {
            path,
            staged: known.then(|| letter(0)).flatten(),
            unstaged: known.then(|| letter(1)).flatten(),
            conflict: *kind == b'u',
            untracked: *kind == b'?',
        });
    }
    Some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_spaces_are_whole_and_odd_records_are_refused() {
        let out = b"1 M. N... 100644 100644 100644 aa bb a b.mvc\0\
                    u UU N... 100644 100644 100644 100644 aa bb cc c d.mvc\0? new file\0? \xff\0";
        let status = parse(out).expect("read");
        let shown: Vec<_> = status
            .entries
            .iter()
            .map(|e| {
                (
                    e.path.as_str(),
                    e.staged,
                    e.unstaged,
                    e.conflict,
                    e.untracked,
                )
            })
            .collect();
        let expected = [
            ("a b.mvc", Some('M'), None, false, false),
            ("c d.mvc", None, None, true, false),
            ("new file", None, None, false, true),
        ];
        assert_eq!(
            (shown.as_slice(), status.unreadable),
            (expected.as_slice(), 1)
        );
        assert_eq!(parse(b"Z what"), None);
    }
}
