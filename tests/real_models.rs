//! Real models from PyTorch and Hugging Face: round trips to the byte, and metrics as PyTorch measured them.

use crate::support::Sandbox;
use crate::support::workload::{minilm_v1, workload};

const EPOCHS: [(&str, usize); 4] = [("01", 0), ("02", 1), ("03", 2), ("10", 9)];

const CNN: &str = r#"
mvc = 1
track = ["*.safetensors", "*.pth"]

[model.cnn]
weights = "model.safetensors"
layers = [
  { conv2d = "conv1", padding = 1 }, "relu", { max_pool2d = 2 },
  { conv2d = "conv2", padding = 1 }, "relu", { max_pool2d = 2 },
  "flatten", { linear = "fc1" }, "relu", { linear = "fc2" },
]

[eval.digits]
task = "classification"
data = "eval.safetensors"
input = "inputs"
target = "labels"
tolerance = { accuracy = 0, cross_entropy = 1e-4 }
"#;

/// A file of the workload, put under a name in the sandbox.
fn put(sandbox: &Sandbox, file: &str, name: &str) -> Option<Vec<u8>> {
    let bytes = std::fs::read(workload(file)?).expect("readable");
    sandbox.write(name, &bytes);
    Some(bytes)
}

/// Four epochs of the CNN as one file in four commits, each with its claim and its tag; `None` without a workload.
fn epochs() -> Option<(Sandbox, Vec<Vec<u8>>)> {
    let sandbox = Sandbox::repo();
    sandbox.mvc(&["init"]).ok();
    sandbox.write("mvc.toml", CNN);
    put(&sandbox, "cnn/eval.safetensors", "eval.safetensors")?;
    let mut files = Vec::new();
    for (epoch, _) in EPOCHS {
        let name = format!("cnn/epoch{epoch}.safetensors");
        files.push(put(&sandbox, &name, "model.safetensors")?);
        sandbox.mvc(&["eval", "--record"]).ok().prints("recorded");
        let message = format!("epoch {epoch}");
        sandbox.mvc(&["commit", "-m", &message]).ok();
        sandbox.mvc(&["tag", &format!("v{epoch}")]).ok();
    }
    Some((sandbox, files))
}

/// The metrics of one measurement in the report of `mvc eval --json`.
fn measured(report: &serde_json::Value, index: usize, metric: &str) -> f64 {
    let rows = report["measurements"][index]["metrics"].as_array();
    let row = rows.and_then(|rows| rows.iter().find(|row| row["metric"] == metric));
    row.and_then(|row| row["measured"].as_f64())
        .unwrap_or_else(|| panic!("{metric} in {report:#}"))
}

#[test]
fn four_epochs_come_back_to_the_byte_and_score_as_in_pytorch() {
    let Some((sandbox, files)) = epochs() else {
        return;
    };
    let metrics = workload("cnn/metrics.json").expect("beside the others");
    let metrics = std::fs::read(metrics).expect("readable");
    let metrics: serde_json::Value = serde_json::from_slice(&metrics).expect("JSON");
    let straight = sandbox
        .mvc(&["eval", "--json", "v01", "v02", "v03", "v10"])
        .ok()
        .json();
    for (index, (epoch, row)) in EPOCHS.into_iter().enumerate() {
        let claimed = &metrics["epochs"][row];
        let correct = claimed["test_correct"].as_f64().expect("a number");
        let loss = claimed["test_loss"].as_f64().expect("a number");
        assert_eq!(
            measured(&straight, index, "correct"),
            correct,
            "epoch {epoch}"
        );
        assert!(
            (measured(&straight, index, "cross_entropy") - loss).abs() < 1e-4,
            "epoch {epoch}"
        );
        sandbox.mvc(&["checkout", &format!("v{epoch}")]).ok();
        assert!(
            sandbox.read("model.safetensors") == files[index],
            "epoch {epoch}"
        );
        sandbox.mvc(&["eval"]).ok().prints("pass");
        sandbox.mvc(&["status", "--exit-code"]).ok();
    }
    sandbox.assert_git_is_whole();
    sandbox.mvc(&["verify", "--all"]).ok();
}

#[test]
fn a_checkpoint_of_torch_save_is_the_same_model() {
    let Some((sandbox, files)) = epochs() else {
        return;
    };
    let Some(pth) = put(&sandbox, "cnn/model.pth", "model.pth") else {
        return;
    };
    let report = sandbox
        .mvc(&["commit", "--json", "-m", "as torch saves it"])
        .ok()
        .json();
    let written = report["written"].as_u64().expect("a number");
    assert!(written < 64 << 10, "{written} bytes");
    let named = ["HEAD:model.pth", "v10:model.safetensors"];
    sandbox
        .mvc(&["diff", named[0], named[1]])
        .ok()
        .prints("identical tensors");
    sandbox.remove("model.pth");
    sandbox.mvc(&["restore", "model.pth"]).ok();
    assert!(sandbox.read("model.pth") == pth);
    // The claim speaks of tensors, whatever file they lie in.
    sandbox.write(
        "mvc.toml",
        CNN.replace("\"model.safetensors\"", "\"model.pth\""),
    );
    sandbox.mvc(&["eval"]).ok().prints("pass");
    drop(files);
}

