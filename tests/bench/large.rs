//! A made-up language model of 2 GiB in BF16, in two shards, and its fine-tune.

mod make;

use crate::peers;
use crate::shell::Shell;
use crate::steps;

/// No more rounds than this.
const ROUNDS: usize = 3;

pub(crate) fn run(shell: &Shell, mib: usize, rounds: usize) {
    println!("## large, {mib} MiB\n");
    let folders = ["before", "after"].map(|name| shell.fresh(name));
    make::write(mib, &folders);
    let peers: Vec<_> = peers::present(shell)
        .into_iter()
        .filter(|peer| peer.large)
        .collect();
    // Each takes minutes.
    let rounds = rounds.min(ROUNDS);
    steps::compare(shell, &peers, &folders[0], &folders[1], rounds);
    for folder in folders {
        let _ = std::fs::remove_dir_all(folder);
    }
}
