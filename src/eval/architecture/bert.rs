//! BERT as Hugging Face's config.json describes it.

use serde_json::Value;

use super::{EvalError, Expected, Result};
use crate::base::config::{Head, Model, Pooling};
use crate::base::{ObjectId, text::printable};
use crate::eval::tensors::{Tensors, show};

/// A BERT encoder and what becomes of its token vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct Bert {
    /// The encoder's sizes.
    pub config: BertConfig,
    /// How token vectors become one vector per text.
    pub pooling: Pooling,
    /// Whether that vector is scaled to length 1.
    pub normalize: bool,
    /// The linear layer on top.
    pub head: Option<Head>,
    /// The hash of config.json's bytes.
    source: ObjectId,
}

/// The fields of config.json that decide what is computed.
#[derive(Clone, Debug, PartialEq)]
pub struct BertConfig {
    /// Rows of the word embeddings.
    pub vocab_size: u64,
    /// Length of a token's vector.
    pub hidden_size: u64,
    /// Encoder layers.
    pub num_hidden_layers: u64,
    /// Attention heads of each layer.
    pub num_attention_heads: u64,
    /// Width inside the feed-forward part.
    pub intermediate_size: u64,
    /// The most tokens a text may have.
    pub max_position_embeddings: u64,
    /// Rows of the token type embeddings; type 0 is used.
    pub type_vocab_size: u64,
    /// Added to the variance in layer norms.
    pub layer_norm_eps: f64,
    /// The feed-forward part's activation.
    pub hidden_act: Activation,
}

/// An activation that a BERT may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// The exact GELU.
    Gelu,
    /// Its tanh approximation.
    GeluTanh,
}

impl Bert {
    pub(super) fn from(model: &Model, json: &[u8]) -> Result<Self> {
        Ok(Self {
            config: BertConfig::parse(json)?,
            pooling: model.pooling,
            normalize: model.normalize,
            head: model.head.clone(),
            source: ObjectId::of(json),
        })
    }

    pub(super) fn canonical(&self) -> Value {
        let head = self
            .head
            .as_ref()
            .map(|head| serde_json::json!({ "weight": head.weight, "bias": head.bias }));
        serde_json::json!({
            "kind": "bert",
            "config": self.source.to_string(),
            "pooling": self.pooling,
            "normalize": self.normalize,
            "head": head,
        })
    }

    pub(super) fn expected_head(&self) -> Vec<Expected> {
        let Some(head) = &self.head else {
            return Vec::new();
        };
        let bias = head.bias.iter().map(|bias| Expected {
            // The default name may be absent; a name that somebody wrote down may not, but the two look alike.
            optional: bias == "bias",
            ..Expected::needed(bias.clone(), None)
        });
        std::iter::once(Expected::needed(head.weight.clone(), None))
            .chain(bias)
            .collect()
    }

    pub(super) fn check_head(&self, weights: &dyn Tensors) -> Result<()> {
        let Some(head) = &self.head else {
            return Ok(());
        };
        let shape = |name: &str| weights.info(name).map(|(_, shape)| shape);
        let weight = shape(&head.weight).unwrap_or_default();
        let hidden = self.config.hidden_size;
        let [out, into] = weight[..] else {
            return Err(head_shape(
                &head.weight,
                &weight,
                format!("the head needs [out, {hidden}]"),
            ));
        };
        if into != hidden || out == 0 {
            return Err(head_shape(
                &head.weight,
                &weight,
                format!("the head needs [out, {hidden}]"),
            ));
        }
        match head
            .bias
            .as_ref()
            .and_then(|bias| Some((bias, shape(bias)?)))
        {
            Some((bias, shape)) if shape != [out] => {
                Err(head_shape(bias, &shape, format!("the head needs [{out}]")))
            }
            _ => Ok(()),
        }
    }
}

fn head_shape(tensor: &str, found: &[u64], wanted: String) -> EvalError {
    EvalError::Shape {
        tensor: tensor.to_owned(),
        found: show(found),
        wanted,
    }
}

impl BertConfig {
    /// Reads a config.json. Fields that could change what is computed and are not understood are refused;
    /// fields that only concern training or bookkeeping are not looked at.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let value: Value = serde_json::from_slice(json)
            .map_err(|e| EvalError::ConfigJson(format!("is no JSON: {e}")))?;
        let Value::Object(fields) = &value else {
            return Err(EvalError::ConfigJson("is no JSON object".into()));
        };
        let field = |name: &str| fields.get(name).filter(|value| !value.is_null());
        let unsupported = |name: &str, value: &Value| EvalError::Unsupported {
            what: format!(
                "config.json with `{name}` = {}",
                printable(&value.to_string())
            ),
        };

