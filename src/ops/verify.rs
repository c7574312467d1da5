//! `mvc verify`: whether every object that versions need is there and is what its name says.

mod views;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::error::Result;
use super::tracked;
use super::weights;
use super::workspace::{Workspace, if_found};
use crate::base::progress::Unit;
use crate::base::text::chain;
use crate::base::{Failure, Kind, ObjectId, Progress, ReadAt, RepoPath};
use crate::model::Manifest;
use crate::repo::{CommitId, LogOptions};
use crate::store::Damage;

/// What `verify` is asked for.
#[derive(Clone, Debug)]
pub enum Scope {
    /// One version.
    Revision(String),
    /// Every version that any ref reaches, and everything in the store.
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
    /// The first version, newest first, that it affects.
    pub version: Option<CommitId>,
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
    /// Everything that is wrong.
    pub problems: Vec<Problem>,
}

/// Where an object is needed.
#[derive(Default)]
struct Need {
    affects: BTreeSet<String>,
    version: Option<CommitId>,
    /// How long sidecars say it is; more than one length is a sidecar that lies.
    lengths: BTreeSet<u64>,
}

/// Proves objects by reading them. All damage is reported; nothing stops at the first.
pub fn run(ws: &Workspace, scope: &Scope, progress: &dyn Progress) -> Result<Report> {
    let mut report = Report::default();
    let commits = match scope {
        Scope::Revision(revision) => vec![ws.repo().resolve(revision)?],
        Scope::All => all_commits(ws)?,
    };
    report.versions = commits.len();
    let mut needs: BTreeMap<ObjectId, Need> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let tmp = ws.repo().common_dir().join("mvc/tmp");
    let mut views = views::Views::new(ws.store(), ws.fs(), tmp);
    for commit in &commits {
        for (path, tracked) in tracked::of_commit(ws, commit)? {
            if !seen.insert((path.clone(), tracked.id)) {
                continue;
            }
            match tracked::manifest(ws, &path, &tracked) {
                Ok(manifest) => {
                    if let Err(e) = tracked::agrees(ws, &path, &manifest) {
                        report.problems.push(unreadable(&path, &e, commit));
                    }
                    match views.wrong(&manifest, progress) {
                        Ok(wrong) => report.problems.extend(misnamed(&path, &wrong, commit)),
                        Err(e) if e.kind() == Kind::Cancelled => return Err(e),
                        Err(e) => report.problems.push(unreadable(&path, &e, commit)),
                    }
                    note(&mut needs, &path, &manifest, commit);
                }
                Err(e) => report.problems.push(unreadable(&path, &e, commit)),
            }
        }
    }
    report.objects = needs.len();
    match scope {
        Scope::All => everything(ws, &needs, &mut report, progress)?,
        Scope::Revision(_) => only(ws, &needs, &mut report, progress)?,
    }
    report
        .problems
        .sort_by(|a, b| (a.kind.exit_code(), &a.affects).cmp(&(b.kind.exit_code(), &b.affects)));
    Ok(report)
}

fn note(
    needs: &mut BTreeMap<ObjectId, Need>,
    path: &RepoPath,
    manifest: &Manifest,
    commit: &CommitId,
) {
    let mut names: BTreeMap<ObjectId, Vec<&str>> = BTreeMap::new();
    for (name, id) in weights::named_objects(manifest) {
        names.entry(id).or_default().push(name);
    }
    for (id, len, _) in manifest.objects() {
        let need = needs.entry(id).or_default();
        need.lengths.insert(len);
        need.version.get_or_insert(*commit);
        match names.get(&id) {
            Some(names) => need
                .affects
                .extend(names.iter().map(|name| format!("{path}: {name}"))),
            None => {
                need.affects.insert(path.to_string());
            }
        }
    }
}

fn unreadable(path: &RepoPath, error: &dyn Failure, commit: &CommitId) -> Problem {
    Problem {
        kind: error.kind(),
        what: chain(error),
        object: None,
        affects: vec![path.to_string()],
        version: Some(*commit),
    }
}

fn misnamed(path: &RepoPath, views: &[String], commit: &CommitId) -> Option<Problem> {
    let what = "the sidecar gives a tensor an id that its bytes do not have".to_owned();
    (!views.is_empty()).then(|| Problem {
        kind: Kind::BadInput,
        what,
        object: None,
        affects: views.iter().map(|name| format!("{path}: {name}")).collect(),
        version: Some(*commit),
    })
}

