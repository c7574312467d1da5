//! What became of each tensor between two versions, by names and ids alone.

use std::collections::{HashMap, HashSet};

use super::manifest::{Entry, Manifest, group_of};
use crate::base::{Dtype, ObjectId};

/// What became of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Nothing.
    Same,
    /// Other bytes; same dtype and shape.
    Changed,
    /// Another dtype, and possibly another shape.
    Dtype,
    /// Another shape, same dtype.
    Shape,
    /// Another name; all else is the same, and no other tensor could be meant.
    Renamed,
    /// Only the new version has it.
    Added,
    /// Only the old version has it.
    Removed,
}

/// A tensor in one of the versions.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Side {
    /// Its name there.
    pub name: String,
    /// How its bytes are read.
    pub dtype: Dtype,
    /// Its sides.
    pub shape: Vec<u64>,
    /// Its id.
    pub id: ObjectId,
    /// Its index in the list that was compared.
    #[serde(skip)]
    pub index: usize,
}

/// A tensor in both versions.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// Its name, in the new version where it is there.
    pub name: String,
    /// Its layer.
    pub group: String,
    /// What became of it.
    pub what: What,
    /// As it was; `None` where it was added.
    pub before: Option<Side>,
    /// As it is; `None` where it was removed.
    pub after: Option<Side>,
}

/// Compares two versions: every tensor of either, in the order of the new one, then what was removed.
///
/// Where a name occurs several times (in several files), occurrences are paired in order.
pub fn compare(a: &[Entry], b: &[Entry]) -> Vec<Change> {
    let mut old: HashMap<&str, Vec<usize>> = HashMap::with_capacity(a.len());
    for (i, entry) in a.iter().enumerate().rev() {
        old.entry(&entry.name).or_default().push(i);
    }
    let mut partner: Vec<Option<usize>> = b
        .iter()
        .map(|entry| old.get_mut(entry.name.as_str()).and_then(Vec::pop))
        .collect();
    let mut removed: Vec<usize> = old.into_values().flatten().collect();
    removed.sort_unstable();
    let added = (0..b.len()).filter(|i| partner.get(*i) == Some(&None));
    let mut renamed = HashSet::new();
    for (i, j) in renames(a, &removed, b, added) {
        if let Some(partner) = partner.get_mut(j) {
            *partner = Some(i);
            renamed.insert(i);
        }
    }
    removed.retain(|i| !renamed.contains(i));
    let both = b.iter().enumerate().zip(partner).map(|((j, new), i)| {
        let old = i.and_then(|i| Some((i, a.get(i)?)));
        change(old, Some((j, new)))
    });
    let gone = removed
        .iter()
        .filter_map(|i| Some(change(Some((*i, a.get(*i)?)), None)));
    both.chain(gone).collect()
}

/// Pairs of a removed and an added tensor that are equal in all but their names, where no other could be meant.
fn renames(
    a: &[Entry],
    removed: &[usize],
    b: &[Entry],
    added: impl Iterator<Item = usize>,
) -> Vec<(usize, usize)> {
    type Key<'a> = (ObjectId, &'a Dtype, &'a [u64]);
    fn key(entry: &Entry) -> Key<'_> {
        (entry.id, &entry.dtype, &entry.shape)
    }
    let mut pairs: HashMap<Key<'_>, (Vec<usize>, Vec<usize>)> = HashMap::new();
    for i in removed {
        if let Some(entry) = a.get(*i) {
            pairs.entry(key(entry)).or_default().0.push(*i);
        }
    }
    for j in added {
        if let Some(entry) = b.get(j) {
            pairs.entry(key(entry)).or_default().1.push(j);
        }
    }
    let unique = |(olds, news): (Vec<usize>, Vec<usize>)| match (&olds[..], &news[..]) {
        ([i], [j]) => Some((*i, *j)),
        _ => None,
    };
    pairs.into_values().filter_map(unique).collect()
}

fn change(before: Option<(usize, &Entry)>, after: Option<(usize, &Entry)>) -> Change {
    let what = match (before, after) {
        (Some((_, a)), Some((_, b))) => match () {
            _ if a.name != b.name => What::Renamed,
            _ if a.dtype != b.dtype => What::Dtype,
            _ if a.shape != b.shape => What::Shape,
            _ if a.id != b.id => What::Changed,
            _ => What::Same,
        },
        (None, _) => What::Added,
        (_, None) => What::Removed,
    };
    let side = |(index, entry): (usize, &Entry)| Side {
        name: entry.name.clone(),
        dtype: entry.dtype.clone(),
        shape: entry.shape.clone(),
        id: entry.id,
        index,
    };
    let (before, after) = (before.map(side), after.map(side));
    let name = after
        .as_ref()
        .or(before.as_ref())
        .map_or(String::new(), |side| side.name.clone());
    Change {
        group: group_of(&name).to_owned(),
        name,
        what,
        before,
        after,
    }
}

/// How many tensors went which way.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// See [`What::Same`].
    pub same: usize,
    /// See [`What::Changed`].
    pub changed: usize,
    /// See [`What::Dtype`].
    pub dtype: usize,
    /// See [`What::Shape`].
    pub shape: usize,
    /// See [`What::Renamed`].
    pub renamed: usize,
    /// See [`What::Added`].
    pub added: usize,
    /// See [`What::Removed`].
    pub removed: usize,
}

