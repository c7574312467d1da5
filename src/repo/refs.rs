//! HEAD, branches, tags, and which of them stand on a commit.

use std::collections::HashMap;

use gix::bstr::ByteSlice;

use super::discover::Repo;
use super::error::{RepoError, Result};
use super::history::{Person, Time, text};
use super::id::CommitId;

/// What HEAD stands on.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Head {
    /// A branch.
    Branch {
        /// Its short name.
        name: String,
        /// Its commit; none while the branch is unborn.
        commit: Option<CommitId>,
    },
    /// A commit, on no branch.
    Detached {
        /// The commit.
        commit: CommitId,
    },
}

impl Head {
    /// The commit, where there is one.
    pub fn commit(&self) -> Option<CommitId> {
        match self {
            Self::Branch { commit, .. } => *commit,
            Self::Detached { commit } => Some(*commit),
        }
    }

    /// The branch's short name, where HEAD is on one.
    pub fn branch(&self) -> Option<&str> {
        match self {
            Self::Branch { name, .. } => Some(name),
            Self::Detached { .. } => None,
        }
    }
}

/// A local branch.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Branch {
    /// Its short name.
    pub name: String,
    /// The commit it stands on.
    pub commit: CommitId,
    /// Whether HEAD is on it.
    pub current: bool,
}

/// A tag.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Tag {
    /// Its short name.
    pub name: String,
    /// The commit it leads to; none where it names a tree or a blob.
    pub commit: Option<CommitId>,
    /// The message of an annotated tag, without a signature; none for a lightweight one.
    pub message: Option<String>,
    /// Who made an annotated tag.
    pub tagger: Option<Person>,
    /// When.
    pub time: Option<Time>,
}

/// A name that stands on a commit, as `git log --decorate` shows it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Label {
    /// What sort of name.
    pub kind: LabelKind,
    /// The short name; `HEAD` for a detached HEAD.
    pub name: String,
    /// Whether HEAD is on this branch.
    pub current: bool,
}

/// The sort of a [`Label`], in the order they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LabelKind {
    /// A detached HEAD.
    Head,
    /// A local branch.
    Branch,
    /// A tag.
    Tag,
    /// A branch of a remote as it was last seen.
    Remote,
}

/// The labels of commits.
pub(super) type Labels = HashMap<CommitId, Vec<Label>>;

impl Repo {
    /// What HEAD stands on.
    pub fn head(&self) -> Result<Head> {
        let gix = self.gix();
        let mut head = gix.head().map_err(RepoError::reading("HEAD"))?;
        let name = head.referent_name().map(|name| text(name.shorten()));
        let commit = head
            .try_peel_to_id()
            .map_err(RepoError::reading("HEAD"))?
            .map(|id| CommitId::new(id.detach()));
        match (name, commit) {
            (Some(name), commit) => Ok(Head::Branch { name, commit }),
            (None, Some(commit)) => Ok(Head::Detached { commit }),
            (None, None) => Err(RepoError::Unsupported("has a HEAD that names nothing")),
        }
    }

    /// The commits that HEAD stands on and stood on, newest first, as far back as `limit` moves or its log go; what
    /// git put aside (`ORIG_HEAD`, the newest stash with its index) is among them.
    pub fn recent_heads(&self, limit: usize) -> Result<Vec<CommitId>> {
        let mut found: Vec<CommitId> = ["HEAD", "ORIG_HEAD", "refs/stash", "refs/stash^2"]
            .into_iter()
            .filter_map(|name| self.resolve(name).ok())
            .collect();
        let gix = self.gix();
        let head = gix
            .find_reference("HEAD")
            .map_err(RepoError::reading("HEAD"))?;
        let mut log = head.log_iter();
        // A log that cannot be read is one that tells of nothing.
        let moves = log.rev().ok().flatten();
        for line in moves.into_iter().flatten().take(limit).flatten() {
            found.extend([line.new_oid, line.previous_oid].map(CommitId::new));
        }
        let mut seen = std::collections::HashSet::new();
        found.retain(|commit| seen.insert(*commit));
        Ok(found)
    }

    /// The commit of a local branch; `None` where there is none of that name.
    pub fn branch_commit(&self, name: &str) -> Result<Option<CommitId>> {
        let branches = self.branches()?;
        let found = branches.into_iter().find(|branch| branch.name == name);
        Ok(found.map(|branch| branch.commit))
    }

    /// The local branches, by name.
    pub fn branches(&self) -> Result<Vec<Branch>> {
        let head = self.head()?;
        let mut branches = Vec::new();
        self.each_ref("refs/heads/", |name, id, _| {
            branches.push(Branch {
                current: head.branch() == Some(name),
                name: name.to_owned(),
                commit: CommitId::new(id),
            });
            Ok(())
        })?;
        Ok(branches)
    }

