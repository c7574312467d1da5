//! Blocks held against what the format's own library makes of them, and worked out by hand.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::base::fields::{Field, Fields, Kind, Offset};
use crate::base::progress::Silent;
use crate::base::{Dtype, ReadAt};
use crate::model::Entry;
use crate::model::stats::{Input, Stats, compare, of};
use crate::model::testing::manifest;

/// A fixture and its tensors.
fn fixture(name: &str) -> (Vec<u8>, Vec<Entry>) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/gguf");
    let file = std::fs::read(folder.join(name)).expect("fixtures are there");
    let entries = manifest(&file, name).tensors();
    (file, entries)
}

fn bytes<'a>(file: &'a [u8], entry: &Entry) -> &'a [u8] {
    let at = entry.location.offset as usize;
    &file[at..at + entry.location.bytes as usize]
}

#[test]
fn every_type_is_decoded_as_its_own_library_does() {
    let (file, quantised) = fixture("quantised.gguf");
    let (expected_file, expected) = fixture("values.gguf");
    let mut decoded = 0;
    for entry in &quantised {
        let Dtype::Quant(quant) = &entry.dtype else {
            continue;
        };
        assert_eq!(format!("blk.0.{}", quant.name()), entry.name);
        let mut wide = vec![0.0; 512];
        let known = decode(*quant, bytes(&file, entry), &mut wide);
        let values = expected.iter().find(|other| other.name == entry.name);
        assert_eq!(known, values.is_some(), "{}", entry.name);
        let Some(values) = values else {
            continue;
        };
        let values = bytes(&expected_file, values).as_chunks::<4>().0;
        for (i, (ours, theirs)) in wide.iter().zip(values).enumerate() {
            let theirs = f64::from(f32::from_le_bytes(*theirs));
            assert!(ours.is_finite());
            assert_eq!(ours.to_bits(), theirs.to_bits(), "{} {i}", entry.name);
        }
        decoded += 1;
    }
    let all = Quant::ALL.iter();
    let known = all.filter(|(quant, ..)| reader(*quant).is_some()).count();
    assert_eq!((decoded, known), (16, 16));
}

#[test]
fn blocks_are_what_the_formulas_say() {
    let one = half::f16::ONE.to_le_bytes();
    let two = half::f16::from_f32(2.0).to_le_bytes();
    let read = |quant: Quant, parts: &[&[u8]]| {
        let block = parts.concat();
        assert_eq!(block.len() as u64, quant.block().bytes);
        let mut out = vec![f64::NAN; quant.block().values as usize];
        assert!(decode(quant, &block, &mut out));
        out
    };
    // Element 0 is the low half of byte 0, element 16 its high half.
    let mut numbers = [0x88; 16];
    numbers[0] = 0xf0;
    let mut expected = vec![0.0; 32];
    (expected[0], expected[16]) = (-16.0, 14.0);
    assert_eq!(read(Quant::Q4_0, &[&two, &numbers]), expected);
    let mut numbers = [0; 32];
    (numbers[1], numbers[31]) = (0x80, 0x7f);
    let mut expected = vec![0.0; 32];
    (expected[1], expected[31]) = (-256.0, 254.0);
    assert_eq!(read(Quant::Q8_0, &[&two, &numbers]), expected);
    // Scales of 6 bits: part 0 has 63 in a byte of its own, part 4 has 32 + 15 in two bytes; the minimum of part 7 is
    // 16 + 9.
    let mut scales = [0u8; 12];
    (scales[0], scales[8], scales[7], scales[11]) = (63 | 2 << 6, 15, 1 << 6, 9 << 4);
    let mut numbers = [0u8; 128];
    (numbers[0], numbers[64], numbers[127]) = (3, 4, 5 << 4);
    let out = read(Quant::Q4K, &[&one, &two, &scales, &numbers]);
    assert_eq!((out[0], out[1]), (63.0 * 3.0, 0.0));
    assert_eq!((out[128], out[129]), (47.0 * 4.0, 0.0));
    assert_eq!((out[254], out[255]), (-50.0, -50.0));
}

