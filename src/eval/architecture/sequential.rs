//! Networks of one layer after the other.

use super::{EvalError, Expected, Result};
use crate::base::config::{Layer, Norm, Prefix};
use crate::base::text::printable;
use crate::eval::tensors::{Tensors, show};

/// The longest chain that is run.
const LAYERS: usize = 10_000;

/// The largest window, step, padding or dilation.
const EXTENT: usize = 1 << 16;

/// A layer's place in the network for people, counted from 1: "layer 3 (conv2d `conv2`)".
pub(crate) fn label(index: usize, layer: &Layer) -> String {
    let (kind, prefix) = match layer {
        Layer::Conv2d(conv) => ("conv2d", conv.prefix.as_str()),
        Layer::Linear(Prefix { prefix }) => ("linear", prefix.as_str()),
        Layer::Embedding(Prefix { prefix }) => ("embedding", prefix.as_str()),
        Layer::LayerNorm(Norm { prefix, .. }) => ("layer_norm", prefix.as_str()),
        Layer::BatchNorm(Norm { prefix, .. }) => ("batch_norm", prefix.as_str()),
        Layer::Relu => ("relu", ""),
        Layer::Gelu(_) => ("gelu", ""),
        Layer::Tanh => ("tanh", ""),
        Layer::Sigmoid => ("sigmoid", ""),
        Layer::Softmax(_) => ("softmax", ""),
        Layer::MaxPool2d(_) => ("max_pool2d", ""),
        Layer::AvgPool2d(_) => ("avg_pool2d", ""),
        Layer::Flatten(_) => ("flatten", ""),
        Layer::Dropout => ("dropout", ""),
    };
    match prefix {
        "" => format!("layer {} ({kind})", index + 1),
        prefix => format!("layer {} ({kind} `{}`)", index + 1, printable(prefix)),
    }
}

/// The tensors of one layer.
pub(super) fn expected(layer: &Layer) -> Vec<Expected> {
    let needed = |prefix: &str, end: &str| Expected::needed(format!("{prefix}.{end}"), None);
    let optional = |prefix: &str, end: &str| Expected::optional(format!("{prefix}.{end}"));
    match layer {
        Layer::Conv2d(conv) => vec![
            needed(&conv.prefix, "weight"),
            optional(&conv.prefix, "bias"),
        ],
        Layer::Linear(Prefix { prefix }) | Layer::LayerNorm(Norm { prefix, .. }) => {
            vec![needed(prefix, "weight"), optional(prefix, "bias")]
        }
        Layer::Embedding(Prefix { prefix }) => vec![needed(prefix, "weight")],
        Layer::BatchNorm(Norm { prefix, .. }) => vec![
            needed(prefix, "running_mean"),
            needed(prefix, "running_var"),
            optional(prefix, "weight"),
            optional(prefix, "bias"),
        ],
        Layer::Relu
        | Layer::Gelu(_)
        | Layer::Tanh
        | Layer::Sigmoid
        | Layer::Softmax(_)
        | Layer::MaxPool2d(_)
        | Layer::AvgPool2d(_)
        | Layer::Flatten(_)
        | Layer::Dropout => Vec::new(),
    }
}

/// True if the first layer that computes anything is an embedding.
pub(super) fn takes_ids(layers: &[Layer]) -> bool {
    let first = layers
        .iter()
        .find(|layer| !matches!(layer, Layer::Dropout | Layer::Flatten(_)));
    matches!(first, Some(Layer::Embedding(_)))
}

/// Checks what can be checked without weights.
pub(super) fn check_layers(layers: &[Layer]) -> Result<()> {
    if layers.is_empty() || layers.len() > LAYERS {
        return Err(EvalError::Contradiction {
            place: "`layers`".into(),
            problem: format!("a network has 1 to {LAYERS} of them, not {}", layers.len()),
        });
    }
    let mut computed = false;
    for (index, layer) in layers.iter().enumerate() {
        let refuse = |problem: String| {
            Err(EvalError::Contradiction {
                place: label(index, layer),
                problem,
            })
        };
        let bounded = |name: &str, value: usize, least: usize| match value {
            value if (least..=EXTENT).contains(&value) => None,
            value => Some(format!("`{name}` is {least} to {EXTENT}, not {value}")),
        };
        let problem = match layer {
            Layer::Conv2d(conv) => bounded("stride", conv.stride, 1)
                .or_else(|| bounded("padding", conv.padding, 0))
                .or_else(|| bounded("dilation", conv.dilation, 1))
                .or_else(|| bounded("groups", conv.groups, 1)),
            Layer::MaxPool2d(pool) | Layer::AvgPool2d(pool) => bounded("size", pool.size, 1)
                .or_else(|| bounded("stride", pool.stride.unwrap_or(pool.size), 1)),
            Layer::LayerNorm(norm) | Layer::BatchNorm(norm)
                if !(norm.eps.is_finite() && norm.eps >= 0.0) =>
            {
                Some(format!("`eps` is a number of 0 or more, not {}", norm.eps))
            }
            Layer::Softmax(softmax) if softmax.dim == 0 => {
                Some("over dimension 0 it would mix the rows of a batch".into())
            }
            Layer::Flatten(flatten) if flatten.from == 0 => {
                Some("from dimension 0 it would mix the rows of a batch".into())
            }
            Layer::Embedding(_) if computed => {
                Some("an embedding takes ids, so nothing is computed before it".into())
            }
            _ => None,
        };
        if let Some(problem) = problem {
            return refuse(problem);
        }
        computed |= !matches!(layer, Layer::Dropout | Layer::Flatten(_));
    }
    Ok(())
}

