//! Pass, fail, or cannot compare.

use std::collections::BTreeMap;

use super::{Claim, Environment, Key};
use crate::base::Kind;
use crate::base::config::Suite;
use crate::base::text::{count, printable};
use crate::eval::metrics::Measured;
use crate::eval::suite::Gate;

/// The one-word answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything claimed was measured again within its tolerance, and every gate holds.
    Pass,
    /// A gate does not hold, an output is no number, or a metric is outside its tolerance where nothing else
    /// explains it.
    Fail,
    /// There is no claim to compare with, or it speaks of something else, or of another class of hardware.
    CannotCompare,
}

impl Verdict {
    /// The kind whose exit code stands for it; none for a pass.
    pub fn kind(self) -> Option<Kind> {
        match self {
            Self::Pass => None,
            Self::Fail => Some(Kind::No),
            Self::CannotCompare => Some(Kind::CannotCompare),
        }
    }
}

/// The answer, with its reasons.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Outcome {
    /// The one-word answer.
    pub verdict: Verdict,
    /// Why it is no pass; empty for a pass.
    pub reasons: Vec<String>,
    /// What else its reader should know.
    pub notes: Vec<String>,
    /// Metric by metric, sorted by name. Not `rows` in JSON: a measurement has rows of data beside it.
    #[serde(rename = "metrics")]
    pub rows: Vec<Row>,
}

/// One metric.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Row {
    /// Its name.
    pub metric: String,
    /// What the claim says, where one speaks of the same thing.
    pub claimed: Option<f64>,
    /// What was measured now.
    pub measured: Option<f64>,
    /// Measured less claimed.
    pub difference: Option<f64>,
    /// How far it may be.
    pub tolerance: f64,
    /// The suite's own bound, and whether it holds.
    pub gate: Option<(String, bool)>,
    /// True if it is within its tolerance; none where there was nothing to compare with.
    pub within: Option<bool>,
}

/// Compares a measurement with what was claimed, and with the suite's gates.
///
/// In this order: outputs that are no numbers, and gates that do not hold, fail. Without a claim nothing can be
/// compared, whatever gates hold, and neither can a claim of other content. Then every claimed metric has to be within its tolerance: if so it is a pass on any hardware; if not it is a failure in
/// the same class of hardware and cannot be compared in another.
pub fn judge(
    claim: Option<&Claim>,
    key: &Key,
    measured: &Measured,
    suite: &Suite,
    environment: &Environment,
) -> Outcome {
    let differences = claim
        .map(|claim| claim.key.differences(key))
        .unwrap_or_default();
    let comparable = claim.filter(|_| differences.is_empty());
    let rows = rows(comparable, measured, suite);
    let mut notes = Vec::new();
    if !measured.extra.is_empty() {
        let names: Vec<_> = measured
            .extra
            .iter()
            .map(|name| format!("`{}`", printable(name)))
            .collect();
        notes.push(format!(
            "not used by the architecture: {}",
            names.join(", ")
        ));
    }
    let failures = failures(measured, &rows);
    let (verdict, reasons) = if !failures.is_empty() {
        (Verdict::Fail, failures)
    } else if let Some(claim) = comparable {
        compared(claim, measured, environment, &rows, &mut notes)
    } else if claim.is_some() {
        let changed = differences.join(", ");
        (
            Verdict::CannotCompare,
            vec![format!("the claim speaks of another {changed}")],
        )
    } else {
        let reason = match suite.gate.is_empty() {
            true => "no claim is recorded",
            false => {
                "no claim is recorded: the suite's gates hold, and there is nothing to compare"
            }
        };
        (Verdict::CannotCompare, vec![reason.into()])
    };
    Outcome {
        verdict,
        reasons,
        notes,
        rows,
    }
}

