//! Every call to the disk fails once, and once the process dies there.
//!
//! Whatever happens: no committed version and no uncommitted weights are lost, git finds nothing wrong, and the
//! same command, given again, does its work.

#![expect(
    clippy::print_stdout,
    reason = "figures for whoever reads the log of the run"
)]

use std::io::ErrorKind;
use std::sync::Arc;

use mvc::base::Fs;
use mvc::base::progress::Silent;
use mvc::ops::{Result, Workspace, add, checkout, commit, gc, restore, status, track, verify};

use crate::support::{Disk, Sandbox, seeded};

/// One operation, the state it starts from, and what holds when it is done.
struct Story {
    name: &'static str,
    before: fn() -> Sandbox,
    act: fn(&Workspace) -> Result<()>,
    /// What `model.safetensors` may hold after a failure, and what it holds in the end.
    during: &'static [u64],
    after: u64,
    /// Whether nothing differs from HEAD in the end.
    clean: bool,
}

fn dirty() -> Sandbox {
    let sandbox = Sandbox::three();
    sandbox.write("model.safetensors", seeded(9));
    sandbox
}

fn in_git() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.mvc(&["init", "--no-hooks"]).ok();
    sandbox.write("model.safetensors", seeded(9));
    sandbox.git(&["add", "."]).ok();
    sandbox.git(&["commit", "--quiet", "-m", "in git"]).ok();
    sandbox
}

/// A pack that nothing needs, one of which a part is needed, and something old in the trash.
fn littered() -> Sandbox {
    let sandbox = Sandbox::three();
    let lose = |branch: &str| {
        sandbox.git(&["branch", "--quiet", "-D", branch]).ok();
        sandbox.forget();
    };
    let side = |branch: &str, files: &[(&str, u64)]| {
        sandbox.git(&["switch", "--quiet", "-c", branch]).ok();
        files
            .iter()
            .for_each(|(name, seed)| sandbox.write(name, seeded(*seed)));
        sandbox.mvc(&["commit", "-m", branch]).ok();
        sandbox.mvc(&["checkout", "main"]).ok();
    };
    side("a", &[("model.safetensors", 4)]);
    lose("a");
    sandbox
        .mvc(&["gc", "--prune", "--grace", "0"])
        .ok()
        .prints("put 1 pack");
    side("b", &[("model.safetensors", 5)]);
    side("c", &[("model.safetensors", 6), ("other.safetensors", 7)]);
    sandbox.write("other.safetensors", seeded(7));
    sandbox.mvc(&["commit", "-m", "other"]).ok();
    lose("b");
    lose("c");
    sandbox
}

const STORIES: [Story; 8] = [
    Story {
        name: "add",
        before: dirty,
        act: |ws| {
            add::run(
                ws,
                &["model.safetensors".into()],
                &add::Options::default(),
                &Silent,
            )
            .map(drop)
        },
        during: &[9],
        after: 9,
        clean: false,
    },
    Story {
        name: "commit",
        before: dirty,
        act: |ws| {
            let options = commit::Options {
                message: Some("fourth".into()),
                metrics: vec![("accuracy".into(), "0.5".into())],
                ..Default::default()
            };
            commit::run(ws, &options, &Silent).map(drop)
        },
        during: &[9],
        after: 9,
        clean: true,
    },
    Story {
        name: "checkout",
        before: Sandbox::three,
        act: |ws| {
            let options = checkout::Options {
                revision: Some("v1".into()),
                ..Default::default()
            };
            checkout::run(ws, &options, &Silent).map(drop)
        },
        during: &[3, 1],
        after: 1,
        clean: true,
    },
    Story {
        name: "checkout --force",
        before: dirty,
        act: |ws| {
            let options = checkout::Options {
                revision: Some("v1".into()),
                force: true,
                ..Default::default()
            };
            checkout::run(ws, &options, &Silent).map(drop)
        },
        during: &[9, 1],
        after: 1,
        clean: true,
    },
    Story {
        name: "restore",
        before: dirty,
        act: |ws| {
            let options = restore::Options {
                paths: vec![".".into()],
                source: None,
            };
            restore::run(ws, &options, &Silent).map(drop)
        },
        during: &[9, 3],
        after: 3,
        clean: true,
    },
    Story {
        name: "track --move",
        before: in_git,
        act: |ws| {
            let options = track::Options {
                patterns: vec!["*.safetensors".into()],
                take_over: true,
            };
            track::run(ws, &options, &Silent).map(drop)
        },
        during: &[9],
        after: 9,
        clean: false,
    },
    Story {
        name: "gc",
        before: littered,
        act: |ws| {
            let options = gc::Options {
                prune: true,
                grace: std::time::Duration::ZERO,
                repack: false,
            };
            gc::run(ws, &options, &Silent).map(drop)
        },
        during: &[3],
        after: 3,
        clean: true,
    },
    Story {
        name: "gc --repack",
        before: littered,
        act: |ws| {
            let options = gc::Options {
                prune: true,
                grace: std::time::Duration::ZERO,
                repack: true,
            };
            gc::run(ws, &options, &Silent).map(drop)
        },
        during: &[3],
        after: 3,
        clean: true,
    },
];