fn input<'a>(file: &'a dyn ReadAt, entry: &'a Entry) -> Input<'a> {
    Input::in_file(file, entry)
}

#[test]
fn figures_are_of_values_and_not_of_blocks() {
    let (file, quantised) = fixture("quantised.gguf");
    let (values_file, values) = fixture("values.gguf");
    for (a, b) in quantised.iter().zip(&values).take(16) {
        let (a, b) = (input(&file, a), input(&values_file, b));
        let stats = compare(&a, &b, 1, &Silent).expect("in memory");
        let stats = stats.expect("as many elements");
        assert_eq!((stats.elements, stats.changed), (512, 0), "{:?}", a.dtype);
        assert_eq!(stats.rounded, Some(512));
        assert!(stats.numeric && stats.l2_a > 0.0);
        let alone = of(&a, 1, &Silent).expect("in memory");
        assert_eq!((alone.elements, alone.l2_a), (512, stats.l2_b));
        assert_eq!(alone.distinct_a, stats.distinct_b);
    }
}

#[test]
fn what_is_not_decoded_is_compared_by_its_bytes() {
    let (file, quantised) = fixture("quantised.gguf");
    let mut other_file = file.clone();
    let raw = quantised
        .iter()
        .find(|entry| entry.dtype.name() == "IQ3_S")
        .expect("there is one");
    other_file[raw.location.offset as usize] ^= 1;
    let (a, b) = (input(&file, raw), input(&other_file, raw));
    let stats = compare(&a, &b, 1, &Silent).expect("in memory");
    let stats = stats.expect("as many bytes");
    let counted = Stats {
        elements: 220,
        changed: 1,
        ..Stats::default()
    };
    assert_eq!(
        (stats.numeric, stats.elements, stats.changed),
        (false, counted.elements, counted.changed)
    );
    let other = input(&file, &quantised[0]);
    assert_eq!(compare(&a, &other, 1, &Silent).expect("in memory"), None);
    // Bytes that are not as many as the sides need are no blocks: a file of another format may call anything so.
    let short = Input {
        bytes: 100,
        ..other
    };
    let stats = of(&short, 1, &Silent).expect("in memory");
    assert_eq!((stats.numeric, stats.elements), (false, 100));
    assert_eq!(compare(&short, &other, 1, &Silent).expect("read"), None);
}

#[test]
fn long_tensors_are_read_block_by_block() {
    let rows = 1200u64;
    let (d, m) = (half::f16::from_f32(0.5), half::f16::from_f32(-1.0));
    let block = |i: u64| -> Vec<u8> {
        let numbers = (0..16).map(|j| (i * 7 + j) as u8);
        let front = d.to_le_bytes().into_iter().chain(m.to_le_bytes());
        front.chain(numbers).collect()
    };
    let file: Vec<u8> = (0..rows * 16).flat_map(block).collect();
    let (dtype, shape) = (Dtype::Quant(Quant::Q4_1), [rows, 512]);
    let a = Input {
        source: &file,
        offset: 0,
        bytes: file.len() as u64,
        dtype: &dtype,
        shape: &shape,
        strides: None,
    };
    let mut wide = vec![0.0; 512 * rows as usize];
    assert!(decode(Quant::Q4_1, &file, &mut wide));
    let floats: Vec<u8> = wide
        .iter()
        .flat_map(|value| (*value as f32).to_le_bytes())
        .collect();
    // The first rows of it only, so that the last block of elements is not whole.
    let (float, fewer) = (Dtype::F32, [rows - 1, 512]);
    let b = Input {
        source: &floats,
        bytes: (rows - 1) * 512 * 4,
        dtype: &float,
        shape: &fewer,
        ..a
    };
    for (a, b) in [(&a, &b), (&b, &a)] {
        let stats = compare(a, b, 3, &Silent).expect("in memory");
        let stats = stats.expect("rows in common");
        assert_eq!((stats.elements, stats.changed), ((rows - 1) * 512, 0));
    }
    // A row whose length is not one of whole blocks has some in common with one that is.
    let (flat, short) = ([64u64], [50u64]);
    let a = Input {
        bytes: 40,
        shape: &flat,
        ..a
    };
    let b = Input {
        bytes: 200,
        shape: &short,
        ..b
    };
    let stats = compare(&a, &b, 1, &Silent).expect("in memory");
    let stats = stats.expect("elements in common");
    assert_eq!((stats.elements, stats.changed), (50, 0));
}

