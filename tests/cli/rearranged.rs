//! Weights whose tensors were put together, taken apart, renamed or sorted into other files.

use crate::support::{Sandbox, Weights};

const COLUMNS: usize = 256;

/// A matrix of F32: random numbers, moved by `step` random ones.
fn matrix(rows: usize, seed: u64, step: f32) -> Vec<u8> {
    let shape = [rows as u64, COLUMNS as u64];
    let only = Weights::seeded(seed).f32("only", &shape).trained(step);
    let file = only.bytes();
    file[file.len() - rows * COLUMNS * 4..].to_vec()
}

fn add(weights: Weights, name: &str, bytes: &[u8]) -> Weights {
    let rows = (bytes.len() / COLUMNS / 4) as u64;
    weights.raw(name, "F32", &[rows, COLUMNS as u64], bytes.to_vec())
}

/// Queries, keys, values and an embedding.
fn model(step: f32) -> [Vec<u8>; 4] {
    [(400, 1), (100, 2), (100, 3), (900, 4)].map(|(rows, seed)| matrix(rows, seed, step))
}

fn apart([q, k, v, embed]: &[Vec<u8>; 4]) -> Vec<u8> {
    let weights = Weights::seeded(0);
    let weights = add(weights, "model.embed_tokens.weight", embed);
    let weights = add(weights, "model.layers.0.self_attn.q_proj.weight", q);
    let weights = add(weights, "model.layers.0.self_attn.k_proj.weight", k);
    add(weights, "model.layers.0.self_attn.v_proj.weight", v).bytes()
}

/// The same under other names, with one matrix of three and a few more rows in front of the embedding.
fn together([q, k, v, embed]: &[Vec<u8>; 4]) -> Vec<u8> {
    let weights = add(Weights::seeded(0), "h.0.attn.qkv", &[&q[..], k, v].concat());
    let front = matrix(10, 99, 0.0);
    add(weights, "wte", &[&front[..], embed].concat()).bytes()
}

fn commit(sandbox: &Sandbox, tag: &str) -> u64 {
    let report = sandbox.mvc(&["commit", "--json", "-m", tag]).ok().json();
    sandbox.mvc(&["tag", tag]).ok();
    report["written"].as_u64().expect("a number")
}

/// The names of the tensors that one of HEAD is written with, as a mosaic.
fn bases(sandbox: &Sandbox, tensor: &str) -> Vec<String> {
    let why = ["du", "--why", "--json", "-n", "1"];
    let report = sandbox.mvc(&why).ok().json();
    let costs = report["versions"][0]["costs"].as_array().expect("a list");
    let cost = costs.iter().find(|cost| cost["names"][0] == tensor);
    let cost = cost.expect("it has that tensor");
    assert_eq!(cost["codecs"]["mosaic"], 1, "{cost}");
    let bases = cost["bases"].as_array().expect("a list").iter();
    let name = |base: &serde_json::Value| base["is"]["name"].as_str().map(str::to_owned);
    bases.filter_map(name).collect()
}

#[test]
fn what_was_rearranged_costs_what_changed_in_it_and_outlives_what_it_was_made_of() {
    let (first, second) = (model(0.0), model(1e-5));
    let sandbox = Sandbox::keeping();
    sandbox.write("model.safetensors", apart(&first));
    commit(&sandbox, "v1");
    sandbox.write("model.safetensors", apart(&second));
    let step = commit(&sandbox, "v2");
    for (number, model) in [&first, &second].into_iter().enumerate() {
        let sandbox = Sandbox::keeping();
        sandbox.write("model.safetensors", apart(&first));
        commit(&sandbox, "v1");
        sandbox.write("model.safetensors", together(model));
        let written = commit(&sandbox, "v2");
        let rows = 10 * COLUMNS as u64 * 4;
        let most = [12 << 10, step * 11 / 10][number] + rows;
        assert!(written < most, "{written}, {most} at most");
        let parts = ["q_proj", "k_proj", "v_proj"]
            .map(|name| format!("model.layers.0.self_attn.{name}.weight"));
        assert_eq!(bases(&sandbox, "h.0.attn.qkv"), parts);
        assert_eq!(bases(&sandbox, "wte"), ["model.embed_tokens.weight"]);
        sandbox.write("model.safetensors", apart(model));
        let back = commit(&sandbox, "v3");
        assert!(back <= step * 11 / 10, "{back}, {step} before");
        // Nothing leads to the first version any more but what the second is made of.
        sandbox.mvc(&["checkout", "v2"]).ok();
        sandbox.git(&["checkout", "-q", "--orphan", "other"]).ok();
        sandbox.git(&["commit", "-q", "-m", "alone"]).ok();
        for name in ["v1", "v2", "v3"] {
            sandbox.git(&["tag", "-d", name]).ok();
        }
        sandbox.git(&["branch", "-q", "-D", "main"]).ok();
        sandbox
            .git(&["reflog", "expire", "--expire=all", "--all"])
            .ok();
        sandbox.mvc(&["gc", "--prune", "--grace", "0"]).ok();
        sandbox.remove("model.safetensors");
        sandbox.mvc(&["restore", "model.safetensors"]).ok();
        assert!(sandbox.read("model.safetensors") == together(model));
        sandbox.assert_whole();
    }
}

