use crate::cli::render::refs;
use crate::cli::{Context, Exit, Outcome};
use crate::ops::hooks;

/// Install, look at, or remove the git hooks
///
/// With them plain `git checkout`, `switch`, `reset`, `stash` and `pull` bring the right weights. One guarded line
/// is added to each hook; what is there already stays, and `uninstall` removes exactly that line.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  $ mvc hooks install
  $ mvc hooks status")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Add one guarded line to each hook
    #[command(after_long_help = "\
Example:
  $ mvc hooks install")]
    Install,
    /// Look whether each hook calls mvc
    #[command(after_long_help = "\
Example:
  $ mvc hooks status")]
    Status,
    /// Remove exactly what `install` added
    #[command(after_long_help = "\
Example:
  $ mvc hooks uninstall")]
    Uninstall,
}

pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let ws = context.workspace()?;
    let program = std::env::current_exe().ok();
    match args.what {
        What::Status => {
            let report = hooks::status(&ws)?;
            context.show("hooks", &report, |ui, report| {
                refs::hooks(ui, &report.hooks)
            })?;
            return Ok(if refs::all_installed(&report.hooks) {
                Exit::Done
            } else {
                Exit::No
            });
        }
        What::Install => {
            let report = hooks::install(&ws, program.as_deref())?;
            context.show("hooks", &report, |ui, report| {
                refs::hook_steps(ui, &report.steps)
            })?;
        }
        What::Uninstall => {
            let report = hooks::uninstall(&ws)?;
            context.show("hooks", &report, |ui, report| {
                refs::hook_steps(ui, &report.steps)
            })?;
        }
    }
    Ok(Exit::Done)
}
