use crate::cli::render::files::{checked_out, incomplete};
use crate::cli::{Context, Outcome};
use crate::ops::{Talk, checkout};

/// Bring another version into the work tree
///
/// Takes branches, tags, commits and anything else that names one, as `HEAD~2`. Weights are written beside their
/// places and verified first, then git moves HEAD, then they get their names: where git or the work tree refuses,
/// nothing has changed. Weights of which objects are missing or damaged stay as they were, are told and marked, and
/// keep nothing else from being checked out. Only files that differ are written. Uncommitted weights are never overwritten without `--force`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  $ mvc checkout v2 && mvc eval")]
pub(crate) struct Args {
    /// The version to go to
    #[arg(required_unless_present = "new_branch")]
    revision: Option<String>,
    /// Make a new branch there, and go onto it
    #[arg(short = 'b', value_name = "NEW")]
    new_branch: Option<String>,
    /// Give up uncommitted changes, in weights too
    #[arg(short, long)]
    force: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let ws = context.workspace()?;
    let options = checkout::Options {
        revision: args.revision.clone(),
        new_branch: args.new_branch.clone(),
        force: args.force,
        talk: Some(if context.ui.is_json() {
            Talk::Capture
        } else {
            Talk::Inherit
        }),
    };
    let report = checkout::run(&ws, &options, &context.progress())?;
    context.show("checkout", &report, checked_out)?;
    incomplete(context, &report.unrestored, &report.left)
}
