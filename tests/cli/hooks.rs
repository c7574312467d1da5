//! `mvc hooks` and `mvc hook`: what git's hooks refuse, warn of and survive, and that they go without a trace.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use mvc::base::Kind;

use crate::support::sandbox::find;
use crate::support::{Sandbox, Weights};

const MODEL: &str = "model.safetensors";

fn weights(seed: u64) -> Vec<u8> {
    Weights::small(seed).bytes()
}

/// Two versions, tagged `v1` and `v2`, of weights seeded with 1 and 2.
fn versions() -> Sandbox {
    let s = Sandbox::new();
    s.mvc(&["init"]).ok();
    s.mvc(&["track", "*.safetensors"]).ok();
    s.write("notes.txt", "one\n");
    s.git(&["add", "notes.txt"]).ok();
    for (seed, name) in [(1, "v1"), (2, "v2")] {
        s.write(MODEL, weights(seed));
        s.mvc(&["commit", "-q", "-m", name]).ok();
        s.mvc(&["tag", name]).ok();
    }
    s
}

fn script(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("below a folder")).expect("a writable folder");
    std::fs::write(path, text).expect("a writable folder");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("set");
}

#[track_caller]
fn assert_holds(s: &Sandbox, seed: u64) {
    assert!(s.read(MODEL) == weights(seed), "not the weights of {seed}");
}

#[track_caller]
fn assert_clean(s: &Sandbox) {
    s.mvc(&["status", "--exit-code"]).ok();
}

#[test]
fn a_commit_of_new_metrics_with_old_weights_is_refused() {
    let s = versions();
    let head = s.git(&["rev-parse", "HEAD"]).ok();
    s.write(MODEL, weights(3));
    s.write("notes.txt", "two\n");
    s.git(&["commit", "-am", "x"])
        .code(1)
        .says("weights are not what the staged sidecars say: model.safetensors")
        .says("mvc add model.safetensors")
        .says("mvc restore model.safetensors");
    assert_eq!(s.git(&["rev-parse", "HEAD"]).line(), head.line());
    assert_holds(&s, 3);
    s.git(&["commit", "-q", "--no-verify", "-m", "words", "notes.txt"])
        .ok();
    s.mvc(&["add", MODEL]).ok();
    s.git(&["commit", "-q", "-m", "x"]).ok();
    assert_clean(&s);
}

#[test]
fn a_commit_may_update_sidecars_where_mvc_toml_says_so() {
    let s = versions();
    let config = s.text("mvc.toml");
    s.write(
        "mvc.toml",
        format!("{config}\n[hooks]\npre-commit = \"update\"\n"),
    );
    s.write(MODEL, weights(3));
    s.git(&["commit", "-q", "-am", "x"])
        .ok()
        .says("the sidecars of model.safetensors were updated for this commit");
    assert_clean(&s);
    s.git(&["checkout", "-q", "v1"]).ok();
    assert_holds(&s, 1);
    s.git(&["checkout", "-q", "main"]).ok();
    assert_holds(&s, 3);
}

#[test]
fn weights_are_not_staged_into_git() {
    let s = versions();
    s.write("other.safetensors", weights(7));
    s.git(&["add", "-f", "other.safetensors", MODEL]).ok();
    s.git(&["commit", "-m", "x"])
        .code(1)
        .says("weights are staged into git: model.safetensors")
        .says("git rm --cached model.safetensors && mvc add model.safetensors");
    s.git(&["restore", "--staged", "."]).ok();
    s.mvc(&["add", "other.safetensors"]).ok();
    s.git(&["commit", "-q", "-m", "x"]).ok();
    assert_clean(&s);
}

#[test]
fn a_push_says_that_weights_stay_behind_and_leaves_its_input_alone() {
    let s = versions();
    s.git(&["init", "-q", "--bare", "../up"]).ok();
    let input = s.home().join("input");
    let hook = s.path(".git/hooks/pre-push");
    let ours = s.text(".git/hooks/pre-push");
    let more = format!("{ours}cat >'{}'\n", input.display());
    script(&hook, &more);
    s.git(&["push", "-q", "../up", "main"])
        .ok()
        .says("the weights stay behind");
    let refs = std::fs::read_to_string(&input).expect("the refs that are pushed");
    assert!(refs.starts_with("refs/heads/main "), "{refs}");
}

