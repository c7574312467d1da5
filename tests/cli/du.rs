//! What versions cost, and why.

use mvc::base::Kind;

use crate::support::{Sandbox, Weights};

/// Two linear layers, of which the first is trained from version to version.
fn weights(steps: u32) -> Vec<u8> {
    let mut body = Weights::seeded(1).f32("body.weight", &[64, 256]);
    for _ in 0..steps {
        body = body.trained(1e-4);
    }
    body.f32("body.bias", &[64])
        .raw("head.weight", "I64", &[32], vec![7; 256])
        .bytes()
}

/// A version's tag and a file.
type Base = (String, String);

/// The height of the first tensor of each file of HEAD, and what it is written with: version, file.
fn bases(sandbox: &Sandbox) -> Vec<(String, u64, Option<Base>)> {
    let report = sandbox
        .mvc(&["du", "--why", "--json", "-n", "1"])
        .ok()
        .json();
    let costs = report["versions"][0]["costs"]
        .as_array()
        .expect("a list")
        .clone();
    let bodies = costs
        .iter()
        .filter(|cost| cost["names"][0] == "body.weight");
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let base = |cost: &serde_json::Value| {
        let is = cost["bases"].get(0)?["is"].clone();
        let name = is["version"]["refs"]
            .as_array()?
            .iter()
            .map(text)
            .next_back()?;
        Some((name, text(&is["path"])))
    };
    bodies
        .map(|cost| {
            (
                text(&cost["path"]),
                cost["height"].as_u64().expect("known"),
                base(cost),
            )
        })
        .collect()
}

#[test]
fn the_nearest_version_is_the_base_wherever_it_lies() {
    let sandbox = Sandbox::keeping();
    let commit = |name: &str| {
        sandbox.mvc(&["commit", "-m", name]).ok();
        sandbox.mvc(&["tag", name]).ok();
    };
    sandbox.write("model.safetensors", weights(0));
    commit("v0");
    sandbox.write(
        "model.safetensors",
        Weights::seeded(9).f32("body.weight", &[64, 256]).bytes(),
    );
    commit("v1");
    let named = |name: &str, path: &str| Some((name.to_owned(), path.to_owned()));
    // An older version of the same file.
    sandbox.write("model.safetensors", weights(1));
    commit("v2");
    let model = "model.safetensors";
    assert_eq!(bases(&sandbox), [(model.to_owned(), 1, named("v0", model))]);
    // Another file, and two files of one command, of which one is the other's.
    sandbox.write("first.safetensors", weights(3));
    sandbox.write("second.safetensors", weights(4));
    commit("v3");
    let found = bases(&sandbox);
    assert_eq!(
        found[0],
        ("first.safetensors".into(), 2, named("v2", model))
    );
    assert_eq!(
        found[2],
        (
            "second.safetensors".into(),
            3,
            named("v3", "first.safetensors")
        )
    );
    sandbox.assert_whole();
}

