//! Plain git commands in a repository with mvc's hooks: which weights lie in the work tree afterwards.
//!
//! Each row runs twice. Clean: the weights of the version that git went to are there. Dirty: not a byte of the
//! weights changes, one line says so, and `mvc commit` refuses until it is decided what becomes of them.

use mvc::base::Kind;

use crate::support::sandbox::find;
use crate::support::{Output, Sandbox, Weights};

const MODEL: &str = "model.safetensors";
const HEAD: &str = "head.safetensors";

/// What is in the work tree after a row.
#[derive(Clone, Copy, Debug)]
struct After {
    /// The name of the version of the model; `None` where there is none.
    model: Option<&'static str>,
    /// Whether the head is there, which only the branch `side` has.
    head: bool,
}

const fn model(name: &'static str) -> After {
    After {
        model: Some(name),
        head: false,
    }
}

struct Row {
    /// Run first, with clean weights; `mvc` and `git` command lines.
    first: &'static [&'static str],
    /// The git commands that are tested. Those that start with `!` end with a code other than 0.
    git: &'static [&'static str],
    after: After,
    /// False where the sidecar is at the end what it was at the start, so that dirty weights are nothing to speak of.
    moves: bool,
}

const fn row(first: &'static [&'static str], git: &'static [&'static str], after: After) -> Row {
    Row {
        first,
        git,
        after,
        moves: true,
    }
}

/// The same where the sidecar stays or comes back.
const fn stays(first: &'static [&'static str], git: &'static [&'static str], after: After) -> Row {
    Row {
        moves: false,
        ..row(first, git, after)
    }
}

const BOTH: After = After {
    model: Some("v3"),
    head: true,
};

/// Every row starts on `main` at `v3`, with clean weights.
const ROWS: &[Row] = &[
    row(&[], &["git checkout v1"], model("v1")),
    row(
        &[],
        &["git checkout -q side"],
        After {
            model: Some("v2"),
            head: true,
        },
    ),
    row(&["git checkout side"], &["git checkout main"], model("v3")),
    row(&[], &["git switch --detach v2"], model("v2")),
    row(&[], &["git switch -c new v1"], model("v1")),
    stays(&[], &["git switch -c new"], model("v3")),
    stays(&[], &["git checkout v1", "git checkout main"], model("v3")),
    stays(
        &[],
        &["git status", "git diff", "git log", "git add mvc.toml"],
        model("v3"),
    ),
    row(
        &[],
        &["git checkout v1 -- model.safetensors.mvc"],
        model("v1"),
    ),
    row(
        &["git checkout v1 -- model.safetensors.mvc", "git reset -q"],
        &["git checkout -- model.safetensors.mvc"],
        model("v3"),
    ),
    row(
        &[],
        &["git restore --source v1 model.safetensors.mvc"],
        model("v1"),
    ),
    row(
        &[],
        &["git restore --source v1 --staged --worktree ."],
        model("v1"),
    ),
    row(&[], &["git reset --hard v1"], model("v1")),
    row(&[], &["git reset --keep v1"], model("v1")),
    row(
        &["git reset --hard v1"],
        &["git reset --hard ORIG_HEAD"],
        model("v3"),
    ),
    stays(&[], &["git reset v1"], model("v3")),
    stays(&[], &["git reset --soft v1"], model("v3")),
    row(
        &["train 4", "mvc add model.safetensors"],
        &["git stash"],
        model("v3"),
    ),
    row(
        &["train 4", "mvc add model.safetensors", "git stash"],
        &["git stash pop"],
        model("4"),
    ),
    stays(
        &["train 4", "mvc add model.safetensors"],
        &["git stash", "git stash pop"],
        model("4"),
    ),
    row(&["git checkout v2"], &["git cherry-pick v3"], model("v3")),
    row(&[], &["git revert --no-edit HEAD"], model("v2")),
    row(
        &["git checkout clash"],
        &["! git cherry-pick v3", "git cherry-pick --abort"],
        model("clash"),
    )
    .quiet(),
    row(
        &["git checkout -B topic v1"],
        &["git merge v3"],
        model("v3"),
    ),
    row(&["git checkout side"], &["git merge --no-edit main"], BOTH),
    row(
        &["git checkout side"],
        &["git merge --no-commit main"],
        BOTH,
    ),
    stays(
        &["git checkout clash"],
        &["! git merge main", "git merge --abort"],
        model("clash"),
    ),
    row(
        &["git checkout clash"],
        &[
            "! git merge main",
            "git checkout --theirs model.safetensors.mvc",
        ],
        model("v3"),
    ),
    row(
        &[
            "git init -q --bare ../up",
            "git remote add up ../up",
            "git push -q up main",
            "git reset --hard v1",
        ],
        &["git pull -q up main"],
        model("v3"),
    ),
    row(&["git checkout side"], &["git rebase main"], BOTH),
    row(&["git checkout side"], &["git rebase --apply main"], BOTH),
    row(
        &["git checkout -B topic v1"],
        &["git rebase main"],
        model("v3"),
    ),
    row(
        &["git checkout -B topic v1"],
        &["git rebase --apply main"],
        model("v3"),
    ),
    stays(
        &["git checkout clash"],
        &["! git rebase main", "git rebase --abort"],
        model("clash"),
    ),
    stays(
        &["git checkout clash"],
        &["! git rebase --apply main", "git rebase --abort"],
        model("clash"),
    ),
    row(
        &["git checkout clash"],
        &["! git rebase main", "git rebase --skip"],
        model("v3"),
    ),
    row(&[], &["git bisect start v3 v1"], model("v2")),
    stays(
        &[],
        &["git bisect start v3 v1", "git bisect reset"],
        model("v3"),
    ),
    row(
        &["git format-patch -q -2 v3 -o ../patches", "git checkout v1"],
        &["git am -q ../patches/0001-v2.patch ../patches/0002-v3.patch"],
        model("v3"),
    ),
    stays(
        &[
            "git format-patch -q -1 v3 -o ../patches",
            "git checkout clash",
        ],
        &["! git am -q ../patches/0001-v3.patch", "git am --abort"],
        model("clash"),
    ),
    row(&[], &["git read-tree -u -m v1"], model("v1")),
    row(
        &[],
        &["git checkout plain"],
        After {
            model: None,
            head: false,
        },
    ),
    stays(
        &[],
        &["git checkout plain", "git checkout main"],
        model("v3"),
    ),
];

