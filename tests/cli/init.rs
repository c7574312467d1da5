use mvc::base::Kind;

use crate::support::{Sandbox, seeded};

#[test]
fn a_fresh_folder_becomes_a_repository() {
    let sandbox = Sandbox::new();
    sandbox
        .mvc(&["init", "--no-hooks"])
        .ok()
        .stdout_is(snapbox::str![[r#"
made a git repository for weights in [TMP]

"#]])
        .stderr_is(snapbox::str![[r#"
next: `mvc track '*.safetensors'` says which files hold weights

"#]]);
    sandbox
        .git(&["status", "--porcelain"])
        .ok()
        .stdout_is(snapbox::str![[r#"
?? .gitattributes
?? .gitignore
?? mvc.toml

"#]]);
    let config = sandbox.text("mvc.toml");
    assert!(config.contains("track = []"), "{config}");
    sandbox.mvc(&["init", "deep/er"]).ok();
    assert!(
        !sandbox.has("deep/er/.git"),
        "a folder of a repository is in that repository"
    );
}

#[test]
fn a_named_folder_is_made() {
    let sandbox = Sandbox::new();
    sandbox.mvc(&["init", "a folder/🦀"]).ok().prints("🦀");
    assert!(sandbox.has("a folder/🦀/.git") && sandbox.has("a folder/🦀/mvc.toml"));
}

#[test]
fn twice_changes_nothing() {
    for arguments in [&["init"][..], &["init", "--no-hooks"]] {
        let sandbox = Sandbox::new();
        sandbox.mvc(arguments).ok();
        sandbox.mvc(&["track", "*.safetensors", "!data/**"]).ok();
        sandbox.write("model.safetensors", seeded(1));
        sandbox.mvc(&["commit", "-m", "first"]).ok();
        let before = sandbox.tree();
        sandbox.mvc(arguments).ok().prints("already");
        assert!(sandbox.tree() == before, "init changed something");
    }
}

#[test]
fn what_is_there_stays() {
    let sandbox = Sandbox::repo();
    sandbox.write(".gitignore", "*.log");
    sandbox.write(".gitattributes", "*.png binary\r\n");
    sandbox.write("mvc.toml", "# mine\nmvc = 1\ntrack = ['*.pth'] # all\n");
    sandbox.hook("pre-commit", "echo mine >&2");
    sandbox.git(&["add", "."]).ok();
    sandbox.mvc(&["init"]).ok().says("");
    assert!(sandbox.text(".gitignore").starts_with("*.log\n"));
    assert!(
        sandbox
            .text(".gitattributes")
            .starts_with("*.png binary\r\n")
    );
    assert_eq!(
        sandbox.text("mvc.toml"),
        "# mine\nmvc = 1\ntrack = ['*.pth'] # all\n"
    );
    assert!(
        sandbox
            .text(".git/hooks/pre-commit")
            .contains("echo mine >&2")
    );
    sandbox.mvc(&["commit", "-m", "first"]).ok().says("mine");
    let ignored = sandbox.git(&["check-ignore", "x.pth", "x.log"]).ok();
    assert_eq!(ignored.stdout, "x.pth\nx.log\n");
}

#[test]
fn a_subfolder_and_a_linked_work_tree_belong_to_their_repository() {
    let sandbox = Sandbox::three();
    std::fs::create_dir(sandbox.path("sub")).expect("made");
    sandbox.mvc_in("sub", &["init"]).ok();
    assert!(!sandbox.has("sub/mvc.toml"));
    sandbox
        .git(&["worktree", "add", "--quiet", "../linked", "v1"])
        .ok();
    let linked = sandbox.dir().with_file_name("linked");
    sandbox.mvc_in(&linked, &["init"]).ok();
    assert!(!linked.join(".git/mvc").exists() && linked.join(".git").is_file());
    sandbox
        .git_in(&linked, &["status", "--porcelain"])
        .ok()
        .silent();
}

#[test]
fn places_that_cannot_be_a_repository_say_so() {
    let sandbox = Sandbox::repo();
    sandbox
        .mvc_in(".git", &["init"])
        .fails(Kind::NotARepository);
    sandbox.git(&["init", "--quiet", "--bare", "bare"]).ok();
    sandbox
        .mvc_in("bare", &["init"])
        .fails(Kind::NotARepository);
    sandbox.write("file", "");
    sandbox.mvc(&["init", "file"]).fails(Kind::Io);
    Sandbox::new()
        .mvc(&["status"])
        .fails(Kind::NotARepository)
        .says("mvc init");
}

#[test]
fn a_torn_block_is_left_to_its_owner() {
    let sandbox = Sandbox::keeping();
    let text = sandbox.text(".gitignore");
    let torn: String = text
        .lines()
        .take(2)
        .map(|line| format!("{line}\n"))
        .collect();
    sandbox.write(".gitignore", &torn);
    let failed = sandbox.mvc(&["init"]);
    assert_ne!(failed.code, 0);
    assert!(failed.stderr.contains(".gitignore"), "{}", failed.stderr);
    assert_eq!(sandbox.text(".gitignore"), torn);
}
