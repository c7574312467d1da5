//! What changed in the files that go with a model: `mvc.toml`, `config.json` and the like, by their structure.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use crate::base::RepoPath;
use crate::base::config;
use crate::base::text::quote;
use crate::ops::error::Result;
use crate::ops::sides::Side;
use crate::ops::workspace::Workspace;
use crate::ops::{metrics, models};

/// The longest file that is read.
const READ_LIMIT: u64 = 256 << 20;

/// Longer files are compared as bytes.
const LIMIT: u64 = 16 << 20;

/// The most values of a file that are listed.
const LISTED: usize = 1000;

/// Nested deeper, values are compared as a whole.
const DEEPEST: usize = 64;

/// A file that changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct File {
    /// The file.
    pub path: RepoPath,
    /// Whether it is there before and after.
    pub there: (bool, bool),
    /// The values that changed; none where it is new, gone, or no JSON or TOML.
    pub values: Vec<Moved>,
    /// Values that changed and are not listed.
    pub more: usize,
}

/// A value that changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moved {
    /// Where it is: keys joined with dots, items of lists by number.
    pub key: String,
    /// What it was; `None` where it was not there.
    pub before: Option<Value>,
    /// What it is; `None` where it is not there any more.
    pub after: Option<Value>,
}

/// The files that changed between two sides.
pub(super) fn compare(
    ws: &Workspace,
    before: Option<&Side>,
    after: &Side,
    folders: &BTreeSet<&str>,
    keep: &dyn Fn(&RepoPath) -> bool,
) -> Result<Vec<File>> {
    let mut paths = BTreeSet::new();
    for side in before.into_iter().chain([after]) {
        paths.extend(of_side(ws, side, folders)?);
    }
    let mut changed = Vec::new();
    for path in paths.into_iter().filter(keep) {
        let old = match before {
            Some(side) => side.read(ws, &path, READ_LIMIT)?,
            None => None,
        };
        let new = after.read(ws, &path, READ_LIMIT)?;
        if old == new {
            continue;
        }
        let there = (old.is_some(), new.is_some());
        let mut values = match (old, new) {
            (Some(old), Some(new)) => match (parse(&path, &old), parse(&path, &new)) {
                (Some(old), Some(new)) => differences(&old, &new),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        };
        let more = values.len().saturating_sub(LISTED);
        values.truncate(LISTED);
        changed.push(File {
            path,
            there,
            values,
            more,
        });
    }
    Ok(changed)
}

/// The files of a side that say how its models are meant: `mvc.toml`, what its models name, and the `config.json`
/// and its kin that lie beside weights. Metrics are compared as metrics.
fn of_side(ws: &Workspace, side: &Side, folders: &BTreeSet<&str>) -> Result<BTreeSet<RepoPath>> {
    let config = side.config(ws)?;
    let files = side.every_file(ws)?;
    let beside = |path: &&RepoPath| {
        let json = path.name().ends_with("config.json");
        path.as_str() == config::FILE || json && folders.contains(path.folder())
    };
    let mut found: BTreeSet<RepoPath> = files.iter().filter(beside).cloned().collect();
    for model in config.model.values() {
        found.extend(models::companions(model, &files)?);
        found.extend(models::config_path(model)?.filter(|path| files.contains(path)));
    }
    for path in metrics::paths(&config)? {
        found.remove(&path);
    }
    Ok(found)
}

/// Its structure; `None` where it has none that is understood.
fn parse(path: &RepoPath, bytes: &[u8]) -> Option<Value> {
    if bytes.len() as u64 > LIMIT {
        return None;
    }
    match path.name().rsplit_once('.')?.1 {
        "json" => serde_json::from_slice(bytes).ok(),
        "toml" => {
            let table: toml::Table = toml::from_str(std::str::from_utf8(bytes).ok()?).ok()?;
            serde_json::to_value(table).ok()
        }
        _ => None,
    }
}

/// The values in which two structures differ, in the order of their keys.
fn differences(before: &Value, after: &Value) -> Vec<Moved> {
    let mut found = Vec::new();
    descend("", Some(before), Some(after), 0, &mut found);
    found
}

fn descend(
    key: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    depth: usize,
    found: &mut Vec<Moved>,
) {
    if before == after {
        return;
    }
    match (before, after) {
        (Some(Value::Object(a)), Some(Value::Object(b))) if depth < DEEPEST => {
            let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for name in names {
                let full = join(key, name);
                descend(&full, a.get(name), b.get(name), depth + 1, found);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b)))
            if depth < DEEPEST && a.iter().chain(b).any(is_nested) =>
        {
            for i in 0..a.len().max(b.len()) {
                let full = join(key, &i.to_string());
                descend(&full, a.get(i), b.get(i), depth + 1, found);
            }
        }
        _ => found.push(Moved {
            key: key.to_owned(),
            before: before.cloned(),
            after: after.cloned(),
        }),
    }
}

fn is_nested(value: &Value) -> bool {
    value.is_object() || value.is_array()
}

fn join(key: &str, name: &str) -> String {
    let name = match name.is_empty() || name.contains(['.', '"', ' ']) {
        true => quote(name),
        false => name.to_owned(),
    };
    match key.is_empty() {
        true => name,
        false => format!("{key}.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(before: &str, after: &str) -> Vec<String> {
        let value = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
        let side = |value: &Option<Value>| value.as_ref().map_or("-".into(), Value::to_string);
        differences(&value(before), &value(after))
            .iter()
            .map(|m| format!("{}: {} -> {}", m.key, side(&m.before), side(&m.after)))
            .collect()
    }

    #[test]
    fn values_are_told_by_where_they_are() {
        let before = r#"{"a": 1, "gone": "x", "rope": {"theta": 1e4, "a.b": 1}, "eos": [1, 2]}"#;
        let after = r#"{"a": 1, "new": null, "rope": {"theta": 5e5, "a.b": 2}, "eos": [1, 2, 3]}"#;
        assert_eq!(
            told(before, after),
            [
                "eos: [1,2] -> [1,2,3]",
                "gone: \"x\" -> -",
                "new: - -> null",
                "rope.\"a.b\": 1 -> 2",
                "rope.theta: 10000.0 -> 500000.0",
            ]
        );
        let layers = told(r#"[{"in": 1}, {"in": 2}]"#, r#"[{"in": 1}, {"in": 3}, {}]"#);
        assert_eq!(layers, ["1.in: 2 -> 3", "2: - -> {}"]);
        assert_eq!(told("1", "[]"), [": 1 -> []"]);
    }
}
