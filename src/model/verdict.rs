//! What happened to a tensor, and to a model, in words.
//!
//! A verdict never claims more than the figures show; where several would fit, the most telling one is given.

use serde::Serialize;

use super::diff::{Change, Counts, Layout, What};
use super::stats::rank::LowRank;
use super::stats::{Stats, share};
use crate::base::Dtype;
use crate::base::text::count;

/// Below this share of zeros nobody would speak of pruning.
const PRUNED: f64 = 0.1;

/// Below so many elements few different values mean nothing.
const ENOUGH_TO_QUANTISE: u64 = 4096;

/// Above this relative change, values of a cast are not those that were cast.
const CAST: f64 = 0.15;

/// Below this cosine the new values have little to do with the old ones.
const RELATED: f64 = 0.5;

/// What happened to one tensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum TensorVerdict {
    /// Nothing.
    Same,
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It has another name.
    Renamed {
        /// The old one.
        from: String,
    },
    /// It has another shape, and its elements do not correspond.
    Reshaped,
    /// It has more or fewer rows.
    Resized {
        /// Rows it had.
        from: u64,
        /// Rows it has.
        to: u64,
        /// Elements of the common rows that changed, as a share.
        changed: f64,
    },
    /// Its dtype changed, its values as far as the new one holds them did not.
    Cast {
        /// The old dtype.
        from: Dtype,
        /// The new one.
        to: Dtype,
        /// Every value is the old one, rounded to nearest; `None` where that is not worked out.
        exact: Option<bool>,
    },
    /// Its values are few now.
    Quantised {
        /// The new dtype.
        to: Dtype,
        /// How many different ones, where it was counted.
        values: Option<u32>,
    },
    /// Many of its values are zero now.
    Pruned {
        /// The share that is not.
        nonzero: f64,
        /// The others changed as well.
        tuned: bool,
    },
    /// The difference is a product of thin matrices.
    LowRank {
        /// How thin.
        rank: usize,
    },
    /// Its values moved.
    Tuned {
        /// ||b - a|| / ||a||; `None` where it was all zero.
        rel_l2: Option<f64>,
    },
    /// Its values have little to do with the old ones.
    Replaced,
    /// It changed, and no figures say how.
    Changed,
}

impl TensorVerdict {
    /// Judges one tensor; `stats` and `low_rank` where they were worked out.
    pub fn of(change: &Change, stats: Option<&Stats>, low_rank: Option<&LowRank>) -> Self {
        let (Some(before), Some(after)) = (&change.before, &change.after) else {
            return match change.before {
                None => Self::Added,
                Some(_) => Self::Removed,
            };
        };
        match change.what {
            What::Same => return Self::Same,
            What::Added => return Self::Added,
            What::Removed => return Self::Removed,
            What::Renamed => {
                let from = before.name.clone();
                return Self::Renamed { from };
            }
            What::Changed | What::Dtype | What::Shape => {}
        }
        let Some(stats) = stats.filter(|stats| stats.numeric) else {
            return match change.what {
                What::Shape => Self::Reshaped,
                _ => Self::Changed,
            };
        };
        if before.shape != after.shape {
            return match (before.shape.as_slice(), after.shape.as_slice()) {
                ([from, a @ ..], [to, b @ ..]) if a == b && from != to => Self::Resized {
                    from: *from,
                    to: *to,
                    changed: stats.changed_share(),
                },
                _ => Self::Reshaped,
            };
        }
        let nonzero = 1.0 - share(stats.zeros_b, stats.elements);
        let few = |distinct: Option<u32>| distinct.filter(|_| stats.elements >= ENOUGH_TO_QUANTISE);
        let from_float = before.dtype.is_float();
        if from_float && !after.dtype.is_float() {
            return Self::Quantised {
                to: after.dtype.clone(),
                values: stats.distinct_b,
            };
        }
        if let (None, Some(values)) = (few(stats.distinct_a), few(stats.distinct_b))
            && from_float
            && stats.elements >= ENOUGH_TO_QUANTISE
            && nonzero > 0.05
        {
            return Self::Quantised {
                to: after.dtype.clone(),
                values: Some(values),
            };
        }
        let new_zeros = share(stats.zeroed, stats.elements);
        if from_float && new_zeros >= PRUNED {
            let others = share(stats.changed.saturating_sub(stats.zeroed), stats.elements);
            let cast = before.dtype != after.dtype;
            return Self::Pruned {
                nonzero,
                tuned: others > 0.01 && !cast,
            };
        }
        if before.dtype != after.dtype && stats.rel_l2.is_some_and(|rel| rel <= CAST) {
            return Self::Cast {
                from: before.dtype.clone(),
                to: after.dtype.clone(),
                exact: match stats.changed {
                    0 => Some(true),
                    _ => stats.rounded.map(|rounded| rounded == stats.elements),
                },
            };
        }
        if !from_float {
            return Self::Changed;
        }
        match low_rank {
            Some(low) => Self::LowRank { rank: low.rank },
            None if stats.cosine.is_some_and(|cosine| cosine < RELATED) => Self::Replaced,
            None => Self::Tuned {
                rel_l2: stats.rel_l2,
            },
        }
    }

