//! The layers of a sequential network, as `mvc.toml` spells them.

use serde::{Deserialize, Serialize};

/// One layer. Parameters have PyTorch's names, meanings and defaults (<https://pytorch.org/docs/stable/nn.html>);
/// a layer with weights names the prefix of its tensors, `conv1` for `conv1.weight` and `conv1.bias`.
///
/// In `mvc.toml` a layer without parameters is its bare name, `"relu"`; any other is a table whose key is the
/// layer and whose value its one main parameter: `{ conv2d = "conv1", padding = 1 }`, `{ max_pool2d = 2 }`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "layer", rename_all = "snake_case")]
pub enum Layer {
    /// Input `[n, in, h, w]`, weight `[out, in / groups, k, k]`, bias `[out]` where there is one.
    Conv2d(Conv2d),
    /// Input `[.., in]`, weight `[out, in]`, bias `[out]` where there is one.
    Linear(Prefix),
    /// Integer input of any shape, weight `[count, width]`.
    Embedding(Prefix),
    /// Normalises the last dimensions, as many as the weight has.
    LayerNorm(Norm),
    /// Input `[n, c, ..]`, with the running mean and variance that training left.
    BatchNorm(Norm),
    /// `max(x, 0)`.
    Relu,
    /// `x * Phi(x)`, exact by default.
    Gelu(Gelu),
    /// Hyperbolic tangent.
    Tanh,
    /// Logistic function.
    Sigmoid,
    /// Softmax over one dimension, the last by default.
    Softmax(Dim),
    /// Largest value of each window.
    MaxPool2d(Pool),
    /// Mean of each window.
    AvgPool2d(Pool),
    /// Joins dimensions, from the second on by default.
    Flatten(Flatten),
    /// Identity: evaluation drops nothing.
    Dropout,
}

/// A layer of weights and no other parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prefix {
    /// What its tensors' names begin with.
    pub prefix: String,
}

/// Parameters of a two-dimensional convolution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2d {
    /// What its tensors' names begin with.
    pub prefix: String,
    /// Step of the window.
    #[serde(default = "one")]
    pub stride: usize,
    /// Zeros added on every side.
    #[serde(default)]
    pub padding: usize,
    /// Step inside the window.
    #[serde(default = "one")]
    pub dilation: usize,
    /// Independent groups of channels.
    #[serde(default = "one")]
    pub groups: usize,
}

/// Parameters of a normalisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Norm {
    /// What its tensors' names begin with.
    pub prefix: String,
    /// Added to the variance.
    #[serde(default = "small")]
    pub eps: f64,
}

/// Parameters of GELU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gelu {
    /// PyTorch's `approximate="tanh"`.
    #[serde(default)]
    pub tanh: bool,
}

/// A dimension; negative counts from the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dim {
    /// The dimension.
    #[serde(default = "last")]
    pub dim: i64,
}

/// Parameters of a pooling window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Side of the square window.
    pub size: usize,
    /// Step of the window, its side where it is not named.
    pub stride: Option<usize>,
}

/// Which dimensions are joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flatten {
    /// The first of them.
    #[serde(default = "one")]
    pub from: usize,
}

fn one() -> usize {
    1
}

fn small() -> f64 {
    1e-5
}

fn last() -> i64 {
    -1
}

/// Each layer's name, and the field that the name's own value stands for.
const NAMES: [(&str, &str); 14] = [
    ("conv2d", "prefix"),
    ("linear", "prefix"),
    ("embedding", "prefix"),
    ("layer_norm", "prefix"),
    ("batch_norm", "prefix"),
    ("relu", ""),
    ("gelu", ""),
    ("tanh", ""),
    ("sigmoid", ""),
    ("softmax", "dim"),
    ("max_pool2d", "size"),
    ("avg_pool2d", "size"),
    ("flatten", "from"),
    ("dropout", "p"),
];

impl<'de> Deserialize<'de> for Layer {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(name) => Self::build(&name, toml::Table::new()),
            toml::Value::Table(table) => Self::from_table(table),
            other => Err(format!(
                "a layer is a name or a table, not {}",
                other.type_str()
            )),
        }
        .map_err(D::Error::custom)
    }
}