#[test]
fn of_each_tensor_it_says_what_it_takes_and_why() {
    let sandbox = Sandbox::keeping();
    for steps in 0..3 {
        sandbox.write("model.safetensors", weights(steps));
        let name = format!("v{steps}");
        sandbox.mvc(&["commit", "-m", &name]).ok();
        sandbox.mvc(&["tag", &name]).ok();
    }
    sandbox
        .mvc(&["du", "--why", "-n", "1"])
        .ok()
        .stdout_is(snapbox::str![[r#"
[HASH] main v2 v2: 64.7 KiB in 27.0 KiB, 26.9 KiB of it new
  model.safetensors
    tensor            raw    stored  codecs    height  base  also in
    literal         224 B     136 B  zstd           0        v1 and 1 other
    body.weight  64.0 KiB  26.6 KiB  delta          2  v1
    body.bias       256 B     256 B  raw            0
    head.weight     256 B       8 B  constant       0        v1 and 1 other

version     names     weights     added  subject
[HASH]  main v2  64.7 KiB  27.0 KiB  v2

the store holds 8 objects in 112.5 KiB, 57.9 % of all versions of all weights kept whole (194.2 KiB)

"#]]);
    let report = sandbox.mvc(&["du", "--why", "--json"]).ok().json();
    let versions = report["versions"].as_array().expect("a list");
    let cost = |version: usize, name: &str| {
        let costs = versions[version]["costs"].as_array().expect("a list");
        let found = costs.iter().find(|cost| cost["names"][0] == name);
        found.expect("it has such a tensor").clone()
    };
    for (at, height, base) in [(0, 2, Some("v1")), (1, 1, Some("v0")), (2, 0, None)] {
        let body = cost(at, "body.weight");
        assert_eq!(body["height"], height, "{body}");
        assert_eq!(body["raw"], 64 * 256 * 4);
        assert!(body["stored"].as_u64() > Some(0));
        assert_eq!(body["new"], true);
        match base {
            Some(tag) => {
                let is = &body["bases"][0]["is"];
                assert!(
                    is["version"]["refs"]
                        .as_array()
                        .expect("a list")
                        .contains(&tag.into()),
                    "{is}"
                );
                assert_eq!(is["name"], "body.weight");
                assert_eq!(body["codecs"]["delta"], 1, "{body}");
            }
            None => assert_eq!(body["bases"].as_array().map(Vec::len), Some(0)),
        }
        let head = cost(at, "head.weight");
        assert_eq!(head["codecs"]["constant"], 1);
        assert_eq!(head["new"], at == 2);
        assert_eq!(head["also_in"].as_array().map(Vec::len), Some(2));
    }
    let plain = sandbox.mvc(&["du", "--json"]).ok().json();
    assert!(plain["versions"][0].get("costs").is_none(), "{plain}");
}

#[test]
fn what_is_lost_is_said_and_hides_nothing() {
    let sandbox = Sandbox::three();
    for pack in sandbox.packs() {
        std::fs::remove_file(pack).expect("there");
    }
    sandbox
        .mvc(&["du", "--why"])
        .ok()
        .prints("fc1.weight")
        .prints("it is not in the store");
    sandbox.mvc(&["du", "--why", "v9"]).fails(Kind::NotFound);
    Sandbox::repo().mvc(&["du", "--why"]).ok();
}

#[test]
fn the_store_is_beside_all_versions_of_all_branches_each_once() {
    let sandbox = Sandbox::keeping();
    let commit = |steps: u32, message: &str| {
        sandbox.write("model.safetensors", weights(steps));
        sandbox.mvc(&["commit", "-a", "-m", message]).ok();
    };
    commit(0, "first");
    sandbox.git(&["checkout", "-q", "-b", "side"]).ok();
    commit(1, "aside");
    sandbox.git(&["checkout", "-q", "-"]).ok();
    sandbox
        .git(&["commit", "-q", "--allow-empty", "-m", "nothing new"])
        .ok();
    let whole = 2 * weights(0).len() as u64;
    for args in [
        &["du", "--json"][..],
        &["du", "--json", "-n", "1"],
        &["du", "--json", "side"],
    ] {
        let report = sandbox.mvc(args).ok().json();
        assert_eq!(report["raw"].as_u64(), Some(whole), "{args:?}");
    }
}

#[test]
fn a_sidecar_of_the_past_that_cannot_be_read_hides_no_version() {
    let sandbox = Sandbox::keeping();
    sandbox.write("model.safetensors", weights(0));
    sandbox.mvc(&["commit", "-m", "good"]).ok();
    sandbox.write("other.safetensors.mvc", "garbage\n");
    sandbox.git(&["add", "-f", "other.safetensors.mvc"]).ok();
    sandbox
        .git(&["commit", "-q", "--no-verify", "-m", "bad"])
        .ok();
    sandbox
        .git(&["rm", "-q", "-f", "other.safetensors.mvc"])
        .ok();
    sandbox.git(&["commit", "-q", "-m", "good again"]).ok();
    for why in [&[][..], &["--why"]] {
        let args = [&["du", "--json"], why].concat();
        let told = sandbox.mvc(&args).ok();
        let versions = told.json()["versions"].as_array().expect("a list").clone();
        let bad: Vec<bool> = versions
            .iter()
            .map(|version| version["unreadable"].as_array().is_some())
            .collect();
        assert_eq!(bad, [false, true, false]);
        assert_eq!(versions[2]["raw"].as_u64(), Some(weights(0).len() as u64));
    }
    let told = sandbox.mvc(&["du"]).ok();
    assert!(told.stderr.contains("other.safetensors"), "{}", told.stderr);
}

#[test]
fn a_new_file_is_like_one_of_another_name_that_another_branch_has_or_that_was_removed() {
    let sandbox = Sandbox::keeping();
    let commit = |path: &str, steps: u32| {
        sandbox.write(path, weights(steps));
        sandbox.mvc(&["commit", "-a", "-m", path]).ok();
    };
    // The first tensor of a file of HEAD, and what it is written with.
    let body = |path: &str| {
        let asked = sandbox.mvc(&["du", "--why", "--json", "-n", "1"]);
        let report = asked.ok().json();
        let costs = report["versions"][0]["costs"].as_array().cloned();
        let mut costs = costs.expect("a list").into_iter();
        let is_it =
            |cost: &serde_json::Value| cost["path"] == path && cost["names"][0] == "body.weight";
        let cost = costs.find(is_it).expect("its body");
        (cost["object"].clone(), cost["bases"][0]["object"].clone())
    };
    commit("model.safetensors", 0);
    sandbox.git(&["tag", "first"]).ok();
    sandbox.git(&["checkout", "-q", "-b", "tuned"]).ok();
    commit("model.safetensors", 40);
    let tuned = body("model.safetensors").0;
    sandbox.mvc(&["checkout", "first"]).ok();
    sandbox.git(&["checkout", "-q", "-b", "export"]).ok();
    commit("out/export.safetensors", 41);
    assert_eq!(body("out/export.safetensors").1, tuned);

    commit("out/old.safetensors", 80);
    let old = body("out/old.safetensors").0;
    sandbox.git(&["rm", "-q", "out/old.safetensors.mvc"]).ok();
    sandbox.git(&["commit", "-q", "-m", "removed"]).ok();
    commit("out/renamed.safetensors", 81);
    assert_eq!(body("out/renamed.safetensors").1, old);
}
