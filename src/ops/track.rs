//! `mvc track` and `mvc untrack`: which files hold weights.

use std::collections::HashSet;

use serde::Serialize;
use toml_edit::{Array, DocumentMut, Item, Value};

use super::error::{Error, Result};
use super::tracked::{self, sidecar_path};
use super::workspace::Workspace;
use super::{add, blocks};
use crate::base::config::{self, Config};
use crate::base::patterns::{FilePatterns, has_choice};
use crate::base::text::first_of;
use crate::base::{Kind, Progress, RepoPath, fs, walk};

/// What `track` is asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Patterns or paths, as typed.
    pub patterns: Vec<String>,
    /// Take over files that git tracks now.
    pub take_over: bool,
}

/// What `track` or `untrack` did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// All patterns of `mvc.toml` now.
    pub patterns: Vec<String>,
    /// The patterns that were added or removed.
    pub changed: Vec<String>,
    /// Weights files that the changed patterns pick.
    pub files: Vec<RepoPath>,
    /// Files that git tracked until now.
    pub moved: Vec<RepoPath>,
    /// Other files of the work tree that were changed.
    pub edited: Vec<RepoPath>,
}

/// Adds patterns to `mvc.toml`, and with `take_over` moves files that git tracks into the store.
pub fn run(ws: &Workspace, options: &Options, progress: &dyn Progress) -> Result<Report> {
    let before = ws.config()?;
    if options.patterns.is_empty() {
        let files = matching(ws, &before)?;
        return Ok(Report {
            patterns: before.track,
            files,
            ..Report::default()
        });
    }
    let added: Vec<String> = options
        .patterns
        .iter()
        .map(|typed| pattern(ws, typed))
        .collect::<Result<_>>()?;
    let new: Vec<String> = added
        .into_iter()
        .filter(|pattern| !before.track.contains(pattern))
        .collect();
    let text = edit(ws, |list| {
        for pattern in &new {
            list.push(pattern.as_str());
        }
    })?;
    let config = Config::parse(text.as_bytes())?;
    let files = matching(ws, &config)?;
    let owned = owned(ws, &files)?;
    if !owned.is_empty() && !options.take_over {
        return Err(refusal(&owned, &options.patterns));
    }
    for (path, _) in &owned {
        refuse_pointer(ws, path)?;
    }
    let config_path = RepoPath::new(config::FILE)?;
    let mut edited = blocks::refresh(ws, &config)?;
    if !new.is_empty() {
        ws.fs()
            .replace(&ws.on_disk(&config_path), text.as_bytes(), 0o644)?;
        edited.insert(0, config_path.clone());
    }
    let moved: Vec<RepoPath> = owned.into_iter().map(|(path, _)| path).collect();
    if !moved.is_empty() {
        add::weights(ws, &moved, &add::Options::default(), progress)?;
        ws.git().remove_cached(&moved)?;
        ws.git().stage(&existing(
            ws,
            &[
                config_path,
                RepoPath::new(".gitignore")?,
                RepoPath::new(".gitattributes")?,
            ],
        ))?;
    }
    Ok(Report {
        patterns: config.track,
        changed: new,
        files,
        moved,
        edited,
    })
}

/// Takes patterns out of `mvc.toml`; files that no pattern picks any more lose their sidecar and keep their bytes.
pub fn untrack(ws: &Workspace, patterns: &[String]) -> Result<Report> {
    let before = ws.config()?;
    let mut gone = Vec::new();
    for typed in patterns {
        let candidates = [typed.clone(), pattern(ws, typed).unwrap_or_default()];
        let found = candidates
            .into_iter()
            .find(|candidate| before.track.contains(candidate));
        gone.push(found.ok_or_else(|| {
            let tracked = before.track.join("  ");
            Error::advised(
                Kind::NotFound,
                format!("mvc.toml does not track {typed}"),
                format!("it tracks: {tracked}"),
            )
        })?);
    }
    let text = edit(ws, |list| {
        list.retain(|value| !value.as_str().is_some_and(|v| gone.iter().any(|g| g == v)))
    })?;
    let config = Config::parse(text.as_bytes())?;
    let still = config.patterns()?;
    let files: Vec<RepoPath> = tracked::of_worktree(ws)?
        .into_keys()
        .filter(|path| !still.matches(path))
        .collect();
    ws.fs().replace(
        &ws.on_disk(&RepoPath::new(config::FILE)?),
        text.as_bytes(),
        0o644,
    )?;
    let mut edited = vec![RepoPath::new(config::FILE)?];
    edited.extend(blocks::refresh(ws, &config)?);
    let sidecars: Vec<RepoPath> = files.iter().map(sidecar_path).collect();
    ws.git().remove_cached(&sidecars)?;
    for (weights, sidecar) in files.iter().zip(&sidecars) {
        ws.fs().remove_file(&ws.on_disk(sidecar))?;
        ws.update_state(|state| state.forget(weights))?;
    }
    Ok(Report {
        patterns: config.track,
        changed: gone,
        files,
        moved: Vec::new(),
        edited,
    })
}

