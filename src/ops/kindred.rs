//! Which tensors of a file were not there before under their name and in their shape, and which went meanwhile: the
//! ones may be made of the others.

use std::collections::HashSet;

use super::relatives::{Relatives, ending};
use super::weights::{columns, element};
use crate::base::Dtype;
use crate::model::format::Span;
use crate::model::{Tensor, Tiling};
use crate::store::{Fresh, Kin, Kindred};

/// So many lost tensors are told of.
const LOST: usize = 1 << 16;

/// A tensor as versions have it in common.
type Known<'a> = (&'a str, &'a [u64]);

/// A tensor that was renamed as a whole.
type Ending<'a> = (&'a [u64], &'a Dtype, &'a str);

/// What a file that is about to be stored may be made of.
pub fn of(tiling: &Tiling, relatives: &Relatives) -> Kindred {
    let mut new: Vec<Option<&Span>> = tiling
        .spans()
        .iter()
        .map(|span| (span.name.is_some() && span.dtype.is_some()).then_some(span))
        .collect();
    for tensors in relatives.tensors() {
        let there: HashSet<Known<'_>> = tensors.map(known).collect();
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
        *place = place.filter(|span| match (&span.name, &span.dtype) {
            (Some(name), Some(dtype)) => !relatives.has_ending(name, &span.shape, dtype),
            _ => false,
        });
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

fn known(tensor: &Tensor) -> Known<'_> {
    (&tensor.name, &tensor.shape)
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
    let spans = || {
        let spans = tiling.spans().iter();
        spans.filter_map(|span| Some((span.name.as_deref()?, span.dtype.as_ref()?, span)))
    };
    let kept: HashSet<Known<'_>> = spans()
        .map(|(name, _, span)| (name, &span.shape[..]))
        .collect();
    let renamed: HashSet<Ending<'_>> = spans()
        .map(|(name, dtype, span)| (&span.shape[..], dtype, ending(name)))
        .collect();
    let mut seen = HashSet::new();
    let mut lost = Vec::new();
    for tensor in relatives.tensors().flatten() {
        let as_ending = (&tensor.shape[..], &tensor.dtype, ending(&tensor.name));
        if lost.len() < LOST
            && !kept.contains(&known(tensor))
            && !renamed.contains(&as_ending)
            && seen.insert(known(tensor))
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
