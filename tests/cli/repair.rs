//! `mvc verify --repair`: damage is healed from wherever the bytes still are, and what is not healed stays and is said.

use std::path::{Path, PathBuf};

use mvc::base::Kind;

use crate::support::{Sandbox, Weights, root, seeded};

/// The pack that came with the last command.
fn newest(sandbox: &Sandbox, before: &[PathBuf]) -> PathBuf {
    let new = |path: &PathBuf| !before.contains(path) && path.extension() == Some("pack".as_ref());
    sandbox.packs().into_iter().find(new).expect("a new pack")
}

/// Versions 1 to 3, and the pack of each.
fn three() -> (Sandbox, Vec<PathBuf>) {
    let sandbox = Sandbox::keeping();
    let mut packs = Vec::new();
    for seed in 1..=3 {
        let before = sandbox.packs();
        sandbox.version(seed);
        packs.push(newest(&sandbox, &before));
    }
    (sandbox, packs)
}

fn rewrite(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).expect("there");
    change(&mut bytes);
    std::fs::remove_file(path).expect("there");
    std::fs::write(path, bytes).expect("written");
}

fn flip(path: &Path, at: usize) {
    rewrite(path, |bytes| bytes[at] ^= 1);
}

#[test]
fn weights_in_the_work_tree_heal_their_version() {
    let (sandbox, packs) = three();
    flip(&packs[2], 6000);
    let said = sandbox.mvc(&["verify", "--all"]).fails(Kind::No);
    let said = said.says("mvc verify --repair");
    let line = |text: &str| {
        let at = said.stdout.lines().position(|line| line.contains(text));
        at.unwrap_or_else(|| panic!("no {text} in {}", said.stdout))
    };
    assert!(line("affects model.safetensors: fc1.weight") < line("in version"));
    sandbox
        .mvc(&["verify", "--repair"])
        .ok()
        .prints("healed  from model.safetensors")
        .prints("affects model.safetensors: fc1.weight")
        .prints("wrote 1 pack")
        .prints("put 1 pack")
        .prints("good  ");
    sandbox.mvc(&["verify", "--all"]).ok();
    for seed in [1, 3] {
        sandbox.mvc(&["checkout", &format!("v{seed}")]).ok();
        sandbox.assert_seed("model.safetensors", seed);
    }
    sandbox.mvc(&["verify", "--repair"]).ok().prints_no("pack");
    sandbox.assert_clean();
}

#[test]
fn what_cannot_be_healed_stays_and_is_said_until_its_bytes_are_there() {
    let (sandbox, packs) = three();
    flip(&packs[0], 6000);
    let before = sandbox.packs();
    sandbox
        .mvc(&["verify", "--repair"])
        .fails(Kind::No)
        .prints("affects model.safetensors: fc1.weight")
        .prints_no("healed")
        .says("run `mvc verify --repair` again");
    assert_eq!(sandbox.packs(), before);
    // Another work tree has the version, one tensor of it changed since.
    let other = sandbox.dir().with_file_name("other");
    let other = other.to_str().expect("UTF-8");
    sandbox
        .git(&["worktree", "add", "--quiet", other, "v2"])
        .ok();
    let kept = Weights::small(1).scale_element("conv1.bias", 0, 2.0);
    std::fs::write(Path::new(other).join("model.safetensors"), kept.bytes()).expect("written");
    sandbox
        .mvc(&["verify", "--repair"])
        .ok()
        .prints("other/model.safetensors");
    sandbox.mvc(&["checkout", "v1"]).ok();
    sandbox.assert_seed("model.safetensors", 1);
    sandbox.assert_whole();
}

#[test]
fn lost_packs_and_indexes_come_back_as_far_as_somebody_has_them() {
    let (sandbox, packs) = three();
    std::fs::remove_file(&packs[2]).expect("there");
    rewrite(&packs[1].with_extension("idx"), |bytes| bytes.truncate(100));
    sandbox
        .mvc(&["verify", "--all"])
        .fails(Kind::No)
        .prints("not in the store")
        .prints("the pack is not")
        .prints("its index is damaged");
    sandbox
        .mvc(&["verify", "--repair"])
        .ok()
        .prints("made the index of 1 pack anew");
    sandbox.mvc(&["verify", "--all"]).ok();
    sandbox.remove("model.safetensors");
    sandbox.mvc(&["restore", "."]).ok();
    sandbox.assert_seed("model.safetensors", 3);
    sandbox.assert_clean();
}

