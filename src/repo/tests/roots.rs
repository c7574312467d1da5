//! What a repository still leads to, by every way that git has.

use std::collections::BTreeSet;

use super::*;
use crate::base::kind::{Failure, Kind};

/// The contents of all `.mvc` files that anything leads to.
fn found(sandbox: &Sandbox) -> BTreeSet<String> {
    let repo = sandbox.open();
    let mut roots = repo.roots(|path| path.ends_with(".mvc"));
    roots.gather().expect("all is there");
    roots
        .files()
        .map(|file| {
            let bytes = repo.blob(&file.blob, 999).expect("there");
            String::from_utf8(bytes).expect("text")
        })
        .collect()
}

fn set<const N: usize>(all: [&str; N]) -> BTreeSet<String> {
    all.iter().map(|text| (*text).to_owned()).collect()
}

fn refused(sandbox: &Sandbox) -> RepoError {
    let repo = sandbox.open();
    let mut roots = repo.roots(|path| path.ends_with(".mvc"));
    roots.gather().expect_err("something is not there")
}

/// Forgets every reflog.
fn forget(sandbox: &Sandbox) {
    sandbox.git(&[
        "reflog",
        "expire",
        "--expire=all",
        "--expire-unreachable=all",
        "--all",
    ]);
}

#[test]
fn branches_tags_remotes_and_notes_lead_to_files_in_folders() {
    let sandbox = Sandbox::repository();
    sandbox.commit("a.mvc", "one", "first");
    sandbox.commit("deep/er/a.mvc", "two", "second");
    sandbox.commit("a.mvc", "three", "third");
    sandbox.git(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
    sandbox.git(&["tag", "-a", "-m", "tag", "v1"]);
    sandbox.git(&["tag", "-a", "-m", "tag of a tag", "v2", "v1"]);
    sandbox.git(&["reset", "--quiet", "--hard", "HEAD~2"]);
    sandbox.commit("b.mvc", "four", "side");
    sandbox.git(&["update-ref", "refs/strange/place", "HEAD"]);
    sandbox.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    forget(&sandbox);
    sandbox.git(&["pack-refs", "--all"]);
    let all = set(["one", "two", "three", "four"]);
    assert_eq!(found(&sandbox), all);
    // One text under two names, of which another one comes first.
    sandbox.write("0.txt", "five");
    sandbox.commit("z.mvc", "five", "twice");
    assert!(found(&sandbox).contains("five"));
    sandbox.git(&["update-ref", "-d", "refs/strange/place"]);
    std::fs::remove_file(sandbox.path("tree/.git/ORIG_HEAD")).expect("of the reset");
    assert!(!found(&sandbox).contains("four"));
}

#[test]
fn what_is_staged_stashed_or_only_in_a_reflog_counts() {
    let sandbox = Sandbox::repository();
    sandbox.commit("a.mvc", "one", "first");
    sandbox.write("a.mvc", "staged");
    sandbox.git(&["add", "a.mvc"]);
    assert_eq!(found(&sandbox), set(["one", "staged"]));
    sandbox.write("a.mvc", "dirty");
    sandbox.git(&["stash", "--quiet"]);
    forget_all_but_stash(&sandbox);
    assert_eq!(found(&sandbox), set(["one", "staged", "dirty"]));
    sandbox.git(&["stash", "drop", "--quiet"]);
    assert_eq!(found(&sandbox), set(["one"]));
    sandbox.commit("a.mvc", "reset", "second");
    sandbox.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    std::fs::remove_file(sandbox.path("tree/.git/ORIG_HEAD")).expect("it was set");
    assert_eq!(found(&sandbox), set(["one", "reset"]));
    forget(&sandbox);
    assert_eq!(found(&sandbox), set(["one"]));
}

/// The stash is a reflog itself.
fn forget_all_but_stash(sandbox: &Sandbox) {
    for name in ["HEAD", "main"] {
        sandbox.git(&[
            "reflog",
            "expire",
            "--expire=all",
            "--expire-unreachable=all",
            name,
        ]);
    }
}

#[test]
fn a_conflict_leads_to_all_its_sides_and_to_what_is_merged() {
    let sandbox = Sandbox::repository();
    sandbox.commit("a.mvc", "base", "first");
    sandbox.git(&["switch", "--quiet", "-c", "side"]);
    sandbox.commit("a.mvc", "theirs", "side");
    sandbox.git(&["switch", "--quiet", "main"]);
    sandbox.commit("a.mvc", "ours", "main");
    let (merged, _, _) = sandbox.try_git(&["merge", "--quiet", "side"]);
    assert!(!merged);
    sandbox.git(&["update-ref", "-d", "refs/heads/side"]);
    forget(&sandbox);
    // The work tree's own text with its marks is git's, kept in AUTO_MERGE.
    let sides = found(&sandbox);
    assert!(
        sides.is_superset(&set(["base", "ours", "theirs"])),
        "{sides:?}"
    );
    // Only MERGE_HEAD leads to it once it is resolved otherwise.
    sandbox.write("a.mvc", "mine");
    sandbox.git(&["add", "a.mvc"]);
    let sides = found(&sandbox);
    assert!(
        sides.is_superset(&set(["base", "ours", "theirs", "mine"])),
        "{sides:?}"
    );
    sandbox.git(&["merge", "--abort"]);
    let _ = std::fs::remove_file(sandbox.path("tree/.git/ORIG_HEAD"));
    forget(&sandbox);
    assert_eq!(found(&sandbox), set(["base", "ours"]));
}

#[test]
fn a_rebase_that_stopped_leads_to_what_it_has_still_to_pick() {
    let sandbox = Sandbox::repository();
    sandbox.commit("a.mvc", "base", "first");
    sandbox.git(&["switch", "--quiet", "-c", "side"]);
    sandbox.commit("a.mvc", "theirs", "one");
    sandbox.commit("b.mvc", "later", "two");
    sandbox.git(&["switch", "--quiet", "main"]);
    sandbox.commit("a.mvc", "ours", "main");
    let (rebased, _, _) = sandbox.try_git(&["rebase", "main", "side"]);
    assert!(!rebased);
    sandbox.git(&["update-ref", "-d", "refs/heads/side"]);
    let _ = std::fs::remove_file(sandbox.path("tree/.git/ORIG_HEAD"));
    forget(&sandbox);
    let all = found(&sandbox);
    assert!(
        all.is_superset(&set(["base", "theirs", "later", "ours"])),
        "{all:?}"
    );
    // As a user writes it.
    let todo = sandbox.path("tree/.git/rebase-merge/git-rebase-todo");
    let text = std::fs::read_to_string(&todo).expect("there");
    let id = text.split(' ').nth(1).expect("pick ID").to_owned();
    std::fs::write(&todo, text.replace(&id, &id[..7])).expect("written");
    for name in [
        "orig-head",
        "rewritten-list",
        "git-rebase-todo.backup",
        "end",
    ] {
        let _ = std::fs::remove_file(sandbox.path("tree/.git/rebase-merge").join(name));
    }
    assert!(found(&sandbox).contains("later"));
}

#[test]
fn every_linked_work_tree_has_its_own_head_index_reflog_and_private_refs() {
    let sandbox = Sandbox::repository();
    sandbox.commit("a.mvc", "one", "first");
    let other = sandbox.path("other");
    let other = other.to_str().expect("UTF-8");
    sandbox.git(&["worktree", "add", "--quiet", "--detach", other]);
    let there = |args: &[&str]| sandbox.git(&[&["-C", other], args].concat());
    let commit = |text: &str| {
        std::fs::write(format!("{other}/a.mvc"), text).expect("written");
        there(&["add", "a.mvc"]);
        there(&["commit", "--quiet", "-m", text]);
    };
    commit("private");
    there(&["update-ref", "refs/bisect/bad", "HEAD"]);
    there(&["reset", "--quiet", "--hard", "HEAD~1"]);
    commit("logged");
    there(&["reset", "--quiet", "--hard", "HEAD~1"]);
    commit("head");
    std::fs::write(format!("{other}/a.mvc"), "staged").expect("written");
    there(&["add", "a.mvc"]);
    let private = sandbox.path("tree/.git/worktrees/other");
    let _ = std::fs::remove_file(private.join("ORIG_HEAD"));
    assert_eq!(
        found(&sandbox),
        set(["one", "private", "logged", "head", "staged"])
    );
    std::fs::remove_dir_all(private.join("logs")).expect("removed");
    assert_eq!(found(&sandbox), set(["one", "private", "head", "staged"]));
    std::fs::remove_dir_all(private.join("refs")).expect("removed");
    assert_eq!(found(&sandbox), set(["one", "head", "staged"]));
    let trees = sandbox.open().work_trees().expect("both are there");
    assert_eq!(trees.len(), 2);
    assert!(trees.iter().any(|tree| tree.root.ends_with("other")));
    std::fs::remove_dir_all(other).expect("removed");
    let error = sandbox.open().work_trees().expect_err("one is gone");
    assert!(matches!(error, RepoError::NoWorkTree { .. }));
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("worktree prune"))
    );
    // What git's own folder of it says is known all the same.
    assert_eq!(found(&sandbox), set(["one", "head", "staged"]));
}

