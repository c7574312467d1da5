use mvc::base::Kind;

use crate::support::{Sandbox, seeded};

#[test]
fn a_file_comes_back() {
    let sandbox = Sandbox::three();
    sandbox.write("model.safetensors", seeded(9));
    sandbox.mvc(&["status"]).ok().stdout_is(snapbox::str![[r#"
on branch main
changed, not staged (`mvc commit` records them, `mvc restore` gives them up)
  modified: model.safetensors

"#]]);
    sandbox
        .mvc(&["restore", "model.safetensors"])
        .ok()
        .stdout_is(snapbox::str![[r#"
  wrote model.safetensors

"#]]);
    sandbox.assert_seed("model.safetensors", 3);
    sandbox.assert_clean();
    sandbox.remove("model.safetensors");
    sandbox.mvc(&["status"]).ok().stdout_is(snapbox::str![[r#"
on branch main
changed, not staged (`mvc commit` records them, `mvc restore` gives them up)
  deleted: model.safetensors  (`mvc commit -a` records that, `mvc restore` brings it back)

"#]]);
    sandbox.mvc(&["restore", "model.safetensors.mvc"]).ok();
    sandbox.assert_seed("model.safetensors", 3);
    sandbox.mvc(&["restore", "."]).ok().says("nothing differed");
}

#[test]
fn a_file_of_another_version() {
    let sandbox = Sandbox::three();
    sandbox
        .mvc(&["restore", "--source", "v1", "model.safetensors"])
        .ok();
    sandbox.assert_seed("model.safetensors", 1);
    sandbox.mvc(&["status"]).ok().prints("model.safetensors");
    assert_eq!(
        sandbox.git(&["branch", "--show-current"]).ok().line(),
        "main"
    );
    assert_eq!(
        sandbox.git(&["status", "--porcelain"]).ok().stdout,
        " M model.safetensors.mvc\n"
    );
    sandbox.mvc(&["commit", "-m", "back to the first"]).ok();
    sandbox.assert_clean();
    assert_eq!(
        sandbox.rev("HEAD:model.safetensors.mvc"),
        sandbox.rev("v1:model.safetensors.mvc")
    );
}

#[test]
fn folders_plain_files_and_what_is_not_there() {
    let sandbox = Sandbox::keeping();
    sandbox.write("a/x.safetensors", seeded(1));
    sandbox.write("a/y.safetensors", seeded(2));
    sandbox.write("code.py", "1");
    sandbox.mvc(&["add", "."]).ok();
    sandbox.mvc(&["commit", "-m", "first"]).ok();
    sandbox.write("a/x.safetensors", seeded(3));
    sandbox.remove("a/y.safetensors");
    sandbox.write("code.py", "2");
    sandbox.mvc_in("a", &["restore", "x.safetensors"]).ok();
    sandbox.assert_seed("a/x.safetensors", 1);
    sandbox
        .mvc(&["restore", "a"])
        .ok()
        .prints("a/y.safetensors");
    sandbox.mvc(&["restore", "code.py"]).ok().prints("code.py");
    assert_eq!(sandbox.text("code.py"), "1");
    sandbox.assert_clean();
    sandbox.mvc(&["restore", "nothing"]).fails(Kind::NotFound);
    sandbox
        .mvc(&["restore", "-s", "v9", "a"])
        .fails(Kind::NotFound);
    sandbox.write("a/x.safetensors", seeded(3));
    sandbox.write("code.py", "2");
    sandbox.mvc(&["restore", "."]).ok();
    assert_eq!(sandbox.text("code.py"), "1");
    sandbox.assert_seed("a/x.safetensors", 1);
    sandbox.write("a/x.safetensors", seeded(3));
    sandbox.mvc_in("a", &["restore", "."]).ok();
    sandbox.assert_seed("a/x.safetensors", 1);
}
