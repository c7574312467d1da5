//! Lines of shell, run in a folder and a home of their own, and what they cost.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::memory::Watch;

/// Where lines are run.
pub(crate) struct Shell {
    home: PathBuf,
}

/// What a line cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    /// The largest private memory of all its processes together, in bytes.
    pub(crate) memory: u64,
}

impl Shell {
    pub(crate) fn new(home: &Path) -> Self {
        Self {
            home: home.to_owned(),
        }
    }

    /// The folder that everything lies in.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// A new, empty folder.
    pub(crate) fn fresh(&self, name: &str) -> PathBuf {
        let folder = self.home.join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("made");
        folder
    }

    fn command(&self, folder: &Path, line: &str, version: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-ec", line]).current_dir(folder);
        command
            .env("HOME", &self.home)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("MVC", env!("CARGO_BIN_EXE_mvc"))
            .env("V", version)
            .env("STORE", "../store")
            .env("RESTIC_REPOSITORY", "../store")
            .env("RESTIC_PASSWORD", "bench")
            .env("BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK", "yes")
            .env("DVC_NO_ANALYTICS", "1");
        for name in [
            "GIT_AUTHOR_NAME",
            "GIT_COMMITTER_NAME",
            "GIT_AUTHOR_EMAIL",
            "GIT_COMMITTER_EMAIL",
        ] {
            command.env(name, "bench@example.com");
        }
        command.stdin(Stdio::null());
        command
    }

    /// What a line prints; `None` where it fails.
    pub(crate) fn ask(&self, line: &str) -> Option<String> {
        let output = self.command(&self.home, line, "").output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    }

    /// Runs a line in a folder for a version, and ends everything where it fails.
    pub(crate) fn run(&self, folder: &Path, line: &str, version: &str) -> Cost {
        let log = self.home.join("log");
        let file = std::fs::File::create(&log).expect("a log");
        let mut command = self.command(folder, line, version);
        command
            .stdout(file.try_clone().expect("a log"))
            .stderr(file);
        let start = Instant::now();
        let mut child = command.spawn().expect("sh");
        let watch = Watch::start(child.id());
        let status = child.wait().expect("waited");
        let wall = start.elapsed();
        let memory = watch.peak();
        if !status.success() {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            panic!("failed in {}: {line}\n{said}", folder.display());
        }
        Cost { wall, memory }
    }

    /// A line and the time until the disk has what it wrote; what was written before is there already, and all of
    /// the folder and the store was just read: a system that takes memory back from files which nobody reads
    /// would else have some tools read the disk, and those that wrote last not.
    pub(crate) fn time(&self, folder: &Path, line: &str, version: &str) -> Cost {
        self.run(folder, "sync -f .", "");
        let store = folder.join("../store");
        read_all(folder);
        if store.is_dir() {
            read_all(&store);
        }
        self.run(folder, &format!("{line}\nsync -f ."), version)
    }
}

/// Reads every file below a folder.
fn read_all(folder: &Path) {
    let mut buffer = vec![0; 1 << 20];
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        match entry.file_type().expect("a type") {
            kind if kind.is_dir() => read_all(&entry.path()),
            kind if kind.is_file() => {
                let mut file = std::fs::File::open(entry.path()).expect("a file");
                while file.read(&mut buffer).expect("readable") > 0 {}
            }
            _ => {}
        }
    }
}
