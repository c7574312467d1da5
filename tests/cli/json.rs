//! Every report as JSON: one document, its schema first.

use crate::support::{Sandbox, seeded};

#[test]
fn every_report_is_json_with_a_schema() {
    let sandbox = Sandbox::new();
    let check = |arguments: &[&str]| {
        let mut all = arguments.to_vec();
        all.push("--json");
        let done = sandbox.mvc(&all).ok();
        let report = done.json();
        let schema = report["schema"].as_str().unwrap_or_default();
        assert_eq!(schema, format!("mvc.{}/1", arguments[0]), "{}", done.call);
        assert!(
            done.stdout.trim_start().starts_with("{\n  \"schema\"")
                || done.stdout.starts_with("{\"schema\""),
            "{}",
            done.stdout
        );
        report
    };
    check(&["init"]);
    check(&["track", "*.safetensors"]);
    check(&["track"]);
    check(&["status"]);
    check(&["log"]);
    sandbox.write("model.safetensors", seeded(1));
    check(&["add", "model.safetensors"]);
    check(&["commit", "-m", "first", "--metric", "accuracy=1"]);
    check(&["tag", "v1"]);
    check(&["tag"]);
    check(&["branch", "side"]);
    check(&["branch"]);
    check(&["status"]);
    check(&["log", "--metrics"]);
    check(&["show"]);
    check(&["show", "v1:model.safetensors"]);
    check(&["show", "v1:model.safetensors:fc1.bias"]);
    check(&["show", "v1:mvc.toml"]);
    check(&["metrics", "show"]);
    check(&["metrics", "diff"]);
    check(&["checkout", "v1"]);
    check(&["restore", "model.safetensors"]);
    check(&["verify"]);
    check(&["verify", "--all"]);
    check(&["verify", "--repair"]);
    check(&["du"]);
    check(&["du", "--why"]);
    check(&["gc"]);
    check(&["gc", "--prune"]);
    check(&["gc", "--restore-trash"]);
    check(&["hooks", "install"]);
    check(&["hooks", "status"]);
    check(&["hooks", "uninstall"]);
    check(&["tag", "-d", "v1"]);
    check(&["branch", "-d", "side"]);
    check(&["untrack", "*.safetensors"]);
}
