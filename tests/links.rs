//! Links that a clone brings, in place of the plain files that mvc reads.

use std::os::unix::fs::symlink;

use mvc::base::Kind;

use crate::support::Sandbox;

#[test]
fn links_show_no_file_from_outside() {
    let sandbox = Sandbox::three();
    let outside = sandbox.dir().with_file_name("tmp").join("outside");
    std::fs::create_dir(&outside).expect("ours");
    let secret = outside.join("secret.json");
    std::fs::write(&secret, "{\"secret\": 4711}").expect("ours");
    let refused = |command: &[&str]| {
        let done = sandbox.mvc(command).fails(Kind::BadInput);
        assert!(
            done.stderr.contains("is a symbolic link"),
            "{}",
            done.stderr
        );
        assert!(!done.stdout.contains("4711"), "{}", done.stdout);
    };
    symlink(&secret, sandbox.path("metrics.json")).expect("ours");
    refused(&["metrics", "show"]);
    refused(&["commit", "-m", "x", "--metric", "a=1"]);
    assert!(sandbox.path("metrics.json").is_symlink());
    sandbox.remove("metrics.json");
    // The same one folder further up.
    let config = sandbox.text("mvc.toml");
    sandbox.write(
        "mvc.toml",
        format!("{config}\n[metrics.m]\nfile = 'way/secret.json'\n"),
    );
    symlink(&outside, sandbox.path("way")).expect("ours");
    refused(&["metrics", "show"]);
    sandbox.remove("way");
    sandbox.write("mvc.toml", &config);
    symlink(&secret, sandbox.path("mvc.evals.toml")).expect("ours");
    refused(&["metrics", "show"]);
    sandbox.remove("mvc.evals.toml");
    // A pipe has nothing to read and nobody who writes.
    for name in ["mvc.toml", "metrics.json"] {
        let _ = std::fs::remove_file(sandbox.path(name));
        let pipe = std::process::Command::new("mkfifo")
            .arg(sandbox.path(name))
            .status();
        assert!(pipe.is_ok_and(|status| status.success()));
        sandbox
            .mvc(&["metrics", "show"])
            .fails(Kind::BadInput)
            .says("not a regular file");
        sandbox.remove(name);
        sandbox.write("mvc.toml", &config);
    }
    symlink(&secret, sandbox.path("mvc.toml.new")).expect("ours");
    std::fs::rename(sandbox.path("mvc.toml.new"), sandbox.path("mvc.toml")).expect("ours");
    refused(&["status"]);
    refused(&["track", "*.pth"]);
}
