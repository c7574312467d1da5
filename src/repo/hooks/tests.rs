//! Real git runs the hooks; a small script stands for mvc and writes down what it was called with.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::*;
use crate::base::Fs;
use crate::repo::discover::Repo;
use crate::repo::sandbox::Sandbox;

/// A repository with the line in all hooks, and a program that stands for mvc.
struct Hooked {
    sandbox: Sandbox,
    program: PathBuf,
}

fn script(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("has one")).expect("made");
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("set");
}

impl Hooked {
    fn new() -> Self {
        let sandbox = Sandbox::repository();
        let program = sandbox.path("it's mvc");
        let log = sandbox.path("log");
        let text = format!(
            "#!/bin/sh\ncat >>'{0}.in'\necho \"$*\" >>'{0}'\nexit ${{MVC_TEST_EXIT-0}}\n",
            log.display()
        );
        script(&program, &text);
        Self { sandbox, program }
    }

    fn install(&self) -> Vec<Step> {
        let repo = self.sandbox.open();
        install(&repo, &Fs::new(), &Hook::ALL, Some(&self.program)).expect("installed")
    }

    fn hook(&self, hook: Hook) -> PathBuf {
        self.sandbox.path("tree/.git/hooks").join(hook.name())
    }

    /// What mvc was called with since the last time.
    fn calls(&self) -> Vec<String> {
        let log = self.sandbox.path("log");
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let _ = std::fs::remove_file(&log);
        text.lines()
            .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
            .collect()
    }

    fn calls_of(&self, args: &[&str]) -> Vec<String> {
        self.calls();
        self.sandbox.try_git(args);
        self.calls()
    }
}

fn actions(steps: &[Step]) -> Vec<&Action> {
    steps.iter().map(|step| &step.action).collect()
}

#[test]
fn the_hooks_fire_when_the_design_says() {
    let hooked = Hooked::new();
    let sandbox = &hooked.sandbox;
    for text in ["1", "2", "3"] {
        sandbox.commit("a", text, text);
    }
    let steps = hooked.install();
    assert!(steps.iter().all(|step| step.action == Action::Created));
    let index = "hook post-index-change";
    for quiet in [vec!["status"], vec!["add", "a"], vec!["diff"], vec!["log"]] {
        sandbox.write("a", "3"); // a new stat, so that git refreshes and writes its index
        assert_eq!(hooked.calls_of(&quiet), [""; 0], "{quiet:?}");
    }
    for loud in [
        vec!["reset", "--hard", "HEAD~1"],
        vec!["cherry-pick", "ORIG_HEAD"],
        vec!["revert", "--no-edit", "HEAD"],
    ] {
        assert!(
            hooked.calls_of(&loud).contains(&index.to_owned()),
            "{loud:?}"
        );
    }
    let checkout = hooked.calls_of(&["checkout", "--quiet", "HEAD~1"]);
    assert_eq!(checkout, [index, "hook post-checkout"]);
    sandbox.write("a", "dirty");
    assert!(hooked.calls_of(&["stash"]).contains(&index.to_owned()));
    assert!(
        hooked
            .calls_of(&["stash", "pop"])
            .contains(&index.to_owned())
    );
    assert_eq!(hooked.calls_of(&["restore", "a"]), ["hook post-checkout"]);
    sandbox.write("a", "dirty");
    assert_eq!(
        hooked.calls_of(&["checkout", "--", "a"]),
        ["hook post-checkout"]
    );
    sandbox.write("a", "new");
    sandbox.git(&["add", "a"]);
    assert_eq!(
        hooked.calls_of(&["commit", "--quiet", "-m", "x"]),
        ["hook pre-commit"]
    );
    let amend = hooked.calls_of(&["commit", "--quiet", "--amend", "-m", "y"]);
    assert_eq!(amend, ["hook pre-commit", "hook post-rewrite"]);
}

#[test]
fn merges_and_their_aborts_fire() {
    let hooked = Hooked::new();
    let sandbox = &hooked.sandbox;
    sandbox.commit("a", "1\n", "base");
    sandbox.git(&["checkout", "--quiet", "-b", "side"]);
    sandbox.commit("a", "2\n", "theirs");
    sandbox.git(&["checkout", "--quiet", "main"]);
    hooked.install();
    let index = "hook post-index-change";
    assert_eq!(
        hooked.calls_of(&["merge", "side"]),
        [index, "hook post-merge"]
    );
    sandbox.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    sandbox.commit("a", "3\n", "ours");
    for (begin, abort) in [
        ("merge", "--abort"),
        ("rebase", "--abort"),
        ("cherry-pick", "--abort"),
    ] {
        assert!(
            hooked
                .calls_of(&[begin, "side"])
                .contains(&index.to_owned()),
            "{begin}"
        );
        assert!(sandbox.open().in_progress().is_some(), "{begin}");
        assert_eq!(hooked.calls_of(&[begin, abort]), [index], "{begin}");
    }
}

