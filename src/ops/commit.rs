//! `mvc commit`: a version of the work tree's weights, with the configs and metrics that belong to it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::error::{Error, Result};
use super::metrics;
use super::state::{Stamp, State};
use super::tracked::{self, Tracked, sidecar_path};
use super::weights;
use super::workspace::Workspace;
use super::{add, blocks, hook, reconcile, shards, track};
use crate::base::config::{self, Config, Layer};
use crate::base::{Failure, Kind, Progress, RepoPath, fs};
use crate::model::manifest::MAX_TEXT;
use crate::repo::{BlobId, CommitId, CommitOptions, Committed, Head, Talk};

/// What `commit` is asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether modified and deleted files that git tracks are committed too.
    pub all: bool,
    /// Metrics to record in `metrics.json` first.
    pub metrics: Vec<(String, String)>,
    /// The message; without one git opens the user's editor.
    pub message: Option<String>,
    /// What else the git program is told: amend, sign-off and the like.
    pub git: CommitOptions,
    /// Whether git and the user's hooks may talk to the user.
    pub talk: Option<Talk>,
}

/// What `commit` did.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The commit; `None` where there was nothing to commit.
    pub commit: Option<CommitId>,
    /// The branch it is on; `None` for a detached HEAD.
    pub branch: Option<String>,
    /// The first line of its message.
    pub subject: String,
    /// Weights whose versions it records anew.
    pub weights: Vec<add::Added>,
    /// Weights that lost their sidecar in it.
    pub removed: Vec<RepoPath>,
    /// Bytes that the store grew by.
    pub written: u64,
    /// Files that changed and are not in it.
    pub left_out: Vec<RepoPath>,
    /// Files in it that are so large that they look like weights.
    pub large: Vec<RepoPath>,
    /// What is wrong with models in several files.
    pub warnings: Vec<String>,
    /// What was brought in line first.
    pub reconciled: reconcile::Report,
}

/// Commits. A refusal leaves HEAD, the index, the sidecars and the weights as they were.
pub fn run(ws: &Workspace, options: &Options, progress: &dyn Progress) -> Result<Report> {
    // Where plain git moved sidecars and no hook ran, the weights are still those of the version before: recording
    // them would undo what git did.
    let reconciled = reconcile::run(ws, progress)?;
    preflight(ws)?;
    let config = ws.config()?;
    hook::refuse_weights(ws, &config, &hook::with_content(ws, &ws.git().staged()?)?)?;
    let (present, gone) = weights_of(ws, &config)?;
    let mut undo = Undo::before(ws, &present)?;
    if !options.metrics.is_empty() {
        metrics::record(ws, &options.metrics)?;
    }
    blocks::refresh(ws, &config)?;
    let staged = add::store(ws, &present, &add::Options::default(), progress)?;
    // Before HEAD moves: afterwards every shard is of its version.
    let sidecars = tracked::of_worktree(ws)?;
    let warnings = shards::warnings(ws, &sidecars, &BTreeSet::new(), progress)?;
    let mut paths: BTreeSet<RepoPath> = staged
        .added
        .iter()
        .map(|added| &added.path)
        .chain(&staged.unchanged)
        .map(sidecar_path)
        .collect();
    paths.extend(belonging(ws, &config)?);
    ws.git().stage(&paths.into_iter().collect::<Vec<_>>())?;
    let mut removed = Vec::new();
    let missing;
    if options.all {
        ws.git().stage(&ws.git().modified()?)?;
        // Weights that were never here, as in a clone without objects, were not deleted by anybody.
        let state = ws.state()?;
        let was_here = |path: &RepoPath| {
            let stamp = state.stamp(path).map(|stamp| stamp.sidecar);
            stamp.is_some() && stamp == sidecars.get(path).map(|tracked| tracked.id)
        };
        let (gone, never_here): (Vec<_>, Vec<_>) = gone.into_iter().partition(was_here);
        missing = never_here;
        let sidecars: Vec<RepoPath> = gone.iter().map(sidecar_path).collect();
        ws.git().remove_cached(&sidecars)?;
        removed = gone;
    } else {
        missing = gone;
    }
    let staged_now = ws.git().staged()?;
    let large = large(ws, &hook::with_content(ws, &staged_now)?);
    let subject = options
        .message
        .as_deref()
        .and_then(|m| m.lines().next())
        .unwrap_or_default()
        .to_owned();
    let branch = branch(&ws.repo().head()?);
    let report = |commit, left_out| Report {
        commit,
        branch,
        subject,
        written: staged.added.iter().map(|added| added.written).sum(),
        weights: staged.added,
        removed: removed.clone(),
        left_out,
        large,
        warnings,
        reconciled,
    };
    let may_be_empty =
        options.git.allow_empty || options.git.amend || ws.repo().in_progress().is_some();
    if staged_now.is_empty() && !may_be_empty {
        undo.armed = false;
        return Ok(report(None, left_out(ws, &missing)?));
    }
    let talk = options.talk.unwrap_or(Talk::Capture);
    let commit = match ws
        .git()
        .commit(options.message.as_deref(), &options.git, talk)?
    {
        Committed::Made(commit) => commit,
        Committed::Nothing => {
            undo.armed = false;
            return Ok(report(None, left_out(ws, &missing)?));
        }
    };
    undo.armed = false;
    for path in &removed {
        ws.fs().remove_file(&ws.on_disk(&sidecar_path(path)))?;
        ws.update_state(|state| state.forget(path))?;
    }
    Ok(report(Some(commit), left_out(ws, &missing)?))
}

