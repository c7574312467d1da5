//! The only writer to stdout and stderr.
//!
//! Data goes to stdout, everything else to stderr. Text is made of [`Line`]s, whose parts are made printable as
//! they come in, so that nothing that a repository contains can steer a terminal. A reader that goes away
//! (`mvc log | head`) ends the output quietly; any other failure to write is kept and told by [`Ui::finish`].

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use anstream::AutoStream;
use serde::Serialize;

use super::args::Global;
use super::failure::Failed;
pub use super::line::{Line, Style};
use super::render::Table;
use crate::base::{Failure, Kind};

/// How to write.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// No notes and no progress.
    pub quiet: bool,
    /// Details too.
    pub verbose: bool,
    /// Reports and errors as JSON.
    pub json: bool,
    /// When to use colour.
    pub color: clap::ColorChoice,
}

impl From<&Global> for Options {
    fn from(global: &Global) -> Self {
        Self {
            quiet: global.quiet,
            verbose: global.verbose,
            json: global.json,
            color: global.color,
        }
    }
}

/// The console.
pub struct Ui {
    options: Options,
    out: Mutex<Out>,
    width: Option<usize>,
}

/// Stdout, and how writing to it went.
struct Out {
    stream: io::BufWriter<Box<dyn Write + Send>>,
    is_terminal: bool,
    failed: Option<io::Error>,
}

impl std::fmt::Debug for Ui {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ui")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Ui {
    /// The console of this process.
    pub fn new(options: Options) -> Self {
        let stdout = io::stdout();
        let is_terminal = stdout.is_terminal();
        let stream = AutoStream::new(stdout, choice(options.color));
        Self::on(Box::new(stream), is_terminal, options)
    }

    fn on(stream: Box<dyn Write + Send>, is_terminal: bool, options: Options) -> Self {
        let stream = io::BufWriter::new(stream);
        Self {
            options,
            out: Mutex::new(Out {
                stream,
                is_terminal,
                failed: None,
            }),
            width: width(),
        }
    }

    /// True if reports are wanted as JSON.
    pub fn is_json(&self) -> bool {
        self.options.json
    }

    /// True if somebody watches and wants to.
    pub fn draws_progress(&self) -> bool {
        !self.options.quiet && io::stderr().is_terminal()
    }

    /// The columns that a line may take; `None` in a pipe.
    pub fn width(&self) -> Option<usize> {
        self.width
    }

    /// Prints a line of data.
    pub fn print(&self, line: impl Into<Line>) {
        self.write(format!("{}\n", line.into().painted()).as_bytes());
    }

    /// Prints a table of data.
    pub fn table(&self, table: &Table) {
        table
            .lines(self.width)
            .into_iter()
            .for_each(|line| self.print(line));
    }

    /// Prints bytes as they are: the content of a file, a script.
    pub fn bytes(&self, bytes: &[u8]) {
        self.write(bytes);
    }

    /// Prints a text of our own, which may carry styles.
    pub(super) fn document(&self, text: &str) {
        self.write(text.as_bytes());
    }

    /// Prints a report as JSON, its schema first: `"schema": "mvc.status/1"` for the command `status`.
    pub fn json(&self, command: &str, report: &impl Serialize) -> Result<(), Failed> {
        let value = with_schema(command, report)?;
        self.write(format!("{value:#}\n").as_bytes());
        Ok(())
    }

    /// Says something on stderr that is no data, unless `-q`.
    pub fn note(&self, line: impl Into<Line>) {
        if !self.options.quiet {
            self.aside(&line.into().painted());
        }
    }

    /// Says something on stderr under `-v` alone.
    pub fn detail(&self, line: impl Into<Line>) {
        if self.options.verbose {
            self.aside(&line.into().painted());
        }
    }

    /// Warns on stderr, under `-q` too.
    pub fn warn(&self, line: impl Into<Line>) {
        let label = Line::new().styled(Style::Changed, "warning:").text(" ");
        self.aside(&format!("{}{}", label.painted(), line.into().painted()));
    }

    /// Says a line of an error on stderr.
    pub(super) fn error(&self, line: impl Into<Line>) {
        self.aside(&line.into().painted());
    }

    /// Says an error on stderr as one line of JSON.
    pub(super) fn json_error(&self, report: &impl Serialize) {
        if let Ok(value) = with_schema("error", report) {
            self.aside(&value.to_string());
        }
    }

