use crate::base::Kind;
use crate::base::text::count;
use crate::cli::render::status::committed;
use crate::cli::{Context, Exit, Outcome};
use crate::ops::{CommitOptions, Error, Talk, commit, hook};

/// Record a version: weights, configs and metrics
///
/// Stores what changed in the weights, writes their sidecars, and makes an ordinary git commit of them, of mvc's
/// own files, of metrics, of the files that models name in `with`, and of whatever is staged. Your identity, hooks
/// and signing are git's. A refused commit leaves everything as it was.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  $ mvc commit -m 'epoch 3' --metric accuracy=0.944")]
pub(crate) struct Args {
    /// The message; several make paragraphs, and none opens your editor
    #[arg(short, long, value_name = "MSG")]
    message: Vec<String>,
    /// Commit modified and deleted files that git tracks, too
    #[arg(short, long)]
    all: bool,
    /// Record a metric in metrics.json first
    #[arg(long = "metric", value_name = "NAME=NUMBER")]
    metrics: Vec<String>,
    /// Replace the last commit
    #[arg(long)]
    amend: bool,
    /// Commit even where nothing changed
    #[arg(long)]
    allow_empty: bool,
    /// Run no pre-commit and commit-msg hooks
    #[arg(long)]
    no_verify: bool,
    /// Add a Signed-off-by line
    #[arg(short, long)]
    signoff: bool,
    /// Sign the commit as git is configured to
    #[arg(short = 'S', long)]
    gpg_sign: bool,
    /// Commit in another name, as in `A U Thor <author@example.com>`
    #[arg(long, value_name = "AUTHOR")]
    author: Option<String>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let ws = context.workspace()?;
    let mut pass = Vec::new();
    pass.extend(args.signoff.then(|| "--signoff".to_owned()));
    pass.extend(args.gpg_sign.then(|| "--gpg-sign".to_owned()));
    pass.extend(
        args.author
            .as_ref()
            .map(|author| format!("--author={author}")),
    );
    let options = commit::Options {
        all: args.all,
        metrics: args
            .metrics
            .iter()
            .map(|text| metric(text))
            .collect::<Result<_, _>>()?,
        message: (!args.message.is_empty()).then(|| args.message.join("\n\n")),
        git: CommitOptions {
            allow_empty: args.allow_empty,
            amend: args.amend,
            no_verify: args.no_verify,
            pass,
        },
        talk: Some(if context.ui.is_json() {
            Talk::Capture
        } else {
            Talk::Inherit
        }),
    };
    let report = commit::run(&ws, &options, &context.progress())?;
    context.show("commit", &report, committed)?;
    report
        .large
        .iter()
        .for_each(|path| context.ui.warn(hook::large(path)));
    let warnings = report.warnings.iter();
    warnings.for_each(|warning| context.ui.warn(warning.as_str()));
    left_out(context, &report);
    Ok(if report.commit.is_some() {
        Exit::Done
    } else {
        Exit::No
    })
}

/// Says what changed and is not in the commit.
fn left_out(context: &Context, report: &commit::Report) {
    const SHOWN: usize = 10;
    if report.left_out.is_empty() {
        return;
    }
    context.ui.note(format!(
        "left out: {}",
        count(report.left_out.len(), "changed file")
    ));
    for path in report.left_out.iter().take(SHOWN) {
        context.ui.note(format!("  {path}"));
    }
    if report.left_out.len() > SHOWN {
        context
            .ui
            .note(format!("  and {} more", report.left_out.len() - SHOWN));
    }
    context
        .ui
        .note("`mvc add PATH` stages a file, `mvc commit -a` takes all that git tracks");
}

fn metric(text: &str) -> Result<(String, String), Error> {
    match text.split_once('=') {
        Some((name, number)) if !name.is_empty() => Ok((name.to_owned(), number.to_owned())),
        _ => Err(Error::Refused {
            kind: Kind::Usage,
            message: format!("{text:?} is no metric"),
            hint: Some("write it as NAME=NUMBER, for example `--metric accuracy=0.944`".into()),
        }),
    }
}
