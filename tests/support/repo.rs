//! Repositories with weights in them, and what must hold of every one.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mvc::base::Fs;
use mvc::ops::{Environment, Workspace};

use super::{Sandbox, Weights};

/// Every file below a folder: its bytes (a link's target) and its mode.
pub(crate) type Tree = BTreeMap<PathBuf, (Vec<u8>, u32)>;

impl Sandbox {
    /// A repository in which mvc keeps `*.safetensors`, and nothing is committed.
    pub(crate) fn keeping() -> Self {
        let sandbox = Self::new();
        sandbox.mvc(&["init", "--no-hooks"]).ok();
        sandbox.mvc(&["track", "*.safetensors"]).ok();
        sandbox
    }

    /// Versions v1, v2 and v3 of `model.safetensors`, made of the seeds 1, 2 and 3, each a commit with a tag.
    pub(crate) fn three() -> Self {
        let sandbox = Self::keeping();
        for seed in 1..=3 {
            sandbox.version(seed);
        }
        sandbox
    }

    /// Commits the weights of a seed as `model.safetensors` and tags them.
    pub(crate) fn version(&self, seed: u64) {
        self.write("model.safetensors", seeded(seed));
        let name = format!("v{seed}");
        self.mvc(&["commit", "-m", &name]).ok();
        self.mvc(&["tag", &name]).ok();
    }

    /// A file holds the weights of a seed.
    #[track_caller]
    pub(crate) fn assert_seed(&self, name: &str, seed: u64) {
        let bytes = self.read(name);
        let found = (0..20).find(|other| seeded(*other) == bytes);
        assert!(found == Some(seed), "{name} holds {found:?}, not {seed}");
    }

    /// The commit that a revision names.
    #[track_caller]
    pub(crate) fn rev(&self, revision: &str) -> String {
        self.git(&["rev-parse", revision]).ok().line().to_owned()
    }

    /// All files of the work folder, git's own among them.
    pub(crate) fn tree(&self) -> Tree {
        tree(self.dir())
    }

    /// All files of the work folder, without those in `.git`.
    pub(crate) fn files(&self) -> Tree {
        let mut files = self.tree();
        files.retain(|path, _| !path.starts_with(".git"));
        files
    }

    /// Git finds nothing wrong, nothing differs from HEAD, every object is there, and git holds no weights.
    #[track_caller]
    pub(crate) fn assert_clean(&self) {
        self.mvc(&["status", "--exit-code"]).ok();
        let status = self.git(&["status", "--porcelain"]).ok();
        assert!(status.stdout.is_empty(), "{}", status.stdout);
        self.assert_whole();
    }

    /// Git finds nothing wrong, every object of every version is there, and git holds no weights.
    #[track_caller]
    pub(crate) fn assert_whole(&self) {
        self.assert_git_is_whole();
        self.mvc(&["verify", "--all"]).ok();
        self.assert_git_holds_no_weights();
        for path in self.tree().keys() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            assert!(
                !name.starts_with(".mvc-tmp-"),
                "{} was left",
                path.display()
            );
        }
    }

    /// No blob in git, reachable or not, is a weights file or as large as one.
    #[track_caller]
    pub(crate) fn assert_git_holds_no_weights(&self) {
        let all = "--batch-check=%(objecttype) %(objectsize) %(objectname)";
        let objects = self.git(&["cat-file", "--batch-all-objects", all]).ok();
        for line in objects.stdout.lines() {
            let mut words = line.split(' ');
            let (sort, size) = (
                words.next(),
                words.next().and_then(|size| size.parse().ok()),
            );
            let blob = sort == Some("blob");
            assert!(
                !blob || size.is_some_and(|size: u64| size < 8 << 10),
                "{line}"
            );
        }
    }

    /// The environment that programs of this sandbox see, for a workspace inside the test's own process.
    pub(crate) fn environment(&self) -> Environment {
        let command = self.command(Path::new("git"));
        command
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_str()?, value?)))
            .fold(Environment::empty(), |all, (name, value)| {
                all.with(name, value)
            })
    }

    /// The repository, opened in the test's own process on this disk.
    pub(crate) fn workspace(&self, fs: Fs) -> mvc::ops::Result<Workspace> {
        Workspace::open(self.dir(), &self.environment(), fs)
    }

    /// The files in the store's packs folder, largest first.
    pub(crate) fn packs(&self) -> Vec<PathBuf> {
        let mut found: Vec<(u64, PathBuf)> = tree(&self.path(".git/mvc/packs"))
            .into_iter()
            .map(|(path, (bytes, _))| (bytes.len() as u64, self.path(".git/mvc/packs").join(path)))
            .collect();
        found.sort_by_key(|(size, path)| (std::cmp::Reverse(*size), path.clone()));
        found.into_iter().map(|(_, path)| path).collect()
    }

    /// Bytes of all files below a folder.
    pub(crate) fn bytes_below(&self, folder: &str) -> u64 {
        let files = tree(&self.path(folder));
        files.values().map(|(bytes, _)| bytes.len() as u64).sum()
    }

    /// Installs a git hook that is this shell script.
    pub(crate) fn hook(&self, name: &str, script: &str) {
        let path = format!(".git/hooks/{name}");
        self.write(&path, format!("#!/bin/sh\n{script}\n"));
        self.chmod(&path, 0o755);
    }

    /// Sets a file's permissions.
    pub(crate) fn chmod(&self, name: &str, mode: u32) {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(self.path(name), permissions).expect("our own file");
    }

    /// A file's permissions.
    pub(crate) fn mode(&self, name: &str) -> u32 {
        let stat = self.path(name).symlink_metadata().expect(name);
        stat.permissions().mode() & 0o777
    }

    /// What tells whether a file was written or replaced: its number and the time of its last write.
    pub(crate) fn trace(&self, name: &str) -> (u64, i64, i64) {
        let stat = self.path(name).symlink_metadata().expect(name);
        (stat.ino(), stat.mtime(), stat.mtime_nsec())
    }
}

/// The bytes of a small file of weights.
pub(crate) fn seeded(seed: u64) -> Vec<u8> {
    Weights::small(seed).bytes()
}

/// Every file below a folder; paths from there.
pub(crate) fn tree(top: &Path) -> Tree {
    let mut found = Tree::new();
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.expect("a readable folder").path();
            let stat = path.symlink_metadata().expect("just listed");
            let bytes = if stat.is_dir() {
                folders.push(path);
                continue;
            } else if stat.is_symlink() {
                let target = std::fs::read_link(&path).expect("a link");
                target.as_os_str().as_bytes().to_owned()
            } else {
                std::fs::read(&path).unwrap_or_default()
            };
            let name = path.strip_prefix(top).expect("below the top").to_owned();
            found.insert(name, (bytes, stat.mode()));
        }
    }
    found
}
