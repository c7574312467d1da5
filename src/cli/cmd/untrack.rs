use crate::cli::{Context, Exit, Outcome};
use crate::ops::{add, track};

/// Take patterns out of mvc.toml
///
/// Weights that no pattern matches any more lose their sidecar and keep their bytes; git sees them as ordinary
/// files from then on. Versions that are committed keep them.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  $ mvc untrack '*.pth'")]
pub(crate) struct Args {
    /// Patterns as `mvc track` lists them, or paths of files
    #[arg(required = true)]
    patterns: Vec<String>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let ws = context.workspace()?;
    let report = track::untrack(&ws, &args.patterns)?;
    context.show("untrack", &report, |ui, report| {
        report
            .changed
            .iter()
            .for_each(|pattern| ui.print(format!("no longer tracking {pattern}")));
        for path in &report.files {
            ui.print(format!(
                "{path} is an ordinary file now; its sidecar's removal is staged"
            ));
            if add::is_large(&ws, path) {
                ui.warn(format!(
                    "{path} is over 10 MiB; a plain `git add` would put all of it into git"
                ));
            }
        }
    })?;
    Ok(Exit::Done)
}
