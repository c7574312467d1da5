//! What is needed is what real git says is still there.

use std::time::{Duration, SystemTime};

use mvc::base::Kind;

use crate::support::{Output, Sandbox, Weights, seeded};

/// The work folder's neighbour of that name.
fn beside(sandbox: &Sandbox, name: &str) -> String {
    let path = sandbox.dir().with_file_name(name);
    path.to_str().expect("UTF-8").to_owned()
}

/// Versions v1 to v3 on `main`, and the commit of a version of seed 4, to which only its branch `side` leads.
fn with_side() -> (Sandbox, String) {
    let sandbox = Sandbox::three();
    sandbox.git(&["switch", "--quiet", "-c", "side"]).ok();
    sandbox.write("model.safetensors", seeded(4));
    sandbox.mvc(&["commit", "-m", "fourth"]).ok();
    let commit = sandbox.rev("HEAD");
    sandbox.mvc(&["checkout", "main"]).ok();
    (sandbox, commit)
}

/// The same, and nothing leads to that commit.
fn with_lost() -> (Sandbox, String) {
    let (sandbox, commit) = with_side();
    sandbox.git(&["branch", "--quiet", "-D", "side"]).ok();
    sandbox.forget();
    (sandbox, commit)
}

fn prune(sandbox: &Sandbox) -> Output {
    sandbox.mvc(&["gc", "--prune", "--grace", "0"])
}

/// Whether gc without any grace time leaves the version what it was.
#[track_caller]
fn assert_kept(sandbox: &Sandbox, commit: &str) {
    prune(sandbox).ok().prints("nothing went into the trash");
    sandbox.mvc(&["verify", commit]).ok();
    sandbox.mvc(&["verify", "--all"]).ok();
}

#[track_caller]
fn assert_goes(sandbox: &Sandbox, commit: &str) {
    prune(sandbox).ok().prints("put 1 pack");
    sandbox.mvc(&["verify", commit]).fails(Kind::No);
    sandbox.mvc(&["verify", "--all"]).ok();
    sandbox.assert_git_is_whole();
}