/// What is known of the numbers between two layers without having seen any input.
#[derive(Clone, Copy)]
enum Between {
    Unknown,
    /// Dimension 1 has this many channels.
    Channels(u64),
    /// The last dimension has this length.
    Last(u64),
    /// The last dimension's length is a multiple of this.
    Multiple(u64),
}

/// Checks the ranks of the weights, and that each layer can follow the one before it.
///
/// All needed tensors are there. The rest shows itself when the input's shape is known.
pub(super) fn check_chain(layers: &[Layer], weights: &dyn Tensors) -> Result<()> {
    let mut between = Between::Unknown;
    for (index, layer) in layers.iter().enumerate() {
        let read = Reader {
            weights,
            place: label(index, layer),
        };
        between = match layer {
            Layer::Conv2d(conv) => {
                let shape = read.ranked(&conv.prefix, "weight", 4)?;
                let groups = conv.groups as u64;
                if shape[0] % groups != 0 {
                    return Err(read.wrong(
                        &conv.prefix,
                        &shape,
                        format!("its first side is no multiple of {groups} groups"),
                    ));
                }
                let into = shape[1].checked_mul(groups);
                if let Between::Channels(channels) = between
                    && into != Some(channels)
                {
                    return Err(read.wrong(
                        &conv.prefix,
                        &shape,
                        format!("{channels} channels come in"),
                    ));
                }
                read.sized(&conv.prefix, "bias", &shape[..1])?;
                Between::Channels(shape[0])
            }
            Layer::Linear(Prefix { prefix }) => {
                let shape = read.ranked(prefix, "weight", 2)?;
                match between {
                    Between::Last(last) if last != shape[1] => {
                        return Err(read.wrong(prefix, &shape, format!("{last} features come in")));
                    }
                    Between::Multiple(of) if of == 0 || shape[1] % of != 0 => {
                        return Err(read.wrong(
                            prefix,
                            &shape,
                            format!("a multiple of {of} features comes in"),
                        ));
                    }
                    _ => {}
                }
                read.sized(prefix, "bias", &shape[..1])?;
                Between::Last(shape[0])
            }
            Layer::Embedding(Prefix { prefix }) => {
                Between::Last(read.ranked(prefix, "weight", 2)?[1])
            }
            Layer::LayerNorm(Norm { prefix, .. }) => {
                let shape = read.shape(prefix, "weight").unwrap_or_default();
                let Some(own) = shape.last().copied().filter(|_| !shape.contains(&0)) else {
                    return Err(read.wrong(
                        prefix,
                        &shape,
                        "a layer norm needs a side at least".into(),
                    ));
                };
                read.sized(prefix, "bias", &shape)?;
                match between {
                    Between::Last(last) if last != own => {
                        return Err(read.wrong(prefix, &shape, format!("{last} features come in")));
                    }
                    Between::Channels(_) => between,
                    _ => Between::Last(own),
                }
            }
            Layer::BatchNorm(Norm { prefix, .. }) => {
                let shape = read.ranked(prefix, "running_mean", 1)?;
                for end in ["running_var", "weight", "bias"] {
                    read.sized(prefix, end, &shape)?;
                }
                if let Between::Channels(channels) = between
                    && channels != shape[0]
                {
                    return Err(read.wrong(prefix, &shape, format!("{channels} channels come in")));
                }
                between
            }
            Layer::Flatten(flatten) => match between {
                Between::Channels(of) | Between::Last(of) | Between::Multiple(of)
                    if flatten.from == 1 =>
                {
                    Between::Multiple(of)
                }
                _ => Between::Unknown,
            },
            Layer::Relu
            | Layer::Gelu(_)
            | Layer::Tanh
            | Layer::Sigmoid
            | Layer::Softmax(_)
            | Layer::Dropout => between,
            Layer::MaxPool2d(_) | Layer::AvgPool2d(_) => match between {
                Between::Channels(_) => between,
                _ => Between::Unknown,
            },
        };
    }
    Ok(())
}

/// Reads shapes of one layer's tensors.
struct Reader<'a> {
    weights: &'a dyn Tensors,
    place: String,
}

