use mvc::base::Kind;

use crate::support::{Output, Sandbox, Weights};

const MODEL: &str = "model.safetensors";
const DATA: &str = "rows.safetensors";

const CONFIG: &str = r#"
[model.net]
weights = "model.safetensors"
layers = [{ linear = "fc1" }, "relu", { linear = "fc2" }]

[eval.rows]
model = "net"
task = "classification"
data = "rows.safetensors"
input = "x"
target = "y"
"#;

/// Two linear layers, 8 numbers in and 4 classes out.
fn net(seed: u64) -> Weights {
    Weights::seeded(seed)
        .f32("fc1.weight", &[16, 8])
        .f32("fc1.bias", &[16])
        .f32("fc2.weight", &[4, 16])
        .f32("fc2.bias", &[4])
}

fn rows() -> Weights {
    Weights::seeded(9)
        .f32("x", &[20, 8])
        .i64("y", &[20], 4)
        .f32("z", &[20, 4])
}

/// A repository with the network and its suite, and nothing committed.
fn fresh() -> Sandbox {
    let sandbox = Sandbox::repo();
    sandbox.mvc(&["init"]).ok();
    sandbox.mvc(&["track", "*.safetensors"]).ok();
    let toml = sandbox.text("mvc.toml");
    sandbox.write("mvc.toml", format!("{toml}{CONFIG}"));
    sandbox.write(MODEL, net(1).bytes());
    sandbox.write(DATA, rows().bytes());
    sandbox
}

/// Records, commits and tags what lies in the work tree.
fn version(sandbox: &Sandbox, name: &str) {
    sandbox.mvc(&["eval", "--record"]).ok().prints("recorded");
    commit(sandbox, name);
}

fn commit(sandbox: &Sandbox, name: &str) {
    sandbox.git(&["add", "-A"]).ok();
    sandbox.mvc(&["commit", "-m", name]).ok();
    sandbox.mvc(&["tag", name]).ok();
}

/// One version with its claim.
fn claimed() -> Sandbox {
    let sandbox = fresh();
    version(&sandbox, "v1");
    sandbox
}

fn edit(sandbox: &Sandbox, file: &str, from: &str, to: &str) {
    let text = sandbox.text(file);
    assert!(text.contains(from), "{file} has no {from:?}");
    sandbox.write(file, text.replace(from, to));
}

/// No metric is printed, in no column.
#[track_caller]
fn without_numbers(output: Output) -> Output {
    output.prints_no("cross_entropy").prints_no("pass")
}

#[test]
fn record_commit_tag_and_measure_again() {
    let sandbox = fresh();
    sandbox
        .mvc(&["eval"])
        .code(1)
        .prints("model.safetensors has no sidecar, so nothing was claimed of it");
    commit(&sandbox, "v0");
    sandbox
        .mvc(&["eval"])
        .code(3)
        .prints("cannot compare  work tree: net on rows, 20 rows")
        .prints("no claim is recorded");
    version(&sandbox, "v1");
    sandbox.mvc(&["eval"]).ok().prints("pass  work tree");
    sandbox.write(MODEL, net(2).bytes());
    version(&sandbox, "v2");

    // Each tag holds its own claim, straight from the store and after a checkout.
    let both = sandbox.mvc(&["eval", "v1", "v2"]).ok();
    both.prints("pass  v1: net on rows").prints("pass  v2");
    sandbox
        .mvc(&["eval", "v0", "v1"])
        .code(3)
        .prints("pass  v1");
    sandbox.mvc(&["checkout", "v1"]).ok();
    sandbox.mvc(&["eval"]).ok();
    let [first, second] = ["v1", "v2"].map(|tag| {
        let show = sandbox.git(&["show", &format!("{tag}:mvc.evals.toml")]);
        show.ok().stdout
    });
    assert_eq!(sandbox.text("mvc.evals.toml"), first);
    assert_ne!(first, second);

    sandbox
        .mvc(&["eval", "v1", "--record"])
        .fails(Kind::Usage)
        .says("record, then commit, then tag");
}

