//! What `mvc eval` says of weights, data and architectures that cannot be, and that none of it ever passes.

use mvc::base::Kind;

use crate::support::{Output, Sandbox, Weights};

const MODEL: &str = "model.safetensors";
const DATA: &str = "rows.safetensors";

const SUITE: &str = "
[eval.rows]
task = \"classification\"
data = \"rows.safetensors\"
input = \"x\"
target = \"y\"
";

const BERT: &str = r#"{"model_type": "bert", "vocab_size": 16, "hidden_size": 8, "num_hidden_layers": 1,
"num_attention_heads": 2, "intermediate_size": 12, "max_position_embeddings": 6}"#;

fn net(seed: u64) -> Weights {
    Weights::seeded(seed)
        .f32("fc.weight", &[4, 8])
        .f32("fc.bias", &[4])
}

fn rows() -> Weights {
    Weights::seeded(9).f32("x", &[20, 8]).i64("y", &[20], 4)
}

/// A repository with a network of one layer, or of these, and no claim.
fn with_layers(layers: &str) -> Sandbox {
    let sandbox = Sandbox::repo();
    sandbox.mvc(&["init"]).ok();
    sandbox.mvc(&["track", "*.safetensors"]).ok();
    let toml = sandbox.text("mvc.toml");
    let model = format!("[model.net]\nweights = \"{MODEL}\"\nlayers = [{layers}]\n");
    sandbox.write("mvc.toml", format!("{toml}\n{model}{SUITE}"));
    sandbox.write(MODEL, net(1).bytes());
    sandbox.write(DATA, rows().bytes());
    sandbox
}

