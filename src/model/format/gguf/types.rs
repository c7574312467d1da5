//! The numbers that ggml gives to the types of tensors.

use crate::base::{Dtype, Quant};

/// The dtype of a number; `None` for those that ggml gave up (4, 5, 31 to 33, 36 to 38) and for younger ones.
pub(super) fn dtype(number: u32) -> Option<Dtype> {
    let quant = match number {
        0 => return Some(Dtype::F32),
        1 => return Some(Dtype::F16),
        24 => return Some(Dtype::I8),
        25 => return Some(Dtype::I16),
        26 => return Some(Dtype::I32),
        27 => return Some(Dtype::I64),
        28 => return Some(Dtype::F64),
        30 => return Some(Dtype::BF16),
        2 => Quant::Q4_0,
        3 => Quant::Q4_1,
        6 => Quant::Q5_0,
        7 => Quant::Q5_1,
        8 => Quant::Q8_0,
        9 => Quant::Q8_1,
        10 => Quant::Q2K,
        11 => Quant::Q3K,
        12 => Quant::Q4K,
        13 => Quant::Q5K,
        14 => Quant::Q6K,
        15 => Quant::Q8K,
        16 => Quant::Iq2Xxs,
        17 => Quant::Iq2Xs,
        18 => Quant::Iq3Xxs,
        19 => Quant::Iq1S,
        20 => Quant::Iq4Nl,
        21 => Quant::Iq3S,
        22 => Quant::Iq2S,
        23 => Quant::Iq4Xs,
        29 => Quant::Iq1M,
        34 => Quant::Tq1_0,
        35 => Quant::Tq2_0,
        39 => Quant::Mxfp4,
        40 => Quant::Nvfp4,
        41 => Quant::Q1_0,
        _ => return None,
    };
    Some(Dtype::Quant(quant))
}

/// True for dtypes that some number has.
pub(crate) fn has(dtype: &Dtype) -> bool {
    match dtype {
        Dtype::F32
        | Dtype::F16
        | Dtype::BF16
        | Dtype::F64
        | Dtype::I8
        | Dtype::I16
        | Dtype::I32
        | Dtype::I64
        | Dtype::Quant(_) => true,
        Dtype::Bool
        | Dtype::U8
        | Dtype::U16
        | Dtype::U32
        | Dtype::U64
        | Dtype::C64
        | Dtype::C128
        | Dtype::F8E4M3
        | Dtype::F8E5M2
        | Dtype::Other(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_one_number() {
        let mut all: Vec<Dtype> = (0..100).filter_map(dtype).collect();
        assert!(all.iter().all(has));
        assert_eq!(all.len(), 8 + Quant::ALL.len());
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 8 + Quant::ALL.len());
        assert_eq!((dtype(4), dtype(u32::MAX)), (None, None));
    }
}
