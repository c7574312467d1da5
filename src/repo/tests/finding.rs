//! Finding repositories, and what they are in the middle of.

use super::*;

fn is_shared<T: Send + Sync + Clone>(_: &T) {}

#[test]
fn a_repository_is_found_from_everywhere_in_it() {
    let sandbox = Sandbox::repository();
    sandbox.write("a/b/file", "x");
    let tree = sandbox.path("tree");
    let deep = Repo::discover_with(&tree.join("a/b"), &sandbox.environment).expect("found");
    is_shared(&deep);
    assert_eq!((deep.root(), deep.prefix()), (tree.as_path(), "a/b"));
    assert_eq!(deep.git_dir(), tree.join(".git"));
    assert_eq!(deep.common_dir(), tree.join(".git"));
    assert_eq!(deep.hooks_dir(), tree.join(".git/hooks"));
    assert_eq!(
        deep.head().expect("read"),
        Head::Branch {
            name: "main".into(),
            commit: None
        }
    );
    assert!(deep.index().expect("read").is_empty());
    assert_eq!(deep.in_progress(), None);
    let refused = deep.resolve("HEAD").expect_err("unborn");
    assert!(
        matches!(&refused, RepoError::Unborn { branch } if branch == "main"),
        "{refused}"
    );
}

#[test]
fn what_is_no_work_tree_is_refused_with_words() {
    let sandbox = Sandbox::repository();
    let discover = |from: &Path| Repo::discover_with(from, &sandbox.environment);
    let none = discover(&sandbox.path("")).expect_err("above it");
    assert!(matches!(none, RepoError::NoRepository { .. }), "{none}");
    let inside = discover(&sandbox.path("tree/.git/refs")).expect_err("inside");
    assert!(matches!(inside, RepoError::InsideGitDir { .. }), "{inside}");
    sandbox.git(&["init", "--quiet", "--bare", "../bare"]);
    let bare = discover(&sandbox.path("bare")).expect_err("bare");
    assert!(matches!(bare, RepoError::Bare { .. }), "{bare}");
    sandbox.git(&["init", "--quiet", "--ref-format=reftable", "../table"]);
    let table = discover(&sandbox.path("table")).expect_err("reftable");
    assert_eq!(table.kind(), Kind::Unsupported);
    for error in [none, inside, bare] {
        assert_eq!(error.kind(), Kind::NotARepository);
        assert!(error.hint().is_some());
    }
}

#[test]
fn a_repository_that_git_does_not_trust_is_not_opened() {
    let sandbox = Sandbox::repository();
    // Git's own tests pretend the same.
    let environment = (sandbox.environment.clone()).with("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1");
    let refused = Repo::discover_with(&sandbox.path("tree"), &environment).expect_err("untrusted");
    assert!(matches!(refused, RepoError::Untrusted { .. }), "{refused}");
    assert!(refused.to_string().contains("safe.directory"), "{refused}");
}

#[test]
fn init_twice_changes_nothing() {
    let sandbox = Sandbox::empty();
    let dir = sandbox.path("new");
    std::fs::create_dir(&dir).expect("made");
    std::fs::create_dir(dir.join("below")).expect("made");
    let (repo, created) = Repo::init_with(&dir, &sandbox.environment).expect("made");
    assert!(created);
    assert_eq!(repo.root(), dir);
    let (again, created) =
        Repo::init_with(&dir.join("below"), &sandbox.environment).expect("opened");
    assert!(!created);
    assert_eq!(again.root(), dir);
}

#[test]
fn sha256_repositories_work() {
    let sandbox = Sandbox::empty();
    std::fs::create_dir(sandbox.path("tree")).expect("made");
    sandbox.git(&[
        "init",
        "--quiet",
        "--object-format=sha256",
        "--initial-branch=main",
    ]);
    let commit = sandbox.commit("dir/model.mvc", "text", "first");
    let repo = sandbox.open();
    assert_eq!(repo.object_format(), ObjectFormat::Sha256);
    assert_eq!(repo.resolve("HEAD").expect("found").to_string(), commit);
    let file = repo
        .file(&id(&commit), &path("dir/model.mvc"), 10)
        .expect("read");
    assert_eq!(file.as_deref(), Some(b"text".as_slice()));
    assert_eq!(repo.index().expect("read").len(), 1);
    let blob = repo.git().write_blob(b"new").expect("written");
    let edits = [
        IndexEdit::Set {
            path: path("other.mvc"),
            blob,
            executable: false,
        },
        IndexEdit::Remove {
            path: path("dir/model.mvc"),
        },
    ];
    repo.git().edit_index(&edits).expect("edited");
    let names: Vec<_> = repo
        .index()
        .expect("read")
        .into_iter()
        .map(|file| file.path)
        .collect();
    assert_eq!(names, [path("other.mvc")]);
    let made = repo
        .git()
        .commit(Some("second"), &CommitOptions::default(), Talk::Capture);
    assert!(matches!(made, Ok(Committed::Made(_))), "{made:?}");
}

