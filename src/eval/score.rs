//! Metrics from a model's outputs: plain arithmetic in F64, in row order, so that they repeat exactly.

use super::metrics::Measured;

/// Accuracy, correct ones and mean cross-entropy (natural logarithm) of `logits`, `classes` to a row.
///
/// The largest logit is the answer, the first of equal ones; a row with a NaN is wrong. Each label is below
/// `classes`, and there is one per row.
pub(crate) fn classification(logits: &[f32], classes: usize, labels: &[usize]) -> Measured {
    let mut correct = 0u64;
    let mut loss = 0.0f64;
    for (row, label) in logits.chunks_exact(classes.max(1)).zip(labels) {
        correct += u64::from(argmax(row) == Some(*label));
        let max = row
            .iter()
            .fold(f64::NEG_INFINITY, |max, v| max.max((*v).into()));
        // The largest logit is taken out, so that no exponential overflows.
        let sum: f64 = row.iter().map(|v| (f64::from(*v) - max).exp()).sum();
        let own = row.get(*label).map_or(f64::NAN, |v| (*v).into());
        loss += sum.ln() + max - own;
    }
    let rows = labels.len() as f64;
    measured(
        labels.len() as u64,
        logits,
        &[
            ("accuracy", correct as f64 / rows),
            ("correct", correct as f64),
            ("cross_entropy", loss / rows),
        ],
    )
}

/// The place of the largest number, the first of equal ones; none where a NaN is among them.
pub(crate) fn argmax(row: &[f32]) -> Option<usize> {
    let mut best: Option<(usize, f32)> = None;
    for (index, value) in row.iter().enumerate() {
        if value.is_nan() {
            return None;
        }
        if best.is_none_or(|(_, largest)| *value > largest) {
            best = Some((index, *value));
        }
    }
    best.map(|(index, _)| index)
}

/// Mean squared and mean absolute error over all numbers of all rows.
pub(crate) fn regression(outputs: &[f32], targets: &[f32], rows: u64) -> Measured {
    let (mut squares, mut absolutes) = (0.0f64, 0.0f64);
    for (output, target) in outputs.iter().zip(targets) {
        let difference = f64::from(*output) - f64::from(*target);
        squares += difference * difference;
        absolutes += difference.abs();
    }
    let count = outputs.len() as f64;
    measured(
        rows,
        outputs,
        &[("mse", squares / count), ("mae", absolutes / count)],
    )
}

/// How far outputs are from outputs that another framework wrote down: the largest absolute difference, and
/// the smallest and the mean cosine of a row.
///
/// Two rows of zeros have cosine 1, a row of zeros and any other 0.
pub(crate) fn reference(outputs: &[f32], targets: &[f32], width: usize) -> Measured {
    let mut largest = 0.0f64;
    let (mut smallest, mut sum, mut rows) = (f64::INFINITY, 0.0f64, 0u64);
    let width = width.max(1);
    for (output, target) in outputs.chunks_exact(width).zip(targets.chunks_exact(width)) {
        let (mut dot, mut left, mut right) = (0.0f64, 0.0f64, 0.0f64);
        for (a, b) in output.iter().zip(target) {
            let (a, b) = (f64::from(*a), f64::from(*b));
            let difference = (a - b).abs();
            largest = keeping_nan(f64::max, largest, difference);
            dot += a * b;
            left += a * a;
            right += b * b;
        }
        let cosine = match (left == 0.0, right == 0.0) {
            _ if left.is_nan() || right.is_nan() => f64::NAN,
            (true, true) => 1.0,
            (true, false) | (false, true) => 0.0,
            (false, false) => (dot / (left.sqrt() * right.sqrt())).clamp(-1.0, 1.0),
        };
        smallest = keeping_nan(f64::min, smallest, cosine);
        sum += cosine;
        rows += 1;
    }
    measured(
        rows,
        outputs,
        &[
            ("max_abs_diff", largest),
            ("cosine", smallest),
            ("cosine_mean", sum / rows as f64),
        ],
    )
}

/// The larger or the smaller of two; a NaN stays one, where `f64::max` and `f64::min` would drop it.
fn keeping_nan(of: fn(f64, f64) -> f64, a: f64, b: f64) -> f64 {
    match a.is_nan() || b.is_nan() {
        true => f64::NAN,
        false => of(a, b),
    }
}

/// What was measured, with whatever is no finite number kept apart.
fn measured(rows: u64, outputs: &[f32], metrics: &[(&str, f64)]) -> Measured {
    let (finite, undefined): (Vec<_>, Vec<_>) =
        metrics.iter().partition(|(_, value)| value.is_finite());
    Measured {
        rows,
        metrics: finite
            .iter()
            .map(|(name, value)| ((*name).to_owned(), *value))
            .collect(),
        nan: outputs.iter().filter(|value| value.is_nan()).count() as u64,
        undefined: undefined
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect(),
        ..Measured::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} and {b}");
    }

    #[test]
    fn classification_agrees_with_hand_arithmetic() {
        let measured = classification(&[0.0, 0.0, 1000.0, 0.0, 2.0, 2.0], 2, &[1, 0, 1]);
        // ln 2 for the first row and the last, 0 for the second; ties go to the first class.
        close(measured.metrics["cross_entropy"], 2.0 * 2.0f64.ln() / 3.0);
        close(measured.metrics["correct"], 1.0);
        close(measured.metrics["accuracy"], 1.0 / 3.0);
        assert_eq!((measured.rows, measured.nan), (3, 0));
    }

    #[test]
    fn masked_classes_are_no_error_and_nan_is() {
        let masked = classification(&[1.0, f32::NEG_INFINITY], 2, &[0]);
        assert_eq!((masked.nan, masked.undefined.len()), (0, 0));
        close(masked.metrics["cross_entropy"], 0.0);
        let broken = classification(&[1.0, f32::NAN, 1.0, 0.0], 2, &[0, 0]);
        assert_eq!(
            (broken.nan, &broken.undefined[..]),
            (1, &["cross_entropy".to_owned()][..])
        );
        close(broken.metrics["correct"], 1.0);
    }

    #[test]
    fn regression_and_reference_agree_with_hand_arithmetic() {
        let measured = regression(&[1.0, 2.0], &[0.0, 4.0], 2);
        close(measured.metrics["mse"], 2.5);
        close(measured.metrics["mae"], 1.5);

        let measured = reference(&[1.0, 0.0, 0.0, 0.0], &[0.0, 2.0, 0.0, 0.0], 2);
        close(measured.metrics["max_abs_diff"], 2.0);
        close(measured.metrics["cosine"], 0.0);
        close(measured.metrics["cosine_mean"], 0.5);
    }

    #[test]
    fn a_nan_is_never_lost_in_a_maximum() {
        let measured = reference(&[f32::NAN, 0.0, 1.0, 1.0], &[0.0; 4], 2);
        assert_eq!(measured.nan, 1);
        assert!(
            measured.undefined.contains(&"max_abs_diff".to_owned()),
            "{measured:?}"
        );
        assert!(!measured.metrics.contains_key("cosine_mean"));
    }
}