/// What fails whatever was claimed.
fn failures(measured: &Measured, rows: &[Row]) -> Vec<String> {
    let mut reasons = Vec::new();
    let quoted = |names: &[String]| {
        let names: Vec<_> = names
            .iter()
            .map(|name| format!("`{}`", printable(name)))
            .collect();
        names.join(", ")
    };
    if !measured.non_finite.is_empty() {
        reasons.push(format!(
            "weights that are NaN or infinite in {}",
            quoted(&measured.non_finite)
        ));
    }
    if measured.nan > 0 {
        let outputs = count(measured.nan as usize, "output");
        reasons.push(format!("{outputs} came out as no number (NaN)"));
    }
    if !measured.undefined.is_empty() {
        reasons.push(format!(
            "no finite value of {}",
            quoted(&measured.undefined)
        ));
    }
    for row in rows {
        if let Some((gate, false)) = &row.gate {
            let value = row
                .measured
                .map_or("nothing".into(), |value| value.to_string());
            reasons.push(format!(
                "{} is {value}, and the suite's gate is {gate}",
                row.metric
            ));
        }
    }
    reasons
}

fn compared(
    claim: &Claim,
    measured: &Measured,
    environment: &Environment,
    rows: &[Row],
    notes: &mut Vec<String>,
) -> (Verdict, Vec<String>) {
    let mut unknown = Vec::new();
    let mut outside = Vec::new();
    if claim.metrics.is_empty() {
        unknown.push("the claim has no metric".to_owned());
    }
    if claim.rows != measured.rows {
        outside.push(format!(
            "{} rows were claimed and {} measured",
            claim.rows, measured.rows
        ));
    }
    for row in rows {
        match (row.claimed, row.measured, row.within) {
            (Some(_), None, _) => unknown.push(format!(
                "{} is claimed and no longer measured",
                printable(&row.metric)
            )),
            (None, Some(_), _) => notes.push(format!("{} is measured and not claimed", row.metric)),
            (Some(claimed), Some(now), Some(false)) => outside.push(format!(
                "{} was {claimed} and is {now}, tolerance {}",
                row.metric, row.tolerance
            )),
            (Some(_), Some(_), _) | (None, None, _) => {}
        }
    }
    let elsewhere = !environment.same_class(&claim.environment);
    if elsewhere {
        notes.push(format!(
            "claimed on {}, measured on {}",
            claim.environment.class(),
            environment.class()
        ));
    }
    if !outside.is_empty() && elsewhere {
        outside.push("the claim was measured on another class of hardware".into());
        (Verdict::CannotCompare, outside)
    } else if !outside.is_empty() {
        (Verdict::Fail, outside)
    } else if !unknown.is_empty() {
        (Verdict::CannotCompare, unknown)
    } else {
        (Verdict::Pass, Vec::new())
    }
}

