use crate::cli::render::refs;
use crate::cli::{Context, Exit, Outcome};
use crate::ops::refs as names;

/// Start a line of versions, or list them
///
/// Branches are git's own. `mvc checkout BRANCH` goes there, `mvc checkout -b NEW` makes one and goes there.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  $ mvc branch quantised v2")]
pub(crate) struct Args {
    /// The branch; without it all branches are listed
    name: Option<String>,
    /// The version where it starts; HEAD by default
    revision: Option<String>,
    /// Delete the branch
    #[arg(short, long, requires = "name", conflicts_with = "revision")]
    delete: bool,
    /// Delete it even where its versions are on no other branch
    #[arg(short, long, requires = "delete")]
    force: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let ws = context.workspace()?;
    match &args.name {
        None => context.show("branch", &names::branches(&ws)?, |ui, report| {
            refs::branches(ui, &report.branches)
        })?,
        Some(name) if args.delete => {
            names::delete_branch(&ws, name, args.force)?;
            context.show("branch", &names::branches(&ws)?, |ui, _| {
                ui.note(format!("deleted the branch {name}"))
            })?;
        }
        Some(name) => {
            names::branch(&ws, name, args.revision.as_deref())?;
            context.show("branch", &names::branches(&ws)?, |ui, _| {
                ui.note(format!(
                    "made the branch {name}; `mvc checkout {name}` goes there"
                ))
            })?;
        }
    }
    Ok(Exit::Done)
}
