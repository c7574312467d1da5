//! Files of commits and of the index.

use super::*;

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
    let link = |name| repo.link(&commit, &path(name)).expect("read");
    for name in ["link.mvc", "link.mvc/behind/it"] {
        assert_eq!(link(name).as_deref(), Some("link.mvc"), "{name}");
    }
    for name in ["deep", "none", "a.txt", "a.txt/x", "deep/er/b 🤖.mvc"] {
        assert_eq!(link(name), None, "{name}");
    }
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
