//! The commands of a day on a model of 91 MB: MiniLM as published, and its fine-tune.

use crate::peers;
use crate::shell::Shell;
use crate::steps;
use crate::table::{Table, median};
use crate::workload::minilm;

pub(crate) fn run(shell: &Shell, rounds: usize) {
    println!("## everyday\n");
    let Some(models) = minilm() else { return };
    let folders = ["before", "after"].map(|name| shell.fresh(name));
    for (model, folder) in models.iter().zip(&folders) {
        std::fs::copy(model, folder.join("model.safetensors")).expect("copied");
    }
    let peers: Vec<_> = peers::present(shell)
        .into_iter()
        .filter(|peer| peer.large)
        .collect();
    steps::compare(shell, &peers, &folders[0], &folders[1], rounds);
    status(shell, &folders[0], 4 * rounds);
}

/// A status where nothing changed, beside git's own in the same repository.
fn status(shell: &Shell, model: &std::path::Path, rounds: usize) {
    let folder = shell.fresh("side");
    steps::bring(model, &folder);
    shell.run(
        &folder,
        "$MVC init && $MVC track '*.safetensors' && $MVC commit -qm v1 && $MVC status && git status",
        "",
    );
    let (mut ours, mut gits) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let wall = |line| shell.run(&folder, line, "").wall.as_secs_f64() * 1e3;
        ours.push(wall("$MVC status"));
        gits.push(wall("git status"));
    }
    println!("Status of an unchanged repository in ms, median of {rounds}:\n");
    let mut table = Table::new(&["", "status"], 1).beside("git status");
    table.row("mvc status", vec![Some(median(ours))]);
    table.row("git status", vec![Some(median(gits))]);
    table.print();
}
