use crate::cli::render;
use crate::cli::{Context, Exit, Outcome};
use crate::ops::verify::{self, Scope};

/// Prove that stored weights are what their names say
///
/// Reads every object that a version needs, or with `--all` every pack and every version that a branch, tag or
/// stash reaches. All damage is reported, with the files and tensors it affects. Ends with 1 where anything is
/// damaged or missing.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  $ mvc verify --all")]
pub(crate) struct Args {
    /// The version; HEAD by default
    #[arg(conflicts_with = "all")]
    revision: Option<String>,
    /// Everything in the store, and all versions
    #[arg(long)]
    all: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let ws = context.workspace()?;
    let scope = match args.all {
        true => Scope::All,
        false => Scope::Revision(args.revision.clone().unwrap_or_else(|| "HEAD".into())),
    };
    let report = verify::run(&ws, &scope, &context.progress())?;
    context.show("verify", &report, render::files::verify)?;
    Ok(if report.problems.is_empty() {
        Exit::Done
    } else {
        Exit::No
    })
}
