//! `cli -> ops -> {repo, store, model, eval, remote} -> base`, and each outside crate in one place.

use super::source::{Source, line_of, places, sources};

/// Which layers each layer may use besides itself.
const ARROWS: [(&str, &[&str]); 8] = [
    ("base", &[]),
    ("repo", &["base"]),
    ("store", &["base"]),
    ("model", &["base"]),
    ("eval", &["base", "model"]),
    ("remote", &["base"]),
    ("ops", &["base", "repo", "store", "model", "eval", "remote"]),
    ("cli", &["base", "ops"]),
];

/// Outside crates and the only place that uses each.
const FENCES: [(&str, &str); 15] = [
    ("anstream", "src/cli"),
    ("anstyle", "src/cli"),
    ("blake3", "src/base/id.rs"),
    ("candle_core", "src/eval"),
    ("candle_nn", "src/eval"),
    ("candle_transformers", "src/eval"),
    ("clap", "src/cli"),
    ("clap_complete", "src/cli"),
    ("comfy_table", "src/cli"),
    ("crossbeam_channel", "src/store"),
    ("fastcdc", "src/store"),
    ("gix", "src/repo"),
    ("indicatif", "src/cli"),
    ("zstd", "src/store/codec"),
    ("snapbox", "tests"),
];

/// What writes to the disk, and the only files that may: the seam, and locks, which the kernel keeps.
const WRITES: [&str; 15] = [
    "File::create",
    "File::create_new",
    "File::options",
    "OpenOptions",
    "fs::copy",
    "fs::create_dir",
    "fs::create_dir_all",
    "fs::hard_link",
    "fs::remove_dir",
    "fs::remove_dir_all",
    "fs::remove_file",
    "fs::rename",
    "fs::set_permissions",
    "fs::write",
    "unix::fs::symlink",
];
const WRITERS: [&str; 2] = ["src/base/fs.rs", "src/base/lock.rs"];

/// A problem at a place in one of the two parts of a file.
fn report(source: &Source, code: &str, at: usize, problem: &str) -> String {
    let above = match std::ptr::eq(code, source.tests.as_str()) {
        true => source.ships.matches('\n').count(),
        false => 0,
    };
    format!("{}:{}: {problem}", source.name(), above + line_of(code, at))
}

/// The layers that a piece of code names: what follows `crate::`, in braces or not.
fn layers_named(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for at in places(code, "crate") {
        let Some(rest) = code[at..].strip_prefix("crate::") else {
            continue;
        };
        match rest.strip_prefix('{') {
            None => found.push((at, first_name(rest))),
            Some(list) => found.extend(top_level(list).into_iter().map(|name| (at, name))),
        }
    }
    found
}

/// The first names of the parts of a `{a::b, c::{d, e}}` list, its opening brace gone.
fn top_level(list: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.push(first_name(list[start..at].trim()));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn first_name(path: &str) -> String {
    path.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

#[test]
fn names_in_paths_and_lists_are_found() {
    let code = "use crate::base::{Fs, Kind};\nuse crate::{\n    model::{a, b},\n    store,\n};\npub(crate) fn x() { crate::ops::y() }";
    let names: Vec<_> = layers_named(code)
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    assert_eq!(names, ["base", "model", "store", "ops"]);
}

#[test]
fn layers_only_use_what_is_below_them() {
    let mut problems = Vec::new();
    for source in sources() {
        let layer = source.layer();
        if layer.is_empty() {
            continue;
        }
        let Some((_, below)) = ARROWS.iter().find(|(name, _)| *name == layer) else {
            problems.push(format!("{}: `{layer}` is no layer", source.name()));
            continue;
        };
        for code in [&source.ships, &source.tests] {
            for (at, name) in layers_named(code) {
                if name != layer && !below.contains(&name.as_str()) {
                    problems.push(report(
                        &source,
                        code,
                        at,
                        &format!("`{layer}` may not use `{name}`"),
                    ));
                }
            }
        }
        // `super::` as often as the file is deep is the crate itself, past the check above.
        let depth =
            source.path.components().count() - 1 - usize::from(source.path.ends_with("mod.rs"));
        let out = "super::".repeat(depth);
        if let Some(at) = source.ships.find(&out) {
            problems.push(report(
                &source,
                &source.ships,
                at,
                "leaves its layer by `super::`",
            ));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn outside_crates_stay_in_their_place() {
    let mut problems = Vec::new();
    for source in sources() {
        for code in [&source.ships, &source.tests] {
            for (name, home) in FENCES
                .iter()
                .filter(|(_, home)| !source.path.starts_with(home))
            {
                let used = |at: &usize| {
                    let before = &code[..*at];
                    let after = &code[at + name.len()..];
                    (after.starts_with("::") && !before.ends_with("::")) || before.ends_with("use ")
                };
                for at in places(code, name).filter(used) {
                    problems.push(report(
                        &source,
                        code,
                        at,
                        &format!("`{name}` belongs to {home}"),
                    ));
                }
            }
        }
        let starts_git = source
            .ships
            .find("Command::new(\"git\")")
            .filter(|_| source.layer() != "repo");
        if let Some(at) = starts_git {
            problems.push(report(
                &source,
                &source.ships,
                at,
                "the git program is run by src/repo alone",
            ));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_disk_is_written_through_the_seam_alone() {
    let mut problems = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| !WRITERS.contains(&source.name().as_str()))
    {
        for call in WRITES {
            for at in places(&source.ships, call) {
                problems.push(report(
                    source,
                    &source.ships,
                    at,
                    &format!("`{call}`: writes go through base::Fs"),
                ));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
