//! What one version of one weights file holds, found by name.

mod endings;

use std::hash::{BuildHasher, RandomState};

use crate::base::ObjectId;
use crate::model::format::Span;
use crate::model::{Manifest, Segment, Tensor, Tiling};
pub(in crate::ops) use endings::{Endings, Known, becomes};

/// So many names of a file tell whether another one is like it.
const SOME: usize = 64;

/// A manifest, and where in it each name is: a few bytes for each tensor, since a command may know thousands of files.
pub(in crate::ops) struct File {
    manifest: Manifest,
    hasher: RandomState,
    /// The hash of each name, and its segment. A storage is found by its key and by the names of its views.
    names: Vec<(u64, u32)>,
    /// For tensors that were renamed as a whole.
    endings: Endings,
}

impl File {
    pub(in crate::ops) fn new(manifest: Manifest) -> Self {
        let hasher = RandomState::new();
        let mut names = Vec::new();
        // A sidecar has fewer segments than this by far.
        for (at, segment) in (0u32..).zip(&manifest.segments) {
            names.extend(names_of(segment).map(|name| (hasher.hash_one(name), at)));
        }
        names.sort_unstable();
        names.shrink_to_fit();
        let endings = Endings::of(manifest.segments.len(), |at| {
            Some(tensor(&manifest, at)?.into())
        });
        Self {
            manifest,
            hasher,
            names,
            endings,
        }
    }

    /// What it holds.
    pub(in crate::ops) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its tensors, those that lie in storages left out.
    pub(in crate::ops) fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        let tensors = self.manifest.segments.iter();
        tensors.filter_map(|segment| match segment {
            Segment::Tensor(tensor) => Some(tensor),
            Segment::Storage(_) | Segment::Literal { .. } => None,
        })
    }

    /// The object of a name.
    pub(super) fn named(&self, name: &str) -> Option<ObjectId> {
        let hash = self.hasher.hash_one(name);
        let found = self.at(&self.names, hash).find(|segment| {
            let mut names = names_of(segment);
            names.any(|known| known == name)
        });
        found.map(Segment::id)
    }

    /// The object of a tensor that was renamed as a whole and may have become this one.
    pub(super) fn renamed(&self, new: &Known<'_>) -> Option<ObjectId> {
        let tensors = |at| Some(tensor(&self.manifest, at)?.into());
        let at = self
            .endings
            .find(new, tensors, |old| becomes(old, new.dtype))?;
        tensor(&self.manifest, at).map(|tensor| tensor.id)
    }

    /// All names in it.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.manifest.segments.iter().flat_map(names_of)
    }

    /// True if it has a tensor of a name that a tiling has too.
    pub(super) fn shares_names(&self, tiling: &Tiling) -> bool {
        self.has_any_of(tiling.spans().iter())
    }

    /// [`Self::shares_names`] as far as some of them tell.
    pub(super) fn seems_to_share(&self, tiling: &Tiling) -> bool {
        let spans = tiling.spans();
        self.has_any_of(spans.iter().step_by((spans.len() / SOME).max(1)))
    }

    fn has_any_of<'a>(&self, spans: impl Iterator<Item = &'a Span>) -> bool {
        let mut names = spans.filter_map(|span| span.name.as_deref());
        names.any(|name| self.named(name).is_some())
    }

    /// The segments of a hash, the last one first.
    fn at<'a>(
        &'a self,
        list: &'a [(u64, u32)],
        hash: u64,
    ) -> impl Iterator<Item = &'a Segment> + 'a {
        let end = list.partition_point(|(known, _)| *known <= hash);
        let same = list[..end].iter().rev();
        let same = same.take_while(move |(known, _)| *known == hash);
        same.filter_map(|(_, at)| self.manifest.segments.get(*at as usize))
    }
}

/// The tensor that a segment is.
fn tensor(manifest: &Manifest, at: usize) -> Option<&Tensor> {
    match manifest.segments.get(at)? {
        Segment::Tensor(tensor) => Some(tensor),
        Segment::Storage(_) | Segment::Literal { .. } => None,
    }
}

/// The names that lead to a segment.
fn names_of(segment: &Segment) -> impl Iterator<Item = &str> {
    let (own, aliases, views) = match segment {
        Segment::Literal { .. } => (None, &[][..], &[][..]),
        Segment::Tensor(tensor) => (Some(&tensor.name), &tensor.aliases[..], &[][..]),
        Segment::Storage(storage) => (Some(&storage.key), &[][..], &storage.views[..]),
    };
    let views = views.iter().map(|view| &view.name);
    own.into_iter()
        .chain(aliases)
        .chain(views)
        .map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Dtype;
    use crate::model::manifest::{Storage, View};

    fn tensor(name: &str, shape: &[u64], aliases: &[&str]) -> Segment {
        Segment::Tensor(Tensor {
            name: name.to_owned(),
            dtype: Dtype::F32,
            shape: shape.to_vec(),
            bytes: 4 * shape.iter().product::<u64>(),
            id: ObjectId::of(name.as_bytes()),
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        })
    }

    fn file() -> File {
        let view = View {
            name: "seen".to_owned(),
            dtype: Dtype::F32,
            shape: vec![2],
            offset: 0,
            strides: Vec::new(),
            id: ObjectId::of(b"seen"),
        };
        let storage = Segment::Storage(Storage {
            key: "7".to_owned(),
            dtype: Dtype::F32,
            bytes: 16,
            id: ObjectId::of(b"storage"),
            views: vec![view],
        });
        let segments = vec![
            tensor("model.a.b.c.d", &[2, 3], &["tied"]),
            storage,
            tensor("short", &[4], &[]),
        ];
        File::new(Manifest {
            format: crate::model::manifest::Format::Safetensors,
            segments,
        })
    }

    #[test]
    fn a_segment_is_found_by_each_of_its_names_and_by_no_other() {
        let file = file();
        let of = |name: &str| Some(ObjectId::of(name.as_bytes()));
        assert_eq!(file.named("model.a.b.c.d"), of("model.a.b.c.d"));
        assert_eq!(file.named("tied"), of("model.a.b.c.d"));
        assert_eq!(file.named("7"), of("storage"));
        assert_eq!(file.named("seen"), of("storage"));
        assert_eq!(file.named("a.b.c.d"), None);
        assert_eq!(file.tensors().count(), 2);
    }
}
