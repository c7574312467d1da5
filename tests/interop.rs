//! Plain git as the judge of what mvc wrote.

use std::path::Path;

use crate::support::{Sandbox, Weights, seeded};

fn three_in(sandbox: &Sandbox, folder: &Path) {
    sandbox.mvc_in(folder, &["init", "--no-hooks"]).ok();
    sandbox.mvc_in(folder, &["track", "*.safetensors"]).ok();
    for seed in 1..=3 {
        std::fs::write(sandbox.path(folder).join("model.safetensors"), seeded(seed)).expect("ours");
        let name = format!("v{seed}");
        sandbox.mvc_in(folder, &["commit", "-m", &name]).ok();
        sandbox.mvc_in(folder, &["tag", &name]).ok();
    }
}

fn judged(sandbox: &Sandbox, folder: &Path) {
    let fsck = sandbox
        .git_in(folder, &["fsck", "--strict", "--no-dangling"])
        .ok();
    assert_eq!(fsck.stderr, "");
    let status = sandbox
        .git_in(folder, &["status", "--porcelain", "--ignored"])
        .ok();
    assert_eq!(status.stdout, "!! model.safetensors\n");
    sandbox.mvc_in(folder, &["status", "--exit-code"]).ok();
    sandbox.mvc_in(folder, &["verify", "--all"]).ok();
    let check = "--batch-check=%(objecttype) %(objectsize)";
    let objects = sandbox
        .git_in(folder, &["cat-file", "--batch-all-objects", check])
        .ok();
    for line in objects.stdout.lines() {
        let size = line.strip_prefix("blob ").map(|size| size.parse::<u64>());
        assert!(
            !matches!(size, Some(Ok(4096..))),
            "a blob as large as weights: {line}"
        );
    }
}

#[test]
fn odd_places_and_other_hashes() {
    for (format, folder) in [
        ("sha1", "my models 🦀"),
        ("sha256", "x"),
        ("sha256", "µ \"q\" [1]*"),
    ] {
        let sandbox = Sandbox::new();
        let option = format!("--object-format={format}");
        sandbox.git(&["init", "--quiet", &option, folder]).ok();
        let folder = Path::new(folder);
        three_in(&sandbox, folder);
        judged(&sandbox, folder);
        for (revision, seed) in [("v1", 1), ("HEAD", 1), ("main", 3), ("HEAD~1", 2)] {
            sandbox.mvc_in(folder, &["checkout", revision]).ok();
            sandbox.assert_seed(
                folder.join("model.safetensors").to_str().expect("UTF-8"),
                seed,
            );
            judged(&sandbox, folder);
        }
        sandbox.mvc_in(folder, &["checkout", "main"]).ok();
        let log = sandbox.git_in(folder, &["log", "--format=%s %D"]).ok();
        assert_eq!(
            log.stdout,
            "v3 HEAD -> main, tag: v3\nv2 tag: v2\nv1 tag: v1\n"
        );
    }
}

#[test]
fn odd_names_of_weights() {
    let sandbox = Sandbox::keeping();
    let names = [
        "a b.safetensors",
        "🦀.safetensors",
        "-x.safetensors",
        "q\"uote's.safetensors",
        "tab\there.safetensors",
        "[1]*?.safetensors",
        "new\nline.safetensors",
        "#hash.safetensors",
        "!bang.safetensors",
        " lead.safetensors",
        ":(top)x.safetensors",
    ];
    for (seed, name) in (1..).zip(names) {
        sandbox.write(name, seeded(seed));
    }
    sandbox.mvc(&["commit", "-m", "first"]).ok();
    sandbox.assert_clean();
    for name in names {
        sandbox.remove(name);
    }
    sandbox.mvc(&["restore", "."]).ok();
    for (seed, name) in (1..).zip(names) {
        sandbox.assert_seed(name, seed);
    }
    sandbox.assert_clean();
    sandbox.write("🦀.safetensors", seeded(15));
    let status = sandbox.mvc(&["status"]).ok();
    status.prints("🦀.safetensors");
}

#[test]
fn a_linked_work_tree_shares_the_store() {
    let sandbox = Sandbox::three();
    let linked = sandbox.dir().with_file_name("linked tree");
    let place = linked.to_str().expect("UTF-8").to_owned();
    sandbox
        .git(&["worktree", "add", "--quiet", "--detach", &place, "v1"])
        .ok();
    let before = sandbox.bytes_below(".git/mvc/packs");
    sandbox.mvc_in(&linked, &["restore", "."]).ok();
    assert!(std::fs::read(linked.join("model.safetensors")).expect("restored") == seeded(1));
    sandbox.mvc_in(&linked, &["checkout", "v2"]).ok();
    assert!(std::fs::read(linked.join("model.safetensors")).expect("restored") == seeded(2));
    assert_eq!(sandbox.bytes_below(".git/mvc/packs"), before);
    sandbox.assert_seed("model.safetensors", 3);
    // What is committed there can be checked out here, and each tree has its own stamps.
    std::fs::write(linked.join("model.safetensors"), seeded(7)).expect("ours");
    sandbox.mvc(&["status", "--exit-code"]).ok();
    sandbox.mvc_in(&linked, &["commit", "-m", "there"]).ok();
    sandbox.git_in(&linked, &["tag", "there"]).ok();
    judged(&sandbox, &linked);
    sandbox.mvc(&["checkout", "there"]).ok();
    sandbox.assert_seed("model.safetensors", 7);
    sandbox.assert_clean();
    // A branch that is checked out there is git's to refuse.
    sandbox
        .git_in(&linked, &["switch", "--quiet", "-c", "taken"])
        .ok();
    let refused = sandbox.mvc(&["checkout", "taken"]);
    assert_eq!(refused.code, 14, "{}", refused.stderr);
    sandbox.assert_seed("model.safetensors", 7);
}

