//! The editor of hook scripts as a function of any bytes.

use std::path::Path;

use super::Hook;
use super::line::{Edit, found, insert, remove};
use crate::base::fuzz::Target;

pub(in crate::repo) const SCRIPT: Target = Target {
    name: "hook-script",
    run: script,
    memory: |bytes| (8 << 10) + 12 * bytes.len(),
};

/// A script that somebody has: with mvc's line it is found, and without it again it is what it was.
fn script(bytes: &[u8]) -> bool {
    let program = Some(Path::new("/usr/bin/mvc"));
    let before = found(bytes);
    let bare = match remove(bytes) {
        Edit::Nothing => bytes.to_vec(),
        Edit::Write(bare) => bare,
        Edit::Delete => return true,
    };
    assert_eq!(found(&bare), None, "no line of mvc's is left");
    let Ok(edit) = insert(Some(bytes), Hook::PreCommit, program) else {
        return false;
    };
    let with = match edit {
        Edit::Write(with) => with,
        Edit::Nothing => bytes.to_vec(),
        Edit::Delete => panic!("a line is put in, and the script goes"),
    };
    assert_eq!(found(&with), Some(true), "{before:?} before");
    assert_eq!(
        insert(Some(&with), Hook::PreCommit, program),
        Ok(Edit::Nothing),
        "once is enough"
    );
    match remove(&with) {
        Edit::Write(without) => assert!(without == bare, "the rest is untouched"),
        Edit::Delete => {}
        Edit::Nothing => panic!("there is a line"),
    }
    true
}

/// The line of a hook, for seeds.
#[cfg(test)]
pub(in crate::repo) fn of(hook: Hook) -> String {
    super::line::line(hook, Some(Path::new("/opt/it's mvc")))
}
