//! `mvc tag` and `mvc branch`: names for versions, made by git so that its hooks and signing hold.

use serde::Serialize;

use super::error::{Error, Result};
use super::workspace::Workspace;
use crate::base::Kind;
use crate::repo::{Branch, CommitId, Tag, Talk};

/// What `tag` is asked for.
#[derive(Clone, Debug, Default)]
pub struct TagOptions {
    /// The tag's name.
    pub name: String,
    /// The version; HEAD where none is named.
    pub revision: Option<String>,
    /// The message of an annotated tag; a lightweight one where there is none.
    pub message: Option<String>,
    /// Whether signing may talk to the user.
    pub talk: Option<Talk>,
}

/// All tags.
#[derive(Clone, Debug, Serialize)]
pub struct Tags {
    /// The tags, by name.
    pub tags: Vec<Tag>,
}

/// All branches.
#[derive(Clone, Debug, Serialize)]
pub struct Branches {
    /// The branches, by name.
    pub branches: Vec<Branch>,
}

/// Lists tags.
pub fn tags(ws: &Workspace) -> Result<Tags> {
    Ok(Tags {
        tags: ws.repo().tags()?,
    })
}

/// Makes a tag.
pub fn tag(ws: &Workspace, options: &TagOptions) -> Result<()> {
    let revision = options.revision.as_deref().unwrap_or("HEAD");
    // Resolved here first: our words for an unknown revision are the better ones.
    let commit = ws.repo().resolve(revision)?;
    let tags = ws.repo().tags()?;
    if let Some(tag) = tags.iter().find(|tag| tag.name == options.name) {
        let hint = format!("`mvc tag -d {}` deletes it, if nobody has it yet", tag.name);
        return Err(taken("tag", &tag.name, tag.commit.as_ref(), hint));
    }
    Ok(ws.git().tag(
        &options.name,
        &commit,
        options.message.as_deref(),
        options.talk.unwrap_or(Talk::Capture),
    )?)
}

/// Deletes a tag.
pub fn delete_tag(ws: &Workspace, name: &str) -> Result<()> {
    Ok(ws.git().delete_tag(name)?)
}

/// Lists branches.
pub fn branches(ws: &Workspace) -> Result<Branches> {
    Ok(Branches {
        branches: ws.repo().branches()?,
    })
}

/// Makes a branch at a version, without going there.
pub fn branch(ws: &Workspace, name: &str, revision: Option<&str>) -> Result<()> {
    let commit = ws.repo().resolve(revision.unwrap_or("HEAD"))?;
    let branches = ws.repo().branches()?;
    if let Some(branch) = branches.iter().find(|branch| branch.name == name) {
        let hint = format!("`mvc checkout {name}` goes there");
        return Err(taken("branch", name, Some(&branch.commit), hint));
    }
    Ok(ws.git().branch(name, &commit)?)
}

fn taken(what: &str, name: &str, at: Option<&CommitId>, hint: String) -> Error {
    let at = at.map_or(String::new(), |at| format!(", at {}", at.short()));
    let message = format!("there is a {what} `{name}` already{at}");
    Error::advised(Kind::Git, message, hint)
}

/// Deletes a branch; one that is not merged only by force.
pub fn delete_branch(ws: &Workspace, name: &str, force: bool) -> Result<()> {
    Ok(ws.git().delete_branch(name, force)?)
}
