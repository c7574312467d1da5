//! Tensors that do not lie whole and in order: slices, transposes, expanded and tied parts of a storage.

use std::io;

use crate::base::id::IdHasher;
use crate::base::progress::Silent;
use crate::base::{Dtype, ObjectId, Progress, ReadAt};

/// Bytes gathered at a time while hashing.
const BLOCK: u64 = 8 << 20;

/// The most bytes read at a time while gathering.
const PAGE: u64 = 256 << 10;

/// What lies further apart than this is not read in one piece. A read costs about as much as copying so many bytes,
/// and of bytes that nobody asked for no more than this are read per stretch that somebody did.
const APART: u64 = 8 << 10;

/// A tensor's elements in some run of bytes. Its numbers have been checked: none of them overflows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strided {
    /// Where the first element lies, in bytes.
    offset: u64,
    /// Bytes per element.
    size: u64,
    shape: Vec<u64>,
    /// One per side, in elements.
    strides: Vec<u64>,
    /// How many elements there are.
    elements: u64,
    /// From the first to the last byte.
    extent: u64,
    in_order: bool,
}

/// The strides of a tensor in their one form: none where the elements lie whole and in order, else one per side
/// with 1 for sides of one element, whose stride means nothing.
pub fn normal(shape: &[u64], strides: &[u64]) -> Vec<u64> {
    let mut expected = 1u64;
    let mut in_order = true;
    for (side, stride) in shape.iter().zip(strides).rev() {
        match side {
            0 => return Vec::new(),
            1 => {}
            side => {
                in_order &= *stride == expected;
                expected = expected.saturating_mul(*side);
            }
        }
    }
    if in_order {
        return Vec::new();
    }
    let pairs = shape.iter().zip(strides);
    pairs
        .map(|(side, stride)| if *side == 1 { 1 } else { *stride })
        .collect()
}

/// The strides of a tensor that lies whole and in order.
fn in_order(shape: &[u64]) -> Option<Vec<u64>> {
    let mut strides = vec![1u64; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i].checked_mul(shape[i].max(1))?;
    }
    Some(strides)
}

impl Strided {
    /// A tensor whose first element lies at byte `offset`; no strides for one that lies whole and in order.
    /// `None` where the element size is unknown, a number overflows, or sides and strides are not as many.
    pub fn new(offset: u64, dtype: &Dtype, shape: &[u64], strides: &[u64]) -> Option<Self> {
        let size = dtype.size()? as u64;
        let elements = shape
            .iter()
            .try_fold(1u64, |product, side| product.checked_mul(*side))?;
        let whole = elements.checked_mul(size)?;
        let is_in_order = strides.is_empty();
        if !is_in_order && strides.len() != shape.len() {
            return None;
        }
        let strides = match is_in_order {
            true if elements == 0 => vec![1; shape.len()],
            true => in_order(shape)?,
            false => strides.to_vec(),
        };
        let extent = match elements {
            0 => 0,
            _ => {
                let mut last = 0u64;
                for (side, stride) in shape.iter().zip(&strides) {
                    last = last.checked_add((side - 1).checked_mul(*stride)?)?;
                }
                last.checked_add(1)?.checked_mul(size)?
            }
        };
        let end = offset.checked_add(extent.max(whole))?;
        (end <= i64::MAX as u64).then(|| Self {
            offset,
            size,
            shape: shape.to_vec(),
            strides,
            elements,
            extent,
            in_order: is_in_order,
        })
    }

    /// Bytes of the tensor laid out whole and in order.
    pub fn bytes(&self) -> u64 {
        self.elements * self.size
    }

    /// Bytes from the first to the last byte where it lies.
    pub fn extent(&self) -> u64 {
        self.extent
    }

    /// Where its last byte ends.
    pub fn end(&self) -> u64 {
        self.offset + self.extent
    }

    /// The same tensor in a run of bytes that begins `by` bytes before this one.
    fn moved(&self, by: u64) -> Self {
        Self {
            offset: self.offset.saturating_add(by),
            ..self.clone()
        }
    }

    /// The tensor as bytes laid out whole and in order; its run of bytes begins at `base` in `source`.
    pub fn of<'a>(&self, source: &'a dyn ReadAt, base: u64) -> InOrder<'a> {
        InOrder {
            source,
            strided: self.moved(base),
        }
    }
}

/// A strided tensor read as if it lay whole and in order.
pub struct InOrder<'a> {
    source: &'a dyn ReadAt,
    strided: Strided,
}