/// Makes every pack so much older than it is.
fn age(sandbox: &Sandbox, by: Duration) {
    for path in sandbox.packs() {
        let file = std::fs::File::open(path).expect("there");
        file.set_modified(SystemTime::now() - by).expect("set");
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn it_says_what_would_go_and_does_it_when_told_to() {
    let (sandbox, commit) = with_lost();
    age(&sandbox, 3 * DAY);
    let before = sandbox.tree();
    let said = sandbox.mvc(&["gc", "--grace", "1d"]).ok();
    said.stdout_is(snapbox::str![[r#"
pack             age      size  objects  unneeded
[HASH]  3 days  12.9 KiB        8         8  goes

weights of commits that nothing leads to:
  [HASH] fourth  model.safetensors.mvc (8 objects, 12.0 KiB)

12.9 KiB of 51.9 KiB can be freed; nothing was done yet: `mvc gc --prune` puts it into the trash
needed are 25 objects (36.6 KiB raw) of 3 sidecars in 3 commits

"#]]);
    assert_eq!(sandbox.tree(), before, "nothing was done");
    sandbox
        .mvc(&["gc", "--prune", "--grace", "1d"])
        .ok()
        .stdout_is(snapbox::str![[r#"
pack             age      size  objects  unneeded
[HASH]  3 days  12.9 KiB        8         8  went

put 1 pack (12.9 KiB) into the trash
needed are 25 objects (36.6 KiB raw) of 3 sidecars in 3 commits
the trash holds 1 pack (12.9 KiB); `mvc gc --restore-trash` brings it back, and `mvc gc --prune` removes what has lain there for 1 day

"#]]);
    sandbox.mvc(&["verify", &commit]).fails(Kind::No);
    sandbox
        .mvc(&["gc", "--restore-trash"])
        .ok()
        .prints("brought 1 pack");
    sandbox
        .mvc(&["gc", "--restore-trash"])
        .ok()
        .prints("the trash is empty");
    sandbox.mvc(&["verify", &commit]).ok();
    sandbox.mvc(&["branch", "again", &commit]).ok();
    sandbox.mvc(&["checkout", "again"]).ok();
    sandbox.assert_seed("model.safetensors", 4);
    assert_kept(&sandbox, &commit);
    sandbox.assert_clean();
}

#[test]
fn it_needs_a_repository_and_no_store() {
    Sandbox::new().mvc(&["gc"]).fails(Kind::NotARepository);
    let sandbox = Sandbox::repo();
    sandbox.mvc(&["gc"]).ok().prints("nothing is to be freed");
    sandbox.mvc(&["gc", "--prune"]).ok();
    sandbox.mvc(&["gc", "--restore-trash"]).ok();
    assert!(!sandbox.has(".git/mvc"));
    sandbox
        .mvc(&["gc", "--grace", "soon"])
        .fails(Kind::Usage)
        .says("no value for");
    sandbox
        .mvc(&["gc", "--prune", "--restore-trash"])
        .fails(Kind::Usage);
}

#[test]
fn what_is_young_stays_for_two_weeks_and_then_lies_in_the_trash_for_two_more() {
    let (sandbox, commit) = with_lost();
    sandbox.mvc(&["gc", "--prune"]).ok().prints("nothing went");
    sandbox.mvc(&["gc"]).ok().prints("younger than 2 weeks");
    age(&sandbox, 15 * DAY);
    sandbox.mvc(&["gc", "--prune"]).ok().prints("put 1 pack");
    sandbox.mvc(&["gc", "--prune"]).ok().prints_no("for good");
    let trash = sandbox.path(".git/mvc/trash");
    let bin = std::fs::read_dir(&trash)
        .expect("there")
        .next()
        .expect("one");
    let bin = bin.expect("listed").path();
    let time: u64 = bin
        .file_name()
        .and_then(|n| n.to_str()?.parse().ok())
        .expect("seconds");
    let older = time - 15 * DAY.as_secs();
    std::fs::rename(&bin, trash.join(older.to_string())).expect("renamed");
    sandbox
        .mvc(&["gc", "--prune"])
        .ok()
        .prints("removed 1 pack")
        .prints("for good");
    sandbox
        .mvc(&["gc", "--restore-trash"])
        .ok()
        .prints("is empty");
    sandbox.mvc(&["verify", &commit]).fails(Kind::No);
    sandbox.assert_clean();
}

#[test]
fn a_version_that_was_reset_stays_for_as_long_as_a_reflog_names_it() {
    let sandbox = Sandbox::three();
    sandbox.write("model.safetensors", seeded(4));
    sandbox.mvc(&["commit", "-m", "fourth"]).ok();
    let commit = sandbox.rev("HEAD");
    sandbox.git(&["reset", "--quiet", "--hard", "HEAD~1"]).ok();
    sandbox.mvc(&["restore", "."]).ok();
    let _ = std::fs::remove_file(sandbox.path(".git/ORIG_HEAD"));
    assert_kept(&sandbox, &commit);
    sandbox.forget();
    assert_goes(&sandbox, &commit);
    // Named again, it comes back by itself.
    sandbox.git(&["branch", "again", &commit]).ok();
    sandbox.mvc(&["gc"]).ok().says("8 in the trash");
    prune(&sandbox).ok().prints("brought 1 pack");
    assert_kept(&sandbox, &commit);
}

#[test]
fn tags_remotes_and_any_other_ref_keep_a_version() {
    let (sandbox, commit) = with_lost();
    for name in [
        "refs/tags/kept",
        "refs/remotes/origin/x",
        "refs/mvc/x",
        "refs/notes/x",
    ] {
        sandbox.git(&["update-ref", name, &commit]).ok();
        assert_kept(&sandbox, &commit);
        sandbox.git(&["pack-refs", "--all"]).ok();
        assert_kept(&sandbox, &commit);
        sandbox.git(&["update-ref", "-d", name]).ok();
    }
    sandbox.forget();
    assert_goes(&sandbox, &commit);
}

#[test]
fn a_stash_keeps_a_version() {
    let (sandbox, commit) = with_lost();
    sandbox
        .git(&["checkout", &commit, "--", "model.safetensors.mvc"])
        .ok();
    sandbox.git(&["stash", "--quiet"]).ok();
    for name in ["HEAD", "main"] {
        sandbox
            .git(&[
                "reflog",
                "expire",
                "--expire=all",
                "--expire-unreachable=all",
                name,
            ])
            .ok();
    }
    assert_kept(&sandbox, &commit);
    sandbox.git(&["stash", "drop", "--quiet"]).ok();
    sandbox.forget();
    assert_goes(&sandbox, &commit);
}

#[test]
fn another_work_tree_keeps_what_its_head_its_index_or_its_files_name() {
    let (sandbox, commit) = with_lost();
    let other = beside(&sandbox, "other");
    sandbox
        .git(&["worktree", "add", "--quiet", "--detach", &other, &commit])
        .ok();
    let in_other = |args: &[&str]| sandbox.git_in(&other, args).ok();
    let private = sandbox.path(".git/worktrees/other");
    let forget = || {
        sandbox.forget();
        let _ = std::fs::remove_file(private.join("ORIG_HEAD"));
        let _ = std::fs::remove_dir_all(private.join("logs"));
        let _ = std::fs::remove_dir_all(private.join("mvc"));
    };
    forget();
    assert_kept(&sandbox, &commit);
    // The index alone: staged, and another sidecar lies there.
    in_other(&["reset", "--quiet", "--soft", "main"]);
    let sidecar = std::path::Path::new(&other).join("model.safetensors.mvc");
    let text = std::fs::read(&sidecar).expect("there");
    std::fs::write(&sidecar, sandbox.read("model.safetensors.mvc")).expect("written");
    forget();
    assert_kept(&sandbox, &commit);
    // The work tree alone: a file that git does not know of, in a folder that it ignores.
    in_other(&["reset", "--quiet", "--hard", "main"]);
    std::fs::create_dir(sidecar.with_file_name("ignored")).expect("made");
    std::fs::write(sidecar.with_file_name(".gitignore"), "ignored/\n").expect("written");
    std::fs::write(sidecar.with_file_name("ignored").join("x.mvc"), &text).expect("written");
    forget();
    assert_kept(&sandbox, &commit);
    std::fs::rename(&other, beside(&sandbox, "away")).expect("moved");
    prune(&sandbox)
        .fails(Kind::Missing)
        .says("cannot tell what is needed")
        .says("git worktree prune");
    std::fs::rename(beside(&sandbox, "away"), &other).expect("moved");
    std::fs::remove_dir_all(sidecar.with_file_name("ignored")).expect("removed");
    assert_goes(&sandbox, &commit);
}

#[test]
fn a_merge_that_stopped_keeps_what_it_merges() {
    let (sandbox, commit) = with_side();
    sandbox.version(5);
    sandbox.git(&["merge", "--quiet", "side"]).code(1);
    sandbox.git(&["branch", "--quiet", "-D", "side"]).ok();
    // Resolved, so that the index has only one side, and MERGE_HEAD alone leads to the other.
    sandbox
        .git(&["checkout", "--ours", "model.safetensors.mvc"])
        .ok();
    sandbox.git(&["add", "model.safetensors.mvc"]).ok();
    for name in ["AUTO_MERGE", "ORIG_HEAD"] {
        let _ = std::fs::remove_file(sandbox.path(".git").join(name));
    }
    sandbox.forget();
    prune(&sandbox).ok().prints("nothing went into the trash");
    sandbox.mvc(&["verify", &commit]).ok();
    std::fs::remove_file(sandbox.path(".git/MERGE_HEAD")).expect("there");
    // Git remembers both sides of what was resolved until the next commit; mvc has no need to.
    assert_goes(&sandbox, &commit);
}

/// A model without a tensor of the other one's names: files that share names are written to packs of their own.
fn other() -> Vec<u8> {
    Weights::seeded(5).f32("head.weight", &[40, 60]).bytes()
}

#[test]
fn of_a_pack_with_two_versions_the_one_that_is_needed_is_written_anew() {
    let sandbox = Sandbox::three();
    sandbox.git(&["switch", "--quiet", "-c", "side"]).ok();
    sandbox.write("model.safetensors", seeded(4));
    sandbox.write("other.safetensors", other());
    sandbox.mvc(&["commit", "-m", "two files"]).ok();
    let commit = sandbox.rev("HEAD");
    sandbox.git(&["switch", "--quiet", "main"]).ok();
    sandbox.mvc(&["restore", "."]).ok();
    // Known already, and so not stored again.
    sandbox.write("other.safetensors", other());
    sandbox.mvc(&["commit", "-m", "one of them"]).ok();
    sandbox.git(&["branch", "--quiet", "-D", "side"]).ok();
    sandbox.forget();
    let packs = sandbox.packs().len();
    prune(&sandbox)
        .ok()
        .prints("wrote 1 pack")
        .prints("put 1 pack");
    assert_eq!(sandbox.packs().len(), packs);
    sandbox.mvc(&["verify", &commit]).fails(Kind::No);
    sandbox.mvc(&["gc", "--restore-trash"]).ok();
    sandbox.mvc(&["verify", &commit]).ok();
    prune(&sandbox).ok().prints("put 1 pack");
    sandbox.assert_whole();
}

#[test]
fn a_sidecar_of_a_newer_mvc_ends_it_and_one_that_nobody_can_read_keeps_what_it_names() {
    let (sandbox, commit) = with_lost();
    let text = sandbox
        .git(&["show", &format!("{commit}:model.safetensors.mvc")])
        .ok()
        .stdout;
    sandbox.write("broken.safetensors.mvc", text.replace('\n', "\r\n"));
    sandbox.git(&["add", "-f", "broken.safetensors.mvc"]).ok();
    sandbox
        .git(&["commit", "--quiet", "--no-verify", "-m", "line ends"])
        .ok();
    prune(&sandbox)
        .ok()
        .prints("nothing went into the trash")
        .says("broken.safetensors.mvc");
    sandbox.mvc(&["verify", &commit]).ok();
    sandbox.git(&["reset", "--quiet", "--hard", "HEAD~1"]).ok();
    sandbox.write("newer.safetensors.mvc", "mvc 2 safetensors\n");
    sandbox.git(&["add", "-f", "newer.safetensors.mvc"]).ok();
    sandbox
        .git(&["commit", "--quiet", "--no-verify", "-m", "from the future"])
        .ok();
    sandbox
        .git(&["rm", "--quiet", "newer.safetensors.mvc"])
        .ok();
    for arguments in [&["gc"][..], &["gc", "--prune"]] {
        sandbox
            .mvc(arguments)
            .fails(Kind::Unsupported)
            .says("newer.safetensors.mvc")
            .says(&sandbox.rev("HEAD"));
    }
    sandbox.git(&["reset", "--quiet", "--hard", "HEAD~1"]).ok();
    sandbox.forget();
    assert_goes(&sandbox, &commit);
}

#[test]
fn clones_that_lack_history_or_sidecars_are_refused() {
    let sandbox = Sandbox::three();
    sandbox
        .git(&["config", "uploadpack.allowFilter", "true"])
        .ok();
    let url = format!("file://{}", sandbox.dir().display());
    for (option, hint) in [
        ("--depth=1", "--unshallow"),
        ("--filter=blob:none", "--refetch"),
    ] {
        let clone = beside(&sandbox, option.trim_start_matches('-'));
        sandbox
            .git(&["clone", "--quiet", option, &url, &clone])
            .ok();
        let store = std::path::Path::new(&clone).join(".git/mvc/packs");
        std::fs::create_dir_all(&store).expect("made");
        for pack in sandbox.packs() {
            let name = pack.file_name().expect("a name");
            std::fs::copy(&pack, store.join(name)).expect("copied");
        }
        for arguments in [&["gc"][..], &["gc", "--prune", "--grace", "0"]] {
            sandbox
                .mvc_in(&clone, arguments)
                .fails(Kind::Missing)
                .says(hint);
        }
        assert_eq!(std::fs::read_dir(&store).expect("there").count(), 6);
    }
}

#[test]
fn processes_that_commit_beside_it_lose_nothing() {
    const WORKERS: usize = 3;
    const ROUNDS: usize = 5;
    let sandbox = Sandbox::three();
    let mvc = std::path::Path::new(env!("CARGO_BIN_EXE_mvc"));
    let git = crate::support::sandbox::find("git");
    let mut work = Vec::new();
    for worker in 0..WORKERS {
        let folder = beside(&sandbox, &format!("worker-{worker}"));
        let branch = format!("worker-{worker}");
        sandbox
            .git(&["worktree", "add", "--quiet", "-b", &branch, &folder])
            .ok();
        sandbox.mvc_in(&folder, &["restore", "."]).ok();
        let command = |program: &std::path::Path, args: &[&str]| {
            let mut command = sandbox.command(program);
            command.args(args).current_dir(&folder);
            command
        };
        let rounds: Vec<_> = (0..ROUNDS)
            .map(|round| {
                // The same few weights again and again: they are in the store, and nothing needs them.
                let seed = 10 + ((worker + round) % 3) as u64;
                let path = std::path::Path::new(&folder).join("model.safetensors");
                let commit = command(mvc, &["commit", "-m", "round"]);
                let verify = command(mvc, &["verify", "HEAD"]);
                let mut last = vec![
                    command(&git, &["reset", "--quiet", "--hard", "HEAD~1"]),
                    command(mvc, &["restore", "."]),
                    command(
                        &git,
                        &[
                            "reflog",
                            "expire",
                            "--expire=all",
                            "--expire-unreachable=all",
                            "HEAD",
                            &branch,
                        ],
                    ),
                    command(&git, &["update-ref", "-d", "ORIG_HEAD"]),
                ];
                if round + 1 == ROUNDS {
                    last.clear();
                }
                (
                    path,
                    seed,
                    [commit, verify].into_iter().chain(last).collect::<Vec<_>>(),
                )
            })
            .collect();
        work.push(rounds);
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = work
            .into_iter()
            .map(|rounds| {
                scope.spawn(move || {
                    for (path, seed, commands) in rounds {
                        std::fs::write(&path, seeded(seed)).expect("written");
                        for mut command in commands {
                            let done = command.output().expect("run");
                            let said = String::from_utf8_lossy(&done.stderr).into_owned();
                            assert!(done.status.success(), "{command:?}: {said}");
                        }
                    }
                })
            })
            .collect();
        while threads.iter().any(|thread| !thread.is_finished()) {
            prune(&sandbox).ok();
        }
        let ended: Vec<_> = threads
            .into_iter()
            .map(|thread| thread.join().is_ok())
            .collect();
        assert_eq!(ended, [true; WORKERS]);
    });
    prune(&sandbox).ok();
    sandbox.assert_whole();
}