        match field("model_type") {
            Some(Value::String(kind)) if kind == "bert" => {}
            Some(other) => return Err(unsupported("model_type", other)),
            None => return Err(EvalError::ConfigJson("names no `model_type`".into())),
        }
        for name in ["is_decoder", "add_cross_attention", "is_encoder_decoder"] {
            if let Some(value) = field(name).filter(|value| **value != Value::Bool(false)) {
                return Err(unsupported(name, value));
            }
        }
        if let Some(value) = field("position_embedding_type").filter(|value| *value != "absolute") {
            return Err(unsupported("position_embedding_type", value));
        }
        for name in [
            "quantization_config",
            "pruned_heads",
            "auto_map",
            "embedding_size",
        ] {
            let empty = |value: &&Value| !value.as_object().is_some_and(serde_json::Map::is_empty);
            if let Some(value) = field(name).filter(empty) {
                return Err(unsupported(name, value));
            }
        }
        let hidden_act = match field("hidden_act") {
            None => Activation::Gelu,
            Some(value) => match value.as_str() {
                Some("gelu" | "gelu_python") => Activation::Gelu,
                Some("gelu_new" | "gelu_pytorch_tanh") => Activation::GeluTanh,
                // Not "relu": candle's makes zeros of NaNs, and so a broken network look sound.
                _ => return Err(unsupported("hidden_act", value)),
            },
        };
        let size = |name: &str, default: Option<u64>, most: u64| {
            let value = match (field(name), default) {
                (Some(value), _) => value.as_u64(),
                (None, default) => default,
            };
            value
                .filter(|value| (1..=most).contains(value))
                .ok_or_else(|| {
                    EvalError::ConfigJson(format!("needs a whole `{name}` of 1 to {most}"))
                })
        };
        let config = Self {
            vocab_size: size("vocab_size", None, 10_000_000)?,
            hidden_size: size("hidden_size", None, 65_536)?,
            num_hidden_layers: size("num_hidden_layers", None, 1_000)?,
            num_attention_heads: size("num_attention_heads", None, 65_536)?,
            intermediate_size: size("intermediate_size", None, 1_000_000)?,
            max_position_embeddings: size("max_position_embeddings", None, 1_000_000)?,
            type_vocab_size: size("type_vocab_size", Some(2), 65_536)?,
            layer_norm_eps: match field("layer_norm_eps") {
                None => 1e-12,
                Some(value) => value
                    .as_f64()
                    .filter(|eps| (0.0..1.0).contains(eps))
                    .ok_or_else(|| {
                        EvalError::ConfigJson("needs a `layer_norm_eps` of 0 to 1".into())
                    })?,
            },
            hidden_act,
        };
        match config.hidden_size % config.num_attention_heads {
            0 => Ok(config),
            _ => Err(EvalError::ConfigJson(format!(
                "splits a `hidden_size` of {} among {} heads",
                config.hidden_size, config.num_attention_heads
            ))),
        }
    }

    pub(crate) fn expected(&self) -> Vec<Expected> {
        let hidden = self.hidden_size;
        let wide = self.intermediate_size;
        let mut all = Vec::new();
        let mut add = |name: String, shape: &[u64]| {
            all.push(Expected::needed(name, Some(shape.to_vec())));
        };
        for (name, rows) in [
            ("word", self.vocab_size),
            ("position", self.max_position_embeddings),
            ("token_type", self.type_vocab_size),
        ] {
            add(
                format!("embeddings.{name}_embeddings.weight"),
                &[rows, hidden],
            );
        }
        let pair = |add: &mut dyn FnMut(String, &[u64]), prefix: String, shape: &[u64]| {
            add(format!("{prefix}.weight"), shape);
            add(format!("{prefix}.bias"), &shape[..1]);
        };
        pair(&mut add, "embeddings.LayerNorm".into(), &[hidden]);
        for layer in 0..self.num_hidden_layers {
            let at = |part: &str| format!("encoder.layer.{layer}.{part}");
            for part in ["self.query", "self.key", "self.value", "output.dense"] {
                pair(
                    &mut add,
                    at(&format!("attention.{part}")),
                    &[hidden, hidden],
                );
            }
            pair(&mut add, at("attention.output.LayerNorm"), &[hidden]);
            pair(&mut add, at("intermediate.dense"), &[wide, hidden]);
            pair(&mut add, at("output.dense"), &[hidden, wide]);
            pair(&mut add, at("output.LayerNorm"), &[hidden]);
        }
        all
    }
}

