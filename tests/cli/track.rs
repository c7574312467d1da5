use mvc::base::Kind;

use crate::support::{Sandbox, seeded};

fn initialised() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.mvc(&["init", "--no-hooks"]).ok();
    sandbox
}

#[test]
fn patterns_and_paths() {
    let sandbox = initialised();
    sandbox.write("a.safetensors", seeded(1));
    sandbox.write("odd [1].bin", "weights");
    sandbox.write("odd 1.bin", "not weights");
    sandbox
        .mvc(&["track", "*.safetensors", "odd [1].bin"])
        .ok()
        .stdout_is(snapbox::str![[r#"
tracking *.safetensors
tracking /odd /[1/].bin

"#]])
        .stderr_is(snapbox::str![[r#"
2 weights files in the work tree; `mvc commit` records them

"#]]);
    sandbox.mvc(&["track"]).ok().stdout_is(snapbox::str![[r#"
*.safetensors
/odd /[1/].bin
  a.safetensors
  odd [1].bin

"#]]);
    sandbox
        .mvc(&["track", "*.safetensors"])
        .ok()
        .prints("tracked already");
    sandbox.mvc(&["commit", "-m", "first"]).ok();
    let files = sandbox.git(&["ls-files", "-z"]).ok().stdout;
    assert!(
        files.contains("odd [1].bin.mvc") && !files.contains("odd 1.bin"),
        "{files}"
    );
    sandbox.git(&["check-ignore", "odd [1].bin"]).ok();
    sandbox.git(&["check-ignore", "odd 1.bin"]).code(1);
}

#[test]
fn a_pattern_of_a_subfolder_speaks_of_that_subfolder() {
    let sandbox = initialised();
    for path in ["x.pth", "sub/x.pth", "sub/deep/x.pth"] {
        sandbox.write(path, path);
    }
    sandbox.mvc_in("sub", &["track", "*.pth"]).ok();
    sandbox.mvc(&["commit", "-m", "first"]).ok();
    let files = sandbox.git(&["ls-files", "*.mvc"]).ok();
    assert_eq!(files.stdout, "sub/deep/x.pth.mvc\nsub/x.pth.mvc\n");
    sandbox
        .mvc_in("sub", &["track", "../x.pth"])
        .ok()
        .prints("/x.pth");
}

#[test]
fn a_pattern_that_names_a_folder_picks_what_lies_in_it() {
    let sandbox = initialised();
    sandbox.mvc(&["track", "ckpt/"]).ok();
    sandbox.write("ckpt/a.safetensors", seeded(1));
    sandbox.write("ckpt/deep/b.safetensors", seeded(2));
    sandbox.mvc(&["add", "ckpt/a.safetensors"]).ok();
    let staged = sandbox.git(&["diff", "--cached", "--name-only"]).ok();
    assert_eq!(staged.stdout, "ckpt/a.safetensors.mvc\n");
    sandbox.mvc(&["commit", "-m", "first"]).ok();
    let files = sandbox.git(&["ls-files", "ckpt"]).ok();
    assert_eq!(
        files.stdout,
        "ckpt/a.safetensors.mvc\nckpt/deep/b.safetensors.mvc\n"
    );
    sandbox.mvc(&["status", "--exit-code"]).ok();
}

#[test]
fn braces_are_letters() {
    let sandbox = initialised();
    sandbox.write("a.pt", "weights");
    for typed in ["*.{pt,pth}", "!x/*.{pt,pth}"] {
        sandbox
            .mvc(&["track", typed])
            .fails(Kind::Usage)
            .says("one pattern per extension");
    }
    sandbox.remove("a.pt");
    let odd = "{b,c} [1].pt";
    sandbox.write(odd, "more weights");
    sandbox.mvc(&["track", odd]).ok();
    sandbox.mvc(&["commit", "-m", "first"]).ok();
    sandbox.git(&["check-ignore", odd]).ok();
    let files = sandbox.git(&["ls-files", "-z", "*.mvc"]).ok().stdout;
    assert_eq!(files, format!("{odd}.mvc\0"));
    sandbox.mvc(&["status", "--exit-code"]).ok();
    // Of an editor: both read it alike, so that no file is ignored and not versioned.
    sandbox.write("mvc.toml", "mvc = 1\ntrack = ['*.{pt,pth}']\n");
    sandbox.write("a.{pt,pth}", "odder weights");
    let listed = sandbox.mvc(&["track"]).ok().stdout;
    assert_eq!(listed, "*.{pt,pth}\n  a.{pt,pth}\n");
}

#[test]
fn weights_in_an_ignored_folder_never_go_to_git() {
    for (pattern, found) in [("out/*.safetensors", true), ("*.safetensors", false)] {
        let sandbox = initialised();
        sandbox.write(".gitignore", "out/\n");
        sandbox.write("out/a.safetensors", seeded(1));
        sandbox.mvc(&["track", pattern]).ok();
        let listed = sandbox.mvc(&["track"]).ok().stdout;
        assert_eq!(listed.contains("out/a.safetensors"), found, "{listed}");
        // Where no walk looks for them, they are weights all the same.
        sandbox.mvc(&["add", "out/a.safetensors"]).ok();
        let staged = sandbox.git(&["diff", "--cached", "--name-only"]).ok();
        assert_eq!(staged.stdout, "out/a.safetensors.mvc\n");
        sandbox.mvc(&["commit", "-m", "first"]).ok();
        sandbox.mvc(&["status", "--exit-code"]).ok();
    }
}

#[test]
fn what_cannot_be_a_pattern_is_refused() {
    let sandbox = initialised();
    let before = sandbox.tree();
    std::fs::create_dir(sandbox.path("folder")).expect("made");
    sandbox
        .mvc(&["track", "folder"])
        .fails(Kind::Usage)
        .says("folder/*.safetensors");
    sandbox.mvc(&["track", ""]).fails(Kind::Usage);
    sandbox.mvc(&["track", "[z"]).says("error: ");
    sandbox
        .mvc(&["track", "../outside.pth"])
        .says("outside of the work tree");
    assert!(sandbox.tree() == before);
}

#[test]
fn what_git_tracks_is_refused_and_taken_over_on_request() {
    let sandbox = initialised();
    sandbox.write("model.safetensors", seeded(1));
    sandbox.git(&["add", "."]).ok();
    sandbox
        .git(&["commit", "--quiet", "-m", "weights in git"])
        .ok();
    let before = sandbox.tree();
    sandbox
        .mvc(&["track", "*.safetensors"])
        .fails(Kind::WouldOverwrite)
        .stderr_is(snapbox::str![[r#"
error: git already tracks model.safetensors

hint: `mvc track --move '*.safetensors'` takes them over from now on, in one staged change

"#]]);
    assert!(sandbox.tree() == before, "a refusal changed something");
    sandbox
        .mvc(&["track", "--move", "*.safetensors"])
        .ok()
        .stdout_is(snapbox::str![[r#"
tracking *.safetensors
model.safetensors moved from git to mvc, staged

"#]]);
    let staged = sandbox
        .git(&["diff", "--cached", "--name-status", "--no-renames"])
        .ok();
    assert_eq!(
        staged.stdout,
        "M\t.gitignore\nD\tmodel.safetensors\nA\tmodel.safetensors.mvc\nM\tmvc.toml\n"
    );
    let unstaged = sandbox.git(&["diff", "--name-status"]).ok();
    assert_eq!(unstaged.stdout, "", "one staged change, all of it");
    sandbox.git(&["commit", "--quiet", "-m", "moved"]).ok();
    sandbox.assert_seed("model.safetensors", 1);
    assert_eq!(sandbox.git(&["status", "--porcelain"]).ok().stdout, "");
    sandbox.mvc(&["status", "--exit-code"]).ok();
    // Back to when git had the weights, and forth again.
    sandbox.write("model.safetensors", seeded(2));
    sandbox.mvc(&["commit", "-m", "second"]).ok();
    sandbox.mvc(&["checkout", "HEAD~2"]).ok();
    sandbox.assert_seed("model.safetensors", 1);
    assert_eq!(sandbox.git(&["status", "--porcelain"]).ok().stdout, "");
    sandbox.mvc(&["checkout", "main"]).ok();
    sandbox.assert_seed("model.safetensors", 2);
    sandbox.mvc(&["status", "--exit-code"]).ok();
}

#[test]
fn what_git_lfs_tracks_is_refused_by_its_name() {
    let sandbox = initialised();
    sandbox.write(
        ".gitattributes",
        "*.safetensors filter=lfs diff=lfs merge=lfs -text\n",
    );
    sandbox.write("new.safetensors", seeded(1));
    sandbox
        .mvc(&["track", "*.safetensors"])
        .fails(Kind::WouldOverwrite)
        .says("git-lfs already tracks new.safetensors");
    sandbox.mvc(&["track", "--move", "*.safetensors"]).ok();
    sandbox.mvc(&["commit", "-m", "first"]).ok();

    let sandbox = initialised();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    sandbox.write("model.safetensors", pointer);
    sandbox.git(&["add", "."]).ok();
    sandbox
        .mvc(&["track", "--move", "*.safetensors"])
        .fails(Kind::BadInput)
        .says("git lfs pull");
    assert_eq!(sandbox.text("model.safetensors"), pointer);
}

#[test]
fn data_of_a_suite_is_no_model() {
    let sandbox = initialised();
    sandbox.write(
        "mvc.toml",
        "mvc = 1\ntrack = []\n[eval.e]\ntask = 'regression'\ndata = 'eval.safetensors'\ninput = 'x'\ntarget = 'y'\n",
    );
    sandbox.write("eval.safetensors", seeded(9));
    sandbox.write("model.safetensors", seeded(1));
    sandbox
        .mvc(&["track", "*.safetensors"])
        .ok()
        .says("1 weights file ");
    sandbox.mvc(&["commit", "-m", "first"]).ok();
    let files = sandbox.git(&["ls-files"]).ok().stdout;
    assert!(files.contains("model.safetensors.mvc\n"), "{files}");
    assert!(!files.contains("eval.safetensors.mvc"), "{files}");
    assert!(
        files.contains("eval.safetensors\n"),
        "small data goes along: {files}"
    );
    sandbox.mvc(&["add", "eval.safetensors"]).ok();
    assert!(!sandbox.has("eval.safetensors.mvc"));
    sandbox.mvc(&["status", "--exit-code"]).ok();
}

#[test]
fn a_large_plain_file_draws_a_warning_with_the_command() {
    let sandbox = initialised();
    sandbox.mvc(&["commit", "-m", "first"]).ok();
    sandbox.write("big.ckpt", vec![0; (10 << 20) + 1]);
    sandbox.mvc(&["status"]).ok().says("mvc track big.ckpt");
    sandbox
        .mvc(&["add", "big.ckpt"])
        .ok()
        .says("mvc track big.ckpt");
    sandbox
        .mvc(&["commit", "-m", "big"])
        .ok()
        .says("mvc track big.ckpt");
}

#[test]
fn untrack_keeps_the_bytes() {
    let sandbox = Sandbox::three();
    sandbox
        .mvc(&["untrack", "*.pth"])
        .fails(Kind::NotFound)
        .says("*.safetensors");
    sandbox
        .mvc(&["untrack", "*.safetensors"])
        .ok()
        .stdout_is(snapbox::str![[r#"
no longer tracking *.safetensors
model.safetensors is an ordinary file now; its sidecar's removal is staged

"#]]);
    sandbox.assert_seed("model.safetensors", 3);
    assert!(!sandbox.has("model.safetensors.mvc"));
    let status = sandbox.git(&["status", "--porcelain"]).ok().stdout;
    assert!(status.contains("D  model.safetensors.mvc"), "{status}");
    assert!(status.contains("?? model.safetensors"), "{status}");
    sandbox.mvc(&["status"]).ok();
    sandbox.assert_seed("model.safetensors", 3);
    sandbox.mvc(&["commit", "-m", "untracked"]).ok();
    // The weights that nobody tracks are in the way of a version that has others.
    sandbox
        .mvc(&["checkout", "v1"])
        .fails(Kind::WouldOverwrite)
        .says("model.safetensors");
    sandbox.assert_seed("model.safetensors", 3);
    sandbox.mvc(&["checkout", "v3"]).ok();
    sandbox.mvc(&["checkout", "v1"]).ok();
    sandbox.assert_seed("model.safetensors", 1);
}

#[test]
fn untrack_one_of_two() {
    let sandbox = initialised();
    sandbox.mvc(&["track", "*.pth", "*.safetensors"]).ok();
    sandbox.write("a.pth", "a");
    sandbox.write("b.safetensors", seeded(1));
    sandbox.mvc(&["commit", "-m", "first"]).ok();
    sandbox.mvc(&["untrack", "*.pth"]).ok().prints("a.pth");
    sandbox.mvc(&["commit", "-m", "second"]).ok();
    assert!(sandbox.has("a.pth") && sandbox.has("b.safetensors.mvc"));
    sandbox.mvc(&["checkout", "HEAD~1"]).ok();
    sandbox.mvc(&["checkout", "main"]).ok();
    assert!(sandbox.has("b.safetensors"));
}

#[test]
fn files_git_has_under_a_pattern_are_not_taken_twice() {
    let sandbox = initialised();
    sandbox.write("model.safetensors", seeded(1));
    sandbox.git(&["add", "."]).ok();
    sandbox
        .git(&["commit", "--quiet", "-m", "weights in git"])
        .ok();
    // An editor, not `mvc track`.
    sandbox.write("mvc.toml", "mvc = 1\ntrack = ['*.safetensors']\n");
    sandbox.mvc(&["commit", "-m", "next"]).ok();
    assert!(!sandbox.has("model.safetensors.mvc"), "git tracks it");
    // Nor does git get more of them.
    sandbox.write("model.safetensors", seeded(2));
    for typed in ["model.safetensors", "."] {
        sandbox
            .mvc(&["add", typed])
            .fails(Kind::WouldOverwrite)
            .says("mvc track --move 'model.safetensors'");
    }
    let staged = sandbox.git(&["diff", "--cached", "--name-only"]).ok();
    assert_eq!(staged.stdout, "");
    sandbox.mvc(&["track", "--move", "model.safetensors"]).ok();
    sandbox.write("other/.git/HEAD", "");
    sandbox.write("other/model.safetensors", seeded(3));
    sandbox
        .mvc(&["add", "other/model.safetensors"])
        .fails(Kind::BadInput)
        .says("another repository");
}
