//! From one object to all that it leads to.

use std::collections::HashSet;

use gix::bstr::ByteSlice;

use crate::repo::error::{RepoError, Result};
use crate::repo::id::BlobId;

use super::Roots;

/// An object on the way.
struct Step {
    id: gix::ObjectId,
    /// Where it lies in the commit that led to it.
    path: String,
    /// What led to it.
    of: String,
}

impl Roots {
    /// Follows an object of any kind. No depth is too much for it: what waits is a list.
    pub(super) fn walk(&mut self, id: gix::ObjectId, of: &str) -> Result<()> {
        let mut waiting = vec![Step {
            id,
            path: String::new(),
            of: of.to_owned(),
        }];
        // A walk that failed is not done: what it saw is looked at again.
        let mut seen = HashSet::new();
        while let Some(step) = waiting.pop() {
            if self.seen.contains(&step.id) || !seen.insert(step.id) {
                continue;
            }
            if step.id.is_empty_tree() {
                continue;
            }
            self.step(&step, &mut waiting)?;
        }
        self.seen.extend(seen);
        Ok(())
    }

    fn step(&mut self, step: &Step, waiting: &mut Vec<Step>) -> Result<()> {
        let id = step.id;
        let missing = || RepoError::NoObject { id: id.to_string() };
        let reading = || RepoError::reading(format!("git's object {id}, of {}", step.of));
        let gix = self.gix.clone();
        let header = gix
            .try_find_header(id)
            .map_err(reading())?
            .ok_or_else(missing)?;
        if header.kind() == gix::objs::Kind::Blob {
            // Named by a ref itself: only its reader can tell what it is.
            self.note(BlobId::new(id), "", &step.of);
            return Ok(());
        }
        let object = gix
            .try_find_object(id)
            .map_err(reading())?
            .ok_or_else(missing)?;
        // A name or an id that a bad disk changed would lead elsewhere, and be no error there.
        let hash = gix::objs::compute_hash(gix.object_hash(), object.kind, &object.data);
        if hash.ok() != Some(id) {
            return Err(RepoError::Damaged { id: id.to_string() });
        }
        let to = |id: gix::ObjectId, of: String| Step {
            id,
            path: String::new(),
            of,
        };
        match object.kind {
            gix::objs::Kind::Commit => {
                self.commits += 1;
                let commit = object.try_to_commit_ref().map_err(reading())?;
                let of = format!("commit {id}");
                // One without a time that can be read is the oldest, and no less needed.
                let time = commit.committer().map_or(0, |who| who.seconds());
                self.history.push((time, id));
                waiting.extend(commit.parents().map(|parent| to(parent, of.clone())));
                waiting.push(to(commit.tree(), of));
            }
            gix::objs::Kind::Tag => {
                let tag = object.try_to_tag_ref().map_err(reading())?;
                waiting.push(to(tag.target(), step.of.clone()));
            }
            gix::objs::Kind::Tree => {
                let tree = object.try_into_tree().map_err(reading())?;
                for entry in &tree.decode().map_err(reading())?.entries {
                    // A name that is not UTF-8 may still end as a sidecar's does.
                    let name = entry.filename.to_str_lossy();
                    let path = format!("{}{name}", step.path);
                    if entry.mode.is_tree() {
                        waiting.push(Step {
                            id: entry.oid.to_owned(),
                            path: format!("{path}/"),
                            of: step.of.clone(),
                        });
                    } else if entry.mode.is_blob() && (self.keep)(&path) {
                        self.note(BlobId::new(entry.oid.to_owned()), &path, &step.of);
                    }
                }
            }
            gix::objs::Kind::Blob => {}
        }
        Ok(())
    }
}