/// A small BERT: four numbers per text, as a head makes them.
pub(super) fn bert() -> Sandbox {
    let sandbox = with_layers("");
    let toml = sandbox.text("mvc.toml");
    let toml = toml.replace(
        "layers = []\n",
        "head = { weights = \"head.safetensors\" }\n",
    );
    sandbox.write(
        "mvc.toml",
        toml.replace("input = \"x\"", "input = \"ids\"\nmask = \"mask\""),
    );
    sandbox.write("config.json", BERT);
    sandbox.write("tokenizer.json", r#"{"model": {"vocab": {"a": 0}}}"#);
    sandbox.write(MODEL, encoder().bytes());
    let head = Weights::seeded(4).f32("weight", &[4, 8]).f32("bias", &[4]);
    sandbox.write("head.safetensors", head.bytes());
    let data = Weights::seeded(5)
        .i64("ids", &[10, 5], 16)
        .i64("y", &[10], 4);
    sandbox.write(DATA, data.i64("mask", &[10, 5], 2).bytes());
    sandbox
}

/// The tensors of its encoder.
pub(super) fn encoder() -> Weights {
    let mut weights = Weights::seeded(3)
        .f32("embeddings.word_embeddings.weight", &[16, 8])
        .f32("embeddings.position_embeddings.weight", &[6, 8])
        .f32("embeddings.token_type_embeddings.weight", &[2, 8])
        .f32("pooler.dense.weight", &[8, 8]);
    let at = |part: &str| format!("encoder.layer.0.{part}");
    for (name, shape) in [
        ("embeddings.LayerNorm".to_owned(), &[8][..]),
        (at("attention.self.query"), &[8, 8]),
        (at("attention.self.key"), &[8, 8]),
        (at("attention.self.value"), &[8, 8]),
        (at("attention.output.dense"), &[8, 8]),
        (at("attention.output.LayerNorm"), &[8]),
        (at("intermediate.dense"), &[12, 8]),
        (at("output.dense"), &[8, 12]),
        (at("output.LayerNorm"), &[8]),
    ] {
        weights = weights
            .f32(&format!("{name}.weight"), shape)
            .f32(&format!("{name}.bias"), &shape[..1]);
    }
    weights
}

pub(super) fn commit(sandbox: &Sandbox, name: &str) {
    sandbox.git(&["add", "-A"]).ok();
    sandbox.mvc(&["commit", "-m", name]).ok();
    sandbox.mvc(&["tag", name]).ok();
}

pub(super) fn edit(sandbox: &Sandbox, file: &str, from: &str, to: &str) {
    let text = sandbox.text(file);
    assert!(text.contains(from), "{file} has no {from:?}");
    sandbox.write(file, text.replace(from, to));
}

#[track_caller]
fn without_pass(output: Output) -> Output {
    output.prints_no("pass")
}

#[test]
fn weights_that_do_not_fit() {
    // The tanh makes a one of an infinity.
    let sandbox = with_layers("{ linear = \"fc\" }, \"tanh\"");
    let refused = |weights: Weights, said: &str| {
        sandbox.write(MODEL, weights.bytes());
        let refused = sandbox.mvc(&["eval", "--record"]);
        refused.fails(Kind::BadInput).says(said);
        assert!(!sandbox.has("mvc.evals.toml"));
    };
    refused(
        Weights::seeded(1).f32("fc.bias", &[4]),
        "the weights lack `fc.weight`",
    );
    refused(
        Weights::seeded(1)
            .f32("fc.weight", &[4, 7])
            .f32("fc.bias", &[4]),
        "layer 1 (linear `fc`)",
    );
    refused(
        Weights::seeded(1)
            .f32("fc.weight", &[4, 8])
            .f32("fc.bias", &[5]),
        "the tensor `fc.bias` has shape [5]",
    );
    let odd = Weights::seeded(1).i64("fc.weight", &[4, 8], 3);
    sandbox.write(MODEL, odd.bytes());
    sandbox
        .mvc(&["eval", "--record"])
        .fails(Kind::Unsupported)
        .says("the tensor `fc.weight` has dtype I64");
    // A NaN or an infinity fails, though a layer may make a number of it.
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let broken = Weights::seeded(1).f32("fc.weight", &[4, 8]);
        let bytes = value.to_le_bytes().repeat(4);
        sandbox.write(MODEL, broken.raw("fc.bias", "F32", &[4], bytes).bytes());
        sandbox
            .mvc(&["eval", "--record"])
            .code(1)
            .prints("weights that are NaN or infinite in `fc.bias`");
    }
    let half = net(1).bytes();
    sandbox.write(MODEL, &half[..half.len() - 5]);
    sandbox
        .mvc(&["eval", "--record"])
        .fails(Kind::BadInput)
        .says(MODEL);
    sandbox.remove(MODEL);
    sandbox
        .mvc(&["eval", "--record"])
        .fails(Kind::NotFound)
        .says("work tree has none of model.safetensors");
}

#[test]
fn data_that_does_not_fit() {
    let sandbox = with_layers("{ linear = \"fc\" }");
    let refused = |bytes: Vec<u8>, kind: Kind, said: &str| {
        sandbox.write(DATA, bytes);
        let refused = sandbox.mvc(&["eval", "--record"]);
        refused.fails(kind).says(said);
        assert!(!sandbox.has("mvc.evals.toml"));
    };
    let x = || Weights::seeded(9).f32("x", &[20, 8]);
    let good = rows().bytes();
    refused(good[..good.len() - 1].to_vec(), Kind::BadInput, DATA);
    refused(good[..6].to_vec(), Kind::BadInput, DATA);
    refused(Vec::new(), Kind::BadInput, DATA);
    refused(
        x().bytes(),
        Kind::NotFound,
        "the data has no tensor `y`, only `x`",
    );
    let labels = |value: i64| x().raw("y", "I64", &[20], value.to_le_bytes().repeat(20));
    refused(
        labels(4).bytes(),
        Kind::BadInput,
        "has the label 4 in row 0, and the model has 4 classes",
    );
    refused(
        labels(-1).bytes(),
        Kind::BadInput,
        "has the label -1 in row 0",
    );
    refused(
        x().i64("y", &[19], 4).bytes(),
        Kind::BadInput,
        "`x` has 20 rows",
    );
    refused(
        x().f32("y", &[20]).bytes(),
        Kind::Unsupported,
        "integers are needed",
    );
    let narrow = Weights::seeded(9).f32("x", &[20, 7]).i64("y", &[20], 4);
    refused(narrow.bytes(), Kind::BadInput, "takes 8 features last");
    let none = Weights::seeded(9).f32("x", &[0, 8]).i64("y", &[0], 4);
    refused(none.bytes(), Kind::BadInput, "is empty");

    // A file longer than any data is not read at all.
    let file = std::fs::File::create(sandbox.path(DATA)).expect("writable");
    file.set_len(5 << 30).expect("sparse");
    let refused = sandbox.mvc(&["eval", "--record"]);
    assert!(refused.code > 3, "{}", refused.stdout);
    refused.says(DATA);
}

