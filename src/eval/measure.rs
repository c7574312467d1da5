//! Runs a suite: data through a model, batch by batch, into metrics.
//!
//! Rows go in file order and batches are computed one after the other, so that a measurement repeats bit for bit
//! on one machine, whatever the number of threads.

use super::architecture::Architecture;
use super::error::{EvalError, Result};
use super::metrics::Measured;
use super::network::{Batch, Network, computing, tensor};
use super::numbers::{floats, integers};
use super::score;
use super::suite;
use super::tensors::{Tensors, show};
use crate::base::config::{Suite, Task};
use crate::base::progress::{Progress, Unit};

/// Measures a suite.
///
/// `weights` and `data` are read as they are needed; that they are what a claim speaks of is the caller's to
/// prove. `head` is the file of the model's `head`, where it has one.
///
/// # Errors
///
/// Weights that do not fit, data that does not fit, an interrupt. Outputs that are not numbers are no error
/// but are counted, and never pass.
pub fn measure(
    architecture: &Architecture,
    weights: &dyn Tensors,
    head: Option<&dyn Tensors>,
    suite: &Suite,
    data: &dyn Tensors,
    progress: &dyn Progress,
) -> Result<Measured> {
    suite::check(suite)?;
    let (network, loaded) = Network::load(architecture, weights, head)?;
    let input = Input::read(architecture, &network, suite, data)?;
    let target = Target::read(suite, data, input.rows)?;
    let outputs = outputs(&network, &input, suite.batch, progress)?;
    let mut measured = scored(suite, &outputs, &target)?;
    measured.extra = loaded.fit.extra;
    measured.non_finite = loaded.non_finite;
    Ok(measured)
}

/// What comes out of a model for all rows of a suite.
struct Outputs {
    rows: u64,
    /// The shape of one row.
    shape: Vec<u64>,
    values: Vec<f32>,
}

/// What goes into a model, all rows.
struct Input {
    rows: u64,
    /// The shape of one row.
    shape: Vec<u64>,
    values: Values,
}

enum Values {
    Numbers(Vec<f32>),
    Ids(Vec<u32>, Option<Vec<f32>>),
}

impl Input {
    fn read(
        architecture: &Architecture,
        network: &Network,
        suite: &Suite,
        data: &dyn Tensors,
    ) -> Result<Self> {
        let name = suite.input.as_str();
        if suite.mask.is_some() && !matches!(architecture, Architecture::Bert(_)) {
            return Err(EvalError::Contradiction {
                place: "the suite's `mask`".into(),
                problem: "only a transformer takes one".into(),
            });
        }
        let (shape, values) = if architecture.takes_ids() {
            let (shape, values) = integers(data, name)?;
            let ids = ids(name, &values, network.vocabulary().unwrap_or_default())?;
            (shape.clone(), Values::Ids(ids, mask(suite, data, &shape)?))
        } else {
            let (shape, values) = floats(data, name)?;
            (shape, Values::Numbers(values))
        };
        let problem = match &shape[..] {
            [] => "is a single number, not rows".into(),
            [rows, rest @ ..] if *rows == 0 || rest.contains(&0) => {
                format!("is empty: its shape is {}", show(&shape))
            }
            [rows, rest @ ..] => {
                return Ok(Self {
                    rows: *rows,
                    shape: rest.to_vec(),
                    values,
                });
            }
        };
        Err(bad(name, problem))
    }

    /// Rows `from` up to `to`.
    fn batch(&self, from: u64, to: u64) -> Result<Batch> {
        let width = self.shape.iter().product::<u64>();
        let range = (from * width) as usize..(to * width) as usize;
        let mut shape = vec![to - from];
        shape.extend(&self.shape);
        Ok(match &self.values {
            Values::Numbers(values) => Batch::Numbers(tensor(values[range].to_vec(), &shape)?),
            Values::Ids(ids, mask) => {
                let mask = mask
                    .as_ref()
                    .map(|mask| tensor(mask[range.clone()].to_vec(), &shape));
                Batch::Ids(tensor(ids[range].to_vec(), &shape)?, mask.transpose()?)
            }
        })
    }
}

fn bad(tensor: &str, problem: impl Into<String>) -> EvalError {
    EvalError::Data {
        tensor: tensor.to_owned(),
        problem: problem.into(),
    }
}

fn ids(name: &str, values: &[i64], vocabulary: u64) -> Result<Vec<u32>> {
    let id = |(index, value): (usize, &i64)| {
        let id = u32::try_from(*value).ok();
        id.filter(|id| u64::from(*id) < vocabulary).ok_or_else(|| {
            bad(
                name,
                format!(
                    "has the id {value} at element {index}, and the model knows 0 to {}",
                    vocabulary.saturating_sub(1)
                ),
            )
        })
    };
    values.iter().enumerate().map(id).collect()
}