/// How a file spells BERT's tensor names: with or without `bert.` in front, and with the `gamma` and `beta` of
/// old layer norms. Models with a head on top, and those converted from TensorFlow, have the other spellings.
pub(crate) fn naming(weights: &dyn Tensors) -> impl Fn(&str) -> String {
    const FIRST: &str = "embeddings.word_embeddings.weight";
    let prefixed =
        weights.info(FIRST).is_none() && weights.info(&format!("bert.{FIRST}")).is_some();
    let prefix = if prefixed { "bert." } else { "" };
    let old = weights
        .info(&format!("{prefix}embeddings.LayerNorm.gamma"))
        .is_some();
    move |name| match name.rsplit_once(".LayerNorm.") {
        Some((place, "weight")) if old => format!("{prefix}{place}.LayerNorm.gamma"),
        Some((place, "bias")) if old => format!("{prefix}{place}.LayerNorm.beta"),
        _ => format!("{prefix}{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::architecture::Architecture;
    use crate::eval::tensors::memory::Memory;

    const MINILM: &str = r#"{"model_type":"bert","vocab_size":30522,"hidden_size":384,"num_hidden_layers":6,
        "num_attention_heads":12,"intermediate_size":1536,"max_position_embeddings":512,"hidden_act":"gelu"}"#;

    fn refused(json: &str) -> String {
        BertConfig::parse(json.as_bytes())
            .expect_err(json)
            .to_string()
    }

    #[test]
    fn sizes_give_names_and_shapes() {
        let config = BertConfig::parse(MINILM.as_bytes()).expect("good");
        let expected = config.expected();
        assert_eq!(expected.len(), 5 + 6 * 16);
        let find = |name: &str| {
            expected
                .iter()
                .find(|e| e.name == name)
                .and_then(|e| e.shape.clone())
        };
        assert_eq!(
            find("encoder.layer.5.output.dense.weight"),
            Some(vec![384, 1536])
        );
        assert_eq!(
            find("encoder.layer.0.intermediate.dense.bias"),
            Some(vec![1536])
        );
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (field, said) in [
            (
                "\"position_embedding_type\":\"relative_key\"",
                "relative_key",
            ),
            ("\"is_decoder\":true", "is_decoder"),
            ("\"hidden_act\":\"silu\"", "silu"),
            ("\"hidden_act\":\"relu\"", "relu"),
            ("\"model_type\":\"gpt2\"", "gpt2"),
            ("\"num_attention_heads\":7", "among 7 heads"),
            ("\"hidden_size\":-1", "`hidden_size`"),
            ("\"num_hidden_layers\":1e9", "`num_hidden_layers`"),
            (
                "\"quantization_config\":{\"bits\":4}",
                "quantization_config",
            ),
        ] {
            // Of two equal keys the last one counts.
            let json = MINILM.replace("\"hidden_act\":\"gelu\"", field);
            assert!(refused(&json).contains(said), "{field}: {}", refused(&json));
        }
        assert!(refused("[]").contains("no JSON object"));
        assert!(refused("{").contains("no JSON"));
        assert!(refused("{}").contains("model_type"));
    }

    #[test]
    fn other_spellings_of_names_are_found() {
        let weights = Memory::default()
            .with("bert.embeddings.word_embeddings.weight", &[1], &[0.0])
            .with("bert.embeddings.LayerNorm.gamma", &[1], &[0.0]);
        let name = naming(&weights);
        assert_eq!(name("a.LayerNorm.weight"), "bert.a.LayerNorm.gamma");
        assert_eq!(name("a.dense.weight"), "bert.a.dense.weight");
        assert_eq!(
            naming(&Memory::default())("a.LayerNorm.weight"),
            "a.LayerNorm.weight"
        );
    }

    #[test]
    fn each_byte_and_choice_is_part_of_the_id() {
        let id = |change: &dyn Fn(&mut Model), json: &str| {
            let mut model = Model::default();
            change(&mut model);
            Architecture::from(&model, Some(json.as_bytes()))
                .expect("good")
                .id()
        };
        let plain = id(&|_| {}, MINILM);
        assert_eq!(plain, id(&|_| {}, MINILM));
        assert_ne!(plain, id(&|_| {}, &MINILM.replace("512", "513")));
        assert_ne!(plain, id(&|model| model.pooling = Pooling::Cls, MINILM));
        assert_ne!(plain, id(&|model| model.normalize = true, MINILM));
    }
}
