//! `mvc`: Git for model weights.
//!
//! A version of a model is a git commit. Its weights lie as tensors in a content-addressed store beside git's own;
//! git holds a small text file per weights file, its sidecar, which names them. A claim about a model is attached
//! to its bytes and measured again.
//!
//! # The layers
//!
//! ```text
//! cli  ->  ops  ->  repo | store | model | eval  ->  base
//! ```
//!
//! Siblings do not know each other, except that `eval` may use `model`; [`ops`] joins them. A test holds the walls.
//!
//! | module | owns | on the disk |
//! | --- | --- | --- |
//! | [`base`] | ids, errors, checked paths, configuration, the one way to the disk | reads `mvc.toml` |
//! | [`store`] | bytes in, id out: packs, chunks, codecs | `<git common dir>/mvc/` |
//! | [`model`] | tensors, file formats, sidecars, what changed | the text of `*.mvc` |
//! | [`repo`] | git: revisions, trees, index, commits, hooks | git's own files, the blocks in `.gitignore` and its kin |
//! | [`eval`] | architectures, suites, claims | the text of `mvc.evals.toml` |
//! | [`ops`] | one verb a file | `<git dir>/mvc/state`, weights and sidecars in the work tree |
//! | [`cli`] | arguments, words, colours, exit codes | nothing |
//!
//! The public interface is [`ops`] and [`base`]: an operation takes a [`ops::Workspace`], its options and a
//! [`base::Progress`], and returns a report that can be serialised. The library never prints, never exits, and takes
//! no current folder.

pub mod base;
pub mod cli;
pub mod eval;
pub mod model;
pub mod ops;
pub mod repo;
pub mod store;

/// The readers that the programs of `tests/fuzz` call: no part of the interface.
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing {
    use crate::base::fuzz::Target;

    /// All of them.
    pub fn targets() -> impl Iterator<Item = &'static Target> {
        let base = crate::base::fuzz::TARGETS.iter();
        base.chain(&crate::repo::fuzz::TARGETS)
            .chain(&crate::store::fuzz::TARGETS)
            .chain(&crate::model::fuzz::TARGETS)
            .chain(&crate::eval::fuzz::TARGETS)
            .chain(&crate::ops::fuzz::TARGETS)
    }

    /// Hands the bytes to the reader of this name.
    ///
    /// # Panics
    ///
    /// If no reader has it, or where the reader fails.
    pub fn run(name: &str, bytes: &[u8]) {
        let target = targets().find(|target| target.name == name);
        (target.expect("a reader of that name").run)(bytes);
    }

    #[cfg(test)]
    mod tests {
        use std::collections::BTreeSet;
        use std::path::Path;

        #[test]
        fn each_reader_has_a_program_and_seeds() {
            let known: BTreeSet<_> = super::targets()
                .map(|target| target.name.to_owned())
                .collect();
            assert_eq!(known.len(), super::targets().count(), "names are unique");
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
            let list = std::fs::read_to_string(folder.join("Cargo.toml")).expect("readable");
            let list: toml::Table = list.parse().expect("TOML");
            let programs = list["bin"].as_array().expect("a list");
            let programs = programs
                .iter()
                .filter_map(|program| program["name"].as_str());
            assert_eq!(programs.map(str::to_owned).collect::<BTreeSet<_>>(), known);
            let seeds = std::fs::read_dir(folder.join("seeds")).expect("a folder");
            let seeds = seeds.map(|entry| entry.expect("listed").file_name());
            let seeds: BTreeSet<_> = seeds.filter_map(|name| name.into_string().ok()).collect();
            assert_eq!(seeds, known);
        }
    }
}