/// The weights files of the work tree that `mvc.toml` picks and git does not track: `mvc track --move` alone takes
/// those over.
pub fn candidates(ws: &Workspace, config: &Config) -> Result<Vec<RepoPath>> {
    let mut found = matching(ws, config)?;
    if !found.is_empty() {
        let index = in_git(ws)?;
        found.retain(|path| !index.contains(path));
    }
    Ok(found)
}

/// The weights files of the work tree that `mvc.toml` picks.
pub fn matching(ws: &Workspace, config: &Config) -> Result<Vec<RepoPath>> {
    let exclude = ws.repo().common_dir().join("info").join("exclude");
    let found = walk::matching(ws.root(), &exclude, &config.patterns()?)?;
    let ours = |path: &RepoPath| !config.is_suite_data(path) && !is_own(path);
    Ok(found.into_iter().filter(ours).collect())
}

/// True for a path that `mvc.toml` picks as that of a weights file, be there a file or not.
pub(super) fn picks(config: &Config, patterns: &FilePatterns, path: &RepoPath) -> bool {
    patterns.matches(path) && !config.is_suite_data(path) && !is_own(path)
}

/// True for a path in another repository that lies inside of this one.
pub(super) fn is_nested(ws: &Workspace, path: &RepoPath) -> bool {
    let mut folders = path.as_str().match_indices('/');
    folders.any(|(end, _)| {
        let folder = ws.root().join(&path.as_str()[..end]);
        folder.join(".git").symlink_metadata().is_ok()
    })
}

/// Refuses to hand weights to git: those that it has already, and those of another repository.
pub(super) fn refuse_plain(ws: &Workspace, weights: &[&RepoPath]) -> Result<()> {
    if let Some(path) = weights.iter().find(|path| is_nested(ws, path)) {
        let message = format!("{path} lies in another repository inside of this one");
        return Err(Error::refused(Kind::BadInput, message));
    }
    let owned: Vec<_> = weights
        .iter()
        .map(|path| ((*path).clone(), false))
        .collect();
    let typed: Vec<_> = weights.iter().map(ToString::to_string).collect();
    match owned.is_empty() {
        true => Ok(()),
        false => Err(refusal(&owned, &typed)),
    }
}

/// Files of mvc itself, which no pattern may pick.
fn is_own(path: &RepoPath) -> bool {
    path.as_str().ends_with(tracked::SUFFIX)
        || [
            config::FILE,
            ".gitignore",
            ".gitattributes",
            crate::eval::claim::FILE,
        ]
        .contains(&path.as_str())
}

/// What the user typed as a pattern: a path of a file stands for itself alone, anything else is one already.
fn pattern(ws: &Workspace, typed: &str) -> Result<String> {
    if let Some(excluded) = typed.strip_prefix('!') {
        return Ok(format!("!{}", placed(ws, excluded)?));
    }
    if let Ok(path) = ws.path(typed) {
        let full = ws.on_disk(&path);
        if full.is_dir() {
            let hint = format!("name what lies in it, as in `mvc track '{path}/*.safetensors'`");
            return Err(Error::advised(
                Kind::Usage,
                format!("{path} is a folder"),
                hint,
            ));
        }
        if is_own(&path) || ws.config()?.is_suite_data(&path) {
            let message = format!("{path} holds no weights: mvc or a suite reads it");
            return Err(Error::refused(Kind::Usage, message));
        }
        if full.symlink_metadata().is_ok() {
            return Ok(format!("/{}", blocks::escape(path.as_str())));
        }
    }
    if typed.trim().is_empty() || typed.contains('\n') {
        return Err(Error::refused(
            Kind::Usage,
            format!("{typed:?} is no pattern"),
        ));
    }
    placed(ws, typed)
}

/// A choice that git would read as letters, so that it would pick nothing that was meant.
fn refuse_choice(typed: &str) -> Result<()> {
    if !has_choice(typed) {
        return Ok(());
    }
    let message = format!("git reads no choice in a pattern, as in {typed}");
    let hint = "write one pattern per extension, as in `mvc track '*.pt' '*.pth'`";
    Err(Error::advised(Kind::Usage, message, hint))
}

