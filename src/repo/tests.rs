//! Real git is asked the same questions.

use std::path::Path;

use super::sandbox::Sandbox;
use super::*;
use crate::base::{Failure, Kind, RepoPath};

fn path(text: &str) -> RepoPath {
    RepoPath::new(text).expect("a good path")
}

fn id(hex: &str) -> CommitId {
    CommitId::from_hex(hex).expect("an id")
}

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
fn revisions_mean_what_they_mean_to_git() {
    let sandbox = Sandbox::repository();
    let first = sandbox.commit("a", "1", "first words");
    sandbox.git(&["tag", "light"]);
    let second = sandbox.commit("a", "2", "second");
    sandbox.git(&["tag", "-a", "-m", "noted", "heavy"]);
    sandbox.git(&["tag", "-a", "-m", "a tag of a tag", "heavier", "heavy"]);
    sandbox.git(&["branch", "--track", "topic/one"]);
    sandbox.git(&["checkout", "--quiet", "topic/one"]);
    let third = sandbox.commit("a", "3", "third");
    let repo = sandbox.open();
    let spellings = [
        "HEAD",
        "@",
        "main",
        "refs/heads/main",
        "heads/main",
        "topic/one",
        "light",
        "heavy",
        "heavier",
        "heavy^{commit}",
        "heavy^{}",
        "HEAD~2",
        "HEAD^",
        "HEAD^^",
        "@{1}",
        "HEAD@{2}",
        "@{-1}",
        "@{upstream}",
        "topic/one@{u}",
        ":/first words",
        ":/second",
        "HEAD^{/first}",
        "heavy-0-gffffffffff",
        &first[..8],
        &second,
        &third,
    ];
    for rev in spellings {
        let git = sandbox.try_git(&["rev-parse", "--verify", "--quiet", rev]);
        let peeled = git
            .0
            .then(|| sandbox.git(&["rev-parse", &format!("{}^{{commit}}", git.1)]));
        let ours = repo.resolve(rev).ok().map(|id| id.to_string());
        assert_eq!(ours, peeled, "{rev}");
    }
    let tree = repo.resolve("HEAD^{tree}").expect_err("a tree");
    assert!(tree.to_string().contains("is a tree"), "{tree}");
    let blob = repo.resolve("HEAD:a").expect_err("a blob");
    assert!(blob.to_string().contains("is a blob"), "{blob}");
    for bad in [
        "",
        "--all",
        "-1",
        "nope",
        "a..b",
        "HEAD~99",
        "x\0y",
        "main^{commit",
        "^main",
    ] {
        let refused = repo.resolve(bad).expect_err(bad);
        assert_eq!(refused.kind(), Kind::NotFound, "{bad}");
    }
    let hint = |rev: &str| repo.resolve(rev).expect_err(rev).hint().unwrap_or_default();
    assert!(hint("mian").contains("`main`"), "{}", hint("mian"));
    assert!(hint("haevy~1").contains("`heavy`"));
    assert!(hint("one").contains("`topic/one`"));
    assert!(!hint("something-else").contains("did you mean"));
}

