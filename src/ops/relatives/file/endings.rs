//! Tensors that were renamed as a whole: found by the ends of their names, which prefixes such as `model.` leave alone.

use std::cmp::{Ordering, Reverse};
use std::hash::{BuildHasher, RandomState};

use crate::base::Dtype;
use crate::model::Tensor;

/// So many last parts that two names have in common make them alike, whatever comes before.
const PARTS: usize = 4;

/// So many names on either side of where one would lie are compared with it.
const BESIDE: usize = 2;

/// What is known of a tensor.
#[derive(Clone, Copy)]
pub(in crate::ops) struct Known<'a> {
    pub(in crate::ops) name: &'a str,
    pub(in crate::ops) shape: &'a [u64],
    pub(in crate::ops) dtype: &'a Dtype,
}

impl<'a> From<&'a Tensor> for Known<'a> {
    fn from(tensor: &'a Tensor) -> Self {
        Self {
            name: &tensor.name,
            shape: &tensor.shape,
            dtype: &tensor.dtype,
        }
    }
}

/// True where numbers of one dtype may have become such of another.
pub(in crate::ops) fn becomes(old: &Dtype, new: &Dtype) -> bool {
    let floats = |dtype: &Dtype| dtype.is_float() && *dtype != Dtype::F64;
    let made_of_floats = floats(new) || matches!(new, Dtype::I8 | Dtype::Quant(_));
    old == new || floats(old) && made_of_floats
}

/// Where in a list of tensors those of a shape and of the ends of a name are.
pub(in crate::ops) struct Endings {
    hasher: RandomState,
    /// The hash of shape and last part, and the place; those of one hash by their names' parts from the last one on.
    places: Vec<(u64, u32)>,
}

impl Endings {
    /// Of the tensors at places below `count`.
    pub(in crate::ops) fn of<'a>(
        count: usize,
        tensor: impl Fn(usize) -> Option<Known<'a>>,
    ) -> Self {
        let hasher = RandomState::new();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let hash = |at: u32| Some((hash(&hasher, &tensor(at as usize)?), at));
        let mut places: Vec<(u64, u32)> = (0..count).filter_map(hash).collect();
        let name = |at: u32| tensor(at as usize).map_or("", |tensor| tensor.name);
        places.sort_by(|(a, at), (b, other)| {
            let names = || from_the_end(name(*at), name(*other));
            a.cmp(b).then_with(names)
        });
        places.shrink_to_fit();
        Self { hasher, places }
    }

    /// The place of the tensor that is most likely this one before it was renamed, or after: it has its shape and a
    /// dtype that fits, its own if there is one, and as many last parts of its name as any.
    pub(in crate::ops) fn find<'a>(
        &self,
        wanted: &Known<'_>,
        tensor: impl Fn(usize) -> Option<Known<'a>>,
        fits: impl Fn(&Dtype) -> bool,
    ) -> Option<usize> {
        let hash = hash(&self.hasher, wanted);
        let place = self.places.partition_point(|(known, at)| {
            let name = || tensor(*at as usize).map_or("", |tensor| tensor.name);
            let names = || from_the_end(name(), wanted.name);
            known.cmp(&hash).then_with(names) == Ordering::Less
        });
        let before = self.places[..place].iter().rev().take(BESIDE);
        let beside = before.chain(self.places[place..].iter().take(BESIDE));
        let beside = beside.filter(|(known, _)| *known == hash);
        let likely = beside.filter_map(|(_, at)| {
            let tensor = tensor(*at as usize)?;
            let parts = shared(tensor.name, wanted.name)?;
            let fits = tensor.shape == wanted.shape && fits(tensor.dtype);
            fits.then_some((tensor.dtype == wanted.dtype, parts, Reverse(*at)))
        });
        likely.max().map(|(_, _, Reverse(at))| at as usize)
    }
}

fn hash(hasher: &RandomState, tensor: &Known<'_>) -> u64 {
    hasher.hash_one((tensor.shape, tensor.name.rsplit('.').next()))
}

