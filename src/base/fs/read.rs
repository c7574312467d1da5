//! Reading files whole: those of mvc itself, and those that a repository brought.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{FsError, Result};
use crate::base::path::RepoPath;

/// Reads a file of at most `limit` bytes; a longer one is an error before anything is allocated for it. It follows
/// links: what a repository brought is read by [`read_in_tree`].
pub fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(|e| FsError::new("read", path, e))?;
    read_open(file, path, limit)
}

/// Reads a file of the work tree at `root`, of at most `limit` bytes; `None` where there is none.
///
/// A symbolic link in its place or in that of a folder above it is refused: git keeps links, and a clone makes them
/// anew, so that one could show the content of any file of this machine. So is what is no regular file, since to open
/// a pipe is to wait for a writer. Such an error is of kind `BadInput`.
pub fn read_in_tree(root: &Path, path: &RepoPath, limit: u64) -> Result<Option<Vec<u8>>> {
    let full = path.on(root);
    let fail = |e| FsError::new("read", &full, e);
    let refused = |what: String| fail(io::Error::new(io::ErrorKind::InvalidInput, what));
    let is_link = |path: &Path| path.symlink_metadata().is_ok_and(|stat| stat.is_symlink());
    if let Some(folder) = path.blocked_by(root) {
        return match is_link(&folder) {
            true => Err(refused(format!("{} is a symbolic link", folder.display()))),
            false => Ok(None),
        };
    }
    let stat = match full.symlink_metadata() {
        Ok(stat) if stat.is_file() => stat,
        Ok(stat) if stat.is_symlink() => return Err(refused("it is a symbolic link".into())),
        Ok(_) => return Err(refused("it is not a regular file".into())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(fail(e)),
    };
    let file = File::open(&full).map_err(fail)?;
    let opened = file.metadata().map_err(fail)?;
    if (opened.dev(), opened.ino()) != (stat.dev(), stat.ino()) {
        return Err(refused("it was replaced while it was opened".into()));
    }
    read_open(file, &full, limit).map(Some)
}

fn read_open(file: File, path: &Path, limit: u64) -> Result<Vec<u8>> {
    let fail = |e| FsError::new("read", path, e);
    let len = file.metadata().map_err(fail)?.len();
    let too_long = || {
        fail(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("more than {limit} bytes long"),
        ))
    };
    if len > limit {
        return Err(too_long());
    }
    let mut bytes = Vec::with_capacity(len as usize);
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(fail)?;
    if bytes.len() as u64 > limit {
        return Err(too_long());
    }
    Ok(bytes)
}

/// [`read_limited`], with `None` for a file that is not there.
pub fn read_if_present(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    match read_limited(path, limit) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// What is in a folder, in order; nothing where there is no such folder.
pub fn list_if_present(folder: &Path) -> Result<Vec<PathBuf>> {
    let fail = |e| FsError::new("list", folder, e);
    let entries = match std::fs::read_dir(folder) {
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Vec::new());
        }
        entries => entries.map_err(fail)?,
    };
    let paths = entries.map(|entry| Ok(entry.map_err(fail)?.path()));
    let mut paths: Vec<_> = paths.collect::<Result<_>>()?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::kind::{Failure, Kind};

    #[test]
    fn only_files_of_the_tree_itself_are_read() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().expect("a temp folder");
        let (root, outside) = (dir.path().join("tree"), dir.path().join("outside"));
        std::fs::create_dir_all(root.join("folder")).expect("made");
        std::fs::create_dir(&outside).expect("made");
        std::fs::write(outside.join("secret"), "secret").expect("written");
        std::fs::write(root.join("folder/file"), "12345").expect("written");
        symlink(outside.join("secret"), root.join("link")).expect("linked");
        symlink("folder/file", root.join("inside")).expect("linked");
        symlink("nowhere", root.join("dangling")).expect("linked");
        symlink(&outside, root.join("way")).expect("linked");
        let pipe = std::process::Command::new("mkfifo")
            .arg(root.join("pipe"))
            .status();
        assert!(pipe.is_ok_and(|status| status.success()));
        let read = |path: &str, limit| {
            let path = RepoPath::new(path).expect("good");
            read_in_tree(&root, &path, limit)
        };
        let found = read("folder/file", 5).expect("fits");
        assert_eq!(found.as_deref(), Some(&b"12345"[..]));
        assert!(read("folder/file", 4).is_err());
        for nothing in ["none", "none/file", "folder/file/none"] {
            assert_eq!(read(nothing, 9).expect("no error"), None);
        }
        for bad in [
            "link",
            "inside",
            "dangling",
            "way/secret",
            "way/none",
            "pipe",
            "folder",
        ] {
            let error = read(bad, 9).expect_err(bad);
            assert_eq!(error.kind(), Kind::BadInput, "{bad}");
        }
    }

    #[test]
    fn a_folder_is_listed_in_order_and_one_that_is_not_there_is_empty() {
        let dir = tempfile::tempdir().expect("a temp folder");
        let path = |name: &str| dir.path().join(name);
        for name in ["b", "a", "c"] {
            std::fs::write(path(name), b"").expect("written");
        }
        let listed = list_if_present(dir.path()).expect("listed");
        assert_eq!(listed, [path("a"), path("b"), path("c")]);
        for nothing in ["none", "a"] {
            let listed = list_if_present(&path(nothing)).expect("no error");
            assert_eq!(listed, Vec::<PathBuf>::new(), "{nothing}");
        }
    }

    #[test]
    fn reading_stops_at_the_limit() {
        let dir = tempfile::tempdir().expect("a temp folder");
        let path = dir.path().join("file");
        std::fs::write(&path, b"12345").expect("written");
        assert_eq!(read_limited(&path, 5).expect("fits"), b"12345");
        assert!(read_limited(&path, 4).is_err());
        assert!(
            read_if_present(&dir.path().join("none"), 4)
                .expect("no error")
                .is_none()
        );
    }
}
