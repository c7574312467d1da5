//! The evaluator of an mvc that was built without it: the same functions, which say so.

use std::ops::ControlFlow;

use super::architecture::Architecture;
use super::error::{EvalError, Result};
use super::metrics::Measured;
use super::tensors::Tensors;
use super::train::{Epoch, Options};
use crate::base::config::Suite;
use crate::base::progress::Progress;

/// Refuses: nothing can be measured here.
pub fn measure(
    _architecture: &Architecture,
    _weights: &dyn Tensors,
    _head: Option<&dyn Tensors>,
    _suite: &Suite,
    _data: &dyn Tensors,
    _progress: &dyn Progress,
) -> Result<Measured> {
    Err(EvalError::Disabled)
}

/// Refuses: nothing can be trained here.
pub fn train(
    _options: &Options,
    _progress: &dyn Progress,
    _each: &mut dyn FnMut(Epoch) -> ControlFlow<()>,
) -> Result<()> {
    Err(EvalError::Disabled)
}
