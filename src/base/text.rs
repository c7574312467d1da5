//! Text that came from a repository, made safe to print and to read back.

use std::fmt::Write;

/// True for characters that must not reach a terminal as they are: control characters (which move the cursor
/// and set titles), and the marks that reorder or hide text.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}' | '\u{feff}'
        )
}

/// An error and its causes in one line, for where there is no room for more.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

/// The text with every unprintable character written as `\u{..}`; borrowed where there is none.
pub fn printable(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.chars().any(is_unprintable) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_unprintable(c) {
            true => {
                let _ = write!(out, "\\u{{{:x}}}", c as u32);
            }
            false => out.push(c),
        }
    }
    out.into()
}

/// The first line, counted from 1, that is a conflict marker of an unfinished merge: seven of one sign, alone or with a
/// space after them, or a carriage return.
pub fn conflict_marker(text: &str) -> Option<usize> {
    let is_marker = |line: &str| {
        ["<<<<<<<", "|||||||", "=======", ">>>>>>>"]
            .iter()
            .filter_map(|marker| line.strip_prefix(marker))
            .any(|rest| rest.is_empty() || rest.starts_with([' ', '\r']))
    };
    text.split('\n').position(is_marker).map(|index| index + 1)
}

/// The text as one word of a POSIX shell: as it is where that is one, in single quotes otherwise.
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./=:@%+,^~".contains(c);
    match !text.is_empty() && !text.starts_with(['-', '~']) && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// Appends `text` as a JSON string in its one canonical form: `"` and `\` escaped, unprintable characters as
/// lower-case `\uXXXX` (surrogate pairs above U+FFFF), everything else as it is.
pub fn quote_into(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if is_unprintable(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// [`quote_into`] as a string of its own.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    quote_into(&mut out, text);
    out
}

/// Bytes in the largest unit that leaves at least one whole, as in `86.7 MiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `1 tensor`, `2 tensors`: a count with its noun, which takes a plain `s`.
pub fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

/// The first `most` of a list with `between` them, and how many more there are.
pub fn first_of(list: &[impl ToString], most: usize, between: &str) -> String {
    let shown: Vec<String> = list.iter().take(most).map(ToString::to_string).collect();
    let shown = shown.join(between);
    match more(list.len(), most) {
        Some(more) => format!("{shown} {more}"),
        None => shown,
    }
}

/// What is said of the rest of a list of `len`, of which `most` are shown; `None` where that is all.
pub fn more(len: usize, most: usize) -> Option<String> {
    let more = len.checked_sub(most).filter(|more| *more > 0)?;
    Some(format!("and {more} more"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_cursor_gets_through() {
        assert_eq!(printable("conv1.weight"), "conv1.weight");
        assert_eq!(
            printable("a\u{1b}[2Jb\u{202e}c\n"),
            "a\\u{1b}[2Jb\\u{202e}c\\u{a}"
        );
        for hidden in ['\u{ad}', '\u{61c}', '\u{180e}', '\u{200b}', '\u{feff}'] {
            let code = hidden as u32;
            assert_eq!(
                printable(&format!("a{hidden}b")),
                format!("a\\u{{{code:x}}}b")
            );
            assert_eq!(quote(&hidden.to_string()), format!("\"\\u{code:04x}\""));
        }
        assert_eq!(quote("a\"\\\u{1b}é🦀"), "\"a\\\"\\\\\\u001bé🦀\"");
    }

    #[test]
    fn long_lists_are_cut_and_say_so() {
        let list = ["a", "b", "c"];
        assert_eq!(first_of(&list, 3, ", "), "a, b, c");
        assert_eq!(first_of(&list, 2, ", "), "a, b and 1 more");
        assert_eq!(first_of(&list, 1, ", "), "a and 2 more");
        assert_eq!(first_of(&[] as &[&str], 2, ", "), "");
        assert_eq!(more(20, 20), None);
        assert_eq!(more(22, 20).as_deref(), Some("and 2 more"));
    }

    #[test]
    fn words_of_a_shell_are_quoted_where_they_have_to_be() {
        for plain in ["a/b-c.safetensors", "/opt/mvc", "v1^", "a~b"] {
            assert_eq!(shell_word(plain), plain);
        }
        assert_eq!(shell_word("it's"), r"'it'\''s'");
        for odd in ["", "a b", "~/x", "-x", "$HOME", "*.pth", "a\nb", "a;b"] {
            assert_eq!(shell_word(odd), format!("'{odd}'"));
        }
    }

    #[test]
    fn marks_of_a_merge_are_seven_alone_or_with_a_space() {
        for mark in ["<<<<<<<", "|||||||", "=======", ">>>>>>>"] {
            for rest in ["", " HEAD", "\r", "\r\n", "\rx"] {
                assert_eq!(
                    conflict_marker(&format!("a\n{mark}{rest}\nb")),
                    Some(2),
                    "{rest:?}"
                );
            }
            for no in [format!("{mark}x"), format!(" {mark}"), mark[1..].to_owned()] {
                assert_eq!(conflict_marker(&no), None, "{no}");
            }
        }
        assert_eq!(conflict_marker(""), None);
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1024), "1.0 KiB");
        assert_eq!(size(90_868_376), "86.7 MiB");
        assert_eq!(size(u64::MAX), "16.0 EiB");
    }
}