#[test]
fn linked_work_trees_share_and_differ() {
    let sandbox = Sandbox::repository();
    let first = sandbox.commit("a", "1", "first");
    sandbox.git(&["worktree", "add", "--quiet", "-b", "side", "../side"]);
    let side = Repo::discover_with(&sandbox.path("side"), &sandbox.environment).expect("found");
    assert_eq!(side.root(), sandbox.path("side"));
    assert_eq!(side.common_dir(), sandbox.path("tree/.git"));
    assert_eq!(side.git_dir(), sandbox.path("tree/.git/worktrees/side"));
    assert_eq!(side.hooks_dir(), sandbox.path("tree/.git/hooks"));
    assert_eq!(side.head().expect("read").branch(), Some("side"));
    assert_eq!(side.resolve("main").expect("found"), id(&first));
    assert_eq!(side.index().expect("read").len(), 1);
    std::fs::write(side.root().join("b"), "2").expect("written");
    side.git().stage(&[path("b")]).expect("staged");
    assert_eq!(side.index().expect("read").len(), 2);
    assert_eq!(sandbox.open().index().expect("read").len(), 1);
}

#[test]
fn the_environment_of_a_hook_counts() {
    let sandbox = Sandbox::repository();
    sandbox.commit("a", "1", "first");
    sandbox.write("dir/b", "2");
    // Git takes this one from the top of the work tree, the others from where it stands.
    let index = ".git/other index";
    std::fs::copy(
        sandbox.path("tree/.git/index"),
        sandbox.path("tree/.git/other index"),
    )
    .expect("copied");
    let environment = sandbox
        .environment
        .clone()
        .with("GIT_DIR", "../.git")
        .with("GIT_WORK_TREE", "..")
        .with("GIT_INDEX_FILE", index)
        .with("GIT_PREFIX", "dir/");
    let repo = Repo::discover_with(&sandbox.path("tree/dir"), &environment).expect("found");
    assert_eq!(
        (repo.root(), repo.prefix()),
        (sandbox.path("tree").as_path(), "dir")
    );
    assert_eq!(repo.index_path(), sandbox.path("tree/.git/other index"));
    repo.git().stage(&[path("dir/b")]).expect("staged");
    assert_eq!(repo.index().expect("read").len(), 2);
    assert_eq!(sandbox.open().index().expect("read").len(), 1);
    assert_eq!(repo.git().staged().expect("read"), [path("dir/b")]);
}

#[test]
fn a_work_tree_that_only_the_configuration_names_works() {
    let sandbox = Sandbox::repository();
    std::fs::create_dir(sandbox.path("elsewhere")).expect("made");
    let elsewhere = sandbox.path("elsewhere");
    sandbox.git(&["config", "core.worktree", elsewhere.to_str().expect("text")]);
    std::fs::write(elsewhere.join("a"), "1").expect("written");
    let environment = (sandbox.environment.clone()).with("GIT_DIR", sandbox.path("tree/.git"));
    let repo = Repo::discover_with(&elsewhere, &environment).expect("found");
    assert_eq!(repo.root(), elsewhere);
    repo.git().stage(&[path("a")]).expect("staged");
    assert!(repo.tracked(&path("a")).expect("read"));
}

#[test]
fn operations_in_progress_are_told() {
    let sandbox = Sandbox::repository();
    sandbox.commit("a", "base\n", "base");
    sandbox.git(&["checkout", "--quiet", "-b", "side"]);
    sandbox.commit("a", "theirs\n", "theirs");
    sandbox.git(&["checkout", "--quiet", "main"]);
    sandbox.commit("a", "ours\n", "ours");
    let repo = sandbox.open();
    let cases: [(&[&str], &[&str], InProgress); 4] = [
        (
            &["rebase", "side"],
            &["rebase", "--abort"],
            InProgress::Rebase,
        ),
        (
            &["cherry-pick", "side"],
            &["cherry-pick", "--abort"],
            InProgress::CherryPick,
        ),
        (
            &["revert", "HEAD~1"],
            &["revert", "--abort"],
            InProgress::Revert,
        ),
        (
            &["bisect", "start", "main", "main~1"],
            &["bisect", "reset"],
            InProgress::Bisect,
        ),
    ];
    for (begin, end, expected) in cases {
        sandbox.try_git(begin);
        assert_eq!(repo.in_progress(), Some(expected), "{begin:?}");
        sandbox.git(end);
        assert_eq!(repo.in_progress(), None, "{end:?}");
    }
}
