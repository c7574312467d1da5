//! What a repack would write anew, or wrote.

use super::gc::{amount, count_long};
use super::number;
use crate::base::text::size;
use crate::cli::ui::Ui;
use crate::ops::gc::{Amount, Done, Heights, Repacked};

/// What `mvc gc --repack` says besides what `mvc gc` does.
pub(super) fn repack(ui: &Ui, repack: &Repacked) {
    if repack.packs == 0 {
        ui.print("nothing is to be repacked");
        return;
    }
    let packs = Amount {
        packs: repack.packs,
        bytes: repack.disk,
    };
    let objects = count_long(repack.objects, "object");
    match &repack.done {
        Some(done) => wrote(ui, repack, done),
        None if repack.disturbed => ui.warn(
            "nothing was repacked: other commands wrote meanwhile what it would not fit; run it again",
        ),
        None => {
            ui.print(format!(
                "{} with {objects} would be written anew: `mvc gc --repack --prune` does it",
                amount(packs)
            ));
            chains(ui, "of named versions", &repack.shallow, None);
            chains(ui, "of all", &repack.heights, None);
        }
    }
}

fn wrote(ui: &Ui, repack: &Repacked, done: &Done) {
    ui.print(format!(
        "repacked {} of {} into {}: {} before, {} now; {} coded anew",
        count_long(repack.objects, "object"),
        count_long(repack.packs, "pack"),
        count_long(done.packs, "pack"),
        size(repack.stored),
        size(done.stored),
        match done.recoded {
            1 => "1 was".to_owned(),
            many => format!("{} were", number::count(many)),
        },
    ));
    if done.let_go > 0 {
        ui.print(format!(
            "  {} of no version went, since nothing is written with {} any more",
            count_long(done.let_go, "object"),
            if done.let_go == 1 { "it" } else { "them" }
        ));
    }
    if done.stored > repack.stored && done.shallow != repack.shallow {
        ui.print("  the more bytes are the price of shorter chains");
    }
    let named = Some(&done.shallow);
    chains(ui, "of named versions", &repack.shallow, named);
    chains(ui, "of all", &repack.heights, Some(&done.heights));
}

/// How many objects need how many others: `objects of all, by how many others they need: 0: 12, 1: 40`.
fn chains(ui: &Ui, whose: &str, before: &Heights, after: Option<&Heights>) {
    let all = |heights: &Heights| {
        let each = heights.iter().enumerate().filter(|(_, count)| **count > 0);
        let each = each.map(|(height, count)| format!("{height}: {}", number::count(*count)));
        match each.collect::<Vec<_>>().join(", ") {
            none if none.is_empty() => "none".to_owned(),
            each => each,
        }
    };
    let line = format!(
        "  objects {whose}, by how many others they need: {}",
        all(before)
    );
    ui.print(match after {
        Some(after) if after != before => format!("{line}; now {}", all(after)),
        _ => line,
    });
}