impl Reader<'_> {
    fn shape(&self, prefix: &str, end: &str) -> Option<Vec<u64>> {
        Some(self.weights.info(&format!("{prefix}.{end}"))?.1)
    }

    /// The shape of a needed tensor, which has `rank` sides, none of them 0.
    fn ranked(&self, prefix: &str, end: &str, rank: usize) -> Result<Vec<u64>> {
        let shape = self.shape(prefix, end).unwrap_or_default();
        match shape.len() == rank && shape.iter().all(|side| *side > 0) {
            true => Ok(shape),
            false => Err(EvalError::Shape {
                tensor: format!("{prefix}.{end}"),
                found: show(&shape),
                wanted: format!("{} needs {rank} sides of 1 or more", self.place),
            }),
        }
    }

    /// Refuses a tensor that is there and has another shape.
    fn sized(&self, prefix: &str, end: &str, wanted: &[u64]) -> Result<()> {
        match self.shape(prefix, end) {
            Some(shape) if shape != wanted => Err(EvalError::Shape {
                tensor: format!("{prefix}.{end}"),
                found: show(&shape),
                wanted: format!("{} needs {}", self.place, show(wanted)),
            }),
            _ => Ok(()),
        }
    }

    fn wrong(&self, prefix: &str, shape: &[u64], why: String) -> EvalError {
        EvalError::Layer {
            layer: self.place.clone(),
            problem: format!("`{}` is {}, and {why}", printable(prefix), show(shape)),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::base::config::{Config, Model};
    use crate::eval::architecture::Architecture;
    use crate::eval::tensors::memory::Memory;

    pub(crate) fn model(layers: &str) -> Model {
        let text = format!("[model.m]\nweights = 'w'\nlayers = [{layers}]");
        let mut config = Config::parse(text.as_bytes()).expect("a good mvc.toml");
        config.model.remove("m").expect("a model")
    }

    fn architecture(layers: &str) -> Architecture {
        Architecture::from(&model(layers), None).expect("good layers")
    }

    fn refused(layers: &str) -> String {
        Architecture::from(&model(layers), None)
            .expect_err(layers)
            .to_string()
    }

    const CNN: &str = "{conv2d='c',padding=1},'relu',{max_pool2d=2},'flatten',{linear='f'}";

    fn cnn(channels: u64, features: u64) -> Memory {
        Memory::default()
            .with("c.weight", &[4, 3, 3, 3], &[0.0; 108])
            .with("c.bias", &[channels], &vec![0.0; channels as usize])
            .with(
                "f.weight",
                &[2, features],
                &vec![0.0; 2 * features as usize],
            )
    }

    #[test]
    fn tensors_are_used_or_extra_or_refused() {
        let network = architecture(CNN);
        let fit = network
            .check(&cnn(4, 16).with("old.weight", &[1], &[0.0]), None)
            .expect("fits");
        assert_eq!(fit.used, ["c.bias", "c.weight", "f.weight"]);
        assert_eq!(fit.extra, ["old.weight"]);

        let say = |weights: Memory| network.check(&weights, None).expect_err("bad").to_string();
        assert_eq!(
            say(cnn(5, 16)),
            "the tensor `c.bias` has shape [5], and layer 1 (conv2d `c`) needs [4]"
        );
        assert_eq!(
            say(cnn(4, 15)),
            "layer 5 (linear `f`): `f` is [2, 15], and a multiple of 4 features comes in"
        );
        let two = architecture("{conv2d='c'},{conv2d='d'}");
        let weights = cnn(4, 16).with("d.weight", &[1, 3, 1, 1], &[0.0; 3]);
        let message = two.check(&weights, None).expect_err("bad").to_string();
        assert!(
            message.ends_with("`d` is [1, 3, 1, 1], and 4 channels come in"),
            "{message}"
        );
        let mut without = cnn(4, 16);
        without.0.remove("f.weight");
        assert_eq!(say(without), "the weights lack `f.weight`");
        assert!(say(cnn(4, 16).with_ids("c.bias", &[4], &[0; 4])).contains("dtype I64"));
    }

    #[test]
    fn layers_that_cannot_be_are_refused() {
        assert!(refused("").contains("1 to 10000"));
        assert!(refused("{conv2d='c',stride=0}").contains("`stride` is 1"));
        assert!(refused("{max_pool2d=0}").contains("`size` is 1"));
        assert!(refused("{flatten=0}").contains("rows of a batch"));
        assert!(refused("'relu',{embedding='e'}").contains("takes ids"));
        assert!(refused("{layer_norm='n',eps=-1.0}").contains("`eps`"));
    }

    #[test]
    fn any_change_of_a_layer_is_another_architecture() {
        let id = architecture(CNN).id();
        assert_eq!(id, architecture(&CNN.replace("'relu'", "\"relu\"")).id());
        for (from, to) in [
            ("padding=1", "padding=2"),
            ("relu", "tanh"),
            ("'f'", "'g'"),
            ("=2", "=3"),
        ] {
            assert_ne!(
                id,
                architecture(&CNN.replace(from, to)).id(),
                "{from} -> {to}"
            );
        }
    }
}
