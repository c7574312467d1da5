//! What nothing needs, and what became of it.

use super::{Cell, Table, number};
use crate::base::text::{count, more, size};
use crate::cli::ui::{Line, Style, Ui};
use crate::ops::gc::{Amount, Fate, Leftovers, Lost, PackFate, Report};

/// So many lost versions are shown.
const SHOWN: usize = 20;

/// What `mvc gc` found and did.
pub(crate) fn report(ui: &Ui, report: &Report) {
    warnings(ui, report);
    packs(ui, report);
    if let Some(repack) = &report.repack {
        super::repack::repack(ui, repack);
    }
    match report.pruned {
        true => done(ui, report),
        false => planned(ui, report),
    }
    ui.print(format!(
        "needed are {} ({} raw) of {} in {}",
        count_long(report.needed, "object"),
        size(report.raw),
        count(report.sidecars, "sidecar"),
        count_long(report.commits, "commit"),
    ));
    if report.leftovers.objects > 0 {
        let Leftovers { objects, bytes } = report.leftovers;
        ui.print(format!(
            "{} ({}) of them {} in no version, and others are written with {}{}",
            number::count(objects),
            size(bytes),
            if objects == 1 { "is" } else { "are" },
            if objects == 1 { "it" } else { "them" },
            match report.repack {
                None => "; `mvc gc --repack` does without where that takes less",
                Some(_) => "",
            }
        ));
    }
    if report.trash.packs > 0 {
        ui.print(format!(
            "the trash holds {}; `mvc gc --restore-trash` brings it back, and `mvc gc --prune` removes what has lain \
             there for {}",
            amount(Amount {
                packs: report.trash.packs,
                bytes: report.trash.bytes
            }),
            number::time(report.grace)
        ));
    }
}

/// What `mvc gc --restore-trash` did.
pub(crate) fn restored(ui: &Ui, back: &Amount) {
    ui.print(match back.packs {
        0 => "the trash is empty".to_owned(),
        _ => format!("brought {} back from the trash", amount(*back)),
    });
}

fn warnings(ui: &Ui, report: &Report) {
    for sidecar in &report.unreadable {
        ui.warn(format!(
            "{} of {} cannot be read ({}); whatever it may name stays",
            sidecar.path, sidecar.of, sidecar.problem
        ));
    }
    if !report.damaged.is_empty() {
        ui.warn(format!(
            "{} needed and damaged, and what holds {} stays; `mvc verify --all` says what it affects",
            is_are(report.damaged.len(), "object"),
            match report.damaged.len() {
                1 => "it",
                _ => "them",
            }
        ));
    }
    if report.missing > 0 {
        let trash = match report.in_trash {
            0 => String::new(),
            there => {
                format!("; {there} in the trash, from which `mvc gc --prune` brings them back")
            }
        };
        ui.warn(format!(
            "{} needed and not in the store{trash}",
            is_are(report.missing, "object")
        ));
    }
    if report.forgotten > 0 {
        ui.detail(format!(
            "git itself has thrown away {} that its reflogs name",
            count_long(report.forgotten, "object")
        ));
    }
}

fn packs(ui: &Ui, report: &Report) {
    let mut table = Table::new()
        .left("pack")
        .right("age")
        .right("size")
        .right("objects")
        .right("unneeded")
        .left("");
    for pack in &report.packs {
        let shown = matches!(pack.fate, Fate::Goes | Fate::Repacked);
        if pack.unneeded == 0 && !shown {
            continue;
        }
        table.row([
            Cell::new(Style::Hash, pack.pack.short()),
            number::time(pack.age).into(),
            size(pack.disk).into(),
            number::count(pack.objects).into(),
            number::count(pack.unneeded).into(),
            fate(pack, report.pruned),
        ]);
    }
    if !table.is_empty() {
        ui.table(&table);
        ui.print("");
    }
}

fn fate(pack: &PackFate, pruned: bool) -> Cell {
    let (style, words) = match (pack.fate, pruned) {
        (Fate::Goes, false) => (Style::Removed, "goes"),
        (Fate::Goes, true) => (Style::Removed, "went"),
        (Fate::Rewritten, false) => (Style::Changed, "is written anew without them"),
        (Fate::Rewritten, true) => (Style::Changed, "was written anew without them"),
        (Fate::Repacked, false) => (Style::Changed, "is repacked"),
        (Fate::Repacked, true) => (Style::Changed, "was repacked"),
        (Fate::Stays, _) => (Style::Plain, "stays"),
        (Fate::Young, _) => (Style::Plain, "stays: it is young"),
    };
    Cell::new(style, words)
}

fn planned(ui: &Ui, report: &Report) {
    lost(ui, &report.lost);
    let freed: u64 = report.packs.iter().map(|pack| pack.freed).sum();
    let all: u64 = report.packs.iter().map(|pack| pack.disk).sum();
    let young: u64 = of(report, Fate::Young)
        .map(|pack| pack.unneeded_bytes)
        .sum();
    match freed {
        0 => ui.print("nothing is to be freed"),
        _ => ui.print(format!(
            "{} of {} can be freed; nothing was done yet: `mvc gc --prune` puts it into the trash",
            size(freed),
            size(all)
        )),
    }
    if young > 0 {
        ui.print(format!(
            "{} more in packs younger than {} that nothing needs",
            size(young),
            number::time(report.grace)
        ));
    }
}

fn of(report: &Report, fate: Fate) -> impl Iterator<Item = &PackFate> {
    report.packs.iter().filter(move |pack| pack.fate == fate)
}

fn lost(ui: &Ui, lost: &[Lost]) {
    if lost.is_empty() {
        return;
    }
    ui.print("weights of commits that nothing leads to:");
    for one in lost.iter().take(SHOWN) {
        let objects = count(one.objects, "object");
        ui.print(
            Line::from("  ")
                .styled(Style::Hash, one.commit.short())
                .text(format!(
                    " {}  {} ({objects}, {})",
                    one.subject,
                    one.path,
                    size(one.bytes)
                )),
        );
        one.tensors
            .iter()
            .for_each(|name| ui.detail(format!("    {name}")));
    }
    if let Some(more) = more(lost.len(), SHOWN) {
        ui.print(format!("  {more}"));
    }
    ui.print("");
}

fn done(ui: &Ui, report: &Report) {
    if report.back.packs > 0 {
        ui.print(format!(
            "brought {} back from the trash, since something in them is needed",
            amount(report.back)
        ));
    }
    if report.written.packs > 0 {
        ui.print(format!(
            "wrote {} with what is needed of others",
            amount(report.written)
        ));
    }
    match report.trashed.packs {
        0 => ui.print("nothing went into the trash"),
        _ => ui.print(
            Line::from("put ")
                .styled(Style::Removed, amount(report.trashed))
                .text(" into the trash"),
        ),
    }
    if report.purged.packs > 0 {
        ui.print(format!(
            "removed {} from the trash for good",
            amount(report.purged)
        ));
    }
    if report.litter > 0 {
        ui.detail(format!(
            "cleared {} of killed commands",
            count(report.litter, "file")
        ));
    }
}

/// Packs and their bytes: `2 packs (1.5 MiB)`.
pub(super) fn amount(amount: Amount) -> String {
    format!(
        "{} ({})",
        count_long(amount.packs, "pack"),
        size(amount.bytes)
    )
}

pub(super) fn count_long(number: u64, noun: &str) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), noun)
}

fn is_are(number: usize, noun: &str) -> String {
    match number {
        1 => format!("{} is", count(number, noun)),
        _ => format!("{} are", count(number, noun)),
    }
}
