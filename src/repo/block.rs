//! mvc's own lines in a text file that it shares with the user: `.gitignore`, `.gitattributes`, `info/exclude`.
//!
//! The lines stand between two marks. Everything outside the marks is the user's and stays as it is, byte for byte;
//! everything between them is mvc's and is replaced as a whole. Pure text in, text out.

use crate::base::kind::{Failure, Kind};
use crate::base::text::printable;

/// The line before mvc's own.
pub const BEGIN: &str = "# >>> mvc >>>";

/// The line after mvc's own.
pub const END: &str = "# <<< mvc <<<";

/// A file whose block cannot be found or written.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// One mark is there without the other, or they are in the wrong order.
    #[error("line {line} is `{mark}` without its other half")]
    Torn {
        /// Counted from 1.
        line: usize,
        /// The mark.
        mark: &'static str,
    },
    /// A merge left its marks around the block.
    #[error("line {line} is a conflict mark of a merge")]
    Conflict {
        /// Counted from 1.
        line: usize,
    },
    /// A line that would not be read back as it is.
    #[error("`{}` cannot be a line of the block", printable(.0))]
    Line(String),
}

impl Failure for BlockError {
    fn kind(&self) -> Kind {
        match self {
            Self::Torn { .. } => Kind::BadInput,
            Self::Conflict { .. } => Kind::Conflict,
            Self::Line(_) => Kind::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Torn { .. } => Some(format!(
                "put the lines `{BEGIN}` and `{END}` back around mvc's own, or remove what is left of them"
            )),
            Self::Conflict { .. } => Some("resolve the conflict in that file first".into()),
            Self::Line(_) => None,
        }
    }
}

/// The result of an edit.
pub type Result<T> = std::result::Result<T, BlockError>;

/// The text with `lines` as mvc's own, in place of those it had, or at its end. No lines is no block. New lines end
/// as the text's first one does. Blocks that a merge doubled become one.
pub fn set_block(old: &str, lines: &[impl AsRef<str>]) -> Result<String> {
    let blocks = find(old)?;
    let ending = match old.split_inclusive('\n').next() {
        // A carriage return that the text ends with is half of its only line's end.
        Some(line) if line.ends_with("\r\n") || line.ends_with('\r') => "\r\n",
        _ => "\n",
    };
    let mut block = String::new();
    if !lines.is_empty() {
        let lines = lines.iter().map(AsRef::as_ref);
        for line in std::iter::once(BEGIN).chain(lines.clone()).chain([END]) {
            block.push_str(line);
            block.push_str(ending);
        }
        let odd = |line: &&str| line.contains(['\n', '\r']) || mark(line).is_some();
        if let Some(odd) = lines.clone().find(odd) {
            return Err(BlockError::Line(odd.to_owned()));
        }
    }
    let mut new = String::with_capacity(old.len() + block.len());
    let mut kept = 0;
    for (number, range) in blocks.iter().enumerate() {
        new.push_str(old.get(kept..range.start).unwrap_or_default());
        if number == 0 {
            new.push_str(&block);
        }
        kept = range.end;
    }
    new.push_str(old.get(kept..).unwrap_or_default());
    if blocks.is_empty() && !block.is_empty() {
        if new.ends_with('\r') {
            new.push('\n');
        } else if !new.is_empty() && !new.ends_with('\n') {
            new.push_str(ending);
        }
        new.push_str(&block);
    }
    Ok(new)
}

/// The text without mvc's lines.
pub fn remove_block(old: &str) -> Result<String> {
    set_block(old, &[] as &[&str])
}

/// mvc's own lines; `None` where there is no block.
pub fn read_block(text: &str) -> Result<Option<Vec<&str>>> {
    let blocks = find(text)?;
    if blocks.is_empty() {
        return Ok(None);
    }
    let inside = blocks
        .into_iter()
        .flat_map(|range| text.get(range).unwrap_or_default().lines());
    Ok(Some(inside.filter(|line| mark(line).is_none()).collect()))
}

/// Which mark a line is, if it is one.
fn mark(line: &str) -> Option<&'static str> {
    [BEGIN, END]
        .into_iter()
        .find(|mark| line.trim_end() == *mark)
}

