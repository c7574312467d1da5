//! What a put may find of its tensors under other names, in other shapes and at other places.

use crate::base::ObjectId;

use super::Element;

/// Tensors that came and went between two versions: those that came may be made of those that went.
#[derive(Clone, Debug, Default)]
pub struct Kindred {
    /// What is no longer there under its name and in its shape, the likeliest first.
    pub lost: Vec<Kin>,
    /// For each item: where and what it is, if it was not there before. Items beyond the list were.
    pub new: Vec<Option<Fresh>>,
}

/// An object of the store, and the tensor that it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kin {
    /// The object.
    pub id: ObjectId,
    /// Its length.
    pub len: u64,
    /// What its bytes are.
    pub element: Element,
    /// The tensor.
    pub tensor: Fresh,
}

/// A tensor, so far as it tells where to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fresh {
    /// Its name. What it is called like is looked at first.
    pub name: String,
    /// Bytes of a row of its matrix; 0 where it is none.
    pub row: u64,
}

impl Fresh {
    /// How many parts two names have in common: the number of the layer, the kind of the layer, and so on.
    pub(super) fn likeness(&self, other: &Self) -> usize {
        let parts: Vec<&str> = other.name.split('.').collect();
        let shared = self.name.split('.').filter(|part| parts.contains(part));
        shared.count()
    }
}