/// A sandbox in the state that the story starts from; stamps and index know its files.
fn fresh(story: &Story, template: &Sandbox) -> Sandbox {
    let sandbox = template.copied();
    sandbox.git(&["status"]).ok();
    let ws = sandbox.workspace(Fs::new()).expect("a repository");
    status::run(&ws, &Silent).unwrap_or_else(|e| panic!("{}: {e}", story.name));
    sandbox
}

/// Every object of every version is there and whole.
#[track_caller]
fn assert_verified(sandbox: &Sandbox, name: &str) {
    let ws = sandbox.workspace(Fs::new()).expect("a repository");
    let report = verify::run(&ws, &verify::Scope::All, &Silent);
    let problems = report.map(|report| format!("{:?}", report.problems));
    assert!(
        matches!(problems.as_deref(), Ok("[]")),
        "{name}: {problems:?}"
    );
}

/// Runs the story on a failing disk, then again on one that works; true if it failed.
fn tell(story: &Story, disk: &Arc<Disk>, what: &str, sandbox: &Sandbox) -> bool {
    let act = |fs| sandbox.workspace(fs).and_then(|ws| (story.act)(&ws));
    let failed = act(disk.fs()).is_err();
    let name = format!("{}, {what}", story.name);
    // Nothing was lost: neither what lay there, nor what was committed.
    let bytes = sandbox.read("model.safetensors");
    let known = |seed: &u64| seeded(*seed) == bytes;
    assert!(
        story.during.iter().any(known),
        "{name}: the weights are neither old nor new"
    );
    assert_verified(sandbox, &name);
    let again = act(Fs::new()).err().map(|e| e.to_string());
    assert_eq!(again, None, "{name}: again");
    sandbox.assert_seed("model.safetensors", story.after);
    assert_verified(sandbox, &name);
    let report = sandbox
        .workspace(Fs::new())
        .and_then(|ws| status::run(&ws, &Silent))
        .unwrap_or_else(|e| panic!("{name}: {e}"));
    sandbox.assert_seed("model.safetensors", story.after);
    assert!(report.changed.is_empty(), "{name}: {:?}", report.changed);
    assert_eq!(report.is_clean(), story.clean, "{name}: {report:?}");
    let fsck = sandbox.git(&["fsck", "--strict", "--no-dangling"]).ok();
    assert_eq!(fsck.stderr, "", "{name}");
    if story.name.starts_with("checkout") {
        assert_eq!(sandbox.rev("HEAD"), sandbox.rev("v1"), "{name}");
    }
    failed
}

fn every_point(story: &Story) {
    let template = (story.before)();
    let sandbox = fresh(story, &template);
    let disk = Disk::counting();
    let done = sandbox.workspace(disk.fs()).and_then(|ws| (story.act)(&ws));
    done.unwrap_or_else(|e| panic!("{}: {e}", story.name));
    let calls = disk.calls();
    let mut failures = 0;
    for (number, call) in calls.iter().enumerate() {
        let full = Disk::failing_at(number, ErrorKind::StorageFull);
        let what = format!("full at {number}: {call:?}");
        failures += usize::from(tell(story, &full, &what, &fresh(story, &template)));
        let dead = Disk::dead_from(number);
        let what = format!("dead from {number}: {call:?}");
        tell(story, &dead, &what, &fresh(story, &template));
    }
    let count = calls.len();
    println!(
        "{}: {count} calls to the disk, {failures} of which fail the command",
        story.name
    );
    assert!(count > 3 && failures > 0);
}

#[test]
fn add_survives_every_fault() {
    every_point(&STORIES[0]);
}

#[test]
fn commit_survives_every_fault() {
    every_point(&STORIES[1]);
}

#[test]
fn checkout_survives_every_fault() {
    every_point(&STORIES[2]);
}

#[test]
fn forced_checkout_survives_every_fault() {
    every_point(&STORIES[3]);
}

#[test]
fn restore_survives_every_fault() {
    every_point(&STORIES[4]);
}

#[test]
fn taking_over_survives_every_fault() {
    every_point(&STORIES[5]);
}

#[test]
fn gc_survives_every_fault() {
    every_point(&STORIES[6]);
}

#[test]
fn a_repack_survives_every_fault() {
    every_point(&STORIES[7]);
}

#[test]
fn a_full_disk_says_so() {
    let sandbox = dirty();
    let disk = Disk::refusing(mvc::base::fs::Op::Write, ErrorKind::StorageFull);
    let error = sandbox
        .workspace(disk.fs())
        .and_then(|ws| (STORIES[1].act)(&ws))
        .expect_err("nothing can be written");
    assert_eq!(mvc::base::Failure::kind(&error), mvc::base::Kind::Io);
    let hint = mvc::base::Failure::hint(&error).unwrap_or_default();
    assert!(hint.contains("free some space"), "{hint}");
    sandbox.assert_seed("model.safetensors", 9);
    assert_eq!(sandbox.git(&["status", "--porcelain"]).ok().stdout, "");
}
