//! How far two tensors are apart, in numbers.
//!
//! Tensors are streamed in blocks of a fixed size, sums are taken in F64 and added up in the order of the blocks:
//! the figures do not depend on the number of threads. Memory is bounded by threads x block.

mod decode;
mod distinct;
mod kernel;
mod quant;
pub mod rank;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use super::manifest::Entry;
use super::view::Strided;
use crate::base::quant::Block;
use crate::base::{Dtype, Failure, Kind, Progress, ReadAt};
use kernel::{Operand, Partial, Work};

/// Elements per block that a thread takes: a chunk of the store for 4-byte elements, and whole quantised blocks.
const BLOCK: u64 = 256 << 10;

/// True for dtypes whose bytes are read as numbers here. Tensors of others are compared by their bytes alone.
pub fn is_decoded(dtype: &Dtype) -> bool {
    decode::is_decoded(dtype)
}

/// A tensor to read.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// What holds its bytes.
    pub source: &'a dyn ReadAt,
    /// Where it begins in the source.
    pub offset: u64,
    /// Its length in bytes, from the first to the last.
    pub bytes: u64,
    /// How its bytes are read.
    pub dtype: &'a Dtype,
    /// Its sides.
    pub shape: &'a [u64],
    /// Elements from one index to the next, per side; `None` where it lies whole and in order.
    pub strides: Option<&'a [u64]>,
}

impl<'a> Input<'a> {
    /// A tensor in its weights file.
    pub fn in_file(file: &'a dyn ReadAt, entry: &'a Entry) -> Self {
        Self::at(file, entry.location.offset, entry)
    }

    /// A tensor in the object that [`Location::object`](super::Location::object) names.
    pub fn in_object(object: &'a dyn ReadAt, entry: &'a Entry) -> Self {
        Self::at(object, entry.location.within, entry)
    }

    fn at(source: &'a dyn ReadAt, offset: u64, entry: &'a Entry) -> Self {
        Self {
            source,
            offset,
            bytes: entry.location.bytes,
            dtype: &entry.dtype,
            shape: &entry.shape,
            strides: entry.location.strides.as_deref(),
        }
    }

    /// Its bytes in order, and what an element is: a byte where the dtype is not decoded, and where quantised bytes
    /// are not as many as the sides need; a part of complex numbers.
    fn open(&self) -> Result<Operand<'a>> {
        let byte = Block {
            values: 1,
            bytes: 1,
        };
        let (element, numeric) = match self.dtype {
            Dtype::C64 => (Some(Dtype::F32.block().unwrap_or(byte)), true),
            Dtype::C128 => (Some(Dtype::F64.block().unwrap_or(byte)), true),
            Dtype::Quant(_) if self.dtype.bytes(self.shape) != Some(self.bytes) => (None, false),
            dtype => (dtype.block(), is_decoded(dtype)),
        };
        let strided = match self.dtype.size() {
            Some(_) => Strided::new(
                self.offset,
                self.dtype,
                self.shape,
                self.strides.unwrap_or(&[]),
            ),
            None => Strided::new(self.offset, &Dtype::U8, &[self.bytes], &[]),
        };
        let strided = strided.ok_or(StatsError::Shape)?;
        Ok(Operand {
            bytes: strided.of(self.source, 0),
            dtype: self.dtype,
            block: element.filter(|_| numeric).unwrap_or(byte),
            numeric,
        })
    }
}

/// What two tensors, or one, look like in numbers. `a` is the old one, `b` the new one.
///
/// Elements that are NaN or infinite on either side are counted and left out of every sum. The parts of complex
/// numbers count as elements.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Stats {
    /// How many elements were compared; of tensors with more rows on one side, those of the common rows.
    pub elements: u64,
    /// False where the dtype is not one of numbers; then elements are bytes, and only they and `changed` mean
    /// anything.
    pub numeric: bool,
    /// Elements whose bits differ; of different dtypes, and of quantised ones, whose values differ.
    pub changed: u64,
    /// ||b - a|| / ||a||; `None` where a is all zero and b is not.
    pub rel_l2: Option<f64>,
    /// ||b - a||.
    pub l2_delta: f64,
    /// ||a||.
    pub l2_a: f64,
    /// ||b||.
    pub l2_b: f64,
    /// The largest |b - a|.
    pub max_abs: f64,
    /// The cosine between a and b; `None` where one of them is all zero.
    pub cosine: Option<f64>,
    /// Elements that are NaN.
    pub nan_a: u64,
    /// See `nan_a`.
    pub nan_b: u64,
    /// Elements that are infinite.
    pub inf_a: u64,
    /// See `inf_a`.
    pub inf_b: u64,
    /// Elements that became NaN or infinite.
    pub new_non_finite: u64,
    /// Elements that are zero, of either sign.
    pub zeros_a: u64,
    /// See `zeros_a`.
    pub zeros_b: u64,
    /// Elements that became zero.
    pub zeroed: u64,
    /// How many different values there are, where there are at most 256.
    pub distinct_a: Option<u32>,
    /// See `distinct_a`.
    pub distinct_b: Option<u32>,
    /// Of tensors of different float dtypes: elements of b that are a rounded to the nearest value, ties to even.
    pub rounded: Option<u64>,
}

impl Stats {
    /// True where no element differs.
    pub fn is_same(&self) -> bool {
        self.changed == 0
    }

    /// The share of elements that changed, 0 of none.
    pub fn changed_share(&self) -> f64 {
        share(self.changed, self.elements)
    }

