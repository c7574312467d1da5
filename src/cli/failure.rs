//! How an error reads: what, on what, why, and what to type next. And the exit code it ends in.

use std::error::Error;

use serde::Serialize;

use super::ui::{Line, Style, Ui};
use crate::base::{Failure, Kind};

/// A command failed: any [`Failure`] turns into it with `?`.
///
/// It is no [`Failure`] itself, so that every error of the layers below converts.
pub struct Failed(Box<dyn Failure>);

impl<F: Failure> From<F> for Failed {
    fn from(failure: F) -> Self {
        Self(Box::new(failure))
    }
}

impl From<Box<dyn Failure>> for Failed {
    fn from(failure: Box<dyn Failure>) -> Self {
        Self(failure)
    }
}

impl std::fmt::Debug for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What `--json` prints on stderr for an error, as one line.
#[derive(Debug, Serialize)]
struct Report {
    kind: &'static str,
    message: String,
    causes: Vec<String>,
    hints: Vec<String>,
}

impl Failed {
    /// What the error means.
    pub fn kind(&self) -> Kind {
        self.0.kind()
    }

    /// Prints the error to stderr and returns the exit code of its kind.
    pub fn show(&self, ui: &Ui) -> u8 {
        let report = self.report();
        match ui.is_json() {
            true => ui.json_error(&report),
            false => report.lines().into_iter().for_each(|line| ui.error(line)),
        }
        self.kind().exit_code()
    }

    fn report(&self) -> Report {
        let message = self.0.to_string();
        let mut causes: Vec<String> = Vec::new();
        let mut next = self.0.source();
        while let Some(cause) = next {
            let text = worded(cause);
            // Some errors of other crates repeat their source in their own text.
            if !causes.last().unwrap_or(&message).contains(&text) {
                causes.push(text);
            }
            next = cause.source();
        }
        let mut hints: Vec<String> = self.0.hint().into_iter().collect();
        if self.kind() == Kind::Bug {
            hints.push(REPORT_BUG.to_owned());
        }
        Report {
            kind: self.kind().name(),
            message,
            causes,
            hints,
        }
    }
}

const REPORT_BUG: &str = "this is a bug in mvc; please report it with the command, this text and the output of `mvc --version`";

impl Report {
    fn lines(&self) -> Vec<Line> {
        let mut lines = paragraph(
            Line::new().styled(Style::Bad, "error:"),
            "       ",
            &self.message,
        );
        for cause in &self.causes {
            lines.extend(paragraph(
                Line::new().styled(Style::Heading, "  because:"),
                "           ",
                cause,
            ));
        }
        if !self.hints.is_empty() {
            lines.push(Line::new());
        }
        for hint in &self.hints {
            lines.extend(paragraph(
                Line::new().styled(Style::Hint, "hint:"),
                "      ",
                hint,
            ));
        }
        lines
    }
}

/// `text` after its label; the further lines of a text of several (a snippet of TOML) indented below it.
fn paragraph(label: Line, indent: &str, text: &str) -> Vec<Line> {
    let mut rest = text.trim_end().lines();
    let first = label.text(" ").text(rest.next().unwrap_or_default());
    std::iter::once(first)
        .chain(rest.map(|line| Line::from(format!("{indent}{line}"))))
        .collect()
}

/// A cause as our other texts read: the system's own start with a capital and end in its number.
fn worded(cause: &(dyn Error + 'static)) -> String {
    let text = cause.to_string();
    if cause.downcast_ref::<std::io::Error>().is_none() {
        return text;
    }
    let text = text.split(" (os error ").next().unwrap_or_default();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// From here on a panic reads as the bug that it is, and not as a page of frames.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let message = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        super::ui::last_words(&format!(
            "error: mvc contradicts itself at {place}: {message}\n\nhint: {REPORT_BUG}\n"
        ));
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fs::FsError;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot check out {path}")]
    struct Outer {
        path: String,
        source: FsError,
    }

    impl Failure for Outer {
        fn kind(&self) -> Kind {
            self.source.kind()
        }
        fn hint(&self) -> Option<String> {
            self.source.hint()
        }
    }

    fn outer() -> Failed {
        let io = std::io::Error::from_raw_os_error(28);
        let source = FsError::new("write", std::path::Path::new("/x"), io);
        Outer {
            path: "a\u{1b}[2J".into(),
            source,
        }
        .into()
    }

    #[test]
    fn an_error_says_what_why_and_what_next() {
        let text: Vec<_> = outer().report().lines().iter().map(Line::plain).collect();
        assert_eq!(
            text,
            [
                "error: cannot check out a\\u{1b}[2J",
                "  because: cannot write /x",
                "  because: no space left on device",
                "",
                "hint: nothing was lost; free some space and run the command again",
            ]
        );
        assert_eq!(outer().kind().exit_code(), 16);
    }

    #[test]
    fn a_bug_says_how_to_report_it() {
        #[derive(Debug, thiserror::Error)]
        #[error("a contradiction:\nline two")]
        struct Bug;
        impl Failure for Bug {
            fn kind(&self) -> Kind {
                Kind::Bug
            }
        }
        let report = Failed::from(Bug).report();
        assert_eq!(report.hints, [REPORT_BUG]);
        assert_eq!(report.lines()[1].plain(), "       line two");
    }
}
