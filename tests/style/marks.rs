//! What no file may hold.

use super::source::{is_rust, line_of, places, sources, without_comments};
use crate::support::{files_below, text_of};

/// Lines that a file may have before it must say, in its first comment, why it is longer.
const LIMIT: usize = 500;

#[test]
fn files_are_short() {
    let too_long: Vec<_> = ["src", "tests"]
        .into_iter()
        .flat_map(files_below)
        .filter(|path| is_rust(path))
        .map(|path| (text_of(&path), path))
        .filter(|(text, _)| text.lines().count() > LIMIT)
        .filter(|(text, _)| {
            !text
                .lines()
                .take_while(|line| line.starts_with("//"))
                .any(|line| line.contains("long because"))
        })
        .map(|(text, path)| {
            format!(
                "{}: {} lines; split it, or say in its first comment \"long because\"",
                path.display(),
                text.lines().count()
            )
        })
        .collect();
    assert!(too_long.is_empty(), "{}", too_long.join("\n"));
}

#[test]
fn open_ends_have_an_issue() {
    let marks = [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["XX", "X"].concat(),
    ];
    let mut problems = Vec::new();
    for path in ["src", "tests", "docs", ".ci"]
        .into_iter()
        .flat_map(files_below)
    {
        let Ok(text) =
            String::from_utf8(std::fs::read(crate::support::root().join(&path)).expect("readable"))
        else {
            continue;
        };
        for mark in &marks {
            for at in places(&text, mark).filter(|at| !text[at + mark.len()..].starts_with("(#")) {
                problems.push(format!(
                    "{}:{}: a bare {mark}; write {mark}(#issue)",
                    path.display(),
                    line_of(&text, at)
                ));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn lints_are_expected_with_a_reason_and_never_allowed() {
    let mut problems = Vec::new();
    for path in ["src", "tests"]
        .into_iter()
        .flat_map(files_below)
        .filter(|path| is_rust(path))
    {
        let code = without_comments(&text_of(&path));
        for open in ["#[", "#!["] {
            let allow = format!("{open}{}(", ["al", "low"].concat());
            if let Some(at) = code.find(&allow) {
                problems.push(format!(
                    "{}:{}: use #[expect(.., reason = ..)]",
                    path.display(),
                    line_of(&code, at)
                ));
            }
            let expect = format!("{open}{}(", ["exp", "ect"].concat());
            for (at, _) in code.match_indices(&expect) {
                let end = code[at..].find(")]").map_or(code.len(), |end| at + end);
                if !code[at..end].contains("reason") {
                    problems.push(format!(
                        "{}:{}: say the reason",
                        path.display(),
                        line_of(&code, at)
                    ));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn unsafe_code_is_in_files_named_for_it() {
    let named_for_it = |path: &std::path::Path| {
        let stem = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        ["mmap", "simd", "limits"]
            .iter()
            .any(|name| stem.contains(name))
    };
    for source in sources()
        .iter()
        .filter(|source| !named_for_it(&source.path))
    {
        for word in ["unsafe {", "unsafe fn", "unsafe impl"] {
            let found = source.ships.find(word).map(|at| line_of(&source.ships, at));
            assert_eq!(found, None, "{}: {word}", source.name());
        }
    }
}

#[test]
fn files_say_what_they_own() {
    let silent: Vec<_> = sources()
        .into_iter()
        .filter(|source| !source.path.starts_with("src/cli/cmd") && !source.text.starts_with("//!"))
        .map(|source| source.name())
        .collect();
    assert!(
        silent.is_empty(),
        "no `//!` at the top of {}",
        silent.join(", ")
    );
}