#[test]
fn a_clone_without_a_store_says_what_is_missing_and_git_goes_on() {
    let s = versions();
    s.git(&["clone", "-q", ".", "../clone"]).ok();
    let clone = s.path("../clone");
    assert!(
        !clone.join(MODEL).exists(),
        "a pointer under the model's name"
    );
    s.mvc_in(&clone, &["init"]).ok();
    let said = s.git_in(&clone, &["checkout", "-q", "v1"]).ok();
    assert_eq!(
        said.stderr.matches("not in the store").count(),
        1,
        "{}",
        said.stderr
    );
    s.mvc_in(&clone, &["status"])
        .ok()
        .prints("deleted: model.safetensors")
        .prints("its objects are not in the store");
    s.git_in(&clone, &["checkout", "-q", "-b", "more"]).ok();
    // Once the objects are there, the next command of either kind brings the weights.
    let from = s.path(".git/mvc");
    let args = ["-a", from.to_str().expect("UTF-8"), ".git/"];
    let mut cp = s.command(&find("cp"));
    assert!(
        cp.current_dir(&clone)
            .args(args)
            .status()
            .expect("runs")
            .success()
    );
    // The copy brought the stamps of the other work tree too, which prove nothing about this one.
    s.mvc_in(&clone, &["restore", "."]).ok();
    s.git_in(&clone, &["checkout", "-q", "v2"]).ok();
    assert!(std::fs::read(clone.join(MODEL)).expect("there") == weights(2));
    s.git_in(&clone, &["checkout", "-q", "v1"]).ok();
    assert!(std::fs::read(clone.join(MODEL)).expect("there") == weights(1));
}

#[test]
fn linked_work_trees_have_weights_of_their_own() {
    let s = versions();
    s.git(&["worktree", "add", "-q", "../tree", "v1"]).ok();
    let tree = s.path("../tree");
    let there = || std::fs::read(tree.join(MODEL)).expect("there");
    assert!(there() == weights(1));
    assert_holds(&s, 2);
    s.git(&["-C", "../tree", "checkout", "-q", "-b", "more", "v2"])
        .ok();
    assert!(there() == weights(2));
    s.git(&["checkout", "-q", "v1"]).ok();
    assert_holds(&s, 1);
    assert!(there() == weights(2));
    s.mvc_in(&tree, &["status", "--exit-code"]).ok();
    assert_clean(&s);
}

#[test]
fn git_called_from_elsewhere_finds_its_way() {
    let s = versions();
    let (dir, tree) = (s.path(".git"), s.path("."));
    let args = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let (dir, tree) = (
        format!("--git-dir={}", args(&dir)),
        format!("--work-tree={}", args(&tree)),
    );
    s.git_in(s.home(), &[&dir, &tree, "checkout", "-q", "v1"])
        .ok();
    assert_holds(&s, 1);
    std::fs::create_dir(s.path("deep")).expect("made");
    s.git_in("deep", &["checkout", "-q", "main"]).ok();
    assert_holds(&s, 2);
}

#[test]
fn weights_that_were_only_touched_are_clean_and_fresh_ones_are_not() {
    let s = versions();
    // The same bytes in a new file: no stat data prove anything.
    s.remove(MODEL);
    s.write(MODEL, weights(2));
    s.git(&["checkout", "-q", "v1"])
        .ok()
        .says("brought in line");
    assert_holds(&s, 1);
    // As many bytes, written as soon as git is done.
    for seed in 10..20 {
        s.git(&["checkout", "-q", "v1"]).ok();
        s.mvc(&["restore", MODEL]).ok();
        s.write(MODEL, weights(seed));
        s.git(&["checkout", "-q", "v2"]).ok();
        assert_holds(&s, seed);
    }
    // A staged sidecar is in no commit, and its weights are clean all the same.
    s.mvc(&["add", MODEL]).ok();
    s.remove(MODEL);
    s.write(MODEL, weights(19));
    s.git(&["reset", "-q", "--hard"])
        .ok()
        .says("brought in line");
    assert_holds(&s, 2);
}

