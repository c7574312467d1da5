//! Commits, and walking from one to those it stands on.

use std::collections::{BinaryHeap, HashSet};

use gix::bstr::BStr;

use super::discover::Repo;
use super::error::{RepoError, Result};
use super::id::CommitId;
use super::refs::{Label, Labels};

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Person {
    /// Their name.
    pub name: String,
    /// Their mail address.
    pub email: String,
}

/// When, and in which time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Time {
    /// Seconds since 1970 in UTC.
    pub seconds: i64,
    /// Seconds that local time is ahead of UTC.
    pub offset: i32,
}

impl Person {
    pub(super) fn from_git(signature: &gix::actor::SignatureRef<'_>) -> Self {
        let signature = signature.trim();
        Self {
            name: text(signature.name),
            email: text(signature.email),
        }
    }
}

impl Time {
    /// A malformed date is 0, as git shows it.
    pub(super) fn from_git(signature: &gix::actor::SignatureRef<'_>) -> Self {
        let time = signature.time().unwrap_or_default();
        Self {
            seconds: time.seconds,
            offset: time.offset,
        }
    }
}

/// Text from a commit, whatever its encoding claims to be.
pub(super) fn text(bytes: &BStr) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a commit says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CommitInfo {
    /// Its name.
    pub id: CommitId,
    /// The commits it stands on; none where a shallow clone ends.
    pub parents: Vec<CommitId>,
    /// Who wrote it.
    pub author: Person,
    /// When it was written.
    pub time: Time,
    /// Who committed it.
    pub committer: Person,
    /// When it was committed.
    pub committed: Time,
    /// The first paragraph of the message, on one line.
    pub subject: String,
    /// The rest of the message.
    pub body: String,
    /// The names that stand on it.
    pub labels: Vec<Label>,
}

/// Which commits [`Repo::log`] walks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Follow the first parent only.
    pub first_parent: bool,
    /// Stop after so many.
    pub limit: Option<usize>,
}

impl Repo {
    /// What a commit says.
    pub fn commit_info(&self, id: &CommitId) -> Result<CommitInfo> {
        let labels = self.labels()?;
        let mut info = Reader::new(self)?.read(id)?;
        info.labels = labels.get(id).cloned().unwrap_or_default();
        Ok(info)
    }

    /// The commits that can be reached from these, newest first, as `git log` orders them: a commit's date decides
    /// among those whose children were all seen. Each comes once. The walk ends after the first error.
    pub fn log(&self, from: &[CommitId], options: LogOptions) -> Result<Log> {
        let mut log = Log {
            reader: Reader::new(self)?,
            labels: self.labels()?,
            seen: HashSet::new(),
            queue: BinaryHeap::new(),
            order: 0,
            options,
            left: options.limit.unwrap_or(usize::MAX),
        };
        for id in from {
            log.push(*id)?;
        }
        Ok(log)
    }

    /// True if `old` is `new` or can be reached from it.
    pub fn is_ancestor(&self, old: &CommitId, new: &CommitId) -> Result<bool> {
        if old == new {
            return Ok(true);
        }
        let args = [
            "merge-base",
            "--is-ancestor",
            &old.to_string(),
            &new.to_string(),
        ];
        Ok(self.git().ask(args, b"")?.is_some())
    }

    /// The best common ancestor of two commits, as a merge would use it; none where they share no history.
    pub fn merge_base(&self, a: &CommitId, b: &CommitId) -> Result<Option<CommitId>> {
        let out = self
            .git()
            .ask(["merge-base", &a.to_string(), &b.to_string()], b"")?;
        Ok(out
            .and_then(|hex| String::from_utf8(hex).ok())
            .and_then(|hex| CommitId::from_hex(hex.trim_end())))
    }
}

/// Reads commits, and knows where a shallow clone ends.
struct Reader {
    gix: gix::Repository,
    ends: HashSet<gix::ObjectId>,
}

