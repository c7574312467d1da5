//! From what a person types to a commit.

use crate::base::text::printable;

use super::discover::Repo;
use super::error::{RepoError, Result};
use super::id::CommitId;
use super::refs::Head;

impl Repo {
    /// The commit that a revision names, in any of git's spellings
    /// (<https://git-scm.com/docs/gitrevisions>); tags are followed to their commit.
    pub fn resolve(&self, rev: &str) -> Result<CommitId> {
        let found = match is_plain(rev) {
            true => self.resolve_plain(rev)?,
            false => None,
        };
        match found {
            Some(id) => Ok(id),
            None => self.resolve_by_git(rev),
        }
    }

    /// `None` where gix finds nothing: git has the last word.
    fn resolve_plain(&self, rev: &str) -> Result<Option<CommitId>> {
        let gix = self.gix();
        let Ok(id) = gix.rev_parse_single(rev) else {
            return Ok(None);
        };
        let Ok(object) = id.object() else {
            return Ok(None);
        };
        match object.peel_tags_to_end() {
            Ok(object) if object.kind == gix::objs::Kind::Commit => {
                Ok(Some(CommitId::new(object.id)))
            }
            Ok(object) => Err(RepoError::NotACommit {
                rev: rev.to_owned(),
                kind: object.kind.to_string(),
            }),
            Err(_) => Ok(None),
        }
    }

    fn resolve_by_git(&self, rev: &str) -> Result<CommitId> {
        if rev.is_empty() || rev.contains('\0') {
            return Err(self.no_revision(rev));
        }
        // The object first and its commit second: `:/text` and `^{/text}` take all that follows as text.
        let verify = |what: &str| {
            let args = ["rev-parse", "--quiet", "--verify", "--end-of-options", what];
            // Git ends with 128 where the words make no sense; both mean that there is no such revision.
            self.git()
                .read(args)
                .ok()
                .and_then(|out| String::from_utf8(out).ok())
        };
        let object = verify(rev).unwrap_or_default();
        let object = object.trim_end();
        // `^main` is answered too, with a `^`.
        if CommitId::from_hex(object).is_none() {
            return Err(self.no_revision(rev));
        }
        let commit = verify(&format!("{object}^{{commit}}"));
        match commit.and_then(|hex| CommitId::from_hex(hex.trim_end())) {
            Some(id) => Ok(id),
            None => {
                let kind = self.git().read(["cat-file", "-t", object])?;
                Err(RepoError::NotACommit {
                    rev: rev.to_owned(),
                    kind: printable(String::from_utf8_lossy(&kind).trim_end()).into_owned(),
                })
            }
        }
    }

    fn no_revision(&self, rev: &str) -> RepoError {
        if let Ok(Head::Branch { name, commit: None }) = self.head()
            && (matches!(rev, "HEAD" | "@") || rev == name)
        {
            return RepoError::Unborn { branch: name };
        }
        RepoError::NoRevision {
            rev: rev.to_owned(),
            near: self.near(rev),
        }
    }

    /// Up to three branches and tags whose names are nearly this.
    fn near(&self, rev: &str) -> Vec<String> {
        let name = rev
            .split(['~', '^', '@', ':'])
            .next()
            .unwrap_or(rev)
            .to_lowercase();
        if name.is_empty() || name.len() > 200 {
            return Vec::new();
        }
        let mut near: Vec<(usize, String)> = self
            .short_names()
            .into_iter()
            .filter_map(|known| {
                let lower = known.to_lowercase();
                let distance =
                    match lower.starts_with(&name) || lower.ends_with(&format!("/{name}")) {
                        true => 1,
                        false => distance(&lower, &name),
                    };
                // Two letters changed places are a distance of 2; with more, a short name is another name.
                (distance <= 1 + name.len() / 4).then_some((distance, known))
            })
            .collect();
        near.sort();
        near.dedup();
        near.into_iter().take(3).map(|(_, name)| name).collect()
    }
}

/// True for what gix and git read alike: names, ids, and steps to parents. Dates, reflogs, searches and paths are
/// left to git itself.
fn is_plain(rev: &str) -> bool {
    !rev.is_empty()
        && !rev.starts_with('-')
        && !rev.contains("@{")
        && !rev.contains("..")
        && !rev.contains("^{/")
        && !rev.contains("-g")
        && !rev.contains([':', '\0', '!'])
}

/// The least number of letters to put in, leave out or replace to make one text of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = i;
        let mut left = i + 1;
        for (y, above) in b.iter().zip(row.iter_mut().skip(1)) {
            let here = (corner + usize::from(x != *y))
                .min(left + 1)
                .min(*above + 1);
            corner = *above;
            *above = here;
            left = here;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("main", "main"), 0);
        assert_eq!(distance("mian", "main"), 2);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