#[test]
fn a_branch_wins_over_an_abbreviation_and_a_tag_over_a_branch() {
    let sandbox = Sandbox::repository();
    let first = sandbox.commit("a", "1", "first");
    let second = sandbox.commit("a", "2", "second");
    sandbox.git(&["branch", &first[..7], &second]);
    sandbox.git(&["branch", "both", &first]);
    sandbox.git(&["tag", "both", &second]);
    let repo = sandbox.open();
    for rev in [&first[..7], "both"] {
        let git = sandbox.git(&["rev-parse", rev]);
        assert_eq!(repo.resolve(rev).expect("found").to_string(), git, "{rev}");
    }
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
fn files_of_a_commit_and_of_the_index() {
    let sandbox = Sandbox::repository();
    sandbox.write("deep/er/b 🤖.mvc", "two");
    sandbox.write("run.mvc", "three");
    std::os::unix::fs::symlink("run.mvc", sandbox.path("tree/link.mvc")).expect("linked");
    sandbox.git(&["add", "--all"]);
    sandbox.git(&["update-index", "--chmod=+x", "run.mvc"]);
    let commit = id(&sandbox.commit("a.txt", "one", "first"));
    let repo = sandbox.open();
    let keep = |path: &str| path.ends_with(".mvc");
    let files = repo.files(&commit, &keep).expect("read");
    let shown: Vec<_> = files
        .iter()
        .map(|f| (f.path.as_str(), f.executable))
        .collect();
    assert_eq!(shown, [("deep/er/b 🤖.mvc", false), ("run.mvc", true)]);
    let blob = files[0].blob;
    assert_eq!(repo.blob(&blob, 3).expect("read"), b"two");
    let long = repo.blob(&blob, 2).expect_err("too long");
    assert_eq!(long.kind(), Kind::BadInput);
    let file = |name| repo.file(&commit, &path(name), 100).expect("read");
    assert_eq!(file("deep/er/b 🤖.mvc").as_deref(), Some(b"two".as_slice()));
    assert_eq!(
        (
            file("deep"),
            file("none"),
            file("a.txt/x"),
            file("link.mvc")
        ),
        (None, None, None, None)
    );
    let index = repo.index_where(&keep).expect("read");
    assert_eq!(
        index.iter().map(|f| &f.path).collect::<Vec<_>>(),
        files.iter().map(|f| &f.path).collect::<Vec<_>>()
    );
    assert!(repo.tracked(&path("a.txt")).expect("read"));
    assert!(!repo.tracked(&path("deep")).expect("read"));
}

#[test]
fn flags_and_stages_of_the_index() {
    let sandbox = Sandbox::repository();
    sandbox.commit("m.mvc", "base\n", "base");
    sandbox.commit("left.mvc", "x", "left out");
    sandbox.git(&["checkout", "--quiet", "-b", "side"]);
    sandbox.commit("m.mvc", "theirs\n", "theirs");
    sandbox.git(&["checkout", "--quiet", "main"]);
    sandbox.commit("m.mvc", "ours\n", "ours");
    assert!(!sandbox.try_git(&["merge", "side"]).0);
    sandbox.git(&["update-index", "--skip-worktree", "left.mvc"]);
    sandbox.write("new.mvc", "n");
    sandbox.git(&["add", "--intent-to-add", "new.mvc"]);
    let repo = sandbox.open();
    assert_eq!(repo.in_progress(), Some(InProgress::Merge));
    let index = repo.index().expect("read");
    let shown: Vec<_> = index
        .iter()
        .map(|f| (f.path.as_str(), f.stage, f.skip_worktree, f.intent_to_add))
        .collect();
    let expected = [
        ("left.mvc", 0, true, false),
        ("m.mvc", 1, false, false),
        ("m.mvc", 2, false, false),
        ("m.mvc", 3, false, false),
        ("new.mvc", 0, false, true),
    ];
    assert_eq!(shown, expected);
    assert_eq!(repo.blob(&index[2].blob, 100).expect("read"), b"ours\n");
    let status = repo.git().status().expect("read");
    assert!(
        status
            .entries
            .iter()
            .any(|entry| entry.conflict && entry.path == path("m.mvc"))
    );
    // Staging the file that was left out changes nothing; staging the conflict resolves it.
    sandbox.write("m.mvc", "both\n");
    std::fs::remove_file(sandbox.path("tree/left.mvc")).expect("removed");
    repo.git()
        .stage(&[path("left.mvc"), path("m.mvc")])
        .expect("staged");
    let stages: Vec<_> = repo
        .index()
        .expect("read")
        .iter()
        .map(|f| (f.path.clone(), f.stage))
        .collect();
    assert_eq!(
        stages,
        [
            (path("left.mvc"), 0),
            (path("m.mvc"), 0),
            (path("new.mvc"), 0)
        ]
    );
}

#[test]
fn a_sparse_index_hides_no_file() {
    let sandbox = Sandbox::repository();
    sandbox.write("in/a.mvc", "1");
    sandbox.write("out/deep/b.mvc", "2");
    sandbox.git(&["add", "--all"]);
    sandbox.git(&["commit", "--quiet", "-m", "first"]);
    sandbox.git(&["sparse-checkout", "set", "--sparse-index", "in"]);
    let index = sandbox.open().index().expect("read");
    let shown: Vec<_> = index
        .iter()
        .map(|f| (f.path.as_str(), f.skip_worktree))
        .collect();
    assert_eq!(shown, [("in/a.mvc", false), ("out/deep/b.mvc", true)]);
}

#[test]
fn staging_takes_any_name_and_no_rule_stops_it() {
    let sandbox = Sandbox::repository();
    sandbox.commit("gone.mvc", "x", "first");
    let names = [
        "*.mvc",
        "--all",
        ":(top)x.mvc",
        "new\nline \"q\".mvc",
        "🤖.mvc",
    ];
    for name in names {
        sandbox.write(name, name);
    }
    sandbox.write("other.mvc", "must stay out");
    sandbox.write(".gitignore", "*\n");
    std::fs::remove_file(sandbox.path("tree/gone.mvc")).expect("removed");
    let repo = sandbox.open();
    let git = repo.git();
    let paths: Vec<_> = names
        .iter()
        .chain(&["gone.mvc"])
        .map(|name| path(name))
        .collect();
    git.stage(&paths).expect("staged");
    let mut staged = git.staged().expect("read");
    let mut expected = paths.clone();
    staged.sort();
    expected.sort();
    assert_eq!(staged, expected);
    assert!(!repo.tracked(&path("other.mvc")).expect("read"));
    assert_eq!(
        git.ignored(&[path("other.mvc"), path("🤖.mvc")])
            .expect("read"),
        [path("other.mvc")]
    );
    git.unstage(&paths[..5]).expect("unstaged");
    assert_eq!(git.staged().expect("read"), [path("gone.mvc")]);
    git.restore(None, Restore::Both, &[path("gone.mvc")])
        .expect("restored");
    assert!(git.staged().expect("read").is_empty());
    assert!(sandbox.path("tree/gone.mvc").exists());
    sandbox.write("gone.mvc", "changed");
    assert_eq!(git.modified().expect("read"), [path("gone.mvc")]);
    git.remove_cached(&[path("gone.mvc")]).expect("removed");
    assert!(!repo.tracked(&path("gone.mvc")).expect("read"));
    assert!(sandbox.path("tree/gone.mvc").exists());
}

#[test]
fn unborn_repositories_stage_and_unstage() {
    let sandbox = Sandbox::repository();
    sandbox.write("a", "1");
    sandbox.write("b", "2");
    let repo = sandbox.open();
    repo.git().stage(&[path("a")]).expect("staged");
    assert_eq!(repo.git().staged().expect("read"), [path("a")]);
    assert_eq!(repo.git().untracked().expect("read"), [path("b")]);
    repo.git().unstage(&[path("a")]).expect("unstaged");
    assert!(repo.git().staged().expect("read").is_empty());
    let none = repo
        .git()
        .commit(Some("m"), &CommitOptions::default(), Talk::Capture);
    assert_eq!(none.expect("no error"), Committed::Nothing);
}

#[test]
fn commits_are_made_refused_or_nothing() {
    let sandbox = Sandbox::repository();
    sandbox.commit("a", "1", "first");
    let repo = sandbox.open();
    let commit = |message: &str| {
        repo.git()
            .commit(Some(message), &CommitOptions::default(), Talk::Capture)
    };
    assert_eq!(commit("m").expect("no error"), Committed::Nothing);
    sandbox.write("a", "2");
    repo.git().stage(&[path("a")]).expect("staged");
    let hook = sandbox.path("tree/.git/hooks/pre-commit");
    std::fs::create_dir_all(hook.parent().expect("has one")).expect("made");
    std::fs::write(
        &hook,
        "#!/bin/sh\necho \"inside=$MVC_INSIDE\"\nprintf 'no\\033[2J' >&2\nexit 1\n",
    )
    .expect("written");
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("set");
    let refused = commit("m").expect_err("refused");
    assert!(matches!(refused, GitError::Refused { .. }), "{refused}");
    let words = refused.to_string();
    assert!(
        words.contains("inside=1") && words.contains("no\\u{1b}[2J"),
        "{words}"
    );
    std::fs::remove_file(&hook).expect("removed");
    let Committed::Made(made) = commit("# kept\n\nbody -- é\n").expect("made") else {
        panic!("nothing was made");
    };
    let info = repo.commit_info(&made).expect("read");
    assert_eq!(
        (info.subject.as_str(), info.body.as_str()),
        ("# kept", "body -- é")
    );
    let nobody = sandbox
        .environment
        .clone()
        .without("GIT_AUTHOR_NAME")
        .without("GIT_COMMITTER_NAME")
        .without("GIT_AUTHOR_EMAIL")
        .without("GIT_COMMITTER_EMAIL")
        .with("GIT_CONFIG_COUNT", "1")
        .with("GIT_CONFIG_KEY_0", "user.useConfigOnly")
        .with("GIT_CONFIG_VALUE_0", "true");
    let repo = Repo::discover_with(&sandbox.path("tree"), &nobody).expect("found");
    let empty = CommitOptions {
        allow_empty: true,
        ..CommitOptions::default()
    };
    let refused = repo
        .git()
        .commit(Some("m"), &empty, Talk::Capture)
        .expect_err("nobody");
    assert!(matches!(refused, GitError::Refused { .. }), "{refused}");
}

#[test]
fn the_log_is_in_git_s_order() {
    let sandbox = Sandbox::repository();
    let dated = |time: u64, args: &[&str]| {
        let date = format!("@{time} +0000");
        let environment = (sandbox.environment.clone())
            .with("GIT_COMMITTER_DATE", date.as_str())
            .with("GIT_AUTHOR_DATE", date.as_str());
        let repo = Repo::discover_with(&sandbox.path("tree"), &environment).expect("found");
        repo.git().write(args, None, Talk::Capture).expect("ran");
    };
    let commit = ["commit", "--quiet", "--allow-empty", "-m", "x"];
    for time in [1000, 1000, 2000] {
        dated(time, &commit);
    }
    dated(1, &["checkout", "--quiet", "-b", "side", "HEAD~1"]);
    for time in [1500, 2500, 2500] {
        dated(time, &commit);
    }
    dated(1, &["checkout", "--quiet", "main"]);
    dated(
        2500,
        &["merge", "--quiet", "--no-ff", "-m", "merged", "side"],
    );
    dated(3000, &["tag", "-a", "-m", "a note\n\nmore", "v1"]);
    sandbox.git(&["update-ref", "refs/remotes/origin/main", "HEAD~1"]);
    let repo = sandbox.open();
    let head = repo.resolve("HEAD").expect("found");
    let log = |options| -> Vec<String> {
        let log = repo.log(&[head], options).expect("begun");
        log.map(|info| info.expect("read").id.to_string()).collect()
    };
    let git =
        |args: &[&str]| -> Vec<String> { sandbox.git(args).lines().map(String::from).collect() };
    assert_eq!(log(LogOptions::default()), git(&["log", "--format=%H"]));
    let first = LogOptions {
        first_parent: true,
        ..LogOptions::default()
    };
    assert_eq!(log(first), git(&["log", "--format=%H", "--first-parent"]));
    let two = LogOptions {
        limit: Some(2),
        ..LogOptions::default()
    };
    assert_eq!(log(two), git(&["log", "--format=%H", "-2"]));
    let newest = repo
        .log(&[head], two)
        .expect("begun")
        .next()
        .expect("one")
        .expect("read");
    let labels: Vec<_> = newest
        .labels
        .iter()
        .map(|label| (label.kind, label.name.as_str(), label.current))
        .collect();
    assert_eq!(
        labels,
        [
            (LabelKind::Branch, "main", true),
            (LabelKind::Tag, "v1", false)
        ]
    );
    assert_eq!(newest.parents.len(), 2);
    let tags = repo.tags().expect("read");
    assert_eq!(
        (tags[0].commit, tags[0].message.as_deref()),
        (Some(head), Some("a note\n\nmore"))
    );
    assert_eq!(tags[0].time.map(|time| time.seconds), Some(3000));
    let side = repo.resolve("side").expect("found");
    assert!(repo.is_ancestor(&side, &head).expect("asked"));
    assert!(!repo.is_ancestor(&head, &side).expect("asked"));
    assert_eq!(repo.merge_base(&side, &head).expect("asked"), Some(side));
}

#[test]
fn a_shallow_clone_ends_where_it_ends() {
    let sandbox = Sandbox::repository();
    for number in 0..4 {
        sandbox.commit("a", &number.to_string(), "x");
    }
    let url = format!("file://{}", sandbox.path("tree").display());
    sandbox.git(&["clone", "--quiet", "--depth=2", &url, "../shallow"]);
    let repo = Repo::discover_with(&sandbox.path("shallow"), &sandbox.environment).expect("found");
    assert!(repo.is_shallow().expect("read") && !repo.is_partial().expect("read"));
    let head = repo.resolve("HEAD").expect("found");
    let log: Vec<_> = repo
        .log(&[head], LogOptions::default())
        .expect("begun")
        .collect();
    assert_eq!(log.len(), 2);
    assert!(log.iter().all(Result::is_ok));
    assert!(!sandbox.open().is_shallow().expect("read"));
}

#[test]
fn a_partial_clone_says_what_it_lacks() {
    let sandbox = Sandbox::repository();
    let commit = sandbox.commit("a.mvc", "1", "x");
    sandbox.commit("a.mvc", "2", "y");
    sandbox.git(&["config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", sandbox.path("tree").display());
    sandbox.git(&["clone", "--quiet", "--filter=blob:none", &url, "../partial"]);
    let repo = Repo::discover_with(&sandbox.path("partial"), &sandbox.environment).expect("found");
    assert!(repo.is_partial().expect("read"));
    let lacks = repo
        .file(&id(&commit), &path("a.mvc"), 100)
        .expect_err("not there");
    assert_eq!(lacks.kind(), Kind::Missing, "{lacks}");
}

#[test]
fn switching_never_overwrites_ignored_weights() {
    let sandbox = Sandbox::repository();
    sandbox.commit(".gitignore", "*.safetensors\n", "first");
    sandbox.git(&["checkout", "--quiet", "-b", "tracks"]);
    sandbox.commit("m.safetensors", "theirs", "weights in git");
    sandbox.git(&["checkout", "--quiet", "main"]);
    sandbox.write("m.safetensors", "training of a week");
    let repo = sandbox.open();
    let git = repo.git();
    let weights = || std::fs::read_to_string(sandbox.path("tree/m.safetensors")).expect("there");
    git.switch(Target::Branch("tracks"), false, Talk::Capture)
        .expect_err("in the way");
    assert_eq!(
        (weights().as_str(), repo.head().expect("read").branch()),
        ("training of a week", Some("main"))
    );
    git.switch(Target::Branch("tracks"), true, Talk::Capture)
        .expect("forced");
    assert_eq!(weights(), "theirs");
}

#[test]
fn switching_tagging_branching() {
    let sandbox = Sandbox::repository();
    let first = id(&sandbox.commit("a", "1", "first"));
    let second = id(&sandbox.commit("a", "2", "second"));
    let repo = sandbox.open();
    let git = repo.git();
    git.switch(Target::Detached(first), false, Talk::Capture)
        .expect("switched");
    assert_eq!(repo.head().expect("read"), Head::Detached { commit: first });
    let new = Target::New {
        name: "new",
        start: Some(second),
    };
    git.switch(new, false, Talk::Capture).expect("switched");
    assert_eq!(repo.head().expect("read").branch(), Some("new"));
    git.switch(new, false, Talk::Capture)
        .expect_err("is there already");
    git.tag("v1", &first, None, Talk::Capture).expect("tagged");
    git.tag("v2", &first, Some("# one\ntwo"), Talk::Capture)
        .expect("tagged");
    git.tag("v2", &second, None, Talk::Capture)
        .expect_err("is there already");
    let tags = repo.tags().expect("read");
    let shown: Vec<_> = tags
        .iter()
        .map(|tag| (tag.name.as_str(), tag.commit, tag.message.as_deref()))
        .collect();
    assert_eq!(
        shown,
        [
            ("v1", Some(first), None),
            ("v2", Some(first), Some("# one\ntwo"))
        ]
    );
    git.delete_tag("v1").expect("deleted");
    git.branch("other", &first).expect("made");
    git.rename_branch("other", "another").expect("renamed");
    let branches = repo.branches().expect("read");
    let shown: Vec<_> = branches
        .iter()
        .map(|branch| (branch.name.as_str(), branch.current))
        .collect();
    assert_eq!(shown, [("another", false), ("main", false), ("new", true)]);
    git.delete_branch("another", false).expect("merged");
    for bad in ["-d", "a..b", "", "HEAD", "@{-1}", "a b", "x.lock"] {
        assert!(
            matches!(git.branch(bad, &first), Err(GitError::Name { .. })),
            "{bad}"
        );
    }
}

#[test]
fn attributes_are_git_s() {
    let sandbox = Sandbox::repository();
    sandbox.write(".gitattributes", "*.bin filter=lfs\n*.x -filter\n");
    let paths = [path("a.bin"), path("deep/b c.x"), path("c.txt")];
    let values = sandbox
        .open()
        .git()
        .attribute("filter", &paths)
        .expect("asked");
    assert_eq!(values, [Some("lfs".into()), Some("unset".into()), None]);
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

#[test]
fn trees_that_lead_astray_are_refused() {
    let sandbox = Sandbox::repository();
    sandbox.commit("a", "x", "first");
    let repo = sandbox.open();
    let blob = repo.git().write_blob(b"x").expect("written");
    // Trees that git itself would never write.
    let commit_of = |entries: &[(&str, &str, &str)]| {
        let mut tree = Vec::new();
        for (mode, name, hex) in entries {
            tree.extend_from_slice(format!("{mode} {name}\0").as_bytes());
            let bytes = (0..hex.len())
                .step_by(2)
                .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex"));
            tree.extend(bytes);
        }
        let args = ["hash-object", "-t", "tree", "-w", "--stdin", "--literally"];
        let tree = repo
            .git()
            .write(args, Some(&tree), Talk::Capture)
            .expect("written");
        let tree = String::from_utf8(tree).expect("hex");
        id(&sandbox.git(&["commit-tree", "-m", "x", tree.trim_end()]))
    };
    let hex = blob.to_string();
    let twice = commit_of(&[("120000", "a", &hex), ("100644", "a", &hex)]);
    let all = |_: &str| true;
    assert!(matches!(
        repo.files(&twice, &all),
        Err(RepoError::Twice { .. })
    ));
    for name in ["..", ".GIT", "."] {
        let astray = commit_of(&[("100644", name, &hex)]);
        assert!(
            matches!(repo.files(&astray, &all), Err(RepoError::Path { .. })),
            "{name}"
        );
        assert!(
            repo.files(&astray, &|_| false)
                .expect("not kept")
                .is_empty()
        );
    }
    let mut loops = commit_of(&[("100644", "x", &hex)]);
    for _ in 0..520 {
        let tree = sandbox.git(&["rev-parse", &format!("{loops}^{{tree}}")]);
        loops = commit_of(&[("40000", "d", &tree)]);
    }
    assert!(matches!(
        repo.files(&loops, &all),
        Err(RepoError::Deep { .. })
    ));
}

#[test]
fn a_damaged_blob_is_told() {
    let sandbox = Sandbox::repository();
    let commit = id(&sandbox.commit("a.mvc", "right", "x"));
    let repo = sandbox.open();
    let file = repo
        .file_entry(&commit, &path("a.mvc"))
        .expect("read")
        .expect("there");
    let other = repo
        .git()
        .write_blob(b"wrong")
        .expect("written")
        .to_string();
    let loose = |hex: &str| {
        sandbox
            .path("tree/.git/objects")
            .join(&hex[..2])
            .join(&hex[2..])
    };
    let target = loose(&file.blob.to_string());
    std::fs::remove_file(&target).expect("removed");
    std::fs::copy(loose(&other), &target).expect("swapped");
    let damaged = repo.blob(&file.blob, 100).expect_err("damaged");
    assert_eq!(damaged.kind(), Kind::Damaged, "{damaged}");
}
