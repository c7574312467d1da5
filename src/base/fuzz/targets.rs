//! The readers of this layer as functions of any bytes.

use super::Target;
use crate::base::RepoPath;
use crate::base::config::Config;

/// All of this layer.
pub(crate) static TARGETS: [Target; 1] = [Target {
    name: "config",
    run: config,
    // Patterns are compiled, and may be so large at most.
    memory: |bytes| (1 << 20) + 256 * bytes.len(),
}];

/// `mvc.toml`, and which files its patterns pick.
fn config(bytes: &[u8]) -> bool {
    let Ok(config) = Config::parse(bytes) else {
        return false;
    };
    let Ok(patterns) = config.patterns() else {
        return false;
    };
    let path = RepoPath::new("a/b/model.safetensors").expect("a path");
    let _ = (
        patterns.matches(&path),
        patterns.pick_nothing(),
        patterns.lead_into("a"),
    );
    let _ = config.is_suite_data(&path);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fuzz::check::check;

    #[test]
    fn configurations() {
        let cnn = r#"mvc = 1
track = ["*.safetensors", "*.{pth,pt}", "!data/**"]
[model.cnn]
weights = "model.safetensors"
layers = [{ conv2d = "conv1", padding = 1 }, "relu", { max_pool2d = 2 }, "flatten", { linear = "fc1" }]
[eval.digits]
task = "classification"
data = "eval.safetensors"
input = "inputs"
target = "labels"
tolerance = { accuracy = 0, cross_entropy = 1e-4 }
"#;
        let topics = r#"[model.topics]
path = "."
with = ["config.json", "tokenizer*"]
base = "v1"
[metrics.train]
file = "state.json"
pick = "best eval_loss"
lower = ["eval_loss"]
[hooks]
pre-commit = "update"
refuse = ["nan", "pickle"]
[remote.origin]
url = "s3://a/b"
"#;
        let seeds = [("cnn", cnn), ("topics", topics)];
        check(
            &TARGETS[0],
            seeds.map(|(name, text)| (name, text.into())).to_vec(),
        );
    }
}
