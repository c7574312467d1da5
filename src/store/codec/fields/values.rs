//! What blocks stand for, near enough to be recognised.

use super::{Side, is_sound, predict, slices};
use crate::base::fields::Fields;

/// How many values a block stands for; `None` where that is not known.
pub(in crate::store) fn values_of_block(fields: &Fields) -> Option<usize> {
    let last = fields.fields.last()?;
    let known = is_sound(fields) && !last.scales.is_empty();
    known.then(|| usize::from(last.count))
}

/// What the whole blocks at the front of `bytes` stand for; nothing where that is not known.
pub(in crate::store) fn values(fields: &Fields, bytes: &[u8]) -> Vec<f32> {
    let mut values = Vec::new();
    let Some(last) = fields
        .fields
        .last()
        .filter(|_| values_of_block(fields).is_some())
    else {
        return values;
    };
    let size = usize::from(fields.bytes);
    let blocks = bytes.len() / size;
    let kept: Vec<u32> = (0..blocks as u32).collect();
    let chosen = slices::Chosen { size, kept: &kept };
    let mut side = Side::default();
    side.begin(fields);
    for (at, field) in fields.fields.iter().enumerate() {
        slices::gather(field, chosen, bytes, &mut side.units[at]);
        side.end(fields, at);
    }
    side.scales.set(fields, last, blocks, &side.values);
    predict::values(last.kind, &side.units[fields.fields.len() - 1], &mut values);
    side.scales.apply(&mut values);
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Quant;
    use crate::store::codec::measure::quantised::quantised;

    #[test]
    fn values_are_near_what_was_quantised() {
        let numbers: Vec<f32> = (0..1024).map(|i| (i as f32 * 0.7).sin()).collect();
        let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        for (quant, most) in [
            (Quant::Q8_0, 0.01),
            (Quant::Q4_0, 0.14),
            (Quant::Q4K, 0.1),
            (Quant::Q6K, 0.05),
        ] {
            let blocks = quantised(quant, &bytes);
            let values = values(&quant.fields(), &blocks[..blocks.len() - 1]);
            assert!(values.len() < numbers.len() && values.len() >= 768);
            for (value, number) in values.iter().zip(&numbers) {
                assert!((value - number).abs() < most, "{quant:?} {value} {number}");
            }
        }
        assert_eq!(super::values(&Quant::Q8_0.fields(), &[]), [0.0; 0]);
    }
}
