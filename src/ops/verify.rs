//! `mvc verify`: whether every object that versions need is there and is what its name says.

mod needs;
mod repair;
mod sources;
pub(super) mod views;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::error::Result;
use super::history;
use super::tracked::{self, SUFFIX, Tracked};
use super::workspace::Workspace;
use crate::base::progress::Unit;
use crate::base::text::chain;
use crate::base::{Failure, Kind, ObjectId, Progress, ReadAt, RepoPath};
use crate::model::manifest;
use crate::repo::{CommitId, RepoError};
use crate::store::{Checked, Harm, Store};
use needs::Needs;
pub use repair::{Healed, Repair, repair};

/// What `verify` is asked for.
#[derive(Clone, Debug)]
pub enum Scope {
    /// One version.
    Revision(String),
    /// Every version that anything leads to, every index, and everything in the store.
    All,
}

/// One problem, with what it affects.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    /// Missing, damaged, or unreadable.
    pub kind: Kind,
    /// What is wrong, in words.
    pub what: String,
    /// The object, where it is one.
    pub object: Option<ObjectId>,
    /// The weights files and tensors that need it: `path` or `path: tensor`.
    pub affects: Vec<String>,
    /// The versions of these, newest first.
    pub versions: Vec<CommitId>,
}

/// What `verify` found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Versions looked at.
    pub versions: usize,
    /// Distinct objects that they need.
    pub objects: usize,
    /// Raw bytes that were proved.
    pub bytes: u64,
    /// Packs that were read through.
    pub packs: u64,
    /// Everything that is wrong; what affects something comes first, in the order of that.
    pub problems: Vec<Problem>,
    /// What was done about it before, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repair: Option<Repair>,
}

/// Proves objects by reading them. All damage is reported; nothing stops at the first.
pub fn run(ws: &Workspace, scope: &Scope, progress: &dyn Progress) -> Result<Report> {
    match scope {
        Scope::Revision(revision) => {
            let mut needs = Needs::default();
            let commit = ws.repo().resolve(revision)?;
            needs.of_commits(ws, &mut views(ws, ws.store()), vec![commit], progress)?;
            let mut report = begin(&needs);
            only(ws, &needs, &mut report, progress)?;
            Ok(sorted(report))
        }
        Scope::All => {
            let (needs, problems) = everything_needed(ws, progress)?;
            let checked = ws.store().verify(progress)?;
            let mut report = begin(&needs);
            report.problems.extend(problems);
            of_store(ws.store(), &needs, &checked, &mut report, progress)?;
            Ok(sorted(report))
        }
    }
}

fn views<'a>(ws: &'a Workspace, store: &'a Store) -> views::Views<'a> {
    views::Views::new(store, ws.fs(), ws.repo().common_dir().join("mvc/tmp"))
}

fn begin(needs: &Needs) -> Report {
    Report {
        versions: needs.commits.len(),
        objects: needs.objects.len(),
        problems: needs.problems(),
        ..Report::default()
    }
}

fn sorted(mut report: Report) -> Report {
    let key = |problem: &Problem| {
        let affects = problem.affects.clone();
        (affects.is_empty(), affects, problem.kind.exit_code())
    };
    report.problems.sort_by_cached_key(key);
    report
}

/// What every version needs that a ref, a reflog or a work tree's HEAD leads to, and every index; and what kept some
/// of it from being found.
fn everything_needed(ws: &Workspace, progress: &dyn Progress) -> Result<(Needs, Vec<Problem>)> {
    let mut needs = Needs::default();
    let mut views = views(ws, ws.store());
    let mut roots = ws.repo().roots(|path| path.ends_with(SUFFIX));
    let (commits, mut problems) = match roots.gather() {
        Ok(()) => (roots.history(), Vec::new()),
        // What there is of its history is all that there is to verify.
        Err(e) => {
            let (commits, mut errors) = history::of_all(ws)?;
            if !matches!(e, RepoError::Shallow) {
                errors.push(e);
            }
            let mut problems: Vec<Problem> = Vec::new();
            for problem in errors.iter().map(unfound) {
                if problems.iter().all(|known| known.what != problem.what) {
                    problems.push(problem);
                }
            }
            (commits, problems)
        }
    };
    needs.of_commits(ws, &mut views, commits, progress)?;
    // Among them those that are staged and in no version.
    for file in roots.files() {
        let Ok(path) = RepoPath::new(&file.path) else {
            continue; // only a ref has a name for it
        };
        let Some(weights) = tracked::weights_path(&path) else {
            continue;
        };
        match ws.repo().blob(&file.blob, manifest::MAX_TEXT as u64) {
            Ok(text) => {
                let tracked = Tracked::new(text, false);
                needs.sidecar(ws, &mut views, &weights, &tracked, None, progress)?;
            }
            Err(e) => problems.push(needs::unreadable(&weights, &e)),
        }
    }
    Ok((needs, problems))
}

