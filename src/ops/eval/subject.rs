//! What exactly a suite measures: weights, architecture, tokenizer, suite and data, each by its hash.

use crate::base::config::{Model, Suite};
use crate::base::text::{count, printable};
use crate::base::{Kind, ObjectId, Progress, RepoPath};
use crate::eval::claim::{Key, TOKENIZER, tokenizer_id, weights_with_head};
use crate::eval::{Architecture, architecture, suite};
use crate::model::{shards, weights_id};
use crate::ops::error::{During, Error, Result};
use crate::ops::sides::{Side, SideFile};
use crate::ops::status::What;
use crate::ops::workspace::Workspace;
use crate::ops::{materialise, models, tracked};

/// The longest data file of a suite.
const DATA_LIMIT: u64 = 4 << 30;

/// The longest tokenizer file.
const TOKENIZER_LIMIT: u64 = 256 << 20;

/// The longest index of shards.
const INDEX_LIMIT: u64 = 64 << 20;

/// One suite of one side.
pub(super) struct Subject {
    pub(super) suite: Suite,
    pub(super) architecture: Architecture,
    /// The model's weights files, and its head's.
    pub(super) files: Vec<(RepoPath, SideFile)>,
    pub(super) head: Option<(RepoPath, SideFile)>,
    /// The side that the data file lies on.
    data_side: Side,
    /// The hash of its bytes; `None` where it is missing.
    data: Option<ObjectId>,
    /// What in the work tree is not as its sidecar says, tensor by tensor.
    pub(super) dirty: Vec<String>,
    /// How an index and its shards disagree: not even a record is made of that.
    pub(super) broken: Option<String>,
    tokenizer: Option<ObjectId>,
}

impl Subject {
    pub(super) fn find(
        ws: &Workspace,
        side: &Side,
        model: &Model,
        suite: &Suite,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let config_json = match models::config_path(model)? {
            Some(path) => side.regular(ws, &path, architecture::CONFIG_LIMIT)?,
            None => None,
        };
        let architecture = Architecture::from(model, config_json.as_deref())?;
        let (files, broken) = weights(ws, side, model, progress)?;
        let head = match &model.head {
            Some(head) => {
                let path = RepoPath::new(&head.weights)?;
                let file = side.file(ws, &path, progress)?;
                Some((path, file))
            }
            None => None,
        };
        let mut dirty = Vec::new();
        for (path, file) in files.iter().chain(&head) {
            dirty.extend(differences(ws, path, file)?);
        }
        // Ids mean something through the tokenizer alone; pixels do not.
        let tokenizer = match architecture.takes_ids() {
            true => tokenizer(ws, side, &models::folder(model)?)?,
            false => None,
        };
        let path = RepoPath::new(&suite.data)?;
        let data_side = match side.has_regular(ws, &path)? {
            true => side.clone(),
            // Data that no commit has lies in the work tree; its hash is in the key.
            false => Side::Worktree,
        };
        let data = data_side.regular_id(ws, &path, DATA_LIMIT)?;
        Ok(Self {
            suite: suite.clone(),
            architecture,
            files,
            head,
            data_side,
            data,
            dirty,
            broken,
            tokenizer,
        })
    }

    /// The key of a claim about this; `None` without data.
    pub(super) fn key(&self) -> Option<Key> {
        let id = |files: &[(RepoPath, SideFile)]| {
            weights_id(files.iter().map(|(path, file)| (path, &file.manifest)))
        };
        let model = id(&self.files);
        Some(Key {
            weights: match &self.head {
                Some(head) => weights_with_head(model, id(std::slice::from_ref(head))),
                None => model,
            },
            architecture: self.architecture.id(),
            tokenizer: self.tokenizer,
            suite: suite::id(&self.suite),
            data: self.data?,
        })
    }

    /// The data file's bytes, if they are still those of the key.
    pub(super) fn data(&self, ws: &Workspace) -> Result<Vec<u8>> {
        let path = RepoPath::new(&self.suite.data)?;
        match self.data_side.regular(ws, &path, DATA_LIMIT)? {
            Some(bytes) if Some(ObjectId::of(&bytes)) == self.data => Ok(bytes),
            _ => Err(Error::Changed(path)),
        }
    }
}

/// The weights files of a model, and how they disagree with their index where they do.
type Found = (Vec<(RepoPath, SideFile)>, Option<String>);

