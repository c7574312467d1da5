//! Reads the bytes of tensors as numbers that can be computed with.

use super::error::{EvalError, Result};
use super::tensors::Tensors;
use crate::base::Dtype;

/// True for dtypes that [`integers`] reads.
fn is_integer(dtype: &Dtype) -> bool {
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
        Dtype::F64 => {
            let wide = each(&bytes, f64::from_le_bytes);
            // An infinity that nobody wrote down must not be computed with.
            if wide
                .iter()
                .any(|v| v.is_finite() && !(*v as f32).is_finite())
            {
                return Err(EvalError::Beyond {
                    tensor: name.to_owned(),
                });
            }
            wide.into_iter().map(|value| value as f32).collect()
        }
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
mod tests {
    use super::*;
    use crate::eval::tensors::memory::Memory;

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
        let far = one(Dtype::F64, &[1], &1e300f64.to_le_bytes());
        assert!(
            floats(&far, "t")
                .expect_err("far")
                .to_string()
                .contains("beyond F32")
        );
        let infinite = one(Dtype::F64, &[1], &f64::INFINITY.to_le_bytes());
        assert_eq!(floats(&infinite, "t").expect("as it is").1, [f32::INFINITY]);
        let missing = integers(&odd, "u").expect_err("missing").to_string();
        assert_eq!(missing, "the data has no tensor `u`, only `t`");
    }
}