impl InOrder<'_> {
    /// The id of the tensor laid out whole and in order. Memory is bounded by a few blocks, and what is read by
    /// what is hashed, wherever its elements lie. Once `progress` is cancelled, an error of kind `Interrupted`.
    pub fn id(&self, progress: &dyn Progress) -> io::Result<ObjectId> {
        let mut hasher = IdHasher::new();
        let mut page = Page::new(self.source, progress);
        let it = &self.strided;
        if !it.in_order && it.extent <= it.elements.saturating_mul(APART).min(2 * BLOCK) {
            // Read once, in whatever order the elements come.
            page.hold(it.offset, it.extent)?;
        }
        let mut block = Vec::new();
        let mut at = 0;
        while at < self.len() {
            if progress.cancelled() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            block.resize((self.len() - at).min(BLOCK) as usize, 0);
            self.read(&mut block, at, &mut page)?;
            hasher.update(&block);
            progress.advance(block.len() as u64);
            at += block.len() as u64;
        }
        Ok(hasher.finish())
    }

    /// Fills `buffer` from `offset` on, which lies inside.
    fn read(&self, buffer: &mut [u8], offset: u64, page: &mut Page<'_>) -> io::Result<()> {
        if self.strided.in_order {
            let at = self.strided.offset + offset;
            return self.source.read_exact_at(buffer, at);
        }
        let size = self.strided.size;
        let (first, skip) = (offset / size, (offset % size) as usize);
        if skip == 0 && (buffer.len() as u64).is_multiple_of(size) {
            return self.gather(first, buffer, page);
        }
        let whole = (skip + buffer.len()).next_multiple_of(size as usize);
        let mut elements = vec![0; whole];
        self.gather(first, &mut elements, page)?;
        buffer.copy_from_slice(&elements[skip..skip + buffer.len()]);
        Ok(())
    }

    /// Gathers the elements from `first` on, as many as `out` has room for.
    fn gather(&self, first: u64, out: &mut [u8], page: &mut Page<'_>) -> io::Result<()> {
        let it = &self.strided;
        let size = it.size as usize;
        let mut rest = out;
        let mut at = first;
        while !rest.is_empty() {
            let wanted = (rest.len() / size) as u64;
            let (part, sides) = self.largest_box(at, wanted);
            let skipped = it.element_offset(at);
            let (now, later) = rest.split_at_mut(part as usize * size);
            copy_box(page, it.offset + skipped * it.size, size, sides, now)?;
            rest = later;
            at += part;
        }
        Ok(())
    }

    /// The largest box of elements that begins at element `at`, has at most `wanted` of them and lies in one run
    /// in the output: how many they are, and its sides.
    fn largest_box(&self, at: u64, wanted: u64) -> (u64, Vec<Side>) {
        let it = &self.strided;
        let mut after = it.elements;
        for (d, side) in it.shape.iter().enumerate() {
            after /= side;
            if at.is_multiple_of(after) && after <= wanted {
                let index = at / after % side;
                let count = (wanted / after).min(side - index);
                let mut to = count * after;
                let mut sides = Vec::with_capacity(it.shape.len() - d);
                for (i, stride) in it.strides.iter().enumerate().skip(d) {
                    let count = if i == d { count } else { it.shape[i] };
                    to /= count;
                    if count > 1 {
                        let (from, to) = (*stride, to);
                        sides.push(Side { count, from, to });
                    }
                }
                return (count * after, sides);
            }
        }
        (1, Vec::new())
    }
}

impl Strided {
    /// Where an element lies, in elements after the first.
    fn element_offset(&self, element: u64) -> u64 {
        let mut rest = element;
        let mut offset = 0;
        for (side, stride) in self.shape.iter().zip(&self.strides).rev() {
            offset += rest % side * stride;
            rest /= side;
        }
        offset
    }
}

impl ReadAt for InOrder<'_> {
    fn len(&self) -> u64 {
        self.strided.bytes()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.len()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if buffer.is_empty() {
            return Ok(());
        }
        self.read(buffer, offset, &mut Page::new(self.source, &Silent))
    }
}

/// A side of a box: how many steps, and how far a step goes in the source and in the output, in elements.
#[derive(Clone, Copy, Debug)]
struct Side {
    count: u64,
    from: u64,
    to: u64,
}