#[test]
fn a_clone_has_sidecars_and_gets_weights_with_the_store() {
    let sandbox = Sandbox::three();
    sandbox.git(&["clone", "--quiet", ".", "../clone"]).ok();
    let clone = sandbox.dir().with_file_name("clone");
    assert!(!clone.join("model.safetensors").exists());
    assert!(clone.join("model.safetensors.mvc").is_file());
    sandbox
        .mvc_in(&clone, &["status"])
        .code(0)
        .prints("model.safetensors");
    sandbox
        .mvc_in(&clone, &["checkout", "v1"])
        .code(7)
        .says("model.safetensors");
    sandbox.mvc_in(&clone, &["verify"]).code(1);
    let (from, to) = (sandbox.path(".git/mvc/packs"), clone.join(".git/mvc/packs"));
    std::fs::create_dir_all(&to).expect("ours");
    for (name, (bytes, _)) in crate::support::repo::tree(&from) {
        std::fs::write(to.join(name), bytes).expect("ours");
    }
    sandbox.mvc_in(&clone, &["restore", "."]).ok();
    assert!(std::fs::read(clone.join("model.safetensors")).expect("restored") == seeded(1));
    judged(&sandbox, &clone);
    sandbox.mvc_in(&clone, &["checkout", "main"]).ok();
    judged(&sandbox, &clone);
}

#[test]
fn plain_git_moves_and_the_next_verb_follows() {
    let sandbox = Sandbox::three();
    sandbox.git(&["checkout", "--quiet", "v1"]).ok();
    sandbox.assert_seed("model.safetensors", 3);
    sandbox.mvc(&["status"]).ok();
    sandbox.assert_seed("model.safetensors", 1);
    sandbox.git(&["reset", "--quiet", "--hard", "v2"]).ok();
    sandbox.mvc(&["status", "--exit-code"]).ok();
    sandbox.assert_seed("model.safetensors", 2);
    sandbox.write("model.safetensors", seeded(9));
    sandbox.git(&["checkout", "--quiet", "main"]).ok();
    sandbox.mvc(&["status"]).ok();
    sandbox.assert_seed("model.safetensors", 9);
    sandbox.mvc(&["restore", "model.safetensors"]).ok();
    sandbox.assert_clean();
}

#[test]
fn hooks_bring_the_weights_along() {
    let sandbox = Sandbox::new();
    sandbox.mvc(&["init"]).ok();
    sandbox.mvc(&["track", "*.safetensors"]).ok();
    for seed in 1..=3 {
        sandbox.version(seed);
    }
    for (command, seed) in [
        (&["checkout", "--quiet", "v1"][..], 1),
        (&["switch", "--quiet", "main"], 3),
        (&["reset", "--quiet", "--hard", "v2"], 2),
        (
            &["restore", "--source=v1", "--", "model.safetensors.mvc"],
            1,
        ),
        (&["checkout", "--quiet", "--", "."], 2),
        (&["merge", "--quiet", "v3"], 3),
    ] {
        sandbox.git(command).ok();
        sandbox.assert_seed("model.safetensors", seed);
    }
    sandbox.assert_clean();
    // A plain commit that would record old sidecars for new weights is refused.
    sandbox.write("model.safetensors", seeded(5));
    sandbox.write("metrics.json", "{\"a\": 1}");
    sandbox.git(&["add", "metrics.json"]).ok();
    let refused = sandbox.git(&["commit", "-m", "metrics of other weights"]);
    assert_ne!(refused.code, 0);
    assert!(
        refused.stderr.contains("mvc add model.safetensors"),
        "{}",
        refused.stderr
    );
    sandbox.mvc(&["commit", "-m", "both"]).ok();
    sandbox.assert_clean();
}

#[test]
fn files_that_cannot_be_named_are_passed_over() {
    use std::os::unix::ffi::OsStrExt;
    let sandbox = Sandbox::keeping();
    let odd = std::ffi::OsStr::from_bytes(b"caf\xe9.safetensors");
    sandbox.write(Path::new(odd), seeded(1));
    sandbox.write(
        Path::new("notes-").join(std::ffi::OsStr::from_bytes(b"\xff.txt")),
        "x",
    );
    sandbox.write("model.safetensors", seeded(2));
    sandbox.mvc(&["status"]).ok();
    sandbox.mvc(&["commit", "-m", "first"]).ok();
    sandbox.mvc(&["commit", "-m", "again"]).code(1);
    sandbox.mvc(&["checkout", "HEAD"]).ok();
    assert!(sandbox.read(Path::new(odd)) == seeded(1));
    sandbox.git(&["fsck", "--strict"]).ok();
}

#[test]
fn empty_files_and_files_without_tensors() {
    let sandbox = Sandbox::keeping();
    sandbox.mvc(&["track", "*.bin"]).ok();
    let none = Weights::seeded(1).metadata("format", "pt").bytes();
    sandbox.write("none.safetensors", &none);
    sandbox.write("empty.bin", "");
    sandbox.mvc(&["commit", "-m", "first"]).ok();
    sandbox.remove("none.safetensors");
    sandbox.remove("empty.bin");
    sandbox.mvc(&["restore", "."]).ok();
    assert!(sandbox.read("none.safetensors") == none && sandbox.read("empty.bin").is_empty());
    sandbox.assert_clean();
    sandbox.write("empty.safetensors", "");
    sandbox
        .mvc(&["add", "empty.safetensors"])
        .fails(mvc::base::Kind::BadInput)
        .says("--opaque");
}
