//! The evaluating process: how it is limited, and what becomes of one that dies, hangs or lies.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mvc::base::progress::Silent;
use mvc::base::{Failure, Fs, Kind};
use mvc::ops::Workspace;
use mvc::ops::eval::{self, Options, Report, Worker};
use mvc::repo::Environment;

use crate::support::sandbox::find;
use crate::support::{Sandbox, Weights};

const MODEL: &str = "model.safetensors";

/// A committed network with its claim.
fn claimed() -> Sandbox {
    let sandbox = Sandbox::repo();
    sandbox.mvc(&["init"]).ok();
    sandbox.mvc(&["track", "*.safetensors"]).ok();
    let toml = sandbox.text("mvc.toml");
    let more = "
[model.net]
weights = \"model.safetensors\"
layers = [{ linear = \"fc\" }]

[eval.rows]
task = \"classification\"
data = \"rows.safetensors\"
input = \"x\"
target = \"y\"
";
    sandbox.write("mvc.toml", format!("{toml}{more}"));
    sandbox.write(MODEL, Weights::seeded(1).f32("fc.weight", &[4, 8]).bytes());
    let rows = Weights::seeded(9).f32("x", &[20, 8]).i64("y", &[20], 4);
    sandbox.write("rows.safetensors", rows.bytes());
    sandbox.mvc(&["eval", "--record"]).ok();
    sandbox.git(&["add", "-A"]).ok();
    sandbox.mvc(&["commit", "-m", "v1"]).ok();
    sandbox
}

fn real() -> Worker {
    Worker {
        program: PathBuf::from(env!("CARGO_BIN_EXE_mvc")),
        arguments: vec!["eval-worker".into()],
        memory: None,
        seconds: 60,
    }
}

/// A process that runs this instead.
fn shell(script: &str) -> Worker {
    Worker {
        program: find("sh"),
        arguments: vec!["-c".into(), script.into()],
        ..real()
    }
}

fn measure(sandbox: &Sandbox, revisions: &[&str], worker: Worker) -> mvc::ops::Result<Report> {
    let environment = Environment::from_process();
    let ws = Workspace::open(sandbox.dir(), &environment, Fs::new()).expect("a repository");
    let options = Options {
        revisions: revisions.iter().map(|name| (*name).to_owned()).collect(),
        suite: None,
        record: false,
        worker,
    };
    eval::run(&ws, &options, &Silent)
}

/// The error's kind, and all that it says.
#[track_caller]
fn refused(sandbox: &Sandbox, worker: Worker) -> (Kind, String) {
    let error = measure(sandbox, &["HEAD"], worker).expect_err("no answer");
    let mut said = error.to_string();
    let mut next = std::error::Error::source(&error);
    while let Some(cause) = next {
        said = format!("{said}: {cause}");
        next = cause.source();
    }
    (
        error.kind(),
        format!("{said}; {}", error.hint().unwrap_or_default()),
    )
}

#[test]
fn a_process_that_dies_or_lies_is_no_answer() {
    let sandbox = claimed();
    measure(&sandbox, &["HEAD"], real()).expect("the real one answers");
    let good = "printf 'mvc measured 1\\nrows 20\\nnan 0\\n";
    for (script, said) in [
        ("kill -9 $$", "it ended with signal: 9"),
        (
            "echo first >&2; echo 'out of luck' >&2; exit 3",
            "out of luck",
        ),
        (
            "echo 'out of luck' >&2; echo 'note: run with a backtrace' >&2; echo >&2; exit 3",
            "exit status: 3: out of luck",
        ),
        ("exit 0", "it said nothing"),
        ("echo pass", "it begins with something else"),
        (
            &format!("{good}metric 1.0 \"accuracy\"\\n'"),
            "it ends early",
        ),
        (&format!("{good}end\\nmore\\n'"), "it goes on after its end"),
        (
            &format!("{good}metric NaN \"accuracy\"\\nend\\n'"),
            "a metric",
        ),
        (
            &format!("{good}end\\n'; exit 1"),
            "it ended with exit status: 1",
        ),
        ("printf 'mvc failed 1\\nnonsense'", "does not read"),
        ("printf '\\377\\376'", "it begins with something else"),
        ("while :; do printf '%65536s' x; done", "failed"),
    ] {
        let (kind, text) = refused(&sandbox, shell(script));
        assert!(text.contains(said), "{script}: {text}");
        assert!(
            text.starts_with("cannot evaluate HEAD, suite \"rows\""),
            "{text}"
        );
        assert!(
            kind != Kind::No && kind != Kind::CannotCompare,
            "{script}: {kind:?}"
        );
    }
    let nowhere = Worker {
        program: Path::new("/nowhere/mvc").to_owned(),
        ..real()
    };
    assert!(
        refused(&sandbox, nowhere)
            .1
            .contains("it cannot be started")
    );
    // An answer that claims nothing passes nothing.
    let report = measure(&sandbox, &["HEAD"], shell(&format!("{good}end\\n'"))).expect("read");
    assert_eq!(report.verdict(), mvc::ops::Verdict::CannotCompare);
}

#[test]
fn a_process_that_hangs_is_ended() {
    let sandbox = claimed();
    let start = Instant::now();
    let slow = Worker {
        seconds: 1,
        ..shell("exec sleep 100")
    };
    let (kind, text) = refused(&sandbox, slow);
    assert_eq!(kind, Kind::Unsupported);
    assert!(
        text.contains("took more than 1 second; `mvc eval --time SECONDS`"),
        "{text}"
    );
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_process_that_may_use_too_little_memory_says_what_to_do() {
    let sandbox = claimed();
    // 320 MB of outputs.
    let wide = Weights::seeded(1).f32("fc.weight", &[4000, 8]);
    sandbox.write(MODEL, wide.bytes());
    let rows = Weights::seeded(9)
        .f32("x", &[20_000, 8])
        .i64("y", &[20_000], 4);
    sandbox.write("rows.safetensors", rows.bytes());
    let toml = sandbox.text("mvc.toml");
    sandbox.write("mvc.toml", format!("{toml}batch = 20000\n"));
    sandbox.git(&["add", "-A"]).ok();
    sandbox.mvc(&["commit", "-m", "v2"]).ok();
    let small = Worker {
        memory: Some(256 << 20),
        ..real()
    };
    let (kind, text) = refused(&sandbox, small);
    assert_eq!(kind, Kind::Unsupported, "{text}");
    assert!(
        text.contains("`mvc eval --memory GIB` gives it more"),
        "{text}"
    );
    sandbox.mvc(&["eval", "--memory", "0"]).fails(Kind::Usage);
    sandbox.mvc(&["eval", "--time", "0"]).fails(Kind::Usage);
    sandbox
        .mvc(&["eval", "HEAD~1", "--memory", "4", "--time", "60"])
        .ok();
    let most = u64::MAX.to_string();
    sandbox
        .mvc(&["eval", "HEAD~1", "--memory", &most, "--time", &most])
        .ok();
}

#[test]
fn what_is_swapped_after_the_check_is_not_measured() {
    let sandbox = claimed();
    let mvc = env!("CARGO_BIN_EXE_mvc");
    let other = Weights::seeded(2).f32("fc.weight", &[4, 8]);
    let rows = Weights::seeded(8).f32("x", &[20, 8]).i64("y", &[20], 4);
    let config = sandbox
        .text("mvc.toml")
        .replace("[{ linear", "[\"tanh\", { linear");
    for (file, bytes) in [
        (MODEL, other.bytes()),
        ("rows.safetensors", rows.bytes()),
        ("mvc.toml", config.into_bytes()),
    ] {
        let before = sandbox.read(file);
        sandbox.write("swapped", bytes);
        let worker = shell(&format!("cp swapped {file}; exec '{mvc}' eval-worker"));
        let error = measure(&sandbox, &[], worker).expect_err("swapped");
        assert_eq!(error.kind(), Kind::Changed, "{file}: {error}");
        sandbox.write(file, before);
    }
    let report = measure(&sandbox, &[], real()).expect("as before");
    assert_eq!(report.verdict(), mvc::ops::Verdict::Pass);
}

#[test]
fn data_that_does_not_fit_into_memory_is_the_childs_affair() {
    let sandbox = claimed();
    let file = std::fs::File::create(sandbox.path("rows.safetensors")).expect("ours");
    file.set_len(1 << 30).expect("sparse");
    let mvc = env!("CARGO_BIN_EXE_mvc");
    let done = sandbox
        .command(&find("sh"))
        .args(["-c", &format!("ulimit -v 700000; exec '{mvc}' eval")])
        .output()
        .expect("started");
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(
        done.status.code(),
        Some(Kind::Unsupported.exit_code().into()),
        "{said}"
    );
    assert!(said.contains("the evaluating process failed"), "{said}");
}
