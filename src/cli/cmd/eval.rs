use crate::cli::render;
use crate::cli::{Context, Exit, Outcome};
use crate::ops::eval::{self, Worker};
use crate::ops::{Error, Verdict};

/// Measure a model again, and compare with what was claimed
///
/// Runs the suites of `mvc.toml` on the work tree, or on versions straight from the store, and compares with the
/// claim that the version carries. Ends with 0 for a pass, 1 for a failure, 3 where nothing can be compared (no
/// claim, other data, other weights). Weights that differ from their sidecar are named before anything is computed.
/// `--record` writes what is measured into `mvc.evals.toml`; commit it with the weights it speaks of.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  $ mvc eval --record && mvc commit -m 'epoch 3' && mvc tag v3
  $ mvc eval v1 v3

In mvc.toml:
  [model.cnn]
  weights = \"model.safetensors\"
  layers = [{ conv2d = \"conv1\", padding = 1 }, \"relu\", { max_pool2d = 2 }, \"flatten\", { linear = \"fc1\" }]

  [eval.digits]
  task = \"classification\"
  data = \"eval.safetensors\"
  input = \"inputs\"
  target = \"labels\"
  tolerance = { cross_entropy = 1e-4 }")]
pub(crate) struct Args {
    /// Versions to measure; the work tree by default
    #[arg(value_name = "REV")]
    revisions: Vec<String>,
    /// One suite; all by default
    #[arg(short, long)]
    suite: Option<String>,
    /// Record what is measured as the work tree's claim
    #[arg(long)]
    record: bool,
    /// Seconds that one measurement may take
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u64).range(1..))]
    time: u64,
    /// GiB of address space that one measurement may use; as many as the machine has memory by default
    #[arg(long, value_name = "GIB", value_parser = clap::value_parser!(u64).range(1..))]
    memory: Option<u64>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let ws = context.workspace()?;
    let program = std::env::current_exe()
        .map_err(|e| crate::base::fs::FsError::new("find the program", context.dir(), e))
        .map_err(Error::from)?;
    let worker = Worker {
        program,
        arguments: vec!["eval-worker".into()],
        memory: args.memory.map(|gib| gib.saturating_mul(1 << 30)),
        seconds: args.time,
    };
    let options = eval::Options {
        revisions: args.revisions.clone(),
        suite: args.suite.clone(),
        record: args.record,
        worker,
    };
    let report = eval::run(&ws, &options, &context.progress())?;
    context.show("eval", &report, render::eval::report)?;
    Ok(match report.verdict() {
        Verdict::Pass => Exit::Done,
        Verdict::Fail => Exit::No,
        Verdict::CannotCompare => Exit::CannotCompare,
    })
}
