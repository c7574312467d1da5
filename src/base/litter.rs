//! Temporary files that a killed process left: told from those that somebody still writes, and removed.
//!
//! A temporary file's name says which process of which machine made it. On this machine a process that is gone will
//! not come back for it; of another machine, which may share the disk, only age can tell.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Fs;
use super::fs::{Result, TEMP_PREFIX};

/// A file of another machine that nobody wrote to for so long is nobody's.
const FORGOTTEN: Duration = Duration::from_secs(24 * 60 * 60);

/// A name that no other temporary file has: machine, process, number and clock.
pub(super) fn name() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let clock = std::time::UNIX_EPOCH
        .elapsed()
        .map_or(0, |t| t.subsec_nanos());
    let process = std::process::id();
    format!("{TEMP_PREFIX}{}-{process}-{number}-{clock:x}", machine())
}

/// This machine's name as a few hex digits: names may hold anything, and a container has one of its own.
fn machine() -> String {
    let system = rustix::system::uname();
    let name = system.nodename().to_bytes();
    let mixed = name.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{:08x}", mixed as u32)
}

/// Removes what dead processes left in a folder, and says how many files that were. A folder that is not there has
/// none; a file that cannot be removed is left to the next one who looks.
pub fn sweep(fs: &Fs, folder: &Path) -> Result<usize> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(0);
    };
    let mut removed = 0;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(maker) = name
            .to_str()
            .and_then(|name| name.strip_prefix(TEMP_PREFIX))
        else {
            continue;
        };
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && is_abandoned(maker, &entry) {
            fs.remove_file(&entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn is_abandoned(maker: &str, entry: &std::fs::DirEntry) -> bool {
    let mut parts = maker.split('-');
    let process = match (parts.next(), parts.next()) {
        (Some(made), Some(process)) if made == machine() => process.parse::<u32>().ok(),
        _ => None,
    };
    match process {
        Some(process) => process != std::process::id() && !is_alive(process),
        None => {
            let age = entry.metadata().and_then(|stat| stat.modified());
            let age = age.ok().and_then(|time| time.elapsed().ok());
            age.is_some_and(|age| age > FORGOTTEN)
        }
    }
}

fn is_alive(process: u32) -> bool {
    let process = i32::try_from(process).ok();
    let Some(process) = process.and_then(rustix::process::Pid::from_raw) else {
        return false;
    };
    // Of another user's process the system says that it may not be signalled: it is there.
    rustix::process::test_kill_process(process) != Err(rustix::io::Errno::SRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_dead_process_left_is_removed() {
        let dir = tempfile::tempdir().expect("a temp folder");
        let mut child = std::process::Command::new("true").spawn().expect("run");
        let dead = child.id();
        child.wait().expect("ended");
        let own = name();
        let here = machine();
        let kept = [
            own.clone(),
            format!("{TEMP_PREFIX}{here}-1-0-0"), // of a process that runs
            format!("{TEMP_PREFIX}deadbeef-{dead}-0-0"), // of another machine, and young
            format!("{TEMP_PREFIX}aside-model.pth"), // of no process at all
            "model.safetensors".to_owned(),
        ];
        let gone = format!("{TEMP_PREFIX}{here}-{dead}-0-0");
        for name in kept.iter().chain([&gone]) {
            std::fs::write(dir.path().join(name), b"x").expect("written");
        }
        assert_eq!(sweep(&Fs::new(), dir.path()).expect("swept"), 1);
        for name in &kept {
            assert!(dir.path().join(name).exists(), "{name}");
        }
        assert!(!dir.path().join(gone).exists());
        let nowhere = dir.path().join("none");
        assert_eq!(sweep(&Fs::new(), &nowhere).expect("nothing"), 0);
    }
}
