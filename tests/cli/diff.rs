use mvc::base::Kind;
use snapbox::str;

use crate::support::workload::workload;
use crate::support::{Sandbox, Weights};

/// A repository with weights in one commit, tagged v1.
fn tagged(weights: &Weights) -> Sandbox {
    let sandbox = Sandbox::repo();
    sandbox.mvc(&["init"]).ok();
    sandbox.mvc(&["track", "*.safetensors", "*.pth"]).ok();
    sandbox.write("model.safetensors", weights.bytes());
    commit(&sandbox, "v1");
    sandbox
}

fn commit(sandbox: &Sandbox, tag: &str) {
    sandbox.git(&["add", "-A"]).ok();
    sandbox.mvc(&["commit", "-q", "-m", tag]).ok();
    sandbox.git(&["tag", tag]).ok();
}

fn copy(sandbox: &Sandbox, name: &str, to: &str) -> bool {
    let Some(file) = workload(&format!("cnn/{name}")) else {
        return false;
    };
    sandbox.write(to, std::fs::read(file).expect("readable"));
    true
}

#[test]
fn an_epoch_is_a_dense_fine_tune_with_its_metrics_and_configs() {
    let sandbox = tagged(&Weights::seeded(1));
    if !copy(&sandbox, "epoch01.safetensors", "model.safetensors") {
        return;
    }
    sandbox.write("metrics.json", r#"{"accuracy": 0.95, "loss": 0.2}"#);
    sandbox.write(
        "config.json",
        r#"{"hidden": 128, "rope": {"theta": 10000}}"#,
    );
    commit(&sandbox, "e1");
    copy(&sandbox, "epoch02.safetensors", "model.safetensors");
    sandbox.write("metrics.json", r#"{"accuracy": 0.97, "loss": 0.2}"#);
    sandbox.write(
        "config.json",
        r#"{"hidden": 128, "rope": {"theta": 500000}}"#,
    );
    commit(&sandbox, "e2");
    let shown = str![[r#"
e1 -> e2
model.safetensors  dense fine-tune: rel. change 2.0e-1, 8 tensors
  8 tensors, 8 changed, 1.6 MiB
  layer  differ  of  rel L2  max |d|    cosine  changed
  conv1       2   2  0.0547   0.0228  0.998602   94.5 %
  conv2       2   2   0.209   0.0374  0.981784   92.2 %
  fc1         2   2   0.215   0.0297  0.981101   82.9 %
  fc2         2   2  0.0474   0.0159  0.998929   93.8 %

  tensor        form           rel L2  max |d|    cosine  changed
  fc1.weight    F32 128x3136    0.215   0.0297  0.981099   82.9 %
  conv2.weight  F32 64x32x3x3   0.209   0.0374  0.981789   92.2 %
  and 6 more tensors; `--top N` lists more, `--tensor GLOB` chooses
config.json
  rope.theta  10000 -> 500000
metrics
  metric    before  after  change
  accuracy    0.95   0.97   +0.02  better

"#]];
    sandbox
        .mvc(&["diff", "e1..e2", "--top", "2"])
        .ok()
        .stdout_is(shown);
    let layers = sandbox.mvc(&["diff", "--stat", "e1", "e2"]).ok();
    layers.prints("conv1").prints_no("conv1.weight");
    // The other way round the metric became worse, and from a commit to the work tree is the same as to HEAD.
    sandbox.mvc(&["diff", "e2", "e1"]).ok().prints("worse");
    let both = ["e1", "HEAD"].map(str::to_owned);
    let stripped = |text: String| text.split_once('\n').map(|(_, rest)| rest.to_owned());
    assert_eq!(
        stripped(sandbox.mvc(&["diff", "e1"]).ok().stdout),
        stripped(sandbox.mvc(&["diff", &both[0], &both[1]]).ok().stdout),
    );
}

#[test]
fn a_checkpoint_and_its_twin_hold_identical_tensors() {
    let sandbox = tagged(&Weights::seeded(1));
    if !copy(&sandbox, "epoch10.safetensors", "epoch10.safetensors") {
        return;
    }
    commit(&sandbox, "v2");
    copy(&sandbox, "model.pth", "model.pth");
    sandbox
        .mvc(&["diff", "HEAD:epoch10.safetensors", "model.pth"])
        .ok()
        .prints("identical tensors")
        .prints("8 tensors, 8 same, safetensors 1.6 MiB -> torch 1.6 MiB");
    // The files differ, the tensors do not.
    let compared = ["diff", "--exit-code", ":epoch10.safetensors", ":model.pth"];
    sandbox.mvc(&compared).code(1);
    let tensors = [&compared[..], &["--tensor", "*"]].concat();
    sandbox.mvc(&tensors).ok();
    let json = sandbox
        .mvc(&[&compared[..], &["--json"]].concat())
        .code(1)
        .json();
    assert_eq!(json["weights"][0]["verdict"]["kind"], "same-tensors");
}

#[test]
fn one_changed_element_is_named_with_its_figures() {
    let weights = Weights::small(1);
    let sandbox = tagged(&weights);
    sandbox
        .mvc(&["diff", "--exit-code"])
        .ok()
        .prints("nothing differs, 1 weights file the same");
    let changed = weights.scale_element("fc1.weight", 7, 1.01);
    sandbox.write("model.safetensors", changed.bytes());
    sandbox
        .mvc(&["diff", "--exit-code"])
        .code(1)
        .stdout_is(str![[r#"
HEAD -> work tree
model.safetensors  fine-tune: rel. change 2.1e-4, 1 of 8 tensors
  8 tensors, 7 same, 1 changed, 12.6 KiB
  tensor      form        rel L2  max |d|     cosine  changed
  fc1.weight  F32 32x72  2.13e-4  5.21e-4  >0.999999   <0.1 %

"#]]);
    let json = sandbox.mvc(&["diff", "--json"]).ok().json();
    assert_eq!(json["schema"], "mvc.diff/1");
    assert_eq!(
        (&json["from"], &json["to"]),
        (&"HEAD".into(), &"work tree".into())
    );
    let weights = &json["weights"][0];
    assert_eq!(weights["counts"]["same"], 7);
    let tensor = &weights["tensors"][0];
    assert_eq!(tensor["name"], "fc1.weight");
    assert_eq!(tensor["stats"]["changed"], 1);
    assert_eq!(tensor["stats"]["elements"], 32 * 72);
    assert!(weights["tensors"][1].is_null());
    // A glob that does not match it sees no difference, one that matches nothing is a mistake.
    // A revision in place of a file means its file of the same path, and a narrow terminal keeps the names whole.
    let narrow = sandbox.env("COLUMNS", "60");
    let shown = narrow.mvc(&["diff", "HEAD", ":model.safetensors"]).ok();
    shown
        .prints("  fc1.weight  2.13e-4  5.21e-4  >0.999999   <0.1 %\n")
        .prints_no("F32");
    let sandbox = narrow;
    let glob = |glob| sandbox.mvc(&["diff", "--exit-code", "--tensor", glob]);
    glob("fc1.*").code(1).prints("fc1.weight");
    glob("conv*").ok().prints("nothing differs");
    glob("zzz")
        .fails(Kind::NotFound)
        .says("no tensor matches `zzz`");
}

#[test]
fn nan_that_appears_is_said_first() {
    let weights = Weights::small(1);
    let sandbox = tagged(&weights);
    let broken = weights
        .trained(0.1)
        .scale_element("conv1.bias", 2, f32::NAN);
    sandbox.write("model.safetensors", broken.bytes());
    let shown = sandbox.mvc(&["diff", "--top", "1"]).ok();
    shown
        .prints("NaN or infinity appeared in 1 tensor")
        .prints("conv1.bias")
        .prints("1 new NaN/Inf")
        .prints("and 7 more tensors");
    let json = sandbox.mvc(&["diff", "--json"]).ok().json();
    let tensors = &json["weights"][0]["tensors"];
    assert_eq!(tensors[0]["stats"]["new_non_finite"], 1);
    assert_eq!(tensors.as_array().map(Vec::len), Some(8));
    let far = |i: usize| tensors[i]["stats"]["rel_l2"].as_f64().expect("a number");
    assert!((1..7).all(|i| far(i) >= far(i + 1)), "{tensors}");
}

#[test]
fn tensors_and_files_come_go_and_are_renamed() {
    let four = |seed| Weights::seeded(seed).f32("a.w", &[8, 8]).f32("b.w", &[4]);
    let sandbox = tagged(&four(1).f32("old.name", &[16]));
    sandbox.write(
        "moved.safetensors",
        Weights::seeded(5).f32("x", &[32]).bytes(),
    );
    sandbox.write(
        "gone.safetensors",
        Weights::seeded(6).f32("y", &[32]).bytes(),
    );
    commit(&sandbox, "v2");
    let rename = ["moved.safetensors", "renamed.safetensors"].map(|name| sandbox.path(name));
    std::fs::rename(&rename[0], &rename[1]).expect("same folder");
    sandbox.remove("gone.safetensors");
    sandbox.write(
        "fresh.safetensors",
        Weights::seeded(7).f32("z", &[2]).bytes(),
    );
    sandbox.write(
        "model.safetensors",
        four(1).f32("new.name", &[16]).bf16("c.w", &[3]).bytes(),
    );
    let shown = sandbox.mvc(&["diff"]).ok();
    shown
        .prints("renamed from \"old.name\"")
        .prints("c.w       BF16 3")
        .prints("fresh.safetensors (new)  new model: 1 tensor")
        .prints("gone.safetensors (removed)")
        .prints("renamed.safetensors (was moved.safetensors)  identical");
    let only = sandbox.mvc(&["diff", "v2", "--", "fresh.safetensors"]).ok();
    only.prints("fresh.safetensors")
        .prints_no("model.safetensors");
    let path = sandbox.mvc(&["diff", "model.safetensors"]).ok();
    path.prints("HEAD -> work tree")
        .prints("new.name")
        .prints_no("fresh");
}

#[test]
fn casts_and_resizes_are_told() {
    let rows = |rows| Weights::seeded(3).f32("embed.weight", &[rows, 4]);
    let sandbox = tagged(&rows(10).f32("fc.weight", &[64, 64]));
    // The first rows of the longer one are those of the shorter one, as the numbers come from one seed.
    sandbox.write("model.safetensors", rows(12).bytes());
    let shown = sandbox.mvc(&["diff"]).ok();
    shown
        .prints("resized 10 -> 12 rows")
        .prints("F32 10x4 -> 12x4")
        .prints("fc.weight");
    let wide = Weights::seeded(3).f32("fc.weight", &[64, 64]);
    sandbox.write("wide.safetensors", wide.bytes());
    let narrow = Weights::seeded(3).bf16("fc.weight", &[64, 64]);
    sandbox.write("narrow.safetensors", narrow.bytes());
    sandbox
        .mvc(&["diff", ":wide.safetensors", "narrow.safetensors"])
        .ok()
        .prints("cast F32 -> BF16 (lossy): 1 tensor")
        .prints("F32 -> BF16 64x64");
}

#[test]
fn another_header_is_told_apart_from_other_tensors() {
    let weights = Weights::small(1);
    let sandbox = tagged(&weights);
    sandbox.write(
        "model.safetensors",
        weights.metadata("format", "pt").bytes(),
    );
    sandbox
        .mvc(&["diff", "--exit-code"])
        .code(1)
        .prints("identical tensors, another header");
}

#[test]
fn before_the_first_commit_all_is_new() {
    let sandbox = Sandbox::repo();
    sandbox.mvc(&["init"]).ok();
    sandbox.mvc(&["track", "*.safetensors"]).ok();
    sandbox.write("model.safetensors", Weights::small(1).bytes());
    let shown = sandbox.mvc(&["diff"]).ok();
    shown
        .prints("nothing -> work tree")
        .prints("new model: 8 tensors");
}

#[test]
fn mistakes_read_well() {
    let sandbox = tagged(&Weights::small(1));
    let diff = |args: &[&str]| sandbox.mvc(&[&["diff"], args].concat());
    diff(&["v3"]).fails(Kind::NotFound).says("no revision `v3`");
    diff(&["v1", "v3"])
        .fails(Kind::NotFound)
        .says("no revision `v3`");
    diff(&["v1", "v1", "v1"]).fails(Kind::Usage).says("not 3");
    let missing = diff(&["v1:none.safetensors", "model.safetensors"]);
    missing
        .fails(Kind::NotFound)
        .says("v1 has no weights file none.safetensors");
    let files = ["v1:model.safetensors", "model.safetensors", "--", "x"];
    diff(&files).fails(Kind::Usage).says("compared whole");
    let text = sandbox.text("model.safetensors.mvc");
    let half = format!("<<<<<<< ours\n{text}=======\n{text}>>>>>>> theirs\n");
    sandbox.write("model.safetensors.mvc", half);
    diff(&[])
        .fails(Kind::Conflict)
        .says("model.safetensors.mvc");
}

#[test]
fn a_damaged_object_is_told_as_damage() {
    let weights = Weights::small(1);
    let sandbox = tagged(&weights);
    let packs = sandbox.path(".git/mvc");
    let mut folders = vec![packs];
    let mut damaged = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "pack") {
                let mut bytes = std::fs::read(&path).expect("readable");
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                std::fs::remove_file(&path).expect("writable");
                std::fs::write(&path, bytes).expect("writable");
                damaged += 1;
            }
        }
    }
    assert!(damaged > 0);
    sandbox.write("model.safetensors", weights.trained(0.1).bytes());
    sandbox
        .mvc(&["diff"])
        .fails(Kind::Damaged)
        .says("cannot compare");
}
