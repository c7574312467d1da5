//! `mvc diff`: what happened to a model between two versions, or between two weights files.

pub mod configs;
mod figures;
mod target;
pub mod weights;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::error::{Error, Result};
use super::metrics::{self, Moved, Values};
use super::reconcile;
use super::sides::{Side, SideFile};
use super::workspace::Workspace;
use crate::base::patterns::TensorGlob;
use crate::base::text::{chain, printable};
use crate::base::{Kind, ObjectId, Progress, RepoPath};
pub use crate::model::stats::Stats;
use crate::model::{Manifest, weights_id};
use target::Target;
use weights::{Ask, FileChange, Weights};

/// What `diff` is asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Up to two of: a revision, `A..B`, `REV:PATH`, a path of the work tree. Without any, HEAD and the work tree.
    pub what: Vec<String>,
    /// Only what lies there.
    pub paths: Vec<String>,
    /// Only tensors whose names this glob matches; configs and metrics are left out then.
    pub tensors: Option<String>,
    /// The most tensors to list of a file.
    pub top: Option<usize>,
}

/// What differs.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was, as people call it.
    pub from: String,
    /// What is.
    pub to: String,
    /// The weights files that differ; two that were named are always there.
    pub weights: Vec<Weights>,
    /// How many weights files do not differ.
    pub same: usize,
    /// True where the weights id of all files together is the same on both sides, although files differ.
    pub same_tensors: bool,
    /// Configs that differ.
    pub configs: Vec<configs::File>,
    /// Metrics that differ.
    pub metrics: Vec<Moved>,
    /// Why metrics cannot be compared, where that is so.
    pub unreadable: Option<String>,
    /// What was brought in line first.
    pub reconciled: reconcile::Report,
}

impl Report {
    /// True where anything differs, of what was asked for.
    pub fn differs(&self) -> bool {
        let weights = self.weights.iter().any(|weights| weights.differs);
        weights || !self.configs.is_empty() || !self.metrics.is_empty() || self.unreadable.is_some()
    }
}

/// Compares. Only tensors that changed are read.
pub fn run(ws: &Workspace, options: &Options, progress: &dyn Progress) -> Result<Report> {
    let glob = options
        .tensors
        .as_deref()
        .map(TensorGlob::new)
        .transpose()?;
    let ask = Ask {
        glob: glob.as_ref(),
        top: options.top,
    };
    let target = target::parse(ws, &options.what, &options.paths)?;
    let looks_at_worktree = match &target {
        Target::Sides { after, .. } => *after == Side::Worktree,
        Target::Files { before, after } => [before, after]
            .iter()
            .any(|file| file.side == Side::Worktree),
    };
    let reconciled = match looks_at_worktree {
        true => reconcile::run(ws, progress)?,
        false => reconcile::Report::default(),
    };
    let (report, picked) = match target {
        Target::Sides {
            before,
            after,
            only,
        } => sides(ws, before.as_ref(), &after, &only, &ask, progress)?,
        Target::Files { before, after } => files(ws, &before, &after, &ask, progress)?,
    };
    match &options.tensors {
        Some(glob) if picked == 0 => Err(Error::advised(
            Kind::NotFound,
            format!("no tensor matches `{}`", printable(glob)),
            "`mvc show REV:PATH` lists the tensors of a weights file; quote the glob from your shell",
        )),
        _ => Ok(Report {
            reconciled,
            ..report
        }),
    }
}

/// Compares two files, and says how many of their tensors were asked for.
fn files(
    ws: &Workspace,
    before: &target::File,
    after: &target::File,
    ask: &Ask<'_>,
    progress: &dyn Progress,
) -> Result<(Report, usize)> {
    let a = before.side.file(ws, &before.path, progress)?;
    let b = after.side.file(ws, &after.path, progress)?;
    let change = match before.path == after.path {
        true => FileChange::Modified,
        false => FileChange::Compared,
    };
    let (old, new) = ((&before.path, &a), (&after.path, &b));
    let report = Report {
        from: before.name(),
        to: after.name(),
        weights: vec![weights::pair(ws, old, new, change, ask, progress)?],
        same: 0,
        same_tensors: false,
        configs: Vec::new(),
        metrics: Vec::new(),
        unreadable: None,
        reconciled: reconcile::Report::default(),
    };
    Ok((report, ask.picked(&a.manifest) + ask.picked(&b.manifest)))
}

type Files = BTreeMap<RepoPath, SideFile>;

