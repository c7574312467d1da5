//! mvc beside other tools, in tables of one run.
//!
//! `tests/bench/run` installs the tools and starts this; `cargo bench --bench suite -- PART...` takes those that are
//! there. What is measured and how is said in `docs/benchmarks.md`. No test depends on a time: this prints, and judges
//! nothing.

#![expect(
    clippy::print_stdout,
    reason = "a benchmark reports to whoever runs it"
)]

mod bitx;
mod everyday;
mod family;
mod large;
mod machine;
mod memory;
mod objects;
mod peers;
mod random;
mod shell;
mod steps;
mod table;
mod tensors;
mod workload;

use std::process::ExitCode;

use shell::Shell;

/// What a run is asked for.
struct Options {
    parts: Vec<String>,
    /// Length of the made-up model.
    mib: usize,
    /// Rounds of what is measured more than once.
    rounds: usize,
}

const USAGE: &str = "parts: everyday family large objects; options: --quick, --mib N, --rounds N";

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(why) => {
            println!("{why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let scratch = tempfile::tempdir().expect("a folder to work in");
    let shell = Shell::new(scratch.path());
    machine::describe(&shell);
    for part in &options.parts {
        match part.as_str() {
            "everyday" => everyday::run(&shell, options.rounds),
            "family" => family::run(&shell),
            "large" => large::run(&shell, options.mib, options.rounds),
            "objects" => objects::run(&shell, options.rounds),
            _ => println!("{part} is no part; {USAGE}"),
        }
    }
    ExitCode::SUCCESS
}

fn options(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        parts: Vec::new(),
        mib: 2048,
        rounds: 5,
    };
    while let Some(word) = words.next() {
        let mut number = || {
            let number = words.next().and_then(|number| number.parse().ok());
            number
                .filter(|number| *number > 0)
                .ok_or(format!("{word} wants a number"))
        };
        match word.as_str() {
            // What cargo itself says to whatever it benches.
            "--bench" => {}
            "--quick" => (options.mib, options.rounds) = (128, 3),
            "--mib" => options.mib = number()?,
            "--rounds" => options.rounds = number()?,
            _ if word.starts_with('-') => return Err(format!("{word} is no option")),
            _ => options.parts.push(word),
        }
    }
    if options.parts.is_empty() {
        options.parts = ["everyday", "family", "large", "objects"]
            .map(String::from)
            .to_vec();
    }
    Ok(options)
}
