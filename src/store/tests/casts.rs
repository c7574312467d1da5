//! Tensors that were renamed and cast, or quantised, at once: they cost next to nothing, in whichever order rows are.

use super::deltas::{put_numbers, record};
use super::rearranged::{COLUMNS, ROW, matrix};
use super::*;
use crate::base::Quant;
use crate::store::codec::measure::quantised::{cast, quantised};

/// What a tensor is to the store.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Number(Format),
    Blocks(Quant),
}

use Kind::{Blocks, Number};

impl Kind {
    fn of(self, floats: &[u8]) -> Vec<u8> {
        match self {
            Number(format) => cast(Format::F32, format, floats),
            Blocks(quant) => quantised(quant, floats),
        }
    }

    fn element(self) -> Element {
        match self {
            Number(format) => format.element(),
            Blocks(_) => Element::number(1, false),
        }
    }

    fn item(self, bytes: &Vec<u8>) -> PutItem<'_> {
        let columns = COLUMNS as u64;
        let (numbers, fields) = match self {
            Number(format) => (Some(Numbers { format, columns }), None),
            Blocks(quant) => (None, Some(quant.fields())),
        };
        PutItem {
            numbers,
            fields,
            ..item(bytes, self.element())
        }
    }
}

/// The rows of queries or keys as llama.cpp has them: of each head, those of either half take turns.
fn in_turns(bytes: &[u8], heads: usize) -> Vec<u8> {
    let half = bytes.len() / heads / 2;
    let heads = bytes.chunks_exact(2 * half).map(|head| {
        let (left, right) = head.split_at(half);
        let rows = left.chunks_exact(ROW).zip(right.chunks_exact(ROW));
        rows.flat_map(|(left, right)| [left, right].concat())
            .collect::<Vec<u8>>()
    });
    heads.flatten().collect()
}

/// What it costs to put tensors under other names after those that they were cast from, all together and in the other
/// order.
fn cost(old: &[Vec<u8>], old_kind: Kind, new: &[Vec<u8>], kind: Kind) -> u64 {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let put = |items: &[PutItem<'_>], kindred: &Kindred| {
        let mut writer = store.writer().expect("a writer");
        let puts = writer.put_among(items, kindred, &Silent).expect("put");
        writer.finish().expect("published");
        puts.iter().map(|put| put.written).sum::<u64>()
    };
    let items: Vec<_> = old.iter().map(|bytes| old_kind.item(bytes)).collect();
    put(&items, &Kindred::default());
    let lost = (0..).zip(old).map(|(number, bytes): (usize, _)| Kin {
        id: ObjectId::of(bytes),
        len: bytes.len() as u64,
        element: old_kind.element(),
        tensor: Fresh {
            name: format!("old.{number}"),
            row: (COLUMNS * usize::from(width(old_kind))) as u64,
        },
    });
    let fresh = Fresh {
        name: "new".into(),
        row: match kind {
            Number(format) => (COLUMNS * format.width()) as u64,
            Blocks(quant) => COLUMNS as u64 / quant.block().values * quant.block().bytes,
        },
    };
    let kindred = Kindred {
        lost: lost.collect(),
        new: vec![Some(fresh); new.len()],
    };
    let items: Vec<_> = new.iter().rev().map(|bytes| kind.item(bytes)).collect();
    let written = put(&items, &kindred);
    for (old, new) in old.iter().zip(new) {
        assert_eq!(record(&store, new).bases, [ObjectId::of(old)], "{kind:?}");
    }
    holds(&sandbox.store(), new);
    written
}

fn width(kind: Kind) -> u8 {
    match kind.element() {
        Element::Number { width, .. } => width,
        Element::Bytes => 1,
    }
}

/// Matrices of one shape, the last but one much longer than a chunk.
fn matrices() -> Vec<Vec<u8>> {
    let rows = [256, 256, 1024, 256];
    rows.into_iter()
        .zip(1..)
        .map(|(rows, seed)| matrix(rows, seed))
        .collect()
}

