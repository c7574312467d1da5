use crate::base::text::count;
use crate::cli::ui::{Line, Style};
use crate::cli::{Context, Exit, Outcome};
use crate::ops::track;

/// Say which files hold weights
///
/// Adds gitignore patterns to `mvc.toml`, and keeps what they match out of git. Files that git or git-lfs tracks
/// already are refused, unless `--move` takes them over: from the next commit on git holds their sidecar instead.
/// A folder that git ignores is searched where a pattern names it, as in `out/*.safetensors` or `out/`.
/// Without a pattern, lists the patterns and what they match.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  $ mvc track '*.safetensors' '!data/**'")]
pub(crate) struct Args {
    /// Gitignore patterns, or paths of files
    patterns: Vec<String>,
    /// Take over files that git tracks now, in one staged change
    #[arg(long = "move")]
    take_over: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let ws = context.workspace()?;
    let options = track::Options {
        patterns: args.patterns.clone(),
        take_over: args.take_over,
    };
    let report = track::run(&ws, &options, &context.progress())?;
    context.show("track", &report, |ui, report| {
        if args.patterns.is_empty() {
            report
                .patterns
                .iter()
                .for_each(|pattern| ui.print(pattern.as_str()));
            report
                .files
                .iter()
                .for_each(|path| ui.print(Line::new().text("  ").text(path.as_str())));
            return;
        }
        for pattern in &report.changed {
            ui.print(Line::new().text("tracking ").styled(Style::Added, pattern));
        }
        if report.changed.is_empty() && report.moved.is_empty() {
            ui.print("tracked already");
        }
        for path in &report.moved {
            ui.print(format!("{path} moved from git to mvc, staged"));
        }
        let found = count(report.files.len(), "weights file");
        ui.note(format!(
            "{found} in the work tree; `mvc commit` records them"
        ));
    })?;
    Ok(Exit::Done)
}
