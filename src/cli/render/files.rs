//! Weights written, removed, left alone or lost; the store and its damage.

use super::gc::amount;
use super::{Cell, Table, number};
use crate::base::text::{count, first_of, size};
use crate::base::{Failure, Kind, RepoPath};
use crate::cli::ui::{Line, Style, Ui};
use crate::cli::{Context, Exit, Outcome};
use crate::ops::materialise::Unrestored;
use crate::ops::{checkout, du, reconcile, verify};

/// What was written and removed.
pub(crate) fn outcome(ui: &Ui, written: &[RepoPath], removed: &[RepoPath], bytes: u64) {
    for path in written {
        ui.print(Line::new().styled(Style::Added, format!("  wrote {path}")));
    }
    for path in removed {
        ui.print(Line::new().styled(Style::Removed, format!("  removed {path}")));
    }
    if !written.is_empty() {
        ui.detail(format!(
            "{} in {}",
            size(bytes),
            count(written.len(), "weights file")
        ));
    }
}

/// Where `mvc checkout` went, and what it wrote.
pub(crate) fn checked_out(ui: &Ui, report: &checkout::Report) {
    ui.print(match &report.branch {
        Some(branch) => format!("on branch {branch}"),
        None => format!("at {}, on no branch", report.commit.short()),
    });
    outcome(ui, &report.written, &report.removed, report.bytes);
    report
        .kept
        .iter()
        .for_each(|path| ui.print(format!("  kept {path}, with its uncommitted changes")));
    if let Some(complaint) = &report.complaint {
        ui.warn(format!("git moved, and then failed: {complaint}"));
    }
}

/// Weights of the version are not in the work tree, although everything that could be done was done.
#[derive(Debug, thiserror::Error)]
#[error("{}", text(unrestored, left))]
struct Incomplete {
    unrestored: Vec<Unrestored>,
    left: Vec<RepoPath>,
}

fn text(unrestored: &[Unrestored], left: &[RepoPath]) -> String {
    let mut parts = Vec::new();
    if !unrestored.is_empty() {
        parts.push(format!(
            "{} could not be restored",
            count(unrestored.len(), "weights file")
        ));
    }
    if !left.is_empty() {
        parts.push(format!(
            "{} changed meanwhile and stayed",
            count(left.len(), "weights file")
        ));
    }
    parts.join(", ")
}

impl Failure for Incomplete {
    fn kind(&self) -> Kind {
        let worst = |kind| self.unrestored.iter().any(|failed| failed.kind == kind);
        match (worst(Kind::Damaged), self.unrestored.first()) {
            (true, _) => Kind::Damaged,
            (false, Some(first)) => first.kind,
            (false, None) => Kind::Changed,
        }
    }

    fn hint(&self) -> Option<String> {
        match self.kind() {
            Kind::Damaged => Some("`mvc verify --all` lists all damage and what it affects".into()),
            Kind::Missing => {
                Some(
                    "copy the folder .git/mvc of a repository that has the objects, or `mvc gc --restore-trash` if gc \
                     took them away; then `mvc restore .`"
                        .into(),
                )
            }
            _ => None,
        }
    }
}

/// Lists what a version lacks and ends in an error; done where it lacks nothing.
pub(crate) fn incomplete(
    context: &Context,
    unrestored: &[Unrestored],
    left: &[RepoPath],
) -> Outcome {
    unrestored
        .iter()
        .for_each(|failed| warn(&context.ui, failed));
    for path in left {
        context
            .ui
            .warn(format!("{path} changed while this ran, and was left alone"));
    }
    match unrestored.is_empty() && left.is_empty() {
        true => Ok(Exit::Done),
        false => Err(Incomplete {
            unrestored: unrestored.to_vec(),
            left: left.to_vec(),
        }
        .into()),
    }
}

fn warn(ui: &Ui, failed: &Unrestored) {
    const SHOWN: usize = 5;
    let mut line = format!("{}: {}", failed.path, failed.problem);
    if !failed.tensors.is_empty() {
        line = format!("{line}: {}", first_of(&failed.tensors, SHOWN, ", "));
    }
    ui.warn(line);
}

/// What was brought in line with changed sidecars: on stderr, since it comes beside another command's answer.
pub(crate) fn reconciled(ui: &Ui, report: &reconcile::Report) {
    for path in &report.written {
        ui.note(format!("mvc: {path} brought in line"));
    }
    for path in &report.removed {
        ui.note(format!("mvc: {path} removed, this version has none"));
    }
    for path in &report.left {
        ui.warn(format!(
            "{path} holds uncommitted changes and was left alone; `mvc status` says more"
        ));
    }
    for (path, problem) in &report.unreadable {
        ui.warn(format!(
            "the sidecar of {path} cannot be followed: {problem}"
        ));
    }
    report.unrestored.iter().for_each(|failed| warn(ui, failed));
    if report.waiting {
        ui.detail("mvc: weights wait until git is done");
    }
}

