//! Whatever the blocks, their fields and the base, bytes come back; and fields that are no fields are refused.

use proptest::prelude::*;

use super::*;
use crate::base::Quant;
use crate::base::fields::{Offset, Slice};
use crate::base::id::CHUNK;
use crate::store::Element;
use crate::store::codec::Encoder;
use crate::store::codec::machine::{Plain, Work};
use crate::store::codec::measure::quantised::quantised;

fn encoded(raw: &[u8], fields: &Fields, offset: u64, under: Under<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    encode(raw, fields, offset, under, &mut Encoder::new(), &mut out);
    out
}

fn decoded(payload: &[u8], tables: &[u8], base: &[u8], len: usize) -> Result<Vec<u8>, CodecError> {
    let chunk = Stored {
        payload,
        element: Element::number(1, false),
        tables,
        base,
    };
    let mut out = vec![0xaa; len];
    Decoder::new().decode(ID, &chunk, &mut out).map(|()| out)
}

#[test]
fn other_elements_than_bytes_are_refused() {
    let raw: Vec<u8> = (0..680).map(|i| (i * 7) as u8).collect();
    let fields = Quant::Q8_0.fields();
    let payload = encoded(&raw, &fields, 0, Under::Nothing);
    let tables = tables(&fields);
    let decodes = |element| {
        let chunk = Stored {
            payload: &payload,
            element,
            tables: &tables,
            base: &[],
        };
        Decoder::new().decode(ID, &chunk, &mut vec![0; raw.len()])
    };
    assert_eq!(decodes(Element::number(1, false)), Ok(()));
    let others = [(1, true), (2, false), (4, true)];
    let others = others.map(|(width, float)| Element::number(width, float));
    for element in others.into_iter().chain([Element::Bytes]) {
        let refused = matches!(decodes(element), Err(CodecError::Malformed(_)));
        assert!(refused, "{element:?}");
    }
}

/// The size as stored, once it was proved that `raw` comes back.
fn comes_back(raw: &[u8], fields: &Fields, offset: u64, base: Option<&[u8]>) -> usize {
    comes_back_under(
        raw,
        fields,
        offset,
        base.map_or(Under::Nothing, Under::Blocks),
    )
}

fn comes_back_under(raw: &[u8], fields: &Fields, offset: u64, under: Under<'_>) -> usize {
    let payload = encoded(raw, fields, offset, under);
    let (base, wanted) = match under {
        Under::Nothing => ([].as_slice(), raw.len()),
        Under::Blocks(base) => (base, raw.len()),
        Under::Floats(format, base) => {
            let each = values_of(fields) * format.width();
            let head = (fields.bytes - (offset % u64::from(fields.bytes)) as u16) % fields.bytes;
            let whole = raw.len().saturating_sub(usize::from(head)) / usize::from(fields.bytes);
            if let Some(floats) = Floats::of(format, fields) {
                let len = floats.len(offset, raw.len() as u64);
                assert_eq!(len, (whole * each) as u64);
            }
            (base, whole * each)
        }
    };
    assert_eq!(is_based(&payload), !matches!(under, Under::Nothing));
    assert_eq!(Blocks.base_len(&payload, raw.len()), Ok(wanted));
    let back = decoded(&payload, &tables(fields), base, raw.len());
    let back = back.map(|back| back == raw);
    assert_eq!(back, Ok(true), "{fields:?} {offset} {}", raw.len());
    payload.len()
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 16 ^ self.0
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.next() >> 13) as u8).collect()
    }

    fn normal(&mut self) -> f32 {
        let uniforms = (0..12).map(|_| (self.next() >> 24 & 0xff_ffff) as f32 / 16_777_216.0);
        uniforms.sum::<f32>() - 6.0
    }
}

/// Weights before and after a fine-tune of half of their rows.
fn tuned(count: usize) -> (Vec<u8>, Vec<u8>) {
    let mut random = Random(5);
    let base: Vec<f32> = (0..count).map(|_| random.normal() * 0.02).collect();
    let rows = base.chunks(512).enumerate();
    let new: Vec<f32> = rows
        .flat_map(|(row, values)| {
            let step = 3e-4 * (row % 2) as f32;
            let moved = values.iter().map(|x| x + step * random.normal());
            moved.collect::<Vec<f32>>()
        })
        .collect();
    let bytes = |x: Vec<f32>| x.into_iter().flat_map(f32::to_le_bytes).collect();
    (bytes(base), bytes(new))
}

