//! A commit of one changed tensor, in a store of a thousand objects and in one of a million.

use std::path::Path;

use mvc::base::Fs;
use mvc::base::progress::Silent;
use mvc::store::{Element, PutItem, Store};

use crate::random::Random;
use crate::shell::Shell;
use crate::table::{Table, median};
use crate::tensors::{Tensor, write};

const COUNTS: [u64; 2] = [1_000, 1_000_000];

pub(crate) fn run(shell: &Shell, rounds: usize) {
    println!("## objects\n");
    let names = ["few", "many"];
    let mut numbers = [(); 8].map(|()| Vec::new());
    for (name, count) in names.into_iter().zip(COUNTS) {
        let folder = shell.fresh(name);
        model(&folder, 0);
        shell.run(
            &folder,
            "$MVC init && $MVC track '*.safetensors' && $MVC commit -qm first",
            "",
        );
        fill(&folder.join(".git/mvc"), count);
    }
    for round in 1..=rounds {
        for (at, name) in names.iter().enumerate() {
            let folder = shell.home().join(name);
            model(&folder, round as u64);
            let commit = shell.time(&folder, "$MVC commit -qm $V", "next");
            let status = shell.run(&folder, "$MVC status", "");
            let back = shell.time(&folder, "$MVC checkout -q HEAD~1", "");
            shell.run(&folder, "git switch -q -", "");
            let costs = [commit, status, back];
            for (column, cost) in costs.iter().enumerate() {
                numbers[at * 4 + column].push(cost.wall.as_secs_f64() * 1e3);
            }
            numbers[at * 4 + 3].push(commit.memory as f64 / 1048576.0);
        }
    }
    println!("One changed tensor of 4 KiB, walls in ms, median of {rounds}:\n");
    let mut table = Table::new(
        &["objects", "commit", "status", "checkout", "commit, MiB"],
        1,
    );
    for (at, count) in COUNTS.iter().enumerate() {
        let row = numbers[at * 4..][..4].iter();
        table.row(
            &count.to_string(),
            row.map(|all| Some(median(all.clone()))).collect(),
        );
    }
    table.print();
    for name in names {
        let _ = std::fs::remove_dir_all(shell.home().join(name));
    }
}

/// A hundred tensors, of which the first is another one for every seed.
fn model(folder: &Path, seed: u64) {
    let tensors: Vec<Tensor> = (0..100)
        .map(|at| {
            let mut random = Random(if at == 0 { seed << 32 } else { at });
            let numbers: Vec<f32> = (0..1024).map(|_| random.normal() * 0.02).collect();
            Tensor::of_f32(&format!("layer.{at}.weight"), vec![32, 32], &numbers)
        })
        .collect();
    write(&folder.join("model.safetensors"), &tensors);
}

/// Puts so many tiny objects into the store.
fn fill(store: &Path, count: u64) {
    let bytes: Vec<u8> = (0..count).flat_map(u64::to_le_bytes).collect();
    let items: Vec<PutItem<'_>> = (0..count)
        .map(|at| PutItem {
            source: &bytes,
            offset: 8 * at,
            len: 8,
            element: Element::Bytes,
            expect: None,
            bases: Vec::new(),
            numbers: None,
            fields: None,
        })
        .collect();
    let store = Store::open(Fs::new(), store).expect("a store");
    let mut writer = store.writer().expect("a writer");
    writer.put_all(&items, &Silent).expect("put");
    writer.finish().expect("published");
}