#[test]
fn one_changed_byte_never_passes_by_accident() {
    let Some((sandbox, files)) = epochs() else {
        return;
    };
    let last = files.last().expect("four");
    // Weights: one element by 1 %, which no metric may notice.
    let mut bytes = last.clone();
    let at = bytes.len() - 400;
    let element = f32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    bytes[at..at + 4].copy_from_slice(&(element * 1.01).to_le_bytes());
    sandbox.write("model.safetensors", &bytes);
    let tampered = sandbox
        .mvc(&["eval"])
        .code(1)
        .prints("is not what the sidecar says");
    tampered.prints_no("cross_entropy");
    sandbox.mvc(&["restore", "model.safetensors"]).ok();
    sandbox.mvc(&["eval"]).ok();
    // Architecture.
    sandbox.write(
        "mvc.toml",
        CNN.replace("\"relu\", { linear", "\"tanh\", { linear"),
    );
    sandbox.mvc(&["eval"]).code(3).prints("architecture");
    sandbox.write("mvc.toml", CNN);
    // Data.
    let mut data = sandbox.read("eval.safetensors");
    let middle = data.len() / 2;
    data[middle] ^= 1;
    sandbox.write("eval.safetensors", &data);
    sandbox.mvc(&["eval"]).code(3).prints("data");
    sandbox.remove("eval.safetensors");
    sandbox.mvc(&["eval"]).code(3).prints("is not there");
}

#[test]
fn minilm_comes_back_to_the_byte_and_embeds_and_classifies_as_in_transformers() {
    let (Some(v1), Some(v2)) = (minilm_v1(), workload("minilm/v2.safetensors")) else {
        return;
    };
    let sandbox = Sandbox::repo();
    sandbox.mvc(&["init"]).ok();
    let config = |target: &str| {
        format!(
            r#"
mvc = 1
track = ["*.safetensors"]

[model.sentences]
path = "."
with = ["config.json", "tokenizer*"]
pooling = "mean"
normalize = true

[model.topics]
path = "."
pooling = "mean"
head = {{ weights = "head_v2.safetensors" }}

[eval.embeddings]
model = "sentences"
task = "reference"
data = "reference.safetensors"
input = "input_ids"
mask = "attention_mask"
target = "{target}"
gate = {{ max_abs_diff = "<= 1e-5" }}

[eval.topics]
model = "topics"
task = "classification"
data = "classify.safetensors"
input = "input_ids"
mask = "attention_mask"
target = "labels"
tolerance = {{ cross_entropy = 1e-4 }}
"#
        )
    };
    for name in [
        "config.json",
        "reference.safetensors",
        "classify.safetensors",
        "head_v2.safetensors",
    ] {
        put(&sandbox, &format!("minilm/{name}"), name);
    }
    let tokenizer = std::fs::read(v1.join("tokenizer.json")).expect("readable");
    sandbox.write("tokenizer.json", &tokenizer);
    let files =
        [v1.join("model.safetensors"), v2].map(|path| std::fs::read(path).expect("readable"));
    for (number, bytes) in ["1", "2"].into_iter().zip(&files) {
        sandbox.write("mvc.toml", config(&format!("embeddings_v{number}")));
        sandbox.write("model.safetensors", bytes);
        sandbox.mvc(&["eval", "--record"]).ok();
        sandbox.mvc(&["commit", "-q", "-m", number]).ok();
        sandbox.mvc(&["tag", &format!("v{number}")]).ok();
    }
    let expected = workload("minilm/classify.json").expect("beside the others");
    let expected: serde_json::Value =
        serde_json::from_slice(&std::fs::read(expected).expect("readable")).expect("JSON");
    let report = sandbox.mvc(&["eval", "--json", "v2"]).ok().json();
    assert!(measured(&report, 0, "max_abs_diff") < 1e-5);
    assert_eq!(
        Some(measured(&report, 1, "correct")),
        expected["v2_correct"].as_f64()
    );
    let loss = expected["v2_cross_entropy"].as_f64().expect("a number");
    assert!((measured(&report, 1, "cross_entropy") - loss).abs() < 1e-4);
    for (tag, bytes) in ["v1", "v2"].into_iter().zip(&files) {
        sandbox.mvc(&["checkout", "-q", tag]).ok();
        assert!(&sandbox.read("model.safetensors") == bytes, "{tag}");
    }
    // One byte of the tokenizer or of the configuration, and the claim is about something else.
    let mut other = tokenizer.clone();
    other.push(b' ');
    sandbox.write("tokenizer.json", &other);
    sandbox
        .mvc(&["eval", "--suite", "topics"])
        .code(3)
        .prints("tokenizer");
    sandbox.write("tokenizer.json", &tokenizer);
    let text = sandbox.text("config.json");
    sandbox.write("config.json", format!("{text} "));
    sandbox
        .mvc(&["eval", "--suite", "topics"])
        .code(3)
        .prints("architecture");
}