#[test]
fn every_type_is_sound_and_comes_back_at_every_phase() {
    let mut random = Random(1);
    for (quant, name, ..) in Quant::ALL {
        let fields = quant.fields();
        assert!(is_sound(&fields), "{name}");
        assert_eq!(read_tables(&tables(&fields)), Ok(fields.clone()), "{name}");
        let size = usize::from(fields.bytes);
        let base = random.bytes(9 * size);
        let mut new = base.clone();
        for at in [0, size - 1, 3 * size + 1, 4 * size, 9 * size - 1] {
            new[at] ^= 0x55;
        }
        for phase in [0, 1, size / 2, size - 1] {
            for len in [0, 1, size - 1, size, size + 1, 5 * size + 3, 8 * size] {
                let (new, base) = (&new[phase..phase + len], &base[phase..phase + len]);
                let offset = (7 * size + phase) as u64;
                comes_back(new, &fields, offset, None);
                for base in [base, &base[..len / 2], &[], new] {
                    comes_back(new, &fields, offset, Some(base));
                }
            }
        }
    }
}

#[test]
fn every_pattern_of_bits_comes_back() {
    let mut random = Random(9);
    for quant in [
        Quant::Q8_0,
        Quant::Q4_1,
        Quant::Q3K,
        Quant::Q5K,
        Quant::Q6K,
        Quant::Q8K,
    ] {
        let fields = quant.fields();
        let size = usize::from(fields.bytes);
        let patterns = [0, 0xff, 0x7c, 0x80, 0x7f, 0xfc, 1].map(|byte| vec![byte; size]);
        let blocks: Vec<Vec<u8>> = patterns.into_iter().chain([random.bytes(size)]).collect();
        let all: Vec<u8> = (0..64).flat_map(|i| blocks[i % 8].clone()).collect();
        let others: Vec<u8> = (0..64).flat_map(|i| blocks[i / 8].clone()).collect();
        comes_back(&all, &fields, 0, Some(&others));
        comes_back(&all, &fields, 0, None);
    }
}

#[test]
fn a_fine_tune_costs_less_than_its_bits_and_less_than_its_xor() {
    let (base, new) = tuned(1 << 18);
    for (quant, alone, based) in [
        (Quant::Q8_0, 96, 17),
        (Quant::Q4_0, 95, 9),
        (Quant::Q4K, 98, 10),
        (Quant::Q6K, 98, 14),
    ] {
        let (base, new) = (quantised(quant, &base), quantised(quant, &new));
        let fields = quant.fields();
        let percent = |size: usize| size * 100 / new.len();
        let ours = percent(comes_back(&new, &fields, 0, None));
        assert!(ours <= alone, "{}: {ours} % alone", quant.name());
        let ours = percent(comes_back(&new, &fields, 0, Some(&base)));
        assert!(ours <= based, "{}: {ours} % of a base", quant.name());
        assert!(comes_back(&new, &fields, 0, Some(&new)) < 20);
    }
}

#[test]
fn what_is_quantised_of_stored_floats_costs_next_to_nothing() {
    let (floats, _) = tuned(1 << 17);
    for format in [Format::Bf16, Format::F16, Format::F32] {
        let mut bytes = vec![0; floats.len() / 4 * format.width()];
        let wide: Vec<u32> = floats
            .as_chunks()
            .0
            .iter()
            .map(|x| u32::from_le_bytes(*x))
            .collect();
        format.narrow(&wide, 1.0, &mut bytes);
        let mut back = vec![0; wide.len()];
        format.widen(&bytes, &mut back);
        let rounded: Vec<u8> = back.into_iter().flat_map(u32::to_le_bytes).collect();
        for (quant, thousandths) in [
            (Quant::Q8_0, 3),
            (Quant::Q4_0, 8),
            (Quant::Q4K, 105),
            (Quant::Q6K, 85),
        ] {
            let new = quantised(quant, &rounded);
            let size = comes_back_under(&new, &quant.fields(), 0, Under::Floats(format, &bytes));
            let size = size * 1000 / new.len();
            assert!(
                size <= thousandths,
                "{} of {format:?}: {size}",
                quant.name()
            );
            // Of other floats it costs more, and comes back.
            let fields = quant.fields();
            let phase = new.len() as u64 * 7 + 1;
            for floats in [&bytes[..bytes.len() / 2 + 1], &[], &rounded[13..]] {
                comes_back_under(&new, &fields, phase, Under::Floats(format, floats));
            }
        }
    }
}

