//! The one line that mvc puts into a hook script, and the bytes of a script with and without it. Pure.
//!
//! The line stands right after `#!`, so that it runs whatever the rest does: scripts end early, `exec` something
//! else, or read all of their standard input, which the line leaves alone. It does nothing where mvc is not
//! installed, inside a git that mvc itself started, and where the user set `MVC_SKIP_HOOKS`.

use std::path::Path;

use super::{Hook, Obstacle};

/// Ends every line of mvc's, of any version.
const MARK: &str = "# added by mvc hooks install";

/// Which wording of the line this is; a newer one takes an older one's place.
const VERSION: &str = "(1)";

/// The first lines of a script that is mvc's own.
const OWN: &str = "#!/bin/sh\n# Made by mvc, with nothing of yours in it.\n";

/// What becomes of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// It is as it should be.
    Nothing,
    /// These are its new bytes.
    Write(Vec<u8>),
    /// Nothing but mvc's own is in it, so it goes.
    Delete,
}

/// The line for a hook. `program` is mvc's absolute path, for where `PATH` does not have it: desktop programs start
/// git with a short one.
pub(super) fn line(hook: Hook, program: Option<&Path>) -> String {
    // Git calls this one with `0 0` at every `git status`, and the shell's own words are all that may cost.
    let guard = match hook {
        Hook::PostIndexChange => r#"[ "${1-}" != 1 ] || "#,
        _ => "",
    };
    let fallback = program
        .filter(|program| program.is_absolute())
        .and_then(Path::to_str)
        .filter(|program| !program.contains(['\n', '\r', '\0']))
        .map_or_else(
            || "''".into(),
            |program| format!("'{}'", program.replace('\'', r"'\''")),
        );
    let failure = match hook {
        // The exit code of these two stops git.
        Hook::PreCommit | Hook::PrePush => "exit $?",
        // Git has done its work by now, and weights are no reason to say that it failed.
        Hook::PostCheckout
        | Hook::PostMerge
        | Hook::PostRewrite
        | Hook::PostIndexChange
        | Hook::PostApplypatch => ":",
    };
    let name = hook.name();
    // Only an absolute answer counts: `PATH` may name the work tree as `.`, and `mvc` may be an alias.
    format!(
        r#"{guard}[ -n "${{MVC_INSIDE-}}${{MVC_SKIP_HOOKS-}}" ] || {{ mvc_=$(command -v mvc || :); case $mvc_ in /*) ;; *) mvc_={fallback} ;; esac; [ ! -x "$mvc_" ] || "$mvc_" hook {name} "$@" </dev/null || {failure}; }} {MARK} {VERSION}"#
    )
}

/// The script with the line in it; `old` is `None` where there is no script.
pub(super) fn insert(
    old: Option<&[u8]>,
    hook: Hook,
    program: Option<&Path>,
) -> Result<Edit, Obstacle> {
    let line = line(hook, program);
    let Some(old) = old else {
        return Ok(Edit::Write(format!("{OWN}{line}\n").into_bytes()));
    };
    let rest = without(old);
    let at = after_interpreter(&rest)?;
    let (head, tail) = rest.split_at(at);
    let mut new = head.to_vec();
    // A script that is nothing but an unfinished first line stays unfinished when the line goes again.
    let unfinished = !head.is_empty() && !head.ends_with(b"\n");
    if unfinished {
        new.push(b'\n');
    }
    // In a script of its own, mvc's first line comes after what it says about it.
    let own = OWN.as_bytes().get(at..).unwrap_or_default();
    let tail = match rest.starts_with(OWN.as_bytes()) {
        true => {
            new.extend_from_slice(own);
            tail.get(own.len()..).unwrap_or_default()
        }
        false => tail,
    };
    new.extend_from_slice(line.as_bytes());
    if !unfinished {
        new.push(b'\n');
    }
    new.extend_from_slice(tail);
    Ok(match new == old {
        true => Edit::Nothing,
        false => Edit::Write(new),
    })
}

/// The script without the line.
pub(super) fn remove(old: &[u8]) -> Edit {
    let rest = without(old);
    match rest.len() == old.len() {
        true => Edit::Nothing,
        false if rest == OWN.as_bytes() => Edit::Delete,
        false => Edit::Write(rest),
    }
}

/// True if the line, of any version, is in the script; and whether it is of this one.
pub(super) fn found(script: &[u8]) -> Option<bool> {
    let mine = lines(script).find(|line| is_mine(line))?;
    let text = String::from_utf8_lossy(mine);
    Some(text.trim_end().ends_with(&format!("{MARK} {VERSION}")))
}

fn lines(script: &[u8]) -> impl Iterator<Item = &[u8]> {
    script.split_inclusive(|byte| *byte == b'\n')
}

fn is_mine(line: &[u8]) -> bool {
    std::str::from_utf8(line).is_ok_and(|line| line.contains(" hook ") && line.contains(MARK))
}

