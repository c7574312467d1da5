//! Columns that line up: no borders, numbers to the right, never wider than the terminal.
//!
//! comfy-table lays the text out and wraps what does not fit; it knows nothing of colour. So each cell begins
//! with an invisible mark that says its style, and columns are parted by another, both of width zero and both
//! among the characters that [`printable`] escapes, so that no text of a repository can contain them.

use comfy_table::{CellAlignment, ContentArrangement, ContentLineStyle, TableStyle};

use crate::base::text::printable;
use crate::cli::ui::{Line, Style};

/// Stands between two columns in the laid-out text.
const GAP: char = '\u{2060}';
/// The mark of style number 0; the others follow it.
const FIRST_MARK: u32 = 0x2061;

/// One cell: text in one style.
#[derive(Clone, Debug)]
pub struct Cell {
    style: Style,
    text: String,
}

impl Cell {
    /// Text in a style.
    pub fn new(style: Style, text: impl AsRef<str>) -> Self {
        Self {
            style,
            text: printable(text.as_ref()).into_owned(),
        }
    }

    fn marked(&self) -> String {
        let mark = char::from_u32(FIRST_MARK + self.style as u32).unwrap_or(GAP);
        format!("{mark}{}", self.text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::new(Style::Plain, text)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::new(Style::Plain, text)
    }
}

/// Rows of cells under optional titles.
#[derive(Clone, Debug, Default)]
pub struct Table {
    columns: Vec<(String, CellAlignment)>,
    rows: Vec<Vec<Cell>>,
    indent: usize,
}

impl Table {
    /// A table without columns yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a column of words. A table whose titles are all empty has no head.
    pub fn left(mut self, title: &str) -> Self {
        self.columns.push((title.to_owned(), CellAlignment::Left));
        self
    }

    /// Adds a column of numbers.
    pub fn right(mut self, title: &str) -> Self {
        self.columns.push((title.to_owned(), CellAlignment::Right));
        self
    }

    /// Moves all of it to the right.
    pub fn indent(mut self, spaces: usize) -> Self {
        self.indent = spaces;
        self
    }

    /// Adds a row, a cell per column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) -> &mut Self {
        self.rows.push(cells.into_iter().collect());
        self
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as lines of at most `width` columns, or of any width.
    pub fn lines(&self, width: Option<usize>) -> Vec<Line> {
        if self.columns.is_empty() {
            return Vec::new();
        }
        let mut layout = comfy_table::Table::new();
        let parted = ContentLineStyle::none().junction(GAP);
        layout.load_style(TableStyle::new().header_lines(parted).content_lines(parted));
        if let Some(width) = width {
            // Each gap is counted as one column and becomes one of the two spaces between columns.
            let width = width
                .saturating_sub(self.indent)
                .clamp(20, usize::from(u16::MAX));
            layout.set_content_arrangement(ContentArrangement::Dynamic);
            layout.set_width(width as u16);
        }
        if self.columns.iter().any(|(title, _)| !title.is_empty()) {
            let titles = self
                .columns
                .iter()
                .map(|(title, _)| Cell::new(Style::Heading, title).marked());
            layout.set_header(titles.collect::<Vec<_>>());
        }
        for row in &self.rows {
            layout.add_row(row.iter().map(Cell::marked).collect::<Vec<_>>());
        }
        layout.discover_columns();
        for (i, (_, alignment)) in self.columns.iter().enumerate() {
            if let Some(column) = layout.column_mut(i) {
                column.set_padding((0, u16::from(i + 1 < self.columns.len())));
                column.set_cell_alignment(*alignment);
            }
        }
        let mut styles = vec![Style::Plain; self.columns.len()];
        layout
            .lines()
            .map(|line| self.painted(&line, &mut styles))
            .collect()
    }

    /// A laid-out line in its styles; a cell that was wrapped goes on in the style of the line above.
    fn painted(&self, laid_out: &str, styles: &mut [Style]) -> Line {
        let mut line = Line::from(" ".repeat(self.indent));
        let laid_out = laid_out.trim_end_matches([' ', GAP]);
        for (i, part) in laid_out.split(GAP).enumerate() {
            let mut text = String::with_capacity(part.len() + 1);
            for c in part.chars() {
                match Style::ALL.get((c as u32).wrapping_sub(FIRST_MARK) as usize) {
                    Some(style) => {
                        if let Some(kept) = styles.get_mut(i) {
                            *kept = *style;
                        }
                    }
                    None => text.push(c),
                }
            }
            let style = styles.get(i).copied().unwrap_or_default();
            if i > 0 {
                line = line.text(" ");
            }
            line = line.styled(style, &text);
        }
        line.trimmed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new().left("tensor").right("rel L2").left("verdict");
        table.row([
            Cell::new(
                Style::Changed,
                "encoder.layer.0.attention.self.query.weight",
            ),
            "0.0412".into(),
            "changed".into(),
        ]);
        table.row([
            Cell::new(Style::Added, "fc🦀\u{1b}[1m"),
            "1.2e-3".into(),
            "".into(),
        ]);
        table
    }

    fn plain(table: &Table, width: Option<usize>) -> Vec<String> {
        table.lines(width).iter().map(Line::plain).collect()
    }

    #[test]
    fn columns_line_up_and_numbers_stand_right() {
        assert_eq!(
            plain(&sample(), None),
            [
                "tensor                                       rel L2  verdict",
                "encoder.layer.0.attention.self.query.weight  0.0412  changed",
                "fc🦀\\u{1b}[1m                                1.2e-3",
            ]
        );
    }

    #[test]
    fn a_narrow_terminal_wraps_and_keeps_the_style() {
        let lines = sample().indent(2).lines(Some(40));
        assert!(
            lines.iter().all(|line| line.plain().chars().count() <= 40),
            "{lines:?}"
        );
        let whole: String = lines.iter().map(Line::plain).collect();
        assert!(
            !whole.contains(|c: char| ('\u{2060}'..='\u{2069}').contains(&c)),
            "{whole:?}"
        );
        let changed = Style::Changed.paint("x").replace('x', "");
        let open = changed.split("\u{1b}[0m").next().expect("styled");
        assert!(
            lines[1].painted().contains(open) && lines[2].painted().contains(open),
            "{lines:?}"
        );
    }

    #[test]
    fn without_titles_there_is_no_head() {
        let mut table = Table::new().left("").left("");
        table.row(["a".into(), "b".into()]);
        assert_eq!(plain(&table, Some(80)), ["a  b"]);
    }
}
