use mvc::base::Kind;

use crate::support::sandbox::find;
use crate::support::{Sandbox, Weights, seeded};

#[test]
fn every_spelling_of_a_version() {
    let sandbox = Sandbox::three();
    sandbox
        .mvc(&["checkout", "v1"])
        .ok()
        .stdout_is(snapbox::str![[r#"
at [HASH], on no branch
  wrote model.safetensors

"#]])
        .stderr_is(snapbox::str![[""]]);
    let id = sandbox.rev("v2");
    for (revision, seed) in [
        ("main", 3),
        ("HEAD~2", 1),
        ("v3", 3),
        (&id, 2),
        (&id[..8], 2),
        ("main^", 2),
        ("refs/heads/main", 3),
        ("@", 3),
    ] {
        sandbox.mvc(&["checkout", revision]).ok();
        sandbox.assert_seed("model.safetensors", seed);
        sandbox.mvc(&["status", "--exit-code"]).ok();
        assert_eq!(sandbox.git(&["status", "--porcelain"]).ok().stdout, "");
    }
    sandbox
        .mvc(&["checkout", "main"])
        .ok()
        .prints("on branch main");
    assert_eq!(
        sandbox.git(&["symbolic-ref", "HEAD"]).ok().line(),
        "refs/heads/main"
    );
    sandbox
        .mvc(&["checkout", "v9"])
        .fails(Kind::NotFound)
        .stderr_is(snapbox::str![[r#"
error: there is no revision `v9`

hint: did you mean `v1` or `v2` or `v3`?

"#]]);
    sandbox.mvc(&["checkout", "--", "-x"]).fails(Kind::NotFound);
    sandbox.assert_clean();
}

#[test]
fn new_branches() {
    let sandbox = Sandbox::three();
    sandbox
        .mvc(&["checkout", "HEAD~2", "-b", "again"])
        .ok()
        .prints("on branch again");
    sandbox.assert_seed("model.safetensors", 1);
    // Without a version it starts here, uncommitted weights and all.
    sandbox.write("model.safetensors", seeded(9));
    sandbox
        .mvc(&["checkout", "-b", "more"])
        .ok()
        .prints("kept model.safetensors");
    sandbox.assert_seed("model.safetensors", 9);
    let before = sandbox.files();
    sandbox.mvc(&["checkout", "-b", "main"]).fails(Kind::Git);
    sandbox.mvc(&["checkout", "-b", "no..name"]).says("error: ");
    assert_eq!(
        sandbox.git(&["branch", "--show-current"]).ok().line(),
        "more"
    );
    assert!(sandbox.files() == before);
}

#[test]
fn uncommitted_weights_are_never_overwritten() {
    let sandbox = Sandbox::three();
    sandbox.write("model.safetensors", seeded(9));
    let before = sandbox.files();
    sandbox
        .mvc(&["checkout", "v1"])
        .fails(Kind::WouldOverwrite)
        .stderr_is(snapbox::str![[r#"
error: uncommitted weights would be overwritten: 1 weights file: model.safetensors

hint: `mvc commit` records them, `mvc restore model.safetensors` gives them up

"#]]);
    assert!(sandbox.files() == before);
    assert_eq!(
        sandbox.git(&["branch", "--show-current"]).ok().line(),
        "main"
    );
    // Even where size and time of the last write are those of the version.
    sandbox
        .mvc(&["checkout", "v1", "--force"])
        .ok()
        .prints("wrote model.safetensors");
    sandbox.assert_seed("model.safetensors", 1);
    sandbox.assert_clean();
    let time = sandbox
        .path("model.safetensors")
        .metadata()
        .and_then(|stat| stat.modified())
        .expect("there");
    sandbox.write("model.safetensors", seeded(8));
    let file = std::fs::File::options()
        .write(true)
        .open(sandbox.path("model.safetensors"))
        .expect("there");
    file.set_modified(time).expect("our own file");
    sandbox.mvc(&["checkout", "v2"]).fails(Kind::WouldOverwrite);
    sandbox.assert_seed("model.safetensors", 8);
}

#[test]
fn untracked_weights_are_never_overwritten() {
    let sandbox = Sandbox::three();
    sandbox.write("new.safetensors", seeded(5));
    sandbox.mvc(&["commit", "-m", "with new"]).ok();
    sandbox
        .mvc(&["checkout", "v3"])
        .ok()
        .prints("removed new.safetensors");
    assert!(!sandbox.has("new.safetensors"));
    sandbox.write("new.safetensors", seeded(6));
    sandbox
        .mvc(&["checkout", "main"])
        .fails(Kind::WouldOverwrite)
        .says("new.safetensors");
    sandbox.assert_seed("new.safetensors", 6);
    // The same bytes are in nobody's way.
    sandbox.write("new.safetensors", seeded(5));
    sandbox.mvc(&["checkout", "main"]).ok();
    sandbox.assert_clean();
}

#[test]
fn only_what_differs_is_written() {
    let sandbox = Sandbox::keeping();
    sandbox.write("same.safetensors", seeded(1));
    sandbox.write("deep/nested/other.safetensors", seeded(2));
    sandbox.mvc(&["commit", "-m", "first"]).ok();
    sandbox.write("deep/nested/other.safetensors", seeded(3));
    sandbox.mvc(&["commit", "-m", "second"]).ok();
    let (same, other) = (
        sandbox.trace("same.safetensors"),
        sandbox.trace("deep/nested/other.safetensors"),
    );
    let report = sandbox.mvc(&["checkout", "HEAD~1", "--json"]).ok().json();
    assert_eq!(
        report["written"],
        serde_json::json!(["deep/nested/other.safetensors"])
    );
    assert_eq!(sandbox.trace("same.safetensors"), same);
    assert_ne!(sandbox.trace("deep/nested/other.safetensors"), other);
    let report = sandbox.mvc(&["checkout", "HEAD", "--json"]).ok().json();
    assert_eq!(report["written"], serde_json::json!([]));
}

#[test]
fn modes_and_folders_come_back() {
    let sandbox = Sandbox::keeping();
    sandbox.write("run/me.safetensors", seeded(1));
    sandbox.write("a/b/c/d.safetensors", seeded(2));
    sandbox.chmod("run/me.safetensors", 0o755);
    sandbox.chmod("a/b/c/d.safetensors", 0o444);
    sandbox.mvc(&["commit", "-m", "first"]).ok();
    assert_eq!(sandbox.mode("a/b/c/d.safetensors"), 0o444);
    let first = sandbox.rev("HEAD");
    sandbox.chmod("run/me.safetensors", 0o644);
    sandbox.mvc(&["commit", "-m", "plain"]).ok();
    sandbox.remove("a/b/c/d.safetensors");
    sandbox.mvc(&["commit", "-a", "-m", "fewer"]).ok();
    assert_eq!(sandbox.mode("run/me.safetensors"), 0o644);
    sandbox.mvc(&["checkout", &first]).ok();
    assert_eq!(sandbox.mode("run/me.safetensors"), 0o755);
    sandbox.assert_seed("a/b/c/d.safetensors", 2);
    sandbox.assert_clean();
    sandbox.mvc(&["checkout", "main"]).ok();
    assert_eq!(sandbox.mode("run/me.safetensors"), 0o644);
    assert!(!sandbox.has("a"), "an emptied folder goes too");
    sandbox.assert_clean();
}

/// Weights that share no object with those of a seed, not even the header.
fn other() -> Vec<u8> {
    Weights::seeded(2).f32("other", &[64, 64]).bytes()
}

#[test]
fn what_is_missing_is_listed_and_the_rest_restored() {
    let sandbox = Sandbox::keeping();
    sandbox.write("a.safetensors", seeded(1));
    sandbox.mvc(&["commit", "-m", "first"]).ok();
    let first = sandbox.packs();
    sandbox.write("b.safetensors", other());
    sandbox.mvc(&["commit", "-m", "second"]).ok();
    sandbox
        .git(&["checkout", "--quiet", "--orphan", "empty"])
        .ok();
    sandbox.git(&["rm", "--quiet", "-r", "--cached", "."]).ok();
    sandbox
        .git(&["commit", "--quiet", "--allow-empty", "-m", "empty"])
        .ok();
    for name in [
        "a.safetensors",
        "b.safetensors",
        "a.safetensors.mvc",
        "b.safetensors.mvc",
    ] {
        sandbox.remove(name);
    }
    for name in ["mvc.toml", ".gitignore", ".gitattributes"] {
        sandbox.remove(name);
    }
    let kept: Vec<_> = first
        .iter()
        .map(|path| (path, std::fs::read(path).expect("there")))
        .collect();
    first
        .iter()
        .for_each(|path| std::fs::remove_file(path).expect("there"));
    sandbox
        .mvc(&["checkout", "main"])
        .fails(Kind::Missing)
        .stderr_is(snapbox::str![[r#"
warning: a.safetensors: 9 objects not in the store: conv1.bias, conv1.weight, conv2.bias, conv2.weight, fc1.bias and 3 more
error: 1 weights file could not be restored

hint: copy the folder .git/mvc of a repository that has the objects, or `mvc gc --restore-trash` if gc took them away; then `mvc restore .`

"#]]);
    assert!(!sandbox.has("a.safetensors"));
    assert!(sandbox.read("b.safetensors") == other());
    sandbox
        .mvc(&["verify"])
        .fails(Kind::No)
        .prints("a.safetensors");
    sandbox.mvc(&["status"]).ok().prints("a.safetensors");
    for (path, bytes) in kept {
        std::fs::write(path, bytes).expect("ours");
    }
    sandbox.mvc(&["restore", "."]).ok();
    sandbox.assert_seed("a.safetensors", 1);
    sandbox.assert_clean();
}

#[test]
fn branches_without_mvc() {
    let sandbox = Sandbox::repo();
    sandbox.write("readme.md", "before mvc");
    sandbox.git(&["add", "."]).ok();
    sandbox.git(&["commit", "--quiet", "-m", "before"]).ok();
    sandbox.git(&["branch", "old"]).ok();
    sandbox.mvc(&["init"]).ok();
    sandbox.mvc(&["track", "*.safetensors"]).ok();
    sandbox.version(1);
    sandbox
        .mvc(&["checkout", "old"])
        .ok()
        .prints("removed model.safetensors");
    assert_eq!(
        sandbox
            .files()
            .keys()
            .filter_map(|path| path.to_str())
            .collect::<Vec<_>>(),
        ["readme.md"]
    );
    // Weights made here are none of git's business all the same.
    sandbox.write("new.safetensors", seeded(5));
    assert_eq!(sandbox.git(&["status", "--porcelain"]).ok().stdout, "");
    sandbox.mvc(&["checkout", "main"]).ok();
    sandbox.assert_seed("model.safetensors", 1);
    sandbox.assert_seed("new.safetensors", 5);
}

#[test]
fn plain_changes_are_guarded_by_git() {
    let sandbox = Sandbox::three();
    sandbox.write("code.py", "1");
    sandbox.mvc(&["add", "code.py"]).ok();
    sandbox.write("model.safetensors", seeded(4));
    sandbox.mvc(&["commit", "-m", "code"]).ok();
    sandbox.write("code.py", "uncommitted");
    let before = sandbox.files();
    sandbox
        .mvc(&["checkout", "v1"])
        .fails(Kind::Git)
        .says("code.py");
    assert!(
        sandbox.files() == before,
        "weights moved although git refused"
    );
    sandbox.mvc(&["checkout", "-f", "v1"]).ok();
    assert!(!sandbox.has("code.py"));
    sandbox.assert_seed("model.safetensors", 1);
}

#[test]
fn force_gives_up_staged_weights_too() {
    let sandbox = Sandbox::three();
    sandbox.write("model.safetensors", seeded(9));
    sandbox.mvc(&["add", "model.safetensors"]).ok();
    sandbox.mvc(&["checkout", "v1"]).says("error: ");
    sandbox.assert_seed("model.safetensors", 9);
    sandbox.mvc(&["checkout", "--force", "main"]).ok();
    sandbox.assert_seed("model.safetensors", 3);
    sandbox.assert_clean();
}

#[test]
fn a_branch_goes_before_a_tag_of_its_name() {
    let sandbox = Sandbox::three();
    sandbox.git(&["tag", "rel", "v1"]).ok();
    sandbox.git(&["branch", "rel", "v2"]).ok();
    sandbox
        .mvc(&["checkout", "rel"])
        .ok()
        .prints("on branch rel");
    sandbox.assert_seed("model.safetensors", 2);
    sandbox.assert_clean();
}

#[test]
fn head_stays_where_it_is_and_a_dash_goes_back() {
    let sandbox = Sandbox::three();
    sandbox.write("model.safetensors", seeded(9));
    for head in ["HEAD", "@"] {
        sandbox
            .mvc(&["checkout", "--force", head])
            .ok()
            .prints("on branch main");
    }
    sandbox.assert_seed("model.safetensors", 3);
    sandbox.mvc(&["checkout", "v1"]).ok();
    sandbox
        .mvc(&["checkout", "-"])
        .ok()
        .prints("on branch main");
    sandbox.mvc(&["checkout", "-b", "other", "v2"]).ok();
    sandbox
        .mvc(&["checkout", "@{-1}"])
        .ok()
        .prints("on branch main");
    sandbox.assert_seed("model.safetensors", 3);
}

#[test]
fn a_hook_of_the_user_that_fails_comes_too_late() {
    let sandbox = Sandbox::three();
    sandbox.hook("post-checkout", "echo no >&2; exit 3");
    sandbox
        .mvc(&["checkout", "v1"])
        .ok()
        .says("git moved, and then failed");
    sandbox.assert_seed("model.safetensors", 1);
    sandbox.assert_clean();
}

#[test]
fn outside_of_a_sparse_checkout_nothing_is_written() {
    let sandbox = Sandbox::keeping();
    for name in ["a/m.safetensors", "b/m.safetensors"] {
        sandbox.write(name, seeded(1));
    }
    sandbox.mvc(&["commit", "-m", "first"]).ok();
    for name in ["a/m.safetensors", "b/m.safetensors"] {
        sandbox.write(name, seeded(2));
    }
    sandbox.mvc(&["commit", "-m", "second"]).ok();
    sandbox.git(&["sparse-checkout", "set", "a"]).ok();
    sandbox.mvc(&["checkout", "HEAD~1"]).ok();
    sandbox.assert_seed("a/m.safetensors", 1);
    assert!(!sandbox.has("b/m.safetensors"));
}

#[test]
fn more_files_than_descriptors() {
    let sandbox = Sandbox::keeping();
    for number in 0..150 {
        sandbox.write(format!("{number}.safetensors"), seeded(number % 3));
    }
    let sh = |args: &[&str]| {
        let few = ["-c", "ulimit -n 100; exec mvc \"$@\"", "sh"];
        let all: Vec<&str> = few.iter().chain(args).copied().collect();
        let done = sandbox.command(&find("sh")).args(all).output();
        let done = done.expect("sh runs");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{said}");
    };
    sh(&["commit", "-m", "many"]);
    for number in 0..150 {
        sandbox.remove(format!("{number}.safetensors"));
    }
    sh(&["restore", "."]);
    sandbox.assert_clean();
}
