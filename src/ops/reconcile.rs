//! Bringing weights in line with sidecars that plain git has rewritten: what every hook runs, and every verb first.
//!
//! Only stamps and stat data are looked at where nothing changed. A weights file is replaced or removed only where
//! it is proved to hold a version that the store has; anything else is left alone, marked, and said once.
//!
//! HEAD is never asked: some hooks run before git moves it and some after. What a file held is told by its stamp,
//! and where its stat data are no proof (it was touched, copied, or written this very moment) by its bytes, compared
//! with the sidecar of the stamp, which git still has under its own name.

use std::collections::BTreeMap;

use serde::Serialize;

use super::error::{Error, Result};
use super::materialise::{self, Installed, Unrestored};
use super::state::{Pending, Stamp, Stat, State};
use super::tracked::{self, Tracked, TrackedFiles};
use super::weights;
use super::workspace::{Workspace, if_found};
use crate::base::text::chain;
use crate::base::{ObjectId, Progress, RepoPath};
use crate::model::Manifest;

const DIRTY: &str = "its sidecar changed while it holds uncommitted changes";
const ORPHAN: &str = "its sidecar is gone while it holds uncommitted changes";
const UNRECORDED: &str = "its sidecar is gone, and no version is known that has it";
const ONLY_COPY: &str = "its sidecar changed, and the store does not have what it holds";
const UNRESTORED: &str = "its objects are not in the store";

/// How many moves of HEAD are looked back on for a version that has a sidecar.
const REMEMBERED: usize = 64;

/// What reconcile did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Weights brought in line with their sidecars.
    pub written: Vec<RepoPath>,
    /// Clean weights whose sidecar is gone, removed.
    pub removed: Vec<RepoPath>,
    /// Weights that hold uncommitted changes while their sidecar changed: untouched, and marked.
    pub left: Vec<RepoPath>,
    /// Weights whose objects are missing or damaged.
    pub unrestored: Vec<Unrestored>,
    /// Weights of which one of these was said before, and that are still so.
    pub pending: Vec<RepoPath>,
    /// Sidecars that cannot be read, with the reason.
    pub unreadable: Vec<(RepoPath, String)>,
    /// True if a rebase or the like is under way, and weights wait for its end.
    pub waiting: bool,
}

/// Brings weights in line with the sidecars of the work tree.
pub fn run(ws: &Workspace, progress: &dyn Progress) -> Result<Report> {
    let state = ws.state()?;
    run_on(
        ws,
        &state,
        &tracked::of_worktree_with(ws, &state)?,
        progress,
    )
}

/// [`run`] for who has read the stamps and the sidecars already. Where it says anything, the stamps are others now.
pub(crate) fn run_on(
    ws: &Workspace,
    state: &State,
    sidecars: &TrackedFiles,
    progress: &dyn Progress,
) -> Result<Report> {
    let mut run = Run {
        ws,
        state,
        progress,
        report: Report::default(),
        marks: BTreeMap::new(),
        stamps: Vec::new(),
        forgotten: Vec::new(),
    };
    let mut wanted: Vec<(RepoPath, Tracked)> = Vec::new();
    let mut decided: BTreeMap<RepoPath, Option<Stat>> = BTreeMap::new();
    for (path, tracked) in sidecars {
        match run.plan(path, tracked) {
            Ok(Plan::Nothing) => {}
            Ok(Plan::Write(stat)) => {
                wanted.push((path.clone(), tracked.clone()));
                decided.insert(path.clone(), stat);
            }
            Ok(Plan::Stamp(stamp)) => run.stamps.push((path.clone(), stamp)),
            Ok(Plan::Leave(why, seen)) => run.leave(path, why, Some(tracked.id), seen),
            Err(e) => run.report.unreadable.push((path.clone(), chain(&e))),
        }
    }
    for (path, stamp) in state.stamped() {
        // A sidecar that is gone from the work tree alone was removed by hand: that says nothing about the version.
        if !sidecars.contains_key(&path)
            && !ws.repo().tracked(&tracked::sidecar_path(&path))?
            && let Err(e) = run.retire(&path, stamp)
        {
            run.report.unreadable.push((path, chain(&e)));
        }
    }
    if !wanted.is_empty() {
        run.write(&wanted, &decided)?;
    }
    run.finish()
}

/// One pass, and what it has found so far.
struct Run<'a> {
    ws: &'a Workspace,
    state: &'a State,
    progress: &'a dyn Progress,
    report: Report,
    marks: BTreeMap<RepoPath, Pending>,
    stamps: Vec<(RepoPath, Stamp)>,
    forgotten: Vec<RepoPath>,
}

