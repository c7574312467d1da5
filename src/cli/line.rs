//! Text in styles, printable by construction: what everything on the screen is made of.

use anstyle::{AnsiColor, Effects};

use crate::base::text::printable;

/// What a piece of text is, which decides its colour. Nothing is said by colour alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Ordinary text.
    #[default]
    Plain,
    /// A title.
    Heading,
    /// Something that is new.
    Added,
    /// Something that is gone.
    Removed,
    /// Something that differs.
    Changed,
    /// A hash, and whatever is there to be looked up and not to be read.
    Hash,
    /// A check that holds.
    Good,
    /// A check that fails, an error.
    Bad,
    /// A way on.
    Hint,
}

impl Style {
    /// All styles, in their order.
    pub const ALL: [Style; 9] = [
        Style::Plain,
        Style::Heading,
        Style::Added,
        Style::Removed,
        Style::Changed,
        Style::Hash,
        Style::Good,
        Style::Bad,
        Style::Hint,
    ];

    fn ansi(self) -> anstyle::Style {
        let plain = anstyle::Style::new();
        match self {
            Style::Plain => plain,
            Style::Heading => plain.bold(),
            Style::Added => AnsiColor::Green.on_default(),
            Style::Removed => AnsiColor::Red.on_default(),
            Style::Changed => AnsiColor::Yellow.on_default(),
            Style::Hash => plain.effects(Effects::DIMMED),
            Style::Good => AnsiColor::Green.on_default().bold(),
            Style::Bad => AnsiColor::Red.on_default().bold(),
            Style::Hint => AnsiColor::Cyan.on_default(),
        }
    }

    /// Text that is printable already, between the codes of its style.
    pub(super) fn paint(self, text: &str) -> String {
        let style = self.ansi();
        format!("{style}{text}{style:#}")
    }
}

/// One line of text in styles.
#[derive(Clone, Debug, Default)]
pub struct Line {
    parts: Vec<(Style, String)>,
}

impl Line {
    /// An empty line.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds ordinary text.
    pub fn text(self, text: impl AsRef<str>) -> Self {
        self.styled(Style::Plain, text)
    }

    /// Adds text in a style.
    pub fn styled(mut self, style: Style, text: impl AsRef<str>) -> Self {
        self.parts
            .push((style, printable(text.as_ref()).into_owned()));
        self
    }

    /// Without spaces at its end.
    pub(super) fn trimmed(mut self) -> Self {
        while let Some((_, last)) = self.parts.last_mut() {
            last.truncate(last.trim_end_matches(' ').len());
            if !last.is_empty() {
                break;
            }
            self.parts.pop();
        }
        self
    }

    /// Its text without styles.
    pub fn plain(&self) -> String {
        self.parts.iter().map(|(_, text)| text.as_str()).collect()
    }

    /// Its text with the codes of its styles; the stream drops them where there is no colour.
    pub(super) fn painted(&self) -> String {
        self.parts
            .iter()
            .map(|(style, text)| style.paint(text))
            .collect()
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        Self::new().text(text)
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Self::new().text(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_a_repository_cannot_steer_the_terminal() {
        let line = Line::new()
            .styled(Style::Added, "\u{1b}]0;x\u{7}")
            .text("\u{202e}");
        assert_eq!(line.plain(), "\\u{1b}]0;x\\u{7}\\u{202e}");
    }
}
