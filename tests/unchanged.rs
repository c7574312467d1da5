//! What a command costs goes by what changed: a file that is as it was is not read, and neither is its sidecar.

use std::time::Duration;

use mvc::base::Fs;
use mvc::base::progress::Silent;
use mvc::ops::{Result, Workspace, add, checkout, commit, du, status};

use crate::support::{Sandbox, Weights};

/// A sidecar of these is longer than what is read of other files for one small file.
fn large(seed: u64) -> Vec<u8> {
    let long = "x".repeat(2000);
    let name = |at: u64| format!("{at}.{long}");
    let weights = (0..800).fold(Weights::seeded(seed), |all, at| all.f32(&name(at), &[4]));
    weights.bytes()
}

fn small(seed: u64) -> Vec<u8> {
    Weights::small(seed).bytes()
}

/// Two versions in which a small file changed, and so many large ones that did not.
fn beside(others: u64) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.mvc(&["init", "--no-hooks"]).ok();
    sandbox.mvc(&["track", "*.safetensors"]).ok();
    for other in 0..others {
        sandbox.write(format!("{other}.safetensors"), large(other));
    }
    for version in 1..=2 {
        sandbox.write("small.safetensors", small(version));
        sandbox.mvc(&["commit", "-q", "-m", "version"]).ok();
        settle(&sandbox);
    }
    sandbox
}

/// What was written as late as git's index is read again, for it may have changed unseen. Git looks at it once more when
/// it refreshes the index, as `git status` does.
fn settle(sandbox: &Sandbox) {
    std::thread::sleep(Duration::from_millis(50));
    sandbox.git(&["update-index", "-q", "--refresh"]).ok();
}

/// How many sidecars are read by an act.
fn read_by(sandbox: &Sandbox, act: impl Fn(&Workspace) -> Result<()>) -> usize {
    let ws = sandbox.workspace(Fs::new()).expect("a repository");
    act(&ws).unwrap_or_else(|e| panic!("{e}"));
    ws.sidecars_read()
}

fn commit(ws: &Workspace) -> Result<()> {
    let options = commit::Options {
        message: Some("next".to_owned()),
        ..commit::Options::default()
    };
    let report = commit::run(ws, &options, &Silent)?;
    assert_eq!(report.weights.len(), 1, "only what changed");
    Ok(())
}

fn back(ws: &Workspace) -> Result<()> {
    let options = checkout::Options {
        revision: Some("HEAD~1".to_owned()),
        ..checkout::Options::default()
    };
    checkout::run(ws, &options, &Silent).map(drop)
}

#[test]
fn sidecars_of_unchanged_files_are_not_read() {
    let [few, many] = [1, 4].map(|others| {
        let sandbox = beside(others);
        let clean = read_by(&sandbox, |ws| status::run(ws, &Silent).map(drop));
        sandbox.write("small.safetensors", small(3));
        let dirty = read_by(&sandbox, |ws| status::run(ws, &Silent).map(drop));
        let committed = read_by(&sandbox, commit);
        settle(&sandbox);
        let back = read_by(&sandbox, back);
        assert_eq!(sandbox.read("small.safetensors"), small(2));
        [clean, dirty, committed, back]
    });
    assert_eq!(few, many, "status, status, commit, checkout");
}

#[test]
fn du_reads_each_sidecar_once_however_many_versions_have_it() {
    let [few, many] = [1, 4].map(|others| {
        let sandbox = beside(others);
        read_by(&sandbox, |ws| {
            du::run(ws, &du::Options::default()).map(drop)
        })
    });
    // Of the small file there are two.
    assert_eq!([few, many], [1 + 2, 4 + 2]);
    let sandbox = beside(2);
    let report = du::run(
        &sandbox.workspace(Fs::new()).expect("a repository"),
        &du::Options::default(),
    );
    let report = report.expect("added up");
    let [newer, older] = &report.versions[..] else {
        panic!("{report:?}");
    };
    assert_eq!(newer.raw, older.raw);
    assert!(newer.added < older.added / 2, "{report:?}");
}

#[test]
fn objects_that_are_gone_are_stored_again_although_their_file_did_not_change() {
    let sandbox = beside(1);
    for pack in sandbox.packs() {
        sandbox.remove(pack);
    }
    // As a commit does; `mvc add` reads all that the store has, and asks nothing of what is remembered.
    let options = add::Options::default();
    read_by(&sandbox, |ws| {
        add::run(ws, &[".".to_owned()], &options, &Silent).map(drop)
    });
    sandbox.remove("0.safetensors");
    sandbox.mvc(&["restore", "0.safetensors"]).ok();
    assert_eq!(sandbox.read("0.safetensors"), large(0));
}

#[test]
fn a_sidecar_that_was_edited_is_read_although_its_length_and_time_are_the_same() {
    let sandbox = beside(1);
    let path = sandbox.path("0.safetensors.mvc");
    let looked = || read_by(&sandbox, |ws| status::run(ws, &Silent).map(drop));
    let clean = looked();
    let before = path.metadata().and_then(|stat| stat.modified());
    let text = sandbox.text("0.safetensors.mvc");
    std::fs::write(&path, text.replacen("mvc ", "mwc ", 1)).expect("written");
    let file = std::fs::File::options().write(true).open(&path);
    let set = file.and_then(|file| file.set_modified(before?));
    set.expect("its time again");
    assert_eq!(looked(), clean + 1);
}
