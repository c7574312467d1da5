use crate::support::{Sandbox, Weights};

const FIRST: &str = "model-00001-of-00002.safetensors";
const SECOND: &str = "model-00002-of-00002.safetensors";
const INDEX: &str = "model.safetensors.index.json";

fn shard(name: &str, seed: u64) -> Vec<u8> {
    Weights::seeded(seed)
        .f32(&format!("{name}.weight"), &[16, 16])
        .f32(&format!("{name}.bias"), &[16])
        .bytes()
}

fn index(second: &str) -> String {
    format!(
        r#"{{"metadata": {{"total_size": 2176}}, "weight_map": {{"a.weight": "{FIRST}", "a.bias": "{FIRST}",
            "b.weight": "{second}", "b.bias": "{second}"}}}}"#
    )
}

/// A model of two shards in three versions, every shard another in each.
fn three_versions() -> Sandbox {
    let sandbox = Sandbox::repo();
    sandbox.mvc(&["init"]).ok();
    sandbox.mvc(&["track", "*.safetensors"]).ok();
    sandbox.write(INDEX, index(SECOND));
    for version in 1..=3 {
        sandbox.write(FIRST, shard("a", version));
        sandbox.write(SECOND, shard("b", version));
        sandbox.git(&["add", "-A"]).ok();
        let made = sandbox.mvc(&["commit", "-m", "next"]).ok();
        assert!(!made.stderr.contains("versions"), "{}", made.stderr);
        sandbox.git(&["tag", &format!("v{version}")]).ok();
    }
    sandbox
}

fn quiet(sandbox: &Sandbox) {
    let status = sandbox.mvc(&["status"]).ok();
    assert!(!status.stderr.contains("shards"), "{}", status.stderr);
}

#[test]
fn a_mix_of_two_versions_is_named() {
    let sandbox = three_versions();
    quiet(&sandbox);
    // An old shard copied in by hand.
    sandbox.write(FIRST, shard("a", 1));
    let said =
        format!("{INDEX} has shards of different versions: {FIRST} is of v1, {SECOND} is of HEAD");
    sandbox.mvc(&["status"]).ok().says(&said);
    let json = sandbox.mvc(&["status", "--json"]).ok().json();
    assert_eq!(json["warnings"][0], said.as_str());
    sandbox.mvc(&["commit", "-m", "mixed"]).ok().says(&said);
    // Its sidecar brought back by git.
    let sandbox = three_versions();
    sandbox
        .git(&["checkout", "v2", "--", &format!("{SECOND}.mvc")])
        .ok();
    let said = format!("{FIRST} is of HEAD, {SECOND} is of v2");
    sandbox.mvc(&["status"]).ok().says(&said);
}

#[test]
fn training_and_whole_versions_are_no_mix() {
    let sandbox = three_versions();
    // One shard trained, the other as it was.
    sandbox.write(FIRST, shard("a", 9));
    quiet(&sandbox);
    // All of an older version.
    sandbox.write(FIRST, shard("a", 1));
    sandbox.write(SECOND, shard("b", 1));
    quiet(&sandbox);
    // An older shard where the other was the same in that version.
    let sandbox = three_versions();
    sandbox.write(FIRST, shard("a", 4));
    sandbox.git(&["add", "-A"]).ok();
    sandbox.mvc(&["commit", "-m", "one shard"]).ok();
    sandbox.write(FIRST, shard("a", 3));
    quiet(&sandbox);
}

#[test]
fn an_index_that_disagrees_is_said_and_fails_eval() {
    let sandbox = three_versions();
    sandbox.write(INDEX, index(FIRST));
    let said =
        format!("{INDEX} and its shards disagree: the tensor \"b.bias\" is missing from {FIRST}");
    sandbox.mvc(&["status"]).ok().says(&said);
    sandbox.mvc(&["commit", "-am", "index"]).ok().says(&said);
    let toml = sandbox.text("mvc.toml");
    let model = format!(
        "{toml}\n[model.net]\nweights = \"{INDEX}\"\nlayers = [{{ linear = \"a\" }}]\n\
         [eval.rows]\ntask = \"regression\"\ndata = \"rows.safetensors\"\ninput = \"x\"\ntarget = \"y\"\n"
    );
    sandbox.write("mvc.toml", model);
    let rows = Weights::seeded(1).f32("x", &[4, 16]).f32("y", &[4, 16]);
    sandbox.write("rows.safetensors", rows.bytes());
    sandbox.mvc(&["eval"]).code(1).prints(&said);
    sandbox.mvc(&["eval", "--record"]).code(1).prints(&said);
    assert!(!sandbox.has("mvc.evals.toml"));
    sandbox.write(INDEX, "{}");
    sandbox
        .mvc(&["status"])
        .ok()
        .says("missing field `weight_map`");
    // A modified shard is looked at too, by its header.
    sandbox.write(INDEX, index(SECOND));
    sandbox.write(SECOND, shard("c", 1));
    let missing = format!("the tensor \"b.bias\" is missing from {SECOND}");
    sandbox.mvc(&["status"]).ok().says(&missing);
}