/// Compares all of two sides, and says how many of their tensors were asked for.
fn sides(
    ws: &Workspace,
    before: Option<&Side>,
    after: &Side,
    only: &[RepoPath],
    ask: &Ask<'_>,
    progress: &dyn Progress,
) -> Result<(Report, usize)> {
    let keep = |path: &RepoPath| {
        let below = |only: &RepoPath| {
            let rest = path.as_str().strip_prefix(only.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        only.is_empty() || only.iter().any(below)
    };
    let old = match before {
        Some(side) => side.files(ws, &keep, progress)?,
        None => Files::new(),
    };
    let new = after.files(ws, &keep, progress)?;
    let every = || old.values().chain(new.values());
    let picked = every().map(|file| ask.picked(&file.manifest)).sum();
    let (weights, same) = paired(ws, &old, &new, ask, progress)?;
    let id = |files: &Files| weights_id(files.iter().map(|(path, file)| (path, &file.manifest)));
    let mut report = Report {
        from: before.map_or("nothing", Side::name).to_owned(),
        to: after.name().to_owned(),
        same_tensors: !weights.is_empty() && ask.glob.is_none() && id(&old) == id(&new),
        weights,
        same,
        configs: Vec::new(),
        metrics: Vec::new(),
        unreadable: None,
        reconciled: reconcile::Report::default(),
    };
    if ask.glob.is_none() {
        let folders: BTreeSet<&str> = old.keys().chain(new.keys()).map(RepoPath::folder).collect();
        report.configs = configs::compare(ws, before, after, &folders, &keep)?;
        if only.is_empty() {
            match moved_metrics(ws, before, after) {
                Ok(moved) => report.metrics = moved,
                Err(e) => report.unreadable = Some(chain(&e)),
            }
        }
    }
    Ok((report, picked))
}

/// The files that differ, and how many do not: paired by path, and of the rest those that hold the same tensors.
fn paired(
    ws: &Workspace,
    old: &Files,
    new: &Files,
    ask: &Ask<'_>,
    progress: &dyn Progress,
) -> Result<(Vec<Weights>, usize)> {
    let mut found = Vec::new();
    let mut same = 0;
    let mut keep = |weights: Weights| match weights.differs {
        true => found.push(weights),
        false => same += 1,
    };
    let renamed = renames(old, new);
    let sources: BTreeSet<&RepoPath> = renamed.values().copied().collect();
    for (path, after) in new {
        let (source, change) = match renamed.get(path) {
            Some(source) => (*source, FileChange::Renamed),
            None => (path, FileChange::Modified),
        };
        keep(match old.get(source) {
            Some(before) => {
                weights::pair(ws, (source, before), (path, after), change, ask, progress)?
            }
            None => weights::alone((path, after), FileChange::New, ask),
        });
    }
    for (path, before) in old {
        if !new.contains_key(path) && !sources.contains(path) {
            keep(weights::alone((path, before), FileChange::Removed, ask));
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok((found, same))
}

/// New files that hold what a file that is gone held, with its path, where no other could be meant.
fn renames<'a>(old: &'a Files, new: &'a Files) -> HashMap<&'a RepoPath, &'a RepoPath> {
    // The same path for all, since that of an opaque file is a part of its weights id.
    let any = RepoPath::new("weights").ok();
    let id = |manifest: &Manifest| -> Option<ObjectId> {
        let any = any.as_ref().filter(|_| !manifest.segments.is_empty())?;
        Some(weights_id(std::iter::once((any, manifest))))
    };
    let mut pairs: HashMap<ObjectId, (Vec<&RepoPath>, Vec<&RepoPath>)> = HashMap::new();
    for (path, file) in old.iter().filter(|(path, _)| !new.contains_key(*path)) {
        if let Some(id) = id(&file.manifest) {
            pairs.entry(id).or_default().0.push(path);
        }
    }
    for (path, file) in new.iter().filter(|(path, _)| !old.contains_key(*path)) {
        if let Some(id) = id(&file.manifest) {
            pairs.entry(id).or_default().1.push(path);
        }
    }
    let unique = |(olds, news): (Vec<&'a RepoPath>, Vec<&'a RepoPath>)| match (&olds[..], &news[..])
    {
        ([from], [to]) => Some((*to, *from)),
        _ => None,
    };
    pairs.into_values().filter_map(unique).collect()
}

fn moved_metrics(ws: &Workspace, before: Option<&Side>, after: &Side) -> Result<Vec<Moved>> {
    let of = |side: &Side| match side {
        Side::Worktree => metrics::of_worktree(ws),
        Side::Commit { id, .. } => metrics::of_commit(ws, id),
    };
    let old = before.map_or_else(|| Ok(Values::new()), of)?;
    let mut moved = metrics::compare(&after.config(ws)?, &old, &of(after)?);
    moved.retain(|metric| metric.before != metric.after);
    Ok(moved)
}
