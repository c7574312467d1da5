use crate::cli::render::refs::hook_step;
use crate::cli::{Context, Exit, Outcome};
use crate::ops::init;

/// Make a repository that keeps weights
///
/// Makes a git repository where there is none, writes `mvc.toml`, keeps weights out of git with a block in
/// `.gitignore`, and installs hooks, so that plain `git checkout` brings the right weights too. Done twice, it
/// changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  $ mvc init my-model && cd my-model
  $ mvc track '*.safetensors'
  $ mvc commit -m v1")]
pub(crate) struct Args {
    /// The folder, made if it is missing; the current one by default
    dir: Option<std::path::PathBuf>,
    /// Install no git hooks
    #[arg(long)]
    no_hooks: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let dir = args
        .dir
        .as_ref()
        .map_or_else(|| context.dir().to_owned(), |dir| context.dir().join(dir));
    let options = init::Options {
        hooks: !args.no_hooks,
        program: std::env::current_exe().ok(),
    };
    let report = init::run(&dir, &context.environment(), context.fs(), &options)?;
    context.show("init", &report, |ui, report| {
        match (report.created_git, report.changed.is_empty()) {
            (true, _) => ui.print(format!(
                "made a git repository for weights in {}",
                report.root
            )),
            (false, false) => ui.print(format!("{} keeps weights now", report.root)),
            (false, true) => ui.print(format!("{} keeps weights already", report.root)),
        }
        report
            .hooks
            .iter()
            .filter_map(hook_step)
            .for_each(|line| ui.note(line));
        if let Some(why) = &report.no_hooks {
            ui.warn(format!(
                "no hooks were installed, so plain git will not bring weights: {why}; see `mvc help hooks`"
            ));
        }
        if report.created_git || !report.changed.is_empty() {
            ui.note("next: `mvc track '*.safetensors'` says which files hold weights");
        }
    })?;
    Ok(Exit::Done)
}
