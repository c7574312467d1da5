//! The scale of a quantised tensor, from some of its numbers and what they were.

use super::format::Format;

/// The factor that makes integers of a base's numbers by rounding, if one fits them: `raw` are bytes of numbers,
/// `base` those that they come from.
pub(in crate::store) fn factor(raw: &[u8], base: &[u8], from: Format) -> Option<f32> {
    let mut wide = vec![0; raw.len()];
    from.widen(base, &mut wide);
    let pairs = wide
        .iter()
        .zip(raw)
        .map(|(wide, byte)| (f64::from(f32::from_bits(*wide)), f64::from(*byte as i8)));
    // At the ends of the range numbers may have been cut off.
    let pairs: Vec<_> = pairs
        .filter(|(x, q)| x.is_finite() && q.abs() < 127.0)
        .collect();
    let squares: f64 = pairs.iter().map(|(x, _)| x * x).sum();
    let products: f64 = pairs.iter().map(|(x, q)| x * q).sum();
    let guess = products / squares;
    // Each number allows a range of factors, and the true one lies in all of them.
    let (mut least, mut most) = (guess * 0.99, guess * 1.01);
    for (x, q) in pairs.iter().filter(|(x, _)| *x != 0.0) {
        let (a, b) = ((q - 0.5) / x, (q + 0.5) / x);
        let (a, b) = (a.min(b), a.max(b));
        // One that allows none of them was rounded some other way.
        if b >= least && a <= most {
            (least, most) = (least.max(a), most.min(b));
        }
    }
    let factor = ((least + most) / 2.0) as f32;
    (guess > 0.0 && factor.is_normal()).then_some(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factor_is_found() {
        let base: Vec<f32> = (0..5000)
            .map(|i| ((i * 7919 % 10_007) as f32 - 5000.0) * 1e-5)
            .collect();
        for factor in [1000.0f32, 2540.3] {
            let raw: Vec<u8> = base
                .iter()
                .map(|x| (x * factor).round_ties_even().clamp(-127.0, 127.0) as i8 as u8)
                .collect();
            let bytes: Vec<u8> = base.iter().flat_map(|x| x.to_le_bytes()).collect();
            let found = super::factor(&raw, &bytes, Format::F32).expect("one fits");
            assert!((found / factor - 1.0).abs() < 1e-4, "{found} {factor}");
        }
        assert_eq!(super::factor(&[0; 9], &[0; 36], Format::F32), None);
    }
}
