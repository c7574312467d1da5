//! The command line: words, colours and exit codes around [`crate::base`] and the operations.
//!
//! - [`args`]: the flags that every command has.
//! - `cmd`: one file per command, its arguments and the call of its operation.
//! - [`render`]: how reports look as text.
//! - [`ui`]: the only writer to stdout and stderr. Data goes to stdout, all else to stderr.
//! - [`failure`]: how an error reads, and the exit code it ends in.
//! - [`progress`]: how far long work is.
//!
//! Nothing here computes: a command parses, calls one operation, and shows its report.

pub mod args;
mod cmd;
pub mod failure;
mod line;
pub mod progress;
pub mod render;
pub mod ui;
mod usage;

use std::ffi::OsString;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::base::fs::FsError;
use crate::base::{Fs, Kind};
use crate::ops::{Environment, Workspace};
use args::Global;
use failure::Failed;
use progress::Bar;
use ui::Ui;

/// Git for model weights
///
/// A version of a model is a git commit. Its weights lie as tensors in a store named by their content, beside
/// git's own; git holds a small text file per weights file that names them.
#[derive(Debug, Parser)]
#[command(
    name = "mvc",
    version,
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Every command, in the order in which `mvc help` lists them: one line here, one in `run`, and one in
/// `without_report` where it knows no `--json`.
#[derive(Debug, Subcommand)]
enum Command {
    Init(cmd::init::Args),
    Track(cmd::track::Args),
    Untrack(cmd::untrack::Args),
    Status(cmd::status::Args),
    Add(cmd::add::Args),
    Commit(cmd::commit::Args),
    Log(cmd::log::Args),
    Show(cmd::show::Args),
    Diff(cmd::diff::Args),
    Checkout(cmd::checkout::Args),
    Restore(cmd::restore::Args),
    Tag(cmd::tag::Args),
    Branch(cmd::branch::Args),
    Eval(cmd::eval::Args),
    #[command(hide = true, name = "eval-worker")]
    EvalWorker(cmd::eval_worker::Args),
    Metrics(cmd::metrics::Args),
    Verify(cmd::verify::Args),
    Du(cmd::du::Args),
    Gc(cmd::gc::Args),
    Hooks(cmd::hooks::Args),
    Hook(cmd::hook::Args),
    Demo(cmd::demo::Args),
    Completions(cmd::completions::Args),
    #[command(hide = true)]
    Reference(cmd::reference::Args),
}

impl Command {
    fn run(&self, context: &Context) -> Outcome {
        match self {
            Command::Init(args) => cmd::init::run(args, context),
            Command::Track(args) => cmd::track::run(args, context),
            Command::Untrack(args) => cmd::untrack::run(args, context),
            Command::Status(args) => cmd::status::run(args, context),
            Command::Add(args) => cmd::add::run(args, context),
            Command::Commit(args) => cmd::commit::run(args, context),
            Command::Log(args) => cmd::log::run(args, context),
            Command::Show(args) => cmd::show::run(args, context),
            Command::Diff(args) => cmd::diff::run(args, context),
            Command::Checkout(args) => cmd::checkout::run(args, context),
            Command::Restore(args) => cmd::restore::run(args, context),
            Command::Tag(args) => cmd::tag::run(args, context),
            Command::Branch(args) => cmd::branch::run(args, context),
            Command::Eval(args) => cmd::eval::run(args, context),
            Command::EvalWorker(args) => cmd::eval_worker::run(args, context),
            Command::Metrics(args) => cmd::metrics::run(args, context),
            Command::Verify(args) => cmd::verify::run(args, context),
            Command::Du(args) => cmd::du::run(args, context),
            Command::Gc(args) => cmd::gc::run(args, context),
            Command::Hooks(args) => cmd::hooks::run(args, context),
            Command::Hook(args) => cmd::hook::run(args, context),
            Command::Demo(args) => cmd::demo::run(args, context),
            Command::Completions(args) => cmd::completions::run(args, context),
            Command::Reference(args) => cmd::reference::run(args, context),
        }
    }

