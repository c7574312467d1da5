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
use mvc::ops::{Result, Workspace, add, checkout, commit, restore, track};

use crate::support::{Disk, Sandbox, seeded};

/// One operation, the state it starts from, and what holds when it is done.
struct Story {
    name: &'static str,
    before: fn() -> Sandbox,
    act: fn(&Workspace) -> Result<()>,
    /// What `model.safetensors` may hold after a failure, and what it holds in the end.
    during: &'static [u64],
    after: u64,
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

const STORIES: [Story; 6] = [
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
    },
];

fn tell(story: &Story, disk: &Arc<Disk>, what: &str, sandbox: &Sandbox) -> bool {
    let failed = sandbox
        .workspace(disk.fs())
        .and_then(|ws| (story.act)(&ws))
        .is_err();
    let name = format!("{}, {what}", story.name);
    // Nothing was lost: neither what lay there, nor what was committed.
    let bytes = sandbox.read("model.safetensors");
    assert!(
        story.during.iter().any(|seed| seeded(*seed) == bytes),
        "{name}: the weights are neither old nor new"
    );
    sandbox.mvc(&["verify", "--all"]).ok();
    // The same again, on a disk that works.
    let again = sandbox.workspace(Fs::new()).and_then(|ws| (story.act)(&ws));
    let said = again.err().map(|e| format!("{e}"));
    assert!(said.is_none(), "{name}: again: {said:?}");
    sandbox.assert_seed("model.safetensors", story.after);
    sandbox.git(&["fsck", "--strict", "--no-dangling"]).ok();
    sandbox.mvc(&["verify", "--all"]).ok();
    sandbox.mvc(&["status"]).ok();
    sandbox.assert_seed("model.safetensors", story.after);
    if story.name.starts_with("checkout") {
        let head = sandbox.rev("HEAD");
        assert_eq!(head, sandbox.rev("v1"), "{name}");
        sandbox.mvc(&["status", "--exit-code"]).ok();
    }
    failed
}

fn every_point(story: &Story) {
    let sandbox = (story.before)();
    let disk = Disk::counting();
    sandbox
        .workspace(disk.fs())
        .and_then(|ws| (story.act)(&ws))
        .expect("a disk that works");
    let count = disk.count();
    let mut failures = 0;
    for number in 0..count {
        let full = Disk::failing_at(number, ErrorKind::StorageFull);
        failures += usize::from(tell(
            story,
            &full,
            &format!("full at {number}: {:?}", disk.calls()[number]),
            &(story.before)(),
        ));
        let dead = Disk::dead_from(number);
        tell(
            story,
            &dead,
            &format!("dead from {number}: {:?}", disk.calls()[number]),
            &(story.before)(),
        );
    }
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
