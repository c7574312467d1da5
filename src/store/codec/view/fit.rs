//! The right factor of an object: the directions in which its rows moved most, by a sample of rows.
//!
//! They are the leading right singular vectors of the steps, found by a randomised range finder with one power
//! iteration (Halko, Martinsson, Tropp, SIAM Review 53(2), 2011). How many of them there are, and how finely their
//! numbers are rounded, follows from what they save: a direction that holds a share of the steps' variance saves half
//! the logarithm of what is left without it, for every number, and costs some bits for every row and column.

use super::super::machine::{self, Machine, Work};
use super::Conversion;
use super::factors::{LARGEST, MOST, NARROWEST, RANKS, Ranks, Right};
use super::project::Differences;

/// What a number of a factor takes, in bits, as measured.
const BITS: f32 = 3.5;

/// Rows of steps, from all over a matrix.
pub(in crate::store) struct Sample {
    columns: usize,
    /// How many rows the whole matrix has.
    rows: f32,
    steps: Vec<f32>,
    /// How many sampled numbers have a last place of 2^(i - 160).
    places: [u32; 320],
}

impl Sample {
    /// An empty sample of a matrix, if it is one that may have factors.
    pub(in crate::store) fn new(columns: u64, numbers: u64) -> Option<Self> {
        let (columns, rows) = (usize::try_from(columns).ok()?, numbers / columns.max(1));
        let fits = (NARROWEST..=MOST / RANKS).contains(&columns) && rows >= NARROWEST as u64;
        fits.then(|| Self {
            columns,
            rows: rows as f32,
            steps: Vec::new(),
            places: [0; 320],
        })
    }

    /// Adds whole rows of `raw`, the bytes of the matrix from `offset` on, until the sample has `most` numbers.
    pub(in crate::store) fn add(
        &mut self,
        conversion: &Conversion,
        raw: &[u8],
        base: &[u8],
        offset: u64,
        most: usize,
    ) {
        let numbers = raw.len() / conversion.to.width();
        let first = (offset / conversion.to.width() as u64 % self.columns as u64) as usize;
        let mut at = (self.columns - first) % self.columns;
        let mut differences = Differences::new(conversion, raw, base);
        while at + self.columns <= numbers && self.steps.len() + self.columns <= most {
            for start in (0..self.columns).step_by(1024) {
                let count = (self.columns - start).min(1024);
                self.steps.extend(differences.take(at + start, count));
            }
            at += self.columns;
        }
        let mut wide = [0];
        for bytes in raw.chunks_exact(conversion.to.width()).step_by(16) {
            conversion.to.widen(bytes, &mut wide);
            let exponent = (wide[0] >> 23 & 0xff).max(1) as usize;
            self.places[exponent + 160 - 127 - conversion.to.precision()] += 1;
        }
    }
}

/// The directions that pay, if there are any.
pub(super) fn fit(sample: &Sample) -> Option<Right> {
    let rows = sample.steps.len() / sample.columns;
    if rows < NARROWEST {
        return None;
    }
    let mut found = machine::fastest(Finding { sample });
    let energies = rotate(&mut found);
    let numbers = sample.steps.len() as f32;
    let total: f64 = sample.steps.iter().map(|x| f64::from(x * x)).sum();
    let mut left = (total / f64::from(numbers)) as f32;
    let mut variances = Vec::new();
    for energy in energies {
        // A direction fits its sample better than the rest, by about what any other direction of it would.
        let bias = if rows as f32 * 1.5 < sample.rows {
            left / rows as f32
        } else {
            0.0
        };
        let variance = energy / numbers - bias;
        let rest = left - variance;
        let saved = sample.rows * sample.columns as f32 * sample.bits(left, rest);
        if !(variance > 0.0 && saved > BITS * (sample.rows + sample.columns as f32)) {
            break;
        }
        variances.push(variance);
        left = rest.max(left * 1e-9);
    }
    match variances.is_empty() {
        true => None,
        false => round(sample, &found, &variances, left),
    }
}

impl Sample {
    /// What a number takes less where the variance of its step falls, in bits.
    fn bits(&self, before: f32, after: f32) -> f32 {
        self.mean(|noise| 0.5 * ((before + noise) / (after.max(0.0) + noise)).log2())
    }

    /// The variance that matters: that of the steps and of what they are rounded to.
    fn effective(&self, variance: f32) -> f32 {
        self.mean(|noise| (variance + noise).log2()).exp2()
    }

    /// The mean over numbers of something that depends on the noise of their last places.
    fn mean(&self, of: impl Fn(f32) -> f32) -> f32 {
        let total: u32 = self.places.iter().sum();
        let places = self.places.iter().enumerate();
        let seen = places.filter(|(_, count)| **count > 0);
        let sum: f32 = seen
            .map(|(place, count)| *count as f32 * of(noise(place)))
            .sum();
        sum / total.max(1) as f32
    }
}

