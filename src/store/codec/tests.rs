//! One suite for all codecs: whatever is encoded comes back, and hostile bytes only ever fail.

use proptest::prelude::*;

use super::*;
use crate::base::id::CHUNK;

const ELEMENTS: [Element; 8] = [
    Element::Bytes,
    Element::number(1, false),
    Element::number(1, true),
    Element::number(2, false),
    Element::number(2, true),
    Element::number(4, true),
    Element::number(8, false),
    Element::number(8, true),
];

fn decode(codec: u8, payload: &[u8], element: Element, len: usize) -> Result<Vec<u8>, CodecError> {
    let chunk = Stored {
        payload,
        element,
        tables: &[],
        base: &[],
    };
    let mut out = vec![0xaa; len];
    Decoder::new().decode(codec, &chunk, &mut out).map(|()| out)
}

fn chunk(raw: &[u8], element: Element) -> Chunk<'_> {
    Chunk {
        raw,
        element,
        fields: None,
        offset: 0,
    }
}

fn comes_back(raw: &[u8]) {
    let mut encoder = Encoder::new();
    for element in ELEMENTS {
        let mut out = Vec::new();
        let codec = encoder.encode(&chunk(raw, element), None, &mut out);
        let payload = if codec == RAW { raw } else { &out };
        assert!(payload.len() <= raw.len());
        assert_eq!(
            decode(codec, payload, element, raw.len()).as_deref(),
            Ok(raw),
            "{} {element:?}",
            name(codec)
        );
        // The picker may have preferred raw; planes must work for anything all the same.
        if let Element::Number { width, float } = element {
            out.clear();
            planes::encode(raw, width, float, &mut encoder, &mut out);
            assert_eq!(
                decode(planes::ID, &out, element, raw.len()).as_deref(),
                Ok(raw),
                "{element:?}"
            );
        }
        out.clear();
        zstd::encode(raw, &mut encoder.frames, &mut out);
        assert_eq!(
            decode(zstd::ID, &out, element, raw.len()).as_deref(),
            Ok(raw)
        );
    }
}

/// Weights as they are: normally distributed floats of a small spread.
fn weights(count: usize) -> Vec<u8> {
    let mut state = 42u64;
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..count)
        .map(|_| ((0..12).map(|_| uniform()).sum::<f32>() - 6.0) * 0.02)
        .flat_map(f32::to_le_bytes)
        .collect()
}

#[test]
fn edges_come_back() {
    for len in [0, 1, 2, 3, 7, 8, 9, 255, 4097, 65_536] {
        comes_back(&vec![0; len]);
        comes_back(&(0..len).map(|i| (i * i) as u8).collect::<Vec<_>>());
        comes_back(&(0..len).map(|i| (i / 300) as u8).collect::<Vec<_>>());
    }
    let mut ones = vec![1; 1000];
    ones[999] = 2;
    comes_back(&ones);
    let odd = [
        f32::NAN.to_bits(),
        0x7fa0_0001,
        0xffff_ffff,
        0x8000_0000,
        1,
        f32::INFINITY.to_bits(),
    ];
    let odd: Vec<u8> = odd
        .repeat(99)
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    comes_back(&odd);
    comes_back(&odd[1..]);
    comes_back(&weights(CHUNK / 4));
}

#[test]
fn weights_shrink_and_constants_vanish() {
    let mut out = Vec::new();
    let mut encoder = Encoder::new();
    let float = Element::number(4, true);
    let raw = weights(CHUNK / 4);
    assert_eq!(
        encoder.encode(&chunk(&raw, float), None, &mut out),
        planes::ID
    );
    assert!(out.len() < raw.len() * 86 / 100, "{}", out.len());
    let zeros = vec![0; CHUNK];
    assert_eq!(
        encoder.encode(&chunk(&zeros, float), None, &mut out),
        constant::ID
    );
    assert_eq!(out.len(), 4);
}

#[test]
fn a_codec_that_is_not_known_is_refused() {
    assert_eq!(
        decode(99, b"x", Element::Bytes, 1),
        Err(CodecError::Unknown(99))
    );
}

#[test]
fn numbers_of_codecs_are_unique() {
    for codec in CODECS {
        assert_eq!(CODECS.iter().filter(|c| c.id() == codec.id()).count(), 1);
    }
}

#[test]
fn a_frame_must_be_one_whole_frame_of_the_right_length() {
    let mut out = Vec::new();
    zstd::encode(&[5; 100], &mut Compressor::new(), &mut out);
    let fails = |payload: &[u8], len| decode(zstd::ID, payload, Element::Bytes, len).is_err();
    assert!(!fails(&out, 100));
    assert!(fails(&out, 99) && fails(&out, 101) && fails(&out, 0));
    assert!(fails(&out[..out.len() - 1], 100));
    assert!(fails(&[&out[..], b"x"].concat(), 100));
    assert!(fails(&[&out[..], &out[..]].concat(), 200));
    assert!(fails(b"", 0));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn anything_comes_back(raw in prop::collection::vec(any::<u8>(), 0..5000)) {
        comes_back(&raw);
    }

    #[test]
    fn few_values_come_back(raw in prop::collection::vec(0u8..3, 0..5000)) {
        comes_back(&raw);
    }

    #[test]
    fn hostile_bytes_never_panic(
        codec in 0u8..5,
        payload in prop::collection::vec(any::<u8>(), 0..300),
        len in 0usize..5000,
        element in 0usize..ELEMENTS.len(),
    ) {
        let _ = decode(codec, &payload, ELEMENTS[element], len);
    }

    #[test]
    fn damaged_planes_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let element = Element::number(4, true);
        let raw = weights(600);
        let mut out = Vec::new();
        planes::encode(&raw, 4, true, &mut Encoder::new(), &mut out);
        for (at, value) in flips {
            let at = at.index(out.len());
            out[at] = value;
        }
        let _ = decode(planes::ID, &out, element, raw.len());
    }
}