#[test]
fn casts_under_other_names_cost_next_to_nothing() {
    let all = matrices();
    let [f32s, bf16s, f16s] = [Format::F32, Format::Bf16, Format::F16].map(Number);
    for (from, to) in [
        (f32s, bf16s),
        (f32s, f16s),
        (bf16s, f32s),
        (f16s, f32s),
        (bf16s, f16s),
        (f32s, Number(Format::I8)),
        (f32s, Blocks(Quant::Q8_0)),
        (bf16s, Blocks(Quant::Q8_0)),
        (f32s, Blocks(Quant::Q4_0)),
        // What its scales take: they are chosen by trial.
        (f16s, Blocks(Quant::Q6K)),
    ] {
        let Number(format) = from else { continue };
        let old: Vec<Vec<u8>> = all.iter().map(|floats| from.of(floats)).collect();
        let kept = |bytes: &Vec<u8>| to.of(&cast(format, Format::F32, bytes));
        let new: Vec<Vec<u8>> = old.iter().map(kept).collect();
        let len: usize = new.iter().map(Vec::len).sum();
        let written = cost(&old, from, &new, to) as usize;
        let parts = if matches!(to, Blocks(Quant::Q6K)) {
            10
        } else {
            50
        };
        assert!(written * parts < len, "{from:?} {to:?}: {written} of {len}");
    }
}

#[test]
fn rows_that_take_turns_meanwhile_cost_what_says_where_they_were() {
    let all = matrices();
    let kinds = [Format::F32, Format::F16, Format::Bf16].map(Number);
    for kind in kinds.into_iter().chain([Blocks(Quant::Q8_0)]) {
        let turned = |floats: &Vec<u8>| kind.of(&in_turns(floats, 4));
        let new: Vec<Vec<u8>> = all.iter().map(turned).collect();
        let len: usize = new.iter().map(Vec::len).sum();
        let written = cost(&all, Number(Format::F32), &new, kind) as usize;
        assert!(written * 10 < len, "{kind:?}: {written} of {len}");
    }
}

#[test]
fn halves_of_either_kind_become_the_other_under_the_same_name() {
    let floats = matrix(1024, 1);
    let [bf16, f16] = [Format::Bf16, Format::F16];
    for (from, to) in [(bf16, f16), (f16, bf16)] {
        let sandbox = Sandbox::new();
        let store = sandbox.store();
        let columns = COLUMNS as u64;
        let old = cast(Format::F32, from, &floats);
        let new = cast(from, to, &old);
        put_numbers(
            &store,
            &old,
            None,
            Numbers {
                format: from,
                columns,
            },
        );
        let numbers = Numbers {
            format: to,
            columns,
        };
        let written = put_numbers(&store, &new, Some(&old), numbers).written;
        assert!(written < 1000, "{from:?} {to:?}: {written}");
        holds(&sandbox.store(), &[old, new]);
    }
}

#[test]
fn floats_of_eight_bits_cost_next_to_nothing_beside_what_they_were_cast_from() {
    let floats = matrix(1024, 1);
    let times = |bytes: &[u8], factor: f32| -> Vec<u8> {
        let floats = bytes.as_chunks::<4>().0.iter();
        let scaled = floats.map(|bytes| f32::from_le_bytes(*bytes) * factor);
        scaled.flat_map(f32::to_le_bytes).collect()
    };
    let columns = COLUMNS as u64;
    let cost = |old: &Vec<u8>, from: Format, new: &Vec<u8>, to: Format| {
        let sandbox = Sandbox::new();
        let store = sandbox.store();
        let numbers = |format| Numbers { format, columns };
        put_numbers(&store, old, None, numbers(from));
        let written = put_numbers(&store, new, Some(old), numbers(to)).written;
        holds(&sandbox.store(), &[old.clone(), new.clone()]);
        assert!(
            written * 50 < new.len() as u64,
            "{from:?} {to:?}: {written}"
        );
    };
    for eight in [Format::E4m3, Format::E5m2] {
        for wide in [Format::F32, Format::Bf16, Format::F16] {
            let old = cast(Format::F32, wide, &floats);
            // As it is, and with a factor for the tensor that uses its range.
            for factor in [1.0, 300.7] {
                let scaled = times(&cast(wide, Format::F32, &old), factor);
                cost(&old, wide, &cast(Format::F32, eight, &scaled), eight);
            }
            // The other way round, as what cannot compute with eight bits does.
            let small = cast(Format::F32, eight, &times(&floats, 300.7));
            for factor in [1.0, 0.003_325_574] {
                let back = times(&cast(eight, Format::F32, &small), factor);
                cost(&small, eight, &cast(Format::F32, wide, &back), wide);
            }
        }
    }
}
