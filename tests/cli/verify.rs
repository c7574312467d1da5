use mvc::base::Kind;

use crate::support::Sandbox;

#[test]
fn a_whole_store_is_said_to_be_whole() {
    let sandbox = Sandbox::three();
    sandbox.mvc(&["verify"]).ok().stdout_is(snapbox::str![[r#"
good  9 objects in 1 version, 12.6 KiB proved

"#]]);
    sandbox
        .mvc(&["verify", "--all"])
        .ok()
        .stdout_is(snapbox::str![[r#"
good  25 objects in 3 versions, 36.6 KiB proved

"#]]);
    sandbox.mvc(&["verify", "v9"]).fails(Kind::NotFound);
    Sandbox::repo().mvc(&["verify", "--all"]).ok();
}

#[test]
fn missing_objects_are_listed_with_what_needs_them() {
    let sandbox = Sandbox::three();
    for pack in sandbox.packs() {
        std::fs::remove_file(pack).expect("there");
    }
    sandbox
        .mvc(&["verify"])
        .fails(Kind::No)
        .prints("model.safetensors");
    sandbox
        .mvc(&["verify", "--all"])
        .fails(Kind::No)
        .prints("model.safetensors");
    sandbox
        .mvc(&["checkout", "--force", "v1"])
        .fails(Kind::Missing);
    // The weights in the work tree are all there is now: adding them stores them again.
    let sandbox = Sandbox::three();
    for pack in sandbox.packs() {
        std::fs::remove_file(pack).expect("there");
    }
    sandbox.mvc(&["add", "model.safetensors"]).ok();
    sandbox.mvc(&["verify"]).ok();
    sandbox.assert_seed("model.safetensors", 3);
}
