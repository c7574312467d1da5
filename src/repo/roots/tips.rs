//! Every object that git's own files name: refs, HEADs, reflogs, and the notes of what is in progress.
//!
//! These are read as the text that they are, for the main work tree and for every linked one: git's own tools, and
//! gix, show of other work trees' private refs and notes only a part.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::base::fs::{FsError, list_if_present, read_if_present};
use crate::repo::discover::Repo;
use crate::repo::error::{RepoError, Result};

/// The longest of these files that is read: a reflog of some millions of entries.
const LIMIT: u64 = 1 << 30;
/// Folders of refs are followed so deep.
const DEEPEST: usize = 512;
/// Where operations that go on for several commands keep their notes.
const NOTES: [&str; 3] = ["rebase-merge", "rebase-apply", "sequencer"];
/// Lists of commits to pick, which users edit: names may be short in them.
const LISTS: [&str; 4] = ["git-rebase-todo", "git-rebase-todo.backup", "done", "todo"];

/// Where a walk begins.
#[derive(Debug)]
pub(super) struct Tip {
    pub(super) id: gix::ObjectId,
    /// What names it, for people.
    pub(super) of: String,
    /// Whether it has to be there. Reflogs and notes may name what git has thrown away since.
    pub(super) must: bool,
}

/// Git's folders of all work trees: the common one, which is the main work tree's, and those of linked ones.
pub(super) fn git_dirs(repo: &Repo) -> Result<Vec<PathBuf>> {
    let mut dirs = vec![repo.common_dir().to_owned(), repo.git_dir().to_owned()];
    dirs.extend(list_if_present(&repo.common_dir().join("worktrees"))?);
    let real = |dir: PathBuf| dir.canonicalize().unwrap_or(dir);
    let mut dirs: Vec<_> = dirs
        .into_iter()
        .map(real)
        .filter(|dir| dir.is_dir())
        .collect();
    dirs.sort();
    dirs.dedup();
    Ok(dirs)
}

/// All tips there are now. Things are read in the order in which git moves them: notes, logs, loose refs, and packed
/// refs last.
pub(super) fn all(repo: &Repo, gix: &gix::Repository) -> Result<Vec<Tip>> {
    let dirs = git_dirs(repo)?;
    let mut reader = Reader {
        gix,
        hex: repo.object_format().git().len_in_hex(),
        tips: Vec::new(),
    };
    for dir in &dirs {
        reader.heads(dir)?;
        for name in NOTES {
            reader.notes(&dir.join(name))?;
        }
        reader.folder(&dir.join("logs"), 0, &mut Reader::log)?;
    }
    for dir in &dirs {
        reader.folder(&dir.join("refs"), 0, &mut Reader::loose)?;
    }
    reader.packed(&repo.common_dir().join("packed-refs"))?;
    let mut met = HashSet::new();
    let mut tips = reader.tips;
    // What must be there first.
    tips.sort_by_key(|tip| !tip.must);
    tips.retain(|tip| met.insert(tip.id));
    Ok(tips)
}

struct Reader<'a> {
    gix: &'a gix::Repository,
    hex: usize,
    tips: Vec<Tip>,
}

