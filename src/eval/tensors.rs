//! How the evaluator gets at tensors, and reads their bytes as numbers.

use super::error::{EvalError, ReadError, Result};
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

/// True for dtypes that [`integers`] reads.
pub(crate) fn is_integer(dtype: &Dtype) -> bool {
    matches!(
        dtype,
        Dtype::Bool
            | Dtype::U8
            | Dtype::U16
            | Dtype::U32
            | Dtype::U64
            | Dtype::I8
            | Dtype::I16
            | Dtype::I32
            | Dtype::I64
    )
}

/// A tensor's elements as F32, rounded where they are wider, and its shape.
pub(crate) fn floats(from: &dyn Tensors, name: &str) -> Result<(Vec<u64>, Vec<f32>)> {
    let (dtype, shape, bytes) = raw(from, name)?;
    let values = match dtype {
        Dtype::F32 => each(&bytes, f32::from_le_bytes),
        Dtype::F64 => each(&bytes, |b| f64::from_le_bytes(b) as f32),
        Dtype::F16 => each(&bytes, |b| half::f16::from_le_bytes(b).to_f32()),
        Dtype::BF16 => each(&bytes, |b| half::bf16::from_le_bytes(b).to_f32()),
        Dtype::U64 => each(&bytes, |b| u64::from_le_bytes(b) as f32),
        dtype if is_integer(&dtype) => whole(&dtype, &bytes, |value| Some(value as f32)),
        dtype => return Err(unreadable(name, dtype)),
    };
    Ok((shape, values))
}

/// A tensor's integers, and its shape; floating point is refused.
pub(crate) fn integers(from: &dyn Tensors, name: &str) -> Result<(Vec<u64>, Vec<i64>)> {
    let (dtype, shape, bytes) = raw(from, name)?;
    if !is_integer(&dtype) {
        return Err(EvalError::Dtype {
            tensor: name.to_owned(),
            dtype,
            wanted: "integers are needed",
        });
    }
    let values = whole(&dtype, &bytes, Some);
    if values.len() as u64 != shape.iter().product::<u64>() {
        return Err(EvalError::Data {
            tensor: name.to_owned(),
            problem: "holds integers beyond 63 bits".into(),
        });
    }
    Ok((shape, values))
}

/// The integers that `as_value` keeps.
fn whole<T>(dtype: &Dtype, bytes: &[u8], as_value: impl Fn(i64) -> Option<T>) -> Vec<T> {
    let small = |value: Option<i64>| value.and_then(&as_value);
    let read: Vec<Option<T>> = match dtype {
        Dtype::Bool | Dtype::U8 => each(bytes, |[b]| small(Some(b.into()))),
        Dtype::I8 => each(bytes, |b| small(Some(i8::from_le_bytes(b).into()))),
        Dtype::U16 => each(bytes, |b| small(Some(u16::from_le_bytes(b).into()))),
        Dtype::I16 => each(bytes, |b| small(Some(i16::from_le_bytes(b).into()))),
        Dtype::U32 => each(bytes, |b| small(Some(u32::from_le_bytes(b).into()))),
        Dtype::I32 => each(bytes, |b| small(Some(i32::from_le_bytes(b).into()))),
        Dtype::U64 => each(bytes, |b| small(u64::from_le_bytes(b).try_into().ok())),
        Dtype::I64 => each(bytes, |b| small(Some(i64::from_le_bytes(b)))),
        _ => Vec::new(),
    };
    read.into_iter().flatten().collect()
}

/// The tensor's bytes, as many as its dtype and shape say.
fn raw(from: &dyn Tensors, name: &str) -> Result<(Dtype, Vec<u64>, Vec<u8>)> {
    let (dtype, shape) = from.info(name).ok_or_else(|| EvalError::NoData {
        tensor: name.to_owned(),
        known: from.names(),
    })?;
    let Some(wanted) = dtype.bytes(&shape) else {
        return Err(unreadable(name, dtype));
    };
    let bytes = from.bytes(name).map_err(|source| EvalError::Read {
        tensor: name.to_owned(),
        source,
    })?;
    if bytes.len() as u64 != wanted {
        return Err(EvalError::Data {
            tensor: name.to_owned(),
            problem: format!("has {} bytes where its shape needs {wanted}", bytes.len()),
        });
    }
    Ok((dtype, shape, bytes))
}

fn unreadable(name: &str, dtype: Dtype) -> EvalError {
    EvalError::Dtype {
        tensor: name.to_owned(),
        dtype,
        wanted: "it cannot be computed with here",
    }
}

fn each<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|c| read(*c)).collect()
}

#[cfg(test)]
pub(crate) mod memory {
    //! Tensors in memory, for tests.

    use std::collections::BTreeMap;

    use super::*;

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

#[cfg(test)]
mod tests {
    use super::memory::Memory;
    use super::*;

    fn one(dtype: Dtype, shape: &[u64], bytes: &[u8]) -> Memory {
        let mut memory = Memory::default();
        memory
            .0
            .insert("t".into(), (dtype, shape.to_vec(), bytes.to_vec()));
        memory
    }

    #[test]
    fn every_width_is_read() {
        let read = |dtype, bytes: &[u8]| floats(&one(dtype, &[1], bytes), "t").expect("good").1;
        assert_eq!(read(Dtype::BF16, &[0xc0, 0x3f]), [1.5]);
        assert_eq!(read(Dtype::F16, &[0x00, 0x3e]), [1.5]);
        assert_eq!(read(Dtype::F64, &1.5f64.to_le_bytes()), [1.5]);
        assert_eq!(read(Dtype::I16, &(-2i16).to_le_bytes()), [-2.0]);
        assert_eq!(read(Dtype::Bool, &[1]), [1.0]);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let short = one(Dtype::F32, &[2], &[0; 4]);
        assert!(
            floats(&short, "t")
                .expect_err("short")
                .to_string()
                .contains("4 bytes")
        );
        let huge = one(Dtype::U64, &[1], &[255; 8]);
        assert!(
            integers(&huge, "t")
                .expect_err("huge")
                .to_string()
                .contains("63 bits")
        );
        let odd = one(Dtype::F8E4M3, &[1], &[0]);
        assert!(
            floats(&odd, "t")
                .expect_err("odd")
                .to_string()
                .contains("F8_E4M3")
        );
        let missing = integers(&odd, "u").expect_err("missing").to_string();
        assert_eq!(missing, "the data has no tensor `u`, only `t`");
    }
}
