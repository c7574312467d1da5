//! What a claim speaks of: whatever a metric depends on is in its key, and in the version.

use std::os::unix::fs::symlink;

use mvc::base::Kind;

use super::eval_bad::{bert, commit, edit, encoder};
use crate::support::Weights;

#[test]
fn which_tensors_are_the_heads_is_in_the_key() {
    let sandbox = bert();
    let values = |step: f32, count: usize| -> Vec<u8> {
        let value = |at: usize| (at as f32 * step).sin().to_le_bytes();
        (0..count).flat_map(value).collect()
    };
    let with = |weights: Weights, step: f32| {
        weights
            .raw("weight", "F32", &[4, 8], values(step, 32))
            .raw("bias", "F32", &[4], values(step, 4))
            .bytes()
    };
    let write = |[model, head]: [f32; 2]| {
        sandbox.write("model.safetensors", with(encoder(), model));
        sandbox.write("head.safetensors", with(Weights::seeded(0), head));
    };
    write([0.1, 0.2]);
    sandbox.mvc(&["eval", "--record"]).ok();
    commit(&sandbox, "v1");
    sandbox.mvc(&["eval", "v1"]).ok();
    // The same tensors in the same files, and other ones compute.
    write([0.2, 0.1]);
    commit(&sandbox, "v2");
    sandbox
        .mvc(&["eval", "v2"])
        .code(3)
        .prints("the claim speaks of another weights");
}

#[test]
fn links_and_devices_are_refused_on_both_sides() {
    let sandbox = bert();
    sandbox.mvc(&["eval", "--record"]).ok();
    commit(&sandbox, "v1");
    for file in ["config.json", "tokenizer.json", "rows.safetensors"] {
        let elsewhere = sandbox.dir().with_file_name("tmp").join(file);
        std::fs::rename(sandbox.path(file), &elsewhere).expect("ours");
        symlink(&elsewhere, sandbox.path(file)).expect("ours");
        let refused = sandbox.mvc(&["eval"]).fails(Kind::BadInput);
        refused.says(&format!("{file} is a symbolic link"));
        sandbox.git(&["add", file]).ok();
        sandbox.git(&["commit", "--quiet", "-m", file]).ok();
        let refused = sandbox.mvc(&["eval", "HEAD"]).fails(Kind::BadInput);
        refused.says(&format!("{file} of HEAD is a symbolic link"));
        sandbox.remove(file);
        let made = std::process::Command::new("mkfifo")
            .arg(sandbox.path(file))
            .status();
        if made.is_ok_and(|status| status.success()) {
            let refused = sandbox.mvc(&["eval"]).fails(Kind::BadInput);
            refused.says(&format!("{file} is not a regular file"));
            sandbox.remove(file);
        }
        std::fs::rename(&elsewhere, sandbox.path(file)).expect("ours");
        sandbox.git(&["commit", "--quiet", "-am", "back"]).ok();
        sandbox.mvc(&["eval", "HEAD"]).ok();
    }
}

#[test]
fn data_behind_a_linked_folder_is_refused_on_both_sides() {
    let sandbox = bert();
    edit(&sandbox, "mvc.toml", "data = \"rows", "data = \"deep/rows");
    sandbox.write("deep/rows.safetensors", sandbox.read("rows.safetensors"));
    sandbox.mvc(&["eval", "--record"]).ok();
    commit(&sandbox, "v1");
    let elsewhere = sandbox.dir().with_file_name("tmp").join("deep");
    std::fs::rename(sandbox.path("deep"), &elsewhere).expect("ours");
    symlink(&elsewhere, sandbox.path("deep")).expect("ours");
    let refused = sandbox.mvc(&["eval"]).fails(Kind::BadInput);
    refused.says("deep/rows.safetensors lies behind deep");
    sandbox.git(&["add", "-A"]).ok();
    sandbox.git(&["commit", "--quiet", "-m", "linked"]).ok();
    let refused = sandbox.mvc(&["eval", "HEAD"]).fails(Kind::BadInput);
    refused.says("deep/rows.safetensors of HEAD lies behind the link deep");
    sandbox.mvc(&["eval", "v1"]).ok();
}

#[test]
fn a_commit_has_the_tokenizer_that_its_claim_speaks_of() {
    let sandbox = bert();
    sandbox.write("notes.txt", "mine");
    sandbox.mvc(&["eval", "--record"]).ok();
    sandbox.mvc(&["commit", "-m", "v1"]).ok();
    let files = sandbox.git(&["ls-files"]).ok().stdout;
    assert!(
        files.contains("tokenizer.json\n") && !files.contains("notes.txt"),
        "{files}"
    );
    sandbox.mvc(&["eval", "HEAD"]).ok();
    // A change of it is a part of the next version.
    sandbox.write("tokenizer.json", "{}");
    sandbox.write("vocab.txt", "a\n");
    sandbox.mvc(&["eval", "--record"]).ok();
    sandbox.mvc(&["commit", "-m", "v2"]).ok();
    sandbox.mvc(&["eval", "HEAD", "HEAD~1"]).ok();
}

#[test]
fn a_head_in_the_models_own_file_is_used() {
    let sandbox = bert();
    edit(
        &sandbox,
        "mvc.toml",
        "head.safetensors",
        "model.safetensors",
    );
    let weights = encoder().f32("weight", &[4, 8]).f32("bias", &[4]);
    sandbox.write("model.safetensors", weights.f32("old", &[1]).bytes());
    sandbox
        .mvc(&["eval", "--record"])
        .ok()
        .says("not used by the architecture: `old`, `pooler.dense.weight`\n");
}
