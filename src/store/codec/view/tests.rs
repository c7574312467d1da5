//! Whatever a view computes, the bytes come back; and what can be computed costs next to nothing.

use proptest::prelude::*;

use super::*;
use crate::store::Element;

const FORMATS: [Format; 4] = [Format::Bf16, Format::F16, Format::F32, Format::I8];

fn conversions() -> impl Iterator<Item = Conversion> {
    let pairs = FORMATS
        .into_iter()
        .flat_map(|from| FORMATS.map(|to| (from, to)));
    pairs.map(|(from, to)| Conversion {
        from,
        to,
        factor: if to == Format::I8 { 3.7 } else { 1.0 },
    })
}

fn with_right(conversion: Conversion, right: Right) -> View {
    let projector = Projector::new(&right);
    View {
        conversion,
        low_rank: Some((right, projector)),
    }
}

/// The stored bytes of `raw`, and the tables that it shares.
fn encoded(raw: &[u8], base: &[u8], view: &View, offset: u64) -> (Vec<u8>, Vec<u8>) {
    let mut tools = Encoder::new();
    let mut out = Vec::new();
    encode(raw, base, view, offset, &mut tools, &mut out);
    (out, tables(view, &mut tools))
}

fn decoded(
    payload: &[u8],
    tables: &[u8],
    base: &[u8],
    to: Format,
    len: usize,
) -> Result<Vec<u8>, CodecError> {
    let chunk = Stored {
        payload,
        element: Element::number(to.width() as u8, to != Format::I8),
        tables,
        base,
    };
    let mut out = vec![0xaa; len];
    Decoder::new().decode(ID, &chunk, &mut out).map(|()| out)
}

/// The size as stored, once it was proved that `raw` comes back.
fn comes_back(raw: &[u8], base: &[u8], view: &View, offset: u64) -> usize {
    let (payload, tables) = encoded(raw, base, view, offset);
    let to = view.conversion.to;
    let back = decoded(&payload, &tables, base, to, raw.len());
    assert!(
        back.as_deref() == Ok(raw),
        "{:?}: {:?}",
        view.conversion,
        back.map(drop)
    );
    let wanted = Views.base_len(&payload, raw.len());
    assert_eq!(
        wanted,
        Ok(view.conversion.base_len(raw.len() as u64) as usize)
    );
    payload.len() + tables.len()
}

/// A random number of the normal distribution, nearly.
fn normal(state: &mut u32) -> f32 {
    let mut sum = -6.0;
    for _ in 0..12 {
        *state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        sum += (*state >> 8) as f32 / (1 << 24) as f32;
    }
    sum
}

fn bytes(numbers: &[f32], format: Format, factor: f32) -> Vec<u8> {
    let wide: Vec<u32> = numbers.iter().map(|x| x.to_bits()).collect();
    let mut bytes = vec![0; numbers.len() * format.width()];
    format.narrow(&wide, factor, &mut bytes);
    bytes
}

#[test]
fn what_is_a_rounding_or_a_widening_costs_next_to_nothing() {
    let mut state = 1;
    let weights: Vec<f32> = (0..40_000).map(|_| normal(&mut state) * 0.02).collect();
    for (from, to) in [
        (Format::F32, Format::Bf16),
        (Format::F32, Format::F16),
        (Format::Bf16, Format::F32),
        (Format::F16, Format::F32),
    ] {
        let base = bytes(&weights, from, 1.0);
        let mut wide = vec![0; weights.len()];
        from.widen(&base, &mut wide);
        let wide: Vec<f32> = wide.into_iter().map(f32::from_bits).collect();
        let conversion = Conversion {
            from,
            to,
            factor: 1.0,
        };
        let view = View::of(conversion);
        assert!(
            comes_back(&bytes(&wide, to, 1.0), &base, &view, 0) < 20,
            "{from:?} {to:?}"
        );
    }
}

#[test]
fn a_quantisation_costs_next_to_nothing() {
    let mut state = 1;
    let weights: Vec<f32> = (0..40_000).map(|_| normal(&mut state) * 0.02).collect();
    let largest = weights.iter().fold(0f32, |most, x| most.max(x.abs()));
    let scale = largest / 127.0;
    let quantised: Vec<u8> = weights
        .iter()
        .map(|x| (x / scale).round_ties_even() as i8 as u8)
        .collect();
    let base = bytes(&weights, Format::F32, 1.0);
    let found = factor(&quantised[..9000], &base[..36_000], Format::F32).expect("one fits");
    let view = View::of(Conversion {
        from: Format::F32,
        to: Format::I8,
        factor: found,
    });
    assert!(comes_back(&quantised, &base, &view, 0) < 200);
}

