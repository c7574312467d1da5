//! Claims measured again.

use super::number;
use super::{Cell, Table};
use crate::cli::ui::{Line, Style, Ui};
use crate::ops::Verdict;
use crate::ops::eval::{Measurement, Report};

/// What `mvc eval` measured.
pub(crate) fn report(ui: &Ui, report: &Report) {
    for (index, measurement) in report.measurements.iter().enumerate() {
        if index > 0 {
            ui.print("");
        }
        one(ui, measurement);
    }
}

fn one(ui: &Ui, measurement: &Measurement) {
    let outcome = &measurement.outcome;
    let (style, word) = match outcome.verdict {
        Verdict::Pass if measurement.recorded => (Style::Good, "recorded"),
        Verdict::Pass => (Style::Good, "pass"),
        Verdict::Fail => (Style::Bad, "FAIL"),
        Verdict::CannotCompare => (Style::Changed, "cannot compare"),
    };
    let what = format!(
        "  {}: {} on {}",
        measurement.version, measurement.model, measurement.suite
    );
    let rows = match measurement.rows {
        0 => String::new(),
        rows => format!(", {} rows", number::count(rows)),
    };
    ui.print(Line::new().styled(style, word).text(what).text(rows));
    for reason in &outcome.reasons {
        ui.print(format!("  {reason}"));
    }
    if !outcome.rows.is_empty() {
        ui.table(&rows_of(measurement).indent(2));
    }
    outcome
        .notes
        .iter()
        .for_each(|note| ui.note(format!("  note: {note}")));
}

fn rows_of(measurement: &Measurement) -> Table {
    let value = |number: Option<f64>| number.map_or("-".to_owned(), number::metric);
    let mut table = Table::new()
        .left("metric")
        .right("claimed")
        .right("measured")
        .right("difference")
        .right("tolerance")
        .left("");
    for row in &measurement.outcome.rows {
        let (style, word) = match row.within {
            Some(true) => (Style::Good, "ok"),
            Some(false) => (Style::Bad, "outside"),
            None => (Style::Plain, ""),
        };
        let gate = match &row.gate {
            Some((gate, true)) => format!("{word} {gate} holds"),
            Some((gate, false)) => format!("{word} {gate} does not hold"),
            None => word.to_owned(),
        };
        table.row([
            row.metric.as_str().into(),
            value(row.claimed).into(),
            value(row.measured).into(),
            row.difference.map_or(String::new(), number::rough).into(),
            row.claimed
                .map_or(String::new(), |_| number::rough(row.tolerance))
                .into(),
            Cell::new(style, gate.trim()),
        ]);
    }
    table
}