#[test]
fn vectors_predict_like_one_number_after_the_other() {
    const BLOCKS: usize = 50;
    let mut random = Random(3);
    for quant in [Quant::Q8_0, Quant::Q4_1, Quant::Q3K, Quant::Q4K, Quant::Q6K] {
        let fields = quant.fields();
        let field = fields.fields.last().expect("it has one");
        let mut side = || {
            let values = fields.fields.iter().map(|field| {
                let mut values = Vec::new();
                let units = random.bytes(BLOCKS * field.units());
                predict::values(field.kind, &units, &mut values);
                values
            });
            let values: Vec<Vec<f32>> = values.collect();
            let mut units = Units::default();
            units.set(&fields, field, BLOCKS, &values);
            units
        };
        // Any bits: infinite and what is no number among them.
        let (before, after) = (side(), side());
        let bytes = random.bytes(BLOCKS * field.units());
        let floats = random.bytes(4 * bytes.len());
        let floats = floats.as_chunks().0.iter();
        let floats: Vec<f32> = floats.map(|bytes| f32::from_le_bytes(*bytes)).collect();
        for from in [From::Base(&before), From::Values(&floats)] {
            let [plain, fastest] = [true, false].map(|is_plain| {
                let (mut units, mut keys) = (bytes.clone(), vec![0; bytes.len()]);
                let prediction = Prediction {
                    field,
                    from,
                    after: &after,
                    octaves: 30,
                    units: &mut units,
                    keys: &mut keys,
                };
                match is_plain {
                    true => prediction.run(Plain),
                    false => prediction.make(),
                }
                (units, keys)
            });
            assert!(plain == fastest, "{}", quant.name());
        }
    }
}

#[test]
fn chunks_do_not_begin_where_blocks_do() {
    let (base, new) = tuned(1 << 18);
    let (base, new) = (quantised(Quant::Q4K, &base), quantised(Quant::Q4K, &new));
    let fields = Quant::Q4K.fields();
    let whole = comes_back(&new, &fields, 0, Some(&base));
    let at = CHUNK as u64;
    let (new, base) = (&new[CHUNK % 144..], &base[CHUNK % 144..]);
    let cut = comes_back(new, &fields, at, Some(base));
    assert!(cut < whole + 200, "{cut} {whole}");
    let astray = comes_back(new, &fields, at + 1, Some(base));
    assert!(astray > 2 * cut, "{astray} {cut}");
}

/// A list of one field of these slices.
fn one(bytes: u16, count: u16, slices: Vec<Slice>) -> Fields {
    let field = Field {
        kind: Kind::Unsigned(0),
        count,
        scales: Vec::new(),
        offset: Offset::None,
        slices,
    };
    Fields {
        bytes,
        fields: vec![field],
    }
}

const PLAIN: Slice = Slice {
    first: 0,
    at: 0,
    bits: 8,
    byte: 0,
    shift: 0,
    run: 4,
    steps: 1,
    groups: 1,
};

#[test]
fn fields_that_lose_a_bit_are_refused() {
    assert!(is_sound(&one(4, 4, vec![PLAIN])));
    let low = Slice { bits: 4, ..PLAIN };
    let high = Slice {
        shift: 4,
        first: 4,
        ..low
    };
    assert!(is_sound(&one(4, 8, vec![low, high])));
    let slices = [
        (5, 4, vec![PLAIN]),
        (4, 3, vec![PLAIN]),
        (3, 4, vec![PLAIN]),
        (4, 4, vec![]),
        (4, 8, vec![low]),
        (4, 4, vec![PLAIN, PLAIN]),
        // Two bits of the block in one place, and one in two.
        (4, 4, vec![low, Slice { first: 0, ..high }]),
        (4, 8, vec![low, Slice { shift: 0, ..high }]),
        (4, 4, vec![Slice { bits: 0, ..PLAIN }]),
        (4, 4, vec![Slice { run: 0, ..PLAIN }]),
        (4, 4, vec![Slice { at: 1, ..PLAIN }]),
        (4, 4, vec![Slice { shift: 1, ..PLAIN }]),
        (4, 8, vec![Slice { steps: 2, ..PLAIN }]),
    ];
    for (bytes, count, slices) in slices {
        let fields = one(bytes, count, slices);
        assert!(!is_sound(&fields), "{fields:?}");
        let mut tables = Vec::new();
        layout::write(&fields, &mut tables);
        assert!(read_tables(&tables).is_err());
    }
    let good = Quant::Q4K.fields();
    for (at, scales) in [(4, vec![4]), (2, vec![3]), (0, vec![0]), (2, vec![9])] {
        let mut fields = good.clone();
        fields.fields[at].scales = scales;
        assert!(!is_sound(&fields), "{at}");
    }
    let bits = Slice {
        bits: 1,
        steps: 8,
        run: 9,
        ..PLAIN
    };
    assert!(!is_sound(&one(9, 72, vec![bits])), "too many numbers");
    let pairs = Slice {
        bits: 2,
        steps: 4,
        ..bits
    };
    assert!(is_sound(&one(9, 36, vec![pairs])));
    let bytes = tables(&good);
    for at in 0..bytes.len() {
        assert!(read_tables(&bytes[..at]).is_err());
    }
    assert!(read_tables(&[&bytes[..], &[0]].concat()).is_err());
}