#[test]
fn a_tensor_heals_from_any_file_that_has_its_bytes() {
    let sandbox = Sandbox::repo();
    sandbox.mvc(&["init"]).ok();
    sandbox.mvc(&["track", "*.pth", "*.bin"]).ok();
    let bytes = std::fs::read(root().join("fixtures/torch/state.pth")).expect("a fixture");
    sandbox.write("state.pth", &bytes);
    sandbox.mvc(&["commit", "-q", "-m", "first"]).ok();
    // As plain bytes, in one object.
    sandbox.write("all.bin", seeded(7));
    sandbox.mvc(&["commit", "-q", "-m", "second"]).ok();
    sandbox.write("all.bin", seeded(8));
    sandbox.mvc(&["commit", "-q", "-m", "third"]).ok();
    for pack in sandbox.packs() {
        std::fs::remove_file(pack).expect("there");
    }
    let said = sandbox.mvc(&["verify", "--repair"]).fails(Kind::No);
    let report = sandbox.mvc(&["verify", "--all", "--json"]).json();
    assert_eq!(
        report["problems"].as_array().map(Vec::len),
        Some(1),
        "{}",
        said.stdout
    );
    assert_eq!(report["problems"][0]["affects"][0], "all.bin");
    sandbox.mvc(&["verify", "HEAD"]).ok();
    for name in ["state.pth", "all.bin"] {
        sandbox.remove(name);
    }
    sandbox.mvc(&["restore", "."]).ok();
    assert!(sandbox.read("state.pth") == bytes);
    assert!(sandbox.read("all.bin") == seeded(8));
}

#[test]
fn versions_that_only_a_reflog_or_another_work_tree_leads_to_are_looked_at() {
    let (sandbox, packs) = three();
    sandbox.git(&["reset", "--quiet", "--hard", "HEAD~1"]).ok();
    sandbox.git(&["tag", "-d", "v3"]).ok();
    sandbox.mvc(&["restore", "."]).ok();
    let said = sandbox.mvc(&["verify", "--all"]).ok();
    assert!(said.stdout.contains("in 3 versions"), "{}", said.stdout);
    flip(&packs[2], 6000);
    let report = sandbox
        .mvc(&["verify", "--all", "--json"])
        .fails(Kind::No)
        .json();
    let versions = &report["problems"][0]["versions"];
    let commit = sandbox.rev("HEAD@{1}");
    assert_eq!(versions.as_array().map(Vec::len), Some(1), "{report}");
    assert_eq!(versions[0], commit.as_str());
}

#[test]
fn where_it_cannot_be_told_what_is_needed_objects_are_healed_and_packs_stay() {
    let (sandbox, packs) = three();
    flip(&packs[2], 6000);
    // Git takes a clone for shallow by this file.
    sandbox.write(".git/shallow", format!("{}\n", sandbox.rev("v1")));
    let before = sandbox.packs().len();
    sandbox
        .mvc(&["verify", "--repair"])
        .fails(Kind::No)
        .prints("healed")
        .prints("another copy of it is good")
        .says("damaged packs stay where they are");
    assert_eq!(sandbox.packs().len(), before + 2);
    sandbox.remove("model.safetensors");
    sandbox.mvc(&["restore", "."]).ok();
    sandbox.assert_seed("model.safetensors", 3);
    std::fs::remove_file(sandbox.path(".git/shallow")).expect("there");
    sandbox.mvc(&["verify", "--repair"]).ok();
    sandbox.assert_clean();
}

#[test]
fn it_takes_no_version_and_needs_a_repository() {
    Sandbox::new()
        .mvc(&["verify", "--repair"])
        .fails(Kind::NotARepository);
    let sandbox = Sandbox::repo();
    sandbox.mvc(&["verify", "--repair"]).ok();
    assert!(!sandbox.has(".git/mvc"));
    sandbox
        .mvc(&["verify", "--repair", "HEAD"])
        .fails(Kind::Usage);
}
