//! What happened to one weights file: its tensors, its layers, and a verdict.

use serde::Serialize;

use super::figures::{self, Figures, Of};
use crate::base::patterns::TensorGlob;
use crate::base::{Progress, RepoPath};
use crate::model::diff::{self, Change, Counts, Layout, What};
use crate::model::stats::Stats;
use crate::model::verdict::{self, Judged, TensorVerdict, Verdict, VerdictKind};
use crate::model::{Entry, Format, Manifest};
use crate::ops::error::{During, Result};
use crate::ops::sides::SideFile;
use crate::ops::workspace::Workspace;

/// What happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileChange {
    /// It is new.
    New,
    /// It is gone.
    Removed,
    /// It holds something else.
    Modified,
    /// It has another name.
    Renamed,
    /// Two files that were named: nothing became of either.
    Compared,
}

/// A weights file on one side.
#[derive(Clone, Debug, Serialize)]
pub struct Form {
    /// Its path there.
    pub path: RepoPath,
    /// How it is understood.
    pub format: Format,
    /// Its length in bytes.
    pub bytes: u64,
    /// How many tensors it names.
    pub tensors: usize,
}

/// What happened to a weights file.
#[derive(Clone, Debug, Serialize)]
pub struct Weights {
    /// Its path, after where it is there.
    pub path: RepoPath,
    /// What happened to the file.
    pub change: FileChange,
    /// As it was; `None` where it is new.
    pub before: Option<Form>,
    /// As it is; `None` where it is gone.
    pub after: Option<Form>,
    /// Whether anything differs, of what was asked for.
    pub differs: bool,
    /// What happened, in words.
    pub verdict: Verdict,
    /// How many tensors went which way.
    pub counts: Counts,
    /// The figures of all changed tensors of numbers, taken as one long one.
    pub stats: Option<Stats>,
    /// The layers that differ, in the order of the model.
    pub groups: Vec<Group>,
    /// How many layers did not change.
    pub same_groups: usize,
    /// The tensors that differ, the most changed first.
    pub tensors: Vec<Tensor>,
    /// Tensors that differ and are not listed.
    pub more: usize,
    /// What its reader should know.
    pub notes: Vec<String>,
}

/// A layer.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// Its name, empty for tensors that are in none.
    pub name: String,
    /// What became of its tensors.
    pub counts: Counts,
    /// The figures of its changed tensors, taken as one long one.
    pub stats: Option<Stats>,
}

/// A tensor that differs.
#[derive(Clone, Debug, Serialize)]
pub struct Tensor {
    /// What became of it.
    #[serde(flatten)]
    pub change: Change,
    /// Its figures; `None` where its elements do not correspond.
    pub stats: Option<Stats>,
    /// What they say.
    pub verdict: TensorVerdict,
}

/// What is looked at.
pub(super) struct Ask<'a> {
    pub(super) glob: Option<&'a TensorGlob>,
    pub(super) top: Option<usize>,
}

impl Ask<'_> {
    /// True where a tensor of either name is asked for.
    fn picks(&self, change: &Change) -> bool {
        let Some(glob) = self.glob else {
            return true;
        };
        let names = change.before.iter().chain(&change.after);
        names.into_iter().any(|side| glob.matches(&side.name))
    }

    /// How many tensors of a manifest are asked for.
    pub(super) fn picked(&self, manifest: &Manifest) -> usize {
        match self.glob {
            None => manifest.count(),
            Some(glob) => {
                let tensors = manifest.tensors();
                let picked = tensors.iter().filter(|entry| glob.matches(&entry.name));
                picked.count()
            }
        }
    }
}

/// A weights file of one side, by its path there.
pub(super) type Named<'a> = (&'a RepoPath, &'a SideFile);

/// A file that only one side has.
pub(super) fn alone(file: Named<'_>, change: FileChange, ask: &Ask<'_>) -> Weights {
    let manifest = &file.1.manifest;
    let entries = manifest.tensors();
    let all = match change {
        FileChange::Removed => diff::compare(&entries, &[]),
        _ => diff::compare(&[], &entries),
    };
    let changes: Vec<Change> = all.into_iter().filter(|change| ask.picks(change)).collect();
    let figures = vec![None; changes.len()];
    let (before, after) = match change {
        FileChange::Removed => (Some(form(file)), None),
        _ => (None, Some(form(file))),
    };
    let mut weights = assemble(file.0, changes, figures, Layout::Packing, ask);
    let opaque = manifest.format == Format::Opaque;
    if opaque {
        weights.verdict = plain(match change {
            FileChange::Removed => (VerdictKind::Gone, "removed"),
            _ => (VerdictKind::New, "new, tracked as plain bytes"),
        });
    }
    weights.differs = opaque || weights.counts.different() > 0 || ask.glob.is_none();
    Weights {
        change,
        before,
        after,
        notes: file.1.notes.clone(),
        ..weights
    }
}

