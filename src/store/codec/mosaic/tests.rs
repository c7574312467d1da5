//! Lists come back as they were, and hostile ones are refused before anything is done for them.

use proptest::prelude::*;

use super::*;
use crate::store::codec::{Against, Chunk, Conversion, Element, Encoder, Format, Look, View};

const F32: Element = Element::number(4, true);

fn list(strips: &[Strip], inner: u8) -> Vec<u8> {
    let mut out = Vec::new();
    begin(strips, inner, &mut out);
    out
}

fn strips(payload: &[u8], len: usize) -> Result<Vec<Strip>, CodecError> {
    Mosaics.strips(payload, len)
}

fn columns(base: u8, at: u64, len: u64, runs: u64, stride: u64) -> Strip {
    Strip {
        runs,
        stride,
        base_stride: len,
        ..Strip::run(base, at, 0, len)
    }
}

#[test]
fn lists_come_back_as_they_were() {
    let three = [
        columns(0, 0, 40, 5, 120),
        columns(1, 40, 40, 5, 120),
        columns(253, 80, 40, 5, 120),
    ];
    let moved = [Strip::run(0, 0, 1 << 40, 100), Strip::run(0, 164, 0, 436)];
    for list in [&three[..], &moved[..], &three[1..]] {
        assert_eq!(strips(&self::list(list, delta::ID), 600), Ok(list.to_vec()));
        assert!(fits(list));
    }
}

#[test]
fn numbers_come_back_against_what_was_put_together() {
    let base: Vec<u8> = (0..9000u32)
        .flat_map(|i| (i as f32).to_le_bytes())
        .collect();
    let raw: Vec<u8> = (0..9000u32)
        .flat_map(|i| (i as f32 + 0.5).to_le_bytes())
        .collect();
    let same = Conversion {
        from: Format::F32,
        to: Format::F32,
        factor: 1.0,
    };
    for view in [None, Some(&View::of(same))] {
        let list = [Strip::run(0, 0, 0, base.len() as u64)];
        let against = Against {
            base: &base,
            look: view.map_or(Look::Same, Look::View),
            strips: &list,
        };
        let chunk = Chunk {
            raw: &raw,
            element: F32,
            fields: None,
            offset: 0,
        };
        let mut out = Vec::new();
        assert_eq!(Encoder::new().encode(&chunk, Some(against), &mut out), ID);
        assert_eq!(strips(&out, raw.len()), Ok(list.to_vec()));
        assert_eq!(Mosaics.base_len(&out, raw.len()), Ok(raw.len()));
        let chunk = Stored {
            payload: &out,
            element: F32,
            tables: &[],
            base: &base,
        };
        let mut back = vec![0xaa; raw.len()];
        assert_eq!(Decoder::new().decode(ID, &chunk, &mut back), Ok(()));
        assert_eq!(back, raw);
    }
}

#[test]
fn lists_that_do_not_add_up_are_refused() {
    let refused = |list: &[Strip]| strips(&self::list(list, delta::ID), 600).is_err();
    let run = |at, len| Strip::run(0, at, 0, len);
    assert!(!refused(&[run(0, 600)]));
    assert!(refused(&[]), "no strips at all");
    assert!(refused(&[run(0, 601)]), "beyond the end");
    assert!(refused(&[run(599, 2)]), "beyond the end");
    assert!(refused(&[run(0, 0)]), "an empty run");
    assert!(refused(&[Strip::run(0, 0, u64::MAX, 9)]), "an overflow");
    assert!(
        refused(&[columns(0, 0, 100, 7, 100)]),
        "the last run is beyond the end"
    );
    assert!(!refused(&[columns(0, 0, 100, 6, 100)]));
    assert!(refused(&[columns(0, 0, 100, 6, 99)]), "runs that overlap");
    assert!(
        refused(&[columns(0, 0, 50, 6, 100), columns(1, 60, 50, 5, 100)]),
        "strips that overlap"
    );
    assert!(
        refused(&[columns(0, 0, 1, u64::MAX, 0)]),
        "runs without end"
    );
    let payload = list(&[run(0, 600)], view::ID);
    assert!(strips(&payload, 600).is_err(), "a view that is cut short");
    assert!(strips(&list(&[run(0, 600)], ID), 600).is_err(), "in itself");
    // Blocks of floats that belong to 600 bytes, and what is no blocks of floats.
    let blocks = |mode: u8| [&list(&[run(0, 600)], fields::ID)[..], &[mode, 0xd8, 4]].concat();
    assert!(strips(&blocks(4), 600).is_ok());
    for mode in [0, 1, 5] {
        assert!(strips(&blocks(mode), 600).is_err(), "{mode}");
    }
    let short = list(&[run(0, 600)], fields::ID);
    assert!(strips(&short, 600).is_err(), "blocks that are cut short");
    assert!(
        strips(&[delta::ID, 0xff, 0xff, 3], 600).is_err(),
        "nothing follows"
    );
}

#[test]
fn no_list_is_longer_than_the_longest() {
    let rows = |count: u64| -> Vec<Strip> { (0..count).map(|i| Strip::run(0, i, i, 1)).collect() };
    let len = 1 << 20;
    let most = rows(STRIPS as u64);
    assert!(fits(&most) && strips(&list(&most, delta::ID), len).is_ok());
    let more = rows(STRIPS as u64 + 1);
    assert!(!fits(&more) && strips(&list(&more, delta::ID), len).is_err());
    let most = [columns(0, 0, 1, RUNS, 1)];
    assert!(fits(&most) && strips(&list(&most, delta::ID), len).is_ok());
    let more = [columns(0, 0, 1, RUNS + 1, 1)];
    assert!(!fits(&more) && strips(&list(&more, delta::ID), len).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn hostile_lists_never_panic(
        inner in 3u8..9,
        payload in prop::collection::vec(any::<u8>(), 0..200),
        len in 0usize..5000,
    ) {
        let payload = [&[inner], &payload[..]].concat();
        if let Ok(strips) = strips(&payload, len) {
            let base_len = Mosaics.base_len(&payload, len).expect("it was read before");
            let covered: u64 = strips.iter().map(|strip| strip.runs * strip.len).sum();
            prop_assert!(covered <= base_len as u64);
        }
        let chunk = Stored { payload: &payload, element: F32, tables: &[], base: &[] };
        let _ = Decoder::new().decode(ID, &chunk, &mut vec![0; len]);
    }
}
