//! `mvc.toml`: what a repository says about its models, suites, metrics and hooks.
//!
//! The file comes with a clone, so nothing in it names a command, a secret, or a path outside the repository;
//! reading it checks that. Its layout is documented in `docs/guide.md`.

mod layer;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use layer::{Conv2d, Dim, Flatten, Gelu, Layer, Norm, Pool, Prefix};

use super::kind::{Failure, Kind};
use super::path::{PathError, RepoPath};
use super::patterns::{FilePatterns, PatternError};
use super::text::{conflict_marker, printable};

/// The file's name, at the top of the work tree.
pub const FILE: &str = "mvc.toml";

/// The longest `mvc.toml` that is read.
pub const LIMIT: u64 = 4 << 20;

/// The layout version that this mvc reads and writes, `mvc = 1` in the file.
pub const VERSION: u64 = 1;

/// `mvc.toml` cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is no TOML, or has keys or values that mean nothing here.
    #[error("mvc.toml cannot be read: {}", printable(.0.message()))]
    Toml(#[from] Box<toml::de::Error>),
    /// It is no UTF-8 text.
    #[error("mvc.toml is not UTF-8 text")]
    Encoding,
    /// A merge left its marks in it.
    #[error("mvc.toml has conflict markers, the first in line {line}")]
    Conflict {
        /// The line, counted from 1.
        line: usize,
    },
    /// A newer mvc wrote it.
    #[error("mvc.toml has layout {0}, and this mvc reads layout {VERSION}")]
    Newer(u64),
    /// A path in it leads out of the repository.
    #[error("mvc.toml, {place}")]
    Path {
        /// Where in the file.
        place: String,
        /// What is wrong with the path.
        source: PathError,
    },
    /// A pattern in it cannot be read.
    #[error("mvc.toml, track")]
    Pattern(#[from] PatternError),
    /// Values that contradict each other.
    #[error("mvc.toml, {place}: {problem}")]
    Contradiction {
        /// Where in the file.
        place: String,
        /// What is wrong.
        problem: String,
    },
}

impl Failure for ConfigError {
    fn kind(&self) -> Kind {
        match self {
            Self::Newer(_) => Kind::Unsupported,
            Self::Conflict { .. } => Kind::Conflict,
            Self::Toml(_)
            | Self::Encoding
            | Self::Path { .. }
            | Self::Pattern(_)
            | Self::Contradiction { .. } => Kind::Config,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Newer(_) => Some("install a newer mvc".into()),
            Self::Toml(e) => e
                .span()
                .map(|span| format!("see byte {} of mvc.toml", span.start)),
            Self::Conflict { .. } => Some(
                "settle it, then `git add mvc.toml`; `git checkout --ours mvc.toml` takes one side"
                    .into(),
            ),
            Self::Encoding | Self::Path { .. } | Self::Pattern(_) | Self::Contradiction { .. } => {
                None
            }
        }
    }
}

/// The whole of `mvc.toml`; an absent file is the default.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The layout version.
    #[serde(default)]
    pub mvc: Option<u64>,
    /// Which files hold weights, as gitignore patterns from the top of the work tree.
    #[serde(default)]
    pub track: Vec<String>,
    /// The models, by name.
    #[serde(default)]
    pub model: BTreeMap<String, Model>,
    /// The evaluation suites, by name.
    #[serde(default)]
    pub eval: BTreeMap<String, Suite>,
    /// Where metrics lie, by name; without any, `metrics.json` is looked at.
    #[serde(default)]
    pub metrics: BTreeMap<String, Metrics>,
    /// What the hooks do.
    #[serde(default)]
    pub hooks: Hooks,
    /// Where objects are shared, by name.
    #[serde(default)]
    pub remote: BTreeMap<String, Remote>,
}