impl Reader {
    fn new(repo: &Repo) -> Result<Self> {
        let gix = repo.gix();
        let shallow = gix
            .shallow_commits()
            .map_err(RepoError::reading("the list of shallow commits"))?;
        let ends = shallow
            .iter()
            .flat_map(|ends| ends.iter().copied())
            .collect();
        Ok(Self { gix, ends })
    }

    fn read(&self, id: &CommitId) -> Result<CommitInfo> {
        let reading = || RepoError::reading(format!("commit {id}"));
        let object = self.gix.try_find_object(id.git()).map_err(reading())?;
        let object = object.ok_or_else(|| RepoError::NoObject { id: id.to_string() })?;
        let commit = object.try_to_commit_ref().map_err(reading())?;
        let author = commit.author().map_err(reading())?;
        let committer = commit.committer().map_err(reading())?;
        let (subject, body) = split(&text(commit.message));
        let parents = match self.ends.contains(&id.git()) {
            true => Vec::new(),
            false => commit.parents().map(CommitId::new).collect(),
        };
        Ok(CommitInfo {
            id: *id,
            parents,
            author: Person::from_git(&author),
            time: Time::from_git(&author),
            committer: Person::from_git(&committer),
            committed: Time::from_git(&committer),
            subject,
            body,
            labels: Vec::new(),
        })
    }
}

/// Subject and body, as git tells them apart: the subject is the first paragraph, its lines joined.
fn split(message: &str) -> (String, String) {
    let message = message.trim_start_matches(['\n', '\r']);
    let mut rest = message;
    let mut subject: Vec<&str> = Vec::new();
    while let Some(line) = rest.split_inclusive('\n').next() {
        rest = rest.get(line.len()..).unwrap_or_default();
        match line.trim() {
            "" => break,
            line => subject.push(line),
        }
    }
    (
        subject.join(" "),
        rest.trim_matches(['\n', '\r']).to_owned(),
    )
}

/// A walk from commits to those they stand on.
pub struct Log {
    reader: Reader,
    labels: Labels,
    seen: HashSet<CommitId>,
    queue: BinaryHeap<Waiting>,
    order: u64,
    options: LogOptions,
    left: usize,
}

/// A commit that was met and not yet given: the newest first, and of one second the one that was met first.
struct Waiting {
    seconds: i64,
    order: std::cmp::Reverse<u64>,
    info: Box<CommitInfo>,
}

impl Waiting {
    fn key(&self) -> (i64, std::cmp::Reverse<u64>) {
        (self.seconds, self.order)
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl Log {
    fn push(&mut self, id: CommitId) -> Result<()> {
        if self.seen.insert(id) {
            let info = self.reader.read(&id)?;
            self.order += 1;
            self.queue.push(Waiting {
                seconds: info.committed.seconds,
                order: std::cmp::Reverse(self.order),
                info: Box::new(info),
            });
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Option<CommitInfo>> {
        let Some(waiting) = self.queue.pop() else {
            return Ok(None);
        };
        let mut info = *waiting.info;
        let parents = match self.options.first_parent {
            true => info.parents.get(..1),
            false => info.parents.get(..),
        };
        for parent in parents.unwrap_or_default() {
            self.push(*parent)?;
        }
        info.labels = self.labels.get(&info.id).cloned().unwrap_or_default();
        Ok(Some(info))
    }
}

impl Iterator for Log {
    type Item = Result<CommitInfo>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let item = self.step().transpose();
        if !matches!(item, Some(Ok(_))) {
            self.left = 0;
        }
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subject_and_body() {
        assert_eq!(split("one\n"), ("one".into(), String::new()));
        assert_eq!(
            split("\none\ntwo\n\nbody\n\nmore\n"),
            ("one two".into(), "body\n\nmore".into())
        );
        assert_eq!(split(""), (String::new(), String::new()));
    }
}