proptest! {
    #[test]
    fn no_block_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 292)) {
        for (quant, ..) in Quant::ALL {
            let block = quant.block();
            let mut out = vec![0.0; block.values as usize];
            decode(quant, &bytes[..block.bytes as usize], &mut out);
        }
    }
}

/// The units of each field of a block, bit by bit.
fn units(fields: &Fields, block: &[u8]) -> Vec<Vec<u8>> {
    let read = |field: &Field| {
        let mut units = vec![0u8; field.units()];
        for slice in &field.slices {
            let mut unit = usize::from(slice.first);
            for turn in 0..u16::from(slice.groups) * u16::from(slice.steps) {
                let (group, step) = (turn / u16::from(slice.steps), turn % u16::from(slice.steps));
                for place in 0..slice.run {
                    let byte = block[usize::from(slice.byte + group * slice.run + place)];
                    for bit in 0..slice.bits {
                        let from =
                            u16::from(slice.shift) + step * u16::from(slice.bits) + u16::from(bit);
                        units[unit] |= (byte >> from & 1) << (slice.at + bit);
                    }
                    unit += 1;
                }
            }
        }
        units
    };
    fields.fields.iter().map(read).collect()
}

/// The values of a block's last field by what its fields say.
fn values(fields: &Fields, block: &[u8]) -> Vec<f64> {
    let units = units(fields, block);
    let number = |field: usize, at: usize| -> f32 {
        let units = &units[field];
        match fields.fields[field].kind {
            Kind::Unsigned(zero) => f32::from(units[at]) - f32::from(zero),
            Kind::Signed => signed(units[at]),
            Kind::F16 => f16(units, 2 * at),
            Kind::F32 => f32::from_le_bytes([units[0], units[1], units[2], units[3]]),
        }
    };
    let last = fields.fields.len() - 1;
    let field = &fields.fields[last];
    let count = usize::from(field.count);
    let product = |list: &[u8], first: f32, at: usize| {
        list.iter().fold(first, |product, other| {
            let other = usize::from(*other);
            product * number(other, at * usize::from(fields.fields[other].count) / count)
        })
    };
    let value = |at| {
        let scaled = product(&field.scales, 1.0, at) * number(last, at);
        let offset = match &field.offset {
            Offset::None => 0.0,
            Offset::Plus(list) => product(list, 1.0, at),
            Offset::Minus(list) => product(list, -1.0, at),
        };
        f64::from(scaled + offset)
    };
    (0..count).map(value).collect()
}

#[test]
fn fields_stand_for_what_blocks_are_decoded_to() {
    let (file, quantised) = fixture("quantised.gguf");
    let mut scaled = Vec::new();
    for entry in &quantised {
        let Dtype::Quant(quant) = &entry.dtype else {
            continue;
        };
        let fields = quant.fields();
        let last = fields.fields.last().expect("it has one");
        if last.scales.is_empty() || reader(*quant).is_none() {
            continue;
        }
        let block = quant.block();
        let bytes = bytes(&file, entry);
        let mut decoded = vec![0.0; 512];
        assert!(decode(*quant, bytes, &mut decoded));
        let blocks = bytes.chunks_exact(block.bytes as usize);
        let values: Vec<f64> = blocks.flat_map(|block| values(&fields, block)).collect();
        let near =
            |(ours, theirs): (&f64, &f64)| (ours - theirs).abs() <= 1e-6 * theirs.abs().max(1e-3);
        assert!(values.iter().zip(&decoded).all(near), "{}", quant.name());
        scaled.push(quant.name());
    }
    assert_eq!(scaled.len(), 12, "{scaled:?}");
}
