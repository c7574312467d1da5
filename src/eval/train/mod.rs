//! What `mvc demo` trains: a tutorial's CNN on bundled handwritten digits.
//!
//! The same options give the same weights, bit for bit on one machine: weights and the order of the images come
//! from a seed, and nothing depends on the number of threads.

#[cfg(feature = "eval")]
mod cnn;
mod digits;
#[cfg(feature = "eval")]
mod ops;

#[cfg(feature = "eval")]
pub use cnn::train;

#[cfg(not(feature = "eval"))]
pub use super::disabled::train;

use super::safetensors::{self, Tensor};

/// The network, as the `layers` of a model in `mvc.toml`.
pub const LAYERS: &str = r#"[
  { conv2d = "conv1", padding = 1 }, "relu", { max_pool2d = 2 },
  { conv2d = "conv2", padding = 1 }, "relu", { max_pool2d = 2 },
  "flatten", { linear = "fc1" }, "relu", { linear = "fc2" },
]"#;

/// The suite's input tensor in [`suite_data`].
pub const INPUT: &str = "inputs";

/// The suite's target tensor in [`suite_data`].
pub const TARGET: &str = "labels";

/// How to train.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Times that all training images are seen.
    pub epochs: u32,
    /// Where chance begins.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { epochs: 4, seed: 0 }
    }
}

/// What one epoch gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Epoch {
    /// Counted from 1.
    pub number: u32,
    /// Mean cross-entropy over the batches of the epoch, as they were met.
    pub train_loss: f64,
    /// Test images that the network gets right now.
    pub test_correct: u64,
    /// Test images there are.
    pub test_rows: u64,
    /// Mean cross-entropy over the test images.
    pub test_loss: f64,
    /// The weights now, in PyTorch's layout.
    pub weights: Vec<Tensor>,
}

impl Epoch {
    /// The weights as a safetensors file.
    pub fn safetensors(&self) -> Vec<u8> {
        safetensors::to_bytes(&self.weights)
    }

    /// The share of test images that the network gets right.
    pub fn test_accuracy(&self) -> f64 {
        self.test_correct as f64 / self.test_rows as f64
    }
}

/// The test images and their labels as a safetensors file, for the suite of the trained model.
pub fn suite_data() -> Vec<u8> {
    let (images, labels) = digits::test();
    let rows = labels.len() as u64;
    safetensors::to_bytes(&[
        Tensor::floats(
            INPUT,
            &[rows, 3, digits::SIDE as u64, digits::SIDE as u64],
            &images,
        ),
        Tensor::integers(TARGET, &[rows], &labels),
    ])
}