    /// The name of a command that prints something other than a report, and so knows no `--json`.
    fn without_report(&self) -> Option<&'static str> {
        match self {
            Command::Init(_) => None,
            Command::Track(_) => None,
            Command::Untrack(_) => None,
            Command::Status(_) => None,
            Command::Add(_) => None,
            Command::Commit(_) => None,
            Command::Log(_) => None,
            Command::Show(_) => None,
            Command::Diff(_) => None,
            Command::Checkout(_) => None,
            Command::Restore(_) => None,
            Command::Tag(_) => None,
            Command::Branch(_) => None,
            Command::Eval(_) => None,
            Command::Metrics(_) => None,
            Command::Verify(_) => None,
            Command::Du(_) => None,
            Command::Gc(_) => None,
            Command::Hooks(_) => None,
            Command::Demo(_) => None,
            Command::EvalWorker(_) => Some("eval-worker"),
            Command::Hook(_) => Some("hook"),
            Command::Completions(_) => Some("completions"),
            Command::Reference(_) => Some("reference"),
        }
    }
}

/// How a command that did not fail ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or the answer is yes.
    Done,
    /// The answer is no, and has been printed.
    No,
    /// Something could not be compared, and has been printed.
    CannotCompare,
}

impl Exit {
    /// The process exit code.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::No => Kind::No.exit_code(),
            Exit::CannotCompare => Kind::CannotCompare.exit_code(),
        }
    }
}

/// What a command's `run` returns.
pub type Outcome = Result<Exit, Failed>;

/// What every command gets besides its own arguments.
#[derive(Debug)]
pub struct Context {
    /// The way to stdout and stderr.
    pub ui: Ui,
    /// The folder that the command was called for: the current one, or what `-C` says; absolute.
    dir: PathBuf,
}

impl Context {
    fn new(global: &Global) -> Result<Self, (Failed, Ui)> {
        let ui = Ui::new(global.into());
        match global.folder() {
            Ok(dir) => Ok(Self { ui, dir }),
            Err(e) => Err((e.into(), ui)),
        }
    }

    /// The folder that the command was called for.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The environment that git sees too.
    pub fn environment(&self) -> Environment {
        Environment::from_process()
    }

    /// The way to the disk.
    pub fn fs(&self) -> Fs {
        Fs::new()
    }

    /// This program, for what has to be called again: hooks and the evaluating process.
    pub fn program(&self) -> Result<PathBuf, Failed> {
        Ok(std::env::current_exe().map_err(|e| FsError::new("find the program", &self.dir, e))?)
    }

    /// The repository that the command was called in.
    pub fn workspace(&self) -> Result<Workspace, Failed> {
        Ok(Workspace::open(&self.dir, &self.environment(), self.fs())?)
    }

    /// A listener for long work: a bar on a terminal, silent elsewhere and under `-q`.
    pub fn progress(&self) -> Bar {
        Bar::new(self.ui.draws_progress())
    }

    /// Shows a report: as JSON under `--json`, otherwise by `text`.
    pub fn show<R: serde::Serialize>(
        &self,
        command: &str,
        report: &R,
        text: impl FnOnce(&Ui, &R),
    ) -> Result<(), Failed> {
        match self.ui.is_json() {
            true => self.ui.json(command, report),
            false => {
                text(&self.ui, report);
                Ok(())
            }
        }
    }
}

/// Parses the process's arguments, runs the command, and says how it went.
pub fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    failure::report_panics();
    let code = std::panic::catch_unwind(AssertUnwindSafe(|| run(&args)));
    ExitCode::from(code.unwrap_or(Kind::Bug.exit_code()))
}

fn run(args: &[OsString]) -> u8 {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(stopped) => return usage::explain(args, &stopped),
    };
    let context = match Context::new(&cli.global) {
        Ok(context) => context,
        Err((failed, ui)) => return failed.show(&ui),
    };
    let outcome = match cli.command.without_report() {
        Some(name) if context.ui.is_json() => Err(usage::Usage::no_json(name).into()),
        _ => cli.command.run(&context),
    };
    // What could not be written counts only where the command itself went well.
    match outcome.and_then(|exit| context.ui.finish().map(|()| exit)) {
        Ok(exit) => exit.code(),
        Err(failed) => failed.show(&context.ui),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_tree_is_sound_and_teaches() {
        let mut tree = Cli::command();
        tree.build();
        tree.clone().debug_assert();
        let commands = tree
            .get_subcommands()
            .filter(|c| !c.is_hide_set() && c.get_name() != "help");
        for command in commands {
            let name = command.get_name();
            let about = command.get_about().expect(name).to_string();
            assert!(about.starts_with(char::is_uppercase), "{name}: {about}");
            assert!(!about.ends_with('.'), "{name}: {about}");
            let example = command.get_after_long_help().expect(name).to_string();
            assert!(
                example.contains(&format!("$ mvc {name}")),
                "{name}: {example}"
            );
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{name}: {}",
                    argument.get_id()
                );
            }
        }
    }
}
