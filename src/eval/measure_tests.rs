//! Small suites by hand, and the real models that PyTorch measured.

use std::path::{Path, PathBuf};

use super::*;
use crate::base::config::{Config, Model};
use crate::base::progress::Silent;
use crate::eval::tensors::memory::Memory;

fn config(text: &str) -> (Model, Suite) {
    let mut config = Config::parse(text.as_bytes()).expect("a good mvc.toml");
    let model = config.model.remove("m").expect("a model");
    (model, config.eval.remove("s").expect("a suite"))
}

fn run(
    text: &str,
    json: Option<&[u8]>,
    weights: &Memory,
    head: Option<&Memory>,
    data: &Memory,
) -> Result<Measured> {
    let (model, suite) = config(text);
    let architecture = Architecture::from(&model, json)?;
    let head = head.map(|head| head as &dyn Tensors);
    measure(&architecture, weights, head, &suite, data, &Silent)
}

/// Runs layers on `x` and gives out the largest distance from `y`.
fn distance(
    layers: &str,
    weights: &Memory,
    x: (&[u64], &[f32]),
    y: (&[u64], &[f32]),
) -> Result<f64> {
    let text = format!(
        "[model.m]\nweights='w'\nlayers=[{layers}]\n[eval.s]\ntask='reference'\ndata='d'\ninput='x'\ntarget='y'\nbatch=2"
    );
    let data = Memory::default().with("x", x.0, x.1).with("y", y.0, y.1);
    let measured = run(&text, None, weights, None, &data)?;
    let lost = || EvalError::Answer("the difference is no number");
    measured
        .metrics
        .get("max_abs_diff")
        .copied()
        .ok_or_else(lost)
}

fn close(layers: &str, weights: &Memory, x: (&[u64], &[f32]), y: (&[u64], &[f32])) {
    let distance = distance(layers, weights, x, y).expect(layers);
    assert!(distance < 2e-6, "{layers}: {distance}");
}