fn mask(suite: &Suite, data: &dyn Tensors, shape: &[u64]) -> Result<Option<Vec<f32>>> {
    let Some(name) = suite.mask.as_deref() else {
        return Ok(None);
    };
    let (own, values) = floats(data, name)?;
    if own != shape {
        return Err(bad(
            name,
            format!("has shape {}, and the ids have {}", show(&own), show(shape)),
        ));
    }
    match values.iter().find(|value| **value != 0.0 && **value != 1.0) {
        Some(value) => Err(bad(
            name,
            format!("has the value {value}, and a mask is 0 or 1"),
        )),
        None => Ok(Some(values)),
    }
}

/// What should come out.
enum Target {
    Labels(Vec<i64>),
    Numbers { shape: Vec<u64>, values: Vec<f32> },
}

impl Target {
    fn read(suite: &Suite, data: &dyn Tensors, rows: u64) -> Result<Self> {
        let name = suite.target.as_str();
        let (shape, target) = match suite.task {
            Task::Classification => {
                let (shape, labels) = integers(data, name)?;
                if shape.iter().skip(1).any(|side| *side != 1) {
                    return Err(bad(
                        name,
                        format!("has shape {}, and a row has one label", show(&shape)),
                    ));
                }
                (shape, Self::Labels(labels))
            }
            Task::Regression | Task::Reference => {
                let (shape, values) = floats(data, name)?;
                if let Some(index) = values.iter().position(|value| value.is_nan()) {
                    return Err(bad(name, format!("holds no number at element {index}")));
                }
                let row = shape.iter().skip(1).copied().collect();
                (shape, Self::Numbers { shape: row, values })
            }
        };
        match shape.first() {
            Some(own) if *own == rows => Ok(target),
            _ => Err(bad(
                name,
                format!(
                    "has shape {}, and `{}` has {rows} rows",
                    show(&shape),
                    suite.input
                ),
            )),
        }
    }
}

fn outputs(
    network: &Network,
    input: &Input,
    batch: u32,
    progress: &dyn Progress,
) -> Result<Outputs> {
    let mut all = Outputs {
        rows: input.rows,
        shape: Vec::new(),
        values: Vec::new(),
    };
    progress.begin("evaluating", Unit::Items, Some(input.rows));
    let mut from = 0;
    while from < input.rows {
        if progress.cancelled() {
            progress.end();
            return Err(EvalError::Cancelled);
        }
        let to = input.rows.min(from + u64::from(batch.max(1)));
        let output = network.run(&input.batch(from, to)?)?;
        all.shape = output
            .dims()
            .iter()
            .skip(1)
            .map(|side| *side as u64)
            .collect();
        let flat = output.flatten_all().and_then(|flat| flat.to_vec1::<f32>());
        all.values.extend(flat.map_err(computing("the outputs"))?);
        progress.advance(to - from);
        from = to;
    }
    progress.end();
    Ok(all)
}

fn scored(suite: &Suite, outputs: &Outputs, target: &Target) -> Result<Measured> {
    match target {
        Target::Labels(labels) => {
            let [classes] = outputs.shape[..] else {
                return Err(EvalError::Layer {
                    layer: "the model".into(),
                    problem: format!(
                        "gives {} per row, and a classification takes one number per class",
                        show(&outputs.shape)
                    ),
                });
            };
            let label = |(row, label): (usize, &i64)| {
                let label_in = usize::try_from(*label).ok();
                label_in.filter(|label| (*label as u64) < classes).ok_or_else(|| {
                    bad(&suite.target, format!("has the label {label} in row {row}, and the model has {classes} classes"))
                })
            };
            let labels = labels
                .iter()
                .enumerate()
                .map(label)
                .collect::<Result<Vec<_>>>()?;
            Ok(score::classification(
                &outputs.values,
                classes as usize,
                &labels,
            ))
        }
        Target::Numbers { shape, values } => {
            // PyTorch's habit of `[n, 1]` for one number per row is no difference.
            let same = |a: &[u64], b: &[u64]| {
                a == b || (a.iter().product::<u64>() == 1 && b.iter().product::<u64>() == 1)
            };
            if !same(shape, &outputs.shape) || values.len() != outputs.values.len() {
                return Err(bad(
                    &suite.target,
                    format!(
                        "has {} per row, and the model gives {}",
                        show(shape),
                        show(&outputs.shape)
                    ),
                ));
            }
            Ok(match suite.task {
                Task::Reference => score::reference(
                    &outputs.values,
                    values,
                    shape.iter().product::<u64>() as usize,
                ),
                Task::Regression | Task::Classification => {
                    score::regression(&outputs.values, values, outputs.rows)
                }
            })
        }
    }
}

#[cfg(test)]
#[path = "measure_tests.rs"]
mod tests;