#[test]
fn what_went_into_other_files_is_found_in_whichever_it_was() {
    let tensors = |step: f32| (0..20).map(move |seed| matrix(64, 50 + seed, step));
    let file = |number: usize, bytes: &[u8]| {
        let name = format!("model.layers.{number}.mlp.weight");
        add(Weights::seeded(0), &name, bytes).bytes()
    };
    let sandbox = Sandbox::keeping();
    for (number, bytes) in tensors(0.0).enumerate() {
        sandbox.write(format!("old-{number:02}.safetensors"), file(number, &bytes));
    }
    let alone = commit(&sandbox, "v1");
    for number in 0..20 {
        sandbox.remove(format!("old-{number:02}.safetensors"));
        let sidecar = format!("old-{number:02}.safetensors.mvc");
        sandbox.git(&["rm", "-q", &sidecar]).ok();
    }
    for (number, bytes) in tensors(1e-5).enumerate() {
        sandbox.write(format!("new-{number:02}.safetensors"), file(number, &bytes));
    }
    let written = commit(&sandbox, "v2");
    assert!(written * 3 < alone * 2, "{written}, {alone} before");
    let why = sandbox.mvc(&["du", "--why", "-n", "1"]).ok();
    for number in 0..20 {
        let base = format!("v1:old-{number:02}.safetensors");
        assert!(why.stdout.contains(&base), "{base}: {}", why.stdout);
    }
    sandbox.assert_whole();
}

/// F32 rounded to the nearest BF16.
fn rounded(bytes: &[u8]) -> Vec<u8> {
    let halves = bytes.as_chunks().0.iter().flat_map(|number| {
        let bits = u32::from_le_bytes(*number);
        let up = 0x7fff + (bits >> 16 & 1);
        ((bits.wrapping_add(up) >> 16) as u16).to_le_bytes()
    });
    halves.collect()
}

/// BF16 as F32.
fn widened(bytes: &[u8]) -> Vec<u8> {
    let numbers = bytes.as_chunks::<2>().0.iter();
    numbers.flat_map(|half| [0, 0, half[0], half[1]]).collect()
}

/// A model of several layers, whose tensors all have one shape.
fn layers(prefix: &str, dtype: &str, change: &dyn Fn(Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    let tensor = |weights: Weights, name: &str, rows: usize, seed: u64| {
        let bytes = change(matrix(rows, seed, 0.0));
        let shape = [rows as u64, COLUMNS as u64];
        weights.raw(&format!("{prefix}{name}"), dtype, &shape, bytes)
    };
    let embedding = "embeddings.word_embeddings.weight";
    let mut weights = tensor(Weights::seeded(0), embedding, 300, 1);
    for layer in 0..6 {
        let name = format!("encoder.layer.{layer}.attention.self.query.weight");
        weights = tensor(weights, &name, 128, 100 + layer);
    }
    weights.bytes()
}

#[test]
fn what_is_renamed_and_cast_at_once_costs_next_to_nothing() {
    let narrow = |bytes: Vec<u8>| rounded(&bytes);
    let wide = |bytes: Vec<u8>| widened(&rounded(&bytes));
    let versions = [
        ("F32", layers("", "F32", &|bytes| bytes)),
        ("BF16", layers("bert.", "BF16", &narrow)),
        ("F32 again", layers("", "F32", &wide)),
    ];
    let sandbox = Sandbox::keeping();
    for (number, (tag, file)) in versions.iter().enumerate() {
        sandbox.write("model.safetensors", file);
        let written = commit(&sandbox, &format!("v{number}"));
        let most = file.len() as u64 / 50;
        assert!(
            number == 0 || written < most,
            "{tag}: {written}, {most} at most"
        );
    }
    sandbox.mvc(&["checkout", "v1"]).ok();
    assert!(sandbox.read("model.safetensors") == versions[1].1);
    sandbox.assert_whole();
}
