//! What tests stand on: a sandbox to run mvc and git in, seeded weights, a disk that fails, real models.

pub(crate) mod faults;
pub(crate) mod output;
pub(crate) mod repo;
pub(crate) mod sandbox;
mod selftest;
pub(crate) mod tensors;
pub(crate) mod workload;

pub(crate) use faults::Disk;
pub(crate) use output::Output;
pub(crate) use repo::seeded;
pub(crate) use sandbox::Sandbox;
pub(crate) use tensors::Weights;

use std::path::{Path, PathBuf};

/// The top of this repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder of this repository, sorted; paths from the top.
pub(crate) fn files_below(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.expect("a readable folder").path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path.strip_prefix(root()).expect("below the top").to_owned()),
            }
        }
    }
    found.sort();
    found
}

/// The text of a file of this repository.
pub(crate) fn text_of(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Compares a file of this repository with what it should hold; `SNAPSHOTS=overwrite` writes it instead.
pub(crate) fn assert_file(path: &str, wanted: &str) {
    let target = root().join(path);
    if std::env::var("SNAPSHOTS").is_ok_and(|action| action == "overwrite") {
        std::fs::write(&target, wanted).expect("a writable repository");
    }
    let held = std::fs::read_to_string(&target).unwrap_or_default();
    assert!(
        held == wanted,
        "{path} is out of date; run the tests with SNAPSHOTS=overwrite and look at the difference"
    );
}
