//! What each tensor of a version costs, and why.

use std::collections::BTreeMap;

use super::{Cell, Table, number};
use crate::base::text::{count, first_of, size};
use crate::cli::ui::{Line, Style, Ui};
use crate::ops::du::{Base, Cost, Named, Report, Version};

/// A table for each version of the report.
pub(crate) fn costs(ui: &Ui, report: &Report) {
    for version in &report.versions {
        let Some(costs) = &version.costs else {
            continue;
        };
        ui.print(
            Line::new()
                .styled(Style::Hash, version.commit.short())
                .text(format!(" {}", title(version, costs))),
        );
        let mut files: Vec<_> = costs.iter().map(|cost| &cost.path).collect();
        files.dedup();
        for path in files {
            ui.print(format!("  {path}"));
            let mut table = Table::new()
                .indent(4)
                .left("tensor")
                .right("raw")
                .right("stored")
                .left("codecs")
                .right("height")
                .left("base")
                .left("also in");
            for cost in costs.iter().filter(|cost| cost.path == *path) {
                table.row(row(cost));
            }
            ui.table(&table);
        }
        ui.print("");
    }
}

fn title(version: &Version, costs: &[Cost]) -> String {
    let mut words = version.refs.clone();
    words.push(version.subject.clone());
    // What is there twice is stored once.
    let stored = |all: &mut dyn Iterator<Item = &Cost>| {
        let objects: BTreeMap<_, _> = all.map(|cost| (cost.object, cost.stored)).collect();
        size(objects.values().sum())
    };
    format!(
        "{}: {} in {}, {} of it new",
        words.join(" "),
        size(version.raw),
        stored(&mut costs.iter()),
        stored(&mut costs.iter().filter(|cost| cost.new)),
    )
}

/// So many bases are told of by name: a stack of experts may have hundreds.
const BASES: usize = 4;

fn row(cost: &Cost) -> [Cell; 7] {
    let name = match cost.names.as_slice() {
        [] => Cell::new(Style::Hash, "literal"),
        names => first_of(names, 1, ", ").into(),
    };
    let (codecs, height) = match &cost.problem {
        Some(problem) => (Cell::new(Style::Bad, problem), String::new()),
        None => {
            let height = cost.height.map(|height| height.to_string());
            (
                codecs(cost).into(),
                height.unwrap_or_else(|| "?".to_owned()),
            )
        }
    };
    let mut bases: Vec<String> = cost
        .bases
        .iter()
        .take(BASES)
        .map(|base| self::base(cost, base))
        .collect();
    if let more @ 1.. = cost.bases.len().saturating_sub(BASES) {
        bases.push(count(more, "other"));
    }
    [
        name,
        size(cost.raw).into(),
        size(cost.stored).into(),
        codecs,
        height.into(),
        bases.join(", ").into(),
        also_in(cost).into(),
    ]
}

fn codecs(cost: &Cost) -> String {
    let mut words: Vec<String> = match cost.codecs.len() {
        1 => cost
            .codecs
            .keys()
            .map(|codec| (*codec).to_owned())
            .collect(),
        _ => cost
            .codecs
            .iter()
            .map(|(codec, chunks)| format!("{codec} {}", number::count(*chunks)))
            .collect(),
    };
    if cost.parts > 0 {
        words.push(format!("in {} parts", number::count(cost.parts)));
    }
    words.join(", ")
}

/// What something is written with: the version alone where it is the same tensor of the same file.
fn base(cost: &Cost, base: &Base) -> String {
    let Some(is) = &base.is else {
        return format!("object {}", base.object.short());
    };
    let version = called(&is.version);
    match &is.name {
        Some(name) if is.path == cost.path && cost.names.contains(name) => version,
        Some(name) => format!("{version}:{}:{name}", is.path),
        None => format!("{version}:{}", is.path),
    }
}

fn also_in(cost: &Cost) -> String {
    match cost.also_in.as_slice() {
        [] => String::new(),
        [only] => called(only),
        [newest, others @ ..] => format!("{} and {}", called(newest), count(others.len(), "other")),
    }
}

fn called(version: &Named) -> String {
    match version.refs.first() {
        Some(name) => name.clone(),
        None => version.commit.short(),
    }
}