#[test]
fn architectures_that_cannot_be() {
    for (layers, kind, said) in [
        ("{ linear = \"fc\" }, \"rellu\"", Kind::Config, "rellu"),
        ("{ lineer = \"fc\" }", Kind::Config, "lineer"),
        ("", Kind::Config, "a network has 1 to"),
        (
            "{ conv2d = \"fc\", padding = 100000 }",
            Kind::Config,
            "`padding` is 0 to",
        ),
        ("{ conv2d = \"fc\" }", Kind::BadInput, "fc"),
        (
            "{ linear = \"fc\" }, { max_pool2d = 2 }",
            Kind::BadInput,
            "layer 2 (max_pool2d)",
        ),
    ] {
        let sandbox = with_layers(layers);
        sandbox.mvc(&["eval", "--record"]).fails(kind).says(said);
    }
    let sandbox = with_layers("");
    edit(&sandbox, "mvc.toml", "layers = []\n", "");
    sandbox
        .mvc(&["eval", "--record"])
        .fails(Kind::Config)
        .says("neither `layers` nor a config.json")
        .says("give the model `layers` in mvc.toml");
    edit(
        &sandbox,
        "mvc.toml",
        "[eval.rows]",
        &format!("x = {}", "[".repeat(100_000)),
    );
    sandbox.mvc(&["eval"]).fails(Kind::Config);
}

#[test]
fn a_bert_is_measured_and_each_of_its_files_counts() {
    let sandbox = bert();
    sandbox
        .mvc(&["eval", "--record"])
        .ok()
        .says("not used by the architecture: `pooler.dense.weight`");
    commit(&sandbox, "v1");
    sandbox.mvc(&["eval"]).ok();
    sandbox.mvc(&["eval", "v1"]).ok();
    let changed = |file: &str, from: &str, to: &str, what: &str| {
        let before = sandbox.text(file);
        edit(&sandbox, file, from, to);
        sandbox
            .mvc(&["eval"])
            .code(3)
            .prints(&format!("the claim speaks of another {what}"));
        sandbox.write(file, before);
    };
    changed("config.json", "\"bert\", ", "\"bert\",  ", "architecture");
    changed(
        "mvc.toml",
        "head =",
        "pooling = \"cls\"\nhead =",
        "architecture",
    );
    changed("mvc.toml", "mask = \"mask\"\n", "", "suite");
    changed("tokenizer.json", "\"a\"", "\"b\"", "tokenizer");
    sandbox.write("vocab.txt", "a\n");
    sandbox.mvc(&["eval"]).code(3).prints("another tokenizer");
    sandbox.remove("vocab.txt");
    sandbox.remove("tokenizer.json");
    sandbox.mvc(&["eval"]).code(3).prints("another tokenizer");
    let head = Weights::seeded(4).f32("weight", &[4, 8]).f32("bias", &[4]);
    sandbox.write(
        "head.safetensors",
        head.scale_element("bias", 0, 1.01).bytes(),
    );
    sandbox
        .mvc(&["eval"])
        .code(1)
        .prints("head.safetensors: the tensor `bias` is not what the sidecar says");
    sandbox.mvc(&["eval", "v1"]).ok();
}