/// The whole store, pack by pack, and then what is needed and not there.
fn everything(
    ws: &Workspace,
    needs: &BTreeMap<ObjectId, Need>,
    report: &mut Report,
    progress: &dyn Progress,
) -> Result<()> {
    let checked = ws.store().verify(progress)?;
    report.packs = checked.packs;
    report.bytes = checked.bytes;
    let mut damaged = BTreeSet::new();
    for Damage { pack, object, what } in checked.damage {
        let need = object.as_ref().and_then(|id| needs.get(id));
        damaged.extend(object);
        report.problems.push(Problem {
            kind: Kind::Damaged,
            what: format!("{pack}: {what}"),
            object,
            affects: need
                .map(|need| need.affects.iter().cloned().collect())
                .unwrap_or_default(),
            version: need.and_then(|need| need.version),
        });
    }
    for (id, need) in needs {
        if damaged.contains(id) {
            continue;
        }
        match ws.store().stored_size(id) {
            Ok(Some(size)) => report.problems.extend(need.measured(*id, size.raw)),
            Ok(None) => report
                .problems
                .push(need.problem(*id, Kind::Missing, "not in the store")),
            Err(e) => report
                .problems
                .push(need.problem(*id, e.kind(), &e.to_string())),
        }
    }
    Ok(())
}

/// Just the objects of some versions.
fn only(
    ws: &Workspace,
    needs: &BTreeMap<ObjectId, Need>,
    report: &mut Report,
    progress: &dyn Progress,
) -> Result<()> {
    progress.begin("verifying", Unit::Items, Some(needs.len() as u64));
    for (id, need) in needs {
        match prove(ws, id, progress) {
            Ok(bytes) => {
                report.bytes += bytes;
                report.problems.extend(need.measured(*id, bytes));
            }
            Err(e) if e.kind() == Kind::Cancelled => return Err(e),
            Err(e) => report
                .problems
                .push(need.problem(*id, e.kind(), &e.to_string())),
        }
        progress.advance(1);
    }
    progress.end();
    Ok(())
}

/// Reads an object to its end, which proves every chunk of it; its length in bytes.
fn prove(ws: &Workspace, id: &ObjectId, progress: &dyn Progress) -> Result<u64> {
    let object = ws.store().object(id)?;
    let mut chunk = Vec::new();
    for index in 0..object.chunks() {
        if progress.cancelled() {
            return Err(super::Error::refused(Kind::Cancelled, "stopped"));
        }
        object.read_chunk(index, &mut chunk)?;
    }
    Ok(object.len())
}

/// Every commit that HEAD, a branch, a tag or the stash reaches, newest first.
fn all_commits(ws: &Workspace) -> Result<Vec<CommitId>> {
    let repo = ws.repo();
    let mut tips: Vec<CommitId> = repo
        .branches()?
        .into_iter()
        .map(|branch| branch.commit)
        .collect();
    tips.extend(
        repo.remote_branches()?
            .into_iter()
            .map(|branch| branch.commit),
    );
    tips.extend(repo.tags()?.into_iter().filter_map(|tag| tag.commit));
    for name in ["HEAD", "refs/stash"] {
        tips.extend(if_found(repo.resolve(name))?);
    }
    if tips.is_empty() {
        return Ok(Vec::new());
    }
    let commits = repo.log(&tips, LogOptions::default())?;
    Ok(commits
        .map(|commit| Ok(commit?.id))
        .collect::<std::result::Result<_, crate::repo::RepoError>>()?)
}

impl Need {
    /// What is wrong where a sidecar says another length than the object has.
    fn measured(&self, id: ObjectId, bytes: u64) -> Option<Problem> {
        let said = self.lengths.iter().find(|said| **said != bytes)?;
        let what = format!("it is {bytes} bytes long, and a sidecar says {said}");
        Some(self.problem(id, Kind::Damaged, &what))
    }

    fn problem(&self, id: ObjectId, kind: Kind, what: &str) -> Problem {
        Problem {
            kind,
            what: what.to_owned(),
            object: Some(id),
            affects: self.affects.iter().cloned().collect(),
            version: self.version,
        }
    }
}
