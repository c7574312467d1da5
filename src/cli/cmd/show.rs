use crate::cli::render::history;
use crate::cli::{Context, Exit, Outcome};
use crate::ops::show::{self, Report};

/// Show a version, a weights file of it, or one tensor
///
/// `REV` shows the commit with its weights, metrics and claims; `REV:PATH` the tensors of a weights file, or the
/// content of any other; `REV:PATH:TENSOR` one tensor and what its numbers are like. An empty REV is the work tree.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  $ mvc show v1:model.safetensors:conv1.weight")]
pub(crate) struct Args {
    /// What to show
    #[arg(value_name = "REV[:PATH[:TENSOR]]", default_value = "HEAD")]
    what: String,
}

pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let ws = context.workspace()?;
    let report = show::run(&ws, &args.what, &context.progress())?;
    context.show("show", &report, |ui, report| match report {
        Report::Version(version) => history::show_version(ui, version),
        Report::Weights(weights) => history::show_weights(ui, weights),
        Report::Tensor(tensor) => history::show_tensor(ui, tensor),
        Report::Plain { bytes, .. } => ui.bytes(bytes),
    })?;
    Ok(Exit::Done)
}
