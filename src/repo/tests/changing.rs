//! Staging, committing, switching, tagging.

use super::*;

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
    git.branch("another", &first).expect("made");
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
fn configuration_is_set_and_goes() {
    let sandbox = Sandbox::repository();
    let repo = sandbox.open();
    let git = repo.git();
    git.set_config("merge.mvc.driver", "mvc merge-driver %O %A %B")
        .expect("set");
    git.set_config("merge.mvc.driver", "mvc \"merge\"\n%O")
        .expect("set");
    let value = git.config("merge.mvc.driver").expect("read");
    assert_eq!(value.as_deref(), Some("mvc \"merge\"\n%O"));
    for _ in 0..2 {
        git.remove_config("merge.mvc").expect("removed");
        assert_eq!(git.config("merge.mvc.driver").expect("read"), None);
    }
}