impl Row {
    const fn quiet(self) -> Self {
        Row {
            moves: false,
            ..self
        }
    }
}

fn weights(name: &str) -> Vec<u8> {
    let seed = name.bytes().map(u64::from).sum();
    let model = if name == "head" {
        Weights::seeded(seed).f32("head.weight", &[4, 10])
    } else {
        Weights::small(seed)
    };
    model.bytes()
}

/// `v1`, `v2` and `v3` on main; `side` is `v2` and a head; `clash` is `v1` and another model; `plain` knows no mvc.
fn history() -> Sandbox {
    let s = Sandbox::new();
    s.mvc(&["init"]).ok();
    s.mvc(&["track", "*.safetensors"]).ok();
    let version = |file: &str, name: &str| {
        s.write(file, weights(name));
        s.mvc(&["commit", "-q", "-m", name]).ok();
        s.git(&["tag", name]).ok();
    };
    version(MODEL, "v1");
    version(MODEL, "v2");
    s.mvc(&["checkout", "-q", "-b", "side"]).ok();
    version(HEAD, "head");
    s.mvc(&["checkout", "-q", "-b", "clash", "v1"]).ok();
    version(MODEL, "clashing");
    s.git(&["branch", "--force", "main", "v2"]).ok();
    s.mvc(&["checkout", "-q", "main"]).ok();
    version(MODEL, "v3");
    let empty = s
        .git(&["hash-object", "-w", "-t", "tree", "/dev/null"])
        .ok();
    let plain = s.git(&["commit-tree", empty.line(), "-m", "plain"]).ok();
    s.git(&["branch", "plain", plain.line()]).ok();
    s
}

/// A copy of a repository, as a backup would bring it back: every file has another inode, so no stamp proves
/// anything until its weights have been read again.
fn copy(of: &Sandbox) -> Sandbox {
    let s = Sandbox::new();
    let folder = of.path(".");
    let args = ["-a", folder.to_str().expect("UTF-8"), "."];
    let done = s.command(&find("cp")).args(args).status().expect("runs");
    assert!(done.success());
    // Some git commands trust their own index no less blindly.
    s.git(&["update-index", "-q", "--refresh"]).ok();
    s
}

