//! How a work tree stands.

use crate::base::text::{count, size};
use crate::cli::ui::{Line, Style, Ui};
use crate::ops::status::{Entry, Report, What};
use crate::ops::{add, commit, hook};

use super::files;

/// One weights file that was added or committed.
pub(crate) fn added(ui: &Ui, file: &add::Added) {
    let word = if file.new { "new" } else { "changed" };
    let what = match file.tensors {
        0 => "as plain bytes".to_owned(),
        tensors => count(tensors, "tensor"),
    };
    let stored = match file.written {
        0 => "nothing new to store".to_owned(),
        written => format!("{} stored", size(written)),
    };
    let line = Line::new().styled(Style::Added, format!("  {word} {}", file.path));
    ui.print(line.text(format!("  {what}, {}, {stored}", size(file.bytes))));
    file.notes
        .iter()
        .for_each(|note| ui.warn(format!("{}: {note}", file.path)));
}

/// What `mvc commit` recorded.
pub(crate) fn committed(ui: &Ui, report: &commit::Report) {
    files::reconciled(ui, &report.reconciled);
    let Some(id) = &report.commit else {
        return ui.print("nothing to commit");
    };
    let branch = report.branch.as_deref().unwrap_or("detached HEAD");
    let line = Line::new()
        .text(format!("[{branch} "))
        .styled(Style::Hash, id.short());
    ui.print(line.text("] ").text(&report.subject));
    report.weights.iter().for_each(|file| added(ui, file));
    report
        .removed
        .iter()
        .for_each(|path| ui.print(Line::new().styled(Style::Removed, format!("  removed {path}"))));
    ui.detail(format!("the store grew by {}", size(report.written)));
}

/// What `mvc status` found.
pub(crate) fn status(ui: &Ui, report: &Report) {
    files::reconciled(ui, &report.reconciled);
    let commit = report.commit.as_deref().map(|id| &id[..id.len().min(12)]);
    ui.print(match (&report.branch, commit) {
        (Some(branch), Some(_)) => format!("on branch {branch}"),
        (Some(branch), None) => format!("on branch {branch}, no versions yet"),
        (None, Some(commit)) => format!("at {commit}, on no branch"),
        (None, None) => "on no branch".to_owned(),
    });
    if let Some(what) = &report.in_progress {
        ui.print(Line::new().styled(Style::Changed, format!("a {what} is in progress")));
    }
    section(
        ui,
        "staged for the next commit",
        &report.staged,
        Style::Added,
    );
    section(
        ui,
        "changed, not staged (`mvc commit` records them, `mvc restore` gives them up)",
        &report.changed,
        Style::Changed,
    );
    if !report.untracked.is_empty() {
        ui.print(Line::new().styled(
            Style::Heading,
            "new weights (`mvc commit` or `mvc add` records them)",
        ));
        report
            .untracked
            .iter()
            .for_each(|path| ui.print(Line::new().styled(Style::Added, format!("  {path}"))));
    }
    if !report.plain.is_empty() {
        ui.print(Line::new().styled(Style::Heading, "other files, as git sees them"));
        for change in &report.plain {
            let letters = match (change.untracked, change.conflict) {
                (true, _) => "??".to_owned(),
                (false, true) => "UU".to_owned(),
                _ => format!(
                    "{}{}",
                    change.staged.unwrap_or(' '),
                    change.unstaged.unwrap_or(' ')
                ),
            };
            ui.print(format!("  {letters} {}", change.path));
        }
    }
    report
        .large
        .iter()
        .for_each(|path| ui.warn(hook::large(path)));
    report
        .warnings
        .iter()
        .for_each(|warning| ui.warn(warning.as_str()));
    if report.is_clean() {
        let what = count(report.clean, "weights file");
        ui.print(format!("nothing to commit, {what} clean"));
    }
}

fn section(ui: &Ui, title: &str, entries: &[Entry], style: Style) {
    if entries.is_empty() {
        return;
    }
    ui.print(Line::new().styled(Style::Heading, title));
    for entry in entries {
        let word = match entry.change {
            What::New => "new",
            What::Modified => "modified",
            What::Deleted => "deleted",
            What::Conflict => "conflict",
            What::Unstaged => "sidecar not staged",
            What::Mode => "mode changed",
        };
        let mut line = Line::new().styled(style, format!("  {word}: {}", entry.path));
        if let Some(pending) = &entry.pending {
            line = line.text(format!("  ({pending})"));
        } else if entry.change == What::Deleted && style == Style::Changed {
            line = line.text("  (`mvc commit -a` records that, `mvc restore` brings it back)");
        }
        ui.print(line);
    }
}
