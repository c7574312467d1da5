//! Networks in candle: weights go in once, batches come through one after the other.
//!
//! The only folder, beside `train`, that knows candle. Whatever candle would panic at or silently misread is
//! checked before it is called; tensors reach it as F32 and ids as U32.

mod bert;
mod sequential;

use candle_core::{Device, Tensor};

use super::architecture::{Architecture, Fit};
use super::error::{EvalError, Result};
use super::tensors::{Tensors, floats};

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
    ) -> Result<(Self, Fit)> {
        let fit = architecture.check(weights, head)?;
        let network = match architecture {
            Architecture::Sequential(layers) => {
                Self::Sequential(sequential::Sequential::load(layers, weights)?)
            }
            Architecture::Bert(bert) => {
                Self::Bert(Box::new(bert::Encoder::load(bert, weights, head)?))
            }
        };
        Ok((network, fit))
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

/// A tensor of the weights as F32 in candle.
fn load(from: &dyn Tensors, name: &str) -> Result<Tensor> {
    let (shape, values) = floats(from, name)?;
    tensor(values, &shape)
}

/// The same where the weights have it.
fn load_if_there(from: &dyn Tensors, name: &str) -> Result<Option<Tensor>> {
    from.info(name).map(|_| load(from, name)).transpose()
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
