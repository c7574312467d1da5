//! What happened to one tensor.

use serde::Serialize;

use super::{RELATED, percent};
use crate::base::Dtype;
use crate::model::diff::{Change, What};
use crate::model::stats::rank::LowRank;
use crate::model::stats::{Stats, is_decoded, share};

/// Below this share of zeros nobody would speak of pruning.
const PRUNED: f64 = 0.1;

/// Below so many elements few different values mean nothing.
const ENOUGH_TO_QUANTISE: u64 = 4096;

/// Above this relative change, values of a cast are not those that were cast.
const CAST: f64 = 0.15;

/// What happened to one tensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum TensorVerdict {
    /// Nothing.
    Same,
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It has another name.
    Renamed {
        /// The old one.
        from: String,
    },
    /// It has another shape, and its elements do not correspond.
    Reshaped,
    /// It has more or fewer rows.
    Resized {
        /// Rows it had.
        from: u64,
        /// Rows it has.
        to: u64,
        /// Elements of the common rows that changed, as a share.
        changed: f64,
    },
    /// Its dtype changed, its values as far as the new one holds them did not.
    Cast {
        /// The old dtype.
        from: Dtype,
        /// The new one.
        to: Dtype,
        /// Every value is the old one, rounded to nearest; `None` where that is not worked out.
        exact: Option<bool>,
    },
    /// Its values are few now.
    Quantised {
        /// The new dtype.
        to: Dtype,
        /// How many different ones, where it was counted.
        values: Option<u32>,
    },
    /// Many of its values are zero now.
    Pruned {
        /// The share that is not.
        nonzero: f64,
        /// The others changed as well.
        tuned: bool,
    },
    /// The difference is a product of thin matrices.
    LowRank {
        /// How thin.
        rank: usize,
    },
    /// Its values moved.
    Tuned {
        /// ||b - a|| / ||a||; `None` where it was all zero.
        rel_l2: Option<f64>,
    },
    /// Its values have little to do with the old ones.
    Replaced,
    /// It changed, and its dtype is one whose bytes are not read as numbers.
    NotDecoded {
        /// That dtype.
        dtype: Dtype,
    },
    /// It changed, and no figures say how.
    Changed,
}

impl TensorVerdict {
    /// Judges one tensor; `stats` and `low_rank` where they were worked out.
    pub fn of(change: &Change, stats: Option<&Stats>, low_rank: Option<&LowRank>) -> Self {
        let (Some(before), Some(after)) = (&change.before, &change.after) else {
            return match change.before {
                None => Self::Added,
                Some(_) => Self::Removed,
            };
        };
        match change.what {
            What::Same => return Self::Same,
            What::Added => return Self::Added,
            What::Removed => return Self::Removed,
            What::Renamed => {
                let from = before.name.clone();
                return Self::Renamed { from };
            }
            What::Changed | What::Dtype | What::Shape => {}
        }
        let Some(stats) = stats.filter(|stats| stats.numeric) else {
            return match change.what {
                What::Shape => Self::Reshaped,
                _ => [&after.dtype, &before.dtype]
                    .into_iter()
                    .find(|dtype| !is_decoded(dtype))
                    .map_or(Self::Changed, |dtype| Self::NotDecoded {
                        dtype: dtype.clone(),
                    }),
            };
        };
        if before.shape != after.shape {
            return match (before.shape.as_slice(), after.shape.as_slice()) {
                ([from, a @ ..], [to, b @ ..]) if a == b && from != to => Self::Resized {
                    from: *from,
                    to: *to,
                    changed: stats.changed_share(),
                },
                _ => Self::Reshaped,
            };
        }
        let nonzero = 1.0 - share(stats.zeros_b, stats.elements);
        let few = |distinct: Option<u32>| distinct.filter(|_| stats.elements >= ENOUGH_TO_QUANTISE);
        let from_real = before.dtype.is_real();
        if from_real && !after.dtype.is_real() {
            return Self::Quantised {
                to: after.dtype.clone(),
                values: stats.distinct_b,
            };
        }
        let related = stats.cosine.is_none_or(|cosine| cosine >= RELATED);
        if from_real
            && matches!(after.dtype, Dtype::Quant(_))
            && before.dtype != after.dtype
            && related
        {
            return Self::Quantised {
                to: after.dtype.clone(),
                values: None,
            };
        }
        if let (None, Some(values)) = (few(stats.distinct_a), few(stats.distinct_b))
            && from_real
            && stats.elements >= ENOUGH_TO_QUANTISE
            && nonzero > 0.05
        {
            return Self::Quantised {
                to: after.dtype.clone(),
                values: Some(values),
            };
        }
        let new_zeros = share(stats.zeroed, stats.elements);
        if from_real && new_zeros >= PRUNED {
            let others = share(stats.changed.saturating_sub(stats.zeroed), stats.elements);
            let cast = before.dtype != after.dtype;
            return Self::Pruned {
                nonzero,
                tuned: others > 0.01 && !cast,
            };
        }
        if before.dtype != after.dtype && stats.rel_l2.is_some_and(|rel| rel <= CAST) {
            return Self::Cast {
                from: before.dtype.clone(),
                to: after.dtype.clone(),
                exact: match stats.changed {
                    0 => Some(true),
                    _ => stats.rounded.map(|rounded| rounded == stats.elements),
                },
            };
        }
        if !from_real {
            return Self::Changed;
        }
        match low_rank {
            Some(low) => Self::LowRank { rank: low.rank },
            None if !related => Self::Replaced,
            None => Self::Tuned {
                rel_l2: stats.rel_l2,
            },
        }
    }

    /// True where the figures beside it say all that the words would.
    pub fn is_said_by_figures(&self) -> bool {
        match self {
            Self::Same | Self::Tuned { rel_l2: Some(_) } | Self::Changed => true,
            Self::Added
            | Self::Removed
            | Self::Renamed { .. }
            | Self::Reshaped
            | Self::Resized { .. }
            | Self::Cast { .. }
            | Self::Quantised { .. }
            | Self::Pruned { .. }
            | Self::LowRank { .. }
            | Self::Tuned { rel_l2: None }
            | Self::NotDecoded { .. }
            | Self::Replaced => false,
        }
    }

    /// The verdict in a few words.
    pub fn words(&self) -> String {
        match self {
            Self::Same => "same".into(),
            Self::Added => "added".into(),
            Self::Removed => "removed".into(),
            Self::Renamed { from } => format!("renamed from {}", crate::base::text::quote(from)),
            Self::Reshaped => "reshaped".into(),
            Self::Resized { from, to, .. } => format!("resized {from} -> {to} rows"),
            Self::Cast { from, to, exact } => {
                let how = match exact {
                    Some(true) => " (exact rounding)",
                    Some(false) => " (lossy)",
                    None => "",
                };
                format!("cast {from} -> {to}{how}")
            }
            Self::Quantised { to, values } => match values {
                Some(values) => format!("quantised to {values} values of {to}"),
                None => format!("quantised to {to}"),
            },
            Self::Pruned { nonzero, tuned } => {
                let and = if *tuned { ", and tuned" } else { "" };
                format!("pruned to {} non-zero{and}", percent(*nonzero))
            }
            Self::LowRank { rank } => format!("low-rank update (rank <= {rank})"),
            Self::Tuned { rel_l2 } => match rel_l2 {
                Some(rel) => format!("rel. change {rel:.1e}"),
                None => "was all zero".into(),
            },
            Self::Replaced => "replaced".into(),
            Self::NotDecoded { dtype } => format!("{dtype} is not decoded"),
            Self::Changed => "changed".into(),
        }
    }
}
