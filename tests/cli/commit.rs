use mvc::base::Kind;

use crate::support::{Sandbox, seeded};

#[test]
fn a_commit_says_what_it_records_and_what_it_leaves_out() {
    let sandbox = Sandbox::keeping();
    sandbox.write("model.safetensors", seeded(1));
    sandbox.write("notes.txt", "not asked for");
    sandbox
        .mvc(&[
            "commit",
            "-m",
            "first\n\nwith a body",
            "--metric",
            "accuracy=0.5",
        ])
        .ok()
        .stdout_is(snapbox::str![[r#"
[main [HASH]] first
  new model.safetensors  8 tensors, 12.6 KiB, 11.2 KiB stored

"#]])
        .stderr_is(snapbox::str![[r#"
left out: 1 changed file
  notes.txt
`mvc add PATH` stages a file, `mvc commit -a` takes all that git tracks

"#]]);
    let files = sandbox.git(&["ls-tree", "--name-only", "HEAD"]).ok();
    assert_eq!(
        files.stdout,
        ".gitattributes\n.gitignore\nmetrics.json\nmodel.safetensors.mvc\nmvc.toml\n"
    );
    let message = sandbox.git(&["log", "-1", "--format=%an <%ae>%n%B"]).ok();
    assert_eq!(
        message.stdout.trim_end(),
        "Ada Lovelace <ada@example.com>\nfirst\n\nwith a body"
    );
    sandbox.mvc(&["metrics"]).ok().prints("0.5");
}

#[test]
fn nothing_to_commit_is_an_answer() {
    let sandbox = Sandbox::three();
    let (head, before) = (sandbox.rev("HEAD"), sandbox.files());
    sandbox
        .mvc(&["commit", "-m", "again"])
        .fails(Kind::No)
        .stdout_is(snapbox::str![[r#"
nothing to commit

"#]]);
    assert_eq!(sandbox.rev("HEAD"), head);
    assert!(sandbox.files() == before);
    // Nor does it where files are left out, which it names.
    sandbox.write("notes.txt", "");
    sandbox
        .mvc(&["commit", "-m", "again"])
        .fails(Kind::No)
        .says("notes.txt");
    sandbox
        .mvc(&["commit", "-m", "again", "--allow-empty"])
        .ok();
    assert_eq!(sandbox.rev("HEAD~1"), head);
}

#[test]
fn a_refusal_leaves_everything_as_it_was() {
    for hook in ["pre-commit", "commit-msg", "prepare-commit-msg"] {
        for (name, seed) in [("model.safetensors", 9), ("second.safetensors", 9)] {
            let sandbox = Sandbox::three();
            sandbox.hook(hook, "echo no, says the hook >&2; exit 1");
            sandbox.write(name, seeded(seed));
            sandbox.write("staged.txt", "staged before");
            sandbox.git(&["add", "staged.txt"]).ok();
            let before = sandbox.tree();
            let metric = ["commit", "-m", "x", "--metric", "a=1"];
            sandbox
                .mvc(&metric)
                .fails(Kind::Git)
                .says("no, says the hook");
            let mut after = sandbox.tree();
            let mut wanted = before;
            // The store may keep objects that no version needs, and the stamps are only a memory. Git itself leaves
            // the message of the commit that did not come to be.
            for tree in [&mut after, &mut wanted] {
                tree.retain(|path, _| {
                    !path.starts_with(".git/mvc")
                        && !path.starts_with(".git/objects")
                        && path.as_path() != ".git/COMMIT_EDITMSG"
                });
            }
            let changed: Vec<_> = after
                .iter()
                .filter(|(path, file)| wanted.get(*path) != Some(file))
                .map(|(path, _)| path)
                .collect();
            assert!(changed.is_empty(), "{hook}, {name}: {changed:?}");
            assert_eq!(after.len(), wanted.len());
            std::fs::remove_file(sandbox.path(format!(".git/hooks/{hook}"))).expect("there");
            sandbox.mvc(&["status"]).ok().prints(name);
            sandbox.mvc(&metric).ok();
            sandbox.assert_clean();
        }
    }
}

#[test]
fn a_commit_without_an_identity_is_refused_in_the_words_of_git() {
    let sandbox = Sandbox::keeping();
    sandbox.write("model.safetensors", seeded(1));
    std::fs::write(
        sandbox.home().join(".gitconfig"),
        "[user]\n\tuseConfigOnly = true\n",
    )
    .expect("ours");
    let index = sandbox
        .has(".git/index")
        .then(|| sandbox.read(".git/index"));
    sandbox
        .mvc(&["commit", "-m", "x"])
        .fails(Kind::Git)
        .says("user.email");
    assert_eq!(
        sandbox
            .has(".git/index")
            .then(|| sandbox.read(".git/index")),
        index
    );
    assert!(!sandbox.has("model.safetensors.mvc"));
    sandbox.git(&["rev-parse", "--verify", "HEAD"]).code(128);
}

#[test]
fn signing_and_hooks_are_those_of_git() {
    let sandbox = Sandbox::keeping();
    // A signer that leaves a trace: what git calls is what the user configured.
    sandbox.write(
        "../sign",
        "#!/bin/sh\necho signed > \"$HOME/trace\"\ncat > /dev/null\n\
         printf '\\n[GNUPG:] SIG_CREATED \\n' >&2\nprintf -- '-----BEGIN PGP SIGNATURE-----\\n\\nx\\n-----END PGP SIGNATURE-----\\n'\n",
    );
    sandbox.chmod("../sign", 0o755);
    let signer = sandbox.path("../sign");
    sandbox
        .git(&["config", "gpg.program", signer.to_str().expect("UTF-8")])
        .ok();
    sandbox.git(&["config", "commit.gpgSign", "true"]).ok();
    sandbox.hook(
        "commit-msg",
        "echo >> \"$1\"; echo 'Checked-by: hook' >> \"$1\"",
    );
    sandbox.hook("post-commit", "git rev-parse HEAD > \"$HOME/post\"");
    sandbox.write("model.safetensors", seeded(1));
    sandbox.mvc(&["commit", "-m", "signed", "--signoff"]).ok();
    let raw = sandbox.git(&["cat-file", "-p", "HEAD"]).ok();
    raw.prints("gpgsig").prints("Checked-by: hook");
    sandbox
        .git(&["log", "-1", "--format=%B"])
        .ok()
        .prints("Signed-off-by: Ada Lovelace <ada@example.com>");
    assert!(sandbox.home().join("trace").exists());
    let post = std::fs::read_to_string(sandbox.home().join("post")).expect("the hook ran");
    assert_eq!(post.trim(), sandbox.rev("HEAD"));
}

#[test]
fn all_takes_what_git_tracks() {
    let sandbox = Sandbox::three();
    sandbox.write("train.py", "1");
    sandbox.mvc(&["add", "train.py"]).ok();
    sandbox.mvc(&["commit", "-m", "code"]).ok();
    sandbox.write("train.py", "2");
    sandbox.remove("model.safetensors");
    // Weights that are gone are left out without -a, as with git.
    sandbox
        .mvc(&["commit", "-m", "nothing"])
        .fails(Kind::No)
        .says("train.py")
        .says("model.safetensors");
    sandbox
        .mvc(&["commit", "-a", "-m", "all"])
        .ok()
        .prints("removed model.safetensors");
    assert!(!sandbox.has("model.safetensors.mvc"));
    sandbox.assert_clean();
    sandbox.mvc(&["checkout", "HEAD~1"]).ok();
    sandbox.assert_seed("model.safetensors", 3);
    sandbox.mvc(&["checkout", "main"]).ok();
    assert!(!sandbox.has("model.safetensors"));
}

#[test]
fn metrics_are_numbers_with_names() {
    let sandbox = Sandbox::keeping();
    sandbox.write("model.safetensors", seeded(1));
    for bad in ["accuracy", "=1", "accuracy=high", "accuracy="] {
        let failed = sandbox.mvc(&["commit", "-m", "x", "--metric", bad]);
        assert!(
            failed.code == 2 || failed.code == 9,
            "{bad}: {}",
            failed.stderr
        );
        assert!(!sandbox.has("metrics.json") && !sandbox.has("model.safetensors.mvc"));
    }
    sandbox.write("metrics.json", "{\"loss\": 2, \"nested\": {\"f1\": 0.1}}");
    sandbox
        .mvc(&[
            "commit",
            "-m",
            "x",
            "--metric",
            "accuracy=0.25",
            "--metric",
            "loss=1e-3",
        ])
        .ok();
    let metrics = sandbox.git(&["show", "HEAD:metrics.json"]).ok().json();
    assert_eq!(
        metrics,
        serde_json::json!({"loss": 1e-3, "nested": {"f1": 0.1}, "accuracy": 0.25})
    );
}

#[test]
fn amend_replaces_and_detached_heads_commit() {
    let sandbox = Sandbox::three();
    sandbox.write("model.safetensors", seeded(4));
    sandbox
        .mvc(&["commit", "--amend", "-m", "third, again"])
        .ok();
    assert_eq!(sandbox.rev("HEAD~1"), sandbox.rev("v2"));
    sandbox.mvc(&["checkout", "v1"]).ok();
    sandbox.write("model.safetensors", seeded(5));
    sandbox
        .mvc(&["commit", "-m", "aside"])
        .ok()
        .prints("[detached HEAD ");
    assert_eq!(sandbox.rev("HEAD~1"), sandbox.rev("v1"));
    sandbox.mvc(&["checkout", "main"]).ok();
    sandbox.assert_seed("model.safetensors", 4);
    sandbox.mvc(&["checkout", "v3"]).ok();
    sandbox.assert_seed("model.safetensors", 3);
    sandbox.assert_clean();
}

#[test]
fn a_merge_is_concluded() {
    let sandbox = Sandbox::three();
    sandbox.mvc(&["checkout", "v2", "-b", "side"]).ok();
    sandbox.write("model.safetensors", seeded(7));
    sandbox.mvc(&["commit", "-m", "side"]).ok();
    let merged = sandbox.git(&["merge", "main"]);
    assert_ne!(merged.code, 0, "{}", merged.stdout);
    sandbox.mvc(&["status"]).ok().prints("model.safetensors");
    sandbox
        .mvc(&["commit", "-m", "merged"])
        .fails(Kind::Conflict)
        .says("model.safetensors.mvc");
    // The weights were never touched, and adding them is a decision.
    sandbox.assert_seed("model.safetensors", 7);
    sandbox.write("model.safetensors", seeded(8));
    sandbox.mvc(&["add", "model.safetensors"]).ok();
    sandbox.mvc(&["commit", "-m", "merged"]).ok();
    assert_eq!(sandbox.rev("HEAD^2"), sandbox.rev("main"));
    sandbox.assert_clean();
    for (revision, seed) in [("HEAD^1", 7), ("main", 3), ("side", 8)] {
        sandbox.mvc(&["checkout", revision]).ok();
        sandbox.assert_seed("model.safetensors", seed);
    }
}

#[test]
fn the_sidecar_that_somebody_chose_is_not_overruled() {
    let sandbox = Sandbox::three();
    sandbox.write("model.safetensors", seeded(9));
    // Plain git, without hooks, took another sidecar while the weights were dirty.
    sandbox.git(&["reset", "--quiet", "--hard", "v2"]).ok();
    sandbox.mvc(&["status"]).ok();
    sandbox.assert_seed("model.safetensors", 9);
    sandbox
        .mvc(&["commit", "-m", "which?"])
        .fails(Kind::WouldOverwrite)
        .says("mvc add model.safetensors")
        .says("mvc restore model.safetensors");
    sandbox.mvc(&["add", "model.safetensors"]).ok();
    sandbox.mvc(&["commit", "-m", "these"]).ok();
    sandbox.assert_clean();
}

#[test]
fn weights_never_go_into_git_by_mistake() {
    let sandbox = Sandbox::keeping();
    sandbox.write("model.safetensors", seeded(1));
    sandbox.git(&["add", "-f", "model.safetensors"]).ok();
    sandbox
        .mvc(&["commit", "-m", "first"])
        .fails(Kind::WouldOverwrite)
        .says("weights are staged into git: model.safetensors");
}

#[test]
fn weights_may_leave_git_through_plain_git() {
    let sandbox = Sandbox::repo();
    sandbox.write("model.safetensors", seeded(1));
    sandbox.write("other.safetensors", seeded(2));
    sandbox.git(&["add", "."]).ok();
    sandbox.git(&["commit", "-qm", "weights in git"]).ok();
    sandbox.mvc(&["init"]).ok();
    sandbox.mvc(&["track", "--move", "*.safetensors"]).ok();
    sandbox.git(&["commit", "-qm", "moved"]).ok();
    sandbox.mvc(&["status", "--exit-code"]).ok();
    let files = sandbox.git(&["ls-files"]).ok();
    files
        .prints("model.safetensors.mvc")
        .prints_no("model.safetensors\n");
}

#[test]
fn a_mode_is_a_change_too() {
    let sandbox = Sandbox::three();
    sandbox.chmod("model.safetensors", 0o755);
    sandbox
        .mvc(&["status", "--exit-code"])
        .fails(Kind::No)
        .prints("mode changed: model.safetensors");
    sandbox.mvc(&["commit", "-m", "mode"]).ok();
    sandbox.assert_clean();
}

#[test]
fn hints_can_be_typed_where_they_are_read() {
    let sandbox = Sandbox::keeping();
    sandbox.write("sub/my model.safetensors", seeded(1));
    sandbox.mvc(&["commit", "-m", "first"]).ok();
    let first = sandbox.rev("HEAD");
    sandbox.write("sub/my model.safetensors", seeded(2));
    sandbox.mvc(&["commit", "-m", "second"]).ok();
    sandbox.write("sub/my model.safetensors", seeded(3));
    sandbox
        .mvc_in("sub", &["checkout", &first])
        .fails(Kind::WouldOverwrite)
        .says("`mvc restore 'my model.safetensors'`");
    sandbox
        .mvc_in("sub", &["restore", "my model.safetensors"])
        .ok();
    sandbox.assert_seed("sub/my model.safetensors", 2);
    // The folder above is the top.
    sandbox.write("sub/my model.safetensors", seeded(3));
    sandbox.mvc_in("sub", &["restore", ".."]).ok();
    sandbox.assert_seed("sub/my model.safetensors", 2);
    sandbox.mvc_in("sub", &["add", ".."]).ok();
}
