//! The commands that the documents show are run, and answer what the documents say.
//!
//! A fence of the language `console` holds commands, lines that begin with `$ `, and what they answer. A fence of
//! `toml` whose first line is `# mvc.toml` is what the reader adds to that file. Both happen in the order of the
//! page, in one sandbox. Other fences are for the eye. `SNAPSHOTS=overwrite` writes the answers anew.

use std::fmt::Write;

use crate::support::sandbox::find;
use crate::support::{Sandbox, Weights, assert_file, output, text_of};

/// What stands for the reader's training: it brings the next weights and their metrics.
const TRAIN: &str = "#!/bin/sh
n=$(cat \"$HOME/epoch\")
cp \"$HOME/epoch-$n.safetensors\" model.safetensors
echo \"{\\\"train_loss\\\": 0.3$((7 - n))}\" > metrics.json
echo $((n + 1)) > \"$HOME/epoch\"
echo \"epoch $n is trained\"
";

/// A folder as a reader has one: a script that trains, what it wrote, the data of a suite, and nothing in git.
fn reader() -> Sandbox {
    let sandbox = Sandbox::new();
    let home = sandbox.home();
    let mut epoch = Weights::seeded(1)
        .f32("fc1.weight", &[64, 16])
        .f32("fc1.bias", &[64])
        .f32("fc2.weight", &[4, 64])
        .f32("fc2.bias", &[4]);
    for n in 1..=4 {
        sandbox.write(home.join(format!("epoch-{n}.safetensors")), epoch.bytes());
        epoch = epoch.trained(4.0 / n as f32);
    }
    let data = Weights::seeded(2)
        .f32("inputs", &[40, 16])
        .i64("labels", &[40], 4);
    sandbox.write("eval.safetensors", data.bytes());
    sandbox.write("train.sh", TRAIN);
    sandbox.write(home.join("epoch"), "1\n");
    sandbox.shell("chmod +x train.sh && ./train.sh");
    sandbox
}

impl Sandbox {
    /// Runs a command line as a reader types it; both outputs in their order.
    fn shell(&self, line: &str) -> String {
        let script = format!("exec 2>&1\n{line}");
        let done = self
            .command(&find("sh"))
            .args(["-c", &script])
            .output()
            .expect("a shell");
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success(), "$ {line}\n{said}");
        said
    }
}

/// What a page becomes when its commands are run: the same text where it is true.
fn run(sandbox: &Sandbox, page: &str, answers: bool) -> String {
    let folder = sandbox.dir().to_string_lossy().into_owned();
    let mut out = String::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let _ = writeln!(out, "{line}");
        let Some(language) = line.strip_prefix("```").filter(|rest| !rest.is_empty()) else {
            continue;
        };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        match (language, block.first()) {
            ("console", _) => {
                for (command, said) in commands(&block) {
                    let _ = writeln!(out, "$ {command}");
                    let mut answer = sandbox.shell(command).replace(&folder, "/home/ada/model");
                    let told = |text: &str| output::redacted(text, &folder);
                    if !answers || told(&answer) == told(&said) {
                        // The hashes of the page are as good as these.
                        answer = said;
                    }
                    out.push_str(&answer);
                }
            }
            ("toml", Some(&"# mvc.toml")) => {
                let added = block[1..].join("\n");
                let before = sandbox.text("mvc.toml");
                sandbox.write("mvc.toml", format!("{before}\n{added}\n"));
                block
                    .iter()
                    .for_each(|line| out.push_str(&format!("{line}\n")));
            }
            _ => block
                .iter()
                .for_each(|line| out.push_str(&format!("{line}\n"))),
        }
        out.push_str("```\n");
    }
    out
}

/// The commands of a block, and what each is said to answer.
fn commands<'a>(block: &[&'a str]) -> Vec<(&'a str, String)> {
    let mut found: Vec<(&str, String)> = Vec::new();
    for line in block {
        match (line.strip_prefix("$ "), found.last_mut()) {
            (Some(command), _) => found.push((command, String::new())),
            (None, Some((_, said))) => {
                let _ = writeln!(said, "{line}");
            }
            (None, None) => panic!("{line:?} answers no command"),
        }
    }
    found
}

#[test]
fn the_guide_is_true() {
    let page = text_of("docs/guide.md");
    assert_file("docs/guide.md", &run(&reader(), &page, true));
}

#[test]
fn the_example_of_the_readme_works() {
    let page = text_of("README.md");
    assert!(page.contains("```console\n$ mvc init"), "an example");
    let sandbox = reader();
    let guide = text_of("docs/guide.md");
    let tables = guide.split("```toml\n# mvc.toml\n").nth(1);
    let tables = tables.and_then(|rest| rest.split("```").next());
    sandbox.write("mvc.toml", format!("mvc = 1\n{}", tables.expect("tables")));
    assert_file("README.md", &run(&sandbox, &page, false));
}

#[test]
fn errors_read_as_their_page_says() {
    let page = text_of("docs/errors.md");
    let sandbox = Sandbox::new();
    sandbox.mvc(&["init", "--no-hooks"]).ok();
    let text = sandbox.mvc(&["eval"]).code(5).stderr;
    assert!(page.contains(&format!("```text\n{text}```\n")), "{text}");
    let json = sandbox.mvc(&["eval", "--json"]).code(5).stderr;
    assert!(page.contains(&format!("```json\n{json}```\n")), "{json}");
}

#[test]
fn the_two_commands_of_the_readme_are_those_that_are_checked() {
    let readme = text_of("README.md");
    for command in ["cargo run --release -- demo", "cargo test"] {
        assert!(
            readme.lines().any(|line| line.starts_with(command)),
            "{command}"
        );
    }
    let checks = text_of(".ci/run");
    assert!(
        checks.contains("cargo test --locked"),
        "README's test command"
    );
    assert!(checks.contains("stage \"demo\""), "README's demo");
}
