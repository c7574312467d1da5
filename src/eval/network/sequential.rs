//! One layer after the other.

use candle_core::Tensor;

use super::{Batch, Source, computing, pool};
use crate::base::config::Layer;
use crate::eval::architecture::label;
use crate::eval::error::{EvalError, Result};

/// The most numbers that one layer's output may have: 2^31, or 8 GiB.
const ELEMENTS: u64 = 1 << 31;

/// A network of layers, with its weights.
pub(crate) struct Sequential {
    steps: Vec<Step>,
}

struct Step {
    label: String,
    layer: Layer,
    /// `weight` where the layer has one.
    weight: Option<Tensor>,
    bias: Option<Tensor>,
    /// `running_mean` and `running_var` of a batch norm.
    running: Option<(Tensor, Tensor)>,
}

impl Sequential {
    /// Loads weights that [`crate::eval::architecture::Architecture::check`] has found to fit.
    pub(super) fn load(layers: &[Layer], weights: &Source<'_>) -> Result<Self> {
        let step = |(index, layer): (usize, &Layer)| {
            let prefix = match layer {
                Layer::Conv2d(conv) => Some(&conv.prefix),
                Layer::Linear(at) | Layer::Embedding(at) => Some(&at.prefix),
                Layer::LayerNorm(norm) | Layer::BatchNorm(norm) => Some(&norm.prefix),
                _ => None,
            };
            let get = |end: &str| match prefix {
                Some(prefix) => weights.load_if_there(&format!("{prefix}.{end}")),
                None => Ok(None),
            };
            let running = match layer {
                Layer::BatchNorm(norm) => Some((
                    weights.load(&format!("{}.running_mean", norm.prefix))?,
                    weights.load(&format!("{}.running_var", norm.prefix))?,
                )),
                _ => None,
            };
            let embeds = matches!(layer, Layer::Embedding(_));
            Ok(Step {
                label: label(index, layer),
                layer: layer.clone(),
                weight: get("weight")?,
                bias: if embeds { None } else { get("bias")? },
                running,
            })
        };
        let steps = layers.iter().enumerate().map(step).collect::<Result<_>>()?;
        Ok(Self { steps })
    }

    pub(super) fn vocabulary(&self) -> Option<u64> {
        let embeds = |step: &&Step| matches!(step.layer, Layer::Embedding(_));
        let step = self.steps.iter().find(embeds)?;
        Some(step.weight.as_ref()?.dims().first().copied()? as u64)
    }

    pub(super) fn run(&self, batch: &Batch) -> Result<Tensor> {
        let (Batch::Numbers(input) | Batch::Ids(input, _)) = batch;
        self.steps
            .iter()
            .try_fold(input.clone(), |x, step| step.run(&x))
    }
}

impl Step {
    /// Checks the shape that came in, then computes.
    fn run(&self, x: &Tensor) -> Result<Tensor> {
        self.check(x.dims())?;
        self.compute(x).map_err(computing(&self.label))
    }

    fn compute(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let dims = x.dims();
        match &self.layer {
            Layer::Conv2d(conv) => {
                let weight = self.weight()?;
                let y = x.contiguous()?.conv2d(
                    weight,
                    conv.padding,
                    conv.stride,
                    conv.dilation,
                    conv.groups,
                )?;
                self.shifted(y, &[1, weight.dims()[0], 1, 1])
            }
            Layer::Linear(_) => {
                let weight = self.weight()?;
                let (out, into) = weight.dims2()?;
                let mut shape = dims.to_vec();
                shape.pop();
                shape.push(out);
                // One product over all leading dimensions: the same for every rank.
                let y = x.contiguous()?.reshape(((), into))?.matmul(&weight.t()?)?;
                self.shifted(y, &[1, out])?.reshape(shape)
            }
            Layer::Embedding(_) => {
                let weight = self.weight()?;
                let mut shape = dims.to_vec();
                shape.push(weight.dims2()?.1);
                weight.index_select(&x.flatten_all()?, 0)?.reshape(shape)
            }
            Layer::LayerNorm(norm) => {
                let weight = self.weight()?;
                let own = weight.elem_count();
                let flat = x.contiguous()?.reshape(((), own))?;
                let scaled =
                    standardised(&flat, norm.eps)?.broadcast_mul(&weight.reshape((1, own))?)?;
                self.shifted(scaled, &[1, own])?.reshape(dims)
            }
            Layer::BatchNorm(norm) => {
                let Some((mean, variance)) = &self.running else {
                    return Ok(x.clone());
                };
                let mut wide = vec![1; dims.len()];
                wide[1] = dims[1];
                let scale = (variance + norm.eps)?.sqrt()?.recip()?;
                let scale = match &self.weight {
                    Some(weight) => (scale * weight)?,
                    None => scale,
                };
                let y = x
                    .broadcast_sub(&mean.reshape(wide.as_slice())?)?
                    .broadcast_mul(&scale.reshape(wide.as_slice())?)?;
                self.shifted(y, &wide)
            }
            // Not candle's, which makes zeros of NaNs.
            Layer::Relu => x.lt(0f32)?.where_cond(&x.zeros_like()?, x),
            Layer::Gelu(gelu) if gelu.tanh => x.gelu(),
            Layer::Gelu(_) => x.gelu_erf(),
            Layer::Tanh => x.tanh(),
            Layer::Sigmoid => candle_nn::ops::sigmoid(x),
            Layer::Softmax(softmax) => {
                candle_nn::ops::softmax(x, from_end(softmax.dim, dims.len()).unwrap_or_default())
            }
            Layer::MaxPool2d(pool) => x.contiguous()?.apply_op1_no_bwd(&pool::Max {
                size: pool.size,
                stride: pool.stride.unwrap_or(pool.size),
            }),
            Layer::AvgPool2d(pool) => x
                .contiguous()?
                .avg_pool2d_with_stride(pool.size, pool.stride.unwrap_or(pool.size)),
            Layer::Flatten(flatten) => x.contiguous()?.flatten_from(flatten.from),
            Layer::Dropout => Ok(x.clone()),
        }
    }