#[test]
fn weights_that_only_this_file_holds_are_not_replaced() {
    let s = versions();
    s.git(&["clone", "-q", ".", "../clone"]).ok();
    let clone = s.path("../clone");
    s.mvc_in(&clone, &["init"]).ok();
    // Copied by hand: they are what the sidecar says, and the store has none of it.
    std::fs::write(clone.join(MODEL), weights(2)).expect("writable");
    s.mvc_in(&clone, &["status", "--exit-code"]).code(0);
    for git in ["v1", "v2"] {
        s.git_in(&clone, &["checkout", "-q", git]).ok();
        assert!(std::fs::read(clone.join(MODEL)).expect("there") == weights(2));
    }
    s.mvc_in(&clone, &["status", "--exit-code"]).ok();
}

#[test]
fn a_version_that_keeps_the_file_in_plain_git_is_git_s_own() {
    let s = versions();
    s.git(&["checkout", "-q", "--orphan", "old"]).ok();
    s.git(&["rm", "-q", "-r", "--cached", "."]).ok();
    s.git(&["add", "-f", MODEL]).ok();
    s.git(&["commit", "-q", "--no-verify", "-m", "before mvc"])
        .ok();
    s.git(&["clean", "-q", "-f", "-d"]).ok();
    s.mvc(&["status"]).ok();
    s.git(&["checkout", "-q", "main"]).ok();
    assert_holds(&s, 2);
    for _ in 0..2 {
        // Git overwrites ignored files; the bytes are the same here, and still not mvc's to remove.
        s.git(&["checkout", "-q", "old"]).ok();
        assert_holds(&s, 2);
        assert!(s.git(&["status", "--porcelain"]).ok().stdout.is_empty());
        s.git(&["checkout", "-q", "main"]).ok();
        assert_holds(&s, 2);
        assert_clean(&s);
    }
}

#[test]
fn a_rebase_that_is_looked_at_and_given_up_leads_back() {
    let s = versions();
    s.git(&["checkout", "-q", "-b", "topic", "v1"]).ok();
    s.write("notes.txt", "topic\n");
    s.git(&["commit", "-q", "-am", "words"]).ok();
    s.write(MODEL, weights(5));
    s.mvc(&["commit", "-q", "-m", "weights"]).ok();
    s.git(&["checkout", "-q", "main"]).ok();
    s.write("notes.txt", "main\n");
    s.git(&["commit", "-q", "-am", "other words"]).ok();
    s.git(&["checkout", "-q", "topic"]).ok();
    s.git(&["rebase", "main"]).code(1);
    assert_holds(&s, 5);
    s.mvc(&["status"]).ok().prints("a rebase is in progress");
    assert_holds(&s, 2);
    s.git(&["rebase", "--abort"]).ok();
    assert_holds(&s, 5);
    assert_clean(&s);
    // The words of the first step conflict, and the weights of the last one.
    s.git(&["rebase", "main"]).code(1);
    s.git(&["rebase", "--skip"]).code(1).says("conflict marker");
    assert_holds(&s, 5);
    s.git(&["checkout", "--ours", "model.safetensors.mvc"]).ok();
    assert_holds(&s, 2);
    s.git(&["checkout", "--theirs", "model.safetensors.mvc"])
        .ok();
    assert_holds(&s, 5);
    s.git(&["add", "."]).ok();
    s.git(&["-c", "core.editor=true", "rebase", "--continue"])
        .ok();
    assert_holds(&s, 5);
    assert_clean(&s);
}