#[test]
fn the_report_as_json() {
    let sandbox = claimed();
    let report = sandbox.mvc(&["eval", "v1", "--json"]).ok().json();
    assert_eq!(report["schema"], "mvc.eval/1");
    let one = &report["measurements"][0];
    assert_eq!(
        (one["version"].as_str(), one["model"].as_str()),
        (Some("v1"), Some("net"))
    );
    assert_eq!(
        (one["suite"].as_str(), one["rows"].as_u64()),
        (Some("rows"), Some(20))
    );
    assert_eq!(
        (one["verdict"].as_str(), one["recorded"].as_bool()),
        (Some("pass"), Some(false))
    );
    let metrics = one["metrics"].as_array().expect("a list");
    let names: Vec<_> = metrics
        .iter()
        .filter_map(|row| row["metric"].as_str())
        .collect();
    assert_eq!(names, ["accuracy", "correct", "cross_entropy"]);
    assert_eq!(metrics[1]["claimed"], metrics[1]["measured"]);
    assert_eq!(metrics[1]["within"], true);

    edit(&sandbox, "mvc.toml", "\"relu\"", "\"tanh\"");
    let report = sandbox.mvc(&["eval", "--json"]).code(3).json();
    let one = &report["measurements"][0];
    assert_eq!(one["verdict"], "cannot-compare");
    assert_eq!(
        one["reasons"][0],
        "the claim speaks of another architecture"
    );
}

#[test]
fn whatever_changes_is_named_and_never_passes() {
    let sandbox = claimed();
    for (from, to, what) in [
        ("\"relu\"", "\"tanh\"", "architecture"),
        ("\"relu\", ", "", "architecture"),
        (
            "target = \"y\"",
            "target = \"z\"\ntask = \"reference\"",
            "suite",
        ),
        (
            "target = \"y\"",
            "target = \"y\"\ntask = \"classification\"\nbatch = 7",
            "suite",
        ),
    ] {
        let before = sandbox.text("mvc.toml");
        if what == "suite" {
            edit(&sandbox, "mvc.toml", "task = \"classification\"\n", "");
        }
        edit(&sandbox, "mvc.toml", from, to);
        sandbox
            .mvc(&["eval"])
            .code(3)
            .prints(&format!("the claim speaks of another {what}"));
        sandbox.write("mvc.toml", before);
    }

    let mut data = sandbox.read(DATA);
    let at = data.len() - 4 * 80 - 8 * 20 - 1;
    data[at] ^= 1;
    sandbox.write(DATA, data);
    sandbox
        .mvc(&["eval"])
        .code(3)
        .prints("the claim speaks of another data");
    sandbox.write(DATA, rows().bytes());
    sandbox.mvc(&["eval"]).ok();

    // One element by 1 %: its tensor is named, and no number is computed.
    sandbox.write(MODEL, net(1).scale_element("fc2.weight", 5, 1.01).bytes());
    without_numbers(sandbox.mvc(&["eval"]).code(1))
        .prints("model.safetensors: the tensor `fc2.weight` is not what the sidecar says");
    // Committed without a word about it, the claim speaks of other weights.
    commit(&sandbox, "v2");
    for args in [&["eval"][..], &["eval", "v2"]] {
        sandbox
            .mvc(args)
            .code(3)
            .prints("the claim speaks of another weights");
    }
    sandbox.mvc(&["eval", "v1"]).ok();

    // A tensor more is other weights, too; and it is named.
    sandbox.write(MODEL, net(1).f32("old.head", &[3]).bytes());
    commit(&sandbox, "v3");
    sandbox
        .mvc(&["eval"])
        .code(3)
        .says("not used by the architecture: `old.head`");
    sandbox.mvc(&["eval", "v1", "v3"]).code(3);
    sandbox.remove(DATA);
    sandbox
        .mvc(&["eval"])
        .code(3)
        .prints("the suite's data rows.safetensors is not there");
}

