//! What a program printed and how it ended, with assertions that read as sentences.

use mvc::base::Kind;
use snapbox::IntoData;

/// What a program printed and how it ended.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    /// What was run, for messages.
    pub(crate) call: String,
    /// The exit code; 128 + the signal's number where a signal ended it.
    pub(crate) code: i32,
    /// Stdout as bytes.
    pub(crate) bytes: Vec<u8>,
    /// Stdout as text, as it was.
    pub(crate) stdout: String,
    /// Stderr as text, as it was.
    pub(crate) stderr: String,
    /// The sandbox's folder, which snapshots call `[TMP]`.
    pub(crate) folder: String,
}

impl Output {
    /// It succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.code(0)
    }

    /// It ended with this exit code.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "{}\n{}{}",
            self.call, self.stdout, self.stderr
        );
        self
    }

    /// It failed with the exit code of this kind.
    #[track_caller]
    pub(crate) fn fails(self, kind: Kind) -> Self {
        self.code(kind.exit_code().into())
    }

    /// Stdout contains this.
    #[track_caller]
    pub(crate) fn prints(self, part: &str) -> Self {
        assert!(
            self.stdout.contains(part),
            "{} prints no {part:?}:\n{}",
            self.call,
            self.stdout
        );
        self
    }

    /// Stdout does not contain this.
    #[track_caller]
    pub(crate) fn prints_no(self, part: &str) -> Self {
        assert!(
            !self.stdout.contains(part),
            "{} prints {part:?}:\n{}",
            self.call,
            self.stdout
        );
        self
    }

    /// Stderr contains this.
    #[track_caller]
    pub(crate) fn says(self, part: &str) -> Self {
        assert!(
            self.stderr.contains(part),
            "{} says no {part:?}:\n{}",
            self.call,
            self.stderr
        );
        self
    }

    /// Stdout and stderr are empty.
    #[track_caller]
    pub(crate) fn silent(self) -> Self {
        assert!(
            self.stdout.is_empty() && self.stderr.is_empty(),
            "{}\n{}{}",
            self.call,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Stdout is this snapshot (`snapbox::str![..]`), hashes, times and the sandbox's folder redacted.
    #[track_caller]
    pub(crate) fn stdout_is(self, snapshot: impl IntoData) -> Self {
        assert_snapshot(&redacted(&self.stdout, &self.folder), snapshot);
        self
    }

    /// Stderr is this snapshot.
    #[track_caller]
    pub(crate) fn stderr_is(self, snapshot: impl IntoData) -> Self {
        assert_snapshot(&redacted(&self.stderr, &self.folder), snapshot);
        self
    }

    /// Stdout as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("{}: {e}\n{}", self.call, self.stdout))
    }

    /// Stdout without the line end: the answer of `git rev-parse` and its like.
    pub(crate) fn line(&self) -> &str {
        self.stdout.trim_end_matches('\n')
    }
}

#[track_caller]
fn assert_snapshot(text: &str, snapshot: impl IntoData) {
    snapbox::Assert::new()
        .action_env("SNAPSHOTS")
        .eq(text, snapshot);
}

/// Text without what differs from run to run: the folder becomes `[TMP]`, hashes `[HASH]`, durations `[TIME]`.
///
/// A hash is a word of 7 hex digits or more with a digit among them.
pub(crate) fn redacted(text: &str, folder: &str) -> String {
    let text = text.replace(folder, "[TMP]");
    let mut words: Vec<String> = Vec::new();
    for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '.') {
        let end = word.len()
            - word
                .chars()
                .last()
                .filter(|c| !c.is_ascii_alphanumeric() && *c != '.')
                .map_or(0, char::len_utf8);
        let (bare, gap) = word.split_at(end);
        let core = bare.trim_end_matches('.');
        let dots = &bare[core.len()..];
        if is_hash(core) {
            words.push(format!("[HASH]{dots}{gap}"));
            continue;
        }
        let number = words
            .last()
            .and_then(|last| last.strip_suffix(' '))
            .is_some_and(is_number);
        if number && matches!(core, "ms" | "s" | "seconds" | "minutes") {
            words.pop();
            words.push(format!("[TIME]{dots}{gap}"));
            continue;
        }
        words.push(word.to_owned());
    }
    words.concat()
}

fn is_hash(word: &str) -> bool {
    word.len() >= 7
        && word.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
        && word.bytes().any(|c| c.is_ascii_digit())
        && word.bytes().any(|c| c.is_ascii_lowercase())
}

fn is_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit()) && word.parse::<f64>().is_ok()
}