    /// Says on stderr how a command is used.
    pub(super) fn help_instead(&self, text: &str) {
        self.aside(text.trim_end());
    }

    /// Lets go of what is buffered; an error if stdout could not take it all.
    pub fn finish(&self) -> Result<(), Failed> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.flush();
        match out.failed.take() {
            Some(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(OutputError::Write(e).into()),
            _ => Ok(()),
        }
    }

    fn write(&self, bytes: &[u8]) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        if out.failed.is_none() {
            out.failed = out.stream.write_all(bytes).err();
        }
        if out.is_terminal {
            out.flush();
        }
    }

    /// A line to stderr, after what stdout was given before it.
    fn aside(&self, line: &str) {
        self.out
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .flush();
        let mut stderr = AutoStream::new(io::stderr(), choice(self.options.color));
        // There is nobody left to tell that stderr is gone.
        let _ = writeln!(stderr, "{line}");
    }
}

impl Out {
    fn flush(&mut self) {
        if self.failed.is_none() {
            self.failed = self.stream.flush().err();
        }
    }
}

/// Writes a last text to stderr, from where there is no [`Ui`]: a panic.
pub(super) fn last_words(text: &str) {
    let _ = anstream::stderr().write_all(text.as_bytes());
}

/// A result could not be given to whoever asked for it.
#[derive(Debug, thiserror::Error)]
enum OutputError {
    #[error("cannot write to the standard output")]
    Write(#[source] io::Error),
    #[error("a report cannot be written as JSON")]
    Json(#[source] serde_json::Error),
}

impl Failure for OutputError {
    fn kind(&self) -> Kind {
        match self {
            OutputError::Write(_) => Kind::Io,
            OutputError::Json(_) => Kind::Bug,
        }
    }
}

/// The report with its schema as first field; a report that is a list becomes the field `items`.
fn with_schema(command: &str, report: &impl Serialize) -> Result<serde_json::Value, OutputError> {
    let mut fields = serde_json::Map::new();
    fields.insert("schema".into(), format!("mvc.{command}/1").into());
    match serde_json::to_value(report).map_err(OutputError::Json)? {
        serde_json::Value::Object(own) => fields.extend(own),
        other => {
            fields.insert("items".into(), other);
        }
    }
    Ok(fields.into())
}

fn choice(color: clap::ColorChoice) -> anstream::ColorChoice {
    match color {
        clap::ColorChoice::Auto => anstream::ColorChoice::Auto,
        clap::ColorChoice::Always => anstream::ColorChoice::Always,
        clap::ColorChoice::Never => anstream::ColorChoice::Never,
    }
}

/// The width of stdout: what COLUMNS says, what the terminal says, or none in a pipe.
fn width() -> Option<usize> {
    let told = std::env::var("COLUMNS")
        .ok()
        .and_then(|text| text.parse().ok());
    let seen = || {
        rustix::termios::tcgetwinsize(io::stdout())
            .ok()
            .map(|size| usize::from(size.ws_col))
    };
    told.or_else(seen).filter(|columns| *columns > 0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>, Option<io::ErrorKind>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.1 {
                Some(kind) => Err(kind.into()),
                None => self.0.lock().expect("one thread").write(bytes),
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_goes_away_is_no_error_and_a_full_disk_is() {
        for (kind, fine) in [
            (io::ErrorKind::BrokenPipe, true),
            (io::ErrorKind::StorageFull, false),
        ] {
            let ui = Ui::on(
                Box::new(Shared(Arc::default(), Some(kind))),
                true,
                Options::default(),
            );
            ui.print("x");
            ui.print("y");
            assert_eq!(ui.finish().is_ok(), fine, "{kind}");
        }
    }

    #[test]
    fn json_names_its_schema_first() {
        #[derive(Serialize)]
        struct Report {
            b: u64,
            a: f64,
        }
        let taken = Shared::default();
        let ui = Ui::on(Box::new(taken.clone()), false, Options::default());
        ui.json("status", &Report { b: 1, a: f64::NAN })
            .expect("an object");
        ui.finish().expect("written");
        let text = String::from_utf8(taken.0.lock().expect("one thread").clone()).expect("text");
        assert_eq!(
            text,
            "{\n  \"schema\": \"mvc.status/1\",\n  \"b\": 1,\n  \"a\": null\n}\n"
        );
        let list = with_schema("log", &[1]).expect("a list");
        assert_eq!(list.to_string(), "{\"schema\":\"mvc.log/1\",\"items\":[1]}");
    }
}
