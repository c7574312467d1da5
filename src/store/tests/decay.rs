//! Numbers that weight decay shrank: what nothing else moved costs next to nothing.

use super::deltas::{put_after, put_numbers, record};
use super::*;

const COLUMNS: usize = 500;
const LEN: usize = 2 * CHUNK + 4000;

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    let bytes = bytes.as_chunks::<4>().0.iter();
    bytes.map(|bytes| f32::from_le_bytes(*bytes))
}

fn bytes_of(floats: impl Iterator<Item = f32>) -> Vec<u8> {
    floats.flat_map(f32::to_le_bytes).collect()
}

/// What the second version takes after the first.
fn stored(first: &Vec<u8>, second: &Vec<u8>, format: Format) -> u64 {
    let columns = COLUMNS as u64;
    let numbers = || Numbers { format, columns };
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    put_numbers(&store, first, None, numbers());
    let size = put_numbers(&store, second, Some(first), numbers()).written;
    assert_eq!(record(&store, second).bases, [ObjectId::of(first)]);
    holds(&sandbox.store(), &[first.clone(), second.clone()]);
    size
}

/// The same of F32 in a store that does not know its numbers, and looks for no factor.
fn without(first: &Vec<u8>, second: &Vec<u8>) -> u64 {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    put_after(&store, first, &[]);
    put_after(&store, second, &[first]).written
}

#[test]
fn what_shrank_by_one_factor_costs_next_to_nothing() {
    let first = weights(LEN, 1);
    for factor in [0.999_94f32, 0.99, 0.61, -1.1] {
        let second = bytes_of(floats(&first).map(|x| x * factor));
        let with = stored(&first, &second, Format::F32);
        let without = without(&first, &second);
        assert!(
            with * 1000 < LEN as u64 && with * 50 < without,
            "{factor}: {with}, {without} without"
        );
    }
}

#[test]
fn numbers_of_two_bytes_shrink_too() {
    let upper = |x: f32| {
        let bits = x.to_bits();
        ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
    };
    let bytes = |floats: &[f32]| -> Vec<u8> {
        let floats = floats.iter().copied();
        floats.map(upper).flat_map(u16::to_le_bytes).collect()
    };
    let first: Vec<f32> = floats(&weights(LEN, 1)).collect();
    let first = bytes(&first);
    let wide = first.as_chunks::<2>().0.iter();
    let wide = wide.map(|bytes| f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16));
    let second: Vec<f32> = wide.map(|x| x * 0.98).collect();
    let with = stored(&first, &bytes(&second), Format::Bf16);
    assert!(with * 1000 < LEN as u64, "{with}");
}

#[test]
fn what_was_rounded_at_each_step_costs_a_few_bits() {
    let first = weights(LEN, 1);
    let shrink = |x: f32| (0..20).fold(x, |x, _| x * 0.9999);
    let second = bytes_of(floats(&first).map(shrink));
    let with = stored(&first, &second, Format::F32);
    let without = without(&first, &second);
    // 2.5 bits of 32 are the scatter of 20 roundings.
    assert!(with * 12 < LEN as u64, "{with}");
    assert!(with * 5 < without, "{with}, {without} without");
}

#[test]
fn rows_that_no_gradient_reached_cost_nothing_beside_those_that_moved() {
    let first = weights(LEN, 1);
    let mut state = 5u32;
    let second = floats(&first).enumerate().map(|(at, x)| {
        state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        let step = ((state >> 8) as f32 / (1 << 24) as f32 - 0.5) * 1e-3;
        x * 0.99
            - if (at / COLUMNS).is_multiple_of(2) {
                0.0
            } else {
                step
            }
    });
    let second = bytes_of(second);
    let with = stored(&first, &second, Format::F32);
    let without = without(&first, &second);
    let moved = floats(&first).zip(floats(&second)).enumerate();
    let moved = moved.filter(|(at, _)| at / COLUMNS % 2 == 1);
    let (before, after): (Vec<f32>, Vec<f32>) = moved.map(|(_, pair)| pair).unzip();
    let half = |numbers: Vec<f32>| bytes_of(numbers.into_iter());
    let alone = stored(&half(before), &half(after), Format::F32);
    assert!(
        with * 20 < alone * 21 && with * 5 < without * 4,
        "{with}, {alone} for those that moved, {without} without"
    );
}
