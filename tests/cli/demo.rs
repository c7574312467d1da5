//! The demo tells its story anywhere: without an identity, without a terminal, inside of another repository.

use crate::support::Sandbox;

/// A folder whose git knows nobody.
fn nobody() -> Sandbox {
    Sandbox::new().env("GIT_CONFIG_GLOBAL", "/dev/null")
}

#[test]
#[cfg(feature = "eval")]
fn it_shows_each_command_and_its_answer_and_leaves_a_repository() {
    let sandbox = nobody();
    let told = sandbox.mvc(&["demo", "--epochs", "2"]).ok().stdout;
    let mut rest = told.as_str();
    for next in [
        "$ mvc init mvc-demo",
        "$ mvc track '*.safetensors'",
        "  [eval.digits]",
        "$ mvc eval --record",
        "recorded  work tree: cnn on digits, 360 rows",
        "$ mvc commit -m 'epoch 1'",
        "  new model.safetensors  8 tensors",
        "$ mvc tag epoch-1",
        "$ mvc tag epoch-2",
        "$ mvc log --metrics",
        "better",
        "$ mvc diff epoch-1 epoch-2",
        "fc1.weight",
        "$ mvc checkout epoch-1",
        "  wrote model.safetensors",
        "pass  work tree: cnn on digits, 360 rows",
        "FAIL  work tree: cnn on digits",
        "the tensor `fc2.weight`",
        "$ mvc restore model.safetensors",
        "$ mvc du",
        "What to try next",
    ] {
        let at = rest
            .find(next)
            .unwrap_or_else(|| panic!("{next:?} is not told, or too early:\n{told}"));
        rest = &rest[at + next.len()..];
    }
    // What it suggests works.
    let again = sandbox
        .mvc_in("mvc-demo", &["eval", "epoch-1", "epoch-2"])
        .ok();
    assert_eq!(
        again.stdout.matches("pass  ").count(),
        2,
        "{}",
        again.stdout
    );
    sandbox.mvc_in("mvc-demo", &["verify", "--all"]).ok();
    sandbox.mvc_in("mvc-demo", &["status", "--exit-code"]).ok();
    let log = sandbox.git_in("mvc-demo", &["log", "--format=%s %an"]).ok();
    assert_eq!(log.stdout, "epoch 2 mvc demo\nepoch 1 mvc demo\n");
    let held = sandbox.read("mvc-demo/model.safetensors");
    sandbox
        .git_in("mvc-demo", &["checkout", "--quiet", "epoch-1"])
        .ok();
    assert_ne!(sandbox.read("mvc-demo/model.safetensors"), held);
}

#[test]
#[cfg(feature = "eval")]
fn as_json_it_is_one_report_and_the_repository_around_it_stays_alone() {
    let sandbox = Sandbox::repo();
    let outer = sandbox.path(".git");
    // As a hook of the outer repository would run it.
    let sandbox = sandbox.env("GIT_DIR", &outer);
    let told = sandbox
        .mvc(&["demo", "in ner/it's", "--epochs", "2", "--json"])
        .ok();
    let report = told.json();
    // Whoever copies what is shown meets the folder that was named.
    let shown = r"'in ner/it'\''s'";
    assert_eq!(report["steps"][0]["command"], format!("mvc init {shown}"));
    assert_eq!(report["next"][0]["command"], format!("cd {shown}"));
    assert_eq!(report["schema"], "mvc.demo/1");
    assert_eq!(report["versions"].as_array().map(Vec::len), Some(2));
    let verdicts: Vec<_> = report["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .filter(|step| step["answer"] == "eval")
        .map(|step| step["report"]["measurements"][0]["verdict"].clone())
        .collect();
    assert_eq!(verdicts, ["pass", "pass", "pass", "fail"]);
    assert!(!sandbox.has("mvc.toml") && !sandbox.has(".git/mvc/packs"));
    assert!(sandbox.has("in ner/it's/.git"));
}

#[test]
#[cfg(feature = "eval")]
fn a_folder_with_something_in_it_is_refused() {
    let sandbox = nobody();
    sandbox.write("mine/notes.txt", "mine");
    sandbox
        .mvc(&["demo", "mine"])
        .code(6)
        .says("mine is not empty");
    assert!(!sandbox.has("mine/.git"));
    sandbox.mvc(&["demo", "mine/notes.txt"]).code(16);
}

#[test]
#[cfg(not(feature = "eval"))]
fn without_the_evaluator_it_says_how_to_build() {
    let sandbox = nobody();
    sandbox
        .mvc(&["demo"])
        .code(10)
        .says("cargo build --release --features eval");
    assert!(!sandbox.has("mvc-demo"));
}
