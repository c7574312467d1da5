//! Claims: metrics that were recorded, and of what they speak.
//!
//! `mvc.evals.toml` holds a table per suite. A claim speaks of exact content: its key is made of the weights, the
//! architecture, the tokenizer, the suite and the data, and nothing that a metric depends on is left out of it.
//! A claim about anything else cannot be compared, which is never a pass.

mod environment;
mod judge;
mod text;

use std::collections::BTreeMap;

pub use environment::Environment;
pub use judge::{Outcome, Row, Verdict, judge};
pub use text::ClaimError;
#[cfg(test)]
pub(crate) use text::tests::claim;

use crate::base::ObjectId;
use crate::base::id::IdHasher;

/// The file's name, at the top of the work tree.
pub const FILE: &str = "mvc.evals.toml";

/// The longest `mvc.evals.toml` that is read.
pub const LIMIT: u64 = 4 << 20;

/// The layout version that this mvc reads and writes, `mvc = 1` in the file.
pub const VERSION: u64 = 1;

/// What a measurement speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Key {
    /// The weights id over all weights files of the model; of a model with a head, [`weights_with_head`].
    pub weights: ObjectId,
    /// [`super::Architecture::id`].
    pub architecture: ObjectId,
    /// [`tokenizer_id`]; none where the model has no tokenizer.
    pub tokenizer: Option<ObjectId>,
    /// [`super::suite::id`].
    pub suite: ObjectId,
    /// The hash of the suite's data file.
    pub data: ObjectId,
}

impl Key {
    /// The key as one hash, in a domain of its own.
    pub fn id(&self) -> ObjectId {
        let mut hasher = IdHasher::in_domain("mvc 1 claim");
        for (name, id) in self.parts() {
            let id = id.map_or("none".to_owned(), |id| id.to_string());
            hasher.update(format!("{name} {id}\n").as_bytes());
        }
        hasher.finish()
    }

    /// Its parts by name, in their fixed order.
    fn parts(&self) -> [(&'static str, Option<ObjectId>); 5] {
        [
            ("weights", Some(self.weights)),
            ("architecture", Some(self.architecture)),
            ("tokenizer", self.tokenizer),
            ("suite", Some(self.suite)),
            ("data", Some(self.data)),
        ]
    }

    /// The names of the parts that another key has otherwise.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let pairs = self.parts().into_iter().zip(other.parts());
        pairs
            .filter(|(own, other)| own.1 != other.1)
            .map(|(own, _)| own.0)
            .collect()
    }
}

/// The id of weights whose head has a file of its own, from the weights ids of the model's files and of the head's, in
/// a domain of its own: which tensors are the head's is a part of what is computed.
pub fn weights_with_head(model: ObjectId, head: ObjectId) -> ObjectId {
    IdHasher::in_domain("mvc 1 weights with head")
        .update(format!("model {model}\nhead {head}\n").as_bytes())
        .finish()
}

/// The files in a model's folder that make up its tokenizer, whichever of them there are.
pub const TOKENIZER: [&str; 11] = [
    "added_tokens.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "spiece.model",
    "spm.model",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
];

/// The id of a tokenizer, of its files' names and the hashes of their bytes, in a domain of its own; none where
/// there are no files. The order of the files is nothing.
///
/// It is part of a key even where a suite takes token ids: they mean something through the tokenizer alone.
pub fn tokenizer_id<'a>(files: impl IntoIterator<Item = (&'a str, ObjectId)>) -> Option<ObjectId> {
    let sorted: BTreeMap<&str, ObjectId> = files.into_iter().collect();
    let mut hasher = IdHasher::in_domain("mvc 1 tokenizer");
    for (name, id) in &sorted {
        hasher.update(format!("{name} {id}\n").as_bytes());
    }
    (!sorted.is_empty()).then(|| hasher.finish())
}

/// What was measured of what, and where.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Claim {
    /// Of what it speaks.
    pub key: Key,
    /// Rows of the data.
    pub rows: u64,
    /// The metrics, at least one, all finite.
    pub metrics: BTreeMap<String, f64>,
    /// Where they were measured.
    pub environment: Environment,
}

/// All claims of a version, by suite.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Claims(pub BTreeMap<String, Claim>);
