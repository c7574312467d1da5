//! Versions, what they hold, and how their metrics moved.

use super::number;
use super::{Cell, Table};
use crate::base::text::{count, size};
use crate::cli::ui::{Line, Style, Ui};
use crate::ops::log;
use crate::ops::metrics::Moved;
use crate::ops::show::{Tensor, Version, Weights};
use crate::ops::status::What;
use crate::ops::{CommitInfo, Label};

/// A version in one line.
pub(crate) fn one_line(ui: &Ui, version: &log::Version) {
    let commit = &version.commit;
    let line = Line::new()
        .styled(Style::Changed, commit.id.short())
        .text(" ");
    ui.print(labels(line, &commit.labels).text(&commit.subject));
}

/// Versions as `mvc log` lists them.
pub(crate) fn versions(ui: &Ui, report: &log::Report) {
    for (index, listed) in report.versions.iter().enumerate() {
        if index > 0 {
            ui.print("");
        }
        version(ui, listed);
    }
}

fn version(ui: &Ui, version: &log::Version) {
    head(ui, &version.commit);
    for (path, what) in &version.weights {
        let (style, word) = match what {
            What::New => (Style::Added, "new"),
            What::Deleted => (Style::Removed, "removed"),
            What::Modified | What::Conflict | What::Unstaged | What::Mode => {
                (Style::Changed, "changed")
            }
        };
        ui.print(Line::new().styled(style, format!("    {word} {path}")));
    }
    if !version.metrics.is_empty() {
        let moved = version.metrics.iter().any(|moved| moved.before.is_some());
        ui.table(&metrics(&version.metrics, moved).indent(4));
    }
    if let Some(problem) = &version.unreadable {
        ui.warn(format!("{}: {problem}", version.commit.id.short()));
    }
}

fn head(ui: &Ui, commit: &CommitInfo) {
    let line = Line::new()
        .styled(Style::Changed, format!("commit {}", commit.id))
        .text(" ");
    ui.print(labels(line, &commit.labels).trimmed());
    ui.print(format!(
        "Author: {} <{}>",
        commit.author.name, commit.author.email
    ));
    ui.print(format!(
        "Date:   {}",
        date(commit.time.seconds, commit.time.offset)
    ));
    ui.print("");
    ui.print(format!("    {}", commit.subject));
    let body = commit.body.trim();
    if !body.is_empty() {
        ui.print("");
        body.lines()
            .for_each(|line| ui.print(format!("    {line}")));
    }
    ui.print("");
}

/// A moment as git prints it: `Mon Nov 23 22:28:00 2026 +0100`.
fn date(seconds: i64, offset: i32) -> String {
    let zone = jiff::tz::Offset::from_seconds(offset).unwrap_or(jiff::tz::Offset::UTC);
    match jiff::Timestamp::from_second(seconds) {
        Ok(moment) => moment
            .to_zoned(zone.to_time_zone())
            .strftime("%a %b %e %H:%M:%S %Y %z")
            .to_string(),
        Err(_) => format!("{seconds} seconds after 1970"),
    }
}

fn labels(line: Line, labels: &[Label]) -> Line {
    if labels.is_empty() {
        return line;
    }
    let names: Vec<&str> = labels.iter().map(|label| label.name.as_str()).collect();
    line.styled(Style::Hint, format!("({})", names.join(", ")))
        .text(" ")
}

/// Metrics, and where `moved` how they did.
pub(crate) fn metrics(list: &[Moved], moved: bool) -> Table {
    let value = |number: Option<f64>| number.map_or("-".to_owned(), number::metric);
    if !moved {
        let mut table = Table::new().left("metric").right("value");
        for metric in list {
            table.row([metric.name.as_str().into(), value(metric.after).into()]);
        }
        return table;
    }
    let mut table = Table::new()
        .left("metric")
        .right("before")
        .right("after")
        .right("change")
        .left("");
    for metric in list {
        let (style, word) = match metric.better {
            Some(true) => (Style::Good, "better"),
            Some(false) => (Style::Bad, "worse"),
            None => (Style::Plain, ""),
        };
        let change = match (metric.before, metric.after) {
            (Some(a), Some(b)) if a != b => {
                format!("{}{}", if b > a { "+" } else { "" }, number::metric(b - a))
            }
            _ => String::new(),
        };
        table.row([
            metric.name.as_str().into(),
            value(metric.before).into(),
            value(metric.after).into(),
            Cell::new(style, change),
            Cell::new(style, word),
        ]);
    }
    table
}

