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