#[test]
fn what_is_replaced_stays_and_so_does_what_replaces_it() {
    let sandbox = Sandbox::repository();
    sandbox.commit("a.mvc", "one", "first");
    let old = sandbox.commit("a.mvc", "old", "second");
    sandbox.git(&["switch", "--quiet", "-c", "side", "HEAD~1"]);
    let new = sandbox.commit("a.mvc", "new", "instead");
    sandbox.git(&["switch", "--quiet", "main"]);
    sandbox.git(&["replace", &old, &new]);
    sandbox.git(&["branch", "--quiet", "-D", "side"]);
    forget(&sandbox);
    sandbox.git(&["read-tree", "--reset", "-u", "HEAD"]);
    assert_eq!(found(&sandbox), set(["one", "old", "new"]));
}

#[test]
fn what_git_let_go_of_is_counted_and_what_should_be_there_is_an_error() {
    let sandbox = Sandbox::repository();
    sandbox.commit("a.mvc", "one", "first");
    sandbox.commit("a.mvc", "two", "second");
    sandbox.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    let log = sandbox.path("tree/.git/logs/HEAD");
    let text = std::fs::read_to_string(&log).expect("read");
    forget(&sandbox);
    let _ = std::fs::remove_file(sandbox.path("tree/.git/ORIG_HEAD"));
    sandbox.git(&["prune", "--expire=now"]);
    std::fs::write(&log, text).expect("written");
    let repo = sandbox.open();
    let mut roots = repo.roots(|path| path.ends_with(".mvc"));
    roots.gather().expect("a reflog may name what is gone");
    assert_eq!(
        (roots.pruned, roots.commits, roots.files().count()),
        (1, 1, 1)
    );
    // A parent that is gone is another matter.
    sandbox.commit("a.mvc", "three", "third");
    let parent = repo.resolve("HEAD~1").expect("there").to_string();
    let object = sandbox.path(&format!(
        "tree/.git/objects/{}/{}",
        &parent[..2],
        &parent[2..]
    ));
    let good = std::fs::read(&object).expect("loose");
    std::fs::remove_file(&object).expect("removed");
    let error = refused(&sandbox);
    assert_eq!(error.kind(), Kind::Missing);
    assert!(error.to_string().contains("cannot follow"), "{error}");
    std::fs::write(&object, b"garbage").expect("written");
    assert_eq!(refused(&sandbox).kind(), Kind::Damaged);
    std::fs::remove_file(&object).expect("removed");
    std::fs::write(&object, good).expect("written");
    // A ref that is half written.
    sandbox.write(".git/refs/heads/broken", "");
    assert!(matches!(refused(&sandbox), RepoError::BrokenRef { .. }));
    std::fs::remove_file(sandbox.path("tree/.git/refs/heads/broken")).expect("removed");
    sandbox.write(".git/refs/heads/broken", &"ab".repeat(20));
    assert_eq!(refused(&sandbox).kind(), Kind::Missing);
}

