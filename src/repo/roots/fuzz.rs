//! The readers of what git's own files name, as a function of any bytes in one of these files.

use super::tips;
use crate::base::Fs;
use crate::base::fuzz::Target;
use crate::repo::{Environment, Repo};

pub(in crate::repo) const NAMES: Target = Target {
    name: "roots",
    run: names,
    // Mostly for git's own settings, which are read each time.
    memory: |bytes| (256 << 10) + 64 * bytes.len(),
};

/// Where names are, by the first byte of a seed.
const FILES: [&str; 6] = [
    "logs/refs/heads/main",
    "packed-refs",
    "refs/heads/other",
    "FETCH_HEAD",
    "rebase-merge/git-rebase-todo",
    "BISECT_LOG",
];

thread_local! {
    static REPOSITORY: Sandbox = Sandbox::new();
}

/// An empty repository, gone with its thread.
struct Sandbox {
    repo: Repo,
    _folder: tempfile::TempDir,
}

impl Sandbox {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temp folder");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let environment = Environment::empty()
            .with("PATH", path)
            .with("HOME", folder.path())
            .with("GIT_CONFIG_GLOBAL", "/dev/null")
            .with("GIT_CONFIG_SYSTEM", "/dev/null");
        let made = Repo::init_with(folder.path(), &environment);
        Self {
            repo: made.expect("a repository").0,
            _folder: folder,
        }
    }
}

fn names(bytes: &[u8]) -> bool {
    let Some((which, content)) = bytes.split_first() else {
        return false;
    };
    REPOSITORY.with(|Sandbox { repo, .. }| {
        let fs = Fs::new();
        let name = FILES[usize::from(*which) % FILES.len()];
        let path = repo.common_dir().join(name);
        let folder = path.parent().expect("below git's folder");
        fs.create_dir_all(folder).expect("made");
        let mut file = fs.temp_in(folder).expect("made");
        file.write_all(content).expect("written");
        file.rename_to(&path).expect("named");
        let found = tips::all(repo, &repo.gix());
        fs.remove_file(&path).expect("removed");
        found.is_ok_and(|found| !found.is_empty())
    })
}
