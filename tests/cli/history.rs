//! log, show, tag, branch, status, metrics and du: what a history says.

use mvc::base::Kind;

use crate::support::{Sandbox, seeded};

#[test]
fn a_history_reads_well() {
    let sandbox = Sandbox::keeping();
    sandbox.mvc(&["log"]).ok().says("no versions yet");
    sandbox.mvc(&["status"]).ok().stdout_is(snapbox::str![[r#"
on branch main, no versions yet
other files, as git sees them
  ?? .gitattributes
  ?? .gitignore
  ?? mvc.toml

"#]]);
    for (seed, accuracy) in [(1, "0.5"), (2, "0.75")] {
        sandbox.write("model.safetensors", seeded(seed));
        let metric = format!("accuracy={accuracy}");
        sandbox
            .mvc(&[
                "commit",
                "-m",
                &format!("epoch {seed}"),
                "--metric",
                &metric,
            ])
            .ok();
        sandbox.mvc(&["tag", &format!("v{seed}")]).ok();
    }
    sandbox.mvc(&["log"]).ok().stdout_is(snapbox::str![[r#"
commit [HASH] (main, v2)
Author: Ada Lovelace <ada@example.com>
Date:   Fri Jan  2 03:04:12 2026 +0000

    epoch 2

    changed model.safetensors

commit [HASH] (v1)
Author: Ada Lovelace <ada@example.com>
Date:   Fri Jan  2 03:04:10 2026 +0000

    epoch 1

    new model.safetensors

"#]]);
    sandbox
        .mvc(&["log", "--oneline", "--metrics"])
        .ok()
        .stdout_is(snapbox::str![[r#"
[HASH] (main, v2) epoch 2
[HASH] (v1) epoch 1

"#]]);
    sandbox
        .mvc(&["log", "-n", "1", "v1"])
        .ok()
        .prints("epoch 1")
        .prints_no("epoch 2");
    sandbox.mvc(&["show"]).ok().stdout_is(snapbox::str![[r#"
commit [HASH] (main, v2)
Author: Ada Lovelace <ada@example.com>
Date:   Fri Jan  2 03:04:12 2026 +0000

    epoch 2

weights            format       tensors  parameters      size  weights id
model.safetensors  safetensors        8       3,074  12.6 KiB  [HASH]

metric    value
accuracy   0.75

"#]]);
    sandbox
        .mvc(&["show", "v1:./model.safetensors"])
        .ok()
        .stdout_is(snapbox::str![[r#"
tensor        dtype  shape    object
conv1.weight  F32    4x3x3x3  [HASH]
conv1.bias    F32    4        [HASH]
conv2.weight  F32    8x4x3x3  [HASH]
conv2.bias    F32    8        [HASH]
fc1.weight    F32    32x72    [HASH]
fc1.bias      F32    32       [HASH]
fc2.weight    F32    10x32    [HASH]
fc2.bias      F32    10       [HASH]

8 tensors, 3,074 parameters, 12.6 KiB, weights id [HASH]

"#]]);
    sandbox
        .mvc(&["show", "v1:model.safetensors:fc1.bias"])
        .ok()
        .stdout_is(snapbox::str![[r#"
tensor                                                            fc1.bias
dtype                                                                  F32
shape                                                                   32
object    [HASH]
elements                                                                32
L2 norm                                                              0.313
zeros                                                                    0
NaN                                                                      0
infinite                                                                 0

"#]]);
    sandbox
        .mvc(&["metrics", "diff", "v1", "v2"])
        .ok()
        .stdout_is(snapbox::str![[r#"
metric    before  after  change
accuracy     0.5   0.75   +0.25  better

"#]]);
    sandbox.mvc(&["du"]).ok().prints("epoch 2");
    let plain = sandbox.mvc(&["show", "v1:metrics.json"]).ok();
    assert_eq!(
        plain.bytes,
        sandbox.git(&["show", "v1:metrics.json"]).ok().bytes
    );
    sandbox.mvc(&["show", "v1:nothing"]).fails(Kind::NotFound);
    sandbox
        .mvc(&["show", "v1:model.safetensors:nothing"])
        .fails(Kind::NotFound)
        .says("mvc show v1:model.safetensors");
    sandbox.mvc(&["status"]).ok().stdout_is(snapbox::str![[r#"
on branch main
nothing to commit, 1 weights file clean

"#]]);
}

#[test]
fn tags_and_branches() {
    let sandbox = Sandbox::three();
    sandbox
        .mvc(&["tag", "best", "v2", "-m", "the best so far"])
        .ok();
    sandbox.mvc(&["tag"]).ok().stdout_is(snapbox::str![[r#"
best  [HASH]  the best so far
v1    [HASH]
v2    [HASH]
v3    [HASH]

"#]]);
    assert_eq!(sandbox.rev("best^{commit}"), sandbox.rev("v2"));
    sandbox.mvc(&["checkout", "best"]).ok();
    sandbox.assert_seed("model.safetensors", 2);
    sandbox.mvc(&["tag", "best"]).fails(Kind::Git).says("best");
    sandbox.mvc(&["tag", "-d", "best"]).ok();
    sandbox.mvc(&["tag", "-d", "best"]).fails(Kind::Git);
    sandbox.mvc(&["tag", "x", "v9"]).fails(Kind::NotFound);
    sandbox.mvc(&["tag", "-m", "x", "no..name"]).says("error: ");

    sandbox.mvc(&["branch", "try", "v1"]).ok();
    sandbox.mvc(&["branch"]).ok().stdout_is(snapbox::str![[r#"
  main [HASH]
  try [HASH]

"#]]);
    sandbox.mvc(&["branch", "try"]).fails(Kind::Git);
    sandbox.mvc(&["checkout", "try"]).ok();
    sandbox.version(4);
    sandbox.mvc(&["checkout", "main"]).ok();
    sandbox.mvc(&["branch", "-d", "try"]).fails(Kind::Git);
    sandbox.mvc(&["branch", "-d", "-f", "try"]).ok();
    sandbox.mvc(&["branch", "-d", "main"]).fails(Kind::Git);
    sandbox.assert_clean();
}

#[test]
fn status_tells_each_change_apart() {
    let sandbox = Sandbox::keeping();
    for name in ["changed", "gone", "staged", "same"] {
        sandbox.write(format!("{name}.safetensors"), seeded(1));
    }
    sandbox.mvc(&["commit", "-m", "first"]).ok();
    sandbox.write("changed.safetensors", seeded(2));
    sandbox.write("staged.safetensors", seeded(3));
    sandbox.mvc(&["add", "staged.safetensors"]).ok();
    sandbox.remove("gone.safetensors");
    sandbox.write("new.safetensors", seeded(4));
    sandbox.write("plain.txt", "");
    sandbox.mvc(&["status"]).ok().stdout_is(snapbox::str![[r#"
on branch main
staged for the next commit
  modified: staged.safetensors
changed, not staged (`mvc commit` records them, `mvc restore` gives them up)
  modified: changed.safetensors
  deleted: gone.safetensors  (`mvc commit -a` records that, `mvc restore` brings it back)
new weights (`mvc commit` or `mvc add` records them)
  new.safetensors
other files, as git sees them
  ?? plain.txt

"#]]);
    sandbox.mvc(&["status", "--exit-code"]).fails(Kind::No);
}

#[test]
fn every_verb_works_from_a_subfolder_and_from_afar() {
    let sandbox = Sandbox::keeping();
    sandbox.write("sub/model.safetensors", seeded(1));
    sandbox.mvc_in("sub", &["commit", "-m", "first"]).ok();
    sandbox.mvc_in("sub", &["tag", "v1"]).ok();
    sandbox.write("sub/model.safetensors", seeded(2));
    sandbox.mvc_in("sub", &["add", "model.safetensors"]).ok();
    sandbox.mvc_in("sub", &["commit", "-m", "second"]).ok();
    sandbox
        .mvc_in("sub", &["show", "v1:./model.safetensors"])
        .ok();
    sandbox.mvc_in("sub", &["checkout", "v1"]).ok();
    sandbox.assert_seed("sub/model.safetensors", 1);
    sandbox
        .mvc_in("sub", &["restore", "--source", "main", "model.safetensors"])
        .ok();
    sandbox.assert_seed("sub/model.safetensors", 2);
    sandbox.mvc_in("sub", &["checkout", "--force", "main"]).ok();

    let elsewhere = sandbox.dir().with_file_name("tmp");
    let work = sandbox.dir().to_str().expect("UTF-8").to_owned();
    let sub = format!("{work}/sub");
    for arguments in [
        &["init"][..],
        &["track"],
        &["status", "--exit-code"],
        &["add", "model.safetensors"],
        &["log"],
        &["show", "HEAD:./model.safetensors"],
        &["checkout", "v1"],
        &["restore", "model.safetensors"],
        &["tag"],
        &["branch"],
        &["metrics"],
        &["verify"],
        &["verify", "--all"],
        &["du"],
        &["hooks", "install"],
        &["hooks", "status"],
        &["hooks", "uninstall"],
    ] {
        let from_sub = sandbox.mvc_in("sub", arguments).ok();
        let mut afar = vec!["-C", &sub];
        afar.extend(arguments);
        let afar = sandbox.mvc_in(&elsewhere, &afar).ok();
        if !matches!(arguments[0], "checkout" | "hooks" | "init") {
            assert_eq!(afar.stdout, from_sub.stdout, "{}", afar.call);
        }
    }
    sandbox.assert_seed("sub/model.safetensors", 1);
}

#[test]
fn the_variables_of_git_are_honoured() {
    let sandbox = Sandbox::three();
    let outside = sandbox.dir().with_file_name("tmp");
    let sandbox = {
        let (git_dir, tree) = (sandbox.path(".git"), sandbox.dir().to_owned());
        sandbox.env("GIT_DIR", git_dir).env("GIT_WORK_TREE", tree)
    };
    sandbox.mvc_in(&outside, &["checkout", "v1"]).ok();
    sandbox.assert_seed("model.safetensors", 1);
    sandbox.mvc_in(&outside, &["status", "--exit-code"]).ok();
    sandbox.mvc_in(&outside, &["verify", "--all"]).ok();
    sandbox.write("model.safetensors", seeded(6));
    sandbox
        .mvc_in(&outside, &["commit", "-m", "from afar"])
        .ok();
    sandbox.mvc_in(&outside, &["checkout", "main"]).ok();
    sandbox.assert_seed("model.safetensors", 3);
}

#[test]
fn one_bad_metrics_file_hides_nothing_else() {
    let sandbox = Sandbox::three();
    sandbox.write("metrics.json", "{bad");
    sandbox.git(&["add", "metrics.json"]).ok();
    sandbox.git(&["commit", "-qm", "bad"]).ok();
    let bad = sandbox.rev("HEAD");
    sandbox
        .mvc(&["commit", "--allow-empty", "-m", "empty"])
        .ok();
    sandbox.write("metrics.json", r#"{"accuracy": 0.5}"#);
    sandbox.mvc(&["commit", "-m", "good"]).ok();
    sandbox
        .mvc(&["log", "--metrics"])
        .ok()
        .prints("accuracy")
        .prints("v1")
        .says(&bad[..10]);
    sandbox
        .mvc(&["show", &bad])
        .ok()
        .says("cannot read the metrics");
    sandbox
        .mvc(&["diff", "v1", &bad])
        .ok()
        .says("cannot read the metrics");
}

#[test]
fn conflict_markers_in_the_configuration_are_called_so() {
    let sandbox = Sandbox::three();
    sandbox.write("mvc.toml", "mvc = 1\n<<<<<<< HEAD\ntrack = []\n=======\n");
    sandbox
        .mvc(&["status"])
        .fails(Kind::Conflict)
        .says("mvc.toml has conflict markers, the first in line 2");
}
