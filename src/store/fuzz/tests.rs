//! Seeds as the store writes them, and each reader on damaged ones.

use super::*;
use crate::base::Fs;
use crate::base::fuzz::check::{Seed, check};
use crate::base::progress::Silent;
use crate::base::{Fields, Quant};
use crate::store::codec::measure::quantised::quantised;
use crate::store::codec::{Against, Chunk, Conversion, Encoder, Floats, Format};
use crate::store::codec::{Look, Sample, Strip, View, field_tables};
use crate::store::{Candidate, PutItem, Store};

fn target(name: &str) -> &'static Target {
    let found = TARGETS.iter().find(|target| target.name == name);
    found.expect("a target of this name")
}

/// Weights of a small spread, and the same after a step.
fn weights(count: usize, step: f32) -> Vec<f32> {
    let mut state = 7u32;
    let mut uniform = || {
        state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..count)
        .map(|_| (uniform() + uniform()) * 0.05 + step * uniform())
        .collect()
}

fn f32s(count: usize, step: f32) -> Vec<u8> {
    weights(count, step)
        .into_iter()
        .flat_map(f32::to_le_bytes)
        .collect()
}

/// The upper halves of F32.
fn bf16s(count: usize, step: f32) -> Vec<u8> {
    let upper = |x: f32| (x.to_bits() >> 16) as u16;
    weights(count, step)
        .into_iter()
        .map(upper)
        .flat_map(u16::to_le_bytes)
        .collect()
}

/// The packs, or the indexes, of a store of a few objects.
fn files(ending: &str) -> Vec<Vec<u8>> {
    let dir = tempfile::tempdir().expect("a temp folder");
    let store = Store::open(Fs::new(), dir.path()).expect("opened");
    let base = f32s(300, 0.0);
    let candidate = Candidate {
        id: ObjectId::of(&base),
        version: 0,
    };
    let put = |objects: &[(Vec<u8>, Element)]| {
        let mut items = Vec::new();
        for (bytes, element) in objects {
            items.push(PutItem {
                source: bytes,
                offset: 0,
                len: bytes.len() as u64,
                element: *element,
                expect: None,
                bases: vec![candidate],
                numbers: None,
                fields: None,
            });
        }
        let mut writer = store.writer().expect("started");
        writer.put_all(&items, &Silent).expect("put");
        writer.finish().expect("published").packs
    };
    let float = Element::number(4, true);
    let mut names = put(&[
        (base.clone(), float),
        (vec![0; 100], Element::number(2, true)),
        (Vec::new(), Element::Bytes),
        (b"{\"a\":1}".repeat(9), Element::Bytes),
        (vec![7; CHUNK + 1], Element::number(1, false)),
    ]);
    names.extend(put(&[(f32s(300, 1e-5), float)]));
    // Long enough to be cut by content.
    let parts = names.len() + 1;
    names.extend(put(&[(
        (0..5u32 << 18)
            .flat_map(|i| (i / 9).to_le_bytes())
            .collect(),
        Element::Bytes,
    )]));
    assert_eq!(names.len(), parts, "a pack each time");
    let packs = dir.path().join("packs");
    let path = |name| packs.join(format!("{name}.{ending}"));
    names
        .into_iter()
        .map(|name| std::fs::read(path(name)).expect("read"))
        .collect()
}

/// The first object of a pack that is not empty, less the checksum at its end.
fn records_of(pack: &[u8]) -> Vec<Vec<u8>> {
    let file = Handle::holding(pack.to_vec());
    let table = Table::of_pack(&file).ok().expect("a table");
    let entries = table.entries(&file).ok().expect("listed");
    let record = |entry: &Entry| pack[entry.offset as usize..][..entry.len as usize - 8].to_vec();
    entries.iter().map(record).collect()
}

#[test]
fn packs() {
    let [plain, delta, _] = files("pack").try_into().expect("three packs");
    check(target("pack"), vec![("plain", plain), ("delta", delta)]);
}

#[test]
fn indexes() {
    let [mut plain, mut delta, _] = files("idx").try_into().expect("three indexes");
    // The target appends the hash itself.
    plain.truncate(plain.len() - 32);
    delta.truncate(delta.len() - 32);
    check(target("index"), vec![("plain", plain), ("delta", delta)]);
}

#[test]
fn records() {
    let [plain, delta, parts] = files("pack").try_into().expect("three packs");
    let mut seeds: Vec<Seed> = ["a", "b", "c", "d", "e"]
        .into_iter()
        .zip(records_of(&plain))
        .collect();
    seeds.push(("delta", records_of(&delta).remove(0)));
    let of_parts = records_of(&parts).into_iter().max_by_key(Vec::len);
    seeds.push(("parts", of_parts.expect("an object")));
    check(target("record"), seeds);
}