#[test]
fn guards_hold() {
    let mut hooked = Hooked::new();
    hooked.sandbox.commit("a", "1", "x");
    hooked.install();
    let base = hooked.sandbox.environment.clone();
    for guard in ["MVC_INSIDE", "MVC_SKIP_HOOKS"] {
        hooked.sandbox.environment = base.clone().with(guard, "1");
        assert_eq!(
            hooked.calls_of(&["checkout", "--quiet", "--detach"]),
            [""; 0]
        );
    }
    hooked.sandbox.environment = base.clone();
    assert!(!hooked.calls_of(&["checkout", "--quiet", "main"]).is_empty());
    // mvc's own git calls end at the guard.
    let repo = hooked.sandbox.open();
    let target = crate::repo::Target::New {
        name: "new",
        start: None,
    };
    repo.git()
        .switch(target, false, crate::repo::Talk::Capture)
        .expect("switched");
    assert_eq!(hooked.calls(), [""; 0]);
    // What a relative PATH finds in the work tree is not run; neither is a program that is gone.
    script(
        &hooked.sandbox.path("tree/mvc"),
        "#!/bin/sh\necho planted >> ../log\n",
    );
    let path = base
        .get("PATH")
        .expect("set")
        .to_string_lossy()
        .into_owned();
    hooked.sandbox.environment = base.with("PATH", format!(".:{path}"));
    assert_eq!(
        hooked.calls_of(&["checkout", "--quiet", "main"]),
        ["hook post-index-change", "hook post-checkout"]
    );
    std::fs::remove_file(&hooked.program).expect("removed");
    assert!(hooked.sandbox.try_git(&["checkout", "--quiet", "new"]).0);
    assert_eq!(hooked.calls(), [""; 0]);
}

#[test]
fn a_no_stops_a_commit_and_no_checkout() {
    let mut hooked = Hooked::new();
    hooked.sandbox.commit("a", "1", "x");
    let marker = hooked.sandbox.path("rest ran");
    script(
        &hooked.hook(Hook::PostCheckout),
        &format!("#!/bin/sh\ntouch '{}'\n", marker.display()),
    );
    hooked.install();
    hooked.sandbox.environment = hooked
        .sandbox
        .environment
        .clone()
        .with("MVC_TEST_EXIT", "7");
    let (ok, _, _) = hooked
        .sandbox
        .try_git(&["commit", "--allow-empty", "-m", "y"]);
    assert!(!ok);
    // Git has switched, and the user's own hook ran all the same.
    assert!(
        hooked
            .sandbox
            .try_git(&["checkout", "--quiet", "--detach"])
            .0
    );
    assert!(marker.exists());
    assert!(hooked.sandbox.try_git(&["reset", "--quiet", "--hard"]).0);
}

#[test]
fn hooks_that_are_there_go_on_and_come_back() {
    let hooked = Hooked::new();
    let sandbox = &hooked.sandbox;
    sandbox.commit("a", "1", "x");
    sandbox.git(&["init", "--quiet", "--bare", "../up"]);
    let out = sandbox.path("theirs");
    let existing = [
        (
            Hook::PreCommit,
            format!(
                "#!/bin/sh\nset -eu\necho commit >>'{}'\nexit 0\n",
                out.display()
            ),
        ),
        (
            Hook::PrePush,
            format!("#!/usr/bin/env bash\nexec cat >>'{}'\n", out.display()),
        ),
        (
            Hook::PostCheckout,
            format!("#!/bin/sh -eu\necho \"$3\" >>'{}'", out.display()),
        ),
    ];
    for (hook, text) in &existing {
        script(&hooked.hook(*hook), text);
    }
    let steps = hooked.install();
    assert_eq!(actions(&steps)[..3], [&Action::Added; 3]);
    assert!(
        hooked
            .install()
            .iter()
            .all(|step| step.action == Action::Unchanged)
    );
    let states = |expected| {
        status(&sandbox.open())
            .expect("read")
            .iter()
            .all(|hook| hook.state == expected)
    };
    assert!(states(State::Installed));
    sandbox.git(&["commit", "--quiet", "--allow-empty", "-m", "y"]);
    let head = sandbox.git(&["rev-parse", "HEAD"]);
    sandbox.git(&["push", "--quiet", "../up", "main"]);
    sandbox.git(&["checkout", "--quiet", "-b", "new"]);
    let theirs = std::fs::read_to_string(&out).expect("ran");
    // The list of refs reached the script behind mvc's line.
    assert!(
        theirs.starts_with(&format!("commit\nrefs/heads/main {head} "))
            && theirs.ends_with("\n1\n"),
        "{theirs}"
    );
    assert_eq!(
        hooked.calls(),
        [
            "hook pre-commit",
            "hook pre-push",
            "hook post-index-change",
            "hook post-checkout"
        ]
    );
    assert_eq!(std::fs::read(sandbox.path("log.in")).expect("read"), b"");
    let steps = uninstall(&sandbox.open(), &Fs::new()).expect("uninstalled");
    assert_eq!(actions(&steps)[2..4], [&Action::Removed, &Action::Deleted]);
    for (hook, text) in &existing {
        assert_eq!(
            &std::fs::read_to_string(hooked.hook(*hook)).expect("there"),
            text
        );
        let mode = hooked
            .hook(*hook)
            .metadata()
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o755);
    }
    assert!(!hooked.hook(Hook::PostMerge).exists());
}

