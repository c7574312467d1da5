//! Metrics: numbers in files of git that belong to a version, read, compared and recorded. What a version's claims
//! say counts among them, as `SUITE.METRIC`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::error::{During, Error, Result};
use super::workspace::{Workspace, if_found};
use crate::base::config::{Config, Metrics};
use crate::base::text::printable;
use crate::base::{Kind, RepoPath};
use crate::eval::claim::{self, Claims};
use crate::repo::CommitId;

/// The longest metrics file that is read.
pub const LIMIT: u64 = 64 << 20;

/// Where metrics lie if `mvc.toml` names no file.
const DEFAULT: &str = "metrics.json";

/// Metrics by name.
pub type Values = BTreeMap<String, f64>;

/// The default metrics file.
pub fn default_path() -> Result<RepoPath> {
    Ok(RepoPath::new(DEFAULT)?)
}

/// The metrics files of a repository.
pub fn paths(config: &Config) -> Result<Vec<RepoPath>> {
    sources(config)
        .into_iter()
        .map(|metrics| Ok(RepoPath::new(&metrics.file)?))
        .collect()
}

fn sources(config: &Config) -> Vec<Metrics> {
    if config.metrics.is_empty() {
        return vec![Metrics {
            file: DEFAULT.to_owned(),
            pick: None,
            lower: Vec::new(),
        }];
    }
    config.metrics.values().cloned().collect()
}

/// Metrics of which less is better: what `mvc.toml` names, and what is called a loss or an error.
pub fn lower_is_better(config: &Config, name: &str) -> bool {
    let named = config
        .metrics
        .values()
        .any(|metrics| metrics.lower.iter().any(|lower| lower == name));
    let last = name.rsplit(['.', '_', '/']).next().unwrap_or(name);
    named
        || matches!(
            last,
            "loss" | "error" | "perplexity" | "mse" | "mae" | "rmse" | "entropy"
        )
}

/// The metrics of the work tree, what it claims included.
pub fn of_worktree(ws: &Workspace) -> Result<Values> {
    let read = |path: &RepoPath, limit: u64| ws.read(path, limit);
    let mut values = claimed(&read)?;
    values.extend(gather(&ws.config()?, &read)?);
    Ok(values)
}

/// The metrics of a commit, as its own `mvc.toml` names them, what it claims included.
pub fn of_commit(ws: &Workspace, commit: &CommitId) -> Result<Values> {
    let read = |path: &RepoPath, limit: u64| Ok(ws.repo().file(commit, path, limit)?);
    let mut values = claimed(&read)?;
    values.extend(gather(&ws.config_at(commit)?, &read)?);
    Ok(values)
}

/// The metrics in a commit's files alone.
pub fn of_files(ws: &Workspace, commit: &CommitId) -> Result<Values> {
    gather(&ws.config_at(commit)?, &|path, limit| {
        Ok(ws.repo().file(commit, path, limit)?)
    })
}

/// A file of one side, of at most so many bytes; `None` where it has none.
type Read<'a> = dyn Fn(&RepoPath, u64) -> Result<Option<Vec<u8>>> + 'a;

fn claimed(read: &Read<'_>) -> Result<Values> {
    let path = RepoPath::new(claim::FILE)?;
    let Some(bytes) = read(&path, claim::LIMIT)? else {
        return Ok(Values::new());
    };
    let claims = Claims::parse(&bytes).during(|| format!("cannot read {path}"))?;
    let of_suite = |(suite, claim): (String, claim::Claim)| {
        let named = |(name, value)| (format!("{suite}.{name}"), value);
        claim.metrics.into_iter().map(named).collect::<Vec<_>>()
    };
    Ok(claims.0.into_iter().flat_map(of_suite).collect())
}

fn gather(config: &Config, read: &Read<'_>) -> Result<Values> {
    let mut values = Values::new();
    for source in sources(config) {
        let path = RepoPath::new(&source.file)?;
        if let Some(bytes) = read(&path, LIMIT)? {
            values.extend(parse(&path, &bytes, &source)?);
        }
    }
    Ok(values)
}

