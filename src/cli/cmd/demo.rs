use crate::cli::render;
use crate::cli::{Context, Exit, Outcome};
use crate::ops::demo;
use crate::ops::eval::Worker;

/// Show the whole story on a small network, with nothing to download
///
/// Makes a repository, trains a network on bundled digits, and keeps a version and a tag for each epoch, with a claim
/// that is measured. Then it looks back: history with metrics, an older version brought back and measured again, one
/// damaged bit found, and what the versions cost on the disk. Each step shows what you would type, and what it
/// answers. The repository stays, to play with.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  $ mvc demo my-demo && cd my-demo
  $ mvc log --metrics")]
pub(crate) struct Args {
    /// The folder to make: one that is missing or empty
    #[arg(default_value = "mvc-demo")]
    dir: std::path::PathBuf,
    /// Times that the training images are seen, a version for each
    #[arg(long, value_name = "N", default_value_t = demo::EPOCHS, value_parser = clap::value_parser!(u32).range(2..=100))]
    epochs: u32,
}

pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let program = context.program()?;
    let options = demo::Options {
        typed: args.dir.to_string_lossy().into_owned(),
        epochs: args.epochs,
        seed: 0,
        program: Some(program.clone()),
        worker: Worker {
            program,
            arguments: vec!["eval-worker".into()],
            memory: None,
            seconds: 3600,
        },
    };
    let ui = &context.ui;
    let mut tell = |step: &demo::Step| {
        if !ui.is_json() {
            render::demo::step(ui, step);
        }
    };
    let report = demo::run(
        &context.dir().join(&args.dir),
        &context.environment(),
        context.fs(),
        &options,
        &mut tell,
        &context.progress(),
    )?;
    context.show("demo", &report, render::demo::end)?;
    Ok(Exit::Done)
}
