//! A model and its fine-tune through every tool: a first commit, the commit of the fine-tune, a checkout of either.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::peers::{Peer, stored};
use crate::shell::{Cost, Shell};
use crate::table::{Table, median};

/// What is measured of one tool: costs of each step, round by round, and sizes of its store.
#[derive(Default)]
struct Measured {
    steps: [Vec<Cost>; 4],
    sizes: [u64; 2],
}

/// Measures and prints. The tools take turns, so that a machine that gets slower does so for all of them, and each
/// round begins with another one: the first to write gigabytes may meet memory that is not there yet.
pub(crate) fn compare(shell: &Shell, peers: &[&Peer], before: &Path, after: &Path, rounds: usize) {
    let mut measured: Vec<Measured> = peers.iter().map(|_| Measured::default()).collect();
    for round in 0..rounds {
        for turn in 0..peers.len() {
            let at = (turn + round) % peers.len();
            measure(shell, peers[at], before, after, &mut measured[at]);
        }
    }
    let head = [
        "",
        "first commit",
        "commit of the fine-tune",
        "checkout of the first",
        "checkout of the fine-tune",
    ];
    let print = |caption: &str, digits, number: &dyn Fn(&Cost) -> f64| {
        println!("{caption}, median of {rounds}:\n");
        let mut table = Table::new(&head, digits);
        for (peer, measured) in peers.iter().zip(&measured) {
            let steps = measured.steps.iter().map(|costs| {
                (!costs.is_empty()).then(|| median(costs.iter().map(number).collect()))
            });
            table.row(peer.name, steps.collect());
        }
        table.print();
    };
    print("Wall time in s", 3, &|cost| cost.wall.as_secs_f64());
    print("Peak private memory in MiB", 0, &|cost| {
        cost.memory as f64 / 1048576.0
    });
    println!("Store in MB:\n");
    let mut table = Table::new(&["", "after the first commit", "after both"], 1);
    for (peer, measured) in peers.iter().zip(&measured) {
        if measured.sizes[1] > 0 {
            let sizes = measured.sizes.map(|size| Some(size as f64 / 1e6));
            table.row(peer.name, sizes.to_vec());
        }
    }
    table.print();
}

fn measure(shell: &Shell, peer: &Peer, before: &Path, after: &Path, measured: &mut Measured) {
    let folder = shell.fresh("side");
    let work = folder.join("work");
    std::fs::create_dir(&work).expect("made");
    bring(before, &work);
    shell.run(&work, peer.init, "");
    let empty = stored(&folder);
    for (at, (version, model)) in [("v1", before), ("v2", after)].into_iter().enumerate() {
        bring(model, &work);
        measured.steps[at].push(shell.time(&work, peer.commit, version));
        shell.run(&work, peer.tag, version);
        measured.sizes[at] = stored(&folder) - empty;
    }
    if peer.checkout.is_empty() {
        return;
    }
    for (at, (version, model)) in [("v1", before), ("v2", after)].into_iter().enumerate() {
        measured.steps[2 + at].push(shell.time(&work, peer.checkout, version));
        assert!(same(model, &work), "{} gave other bytes", peer.name);
    }
    let _ = std::fs::remove_dir_all(folder);
}

/// Copies a model's files into the work folder.
pub(crate) fn bring(model: &Path, work: &Path) {
    for entry in std::fs::read_dir(model).expect("a model").flatten() {
        std::fs::copy(entry.path(), work.join(entry.file_name())).expect("copied");
    }
}

/// True if the work folder holds a model's files as they are.
pub(crate) fn same(model: &Path, work: &Path) -> bool {
    let mut files = std::fs::read_dir(model).expect("a model").flatten();
    files.all(|entry| {
        let pair = [entry.path(), work.join(entry.file_name())];
        let [mut a, mut b] = pair.map(|path| File::open(path).expect("a file"));
        let (mut left, mut right) = (vec![0; 1 << 20], vec![0; 1 << 20]);
        loop {
            let len = a.read(&mut left).expect("readable");
            match len {
                0 => return b.read(&mut right).expect("readable") == 0,
                _ if b.read_exact(&mut right[..len]).is_err() => return false,
                _ if left[..len] != right[..len] => return false,
                _ => {}
            }
        }
    })
}