/// The numbers in a JSON or TOML file: names of nested tables joined with dots. Of a list of records, such as
/// a trainer's log, one counts, the last or the best, under its own names.
pub fn parse(path: &RepoPath, bytes: &[u8], source: &Metrics) -> Result<Values> {
    let bad = |why: String| {
        Error::refused(
            Kind::BadInput,
            format!("cannot read the metrics in {path}: {}", printable(&why)),
        )
    };
    let value: Value = if path.name().ends_with(".toml") {
        let text = std::str::from_utf8(bytes).map_err(|e| bad(e.to_string()))?;
        let table: toml::Table = toml::from_str(text).map_err(|e| bad(e.message().to_owned()))?;
        serde_json::to_value(table).map_err(|e| bad(e.to_string()))?
    } else {
        serde_json::from_slice(bytes).map_err(|e| bad(e.to_string()))?
    };
    let mut values = Values::new();
    flatten(&value, "", source, &mut values);
    Ok(values)
}

fn flatten(value: &Value, name: &str, source: &Metrics, values: &mut Values) {
    match value {
        Value::Number(number) => {
            if let Some(number) = number.as_f64() {
                values.insert(
                    if name.is_empty() {
                        "value".to_owned()
                    } else {
                        name.to_owned()
                    },
                    number,
                );
            }
        }
        Value::Bool(truth) if !name.is_empty() => {
            values.insert(name.to_owned(), f64::from(u8::from(*truth)));
        }
        Value::Object(table) => {
            for (key, value) in table {
                let full = if name.is_empty() {
                    key.clone()
                } else {
                    format!("{name}.{key}")
                };
                flatten(value, &full, source, values);
            }
        }
        Value::Array(records) => {
            if let Some(record) = pick(records, source) {
                flatten(record, "", source, values);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn pick<'a>(records: &'a [Value], source: &Metrics) -> Option<&'a Value> {
    let best = source
        .pick
        .as_deref()
        .and_then(|pick| pick.strip_prefix("best "));
    let Some(name) = best.map(str::trim) else {
        return records.iter().rfind(|record| record.is_object());
    };
    let lower = source.lower.iter().any(|lower| lower == name);
    let score = |record: &Value| record.get(name).and_then(Value::as_f64);
    let scored = records
        .iter()
        .filter_map(|record| Some((score(record)?, record)));
    let better = |a: f64, b: f64| if lower { a < b } else { a > b };
    scored
        .reduce(|best, next| if better(next.0, best.0) { next } else { best })
        .map(|(_, record)| record)
}

/// Writes metrics into the default file, other entries kept.
pub fn record(ws: &Workspace, metrics: &[(String, String)]) -> Result<()> {
    let path = default_path()?;
    let bytes = ws.read(&path, LIMIT)?;
    let bad = || {
        Error::refused(
            Kind::BadInput,
            format!("{path} is not a JSON table, so no metric can be added"),
        )
    };
    let mut table = match bytes {
        Some(bytes) => {
            serde_json::from_slice::<serde_json::Map<String, Value>>(&bytes).map_err(|_| bad())?
        }
        None => serde_json::Map::new(),
    };
    for (name, text) in metrics {
        let number = serde_json::from_str::<serde_json::Number>(text.trim());
        let value = number.map_err(|_| {
            Error::refused(
                Kind::Usage,
                format!("the metric {name}={text} is no number"),
            )
        })?;
        table.insert(name.clone(), Value::Number(value));
    }
    let mut text = serde_json::to_string_pretty(&Value::Object(table)).map_err(|_| bad())?;
    text.push('\n');
    Ok(ws
        .fs()
        .replace(&ws.on_disk(&path), text.as_bytes(), 0o644)?)
}

/// One metric on two sides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moved {
    /// Its name.
    pub name: String,
    /// Its value before.
    pub before: Option<f64>,
    /// Its value after.
    pub after: Option<f64>,
    /// True if it became better, false if worse; `None` where it did not move or was not there.
    pub better: Option<bool>,
}

/// How metrics moved, unmoved ones included.
pub fn compare(config: &Config, before: &Values, after: &Values) -> Vec<Moved> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let moved = |name: &String| {
        let (a, b) = (before.get(name).copied(), after.get(name).copied());
        let better = match (a, b) {
            (Some(a), Some(b)) if a != b => Some((b < a) == lower_is_better(config, name)),
            _ => None,
        };
        Moved {
            name: name.clone(),
            before: a,
            after: b,
            better,
        }
    };
    names.into_iter().map(moved).collect()
}