    /// The verdict in a few words.
    pub fn words(&self) -> String {
        match self {
            Self::Same => "same".into(),
            Self::Added => "added".into(),
            Self::Removed => "removed".into(),
            Self::Renamed { from } => format!("renamed from {}", crate::base::text::quote(from)),
            Self::Reshaped => "reshaped".into(),
            Self::Resized { from, to, .. } => format!("resized {from} -> {to} rows"),
            Self::Cast { from, to, exact } => {
                let how = match exact {
                    Some(true) => " (exact rounding)",
                    Some(false) => " (lossy)",
                    None => "",
                };
                format!("cast {from} -> {to}{how}")
            }
            Self::Quantised { to, values } => match values {
                Some(values) => format!("quantised to {values} values of {to}"),
                None => format!("quantised to {to}"),
            },
            Self::Pruned { nonzero, tuned } => {
                let and = if *tuned { ", and tuned" } else { "" };
                format!("pruned to {} non-zero{and}", percent(*nonzero))
            }
            Self::LowRank { rank } => format!("low-rank update (rank <= {rank})"),
            Self::Tuned { rel_l2 } => match rel_l2 {
                Some(rel) => format!("rel. change {rel:.1e}"),
                None => "was all zero".into(),
            },
            Self::Replaced => "replaced".into(),
            Self::Changed => "changed".into(),
        }
    }
}

/// What happened to a model, in one word for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictKind {
    /// Not a byte differs.
    Identical,
    /// The same tensors, in a file that differs otherwise.
    SameTensors,
    /// There was no model before.
    New,
    /// There is none any more.
    Gone,
    /// No tensor has a counterpart.
    Other,
    /// Tensors came, went or were renamed; those that stayed did not change.
    Renamed,
    /// Every changed tensor was cast.
    Cast,
    /// Tensors were quantised.
    Quantised,
    /// Tensors were pruned.
    Pruned,
    /// An embedding has more or fewer rows, and little else changed.
    Resized,
    /// The changes are of low rank.
    LowRank,
    /// Only the model's head changed.
    HeadOnly,
    /// Nearly all tensors moved a little.
    Dense,
    /// Some tensors moved a little.
    Partial,
    /// The values have little to do with the old ones.
    Retrained,
    /// It changed, and no figures say how.
    Changed,
}

/// What happened to a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// For programs.
    pub kind: VerdictKind,
    /// For people, in one line.
    pub text: String,
    /// What else they should know, a line each.
    pub notes: Vec<String>,
}

/// A changed tensor with all that is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// What became of it.
    pub change: &'a Change,
    /// Its figures, where they were worked out.
    pub stats: Option<&'a Stats>,
    /// What they say.
    pub verdict: &'a TensorVerdict,
}

