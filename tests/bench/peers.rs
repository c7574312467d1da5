//! mvc beside git-lfs and `cp`, on a real model, as ratios of one run.
//!
//! `cargo bench --bench peers` prints a table. Every step ends with `sync -f .`, on all sides, since git-lfs itself
//! never syncs; the sides take turns, so that a machine that gets slower does so for all of them. It needs git-lfs
//! (the Debian package `git-lfs`), `sync`, and MiniLM v1 and v2: `MVC_MINILM` names the folder of v1, and
//! `../shared/workload/minilm/v2.safetensors` is v2. What is missing is said, and its rows are left out.

#![expect(
    clippy::print_stdout,
    reason = "a benchmark reports to whoever runs it"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 5;

fn main() {
    let Some((v1, v2)) = models() else { return };
    let scratch = tempfile::tempdir().expect("a folder to work in");
    let bench = Bench {
        home: scratch.path().to_owned(),
    };
    let lfs = bench.quiet(scratch.path(), "git lfs version").is_some();
    if !lfs {
        println!("git-lfs is missing: its columns are left out");
    }
    println!(
        "{} of {}, median of {ROUNDS}, walls in ms",
        size(&v1),
        v1.display()
    );
    first_commit(&bench, &v1, lfs);
    checkout(&bench, &v1, &v2, lfs);
    status(&bench, &v1);
    memory(&bench, &v1);
}

/// MiniLM v1 and its fine-tune.
fn models() -> Option<(PathBuf, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fetched = Path::new(env!("CARGO_TARGET_TMPDIR")).join("minilm-v1");
    let folder = std::env::var_os("MVC_MINILM").map_or(fetched, PathBuf::from);
    let v1 = folder.join("model.safetensors");
    let v2 = root.join("../shared/workload/minilm/v2.safetensors");
    for file in [&v1, &v2] {
        if !file.is_file() {
            println!("{} is missing: nothing to measure", file.display());
            return None;
        }
    }
    Some((v1, v2))
}

struct Bench {
    home: PathBuf,
}

impl Bench {
    fn command(&self, folder: &Path, line: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-ec", line]).current_dir(folder);
        command
            .env("HOME", &self.home)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("MVC", env!("CARGO_BIN_EXE_mvc"));
        for name in [
            "GIT_AUTHOR_NAME",
            "GIT_COMMITTER_NAME",
            "GIT_AUTHOR_EMAIL",
            "GIT_COMMITTER_EMAIL",
        ] {
            command.env(name, "bench@example.com");
        }
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .stdin(Stdio::null());
        command
    }

    /// Runs a line of shell; `None` where it fails.
    fn quiet(&self, folder: &Path, line: &str) -> Option<()> {
        self.command(folder, line)
            .status()
            .ok()
            .filter(|status| status.success())
            .map(drop)
    }

    fn must(&self, folder: &Path, line: &str) {
        assert!(
            self.quiet(folder, line).is_some(),
            "failed in {}: {line}",
            folder.display()
        );
    }

    fn time(&self, folder: &Path, line: &str) -> Duration {
        let start = Instant::now();
        self.must(folder, line);
        start.elapsed()
    }

    /// A fresh folder with a copy of the model, settled on the disk.
    fn fresh(&self, name: &str, model: &Path) -> PathBuf {
        let folder = self.home.join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("made");
        std::fs::copy(model, folder.join("model.safetensors")).expect("copied");
        self.must(&folder, "sync -f .");
        folder
    }
}

fn size(path: &Path) -> String {
    let bytes = path.metadata().map_or(0, |stat| stat.len());
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

fn row(what: &str, mvc: f64, peers: &[(&str, f64)]) {
    print!("{what:<28} mvc {mvc:8.1}");
    for (name, wall) in peers {
        print!("   {name} {wall:8.1} ({:.2}x)", mvc / wall);
    }
    println!();
}

const LFS_INIT: &str = "git init -q && git lfs install --local && git lfs track '*.safetensors'";
const MVC_INIT: &str = "$MVC init && $MVC track '*.safetensors'";

fn first_commit(bench: &Bench, model: &Path, lfs: bool) {
    let (mut ours, mut theirs, mut floor) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let folder = bench.fresh("mvc", model);
        bench.must(&folder, MVC_INIT);
        ours.push(bench.time(&folder, "$MVC commit -qm v1 && sync -f ."));
        if lfs {
            let folder = bench.fresh("lfs", model);
            bench.must(&folder, LFS_INIT);
            theirs.push(bench.time(&folder, "git add . && git commit -qm v1 && sync -f ."));
        }
        let folder = bench.fresh("cp", model);
        floor.push(bench.time(&folder, "cp model.safetensors copy && sync -f ."));
    }
    let mut peers = vec![("cp", median(floor))];
    if lfs {
        peers.insert(0, ("git-lfs", median(theirs)));
    }
    row("first commit", median(ours), &peers);
}

