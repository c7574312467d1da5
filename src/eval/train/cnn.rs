//! The training loop: Adam on the cross-entropy of shuffled batches.

use std::ops::ControlFlow;

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW, loss};

use super::digits::{self, SIDE};
use super::ops::{Pool, Unfold};
use super::{Epoch, Options};
use crate::base::progress::{Progress, Unit};
use crate::eval::error::{EvalError, Result};
use crate::eval::metrics::Measured;
use crate::eval::network::computing;
use crate::eval::{safetensors, score};

/// Images that are learned from together.
const BATCH: usize = 32;

/// Classes of digits.
const CLASSES: usize = 10;

/// The tensors, in PyTorch's names and shapes, the numbers that go into one output of each beside them.
const TENSORS: [(&str, &[usize], usize); 8] = [
    ("conv1.weight", &[32, 3, 3, 3], 27),
    ("conv1.bias", &[32], 27),
    ("conv2.weight", &[64, 32, 3, 3], 288),
    ("conv2.bias", &[64], 288),
    ("fc1.weight", &[128, 3136], 3136),
    ("fc1.bias", &[128], 3136),
    ("fc2.weight", &[CLASSES, 128], 128),
    ("fc2.bias", &[CLASSES], 128),
];

/// Trains the network, and calls `each` after every epoch; `Break` ends the training there.
pub fn train(
    options: &Options,
    progress: &dyn Progress,
    each: &mut dyn FnMut(Epoch) -> ControlFlow<()>,
) -> Result<()> {
    let mut chance = Chance(options.seed);
    let mut network = Cnn::new(&mut chance).map_err(computing("the first weights"))?;
    let (images, labels) = digits::train();
    let test = digits::test();
    let mut order: Vec<usize> = (0..labels.len()).collect();
    for number in 1..=options.epochs {
        chance.shuffle(&mut order);
        progress.begin("training", Unit::Items, Some(order.len() as u64));
        let mut sum = 0.0;
        for rows in order.chunks(BATCH) {
            if progress.cancelled() {
                progress.end();
                return Err(EvalError::Cancelled);
            }
            let step = network.step(&gather(&images, rows), &picked(&labels, rows));
            sum += step.map_err(computing("a training step"))? * rows.len() as f64;
            progress.advance(rows.len() as u64);
        }
        progress.end();
        let measured = network
            .test(&test.0, &test.1)
            .map_err(computing("the test"))?;
        let epoch = Epoch {
            number,
            train_loss: sum / order.len() as f64,
            test_correct: measured.metrics.get("correct").copied().unwrap_or_default() as u64,
            test_rows: measured.rows,
            test_loss: measured
                .metrics
                .get("cross_entropy")
                .copied()
                .unwrap_or(f64::NAN),
            weights: network.weights().map_err(computing("the weights"))?,
        };
        if each(epoch).is_break() {
            break;
        }
    }
    Ok(())
}

/// The images of these rows, one after the other.
fn gather(images: &[f32], rows: &[usize]) -> Vec<f32> {
    const IMAGE: usize = 3 * SIDE * SIDE;
    let image = |row: &usize| &images[row * IMAGE..(row + 1) * IMAGE];
    rows.iter().flat_map(image).copied().collect()
}

fn picked(labels: &[i64], rows: &[usize]) -> Vec<i64> {
    rows.iter().map(|row| labels[*row]).collect()
}

struct Cnn {
    variables: Vec<Var>,
    adam: AdamW,
}

impl Cnn {
    /// PyTorch's first weights of convolutions and linear layers: uniform within one over the root of the
    /// numbers that go in.
    fn new(chance: &mut Chance) -> candle_core::Result<Self> {
        let variable = |(_, shape, inputs): &(&str, &[usize], usize)| {
            let bound = 1.0 / (*inputs as f32).sqrt();
            let count = shape.iter().product();
            let values = (0..count).map(|_| (2.0 * chance.unit() - 1.0) * bound);
            Var::from_vec(values.collect(), *shape, &Device::Cpu)
        };
        let variables: Vec<Var> = TENSORS
            .iter()
            .map(variable)
            .collect::<candle_core::Result<_>>()?;
        let adam = AdamW::new(
            variables.clone(),
            ParamsAdamW {
                lr: 1e-3,
                // Without it AdamW is Adam.
                weight_decay: 0.0,
                ..ParamsAdamW::default()
            },
        )?;
        Ok(Self { variables, adam })
    }

    /// Learns from a batch; its mean loss before that.
    fn step(&mut self, images: &[f32], labels: &[i64]) -> candle_core::Result<f64> {
        let labels = Tensor::new(labels, &Device::Cpu)?;
        let loss = loss::cross_entropy(&self.logits(images)?, &labels)?;
        self.adam.backward_step(&loss)?;
        Ok(f64::from(loss.to_scalar::<f32>()?))
    }