/// A pattern as it reads at the top. As in git, one that is typed in a subfolder speaks of that subfolder.
fn placed(ws: &Workspace, typed: &str) -> Result<String> {
    refuse_choice(typed)?;
    FilePatterns::new([typed])?;
    if typed.split('/').any(|name| name == "..") {
        return Ok(format!("/{}", ws.path(typed)?));
    }
    Ok(
        match (ws.prefix(), typed.trim_end_matches('/').contains('/')) {
            ("", _) => typed.to_owned(),
            (prefix, true) => {
                let below = typed.trim_start_matches('/');
                format!("/{}/{below}", blocks::escape(prefix))
            }
            (prefix, false) => format!("/{}/**/{typed}", blocks::escape(prefix)),
        },
    )
}

/// The text of `mvc.toml` with its `track` list changed, comments and layout kept.
fn edit(ws: &Workspace, change: impl FnOnce(&mut Array)) -> Result<String> {
    let bytes = ws.read(&RepoPath::new(config::FILE)?, config::LIMIT)?;
    let bytes = bytes.unwrap_or_else(|| b"mvc = 1\n".to_vec());
    // Parsed as configuration first: its errors are the better ones.
    Config::parse(&bytes)?;
    let bad = || Error::refused(Kind::Config, "mvc.toml cannot be edited");
    let text = String::from_utf8(bytes).map_err(|_| bad())?;
    let mut document: DocumentMut = text.parse().map_err(|_| bad())?;
    let list = document
        .entry("track")
        .or_insert(Item::Value(Value::Array(Array::new())));
    change(list.as_array_mut().ok_or_else(bad)?);
    Ok(document.to_string())
}

/// Which of these files git tracks, or would hand to git-lfs, and whether it is git-lfs. Files that have a sidecar
/// are mvc's already, whatever an old line of `.gitattributes` says.
fn owned(ws: &Workspace, files: &[RepoPath]) -> Result<Vec<(RepoPath, bool)>> {
    let known = tracked::of_worktree(ws)?;
    let index = in_git(ws)?;
    let filters = ws.git().attribute("filter", files)?;
    Ok(files
        .iter()
        .zip(filters)
        .map(|(path, filter)| (path.clone(), filter.as_deref() == Some("lfs")))
        .filter(|(path, lfs)| index.contains(path) || (*lfs && !known.contains_key(path)))
        .collect())
}

/// All files that git tracks itself.
pub(super) fn in_git(ws: &Workspace) -> Result<HashSet<RepoPath>> {
    let index = ws.repo().index()?;
    Ok(index.into_iter().map(|file| file.path).collect())
}

fn refusal(owned: &[(RepoPath, bool)], patterns: &[String]) -> Error {
    let lfs = owned.iter().any(|(_, lfs)| *lfs);
    let who = if lfs { "git-lfs" } else { "git" };
    let paths: Vec<&RepoPath> = owned.iter().map(|(path, _)| path).collect();
    let typed: Vec<String> = patterns
        .iter()
        .map(|pattern| format!("'{pattern}'"))
        .collect();
    Error::advised(
        Kind::WouldOverwrite,
        format!("{who} already tracks {}", first_of(&paths, 5, ", ")),
        format!(
            "`mvc track --move {}` takes them over from now on, in one staged change",
            typed.join(" ")
        ),
    )
}

/// A git-lfs pointer under the name of weights is no model; taking it over would lose the weights.
fn refuse_pointer(ws: &Workspace, path: &RepoPath) -> Result<()> {
    let full = ws.on_disk(path);
    let Ok(stat) = full.symlink_metadata() else {
        let message = format!("git tracks {path}, but it is not in the work tree");
        return Err(Error::advised(
            Kind::NotFound,
            message,
            format!("run `git restore {path}` first"),
        ));
    };
    if stat.is_file()
        && stat.len() < 1024
        && fs::read_limited(&full, 1024)?.starts_with(b"version https://git-lfs")
    {
        let message = format!("{path} is a git-lfs pointer, not the weights");
        return Err(Error::advised(
            Kind::BadInput,
            message,
            "run `git lfs pull` first",
        ));
    }
    Ok(())
}

fn existing(ws: &Workspace, paths: &[RepoPath]) -> Vec<RepoPath> {
    paths
        .iter()
        .filter(|path| ws.on_disk(path).symlink_metadata().is_ok())
        .cloned()
        .collect()
}