/// What would make a commit wrong before anything is touched.
fn preflight(ws: &Workspace) -> Result<()> {
    let conflicted: BTreeSet<RepoPath> = ws
        .repo()
        .index()?
        .into_iter()
        .filter(|file| file.stage != 0)
        .map(|file| file.path)
        .collect();
    if let Some(path) = conflicted.first() {
        let message = format!("{path} has conflicts");
        let typed = ws.typed(path);
        let hint = format!(
            "take one side, as in `git checkout --ours {typed} && git add {typed}`, or `git rm {typed}` where one \
             side has none"
        );
        return Err(Error::advised(Kind::Conflict, message, hint));
    }
    let state = ws.state()?;
    let here = tracked::of_worktree(ws)?;
    for (path, tracked) in &here {
        let stamp = state.stamp(path);
        if stamp.is_some_and(|stamp| stamp.sidecar == tracked.id) {
            // It was read when it was stamped.
            continue;
        }
        match tracked::manifest(ws, path, tracked) {
            // Which side of a merge the weights are is the user's to say, and `mvc add` says it.
            Err(e) if e.kind() == Kind::Conflict => return Err(e),
            _ => {}
        }
    }
    for (path, pending) in state.marked() {
        let sidecar = here.get(&path).map(|tracked| tracked.id);
        let current = state
            .stamp(&path)
            .is_some_and(|stamp: &Stamp| Some(stamp.sidecar) == sidecar);
        if !current && weights::lstat(ws, &path)?.is_some() {
            let reason = &pending.reason;
            let typed = ws.typed(&path);
            let hint = match sidecar {
                Some(_) => format!(
                    "`mvc add {typed}` makes the weights the next version, `mvc restore {typed}` takes the sidecar's"
                ),
                None => format!(
                    "`mvc add {typed}` makes the weights a part of this branch; move them away otherwise"
                ),
            };
            return Err(Error::advised(
                Kind::WouldOverwrite,
                format!("{path} is undecided: {reason}"),
                hint,
            ));
        }
    }
    Ok(())
}

/// The weights files of the work tree, and those that are gone from it although their sidecar is there.
fn weights_of(ws: &Workspace, config: &Config) -> Result<(Vec<RepoPath>, Vec<RepoPath>)> {
    let mut paths: BTreeSet<RepoPath> = tracked::of_worktree(ws)?.into_keys().collect();
    paths.extend(track::candidates(ws, config)?);
    let mut present = Vec::new();
    let mut gone = Vec::new();
    for path in paths {
        match weights::lstat(ws, &path)? {
            Some(_) => present.push(path),
            None => gone.push(path),
        }
    }
    Ok((present, gone))
}

/// The files that go with every version: mvc's own, metrics, and of models their configuration, their tokenizer and
/// what they name in `with`.
fn belonging(ws: &Workspace, config: &Config) -> Result<Vec<RepoPath>> {
    let mut paths = Vec::new();
    let named = config.model.values().any(|model| !model.with.is_empty());
    let visible = if named {
        super::models::visible_files(ws)?
    } else {
        Vec::new()
    };
    let weights = config.patterns()?;
    for own in [
        config::FILE,
        ".gitignore",
        ".gitattributes",
        crate::eval::claim::FILE,
    ] {
        paths.push(RepoPath::new(own)?);
    }
    paths.extend(metrics::paths(config)?);
    for suite in config.eval.values() {
        // A claim says nothing where its data is missing, so small data goes along; large data is its owner's call.
        let data = RepoPath::new(&suite.data)?;
        paths.extend((!add::is_large(ws, &data)).then_some(data));
    }
    for model in config.model.values() {
        if let Some(config) = super::models::config_path(model)? {
            paths.push(config);
        }
        // Ids mean something through the tokenizer alone, so it is in the key of every claim about the model.
        let embeds = |layer: &Layer| matches!(layer, Layer::Embedding(_));
        let layers = model.layers.as_deref();
        if layers.is_none_or(|layers| layers.iter().any(embeds)) {
            for name in crate::eval::claim::TOKENIZER {
                let file = super::models::inside(&super::models::folder(model)?, name)?;
                let plain = !add::is_large(ws, &file) && !weights.matches(&file);
                paths.extend(plain.then_some(file));
            }
        }
        paths.extend(super::models::companions(model, &visible)?);
        if let Some(weights) = &model.weights
            && weights.ends_with(".json")
        {
            paths.push(RepoPath::new(weights)?);
        }
    }
    paths.retain(|path| {
        let stat = ws.on_disk(path).symlink_metadata();
        stat.is_ok_and(|stat| stat.is_file()) && path.blocked_by(ws.root()).is_none()
    });
    Ok(paths)
}

