use clap::CommandFactory;

use crate::cli::{Cli, Context, Exit, Outcome};

/// Print a completion script for a shell
///
/// The script completes commands and options. Load it from the shell's start file, or put it where the shell
/// looks for completions.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  $ mvc completions bash > ~/.local/share/bash-completion/completions/mvc")]
pub(crate) struct Args {
    /// The shell to write for
    shell: clap_complete::Shell,
}

pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "mvc", &mut script);
    context.ui.bytes(&script);
    Ok(Exit::Done)
}
