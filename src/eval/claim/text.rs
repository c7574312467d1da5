//! `mvc.evals.toml`: claims as text with one spelling, so that equal claims are equal bytes.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Deserialize;

use super::{Claim, Claims, Environment, FILE, Key, LIMIT, VERSION};
use crate::base::text::{printable, quote};
use crate::base::{Failure, Kind, ObjectId};

/// `mvc.evals.toml` cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// It is no TOML, or has keys or values that mean nothing here.
    #[error("{FILE} cannot be read: {}", printable(.0.message()))]
    Toml(#[from] Box<toml::de::Error>),
    /// It is no UTF-8 text.
    #[error("{FILE} is not UTF-8 text")]
    Encoding,
    /// It is longer than any honest one.
    #[error("{FILE} is longer than {LIMIT} bytes")]
    TooLong,
    /// A newer mvc wrote it.
    #[error("{FILE} has layout {0}, and this mvc reads layout {VERSION}")]
    Newer(u64),
    /// A merge left its marks in it.
    #[error("{FILE} has conflict markers, the first in line {line}")]
    Conflict {
        /// Counted from 1.
        line: usize,
    },
    /// A claim that contradicts itself, as one that was edited by hand does.
    #[error("{FILE}, claim of `{}`: {problem}", printable(suite))]
    Contradiction {
        /// The suite it belongs to.
        suite: String,
        /// What is wrong.
        problem: &'static str,
    },
}

impl Failure for ClaimError {
    fn kind(&self) -> Kind {
        match self {
            Self::Toml(_) | Self::Encoding | Self::TooLong | Self::Contradiction { .. } => {
                Kind::BadInput
            }
            Self::Newer(_) => Kind::Unsupported,
            Self::Conflict { .. } => Kind::Conflict,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Toml(_) | Self::Encoding | Self::TooLong | Self::Contradiction { .. } => {
                Some("measure anew with `mvc eval --record`".into())
            }
            Self::Newer(_) => Some("install a newer mvc".into()),
            Self::Conflict { .. } => Some(format!(
                "take one side with `git checkout --ours {FILE}`, then `mvc eval --record`"
            )),
        }
    }
}

#[derive(Deserialize)]
struct Version {
    mvc: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "mvc")]
    _version: u64,
    #[serde(default)]
    eval: BTreeMap<String, Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    key: ObjectId,
    weights: ObjectId,
    architecture: ObjectId,
    tokenizer: Option<ObjectId>,
    suite: ObjectId,
    data: ObjectId,
    rows: u64,
    metrics: BTreeMap<String, f64>,
    environment: Environment,
}

impl Claims {
    /// Reads the text of an `mvc.evals.toml`.
    ///
    /// # Errors
    ///
    /// Conflict markers and a newer layout have errors of their own; a claim whose key does not follow from its
    /// parts, or that claims nothing or no finite number, is refused.
    pub fn parse(bytes: &[u8]) -> Result<Self, ClaimError> {
        if bytes.len() as u64 > LIMIT {
            return Err(ClaimError::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| ClaimError::Encoding)?;
        // Before the TOML, which would only see a key that it cannot read.
        let is_mark = |line: &str| {
            ["<<<<<<<", "=======", ">>>>>>>", "|||||||"]
                .iter()
                .any(|mark| line.starts_with(mark))
        };
        if let Some(index) = text.lines().position(is_mark) {
            return Err(ClaimError::Conflict { line: index + 1 });
        }
        let version: Version = toml::from_str(text).map_err(Box::new)?;
        if version.mvc != VERSION {
            return Err(ClaimError::Newer(version.mvc));
        }
        let file: File = toml::from_str(text).map_err(Box::new)?;
        let claims = file.eval.into_iter().map(|(suite, table)| {
            let claim = table.claim().map_err(|problem| ClaimError::Contradiction {
                suite: suite.clone(),
                problem,
            })?;
            Ok((suite, claim))
        });
        claims.collect::<Result<_, _>>().map(Self)
    }

    /// The one text of these claims: suites and metrics sorted, LF, numbers in the shortest form that reads back
    /// to the same bits.
    pub fn to_text(&self) -> String {
        let mut out = format!(
            "# What `mvc eval --record` measured, and of what exactly. Written by mvc: measure anew rather than edit.\nmvc = {VERSION}\n"
        );
        for (suite, claim) in &self.0 {
            let name = bare(suite);
            let key = &claim.key;
            let _ = write!(out, "\n[eval.{name}]\nkey = \"{}\"\n", key.id());
            for (part, id) in key.parts() {
                if let Some(id) = id {
                    let _ = writeln!(out, "{part} = \"{id}\"");
                }
            }
            let _ = write!(out, "rows = {}\n\n[eval.{name}.metrics]\n", claim.rows);
            for (metric, value) in &claim.metrics {
                // `{:?}` keeps a point or an exponent, without which TOML would read an integer.
                let _ = writeln!(out, "{} = {value:?}", bare(metric));
            }
            let Environment {
                mvc,
                candle,
                arch,
                simd,
            } = &claim.environment;
            let _ = write!(out, "\n[eval.{name}.environment]\n");
            for (field, value) in [
                ("mvc", mvc),
                ("candle", candle),
                ("arch", arch),
                ("simd", simd),
            ] {
                let _ = writeln!(out, "{field} = {}", quote(value));
            }
        }
        out
    }
}

impl Table {
    fn claim(self) -> Result<Claim, &'static str> {
        let key = Key {
            weights: self.weights,
            architecture: self.architecture,
            tokenizer: self.tokenizer,
            suite: self.suite,
            data: self.data,
        };
        if key.id() != self.key {
            return Err("its key does not follow from what it speaks of");
        }
        if self.metrics.is_empty() {
            return Err("it claims no metric");
        }
        if self.metrics.values().any(|value| !value.is_finite()) {
            return Err("it claims a metric that is no finite number");
        }
        Ok(Claim {
            key,
            rows: self.rows,
            metrics: self.metrics,
            environment: self.environment,
        })
    }
}

