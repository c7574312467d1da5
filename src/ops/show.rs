//! `mvc show`: a version, a weights file of it, or one tensor.

use serde::Serialize;

use super::error::{Error, Result};
use super::metrics::{self, Values};
use super::reconcile;
use super::sides::Side;
use super::workspace::Workspace;
use crate::base::text::{chain, printable};
use crate::base::{Dtype, Kind, ObjectId, Progress, RepoPath};
use crate::eval::claim::{self, Claims};
use crate::model::stats::{self, Input, Stats};
use crate::model::{Entry, weights_id};
use crate::repo::CommitInfo;

/// The longest plain file that is shown.
const PLAIN_LIMIT: u64 = 256 << 20;

/// What there is to show.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Report {
    /// A version.
    Version(Box<Version>),
    /// A weights file.
    Weights(Weights),
    /// One tensor.
    Tensor(Box<Tensor>),
    /// Any other file: its bytes are printed as they are.
    Plain {
        /// The file.
        path: RepoPath,
        /// Its bytes.
        #[serde(skip)]
        bytes: Vec<u8>,
    },
}

/// A version.
#[derive(Clone, Debug, Serialize)]
pub struct Version {
    /// The commit.
    #[serde(flatten)]
    pub commit: CommitInfo,
    /// Its weights files.
    pub weights: Vec<Weights>,
    /// Its metrics.
    pub metrics: Values,
    /// Why its metrics or claims cannot be read, where that is so.
    pub unreadable: Vec<String>,
    /// Its claims.
    pub claims: Claims,
}

/// A weights file of a version.
#[derive(Clone, Debug, Serialize)]
pub struct Weights {
    /// The file.
    pub path: RepoPath,
    /// How it is understood.
    pub format: &'static str,
    /// Its length in bytes.
    pub bytes: u64,
    /// How many numbers its tensors hold.
    pub parameters: u64,
    /// One id for all its tensors, whatever file they lie in.
    pub weights_id: ObjectId,
    /// Its tensors in the order of the file.
    pub tensors: Vec<Named>,
}

/// A tensor's name and form.
#[derive(Clone, Debug, Serialize)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// How its bytes are read.
    pub dtype: Dtype,
    /// Its sides.
    pub shape: Vec<u64>,
    /// Its id.
    pub id: ObjectId,
}

/// One tensor and what its numbers are like.
#[derive(Clone, Debug, Serialize)]
pub struct Tensor {
    /// The file.
    pub path: RepoPath,
    /// Its name and form.
    #[serde(flatten)]
    pub named: Named,
    /// Its statistics, compared with nothing: those of one side mean something.
    pub stats: Stats,
}

/// Shows `REV`, `REV:PATH` or `REV:PATH:TENSOR`; an empty `REV` is the work tree.
pub fn run(ws: &Workspace, what: &str, progress: &dyn Progress) -> Result<Report> {
    let mut parts = what.splitn(3, ':');
    let (revision, path, tensor) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    // `:/text` and the like are git's own spellings of revisions.
    if what.starts_with(":/") || path.is_none() {
        return version(ws, if what.is_empty() { "HEAD" } else { what });
    }
    let side = if revision.is_empty() {
        Side::Worktree
    } else {
        Side::commit(ws, revision)?
    };
    if side == Side::Worktree {
        reconcile::run(ws, progress)?;
    }
    let path = ws.path_in_revision(path.unwrap_or_default())?;
    if !side.has_weights(ws, &path)? {
        let bytes = side.read(ws, &path, PLAIN_LIMIT)?;
        let missing = || {
            Error::refused(
                Kind::NotFound,
                format!("{} has no file {path}", side.name()),
            )
        };
        return Ok(Report::Plain {
            bytes: bytes.ok_or_else(missing)?,
            path,
        });
    }
    let file = side.file(ws, &path, progress)?;
    let Some(tensor) = tensor else {
        return Ok(Report::Weights(weights(&path, &file.manifest)));
    };
    let entry = file
        .manifest
        .tensors()
        .into_iter()
        .find(|entry| entry.name == tensor);
    let missing = || {
        let hint = format!("`mvc show {revision}:{path}` lists its tensors");
        Error::advised(
            Kind::NotFound,
            format!("{path} has no tensor `{}`", printable(tensor)),
            hint,
        )
    };
    let entry = entry.ok_or_else(missing)?;
    let (source, offset) = file.locate(ws, &entry)?;
    let input = Input {
        offset,
        ..Input::in_file(source.as_ref(), &entry)
    };
    let stats = stats::of(&input, super::threads(), progress)?;
    Ok(Report::Tensor(Box::new(Tensor {
        path,
        named: Named::from(entry.clone()),
        stats,
    })))
}

fn version(ws: &Workspace, revision: &str) -> Result<Report> {
    let id = ws.repo().resolve(revision)?;
    let commit = ws.repo().commit_info(&id)?;
    let files = super::tracked::manifests(ws, &super::tracked::of_commit(ws, &id)?)?;
    let weights = files
        .iter()
        .map(|(path, manifest)| weights(path, manifest))
        .collect();
    let claims = ws
        .repo()
        .file(&id, &RepoPath::new(claim::FILE)?, claim::LIMIT)?
        .map_or_else(|| Ok(Claims::default()), |bytes| Claims::parse(&bytes));
    let metrics = metrics::of_files(ws, &id);
    // One bad file hides nothing else of a version.
    let unreadable: Vec<String> = [
        metrics.as_ref().err().map(|e| chain(e)),
        claims.as_ref().err().map(|e| chain(e)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let (claims, metrics) = (claims.unwrap_or_default(), metrics.unwrap_or_default());
    Ok(Report::Version(Box::new(Version {
        commit,
        weights,
        metrics,
        unreadable,
        claims,
    })))
}

fn weights(path: &RepoPath, manifest: &crate::model::Manifest) -> Weights {
    let tensors: Vec<Named> = manifest.tensors().into_iter().map(Named::from).collect();
    let elements = |named: &Named| {
        named
            .shape
            .iter()
            .fold(1u64, |product, side| product.saturating_mul(*side))
    };
    Weights {
        path: path.clone(),
        format: manifest.format.name(),
        bytes: manifest.file_len(),
        parameters: tensors.iter().map(elements).fold(0, u64::saturating_add),
        weights_id: weights_id(std::iter::once((path, manifest))),
        tensors,
    }
}

impl From<Entry> for Named {
    fn from(entry: Entry) -> Self {
        Self {
            name: entry.name,
            dtype: entry.dtype,
            shape: entry.shape,
            id: entry.id,
        }
    }
}
