//! How tensors are put together: a chain of layers from `mvc.toml`, or a BERT from its config.json.
//!
//! An architecture is checked when it is made, and against the weights before anything is computed: a tensor
//! that is missing, or has another shape or an odd dtype, is refused by name; one that nothing uses is named.
//! Whatever a configuration asks for that is not built in is refused with words, never ignored.

mod bert;
mod sequential;

use std::collections::BTreeSet;

#[cfg(feature = "eval")]
pub(crate) use bert::naming;
pub use bert::{Activation, Bert, BertConfig};
#[cfg(feature = "eval")]
pub(crate) use sequential::label;

use super::error::{EvalError, Result};
use super::tensors::{Tensors, is_real, show};
use crate::base::config::{Layer, Model};
use crate::base::id::IdHasher;
use crate::base::{Dtype, ObjectId};

/// The longest config.json that is read.
pub const CONFIG_LIMIT: u64 = 1 << 20;

/// A model's architecture.
#[derive(Clone, Debug, PartialEq)]
pub enum Architecture {
    /// One layer after the other.
    Sequential(Vec<Layer>),
    /// A BERT encoder, pooled to one vector per text, perhaps with a linear layer on top.
    Bert(Box<Bert>),
}

/// A tensor that an architecture looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its name.
    pub name: String,
    /// Its shape, where the architecture alone decides it.
    pub shape: Option<Vec<u64>>,
    /// True where the model works without it, as a linear layer does without a bias.
    pub optional: bool,
}

impl Expected {
    fn needed(name: String, shape: Option<Vec<u64>>) -> Self {
        Self {
            name,
            shape,
            optional: false,
        }
    }

    fn optional(name: String) -> Self {
        Self {
            name,
            shape: None,
            optional: true,
        }
    }
}

/// What a check of weights against an architecture found.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Fit {
    /// Tensors that take part, sorted.
    pub used: Vec<String>,
    /// Tensors that nothing uses, sorted: worth naming, no reason to refuse.
    pub extra: Vec<String>,
}

impl Architecture {
    /// The architecture of a model: its `layers`, or else the bytes of its config.json.
    ///
    /// # Errors
    ///
    /// Where neither is there, where they contradict themselves, and where they ask for what is not built in.
    pub fn from(model: &Model, config_json: Option<&[u8]>) -> Result<Self> {
        match (&model.layers, config_json) {
            (Some(layers), _) => {
                let clash = |problem: &str| {
                    Err(EvalError::Contradiction {
                        place: "a model of `layers`".into(),
                        problem: problem.into(),
                    })
                };
                if model.head.is_some() {
                    return clash("has its head among them, and takes no `head`");
                }
                if model.normalize {
                    return clash("takes no `normalize`");
                }
                sequential::check_layers(layers)?;
                Ok(Self::Sequential(layers.clone()))
            }
            (None, Some(json)) => Ok(Self::Bert(Box::new(Bert::from(model, json)?))),
            (None, None) => Err(EvalError::NoArchitecture),
        }
    }

    /// The architecture's id: a hash, in a domain of its own, of everything that decides what is computed.
    ///
    /// For layers that is their canonical JSON; for a BERT every byte of config.json, and the pooling, the
    /// normalisation and the head's tensor names beside it. Where files lie is no part of it.
    pub fn id(&self) -> ObjectId {
        IdHasher::in_domain("mvc 1 architecture")
            .update(self.canonical().as_bytes())
            .finish()
    }

    /// The text that the id hashes, to the byte as `docs/eval.md` has it.
    pub(super) fn canonical(&self) -> String {
        let canonical = match self {
            Self::Sequential(layers) => {
                serde_json::json!({ "kind": "sequential", "layers": layers })
            }
            Self::Bert(bert) => bert.canonical(),
        };
        canonical.to_string()
    }

    /// The tensors it looks for in the model's weights; a head's are in [`Architecture::expected_head`].
    pub fn expected(&self) -> Vec<Expected> {
        match self {
            Self::Sequential(layers) => layers.iter().flat_map(sequential::expected).collect(),
            Self::Bert(bert) => bert.config.expected(),
        }
    }