enum Plan {
    Nothing,
    Write(Option<Stat>),
    Stamp(Stamp),
    Leave(&'static str, Option<Stat>),
}

/// What a weights file holds, as far as it matters.
enum Holds {
    /// What its sidecar says now.
    Wanted(Stamp),
    /// What its stamp says, and the store has it.
    Version(Stat),
    /// What its stamp says, and nothing else has it.
    OnlyCopy(Stat),
    /// Something else. Its stat data where they will tell of a change.
    Other(Option<Stat>),
}

impl Run<'_> {
    fn plan(&self, path: &RepoPath, tracked: &Tracked) -> Result<Plan> {
        let stamp = self.state.stamp(path);
        let up_to_date = stamp.is_some_and(|stamp| stamp.sidecar == tracked.id);
        if up_to_date {
            // Weights that the user changed or removed stay so until they are asked for.
            return Ok(Plan::Nothing);
        }
        let Some(stat) = weights::lstat(self.ws, path)? else {
            return Ok(Plan::Write(None));
        };
        if self.known(path, Some(tracked.id), &stat) {
            return Ok(Plan::Leave(DIRTY, Some(stat)));
        }
        // A sidecar that cannot be read must never cost the weights.
        let manifest = tracked::manifest(self.ws, path, tracked)?;
        Ok(
            match self.holds(path, stamp, stat, Some((tracked, &manifest)))? {
                Holds::Wanted(stamp) => Plan::Stamp(stamp),
                Holds::Version(stat) => Plan::Write(Some(stat)),
                Holds::OnlyCopy(stat) => Plan::Leave(ONLY_COPY, Some(stat)),
                Holds::Other(seen) => Plan::Leave(DIRTY, seen),
            },
        )
    }

    /// True if a file was found dirty before, against this very sidecar, and has not been written since.
    fn known(&self, path: &RepoPath, sidecar: Option<ObjectId>, stat: &Stat) -> bool {
        self.state.mark_of(path).is_some_and(|mark| {
            mark.sidecar == sidecar
                && mark.seen == Some(*stat)
                && matches!(mark.reason.as_str(), DIRTY | ORPHAN | UNRECORDED)
        })
    }

    fn holds(
        &self,
        path: &RepoPath,
        stamp: Option<&Stamp>,
        stat: Stat,
        wanted: Option<(&Tracked, &Manifest)>,
    ) -> Result<Holds> {
        let before = stamp.and_then(|stamp| tracked::of_stamp(self.ws, path, stamp));
        if stamp.is_some_and(|stamp| stamp.proves(&stat)) {
            return self.version(before.as_ref(), stat);
        }
        let opened = match weights::open(self.ws, path) {
            Err(Error::Changed(_)) => return Ok(Holds::Other(None)),
            opened => opened?,
        };
        let candidates: Vec<&Manifest> = wanted
            .iter()
            .map(|(_, manifest)| *manifest)
            .chain(&before)
            .collect();
        let which = weights::which(&opened, &candidates, self.progress)?;
        match opened.unchanged(self.ws) {
            Err(Error::Changed(_)) => return Ok(Holds::Other(None)),
            unchanged => unchanged?,
        }
        match (which, wanted) {
            (None, _) => Ok(Holds::Other(opened.settled())),
            (Some(0), Some((tracked, _))) => Ok(Holds::Wanted(opened.stamp(self.ws, tracked)?)),
            (Some(_), _) => self.version(before.as_ref(), opened.stat),
        }
    }

    /// A version may be replaced where it can be had again.
    fn version(&self, manifest: Option<&Manifest>, stat: Stat) -> Result<Holds> {
        Ok(match materialise::is_lost(self.ws, manifest)? {
            true => Holds::OnlyCopy(stat),
            false => Holds::Version(stat),
        })
    }

