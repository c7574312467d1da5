use crate::cli::render;
use crate::cli::{Context, Exit, Outcome};
use crate::ops::verify::{self, Scope};

/// Prove that stored weights are what their names say
///
/// Reads every object that a version needs, or with `--all` every pack and every version that a ref, a reflog or a
/// work tree leads to. All damage is reported, with the versions, files and tensors that it affects. Ends with 1 where
/// anything is damaged or missing.
///
/// `--repair` looks for the bytes of what is damaged or missing in other packs, in the trash, and in the weights files
/// of all work trees, stores them again, makes damaged indexes anew, and puts damaged packs into the trash once
/// everything needed of them can be read elsewhere. It then checks everything once more, and ends with 1 where
/// something is left.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  $ mvc verify --all
  $ mvc verify --repair")]
pub(crate) struct Args {
    /// The version; HEAD by default
    #[arg(conflicts_with = "all")]
    revision: Option<String>,
    /// Everything in the store, and all versions
    #[arg(long)]
    all: bool,
    /// Look at everything, and mend what can be mended
    #[arg(long, conflicts_with = "revision")]
    repair: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let ws = context.workspace()?;
    let scope = match args.all {
        true => Scope::All,
        false => Scope::Revision(args.revision.clone().unwrap_or_else(|| "HEAD".into())),
    };
    let report = match args.repair {
        true => verify::repair(&ws, &context.progress())?,
        false => verify::run(&ws, &scope, &context.progress())?,
    };
    context.show("verify", &report, render::files::verify)?;
    Ok(if report.problems.is_empty() {
        Exit::Done
    } else {
        Exit::No
    })
}
