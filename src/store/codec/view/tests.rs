//! Whatever a view computes, the bytes come back; and what can be computed costs next to nothing.

use proptest::prelude::*;

use super::*;
use crate::store::Element;

const FORMATS: [Format; 6] = [
    Format::Bf16,
    Format::F16,
    Format::F32,
    Format::I8,
    Format::E4m3,
    Format::E5m2,
];

fn conversions() -> impl Iterator<Item = Conversion> {
    let pairs = FORMATS
        .into_iter()
        .flat_map(|from| FORMATS.map(|to| (from, to)));
    pairs.map(|(from, to)| Conversion {
        from,
        to,
        factor: if to == Format::I8 {
            f64::from(3.7f32)
        } else {
            1.0
        },
    })
}

/// The same, and with factors that have ends of what they may be.
fn with_factors() -> impl Iterator<Item = Conversion> {
    let factors = [0.99994, -1.0, 3e9, -1e-40, f64::MAX, 5e-324, 0.0, -0.0];
    conversions().chain(conversions().flat_map(move |conversion| {
        let floats = conversion.to != Format::I8;
        let factors = factors.into_iter().filter(move |_| floats);
        factors.map(move |factor| Conversion {
            factor,
            ..conversion
        })
    }))
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
        factor: f64::from(found),
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
        // Of what decay shrank, on top of it.
        let before: Vec<f32> = weights.iter().map(|x| x * 2.5).collect();
        let before = bytes(&before, format, 1.0);
        let conversion = Conversion {
            factor: 0.4,
            ..conversion
        };
        let mut sample = Sample::new(columns as u64, numbers).expect("a matrix");
        sample.add(&conversion, &raw, &before, 0, 1 << 18);
        let view = View::with_low_rank(conversion, &sample).expect("directions that pay");
        let shrunk = comes_back(&raw, &before, &view, 0) as f64 * 8.0 / numbers as f64;
        assert!(
            shrunk < with + 1.5,
            "{format:?}: {shrunk} bits, {with} without decay"
        );
    }
}

/// What a base's numbers become.
fn predicted(conversion: &Conversion, base: &[u8], len: usize) -> Vec<u8> {
    let mut seen = vec![0xaa; 7];
    predict::predict(conversion, base, None, len, &mut seen);
    seen
}

#[test]
fn numbers_are_multiplied_in_double_precision_and_rounded_once() {
    let (tiny, infinite) = (f32::from_bits(1), f32::INFINITY);
    let nans = [0x7f80_0001, 0xffc1_2345].map(f32::from_bits);
    let cases = [
        // 1.5 of the smallest: a tie, to even.
        (tiny, 1.5, f32::from_bits(2)),
        (tiny, 0.5, 0.0),
        (-tiny, 0.5, -0.0),
        (-tiny, -0.500_001, tiny),
        (-0.0, 0.9, -0.0),
        (-0.0, -0.9, 0.0),
        (7.5, 0.0, 0.0),
        (7.5, -0.0, -0.0),
        (f32::MAX, 1.000_000_1, infinite),
        (f32::MAX, -f64::MAX, -infinite),
        (f32::MAX, 5e-324, 0.0),
        (infinite, 0.0, infinite),
        (-infinite, -1.0, -infinite),
        (nans[0], -2.0, nans[0]),
        (nans[1], 0.5, nans[1]),
        // The factor is none of F32, and rounding it first would be felt.
        (16_777_215.0, 1.0 + 0.75 * 2f64.powi(-24), 16_777_216.0),
        (16_777_215.0, 1.0 + 0.25 * 2f64.powi(-24), 16_777_215.0),
        (
            16_777_215.0,
            f64::from(1.0f32 - 2f32.powi(-24)),
            16_777_214.0,
        ),
    ];
    for (x, factor, product) in cases {
        let conversion = Conversion {
            from: Format::F32,
            to: Format::F32,
            factor,
        };
        let found = predicted(&conversion, &x.to_le_bytes(), 4);
        assert_eq!(found, product.to_le_bytes(), "{x} * {factor}");
    }
    // Two numbers of 1024 and more, and one that the base ends before.
    let base = [1.5f32; 1026].map(f32::to_le_bytes).concat();
    let halved = predicted(
        &Conversion {
            from: Format::F32,
            to: Format::Bf16,
            factor: 0.5,
        },
        &base[..4103],
        2 * 1026,
    );
    let (there, beyond) = halved.split_at(2050);
    assert!(there.as_chunks::<2>().0.iter().all(|x| *x == [0x40, 0x3f]) && beyond == [0, 0]);
}

/// What the format says of a number of the chunk's, one at a time.
fn said(conversion: &Conversion, bits: u32) -> u32 {
    let x = f32::from_bits(bits);
    let product = (f64::from(x) * conversion.factor) as f32;
    if x.is_finite() {
        product.to_bits()
    } else {
        bits
    }
}

