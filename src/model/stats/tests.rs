//! Figures that can be worked out otherwise.

use proptest::prelude::*;

use super::rank::of_difference;
use super::*;
use crate::base::progress::Silent;

fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn input<'a>(bytes: &'a Vec<u8>, dtype: &'a Dtype, shape: &'a [u64]) -> Input<'a> {
    Input {
        source: bytes,
        offset: 0,
        bytes: bytes.len() as u64,
        dtype,
        shape,
        strides: None,
    }
}

fn compared(a: &[f32], b: &[f32], threads: usize) -> Stats {
    let (x, y) = (f32s(a), f32s(b));
    let (a_shape, b_shape) = ([a.len() as u64], [b.len() as u64]);
    let (a, b) = (
        input(&x, &Dtype::F32, &a_shape),
        input(&y, &Dtype::F32, &b_shape),
    );
    let stats = compare(&a, &b, threads, &Silent).expect("in memory");
    stats.expect("comparable")
}

#[test]
fn figures_are_what_they_say() {
    let stats = compared(&[3.0, 4.0, 0.0, 1.0, -0.0], &[3.0, 0.0, 2.0, 1.0, 0.0], 1);
    assert_eq!((stats.elements, stats.changed, stats.max_abs), (5, 3, 4.0));
    assert_eq!((stats.l2_a, stats.l2_b), (26f64.sqrt(), 14f64.sqrt()));
    assert_eq!(stats.l2_delta, 20f64.sqrt());
    assert_eq!(stats.rel_l2, Some(20f64.sqrt() / 26f64.sqrt()));
    assert_eq!(stats.cosine, Some(10.0 / (26f64.sqrt() * 14f64.sqrt())));
    assert_eq!((stats.zeros_a, stats.zeros_b, stats.zeroed), (2, 2, 1));
    assert_eq!((stats.distinct_a, stats.distinct_b), (Some(5), Some(4)));
    let zero = compared(&[0.0], &[1.0], 1);
    assert_eq!((zero.rel_l2, zero.cosine), (None, None));
}

#[test]
fn nan_and_infinity_are_counted_and_left_out() {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let stats = compared(&[1.0, nan, 2.0, inf, 3.0], &[1.0, nan, nan, 0.0, -inf], 1);
    assert_eq!(
        (stats.nan_a, stats.nan_b, stats.inf_a, stats.inf_b),
        (1, 2, 1, 1)
    );
    assert_eq!((stats.new_non_finite, stats.changed), (2, 3));
    assert_eq!((stats.l2_a, stats.l2_delta, stats.zeros_b), (1.0, 0.0, 0));
    let same = compared(&[nan, 1.0], &[nan, 1.0], 1);
    assert_eq!(
        (same.nan_a, same.nan_b, same.changed, same.l2_b),
        (1, 1, 0, 1.0)
    );
}

#[test]
fn threads_change_nothing() {
    let wave = |scale: f32| -> Vec<f32> {
        (0..BLOCK * 3 + 17)
            .map(|i| (i as f32 * 0.37).sin() * scale)
            .collect()
    };
    let (a, b) = (wave(1.0), wave(1.001));
    let one = compared(&a, &b, 1);
    assert_eq!(one, compared(&a, &b, 4));
    assert!(
        one.rel_l2.is_some_and(|rel| (rel - 0.001).abs() < 1e-6),
        "{one:?}"
    );
    assert_eq!(one.distinct_a, None);
    let parts = [
        compared(&a[..99], &b[..99], 1),
        compared(&a[99..], &b[99..], 1),
    ];
    let all = Stats::all(&parts);
    assert!((all.l2_delta - one.l2_delta).abs() < 1e-9 * one.l2_delta);
    assert_eq!((all.changed, all.max_abs), (one.changed, one.max_abs));
}

