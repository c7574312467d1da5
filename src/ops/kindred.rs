//! Which tensors of a file were not there before under their name and in their shape, and which went meanwhile: the
//! ones may be made of the others.

use std::collections::HashSet;

use super::relatives::{Endings, Known, Relatives, becomes};
use super::weights::{columns, element};
use crate::base::Dtype;
use crate::model::format::Span;
use crate::model::{Tensor, Tiling};
use crate::store::{Fresh, Kin, Kindred};

/// So many lost tensors are told of.
const LOST: usize = 1 << 16;

/// A tensor's name and shape, as versions have them in common.
type Place<'a> = (&'a str, &'a [u64]);

/// What a file that is about to be stored may be made of.
pub fn of(tiling: &Tiling, relatives: &Relatives) -> Kindred {
    let mut new: Vec<Option<&Span>> = tiling
        .spans()
        .iter()
        .map(|span| (span.name.is_some() && span.dtype.is_some()).then_some(span))
        .collect();
    for tensors in relatives.tensors() {
        let there: HashSet<Place<'_>> = tensors.map(place).collect();
        let same = |span: &Span| {
            let name = span.name.as_deref().unwrap_or_default();
            there.contains(&(name, span.shape.as_slice()))
        };
        for place in &mut new {
            *place = place.filter(|span| !same(span));
        }
        // As with most versions.
        if new.iter().all(Option::is_none) {
            return Kindred::default();
        }
    }
    for place in &mut new {
        *place = place.filter(|span| known(span).is_some_and(|new| !relatives.has_ending(&new)));
    }
    let lost = lost(tiling, relatives);
    if lost.is_empty() {
        return Kindred::default();
    }
    Kindred {
        lost,
        new: new.into_iter().map(|span| span.map(fresh)).collect(),
    }
}

fn place(tensor: &Tensor) -> Place<'_> {
    (&tensor.name, &tensor.shape)
}

fn known(span: &Span) -> Option<Known<'_>> {
    Some(Known {
        name: span.name.as_deref()?,
        shape: &span.shape,
        dtype: span.dtype.as_ref()?,
    })
}

fn fresh(span: &Span) -> Fresh {
    Fresh {
        name: span.name.clone().unwrap_or_default(),
        row: row(&span.shape, span.len),
    }
}

/// Bytes of a row of a tensor's matrix.
fn row(shape: &[u64], bytes: u64) -> u64 {
    let numbers = shape
        .iter()
        .try_fold(1u64, |all, side| all.checked_mul(*side));
    let rows = numbers.and_then(|numbers| numbers.checked_div(columns(shape)));
    rows.and_then(|rows| bytes.checked_div(rows)).unwrap_or(0)
}

/// The tensors of other versions and files that this one has not, the likeliest first, each name once.
fn lost(tiling: &Tiling, relatives: &Relatives) -> Vec<Kin> {
    let spans = tiling.spans();
    let new = |at: usize| spans.get(at).and_then(known);
    let kept = (0..spans.len()).filter_map(new);
    let kept: HashSet<Place<'_>> = kept.map(|new| (new.name, new.shape)).collect();
    let endings = Endings::of(spans.len(), new);
    let mut seen = HashSet::new();
    let mut lost = Vec::new();
    for tensor in relatives.tensors().flatten() {
        let renamed = || {
            let fits = |new: &Dtype| becomes(&tensor.dtype, new);
            endings.find(&tensor.into(), new, fits).is_some()
        };
        if lost.len() < LOST
            && !kept.contains(&place(tensor))
            && seen.insert(place(tensor))
            && !renamed()
        {
            lost.push(Kin {
                id: tensor.id,
                len: tensor.bytes,
                element: element(Some(&tensor.dtype)),
                tensor: Fresh {
                    name: tensor.name.clone(),
                    row: row(&tensor.shape, tensor.bytes),
                },
            });
        }
    }
    lost
}