    /// The tensors it looks for in the head's weights file; none where there is no head.
    pub fn expected_head(&self) -> Vec<Expected> {
        match self {
            Self::Sequential(_) => Vec::new(),
            Self::Bert(bert) => bert.expected_head(),
        }
    }

    /// True if what goes in are token ids.
    pub fn takes_ids(&self) -> bool {
        match self {
            Self::Sequential(layers) => sequential::takes_ids(layers),
            Self::Bert(_) => true,
        }
    }

    /// True if it has a weights file of its own for its head.
    pub fn has_head(&self) -> bool {
        !self.expected_head().is_empty()
    }

    /// Checks names, dtypes, shapes, and that each layer can follow the one before it.
    ///
    /// # Errors
    ///
    /// The first contradiction; missing tensors all at once.
    pub fn check(&self, weights: &dyn Tensors, head: Option<&dyn Tensors>) -> Result<Fit> {
        let mut fit = match self {
            Self::Sequential(layers) => {
                let fit = fit(weights, &self.expected(), &|name| name.to_owned())?;
                sequential::check_chain(layers, weights)?;
                fit
            }
            Self::Bert(_) => fit(weights, &self.expected(), &bert::naming(weights))?,
        };
        let wanted = self.expected_head();
        match head {
            _ if wanted.is_empty() => {}
            None => return Err(EvalError::Lacking(names(&wanted))),
            Some(head) => {
                let of_head = fit_head(head, &wanted, self)?;
                fit.used.extend(of_head.used);
                fit.extra.extend(of_head.extra);
            }
        }
        Ok(fit)
    }
}

fn names(wanted: &[Expected]) -> Vec<String> {
    wanted.iter().map(|tensor| tensor.name.clone()).collect()
}

fn fit_head(head: &dyn Tensors, wanted: &[Expected], of: &Architecture) -> Result<Fit> {
    let found = fit(head, wanted, &|name| name.to_owned())?;
    if let Architecture::Bert(bert) = of {
        bert.check_head(head)?;
    }
    Ok(found)
}

/// Checks one file's tensors; `actual` turns an expected name into the one that the file uses.
fn fit(weights: &dyn Tensors, wanted: &[Expected], actual: &dyn Fn(&str) -> String) -> Result<Fit> {
    let mut lacking = Vec::new();
    let mut used = BTreeSet::new();
    for tensor in wanted {
        let name = actual(&tensor.name);
        let Some((dtype, shape)) = weights.info(&name) else {
            if !tensor.optional {
                lacking.push(tensor.name.clone());
            }
            continue;
        };
        if !is_real(&dtype) {
            return Err(odd(&name, dtype));
        }
        if let Some(wanted) = tensor.shape.as_ref().filter(|wanted| **wanted != shape) {
            return Err(EvalError::Shape {
                tensor: name,
                found: show(&shape),
                wanted: format!("the architecture gives it {}", show(wanted)),
            });
        }
        used.insert(name);
    }
    if !lacking.is_empty() {
        return Err(EvalError::Lacking(lacking));
    }
    let all: BTreeSet<String> = weights.names().into_iter().collect();
    Ok(Fit {
        extra: all
            .difference(&used)
            .filter(|name| !is_bookkeeping(name))
            .cloned()
            .collect(),
        used: used.into_iter().collect(),
    })
}

/// Buffers that PyTorch writes beside the weights and that decide nothing when evaluating.
fn is_bookkeeping(name: &str) -> bool {
    ["num_batches_tracked", "embeddings.position_ids"]
        .iter()
        .any(|end| {
            name.strip_suffix(end)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
}

fn odd(name: &str, dtype: Dtype) -> EvalError {
    EvalError::Dtype {
        tensor: name.to_owned(),
        dtype,
        wanted: "weights are F16, BF16, F32 or F64 here",
    }
}
