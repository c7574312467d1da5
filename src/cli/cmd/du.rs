use crate::cli::render;
use crate::cli::{Context, Exit, Outcome};
use crate::ops::du;

/// Show what versions cost on the disk
///
/// For each version the bytes that it added to the store, beside what its weights files measure; below it the whole
/// store beside all versions kept whole.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  $ mvc du")]
pub(crate) struct Args {
    /// Where to begin; HEAD by default
    revision: Option<String>,
    /// The most versions to list
    #[arg(short = 'n', long = "max-count", value_name = "N")]
    limit: Option<usize>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let ws = context.workspace()?;
    let report = du::run(&ws, args.revision.as_deref(), args.limit)?;
    context.show("du", &report, render::files::usage)?;
    Ok(Exit::Done)
}
