//! What happened to a tensor, and to a model, in words.
//!
//! A verdict never claims more than the figures show; where several would fit, the most telling one is given.

mod tensor;

use std::collections::HashMap;

use serde::Serialize;

use super::diff::{Change, Counts, Layout, What};
use super::stats::{Stats, share};
use crate::base::text::count;

pub use tensor::TensorVerdict;

/// Below this cosine the new values have little to do with the old ones.
const RELATED: f64 = 0.5;

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
    let heads = Heads::of(tensors.iter().map(|judged| judged.change.name.as_str()));
    if counts.same > 0
        && different
            .clone()
            .all(|judged| heads.has(&judged.change.name))
    {
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
    let embeds = ["embed", "token_embd", "wte", "lm_head"];
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
    notes.extend(not_decoded(tensors));
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

/// How many changed tensors have no figures since their dtypes are not decoded.
fn not_decoded(tensors: &[Judged<'_>]) -> Option<String> {
    let dtypes = tensors.iter().filter_map(|judged| match judged.verdict {
        TensorVerdict::NotDecoded { dtype } => Some(dtype.name()),
        _ => None,
    });
    let mut dtypes: Vec<&str> = dtypes.collect();
    let changed = count(dtypes.len(), "changed tensor");
    dtypes.sort_unstable();
    dtypes.dedup();
    let text = format!(
        "no figures for {changed}: {} is not decoded",
        dtypes.join(", ")
    );
    (!dtypes.is_empty()).then_some(text)
}

/// Which names are those of a classifier's or language model's head, by custom.
struct Heads<'a> {
    /// The highest number of parts that differ by it alone: of `fc1` and `fc2`, the last is the head.
    last: HashMap<&'a str, u64>,
}

impl<'a> Heads<'a> {
    const NAMES: [&'static str; 11] = [
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

    fn of(names: impl Iterator<Item = &'a str>) -> Self {
        let mut last = HashMap::new();
        for (prefix, _, number) in names.flat_map(parts) {
            if let Some(number) = number {
                let highest = last.entry(prefix).or_insert(number);
                *highest = number.max(*highest);
            }
        }
        Self { last }
    }

    fn has(&self, name: &str) -> bool {
        parts(name).any(|(prefix, stem, number)| {
            let is_last = number.is_none() || self.last.get(prefix) == number.as_ref();
            is_last && Self::NAMES.contains(&stem)
        })
    }
}

/// The parts of a name but the last, `fc` and 2 of `net.fc2.bias` among them: all up to the number, the part
/// without it, and the number.
fn parts(name: &str) -> impl Iterator<Item = (&str, &str, Option<u64>)> {
    let parents = name.rsplit_once('.').map_or("", |(parents, _)| parents);
    let mut start = 0;
    parents.split('.').map(move |part| {
        let bare = part.trim_end_matches(|c: char| c.is_ascii_digit());
        let end = start + bare.len();
        start += part.len() + 1;
        let number = part
            .get(bare.len()..)
            .and_then(|digits| digits.parse().ok());
        (&name[..end], bare.trim_end_matches('_'), number)
    })
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

#[cfg(test)]
mod tests;
