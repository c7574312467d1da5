//! What happened to a model.

use serde_json::Value;

use super::{Cell, Table, files, history, number};
use crate::base::Dtype;
use crate::base::text::{count, size};
use crate::cli::ui::{Line, Style, Ui};
use crate::ops::diff::Report;
use crate::ops::diff::configs::File;
use crate::ops::diff::weights::{FileChange, Form, Group, Tensor, Weights};

/// Values of a config that are listed.
const VALUES: usize = 20;

/// Layers that are listed beside tensors.
const LAYERS: usize = 40;

/// The longest value of a config that is shown whole.
const VALUE: usize = 60;

/// What `mvc diff` found.
pub(crate) fn report(ui: &Ui, report: &Report, stat: bool) {
    files::reconciled(ui, &report.reconciled);
    let compared = |file: &Weights| file.change == FileChange::Compared;
    if !report.weights.iter().any(compared) {
        let heading = format!("{} -> {}", report.from, report.to);
        ui.print(Line::new().styled(Style::Heading, heading));
    }
    for file in &report.weights {
        weights(ui, file, (&report.from, &report.to), stat);
    }
    if report.same_tensors {
        ui.print("  all files together hold the same tensors as before");
    }
    for config in &report.configs {
        values(ui, config);
    }
    if let Some(problem) = &report.unreadable {
        ui.warn(problem.as_str());
    }
    if !report.metrics.is_empty() {
        ui.print(Line::new().styled(Style::Heading, "metrics"));
        ui.table(&history::metrics(&report.metrics, true).indent(2));
    }
    if !report.differs() && report.weights.is_empty() {
        ui.print(match report.same {
            0 => "  nothing differs".to_owned(),
            same => format!(
                "  nothing differs, {} the same",
                count(same, "weights file")
            ),
        });
    }
}

fn weights(ui: &Ui, file: &Weights, names: (&str, &str), stat: bool) {
    let (style, name) = match (&file.change, &file.before) {
        (FileChange::New, _) => (Style::Added, format!("{} (new)", file.path)),
        (FileChange::Removed, _) => (Style::Removed, format!("{} (removed)", file.path)),
        (FileChange::Renamed, Some(before)) => (
            Style::Changed,
            format!("{} (was {})", file.path, before.path),
        ),
        (FileChange::Compared, _) => (Style::Heading, format!("{} -> {}", names.0, names.1)),
        _ if file.differs => (Style::Changed, file.path.to_string()),
        _ => (Style::Heading, file.path.to_string()),
    };
    let line = Line::new().styled(style, name).text("  ");
    ui.print(line.styled(Style::Heading, &file.verdict.text));
    ui.print(format!("  {}", summary(file)));
    for note in &file.verdict.notes {
        ui.print(Line::new().styled(Style::Changed, format!("  {note}")));
    }
    for note in &file.notes {
        ui.warn(format!("{}: {note}", file.path));
    }
    if file.change == FileChange::New || file.change == FileChange::Removed {
        return;
    }
    if !file.groups.is_empty() && (stat || file.more > 0) {
        layers(ui, file, if stat { usize::MAX } else { LAYERS });
    }
    if !stat && !file.tensors.is_empty() {
        ui.table(&tensors(&file.tensors, ui.width()).indent(2));
        if file.more > 0 {
            let more = count(file.more, "more tensor");
            ui.print(format!(
                "  and {more}; `--top N` lists more, `--tensor GLOB` chooses"
            ));
        }
    }
}

/// How many tensors went which way, and what the file is.
fn summary(file: &Weights) -> String {
    let counts = &file.counts;
    let mut parts = vec![count(counts.total(), "tensor")];
    let told = [
        (counts.same, "same"),
        (counts.changed, "changed"),
        (counts.dtype, "of another dtype"),
        (counts.shape, "of another shape"),
        (counts.renamed, "renamed"),
        (counts.added, "added"),
        (counts.removed, "removed"),
    ];
    let counted = told.iter().filter(|(number, _)| *number > 0);
    parts.extend(counted.map(|(number, word)| format!("{number} {word}")));
    let form = |form: &Form| size(form.bytes);
    parts.push(match (&file.before, &file.after) {
        (Some(a), Some(b)) if a.format != b.format => {
            format!("{} {} -> {} {}", a.format, form(a), b.format, form(b))
        }
        (Some(a), Some(b)) if form(a) != form(b) => format!("{} -> {}", form(a), form(b)),
        (_, Some(one)) | (Some(one), None) => form(one),
        (None, None) => String::new(),
    });
    parts.join(", ")
}

fn layers(ui: &Ui, file: &Weights, most: usize) {
    let mut table = Table::new()
        .left("layer")
        .right("differ")
        .right("of")
        .right("rel L2")
        .right("max |d|")
        .right("cosine")
        .right("changed")
        .indent(2);
    for Group {
        name,
        counts,
        stats,
    } in file.groups.iter().take(most)
    {
        let name = if name.is_empty() {
            "(none)"
        } else {
            name.as_str()
        };
        let mut row = vec![
            Cell::from(name),
            number::count(counts.different() as u64).into(),
            number::count(counts.total() as u64).into(),
        ];
        row.extend(figures(stats.as_ref()));
        table.row(row);
    }
    ui.table(&table);
    let left = file.groups.len().saturating_sub(most);
    let mut rest = Vec::new();
    if left > 0 {
        rest.push(format!("{} that differ", count(left, "more layer")));
    }
    if file.same_groups > 0 {
        rest.push(format!("{} the same", count(file.same_groups, "layer")));
    }
    if !rest.is_empty() {
        ui.print(format!("  {}", rest.join(", ")));
    }
    ui.print("");
}

