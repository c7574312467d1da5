//! A file that no list names is a file that never runs.

use std::path::Path;

use super::source::is_rust;
use crate::support::{files_below, text_of};

/// Where the module that declares a file lives: main.rs for those beside it, else the parent's file.
fn declared_in(path: &Path) -> Vec<std::path::PathBuf> {
    let folder = path.parent().expect("below tests");
    let up = match path.ends_with("mod.rs") {
        true => folder.parent().expect("below tests"),
        false => folder,
    };
    match up == Path::new("tests") {
        true => vec!["tests/main.rs".into()],
        false => vec![up.join("mod.rs"), up.with_extension("rs")],
    }
}

#[test]
fn every_test_file_is_a_module() {
    let elsewhere = ["tests/main.rs", "tests/bench", "tests/fuzz"];
    for path in files_below("tests")
        .into_iter()
        .filter(|path| is_rust(path))
    {
        if elsewhere.iter().any(|other| path.starts_with(other)) {
            continue;
        }
        let name = match path.ends_with("mod.rs") {
            true => path.parent().and_then(Path::file_name),
            false => path.file_stem(),
        };
        let line = format!(
            "mod {};",
            name.and_then(|name| name.to_str()).expect("a name")
        );
        let lists = declared_in(&path);
        let listed = lists
            .iter()
            .filter(|list| crate::support::root().join(list).is_file())
            .any(|list| text_of(list).contains(&line));
        assert!(
            listed,
            "{} is not listed: `{line}` is missing in {lists:?}",
            path.display()
        );
    }
}

#[test]
fn every_command_is_listed() {
    let tree = text_of("src/cli/mod.rs");
    for path in files_below("src/cli/cmd") {
        let name = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .expect("a name");
        let listed = name == "mod" || tree.contains(&format!("cmd::{name}::run"));
        // A command of several files is a folder; its parts are its own business.
        let nested = path.components().count() > 4;
        assert!(
            listed || nested,
            "{}: no command of src/cli/mod.rs runs it",
            path.display()
        );
    }
}
