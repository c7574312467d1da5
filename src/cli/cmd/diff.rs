use crate::cli::render;
use crate::cli::{Context, Exit, Outcome};
use crate::ops::diff;

/// Tensors that are listed of a file unless `--top` says otherwise.
const LISTED: usize = 20;

/// Show what happened to the model between two versions
///
/// Without arguments HEAD is compared with the work tree, with one revision that revision, with two (or `A..B`) the
/// two. `REV:PATH` names a weights file of a version and a plain path one of the work tree, so that any two weights
/// files can be compared, whatever their formats. Per tensor: the relative L2 change, the largest change of an
/// element, the cosine, the share of elements that changed, and NaN or infinity that appeared; then configs by their
/// structure, and metrics.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  $ mvc diff v1 v2
  $ mvc diff HEAD:model.safetensors model.pth
  $ mvc diff v1 --tensor '*.attention.*' --top 5")]
pub(crate) struct Args {
    /// What to compare
    #[arg(value_name = "REV|REV:PATH|PATH", num_args = 0..)]
    what: Vec<String>,
    /// Only what lies there
    #[arg(last = true, value_name = "PATH")]
    paths: Vec<String>,
    /// Only tensors whose name matches; `*` crosses dots. Configs and metrics are left out
    #[arg(long, value_name = "GLOB")]
    tensor: Option<String>,
    /// List so many tensors of a file, the most changed first; as text 20 by default, as JSON all
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// List layers instead of tensors
    #[arg(long)]
    stat: bool,
    /// End with exit code 1 where anything differs, a header included; with `--tensor`, where such a tensor does
    #[arg(long)]
    exit_code: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let ws = context.workspace()?;
    let top = match context.ui.is_json() {
        true => args.top,
        false => Some(args.top.unwrap_or(LISTED)),
    };
    let options = diff::Options {
        what: args.what.clone(),
        paths: args.paths.clone(),
        tensors: args.tensor.clone(),
        top: if args.stat { Some(0) } else { top },
    };
    let report = diff::run(&ws, &options, &context.progress())?;
    context.show("diff", &report, |ui, report| {
        render::diff::report(ui, report, args.stat);
    })?;
    Ok(match args.exit_code && report.differs() {
        true => Exit::No,
        false => Exit::Done,
    })
}
