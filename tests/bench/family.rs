//! Nine versions of one model, one after the other, into every tool.

mod make;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use crate::bitx::BitX;
use crate::peers::{self, Peer, stored};
use crate::shell::{Cost, Shell};
use crate::steps;
use crate::table::Table;
use crate::tensors::{self, Tensor};
use crate::workload::minilm;

/// What a tool made of the family.
struct Kept {
    name: &'static str,
    /// Bytes that each version added to its store.
    growth: Vec<u64>,
    /// What each commit and each checkout cost; none where they were not made by a program of their own.
    commits: Vec<Cost>,
    checkouts: Vec<Cost>,
}

pub(crate) fn run(shell: &Shell) {
    println!("## family\n");
    let Some([first, second]) = minilm() else {
        return;
    };
    let folder = shell.fresh("family");
    let versions = make::versions(&first, &second, &folder);
    let mut tools = peers::present(shell);
    tools.retain(|peer| !peer.checkout.is_empty());
    let mut all = keep(shell, &tools, &versions);
    all.push(bitx(&versions));
    print(&versions, &all);
    let _ = std::fs::remove_dir_all(folder);
}

/// Every version into every tool and out again. The tools take turns, so that a machine that gets slower does so for
/// all of them.
fn keep(shell: &Shell, peers: &[&Peer], versions: &[(&'static str, PathBuf)]) -> Vec<Kept> {
    let place = |peer: &Peer| {
        let folder = shell.fresh(&format!("family/with {}", peer.name));
        let work = folder.join("work");
        std::fs::create_dir(&work).expect("made");
        shell.run(&work, peer.init, "");
        (folder, work)
    };
    let places: Vec<_> = peers.iter().map(|peer| place(peer)).collect();
    let kept = |peer: &&Peer| Kept {
        name: peer.name,
        growth: Vec::new(),
        commits: Vec::new(),
        checkouts: Vec::new(),
    };
    let mut all: Vec<Kept> = peers.iter().map(kept).collect();
    for (name, model) in versions {
        for ((peer, (folder, work)), kept) in peers.iter().zip(&places).zip(&mut all) {
            steps::bring(model, work);
            let before = stored(folder);
            kept.commits.push(shell.time(work, peer.commit, name));
            shell.run(work, peer.tag, name);
            kept.growth.push(stored(folder) - before);
        }
    }
    for (name, model) in versions {
        for ((peer, (_, work)), kept) in peers.iter().zip(&places).zip(&mut all) {
            kept.checkouts.push(shell.time(work, peer.checkout, name));
            let whole = steps::same(model, work);
            assert!(whole, "{} gave another {name}", peer.name);
        }
    }
    all
}

/// What ZipLLM keeps: a tensor that is there already, once; else its XOR with the first or the latest of its name,
/// dtype and shape, or zstd 3 alone, whichever is shortest. Its own program takes the one that is declared.
fn bitx(versions: &[(&'static str, PathBuf)]) -> Kept {
    let mut coder = BitX::new().expect("zstd");
    let mut known = HashSet::new();
    let mut first: HashMap<String, Tensor> = HashMap::new();
    let mut latest: HashMap<String, Tensor> = HashMap::new();
    let mut growth = Vec::new();
    for (_, model) in versions {
        let mut size = 0;
        for tensor in tensors::read(&model.join("model.safetensors")) {
            let key = format!("{} {} {:?}", tensor.name, tensor.dtype, tensor.shape);
            if known.insert(tensor.bytes.clone()) {
                let alone = zstd::bulk::compress(&tensor.bytes, 3).expect("zstd").len();
                let width = tensor.bytes.len() / tensor.shape.iter().product::<usize>().max(1);
                let bases = [first.get(&key), latest.get(&key)];
                let against = bases.into_iter().flatten().map(|base| {
                    let streams = coder
                        .encode(&tensor.bytes, &base.bytes, width)
                        .expect("zstd");
                    let back = coder.decode(&streams, &base.bytes, width).expect("zstd");
                    assert!(back == tensor.bytes, "other bytes");
                    streams.iter().map(Vec::len).sum()
                });
                size += against.fold(alone, usize::min) as u64;
            }
            first.entry(key.clone()).or_insert_with(|| tensor.clone());
            latest.insert(key, tensor);
        }
        growth.push(size);
    }
    Kept {
        name: "XOR + zstd (BitX)",
        growth,
        commits: Vec::new(),
        checkouts: Vec::new(),
    }
}

fn print(versions: &[(&'static str, PathBuf)], all: &[Kept]) {
    println!("Growth of the store with each version in MB:\n");
    let growth = |kept: &Kept, at: usize| Some(kept.growth[at] as f64 / 1e6);
    by_version(versions, all, 2, &growth);
    println!("Wall time of each commit in s:\n");
    let commit = |kept: &Kept, at: usize| Some(kept.commits.get(at)?.wall.as_secs_f64());
    by_version(versions, all, 2, &commit);
    println!("Wall time of each checkout in s:\n");
    let checkout = |kept: &Kept, at: usize| Some(kept.checkouts.get(at)?.wall.as_secs_f64());
    by_version(versions, all, 2, &checkout);

    println!("All nine, memory being the peak:\n");
    let head = [
        "",
        "store, MB",
        "commits, s",
        "checkouts, s",
        "commit, MiB",
        "checkout, MiB",
    ];
    let mut table = Table::new(&head, 1);
    let wall = |costs: &[Cost]| {
        let seconds = costs.iter().map(|cost| cost.wall.as_secs_f64());
        (!costs.is_empty()).then(|| seconds.sum())
    };
    let memory = |costs: &[Cost]| {
        let peak = costs.iter().map(|cost| cost.memory).max();
        peak.map(|bytes| bytes as f64 / 1048576.0)
    };
    for kept in all {
        let numbers = vec![
            Some(kept.growth.iter().sum::<u64>() as f64 / 1e6),
            wall(&kept.commits),
            wall(&kept.checkouts),
            memory(&kept.commits),
            memory(&kept.checkouts),
        ];
        table.row(kept.name, numbers);
    }
    table.print();
}

/// A table with a row for each version and a column for each tool.
fn by_version(
    versions: &[(&'static str, PathBuf)],
    all: &[Kept],
    digits: usize,
    number: &dyn Fn(&Kept, usize) -> Option<f64>,
) {
    let names = all.iter().map(|kept| kept.name);
    let head: Vec<&str> = ["version"].into_iter().chain(names).collect();
    let mut table = Table::new(&head, digits);
    for (at, (name, model)) in versions.iter().enumerate() {
        let stat = model.join("model.safetensors").metadata().expect("written");
        let row = all.iter().map(|kept| number(kept, at)).collect();
        table.row(&format!("{name}, {:.1} MB", stat.len() as f64 / 1e6), row);
    }
    table.print();
}
