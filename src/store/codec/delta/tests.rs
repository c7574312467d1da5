//! Whatever the numbers and their base, they come back; whatever the bytes, nothing but an error happens.

use proptest::prelude::*;

use super::*;

const WIDTHS: [u8; 4] = [1, 2, 4, 8];

fn encoded(raw: &[u8], base: &[u8], width: u8, float: bool) -> Vec<u8> {
    let mut out = Vec::new();
    encode(raw, base, width, float, &mut Encoder::new(), &mut out);
    out
}

fn decoded(
    payload: &[u8],
    base: &[u8],
    width: u8,
    float: bool,
    len: usize,
) -> Result<Vec<u8>, CodecError> {
    let chunk = Stored {
        payload,
        element: Element::number(width, float),
        tables: &[],
        base,
    };
    let mut out = vec![0xaa; len];
    Decoder::new().decode(ID, &chunk, &mut out).map(|()| out)
}

fn comes_back(raw: &[u8], base: &[u8]) {
    for width in WIDTHS {
        for float in [false, true] {
            let payload = encoded(raw, base, width, float);
            let back = decoded(&payload, base, width, float, raw.len());
            assert!(
                back.as_deref() == Ok(raw),
                "{width} {float}: {:?}",
                back.map(|_| "other bytes")
            );
            assert!(
                payload.len() <= raw.len() + raw.len() / 4 + 600,
                "{}",
                payload.len()
            );
        }
    }
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

    fn uniform(&mut self) -> f32 {
        (self.next() >> 24 & 0xff_ffff) as f32 / (1u32 << 24) as f32
    }

    fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }
}

/// Weights, and the same after `step`.
fn tuned(count: usize, step: impl Fn(f32, &mut Random) -> f32) -> (Vec<u8>, Vec<u8>) {
    let mut random = Random(3);
    let base: Vec<f32> = (0..count).map(|_| random.normal() * 0.02).collect();
    let new: Vec<f32> = base.iter().map(|x| step(*x, &mut random)).collect();
    let bytes = |x: Vec<f32>| x.into_iter().flat_map(f32::to_le_bytes).collect();
    (bytes(base), bytes(new))
}

#[test]
fn edges_come_back() {
    let (base, new) = tuned(6000, |x, random| x + random.normal() * 1e-4);
    for len in [0, 1, 2, 3, 7, 8, 9, 63, 64, 65, 255, 4097, 24_000] {
        for shorter in [0, 1, 5, len / 2, len] {
            comes_back(&new[..len], &base[..len - shorter.min(len)]);
        }
        comes_back(&base[..len], &base[..len]);
        comes_back(&vec![0; len], &base[..len]);
        comes_back(&base[..len], &[]);
    }
    let odd = [
        0x7fc0_0001u32,
        0xffa0_0001,
        0xffff_ffff,
        0x8000_0000,
        0,
        1,
        0x7f80_0000,
        0xff80_0000,
        0x807f_ffff,
    ];
    let odd: Vec<u8> = odd
        .repeat(99)
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    for shift in [1, 2, 4, 8, 12] {
        comes_back(&odd[shift..], &odd);
        comes_back(&odd, &odd[shift..]);
    }
}

#[test]
fn what_did_not_change_is_a_few_bytes() {
    let (base, mut new) = tuned(1 << 18, |x, _| x);
    assert!(encoded(&new, &base, 4, true).len() < 10);
    new[777_777] ^= 1;
    assert!(encoded(&new, &base, 4, true).len() < 80);
    comes_back(&new[..4 << 14], &base[..4 << 14]);
}

#[test]
fn a_fine_tune_shrinks_by_what_it_did_not_touch() {
    let (base, new) = tuned(1 << 18, |x, random| x + random.normal() * 2e-5);
    let payload = encoded(&new, &base, 4, true);
    assert!(payload.len() * 100 < new.len() * 55, "{}", payload.len());
    comes_back(&new[..4 << 12], &base[..4 << 12]);
}

