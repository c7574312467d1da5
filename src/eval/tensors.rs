//! How the evaluator gets at tensors.

use super::error::ReadError;
use crate::base::Dtype;

/// Named tensors that lie somewhere: files of a work tree, objects of the store, a suite's data.
///
/// Whoever implements it has checked the bytes: what it gives out is what the sidecar or the claim speaks of.
/// The evaluator asks for each tensor at most once.
pub trait Tensors: Sync {
    /// The names of all tensors, in any order.
    fn names(&self) -> Vec<String>;

    /// Dtype and shape of a tensor; `None` where there is none of that name.
    fn info(&self, name: &str) -> Option<(Dtype, Vec<u64>)>;

    /// The elements, contiguous in row-major order, each little-endian.
    fn bytes(&self, name: &str) -> std::result::Result<Vec<u8>, ReadError>;
}

/// A shape for people, as `[2, 3]`.
pub(crate) fn show(shape: &[u64]) -> String {
    format!("{shape:?}")
}

/// True for floating point that converts to F32 with no table.
pub(crate) fn is_real(dtype: &Dtype) -> bool {
    matches!(dtype, Dtype::F16 | Dtype::BF16 | Dtype::F32 | Dtype::F64)
}

#[cfg(test)]
pub(crate) mod memory {
    //! Tensors in memory, for tests.

    use std::collections::BTreeMap;

    use super::*;
    use crate::eval::error::EvalError;

    /// Tensors by name: dtype, shape, bytes.
    #[derive(Clone, Default)]
    pub(crate) struct Memory(pub(crate) BTreeMap<String, (Dtype, Vec<u64>, Vec<u8>)>);

    impl Memory {
        /// With an F32 tensor more.
        pub(crate) fn with(mut self, name: &str, shape: &[u64], values: &[f32]) -> Self {
            let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            self.0
                .insert(name.into(), (Dtype::F32, shape.to_vec(), bytes));
            self
        }

        /// With an I64 tensor more.
        pub(crate) fn with_ids(mut self, name: &str, shape: &[u64], values: &[i64]) -> Self {
            let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            self.0
                .insert(name.into(), (Dtype::I64, shape.to_vec(), bytes));
            self
        }

        /// Reads a safetensors file that is known to be good.
        pub(crate) fn read(bytes: &[u8]) -> Self {
            #[derive(serde::Deserialize)]
            struct Entry {
                dtype: String,
                shape: Vec<u64>,
                data_offsets: (usize, usize),
            }
            let length = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
            let mut header: BTreeMap<String, serde_json::Value> =
                serde_json::from_slice(&bytes[8..8 + length]).expect("a header");
            header.remove("__metadata__");
            let data = &bytes[8 + length..];
            let tensors = header.into_iter().map(|(name, value)| {
                let entry: Entry = serde_json::from_value(value).expect("an entry");
                let dtype = Dtype::parse(&entry.dtype).expect("a dtype");
                let range = entry.data_offsets.0..entry.data_offsets.1;
                (name, (dtype, entry.shape, data[range].to_vec()))
            });
            Self(tensors.collect())
        }
    }

    impl Tensors for Memory {
        fn names(&self) -> Vec<String> {
            self.0.keys().cloned().collect()
        }

        fn info(&self, name: &str) -> Option<(Dtype, Vec<u64>)> {
            let (dtype, shape, _) = self.0.get(name)?;
            Some((dtype.clone(), shape.clone()))
        }

        fn bytes(&self, name: &str) -> std::result::Result<Vec<u8>, ReadError> {
            match self.0.get(name) {
                Some((_, _, bytes)) => Ok(bytes.clone()),
                None => Err(EvalError::Cancelled.into()),
            }
        }
    }
}
