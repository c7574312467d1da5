use crate::cli::render::files::{incomplete, outcome, reconciled};
use crate::cli::{Context, Outcome};
use crate::ops::restore;

/// Bring single files back, giving up their uncommitted changes
///
/// Weights as the index has them, or as another version does; HEAD stays where it is. Other files are restored by
/// git.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  $ mvc restore --source v1 model.safetensors")]
pub(crate) struct Args {
    /// Files or folders
    #[arg(required = true)]
    paths: Vec<String>,
    /// The version to take them from
    #[arg(short, long, value_name = "REV")]
    source: Option<String>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let ws = context.workspace()?;
    let options = restore::Options {
        paths: args.paths.clone(),
        source: args.source.clone(),
    };
    let report = restore::run(&ws, &options, &context.progress())?;
    context.show("restore", &report, |ui, report| {
        reconciled(ui, &report.reconciled);
        outcome(ui, &report.written, &[], report.bytes);
        let sidecars = report.sidecars.iter().filter(|_| report.written.is_empty());
        report
            .plain
            .iter()
            .chain(sidecars)
            .for_each(|path| ui.print(format!("  restored {path}")));
        let nothing = report.written.is_empty()
            && report.plain.is_empty()
            && report.sidecars.is_empty()
            && report.unrestored.is_empty();
        if nothing && report.reconciled.written.is_empty() {
            ui.note("nothing differed");
        }
    })?;
    incomplete(context, &report.unrestored, &report.left)
}
