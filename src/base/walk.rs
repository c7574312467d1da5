//! Finding files by pattern in a work tree.

use std::path::Path;

use ignore::WalkBuilder;
use ignore::overrides::OverrideBuilder;

use super::fs::FsError;
use super::path::RepoPath;
use super::patterns::FilePatterns;

/// The regular files below `root` that `patterns` picks, in order of their paths.
///
/// A file that is ignored by git is found all the same, since tracked weights are ignored; a folder that is
/// ignored (an environment, a cache) is not entered, nor is git's own, nor a nested repository. Files whose
/// path is not UTF-8 are passed over: no sidecar could name them.
pub fn matching(
    root: &Path,
    track: &[String],
    patterns: &FilePatterns,
) -> Result<Vec<RepoPath>, FsError> {
    let positive: Vec<&String> = track
        .iter()
        .filter(|pattern| !pattern.starts_with(['!', '#']))
        .collect();
    if positive.is_empty() {
        return Ok(Vec::new());
    }
    let fail = |e: ignore::Error| FsError::new("list", root, std::io::Error::other(e));
    let mut overrides = OverrideBuilder::new(root);
    for pattern in positive {
        overrides.add(pattern).map_err(fail)?;
    }
    let top = root.to_owned();
    let walk = WalkBuilder::new(root)
        .hidden(false)
        .ignore(false)
        .parents(false)
        .overrides(overrides.build().map_err(fail)?)
        .filter_entry(move |entry| {
            let is_dir = entry.file_type().is_some_and(|kind| kind.is_dir());
            !is_dir
                || entry.path() == top
                || (entry.file_name() != ".git" && !entry.path().join(".git").exists())
        })
        .build();
    let mut found = Vec::new();
    for entry in walk {
        // A folder that vanished or may not be read hides nothing that is tracked.
        let Ok(entry) = entry else { continue };
        if !entry.file_type().is_some_and(|kind| kind.is_file()) {
            continue;
        }
        if let Ok(path) = RepoPath::below(root, entry.path())
            && patterns.matches(&path)
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_weights_are_found_and_ignored_folders_are_not_entered() {
        let dir = tempfile::tempdir().expect("a temp folder");
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("has one")).expect("made");
            std::fs::write(path, text).expect("written");
        };
        write(".git/x.pth", "");
        write(".gitignore", "venv/\n*.pth\n");
        write("venv/lib/x.pth", "");
        write("nested/.git/HEAD", "");
        write("nested/x.pth", "");
        write("a/b.pth", "");
        write("data/eval.pth", "");
        write(".hidden/c.pth", "");
        write("a/b.txt", "");
        let track = ["*.pth".to_owned(), "!data/**".to_owned()];
        let patterns = FilePatterns::new(track.iter().map(String::as_str)).expect("good");
        let found = matching(dir.path(), &track, &patterns).expect("walked");
        let found: Vec<_> = found.iter().map(RepoPath::as_str).collect();
        assert_eq!(found, [".hidden/c.pth", "a/b.pth"]);
    }
}