/// The variance below which the steps of numbers are no longer told apart: that of two roundings.
fn noise(place: usize) -> f32 {
    (place as f32 - 160.0).exp2().powi(2) / 6.0 + f32::MIN_POSITIVE
}

/// Orthogonal directions, a number for each column and direction, and the energies of the rows in them.
struct Found {
    columns: Vec<Ranks>,
    gram: [[f64; RANKS]; RANKS],
}

struct Finding<'a> {
    sample: &'a Sample,
}

impl Work for Finding<'_> {
    type Output = Found;

    #[inline(always)]
    fn run<M: Machine>(self, machine: M) -> Found {
        let Sample { columns, steps, .. } = self.sample;
        let mut state = 1u32;
        let mut random = || {
            state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            (state >> 9) as f32 / (1 << 23) as f32 - 0.5
        };
        let mut directions = vec![[0.0; RANKS]; *columns];
        for row in steps.chunks_exact(*columns) {
            add_row(&mut directions, row, &std::array::from_fn(|_| random()));
        }
        orthogonalise(&mut directions);
        let mut better = vec![[0.0; RANKS]; *columns];
        for row in steps.chunks_exact(*columns) {
            let sums = dot(machine, &directions, row);
            add_row(&mut better, row, &sums);
        }
        orthogonalise(&mut better);
        let mut gram = [[0.0; RANKS]; RANKS];
        for row in steps.chunks_exact(*columns) {
            let sums = dot(machine, &better, row).map(f64::from);
            for (line, x) in gram.iter_mut().zip(&sums) {
                line.iter_mut()
                    .zip(&sums)
                    .for_each(|(sum, y)| *sum += x * y);
            }
        }
        Found {
            columns: better,
            gram,
        }
    }
}

/// A row's product with each direction.
#[inline(always)]
fn dot<M: Machine>(machine: M, directions: &[Ranks], row: &[f32]) -> Ranks {
    let mut sums = [0.0; RANKS];
    machine.project(row, directions, RANKS, &mut sums);
    sums
}

/// Adds a row to each direction, so many times.
#[inline(always)]
fn add_row(directions: &mut [Ranks], row: &[f32], times: &Ranks) {
    for (direction, step) in directions.iter_mut().zip(row) {
        direction
            .iter_mut()
            .zip(times)
            .for_each(|(x, times)| *x += step * times);
    }
}

/// Makes directions orthogonal and of length 1 (Gram-Schmidt); those that say nothing new become zero.
#[inline(always)]
fn orthogonalise(directions: &mut [Ranks]) {
    for this in 0..RANKS {
        let mut products = [0.0f64; RANKS];
        for direction in &*directions {
            let x = f64::from(direction[this]);
            products
                .iter_mut()
                .zip(direction)
                .for_each(|(sum, y)| *sum += x * f64::from(*y));
        }
        let before = products[this];
        let products = products.map(|product| product as f32);
        let mut square = 0.0f64;
        for direction in &mut *directions {
            let along: f32 = direction
                .iter()
                .zip(&products)
                .take(this)
                .map(|(x, p)| x * p)
                .sum();
            direction[this] -= along;
            square += f64::from(direction[this]).powi(2);
        }
        let scale = match square > before * 1e-10 && square > 0.0 {
            true => square.sqrt().recip() as f32,
            false => 0.0,
        };
        directions
            .iter_mut()
            .for_each(|direction| direction[this] *= scale);
    }
}

/// Turns directions so that the rows' energies in them do not mix, the greatest first; these energies.
fn rotate(found: &mut Found) -> Ranks {
    let (values, vectors) = eigen(&mut found.gram);
    let mut order: [usize; RANKS] = std::array::from_fn(|i| i);
    order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
    for direction in &mut found.columns {
        let old = *direction;
        *direction = order.map(|to| {
            (0..RANKS)
                .map(|from| old[from] * vectors[from][to] as f32)
                .sum()
        });
    }
    order.map(|at| values[at] as f32)
}

type Square = [[f64; RANKS]; RANKS];

