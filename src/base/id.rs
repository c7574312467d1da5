//! Names of objects, and the only place that hashes.
//!
//! An object is named by the plain BLAKE3 of its raw bytes (<https://github.com/BLAKE3-team/BLAKE3-specs>),
//! the value that `b3sum` prints. Objects are stored in chunks of [`CHUNK`] raw bytes, which are subtrees of
//! BLAKE3's tree, so the chaining values of the chunks prove each of them alone and together yield the name.

use blake3::hazmat::{self, ChainingValue, HasherExt, Mode};

/// Raw bytes per chunk: 1 MiB, a power of two and so a whole subtree of BLAKE3's tree.
pub const CHUNK: usize = 1 << 20;

/// The BLAKE3 of an object's raw bytes: 32 bytes, printed as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId([u8; 32]);

impl ObjectId {
    /// The id of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Takes 32 bytes that are an id already.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads exactly 64 lower-case hex digits; anything else is `None`, so that no id ever names a path.
    pub fn from_hex(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.len() != 64 {
            return None;
        }
        let digit = |c: u8| match c {
            b'0'..=b'9' => Some(c - b'0'),
            b'a'..=b'f' => Some(c - b'a' + 10),
            _ => None,
        };
        let mut id = [0; 32];
        for (byte, pair) in id.iter_mut().zip(text.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(id))
    }

    /// The first twelve digits, for people.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl std::fmt::Display for ObjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ObjectId({})", self.short())
    }
}

impl serde::Serialize for ObjectId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for ObjectId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::from_hex(&text)
            .ok_or_else(|| serde::de::Error::custom("not 64 lower-case hex digits"))
    }
}

/// Hashes a stream of bytes into an [`ObjectId`].
#[derive(Clone, Default)]
pub struct IdHasher(blake3::Hasher);

impl IdHasher {
    /// Starts an empty object.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a hash in a domain of its own, for ids of things that are no raw objects (weights ids, claim
    /// keys): it can never equal the id of any object. `domain` is fixed text such as `"mvc 1 weights"`.
    pub fn in_domain(domain: &str) -> Self {
        Self(blake3::Hasher::new_derive_key(domain))
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(bytes);
        self
    }

    /// The id of all bytes so far.
    pub fn finish(&self) -> ObjectId {
        ObjectId(*self.0.finalize().as_bytes())
    }
}

/// The chaining value of one chunk of an object that has several: 32 bytes that prove the chunk alone.
pub type ChunkValue = ChainingValue;

/// The chaining value of chunk `index`, whose bytes are `bytes`: [`CHUNK`] of them, fewer only in the last.
///
/// Meaningful only for objects longer than [`CHUNK`]; a shorter one is proved by its id.
pub fn chunk_value(index: u64, bytes: &[u8]) -> ChunkValue {
    debug_assert!(!bytes.is_empty() && bytes.len() <= CHUNK);
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(index * CHUNK as u64);
    hasher.update(bytes);
    hasher.finalize_non_root()
}

/// The id of an object from the chaining values of all its chunks, in order; `None` for fewer than two.
///
/// BLAKE3's tree is left-balanced: the left part of any subtree is the largest power of two of chunks
/// that leaves at least one for the right.
pub fn id_of_chunks(values: &[ChunkValue]) -> Option<ObjectId> {
    if values.len() < 2 {
        return None;
    }
    let (left, right) = values.split_at(values.len().next_power_of_two() / 2);
    let root = hazmat::merge_subtrees_root(&subtree(left), &subtree(right), Mode::Hash);
    Some(ObjectId(*root.as_bytes()))
}

fn subtree(values: &[ChunkValue]) -> ChunkValue {
    match values {
        [only] => *only,
        _ => {
            let (left, right) = values.split_at(values.len().next_power_of_two() / 2);
            hazmat::merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_yield_the_plain_hash() {
        for chunks in 2..12 {
            for short in [0, 1, 1023, 1024, 1025, CHUNK - 1] {
                let bytes: Vec<u8> = (0..chunks * CHUNK - short).map(|i| (i / 7) as u8).collect();
                let values: Vec<_> = bytes
                    .chunks(CHUNK)
                    .enumerate()
                    .map(|(i, c)| chunk_value(i as u64, c))
                    .collect();
                assert_eq!(
                    id_of_chunks(&values),
                    Some(ObjectId::of(&bytes)),
                    "{chunks} chunks less {short}"
                );
            }
        }
    }

    #[test]
    fn only_64_lower_case_digits_are_an_id() {
        let id = ObjectId::of(b"x");
        assert_eq!(ObjectId::from_hex(&id.to_string()), Some(id));
        assert_eq!(ObjectId::from_hex(&id.to_string().to_uppercase()), None);
        assert_eq!(ObjectId::from_hex(&id.to_string()[1..]), None);
        assert_eq!(ObjectId::from_hex("../../../etc/passwd"), None);
    }
}
