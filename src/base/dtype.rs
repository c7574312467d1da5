//! How the bytes of a tensor are read as numbers.

use super::quant::{Block, Quant};

/// The type of a tensor's elements, in the spelling of the safetensors format
/// (<https://github.com/huggingface/safetensors>), and of GGUF where they are quantised. Values are little-endian.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Dtype {
    /// One byte, 0 or 1.
    Bool,
    /// Unsigned integers of 1, 2, 4 and 8 bytes.
    U8,
    /// See [`Dtype::U8`].
    U16,
    /// See [`Dtype::U8`].
    U32,
    /// See [`Dtype::U8`].
    U64,
    /// Two's complement integers of 1, 2, 4 and 8 bytes.
    I8,
    /// See [`Dtype::I8`].
    I16,
    /// See [`Dtype::I8`].
    I32,
    /// See [`Dtype::I8`].
    I64,
    /// IEEE 754 half precision.
    F16,
    /// The upper half of an F32.
    BF16,
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 double precision.
    F64,
    /// Two F32: real, imaginary.
    C64,
    /// Two F64: real, imaginary.
    C128,
    /// Eight-bit floats, 4 exponent bits, finite only, one NaN (OCP E4M3).
    F8E4M3,
    /// Eight-bit floats, 5 exponent bits (OCP E5M2).
    F8E5M2,
    /// Quantised in blocks: no element has bytes of its own.
    Quant(Quant),
    /// Any other name, carried as bytes: its element size is unknown here.
    Other(String),
}

impl Dtype {
    /// Every dtype that has a known element size, with its name.
    const KNOWN: [(Dtype, &'static str); 17] = [
        (Dtype::Bool, "BOOL"),
        (Dtype::U8, "U8"),
        (Dtype::U16, "U16"),
        (Dtype::U32, "U32"),
        (Dtype::U64, "U64"),
        (Dtype::I8, "I8"),
        (Dtype::I16, "I16"),
        (Dtype::I32, "I32"),
        (Dtype::I64, "I64"),
        (Dtype::F16, "F16"),
        (Dtype::BF16, "BF16"),
        (Dtype::F32, "F32"),
        (Dtype::F64, "F64"),
        (Dtype::C64, "C64"),
        (Dtype::C128, "C128"),
        (Dtype::F8E4M3, "F8_E4M3"),
        (Dtype::F8E5M2, "F8_E5M2"),
    ];

    /// Reads a dtype's name. A name that is not known is carried; `None` where it is no plausible name at all:
    /// empty, over 32 bytes, or anything but ASCII letters, digits and `_`.
    pub fn parse(name: &str) -> Option<Self> {
        if let Some((dtype, _)) = Self::KNOWN.iter().find(|(_, known)| *known == name) {
            return Some(dtype.clone());
        }
        if let Some(quant) = Quant::parse(name) {
            return Some(Self::Quant(quant));
        }
        let plausible = (1..=32).contains(&name.len())
            && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
        plausible.then(|| Self::Other(name.to_owned()))
    }

    /// The dtype's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Other(name) => name,
            Self::Quant(quant) => quant.name(),
            known => Self::KNOWN
                .iter()
                .find(|(dtype, _)| dtype == known)
                .map_or("", |(_, name)| name),
        }
    }

    /// Bytes per element; `None` where unknown, and where elements have none of their own.
    pub fn size(&self) -> Option<usize> {
        Some(match self {
            Self::Bool | Self::U8 | Self::I8 | Self::F8E4M3 | Self::F8E5M2 => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::BF16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 | Self::C64 => 8,
            Self::C128 => 16,
            Self::Quant(_) | Self::Other(_) => return None,
        })
    }

    /// The unit that repeats in its bytes: one element, or a block of quantised ones; `None` where unknown.
    pub fn block(&self) -> Option<Block> {
        match self {
            Self::Quant(quant) => Some(quant.block()),
            other => other.size().map(|size| Block {
                values: 1,
                bytes: size as u64,
            }),
        }
    }

    /// True for what stands for real numbers: floats, and what floats are quantised to.
    pub fn is_real(&self) -> bool {
        self.is_float() || matches!(self, Self::Quant(_))
    }

    /// True for numbers with a sign bit, an exponent and a mantissa.
    pub fn is_float(&self) -> bool {
        matches!(
            self,
            Self::F16 | Self::BF16 | Self::F32 | Self::F64 | Self::F8E4M3 | Self::F8E5M2
        )
    }

    /// Bytes of a tensor of this shape; `None` where the element size is unknown, the product overflows, or rows
    /// are not whole blocks.
    pub fn bytes(&self, shape: &[u64]) -> Option<u64> {
        let block = self.block()?;
        let row = shape.last().copied().unwrap_or(1);
        if !row.is_multiple_of(block.values) {
            return None;
        }
        let elements = shape
            .iter()
            .try_fold(1u64, |product, side| product.checked_mul(*side))?;
        (elements / block.values).checked_mul(block.bytes)
    }
}

impl std::fmt::Display for Dtype {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl serde::Serialize for Dtype {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        for (dtype, name) in Dtype::KNOWN {
            assert_eq!(
                (Dtype::parse(name), dtype.name()),
                (Some(dtype.clone()), name)
            );
        }
        assert_eq!(Dtype::parse("F4"), Some(Dtype::Other("F4".into())));
        assert_eq!(Dtype::parse("F 4"), None);
        assert_eq!(Dtype::parse(""), None);
    }

    #[test]
    fn sizes_do_not_overflow() {
        assert_eq!(Dtype::F32.bytes(&[30522, 384]), Some(46_881_792));
        assert_eq!(Dtype::F32.bytes(&[]), Some(4));
        assert_eq!(Dtype::F32.bytes(&[u64::MAX, 2]), None);
        assert_eq!(Dtype::BF16.bytes(&[u64::MAX]), None);
    }

    #[test]
    fn quantised_rows_are_whole_blocks() {
        let dtype = Dtype::parse("Q4_K").expect("a name");
        assert_eq!((dtype.name(), dtype.size()), ("Q4_K", None));
        assert_eq!(dtype.bytes(&[3, 512]), Some(3 * 2 * 144));
        assert_eq!(dtype.bytes(&[0, 512]), Some(0));
        for shape in [&[][..], &[512, 3], &[255], &[u64::MAX, 256]] {
            assert_eq!(dtype.bytes(shape), None, "{shape:?}");
        }
    }
}
