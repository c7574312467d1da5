//! The inner loops: one block of two tensors to sums.

use super::decode::{decode, round};
use super::distinct::Distinct;
use super::{Result, Stats};
use crate::base::quant::Block;
use crate::base::{Dtype, ReadAt};
use crate::model::view::InOrder;

/// Elements that are widened at a time: both sides stay in the cache next to the core. Whole quantised blocks.
const STEP: usize = 2048;

/// Sums that run side by side, in a fixed pattern.
const LANES: usize = 4;

/// A tensor that is measured.
pub(super) struct Operand<'a> {
    pub(super) bytes: InOrder<'a>,
    pub(super) dtype: &'a Dtype,
    /// What its elements lie in.
    pub(super) block: Block,
    /// False where its elements are bare bytes, whatever its dtype.
    pub(super) numeric: bool,
}

impl Operand<'_> {
    pub(super) fn elements(&self) -> u64 {
        self.bytes.len() / self.block.bytes * self.block.values
    }

    /// How many bytes hold so many elements; the last block may have more.
    fn bytes_of(&self, elements: usize) -> usize {
        elements.div_ceil(self.block.values as usize) * self.block.bytes as usize
    }

    /// Fills `buffer` with what holds `count` elements from `first` on, which begins a block.
    fn read(&self, first: u64, count: usize, buffer: &mut Vec<u8>) -> Result<()> {
        buffer.resize(self.bytes_of(count), 0);
        let at = first / self.block.values * self.block.bytes;
        Ok(self.bytes.read_exact_at(buffer, at)?)
    }

    /// Widens `count` elements; `None` where there are no numbers.
    fn widen<'w>(
        &self,
        bytes: &[u8],
        count: usize,
        wide: &'w mut [f64; STEP],
    ) -> Option<&'w [f64]> {
        let whole = count.next_multiple_of(self.block.values as usize);
        let decoded = self.numeric && decode(self.dtype, bytes, &mut wide[..whole]);
        decoded.then_some(&wide[..count])
    }

    /// Counts the different elements: by their bits, or, where they have none of their own, by their values.
    fn distinct(&self, bytes: &[u8], wide: Option<&[f64]>, to: &mut Distinct) {
        match wide {
            Some(wide) if self.block.values > 1 => to.add_values(wide),
            _ => to.add(bytes, self.block.bytes as usize),
        }
    }
}

/// What is to be measured.
pub(super) struct Work<'a> {
    pub(super) a: Operand<'a>,
    /// The other tensor; without one, the first is measured alone.
    pub(super) b: Option<Operand<'a>>,
}

/// The memory of one thread.
#[derive(Default)]
pub(super) struct Buffers {
    a: Vec<u8>,
    b: Vec<u8>,
}

impl Buffers {
    /// The bytes that the last block was read from.
    pub(super) fn bytes_read(&self) -> u64 {
        (self.a.len() + self.b.len()) as u64
    }
}

/// The figures of some elements, which can be added up.
#[derive(Clone, Debug, Default)]
pub(super) struct Partial {
    sums: Sums,
    changed: u64,
    nan_a: u64,
    nan_b: u64,
    inf_a: u64,
    inf_b: u64,
    new_non_finite: u64,
    rounded: u64,
    distinct_a: Distinct,
    distinct_b: Distinct,
}

/// What the fast loop yields.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    a2: f64,
    b2: f64,
    d2: f64,
    dot: f64,
    max: f64,
    zeros_a: u64,
    zeros_b: u64,
    zeroed: u64,
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.a2 += other.a2;
        self.b2 += other.b2;
        self.d2 += other.d2;
        self.dot += other.dot;
        self.max = self.max.max(other.max);
        self.zeros_a += other.zeros_a;
        self.zeros_b += other.zeros_b;
        self.zeroed += other.zeroed;
    }
}

impl Partial {
    /// Adds the figures of the elements that follow.
    pub(super) fn add(&mut self, next: Self) {
        self.sums.add(&next.sums);
        self.changed += next.changed;
        self.nan_a += next.nan_a;
        self.nan_b += next.nan_b;
        self.inf_a += next.inf_a;
        self.inf_b += next.inf_b;
        self.new_non_finite += next.new_non_finite;
        self.rounded += next.rounded;
        self.distinct_a.merge(&next.distinct_a);
        self.distinct_b.merge(&next.distinct_b);
    }
}

