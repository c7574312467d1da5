//! The readers of a work tree's state and of metrics as functions of any bytes.

use crate::base::RepoPath;
use crate::base::config::Metrics;
use crate::base::fuzz::Target;
use crate::ops::metrics;
use crate::ops::state::State;

/// All of this layer.
pub(crate) static TARGETS: [Target; 2] = [
    Target {
        name: "state",
        run: state,
        memory: |bytes| (8 << 10) + 48 * bytes.len(),
    },
    Target {
        name: "metrics",
        run: figures,
        // Names are joined, and nest 128 deep at most.
        memory: |bytes| (64 << 10) + 256 * bytes.len(),
    },
];

fn state(bytes: &[u8]) -> bool {
    let Ok(state) = serde_json::from_slice::<State>(bytes) else {
        return false;
    };
    // Paths that lead nowhere are none.
    state.stamped().count() + state.marked().count() > 0
}

/// The file of a trainer, as JSON and as TOML.
fn figures(bytes: &[u8]) -> bool {
    let source = Metrics {
        file: "metrics.json".into(),
        pick: Some("best eval_loss".into()),
        lower: vec!["eval_loss".into()],
    };
    let read = |name: &str| {
        let path = RepoPath::new(name).expect("a path");
        metrics::parse(&path, bytes, &source).is_ok()
    };
    read("metrics.json") | read("metrics.toml")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fuzz::check::check;

    #[test]
    fn states() {
        let id = crate::base::ObjectId::of(b"sidecar");
        let stat =
            r#"{"size":1,"mtime":1767323045123456789,"ctime":1767323045123456789,"inode":4711}"#;
        let json = format!(
            r#"{{"mvc":1,"files":{{"a/model.safetensors":{{"sidecar":"{id}","blob":"c0ffee","stat":{stat},"at":1767323045223456789}}}},"pending":{{"b.pth":{{"reason":"it is dirty","sidecar":null,"seen":{stat}}}}}}}"#
        );
        check(&TARGETS[0], vec![("two", json.into_bytes())]);
    }

    #[test]
    fn metrics_of_trainers() {
        let json = br#"{"epoch":3,"best":true,"log_history":[{"eval_loss":0.5,"a":{"b":1e-3}},{"eval_loss":0.25}]}"#;
        let toml = b"[eval]\naccuracy = 0.5\n[[log]]\neval_loss = 1.5\n";
        check(
            &TARGETS[1],
            vec![("json", json.to_vec()), ("toml", toml.to_vec())],
        );
    }
}
