use crate::cli::render;
use crate::cli::{Context, Exit, Outcome};
use crate::ops::du::{self, Options};

/// Show what versions cost on the disk
///
/// For each version the bytes of chunks that it added to the store, beside what its weights files measure. Below it
/// the whole store, with its records and indexes, beside each version of each weights file that any branch or tag leads
/// to, kept whole once.
///
/// With `--why`, a table of each version's tensors: what they measure and what they take, in which codecs, against
/// which base and how high above the last one without any, and which other versions have the very same bytes.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  $ mvc du
  $ mvc du --why v2 -n 1")]
pub(crate) struct Args {
    /// Where to begin; HEAD by default
    revision: Option<String>,
    /// The most versions to list
    #[arg(short = 'n', long = "max-count", value_name = "N")]
    limit: Option<usize>,
    /// Say of each tensor what it costs, and why
    #[arg(long)]
    why: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let ws = context.workspace()?;
    let options = Options {
        revision: args.revision.clone(),
        limit: args.limit,
        why: args.why,
    };
    let report = du::run(&ws, &options)?;
    context.show("du", &report, render::files::usage)?;
    Ok(Exit::Done)
}
