//! Calls a target with all its seeds, with each of them cut at every byte, with wrong numbers at its ends, with long
//! ones, and with some thousands of damaged ones, or as many as `MVC_FUZZ` says.
//!
//! A reader fails where it panics, has more memory at once than it may, or does not come back. Seeds lie in
//! `tests/fuzz/seeds`: the ones that this build makes, which a target has to accept, and bytes that a liar made or that
//! once were too much for a reader, which stay there for good.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::Target;
use super::limits::counted;
use super::mutate::{Random, lengthened, lies, mutate};

/// Damaged seeds for each target.
const DAMAGED: usize = 4000;
/// Seeds up to this length are cut at every byte, longer ones at as many places.
const CUTS: usize = 1500;
/// Seeds of which a part stands there over and over, and how long they are then: what takes the square of its length
/// of time does not come back from these.
const LONG: usize = 12;
const LENGTH: usize = 1 << 20;
/// Nothing takes so long that is not a hang, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// A seed: its name, and its bytes.
pub(crate) type Seed = (&'static str, Vec<u8>);

/// A seed as it is called here, and whether it has to be accepted.
type Kept = (String, Vec<u8>, bool);

/// Holds a target to what it promises. `made` is real output that it has to accept.
pub(crate) fn check(target: &'static Target, made: Vec<Seed>) {
    watched(target, with_kept(target, made), PATIENCE);
}

/// Fails where nothing is done with a call for so long.
fn watched(target: &'static Target, seeds: Vec<Kept>, patience: Duration) {
    let (says, hears) = channel();
    let worker = std::thread::Builder::new()
        .name(format!("fuzz {}", target.name))
        .spawn(move || all(target, &seeds, &says))
        .expect("a thread");
    let mut last = String::from("the first seed");
    loop {
        match hears.recv_timeout(patience) {
            Ok(next) => last = next,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                panic!("`{}` does not come back from {last}", target.name)
            }
        }
    }
    if let Err(panic) = worker.join() {
        std::panic::resume_unwind(panic);
    }
}

/// The seeds of this build and those of the folder, and whether each has to be accepted.
fn with_kept(target: &Target, made: Vec<Seed>) -> Vec<Kept> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/seeds")
        .join(target.name);
    assert!(!made.is_empty(), "`{}` has no seed", target.name);
    let mut seeds = Vec::new();
    for (name, bytes) in made {
        let file = folder.join(name);
        if std::env::var_os("SNAPSHOTS").is_some_and(|how| how == "overwrite") {
            std::fs::create_dir_all(&folder).expect("a folder of seeds");
            std::fs::write(&file, &bytes).expect("a seed is written");
        }
        assert!(
            file.is_file(),
            "{} is missing: `SNAPSHOTS=overwrite cargo test --lib` writes it",
            file.display()
        );
        seeds.push((format!("{name}, as made now"), bytes, true));
    }
    let kept = std::fs::read_dir(&folder).expect("a folder of seeds");
    for entry in kept {
        let path = entry.expect("listed").path();
        let bytes = std::fs::read(&path).expect("a seed");
        let name = path.file_name().expect("a file").to_string_lossy();
        let made = format!("{name}, as made now");
        let known = |(other, same, _): &Kept| *other == made && *same == bytes;
        if !seeds.iter().any(known) {
            // What an older build wrote is read for ever.
            let accepted = seeds.iter().any(|(other, _, _)| *other == made);
            seeds.push((name.into_owned(), bytes, accepted));
        }
    }
    // The same order on every file system.
    seeds.sort();
    seeds
}