/// Eigenvalues and, as columns, eigenvectors of a symmetric matrix, by Jacobi's rotations.
fn eigen(matrix: &mut Square) -> ([f64; RANKS], Box<Square>) {
    let mut vectors: Box<Square> = Box::new(std::array::from_fn(|i| {
        std::array::from_fn(|j| f64::from(u8::from(i == j)))
    }));
    for _ in 0..12 {
        for p in 0..RANKS {
            for q in p + 1..RANKS {
                let off = matrix[p][q];
                if off.abs() <= 1e-12 * (matrix[p][p] * matrix[q][q]).abs().sqrt() {
                    continue;
                }
                let theta = (matrix[q][q] - matrix[p][p]) / (2.0 * off);
                let tangent = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let cosine = (tangent * tangent + 1.0).sqrt().recip();
                let sine = tangent * cosine;
                let turn = |x: &mut f64, y: &mut f64| {
                    (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
                };
                for line in &mut *matrix {
                    let (mut x, mut y) = (line[p], line[q]);
                    turn(&mut x, &mut y);
                    (line[p], line[q]) = (x, y);
                }
                let (head, tail) = matrix.split_at_mut(q);
                head[p]
                    .iter_mut()
                    .zip(&mut tail[0])
                    .for_each(|(x, y)| turn(x, y));
                for line in &mut *vectors {
                    let (mut x, mut y) = (line[p], line[q]);
                    turn(&mut x, &mut y);
                    (line[p], line[q]) = (x, y);
                }
            }
        }
    }
    (std::array::from_fn(|i| matrix[i][i]), vectors)
}

/// Rounds the directions: as coarsely as what is then missed costs about what is saved.
///
/// A number of either factor that is off by an error spoils as many numbers as there are columns or rows, so that the
/// best steps are sqrt(12 v / columns) for the left factor and sqrt(12 v / (rows s)) for the right one, where v is the
/// variance that is left, s is that of the direction, and directions have a mean square of 1. All products share one
/// scale; what a direction's steps would have been otherwise is shared out evenly.
fn round(sample: &Sample, found: &Found, variances: &[f32], left: f32) -> Option<Right> {
    let columns = sample.columns as f32;
    let left = sample.effective(left);
    let best: Vec<(f32, f32)> = variances
        .iter()
        .map(|variance| {
            let of_left = (6.0 * left / columns).sqrt();
            (of_left, (6.0 * left / (sample.rows * variance)).sqrt())
        })
        .collect();
    let logs: f32 = best.iter().map(|(a, b)| (a * b).log2()).sum();
    let mut scale = (logs / best.len() as f32).exp2();
    // No number may be beyond the largest.
    let largest = |rank: usize| {
        let values = found.columns.iter().map(|column| column[rank].abs());
        values.fold(0.0, f32::max) * columns.sqrt()
    };
    let limit = f32::from(LARGEST);
    for (rank, variance) in variances.iter().enumerate() {
        scale = scale.max(8.0 * variance.sqrt() * largest(rank) / (limit * limit));
    }
    if !(scale.is_finite() && scale > 0.0) {
        return None;
    }
    let exponent = scale.log2().ceil();
    let scale = exponent.exp2();
    let steps: Vec<f32> = best
        .iter()
        .enumerate()
        .map(|(rank, (a, b))| {
            let step = b * (scale / (a * b)).sqrt();
            // Both factors within their range.
            let lower = largest(rank) / limit;
            let upper = scale * limit / (8.0 * variances[rank].sqrt());
            step.max(lower).min(upper.max(lower))
        })
        .collect();
    let exponent = (-126.0..=100.0)
        .contains(&exponent)
        .then_some(exponent as i8)?;
    let root = columns.sqrt();
    let value = |rank: usize, column: usize| {
        let value = found.columns[column][rank] * root / steps[rank];
        value.round().clamp(-limit, limit) as i16
    };
    Some(Right::new(sample.columns, variances.len(), exponent, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvectors_are_those_of_the_matrix() {
        let entry =
            |i: usize, j: usize| ((i * 7 + j * 13) % 11) as f64 + ((j * 7 + i * 13) % 11) as f64;
        let matrix: Square = std::array::from_fn(|i| std::array::from_fn(|j| entry(i, j)));
        let (values, vectors) = eigen(&mut matrix.clone());
        for (at, value) in values.iter().enumerate() {
            for line in 0..RANKS {
                let product: f64 = (0..RANKS).map(|j| matrix[line][j] * vectors[j][at]).sum();
                assert!((product - value * vectors[line][at]).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn noise_has_no_direction_that_pays() {
        let mut sample = Sample::new(128, 128 * 512).expect("a matrix");
        let conversion = Conversion {
            from: super::super::Format::F32,
            to: super::super::Format::F32,
            factor: 1.0,
        };
        let mut state = 7u32;
        let mut noise = || {
            state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        let base: Vec<u8> = (0..128 * 512).flat_map(|_| noise().to_le_bytes()).collect();
        let raw: Vec<u8> = (0..128 * 512).flat_map(|_| noise().to_le_bytes()).collect();
        sample.add(&conversion, &raw, &base, 0, 1 << 18);
        assert_eq!(sample.steps.len(), 128 * 512);
        assert_eq!(fit(&sample), None);
    }
}
