//! Rust files as these tests read them: without comments, split into what ships and what tests it.

use std::path::{Path, PathBuf};

use crate::support::{files_below, text_of};

/// One file below `src`.
pub(crate) struct Source {
    /// From the top of the repository.
    pub(crate) path: PathBuf,
    /// As it is.
    pub(crate) text: String,
    /// Without comments, up to its tests.
    pub(crate) ships: String,
    /// Without comments, its tests: empty where it has none.
    pub(crate) tests: String,
}

impl Source {
    /// The layer it belongs to: the folder below `src`, or `""` for main.rs and lib.rs.
    pub(crate) fn layer(&self) -> &str {
        let mut names = self.path.iter().skip(1).filter_map(|name| name.to_str());
        match (names.next(), names.next()) {
            (Some(layer), Some(_)) => layer,
            // A layer that is a single file, as `src/remote.rs`.
            (Some(file), None) => file
                .strip_suffix(".rs")
                .filter(|name| !matches!(*name, "main" | "lib"))
                .unwrap_or(""),
            (None, _) => "",
        }
    }

    /// The path as text.
    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }
}

/// Every file below `src`.
pub(crate) fn sources() -> Vec<Source> {
    let files: Vec<_> = files_below("src")
        .into_iter()
        .filter(|path| is_rust(path))
        .collect();
    let texts: Vec<_> = files.iter().map(text_of).collect();
    let test_files: Vec<_> = files
        .iter()
        .zip(&texts)
        .flat_map(|(path, text)| test_only_children(path, text))
        .collect();
    let split = |(path, text): (PathBuf, String)| {
        let code = without_comments(&text);
        let start = match test_files
            .iter()
            .any(|file| path.starts_with(file.with_extension("")) || path == *file)
        {
            true => 0,
            false => code.find("#[cfg(test)]\nmod tests {").unwrap_or(code.len()),
        };
        let (ships, tests) = code.split_at(start);
        Source {
            path,
            ships: ships.to_owned(),
            tests: tests.to_owned(),
            text,
        }
    };
    files.into_iter().zip(texts).map(split).collect()
}

pub(crate) fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
}

/// The files of modules that are declared under `#[cfg(test)]`.
fn test_only_children(path: &Path, text: &str) -> Vec<PathBuf> {
    let folder = match path.file_name().and_then(|name| name.to_str()) {
        Some("mod.rs" | "lib.rs" | "main.rs") => path.parent().unwrap_or(path).to_owned(),
        _ => path.with_extension(""),
    };
    let mut found = Vec::new();
    for (mark, _) in text.match_indices("#[cfg(test)]\n") {
        let line = text[mark..].lines().nth(1).unwrap_or_default().trim();
        if let Some((_, name)) = line
            .strip_suffix(';')
            .and_then(|line| line.split_once("mod "))
        {
            found.push(folder.join(format!("{name}.rs")));
        }
    }
    found
}

/// The code without its comments; strings stay, lines keep their number.
pub(crate) fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        // A `//` inside a string is preceded by an odd number of quotes on its line: good enough for our code.
        let comment = line
            .match_indices("//")
            .map(|(at, _)| at)
            .find(|at| line[..*at].matches('"').count().is_multiple_of(2));
        match comment {
            Some(at) => {
                out.push_str(line[..at].trim_end());
                out.push('\n');
            }
            None => out.push_str(line),
        }
    }
    out
}

/// Every place where `word` stands alone, neither part of a longer name nor of a path's tail.
pub(crate) fn places<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let in_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |at| {
            let before = code[..*at].chars().next_back();
            let after = code[at + word.len()..].chars().next();
            !before.is_some_and(in_name) && !after.is_some_and(in_name)
        })
}

/// The line number of a place, for messages.
pub(crate) fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

#[test]
fn comments_go_and_strings_stay() {
    let code = "use a; // b\n/// c\nlet x = \"http://d\"; // e\n";
    assert_eq!(without_comments(code), "use a;\n\nlet x = \"http://d\";\n");
    assert_eq!(places("gix::a agix gix_b gix", "gix").count(), 2);
}

#[test]
fn a_module_of_tests_is_no_shipped_code() {
    let text = "mod a;\n#[cfg(test)]\nmod b;\n#[cfg(test)]\npub(crate) mod c;\n";
    let found = test_only_children(Path::new("src/store/mod.rs"), text);
    assert_eq!(
        found,
        ["src/store/b.rs", "src/store/c.rs"].map(PathBuf::from)
    );
    assert_eq!(
        test_only_children(Path::new("src/x.rs"), "#[cfg(test)]\nmod y;\n"),
        [PathBuf::from("src/x/y.rs")]
    );
}
