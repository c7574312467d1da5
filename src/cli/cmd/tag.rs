use crate::cli::render::refs;
use crate::cli::{Context, Exit, Outcome};
use crate::ops::Talk;
use crate::ops::refs as names;

/// Name a version, or list the names
///
/// Tags are git's own: `git tag`, `git push --tags` and a git host see them. With a message the tag is annotated,
/// and signed where git is configured to.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  $ mvc tag v1 -m 'first release'")]
pub(crate) struct Args {
    /// The tag; without it all tags are listed
    name: Option<String>,
    /// The version; HEAD by default
    revision: Option<String>,
    /// The message of an annotated tag
    #[arg(short, long, value_name = "MSG")]
    message: Option<String>,
    /// Delete the tag
    #[arg(short, long, requires = "name", conflicts_with_all = ["message", "revision"])]
    delete: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let ws = context.workspace()?;
    match &args.name {
        None => context.show("tag", &names::tags(&ws)?, |ui, report| {
            refs::tags(ui, &report.tags)
        })?,
        Some(name) if args.delete => {
            names::delete_tag(&ws, name)?;
            context.show("tag", &names::tags(&ws)?, |ui, _| {
                ui.note(format!(
                    "deleted the tag {name}; its version stays in the history"
                ))
            })?;
        }
        Some(name) => {
            let options = names::TagOptions {
                name: name.clone(),
                revision: args.revision.clone(),
                message: args.message.clone(),
                talk: Some(Talk::Inherit),
            };
            names::tag(&ws, &options)?;
            let revision = args.revision.as_deref().unwrap_or("HEAD");
            context.show("tag", &names::tags(&ws)?, |ui, _| {
                ui.note(format!("tagged {revision} as {name}"))
            })?;
        }
    }
    Ok(Exit::Done)
}