#[test]
fn hooks_go_quietly_where_they_cannot_work_or_must_not() {
    let s = versions();
    // Not on the PATH, and not where it was.
    let hook = s.text(".git/hooks/post-checkout");
    let gone = hook.replace(env!("CARGO_BIN_EXE_mvc"), "/nowhere/mvc");
    script(&s.path(".git/hooks/post-checkout"), &gone);
    let index = s
        .text(".git/hooks/post-index-change")
        .replace(env!("CARGO_BIN_EXE_mvc"), "/nowhere/mvc");
    script(&s.path(".git/hooks/post-index-change"), &index);
    let mut git = s.command(&find("git"));
    let path = std::env::join_paths(
        [find("git"), find("sh")].map(|p| p.parent().expect("a file").to_owned()),
    );
    git.args(["checkout", "-q", "v1"])
        .env("PATH", path.expect("joined"));
    let done = git.output().expect("runs");
    assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
    assert_holds(&s, 2);
    // The next verb makes up for it.
    s.mvc(&["status"]).ok().says("brought in line");
    assert_holds(&s, 1);
    s.mvc(&["hooks", "install"]).ok();
    for name in ["MVC_SKIP_HOOKS", "MVC_INSIDE"] {
        let mut git = s.command(&find("git"));
        let done = git
            .args(["checkout", "-q", "main"])
            .env(name, "1")
            .output()
            .expect("runs");
        assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
        assert_holds(&s, 1);
        s.git(&["checkout", "-q", "v1"]).ok();
    }
    s.mvc(&["hook", "no-such-hook"]).fails(Kind::Usage);
    // And so does a commit, which would undo what git did otherwise.
    let main = s.git(&["rev-parse", "v2"]).ok();
    let mut git = s.command(&find("git"));
    git.args(["checkout", "-q", "main"])
        .env("MVC_SKIP_HOOKS", "1");
    assert!(git.status().expect("runs").success());
    s.mvc(&["commit", "-m", "x"])
        .fails(Kind::No)
        .says("brought in line");
    assert_eq!(s.git(&["rev-parse", "HEAD"]).line(), main.line());
    assert_holds(&s, 2);
    s.git(&["checkout", "-q", "v1"]).ok();
    // An error is said, and is none of git's.
    std::fs::remove_dir_all(s.path(".git/mvc")).expect("removed");
    s.write(".git/mvc", "not a folder");
    s.git(&["checkout", "-q", "main"]).ok().says("error");
    assert_holds(&s, 1);
}

#[test]
fn hooks_are_installed_beside_others_and_go_without_a_trace() {
    let s = versions();
    s.mvc(&["hooks", "uninstall"]).ok();
    s.mvc(&["hooks", "status"]).code(1).prints("not installed");
    let theirs = "#!/bin/sh\nset -eu\n# theirs\nexit 0";
    let hook = s.path(".git/hooks/post-checkout");
    script(&hook, theirs);
    s.mvc(&["hooks", "install"])
        .ok()
        .prints("one line added to the hook post-checkout");
    let installed = s.text(".git/hooks/post-checkout");
    s.mvc(&["hooks", "install"])
        .ok()
        .prints("nothing to change");
    assert_eq!(s.text(".git/hooks/post-checkout"), installed);
    s.mvc(&["hooks", "status"]).ok().prints("calls mvc");
    s.git(&["checkout", "-q", "v1"]).ok();
    assert_holds(&s, 1);
    // Other hooks elsewhere silence these.
    s.git(&["config", "core.hooksPath", "githooks"]).ok();
    s.mvc(&["hooks", "status"]).code(1).prints("silenced");
    s.mvc(&["hooks", "install"]).ok();
    s.git(&["checkout", "-q", "v2"]).ok();
    assert_holds(&s, 2);
    assert!(
        !s.text("githooks/post-checkout")
            .contains(env!("CARGO_BIN_EXE_mvc"))
    );
    s.mvc(&["hooks", "uninstall"]).ok();
    assert!(!s.has("githooks/post-checkout"));
    assert_eq!(s.text(".git/hooks/post-checkout"), theirs);
    assert!(!s.has(".git/hooks/pre-commit"));
    let folder = s.home().join("hooks");
    s.git(&["config", "core.hooksPath", folder.to_str().expect("UTF-8")])
        .ok();
    s.mvc(&["hooks", "install"])
        .fails(Kind::Unsupported)
        .says("outside of this repository");
}

#[test]
fn the_hook_of_git_status_ends_in_the_shell() {
    let s = versions();
    let log = s.home().join("called");
    let fake = s.home().join("bin/mvc");
    script(
        &fake,
        &format!("#!/bin/sh\necho \"$@\" >>'{}'\n", log.display()),
    );
    let mut git = s.command(&find("git"));
    let path = [&fake, &find("git"), &find("sh")].map(|p| p.parent().expect("a file").to_owned());
    s.write("notes.txt", "one\n"); // a new stat, so that git writes its index
    git.arg("status")
        .env("PATH", std::env::join_paths(path).expect("joined"))
        .stdout(Stdio::null());
    assert!(git.status().expect("runs").success());
    assert!(!log.exists());
}
