use std::fmt::Write;

use clap::{Arg, Command, CommandFactory};

use crate::cli::{Cli, Context, Exit, Outcome};

/// Print the reference of all commands as Markdown
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args, context: &Context) -> Outcome {
    context.ui.bytes(markdown().as_bytes());
    Ok(Exit::Done)
}

const HEAD: &str = "\
# Command reference

Printed by `mvc reference`, and compared with it by a test: change the doc comments in `src/cli`, then run the
tests with `SNAPSHOTS=overwrite`. Exit codes are in [errors.md](errors.md).
";

/// `docs/cli.md`: the whole command tree.
fn markdown() -> String {
    let mut tree = Cli::command();
    tree.build();
    let mut out = String::from(HEAD);
    section(&mut out, &tree, 2);
    commands(&mut out, &tree);
    out
}

fn commands(out: &mut String, parent: &Command) {
    let shown = |command: &&Command| !command.is_hide_set() && command.get_name() != "help";
    for command in parent.get_subcommands().filter(shown) {
        section(out, command, 2);
        commands(out, command);
    }
}

fn section(out: &mut String, command: &Command, level: usize) {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    let _ = writeln!(out, "\n{} `{name}`\n", "#".repeat(level));
    let about = command
        .get_long_about()
        .or(command.get_about())
        .map(ToString::to_string)
        .unwrap_or_default();
    let _ = writeln!(out, "{}\n", about.trim());
    let usage = command.clone().render_usage().to_string();
    let _ = writeln!(
        out,
        "```text\n{}\n```",
        usage.trim_start_matches("Usage: ").trim()
    );
    let own = |arg: &&Arg| !arg.is_hide_set() && (level_of_root(command) || !arg.is_global_set());
    let own: Vec<_> = command
        .get_arguments()
        .filter(own)
        .filter(|arg| !is_help(arg))
        .collect();
    if !own.is_empty() {
        out.push('\n');
    }
    for arg in own {
        let help = arg
            .get_long_help()
            .or(arg.get_help())
            .map(ToString::to_string)
            .unwrap_or_default();
        let _ = writeln!(
            out,
            "- `{}`: {}",
            spelled(arg),
            help.trim().replace('\n', "\n  ")
        );
    }
    if let Some(example) = command.get_after_long_help().map(ToString::to_string) {
        let lines: Vec<_> = example.trim().lines().collect();
        let (title, body) = lines.split_first().unwrap_or((&"", &[]));
        let body: Vec<_> = body
            .iter()
            .map(|line| line.strip_prefix("  ").unwrap_or(line))
            .collect();
        let _ = writeln!(out, "\n{title}\n\n```console\n{}\n```", body.join("\n"));
    }
}

/// The program itself lists the global options; no command repeats them.
fn level_of_root(command: &Command) -> bool {
    command.get_name() == "mvc"
}

fn is_help(arg: &Arg) -> bool {
    matches!(arg.get_id().as_str(), "help" | "version")
}

/// An argument as it is typed: `-m, --message <MSG>`, `<PATH>...`.
fn spelled(arg: &Arg) -> String {
    if arg.is_positional() {
        return arg.to_string();
    }
    let short = arg.get_short().map(|letter| format!("-{letter}"));
    let long = arg.get_long().map(|name| format!("--{name}"));
    let names: Vec<_> = short.into_iter().chain(long).collect();
    let value = match (arg.get_action().takes_values(), arg.get_value_names()) {
        (true, Some(names)) => names.iter().map(|name| format!(" <{name}>")).collect(),
        _ => String::new(),
    };
    format!("{}{value}", names.join(", "))
}