fn large(ws: &Workspace, staged: &[RepoPath]) -> Vec<RepoPath> {
    staged
        .iter()
        .filter(|path| add::is_large(ws, path))
        .cloned()
        .collect()
}

/// What changed and is not staged, weights that are gone included.
fn left_out(ws: &Workspace, missing: &[RepoPath]) -> Result<Vec<RepoPath>> {
    let changes = ws.git().status()?.entries;
    let out = |change: &crate::repo::StatusEntry| change.unstaged.is_some() || change.untracked;
    let mut left: Vec<RepoPath> = changes
        .into_iter()
        .filter(out)
        .map(|change| change.path)
        .collect();
    left.extend(missing.iter().cloned());
    Ok(left)
}

fn branch(head: &Head) -> Option<String> {
    match head {
        Head::Branch { name, .. } => Some(name.clone()),
        Head::Detached { .. } => None,
    }
}

/// Puts back what a commit that did not come to be had changed.
struct Undo<'a> {
    ws: &'a Workspace,
    head: Head,
    state: State,
    weights: Vec<RepoPath>,
    /// The index, and the files that a commit writes, as they were.
    files: Vec<(PathBuf, Option<Before>)>,
    armed: bool,
}

struct Before {
    content: Content,
    mode: u32,
}

enum Content {
    Read(Vec<u8>),
    /// Git has it: the sidecars of large models are not read in case that they change.
    Git(BlobId),
}

impl<'a> Undo<'a> {
    fn before(ws: &'a Workspace, weights: &[RepoPath]) -> Result<Self> {
        let mut paths = vec![ws.repo().index_path().to_owned()];
        paths.push(ws.on_disk(&metrics::default_path()?));
        for name in [".gitignore", ".gitattributes"] {
            paths.push(ws.on_disk(&RepoPath::new(name)?));
        }
        let read = |path: PathBuf| Ok((path.clone(), Before::of(&path)?));
        let mut files = paths.into_iter().map(read).collect::<Result<Vec<_>>>()?;
        let sidecars = tracked::of_worktree(ws)?;
        for path in weights {
            let file = ws.on_disk(&sidecar_path(path));
            let in_git = sidecars.get(path).and_then(Tracked::in_git);
            let before = match in_git {
                Some(blob) => Before::in_git(&file, blob),
                None => Before::of(&file)?,
            };
            files.push((file, before));
        }
        Ok(Self {
            ws,
            head: ws.repo().head()?,
            state: ws.state()?,
            weights: weights.to_vec(),
            files,
            armed: true,
        })
    }

    fn act(&self) -> Result<()> {
        let ws = self.ws;
        if ws.repo().head()? != self.head {
            // The commit is made, and what failed came after it.
            return Ok(());
        }
        for (path, before) in &self.files {
            match (before, Before::of(path)?) {
                (Some(before), Some(now)) if before.is(ws, &now)? => {}
                (Some(before), _) => {
                    let bytes = before.content.bytes(ws)?;
                    ws.fs().replace(path, &bytes, before.mode)?;
                }
                (None, Some(_)) => ws.fs().remove_file(path)?,
                (None, None) => {}
            }
        }
        ws.update_state(|state| {
            self.weights
                .iter()
                .for_each(|path| state.put_back(path, &self.state));
        })?;
        Ok(())
    }
}

impl Before {
    fn of(path: &Path) -> Result<Option<Self>> {
        let stat = match path.symlink_metadata() {
            Ok(stat) if stat.is_file() => stat,
            // Anything else is refused before it is written.
            _ => return Ok(None),
        };
        let mode = stat.permissions().mode();
        let bytes = fs::read_if_present(path, u64::MAX)?;
        Ok(bytes.map(|bytes| Self {
            content: Content::Read(bytes),
            mode,
        }))
    }

    /// A file that git has.
    fn in_git(path: &Path, blob: BlobId) -> Option<Self> {
        let stat = path.symlink_metadata().ok()?;
        Some(Self {
            content: Content::Git(blob),
            mode: stat.permissions().mode(),
        })
    }

    fn is(&self, ws: &Workspace, other: &Self) -> Result<bool> {
        if self.mode != other.mode {
            return Ok(false);
        }
        Ok(match (&self.content, &other.content) {
            (Content::Git(a), Content::Git(b)) => a == b,
            (Content::Read(a), Content::Read(b)) => a == b,
            (Content::Git(blob), Content::Read(bytes))
            | (Content::Read(bytes), Content::Git(blob)) => ws.repo().blob_name(bytes)? == *blob,
        })
    }
}

impl Content {
    fn bytes(&self, ws: &Workspace) -> Result<Cow<'_, [u8]>> {
        Ok(match self {
            Self::Read(bytes) => Cow::Borrowed(bytes),
            Self::Git(blob) => Cow::Owned(ws.repo().blob(blob, MAX_TEXT as u64)?),
        })
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if self.armed {
            // What cannot be put back shows in status; the commit's own error is the one to report.
            let _ = self.act();
        }
    }
}
