//! Tags, branches and hooks.

use super::{Cell, Table};
use crate::cli::ui::{Line, Style, Ui};
use crate::ops::{Branch, HookAction, HookState, HookStatus, HookStep, Tag};

/// All tags.
pub(crate) fn tags(ui: &Ui, tags: &[Tag]) {
    let mut table = Table::new().left("").left("").left("");
    for tag in tags {
        let commit = tag.commit.map_or(String::new(), |commit| commit.short());
        let message = tag
            .message
            .as_deref()
            .and_then(|message| message.lines().next())
            .unwrap_or_default();
        table.row([
            tag.name.as_str().into(),
            Cell::new(Style::Hash, commit),
            message.into(),
        ]);
    }
    match table.is_empty() {
        true => ui.note("no tags yet: `mvc tag v1` names the current version"),
        false => ui.table(&table),
    }
}

/// All branches.
pub(crate) fn branches(ui: &Ui, branches: &[Branch]) {
    for branch in branches {
        let (mark, style) = if branch.current {
            ("* ", Style::Good)
        } else {
            ("  ", Style::Plain)
        };
        let line = Line::new().text(mark).styled(style, &branch.name).text(" ");
        ui.print(line.styled(Style::Hash, branch.commit.short()));
    }
}

/// How the hooks stand.
pub(crate) fn hooks(ui: &Ui, hooks: &[HookStatus]) {
    let mut table = Table::new().left("hook").left("state");
    for hook in hooks {
        let (style, words) = match &hook.state {
            HookState::Installed => (Style::Good, "calls mvc".to_owned()),
            HookState::Outdated => (
                Style::Changed,
                "calls mvc in an old way: `mvc hooks install` renews it".to_owned(),
            ),
            HookState::Missing => (Style::Changed, "not installed".to_owned()),
            HookState::Foreign => (Style::Changed, "there, and does not call mvc".to_owned()),
            HookState::NotExecutable => (
                Style::Bad,
                "not executable, so git does not run it".to_owned(),
            ),
            HookState::Silenced => (
                Style::Bad,
                "silenced: core.hooksPath points elsewhere".to_owned(),
            ),
            HookState::NotComposable(why) => (
                Style::Bad,
                format!("{why}: add `mvc hook {}` to it by hand", hook.hook.name()),
            ),
        };
        table.row([hook.hook.name().into(), Cell::new(style, words)]);
    }
    ui.table(&table);
}

/// True if every hook calls mvc.
pub(crate) fn all_installed(hooks: &[HookStatus]) -> bool {
    hooks.iter().all(|hook| hook.state == HookState::Installed)
}

/// What was done to the hooks.
pub(crate) fn hook_steps(ui: &Ui, steps: &[HookStep]) {
    let mut any = false;
    for line in steps.iter().filter_map(hook_step) {
        any = true;
        ui.print(line);
    }
    if !any {
        ui.print("nothing to change");
    }
}

/// What was done to one hook; nothing is said of one that stayed as it was.
pub(crate) fn hook_step(step: &HookStep) -> Option<Line> {
    let name = step.hook.name();
    let words = match &step.action {
        HookAction::Created => format!("hook {name} made"),
        HookAction::Added => format!("one line added to the hook {name}"),
        HookAction::Updated => format!("the line in the hook {name} renewed"),
        HookAction::Unchanged => return None,
        HookAction::Removed => format!("the line in the hook {name} removed"),
        HookAction::Deleted => format!("hook {name} removed"),
        HookAction::Refused(why) => {
            let line = Line::new().styled(Style::Changed, format!("hook {name} {why}"));
            return Some(line.text(format!(": add `mvc hook {name} \"$@\"` to it by hand")));
        }
    };
    Some(Line::from(words))
}
