use crate::cli::render;
use crate::cli::{Context, Exit, Outcome};
use crate::ops::hook;

/// Do what a git hook asks for
///
/// Called by the line that `mvc hooks install` adds to each hook, with the arguments that git gives it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  $ mvc hook post-checkout \"$@\"")]
pub(crate) struct Args {
    /// The hook
    name: String,
    /// What git gave it
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    if context.environment().is_inside_mvc() || context.environment().skips_hooks() {
        return Ok(Exit::Done);
    }
    let done = run_hook(args, context);
    match done {
        // Git has done its work by now: that weights could not follow is said, and is no failure of git's command.
        Err(failed) if hook::comes_after(&args.name) => {
            failed.show(&context.ui);
            Ok(Exit::Done)
        }
        done => done,
    }
}

fn run_hook(args: &Args, context: &Context) -> Outcome {
    let ws = context.workspace()?;
    let report = hook::run(&ws, &args.name, &args.arguments, &context.progress())?;
    // A hook's standard output belongs to git's command.
    render::files::reconciled(&context.ui, &report.reconciled);
    report
        .warnings
        .iter()
        .for_each(|warning| context.ui.warn(warning.as_str()));
    Ok(Exit::Done)
}
