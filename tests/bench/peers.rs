//! The tools that mvc is measured beside, and how each of them keeps a version.
//!
//! A line runs in `work`, where the weights lie, with the version's name in `$V`; a tool that keeps its store apart
//! has it in `$STORE`. Each works as its manual says for large files, with its own defaults.

use std::path::Path;

use crate::shell::Shell;

/// A tool.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// Prints its version, and fails where it is missing.
    pub(crate) probe: &'static str,
    pub(crate) init: &'static str,
    pub(crate) commit: &'static str,
    /// Not timed: the name by which `checkout` finds the version again.
    pub(crate) tag: &'static str,
    /// Empty for one that cannot.
    pub(crate) checkout: &'static str,
    /// False for one that is slow with large files without teaching anything.
    pub(crate) large: bool,
}

pub(crate) static PEERS: &[Peer] = &[
    Peer {
        name: "mvc",
        probe: "$MVC --version",
        init: "$MVC init && $MVC track '*.safetensors'",
        commit: "$MVC commit -qm $V",
        tag: "git tag $V",
        checkout: "$MVC checkout -q $V",
        large: true,
    },
    Peer {
        name: "git-lfs",
        probe: "git lfs version",
        init: "git init -q && git lfs install --local && git lfs track '*.safetensors'",
        commit: "git add . && git commit -qm $V",
        tag: "git tag $V",
        checkout: "git checkout -q $V",
        large: true,
    },
    Peer {
        name: "DVC",
        probe: "dvc --version",
        init: "git init -q && dvc init -q && dvc config core.analytics false && dvc config cache.type copy",
        commit: "dvc add -q *.safetensors && git add . && git commit -qm $V",
        tag: "git tag $V",
        checkout: "git checkout -q $V && dvc checkout -q",
        large: true,
    },
    Peer {
        name: "restic",
        probe: "restic version",
        init: "restic init -q",
        commit: "restic backup -q --tag $V *.safetensors",
        tag: "",
        checkout: "restic restore -q latest --tag $V --target .",
        large: true,
    },
    Peer {
        name: "borg",
        probe: "borg --version",
        init: "borg init -e none $STORE",
        commit: "borg create $STORE::$V *.safetensors",
        tag: "",
        checkout: "borg extract $STORE::$V",
        large: true,
    },
    Peer {
        name: "git",
        probe: "git --version",
        init: "git init -q",
        commit: "git add . && git commit -qm $V",
        tag: "git tag $V",
        checkout: "git checkout -q $V",
        large: false,
    },
    Peer {
        name: "zstd -3",
        probe: "zstd --version",
        init: "mkdir $STORE",
        commit: "mkdir $STORE/$V && zstd -3 -q -T0 *.safetensors --output-dir-flat $STORE/$V",
        tag: "",
        checkout: "zstd -dqf $STORE/$V/*.zst --output-dir-flat .",
        large: true,
    },
    Peer {
        name: "cp",
        probe: "cp --version",
        init: "mkdir $STORE",
        commit: "mkdir $STORE/$V && cp *.safetensors $STORE/$V",
        tag: "",
        checkout: "cp $STORE/$V/* .",
        large: true,
    },
    Peer {
        name: "b3sum",
        probe: "b3sum --version",
        init: "",
        commit: "b3sum *.safetensors",
        tag: "",
        checkout: "",
        large: true,
    },
];

/// The one that others are compared with.
pub(crate) const REFERENCE: &str = "git-lfs";

/// Those that are there.
pub(crate) fn present(shell: &Shell) -> Vec<&'static Peer> {
    let there = |peer: &&Peer| shell.ask(peer.probe).is_some();
    PEERS.iter().filter(there).collect()
}

/// Bytes that a tool keeps beside the work folder's own files.
pub(crate) fn stored(folder: &Path) -> u64 {
    ["work/.git", "work/.dvc", "store"]
        .iter()
        .map(|part| bytes_below(&folder.join(part)))
        .sum()
}

fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let sizes = entries.flatten().map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => bytes_below(&entry.path()),
        Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |stat| stat.len()),
        _ => 0,
    });
    sizes.sum()
}
