//! The demo's story, step by step.

use super::{files, history, number, status};
use crate::base::text::size;
use crate::cli::ui::{Line, Style, Ui};
use crate::ops::demo::{Answer, Report, Step, Trained};

/// One step: what happens, what a user would type, and what it answered.
pub(crate) fn step(ui: &Ui, step: &Step) {
    if !step.story.is_empty() {
        ui.print("");
        ui.print(Line::new().styled(Style::Heading, &step.story));
    }
    if let Some(command) = &step.command {
        ui.print(Line::new().styled(Style::Hint, format!("$ {command}")));
    }
    answer(ui, &step.answer);
}

fn answer(ui: &Ui, answer: &Answer) {
    match answer {
        Answer::Init(report) => ui.print(format!(
            "made a git repository for weights in {}",
            report.root
        )),
        Answer::Track(report) => report.changed.iter().for_each(|pattern| {
            ui.print(Line::new().text("tracking ").styled(Style::Added, pattern))
        }),
        Answer::Wrote { path, text } => {
            ui.print(format!("added to {path}:"));
            text.lines()
                .for_each(|line| ui.print(format!("  {line}").trim_end()));
        }
        Answer::Trained(trained) => epoch(ui, trained),
        Answer::Eval(report) => super::eval::report(ui, report),
        Answer::Commit(report) => status::committed(ui, report),
        Answer::Tag { name } => ui.print(format!("tagged HEAD as {name}")),
        Answer::Log(report) => history::versions(ui, report),
        Answer::Diff(report) => super::diff::report(ui, report, false),
        Answer::Checkout(report) => files::checked_out(ui, report),
        Answer::Damaged { path, offset } => {
            ui.print(format!("  {path}: one bit flipped in byte {offset}"))
        }
        Answer::Restore(report) => files::outcome(ui, &report.written, &[], report.bytes),
        Answer::Du(report) => files::usage(ui, report),
    }
}

fn epoch(ui: &Ui, trained: &Trained) {
    ui.print(format!(
        "  loss {}, {} of {} test images right, {} of weights",
        number::metric(trained.train_loss),
        trained.correct,
        trained.rows,
        size(trained.bytes)
    ));
}

/// What was shown, and what to try next.
pub(crate) fn end(ui: &Ui, report: &Report) {
    ui.print("");
    ui.print(Line::new().styled(
        Style::Heading,
        format!(
            "{} versions in {}. What to try next:",
            report.versions.len(),
            report.root
        ),
    ));
    let mut table = super::Table::new().left("").left("");
    for next in &report.next {
        table.row([
            super::Cell::new(Style::Hint, format!("$ {}", next.command)),
            next.shows.as_str().into(),
        ]);
    }
    ui.table(&table);
}