impl Counts {
    /// Counts changes.
    pub fn of<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Self {
        let mut counts = Self::default();
        for change in changes {
            *match change.what {
                What::Same => &mut counts.same,
                What::Changed => &mut counts.changed,
                What::Dtype => &mut counts.dtype,
                What::Shape => &mut counts.shape,
                What::Renamed => &mut counts.renamed,
                What::Added => &mut counts.added,
                What::Removed => &mut counts.removed,
            } += 1;
        }
        counts
    }

    /// All tensors of either version.
    pub fn total(&self) -> usize {
        self.same + self.different()
    }

    /// Those that did not stay the same.
    pub fn different(&self) -> usize {
        self.changed + self.dtype + self.shape + self.renamed + self.added + self.removed
    }
}

/// A layer: the changes of its tensors.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Group {
    /// Its name, empty for tensors that are in none.
    pub name: String,
    /// What became of its tensors.
    pub counts: Counts,
    /// The indexes of its changes.
    #[serde(skip)]
    pub changes: Vec<usize>,
}

/// Rolls changes up by layer, in the order in which the layers first occur.
pub fn by_group(changes: &[Change]) -> Vec<Group> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut members: Vec<(&str, Vec<usize>)> = Vec::new();
    for (i, change) in changes.iter().enumerate() {
        let place = *places.entry(&change.group).or_insert(members.len());
        match members.get_mut(place) {
            Some((_, indexes)) => indexes.push(i),
            None => members.push((&change.group, vec![i])),
        }
    }
    let group = |(name, indexes): (&str, Vec<usize>)| Group {
        name: name.to_owned(),
        counts: Counts::of(indexes.iter().filter_map(|i| changes.get(*i))),
        changes: indexes,
    };
    members.into_iter().map(group).collect()
}

/// How two files differ whose tensors are all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Not at all.
    Identical,
    /// In bytes that are no tensor: a header's metadata, padding.
    Literals,
    /// In the order or packing of the tensors, or in the format.
    Packing,
}

/// Compares everything about two files but what their tensors hold.
pub fn layout(a: &Manifest, b: &Manifest) -> Layout {
    if a == b {
        return Layout::Identical;
    }
    let same_order = |a: &Entry, b: &Entry| {
        a.name == b.name
            && a.location.bytes == b.location.bytes
            && a.location.strides == b.location.strides
    };
    let (x, y) = (a.tensors(), b.tensors());
    let same = a.format == b.format
        && x.len() == y.len()
        && x.iter().zip(&y).all(|(a, b)| same_order(a, b));
    match same {
        true => Layout::Literals,
        false => Layout::Packing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::manifest::Location;

    fn entry(name: &str, dtype: Dtype, shape: &[u64], id: u8) -> Entry {
        let id = ObjectId::from_bytes([id; 32]);
        let location = Location {
            offset: 0,
            object: id,
            within: 0,
            bytes: 0,
            strides: None,
        };
        Entry {
            name: name.into(),
            dtype,
            shape: shape.to_vec(),
            id,
            location,
        }
    }

    fn summary(a: &[Entry], b: &[Entry]) -> Vec<(String, What)> {
        let changes = compare(a, b).into_iter();
        changes.map(|change| (change.name, change.what)).collect()
    }

    #[test]
    fn every_tensor_of_either_side_is_told() {
        let a = [
            entry("l.0.same", Dtype::F32, &[2], 1),
            entry("l.0.moved", Dtype::F32, &[2], 2),
            entry("l.1.cast", Dtype::F32, &[2], 3),
            entry("l.1.grown", Dtype::F32, &[2], 4),
            entry("gone", Dtype::F32, &[2], 5),
            entry("l.1.old", Dtype::F32, &[2], 6),
        ];
        let b = [
            entry("l.1.new", Dtype::F32, &[2], 6),
            entry("l.0.same", Dtype::F32, &[2], 1),
            entry("l.0.moved", Dtype::F32, &[2], 9),
            entry("l.1.cast", Dtype::BF16, &[2], 9),
            entry("l.1.grown", Dtype::F32, &[3], 9),
            entry("fresh", Dtype::F32, &[2], 9),
        ];
        let expected = [
            ("l.1.new", What::Renamed),
            ("l.0.same", What::Same),
            ("l.0.moved", What::Changed),
            ("l.1.cast", What::Dtype),
            ("l.1.grown", What::Shape),
            ("fresh", What::Added),
            ("gone", What::Removed),
        ];
        let expected: Vec<_> = expected.map(|(n, w)| (n.to_owned(), w)).into();
        assert_eq!(summary(&a, &b), expected);
        let changes = compare(&a, &b);
        let groups = by_group(&changes);
        let names: Vec<_> = groups.iter().map(|group| group.name.as_str()).collect();
        assert_eq!(names, ["l.1", "l.0", ""]);
        assert_eq!((groups[0].counts.total(), groups[1].counts.same), (3, 1));
    }

    #[test]
    fn a_rename_is_told_only_where_no_other_can_be_meant() {
        let zeros = |name| entry(name, Dtype::F32, &[2], 0);
        let two = summary(&[zeros("a"), zeros("b")], &[zeros("c")]);
        assert!(two.iter().all(|(_, what)| *what != What::Renamed));
        let other = entry("c", Dtype::I32, &[2], 0);
        assert!(!summary(&[zeros("a")], &[other]).contains(&("c".into(), What::Renamed)));
    }
}
