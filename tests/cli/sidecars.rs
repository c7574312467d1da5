use mvc::base::Kind;

use crate::support::{Sandbox, Weights};

fn committed() -> Sandbox {
    let sandbox = Sandbox::repo();
    sandbox.mvc(&["init"]).ok();
    sandbox.mvc(&["track", "*.safetensors"]).ok();
    sandbox.write("model.safetensors", Weights::seeded(1).bytes());
    sandbox.mvc(&["commit", "-q", "-m", "first"]).ok();
    sandbox
}

#[test]
fn a_sidecar_that_was_removed_by_hand_costs_no_weights() {
    let sandbox = committed();
    sandbox.remove("model.safetensors.mvc");
    sandbox.mvc(&["status"]).ok().prints("its sidecar is gone");
    assert!(sandbox.read("model.safetensors") == Weights::seeded(1).bytes());
    sandbox.git(&["restore", "model.safetensors.mvc"]).ok();
    sandbox.mvc(&["status", "--exit-code"]).ok();
}

#[test]
fn a_newer_sidecar_is_refused_and_not_replaced() {
    let sandbox = committed();
    let newer = sandbox
        .text("model.safetensors.mvc")
        .replacen("mvc 1", "mvc 2", 1);
    sandbox.write("model.safetensors.mvc", &newer);
    for args in [&["commit", "-m", "x"][..], &["add", "model.safetensors"]] {
        sandbox.mvc(args).fails(Kind::Unsupported).says("newer");
        assert_eq!(sandbox.text("model.safetensors.mvc"), newer);
    }
}

#[test]
fn conflict_marks_are_the_users_to_settle() {
    let sandbox = committed();
    let text = sandbox.text("model.safetensors.mvc");
    let marked = format!("<<<<<<< ours\n{text}=======\n{text}>>>>>>> theirs\n");
    sandbox.write("model.safetensors.mvc", &marked);
    sandbox.mvc(&["commit", "-m", "x"]).fails(Kind::Conflict);
    assert_eq!(sandbox.text("model.safetensors.mvc"), marked);
    // Adding the weights settles it, as adding a file does in git.
    sandbox.mvc(&["add", "model.safetensors"]).ok();
    assert_eq!(sandbox.text("model.safetensors.mvc"), text);
}

/// As many tensors as MiniLM has, with its names.
fn named_as_in_minilm(seed: u64) -> Weights {
    let embeddings = ["word_embeddings.weight", "position_embeddings.weight"].into_iter();
    let embeddings = embeddings.chain(["LayerNorm.weight", "LayerNorm.bias"]);
    let parts = [
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "attention.output.LayerNorm",
        "intermediate.dense",
        "output.dense",
        "output.LayerNorm",
    ];
    let layers = (0..6).flat_map(|layer| {
        parts.into_iter().flat_map(move |part| {
            ["weight", "bias"].map(|kind| format!("encoder.layer.{layer}.{part}.{kind}"))
        })
    });
    let names = embeddings.map(|name| format!("embeddings.{name}"));
    let names = names.chain(layers).chain(["pooler.dense.weight".into()]);
    names.fold(Weights::small(seed), |weights, name| {
        weights.f32(&name, &[2, 3])
    })
}

#[test]
fn a_version_in_which_all_tensors_changed_costs_git_few_bytes_a_tensor() {
    const VERSIONS: u64 = 20;
    let sandbox = Sandbox::repo();
    sandbox.mvc(&["init"]).ok();
    sandbox.mvc(&["track", "*.safetensors"]).ok();
    let mut before = Vec::new();
    let (mut tensors, mut sidecars) = (0, Vec::new());
    for seed in 1..=VERSIONS {
        let weights = named_as_in_minilm(seed).bytes();
        sandbox.write("model.safetensors", weights);
        sandbox.mvc(&["commit", "-q", "-a", "-m", "next"]).ok();
        let text = sandbox.text("model.safetensors.mvc");
        let lines = text.lines().filter(|line| line.starts_with("tensor "));
        let lines: Vec<_> = lines.map(str::to_owned).collect();
        assert!(
            lines.iter().all(|line| !before.contains(line)),
            "all changed"
        );
        tensors = lines.len();
        before = lines;
        let blob = sandbox.rev("HEAD:model.safetensors.mvc");
        sidecars.push(blob);
    }
    sandbox.git(&["gc", "--quiet", "--prune=now"]).ok();
    let packs = sandbox.path(".git/objects/pack");
    let index = std::fs::read_dir(packs).expect("listed").find_map(|entry| {
        let path = entry.expect("listed").path();
        path.extension()
            .is_some_and(|extension| extension == "idx")
            .then(|| path.display().to_string())
    });
    let listed = sandbox
        .git(&["verify-pack", "-v", &index.expect("a pack")])
        .ok();
    // An object's name, kind, length, and its length in the pack.
    let in_pack = listed.stdout.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let is_sidecar = sidecars
            .iter()
            .any(|blob| Some(blob.as_str()) == words.first().copied());
        is_sidecar.then(|| words[3].parse::<f64>().expect("a length"))
    });
    let in_pack: Vec<f64> = in_pack.collect();
    assert_eq!(in_pack.len() as u64, VERSIONS);
    let each = in_pack.iter().sum::<f64>() / VERSIONS as f64 / tensors as f64;
    // 32 bytes are the id.
    assert!(
        tensors > 100 && (32.0..48.0).contains(&each),
        "{each} bytes for each of {tensors} tensors"
    );
}
