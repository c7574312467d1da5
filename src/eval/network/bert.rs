//! BERT by candle-transformers, and what becomes of its token vectors.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert;

use super::{Batch, Source, computing};
use crate::base::config::Pooling;
use crate::eval::architecture::{Activation, Bert, BertConfig, naming};
use crate::eval::error::{EvalError, Result};

/// A BERT with its weights.
pub(crate) struct Encoder {
    model: bert::BertModel,
    config: BertConfig,
    pooling: Pooling,
    normalize: bool,
    head: Option<(Tensor, Option<Tensor>)>,
}

impl Encoder {
    /// Loads weights that [`crate::eval::architecture::Architecture::check`] has found to fit.
    pub(super) fn load(
        spec: &Bert,
        weights: &Source<'_>,
        head: Option<&Source<'_>>,
    ) -> Result<Self> {
        let name = naming(weights.tensors);
        let mut tensors = HashMap::new();
        // Under the names that candle looks for, and no others: it guesses prefixes from what it is given.
        for expected in spec.config.expected() {
            let tensor = weights.load(&name(&expected.name))?;
            tensors.insert(expected.name, tensor);
        }
        let variables = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
        let model = bert::BertModel::load(variables, &candle_config(&spec.config))
            .map_err(computing("BERT"))?;
        let head = match (&spec.head, head) {
            (Some(names), Some(head)) => {
                let bias = match &names.bias {
                    Some(bias) => head.load_if_there(bias)?,
                    None => None,
                };
                Some((head.load(&names.weight)?, bias))
            }
            _ => None,
        };
        Ok(Self {
            model,
            config: spec.config.clone(),
            pooling: spec.pooling,
            normalize: spec.normalize,
            head,
        })
    }

    pub(super) fn vocabulary(&self) -> u64 {
        self.config.vocab_size
    }

    pub(super) fn run(&self, batch: &Batch) -> Result<Tensor> {
        let Batch::Ids(ids, mask) = batch else {
            return Err(self.wants("token ids".into()));
        };
        match ids.dims() {
            [_, 0] => return Err(self.wants("texts of a token at least".into())),
            [_, tokens] if *tokens as u64 <= self.config.max_position_embeddings => {}
            [_, tokens] => {
                let most = self.config.max_position_embeddings;
                return Err(self.wants(format!("texts of {most} tokens, not {tokens}")));
            }
            other => return Err(self.wants(format!("ids of shape [n, tokens], not {other:?}"))),
        }
        if mask.as_ref().is_some_and(|mask| mask.dims() != ids.dims()) {
            return Err(self.wants("a mask of the shape of the ids".into()));
        }
        self.compute(ids, mask.as_ref()).map_err(computing("BERT"))
    }

    fn wants(&self, what: String) -> EvalError {
        EvalError::Layer {
            layer: "BERT".into(),
            problem: format!("takes {what}"),
        }
    }

    fn compute(&self, ids: &Tensor, mask: Option<&Tensor>) -> candle_core::Result<Tensor> {
        let mask = match mask {
            Some(mask) => mask.clone(),
            None => ids.ones_like()?.to_dtype(DType::F32)?,
        };
        // Token type 0, PyTorch's default where no types are given.
        let types = ids.zeros_like()?;
        let hidden = self.model.forward(ids, &types, Some(&mask))?;
        let mut vector = match self.pooling {
            Pooling::Cls => hidden.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?,
            Pooling::Mean => {
                // As sentence-transformers does it: a text of padding alone has the vector 0.
                let kept = mask.sum_keepdim(1)?.clamp(1e-9f32, f32::MAX)?;
                hidden
                    .broadcast_mul(&mask.unsqueeze(2)?)?
                    .sum(1)?
                    .broadcast_div(&kept)?
            }
        };
        if self.normalize {
            // As torch.nn.functional.normalize does it.
            let length = vector
                .sqr()?
                .sum_keepdim(1)?
                .sqrt()?
                .clamp(1e-12f32, f32::MAX)?;
            vector = vector.broadcast_div(&length)?;
        }
        match &self.head {
            None => Ok(vector),
            Some((weight, bias)) => {
                let logits = vector.matmul(&weight.t()?)?;
                match bias {
                    Some(bias) => logits.broadcast_add(bias),
                    None => Ok(logits),
                }
            }
        }
    }
}

fn candle_config(config: &BertConfig) -> bert::Config {
    bert::Config {
        vocab_size: config.vocab_size as usize,
        hidden_size: config.hidden_size as usize,
        num_hidden_layers: config.num_hidden_layers as usize,
        num_attention_heads: config.num_attention_heads as usize,
        intermediate_size: config.intermediate_size as usize,
        hidden_act: match config.hidden_act {
            Activation::Gelu => bert::HiddenAct::Gelu,
            Activation::GeluTanh => bert::HiddenAct::GeluApproximate,
        },
        max_position_embeddings: config.max_position_embeddings as usize,
        type_vocab_size: config.type_vocab_size as usize,
        layer_norm_eps: config.layer_norm_eps,
        ..bert::Config::default()
    }
}
