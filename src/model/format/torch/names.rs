//! The names of the tensors in a checkpoint: the way to each through dicts and lists, with dots between.

use std::collections::HashSet;

use super::pickle::{Id, Value, Values};
use super::rebuild::{self, TensorRef};
use super::{Refusal, Result};
use crate::model::manifest::MAX_TENSORS;

/// How deep dicts and lists may lie in each other.
const MAX_DEPTH: usize = 64;

/// How many steps are taken on the way: references can make few values very many.
const MAX_STEPS: usize = 4 << 20;

/// The longest name.
const MAX_NAME: usize = 64 << 10;

/// Bytes of all names and sides together.
const MAX_NAMES: usize = 64 << 20;

/// Bytes of the names in a sidecar, where each alias repeats the name of its tensor.
const MAX_LISTED: usize = 256 << 20;

/// The name of a tensor that is not in anything.
const ALONE: &str = "tensor";

/// A tensor and its name.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) tensor: TensorRef,
}

/// All tensors of a checkpoint, in the order of the pickle.
///
/// A checkpoint is understood only if every tensor in it has a name of its own: one inside of an object, a set or
/// a key is a reason to refuse.
pub(super) fn all(values: &Values<'_>, top: Id) -> Result<Vec<Named>> {
    let mut walk = Walk {
        values,
        seen: vec![false; values.len()],
        visits: 0,
        steps: 0,
        longest: 0,
        bytes: 0,
        path: String::new(),
        names: HashSet::new(),
        found: Vec::new(),
    };
    for id in &values.hidden {
        walk.refuse_tensors(*id, || "the attributes of a value".into())?;
    }
    walk.visit(top, 0)?;
    match walk.found.is_empty() {
        true => Err(Refusal::NoTensors.into()),
        false => Ok(walk.found),
    }
}

struct Walk<'a> {
    values: &'a Values<'a>,
    /// Values that have been searched and hold no tensor.
    seen: Vec<bool>,
    visits: usize,
    /// Visits, and items of dicts that were looked at.
    steps: usize,
    /// The length of the longest name.
    longest: usize,
    bytes: usize,
    path: String,
    names: HashSet<String>,
    found: Vec<Named>,
}

fn refused<T>(problem: &'static str) -> Result<T> {
    Err(Refusal::Values(problem).into())
}

impl<'a> Walk<'a> {
    /// Counts a step: a value may be in many others, so the steps are more than the values.
    fn count(&mut self) -> Result<()> {
        self.steps += 1;
        match self.steps > MAX_STEPS {
            true => refused("nests its values too deep or too often"),
            false => Ok(()),
        }
    }

    fn visit(&mut self, id: Id, depth: usize) -> Result<()> {
        self.count()?;
        self.visits += 1;
        if depth > MAX_DEPTH {
            return refused("nests its values too deep or too often");
        }
        let values = self.values;
        match values.get(id) {
            Value::Tensor(tensor) => self.name(tensor),
            Value::Dict(items) => {
                for (key, value) in items {
                    self.count()?;
                    self.refuse_tensors(*key, || "a key of a dict".into())?;
                    match values.get(*key) {
                        Value::Text(text) => self.inside(values.text(*text), *value, depth)?,
                        Value::Int(n) => self.inside(&n.to_string(), *value, depth)?,
                        _ => self.refuse_tensors(*value, || {
                            "a dict whose keys are neither text nor whole numbers".into()
                        })?,
                    }
                }
                Ok(())
            }
            Value::List(items) | Value::Tuple(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.inside(&i.to_string(), *item, depth)?;
                }
                Ok(())
            }
            Value::Storage(_) | Value::Other(_) => self.refuse_tensors(id, || held_by(values, id)),
            Value::None | Value::Int(_) | Value::Text(_) | Value::Plain | Value::Global { .. } => {
                Ok(())
            }
        }
    }

    /// Visits a value that has this name in what holds it.
    fn inside(&mut self, part: &str, value: Id, depth: usize) -> Result<()> {
        let before = self.path.len();
        if before + part.len() >= MAX_NAME {
            return refused("has names that are too long");
        }
        if depth > 0 {
            self.path.push('.');
        }
        self.path.push_str(part);
        self.visit(value, depth + 1)?;
        self.path.truncate(before);
        Ok(())
    }

    fn name(&mut self, tensor: &TensorRef) -> Result<()> {
        let name = match self.visits {
            1 => ALONE.to_owned(),
            _ => self.path.clone(),
        };
        self.bytes += name.len() + 16 * tensor.shape.len();
        self.longest = self.longest.max(name.len());
        let listed = self.found.len().saturating_mul(self.longest);
        if self.found.len() as u64 >= MAX_TENSORS || self.bytes > MAX_NAMES || listed > MAX_LISTED {
            return refused("has more tensors than are read");
        }
        if !self.names.insert(name.clone()) {
            return Err(Refusal::SameName(name).into());
        }
        let tensor = tensor.clone();
        self.found.push(Named { name, tensor });
        Ok(())
    }

    /// Refuses tensors and storages anywhere in a value; `place` says what the value is. Every value is searched
    /// once at most.
    fn refuse_tensors(&mut self, id: Id, place: impl Fn() -> String) -> Result<()> {
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            let searched = match self.seen.get_mut(id as usize) {
                Some(seen) => std::mem::replace(seen, true),
                None => true,
            };
            if searched {
                continue;
            }
            match self.values.get(id) {
                Value::Tensor(_) | Value::Storage(_) => return Err(Refusal::Held(place()).into()),
                Value::Tuple(items) | Value::List(items) | Value::Other(items) => {
                    open.extend(items);
                }
                Value::Dict(items) => {
                    open.extend(items.iter().flat_map(|(key, value)| [*key, *value]));
                }
                Value::None
                | Value::Int(_)
                | Value::Text(_)
                | Value::Plain
                | Value::Global { .. } => {}
            }
        }
        Ok(())
    }
}

/// What a value is, for people: the class or function that it is an object or result of.
fn held_by(values: &Values<'_>, id: Id) -> String {
    let what = match values.get(id) {
        Value::Storage(_) => return "a bare storage".into(),
        Value::Other(parts) => parts.first().and_then(|id| rebuild::global(values, *id)),
        _ => None,
    };
    match what {
        Some((module, name)) => {
            let short: String = format!("{module}.{name}").chars().take(100).collect();
            format!("an object of {short}")
        }
        None => "a set".into(),
    }
}
