//! Counting different values, as long as they are few.

/// The most values that are counted.
const MOST: usize = 256;

/// The different values of a tensor by their bits, given up beyond [`MOST`].
#[derive(Clone, Debug, Default)]
pub(super) struct Distinct {
    sorted: Vec<u64>,
    too_many: bool,
    last: Option<u64>,
}

impl Distinct {
    /// Adds elements of `size` bytes each.
    pub(super) fn add(&mut self, bytes: &[u8], size: usize) {
        for element in bytes.chunks_exact(size.clamp(1, 8)) {
            if self.too_many {
                return;
            }
            let mut bits = [0; 8];
            bits[..element.len()].copy_from_slice(element);
            self.insert(u64::from_le_bytes(bits));
        }
    }

    /// Adds elements that were decoded, by the bits of their values.
    pub(super) fn add_values(&mut self, values: &[f64]) {
        for value in values {
            if self.too_many {
                return;
            }
            self.insert(value.to_bits());
        }
    }

    /// Adds what another has counted.
    pub(super) fn merge(&mut self, other: &Self) {
        self.too_many |= other.too_many;
        for value in &other.sorted {
            if !self.too_many {
                self.insert(*value);
            }
        }
    }

    fn insert(&mut self, value: u64) {
        if self.last.replace(value) == Some(value) {
            return;
        }
        if let Err(place) = self.sorted.binary_search(&value) {
            match self.sorted.len() {
                MOST => self.too_many = true,
                _ => self.sorted.insert(place, value),
            }
        }
    }

    /// How many there are, where they are few.
    pub(super) fn count(&self) -> Option<u32> {
        (!self.too_many).then_some(self.sorted.len() as u32)
    }
}