    fn test(&self, images: &[f32], labels: &[i64]) -> candle_core::Result<Measured> {
        let rows: Vec<usize> = (0..labels.len()).collect();
        let mut logits = Vec::new();
        for rows in rows.chunks(BATCH) {
            let batch = self.logits(&gather(images, rows))?;
            logits.extend(batch.flatten_all()?.to_vec1::<f32>()?);
        }
        let labels: Vec<usize> = labels.iter().map(|label| *label as usize).collect();
        Ok(score::classification(&logits, CLASSES, &labels))
    }

    /// `[n, 3, 28, 28]` to `[n, 10]`.
    fn logits(&self, images: &[f32]) -> candle_core::Result<Tensor> {
        let [w1, b1, w2, b2, w3, b3, w4, b4] = self.variables.as_slice() else {
            return Err(candle_core::Error::Msg("eight tensors are needed".into()));
        };
        let x = Tensor::from_slice(images, ((), 3, SIDE, SIDE), &Device::Cpu)?;
        let x = block(&x.permute((0, 2, 3, 1))?.contiguous()?, w1, b1)?;
        let x = block(&x, w2, b2)?;
        // PyTorch flattens with the channels first.
        let x = x.permute((0, 3, 1, 2))?.contiguous()?.flatten_from(1)?;
        let x = x.matmul(&w3.t()?)?.broadcast_add(b3)?.relu()?;
        x.matmul(&w4.t()?)?.broadcast_add(b4)
    }

    fn weights(&self) -> candle_core::Result<Vec<safetensors::Tensor>> {
        let pairs = TENSORS.iter().zip(&self.variables);
        let tensor = |((name, shape, _), variable): (&(&str, &[usize], usize), &Var)| {
            let values = variable
                .flatten_all()?
                .to_dtype(DType::F32)?
                .to_vec1::<f32>()?;
            let shape: Vec<u64> = shape.iter().map(|side| *side as u64).collect();
            Ok(safetensors::Tensor::floats(name, &shape, &values))
        };
        pairs.map(tensor).collect()
    }
}

/// A 3x3 convolution with padding 1, ReLU and 2x2 pooling; channels last.
fn block(x: &Tensor, weight: &Var, bias: &Var) -> candle_core::Result<Tensor> {
    let (n, h, w, _) = x.dims4()?;
    let out = bias.elem_count();
    let kernel = weight.permute((0, 2, 3, 1))?.reshape((out, ()))?;
    let y = x
        .apply_op1(Unfold)?
        .matmul(&kernel.t()?)?
        .broadcast_add(bias)?;
    // ReLU after pooling is the same numbers, at a quarter of the work.
    y.reshape((n, h, w, out))?.apply_op1(Pool)?.relu()
}

/// SplitMix64 (<https://prng.di.unimi.it/splitmix64.c>): small, and the same everywhere.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to 1, in steps of 2^-24.
    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// Fisher and Yates.
    fn shuffle(&mut self, order: &mut [usize]) {
        for last in (1..order.len()).rev() {
            order.swap(last, (self.next() % (last as u64 + 1)) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::config::Config;
    use crate::base::progress::Silent;
    use crate::eval::tensors::memory::Memory;
    use crate::eval::train::{LAYERS, suite_data};
    use crate::eval::{Architecture, measure};

    #[test]
    fn the_evaluator_measures_what_the_training_saw() {
        let mut epochs = Vec::new();
        let options = Options { epochs: 1, seed: 7 };
        train(&options, &Silent, &mut |epoch| {
            epochs.push(epoch);
            ControlFlow::Continue(())
        })
        .expect("trained");
        let [epoch] = epochs.as_slice() else {
            panic!("one epoch");
        };
        assert!(
            epoch.test_accuracy() > 0.6,
            "{} of {}",
            epoch.test_correct,
            epoch.test_rows
        );

        let text = format!(
            "[model.m]\nweights = 'w'\nlayers = {LAYERS}\n[eval.s]\ntask = 'classification'\ndata = 'd'\ninput = 'inputs'\ntarget = 'labels'"
        );
        let config = Config::parse(text.as_bytes()).expect("good");
        let architecture = Architecture::from(&config.model["m"], None).expect("good");
        let weights = Memory::read(&epoch.safetensors());
        let data = Memory::read(&suite_data());
        let measured = measure(
            &architecture,
            &weights,
            None,
            &config.eval["s"],
            &data,
            &Silent,
        )
        .expect("measured");
        assert_eq!(measured.metrics["correct"], epoch.test_correct as f64);
        assert!((measured.metrics["cross_entropy"] - epoch.test_loss).abs() < 1e-5);
        assert!(measured.extra.is_empty());
    }

    #[test]
    fn a_seed_decides_everything() {
        let start = |seed| {
            let mut chance = Chance(seed);
            let mut cnn = Cnn::new(&mut chance).expect("weights");
            let loss = cnn
                .step(&vec![0.5; 2 * 3 * SIDE * SIDE], &[1, 2])
                .expect("a step");
            (loss.to_bits(), cnn.weights().expect("weights"))
        };
        assert!(start(1) == start(1));
        assert!(start(1) != start(2));
    }
}