fn without(script: &[u8]) -> Vec<u8> {
    let mut rest: Vec<u8> = lines(script)
        .filter(|line| !is_mine(line))
        .flatten()
        .copied()
        .collect();
    // Put after a first line that had no end, it took one with it.
    let last = lines(script).last().unwrap_or_default();
    if is_mine(last) && !last.ends_with(b"\n") && rest.ends_with(b"\n") {
        rest.pop();
    }
    rest
}

/// Where the first line that the shell runs begins. An error where no shell runs it.
fn after_interpreter(script: &[u8]) -> Result<usize, Obstacle> {
    let Some(first) = script.strip_prefix(b"#!") else {
        // The kernel refuses such a file, and git then hands it to `sh`.
        return match script.iter().take(8000).any(|byte| *byte == 0) {
            true => Err(Obstacle::Binary),
            false => Ok(0),
        };
    };
    let first = first
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let text = String::from_utf8_lossy(first);
    let mut words = text
        .split_whitespace()
        .map(|word| word.rsplit('/').next().unwrap_or(word));
    let mut program = words.next().unwrap_or_default();
    if program == "env" {
        program = words
            .find(|word| !word.starts_with('-') && !word.contains('='))
            .unwrap_or_default();
    }
    if program == "busybox" {
        program = words.next().unwrap_or_default();
    }
    match program {
        "sh" | "bash" | "dash" | "ash" | "ksh" | "mksh" | "zsh" => {
            let end = 2 + first.len();
            Ok(if script.len() > end { end + 1 } else { end })
        }
        _ => Err(Obstacle::Interpreter(text.trim().to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn write(edit: Edit) -> Vec<u8> {
        match edit {
            Edit::Write(bytes) => bytes,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_line_comes_first_and_goes_without_a_trace() {
        let scripts = [
            "#!/bin/sh\nexit 0\n",
            "#!/usr/bin/env bash\n",
            "#!/usr/bin/env -S bash -e\nexec lefthook\n",
            "#!/bin/sh",
            "#! /bin/busybox sh\nx",
            "echo no interpreter\n",
            "",
        ];
        for old in scripts {
            let program = Path::new("/opt/it's mvc");
            let new = write(
                insert(Some(old.as_bytes()), Hook::PreCommit, Some(program)).expect("a shell"),
            );
            let text = String::from_utf8(new.clone()).expect("text");
            let at = if old.starts_with("#!") { 1 } else { 0 };
            assert!(
                text.lines().nth(at).is_some_and(|line| line.contains(MARK)),
                "{text}"
            );
            assert_eq!(
                insert(Some(&new), Hook::PreCommit, Some(program)),
                Ok(Edit::Nothing)
            );
            assert_eq!(found(&new), Some(true));
            assert_eq!(write(remove(&new)), old.as_bytes(), "{old:?}");
            // Another version's line gives way.
            let older = text.replace(VERSION, "(0)");
            assert_eq!(found(older.as_bytes()), Some(false));
            assert_eq!(
                insert(Some(older.as_bytes()), Hook::PreCommit, Some(program)),
                Ok(Edit::Write(new))
            );
        }
    }

    #[test]
    fn a_script_of_mvc_s_own_goes_as_a_whole() {
        let made = write(insert(None, Hook::PostCheckout, None).expect("made"));
        assert_eq!(
            insert(Some(&made), Hook::PostCheckout, None),
            Ok(Edit::Nothing)
        );
        let moved =
            insert(Some(&made), Hook::PostCheckout, Some(Path::new("/opt/mvc"))).expect("a shell");
        assert_eq!(remove(&write(moved)), Edit::Delete);
        assert_eq!(remove(&made), Edit::Delete);
        let mut more = made;
        more.extend_from_slice(b"echo mine\n");
        assert_eq!(
            write(remove(&more)),
            format!("{OWN}echo mine\n").into_bytes()
        );
        assert_eq!(remove(b"#!/bin/sh\n"), Edit::Nothing);
    }

    #[test]
    fn what_no_shell_runs_is_left_alone() {
        for script in [
            "#!/usr/bin/env python3\n",
            "#!/usr/bin/fish\n",
            "#!\n",
            "#!/bin/sh\r\n",
        ] {
            let edit = insert(Some(script.as_bytes()), Hook::PrePush, None);
            let shell = script.contains("/sh\r");
            assert_eq!(edit.is_err(), !shell, "{script:?}");
        }
        assert_eq!(
            insert(Some(b"\x7fELF\0"), Hook::PrePush, None),
            Err(Obstacle::Binary)
        );
    }

    proptest! {
        #[test]
        fn any_script_comes_back(body in "[ -~\n]{0,60}", shebang: bool) {
            let script = if shebang { format!("#!/bin/sh\n{body}") } else { body };
            prop_assume!(shebang || !script.starts_with("#!"));
            let new = write(insert(Some(script.as_bytes()), Hook::PostMerge, None).expect("a shell"));
            prop_assert_eq!(write(remove(&new)), script.into_bytes());
        }
    }
}