    /// The figures of several tensors taken as one long one.
    pub fn all<'a>(parts: impl IntoIterator<Item = &'a Stats>) -> Self {
        let mut sum = Self {
            numeric: true,
            ..Self::default()
        };
        let (mut a2, mut b2, mut d2, mut dot) = (0.0, 0.0, 0.0, 0.0);
        for part in parts {
            sum.elements += part.elements;
            sum.numeric &= part.numeric;
            sum.changed += part.changed;
            a2 += part.l2_a * part.l2_a;
            b2 += part.l2_b * part.l2_b;
            d2 += part.l2_delta * part.l2_delta;
            dot += part.cosine.unwrap_or(0.0) * part.l2_a * part.l2_b;
            sum.max_abs = sum.max_abs.max(part.max_abs);
            sum.nan_a += part.nan_a;
            sum.nan_b += part.nan_b;
            sum.inf_a += part.inf_a;
            sum.inf_b += part.inf_b;
            sum.new_non_finite += part.new_non_finite;
            sum.zeros_a += part.zeros_a;
            sum.zeros_b += part.zeros_b;
            sum.zeroed += part.zeroed;
        }
        sum.set_norms(a2, b2, d2, dot);
        sum
    }

    fn set_norms(&mut self, a2: f64, b2: f64, d2: f64, dot: f64) {
        (self.l2_a, self.l2_b, self.l2_delta) = (a2.sqrt(), b2.sqrt(), d2.sqrt());
        self.rel_l2 = match (self.l2_delta, self.l2_a) {
            (0.0, _) => Some(0.0),
            (_, 0.0) => None,
            (delta, a) => Some(delta / a),
        };
        let lengths = self.l2_a * self.l2_b;
        self.cosine = (lengths > 0.0).then(|| (dot / lengths).clamp(-1.0, 1.0));
    }
}

/// A part of a whole as a number from 0 to 1; 0 of nothing.
pub fn share(part: u64, whole: u64) -> f64 {
    match whole {
        0 => 0.0,
        whole => part as f64 / whole as f64,
    }
}

/// Tensors that cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum StatsError {
    /// The disk, or a damaged object.
    #[error("cannot read the tensor")]
    Read(#[from] io::Error),
    /// Sides or strides that no tensor has.
    #[error("the tensor's sides and strides cannot be")]
    Shape,
    /// The user asked to stop.
    #[error("interrupted")]
    Cancelled,
}

impl Failure for StatsError {
    fn kind(&self) -> Kind {
        match self {
            Self::Read(error) if error.kind() == io::ErrorKind::UnexpectedEof => Kind::Changed,
            Self::Read(_) => Kind::Io,
            Self::Shape => Kind::BadInput,
            Self::Cancelled => Kind::Cancelled,
        }
    }
}

/// The result of measuring.
pub type Result<T> = std::result::Result<T, StatsError>;

/// Measures one tensor: `a` and `b` of the figures are the same.
pub fn of(tensor: &Input<'_>, threads: usize, progress: &dyn Progress) -> Result<Stats> {
    let a = tensor.open()?;
    let elements = a.elements();
    run(&Work { a, b: None }, elements, threads, progress)
}

/// Measures how far two tensors are apart; `None` where their elements do not correspond: shapes that differ in
/// more than the number of rows, or dtypes of which one is not understood.
///
/// Progress advances by the bytes read of both.
pub fn compare(
    a: &Input<'_>,
    b: &Input<'_>,
    threads: usize,
    progress: &dyn Progress,
) -> Result<Option<Stats>> {
    let same_rows = !a.shape.is_empty() && a.shape.get(1..) == b.shape.get(1..);
    let (a, b) = (a.open()?, b.open()?);
    let known = a.numeric && b.numeric;
    let complex = |dtype: &Dtype| matches!(dtype, Dtype::C64 | Dtype::C128);
    let other = a.dtype != b.dtype || a.numeric != b.numeric;
    if other && (!known || complex(a.dtype) != complex(b.dtype)) {
        return Ok(None);
    }
    let (elements_a, elements_b) = (a.elements(), b.elements());
    if elements_a != elements_b && !(known && same_rows) {
        return Ok(None);
    }
    let elements = elements_a.min(elements_b);
    run(&Work { a, b: Some(b) }, elements, threads, progress).map(Some)
}

/// Measures all blocks, several at a time, and adds them up in order.
fn run(work: &Work<'_>, elements: u64, threads: usize, progress: &dyn Progress) -> Result<Stats> {
    let blocks = elements.div_ceil(BLOCK);
    let next = AtomicU64::new(0);
    let worker = || -> Result<Vec<(u64, Partial)>> {
        let mut done = Vec::new();
        let mut buffers = kernel::Buffers::default();
        loop {
            let block = next.fetch_add(1, Ordering::Relaxed);
            if block >= blocks {
                return Ok(done);
            }
            if progress.cancelled() {
                return Err(StatsError::Cancelled);
            }
            let first = block * BLOCK;
            let count = BLOCK.min(elements - first);
            let partial = work.measure(first, count as usize, &mut buffers)?;
            progress.advance(buffers.bytes_read());
            done.push((block, partial));
        }
    };
    let threads = (threads as u64).min(blocks).max(1);
    let mut partials = match threads {
        1 => worker()?,
        threads => std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
            let mut all = Vec::new();
            for worker in workers {
                match worker.join() {
                    Ok(done) => all.extend(done?),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ok::<_, StatsError>(all)
        })?,
    };
    partials.sort_unstable_by_key(|(block, _)| *block);
    let mut whole = Partial::default();
    for (_, partial) in partials {
        whole.add(partial);
    }
    Ok(work.stats(elements, whole))
}

#[cfg(test)]
mod tests;
