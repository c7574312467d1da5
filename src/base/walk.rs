//! Finding files by pattern in a work tree.

use std::fs::DirEntry;
use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::fs::FsError;
use super::path::RepoPath;
use super::patterns::{FilePatterns, Lead};

/// Names that tell what an environment or a cache is, whose files are nobody's weights.
const FOREIGN: [&str; 3] = ["pyvenv.cfg", "conda-meta", "CACHEDIR.TAG"];

/// The regular files below `root` that `patterns` picks, in order of their paths. `exclude` is the repository's
/// own file of ignore rules, `info/exclude`.
///
/// A file that is ignored by git is found all the same, since tracked weights are ignored. A folder that is ignored
/// (an environment, a cache) is entered only where a pattern picks it or names it on the way to what it picks; git's
/// own folder and nested repositories are not. Links are not followed. Files whose path is not UTF-8 are passed
/// over: no sidecar could name them.
pub fn matching(
    root: &Path,
    exclude: &Path,
    patterns: &FilePatterns,
) -> Result<Vec<RepoPath>, FsError> {
    let mut found = Vec::new();
    if patterns.pick_nothing() {
        return Ok(found);
    }
    let (global, _) = GitignoreBuilder::new(root).build_global();
    let global = Rules {
        own: global,
        above: None,
    };
    let local = Rules {
        own: rules(root, exclude),
        above: Some(&global),
    };
    let top = Folder {
        path: "",
        picked: false,
        ignored: None,
        rules: &local,
    };
    let entries = std::fs::read_dir(root).map_err(|e| FsError::new("list", root, e))?;
    walk(
        root,
        &top,
        entries.flatten().collect(),
        patterns,
        &mut found,
    );
    found.sort();
    Ok(found)
}

/// The ignore rules of a file, all that can be read.
fn rules(folder: &Path, file: &Path) -> Gitignore {
    let mut builder = GitignoreBuilder::new(folder);
    if file.symlink_metadata().is_ok_and(|stat| stat.is_file()) {
        let _ = builder.add(file);
    }
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}

/// Ignore rules, those nearest to a file first.
struct Rules<'a> {
    own: Gitignore,
    above: Option<&'a Rules<'a>>,
}

impl Rules<'_> {
    fn ignore_folder(&self, path: &Path) -> bool {
        match self.own.matched(path, true) {
            ignore::Match::None => self.above.is_some_and(|above| above.ignore_folder(path)),
            found => found.is_ignore(),
        }
    }
}

/// A folder that is walked.
struct Folder<'a> {
    /// Its path from the top with a slash at the end, `""` at the top.
    path: &'a str,
    /// Whether the patterns pick what lies in it and is not decided by itself.
    picked: bool,
    /// If git ignores it, how the patterns lead into it all the same.
    ignored: Option<Lead>,
    rules: &'a Rules<'a>,
}

