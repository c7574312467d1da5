use mvc::base::Kind;

use crate::support::{Sandbox, seeded};

#[test]
fn sidecars_are_staged_and_plain_files_go_to_git() {
    let sandbox = Sandbox::keeping();
    sandbox.write("model.safetensors", seeded(1));
    sandbox.write("train.py", "pass\n");
    sandbox
        .mvc(&["add", "model.safetensors", "train.py"])
        .ok()
        .stdout_is(snapbox::str![[r#"
  new model.safetensors  8 tensors, 12.6 KiB, 11.2 KiB stored

"#]]);
    let staged = sandbox.git(&["diff", "--cached", "--name-only"]).ok();
    assert_eq!(staged.stdout, "model.safetensors.mvc\ntrain.py\n");
    sandbox.git(&["commit", "--quiet", "-m", "by git"]).ok();
    sandbox.mvc(&["add", "model.safetensors"]).ok().silent();
    sandbox.write("model.safetensors", seeded(2));
    sandbox.mvc(&["checkout", "HEAD", "--force"]).ok();
    sandbox.assert_seed("model.safetensors", 1);
    sandbox.mvc(&["add", "."]).ok();
    sandbox.mvc(&["commit", "-m", "the rest"]).ok();
    sandbox.assert_clean();
}

#[test]
fn a_folder_stands_for_what_lies_in_it() {
    let sandbox = Sandbox::keeping();
    for path in ["a/x.safetensors", "a/b/y.safetensors", "c/z.safetensors"] {
        sandbox.write(path, seeded(1));
    }
    sandbox.write("a/notes.txt", "");
    sandbox.mvc_in("a", &["add", "."]).ok();
    let staged = sandbox.git(&["diff", "--cached", "--name-only"]).ok();
    assert_eq!(
        staged.stdout,
        "a/b/y.safetensors.mvc\na/notes.txt\na/x.safetensors.mvc\n"
    );
    sandbox
        .mvc_in("a/b", &["add", "../../c/z.safetensors"])
        .ok();
    assert!(sandbox.has("c/z.safetensors.mvc"));
}

#[test]
fn plain_bytes_on_request() {
    let sandbox = Sandbox::keeping();
    let mut torn = seeded(1);
    torn.truncate(torn.len() - 4);
    sandbox.write("model.safetensors", &torn);
    let before = sandbox.tree();
    sandbox
        .mvc(&["add", "model.safetensors"])
        .fails(Kind::BadInput)
        .stderr_is(snapbox::str![[r#"
error: cannot add model.safetensors
  because: not a well-formed safetensors file
  because: the tensor "fc2.bias" ends 4 bytes after the file does

hint: `mvc add --opaque` tracks it as plain bytes, without its tensors

"#]]);
    let mut after = sandbox.tree();
    after.retain(|path, _| !path.starts_with(".git/mvc"));
    assert!(
        after
            .iter()
            .all(|(path, file)| before.get(path) == Some(file)),
        "a refusal left something"
    );
    sandbox.mvc(&["add", "--opaque", "model.safetensors"]).ok();
    sandbox.mvc(&["commit", "-m", "as it is"]).ok();
    sandbox.remove("model.safetensors");
    sandbox.mvc(&["restore", "model.safetensors"]).ok();
    assert_eq!(sandbox.read("model.safetensors"), torn);
    sandbox.assert_clean();
}

#[test]
fn what_is_not_there_is_said() {
    let sandbox = Sandbox::three();
    sandbox
        .mvc(&["add", "nothing"])
        .fails(Kind::NotFound)
        .says("nothing");
    sandbox.mvc(&["add", "../outside"]).fails(Kind::BadInput);
    sandbox.remove("model.safetensors");
    sandbox
        .mvc(&["add", "model.safetensors"])
        .fails(Kind::NotFound)
        .says("mvc restore model.safetensors");
}
