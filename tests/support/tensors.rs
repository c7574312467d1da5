//! Weights made from a seed, and a safetensors writer that is not the one under test.

use std::fmt::Write;

/// Tensors of one file, in the order in which they were added.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    random: Random,
    tensors: Vec<Tensor>,
    metadata: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
struct Tensor {
    name: String,
    dtype: String,
    shape: Vec<u64>,
    bytes: Vec<u8>,
}

impl Weights {
    /// No tensors yet; those that are added depend on the seed and on their order alone.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self {
            random: Random(seed),
            tensors: Vec::new(),
            metadata: Vec::new(),
        }
    }

    /// A small network as a tutorial would save it: two convolutions and two linear layers, about 13 KB.
    pub(crate) fn small(seed: u64) -> Self {
        Self::seeded(seed)
            .f32("conv1.weight", &[4, 3, 3, 3])
            .f32("conv1.bias", &[4])
            .f32("conv2.weight", &[8, 4, 3, 3])
            .f32("conv2.bias", &[8])
            .f32("fc1.weight", &[32, 72])
            .f32("fc1.bias", &[32])
            .f32("fc2.weight", &[10, 32])
            .f32("fc2.bias", &[10])
    }

    /// Adds a tensor of F32, spread like weights: around 0, mostly below 0.1.
    pub(crate) fn f32(mut self, name: &str, shape: &[u64]) -> Self {
        let bytes = self
            .weights(shape)
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.raw(name, "F32", shape, bytes)
    }

    /// Adds a tensor of BF16, the upper halves of such F32.
    pub(crate) fn bf16(mut self, name: &str, shape: &[u64]) -> Self {
        let bytes = self
            .weights(shape)
            .flat_map(|value| ((value.to_bits() >> 16) as u16).to_le_bytes())
            .collect();
        self.raw(name, "BF16", shape, bytes)
    }

    /// Adds a tensor of I64 in `0..below`.
    pub(crate) fn i64(mut self, name: &str, shape: &[u64], below: u64) -> Self {
        let count: u64 = shape.iter().product();
        let bytes = (0..count)
            .flat_map(|_| (self.random.next() % below).to_le_bytes())
            .collect();
        self.raw(name, "I64", shape, bytes)
    }

    /// Adds a tensor of these bytes.
    pub(crate) fn raw(mut self, name: &str, dtype: &str, shape: &[u64], bytes: Vec<u8>) -> Self {
        self.tensors.push(Tensor {
            name: name.into(),
            dtype: dtype.into(),
            shape: shape.into(),
            bytes,
        });
        self
    }

    /// Adds an entry of `__metadata__`.
    pub(crate) fn metadata(mut self, key: &str, value: &str) -> Self {
        self.metadata.push((key.into(), value.into()));
        self
    }

    /// Multiplies one element of an F32 tensor.
    pub(crate) fn scale_element(mut self, name: &str, index: usize, factor: f32) -> Self {
        let tensor = self
            .tensors
            .iter_mut()
            .find(|t| t.name == name && t.dtype == "F32")
            .expect(name);
        let place = tensor
            .bytes
            .get_mut(index * 4..index * 4 + 4)
            .expect("an element of the tensor");
        let value = f32::from_le_bytes([place[0], place[1], place[2], place[3]]);
        place.copy_from_slice(&(value * factor).to_le_bytes());
        self
    }

    /// Moves every element of every F32 tensor a little, as a step of training does.
    pub(crate) fn trained(mut self, step: f32) -> Self {
        for tensor in self.tensors.iter_mut().filter(|t| t.dtype == "F32") {
            for place in tensor.bytes.chunks_exact_mut(4) {
                let value = f32::from_le_bytes([place[0], place[1], place[2], place[3]]);
                place.copy_from_slice(&(value + step * self.random.weight()).to_le_bytes());
            }
        }
        self
    }

    /// The file in the safetensors format: length of the header, JSON padded with spaces to 8, data.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut entries = Vec::new();
        if !self.metadata.is_empty() {
            let pairs: Vec<_> = self
                .metadata
                .iter()
                .map(|(key, value)| format!("{}:{}", json(key), json(value)))
                .collect();
            entries.push(format!("\"__metadata__\":{{{}}}", pairs.join(",")));
        }
        let mut at = 0;
        for Tensor {
            name,
            dtype,
            shape,
            bytes,
        } in &self.tensors
        {
            let end = at + bytes.len();
            entries.push(format!(
                "{}:{{\"dtype\":{},\"shape\":{shape:?},\"data_offsets\":[{at},{end}]}}",
                json(name),
                json(dtype)
            ));
            at = end;
        }
        let mut header = format!("{{{}}}", entries.join(",")).replace(", ", ",");
        while !header.len().is_multiple_of(8) {
            let _ = header.write_char(' ');
        }
        let data = self.tensors.iter().flat_map(|tensor| &tensor.bytes);
        (header.len() as u64)
            .to_le_bytes()
            .into_iter()
            .chain(header.into_bytes())
            .chain(data.copied())
            .collect()
    }

    fn weights(&mut self, shape: &[u64]) -> impl Iterator<Item = f32> {
        let count: u64 = shape.iter().product();
        (0..count).map(|_| self.random.weight())
    }
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// SplitMix64: small, and the same everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// The sum of four uniforms, near enough to a normal of deviation 0.05.
    fn weight(&mut self) -> f32 {
        let sum: f32 = (0..4)
            .map(|_| (self.next() >> 40) as f32 / (1u64 << 24) as f32 - 0.5)
            .sum();
        sum * 0.0866
    }
}