impl Work<'_> {
    /// Measures `count` elements from `first` on.
    pub(super) fn measure(
        &self,
        first: u64,
        count: usize,
        buffers: &mut Buffers,
    ) -> Result<Partial> {
        self.a.read(first, count, &mut buffers.a)?;
        let mut partial = Partial::default();
        let mut wide = Box::new(([0.0; STEP], [0.0; STEP]));
        let a_steps = buffers.a.chunks(self.a.bytes_of(STEP));
        let lengths = (0..count).step_by(STEP).map(|done| STEP.min(count - done));
        let Some(other) = &self.b else {
            for (a, n) in a_steps.zip(lengths) {
                let wide_a = self.a.widen(a, n, &mut wide.0);
                self.a.distinct(a, wide_a, &mut partial.distinct_a);
                if let Some(wide_a) = wide_a {
                    partial.measure_one(wide_a);
                }
            }
            return Ok(partial);
        };
        other.read(first, count, &mut buffers.b)?;
        let b_steps = buffers.b.chunks(other.bytes_of(STEP));
        let casts = self.a.dtype != other.dtype;
        let by_value = casts || self.a.block.values > 1;
        for ((a, b), n) in a_steps.zip(b_steps).zip(lengths) {
            let wide_a = self.a.widen(a, n, &mut wide.0);
            self.a.distinct(a, wide_a, &mut partial.distinct_a);
            if let Some(wide_a) = wide_a
                && !casts
                && a == b
            {
                other.distinct(b, Some(wide_a), &mut partial.distinct_b);
                partial.measure_one(wide_a);
                continue;
            }
            let wide_b = other.widen(b, n, &mut wide.1);
            other.distinct(b, wide_b, &mut partial.distinct_b);
            partial.changed += match (wide_a, wide_b) {
                (Some(a), Some(b)) if by_value => a
                    .iter()
                    .zip(b)
                    .filter(|(a, b)| a != b && !(a.is_nan() && b.is_nan()))
                    .count() as u64,
                _ => differing(a, b, self.a.block.bytes as usize),
            };
            if let (Some(wide_a), Some(wide_b)) = (wide_a, wide_b) {
                partial.measure_two(wide_a, wide_b);
                if casts {
                    partial.rounded += rounded(other.dtype, wide_a, wide_b);
                }
            }
        }
        Ok(partial)
    }

    /// The figures of all elements.
    pub(super) fn stats(&self, elements: u64, whole: Partial) -> Stats {
        let sums = whole.sums;
        let b = self.b.as_ref().unwrap_or(&self.a);
        let casts = self.a.dtype != b.dtype && self.a.dtype.is_real();
        let distinct_a = whole.distinct_a.count();
        let mut stats = Stats {
            elements,
            numeric: self.a.numeric && b.numeric,
            changed: whole.changed,
            max_abs: sums.max,
            nan_a: whole.nan_a,
            nan_b: whole.nan_b,
            inf_a: whole.inf_a,
            inf_b: whole.inf_b,
            new_non_finite: whole.new_non_finite,
            zeros_a: sums.zeros_a,
            zeros_b: sums.zeros_b,
            zeroed: sums.zeroed,
            distinct_a,
            distinct_b: match self.b {
                Some(_) => whole.distinct_b.count(),
                None => distinct_a,
            },
            rounded: (casts && round(b.dtype, 0.0).is_some()).then_some(whole.rounded),
            ..Stats::default()
        };
        stats.set_norms(sums.a2, sums.b2, sums.d2, sums.dot);
        stats
    }
}

impl Partial {
    /// Elements that are the same on both sides.
    fn measure_one(&mut self, a: &[f64]) {
        let mut a2 = [0.0; LANES];
        let mut zeros = [0u64; LANES];
        let (steps, rest) = a.as_chunks::<LANES>();
        for a in steps {
            for lane in 0..LANES {
                a2[lane] += a[lane] * a[lane];
                zeros[lane] += u64::from(a[lane] == 0.0);
            }
        }
        for (lane, a) in rest.iter().enumerate() {
            a2[lane] += a * a;
            zeros[lane] += u64::from(*a == 0.0);
        }
        let (a2, zeros) = (total(a2), zeros.iter().sum());
        if !a2.is_finite() {
            return self.measure_carefully(a, a);
        }
        self.sums.add(&Sums {
            a2,
            b2: a2,
            dot: a2,
            zeros_a: zeros,
            zeros_b: zeros,
            ..Sums::default()
        });
    }

