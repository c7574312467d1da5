use crate::cli::render::history;
use crate::cli::{Context, Exit, Outcome};
use crate::ops::log;

/// List versions, newest first
///
/// With the weights that each changed, and with `--metrics` how its metrics moved. `git log` shows the same commits.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  $ mvc log --metrics -n 5")]
pub(crate) struct Args {
    /// Where to begin; HEAD by default
    revision: Option<String>,
    /// The most versions to list
    #[arg(short = 'n', long = "max-count", value_name = "N")]
    limit: Option<usize>,
    /// Show metrics and how they moved against the parent
    #[arg(long)]
    metrics: bool,
    /// One line a version
    #[arg(long)]
    oneline: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let ws = context.workspace()?;
    let options = log::Options {
        revision: args.revision.clone(),
        limit: args.limit,
        metrics: args.metrics,
    };
    let report = log::run(&ws, &options)?;
    context.show("log", &report, |ui, report| {
        if report.versions.is_empty() {
            ui.note("no versions yet");
        }
        match args.oneline {
            true => report
                .versions
                .iter()
                .for_each(|version| history::one_line(ui, version)),
            false => history::versions(ui, report),
        }
    })?;
    Ok(Exit::Done)
}
