//! Networks in candle: weights go in once, batches come through one after the other.
//!
//! The only folder, beside `train`, that knows candle. Whatever candle would panic at or silently misread is
//! checked before it is called; tensors reach it as F32 and ids as U32.

mod bert;
mod pool;
mod sequential;

use std::cell::RefCell;

use candle_core::{Device, Tensor};

use super::architecture::{Architecture, Fit};
use super::error::{EvalError, Result};
use super::numbers::floats;
use super::tensors::Tensors;

/// A network that is ready to run.
pub(crate) enum Network {
    Sequential(sequential::Sequential),
    Bert(Box<bert::Encoder>),
}

/// One batch on its way in.
pub(crate) enum Batch {
    /// Numbers of any shape, rows first.
    Numbers(Tensor),
    /// Token ids and, for a BERT, the attention mask of the same shape.
    Ids(Tensor, Option<Tensor>),
}

impl Network {
    /// Checks the weights against the architecture and loads them.
    pub(crate) fn load(
        architecture: &Architecture,
        weights: &dyn Tensors,
        head: Option<&dyn Tensors>,
    ) -> Result<(Self, Loaded)> {
        let fit = architecture.check(weights, head)?;
        let weights = &Source::new(weights);
        let head = &head.map(Source::new);
        let network = match architecture {
            Architecture::Sequential(layers) => {
                Self::Sequential(sequential::Sequential::load(layers, weights)?)
            }
            Architecture::Bert(bert) => {
                Self::Bert(Box::new(bert::Encoder::load(bert, weights, head.as_ref())?))
            }
        };
        let mut non_finite = weights.non_finite.take();
        non_finite.extend(head.iter().flat_map(|head| head.non_finite.take()));
        Ok((network, Loaded { fit, non_finite }))
    }

    /// The number of ids there are, where ids go in.
    pub(crate) fn vocabulary(&self) -> Option<u64> {
        match self {
            Self::Sequential(network) => network.vocabulary(),
            Self::Bert(encoder) => Some(encoder.vocabulary()),
        }
    }

    /// Computes a batch; rows stay rows.
    pub(crate) fn run(&self, batch: &Batch) -> Result<Tensor> {
        match self {
            Self::Sequential(network) => network.run(batch),
            Self::Bert(encoder) => encoder.run(batch),
        }
    }
}

/// What was seen while weights were loaded.
pub(crate) struct Loaded {
    pub(crate) fit: Fit,
    /// Tensors that hold a NaN or an infinity.
    pub(crate) non_finite: Vec<String>,
}

/// Weights on their way into candle, as F32.
///
/// NaNs and infinities are noted here, since they need not come out again: a tanh makes a one of an infinity.
struct Source<'a> {
    tensors: &'a dyn Tensors,
    non_finite: RefCell<Vec<String>>,
}

impl<'a> Source<'a> {
    fn new(tensors: &'a dyn Tensors) -> Self {
        Self {
            tensors,
            non_finite: RefCell::default(),
        }
    }

    fn load(&self, name: &str) -> Result<Tensor> {
        let (shape, values) = floats(self.tensors, name)?;
        if !values.iter().all(|value| value.is_finite()) {
            self.non_finite.borrow_mut().push(name.to_owned());
        }
        tensor(values, &shape)
    }

    /// The same where the weights have it.
    fn load_if_there(&self, name: &str) -> Result<Option<Tensor>> {
        let there = self.tensors.info(name);
        there.map(|_| self.load(name)).transpose()
    }
}

/// Values of a shape that fits them.
pub(crate) fn tensor<T: candle_core::WithDType>(values: Vec<T>, shape: &[u64]) -> Result<Tensor> {
    let sides: Vec<usize> = shape.iter().map(|side| *side as usize).collect();
    Tensor::from_vec(values, sides, &Device::Cpu).map_err(computing("a tensor"))
}

/// Turns candle's error into ours, naming what was being computed.
pub(crate) fn computing(what: impl ToString) -> impl FnOnce(candle_core::Error) -> EvalError {
    let what = what.to_string();
    move |source| EvalError::Compute {
        what,
        source: Box::new(source),
    }
}