/// Two files held against each other; changed tensors are read on both sides.
pub(super) fn pair(
    ws: &Workspace,
    before: Named<'_>,
    after: Named<'_>,
    change: FileChange,
    ask: &Ask<'_>,
    progress: &dyn Progress,
) -> Result<Weights> {
    let (a, b) = (&before.1.manifest, &after.1.manifest);
    let layout = diff::layout(a, b);
    let (olds, news) = (a.tensors(), b.tensors());
    let mut changes = diff::compare(&olds, &news);
    changes.retain(|change| ask.picks(change));
    let figures = measured(ws, (before.1, &olds), (after.1, &news), &changes, progress)
        .during(|| format!("cannot compare {}", after.0))?;
    let mut weights = assemble(after.0, changes, figures, layout, ask);
    if ask.glob.is_none() {
        let opaque = |manifest: &Manifest| manifest.format == Format::Opaque;
        let words = match (opaque(a), opaque(b)) {
            _ if layout == Layout::Identical => None,
            (true, true) => Some("other bytes, which are not understood as tensors"),
            (true, false) => Some("tracked by tensor now, before as plain bytes"),
            (false, true) => Some("tracked as plain bytes now, before by tensor"),
            (false, false) => None,
        };
        if let Some(words) = words {
            weights.verdict = plain((VerdictKind::Changed, words));
        }
    }
    weights.differs = match ask.glob {
        Some(_) => weights.counts.different() > 0,
        None => layout != Layout::Identical || change == FileChange::Renamed,
    };
    Ok(Weights {
        change,
        before: Some(form(before)),
        after: Some(form(after)),
        notes: after.1.notes.clone(),
        ..weights
    })
}

fn measured(
    ws: &Workspace,
    before: (&SideFile, &[Entry]),
    after: (&SideFile, &[Entry]),
    changes: &[Change],
    progress: &dyn Progress,
) -> Result<Vec<Option<Figures>>> {
    let of = |(file, entries)| Of { file, entries };
    let changes: Vec<&Change> = changes.iter().collect();
    figures::measure(ws, of(before), of(after), &changes, progress)
}

fn plain((kind, text): (VerdictKind, &str)) -> Verdict {
    Verdict {
        kind,
        text: text.to_owned(),
        notes: Vec::new(),
    }
}

fn form((path, file): Named<'_>) -> Form {
    Form {
        path: path.clone(),
        format: file.manifest.format,
        bytes: file.manifest.file_len(),
        tensors: file.manifest.count(),
    }
}

/// Everything that follows from changes and their figures. The forms and what differs are the caller's.
fn assemble(
    path: &RepoPath,
    changes: Vec<Change>,
    figures: Vec<Option<Figures>>,
    layout: Layout,
    ask: &Ask<'_>,
) -> Weights {
    let verdicts: Vec<TensorVerdict> = changes
        .iter()
        .zip(&figures)
        .map(|(change, figures)| {
            let stats = figures.as_ref().map(|figures| &figures.stats);
            let low_rank = figures.as_ref().and_then(|figures| figures.low_rank);
            TensorVerdict::of(change, stats, low_rank.as_ref())
        })
        .collect();
    let judged: Vec<Judged<'_>> = changes
        .iter()
        .zip(&figures)
        .zip(&verdicts)
        .map(|((change, figures), verdict)| Judged {
            change,
            stats: figures.as_ref().map(|figures| &figures.stats),
            verdict,
        })
        .collect();
    let verdict = verdict::judge(&judged, layout);
    let counts = Counts::of(&changes);
    let all = numbers(figures.iter());
    let (differing, same): (Vec<_>, Vec<_>) = diff::by_group(&changes)
        .into_iter()
        .partition(|group| group.counts.different() > 0);
    let groups = differing
        .into_iter()
        .map(|group| Group {
            stats: numbers(group.changes.iter().filter_map(|i| figures.get(*i))),
            name: group.name,
            counts: group.counts,
        })
        .collect();
    let mut tensors: Vec<Tensor> = changes
        .into_iter()
        .zip(figures)
        .zip(verdicts)
        .filter(|((change, _), _)| change.what != What::Same)
        .map(|((change, figures), verdict)| Tensor {
            change,
            stats: figures.map(|figures| figures.stats),
            verdict,
        })
        .collect();
    tensors.sort_by_key(|tensor| std::cmp::Reverse(tensor.weight()));
    let more = tensors.len().saturating_sub(ask.top.unwrap_or(usize::MAX));
    tensors.truncate(tensors.len() - more);
    Weights {
        path: path.clone(),
        change: FileChange::Modified,
        before: None,
        after: None,
        differs: true,
        verdict,
        counts,
        stats: all,
        groups,
        same_groups: same.len(),
        tensors,
        more,
        notes: Vec::new(),
    }
}

/// The figures of tensors of numbers taken as one; `None` where there are none.
fn numbers<'a>(figures: impl Iterator<Item = &'a Option<Figures>>) -> Option<Stats> {
    let numeric: Vec<&Stats> = figures
        .flatten()
        .map(|figures| &figures.stats)
        .filter(|stats| stats.numeric)
        .collect();
    (!numeric.is_empty()).then(|| Stats::all(numeric))
}

impl Tensor {
    /// What is listed first has more: what broke, what cannot be measured, what moved far, what came and went.
    fn weight(&self) -> (u8, u64) {
        let far = self.stats.as_ref().map(|stats| match stats.numeric {
            // Of non-negative floats the bits are in the order of the values; what was all zero moved infinitely far.
            true => stats.rel_l2.unwrap_or(f64::INFINITY).abs().to_bits(),
            false => stats.changed_share().to_bits(),
        });
        let broken = self.stats.as_ref().is_some_and(|s| s.new_non_finite > 0);
        let class = match self.change.what {
            _ if broken => 4,
            What::Dtype | What::Shape if far.is_none() => 3,
            What::Changed | What::Dtype | What::Shape => 2,
            What::Added | What::Removed => 1,
            What::Renamed | What::Same => 0,
        };
        (class, far.unwrap_or(0))
    }
}