#[test]
fn each_layer_agrees_with_pytorchs_definition() {
    let none = Memory::default();
    let x: (&[u64], &[f32]) = (&[3, 2], &[-1.0, 0.0, 0.5, 2.0, -30.0, 30.0]);
    let map = |f: fn(f64) -> f64| {
        x.1.iter()
            .map(|v| f(f64::from(*v)) as f32)
            .collect::<Vec<_>>()
    };
    close("'relu'", &none, x, (&[3, 2], &map(|v| v.max(0.0))));
    close("'tanh'", &none, x, (&[3, 2], &map(f64::tanh)));
    close(
        "'sigmoid'",
        &none,
        x,
        (&[3, 2], &map(|v| 1.0 / (1.0 + (-v).exp()))),
    );
    // Small ones are not rounded to 0, and large ones overflow to it.
    let small: (&[u64], &[f32]) = (&[1, 2], &[-30.0, -200.0]);
    let far = distance("'sigmoid'", &none, small, (&[1, 2], &[9.357_623e-14, 0.0]));
    assert!(far.expect("computed") < 1e-19);
    close("{dropout=0.5}", &none, x, (&[3, 2], x.1));
    // PyTorch's values: nn.GELU() and nn.GELU("tanh") of -1 and 2.
    close(
        "'gelu'",
        &none,
        (&[1, 2], &[-1.0, 2.0]),
        (&[1, 2], &[-0.158_655_25, 1.954_499_7]),
    );
    close(
        "{gelu={tanh=true}}",
        &none,
        (&[1, 2], &[-1.0, 2.0]),
        (&[1, 2], &[-0.158_808, 1.954_597_7]),
    );
    let e = std::f32::consts::E;
    close(
        "'softmax'",
        &none,
        (&[1, 2], &[1.0, 2.0]),
        (&[1, 2], &[1.0 / (1.0 + e), e / (1.0 + e)]),
    );

    let weights = Memory::default()
        .with("l.weight", &[1, 2], &[2.0, -1.0])
        .with("l.bias", &[1], &[0.5])
        .with("n.weight", &[2], &[2.0, 1.0])
        .with("n.bias", &[2], &[0.0, 1.0])
        .with("b.running_mean", &[2], &[1.0, 0.0])
        .with("b.running_var", &[2], &[4.0, 1.0])
        .with("b.weight", &[2], &[3.0, 1.0])
        .with("b.bias", &[2], &[1.0, 0.0])
        .with(
            "c.weight",
            &[2, 1, 2, 2],
            &[1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0],
        )
        .with("c.bias", &[2], &[0.0, 10.0]);
    close("{linear='l'}", &weights, x, (&[3, 1], &[-1.5, -0.5, -89.5]));
    close(
        "{linear='l'}",
        &weights,
        (&[1, 2, 2], &[1.0, 0.0, 0.0, 1.0]),
        (&[1, 2, 1], &[2.5, -0.5]),
    );
    close(
        "{layer_norm='n',eps=0.0}",
        &weights,
        (&[1, 2], &[1.0, 3.0]),
        (&[1, 2], &[-2.0, 2.0]),
    );
    close(
        "{batch_norm='b',eps=0.0}",
        &weights,
        (&[1, 2], &[3.0, 5.0]),
        (&[1, 2], &[4.0, 5.0]),
    );
    close(
        "{batch_norm='b',eps=0.0}",
        &weights,
        (&[1, 2, 1], &[3.0, 5.0]),
        (&[1, 2, 1], &[4.0, 5.0]),
    );

    let image: (&[u64], &[f32]) = (
        &[1, 1, 3, 3],
        &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0],
    );
    close(
        "{conv2d='c'}",
        &weights,
        image,
        (
            &[1, 2, 2, 2],
            &[6.0, 8.0, 12.0, 14.0, 16.0, 18.0, 22.0, 24.0],
        ),
    );
    close(
        "{conv2d='c',stride=2,padding=1}",
        &weights,
        image,
        (
            &[1, 2, 2, 2],
            &[1.0, 3.0, 7.0, 14.0, 10.0, 12.0, 14.0, 24.0],
        ),
    );
    close(
        "{conv2d='c',dilation=2}",
        &weights,
        image,
        (&[1, 2, 1, 1], &[10.0, 20.0]),
    );
    let two: (&[u64], &[f32]) = (&[1, 2, 2, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    close(
        "{conv2d='c',groups=2}",
        &weights,
        two,
        (&[1, 2, 1, 1], &[5.0, 23.0]),
    );
    close(
        "{max_pool2d=2,stride=1}",
        &none,
        image,
        (&[1, 1, 2, 2], &[5.0, 6.0, 8.0, 9.0]),
    );
    let nan: (&[u64], &[f32]) = (&[1, 1, 2, 2], &[1.0, f32::NAN, 3.0, 2.0]);
    assert!(distance("{max_pool2d=2}", &none, nan, (&[1, 1, 1, 1], &[3.0])).is_err());
    close("{avg_pool2d=2}", &none, image, (&[1, 1, 1, 1], &[3.0]));
    close("'flatten'", &none, image, (&[1, 9], image.1));
}

#[test]
fn ids_go_through_an_embedding_and_are_checked() {
    let text = "[model.m]\nweights='w'\nlayers=[{embedding='e'},'flatten']\n[eval.s]\ntask='reference'\ndata='d'\ninput='x'\ntarget='y'";
    let weights = Memory::default().with("e.weight", &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let with = |ids: &[i64]| {
        let data =
            Memory::default()
                .with_ids("x", &[1, 2], ids)
                .with("y", &[1, 4], &[3.0, 4.0, 1.0, 2.0]);
        run(text, None, &weights, None, &data)
    };
    assert_eq!(with(&[1, 0]).expect("good").metrics["max_abs_diff"], 0.0);
    assert!(
        with(&[1, 2])
            .expect_err("high")
            .to_string()
            .contains("the id 2 at element 1")
    );
    assert!(
        with(&[-1, 0])
            .expect_err("low")
            .to_string()
            .contains("the id -1")
    );
}

#[test]
fn shapes_that_do_not_fit_name_the_layer() {
    let weights = Memory::default()
        .with("c.weight", &[1, 1, 3, 3], &[0.0; 9])
        .with("l.weight", &[1, 2], &[0.0; 2]);
    let say = |layers: &str, shape: &[u64]| {
        let values = vec![0.0; shape.iter().product::<u64>() as usize];
        distance(layers, &weights, (shape, &values), (&[1], &[0.0]))
            .expect_err(layers)
            .to_string()
    };
    assert_eq!(
        say("'relu',{linear='l'}", &[1, 3]),
        "layer 2 (linear `l`): got numbers of shape [1, 3], and takes 2 features last"
    );
    assert!(say("{conv2d='c'}", &[1, 1, 2, 9]).contains("3x3 window fits in"));
    assert!(say("{conv2d='c'}", &[1, 2, 9, 9]).contains("takes 1 channels"));
    assert!(say("{conv2d='c'}", &[1, 9]).contains("[n, channels, height, width]"));
    assert!(say("{max_pool2d=3}", &[1, 1, 2, 2]).contains("3x3 or more"));
    assert!(say("{softmax=2}", &[1, 2]).contains("a dimension 2"));
    assert!(say("{flatten=5}", &[1, 2]).contains("a dimension 5"));
    assert!(say("'relu'", &[0, 2]).contains("is empty"));
    assert!(say("'relu'", &[2, 2]).contains("has shape [1], and `x` has 2 rows"));
}

#[test]
fn labels_and_outputs_are_checked() {
    let text = "[model.m]\nweights='w'\nlayers=['relu']\n[eval.s]\ntask='classification'\ndata='d'\ninput='x'\ntarget='y'";
    let with = |values: &[f32], labels: &[i64]| {
        let data = Memory::default()
            .with("x", &[2, 2], values)
            .with_ids("y", &[2], labels);
        run(text, None, &Memory::default(), None, &data)
    };
    let good = with(&[1.0, 0.0, 0.0, 1.0], &[0, 0]).expect("good");
    assert_eq!((good.rows, good.metrics["correct"]), (2, 1.0));
    assert!(
        with(&[0.0; 4], &[0, 2])
            .expect_err("label")
            .to_string()
            .contains("the label 2 in row 1")
    );
    assert_eq!(
        with(&[f32::NAN, 0.0, 0.0, 1.0], &[0, 1])
            .expect("measured")
            .nan,
        1
    );
    for layers in [
        "'tanh','relu'",
        "'softmax'",
        "'gelu'",
        "{gelu={tanh=true}}",
        "'sigmoid'",
    ] {
        let text = text.replace("'relu'", layers);
        let data = Memory::default()
            .with("x", &[1, 2], &[0.0, f32::NAN])
            .with_ids("y", &[1], &[0]);
        let nan = run(&text, None, &Memory::default(), None, &data)
            .expect("measured")
            .nan;
        assert!(nan > 0, "{layers} loses a NaN");
    }
    let wrong = text.replace("'y'", "'z'");
    let data = Memory::default().with("x", &[1, 1], &[0.0]);
    let missing = run(&wrong, None, &Memory::default(), None, &data).expect_err("missing");
    assert_eq!(missing.to_string(), "the data has no tensor `z`, only `x`");
}

/// A file of the workload; `None` where there is none.
fn workload(path: &str) -> Option<Vec<u8>> {
    let file = crate::model::testing::workload(path)?;
    Some(std::fs::read(file).expect("readable"))
}

/// The weights of MiniLM v1, which are not in the workload: where `MVC_MINILM` says, or where the tests from outside
/// have fetched them. Fetching needs the network, so that they may be missing everywhere.
#[expect(clippy::print_stderr, reason = "a test that skips must say so")]
fn minilm_v1() -> Option<Vec<u8>> {
    let fetched = || {
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let target = target.unwrap_or(Path::new(env!("CARGO_MANIFEST_DIR")).join("target"));
        target.join("tmp/minilm-v1")
    };
    let named = std::env::var_os("MVC_MINILM").map(PathBuf::from);
    let must = named.is_some();
    let file = named.unwrap_or_else(fetched).join("model.safetensors");
    match std::fs::read(&file) {
        Ok(bytes) => Some(bytes),
        Err(e) => {
            assert!(!must, "{}: {e}", file.display());
            eprintln!("skipped: {} is not there", file.display());
            None
        }
    }
}

const CNN: &str = r#"
    [model.m]
    weights = "w"
    layers = [
      { conv2d = "conv1", padding = 1 }, "relu", { max_pool2d = 2 },
      { conv2d = "conv2", padding = 1 }, "relu", { max_pool2d = 2 },
      "flatten", { linear = "fc1" }, "relu", { linear = "fc2" },
    ]
    [eval.s]
    task = "classification"
    data = "d"
    input = "inputs"
    target = "labels"
"#;

#[test]
fn the_cnn_scores_what_pytorch_measured() {
    let (Some(data), Some(metrics)) = (
        workload("cnn/eval.safetensors"),
        workload("cnn/metrics.json"),
    ) else {
        return;
    };
    let data = Memory::read(&data);
    let metrics: serde_json::Value = serde_json::from_slice(&metrics).expect("json");
    for epoch in [1, 2, 3, 10] {
        let Some(weights) = workload(&format!("cnn/epoch{epoch:02}.safetensors")) else {
            return;
        };
        let measured = run(CNN, None, &Memory::read(&weights), None, &data).expect("measured");
        let torch = &metrics["epochs"][epoch - 1];
        assert_eq!(
            Some(measured.metrics["correct"]),
            torch["test_correct"].as_f64(),
            "epoch {epoch}"
        );
        let loss = torch["test_loss"].as_f64().expect("a number");
        let difference = (measured.metrics["cross_entropy"] - loss).abs();
        assert!(difference < 1e-6, "epoch {epoch}: {difference}");
    }
}

#[test]
fn the_cnns_logits_are_pytorchs_and_a_batch_changes_the_last_bits_at_most() {
    let (Some(data), Some(logits), Some(weights)) = (
        workload("cnn/eval.safetensors"),
        workload("cnn/eval_logits_epoch10.safetensors"),
        workload("cnn/epoch10.safetensors"),
    ) else {
        return;
    };
    let mut data = Memory::read(&data);
    data.0.extend(Memory::read(&logits).0);
    let weights = Memory::read(&weights);
    let text = CNN
        .replace("classification", "reference")
        .replace("\"labels\"", "\"logits\"");
    let measured = run(&text, None, &weights, None, &data).expect("measured");
    assert!(measured.metrics["max_abs_diff"] < 1e-4, "{measured:?}");
    let ragged = run(&format!("{text}\nbatch = 7"), None, &weights, None, &data).expect("measured");
    assert!((ragged.metrics["max_abs_diff"] - measured.metrics["max_abs_diff"]).abs() < 1e-4);
}

const BERT: &str =
    "[model.m]\npath='.'\n[eval.s]\ndata='d'\ninput='input_ids'\nmask='attention_mask'\n";

#[test]
fn minilms_embeddings_are_transformers() {
    let (Some(json), Some(data)) = (
        workload("minilm/config.json"),
        workload("minilm/reference.safetensors"),
    ) else {
        return;
    };
    let data = Memory::read(&data);
    let versions = [
        ("embeddings_v1", minilm_v1()),
        ("embeddings_v2", workload("minilm/v2.safetensors")),
    ];
    for (target, weights) in versions {
        let Some(weights) = weights else { continue };
        let text = BERT.replace("path='.'", "path='.'\nnormalize=true");
        let text = format!("{text}task='reference'\ntarget='{target}'");
        let measured =
            run(&text, Some(&json), &Memory::read(&weights), None, &data).expect("measured");
        assert!(
            measured.metrics["max_abs_diff"] < 2e-6,
            "{target}: {measured:?}"
        );
        assert_eq!(
            (measured.rows, measured.extra.len()),
            (8, 2),
            "{measured:?}"
        );
    }
}

#[test]
fn minilm_with_a_head_classifies_as_pytorch_did() {
    let files = [
        "config.json",
        "classify.safetensors",
        "head_v2.safetensors",
        "v2.safetensors",
        "classify.json",
    ]
    .map(|file| workload(&format!("minilm/{file}")));
    let [
        Some(json),
        Some(data),
        Some(head),
        Some(weights),
        Some(torch),
    ] = files
    else {
        return;
    };
    let torch: serde_json::Value = serde_json::from_slice(&torch).expect("json");
    let text = BERT.replace("path='.'", "path='.'\nhead={weights='h'}");
    let text = format!("{text}task='classification'\ntarget='labels'");
    let (weights, head, data) = (
        Memory::read(&weights),
        Memory::read(&head),
        Memory::read(&data),
    );
    let measured = run(&text, Some(&json), &weights, Some(&head), &data).expect("measured");
    assert_eq!(
        Some(measured.metrics["correct"]),
        torch["v2_correct"].as_f64()
    );
    let loss = torch["v2_cross_entropy"].as_f64().expect("a number");
    assert!(
        (measured.metrics["cross_entropy"] - loss).abs() < 1e-5,
        "{measured:?}"
    );
    let without = run(&text, Some(&json), &weights, None, &data).expect_err("no head");
    assert_eq!(without.to_string(), "the weights lack `weight`, `bias`");
}