fn all(target: &Target, seeds: &[Kept], says: &Sender<String>) {
    for (name, seed, accepted) in seeds {
        let done = one(target, seed, name, says);
        assert!(
            done || !accepted,
            "`{}` refuses its own seed {name}",
            target.name
        );
        let step = seed.len().div_ceil(CUTS).max(1);
        for at in (0..seed.len()).step_by(step) {
            one(target, &seed[..at], &format!("{name}, cut at {at}"), says);
        }
        lies(seed, &mut |at, bytes| {
            one(target, &bytes, &format!("{name}, lying at {at}"), says);
        });
    }
    let mut random = Random::named(target.name);
    for number in 0..LONG {
        let (name, seed, _) = &seeds[number % seeds.len()];
        let bytes = lengthened(seed, LENGTH, &mut random);
        one(target, &bytes, &format!("{name}, long {number}"), says);
    }
    let damaged = std::env::var("MVC_FUZZ").ok().and_then(|n| n.parse().ok());
    for number in 0..damaged.unwrap_or(DAMAGED) {
        let (name, seed, _) = &seeds[number % seeds.len()];
        let (_, other, _) = &seeds[random.below(seeds.len())];
        let mut bytes = seed.clone();
        mutate(&mut bytes, other, &mut random);
        one(target, &bytes, &format!("{name}, damage {number}"), says);
    }
}

fn one(target: &Target, bytes: &[u8], what: &str, says: &Sender<String>) -> bool {
    let shown = || bytes[..bytes.len().min(4096)].escape_ascii().to_string();
    // Who listens is gone only where the test has failed already.
    let _ = says.send(format!("{what}: {}", shown()));
    let (most, done) = counted(|| catch_unwind(AssertUnwindSafe(|| (target.run)(bytes))));
    let done = done.unwrap_or_else(|_| {
        panic!("`{}` panics at {what}: {}", target.name, shown());
    });
    let limit = (target.memory)(bytes);
    assert!(
        most <= limit,
        "`{}` has {most} bytes at once, of {limit}, at {what}: {}",
        target.name,
        shown()
    );
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caught(target: &'static Target, bytes: &[u8]) -> String {
        let (says, _hears) = channel();
        let failed = catch_unwind(|| one(target, bytes, "here", &says)).expect_err("it fails");
        failed.downcast_ref::<String>().cloned().unwrap_or_default()
    }

    #[test]
    fn what_a_reader_must_not_do_is_seen() {
        static GREEDY: Target = Target {
            name: "greedy",
            run: |bytes| vec![0u8; usize::from(bytes[0]) << 10].len() == 1,
            memory: |bytes| (1 << 10) + bytes.len(),
        };
        let (says, _hears) = channel();
        assert!(!one(&GREEDY, &[1], "good", &says));
        assert!(
            caught(&GREEDY, &[2]).contains("`greedy` has 2048 bytes at once, of 1025, at here")
        );
        assert!(caught(&GREEDY, &[]).contains("`greedy` panics at here"));
    }

    #[test]
    fn what_does_not_come_back_is_seen() {
        static SLOW: Target = Target {
            name: "slow",
            run: |_| {
                std::thread::sleep(Duration::from_secs(2));
                true
            },
            memory: |_| 0,
        };
        let seeds = vec![("a".to_owned(), b"x".to_vec(), true)];
        let failed = catch_unwind(|| watched(&SLOW, seeds, Duration::from_millis(20)));
        let failed = failed.expect_err("it fails");
        let told = failed.downcast_ref::<String>().cloned();
        assert_eq!(told.as_deref(), Some("`slow` does not come back from a: x"));
    }

    #[test]
    fn damage_is_the_same_at_every_run() {
        let damaged = || {
            let mut random = Random::named("x");
            let damage = |_| {
                let mut bytes = b"tensor \"a\" F32 2x3 24".to_vec();
                mutate(&mut bytes, b"other", &mut random);
                bytes
            };
            (0..1000).map(damage).collect::<Vec<_>>()
        };
        let once = damaged();
        assert_eq!(once, damaged());
        let different: std::collections::HashSet<_> = once.iter().collect();
        assert!(different.len() > 900, "{}", different.len());
    }
}