    fn weight(&self) -> candle_core::Result<&Tensor> {
        self.weight
            .as_ref()
            .ok_or_else(|| candle_core::Error::Msg("the weight is not there".into()))
    }

    fn shifted(&self, y: Tensor, shape: &[usize]) -> candle_core::Result<Tensor> {
        match &self.bias {
            Some(bias) => y.broadcast_add(&bias.reshape(shape)?),
            None => Ok(y),
        }
    }

    /// Refuses a shape that the layer cannot take, before candle sees it.
    fn check(&self, dims: &[usize]) -> Result<()> {
        let weight = self.weight.as_ref().map(Tensor::dims).unwrap_or_default();
        let wants = |what: String| {
            Err(EvalError::Layer {
                layer: self.label.clone(),
                problem: format!("got numbers of shape {dims:?}, and takes {what}"),
            })
        };
        let elements = |shape: &[usize]| {
            shape
                .iter()
                .try_fold(1u64, |product, side| product.checked_mul(*side as u64))
        };
        let mut out: Option<u64> = elements(dims);
        match (&self.layer, dims) {
            (Layer::Conv2d(conv), [n, channels, h, w]) => {
                let [of, per_group, kh, kw] = *weight else {
                    return wants("a weight of 4 sides".into());
                };
                if *channels != per_group * conv.groups {
                    return wants(format!("{} channels", per_group * conv.groups));
                }
                let side = |side: usize, kernel: usize| {
                    let window = conv.dilation.checked_mul(kernel - 1)?.checked_add(1)?;
                    let rest = (side + 2 * conv.padding).checked_sub(window)?;
                    Some(rest / conv.stride + 1)
                };
                let (Some(h), Some(w)) = (side(*h, kh), side(*w, kw)) else {
                    return wants(format!("images that its {kh}x{kw} window fits in"));
                };
                out = elements(&[*n, of, h, w]);
            }
            (Layer::Conv2d(_), _) => return wants("[n, channels, height, width]".into()),
            (Layer::Linear(_), [first @ .., last]) if !first.is_empty() => {
                let [of, into] = *weight else {
                    return wants("a weight of 2 sides".into());
                };
                if *last != into {
                    return wants(format!("{into} features last"));
                }
                out = elements(first).and_then(|rows| rows.checked_mul(of as u64));
            }
            (Layer::Linear(_), _) => return wants("[n, .., features]".into()),
            (Layer::Embedding(_), _) => {
                let width = weight.last().copied().unwrap_or(1) as u64;
                out = out.and_then(|ids| ids.checked_mul(width));
            }
            (Layer::LayerNorm(_), _) => {
                if dims.len() <= weight.len() || !dims.ends_with(weight) {
                    return wants(format!("{weight:?} last"));
                }
            }
            (Layer::BatchNorm(_), _) => {
                let own = self.running.as_ref().map(|(mean, _)| mean.elem_count());
                if dims.get(1).copied() != own {
                    return wants(format!("{} channels", own.unwrap_or_default()));
                }
            }
            (Layer::MaxPool2d(pool) | Layer::AvgPool2d(pool), [_, _, h, w]) => {
                if *h < pool.size || *w < pool.size {
                    return wants(format!("images of {0}x{0} or more", pool.size));
                }
            }
            (Layer::MaxPool2d(_) | Layer::AvgPool2d(_), _) => {
                return wants("[n, channels, height, width]".into());
            }
            (Layer::Softmax(softmax), _) => match from_end(softmax.dim, dims.len()) {
                None | Some(0) => return wants(format!("a dimension {}", softmax.dim)),
                Some(_) => {}
            },
            (Layer::Flatten(flatten), _) => {
                if flatten.from >= dims.len() {
                    return wants(format!("a dimension {}", flatten.from));
                }
            }
            (Layer::Relu | Layer::Gelu(_) | Layer::Tanh | Layer::Sigmoid | Layer::Dropout, _) => {}
        }
        match out {
            Some(out) if out <= ELEMENTS => Ok(()),
            _ => wants(format!("no more than {ELEMENTS} numbers in a batch")),
        }
    }
}

/// A dimension counted from the last where it is negative; none where there is no such dimension.
fn from_end(dim: i64, rank: usize) -> Option<usize> {
    let rank = rank as i64;
    let dim = if dim < 0 { dim + rank } else { dim };
    (0..rank).contains(&dim).then_some(dim as usize)
}

/// Each row less its mean, over the root of its variance.
fn standardised(rows: &Tensor, eps: f64) -> candle_core::Result<Tensor> {
    let centred = rows.broadcast_sub(&rows.mean_keepdim(1)?)?;
    let variance = centred.sqr()?.mean_keepdim(1)?;
    centred.broadcast_div(&(variance + eps)?.sqrt()?)
}