fn walk(
    root: &Path,
    folder: &Folder<'_>,
    entries: Vec<DirEntry>,
    patterns: &FilePatterns,
    found: &mut Vec<RepoPath>,
) {
    let has = |name: &str| entries.iter().any(|entry| entry.file_name() == name);
    let is_top = folder.path.is_empty();
    let foreign = || folder.path.ends_with("node_modules/") || FOREIGN.iter().any(|name| has(name));
    if (!is_top && has(".git")) || (folder.ignored == Some(Lead::Below) && foreign()) {
        return;
    }
    let deeper;
    let rules = match has(".gitignore") {
        true => {
            let here = root.join(folder.path);
            deeper = Rules {
                own: rules(&here, &here.join(".gitignore")),
                above: Some(folder.rules),
            };
            &deeper
        }
        false => folder.rules,
    };
    for entry in &entries {
        let name = entry.file_name();
        let (Some(name), Ok(kind)) = (name.to_str(), entry.file_type()) else {
            continue;
        };
        let mut path = format!("{}{name}", folder.path);
        if !kind.is_dir() && !kind.is_file() {
            continue;
        }
        let picked = patterns
            .decide(&path, kind.is_dir())
            .unwrap_or(folder.picked);
        if kind.is_file() {
            found.extend(picked.then(|| RepoPath::new(&path)).and_then(Result::ok));
            continue;
        }
        // What some system would take for git's own folder.
        if RepoPath::new(&path).is_err() {
            continue;
        }
        let full = entry.path();
        let ignored = match folder.ignored.is_some() || rules.ignore_folder(&full) {
            true if picked => Some(Lead::Named),
            true => match patterns.lead_into(&path) {
                Some(lead) => Some(lead),
                None => continue,
            },
            false => None,
        };
        // A folder that vanished or may not be read hides nothing that is tracked.
        let Ok(entries) = std::fs::read_dir(&full) else {
            continue;
        };
        path.push('/');
        let inner = Folder {
            path: &path,
            picked,
            ignored,
            rules,
        };
        walk(root, &inner, entries.flatten().collect(), patterns, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found among empty files of these paths, with these ignore rules at the top.
    fn found(files: &[&str], ignored: &str, track: &[&str]) -> Vec<String> {
        let dir = tempfile::tempdir().expect("a temp folder");
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("has one")).expect("made");
            std::fs::write(path, text).expect("written");
        };
        write(".git/info/exclude", "excluded/\n");
        write(".gitignore", ignored);
        files.iter().for_each(|path| write(path, ""));
        let patterns = FilePatterns::new(track.iter().copied()).expect("good");
        let exclude = dir.path().join(".git/info/exclude");
        let found = matching(dir.path(), &exclude, &patterns).expect("walked");
        found.iter().map(|path| path.as_str().to_owned()).collect()
    }

    #[test]
    fn ignored_weights_are_found_and_ignored_folders_are_not_entered() {
        let files = [
            ".git/x.pth",
            "venv/lib/x.pth",
            "excluded/x.pth",
            "nested/.git/HEAD",
            "nested/x.pth",
            "a/b.pth",
            "data/eval.pth",
            ".hidden/c.pth",
            "a/b.txt",
        ];
        assert_eq!(
            found(&files, "venv/\n*.pth\n", &["*.pth", "!data/**"]),
            [".hidden/c.pth", "a/b.pth"]
        );
    }

    #[test]
    fn a_folder_that_a_pattern_picks_is_found_whole() {
        let files = ["ckpt/a.pth", "ckpt/deep/b", "x/ckpt/c", "ckpts/d"];
        for track in ["ckpt/", "ckpt"] {
            // Git ignores what is tracked.
            assert_eq!(
                found(&files, "ckpt/\n", &[track]),
                ["ckpt/a.pth", "ckpt/deep/b", "x/ckpt/c"]
            );
        }
        assert_eq!(found(&files, "/ckpt/\n", &["/ckpt/", "!b"]), ["ckpt/a.pth"]);
    }

    #[test]
    fn an_ignored_folder_is_entered_where_a_pattern_names_it() {
        let files = [
            "out/a.pth",
            "out/deep/b.pth",
            "out/env/pyvenv.cfg",
            "out/env/c.pth",
            "out/node_modules/d.pth",
            "venv/e.pth",
        ];
        let ignored = "out/\nvenv/\n";
        assert_eq!(found(&files, ignored, &["out/*.pth"]), ["out/a.pth"]);
        assert_eq!(
            found(&files, ignored, &["out/**/*.pth"]),
            ["out/a.pth", "out/deep/b.pth"]
        );
        assert_eq!(
            found(&files, "out/*\n", &["/out/**/*.pth"]),
            ["out/a.pth", "out/deep/b.pth"]
        );
        assert_eq!(
            found(&files, ignored, &["out/env/*.pth"]),
            ["out/env/c.pth"]
        );
        assert_eq!(found(&files, ignored, &["*.pth", "**/*.pth"]), [""; 0]);
    }
}