#[test]
fn what_cannot_take_the_line_is_named() {
    let hooked = Hooked::new();
    let text = "#!/usr/bin/env python3\nprint()\n";
    script(&hooked.hook(Hook::PreCommit), text);
    std::os::unix::fs::symlink("/etc/hostname", hooked.hook(Hook::PrePush)).expect("linked");
    std::fs::write(hooked.hook(Hook::PostMerge), "#!/bin/sh\nexit 3\n").expect("written");
    std::fs::create_dir(hooked.hook(Hook::PostRewrite)).expect("made");
    let steps = hooked.install();
    let refused: Vec<String> = steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::Refused(obstacle) => Some(format!("{} {obstacle}", step.hook.name())),
            _ => None,
        })
        .collect();
    assert_eq!(
        refused,
        [
            "pre-commit is run by `/usr/bin/env python3`, not by a shell",
            "pre-push is a symbolic link to /etc/hostname",
            "post-merge is not executable, so git does not run it",
            "post-rewrite is not a file",
        ]
    );
    assert_eq!(
        std::fs::read_to_string(hooked.hook(Hook::PreCommit)).expect("there"),
        text
    );
    let plain = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(hooked.hook(Hook::PostCheckout), plain).expect("set");
    let states: Vec<_> = status(&hooked.sandbox.open())
        .expect("read")
        .into_iter()
        .map(|hook| hook.state)
        .collect();
    assert_eq!(states[2], State::NotExecutable);
    assert!(matches!(
        states[0],
        State::NotComposable(Obstacle::Interpreter(_))
    ));
}

#[test]
fn hooks_elsewhere_are_found_or_refused() {
    let hooked = Hooked::new();
    let sandbox = &hooked.sandbox;
    sandbox.commit("a", "1", "x");
    hooked.install();
    // A folder of the work tree, as husky and others set it: relative to its top, and shared with others.
    sandbox.git(&["config", "core.hooksPath", "tools/hooks"]);
    let states: Vec<_> = status(&sandbox.open())
        .expect("read")
        .into_iter()
        .map(|hook| hook.state)
        .collect();
    assert!(
        states.iter().all(|state| *state == State::Silenced),
        "{states:?}"
    );
    hooked.install();
    let shared = sandbox.path("tree/tools/hooks/pre-commit");
    let text = std::fs::read_to_string(&shared).expect("made");
    assert!(
        !text.contains("it's") && !text.contains("it'\\''s"),
        "{text}"
    );
    uninstall(&sandbox.open(), &Fs::new()).expect("uninstalled");
    assert!(!shared.exists() && !hooked.hook(Hook::PreCommit).exists());
    for outside in [
        sandbox.path("global").display().to_string(),
        "/dev/null".into(),
    ] {
        sandbox.git(&["config", "core.hooksPath", &outside]);
        let repo = sandbox.open();
        let refused =
            install(&repo, &Fs::new(), &Hook::ALL, None).expect_err("not this repository's");
        assert_eq!(refused.kind(), Kind::Unsupported, "{refused}");
        assert!(
            status(&repo)
                .expect("read")
                .iter()
                .all(|hook| hook.state == State::Missing)
        );
        uninstall(&repo, &Fs::new()).expect("nothing to do");
    }
}

#[test]
fn linked_work_trees_share_their_hooks() {
    let hooked = Hooked::new();
    hooked.sandbox.commit("a", "1", "x");
    hooked
        .sandbox
        .git(&["worktree", "add", "--quiet", "../side"]);
    let side = Repo::discover_with(&hooked.sandbox.path("side"), &hooked.sandbox.environment)
        .expect("found");
    install(&side, &Fs::new(), &[Hook::PreCommit], Some(&hooked.program)).expect("installed");
    assert!(hooked.hook(Hook::PreCommit).exists());
    assert_eq!(
        status(&hooked.sandbox.open()).expect("read")[0].state,
        State::Installed
    );
}
