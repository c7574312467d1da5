//! `mvc eval`: a claim re-measured, or recorded.
//!
//! What is measured is settled here, by hash, before any number is computed; the computing is done in a process of
//! its own ([`worker`]), which reads each tensor through a check of its name.

mod subject;
mod tensors;
pub mod worker;

use serde::Serialize;

use super::error::{During, Error, Result};
use super::models;
use super::reconcile;
use super::sides::Side;
use super::workspace::Workspace;
use crate::base::text::more;
use crate::base::{Failure, Kind, Progress, RepoPath};
use crate::eval::claim::{self, Claim, Claims, Environment, Outcome, Verdict};
use subject::Subject;
pub use worker::Worker;

/// What `eval` is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Versions to measure; the work tree where none is named.
    pub revisions: Vec<String>,
    /// One suite; all where none is named.
    pub suite: Option<String>,
    /// Write what is measured into `mvc.evals.toml` as this work tree's claim.
    pub record: bool,
    /// How the evaluating process is started.
    pub worker: Worker,
}

/// One measurement.
#[derive(Clone, Debug, Serialize)]
pub struct Measurement {
    /// The version, as it was named.
    pub version: String,
    /// The suite.
    pub suite: String,
    /// The model.
    pub model: String,
    /// Rows of data that were computed.
    pub rows: u64,
    /// Pass, fail or cannot compare, with the reasons.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// True if the claim was recorded just now.
    pub recorded: bool,
}

/// All measurements.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// In the order that was asked for.
    pub measurements: Vec<Measurement>,
}

impl Report {
    /// The worst verdict: one failure is a failure, else one that cannot be compared is none.
    pub fn verdict(&self) -> Verdict {
        let has = |verdict| {
            self.measurements
                .iter()
                .any(|m| m.outcome.verdict == verdict)
        };
        match (has(Verdict::Fail), has(Verdict::CannotCompare)) {
            (true, _) => Verdict::Fail,
            (false, true) => Verdict::CannotCompare,
            (false, false) => Verdict::Pass,
        }
    }
}

/// Measures suites of versions and compares with what was claimed of them.
pub fn run(ws: &Workspace, options: &Options, progress: &dyn Progress) -> Result<Report> {
    if options.record && !options.revisions.is_empty() {
        return Err(Error::advised(
            Kind::Usage,
            "a claim is recorded for the work tree, not for a version that is committed already",
            "record, then commit, then tag: `mvc eval --record && mvc commit`",
        ));
    }
    let sides = match options.revisions.as_slice() {
        [] => {
            reconcile::run(ws, progress)?;
            vec![Side::Worktree]
        }
        typed => typed
            .iter()
            .map(|typed| Side::commit(ws, typed))
            .collect::<Result<_>>()?,
    };
    let mut measurements = Vec::new();
    for side in &sides {
        let config = side.config(ws)?;
        let (claims, _) = claims(ws, side, options.record)?;
        for (name, suite) in models::suite(&config, options.suite.as_deref())
            .during(|| format!("cannot evaluate {}", side.name()))?
        {
            let (model_name, model) = models::of_suite(&config, name, suite)?;
            let subject = Subject::find(ws, side, model, suite, progress)
                .during(|| format!("cannot evaluate {}, suite {name:?}", side.name()))?;
            let (rows, outcome) = one(
                ws,
                side,
                name,
                &subject,
                claims.0.get(name),
                options,
                progress,
            )?;
            measurements.push(Measurement {
                version: side.name().to_owned(),
                suite: name.to_owned(),
                model: model_name.to_owned(),
                rows,
                outcome,
                recorded: options.record,
            });
        }
    }
    if options.record {
        for measurement in &mut measurements {
            measurement.recorded &= measurement.outcome.verdict == Verdict::Pass;
        }
    }
    Ok(Report { measurements })
}

/// The most reasons that are listed: training moves all tensors of a model, and a few tell as much.
const REASONS: usize = 20;

fn capped(reasons: &[String]) -> Vec<String> {
    let mut listed: Vec<String> = reasons.iter().take(REASONS).cloned().collect();
    listed.extend(more(reasons.len(), REASONS));
    listed
}

/// One suite of one side: the checks that need no computing first.
fn one(
    ws: &Workspace,
    side: &Side,
    name: &str,
    subject: &Subject,
    claim: Option<&Claim>,
    options: &Options,
    progress: &dyn Progress,
) -> Result<(u64, Outcome)> {
    let nothing = |verdict, reasons| Outcome {
        verdict,
        reasons,
        notes: Vec::new(),
        rows: Vec::new(),
    };
    if let Some(broken) = &subject.broken {
        return Ok((0, nothing(Verdict::Fail, vec![broken.clone()])));
    }
    if !options.record && !subject.dirty.is_empty() {
        // The claim speaks of what the sidecar says, and these bytes are something else: no number is worth computing.
        return Ok((0, nothing(Verdict::Fail, capped(&subject.dirty))));
    }
    let Some(key) = subject.key() else {
        let reason = format!("the suite's data {} is not there", subject.suite.data);
        return Ok((0, nothing(Verdict::CannotCompare, vec![reason])));
    };
    let measured = options
        .worker
        .measure(ws, side, name, &key, progress)
        .during(|| format!("cannot evaluate {}, suite {name:?}", side.name()))?;
    let environment = Environment::here();
    if !options.record {
        let outcome = claim::judge(claim, &key, &measured, &subject.suite, &environment);
        return Ok((measured.rows, outcome));
    }
    let metrics = measured.metrics.clone();
    let new = Claim {
        key,
        rows: measured.rows,
        metrics,
        environment: environment.clone(),
    };
    let mut outcome = claim::judge(Some(&new), &key, &measured, &subject.suite, &environment);
    if outcome.verdict == Verdict::Pass {
        outcome.notes.extend(record(ws, name, new)?);
    }
    Ok((measured.rows, outcome))
}

/// Writes a claim beside those of other suites. What is given back says why those are gone.
fn record(ws: &Workspace, suite: &str, claim: Claim) -> Result<Option<String>> {
    let path = RepoPath::new(claim::FILE)?;
    let (mut claims, lost) = claims(ws, &Side::Worktree, true)?;
    claims.0.insert(suite.to_owned(), claim);
    ws.fs()
        .replace(&ws.on_disk(&path), claims.to_text().as_bytes(), 0o644)?;
    Ok(lost)
}

/// The claims of a side; none is recorded where the file is not there. With `anew` there are none in a file that is
/// damaged either, and why is given back; what a newer mvc wrote, or a merge left, is the user's to decide about.
fn claims(ws: &Workspace, side: &Side, anew: bool) -> Result<(Claims, Option<String>)> {
    let path = RepoPath::new(claim::FILE)?;
    let Some(bytes) = side.regular(ws, &path, claim::LIMIT)? else {
        return Ok((Claims::default(), None));
    };
    match Claims::parse(&bytes) {
        Err(e) if anew && e.kind() == Kind::BadInput => {
            let why = format!("{e}: it is written anew, without the claims that it had");
            Ok((Claims::default(), Some(why)))
        }
        parsed => {
            let claims = parsed.during(|| format!("cannot read {path} of {}", side.name()))?;
            Ok((claims, None))
        }
    }
}
