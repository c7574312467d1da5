//! What a suite asks: its checks, its gates and its identity.

use std::str::FromStr;

use super::error::{EvalError, Result};
use super::metrics::names;
use crate::base::ObjectId;
use crate::base::config::Suite;
use crate::base::id::IdHasher;

/// A bound that a suite sets itself, as in `>= 0.9`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gate {
    relation: Relation,
    bound: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    AtLeast,
    AtMost,
    Above,
    Below,
}

impl Gate {
    /// True if the value keeps the bound; a value that is no number never does.
    pub fn holds(&self, value: f64) -> bool {
        match self.relation {
            Relation::AtLeast => value >= self.bound,
            Relation::AtMost => value <= self.bound,
            Relation::Above => value > self.bound,
            Relation::Below => value < self.bound,
        }
    }
}

impl FromStr for Gate {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        const RELATIONS: [(&str, Relation); 4] = [
            (">=", Relation::AtLeast),
            ("<=", Relation::AtMost),
            (">", Relation::Above),
            ("<", Relation::Below),
        ];
        let text = text.trim();
        let refuse = || {
            format!(
                "a gate is >=, <=, > or < and a number, not \"{}\"",
                crate::base::text::printable(text)
            )
        };
        let (relation, rest) = RELATIONS
            .iter()
            .find_map(|(sign, relation)| Some((*relation, text.strip_prefix(sign)?)))
            .ok_or_else(refuse)?;
        let bound: f64 = rest.trim_start().parse().map_err(|_| refuse())?;
        match bound.is_finite() {
            true => Ok(Self { relation, bound }),
            false => Err(refuse()),
        }
    }
}

impl std::fmt::Display for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = match self.relation {
            Relation::AtLeast => ">=",
            Relation::AtMost => "<=",
            Relation::Above => ">",
            Relation::Below => "<",
        };
        write!(f, "{sign} {}", self.bound)
    }
}

/// Refuses tolerances and gates of metrics that the task does not measure, and gates that cannot be read: a
/// misspelt bound would never fail.
pub fn check(suite: &Suite) -> Result<()> {
    let refuse = |place: String, problem: String| Err(EvalError::Contradiction { place, problem });
    let known = names(suite.task);
    for (kind, metric) in suite
        .tolerance
        .keys()
        .map(|metric| ("tolerance", metric))
        .chain(suite.gate.keys().map(|metric| ("gate", metric)))
    {
        if !known.contains(&metric.as_str()) {
            return refuse(
                format!(
                    "the suite's {kind} of `{}`",
                    crate::base::text::printable(metric)
                ),
                format!("its task measures {}", known.join(", ")),
            );
        }
    }
    for (metric, text) in &suite.gate {
        if let Err(problem) = text.parse::<Gate>() {
            return refuse(format!("the suite's gate of `{metric}`"), problem);
        }
    }
    Ok(())
}

/// The suite's id: a hash, in a domain of its own, of what it measures.
///
/// Tolerances and gates decide nothing about what is measured. The model's name and the data's path are names of things
/// that a claim's key has by content. All the rest is in it, the batch size too: sums over other batches differ in
/// their last bits, and the tolerance is 0 where none is named.
pub fn id(suite: &Suite) -> ObjectId {
    IdHasher::in_domain("mvc 1 suite")
        .update(canonical(suite).as_bytes())
        .finish()
}

/// The text that the id hashes, to the byte as `docs/eval.md` has it.
pub(super) fn canonical(suite: &Suite) -> String {
    // Taken apart by name, so that a new field does not compile until it is decided here.
    let Suite {
        model: _,
        task,
        data: _,
        input,
        mask,
        target,
        tolerance: _,
        gate: _,
        batch,
    } = suite;
    let canonical = serde_json::json!({
        "task": task,
        "input": input,
        "mask": mask,
        "target": target,
        "batch": batch,
    });
    canonical.to_string()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::base::config::Config;

    /// A suite from the inside of its table.
    pub(crate) fn suite(text: &str) -> Suite {
        let config = Config::parse(format!("[eval.s]\ndata = 'd'\n{text}").as_bytes());
        config.expect("good").eval.remove("s").expect("a suite")
    }

    #[test]
    fn gates_are_read_strictly() {
        let gate = |text: &str| text.parse::<Gate>();
        assert!(gate(">= 0.9").expect("good").holds(0.9));
        assert!(!gate("> 0.9").expect("good").holds(0.9));
        assert!(gate("<1e-4").expect("good").holds(0.0));
        assert!(!gate("<= 1").expect("good").holds(f64::NAN));
        for bad in [
            "0.9",
            "=> 0.9",
            ">= inf",
            "< nan",
            ">",
            "== 1",
            ">= 0.9 or so",
            "> = 1",
        ] {
            assert!(gate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn misspelt_bounds_are_refused() {
        let base = "task='classification'\ninput='x'\ntarget='y'\n";
        let refused = |more: &str| {
            check(&suite(&format!("{base}{more}")))
                .expect_err(more)
                .to_string()
        };
        assert!(refused("tolerance = { acuracy = 0 }").contains("its task measures accuracy"));
        assert!(refused("gate = { accuracy = '0.9' }").contains("a gate is"));
        assert!(refused("gate = { than = 'main' }").contains("`than`"));
        check(&suite(base)).expect("good");
    }

    #[test]
    fn the_id_is_of_what_is_measured() {
        let base = "task='classification'\ninput='x'\ntarget='y'\n";
        let with = |more: &str| id(&suite(&format!("{base}{more}")));
        assert_eq!(with(""), with("tolerance = { accuracy = 0.1 }\nbatch = 32"));
        assert_ne!(with(""), with("batch = 7"));
        assert_ne!(with(""), with("mask = 'm'"));
        assert_ne!(with(""), id(&suite(&base.replace("'x'", "'z'"))));
        assert_ne!(
            with(""),
            id(&suite(&base.replace("classification", "regression")))
        );
    }
}