    fn measure_two(&mut self, a: &[f64], b: &[f64]) {
        let sums = fast_sums(a, b);
        // A single NaN or infinity shows in the sums, so that finite blocks pay nothing for it.
        match sums.a2.is_finite() && sums.b2.is_finite() {
            true => self.sums.add(&sums),
            false => self.measure_carefully(a, b),
        }
    }

    /// Elements some of which may be NaN or infinite.
    fn measure_carefully(&mut self, a: &[f64], b: &[f64]) {
        let mut sums = Sums::default();
        for (a, b) in a.iter().zip(b) {
            self.nan_a += u64::from(a.is_nan());
            self.nan_b += u64::from(b.is_nan());
            self.inf_a += u64::from(a.is_infinite());
            self.inf_b += u64::from(b.is_infinite());
            self.new_non_finite += u64::from(a.is_finite() && !b.is_finite());
            if a.is_finite() && b.is_finite() {
                sums.add(&fast_sums(&[*a], &[*b]));
            }
        }
        self.sums.add(&sums);
    }
}

fn fast_sums(a: &[f64], b: &[f64]) -> Sums {
    let mut a2 = [0.0; LANES];
    let mut b2 = [0.0; LANES];
    let mut d2 = [0.0; LANES];
    let mut dot = [0.0; LANES];
    let mut max = [0.0f64; LANES];
    let mut zeros_a = [0u64; LANES];
    let mut zeros_b = [0u64; LANES];
    let mut zeroed = [0u64; LANES];
    let mut one = |lane: usize, a: f64, b: f64| {
        let d = b - a;
        a2[lane] += a * a;
        b2[lane] += b * b;
        d2[lane] += d * d;
        dot[lane] += a * b;
        max[lane] = if d.abs() > max[lane] {
            d.abs()
        } else {
            max[lane]
        };
        zeros_a[lane] += u64::from(a == 0.0);
        zeros_b[lane] += u64::from(b == 0.0);
        zeroed[lane] += u64::from((b == 0.0) & (a != 0.0));
    };
    let (steps_a, rest_a) = a.as_chunks::<LANES>();
    let (steps_b, rest_b) = b.as_chunks::<LANES>();
    for (a, b) in steps_a.iter().zip(steps_b) {
        for lane in 0..LANES {
            one(lane, a[lane], b[lane]);
        }
    }
    for (lane, (a, b)) in rest_a.iter().zip(rest_b).enumerate() {
        one(lane, *a, *b);
    }
    Sums {
        a2: total(a2),
        b2: total(b2),
        d2: total(d2),
        dot: total(dot),
        max: max.into_iter().fold(0.0, f64::max),
        zeros_a: zeros_a.iter().sum(),
        zeros_b: zeros_b.iter().sum(),
        zeroed: zeroed.iter().sum(),
    }
}

fn total(lanes: [f64; LANES]) -> f64 {
    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
}

/// How many elements of `size` bytes differ.
fn differing(a: &[u8], b: &[u8], size: usize) -> u64 {
    fn count<const N: usize>(a: &[u8], b: &[u8]) -> u64 {
        let pairs = a.as_chunks::<N>().0.iter().zip(b.as_chunks::<N>().0);
        pairs.map(|(a, b)| u64::from(a != b)).sum()
    }
    match size {
        1 => count::<1>(a, b),
        2 => count::<2>(a, b),
        4 => count::<4>(a, b),
        8 => count::<8>(a, b),
        _ => {
            let pairs = a.chunks_exact(size).zip(b.chunks_exact(size));
            pairs.filter(|(a, b)| a != b).count() as u64
        }
    }
}

/// How many elements of b are those of a, rounded.
fn rounded(dtype: &Dtype, a: &[f64], b: &[f64]) -> u64 {
    let pairs = a.iter().zip(b);
    let is_rounded = |(a, b): &(&f64, &f64)| {
        a.is_nan() && b.is_nan() || round(dtype, **a).is_some_and(|rounded| rounded == **b)
    };
    pairs.filter(is_rounded).count() as u64
}
