//! What a claim speaks of: whatever a metric depends on is in its key, and in the version.

use super::eval_bad::{bert, commit, encoder};
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