/// The weights files of a model: one, or the shards that an index names.
fn weights(ws: &Workspace, side: &Side, model: &Model, progress: &dyn Progress) -> Result<Found> {
    let candidates = models::weights_candidates(model)?;
    for path in &candidates {
        if path.name().ends_with(".json") {
            if let Some(index) = side.regular(ws, path, INDEX_LIMIT)? {
                return sharded(ws, side, path, &index, progress);
            }
        } else if side.has_weights(ws, path)? {
            let file = side.file(ws, path, progress)?;
            return Ok((vec![(path.clone(), file)], None));
        }
    }
    if matches!(side, Side::Worktree) {
        candidates.iter().try_for_each(|path| gone(ws, path))?;
    }
    let names: Vec<String> = candidates.iter().map(ToString::to_string).collect();
    let message = format!("{} has none of {}", side.name(), names.join(", "));
    Err(Error::advised(
        Kind::NotFound,
        message,
        "name the weights file as `weights` in mvc.toml",
    ))
}

/// Fails where weights that are not in the work tree have a sidecar there: they can be had, or are known to be lost.
fn gone(ws: &Workspace, path: &RepoPath) -> Result<()> {
    let Some(known) = tracked::in_worktree(ws, path)? else {
        return Ok(());
    };
    let lost = materialise::absent(ws, &tracked::manifest(ws, path, &known)?)?;
    if lost.is_empty() {
        return Err(Error::advised(
            Kind::NotFound,
            format!("{path} is not in the work tree"),
            format!("`mvc restore {path}` brings it from the store"),
        ));
    }
    let lost = count(lost.len(), "object");
    Err(Error::advised(
        Kind::Missing,
        format!("{path} is not in the work tree, and {lost} of it not in the store"),
        "weights do not travel by git: copy the folder `.git/mvc` from where they were committed",
    ))
}

/// All shards of a model, which have to be what their index says: a mix of two versions is no model.
fn sharded(
    ws: &Workspace,
    side: &Side,
    path: &RepoPath,
    index: &[u8],
    progress: &dyn Progress,
) -> Result<Found> {
    let index = shards::Index::parse(index).during(|| format!("cannot read {path}"))?;
    let mut files = Vec::new();
    let mut names = Vec::new();
    for name in index.files() {
        let shard = path.sibling(name.as_str())?;
        let file = side.file(ws, &shard, progress)?;
        files.push((shard, file));
        names.push(name.clone());
    }
    let named: Vec<_> = names
        .into_iter()
        .zip(files.iter().map(|(_, file)| &file.manifest))
        .collect();
    let problems = shards::check(&index, &named);
    Ok((files, crate::ops::shards::text(path, &problems)))
}

/// Which tensors of a weights file of the work tree are not what its sidecar says.
fn differences(ws: &Workspace, path: &RepoPath, file: &SideFile) -> Result<Vec<String>> {
    match file.what {
        None => return Ok(Vec::new()),
        Some(What::New) => {
            return Ok(vec![format!(
                "{path} has no sidecar, so nothing was claimed of it"
            )]);
        }
        Some(_) => {}
    }
    let Some(known) = tracked::in_worktree(ws, path)? else {
        return Ok(Vec::new());
    };
    let known = tracked::manifest(ws, path, &known)?;
    let before: std::collections::HashMap<String, ObjectId> = known
        .tensors()
        .into_iter()
        .map(|entry| (entry.name, entry.id))
        .collect();
    let after = file.manifest.tensors();
    let mut changed: Vec<String> = after
        .iter()
        .filter(|entry| before.get(&entry.name) != Some(&entry.id))
        .map(|entry| {
            format!(
                "{path}: the tensor `{}` is not what the sidecar says",
                printable(&entry.name)
            )
        })
        .collect();
    let names: std::collections::HashSet<&str> =
        after.iter().map(|entry| entry.name.as_str()).collect();
    let gone = before.keys().filter(|name| !names.contains(name.as_str()));
    changed.extend(gone.map(|name| format!("{path}: the tensor `{}` is gone", printable(name))));
    if changed.is_empty() {
        changed.push(format!(
            "{path} is not what its sidecar says, though its tensors are"
        ));
    }
    changed.sort();
    Ok(changed)
}

/// One id for all tokenizer files of a model's folder; `None` where there are none.
fn tokenizer(ws: &Workspace, side: &Side, folder: &str) -> Result<Option<ObjectId>> {
    let mut found = Vec::new();
    for name in TOKENIZER {
        let path = models::inside(folder, name)?;
        let id = side.regular_id(ws, &path, TOKENIZER_LIMIT)?;
        found.extend(id.map(|id| (name, id)));
    }
    Ok(tokenizer_id(found))
}
