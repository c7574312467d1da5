use crate::cli::render;
use crate::cli::{Context, Exit, Outcome};
use crate::ops::status;

/// Show what differs from the last commit
///
/// Weights that are staged, changed, missing or new, and other files as git sees them. Files are read only where
/// their size, times or inode changed.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  $ mvc status")]
pub(crate) struct Args {
    /// End with exit code 1 where anything differs
    #[arg(long)]
    exit_code: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let ws = context.workspace()?;
    let report = status::run(&ws, &context.progress())?;
    context.show("status", &report, render::status::status)?;
    Ok(if args.exit_code && !report.is_clean() {
        Exit::No
    } else {
        Exit::Done
    })
}
