//! Test support is code too.

use std::io::ErrorKind;

use mvc::base::fs::Op;
use mvc::base::{Kind, ObjectId};

use super::output::redacted;
use super::{Disk, Sandbox, Weights, workload};

#[test]
fn a_sandbox_sees_nothing_of_this_machine() {
    let sandbox = Sandbox::new().env("EXTRA", "yes");
    let env = sandbox
        .command(&super::sandbox::find("env"))
        .output()
        .expect("runs");
    let env = String::from_utf8(env.stdout).expect("text");
    assert!(env.contains("EXTRA=yes"), "{env}");
    assert!(!env.contains("CARGO"), "{env}");
    assert!(sandbox.home().join(".gitconfig").is_file());
    let outside = sandbox
        .git(&["rev-parse", "--git-dir"])
        .code(128)
        .says("not a git repository");
    assert!(outside.stdout.is_empty());
}

#[test]
fn commits_are_the_same_on_every_machine() {
    let heads = [1, 2].map(|_| {
        let sandbox = Sandbox::repo();
        sandbox.write("a/b.txt", "text");
        sandbox.git(&["add", "."]).ok().silent();
        sandbox
            .git_in("a", &["commit", "--quiet", "-m", "first"])
            .ok();
        sandbox.assert_git_is_whole();
        sandbox.git(&["rev-parse", "HEAD"]).ok().line().to_owned()
    });
    assert_eq!(heads[0], heads[1]);
}

#[test]
fn files_come_and_go() {
    let sandbox = Sandbox::new();
    sandbox.write("x", "1");
    assert_eq!(
        (sandbox.text("x"), sandbox.dir().join("x")),
        ("1".into(), sandbox.path("x"))
    );
    sandbox.remove("x");
    assert!(!sandbox.has("x"));
}

#[test]
fn output_is_redacted() {
    let text = "in /tmp/x/y: 0123abc (deadbeefcafe1), 12345678 rows in 1.5 s, defaced 3 s.";
    assert_eq!(
        redacted(text, "/tmp/x"),
        "in [TMP]/y: [HASH] ([HASH]), 12345678 rows in [TIME], defaced [TIME]."
    );
}

#[test]
fn output_reads_as_text_and_as_json() {
    let sandbox = Sandbox::repo();
    let top = sandbox.git(&["rev-parse", "--show-toplevel"]).ok();
    top.stdout_is(snapbox::str![[r#"
[TMP]

"#]]);
    sandbox.write("x.json", "{\"a\": 1}");
    sandbox.git(&["add", "."]).ok();
    assert_eq!(sandbox.git(&["show", ":x.json"]).json()["a"], 1);
}

#[test]
fn weights_depend_on_their_seed_alone() {
    let weights = || {
        Weights::seeded(1)
            .f32("a", &[2, 3])
            .bf16("b", &[4])
            .i64("c", &[2], 10)
            .metadata("format", "pt")
    };
    let id = |weights: Weights| ObjectId::of(&weights.bytes());
    assert_eq!(id(weights()), id(weights()));
    assert_ne!(id(weights()), id(weights().scale_element("a", 5, 1.01)));
    assert_ne!(id(Weights::small(1)), id(Weights::small(1).trained(0.01)));

    let bytes = weights().bytes();
    let header = u64::from_le_bytes(bytes[..8].try_into().expect("eight")) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).expect("JSON");
    assert_eq!(header["c"]["data_offsets"][1], 24 + 8 + 16);
    assert_eq!(bytes.len() % 8, 0);
}

#[test]
fn a_disk_fails_where_it_is_told() {
    let dir = tempfile::tempdir().expect("a temp folder");
    let path = dir.path().join("file");
    let write = |disk: &std::sync::Arc<Disk>| disk.fs().replace(&path, b"x", 0o644).is_ok();
    let disk = Disk::counting();
    assert!(write(&disk));
    assert_eq!(disk.count(), 6);
    assert_eq!(disk.calls()[4], (Op::Rename, path.clone()));
    assert!(!write(&Disk::failing_at(1, ErrorKind::StorageFull)));
    assert!(!write(&Disk::dead_from(4)));
    assert!(write(&Disk::failing_at(6, ErrorKind::StorageFull)));
    assert!(!write(&Disk::refusing(Op::Sync, ErrorKind::Other)));
}

#[test]
fn the_workload_is_found() {
    if let Some(file) = workload::workload("cnn/metrics.json") {
        assert!(file.is_file());
    }
    if let Some(folder) = workload::minilm_v1() {
        assert!(folder.join("config.json").is_file());
    }
}

#[test]
fn a_failure_has_its_kind() {
    Sandbox::new()
        .mvc(&["-C", "nowhere", "completions", "bash"])
        .fails(Kind::NotFound)
        .prints_no("complete");
}
