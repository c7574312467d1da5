//! Documents that say what the code says.

use std::fmt::Write;
use std::path::Path;

use mvc::base::Kind;

use crate::support::{Sandbox, assert_file, files_below, root, text_of};

#[test]
fn the_command_reference_is_what_the_program_says() {
    let reference = Sandbox::new().mvc(&["reference"]).ok();
    assert_file("docs/cli.md", &reference.stdout);
}

#[test]
fn the_table_of_exit_codes_is_that_of_kind() {
    let mut table = String::from(
        "| code | kind | meaning |\n| --- | --- | --- |\n| 0 | | done, or the answer is yes |\n",
    );
    for kind in Kind::ALL {
        let _ = writeln!(
            table,
            "| {} | `{}` | {} |",
            kind.exit_code(),
            kind.name(),
            kind.meaning()
        );
    }
    let text = text_of("docs/errors.md");
    let start = text.find("| code |").expect("a table of exit codes");
    let end = start
        + text[start..]
            .find("\n\n")
            .map_or(text.len() - start, |end| end + 1);
    assert_file(
        "docs/errors.md",
        &format!("{}{table}{}", &text[..start], &text[end..]),
    );
}

/// Every page of the project, from the top.
fn pages() -> Vec<std::path::PathBuf> {
    let mut pages = files_below("docs");
    pages.extend(files_below("fixtures"));
    pages.push("README.md".into());
    pages.retain(|page| {
        page.extension().is_some_and(|extension| extension == "md") && root().join(page).is_file()
    });
    pages
}

#[test]
fn links_lead_somewhere() {
    let mut dead = Vec::new();
    for page in pages() {
        let text = prose(&text_of(&page));
        let folder = page.parent().expect("a file");
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = match file {
                "" => page.clone(),
                file => folder.join(file),
            };
            let found = root().join(&file);
            let there = match anchor {
                "" => found.exists(),
                anchor => std::fs::read_to_string(&found)
                    .is_ok_and(|text| anchors(&text).any(|name| name == anchor)),
            };
            if !there {
                dead.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

/// The page without blocks of code.
fn prose(text: &str) -> String {
    text.split("\n```").step_by(2).collect()
}

/// The anchors that a host makes of headings: lower case, spaces to hyphens, punctuation gone.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            title
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
}

#[test]
fn files_that_pages_name_exist() {
    let mut gone = Vec::new();
    for page in pages()
        .into_iter()
        .filter(|page| !page.starts_with("docs/changes"))
    {
        let text = prose(&text_of(&page));
        for name in text.split('`').skip(1).step_by(2) {
            let ours = ["src/", "tests/", "docs/", "fixtures/", ".ci/"]
                .iter()
                .any(|folder| name.starts_with(folder));
            // `src/cli/cmd/NAME.rs` stands for any; `*` too.
            let stands_for_any = name.contains("NAME") || name.contains(['*', ' ']);
            if ours && !stands_for_any && !root().join(Path::new(name)).exists() {
                gone.push(format!("{}: {name}", page.display()));
            }
        }
    }
    assert!(gone.is_empty(), "{}", gone.join("\n"));
}

#[test]
fn pages_of_the_manual_name_no_machine() {
    for page in pages() {
        let text = text_of(&page);
        for place in [["/wo", "rk/"].concat(), ["/ro", "ot/"].concat()] {
            assert!(!text.contains(&place), "{}: {place}", page.display());
        }
    }
}
