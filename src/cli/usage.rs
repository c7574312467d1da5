//! Command lines that make no sense, in our words.

use std::ffi::OsString;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::args::Global;
use super::failure::Failed;
use super::ui::Ui;
use super::{Cli, Exit};
use crate::base::{Failure, Kind};

/// The command line makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub(super) struct Usage {
    problem: String,
    hint: String,
}

impl Failure for Usage {
    fn kind(&self) -> Kind {
        Kind::Usage
    }

    fn hint(&self) -> Option<String> {
        Some(self.hint.clone())
    }
}

impl Usage {
    /// `--json` was asked of a command that reports nothing.
    pub(super) fn no_json(command: &str) -> Self {
        Self {
            problem: format!("`mvc {command}` has no report to print as JSON"),
            hint: "leave out `--json`".into(),
        }
    }

    fn from_clap(args: &[OsString], error: &clap::Error) -> Self {
        let command = called(args);
        let value = |kind| error.get(kind).map(text);
        let named = |kind| value(kind).unwrap_or_default();
        let argument = named(ContextKind::InvalidArg);
        let problem = match error.kind() {
            ErrorKind::InvalidSubcommand => {
                format!(
                    "`{command}` has no command `{}`",
                    named(ContextKind::InvalidSubcommand)
                )
            }
            ErrorKind::UnknownArgument if argument.starts_with('-') => {
                format!("`{command}` has no option `{argument}`")
            }
            ErrorKind::UnknownArgument => format!("`{command}` does not expect `{argument}`"),
            ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
                match value(ContextKind::InvalidValue) {
                    Some(given) if !given.is_empty() => {
                        format!("`{given}` is no value for `{argument}`")
                    }
                    _ => format!("`{argument}` lacks its value"),
                }
            }
            ErrorKind::MissingRequiredArgument => {
                format!(
                    "`{command}` lacks {}",
                    quoted(error.get(ContextKind::InvalidArg))
                )
            }
            ErrorKind::MissingSubcommand => format!("`{command}` lacks a command"),
            ErrorKind::ArgumentConflict => match error.get(ContextKind::PriorArg) {
                Some(prior) if text(prior) != argument => {
                    format!("`{argument}` cannot be used with {}", quoted(Some(prior)))
                }
                _ => format!("`{argument}` is given twice"),
            },
            ErrorKind::InvalidUtf8 => "an argument is not UTF-8".into(),
            kind => kind
                .as_str()
                .unwrap_or("the command line makes no sense")
                .to_owned(),
        };
        let suggestion = [
            ContextKind::SuggestedSubcommand,
            ContextKind::SuggestedArg,
            ContextKind::SuggestedValue,
        ]
        .into_iter()
        .find_map(|kind| error.get(kind).filter(|found| !text(found).is_empty()));
        let allowed = error
            .get(ContextKind::ValidValue)
            .filter(|found| !text(found).is_empty());
        let hint = match (suggestion, allowed) {
            (Some(suggestion), _) => format!("did you mean {}?", quoted(Some(suggestion))),
            (None, Some(allowed)) => format!("it can be {}", quoted(Some(allowed))),
            (None, None) => match command.strip_prefix("mvc ") {
                Some(name) => format!("see `mvc help {name}`"),
                None => "see `mvc help`".into(),
            },
        };
        Self { problem, hint }
    }
}

/// Prints what clap stopped for: help and version as they are, a mistake as our own error. Returns the exit code.
pub(super) fn explain(args: &[OsString], stopped: &clap::Error) -> u8 {
    let asked = |flag: &str| args.iter().any(|arg| arg == flag);
    let ui = Ui::new(
        (&Global {
            json: asked("--json"),
            ..Global::default()
        })
            .into(),
    );
    match stopped.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            ui.document(&stopped.render().ansi().to_string());
            match ui.finish() {
                Ok(()) => Exit::Done.code(),
                Err(failed) => failed.show(&ui),
            }
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            ui.help_instead(&stopped.render().ansi().to_string());
            Kind::Usage.exit_code()
        }
        _ => Failed::from(Usage::from_clap(args, stopped)).show(&ui),
    }
}

/// The command that was called, as in `mvc remote add`: as far as the words name commands.
fn called(args: &[OsString]) -> String {
    let tree = Cli::command();
    let mut here = &tree;
    let mut path = vec!["mvc"];
    for word in args.iter().skip(1).filter_map(|word| word.to_str()) {
        if let Some(found) = here.find_subcommand(word) {
            path.push(found.get_name());
            here = found;
        }
    }
    path.join(" ")
}

fn words(value: &ContextValue) -> Vec<String> {
    match value {
        ContextValue::String(one) => vec![one.clone()],
        ContextValue::Strings(all) => all.clone(),
        ContextValue::StyledStr(one) => vec![one.to_string()],
        ContextValue::StyledStrs(all) => all.iter().map(ToString::to_string).collect(),
        ContextValue::Bool(_) | ContextValue::Number(_) | ContextValue::None => Vec::new(),
        _ => Vec::new(),
    }
}

/// The first word of an option's usage: `--color` of `--color <WHEN>`, since the rest is no part of its name.
fn text(value: &ContextValue) -> String {
    let all = words(value).join(", ");
    match all.starts_with('-') {
        true => all.split(' ').next().unwrap_or_default().to_owned(),
        false => all,
    }
}

fn quoted(value: Option<&ContextValue>) -> String {
    let quoted: Vec<_> = value
        .map(words)
        .unwrap_or_default()
        .iter()
        .map(|word| format!("`{word}`"))
        .collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn refusal(line: &str) -> String {
        let args: Vec<OsString> = line.split(' ').map(Into::into).collect();
        let stopped = Cli::try_parse_from(&args).expect_err(line);
        let usage = Usage::from_clap(&args, &stopped);
        format!("{usage} | {}", usage.hint)
    }

    #[test]
    fn mistakes_are_named_with_a_way_out() {
        assert_eq!(
            refusal("mvc completion"),
            "`mvc` has no command `completion` | did you mean `commit`, `completions`?"
        );
        assert_eq!(
            refusal("mvc zzz"),
            "`mvc` has no command `zzz` | see `mvc help`"
        );
        assert_eq!(
            refusal("mvc completions"),
            "`mvc completions` lacks `<SHELL>` | see `mvc help completions`"
        );
        assert!(
            refusal("mvc completions xxxx")
                .starts_with("`xxxx` is no value for `<SHELL>` | it can be `bash`, "),
            "{}",
            refusal("mvc completions xxxx")
        );
        assert_eq!(
            refusal("mvc completions bash --jsno"),
            "`mvc completions` has no option `--jsno` | did you mean `--json`?"
        );
        assert_eq!(
            refusal("mvc completions bash zsh"),
            "`mvc completions` does not expect `zsh` | see `mvc help completions`"
        );
        assert_eq!(
            refusal("mvc completions bash -q -v"),
            "`--quiet` cannot be used with `--verbose` | see `mvc help completions`"
        );
    }
}