    /// A weights file whose sidecar is gone: removed where it is provably stored, kept otherwise.
    fn retire(&mut self, path: &RepoPath, stamp: &Stamp) -> Result<()> {
        let ws = self.ws;
        // Nothing is there, or nothing that could be weights, or a version that keeps this file in plain git.
        let Ok(Some(stat)) = weights::lstat(ws, path) else {
            self.forgotten.push(path.clone());
            return Ok(());
        };
        if ws.repo().tracked(path)? {
            self.forgotten.push(path.clone());
            return Ok(());
        }
        if self.known(path, None, &stat) {
            let reason = match self.state.pending(path) {
                Some(UNRECORDED) => UNRECORDED,
                _ => ORPHAN,
            };
            self.leave(path, reason, None, Some(stat));
            return Ok(());
        }
        match self.holds(path, Some(stamp), stat, None)? {
            // Added and never committed: a sidecar that git dropped is no reason to drop the work.
            Holds::Version(stat) if !self.is_recorded(path, stamp)? => {
                self.leave(path, UNRECORDED, None, Some(stat));
            }
            Holds::Version(stat) if weights::lstat(ws, path)? == Some(stat) => {
                materialise::remove(ws, path)?;
                self.report.removed.push(path.clone());
            }
            Holds::OnlyCopy(stat) => self.leave(path, ONLY_COPY, None, Some(stat)),
            Holds::Other(seen) => self.leave(path, ORPHAN, None, seen),
            Holds::Wanted(_) | Holds::Version(_) => self.leave(path, ORPHAN, None, None),
        }
        Ok(())
    }

    /// True if a version that HEAD stood on lately, or that git put aside, has the stamp's sidecar.
    fn is_recorded(&self, path: &RepoPath, stamp: &Stamp) -> Result<bool> {
        let repo = self.ws.repo();
        let sidecar = tracked::sidecar_path(path);
        for commit in repo.recent_heads(REMEMBERED)? {
            let entry = if_found(repo.file_entry(&commit, &sidecar));
            // Of a commit that is gone from a shallow clone nothing is known.
            if let Ok(Some(Some(file))) = entry
                && file.blob.to_string() == stamp.blob
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn write(
        &mut self,
        wanted: &[(RepoPath, Tracked)],
        decided: &BTreeMap<RepoPath, Option<Stat>>,
    ) -> Result<()> {
        let sidecar = |path: &RepoPath| {
            let found = wanted.iter().find(|(wanted, _)| wanted == path);
            found.map(|(_, tracked)| tracked.id)
        };
        let mut prepared = materialise::prepare(self.ws, wanted, self.progress)?;
        prepared.replacing(decided);
        for failed in std::mem::take(&mut prepared.failed) {
            let of = sidecar(&failed.path);
            match self.mark(&failed.path, UNRESTORED, of, None) {
                true => self.report.unrestored.push(failed),
                false => self.report.pending.push(failed.path),
            }
        }
        let Installed { written, left, .. } = prepared.install(self.ws)?;
        for path in left {
            let of = sidecar(&path);
            self.leave(&path, DIRTY, of, None);
        }
        self.report.written = written;
        Ok(())
    }

    fn leave(&mut self, path: &RepoPath, why: &str, sidecar: Option<ObjectId>, seen: Option<Stat>) {
        match self.mark(path, why, sidecar, seen) {
            true => self.report.left.push(path.clone()),
            false => self.report.pending.push(path.clone()),
        }
    }

    /// Marks a weights file; true if it was not marked so before. One git command runs several hooks, and one line
    /// is enough.
    fn mark(
        &mut self,
        path: &RepoPath,
        why: &str,
        sidecar: Option<ObjectId>,
        seen: Option<Stat>,
    ) -> bool {
        let before = self.state.mark_of(path);
        let new = before.is_none_or(|mark| mark.sidecar != sidecar || mark.reason != why);
        let pending = Pending {
            reason: why.to_owned(),
            sidecar,
            seen,
        };
        self.marks.insert(path.clone(), pending);
        new
    }

    /// Records what was found clean and what was left alone, and what is no longer so.
    fn finish(self) -> Result<Report> {
        let Self {
            ws,
            state: before,
            report,
            marks,
            stamps,
            forgotten,
            ..
        } = self;
        let unread = |path: &RepoPath| report.unreadable.iter().any(|(other, _)| other == path);
        let over: Vec<RepoPath> = before
            .marked()
            .map(|(path, _)| path)
            .filter(|path| !marks.contains_key(path) && !unread(path))
            .collect();
        let same = marks
            .iter()
            .all(|(path, mark)| before.mark_of(path) == Some(mark));
        if same && over.is_empty() && stamps.is_empty() && forgotten.is_empty() {
            return Ok(report);
        }
        ws.update_state(|state| {
            for path in &over {
                state.unmark(path);
            }
            for path in &forgotten {
                state.forget(path);
            }
            for (path, stamp) in stamps {
                state.set(&path, stamp);
            }
            for (path, mark) in marks {
                state.mark(&path, mark);
            }
        })?;
        Ok(report)
    }
}
