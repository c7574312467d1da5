//! Is the difference of two matrices of low rank, as after merging a LoRA?
//!
//! A bounded sketch answers: some rows of the difference, each multiplied with a few random vectors of +1 and -1.
//! The energy that the sketch holds in few directions is then, but for a small error, that of the difference. The
//! vectors come from a fixed seed, so the answer is the same every time.

use super::decode::decode;
use super::{Input, Result, StatsError};
use crate::base::{Progress, ReadAt};

/// Random vectors; ranks of up to half as many can be told.
const PROBES: usize = 64;

/// The most rows that are looked at.
const ROWS: u64 = 512;

/// After so many rows most differences show that they are of no low rank.
const EARLY: u64 = 128;

/// The longest rows that are looked at.
const COLUMNS: u64 = 1 << 17;

/// Energy of the difference that may lie outside of the few directions: what rounding to F32 leaves.
const REST: f64 = 1e-3;

/// A difference of low rank.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct LowRank {
    /// The smallest number of directions that hold nearly all of the difference.
    pub rank: usize,
    /// The share of its energy that they hold.
    pub held: f64,
}

/// The rank of `b - a` where it is low: at most a quarter of the smaller side and half of the probes. `None`
/// where it is not, or where this cannot be told: no matrices of numbers of the same shape, or rows too long.
pub fn of_difference(
    a: &Input<'_>,
    b: &Input<'_>,
    progress: &dyn Progress,
) -> Result<Option<LowRank>> {
    let &[rows, columns] = a.shape else {
        return Ok(None);
    };
    let (Some(a_size), Some(b_size)) = (a.dtype.size(), b.dtype.size()) else {
        return Ok(None);
    };
    let floats = a.dtype.is_float() && b.dtype.is_float();
    let most = (rows.min(columns) / 4).min(PROBES as u64 / 2) as usize;
    if a.shape != b.shape || !floats || most == 0 || columns > COLUMNS {
        return Ok(None);
    }
    let (a_bytes, b_bytes) = (a.open()?.bytes, b.open()?.bytes);
    let columns = columns as usize;
    let (mut a_row, mut b_row) = (vec![0; columns * a_size], vec![0; columns * b_size]);
    let (mut a_wide, mut b_wide) = (vec![0.0; columns], vec![0.0; columns]);
    let taken = rows.min(ROWS);
    let mut gram = Gram::default();
    for i in 0..taken {
        if progress.cancelled() {
            return Err(StatsError::Cancelled);
        }
        // Evenly spread, so that a change of some rows only is not missed.
        let row = (u128::from(i) * u128::from(rows) / u128::from(taken)) as u64;
        let (a_at, b_at) = (row * a_row.len() as u64, row * b_row.len() as u64);
        a_bytes.read_exact_at(&mut a_row, a_at)?;
        b_bytes.read_exact_at(&mut b_row, b_at)?;
        decode(a.dtype, &a_row, &mut a_wide);
        decode(b.dtype, &b_row, &mut b_wide);
        let mut sketch = [0.0; PROBES];
        for (j, (a, b)) in a_wide.iter().zip(&b_wide).enumerate() {
            let d = b - a;
            if d != 0.0 && d.is_finite() {
                let signs = signs(j as u64);
                for (p, y) in sketch.iter_mut().enumerate() {
                    *y += f64::from_bits(d.to_bits() ^ ((signs >> p & 1) << 63));
                }
            }
        }
        gram.add(&sketch);
        // A part of the rows is of no higher rank than all are. Where they did not change, it says nothing.
        if i + 1 == EARLY
            && gram.energy() > 0.0
            && lowest(&gram.clone().eigenvalues(), most).is_none()
        {
            return Ok(None);
        }
    }
    Ok(lowest(&gram.eigenvalues(), most))
}

/// The smallest number of directions that hold all but [`REST`] of the energy, up to `most`.
fn lowest(values: &[f64], most: usize) -> Option<LowRank> {
    let whole: f64 = values.iter().sum();
    if whole <= 0.0 || !whole.is_finite() {
        return None;
    }
    for rank in 1..=most.min(values.len() / 2) {
        // Noise spreads evenly over all directions of the sketch, so that some of it lies in the first ones too.
        let rest: f64 = values.iter().skip(rank).sum();
        let noise = rest * values.len() as f64 / (values.len() - rank) as f64;
        if noise <= whole * REST {
            let held = 1.0 - noise / whole;
            return Some(LowRank { rank, held });
        }
    }
    None
}

/// 64 signs for a column: splitmix64 of its index.
fn signs(column: u64) -> u64 {
    let mut z = column.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// The sum of the outer products of all sketched rows.
#[derive(Clone)]
struct Gram([[f64; PROBES]; PROBES]);

impl Default for Gram {
    fn default() -> Self {
        Self([[0.0; PROBES]; PROBES])
    }
}

impl Gram {
    fn add(&mut self, sketch: &[f64; PROBES]) {
        for (row, y) in self.0.iter_mut().zip(sketch) {
            for (g, z) in row.iter_mut().zip(sketch) {
                *g += y * z;
            }
        }
    }

    /// The sum of its eigenvalues.
    fn energy(&self) -> f64 {
        self.0
            .iter()
            .enumerate()
            .filter_map(|(i, row)| row.get(i))
            .sum()
    }

    /// Its eigenvalues from the largest down, by Jacobi's rotations.
    fn eigenvalues(mut self) -> Vec<f64> {
        let m = &mut self.0;
        for _ in 0..30 {
            let off = |m: &[[f64; PROBES]; PROBES]| -> (f64, f64) {
                let mut sums = (0.0, 0.0);
                for (i, row) in m.iter().enumerate() {
                    for (j, x) in row.iter().enumerate() {
                        if i == j {
                            sums.1 += x * x;
                        } else {
                            sums.0 += x * x;
                        }
                    }
                }
                sums
            };
            let (outside, inside) = off(m);
            if outside <= inside * 1e-24 {
                break;
            }
            for p in 0..PROBES {
                for q in p + 1..PROBES {
                    rotate(m, p, q);
                }
            }
        }
        let mut values: Vec<f64> = (0..PROBES).map(|i| m[i][i].max(0.0)).collect();
        values.sort_by(|x, y| y.total_cmp(x));
        values
    }
}

/// Turns the plane of two axes so that the element between them vanishes.
fn rotate(m: &mut [[f64; PROBES]; PROBES], p: usize, q: usize) {
    if m[p][q] == 0.0 {
        return;
    }
    let theta = (m[q][q] - m[p][p]) / (2.0 * m[p][q]);
    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    for row in m.iter_mut() {
        let (x, y) = (row[p], row[q]);
        row[p] = c * x - s * y;
        row[q] = s * x + c * y;
    }
    let (upper, lower) = m.split_at_mut(q);
    if let (Some(first), Some(second)) = (upper.get_mut(p), lower.first_mut()) {
        for (x, y) in first.iter_mut().zip(second) {
            (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
        }
    }
}