/// What `metrics show` and `metrics diff` report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The version that `before` speaks of.
    pub from: Option<String>,
    /// The version that `after` speaks of.
    pub to: String,
    /// The metrics.
    pub metrics: Vec<Moved>,
}

/// The metrics of a version, the work tree where none is named.
pub fn show(ws: &Workspace, revision: Option<&str>) -> Result<Report> {
    let (to, values) = side(ws, revision)?;
    Ok(Report {
        from: None,
        to,
        metrics: compare(&Config::default(), &Values::new(), &values),
    })
}

/// How metrics moved between two versions: HEAD and the work tree where none is named.
pub fn diff(ws: &Workspace, a: Option<&str>, b: Option<&str>) -> Result<Report> {
    let (from, before) = match a {
        Some(a) => side(ws, Some(a))?,
        None => match if_found(ws.repo().resolve("HEAD"))? {
            Some(head) => ("HEAD".to_owned(), of_commit(ws, &head)?),
            None => ("nothing".to_owned(), Values::new()),
        },
    };
    let (to, after) = side(ws, b)?;
    Ok(Report {
        from: Some(from),
        to,
        metrics: compare(&ws.config()?, &before, &after),
    })
}

fn side(ws: &Workspace, revision: Option<&str>) -> Result<(String, Values)> {
    Ok(match revision {
        Some(revision) => (
            revision.to_owned(),
            of_commit(ws, &ws.repo().resolve(revision)?)?,
        ),
        None => ("work tree".to_owned(), of_worktree(ws)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, pick: Option<&str>, lower: &[&str]) -> Values {
        let lower = lower.iter().map(ToString::to_string).collect();
        let source = Metrics {
            file: DEFAULT.into(),
            pick: pick.map(Into::into),
            lower,
        };
        parse(
            &RepoPath::new(DEFAULT).expect("good"),
            text.as_bytes(),
            &source,
        )
        .expect("good")
    }

    #[test]
    fn tables_join_and_lists_give_one_record() {
        let text = r#"{"name": "x", "test": {"loss": 0.5}, "log": [{"step": 1, "acc": 0.9}, {"step": 2, "acc": 0.8}]}"#;
        let pairs = |values: Values| {
            values
                .into_iter()
                .map(|(k, v)| format!("{k}={v}"))
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(pairs(read(text, None, &[])), "acc=0.8 step=2 test.loss=0.5");
        assert_eq!(
            pairs(read(text, Some("best acc"), &[])),
            "acc=0.9 step=1 test.loss=0.5"
        );
        assert_eq!(
            pairs(read(text, Some("best acc"), &["acc"])),
            "acc=0.8 step=2 test.loss=0.5"
        );
    }

    #[test]
    fn a_loss_that_falls_is_better() {
        let values = |pairs: &[(&str, f64)]| {
            pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), *v))
                .collect::<Values>()
        };
        let moved = compare(
            &Config::default(),
            &values(&[("loss", 2.0), ("acc", 0.5)]),
            &values(&[("loss", 1.0), ("acc", 0.4)]),
        );
        assert_eq!(
            moved.iter().map(|m| m.better).collect::<Vec<_>>(),
            [Some(false), Some(true)]
        );
    }
}