#[test]
fn a_factor_has_its_place_and_what_is_none_is_refused() {
    let conversion = Conversion {
        from: Format::Bf16,
        to: Format::Bf16,
        factor: 0.75,
    };
    let base = [0x80, 0x3f].repeat(40);
    let (payload, _) = encoded(&[0x40, 0x3f].repeat(40), &base, &View::of(conversion), 0);
    assert_eq!(payload[..10], [0x11, 2, 0, 0, 0, 0, 0, 0, 0xe8, 0x3f]);
    // Without a factor there is none, as there was none before there were any.
    let same = Conversion {
        factor: 1.0,
        ..conversion
    };
    let (plain, _) = encoded(&base, &base, &View::of(same), 0);
    assert_eq!(plain[..2], [0x11, 0]);
    assert_eq!(plain[2..], payload[10..]);
    let fails = |payload: &[u8]| decoded(payload, &[], &base, Format::Bf16, 80).is_err();
    assert!(!fails(&payload) && !fails(&plain));
    for factor in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let hostile = [&[0x11, 2], &factor.to_le_bytes()[..], &payload[10..]].concat();
        assert!(fails(&hostile), "{factor}");
        assert!(Views.base_len(&hostile, 80).is_err());
    }
    assert!((2..10).all(|cut| fails(&payload[..cut])));
    assert!(fails(&[&[0x11, 4], &payload[2..]].concat()), "a later flag");
    // Integers have their own factor, and not two.
    let integers = View::of(Conversion {
        to: Format::I8,
        ..conversion
    });
    let (payload, _) = encoded(&[1; 40], &base, &integers, 0);
    let refused = [&[0x41, 2], &payload[2..]].concat();
    let fails = |payload: &[u8]| decoded(payload, &[], &base, Format::I8, 40).is_err();
    assert!(!fails(&payload) && fails(&refused));
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
        for conversion in with_factors() {
            comes_back(&raw, &base, &View::of(conversion), 0);
            let value = |r: usize, c: usize| values[(r * 7 + c) % values.len()];
            let view = with_right(conversion, Right::new(columns, rank, exponent, value));
            comes_back(&raw, &base, &view, offset * 8);
        }
    }

    #[test]
    fn vectors_say_what_the_format_says(
        base in prop::collection::vec(any::<u32>(), 1..3000),
        factor in any::<f64>().prop_filter("a finite one", |factor| factor.is_finite()),
        near in 0.5f64..2.0,
    ) {
        let bytes: Vec<u8> = base.iter().flat_map(|x| x.to_le_bytes()).collect();
        for factor in [factor, near, f64::from(near as f32)] {
            for from in [Format::F32, Format::Bf16, Format::F16] {
                let numbers = bytes.len() / from.width();
                let mut wide = vec![0; numbers];
                from.widen(&bytes, &mut wide);
                for to in [Format::F32, Format::Bf16, Format::F16] {
                    let conversion = Conversion { from, to, factor };
                    let moved: Vec<u32> = wide.iter().map(|x| said(&conversion, *x)).collect();
                    let mut narrow = vec![0; numbers * to.width()];
                    to.narrow(&moved, 1.0, &mut narrow);
                    prop_assert!(predicted(&conversion, &bytes, narrow.len()) == narrow);
                }
            }
        }
    }

    #[test]
    fn hostile_bytes_never_panic(
        mut payload in prop::collection::vec(any::<u8>(), 2..200),
        tables in prop::collection::vec(any::<u8>(), 0..200),
        formats in 0u8..0x60,
        flags in 0u8..6,
        len in 0usize..5000,
        to in 0usize..4,
    ) {
        payload[..2].copy_from_slice(&[formats, flags]);
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

#[test]
fn reports_say_what_kind_of_view_it_is() {
    let kind = |from, to, factor, low_rank| {
        let mut payload = Vec::new();
        Conversion { from, to, factor }.write(low_rank, &mut payload);
        Views.kind(&payload)
    };
    let (f32s, bf16, i8s) = (Format::F32, Format::Bf16, Format::I8);
    assert_eq!(kind(f32s, bf16, 1.0, false), "cast");
    assert_eq!(kind(bf16, f32s, 1.0, false), "cast");
    assert_eq!(kind(f32s, i8s, 900.0, false), "int8");
    assert_eq!(kind(f32s, f32s, 0.99, false), "decay");
    assert_eq!(kind(f32s, bf16, 0.99, false), "decay");
    assert_eq!(kind(f32s, bf16, 0.99, true), "low rank");
    assert_eq!(kind(f32s, f32s, 1.0, true), "low rank");
    // None that an encoder makes, and what cannot be read.
    assert_eq!(kind(f32s, f32s, 1.0, false), "view");
    assert_eq!(Views.kind(&[]), "view");
}