impl Layer {
    fn from_table(mut table: toml::Table) -> Result<Self, String> {
        let mut kinds = NAMES.iter().filter(|(name, _)| table.contains_key(*name));
        let (Some((name, main)), None) = (kinds.next(), kinds.next()) else {
            let keys: Vec<_> = table.keys().map(String::as_str).collect();
            return Err(format!(
                "exactly one key of a layer names its kind, here: {}",
                keys.join(", ")
            ));
        };
        let parameters = match (*main, table.remove(*name)) {
            (_, None) => toml::Table::new(),
            ("", Some(toml::Value::Table(parameters))) => parameters,
            ("", Some(_)) => return Err(format!("`{name}` takes no value: write \"{name}\"")),
            (field, Some(value)) => toml::Table::from_iter([(field.to_owned(), value)]),
        };
        for (key, value) in parameters {
            if table.contains_key(&key) {
                return Err(format!("layer `{name}` has two values of `{key}`"));
            }
            table.insert(key, value);
        }
        Self::build(name, table)
    }

    fn build(name: &str, table: toml::Table) -> Result<Self, String> {
        fn read<T: for<'a> Deserialize<'a>>(name: &str, table: toml::Table) -> Result<T, String> {
            table
                .try_into()
                .map_err(|e: toml::de::Error| format!("layer `{name}`: {}", e.message()))
        }
        let plain = |layer: Self, allowed: &[&str]| match table
            .keys()
            .find(|key| !allowed.contains(&key.as_str()))
        {
            None => Ok(layer),
            Some(key) => Err(format!("layer `{name}` has no parameter `{key}`")),
        };
        Ok(match name {
            "conv2d" => Self::Conv2d(read(name, table)?),
            "linear" => Self::Linear(read(name, table)?),
            "embedding" => Self::Embedding(read(name, table)?),
            "layer_norm" => Self::LayerNorm(read(name, table)?),
            "batch_norm" => Self::BatchNorm(read(name, table)?),
            "gelu" => Self::Gelu(read(name, table)?),
            "softmax" => Self::Softmax(read(name, table)?),
            "max_pool2d" => Self::MaxPool2d(read(name, table)?),
            "avg_pool2d" => Self::AvgPool2d(read(name, table)?),
            "flatten" => Self::Flatten(read(name, table)?),
            "relu" => plain(Self::Relu, &[])?,
            "tanh" => plain(Self::Tanh, &[])?,
            "sigmoid" => plain(Self::Sigmoid, &[])?,
            "dropout" => plain(Self::Dropout, &["p"])?,
            _ => {
                let known: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
                return Err(format!(
                    "no layer is called `{name}`; there are {}",
                    known.join(", ")
                ));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Network {
        layers: Vec<Layer>,
    }

    fn read(layers: &str) -> Result<Vec<Layer>, String> {
        let text = format!("layers = [{layers}]");
        toml::from_str::<Network>(&text)
            .map(|network| network.layers)
            .map_err(|e| e.message().to_owned())
    }

    #[test]
    fn layers_are_names_or_tables() {
        let layers = read(
            r#"{ conv2d = "c", padding = 1 }, "relu", { max_pool2d = 2 }, { dropout = 0.5 }, "gelu", "softmax""#,
        );
        let conv = Conv2d {
            prefix: "c".into(),
            stride: 1,
            padding: 1,
            dilation: 1,
            groups: 1,
        };
        assert_eq!(
            layers.expect("good"),
            [
                Layer::Conv2d(conv),
                Layer::Relu,
                Layer::MaxPool2d(Pool {
                    size: 2,
                    stride: None
                }),
                Layer::Dropout,
                Layer::Gelu(Gelu { tanh: false }),
                Layer::Softmax(Dim { dim: -1 }),
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(
            read(r#""rleu""#)
                .expect_err("bad")
                .contains("no layer is called `rleu`")
        );
        assert!(
            read(r#"{ conv2d = "c", pading = 1 }"#)
                .expect_err("bad")
                .contains("pading")
        );
        assert!(
            read(r#"{ conv2d = "c", linear = "l" }"#)
                .expect_err("bad")
                .contains("exactly one key")
        );
        assert!(read(r#""linear""#).expect_err("bad").contains("prefix"));
        for twice in [
            r#"{ linear = "fc1", prefix = "x" }"#,
            r#"{ softmax = 1, dim = 2 }"#,
        ] {
            let said = read(twice).expect_err(twice);
            assert!(said.contains("two values of"), "{said}");
        }
        assert!(read("3").expect_err("bad").contains("integer"));
    }
}