/// A TOML key, quoted where it has to be.
fn bare(name: &str) -> String {
    let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
    match !name.is_empty() && name.bytes().all(plain) {
        true => name.to_owned(),
        false => quote(name),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::tokenizer_id;
    use super::*;

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(at in 0usize..700, with in ".{0,9}", drop in 0usize..40) {
            let text = Claims([("s".to_owned(), claim())].into()).to_text();
            let (head, tail) = text.split_at(at.min(text.len()));
            let text = format!("{head}{with}{}", tail.get(drop..).unwrap_or_default());
            if let Ok(claims) = Claims::parse(text.as_bytes()) {
                // Whatever is accepted is read the same from its one text.
                proptest::prop_assert_eq!(Claims::parse(claims.to_text().as_bytes()).expect("own text"), claims);
            }
        }
    }

    pub(crate) fn claim() -> Claim {
        let id = |text: &str| ObjectId::of(text.as_bytes());
        Claim {
            key: Key {
                weights: id("weights"),
                architecture: id("architecture"),
                tokenizer: None,
                suite: id("suite"),
                data: id("data"),
            },
            rows: 360,
            metrics: [
                ("accuracy", 310.0 / 360.0),
                ("correct", 310.0),
                ("cross_entropy", 0.428_314_507_007_598_9),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
            environment: Environment::here(),
        }
    }

    #[test]
    fn text_goes_there_and_back() {
        let mut claims = Claims::default();
        claims.0.insert("digits".into(), claim());
        let mut odd = claim();
        odd.key.tokenizer = Some(ObjectId::of(b"tokenizer"));
        odd.metrics.insert("tiny".into(), 5e-324);
        odd.metrics
            .insert("huge".into(), -1.797_693_134_862_315_7e308);
        claims.0.insert("two words \"é🦀\u{7}".into(), odd);
        let text = claims.to_text();
        assert_eq!(Claims::parse(text.as_bytes()).expect(&text), claims);
        assert_eq!(Claims::parse(text.as_bytes()).expect(&text).to_text(), text);
        assert!(text.contains("\ncorrect = 310.0\n"), "{text}");
    }

    #[test]
    fn what_cannot_be_trusted_is_refused() {
        let text = Claims([("s".to_owned(), claim())].into()).to_text();
        let refused = |from: &str, to: &str| {
            assert!(text.contains(from), "{from} is in it");
            Claims::parse(text.replacen(from, to, 1).as_bytes()).expect_err(to)
        };
        let weights = ObjectId::of(b"weights").to_string();
        let other = ObjectId::of(b"other").to_string();
        assert!(
            refused(&weights, &other)
                .to_string()
                .contains("does not follow")
        );
        assert!(
            refused("correct = 310.0", "correct = nan")
                .to_string()
                .contains("finite")
        );
        assert!(
            refused("rows = 360", "rows = -1")
                .to_string()
                .contains("cannot be read")
        );
        assert!(
            refused("rows = 360", "rowz = 360")
                .to_string()
                .contains("rowz")
        );
        assert!(
            refused("mvc = 1", "mvc = 2\nnew = 1")
                .to_string()
                .contains("layout 2")
        );
        let conflict = refused("rows = 360", "<<<<<<< HEAD\nrows = 360\n=======");
        assert_eq!(conflict.kind(), Kind::Conflict);
        assert!(conflict.to_string().contains("line 10"), "{conflict}");
        assert!(Claims::parse(b"").is_err(), "an empty file has no version");
    }

    #[test]
    fn a_tokenizer_is_its_names_and_bytes() {
        let (a, b) = (ObjectId::of(b"a"), ObjectId::of(b"b"));
        let id = |files: &[(&'static str, ObjectId)]| tokenizer_id(files.iter().copied());
        let whole = id(&[("vocab.txt", a), ("tokenizer.json", b)]);
        assert_eq!(whole, id(&[("tokenizer.json", b), ("vocab.txt", a)]));
        assert_ne!(whole, id(&[("tokenizer.json", a), ("vocab.txt", b)]));
        assert_ne!(whole, id(&[("vocab.txt", a)]));
        assert_eq!(id(&[]), None);
    }

    #[test]
    fn each_part_is_in_the_key() {
        let key = claim().key;
        let other = ObjectId::of(b"other");
        let changed = [
            (
                "weights",
                Key {
                    weights: other,
                    ..key
                },
            ),
            (
                "architecture",
                Key {
                    architecture: other,
                    ..key
                },
            ),
            (
                "tokenizer",
                Key {
                    tokenizer: Some(other),
                    ..key
                },
            ),
            (
                "suite",
                Key {
                    suite: other,
                    ..key
                },
            ),
            ("data", Key { data: other, ..key }),
        ];
        for (part, changed) in changed {
            assert_ne!(changed.id(), key.id(), "{part}");
            assert_eq!(key.differences(&changed), [part]);
        }
    }
}