/// One model: its weights and how they are put together.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Model {
    /// Its weights file, or the index file of its shards; relative to the top of the work tree.
    pub weights: Option<String>,
    /// The folder of a Hugging Face model: `config.json`, tokenizer and weights lie in it.
    pub path: Option<String>,
    /// Files that belong to it and are committed with it, as gitignore patterns inside its folder.
    #[serde(default)]
    pub with: Vec<String>,
    /// A sequential network, layer by layer. Without it `config.json` decides the architecture.
    pub layers: Option<Vec<Layer>>,
    /// The Hugging Face configuration, where it is not `config.json` beside the weights.
    pub config: Option<String>,
    /// How token vectors become one vector per text.
    #[serde(default)]
    pub pooling: Pooling,
    /// Whether that vector is scaled to length 1.
    #[serde(default)]
    pub normalize: bool,
    /// A linear layer on top, from a weights file of its own.
    pub head: Option<Head>,
    /// A revision this model descends from: lineage, and a delta base.
    pub base: Option<String>,
}

/// How a transformer's token vectors become one vector per text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// The mean over the tokens that the attention mask keeps.
    #[default]
    Mean,
    /// The first token's vector.
    Cls,
}

/// A linear layer on top of a model: `logits = vector * weight^T + bias`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Head {
    /// The weights file it lies in.
    pub weights: String,
    /// The tensor of shape `[out, in]`.
    #[serde(default = "Head::default_weight")]
    pub weight: String,
    /// The tensor of shape `[out]`; without one there is no bias.
    #[serde(default = "Head::default_bias")]
    pub bias: Option<String>,
}

impl Head {
    fn default_weight() -> String {
        "weight".into()
    }

    #[expect(clippy::unnecessary_wraps, reason = "serde wants the field's own type")]
    fn default_bias() -> Option<String> {
        Some("bias".into())
    }
}

/// What a suite measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Integer labels: accuracy, correct, cross-entropy (mean, natural logarithm).
    Classification,
    /// Numbers: mean squared and mean absolute error.
    Regression,
    /// Outputs that another framework wrote down: largest absolute difference, smallest cosine of a row.
    Reference,
}

/// One evaluation suite.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Suite {
    /// The model it measures; optional where there is one.
    pub model: Option<String>,
    /// What it measures.
    pub task: Task,
    /// A safetensors file; never taken for a model.
    pub data: String,
    /// The tensor that goes in: `[n, ...]`, or token ids `[n, length]`.
    pub input: String,
    /// The attention mask of token ids, `[n, length]`; without one every token counts.
    pub mask: Option<String>,
    /// The tensor that should come out.
    pub target: String,
    /// How far a metric may lie from its claim, by metric; 0 where it is not named.
    #[serde(default)]
    pub tolerance: BTreeMap<String, f64>,
    /// Bounds that hold without any claim, by metric, as in `accuracy = ">= 0.9"`.
    #[serde(default)]
    pub gate: BTreeMap<String, String>,
    /// Rows that are computed together.
    #[serde(default = "Suite::default_batch")]
    pub batch: u32,
}

impl Suite {
    fn default_batch() -> u32 {
        32
    }
}

/// Where metrics of a version lie.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Metrics {
    /// A JSON or TOML file in git.
    pub file: String,
    /// Which entry of a list of records counts: `last`, or `best NAME`.
    pub pick: Option<String>,
    /// Metrics of which less is better.
    #[serde(default)]
    pub lower: Vec<String>,
}

/// What the hooks do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Hooks {
    /// What `pre-commit` does where weights and sidecars disagree.
    #[serde(default)]
    pub pre_commit: PreCommit,
    /// What is refused in a commit.
    #[serde(default)]
    pub refuse: Vec<Check>,
}

/// What `pre-commit` does where weights and sidecars disagree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PreCommit {
    /// The commit is refused, and the command that mends it is named.
    #[default]
    Refuse,
    /// The sidecars are updated and the commit goes on.
    Update,
}

/// Something that a repository does not want in a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Weights that became NaN or infinite.
    Nan,
    /// Files that hold Python pickles.
    Pickle,
    /// A model without a licence in its README.
    NoLicense,
}

/// Where objects are shared.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Remote {
    /// Its address; credentials come from the environment.
    pub url: String,
}

