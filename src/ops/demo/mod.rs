//! `mvc demo`: the whole story on a small network, with nothing to download.
//!
//! Every step is what a user would do by hand, through the same operations; the caller is told of each as soon as
//! it is done, and gets all of them as a report.

mod story;

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::error::{During, Error, Result};
use super::eval::{self, Worker};
use super::workspace::Workspace;
use super::{checkout, commit, diff, du, init, log, restore, track};
use crate::base::fs::FsError;
use crate::base::text::shell_word;
use crate::base::{Fs, Kind, Progress, RepoPath};
use crate::eval::{ENABLED, EvalError};
use crate::repo::{CommitId, Environment};
use story::{Story, WEIGHTS};

/// What `demo` is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder as its user typed it, for the commands that are shown.
    pub typed: String,
    /// Times that the training images are seen, a version for each; at least 2.
    pub epochs: u32,
    /// Where chance begins.
    pub seed: u64,
    /// The mvc program that the hooks call where none is on PATH.
    pub program: Option<PathBuf>,
    /// How the evaluating process is started.
    pub worker: Worker,
}

/// How many epochs make a story.
pub const EPOCHS: u32 = 4;

/// One step of the story.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// What happens and why.
    pub story: String,
    /// What a user would type; `None` where the user's own work is played.
    pub command: Option<String>,
    /// What came of it.
    #[serde(flatten)]
    pub answer: Answer,
}

/// What came of a step.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "answer", content = "report", rename_all = "kebab-case")]
pub enum Answer {
    /// A repository was made.
    Init(init::Report),
    /// Weights are picked up.
    Track(track::Report),
    /// Text was written into a file.
    Wrote {
        /// The file.
        path: RepoPath,
        /// What was added to it.
        text: String,
    },
    /// An epoch of training ended.
    Trained(Trained),
    /// A measurement was recorded or repeated.
    Eval(eval::Report),
    /// A version was made.
    Commit(commit::Report),
    /// A version got a name.
    Tag {
        /// The name.
        name: String,
    },
    /// Versions were listed.
    Log(log::Report),
    /// Two versions were compared.
    Diff(Box<diff::Report>),
    /// Another version is in the work tree.
    Checkout(checkout::Report),
    /// A weights file was damaged on purpose.
    Damaged {
        /// The file.
        path: RepoPath,
        /// Where the bit was, in bytes from the start.
        offset: u64,
    },
    /// A weights file was brought back.
    Restore(restore::Report),
    /// What versions cost.
    Du(du::Report),
}

/// One epoch of training.
#[derive(Clone, Debug, Serialize)]
pub struct Trained {
    /// Counted from 1.
    pub epoch: u32,
    /// Mean loss over the images as they were learned from.
    pub train_loss: f64,
    /// Mean loss over the test images.
    pub test_loss: f64,
    /// Test images that the network gets right.
    pub correct: u64,
    /// Test images there are.
    pub rows: u64,
    /// Bytes of the weights file that was written.
    pub bytes: u64,
}

/// Something to try next.
#[derive(Clone, Debug, Serialize)]
pub struct Next {
    /// What to type.
    pub command: String,
    /// What it shows.
    pub shows: String,
}

/// The whole story.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The repository that was made, and stays.
    pub root: String,
    /// Versions, oldest first.
    pub versions: Vec<CommitId>,
    /// Bytes of all versions' weights files, as if each were kept whole.
    pub raw: u64,
    /// Bytes that the store takes.
    pub stored: u64,
    /// The steps.
    pub steps: Vec<Step>,
    /// What to try next.
    pub next: Vec<Next>,
}

/// Tells the story in `dir`, which is missing or empty, and leaves a repository to play with there.
///
/// `tell` hears of each step when it is done. Refuses where this mvc was built without its evaluator.
pub fn run(
    dir: &Path,
    environment: &Environment,
    fs: Fs,
    options: &Options,
    tell: &mut dyn FnMut(&Step),
    progress: &dyn Progress,
) -> Result<Report> {
    if !ENABLED {
        return Err(EvalError::Disabled).during(|| "cannot train the demo's network".to_owned());
    }
    empty(dir)?;
    fs.create_dir_all(dir)?;
    let environment = alone(dir, environment)?;
    let init_options = init::Options {
        hooks: true,
        program: options.program.clone(),
    };
    let made = init::run(dir, &environment, fs.clone(), &init_options)?;
    let ws = Workspace::open(dir, &environment, fs)?;
    let mut story = Story {
        ws: &ws,
        options,
        progress,
        tell,
        steps: Vec::new(),
        versions: Vec::new(),
    };
    story.told(
        "A folder for the model: a git repository that keeps weights beside git, not in it.",
        Some(&format!("mvc init {}", shell_word(&options.typed))),
        Answer::Init(made),
    );
    story.prepare()?;
    story.train()?;
    story.look_back()?;
    let usage = story.usage()?;
    let root = ws.root().display().to_string();
    Ok(Report {
        versions: story.versions,
        steps: story.steps,
        next: next(&environment, options),
        raw: usage.raw,
        stored: usage.stored,
        root,
    })
}

/// Refuses a folder that something lies in already.
fn empty(dir: &Path) -> Result<()> {
    let mut entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(FsError::new("list", dir, e).into()),
    };
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(Error::advised(
            Kind::WouldOverwrite,
            format!("{} is not empty", dir.display()),
            "the demo makes a folder of its own: name another one, as in `mvc demo my-demo`",
        )),
    }
}

/// The environment in which git sees this folder and nothing around it: the demo may be told inside of another
/// repository, or from one of its hooks.
fn alone(dir: &Path, environment: &Environment) -> Result<Environment> {
    let real = dir
        .canonicalize()
        .map_err(|e| FsError::new("find", dir, e))?;
    let mut alone = environment.clone();
    for variable in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_COMMON_DIR",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
    ] {
        alone = alone.without(variable);
    }
    Ok(match real.parent() {
        Some(parent) => alone.with("GIT_CEILING_DIRECTORIES", parent),
        None => alone,
    })
}

fn next(environment: &Environment, options: &Options) -> Vec<Next> {
    let mut next = Vec::new();
    let mut add = |command: String, shows: &str| {
        next.push(Next {
            command,
            shows: shows.to_owned(),
        });
    };
    let folder = shell_word(&options.typed);
    add(format!("cd {folder}"), "the repository is yours now");
    let home = options.program.as_deref().and_then(Path::parent);
    if let Some(home) = home.filter(|home| !environment.search_path().iter().any(|p| p == home)) {
        let home = shell_word(&home.display().to_string());
        let set = format!("export PATH=\"$PATH\":{home}");
        add(set, "`mvc` is not on your PATH yet");
    }
    let last = options.epochs;
    add(
        format!("mvc show epoch-{last}:{WEIGHTS}"),
        "the tensors of a version",
    );
    add(
        format!("mvc eval epoch-1 epoch-{last}"),
        "both claims measured again, straight from the store",
    );
    add(
        "git checkout epoch-1".to_owned(),
        "plain git brings the right weights too: hooks see to it",
    );
    add(
        format!("mvc diff epoch-1:{WEIGHTS} epoch-2:{WEIGHTS} --stat"),
        "any two weights files, layer by layer",
    );
    add("mvc verify --all".to_owned(), "every stored byte proved");
    add("mvc help".to_owned(), "all commands");
    next
}