#[test]
fn pruning_costs_its_mask_and_a_threshold_is_none() {
    for zero in [0.0, -0.0] {
        let (base, new) = tuned(1 << 18, |x, _| if x.abs() < 0.013 { zero } else { x });
        let payload = encoded(&new, &base, 4, true);
        assert!(payload.len() < new.len() / 100, "{}", payload.len());
        let (base, new) = tuned(1 << 18, |x, _| if x.abs() < 0.013 { x * 0.0 } else { x });
        let payload = encoded(&new, &base, 4, true);
        assert!(payload.len() < new.len() / 100, "{}", payload.len());
        let (base, new) = tuned(
            1 << 14,
            |x, random| if random.next() & 1 == 0 { x * 0.0 } else { x },
        );
        assert!(encoded(&new, &base, 4, true).len() < (1 << 14) / 7);
        comes_back(&new, &base);
    }
}

#[test]
fn few_steps_are_found() {
    let (base, new) = tuned(1 << 16, |x, random| match random.next() % 3 {
        0 => f32::from_bits(x.to_bits() + 5000),
        1 => f32::from_bits(x.to_bits() - 777_777),
        _ => f32::from_bits(x.to_bits() + 20),
    });
    let payload = encoded(&new, &base, 4, true);
    assert!(payload.len() < (1 << 16) / 4, "{}", payload.len());
    comes_back(&new, &base);
}

/// Valid payloads of all kinds, with what they are of.
fn payloads() -> Vec<(Vec<u8>, Vec<u8>, u8, bool)> {
    let steps: [fn(f32, &mut Random) -> f32; 4] = [
        |x, random| x + random.normal() * 1e-4,
        |x, random| if random.next() & 1 == 0 { x } else { 0.0 },
        |x, random| f32::from_bits(x.to_bits() + 1000 * (random.next() & 1) as u32),
        |x, random| if random.next() & 1023 == 0 { -x } else { x },
    ];
    let mut all = Vec::new();
    for step in steps {
        let (base, new) = tuned(700, step);
        for width in WIDTHS {
            for float in [false, true] {
                all.push((
                    encoded(&new, &base, width, float),
                    base.clone(),
                    width,
                    float,
                ));
            }
        }
    }
    let (base, new) = tuned(40_000, steps[0]);
    all.push((encoded(&new, &base, 4, true), base, 4, true));
    all
}

#[test]
fn cut_or_longer_payloads_are_refused() {
    for (payload, base, width, float) in payloads() {
        let fails = |payload: &[u8]| decoded(payload, &base, width, float, base.len()).is_err();
        assert!(!fails(&payload));
        let step = payload.len() / 200 + 1;
        for len in (0..payload.len()).step_by(step) {
            assert!(fails(&payload[..len]), "{len}");
        }
        assert!(fails(&[&payload[..], &[0]].concat()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn anything_comes_back(
        raw in prop::collection::vec(any::<u8>(), 0..3000),
        base in prop::collection::vec(any::<u8>(), 0..3000),
    ) {
        comes_back(&raw, &base);
    }

    #[test]
    fn few_changes_come_back(
        base in prop::collection::vec(any::<u8>(), 1..5000),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..30),
    ) {
        let mut new = base.clone();
        for (at, value) in changes {
            let at = at.index(new.len());
            new[at] = value;
        }
        comes_back(&new, &base);
    }

    #[test]
    fn hostile_bytes_never_panic(
        payload in prop::collection::vec(any::<u8>(), 0..300),
        len in 0usize..5000,
        width in 0usize..4,
        float in any::<bool>(),
    ) {
        let _ = decoded(&payload, &[1; 3000], WIDTHS[width], float, len);
    }

    #[test]
    fn damaged_payloads_never_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        early in any::<bool>(),
        len in prop::option::of(0usize..4000),
    ) {
        for (mut payload, base, width, float) in payloads() {
            let end = if early { payload.len().min(40) } else { payload.len() };
            for (at, value) in &flips {
                payload[at.index(end)] = *value;
            }
            let _ = decoded(&payload, &base, width, float, len.unwrap_or(base.len()));
        }
    }
}
