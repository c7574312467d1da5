//! What goes, in words: weights of commits that nothing leads to any more, as far as git still has them.
//!
//! Only for people. What cannot be read here is left out, and no decision stands on it.

use std::collections::HashSet;

use serde::Serialize;

use super::needed::Needed;
use crate::base::ObjectId;
use crate::model::manifest::{self, Manifest, Sidecar};
use crate::ops::error::Result;
use crate::ops::tracked::SUFFIX;
use crate::ops::weights;
use crate::ops::workspace::Workspace;
use crate::repo::CommitId;

/// Weights that only a lost commit has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// The commit.
    pub commit: CommitId,
    /// The first line of its message.
    pub subject: String,
    /// The sidecar.
    pub path: String,
    /// How many objects of it nobody else needs.
    pub objects: usize,
    /// Their bytes, raw.
    pub bytes: u64,
    /// The tensors in them.
    pub tensors: Vec<String>,
}

/// Looks through the commits that nothing leads to.
pub(super) fn look(ws: &Workspace, needed: &Needed<'_>) -> Result<Vec<Lost>> {
    let mut lost = Vec::new();
    let mut seen: HashSet<ObjectId> = HashSet::new();
    for commit in needed.roots().lost()? {
        let Ok(files) = ws.repo().files(&commit, &|path| path.ends_with(SUFFIX)) else {
            continue;
        };
        for file in files {
            let Ok(text) = ws.repo().blob(&file.blob, manifest::MAX_TEXT as u64) else {
                continue;
            };
            let Ok(Sidecar::Inline(manifest)) = Manifest::parse(&text) else {
                continue;
            };
            let mut own: HashSet<ObjectId> = HashSet::new();
            let mut bytes = 0;
            for (id, len, _) in manifest.objects() {
                let there = !needed.objects.contains(&id) && ws.store().contains(&id)?;
                if there && seen.insert(id) {
                    own.insert(id);
                    bytes += len;
                }
            }
            if own.is_empty() {
                continue;
            }
            let info = ws.repo().commit_info(&commit);
            let mut tensors: Vec<String> = weights::named_objects(&manifest)
                .into_iter()
                .filter(|(_, id)| own.contains(id))
                .map(|(name, _)| name.to_owned())
                .collect();
            tensors.sort();
            lost.push(Lost {
                subject: info.map(|info| info.subject).unwrap_or_default(),
                commit,
                path: file.path.to_string(),
                objects: own.len(),
                bytes,
                tensors,
            });
        }
    }
    Ok(lost)
}