/// Judges a model by all its tensors, unchanged ones included; `layout` says how the files differ otherwise.
pub fn judge(tensors: &[Judged<'_>], layout: Layout) -> Verdict {
    let counts = Counts::of(tensors.iter().map(|judged| judged.change));
    let (kind, text) = main_verdict(tensors, &counts, layout);
    Verdict {
        kind,
        text,
        notes: notes(tensors, &counts, kind),
    }
}

fn main_verdict(tensors: &[Judged<'_>], counts: &Counts, layout: Layout) -> (VerdictKind, String) {
    use VerdictKind as K;
    let total = counts.total();
    if counts.different() == 0 {
        return match layout {
            Layout::Identical => (K::Identical, "identical".into()),
            Layout::Literals => (K::SameTensors, "identical tensors, another header".into()),
            Layout::Packing => (K::SameTensors, "identical tensors, packed otherwise".into()),
        };
    }
    if counts.added == total {
        return (K::New, format!("new model: {}", count(total, "tensor")));
    }
    if counts.removed == total {
        return (K::Gone, "no tensors left".into());
    }
    if counts.added + counts.removed == total {
        return (K::Other, "another model: no tensor in common".into());
    }
    let changed: Vec<&Judged<'_>> = tensors
        .iter()
        .filter(|judged| {
            let what = judged.change.what;
            matches!(what, What::Changed | What::Dtype | What::Shape)
        })
        .collect();
    if changed.is_empty() {
        let moved = count(counts.different(), "tensor");
        let text = format!("same values; {moved} added, removed or renamed");
        return (K::Renamed, text);
    }
    let common = total - counts.added - counts.removed;
    let of = |part: usize| match part == common {
        true => count(part, "tensor"),
        false => format!("{part} of {}", count(common, "tensor")),
    };
    if let Some(found) = cast(&changed, &of) {
        return found;
    }
    let of_kind = |is: fn(&TensorVerdict) -> bool| -> Vec<&Judged<'_>> {
        let found = changed.iter().filter(|judged| is(judged.verdict));
        found.copied().collect()
    };
    let quantised = of_kind(|v| matches!(v, TensorVerdict::Quantised { .. }));
    if weighs(&quantised, &changed) {
        let text = format!("quantised: {}", of(quantised.len()));
        return (K::Quantised, text);
    }
    let pruned = of_kind(|v| matches!(v, TensorVerdict::Pruned { .. }));
    if weighs(&pruned, &changed) {
        let all = Stats::all(pruned.iter().filter_map(|judged| judged.stats));
        let nonzero = percent(1.0 - share(all.zeros_b, all.elements));
        let text = format!("pruned to {nonzero} non-zero: {}", of(pruned.len()));
        return (K::Pruned, text);
    }
    let resized: Vec<_> = changed
        .iter()
        .filter_map(|judged| resized(judged))
        .collect();
    if resized.len() == changed.len() {
        return (K::Resized, resized.join("; "));
    }
    let low = changed.iter().filter_map(|judged| match judged.verdict {
        TensorVerdict::LowRank { rank } => Some(*rank),
        _ => None,
    });
    let low: Vec<usize> = low.collect();
    if let Some(rank) = low.iter().max()
        && low.len() == changed.len()
    {
        let text = format!("low-rank update (rank <= {rank}): {}", of(low.len()));
        return (K::LowRank, text);
    }
    let different = tensors
        .iter()
        .filter(|judged| judged.change.what != What::Same);
    if counts.same > 0 && different.clone().all(|judged| in_head(&judged.change.name)) {
        let text = format!("head-only: {}", of(changed.len()));
        return (K::HeadOnly, text);
    }
    tuned(&changed, common, &of)
}

/// Where all changed tensors were cast between the same dtypes.
fn cast(changed: &[&Judged<'_>], of: &dyn Fn(usize) -> String) -> Option<(VerdictKind, String)> {
    let mut pair = None;
    let mut all_exact = Some(true);
    for judged in changed {
        let TensorVerdict::Cast { from, to, exact } = judged.verdict else {
            return None;
        };
        if *pair.get_or_insert((from, to)) != (from, to) {
            return None;
        }
        all_exact = match (all_exact, exact) {
            (Some(all), Some(exact)) => Some(all && *exact),
            _ => None,
        };
    }
    let (from, to) = pair?;
    let how = match all_exact {
        Some(true) => "exact rounding",
        Some(false) => "lossy",
        None => "rounding not checked",
    };
    let of = of(changed.len());
    Some((
        VerdictKind::Cast,
        format!("cast {from} -> {to} ({how}): {of}"),
    ))
}

/// Where values moved: how many tensors, and how far.
fn tuned(
    changed: &[&Judged<'_>],
    common: usize,
    of: &dyn Fn(usize) -> String,
) -> (VerdictKind, String) {
    let numeric: Vec<&Stats> = changed
        .iter()
        .filter_map(|judged| judged.stats)
        .filter(|stats| stats.numeric)
        .collect();
    if numeric.is_empty() {
        let text = format!("changed: {}", of(changed.len()));
        return (VerdictKind::Changed, text);
    }
    let all = Stats::all(numeric);
    let (kind, word) = match all.cosine {
        Some(cosine) if cosine < RELATED => (VerdictKind::Retrained, "retrained"),
        _ if changed.len() * 10 >= common * 9 => (VerdictKind::Dense, "dense fine-tune"),
        _ => (VerdictKind::Partial, "fine-tune"),
    };
    let far = match (all.rel_l2, all.cosine) {
        (_, Some(cosine)) if kind == VerdictKind::Retrained => format!("cosine {cosine:.2}"),
        (Some(rel), _) => format!("rel. change {rel:.1e}"),
        (None, _) => "from all zero".into(),
    };
    (kind, format!("{word}: {far}, {}", of(changed.len())))
}

/// True where some of the changed tensors are more than half of all changed elements.
fn weighs(some: &[&Judged<'_>], all: &[&Judged<'_>]) -> bool {
    let elements = |tensors: &[&Judged<'_>]| -> u64 {
        let each = tensors.iter().filter_map(|judged| judged.stats);
        each.map(|stats| stats.elements)
            .fold(0, u64::saturating_add)
    };
    !some.is_empty() && elements(some) > elements(all) / 2
}

fn resized(judged: &Judged<'_>) -> Option<String> {
    let TensorVerdict::Resized { from, to, .. } = judged.verdict else {
        return None;
    };
    let name = &judged.change.name;
    let embeds = ["embed", "wte", "lm_head"];
    let what = match embeds.iter().any(|part| name.contains(part)) {
        true => "embedding".into(),
        false => crate::base::text::quote(name),
    };
    Some(format!("{what} resized {from} -> {to} rows"))
}

/// What else a reader must know.
fn notes(tensors: &[Judged<'_>], counts: &Counts, kind: VerdictKind) -> Vec<String> {
    let mut notes = Vec::new();
    let broken = |judged: &&Judged<'_>| judged.stats.is_some_and(|stats| stats.new_non_finite > 0);
    let broken = tensors.iter().filter(broken).count();
    if broken > 0 {
        notes.push(format!(
            "NaN or infinity appeared in {}",
            count(broken, "tensor")
        ));
    }
    if kind != VerdictKind::Resized {
        notes.extend(tensors.iter().filter_map(resized));
    }
    let told = [VerdictKind::New, VerdictKind::Gone];
    if !told.contains(&kind) {
        for (number, word) in [
            (counts.added, "added"),
            (counts.removed, "removed"),
            (counts.renamed, "renamed"),
        ] {
            if number > 0 {
                notes.push(format!("{} {word}", count(number, "tensor")));
            }
        }
    }
    notes
}

/// True for names that a classifier or language model head has by custom.
fn in_head(name: &str) -> bool {
    const HEADS: [&str; 11] = [
        "head",
        "lm_head",
        "classifier",
        "score",
        "cls",
        "qa_outputs",
        "pooler",
        "logits",
        "predictions",
        "fc",
        "output_layer",
    ];
    let Some((parents, _)) = name.rsplit_once('.') else {
        return false;
    };
    parents.split('.').any(|part| {
        let plain = part.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_');
        HEADS.contains(&plain)
    })
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

#[cfg(test)]
mod tests;