#[test]
fn the_same_tensors_in_another_file_keep_their_claim() {
    let sandbox = claimed();
    let again = net(1)
        .metadata("format", "pt")
        .metadata("note", "saved again");
    assert_ne!(again.bytes(), sandbox.read(MODEL));
    sandbox.write(MODEL, again.bytes());
    // Not what the sidecar says until it is committed, though no tensor is another.
    without_numbers(sandbox.mvc(&["eval"]).code(1))
        .prints("is not what its sidecar says, though its tensors are");
    commit(&sandbox, "v2");
    sandbox.mvc(&["eval", "v1", "v2"]).ok();
    // Moved: the model's name and place are nothing that a metric depends on.
    sandbox.mvc(&["track", "*.safetensors"]).ok();
    sandbox
        .git(&["mv", "model.safetensors.mvc", "renamed.safetensors.mvc"])
        .ok();
    std::fs::rename(sandbox.path(MODEL), sandbox.path("renamed.safetensors")).expect("there");
    edit(&sandbox, "mvc.toml", MODEL, "renamed.safetensors");
    commit(&sandbox, "v3");
    sandbox.mvc(&["eval", "v3"]).ok();
}

#[test]
fn gates_and_tolerances() {
    let sandbox = fresh();
    commit(&sandbox, "v0");
    let with = |more: &str| {
        let toml = sandbox.text("mvc.toml");
        sandbox.write("mvc.toml", format!("{toml}{more}"));
        let run = |args: &[&str]| sandbox.mvc(args);
        let done = (run(&["eval"]), run(&["eval", "--record"]));
        sandbox.write("mvc.toml", toml);
        done
    };
    let (held, _) = with("gate = { accuracy = \">= 0\" }\n");
    held.code(3)
        .prints("no claim is recorded: the suite's gates hold, and there is nothing to compare")
        .prints(">= 0 holds");
    sandbox.remove("mvc.evals.toml");
    let (broken, record) = with("gate = { accuracy = \"> 1\" }\n");
    broken.code(1).prints("and the suite's gate is > 1");
    // Nothing is claimed that a gate refuses.
    record.code(1).prints("FAIL");
    assert!(!sandbox.has("mvc.evals.toml"));
    let (bad, _) = with("gate = { acuracy = \">= 0\" }\n");
    bad.fails(Kind::Config).says("its task measures accuracy");
    let (bad, _) = with("tolerance = { loss = 1 }\n");
    bad.fails(Kind::Config).says("its task measures accuracy");
    let (bad, _) = with("gate = { accuracy = \"0.9\" }\n");
    bad.fails(Kind::Config).says("a gate is >=, <=, > or <");

    // A claim that was edited by hand is within its tolerance or is not.
    sandbox.mvc(&["eval", "--record"]).ok();
    let text = sandbox.text("mvc.evals.toml");
    let line = text.lines().find(|line| line.starts_with("cross_entropy"));
    let value: f64 = line
        .and_then(|line| line.rsplit(' ').next()?.parse().ok())
        .expect("a number");
    let off = format!("cross_entropy = {:?}", value + 0.01);
    edit(&sandbox, "mvc.evals.toml", line.expect("one"), &off);
    sandbox
        .mvc(&["eval"])
        .code(1)
        .prints("FAIL")
        .prints("outside")
        .prints("tolerance 0");
    let wide = "tolerance = { cross_entropy = 0.02 }\n";
    let toml = sandbox.text("mvc.toml");
    sandbox.write("mvc.toml", format!("{toml}{wide}"));
    sandbox.mvc(&["eval"]).ok();
    // On another machine it is no failure, and no pass either.
    sandbox.write("mvc.toml", toml);
    edit(&sandbox, "mvc.evals.toml", "candle = \"", "candle = \"9");
    sandbox
        .mvc(&["eval"])
        .code(3)
        .prints("another class of hardware");
    edit(
        &sandbox,
        "mvc.evals.toml",
        "rows = 20",
        "rows = 21\nrows = 20",
    );
    sandbox
        .mvc(&["eval"])
        .fails(Kind::BadInput)
        .says("hint: measure anew with `mvc eval --record`");
    sandbox
        .mvc(&["eval", "--record"])
        .ok()
        .says("it is written anew, without the claims that it had");
    sandbox.mvc(&["eval"]).ok();
    // What is no damage is not written over.
    for (from, to, kind) in [
        ("mvc = 1", "mvc = 2", Kind::Unsupported),
        ("mvc = 1", "=======\nmvc = 1", Kind::Conflict),
    ] {
        let good = sandbox.text("mvc.evals.toml");
        edit(&sandbox, "mvc.evals.toml", from, to);
        let bad = sandbox.text("mvc.evals.toml");
        sandbox.mvc(&["eval", "--record"]).fails(kind);
        assert_eq!(sandbox.text("mvc.evals.toml"), bad);
        sandbox.write("mvc.evals.toml", good);
    }
}

