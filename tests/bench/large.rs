//! A made-up language model of 2 GiB in BF16, in two shards, and its fine-tune.

mod make;

use crate::peers;
use crate::shell::Shell;
use crate::steps;

pub(crate) fn run(shell: &Shell, mib: usize) {
    println!("## large, {mib} MiB\n");
    let folders = ["before", "after"].map(|name| shell.fresh(name));
    make::write(mib, &folders);
    let peers: Vec<_> = peers::present(shell)
        .into_iter()
        .filter(|peer| peer.large)
        .collect();
    steps::compare(shell, &peers, &folders[0], &folders[1], 1);
    for folder in folders {
        let _ = std::fs::remove_dir_all(folder);
    }
}
