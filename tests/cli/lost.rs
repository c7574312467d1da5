//! Weights whose objects the store has lost, and weights that only look as if they could be had again: what lies in the
//! work tree is then all there is, and nothing takes it away.

use mvc::base::Kind;

use crate::support::{Sandbox, Weights, seeded};

/// The store loses everything.
fn lose_packs(sandbox: &Sandbox) {
    for pack in sandbox.packs() {
        std::fs::remove_file(pack).expect("ours");
    }
}

/// A branch without any weights, made from an empty tree.
fn empty_branch(sandbox: &Sandbox) {
    let tree = sandbox.git(&["hash-object", "-t", "tree", "-w", "/dev/null"]);
    let commit = sandbox.git(&["commit-tree", "-m", "empty", tree.ok().line()]);
    sandbox.git(&["branch", "empty", commit.ok().line()]).ok();
}

#[test]
fn the_only_copy_is_never_replaced() {
    let sandbox = Sandbox::three();
    empty_branch(&sandbox);
    lose_packs(&sandbox);
    let before = sandbox.files();
    sandbox
        .mvc(&["checkout", "v1"])
        .fails(Kind::WouldOverwrite)
        .stderr_is(snapbox::str![[r#"
error: the store has lost what these weights hold, and no other copy is known: model.safetensors

hint: `mvc add model.safetensors` stores them again; remove them where they are not wanted any more

"#]]);
    sandbox
        .mvc(&["checkout", "empty"])
        .fails(Kind::WouldOverwrite);
    sandbox
        .mvc(&["restore", "--source", "v1", "model.safetensors"])
        .fails(Kind::WouldOverwrite);
    assert!(sandbox.files() == before);
    sandbox.mvc(&["add", "model.safetensors"]).ok();
    sandbox
        .mvc(&["checkout", "empty"])
        .ok()
        .prints("removed model.safetensors");
    sandbox.mvc(&["checkout", "main"]).ok();
    sandbox.assert_seed("model.safetensors", 3);
}

#[test]
fn good_bytes_heal_a_damaged_store() {
    let damaged = || {
        let sandbox = Sandbox::keeping();
        sandbox.write("model.safetensors", seeded(1));
        sandbox.mvc(&["commit", "-m", "first"]).ok();
        let pack = &sandbox.packs()[0];
        let mut bytes = std::fs::read(pack).expect("there");
        bytes[100] ^= 1;
        std::fs::write(pack, bytes).expect("ours");
        sandbox.mvc(&["verify"]).fails(Kind::No);
        sandbox
    };
    let sandbox = damaged();
    // The same tensors under another name depend on no damage.
    sandbox.write("copy.safetensors", seeded(1));
    sandbox.mvc(&["commit", "-m", "copy"]).ok();
    sandbox.remove("copy.safetensors");
    sandbox.mvc(&["restore", "copy.safetensors"]).ok();
    sandbox.assert_seed("copy.safetensors", 1);
    sandbox.mvc(&["verify"]).ok();
    let sandbox = damaged();
    // The file itself, though its stamp says that it is unchanged.
    sandbox.mvc(&["add", "model.safetensors"]).ok();
    sandbox.mvc(&["verify"]).ok();
}

#[test]
fn a_list_of_tensors_that_is_lost_proves_nothing() {
    let sandbox = Sandbox::new();
    sandbox.mvc(&["init"]).ok();
    sandbox.mvc(&["track", "*.safetensors"]).ok();
    let many = (0..20_001).fold(Weights::seeded(1), |weights, number| {
        weights.f32(&format!("t{number}"), &[1])
    });
    sandbox.write("m.safetensors", many.bytes());
    sandbox.mvc(&["commit", "-m", "many"]).ok();
    assert!(
        sandbox.text("m.safetensors.mvc").lines().count() < 4,
        "the list is in the store"
    );
    empty_branch(&sandbox);
    lose_packs(&sandbox);
    sandbox
        .git(&["switch", "-q", "empty"])
        .ok()
        .says("m.safetensors holds uncommitted changes and was left alone");
    assert!(sandbox.read("m.safetensors") == many.bytes());
}

#[test]
fn nothing_behind_a_link_is_removed() {
    let sandbox = Sandbox::keeping();
    sandbox.write("a/m.safetensors", seeded(1));
    sandbox.mvc(&["commit", "-m", "first"]).ok();
    empty_branch(&sandbox);
    let outside = sandbox.dir().with_file_name("outside");
    std::fs::rename(sandbox.path("a"), &outside).expect("ours");
    std::os::unix::fs::symlink(&outside, sandbox.path("a")).expect("linked");
    sandbox
        .mvc(&["status"])
        .ok()
        .prints("deleted: a/m.safetensors");
    sandbox.mvc(&["checkout", "--force", "empty"]);
    sandbox.mvc(&["status"]).ok();
    assert!(std::fs::read(outside.join("m.safetensors")).expect("there") == seeded(1));
}

#[test]
fn what_never_was_here_is_not_deleted_by_anybody() {
    let sandbox = Sandbox::three();
    sandbox.git(&["clone", "-q", ".", "clone"]).ok();
    sandbox.write("clone/readme", "x");
    sandbox.git_in("clone", &["add", "readme"]).ok();
    sandbox
        .mvc_in("clone", &["commit", "-a", "-m", "readme"])
        .ok()
        .says("model.safetensors");
    let files = sandbox.git_in("clone", &["ls-files"]).ok();
    files.prints("model.safetensors.mvc");
}

#[test]
fn added_and_never_committed_stays() {
    let sandbox = Sandbox::three();
    // Git carries what is staged to another version, and so do we.
    sandbox.write("new.safetensors", seeded(5));
    sandbox.mvc(&["add", "new.safetensors"]).ok();
    sandbox.mvc(&["checkout", "v1"]).ok().prints_no("removed");
    sandbox.assert_seed("new.safetensors", 5);
    sandbox.mvc(&["checkout", "main"]).ok();
    // Its sidecar is gone from git and from the disk, and no version ever had it.
    sandbox.git(&["reset", "-q"]).ok();
    sandbox.git(&["clean", "-qf"]).ok();
    assert!(!sandbox.has("new.safetensors.mvc"));
    sandbox.mvc(&["status"]).ok().prints_no("removed");
    sandbox.assert_seed("new.safetensors", 5);
    sandbox.mvc(&["add", "new.safetensors"]).ok();
    sandbox.mvc(&["commit", "-m", "new"]).ok();
    sandbox.assert_clean();
}

#[test]
fn a_file_that_is_no_sidecar_is_not_made_one() {
    let sandbox = Sandbox::keeping();
    sandbox.write("model.safetensors", seeded(1));
    sandbox.write("model.safetensors.mvc", "notes of mine\n");
    sandbox
        .mvc(&["commit", "-m", "first"])
        .fails(Kind::WouldOverwrite)
        .says("model.safetensors.mvc is in the way");
    assert_eq!(sandbox.text("model.safetensors.mvc"), "notes of mine\n");
}

#[test]
fn what_killed_processes_left_is_cleared() {
    let sandbox = Sandbox::three();
    let name = std::fs::read_dir(sandbox.path(".git/mvc/tmp")).map_or(0, Iterator::count);
    assert_eq!(name, 0);
    // A name as this machine makes them, of a process that is gone.
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("linux");
    let mixed = machine
        .trim()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    let left = format!(".mvc-tmp-{:08x}-4194305-0-0", mixed as u32);
    sandbox.write(&left, "half a model");
    sandbox.mvc(&["checkout", "v1"]).ok();
    assert!(!sandbox.has(&left));
}