/// A chunk as the targets of codecs read it; `element` is the byte for its elements.
fn around(element: u8, len: usize, tables: &[u8], base: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![element];
    for len in [len, tables.len(), base.len()] {
        bytes.extend((len as u32).to_le_bytes());
    }
    [&bytes, payload, tables, base].concat()
}

const BYTES: u8 = 8;
const BF16: u8 = 3;
const F32: u8 = 5;
const I8: u8 = 0;

/// What the encoder makes of `raw`, which has to be in the codec `id`.
fn encoded(id: u8, element: u8, raw: &[u8], against: Option<Against<'_>>) -> Vec<u8> {
    encoded_as(id, element, raw, None, against)
}

/// The same of blocks of these fields.
fn encoded_as(
    id: u8,
    element: u8,
    raw: &[u8],
    fields: Option<&Fields>,
    against: Option<Against<'_>>,
) -> Vec<u8> {
    let kind = Around::read(&around(element, 0, &[], &[], &[]))
        .expect("whole")
        .element;
    let mut out = Vec::new();
    let chunk = Chunk {
        raw,
        element: kind,
        fields,
        offset: 0,
    };
    let found = Encoder::new().encode(&chunk, against, &mut out);
    assert_eq!(codec::name(found), codec::name(id), "of element {element}");
    out
}

#[test]
fn raw_chunks() {
    let raw = b"any bytes".as_slice();
    check(
        target("codec-raw"),
        vec![("bytes", around(BYTES, raw.len(), &[], &[], raw))],
    );
}

#[test]
fn constant_chunks() {
    let chunk = |element, raw: &[u8]| {
        around(
            element,
            raw.len(),
            &[],
            &[],
            &encoded(1, element, raw, None),
        )
    };
    let seeds = vec![
        ("zeros", chunk(F32, &[0; 401])),
        ("ones", chunk(BF16, &[0x80, 0x3f].repeat(300))),
    ];
    check(target("codec-constant"), seeds);
}

#[test]
fn zstd_chunks() {
    let raw = b"{\"encoder.layer.0\":[384,384]},".repeat(20);
    let seed = around(BYTES, raw.len(), &[], &[], &encoded(2, BYTES, &raw, None));
    check(target("codec-zstd"), vec![("text", seed)]);
}

#[test]
fn planes_of_chunks() {
    let chunk = |element, raw: &[u8]| {
        around(
            element,
            raw.len(),
            &[],
            &[],
            &encoded(3, element, raw, None),
        )
    };
    let mut halves = bf16s(400, 0.0);
    halves.push(1);
    let seeds = vec![
        ("f32", chunk(F32, &f32s(250, 0.0))),
        ("bf16", chunk(BF16, &halves)),
        (
            "u64",
            chunk(
                6,
                &(0..90u64)
                    .flat_map(|i| (i * i).to_le_bytes())
                    .collect::<Vec<_>>(),
            ),
        ),
    ];
    check(target("codec-planes"), seeds);
}

#[test]
fn deltas_of_chunks() {
    let chunk = |element, raw: &[u8], base: &[u8]| {
        let against = Against {
            base,
            look: Look::Same,
            strips: &[],
        };
        around(
            element,
            raw.len(),
            &[],
            base,
            &encoded(4, element, raw, Some(against)),
        )
    };
    let mut touched = bf16s(500, 0.0);
    touched[702] ^= 1;
    let integers = |by: u64| {
        (0..99u64)
            .flat_map(|i| (i * i * i + by).to_le_bytes())
            .collect::<Vec<_>>()
    };
    let seeds = vec![
        ("f32", chunk(F32, &f32s(250, 1e-5), &f32s(250, 0.0))),
        (
            "bf16",
            chunk(BF16, &bf16s(400, 1e-4), &bf16s(400, 0.0)[..700]),
        ),
        ("touched", chunk(BF16, &touched, &bf16s(500, 0.0))),
        ("u64", chunk(6, &integers(3), &integers(0))),
    ];
    check(target("codec-delta"), seeds);
}

