//! Revisions and the log.

use super::*;

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
