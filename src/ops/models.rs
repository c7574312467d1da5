//! Models as `mvc.toml` names them: which files their weights, configuration and tokenizer lie in.

use super::error::{Error, Result};
use super::workspace::Workspace;
use crate::base::config::{Config, Model, Suite};
use crate::base::patterns::FilePatterns;
use crate::base::text::printable;
use crate::base::{Kind, RepoPath};

/// The folder of a model, `""` for the top of the work tree.
pub fn folder(model: &Model) -> Result<String> {
    match (&model.path, &model.weights) {
        (Some(path), _) if path == "." => Ok(String::new()),
        (Some(path), _) => Ok(RepoPath::new(path)?.as_str().to_owned()),
        (None, Some(weights)) => Ok(RepoPath::new(weights)?.folder().to_owned()),
        (None, None) => Ok(String::new()),
    }
}

/// A file of a folder.
pub fn inside(folder: &str, name: &str) -> Result<RepoPath> {
    Ok(match folder {
        "" => RepoPath::new(name)?,
        folder => RepoPath::new(&format!("{folder}/{name}"))?,
    })
}

/// Where a model's Hugging Face configuration lies; `None` for one that `mvc.toml` describes itself.
pub fn config_path(model: &Model) -> Result<Option<RepoPath>> {
    if model.layers.is_some() {
        return Ok(None);
    }
    match &model.config {
        Some(config) => Ok(Some(RepoPath::new(config)?)),
        None => Ok(Some(inside(&folder(model)?, "config.json")?)),
    }
}

/// The files that git tracks or would offer to.
pub(super) fn visible_files(ws: &Workspace) -> Result<Vec<RepoPath>> {
    let mut files: Vec<RepoPath> = ws
        .repo()
        .index()?
        .into_iter()
        .map(|file| file.path)
        .collect();
    files.extend(ws.git().untracked()?);
    Ok(files)
}

/// Those of the files that a model names in `with`, whose patterns are relative to its folder.
pub fn companions(model: &Model, files: &[RepoPath]) -> Result<Vec<RepoPath>> {
    if model.with.is_empty() {
        return Ok(Vec::new());
    }
    let folder = folder(model)?;
    let patterns = FilePatterns::new(model.with.iter().map(String::as_str))?;
    let within = |path: &&RepoPath| {
        let rest = match folder.as_str() {
            "" => Some(path.as_str()),
            folder => path
                .as_str()
                .strip_prefix(folder)
                .and_then(|rest| rest.strip_prefix('/')),
        };
        rest.and_then(|rest| RepoPath::new(rest).ok())
            .is_some_and(|rest| patterns.matches(&rest))
    };
    Ok(files.iter().filter(within).cloned().collect())
}

/// The weights files that a model may lie in, the first that a version has counts: a single file, or the index
/// of its shards.
pub fn weights_candidates(model: &Model) -> Result<Vec<RepoPath>> {
    if let Some(weights) = &model.weights {
        return Ok(vec![RepoPath::new(weights)?]);
    }
    let folder = folder(model)?;
    [
        "model.safetensors",
        "model.safetensors.index.json",
        "pytorch_model.bin",
    ]
    .iter()
    .map(|name| inside(&folder, name))
    .collect()
}

/// A suite and its model, by name; the only one where none is named.
pub fn suite<'a>(config: &'a Config, name: Option<&str>) -> Result<Vec<(&'a str, &'a Suite)>> {
    match name {
        None if config.eval.is_empty() => Err(Error::advised(
            Kind::NotFound,
            "mvc.toml names no evaluation suite",
            "add an [eval.NAME] table to it; `mvc help eval` shows one",
        )),
        None => Ok(config
            .eval
            .iter()
            .map(|(name, suite)| (name.as_str(), suite))
            .collect()),
        Some(name) => match config.eval.get_key_value(name) {
            Some((name, suite)) => Ok(vec![(name.as_str(), suite)]),
            None => {
                let known: Vec<_> = config
                    .eval
                    .keys()
                    .map(|name| printable(name).into_owned())
                    .collect();
                let message = format!("mvc.toml has no suite {:?}", printable(name));
                Err(Error::advised(
                    Kind::NotFound,
                    message,
                    format!("it has: {}", known.join(", ")),
                ))
            }
        },
    }
}

/// The model that a suite measures.
pub fn of_suite<'a>(
    config: &'a Config,
    suite_name: &str,
    suite: &Suite,
) -> Result<(&'a str, &'a Model)> {
    let mut models = config.model.iter();
    let found = match &suite.model {
        Some(name) => config.model.get_key_value(name),
        None => models.next().filter(|_| models.next().is_none()),
    };
    found
        .map(|(name, model)| (name.as_str(), model))
        .ok_or_else(|| {
            let message = format!(
                "the suite {:?} does not say which model it measures",
                printable(suite_name)
            );
            let known: Vec<_> = config
                .model
                .keys()
                .map(|name| printable(name).into_owned())
                .collect();
            let hint = match known.is_empty() {
                true => {
                    "add a [model.NAME] table to mvc.toml; `mvc help eval` shows one".to_owned()
                }
                false => format!("add `model = ...` to it; there are: {}", known.join(", ")),
            };
            Error::advised(Kind::Config, message, hint)
        })
}
