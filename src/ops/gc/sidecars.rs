//! Sidecars as they lie in a work tree, whether git knows of them or not.

use std::io;
use std::path::{Path, PathBuf};

use crate::base::fs::FsError;
use crate::ops::error::Result;
use crate::ops::tracked::SUFFIX;

/// Every regular file below `root` that is called like a sidecar, ignored folders too. Git's own folder and other
/// repositories are not entered, and no link is followed. A folder that cannot be read is an error: nobody can tell
/// what lies in it.
pub(super) fn below(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let fail = |e| FsError::new("list", &folder, e);
        let entries = match std::fs::read_dir(&folder) {
            // It went meanwhile.
            Err(e) if e.kind() == io::ErrorKind::NotFound && folder != root => continue,
            entries => entries.map_err(fail)?,
        };
        let entries: Vec<_> = entries.collect::<io::Result<_>>().map_err(fail)?;
        if folder != root && entries.iter().any(|entry| entry.file_name() == ".git") {
            continue;
        }
        for entry in entries {
            let kind = entry.file_type().map_err(fail)?;
            let name = entry.file_name();
            if kind.is_dir() && name != ".git" {
                folders.push(entry.path());
            } else if kind.is_file() && name.to_string_lossy().ends_with(SUFFIX) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}