/// Copies a box of elements, walking it in the order of the source, so that the source is read about once.
fn copy_box(
    page: &mut Page<'_>,
    start: u64,
    size: usize,
    mut sides: Vec<Side>,
    out: &mut [u8],
) -> io::Result<()> {
    sides.sort_by_key(|side| std::cmp::Reverse(side.from));
    let inner = sides.pop().unwrap_or(Side {
        count: 1,
        from: 1,
        to: 1,
    });
    let run = ((inner.count - 1) * inner.from + 1) * size as u64;
    let gap = sides.last().map_or(0, |side| side.from * size as u64);
    // Runs that lie far apart are read alone: a read costs about as much as copying some KiB.
    let alone = gap > run.saturating_mul(4).max(APART);
    // And so are elements of a run that do; what is read stays in proportion to what is shown.
    let strewn = inner.from * size as u64 > APART;
    page.size = match (strewn, alone) {
        (true, _) => size as u64,
        (false, true) => run.min(PAGE),
        (false, false) => PAGE,
    };
    let mut index = vec![0u64; sides.len()];
    loop {
        let at = |step: fn(&Side) -> u64| -> u64 {
            index.iter().zip(&sides).map(|(i, s)| i * step(s)).sum()
        };
        let (from, to) = (at(|s| s.from), at(|s| s.to));
        if run <= PAGE && !strewn {
            let bytes = page.read(start + from * size as u64, run as usize)?;
            copy_run(size, bytes, inner, out, to as usize);
        } else {
            for i in 0..inner.count {
                let element = page.read(start + (from + i * inner.from) * size as u64, size)?;
                let to = (to + i * inner.to) as usize * size;
                out[to..to + size].copy_from_slice(element);
            }
        }
        let step = index.iter_mut().zip(&sides).rev().find_map(|(i, side)| {
            *i += 1;
            let more = *i < side.count;
            if !more {
                *i = 0;
            }
            more.then_some(())
        });
        if step.is_none() {
            return Ok(());
        }
    }
}

/// Copies the elements of one side, the first of which is the first of `from`, to element `at` of `out`.
fn copy_run(size: usize, from: &[u8], side: Side, out: &mut [u8], at: usize) {
    fn of<const N: usize>(from: &[u8], side: Side, out: &mut [u8], at: usize) {
        let from = from
            .as_chunks::<N>()
            .0
            .iter()
            .step_by(side.from.max(1) as usize);
        let to = out.as_chunks_mut::<N>().0.iter_mut().skip(at);
        let to = to.step_by(side.to.max(1) as usize);
        match side.from {
            // A stride of 0 repeats one element.
            0 => {
                let first = from.take(1).copied().cycle();
                to.zip(first)
                    .take(side.count as usize)
                    .for_each(|(to, from)| *to = from);
            }
            _ => {
                let pairs = to.zip(from).take(side.count as usize);
                pairs.for_each(|(to, from)| *to = *from);
            }
        }
    }
    match size {
        1 => of::<1>(from, side, out, at),
        2 => of::<2>(from, side, out, at),
        4 => of::<4>(from, side, out, at),
        8 => of::<8>(from, side, out, at),
        _ => of::<16>(from, side, out, at),
    }
}

/// The stretch of the source that was read last.
struct Page<'a> {
    source: &'a dyn ReadAt,
    progress: &'a dyn Progress,
    /// How many bytes to read at a time, if so many may be.
    size: u64,
    /// How many more bytes may be read than were asked for.
    spare: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> Page<'a> {
    fn new(source: &'a dyn ReadAt, progress: &'a dyn Progress) -> Self {
        Self {
            source,
            progress,
            size: PAGE,
            spare: 0,
            start: 0,
            bytes: Vec::new(),
        }
    }

    /// Reads a stretch outside of which nothing will be asked for.
    fn hold(&mut self, offset: u64, len: u64) -> io::Result<()> {
        self.bytes.resize(len as usize, 0);
        self.start = offset;
        self.source.read_exact_at(&mut self.bytes, offset)
    }

    #[inline]
    fn read(&mut self, offset: u64, len: usize) -> io::Result<&[u8]> {
        self.spare = self.spare.saturating_add(APART);
        let inside =
            offset >= self.start && offset + len as u64 <= self.start + self.bytes.len() as u64;
        if !inside {
            if self.progress.cancelled() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let left = self.source.len().saturating_sub(offset);
            let most = self.size.min(left).min(len as u64 + self.spare);
            self.bytes.resize(most.max(len as u64) as usize, 0);
            self.spare -= self.bytes.len() as u64 - len as u64;
            self.source.read_exact_at(&mut self.bytes, offset)?;
            self.start = offset;
        }
        let at = (offset - self.start) as usize;
        Ok(&self.bytes[at..at + len])
    }
}

#[cfg(test)]
mod tests;