/// What `mvc verify` found.
pub(crate) fn verify(ui: &Ui, report: &verify::Report) {
    if let Some(repair) = &report.repair {
        repaired(ui, repair);
    }
    for problem in &report.problems {
        let mut line = Line::new()
            .styled(Style::Bad, problem.kind.name())
            .text(format!("  {}", problem.what));
        if let Some(id) = &problem.object {
            line = line.text("  ").styled(Style::Hash, id.short());
        }
        ui.print(line);
        for affected in &problem.affects {
            ui.print(format!("    affects {affected}"));
        }
        match problem.versions.as_slice() {
            [] => {}
            [only] => ui.print(format!("    in version {}", only.short())),
            [newest, ..] => ui.print(format!(
                "    in {}, the newest {}",
                count(problem.versions.len(), "version"),
                newest.short()
            )),
        }
    }
    let what = format!(
        "{} in {}, {} proved",
        count(report.objects, "object"),
        count(report.versions, "version"),
        size(report.bytes)
    );
    match report.problems.len() {
        0 => ui.print(
            Line::new()
                .styled(Style::Good, "good")
                .text(format!("  {what}")),
        ),
        problems => ui.print(format!("{}; {what}", count(problems, "problem"))),
    }
    advise(ui, report);
}

/// What `mvc verify --repair` did.
fn repaired(ui: &Ui, repair: &verify::Repair) {
    for healed in &repair.healed {
        let from = match &healed.from {
            Some(from) => format!("from {from}"),
            None => "with what it is written with".to_owned(),
        };
        ui.print(
            Line::new()
                .styled(Style::Good, "healed")
                .text(format!("  {from}  "))
                .styled(Style::Hash, healed.object.short()),
        );
        for affected in &healed.affects {
            ui.print(format!("    affects {affected}"));
        }
    }
    match repair.indexes.len() {
        0 => {}
        1 => ui.print("made the index of 1 pack anew"),
        many => ui.print(format!("made the indexes of {many} packs anew")),
    }
    if repair.back.packs > 0 {
        ui.print(format!(
            "brought {} back from the trash",
            amount(repair.back)
        ));
    }
    if repair.written.packs > 0 {
        ui.print(format!(
            "wrote {} with what is good of damaged ones",
            amount(repair.written)
        ));
    }
    if repair.trashed.packs > 0 {
        ui.print(format!(
            "put {} that are damaged into the trash",
            amount(repair.trashed)
        ));
    }
    if let Some(why) = &repair.left {
        ui.warn(format!("damaged packs stay where they are: {why}"));
    }
}

/// What to do about what `mvc verify` found.
fn advise(ui: &Ui, report: &verify::Report) {
    let mendable =
        |problem: &verify::Problem| matches!(problem.kind, Kind::Damaged | Kind::Missing);
    if !report.problems.iter().any(mendable) {
        return;
    }
    ui.note(match report.repair {
        None => {
            "`mvc verify --repair` heals what other packs, the trash or the weights files of the work trees still have"
        }
        Some(_) => {
            "what is left needs its bytes from elsewhere: put a weights file that has them into its place in a work \
             tree, or the packs of another copy of the repository into .git/mvc/packs, and run `mvc verify --repair` \
             again"
        }
    });
}

/// What `mvc du` found.
pub(crate) fn usage(ui: &Ui, report: &du::Report) {
    super::why::costs(ui, report);
    let mut table = Table::new()
        .left("version")
        .left("names")
        .right("weights")
        .right("added")
        .left("subject");
    for version in &report.versions {
        table.row([
            Cell::new(Style::Hash, version.commit.short()),
            version.refs.join(" ").into(),
            size(version.raw).into(),
            size(version.added).into(),
            version.subject.as_str().into(),
        ]);
    }
    if !table.is_empty() {
        ui.table(&table);
        ui.print("");
    }
    for version in &report.versions {
        for problem in &version.unreadable {
            ui.warn(format!("{}: {problem}", version.commit.short()));
        }
    }
    let share = match report.raw {
        0 => String::new(),
        raw => format!(
            ", {} of all versions of all weights kept whole ({})",
            number::percent(report.stored as f64 / raw as f64),
            size(raw)
        ),
    };
    let objects = count(
        usize::try_from(report.objects).unwrap_or(usize::MAX),
        "object",
    );
    ui.print(format!(
        "the store holds {objects} in {}{share}",
        size(report.stored)
    ));
}
