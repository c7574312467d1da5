//! Files of safetensors, read and written without mvc.

use std::io::{self, Write};
use std::path::Path;

/// A tensor and its bytes.
#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) dtype: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
}

impl Tensor {
    pub(crate) fn of_f32(name: &str, shape: Vec<usize>, numbers: &[f32]) -> Self {
        Self {
            name: name.to_owned(),
            dtype: "F32".into(),
            shape,
            bytes: numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
        }
    }

    /// Its numbers, if they are F32.
    pub(crate) fn floats(&self) -> Option<Vec<f32>> {
        let floats = self.bytes.as_chunks().0.iter().copied();
        (self.dtype == "F32").then(|| floats.map(f32::from_le_bytes).collect())
    }

    /// The same with other numbers, where it is of F32.
    pub(crate) fn map(&self, change: impl FnOnce(&mut Vec<f32>)) -> Self {
        let Some(mut floats) = self.floats() else {
            return self.clone();
        };
        change(&mut floats);
        Self::of_f32(&self.name, self.shape.clone(), &floats)
    }
}

/// BF16, rounded to nearest even.
pub(crate) fn bf16(x: f32) -> [u8; 2] {
    let bits = x.to_bits();
    (((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16).to_le_bytes()
}

/// All tensors, in the order of their bytes.
pub(crate) fn read(path: &Path) -> Vec<Tensor> {
    let file = std::fs::read(path).expect("readable");
    let (len, rest) = file.split_first_chunk().expect("a length");
    let (header, data) = rest.split_at(u64::from_le_bytes(*len) as usize);
    let header: serde_json::Value = serde_json::from_slice(header).expect("JSON");
    let number = |value: &serde_json::Value| value.as_u64().expect("a number") as usize;
    let mut found = Vec::new();
    for (name, tensor) in header.as_object().expect("an object") {
        let Some(dtype) = tensor["dtype"].as_str() else {
            continue;
        };
        let offsets = &tensor["data_offsets"];
        let (from, to) = (number(&offsets[0]), number(&offsets[1]));
        let shape = tensor["shape"].as_array().expect("a shape");
        let tensor = Tensor {
            name: name.clone(),
            dtype: dtype.to_owned(),
            shape: shape.iter().map(number).collect(),
            bytes: data[from..to].to_vec(),
        };
        found.push((from, tensor));
    }
    found.sort_by_key(|(from, _)| *from);
    found.into_iter().map(|(_, tensor)| tensor).collect()
}

/// Writes a file.
pub(crate) fn write(path: &Path, tensors: &[Tensor]) {
    let spans = tensors.iter().map(|tensor| {
        let Tensor {
            name,
            dtype,
            shape,
            bytes,
        } = tensor;
        (name.as_str(), dtype.as_str(), shape.as_slice(), bytes.len())
    });
    let mut file = create(path, spans).expect("written");
    for tensor in tensors {
        file.write_all(&tensor.bytes).expect("written");
    }
    file.flush().expect("written");
}

/// Writes a file's header; the bytes of these tensors are to follow.
pub(crate) fn create<'a>(
    path: &Path,
    tensors: impl Iterator<Item = (&'a str, &'a str, &'a [usize], usize)>,
) -> io::Result<io::BufWriter<std::fs::File>> {
    let mut header = String::from("{\"__metadata__\":{\"format\":\"pt\"}");
    let mut at = 0;
    for (name, dtype, shape, len) in tensors {
        let end = at + len;
        header += &format!(
            ",\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape:?},\"data_offsets\":[{at},{end}]}}"
        );
        at = end;
    }
    header.push('}');
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut file = io::BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    Ok(file)
}