impl Config {
    /// Reads and checks the text of an `mvc.toml`.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        let text = std::str::from_utf8(bytes).map_err(|_| ConfigError::Encoding)?;
        if let Some(line) = conflict_marker(text) {
            return Err(ConfigError::Conflict { line });
        }
        // The version first, so that a newer file is called newer and not malformed.
        let version: Version = toml::from_str(text).map_err(Box::new)?;
        if let Some(newer) = version.mvc.filter(|version| *version > VERSION) {
            return Err(ConfigError::Newer(newer));
        }
        let config: Self = toml::from_str(text).map_err(Box::new)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.patterns()?;
        let contradiction = |place: String, problem: &str| ConfigError::Contradiction {
            place,
            problem: problem.into(),
        };
        for (name, model) in &self.model {
            let place = format!("model.{}", printable(name));
            let paths = [&model.weights, &model.config].into_iter().flatten();
            for path in paths.chain(model.head.as_ref().map(|head| &head.weights)) {
                checked(&place, path)?;
            }
            if let Some(path) = model.path.as_deref().filter(|path| *path != ".") {
                checked(&place, path)?;
            }
            if model.weights.is_none() && model.path.is_none() {
                return Err(contradiction(
                    place,
                    "neither `weights` nor `path` says where the weights lie",
                ));
            }
            if model.layers.is_some() && model.config.is_some() {
                return Err(contradiction(
                    place,
                    "both `layers` and `config` describe the architecture",
                ));
            }
        }
        for (name, suite) in &self.eval {
            let place = format!("eval.{}", printable(name));
            checked(&place, &suite.data)?;
            if suite
                .model
                .as_ref()
                .is_some_and(|model| !self.model.contains_key(model))
            {
                return Err(contradiction(place, "its `model` is not in mvc.toml"));
            }
            if suite.batch == 0 {
                return Err(contradiction(place, "`batch` is 0"));
            }
            if suite
                .tolerance
                .values()
                .any(|bound| !bound.is_finite() || *bound < 0.0)
            {
                return Err(contradiction(
                    place,
                    "a tolerance is not a number of 0 or more",
                ));
            }
        }
        for (name, metrics) in &self.metrics {
            checked(&format!("metrics.{}", printable(name)), &metrics.file)?;
        }
        Ok(())
    }

    /// The patterns of `track`.
    pub fn patterns(&self) -> Result<FilePatterns, PatternError> {
        FilePatterns::new(self.track.iter().map(String::as_str))
    }

    /// True if this file is some suite's data and so never a model.
    pub fn is_suite_data(&self, path: &RepoPath) -> bool {
        self.eval.values().any(|suite| suite.data == path.as_str())
    }
}

#[derive(Deserialize)]
struct Version {
    mvc: Option<u64>,
}

fn checked(place: &str, path: &str) -> Result<RepoPath, ConfigError> {
    RepoPath::new(path).map_err(|source| ConfigError::Path {
        place: place.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        let error = Config::parse(text.as_bytes()).expect_err(text);
        format!(
            "{error}: {}",
            std::error::Error::source(&error).map_or(String::new(), ToString::to_string)
        )
    }

    #[test]
    fn the_example_of_the_docs_is_read() {
        let text = r#"
            mvc = 1
            track = ["*.safetensors", "!data/**"]
            [model.cnn]
            weights = "model.safetensors"
            layers = [{ conv2d = "conv1", padding = 1 }, "relu", { max_pool2d = 2 }, "flatten", { linear = "fc1" }]
            [eval.digits]
            task = "classification"
            data = "eval.safetensors"
            input = "inputs"
            target = "labels"
            tolerance = { accuracy = 0, cross_entropy = 1e-4 }
        "#;
        let config = Config::parse(text.as_bytes()).expect("good");
        assert_eq!(config.model["cnn"].layers.as_ref().map(Vec::len), Some(5));
        assert!(config.is_suite_data(&RepoPath::new("eval.safetensors").expect("good")));
    }

    #[test]
    fn nothing_leads_out_of_the_repository() {
        assert!(refusal("[model.m]\nweights = '../m.safetensors'").contains("leads out"));
        let suite = "task = 'regression'\ninput = 'x'\ntarget = 'y'";
        assert!(refusal(&format!("[eval.e]\ndata = '/etc/passwd'\n{suite}")).contains("absolute"));
        assert!(refusal("[metrics.m]\nfile = '.git/config'").contains("git's own"));
    }

    #[test]
    fn newer_and_unknown_are_told_apart() {
        assert!(refusal("mvc = 2\nnew_key = 1").contains("layout 2"));
        assert!(refusal("mvc = 1\nnew_key = 1").contains("unknown field"));
        assert!(refusal("[model.m]\n").contains("neither"));
    }
}