/// Fields of a few slices, whose bits may come in any order: nearly any way to take bytes apart.
fn any_fields() -> impl Strategy<Value = Fields> {
    let field = (
        1u16..40,
        prop::sample::select(vec![2u8, 4, 8]),
        any::<u8>(),
        0..4u8,
    );
    prop::collection::vec(field, 1..6).prop_map(|list| {
        let mut byte = 0;
        let mut fields: Vec<Field> = Vec::new();
        for (at, (run, bits, zero, kind)) in list.into_iter().enumerate() {
            let steps = 8 / bits;
            let (kind, bits, steps, run) = match kind {
                0 => (Kind::F16, 8, 1, run * 2),
                1 => (Kind::F32, 8, 1, run * 4),
                2 => (Kind::Signed, 8, 1, run),
                _ => (Kind::Unsigned(zero), bits, steps, run),
            };
            let slice = Slice {
                byte,
                bits,
                run,
                steps,
                ..PLAIN
            };
            byte += run;
            let count = slice.units() / kind.width();
            let fits = |other: &Field| other.count == 1 && count > 0;
            let others = fields.iter().enumerate().filter(|(_, other)| fits(other));
            let others: Vec<u8> = others.map(|(at, _)| at as u8).collect();
            let scaled = !kind.is_float() && !others.is_empty();
            let (offset, scales) = match at % 3 {
                _ if !scaled => (Offset::None, Vec::new()),
                0 => (Offset::Plus(others.clone()), others),
                1 => (Offset::Minus(others.clone()), others),
                _ => (Offset::None, others),
            };
            fields.push(Field {
                kind,
                count: count as u16,
                scales,
                offset,
                slices: vec![slice],
            });
        }
        Fields {
            bytes: byte,
            fields,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn anything_comes_back(
        fields in any_fields(),
        offset in any::<u32>(),
        new in prop::collection::vec(any::<u8>(), 0..3000),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40),
        shorter in 0usize..200,
    ) {
        prop_assert!(is_sound(&fields));
        let mut base = new.clone();
        for (at, value) in flips {
            if !base.is_empty() {
                let at = at.index(base.len());
                base[at] = value;
            }
        }
        base.truncate(base.len().saturating_sub(shorter));
        comes_back(&new, &fields, u64::from(offset), None);
        comes_back(&new, &fields, u64::from(offset), Some(&base));
        comes_back(&new, &fields, u64::from(offset), Some(&base[base.len() / 2..]));
        for format in [Format::Bf16, Format::F16, Format::F32] {
            comes_back_under(&new, &fields, u64::from(offset), Under::Floats(format, &base));
        }
    }

    #[test]
    fn hostile_bytes_never_panic(
        payload in prop::collection::vec(any::<u8>(), 0..300),
        own in any::<bool>(),
        others in prop::collection::vec(any::<u8>(), 0..60),
        len in 0usize..5000,
    ) {
        let tables = if own { tables(&Quant::Q5K.fields()) } else { others };
        let _ = decoded(&payload, &tables, &payload, len);
    }

    #[test]
    fn damage_never_panics(
        quant in 0usize..Quant::ALL.len(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        of_tables in any::<bool>(),
    ) {
        let fields = Quant::ALL[quant].0.fields();
        let mut random = Random(quant as u64);
        let base = random.bytes(40 * usize::from(fields.bytes));
        let mut new = base.clone();
        new.iter_mut().step_by(17).for_each(|byte| *byte ^= 3);
        let (mut tables, mut payload) = (tables(&fields), encoded(&new, &fields, 3, Under::Blocks(&base)));
        for (at, value) in flips {
            let place = if of_tables { &mut tables } else { &mut payload };
            let at = at.index(place.len());
            place[at] = value;
        }
        let _ = decoded(&payload, &tables, &base, new.len());
    }
}
