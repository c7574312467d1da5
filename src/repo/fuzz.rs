//! The readers of files that git and its users write, as functions of any bytes.

use super::block::{read_block, remove_block, set_block};
use crate::base::fuzz::Target;

/// All of this layer.
pub(crate) static TARGETS: [Target; 3] = [
    Target {
        name: "block",
        run: block,
        memory: |bytes| (4 << 10) + 16 * bytes.len(),
    },
    super::hooks::fuzz::SCRIPT,
    super::roots::fuzz::NAMES,
];

/// A `.gitignore`: mvc's lines are there once they were put there, and nothing but them is gone without them.
fn block(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let Ok(bare) = remove_block(text) else {
        assert!(read_block(text).is_err() && set_block(text, &["x"]).is_err());
        return false;
    };
    assert!(read_block(&bare).is_ok_and(|block| block.is_none()));
    let with = set_block(text, &["*.pth", "!a"]).expect("a block can be found");
    assert_eq!(read_block(&with).ok().flatten(), Some(vec!["*.pth", "!a"]));
    let again = set_block(&with, &["*.pth", "!a"]);
    assert!(again.is_ok_and(|again| again == with), "once is enough");
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fuzz::check::check;
    use crate::repo::block::{BEGIN, END};
    use crate::repo::hooks::Hook;

    #[test]
    fn blocks() {
        let seeds = vec![
            ("one", format!("# mine\n*.log\n{BEGIN}\n*.pth\n{END}\nend")),
            (
                "crlf",
                format!("a\r\n{BEGIN}\r\nx\r\n{END}\r\n{BEGIN}\r\ny\r\n{END}\r\n"),
            ),
            ("none", "*.log\n".into()),
        ];
        let seeds = seeds
            .into_iter()
            .map(|(name, text)| (name, text.into_bytes()));
        check(&TARGETS[0], seeds.collect());
    }

    #[test]
    fn scripts_of_hooks() {
        let ours = crate::repo::hooks::fuzz::of(Hook::PostIndexChange);
        let theirs = "#!/usr/bin/env bash\nexec lefthook run \"$@\"\n";
        let both = theirs.replacen('\n', &format!("\n{ours}\n"), 1);
        let seeds = vec![
            ("theirs", theirs.as_bytes().to_vec()),
            ("both", both.into_bytes()),
            ("unfinished", b"#!/bin/sh".to_vec()),
            ("plain", b"echo it\n".to_vec()),
        ];
        check(&TARGETS[1], seeds);
    }

    #[test]
    fn names_in_git_s_files() {
        let (a, b) = ("17".repeat(20), "e9".repeat(20));
        let zeros = "0".repeat(40);
        let who = "A U Thor <a@example.com> 1700000000 +0100";
        let seeds = [
            (
                "log",
                0,
                format!("{zeros} {a} {who}\tcommit (initial): x\n{a} {b} {who}\tcommit: y\n"),
            ),
            (
                "packed",
                1,
                format!("# pack-refs with: peeled fully-peeled sorted \n{a} refs/tags/v1\n^{b}\n"),
            ),
            ("loose", 2, format!("{a}\n")),
            (
                "fetched",
                3,
                format!("{a}\tnot-for-merge\tbranch 'x' of ../y\n"),
            ),
            ("todo", 4, format!("pick {a} one\npick {} two\n", &b[..7])),
        ];
        let seed =
            |(name, which, text): (_, u8, String)| (name, [&[which], text.as_bytes()].concat());
        check(&TARGETS[2], seeds.map(seed).to_vec());
    }
}