/// A version as `mvc show` shows it.
pub(crate) fn show_version(ui: &Ui, version: &Version) {
    head(ui, &version.commit);
    if !version.weights.is_empty() {
        let mut table = Table::new()
            .left("weights")
            .left("format")
            .right("tensors")
            .right("parameters")
            .right("size")
            .left("weights id");
        for file in &version.weights {
            table.row([
                file.path.as_str().into(),
                file.format.into(),
                number::count(file.tensors.len() as u64).into(),
                number::count(file.parameters).into(),
                size(file.bytes).into(),
                Cell::new(Style::Hash, file.weights_id.short()),
            ]);
        }
        ui.table(&table);
    }
    let values: Vec<Moved> = version
        .metrics
        .iter()
        .map(|(name, value)| Moved {
            name: name.clone(),
            before: None,
            after: Some(*value),
            better: None,
        })
        .collect();
    if !values.is_empty() {
        ui.print("");
        ui.table(&metrics(&values, false));
    }
    for problem in &version.unreadable {
        ui.warn(problem.as_str());
    }
    for (suite, claim) in &version.claims.0 {
        ui.print("");
        ui.print(
            Line::new()
                .styled(Style::Heading, format!("claim of {suite}"))
                .text(format!(
                    ", measured on {}",
                    count(usize::try_from(claim.rows).unwrap_or(usize::MAX), "row")
                )),
        );
        let values: Vec<Moved> = claim
            .metrics
            .iter()
            .map(|(name, value)| Moved {
                name: name.clone(),
                before: None,
                after: Some(*value),
                better: None,
            })
            .collect();
        ui.table(&metrics(&values, false).indent(2));
    }
}

/// The tensors of a weights file.
pub(crate) fn show_weights(ui: &Ui, weights: &Weights) {
    let mut table = Table::new()
        .left("tensor")
        .left("dtype")
        .left("shape")
        .left("object");
    for tensor in &weights.tensors {
        table.row([
            tensor.name.as_str().into(),
            tensor.dtype.name().into(),
            shape(&tensor.shape).into(),
            Cell::new(Style::Hash, tensor.id.short()),
        ]);
    }
    ui.table(&table);
    ui.print("");
    ui.print(format!(
        "{}, {} parameters, {}, weights id {}",
        count(weights.tensors.len(), "tensor"),
        number::count(weights.parameters),
        size(weights.bytes),
        weights.weights_id
    ));
}

/// One tensor.
pub(crate) fn show_tensor(ui: &Ui, tensor: &Tensor) {
    let (named, stats) = (&tensor.named, &tensor.stats);
    let mut table = Table::new().left("").right("");
    let mut row = |name: &str, value: String| {
        table.row([name.into(), value.into()]);
    };
    row("tensor", named.name.clone());
    row("dtype", named.dtype.to_string());
    row("shape", shape(&named.shape));
    row("object", named.id.to_string());
    if !stats.numeric {
        row("bytes", number::count(stats.elements));
        row("figures", format!("none: {} is not decoded", named.dtype));
    } else {
        row("elements", number::count(stats.elements));
        row("L2 norm", number::rough(stats.l2_b));
        row("zeros", number::count(stats.zeros_b));
        row("NaN", number::count(stats.nan_b));
        row("infinite", number::count(stats.inf_b));
    }
    ui.table(&table);
}

/// Sides joined by `x`; a scalar has none.
pub(crate) fn shape(shape: &[u64]) -> String {
    match shape {
        [] => "scalar".to_owned(),
        sides => sides
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("x"),
    }
}
