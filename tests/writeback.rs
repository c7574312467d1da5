//! The disk refuses what it was asked for while the rest was still being written.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mvc::base::fs::{Faults, Op};
use mvc::base::progress::Silent;
use mvc::base::{Failure, Fs, Kind};
use mvc::ops::{Error, Workspace, checkout, commit};

use crate::support::{Sandbox, Weights, seeded};

/// More than is written before the disk is asked for it.
const MIB: usize = 96;

/// Refuses the first sync of a file in a folder, and lets nobody write more than most of one before that.
struct RefusesEarly {
    folder: PathBuf,
    writes: AtomicUsize,
    refused: AtomicBool,
    renames: Mutex<Vec<PathBuf>>,
}

impl RefusesEarly {
    fn of(folder: PathBuf) -> Arc<Self> {
        Arc::new(Self {
            folder,
            writes: AtomicUsize::new(0),
            refused: AtomicBool::new(false),
            renames: Mutex::default(),
        })
    }

    /// What got its name, of the files in a folder.
    fn renames(&self, folder: &Path) -> Vec<PathBuf> {
        let mut renames = self
            .renames
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        renames.retain(|path| path.parent() == Some(folder));
        renames
    }
}

impl Faults for RefusesEarly {
    fn before(&self, op: Op, path: &Path) -> io::Result<()> {
        if op == Op::Rename {
            let mut renames = self.renames.lock().unwrap_or_else(PoisonError::into_inner);
            renames.push(path.to_owned());
        }
        if path.parent() != Some(&self.folder) {
            return Ok(());
        }
        match op {
            Op::Sync if !self.refused.swap(true, Ordering::SeqCst) => {
                Err(ErrorKind::StorageFull.into())
            }
            // By megabytes, and few threads are at it at once.
            Op::Write if self.writes.fetch_add(1, Ordering::SeqCst) >= MIB - 16 => {
                let start = Instant::now();
                while !self.refused.load(Ordering::SeqCst) {
                    if start.elapsed() > Duration::from_secs(60) {
                        return Err(io::Error::other("nobody asked the disk"));
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn assert_full(error: &Error) {
    assert_eq!(error.kind(), Kind::Io, "{error}");
    let hint = error.hint().unwrap_or_default();
    assert!(hint.contains("free some space"), "{error}: {hint}");
}

#[test]
fn what_the_disk_refuses_early_gets_no_name() {
    let mut state = 1u64;
    let noise = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    });
    let bytes: Vec<u8> = noise
        .take(MIB << 17)
        .flat_map(|number| number.to_le_bytes())
        .collect();
    let large = Weights::seeded(1)
        .raw("noise", "U8", &[bytes.len() as u64], bytes)
        .bytes();
    let sandbox = Sandbox::new();
    sandbox.mvc(&["init", "--no-hooks"]).ok();
    sandbox.mvc(&["track", "*.safetensors"]).ok();
    sandbox.write("model.safetensors", &large);
    let commit = |fs| {
        let options = commit::Options {
            message: Some("large".into()),
            all: true,
            ..Default::default()
        };
        let ws: Workspace = sandbox.workspace(fs)?;
        commit::run(&ws, &options, &Silent)
    };
    let store = sandbox.path(".git/mvc");
    let disk = RefusesEarly::of(store.join("tmp"));
    assert_full(&commit(Fs::with_faults(disk.clone())).expect_err("the disk is full"));
    assert_eq!(disk.renames(&store.join("packs")), [] as [PathBuf; 0]);
    commit(Fs::new()).expect("committed");
    sandbox.git(&["tag", "large"]).ok();

    sandbox.write("model.safetensors", seeded(2));
    sandbox.mvc(&["commit", "-a", "-m", "small"]).ok();
    let checkout = |fs| {
        let options = checkout::Options {
            revision: Some("large".into()),
            ..Default::default()
        };
        let ws: Workspace = sandbox.workspace(fs)?;
        checkout::run(&ws, &options, &Silent)
    };
    let disk = RefusesEarly::of(sandbox.dir().to_owned());
    assert_full(&checkout(Fs::with_faults(disk.clone())).expect_err("the disk is full"));
    assert_eq!(disk.renames(sandbox.dir()), [] as [PathBuf; 0]);
    sandbox.assert_seed("model.safetensors", 2);
    checkout(Fs::new()).expect("checked out");
    assert!(sandbox.read("model.safetensors") == large);
}