/// The byte ranges of all blocks, marks and last line end included.
fn find(text: &str) -> Result<Vec<std::ops::Range<usize>>> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, usize)> = None;
    let mut at = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let number = number + 1;
        match (mark(line), open) {
            (Some(BEGIN), None) => open = Some((at, number)),
            (Some(_), Some((start, _))) if mark(line) == Some(END) => {
                blocks.push(start..at + line.len());
                open = None;
            }
            (Some(mark), _) => return Err(BlockError::Torn { line: number, mark }),
            (None, _) if line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ") => {
                return Err(BlockError::Conflict { line: number });
            }
            (None, _) => {}
        }
        at += line.len();
    }
    match open {
        Some((_, line)) => Err(BlockError::Torn { line, mark: BEGIN }),
        None => Ok(blocks),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_block_comes_changes_and_goes() {
        let user = "# mine\n*.log\n";
        let with = set_block(user, &["*.pth"]).expect("set");
        assert_eq!(with, format!("{user}{BEGIN}\n*.pth\n{END}\n"));
        assert_eq!(read_block(&with).expect("read"), Some(vec!["*.pth"]));
        let more = set_block(&format!("{with}tail"), &["a", "b"]).expect("set");
        assert_eq!(more, format!("{user}{BEGIN}\na\nb\n{END}\ntail"));
        assert_eq!(remove_block(&more).expect("removed"), format!("{user}tail"));
        assert_eq!(read_block(user).expect("read"), None);
        assert_eq!(
            set_block("", &["x"]).expect("set"),
            format!("{BEGIN}\nx\n{END}\n")
        );
    }

    #[test]
    fn line_ends_stay_what_they_are() {
        let with = set_block("a\r\nb", &["x"]).expect("set");
        assert_eq!(with, format!("a\r\nb\r\n{BEGIN}\r\nx\r\n{END}\r\n"));
        assert_eq!(read_block(&with).expect("read"), Some(vec!["x"]));
        // The first half of an end is one as soon as the block comes after it.
        for cut in ["a\r", "a\r\nb\r", "a\nb\r"] {
            let with = set_block(cut, &["x"]).expect("set");
            assert!(with.starts_with(&format!("{cut}\n{BEGIN}")), "{with:?}");
            assert_eq!(set_block(&with, &["x"]).expect("set"), with);
        }
    }

    #[test]
    fn a_doubled_block_becomes_one_again() {
        let one = set_block("a\n", &["x"]).expect("set");
        let two = format!("{one}{}", set_block("b\n", &["y"]).expect("set"));
        assert_eq!(read_block(&two).expect("read"), Some(vec!["x", "y"]));
        let healed = set_block(&two, &["z"]).expect("set");
        assert_eq!(healed, format!("a\n{BEGIN}\nz\n{END}\nb\n"));
    }

    #[test]
    fn damage_is_told_and_not_made_worse() {
        for torn in [
            format!("{BEGIN}\nx\n"),
            format!("x\n{END}\n"),
            format!("{END}\n{BEGIN}\n"),
            format!("{BEGIN}\n{BEGIN}\n{END}\n"),
        ] {
            assert!(
                matches!(set_block(&torn, &["x"]), Err(BlockError::Torn { .. })),
                "{torn}"
            );
            assert!(read_block(&torn).is_err());
        }
        let conflict = format!("<<<<<<< HEAD\n{BEGIN}\nx\n{END}\n=======\n>>>>>>> side\n");
        assert!(matches!(
            remove_block(&conflict),
            Err(BlockError::Conflict { line: 1 })
        ));
        for odd in ["a\nb", "a\r", BEGIN, END] {
            assert!(
                matches!(set_block("", &[odd]), Err(BlockError::Line(_))),
                "{odd}"
            );
        }
    }

    fn line() -> impl Strategy<Value = String> {
        "[ -~é🤖]{0,12}".prop_filter("no mark", |line| {
            mark(line).is_none() && !line.starts_with(['<', '>'])
        })
    }

    proptest! {
        #[test]
        fn the_rest_is_untouched(
            user in proptest::collection::vec(line(), 0..6),
            crlf: bool,
            last_end: bool,
            first in proptest::collection::vec(line(), 1..4),
            second in proptest::collection::vec(line(), 0..4),
        ) {
            let ending = if crlf { "\r\n" } else { "\n" };
            let mut text = user.join(ending);
            if last_end && !text.is_empty() {
                text.push_str(ending);
            }
            let once = set_block(&text, &first).expect("set");
            prop_assert_eq!(&set_block(&once, &first).expect("set"), &once);
            prop_assert_eq!(read_block(&once).expect("read").expect("there"), first);
            prop_assert!(once.starts_with(&text));
            let gone = remove_block(&once).expect("removed");
            prop_assert_eq!(gone.trim_end_matches(['\r', '\n']), text.trim_end_matches(['\r', '\n']));
            let again = set_block(&once, &second).expect("set");
            prop_assert_eq!(remove_block(&again).expect("removed"), gone);
        }
    }
}
