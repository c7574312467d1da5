use crate::cli::render;
use crate::cli::{Context, Exit, Outcome};
use crate::ops::metrics;

/// Show the metrics of a version, or how they moved
///
/// Metrics are numbers in JSON or TOML files of git: `metrics.json`, or what `[metrics.NAME]` in `mvc.toml` says.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  $ mvc metrics diff v1 v2")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Show the metrics of a version
    #[command(after_long_help = "\
Example:
  $ mvc metrics show v1")]
    Show {
        /// The version; the work tree by default
        revision: Option<String>,
    },
    /// Show how metrics moved between two versions
    #[command(after_long_help = "\
Example:
  $ mvc metrics diff v1 v2")]
    Diff {
        /// The version before; HEAD by default
        a: Option<String>,
        /// The version after; the work tree by default
        b: Option<String>,
    },
}

pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let ws = context.workspace()?;
    let report = match &args.what {
        None => metrics::show(&ws, None)?,
        Some(What::Show { revision }) => metrics::show(&ws, revision.as_deref())?,
        Some(What::Diff { a, b }) => metrics::diff(&ws, a.as_deref(), b.as_deref())?,
    };
    context.show("metrics", &report, |ui, report| {
        match report.metrics.is_empty() {
            true => ui.note(
                "no metrics: write them into metrics.json, or `mvc commit --metric NAME=NUMBER`",
            ),
            false => ui.table(&render::history::metrics(
                &report.metrics,
                report.from.is_some(),
            )),
        }
    })?;
    Ok(Exit::Done)
}
