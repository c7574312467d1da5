//! A measurement on its way from the evaluating process to the one that asked.
//!
//! Lines of text with numbers in the shortest form that reads back to the same bits; JSON parsers may be off by
//! the last bit, which a tolerance of 0 would see. Names are JSON strings. The reader trusts nothing: what it
//! does not know, or finds twice, is refused.

use std::fmt::Write;

use super::error::{EvalError, Result};
use super::metrics::Measured;
use crate::base::text::quote;

const HEAD: &str = "mvc measured 1";
const END: &str = "end";

impl Measured {
    /// The text that [`Measured::from_answer`] reads.
    pub fn to_answer(&self) -> String {
        let mut out = format!("{HEAD}\nrows {}\nnan {}\n", self.rows, self.nan);
        for (name, value) in &self.metrics {
            let _ = writeln!(out, "metric {value:?} {}", quote(name));
        }
        let lists = [
            ("non-finite", &self.non_finite),
            ("undefined", &self.undefined),
            ("extra", &self.extra),
        ];
        for (kind, names) in lists {
            for name in names {
                let _ = writeln!(out, "{kind} {}", quote(name));
            }
        }
        out.push_str(END);
        out.push('\n');
        out
    }

    /// Reads what [`Measured::to_answer`] wrote; a text that was cut off is refused.
    pub fn from_answer(text: &str) -> Result<Self> {
        let bad = EvalError::Answer;
        let mut lines = text.lines();
        if lines.next() != Some(HEAD) {
            return Err(bad("it begins with something else"));
        }
        let mut measured = Self::default();
        let (mut rows, mut nan) = (None, None);
        for line in lines.by_ref() {
            if line == END {
                measured.rows = rows.ok_or(bad("it has no rows"))?;
                measured.nan = nan.ok_or(bad("it counts no outputs"))?;
                return match lines.next() {
                    None => Ok(measured),
                    Some(_) => Err(bad("it goes on after its end")),
                };
            }
            let (kind, rest) = line.split_once(' ').ok_or(bad("a line is short"))?;
            let name = |text: &str| serde_json::from_str::<String>(text).map_err(|_| bad("a name"));
            let count = |text: &str| text.parse::<u64>().map_err(|_| bad("a count"));
            match kind {
                "rows" if rows.is_none() => rows = Some(count(rest)?),
                "nan" if nan.is_none() => nan = Some(count(rest)?),
                "metric" => {
                    let (value, metric) = rest.split_once(' ').ok_or(bad("a line is short"))?;
                    let value = value.parse::<f64>().ok().filter(|value| value.is_finite());
                    let value = value.ok_or(bad("a metric"))?;
                    if measured.metrics.insert(name(metric)?, value).is_some() {
                        return Err(bad("a metric twice"));
                    }
                }
                "non-finite" => measured.non_finite.push(name(rest)?),
                "undefined" => measured.undefined.push(name(rest)?),
                "extra" => measured.extra.push(name(rest)?),
                _ => return Err(bad("a line means nothing")),
            }
        }
        Err(bad("it ends early"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_arrives_and_half_an_answer_is_none() {
        let measured = Measured {
            rows: 3,
            metrics: [("a b\n", 0.1 + 0.2), ("tiny", 5e-324), ("correct", 310.0)]
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            nan: 2,
            non_finite: vec!["w\"".into()],
            undefined: vec!["mse".into()],
            extra: vec!["é🦀".into()],
        };
        let text = measured.to_answer();
        assert_eq!(Measured::from_answer(&text).expect(&text), measured);
        for cut in (0..text.len() - 1).filter(|cut| text.is_char_boundary(*cut)) {
            assert!(Measured::from_answer(&text[..cut]).is_err(), "cut at {cut}");
        }
    }
}
