//! What a suite measured.

use std::collections::BTreeMap;

use crate::base::config::Task;

/// What a suite measured.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Measured {
    /// Rows that were computed.
    pub rows: u64,
    /// Finite metrics, by name.
    pub metrics: BTreeMap<String, f64>,
    /// Output numbers that are not a number; with one of them nothing passes.
    pub nan: u64,
    /// Tensors of the weights that hold a NaN or an infinity; with one of them nothing passes.
    pub non_finite: Vec<String>,
    /// Metrics that came out infinite or as no number; with one of them nothing passes.
    pub undefined: Vec<String>,
    /// Tensors of the weights that nothing used.
    pub extra: Vec<String>,
}

/// The metrics that a task measures, sorted.
pub fn names(task: Task) -> &'static [&'static str] {
    match task {
        Task::Classification => &["accuracy", "correct", "cross_entropy"],
        Task::Regression => &["mae", "mse"],
        Task::Reference => &["cosine", "cosine_mean", "max_abs_diff"],
    }
}