fn checkout(bench: &Bench, v1: &Path, v2: &Path, lfs: bool) {
    let prepare = |name: &str, init: &str, commit: &str| {
        let folder = bench.fresh(name, v1);
        bench.must(&folder, init);
        bench.must(&folder, &format!("{commit} v1 && git tag v1"));
        std::fs::copy(v2, folder.join("model.safetensors")).expect("copied");
        bench.must(&folder, &format!("{commit} v2 && git tag v2 && sync -f ."));
        folder
    };
    let ours = prepare("mvc", MVC_INIT, "$MVC commit -qm");
    let theirs = lfs.then(|| prepare("lfs", LFS_INIT, "git add . && git commit -qm"));
    let (mut mvc, mut git_lfs, mut floor) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..2 * ROUNDS {
        let tag = if round % 2 == 0 { "v1" } else { "v2" };
        mvc.push(bench.time(&ours, &format!("$MVC checkout -q {tag} && sync -f .")));
        if let Some(theirs) = &theirs {
            git_lfs.push(bench.time(theirs, &format!("git checkout -q {tag} && sync -f .")));
        }
        floor.push(bench.time(
            &ours,
            "cp model.safetensors ../copy && sync -f . && rm ../copy",
        ));
    }
    let mut peers = vec![("cp", median(floor))];
    if lfs {
        peers.insert(0, ("git-lfs", median(git_lfs)));
    }
    row("checkout", median(mvc), &peers);
}

fn status(bench: &Bench, model: &Path) {
    let folder = bench.fresh("mvc", model);
    bench.must(&folder, MVC_INIT);
    bench.must(&folder, "$MVC commit -qm v1 && $MVC status && git status");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..4 * ROUNDS {
        ours.push(bench.time(&folder, "$MVC status"));
        theirs.push(bench.time(&folder, "git status"));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    row("status, unchanged", ours, &[("git", theirs)]);
    println!("{:<28} {:+.1} ms over git's own", "", ours - theirs);
}

/// Peak private memory of a commit and a checkout, of the model and of one several times as long.
fn memory(bench: &Bench, model: &Path) {
    let long = bench.home.join("long.safetensors");
    longer(&long, 512 << 20);
    for (name, model) in [("model", model), ("512 MiB of noise", long.as_path())] {
        let folder = bench.fresh("mvc", model);
        bench.must(&folder, MVC_INIT);
        let commit = peak(bench.command(&folder, "exec $MVC commit -qm v1"));
        bench.must(&folder, "rm model.safetensors");
        let restore = peak(bench.command(&folder, "exec $MVC restore -q model.safetensors"));
        println!(
            "{:<28} commit {commit} MiB, restore {restore} MiB peak RssAnon",
            name
        );
    }
}

/// A safetensors file of eight F32 tensors of noise.
fn longer(path: &Path, bytes: usize) {
    let part = bytes / 8;
    let entries: Vec<String> = (0..8)
        .map(|i| {
            let (from, to) = (i * part, (i + 1) * part);
            format!(
                "\"t{i}\":{{\"dtype\":\"F32\",\"shape\":[{}],\"data_offsets\":[{from},{to}]}}",
                part / 4
            )
        })
        .collect();
    let header = format!("{{{}}}", entries.join(","));
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    let mut state = 1u64;
    file.extend((0..bytes / 8).flat_map(|_| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state ^ state >> 33).to_le_bytes()
    }));
    std::fs::write(path, file).expect("written");
}

/// The largest RssAnon of a process while it runs, in MiB.
fn peak(mut command: Command) -> u64 {
    let mut child = command.spawn().expect("started");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().expect("waited").is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let anon = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = anon.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(1));
    }
    peak / 1024
}
