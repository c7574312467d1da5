//! The store written anew: smaller, nearer, and byte for byte what it was.

use mvc::base::Kind;
use serde_json::Value;

use crate::support::{Sandbox, Weights};

/// Weights, each version of them trained a little further than the one before.
fn versions(count: usize) -> Vec<Weights> {
    let first = Weights::seeded(1)
        .f32("a.weight", &[300, 100])
        .f32("b.weight", &[100, 100])
        .f32("b.bias", &[100]);
    let next = |weights: &Weights| Some(weights.clone().trained(1e-4));
    std::iter::successors(Some(first), next)
        .take(count)
        .collect()
}

/// Commits a file, and says which commit that is.
fn commit(sandbox: &Sandbox, name: &str, weights: &Weights) -> String {
    sandbox.write(name, weights.bytes());
    sandbox.mvc(&["add", name]).ok();
    sandbox.mvc(&["commit", "-m", name]).ok();
    sandbox.rev("HEAD")
}

/// A commit, and what a file of it holds.
type Version = (String, &'static str, Vec<u8>);

/// Six versions on `main`, and one of a second file on `side`.
fn history() -> (Sandbox, Vec<Version>) {
    let sandbox = Sandbox::keeping();
    let mut all = Vec::new();
    for weights in versions(6) {
        let id = commit(&sandbox, "model.safetensors", &weights);
        all.push((id, "model.safetensors", weights.bytes()));
    }
    sandbox.mvc(&["tag", "latest"]).ok();
    sandbox.mvc(&["branch", "side", &all[1].0]).ok();
    sandbox.mvc(&["checkout", "side"]).ok();
    let other = versions(2).remove(1).trained(1e-3);
    let id = commit(&sandbox, "other.safetensors", &other);
    all.push((id, "other.safetensors", other.bytes()));
    sandbox.mvc(&["checkout", "main"]).ok();
    (sandbox, all)
}

fn json(sandbox: &Sandbox, args: &[&str]) -> Value {
    let said = sandbox.mvc(args).ok().stdout;
    serde_json::from_str(&said).expect("JSON")
}

fn longest(heights: &Value) -> usize {
    heights.as_array().map_or(0, Vec::len)
}

#[test]
fn a_history_with_branches_is_kept_and_its_newest_versions_come_near() {
    let (sandbox, all) = history();
    let before = sandbox.tree();
    let said = json(&sandbox, &["gc", "--repack", "--json"]);
    assert_eq!(sandbox.tree(), before, "nothing was done");
    let packs = sandbox.packs().len() / 2;
    assert_eq!(said["repack"]["packs"], packs);
    assert!(longest(&said["repack"]["shallow"]) > 2, "{said}");
    sandbox
        .mvc(&["gc", "--repack"])
        .ok()
        .prints("would be written anew: `mvc gc --repack --prune` does it")
        .prints("is repacked");
    let stored = sandbox.bytes_below(".git/mvc/packs");

    let done = json(&sandbox, &["gc", "--repack", "--prune", "--json"]);
    assert!(longest(&done["repack"]["done"]["shallow"]) <= 2, "{done}");
    assert_eq!(done["trashed"]["packs"], packs);
    assert_eq!(sandbox.packs().len(), 2);
    assert!(sandbox.bytes_below(".git/mvc/packs") <= stored);
    sandbox.assert_clean();
    for (id, name, bytes) in &all {
        sandbox.mvc(&["checkout", id]).ok();
        assert!(sandbox.read(name) == *bytes, "{id}");
    }
    sandbox.mvc(&["checkout", "main"]).ok();

    for arguments in [&["gc", "--repack"][..], &["gc", "--repack", "--prune"]] {
        sandbox
            .mvc(arguments)
            .ok()
            .prints("nothing is to be repacked");
    }
    assert_eq!(sandbox.packs().len(), 2);
    // What it took away is there for two weeks.
    sandbox.mvc(&["gc", "--restore-trash"]).ok();
    assert_eq!(sandbox.packs().len() / 2, packs + 1);
    sandbox.assert_clean();
}

#[test]
fn it_takes_the_place_of_no_other_option() {
    Sandbox::new()
        .mvc(&["gc", "--repack"])
        .fails(Kind::NotARepository);
    let sandbox = Sandbox::repo();
    for arguments in [&["gc", "--repack"][..], &["gc", "--repack", "--prune"]] {
        sandbox.mvc(arguments).ok();
    }
    assert!(!sandbox.has(".git/mvc"));
    sandbox
        .mvc(&["gc", "--repack", "--restore-trash"])
        .fails(Kind::Usage);
}

#[test]
fn commits_and_checkouts_beside_it_lose_nothing() {
    const WORKERS: usize = 2;
    const ROUNDS: usize = 4;
    let (sandbox, _) = history();
    let mvc = std::path::Path::new(env!("CARGO_BIN_EXE_mvc"));
    let mut work = Vec::new();
    for worker in 0..WORKERS {
        let name = format!("worker-{worker}");
        let folder = sandbox.dir().with_file_name(&name);
        let text = folder.to_str().expect("UTF-8");
        sandbox
            .git(&["worktree", "add", "--quiet", "-b", &name, text])
            .ok();
        sandbox.mvc_in(text, &["restore", "."]).ok();
        let command = |args: &[&str]| {
            let mut command = sandbox.command(mvc);
            command.args(args).current_dir(&folder);
            command
        };
        let rounds: Vec<_> = versions(ROUNDS)
            .into_iter()
            .map(|weights| {
                let bytes = weights.trained(1e-3 * (worker + 1) as f32).bytes();
                let commands = [
                    command(&["commit", "-m", "round"]),
                    command(&["checkout", "latest"]),
                    command(&["checkout", &name]),
                ];
                (folder.join("model.safetensors"), bytes, commands)
            })
            .collect();
        work.push(rounds);
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = work
            .into_iter()
            .map(|rounds| {
                scope.spawn(move || {
                    for (path, bytes, commands) in rounds {
                        std::fs::write(&path, &bytes).expect("written");
                        for mut command in commands {
                            let done = command.output().expect("run");
                            let said = String::from_utf8_lossy(&done.stderr).into_owned();
                            assert!(done.status.success(), "{command:?}: {said}");
                        }
                        assert!(std::fs::read(&path).expect("there") == bytes);
                    }
                })
            })
            .collect();
        while threads.iter().any(|thread| !thread.is_finished()) {
            sandbox
                .mvc(&["gc", "--repack", "--prune", "--grace", "0"])
                .ok();
        }
        let ended = threads.into_iter().map(|thread| thread.join().is_ok());
        assert_eq!(ended.collect::<Vec<_>>(), [true; WORKERS]);
    });
    sandbox
        .mvc(&["gc", "--repack", "--prune", "--grace", "0"])
        .ok();
    sandbox.assert_whole();
}