#[test]
fn a_folder_whose_bytes_changed_leads_nowhere_else() {
    let sandbox = Sandbox::repository();
    sandbox.commit("a.mvc", "one", "first");
    let tree = sandbox.git(&["rev-parse", "HEAD^{tree}"]);
    let tree = tree.trim();
    // Another folder under this one's name: well-formed, and without the sidecar.
    sandbox.write("b.txt", "x");
    sandbox.git(&["rm", "--quiet", "--cached", "a.mvc"]);
    sandbox.git(&["add", "b.txt"]);
    let other = sandbox.git(&["write-tree"]);
    let other = other.trim();
    sandbox.git(&["read-tree", "--empty"]);
    let path = |id: &str| sandbox.path(&format!("tree/.git/objects/{}/{}", &id[..2], &id[2..]));
    std::fs::remove_file(path(tree)).expect("loose");
    std::fs::copy(path(other), path(tree)).expect("copied");
    assert_eq!(refused(&sandbox).kind(), Kind::Damaged);
}

#[test]
fn a_shallow_clone_is_refused() {
    let sandbox = Sandbox::repository();
    sandbox.commit("a.mvc", "one", "first");
    let head = sandbox.commit("a.mvc", "two", "second");
    sandbox.write(".git/shallow", &format!("{head}\n"));
    let error = refused(&sandbox);
    assert!(matches!(error, RepoError::Shallow));
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("--unshallow"))
    );
}