#[test]
fn views_of_chunks() {
    let times = |factor, to, element, base: &[u8], raw: &[u8]| {
        let view = View::of(Conversion {
            from: Format::F32,
            to,
            factor,
        });
        let against = Against {
            base,
            look: Look::View(&view),
            strips: &[],
        };
        around(
            element,
            raw.len(),
            &[],
            base,
            &encoded(5, element, raw, Some(against)),
        )
    };
    let base = f32s(200, 0.0);
    let quantised: Vec<u8> = weights(200, 0.0)
        .iter()
        .map(|x| (x * 900.0).round_ties_even() as i8 as u8)
        .collect();
    let shrunk: Vec<u8> = weights(200, 0.0)
        .iter()
        .flat_map(|x| (x * 0.875).to_le_bytes())
        .collect();
    let seeds = vec![
        (
            "rounded",
            times(1.0, Format::Bf16, BF16, &base, &bf16s(200, 0.0)),
        ),
        ("quantised", times(900.0, Format::I8, I8, &base, &quantised)),
        ("shrunk", times(0.875, Format::F32, F32, &base, &shrunk)),
        ("low-rank", low_rank()),
    ];
    check(target("codec-view"), seeds);
}

#[test]
fn mosaics_of_chunks() {
    let same = View::of(Conversion {
        from: Format::F32,
        to: Format::F32,
        factor: 1.0,
    });
    let base = f32s(300, 0.0);
    let columns = Strip {
        runs: 4,
        stride: 200,
        base_stride: 120,
        ..Strip::run(1, 40, 8, 100)
    };
    let lists = [
        ("one", vec![Strip::run(0, 0, 0, 1200)], Look::Same),
        (
            "columns",
            vec![columns, Strip::run(0, 900, 4, 300)],
            Look::Same,
        ),
        (
            "viewed",
            vec![Strip::run(2, 0, 16, 1000)],
            Look::View(&same),
        ),
    ];
    let seeds = lists.map(|(name, strips, look)| {
        let against = Against {
            base: &base,
            look,
            strips: &strips,
        };
        let raw = f32s(300, 1e-5);
        let payload = encoded(6, F32, &raw, Some(against));
        (name, around(F32, raw.len(), &[], &base, &payload))
    });
    check(target("codec-mosaic"), seeds.to_vec());
}

#[test]
fn blocks_of_chunks() {
    // Half of it is zeros, or so few blocks would hardly shrink alone.
    let of = |quant: Quant, shift| quantised(quant, &[f32s(512, shift), vec![0; 2048]].concat());
    let seed = |quant: Quant, look: Option<Look<'_>>, base: &[u8]| {
        let fields = quant.fields();
        let against = look.map(|look| Against {
            base,
            look,
            strips: &[],
        });
        let raw = of(quant, 1e-4);
        let payload = encoded_as(7, I8, &raw, Some(&fields), against);
        around(I8, raw.len(), &field_tables(&fields), base, &payload)
    };
    let floats =
        |quant: Quant| Look::Floats(Floats::of(Format::F32, &quant.fields()).expect("known"));
    let numbers = [f32s(512, 1e-4), vec![0; 2048]].concat();
    let seeds = vec![
        ("alone", seed(Quant::Q8_0, None, &[])),
        (
            "after",
            seed(Quant::Q8_0, Some(Look::Same), &of(Quant::Q8_0, 0.0)),
        ),
        (
            "packed",
            seed(Quant::Q4K, Some(Look::Same), &of(Quant::Q4K, 0.0)),
        ),
        (
            "floats",
            seed(Quant::Q4_0, Some(floats(Quant::Q4_0)), &numbers),
        ),
    ];
    check(target("codec-fields"), seeds);
}

/// A matrix that is a product of two narrow ones, against a base that has nearly nothing of it.
fn low_rank() -> Vec<u8> {
    let (rows, columns) = (256, 32);
    let (left, right) = (weights(rows, 0.0), weights(columns, 0.3));
    let product = left.iter().flat_map(|l| right.iter().map(move |r| l * r));
    let raw: Vec<u8> = product.flat_map(f32::to_le_bytes).collect();
    let base = &f32s(16, 0.0)[..];
    let conversion = Conversion {
        from: Format::F32,
        to: Format::F32,
        factor: 1.0,
    };
    let mut sample = Sample::new(columns as u64, (rows * columns) as u64).expect("a matrix");
    sample.add(&conversion, &raw, base, 0, 1 << 18);
    let view = View::with_low_rank(conversion, &sample).expect("directions that pay");
    // A part of it is enough, from the middle of a row on.
    let raw = &raw[4 * 40..4 * 300];
    let mut encoder = Encoder::new();
    let mut payload = Vec::new();
    let against = Against {
        base,
        look: Look::View(&view),
        strips: &[],
    };
    let chunk = Chunk {
        raw,
        element: Element::number(4, true),
        fields: None,
        offset: 4 * 40,
    };
    let id = encoder.encode(&chunk, Some(against), &mut payload);
    assert_eq!(id, 5);
    around(F32, raw.len(), &encoder.tables(&view), base, &payload)
}