#[test]
fn steps_of_low_rank_are_found_and_cost_their_factors() {
    let (rows, columns) = (600, 200);
    for (format, noise, most) in [(Format::Bf16, 1e-5, 2.5), (Format::F32, 0.0, 14.0)] {
        let mut state = 3;
        let mut factor =
            |count: usize| -> Vec<f32> { (0..count).map(|_| normal(&mut state)).collect() };
        let (left, right) = (factor(2 * rows), factor(2 * columns));
        let weights: Vec<f32> = factor(rows * columns).iter().map(|x| x * 0.02).collect();
        let moved: Vec<f32> = (0..rows * columns)
            .map(|i| {
                let (row, column) = (i / columns, i % columns);
                let step =
                    left[2 * row] * right[2 * column] + left[2 * row + 1] * right[2 * column + 1];
                weights[i] + step * 1e-3 + noise * normal(&mut state)
            })
            .collect();
        let (base, raw) = (bytes(&weights, format, 1.0), bytes(&moved, format, 1.0));
        let conversion = Conversion {
            from: format,
            to: format,
            factor: 1.0,
        };
        let numbers = (rows * columns) as u64;
        let mut sample = Sample::new(columns as u64, numbers).expect("a matrix");
        sample.add(&conversion, &raw, &base, 0, 1 << 18);
        let view = View::with_low_rank(conversion, &sample).expect("directions that pay");
        let rank = view.low_rank.as_ref().map(|(right, _)| right.rank());
        assert!(rank.is_some_and(|rank| (2..5).contains(&rank)), "{rank:?}");
        let with = comes_back(&raw, &base, &view, 0) as f64 * 8.0 / numbers as f64;
        let without =
            comes_back(&raw, &base, &View::of(conversion), 0) as f64 * 8.0 / numbers as f64;
        assert!(
            with < most && with < without - 2.0,
            "{format:?}: {with} bits, {without} without"
        );
        // From the middle of a row on.
        let offset = 777 * format.width();
        comes_back(&raw[offset..], &base[offset..], &view, offset as u64);
    }
}

#[test]
fn another_chunk_of_the_same_object_may_come_first() {
    let mut decoder = Decoder::new();
    let conversion = conversions().next().expect("there are some");
    let base: Vec<u8> = (0..4000u16)
        .flat_map(|x| (0x3c00 + x % 77).to_le_bytes())
        .collect();
    let raw: Vec<u8> = (0..4000u16)
        .flat_map(|x| (0x3c00 + x % 78).to_le_bytes())
        .collect();
    for seed in [1i16, 2, 1] {
        let view = with_right(
            conversion,
            Right::new(50, 3, -20, |r, c| seed * 10 + (r * c) as i16),
        );
        let (payload, tables) = encoded(&raw, &base, &view, 0);
        let mut out = vec![0; raw.len()];
        let chunk = Stored {
            payload: &payload,
            element: Element::number(2, true),
            tables: &tables,
            base: &base,
        };
        assert_eq!(decoder.decode(ID, &chunk, &mut out), Ok(()));
        assert_eq!(out, raw);
        let other = Stored {
            tables: &[],
            ..chunk
        };
        assert!(decoder.decode(ID, &other, &mut out).is_err());
        let other = Stored {
            element: Element::number(4, true),
            ..chunk
        };
        assert!(decoder.decode(ID, &other, &mut out).is_err());
    }
}

#[test]
fn vectors_multiply_like_one_number_after_the_other() {
    use super::super::machine::{self, Machine, Pair, Plain, Work};

    struct Product<'a>(&'a Right, &'a [Pair], usize, &'a mut [i32]);

    impl Work for Product<'_> {
        type Output = ();

        fn run<M: Machine>(self, machine: M) {
            machine.multiply(self.0.pairs(), self.0.columns(), self.1, self.2, self.3);
        }
    }

    let right = Right::new(333, 7, 0, |r, c| (r * 1000 + c * 77) as i16 % 2047);
    let row = [[2047, -2047], [1, 0], [0, -5], [-2047, 9]];
    for first in [0, 1, 200, 332] {
        for row in [&row[..], &row[..1], &[]] {
            let mut fast = vec![7; 333 - first];
            let mut plain = vec![9; 333 - first];
            machine::fastest(Product(&right, row, first, &mut fast));
            Product(&right, row, first, &mut plain).run(Plain);
            assert_eq!(fast, plain);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn anything_comes_back(
        raw in prop::collection::vec(any::<u8>(), 0..3000),
        base in prop::collection::vec(any::<u8>(), 0..3000),
        columns in 16usize..100,
        rank in 1usize..9,
        exponent in any::<i8>(),
        offset in 0u64..1000,
        values in prop::collection::vec(-2047i16..=2047, 40),
    ) {
        for conversion in conversions() {
            comes_back(&raw, &base, &View::of(conversion), 0);
            let value = |r: usize, c: usize| values[(r * 7 + c) % values.len()];
            let view = with_right(conversion, Right::new(columns, rank, exponent, value));
            comes_back(&raw, &base, &view, offset * 8);
        }
    }

    #[test]
    fn hostile_bytes_never_panic(
        mut payload in prop::collection::vec(any::<u8>(), 2..200),
        tables in prop::collection::vec(any::<u8>(), 0..200),
        formats in 0u8..0x60,
        low_rank in 0u8..3,
        len in 0usize..5000,
        to in 0usize..4,
    ) {
        payload[..2].copy_from_slice(&[formats, low_rank]);
        let _ = decoded(&payload, &tables, &[0x3c; 3000], FORMATS[to], len);
        let _ = Views.base_len(&payload, len);
    }

    #[test]
    fn damaged_payloads_never_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        in_tables in any::<bool>(),
    ) {
        let base: Vec<u8> = (0..2000u16).flat_map(|x| (0x3c00 + x % 77).to_le_bytes()).collect();
        let raw: Vec<u8> = (0..2000u16).flat_map(|x| (0x3c00 + x % 78).to_le_bytes()).collect();
        let conversion = Conversion { from: Format::Bf16, to: Format::Bf16, factor: 1.0 };
        let view = with_right(conversion, Right::new(50, 3, -20, |r, c| (r * c) as i16));
        let (mut payload, mut tables) = encoded(&raw, &base, &view, 0);
        let bytes = if in_tables { &mut tables } else { &mut payload };
        for (at, value) in &flips {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        let _ = decoded(&payload, &tables, &base, Format::Bf16, raw.len());
    }
}