    /// The branches of remotes as they were last seen, by name (`origin/main`).
    pub fn remote_branches(&self) -> Result<Vec<Branch>> {
        let mut branches = Vec::new();
        self.each_ref("refs/remotes/", |name, id, _| {
            branches.push(Branch {
                name: name.to_owned(),
                commit: CommitId::new(id),
                current: false,
            });
            Ok(())
        })?;
        Ok(branches)
    }

    /// The tags, by name.
    pub fn tags(&self) -> Result<Vec<Tag>> {
        let gix = self.gix();
        let mut tags = Vec::new();
        self.each_ref("refs/tags/", |name, peeled, direct| {
            let mut tag = Tag {
                name: name.to_owned(),
                commit: None,
                message: None,
                tagger: None,
                time: None,
            };
            let reading = || format!("the tag {name}");
            let header = gix
                .try_find_header(peeled)
                .map_err(RepoError::reading(reading()))?;
            if header.is_some_and(|header| header.kind() == gix::objs::Kind::Commit) {
                tag.commit = Some(CommitId::new(peeled));
            }
            // A tag object may itself name another; the outermost one carries the words.
            if direct != peeled
                && let Some(object) = gix
                    .try_find_object(direct)
                    .map_err(RepoError::reading(reading()))?
                && let Ok(decoded) = object.try_to_tag_ref()
            {
                tag.message = Some(text(decoded.message).trim_end().to_owned());
                if let Ok(Some(signature)) = decoded.tagger() {
                    tag.tagger = Some(Person::from_git(&signature));
                    tag.time = Some(Time::from_git(&signature));
                }
            }
            tags.push(tag);
            Ok(())
        })?;
        Ok(tags)
    }

    /// Every name that stands on a commit, by commit.
    pub(super) fn labels(&self) -> Result<Labels> {
        let mut labels = Labels::new();
        let head = self.head()?;
        let mut add = |kind, name: &str, id: CommitId| {
            labels.entry(id).or_default().push(Label {
                kind,
                name: name.to_owned(),
                current: kind == LabelKind::Branch && head.branch() == Some(name),
            });
        };
        if let Head::Detached { commit } = &head {
            add(LabelKind::Head, "HEAD", *commit);
        }
        let kinds = [
            ("refs/heads/", LabelKind::Branch),
            ("refs/tags/", LabelKind::Tag),
            ("refs/remotes/", LabelKind::Remote),
        ];
        for (folder, kind) in kinds {
            self.each_ref(folder, |name, id, _| {
                add(kind, name, CommitId::new(id));
                Ok(())
            })?;
        }
        for labels in labels.values_mut() {
            // The current branch first, as git does; within a sort by name.
            labels
                .sort_by(|a, b| (!a.current, a.kind, &a.name).cmp(&(!b.current, b.kind, &b.name)));
        }
        Ok(labels)
    }

    /// Short names of branches, tags and branches of remotes; what cannot be read is left out.
    pub(super) fn short_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for folder in ["refs/heads/", "refs/tags/", "refs/remotes/"] {
            let _ = self.each_ref(folder, |name, _, _| {
                names.push(name.to_owned());
                Ok(())
            });
        }
        names
    }

    /// Calls back with each ref of a folder: its name without the folder, the object it leads to, and the object it
    /// names itself. Refs that lead nowhere are left out, as git does.
    fn each_ref(
        &self,
        folder: &str,
        mut each: impl FnMut(&str, gix::ObjectId, gix::ObjectId) -> Result<()>,
    ) -> Result<()> {
        let gix = self.gix();
        let reading = || RepoError::reading(format!("the refs in {folder}"));
        let platform = gix.references().map_err(reading())?;
        // The iterator holds the packed refs, so that names are collected first and followed after.
        let refs: Vec<gix::Reference<'_>> = platform
            .prefixed(folder.as_bytes())
            .map_err(reading())?
            .filter_map(std::result::Result::ok)
            .collect();
        for mut found in refs {
            let name = text(
                found
                    .name()
                    .as_bstr()
                    .strip_prefix(folder.as_bytes())
                    .unwrap_or_default()
                    .as_bstr(),
            );
            // `refs/remotes/origin/HEAD` repeats another name.
            if found.try_id().is_none() {
                continue;
            }
            let direct = found.id().detach();
            let Ok(peeled) = found.peel_to_id() else {
                continue;
            };
            each(&name, peeled.detach(), direct)?;
        }
        Ok(())
    }
}