#[test]
fn several_suites_of_several_models() {
    let sandbox = fresh();
    let more = "
[model.other]
weights = \"other.safetensors\"
layers = [{ linear = \"fc1\" }, { linear = \"fc2\" }]

[eval.outputs]
model = \"other\"
task = \"regression\"
data = \"rows.safetensors\"
input = \"x\"
target = \"z\"
";
    let toml = sandbox.text("mvc.toml");
    sandbox.write("mvc.toml", format!("{toml}{more}"));
    sandbox.write("other.safetensors", net(5).bytes());
    sandbox
        .mvc(&["eval", "--record", "--suite", "outputs"])
        .ok()
        .prints("other on outputs")
        .prints("mse")
        .prints_no("net on rows");
    commit(&sandbox, "v1");
    sandbox.mvc(&["eval", "-s", "outputs"]).ok();
    sandbox
        .mvc(&["eval"])
        .code(3)
        .prints("pass  work tree: other on outputs")
        .prints("cannot compare  work tree: net on rows");
    // The claim of the other suite stays.
    sandbox.mvc(&["eval", "--record", "-s", "rows"]).ok();
    sandbox.mvc(&["eval"]).ok();
    sandbox.mvc(&["eval", "v1", "-s", "outputs"]).ok();
    sandbox
        .mvc(&["eval", "-s", "none"])
        .fails(Kind::NotFound)
        .says("it has: outputs, rows");
    edit(&sandbox, "mvc.toml", "model = \"other\"\n", "");
    sandbox
        .mvc(&["eval"])
        .fails(Kind::Config)
        .says("add `model = ...` to it; there are: net, other");
}

#[test]
fn without_a_suite_it_says_what_to_write() {
    let sandbox = Sandbox::repo();
    sandbox.mvc(&["init"]).ok();
    sandbox
        .mvc(&["eval"])
        .fails(Kind::NotFound)
        .says("mvc.toml names no evaluation suite")
        .says("hint: add an [eval.NAME] table to it");
    sandbox.mvc(&["help", "eval"]).ok().prints("[eval.digits]");
}

#[test]
fn it_works_from_anywhere() {
    let sandbox = claimed();
    std::fs::create_dir_all(sandbox.path("a/b")).expect("a folder");
    sandbox.mvc_in("a/b", &["eval"]).ok();
    let top = sandbox.dir().to_string_lossy().into_owned();
    sandbox.mvc_in("/", &["-C", &top, "eval", "v1"]).ok();
    let copy = sandbox.home().join("linked tree");
    let copy = copy.to_string_lossy();
    sandbox
        .git(&["worktree", "add", "--quiet", &copy, "v1"])
        .ok();
    sandbox.mvc_in(&*copy, &["eval", "v1"]).ok();
}