impl Reader<'_> {
    fn add(&mut self, hex: &str, of: &Path, must: bool) {
        // Zeros stand for nothing.
        if let Ok(id) = gix::ObjectId::from_hex(hex.as_bytes())
            && !id.is_null()
        {
            let of = of.display().to_string();
            self.tips.push(Tip { id, of, must });
        }
    }

    /// Adds every whole name in a text.
    fn names_in(&mut self, text: &str, of: &Path) {
        let hex = self.hex;
        for word in words(text).filter(|word| word.len() == hex) {
            self.add(word, of, false);
        }
    }

    /// `HEAD`, `ORIG_HEAD`, `MERGE_HEAD`, `FETCH_HEAD`, `AUTO_MERGE`, `BISECT_LOG` and their kin: whatever has a name
    /// of capitals.
    fn heads(&mut self, dir: &Path) -> Result<()> {
        for path in list_if_present(dir)? {
            if !name(&path)
                .bytes()
                .all(|c| c.is_ascii_uppercase() || c == b'_')
            {
                continue;
            }
            let Some(text) = read(&path)? else { continue };
            match name(&path) {
                "HEAD" => self.one(text.trim(), &path)?,
                _ => self.names_in(&text, &path),
            }
        }
        Ok(())
    }

    /// The notes of a rebase, an `am`, or several picks. What is in the patches of `am` is no version yet.
    fn notes(&mut self, dir: &Path) -> Result<()> {
        for path in list_if_present(dir)? {
            let name = name(&path);
            if name == "patch" || name.bytes().all(|c| c.is_ascii_digit()) {
                continue;
            }
            let Some(text) = read(&path)? else { continue };
            self.names_in(&text, &path);
            if LISTS.contains(&name) {
                self.short_names(&text, &path)?;
            }
        }
        Ok(())
    }

    fn short_names(&mut self, text: &str, of: &Path) -> Result<()> {
        let hex = self.hex;
        for word in words(text).filter(|word| (4..hex).contains(&word.len())) {
            let Ok(prefix) = gix::hash::Prefix::from_hex(word) else {
                continue;
            };
            // Where it may be several, each of them counts.
            let mut all = HashSet::new();
            self.gix
                .objects
                .lookup_prefix(prefix, Some(&mut all))
                .map_err(RepoError::reading(of.display()))?;
            for id in all {
                let of = of.display().to_string();
                self.tips.push(Tip {
                    id,
                    of,
                    must: false,
                });
            }
        }
        Ok(())
    }

    fn log(&mut self, path: &Path) -> Result<()> {
        let Some(text) = read(path)? else {
            return Ok(());
        };
        let hex = self.hex;
        for line in text.lines() {
            for word in line.split(' ').take(2).filter(|word| word.len() == hex) {
                self.add(word, path, false);
            }
        }
        Ok(())
    }

    fn loose(&mut self, path: &Path) -> Result<()> {
        // Git's own way to write: what is not renamed yet is not a ref yet.
        if path
            .extension()
            .is_some_and(|extension| extension == "lock")
        {
            return Ok(());
        }
        match read(path)? {
            Some(text) => self.one(text.trim(), path),
            None => Ok(()),
        }
    }

    /// The content of one ref.
    fn one(&mut self, text: &str, path: &Path) -> Result<()> {
        let hex = text.split_ascii_whitespace().next().unwrap_or_default();
        let is_id = hex.len() == self.hex && gix::ObjectId::from_hex(hex.as_bytes()).is_ok();
        match text.starts_with("ref:") {
            // The other ref is read for itself.
            true => Ok(()),
            false if is_id => {
                self.add(hex, path, true);
                Ok(())
            }
            false => Err(RepoError::BrokenRef {
                path: path.to_owned(),
            }),
        }
    }

    fn packed(&mut self, path: &Path) -> Result<()> {
        let Some(text) = read(path)? else {
            return Ok(());
        };
        for line in text.lines() {
            // A comment, or what the tag of the line before leads to.
            if line.starts_with(['#', '^']) || line.is_empty() {
                continue;
            }
            self.one(line, path)?;
        }
        Ok(())
    }

    /// Reads every file below a folder.
    fn folder(
        &mut self,
        dir: &Path,
        depth: usize,
        read: &mut impl FnMut(&mut Self, &Path) -> Result<()>,
    ) -> Result<()> {
        for path in list_if_present(dir)? {
            match path.symlink_metadata() {
                Ok(stat) if stat.is_dir() && depth < DEEPEST => {
                    self.folder(&path, depth + 1, read)?
                }
                Ok(stat) if stat.is_dir() => {
                    let e = io::Error::other("it lies too deep");
                    return Err(FsError::new("list", &path, e).into());
                }
                Ok(_) => read(self, &path)?,
                // Moved meanwhile: where to is read later.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(FsError::new("stat", &path, e).into()),
            }
        }
        Ok(())
    }
}

/// The words of a text that could be names of objects.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| word.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')))
}

/// The text of a file, whatever is no text in it replaced; `None` where there is none, or a folder.
fn read(path: &Path) -> Result<Option<String>> {
    if path.is_dir() {
        return Ok(None);
    }
    let bytes = read_if_present(path, LIMIT)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// The name of a file in one of git's folders; one that is not UTF-8 is none that git gives there.
fn name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("?")
}