#[test]
fn the_last_version_does_without_those_that_it_was_a_difference_to() {
    let sandbox = Sandbox::keeping();
    let all = versions(4);
    for weights in &all {
        commit(&sandbox, "model.safetensors", weights);
    }
    let tree = sandbox.rev("HEAD^{tree}");
    let only = sandbox.git(&["commit-tree", "-m", "only", &tree]).ok();
    sandbox
        .git(&["update-ref", "refs/heads/main", only.stdout.trim()])
        .ok();
    sandbox.forget();
    let prune = ["gc", "--prune", "--grace", "0", "--json"];
    let said = json(&sandbox, &prune);
    assert_eq!(said["leftovers"]["objects"], 9, "{said}");
    sandbox
        .mvc(&["gc"])
        .ok()
        .prints("9 (")
        .prints("in no version, and others are written with them; `mvc gc --repack` does without");
    let before = sandbox.bytes_below(".git/mvc/packs");
    let done = json(&sandbox, &[&prune[..], &["--repack"]].concat());
    assert_eq!(done["repack"]["done"]["let_go"], 9, "{done}");
    assert_eq!(done["leftovers"]["objects"], 0);
    let fresh = Sandbox::keeping();
    commit(&fresh, "model.safetensors", &all[3]);
    let now = sandbox.bytes_below(".git/mvc/packs");
    assert!(now < before, "{now} of {before}");
    assert_eq!(now, fresh.bytes_below(".git/mvc/packs"));
    assert!(sandbox.read("model.safetensors") == all[3].bytes());
    sandbox.mvc(&["gc", "--restore-trash"]).ok();
    sandbox.assert_whole();
}
