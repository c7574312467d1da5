//! Files that lose their names to others.

use std::fs::File;
use std::path::Path;

use rustix::fs::{Advice, Mode, OFlags};

/// To free a shorter file costs no more than to hold on to it.
const LARGE: u64 = 16 << 20;

/// Files whose names are being taken, held so that this is quick: to free gigabytes takes the system a good part of a
/// second, in whichever call lets go of a file last. They have no names then, so that a process that dies leaves none.
#[derive(Debug, Default)]
pub struct Outgoing {
    files: Vec<File>,
}

impl Outgoing {
    /// Holds on to what lies at `path`, if it is a large file. What cannot be opened is freed by who takes its name.
    pub fn hold(&mut self, path: &Path) {
        self.files.extend(large(path));
    }

    /// Lets go of all of them, by several threads.
    pub fn free(mut self, threads: usize) {
        let each = self.files.len().div_ceil(threads.max(1)).max(1);
        std::thread::scope(|scope| {
            while self.files.len() > each {
                let some = self.files.split_off(self.files.len() - each);
                scope.spawn(move || drop(some));
            }
            self.files.clear();
        });
    }
}

/// Lets the system forget what it has in memory of a large file that is about to be replaced, and not read before
/// that: so the new one finds room there, and nothing else has to make some. Only what the disk has too is forgotten.
pub fn forget(path: &Path) {
    if let Some(file) = large(path) {
        // A hint: without it all goes the same way.
        let _ = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed);
    }
}

/// What lies at `path`, if it is a large file. Whatever comes to lie there meanwhile: no link is followed, and no pipe
/// waited for.
fn large(path: &Path) -> Option<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map(File::from);
    file.ok().filter(|file| {
        let stat = file.metadata();
        stat.is_ok_and(|stat| stat.is_file() && stat.len() >= LARGE)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_files_are_held_until_they_are_freed() {
        let dir = tempfile::tempdir().expect("a temp folder");
        let path = |name: &str| dir.path().join(name);
        let lengths = [LARGE, LARGE - 1, LARGE + 1, LARGE];
        for (at, len) in lengths.into_iter().enumerate() {
            let file = File::create(path(&at.to_string())).expect("created");
            file.set_len(len).expect("long");
        }
        std::os::unix::fs::symlink(path("0"), path("link")).expect("linked");
        let mut outgoing = Outgoing::default();
        for name in ["0", "1", "2", "3", "link", "missing", "."] {
            outgoing.hold(&path(name));
        }
        let mut held: Vec<u64> = Vec::new();
        for file in &outgoing.files {
            held.push(file.metadata().expect("open").len());
        }
        assert_eq!(held, [LARGE, LARGE + 1, LARGE]);
        for threads in [0, 1, 2, 3, 64] {
            let mut outgoing = Outgoing::default();
            for _ in 0..5 {
                outgoing.hold(&path("0"));
            }
            outgoing.free(threads);
        }
    }
}
