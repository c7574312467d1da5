//! The evaluator: runs a model on a suite's data, and compares with what a commit claims.
//!
//! Terms:
//!
//! - **architecture**: how tensors are put together ([`Architecture`]).
//! - **suite**: data, a task, and bounds ([`crate::base::config::Suite`], checked in [`suite`]).
//! - **claim**: metrics that were recorded for certain weights, architecture, tokenizer, suite and data ([`claim`]).
//! - **outcome**: pass, fail, or cannot compare, which is never a pass ([`claim::Outcome`]).
//!
//! This layer opens no files: it reads through [`Tensors`], which the caller implements over a work tree or the
//! store, having checked the bytes. It runs in a process of its own, which limits itself by [`limits`].
//! Everything but running a network is there without the feature `eval`, too.

mod answer;
pub mod architecture;
pub mod claim;
#[cfg(not(feature = "eval"))]
mod disabled;
pub mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
pub mod limits;
#[cfg(feature = "eval")]
mod measure;
pub mod metrics;
#[cfg(feature = "eval")]
mod network;
#[cfg(feature = "eval")]
mod numbers;
pub mod safetensors;
#[cfg(feature = "eval")]
mod score;
pub mod suite;
mod tensors;
pub mod train;

pub use architecture::Architecture;
#[cfg(not(feature = "eval"))]
pub use disabled::measure;
pub use error::{EvalError, ReadError, Result};
#[cfg(feature = "eval")]
pub use measure::measure;
pub use metrics::Measured;
pub use tensors::Tensors;

/// True if this mvc can measure and train.
pub const ENABLED: bool = cfg!(feature = "eval");

#[cfg(test)]
mod tests {
    use crate::base::config::Config;

    #[test]
    fn the_examples_of_the_docs_are_read() {
        let page = include_str!("../../docs/eval.md");
        let blocks = page.split("```toml\n").skip(1);
        let blocks = blocks.filter_map(|block| block.split("```").next());
        let text: String = blocks.filter(|block| block.starts_with('[')).collect();
        let config = Config::parse(text.as_bytes()).expect(&text);
        assert_eq!((config.model.len(), config.eval.len()), (2, 1));
        super::suite::check(&config.eval["digits"]).expect("good");
        let json = br#"{"model_type":"bert","vocab_size":9,"hidden_size":2,"num_hidden_layers":1,"num_attention_heads":1,
            "intermediate_size":4,"max_position_embeddings":8}"#;
        let [cnn, topics] = ["cnn", "topics"]
            .map(|name| super::Architecture::from(&config.model[name], Some(json)).expect(name));
        // What an id hashes is on the page to the byte, for a reader in another language.
        let suite = &config.eval["digits"];
        let hash = crate::base::ObjectId::of(json).to_string();
        for text in [
            cnn.canonical(),
            cnn.id().to_string(),
            topics.canonical().replace(&hash, "<64 hex digits>"),
            super::suite::canonical(suite),
            super::suite::id(suite).to_string(),
        ] {
            assert!(
                page.contains(&format!("{text}\n")),
                "not in docs/eval.md: {text}"
            );
        }
    }

    #[test]
    fn numbers_are_written_in_ids_as_the_docs_say() {
        let layers =
            r#"{ layer_norm = "n", eps = EPS }, { max_pool2d = 2 }, { gelu = { tanh = true } }"#;
        for (eps, written) in [
            ("0.0", "0.0"),
            ("1e-5", "0.00001"),
            ("9.9e-6", "9.9e-6"),
            ("1e-12", "1e-12"),
            ("1.0", "1.0"),
            ("1e15", "1000000000000000.0"),
            ("1e16", "1e+16"),
        ] {
            let layers = layers.replace("EPS", eps);
            let text = format!("[model.m]\nweights = 'w'\nlayers = [{layers}]");
            let config = Config::parse(text.as_bytes()).expect(&text);
            let architecture = super::Architecture::from(&config.model["m"], None).expect(eps);
            let wanted = format!(
                r#"{{"kind":"sequential","layers":[{{"layer":"layer_norm","prefix":"n","eps":{written}}},{{"layer":"max_pool2d","size":2,"stride":null}},{{"layer":"gelu","tanh":true}}]}}"#
            );
            assert_eq!(architecture.canonical(), wanted);
        }
    }
}
