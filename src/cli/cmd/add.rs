use crate::cli::render::files::reconciled;
use crate::cli::render::status::added;
use crate::cli::{Context, Exit, Outcome};
use crate::ops::{add, hook};

/// Store weights and stage their sidecars
///
/// For those who go on with plain `git commit` or an editor; `mvc commit` does this by itself. Files that hold no
/// weights are handed to `git add`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  $ mvc add model.safetensors && git commit -m 'longer training'")]
pub(crate) struct Args {
    /// Files, or folders with everything in them
    #[arg(required = true)]
    paths: Vec<String>,
    /// Track weights as plain bytes, whatever they look like
    #[arg(long)]
    opaque: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let ws = context.workspace()?;
    let report = add::run(
        &ws,
        &args.paths,
        &add::Options {
            opaque: args.opaque,
            heal: true,
        },
        &context.progress(),
    )?;
    context.show("add", &report, |ui, report| {
        reconciled(ui, &report.reconciled);
        report.added.iter().for_each(|file| added(ui, file));
        report
            .unchanged
            .iter()
            .for_each(|path| ui.detail(format!("{path} is unchanged")));
        report
            .plain
            .iter()
            .for_each(|path| ui.detail(format!("{path} handed to git")));
    })?;
    report
        .large
        .iter()
        .for_each(|path| context.ui.warn(hook::large(path)));
    Ok(Exit::Done)
}
