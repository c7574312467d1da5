//! The private memory of a process and of all that it started, looked at while they run.
//!
//! `RssAnon` is what a process cannot give back without swapping: pages of files, which VmHWM counts too, are the
//! kernel's to drop. A peak between two looks is missed; looks are 5 ms apart.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A look at a process every few milliseconds.
pub(crate) struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Watch {
    pub(crate) fn start(process: u32) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let told = over.clone();
        let thread = std::thread::spawn(move || {
            let mut peak = 0;
            while !told.load(Ordering::Relaxed) {
                peak = peak.max(private(process));
                std::thread::sleep(Duration::from_millis(5));
            }
            peak
        });
        Self { over, thread }
    }

    /// Bytes.
    pub(crate) fn peak(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("no panic")
    }
}

/// Bytes of a process and of those below it; 0 for one that is gone.
fn private(process: u32) -> u64 {
    let read = |path: String| std::fs::read_to_string(path).unwrap_or_default();
    let status = read(format!("/proc/{process}/status"));
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    let mut bytes = kib.unwrap_or(0) << 10;
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else {
        return bytes;
    };
    for thread in threads.flatten() {
        let children = read(format!("{}/children", thread.path().display()));
        bytes += children
            .split_whitespace()
            .filter_map(|child| child.parse().ok())
            .map(private)
            .sum::<u64>();
    }
    bytes
}