#[test]
fn a_hostile_config_json_is_refused_before_anything_is_allocated() {
    let sandbox = bert();
    for (from, to, kind, said) in [
        (
            "\"hidden_size\": 8",
            "\"hidden_size\": 1000000000000",
            Kind::BadInput,
            "`hidden_size`",
        ),
        (
            "\"hidden_size\": 8",
            "\"hidden_size\": 65536",
            Kind::BadInput,
            "has shape [16, 8]",
        ),
        (
            "\"hidden_size\": 8",
            "\"hidden_size\": 9",
            Kind::BadInput,
            "among 2 heads",
        ),
        (
            "\"num_hidden_layers\": 1",
            "\"num_hidden_layers\": 1000",
            Kind::BadInput,
            "the weights lack",
        ),
        (
            "\"vocab_size\": 16",
            "\"vocab_size\": 10000000",
            Kind::BadInput,
            "has shape [16, 8]",
        ),
        (
            "\"bert\"",
            "\"gpt2\"",
            Kind::Unsupported,
            "`model_type` = \"gpt2\"",
        ),
        ("\"bert\"", "\"be", Kind::BadInput, "is no JSON"),
    ] {
        edit(&sandbox, "config.json", from, to);
        sandbox.mvc(&["eval", "--record"]).fails(kind).says(said);
        sandbox.write("config.json", BERT);
    }
    for bomb in ["[".repeat(500_000), "{\"a\":".repeat(100_000)] {
        sandbox.write("config.json", bomb);
        sandbox
            .mvc(&["eval", "--record"])
            .fails(Kind::BadInput)
            .says("recursion limit");
    }
    sandbox.write("config.json", vec![b' '; 2 << 20]);
    let refused = sandbox.mvc(&["eval", "--record"]);
    assert!(refused.code > 3, "{}", refused.stdout);
    refused.says("config.json");
    sandbox.write("config.json", BERT);
    // Ids that the model does not know, and texts longer than it takes.
    let with = |data: Weights, said: &str| {
        sandbox.write(DATA, data.i64("y", &[10], 4).bytes());
        sandbox
            .mvc(&["eval", "--record"])
            .fails(Kind::BadInput)
            .says(said);
    };
    let mask = |tokens: u64| Weights::seeded(1).i64("mask", &[10, tokens], 2);
    with(mask(5).i64("ids", &[10, 5], 17), "the model knows 0 to 15");
    with(
        mask(7).i64("ids", &[10, 7], 16),
        "takes texts of 6 tokens, not 7",
    );
    with(mask(4).i64("ids", &[10, 5], 16), "and the ids have [10, 5]");
}

#[test]
fn a_flipped_bit_in_the_store_never_passes() {
    let sandbox = with_layers("{ linear = \"fc\" }");
    sandbox.mvc(&["eval", "--record"]).ok();
    commit(&sandbox, "v1");
    sandbox.mvc(&["eval", "v1"]).ok();
    let files = std::fs::read_dir(sandbox.path(".git/mvc/packs")).expect("a store");
    let packs: Vec<_> = files
        .map(|file| file.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|end| end == "pack"))
        .collect();
    let [pack] = &packs[..] else {
        panic!("one pack, not {packs:?}");
    };
    let good = std::fs::read(pack).expect("readable");
    // All objects are this version's. Their chunks and records lie between the head and the directory, which is read
    // where there is no index alone; the footer begins with its place.
    let footer = good.last_chunk::<80>().expect("a footer");
    let directory = u64::from_le_bytes(*footer.first_chunk().expect("a place")) as usize;
    let objects = 32..directory;
    let within = objects.clone().step_by(objects.len() / 24);
    for at in within.chain([directory - 1, directory, good.len() - 1]) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        std::fs::remove_file(pack).expect("there");
        std::fs::write(pack, &bad).expect("writable");
        let measured = sandbox.mvc(&["eval", "v1"]);
        match objects.contains(&at) {
            true => {
                let damaged = i32::from(Kind::Damaged.exit_code());
                assert_eq!(measured.code, damaged, "{at}: {}", measured.stderr);
                measured.prints_no("pass");
            }
            false => {
                measured.ok();
            }
        }
    }
}