/// Runs a line of a row.
fn run(s: &Sandbox, line: &str) -> Output {
    let (fails, line) = match line.strip_prefix("! ") {
        Some(line) => (true, line),
        None => (false, line),
    };
    let words: Vec<&str> = line.split(' ').collect();
    let output = match words.as_slice() {
        ["git", args @ ..] => s.git(args),
        ["mvc", args @ ..] => s.mvc(args),
        ["train", name] => {
            s.write(MODEL, weights(name));
            return s.git(&["--version"]);
        }
        _ => panic!("{line}"),
    };
    assert_eq!(
        output.code != 0,
        fails,
        "{line}\n{}{}",
        output.stdout,
        output.stderr
    );
    output
}

fn bytes_of(name: &str) -> Vec<u8> {
    weights(if name == "clash" { "clashing" } else { name })
}

#[track_caller]
fn assert_after(s: &Sandbox, title: &str, after: After) {
    assert_eq!(s.has(MODEL), after.model.is_some(), "{title}: the model");
    if let Some(name) = after.model {
        assert!(s.read(MODEL) == bytes_of(name), "{title}: not {name}");
    }
    assert_eq!(s.has(HEAD), after.head, "{title}: the head");
    if after.head {
        assert!(s.read(HEAD) == weights("head"), "{title}: another head");
    }
}

/// The weights that status calls modified or deleted, or in conflict with something pending, and what that is.
fn changed(s: &Sandbox) -> Vec<(String, Option<String>)> {
    let status = s.mvc(&["status", "--json"]).ok().json();
    let entries = status["changed"].as_array().cloned().unwrap_or_default();
    entries
        .iter()
        .filter(|entry| entry["change"] != "unstaged")
        .filter(|entry| entry["change"] != "conflict" || entry["pending"].is_string())
        .map(|entry| {
            let text = |key: &str| entry[key].as_str().map(ToOwned::to_owned);
            (text("path").unwrap_or_default(), text("pending"))
        })
        .collect()
}

#[test]
fn clean_weights_follow_git() {
    let history = history();
    for row in ROWS {
        let s = copy(&history);
        row.first.iter().for_each(|line| drop(run(&s, line)));
        let mut said = String::new();
        for line in row.git {
            let output = run(&s, line);
            assert!(
                !output.stdout.contains("mvc: "),
                "{line}: a hook's words belong on stderr\n{}",
                output.stdout
            );
            let written = output.stderr.matches("model.safetensors brought").count();
            assert!(written <= 1, "{line}: done twice\n{}", output.stderr);
            said += &output.stderr;
        }
        let title = format!("{:?} {:?}\n{said}", row.first, row.git);
        assert_after(&s, &title, row.after);
        assert_eq!(changed(&s), [], "{title}");
        assert_after(&s, &title, row.after);
        assert!(!said.contains("left alone"), "{title}");
        s.assert_git_is_whole();
    }
}

#[test]
fn dirty_weights_are_never_touched() {
    let dirty = Weights::small(99).bytes();
    let history = history();
    for row in ROWS {
        let s = copy(&history);
        row.first.iter().for_each(|line| drop(run(&s, line)));
        s.write(MODEL, &dirty);
        let mut said = String::new();
        for line in row.git {
            said += &run(&s, line).stderr;
        }
        let title = format!("{:?} {:?}\n{said}", row.first, row.git);
        assert!(s.read(MODEL) == dirty, "{title}");
        let pending = changed(&s);
        assert_eq!(pending.len(), 1, "{title}{pending:?}");
        assert_eq!(pending[0].0, MODEL, "{title}");
        assert_eq!(pending[0].1.is_some(), row.moves, "{title}{pending:?}");
        assert!(s.read(MODEL) == dirty, "{title}");
        if !row.moves {
            continue;
        }
        let lines = said.matches("left alone").count();
        assert_eq!(lines, 1, "{title}");
        let unmerged = s.git(&["ls-files", "--unmerged"]).ok();
        if !unmerged.stdout.is_empty() {
            continue;
        }
        s.mvc(&["commit", "-a", "-m", "x"])
            .fails(Kind::WouldOverwrite)
            .says("undecided");
        assert!(s.read(MODEL) == dirty, "{title}");
        match row.after.model {
            Some(name) => {
                s.git(&["add", "model.safetensors.mvc"]).ok();
                s.mvc(&["restore", MODEL]).ok();
                assert!(s.read(MODEL) == bytes_of(name), "{title}");
            }
            None => s.remove(MODEL),
        }
        assert_eq!(changed(&s), [], "{title}");
    }
}