/// What the check of the store found, with what it affects, and then what is needed and not there.
fn of_store(
    store: &Store,
    needs: &Needs,
    checked: &Checked,
    report: &mut Report,
    progress: &dyn Progress,
) -> Result<()> {
    report.packs = checked.packs;
    report.bytes = checked.bytes;
    let mut damaged: BTreeSet<ObjectId> = BTreeSet::new();
    // What is written with an object that is damaged, and what is damaged in a pack.
    let (mut written_with, mut inside) = (By::new(), By::new());
    for damage in &checked.damage {
        let Some(object) = damage.object else {
            continue;
        };
        if prove(store, &object, progress)?.is_ok() {
            continue;
        }
        damaged.insert(object);
        inside.entry(damage.pack).or_default().insert(object);
        if let Harm::Base(base) = damage.harm {
            written_with.entry(base).or_default().insert(object);
        }
    }
    for damage in &checked.damage {
        let kind = match damage.harm {
            Harm::Bytes | Harm::Index | Harm::Orphan | Harm::Base(_) => Kind::Damaged,
            Harm::Newer => Kind::Unsupported,
            Harm::Unreadable => Kind::Io,
        };
        let what = format!("{}: {}", damage.pack, damage.what);
        report.problems.push(match damage.object {
            Some(id) if damaged.contains(&id) => {
                needs.problem(id, of(&written_with, &id), kind, what)
            }
            Some(id) => Problem {
                object: Some(id),
                ..needs.among([], kind, format!("{what}; another copy of it is good"))
            },
            None => needs.among(of(&inside, &damage.pack), kind, what),
        });
    }
    for id in needs.objects.keys() {
        if damaged.contains(id) {
            continue;
        }
        match store.stored_size(id) {
            Ok(Some(size)) => report.problems.extend(needs.measured(*id, size.raw)),
            Ok(None) => {
                let others = of(&written_with, id);
                let what = "not in the store".to_owned();
                report
                    .problems
                    .push(needs.problem(*id, others, Kind::Missing, what));
            }
            Err(e) => report
                .problems
                .push(needs.problem(*id, [], e.kind(), e.to_string())),
        }
    }
    Ok(())
}

/// Objects by what they have in common.
type By = BTreeMap<ObjectId, BTreeSet<ObjectId>>;

fn of<'a>(by: &'a By, id: &ObjectId) -> impl Iterator<Item = ObjectId> + use<'a> {
    by.get(id).into_iter().flatten().copied()
}

/// Just the objects of some versions.
fn only(ws: &Workspace, needs: &Needs, report: &mut Report, progress: &dyn Progress) -> Result<()> {
    progress.begin("verifying", Unit::Items, Some(needs.objects.len() as u64));
    for id in needs.objects.keys() {
        match prove(ws.store(), id, progress)? {
            Ok(bytes) => {
                report.bytes += bytes;
                report.problems.extend(needs.measured(*id, bytes));
            }
            Err(e) => report
                .problems
                .push(needs.problem(*id, [], e.kind(), e.to_string())),
        }
        progress.advance(1);
    }
    progress.end();
    Ok(())
}

/// Reads an object to its end, which proves every chunk of it; its length in bytes. The outer error is of cancelling.
fn prove(
    store: &Store,
    id: &ObjectId,
    progress: &dyn Progress,
) -> Result<crate::store::Result<u64>> {
    let object = match store.object(id) {
        Ok(object) => object,
        Err(e) => return Ok(Err(e)),
    };
    let mut chunk = Vec::new();
    for index in 0..object.chunks() {
        if progress.cancelled() {
            return Err(super::Error::refused(Kind::Cancelled, "stopped"));
        }
        if let Err(e) = object.read_chunk(index, &mut chunk) {
            return Ok(Err(e));
        }
    }
    Ok(Ok(object.len()))
}

fn unfound(error: &RepoError) -> Problem {
    Problem {
        kind: error.kind(),
        what: format!("not every version could be found: {}", chain(error)),
        object: None,
        affects: Vec::new(),
        versions: Vec::new(),
    }
}