#[test]
fn a_sidecar_that_calls_tensors_by_other_names_never_passes() {
    let sandbox = with_layers("{ linear = \"fc1\" }, \"relu\", { linear = \"fc2\" }");
    let net = |[first, second]: [&str; 2]| {
        Weights::seeded(1)
            .f32(&format!("{first}.weight"), &[8, 8])
            .f32(&format!("{second}.weight"), &[8, 8])
            .bytes()
    };
    sandbox.write(MODEL, net(["fc1", "fc2"]));
    sandbox.mvc(&["eval", "--record"]).ok();
    commit(&sandbox, "v1");
    sandbox.write(MODEL, net(["fc2", "fc1"]));
    commit(&sandbox, "v2");
    sandbox.mvc(&["eval", "v2"]).code(3).prints("other weights");
    // The names of the first version, groups and all, over the bytes of the second: the key is the claim's.
    let sidecar = "model.safetensors.mvc";
    let swapped = sandbox.text(sidecar).replace("\"fc1", "\"fc0");
    let swapped = swapped.replace("\"fc2", "\"fc1").replace("\"fc0", "\"fc2");
    sandbox.write(sidecar, swapped);
    sandbox
        .git(&["commit", "--quiet", "--no-verify", "-am", "v3"])
        .ok();
    // Where no stamp says which sidecar the file was written for, it is read, and every byte is right.
    sandbox.remove(".git/mvc/state");
    for args in [&["eval", "HEAD"][..], &["eval"]] {
        without_pass(sandbox.mvc(args))
            .fails(Kind::BadInput)
            .says("model.safetensors.mvc does not describe its file");
    }
    sandbox.mvc(&["eval", "v1"]).ok();
}

#[test]
fn a_checkpoints_sidecar_that_lies_never_passes() {
    let sandbox = with_layers("{ linear = \"embed\" }");
    sandbox.mvc(&["track", "*.pth"]).ok();
    edit(&sandbox, "mvc.toml", MODEL, "model.pth");
    sandbox.remove(MODEL);
    let state = crate::support::root().join("fixtures/torch/state.pth");
    sandbox.write("model.pth", std::fs::read(state).expect("a fixture"));
    sandbox.write(
        DATA,
        Weights::seeded(9)
            .f32("x", &[20, 3])
            .i64("y", &[20], 4)
            .bytes(),
    );
    sandbox.mvc(&["eval", "--record"]).ok();
    commit(&sandbox, "v1");
    sandbox.mvc(&["eval", "v1"]).ok();
    let good = sandbox.text("model.pth.mvc");
    let forged = |view: &str| {
        let line = good.lines().find(|line| line.starts_with(view));
        let line = line.expect("a view of a storage");
        good.replace(
            line,
            &format!("{}{}", &line[..line.len() - 64], "7".repeat(64)),
        )
    };
    let swapped = good.replace("blocks.0.q", "blocks.0.x");
    let swapped = swapped.replace("blocks.0.k", "blocks.0.q");
    for (what, text) in [
        ("the id of a view", forged("view \"embed.weight\"")),
        ("one that nothing uses", forged("view \"blocks.1.turned\"")),
        ("names", swapped.replace("blocks.0.x", "blocks.0.k")),
    ] {
        assert_ne!(text, good, "{what}");
        sandbox.write("model.pth.mvc", text);
        sandbox
            .git(&["commit", "--quiet", "--no-verify", "-am", what])
            .ok();
        sandbox.remove(".git/mvc/state");
        for args in [&["eval", "HEAD"][..], &["eval"]] {
            without_pass(sandbox.mvc(args))
                .fails(Kind::BadInput)
                .says("model.pth.mvc does not describe its file");
        }
    }
}
