//! Tables in Markdown, whose numbers stand beside what they are of another row's.

use crate::peers::REFERENCE;

/// Rows of numbers, each with a name.
pub(crate) struct Table {
    head: Vec<String>,
    rows: Vec<(String, Vec<Option<f64>>)>,
    /// Digits after the point of each column.
    digits: usize,
    /// The row whose numbers the others are compared with.
    reference: &'static str,
}

impl Table {
    pub(crate) fn new(head: &[&str], digits: usize) -> Self {
        Self {
            head: head.iter().map(|name| (*name).to_owned()).collect(),
            rows: Vec::new(),
            digits,
            reference: REFERENCE,
        }
    }

    /// The same, compared with another row.
    pub(crate) fn beside(self, reference: &'static str) -> Self {
        Self { reference, ..self }
    }

    pub(crate) fn row(&mut self, name: &str, numbers: Vec<Option<f64>>) {
        self.rows.push((name.to_owned(), numbers));
    }

    /// Prints it; each number that the reference has too, with their ratio.
    pub(crate) fn print(&self) {
        let reference = self.rows.iter().find(|(name, _)| name == self.reference);
        let reference = reference.map(|(_, numbers)| numbers);
        let mut lines = vec![self.head.clone()];
        for (name, numbers) in &self.rows {
            let cells = numbers.iter().enumerate().map(|(column, number)| {
                let Some(number) = number else {
                    return "-".to_owned();
                };
                let text = format!("{number:.*}", self.digits);
                let other = reference.and_then(|numbers| *numbers.get(column)?);
                match other.filter(|other| *other > 0.0 && *name != self.reference) {
                    Some(other) => format!("{text} ({:.2}x)", number / other),
                    None => text,
                }
            });
            lines.push([name.clone()].into_iter().chain(cells).collect());
        }
        let width = |column: usize| {
            let cells = lines.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        for (at, line) in lines.iter().enumerate() {
            let cells: Vec<String> = line
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            println!("| {} |", cells.join(" | "));
            if at == 0 {
                let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
                println!("| {} |", rules.join(" | "));
            }
        }
        println!();
    }
}

/// The middle one.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