/// What the columns of figures take, with the spaces between them.
const FIGURES: usize = 44;

/// The tensors; forms are left out where they did not change and would make the names wrap.
fn tensors(list: &[Tensor], width: Option<usize>) -> Table {
    let longest = |text: &dyn Fn(&Tensor) -> usize| list.iter().map(text).max().unwrap_or(0);
    let wide = longest(&|tensor| tensor.change.name.chars().count())
        + longest(&|tensor| form(tensor).len())
        + FIGURES;
    let changed = |tensor: &Tensor| match (&tensor.change.before, &tensor.change.after) {
        (Some(a), Some(b)) => a.dtype != b.dtype || a.shape != b.shape,
        _ => true,
    };
    let forms = width.is_none_or(|width| wide <= width) || list.iter().any(changed);
    let mut table = Table::new().left("tensor");
    if forms {
        table = table.left("form");
    }
    table = table
        .right("rel L2")
        .right("max |d|")
        .right("cosine")
        .right("changed")
        .left("");
    for tensor in list {
        let style = match (&tensor.change.before, &tensor.change.after) {
            (None, _) => Style::Added,
            (_, None) => Style::Removed,
            _ => Style::Changed,
        };
        let mut row = vec![Cell::new(style, &tensor.change.name)];
        row.extend(forms.then(|| form(tensor).into()));
        row.extend(figures(tensor.stats.as_ref()));
        row.push(words(tensor));
        table.row(row);
    }
    table
}

/// The relative L2 change, the largest change, the cosine and the share of changed elements.
fn figures(stats: Option<&crate::ops::diff::Stats>) -> [Cell; 4] {
    let none = || Cell::from("-");
    let Some(stats) = stats else {
        return [none(), none(), none(), none()];
    };
    let changed = number::percent(stats.changed_share()).into();
    if !stats.numeric {
        return [none(), none(), none(), changed];
    }
    [
        stats.rel_l2.map_or("inf".into(), number::rough).into(),
        number::rough(stats.max_abs).into(),
        stats.cosine.map_or_else(none, |c| number::cosine(c).into()),
        changed,
    ]
}

/// Its dtype and shape, and what they were.
fn form(tensor: &Tensor) -> String {
    let change = &tensor.change;
    let one =
        |dtype: &Dtype, shape: &[u64]| format!("{dtype} {}", sides(shape)).trim_end().to_owned();
    match (&change.before, &change.after) {
        (Some(a), Some(b)) => match (a.dtype == b.dtype, a.shape == b.shape) {
            (true, true) => one(&b.dtype, &b.shape),
            (true, false) => format!("{} {} -> {}", b.dtype, sides(&a.shape), sides(&b.shape)),
            (false, true) => {
                let from = one(&a.dtype, &[]);
                format!("{from} -> {}", one(&b.dtype, &b.shape))
            }
            (false, false) => format!("{} -> {}", one(&a.dtype, &a.shape), one(&b.dtype, &b.shape)),
        },
        (None, Some(side)) | (Some(side), None) => one(&side.dtype, &side.shape),
        (None, None) => String::new(),
    }
}

fn sides(shape: &[u64]) -> String {
    let sides: Vec<String> = shape.iter().map(u64::to_string).collect();
    sides.join("x")
}

/// What no column says: a verdict other than that it moved, and what broke.
fn words(tensor: &Tensor) -> Cell {
    let broken = tensor
        .stats
        .as_ref()
        .map_or(0, |stats| stats.new_non_finite);
    let verdict = match tensor.verdict.is_said_by_figures() {
        true => String::new(),
        false => tensor.verdict.words(),
    };
    match (broken, verdict.is_empty()) {
        (0, _) => verdict.into(),
        (broken, empty) => {
            let comma = if empty { "" } else { ", " };
            Cell::new(
                Style::Bad,
                format!("{} new NaN/Inf{comma}{verdict}", number::count(broken)),
            )
        }
    }
}

fn values(ui: &Ui, config: &File) {
    let (style, word) = match config.there {
        (false, _) => (Style::Added, " (new)"),
        (_, false) => (Style::Removed, " (removed)"),
        (true, true) if config.values.is_empty() => (Style::Changed, " (changed)"),
        (true, true) => (Style::Changed, ""),
    };
    ui.print(Line::new().styled(style, format!("{}{word}", config.path)));
    let value = |value: &Option<Value>| match value {
        None => "-".to_owned(),
        Some(value) => short(&value.to_string()),
    };
    for moved in config.values.iter().take(VALUES) {
        let key = if moved.key.is_empty() {
            "(all)"
        } else {
            moved.key.as_str()
        };
        ui.print(
            Line::new()
                .text(format!("  {key}  "))
                .styled(Style::Removed, value(&moved.before))
                .text(" -> ")
                .styled(Style::Added, value(&moved.after)),
        );
    }
    let more = config.more + config.values.len().saturating_sub(VALUES);
    if more > 0 {
        ui.print(format!(
            "  and {}; `--json` lists more",
            count(more, "more value")
        ));
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(VALUE) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