#[test]
fn a_cast_is_told_from_a_change() {
    let values: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.1).sin()).collect();
    let a = f32s(&values);
    let cast = |to: fn(f32) -> u16| -> Vec<u8> {
        values.iter().flat_map(|v| to(*v).to_le_bytes()).collect()
    };
    let exact = cast(|v| half::bf16::from_f32(v).to_bits());
    let cut = cast(|v| (v.to_bits() >> 16) as u16);
    let shape = [1000];
    let a = input(&a, &Dtype::F32, &shape);
    let rounded = |b: &Vec<u8>| {
        let stats = compare(&a, &input(b, &Dtype::BF16, &shape), 1, &Silent);
        stats.expect("in memory").expect("comparable").rounded
    };
    assert_eq!(rounded(&exact), Some(1000));
    assert!(rounded(&cut).is_some_and(|rounded| rounded < 800));
    let down = input(&exact, &Dtype::BF16, &shape);
    let up = compare(&down, &a, 1, &Silent)
        .expect("in memory")
        .expect("comparable");
    assert!(up.changed > 900 && up.rounded.is_some_and(|rounded| rounded < 100));
}

#[test]
fn more_rows_are_compared_by_the_common_ones() {
    let (a, b) = (f32s(&[1.0, 2.0]), f32s(&[1.0, 2.0, 3.0, 4.0]));
    let compared = |a_shape: &[u64], b_shape: &[u64]| {
        let (a, b) = (
            input(&a, &Dtype::F32, a_shape),
            input(&b, &Dtype::F32, b_shape),
        );
        compare(&a, &b, 1, &Silent).expect("in memory")
    };
    let stats = compared(&[1, 2], &[2, 2]).expect("two columns each");
    assert_eq!((stats.elements, stats.changed), (2, 0));
    assert_eq!(compared(&[1, 2], &[1, 4]), None);
    let other = Dtype::Other("F4".into());
    let bytes = compare(
        &input(&a, &other, &[9]),
        &input(&f32s(&[1.0, 3.0]), &other, &[9]),
        1,
        &Silent,
    );
    let bytes = bytes.expect("in memory").expect("as many bytes");
    assert_eq!(
        (bytes.numeric, bytes.elements, bytes.changed),
        (false, 8, 1)
    );
}

#[test]
fn low_rank_is_told() {
    let (rows, columns) = (96u64, 80u64);
    let noise =
        |i: u64| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f32 / (1 << 24) as f32 - 0.5;
    let at = |i: u64, j: u64| i * columns + j;
    let a: Vec<f32> = (0..rows * columns).map(|i| noise(i + 1)).collect();
    let lora: Vec<f32> = (0..rows)
        .flat_map(|i| (0..columns).map(move |j| (i, j)))
        .map(|(i, j)| {
            let update: f32 = (0..3)
                .map(|r| noise(7777 + i * 3 + r) * noise(99 + j * 5 + r))
                .sum();
            a[at(i, j) as usize] + 0.01 * update
        })
        .collect();
    let dense: Vec<f32> = a
        .iter()
        .zip(0..)
        .map(|(a, i)| a + 0.01 * noise(5_000_000 + i))
        .collect();
    let shape = [rows, columns];
    let rank = |b: &[f32]| {
        let (a, b) = (f32s(&a), f32s(b));
        let (a, b) = (
            input(&a, &Dtype::F32, &shape),
            input(&b, &Dtype::F32, &shape),
        );
        of_difference(&a, &b, &Silent)
            .expect("in memory")
            .map(|low| low.rank)
    };
    assert_eq!(rank(&lora), Some(3));
    assert_eq!((rank(&dense), rank(&a)), (None, None));
}

proptest! {
    #[test]
    fn sums_equal_the_plain_ones(pairs in prop::collection::vec((-1e3f32..1e3, -1e3f32..1e3), 0..9000)) {
        let (a, b): (Vec<f32>, Vec<f32>) = pairs.iter().copied().unzip();
        let stats = compared(&a, &b, 2);
        let plain: f64 = pairs.iter().map(|(a, b)| (f64::from(*b) - f64::from(*a)).powi(2)).sum();
        prop_assert!((stats.l2_delta - plain.sqrt()).abs() <= 1e-9 * plain.sqrt());
        let changed = pairs.iter().filter(|(a, b)| a.to_bits() != b.to_bits()).count();
        prop_assert_eq!(stats.changed, changed as u64);
    }
}
