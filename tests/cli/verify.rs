use mvc::base::Kind;

use crate::support::{Sandbox, root, seeded};

#[test]
fn a_whole_store_is_said_to_be_whole() {
    let sandbox = Sandbox::three();
    sandbox.mvc(&["verify"]).ok().stdout_is(snapbox::str![[r#"
good  9 objects in 1 version, 12.6 KiB proved

"#]]);
    sandbox
        .mvc(&["verify", "--all"])
        .ok()
        .stdout_is(snapbox::str![[r#"
good  25 objects in 3 versions, 36.6 KiB proved

"#]]);
    sandbox.mvc(&["verify", "v9"]).fails(Kind::NotFound);
    Sandbox::repo().mvc(&["verify", "--all"]).ok();
}

#[test]
fn missing_objects_are_listed_with_what_needs_them() {
    let sandbox = Sandbox::three();
    for pack in sandbox.packs() {
        std::fs::remove_file(pack).expect("there");
    }
    sandbox
        .mvc(&["verify"])
        .fails(Kind::No)
        .prints("model.safetensors");
    sandbox
        .mvc(&["verify", "--all"])
        .fails(Kind::No)
        .prints("model.safetensors");
    sandbox
        .mvc(&["checkout", "--force", "v1"])
        .fails(Kind::Missing);
    // The weights in the work tree are all there is now: adding them stores them again.
    let sandbox = Sandbox::three();
    for pack in sandbox.packs() {
        std::fs::remove_file(pack).expect("there");
    }
    sandbox.mvc(&["add", "model.safetensors"]).ok();
    sandbox.mvc(&["verify"]).ok();
    sandbox.assert_seed("model.safetensors", 3);
}

#[test]
fn ids_of_views_are_those_of_their_bytes() {
    let sandbox = Sandbox::repo();
    sandbox.mvc(&["init"]).ok();
    sandbox.mvc(&["track", "*.pth"]).ok();
    let bytes = std::fs::read(root().join("fixtures/torch/state.pth")).expect("a fixture");
    sandbox.write("state.pth", &bytes);
    sandbox.mvc(&["commit", "-q", "-m", "first"]).ok();
    sandbox.mvc(&["verify"]).ok();
    sandbox.mvc(&["verify", "--all"]).ok();
    let good = sandbox.text("state.pth.mvc");
    let id = |name: &str| {
        let line = good
            .lines()
            .find(|line| line.starts_with(&format!("view \"{name}\" ")));
        let line = line.expect("it is a view");
        line.rsplit_once(' ').expect("it has an id").1.to_owned()
    };
    // Each has the id of the other: all bytes are there, and all names, dtypes, shapes and places are right.
    let (q, k) = (id("blocks.0.q"), id("blocks.0.k"));
    let lie = good.replace(&q, "#").replace(&k, &q).replace('#', &k);
    assert_ne!(lie, good);
    sandbox.write("state.pth.mvc", &lie);
    sandbox
        .git(&["commit", "--quiet", "--no-verify", "-am", "a lie"])
        .ok();
    for command in [&["verify"][..], &["verify", "--all"]] {
        let found = sandbox.mvc(command).fails(Kind::No);
        for name in ["blocks.0.q", "blocks.0.k"] {
            let line = format!("state.pth: {name}");
            assert!(found.stdout.contains(&line), "{}", found.stdout);
        }
        assert!(!found.stdout.contains("blocks.0.v"), "{}", found.stdout);
    }
    // The bytes are proved without them.
    sandbox.remove("state.pth");
    sandbox.mvc(&["restore", "state.pth"]).ok();
    assert!(sandbox.read("state.pth") == bytes);
    sandbox.mvc(&["verify", "HEAD~1"]).ok();
}

#[test]
fn a_version_that_git_lost_keeps_nothing_else_from_being_verified() {
    for lost in ["HEAD~1:model.safetensors.mvc", "HEAD~1^{tree}", "HEAD~1"] {
        let sandbox = Sandbox::keeping();
        for seed in 1..=2 {
            sandbox.write("model.safetensors", seeded(seed));
            sandbox.mvc(&["commit", "-a", "-m", "a version"]).ok();
        }
        let id = sandbox.git(&["rev-parse", lost]).ok().stdout;
        let (folder, name) = id.trim().split_at(2);
        let object = sandbox.path(".git/objects").join(folder).join(name);
        std::fs::remove_file(object).expect("it is loose");
        let pack = sandbox.packs().into_iter().next().expect("one");
        let mut bytes = std::fs::read(&pack).expect("read");
        bytes[100] ^= 1;
        // Packs are read-only.
        std::fs::remove_file(&pack).expect("removed");
        std::fs::write(&pack, bytes).expect("written");
        let report = sandbox.mvc(&["verify", "--all", "--json"]).fails(Kind::No);
        let problems = report.json()["problems"]
            .as_array()
            .expect("a list")
            .clone();
        let said = |part: &str| {
            let what = |problem: &serde_json::Value| problem["what"].as_str().map(str::to_owned);
            let mut all = problems.iter().filter_map(what);
            all.any(|what| what.contains(part))
        };
        assert!(said("is not in the repository"), "{lost}: {problems:?}");
        let name = pack.file_stem().expect("a name").to_str().expect("plain");
        assert!(said(name), "{lost}: {problems:?}");
    }
}