fn rows(claim: Option<&Claim>, measured: &Measured, suite: &Suite) -> Vec<Row> {
    let claimed = claim.map(|claim| &claim.metrics);
    let mut names: BTreeMap<&String, ()> = measured.metrics.keys().map(|name| (name, ())).collect();
    names.extend(
        claimed
            .into_iter()
            .flat_map(BTreeMap::keys)
            .map(|name| (name, ())),
    );
    names.extend(suite.gate.keys().map(|name| (name, ())));
    let row = |name: &String| {
        let claimed = claimed.and_then(|metrics| metrics.get(name)).copied();
        let now = measured.metrics.get(name).copied();
        let tolerance = suite.tolerance.get(name).copied().unwrap_or(0.0);
        let difference = claimed.zip(now).map(|(claimed, now)| now - claimed);
        Row {
            metric: name.clone(),
            claimed,
            measured: now,
            difference,
            tolerance,
            // A gate that cannot be read holds nothing; `suite::check` refuses it before.
            gate: suite.gate.get(name).map(|text| {
                let holds = |gate: Gate| now.is_some_and(|now| gate.holds(now));
                (text.clone(), text.parse().is_ok_and(holds))
            }),
            within: difference.map(|difference| difference.abs() <= tolerance),
        }
    };
    names.into_keys().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::super::text::tests::claim;
    use super::*;
    use crate::base::ObjectId;
    use crate::eval::suite::tests::suite;

    const BASE: &str = "task='classification'\ninput='x'\ntarget='y'\n";

    fn measured() -> Measured {
        let claim = claim();
        Measured {
            rows: claim.rows,
            metrics: claim.metrics,
            ..Measured::default()
        }
    }

    fn off(metric: &str, by: f64) -> Measured {
        let mut measured = measured();
        if let Some(value) = measured.metrics.get_mut(metric) {
            *value += by;
        }
        measured
    }

    fn elsewhere() -> Environment {
        Environment {
            simd: "another".into(),
            ..Environment::here()
        }
    }

    #[test]
    fn the_same_numbers_pass_and_others_do_not() {
        let (claim, here) = (claim(), Environment::here());
        let verdict = |measured: &Measured, more: &str, at: &Environment| {
            judge(
                Some(&claim),
                &claim.key,
                measured,
                &suite(&format!("{BASE}{more}")),
                at,
            )
            .verdict
        };
        let bound = "tolerance = { cross_entropy = 1e-4 }";
        assert_eq!(verdict(&measured(), "", &here), Verdict::Pass);
        assert_eq!(verdict(&measured(), "", &elsewhere()), Verdict::Pass);
        assert_eq!(
            verdict(&off("cross_entropy", 1e-9), "", &here),
            Verdict::Fail
        );
        assert_eq!(
            verdict(&off("cross_entropy", 9e-5), bound, &here),
            Verdict::Pass
        );
        assert_eq!(
            verdict(&off("cross_entropy", 9e-5), bound, &elsewhere()),
            Verdict::Pass
        );
        assert_eq!(
            verdict(&off("cross_entropy", -2e-4), bound, &here),
            Verdict::Fail
        );
        assert_eq!(
            verdict(&off("cross_entropy", -2e-4), bound, &elsewhere()),
            Verdict::CannotCompare
        );
        assert_eq!(
            verdict(&off("correct", f64::NAN), bound, &here),
            Verdict::Fail
        );
        let fewer = Measured {
            rows: 1,
            ..measured()
        };
        assert_eq!(verdict(&fewer, "", &here), Verdict::Fail);
        let mut without = measured();
        without.metrics.remove("correct");
        assert_eq!(verdict(&without, "", &here), Verdict::CannotCompare);
        let nan = Measured {
            nan: 1,
            ..measured()
        };
        assert_eq!(verdict(&nan, "", &here), Verdict::Fail);
        let broken = Measured {
            non_finite: vec!["w".into()],
            ..measured()
        };
        assert_eq!(verdict(&broken, "", &here), Verdict::Fail);
    }

    #[test]
    fn a_claim_of_other_content_is_never_a_pass() {
        let claim = claim();
        let key = Key {
            data: ObjectId::of(b"other"),
            tokenizer: Some(ObjectId::of(b"new")),
            ..claim.key
        };
        for more in ["", "gate = { accuracy = '>= 0.1' }"] {
            let suite = suite(&format!("{BASE}{more}"));
            let outcome = judge(
                Some(&claim),
                &key,
                &measured(),
                &suite,
                &Environment::here(),
            );
            assert_eq!(outcome.verdict, Verdict::CannotCompare);
            assert_eq!(
                outcome.reasons,
                ["the claim speaks of another tokenizer, data"]
            );
        }
    }

    #[test]
    fn gates_fail_where_nothing_is_claimed_and_prove_nothing() {
        let key = claim().key;
        let outcome = |more: &str| {
            judge(
                None,
                &key,
                &measured(),
                &suite(&format!("{BASE}{more}")),
                &Environment::here(),
            )
        };
        assert_eq!(outcome("").verdict, Verdict::CannotCompare);
        let held = outcome("gate = { accuracy = '>= 0.86' }");
        assert_eq!(held.verdict, Verdict::CannotCompare);
        assert!(held.reasons[0].contains("gates hold"), "{held:?}");
        let gates: Vec<_> = held.rows.into_iter().filter_map(|row| row.gate).collect();
        assert_eq!(gates, [(">= 0.86".to_owned(), true)]);
        let failed = outcome("gate = { accuracy = '>= 0.9' }");
        assert_eq!(failed.verdict, Verdict::Fail);
        assert!(
            failed.reasons[0].contains("the suite's gate is >= 0.9"),
            "{failed:?}"
        );
    }

    #[test]
    fn a_failing_gate_fails_a_claim_that_holds() {
        let claim = claim();
        let suite = suite(&format!("{BASE}gate = {{ accuracy = '> 0.99' }}"));
        let outcome = judge(
            Some(&claim),
            &claim.key,
            &measured(),
            &suite,
            &Environment::here(),
        );
        assert_eq!(outcome.verdict, Verdict::Fail);
    }
}