fn from_the_end(a: &str, b: &str) -> Ordering {
    a.rsplit('.').cmp(b.rsplit('.'))
}

/// How many last parts two names have in common, where these are so many, or all of one of them.
fn shared(a: &str, b: &str) -> Option<usize> {
    let parts = |name: &str| name.rsplit('.').count();
    let same = a.rsplit('.').zip(b.rsplit('.'));
    let shared = same.take_while(|(a, b)| a == b).count();
    (shared >= PARTS.min(parts(a)).min(parts(b))).then_some(shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name of what is found for a tensor among these.
    fn found<'a>(
        list: &[(&'a str, &'a Dtype, &'a [u64])],
        wanted: (&str, &Dtype, &[u64]),
    ) -> Option<&'a str> {
        let known = |at: usize| {
            let (name, dtype, shape) = *list.get(at)?;
            Some(Known { name, dtype, shape })
        };
        let (name, dtype, shape) = wanted;
        let wanted = Known { name, dtype, shape };
        let endings = Endings::of(list.len(), known);
        let at = endings.find(&wanted, known, |old| becomes(old, dtype))?;
        known(at).map(|tensor| tensor.name)
    }

    const F32: &Dtype = &Dtype::F32;
    const BF16: &Dtype = &Dtype::BF16;
    const I64: &Dtype = &Dtype::I64;

    #[test]
    fn a_tensor_that_was_renamed_is_found_by_its_last_parts_and_its_shape() {
        let list = [
            ("model.a.b.c.d", F32, &[2, 3][..]),
            ("short", F32, &[4]),
            ("x.e.f", F32, &[2]),
        ];
        let of = |name, shape: &[u64]| found(&list, (name, F32, shape));
        assert_eq!(of("module.encoder.a.b.c.d", &[2, 3]), Some("model.a.b.c.d"));
        assert_eq!(of("a.b.c.d", &[2, 3]), Some("model.a.b.c.d"));
        assert_eq!(of("d", &[2, 3]), Some("model.a.b.c.d"));
        assert_eq!(of("a.b.c.d", &[3, 2]), None);
        assert_eq!(of("x.b.c.d", &[2, 3]), None);
        assert_eq!(of("model.short", &[4]), Some("short"));
        assert_eq!(of("y.x.e.f", &[2]), Some("x.e.f"));
        assert_eq!(of("y.e.f", &[2]), None);
    }

    #[test]
    fn of_many_layers_the_one_that_has_most_of_the_name_is_found() {
        let names: Vec<String> = (0..100)
            .map(|layer| format!("bert.encoder.layer.{layer}.attention.self.query.weight"))
            .collect();
        let list: Vec<(&str, &Dtype, &[u64])> = names
            .iter()
            .map(|name| (name.as_str(), F32, &[2, 3][..]))
            .collect();
        for name in &names {
            let short = name.strip_prefix("bert.").expect("it has that");
            assert_eq!(found(&list, (short, F32, &[2, 3])), Some(name.as_str()));
            let long = format!("model.{name}");
            assert_eq!(found(&list, (&long, BF16, &[2, 3])), Some(name.as_str()));
        }
    }

    #[test]
    fn another_dtype_is_taken_where_its_numbers_may_have_become_these_and_the_same_one_before_it() {
        let list = [
            ("a.w", F32, &[2][..]),
            ("b.w", BF16, &[2]),
            ("c.n", I64, &[2]),
        ];
        assert_eq!(found(&list[..1], ("x.a.w", BF16, &[2])), Some("a.w"));
        assert_eq!(found(&list[..1], ("x.a.w", &Dtype::I8, &[2])), Some("a.w"));
        assert_eq!(found(&list[..1], ("x.a.w", I64, &[2])), None);
        assert_eq!(found(&list, ("w", BF16, &[2])), Some("b.w"));
        assert_eq!(found(&list, ("w", F32, &[2])), Some("a.w"));
        assert_eq!(found(&list, ("x.c.n", F32, &[2])), None);
        assert_eq!(found(&list, ("x.c.n", I64, &[2])), Some("c.n"));
    }
}
