//! Writes safetensors files (<https://github.com/huggingface/safetensors>), for weights that are made here.

use crate::base::Dtype;
use crate::base::text::quote_into;

/// A tensor on its way into a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Its dtype.
    pub dtype: Dtype,
    /// Its shape.
    pub shape: Vec<u64>,
    /// Its elements, contiguous in row-major order, each little-endian.
    pub bytes: Vec<u8>,
}

impl Tensor {
    /// An F32 tensor.
    pub fn floats(name: &str, shape: &[u64], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        Self {
            name: name.to_owned(),
            dtype: Dtype::F32,
            shape: shape.to_vec(),
            bytes: bytes.collect(),
        }
    }

    /// An I64 tensor.
    pub fn integers(name: &str, shape: &[u64], values: &[i64]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        Self {
            name: name.to_owned(),
            dtype: Dtype::I64,
            shape: shape.to_vec(),
            bytes: bytes.collect(),
        }
    }
}

/// A whole file: the same bytes for the same tensors in whatever order, laid out as the `safetensors` library
/// does it, wide dtypes first and then by name, the header padded with spaces to 8 bytes.
pub fn to_bytes(tensors: &[Tensor]) -> Vec<u8> {
    let mut sorted: Vec<&Tensor> = tensors.iter().collect();
    sorted.sort_by_key(|tensor| (std::cmp::Reverse(tensor.dtype.size()), tensor.name.as_str()));
    let mut header = String::from("{\"__metadata__\":{\"format\":\"pt\"}");
    let mut end = 0;
    for tensor in &sorted {
        let start = end;
        end += tensor.bytes.len();
        header.push(',');
        quote_into(&mut header, &tensor.name);
        let shape: Vec<_> = tensor.shape.iter().map(u64::to_string).collect();
        let (dtype, shape) = (tensor.dtype.name(), shape.join(","));
        header.push_str(&format!(
            ":{{\"dtype\":\"{dtype}\",\"shape\":[{shape}],\"data_offsets\":[{start},{end}]}}"
        ));
    }
    header.push('}');
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut out = Vec::with_capacity(8 + header.len() + end);
    out.extend((header.len() as u64).to_le_bytes());
    out.extend(header.as_bytes());
    for tensor in sorted {
        out.extend(&tensor.bytes);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::tensors::memory::Memory;

    #[test]
    fn what_was_written_is_read_and_order_is_nothing() {
        let a = Tensor::floats("a\"b", &[2, 1], &[1.0, -2.5]);
        let b = Tensor::integers("labels", &[1], &[-7]);
        let bytes = to_bytes(&[a.clone(), b.clone()]);
        assert_eq!(bytes, to_bytes(&[b.clone(), a.clone()]));
        let read = Memory::read(&bytes);
        assert_eq!(read.0["a\"b"], (a.dtype, a.shape, a.bytes));
        assert_eq!(read.0["labels"], (b.dtype, b.shape, b.bytes));
    }

    #[test]
    fn a_file_of_the_safetensors_library_is_met_byte_for_byte() {
        let Some(path) = crate::model::testing::workload("cnn/epoch01.safetensors") else {
            return;
        };
        let theirs = std::fs::read(path).expect("readable");
        let tensors = Memory::read(&theirs).0.into_iter();
        let tensors: Vec<_> = tensors
            .map(|(name, (dtype, shape, bytes))| Tensor {
                name,
                dtype,
                shape,
                bytes,
            })
            .collect();
        assert!(to_bytes(&tensors) == theirs);
    }
}
