//! Models that were treated in known ways.

use super::*;
use crate::base::Dtype;
use crate::base::progress::Silent;
use crate::model::diff::{compare, layout};
use crate::model::manifest::Manifest;
use crate::model::stats::{self, Input, rank};
use crate::model::testing::{manifest, workload};

/// A tensor of a model in memory.
#[derive(Clone)]
struct Weights(&'static str, Dtype, Vec<u64>, Vec<u8>);

fn noise(i: u64) -> f32 {
    (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f32 / (1 << 24) as f32 - 0.5
}

fn f32s(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    values.into_iter().flat_map(f32::to_le_bytes).collect()
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b))
}

fn model() -> Vec<Weights> {
    let tensor = |name, seed: u64, rows: u64, columns: u64| {
        let values = (0..rows * columns).map(|i| noise(seed * 1_000_003 + i));
        Weights(name, Dtype::F32, vec![rows, columns], f32s(values))
    };
    vec![
        tensor("embeddings.word.weight", 1, 100, 64),
        tensor("layers.0.dense.weight", 2, 96, 80),
        tensor("layers.1.dense.weight", 3, 96, 80),
        tensor("classifier.weight", 4, 10, 64),
    ]
}

fn file(model: &[Weights], metadata: &str) -> Vec<u8> {
    let mut header = format!(r#"{{"__metadata__":{{"m":"{metadata}"}}"#);
    let mut data = Vec::new();
    for Weights(name, dtype, shape, bytes) in model {
        let (begin, end) = (data.len(), data.len() + bytes.len());
        let shape: Vec<String> = shape.iter().map(u64::to_string).collect();
        let shape = shape.join(",");
        header.push_str(&format!(
            r#","{name}":{{"dtype":"{dtype}","shape":[{shape}],"data_offsets":[{begin},{end}]}}"#
        ));
        data.extend_from_slice(bytes);
    }
    header.push('}');
    crate::model::testing::safetensors(&header, &data)
}

fn judged(a: &Vec<u8>, b: &Vec<u8>) -> Verdict {
    let read = |file: &Vec<u8>| -> Manifest { manifest(file, "x.safetensors") };
    let (old, new) = (read(a), read(b));
    let (olds, news) = (old.tensors(), new.tensors());
    let changes = compare(&olds, &news);
    let known: Vec<_> = changes
        .iter()
        .map(|change| {
            let (Some(x), Some(y)) = (&change.before, &change.after) else {
                return (None, None);
            };
            let x = Input::in_file(a, &olds[x.index]);
            let y = Input::in_file(b, &news[y.index]);
            let stats = stats::compare(&x, &y, 1, &Silent).expect("in memory");
            (
                stats,
                rank::of_difference(&x, &y, &Silent).expect("in memory"),
            )
        })
        .collect();
    let verdicts: Vec<_> = changes
        .iter()
        .zip(&known)
        .map(|(change, (stats, low))| TensorVerdict::of(change, stats.as_ref(), low.as_ref()))
        .collect();
    let judged: Vec<_> = changes
        .iter()
        .zip(&known)
        .zip(&verdicts)
        .map(|((change, (stats, _)), verdict)| Judged {
            change,
            stats: stats.as_ref(),
            verdict,
        })
        .collect();
    judge(&judged, layout(&old, &new))
}

/// The verdict on a model after a change to some of its tensors.
fn after(change: impl Fn(&mut Weights)) -> Verdict {
    let mut changed = model();
    changed.iter_mut().for_each(change);
    judged(&file(&model(), "a"), &file(&changed, "a"))
}

#[track_caller]
fn says(verdict: &Verdict, kind: VerdictKind, text: &str) {
    assert_eq!((verdict.kind, verdict.text.as_str()), (kind, text));
}

#[test]
fn the_same_tensors_are_the_same() {
    let a = file(&model(), "a");
    says(&judged(&a, &a), VerdictKind::Identical, "identical");
    let header = judged(&a, &file(&model(), "b"));
    says(
        &header,
        VerdictKind::SameTensors,
        "identical tensors, another header",
    );
    let mut turned = model();
    turned.reverse();
    let packed = judged(&a, &file(&turned, "a"));
    says(
        &packed,
        VerdictKind::SameTensors,
        "identical tensors, packed otherwise",
    );
}

#[test]
fn treatments_are_recognised() {
    let tuned = after(|w| w.3 = f32s(floats(&w.3).zip(9..).map(|(x, i)| x + 1e-3 * noise(i))));
    says(
        &tuned,
        VerdictKind::Dense,
        "dense fine-tune: rel. change 1.0e-3, 4 tensors",
    );

    let head = after(|w| {
        if w.0.starts_with("classifier") {
            w.3 = f32s(floats(&w.3).map(|x| x * 1.1));
        }
    });
    says(&head, VerdictKind::HeadOnly, "head-only: 1 of 4 tensors");

    let part = after(|w| {
        if w.0.starts_with("layers.0") {
            w.3 = f32s(floats(&w.3).zip(9..).map(|(x, i)| x + 1e-2 * noise(i)));
        }
    });
    says(
        &part,
        VerdictKind::Partial,
        "fine-tune: rel. change 1.0e-2, 1 of 4 tensors",
    );

    let pruned = after(|w| w.3 = f32s(floats(&w.3).map(|x| if x.abs() < 0.25 { 0.0 } else { x })));
    assert_eq!(pruned.kind, VerdictKind::Pruned, "{pruned:?}");
    assert!(pruned.text.starts_with("pruned to 5") || pruned.text.starts_with("pruned to 4"));

    let other = after(|w| w.3 = f32s((0..w.3.len() as u64 / 4).map(|i| noise(i + 777_777))));
    assert_eq!(other.kind, VerdictKind::Retrained, "{other:?}");

    let cast = after(|w| {
        let cast = floats(&w.3).flat_map(|x| half::bf16::from_f32(x).to_le_bytes());
        (w.1, w.3) = (Dtype::BF16, cast.collect());
    });
    says(
        &cast,
        VerdictKind::Cast,
        "cast F32 -> BF16 (exact rounding): 4 tensors",
    );

    let cut = after(|w| {
        let cut = floats(&w.3).flat_map(|x| [x.to_le_bytes()[2], x.to_le_bytes()[3]]);
        (w.1, w.3) = (Dtype::BF16, cut.collect());
    });
    says(
        &cut,
        VerdictKind::Cast,
        "cast F32 -> BF16 (lossy): 4 tensors",
    );

    let grid = after(|w| w.3 = f32s(floats(&w.3).map(|x| (x * 16.0).round() / 16.0)));
    assert_eq!(grid.kind, VerdictKind::Quantised, "{grid:?}");

    let integers = after(|w| {
        let cast = floats(&w.3).map(|x| (x * 127.0) as i8 as u8);
        (w.1, w.3) = (Dtype::I8, cast.collect());
    });
    says(&integers, VerdictKind::Quantised, "quantised: 4 tensors");

    let resized = after(|w| {
        if w.0.starts_with("embeddings") {
            w.2[0] += 8;
            w.3.extend(f32s((0..8 * 64).map(noise)));
        }
    });
    says(
        &resized,
        VerdictKind::Resized,
        "embedding resized 100 -> 108 rows",
    );

    let merged = after(|w| {
        if w.0.starts_with("layers") {
            let columns = w.2[1];
            let update = |i: u64| 0.1 * noise(i / columns + 5) * noise(i % columns + 500);
            w.3 = f32s(floats(&w.3).zip(0..).map(|(x, i)| x + update(i)));
        }
    });
    says(
        &merged,
        VerdictKind::LowRank,
        "low-rank update (rank <= 1): 2 of 4 tensors",
    );
}

#[test]
fn what_a_reader_must_know_is_noted() {
    let broken = after(|w| {
        w.3[..4].copy_from_slice(&f32::NAN.to_le_bytes());
        if w.0.starts_with("classifier") {
            w.0 = "score.weight";
        }
    });
    assert_eq!(
        broken.notes,
        [
            "NaN or infinity appeared in 3 tensors",
            "1 tensor added",
            "1 tensor removed"
        ]
    );
    let new = judged(&file(&[], "a"), &file(&model(), "a"));
    says(&new, VerdictKind::New, "new model: 4 tensors");
}

#[test]
fn a_real_epoch_is_a_dense_fine_tune() {
    let read = |name| workload(name).map(|path| std::fs::read(path).expect("readable"));
    let (Some(a), Some(b)) = (
        read("cnn/epoch02.safetensors"),
        read("cnn/epoch03.safetensors"),
    ) else {
        return;
    };
    let verdict = judged(&a, &b);
    assert_eq!(verdict.kind, VerdictKind::Dense, "{verdict:?}");
    assert!(verdict.text.ends_with("8 tensors"));
}

#[test]
fn of_numbered_layers_only_the_last_is_a_head() {
    let names = [
        "fc1.weight",
        "fc2.weight",
        "net.lm_head.weight",
        "blocks.0.fc1.bias",
        "fc",
    ];
    let heads = Heads::of(names.into_iter());
    let are = names.map(|name| heads.has(name));
    assert_eq!(are, [false, true, true, true, false]);
}

#[test]
fn low_rank_is_told_of_long_matrices() {
    let (rows, columns) = (400, 96);
    let zero = f32s((0..rows * columns).map(|_| 0.0));
    let rank_of = |value: &dyn Fn(u64, u64) -> f32| {
        let cells = (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j)));
        let bytes = f32s(cells.map(|(i, j)| value(i, j)));
        let input = |bytes: &Vec<u8>| -> Option<rank::LowRank> {
            let shape = [rows, columns];
            let of = |source| Input {
                source,
                offset: 0,
                bytes: rows * columns * 4,
                dtype: &Dtype::F32,
                shape: &shape,
                strides: None,
            };
            rank::of_difference(&of(&zero), &of(bytes), &Silent).expect("in memory")
        };
        input(&bytes).map(|low| low.rank)
    };
    let outer = |i: u64, j: u64| noise(i) * noise(1000 + j);
    assert_eq!(rank_of(&outer), Some(1));
    // Rows that did not change come first, as where one part of a fused matrix was tuned.
    assert_eq!(
        rank_of(&|i, j| if i < 200 { 0.0 } else { outer(i, j) }),
        Some(1)
    );
    assert_eq!(rank_of(&|i, j| noise(i * columns + j)), None);
}

/// Floats in blocks of 32 bytes and one factor.
fn q8_0(bytes: &[u8]) -> Vec<u8> {
    let values: Vec<f32> = floats(bytes).collect();
    let block = |values: &[f32]| {
        let largest = values
            .iter()
            .fold(0.0f32, |most, value| most.max(value.abs()));
        let d = half::f16::from_f32(largest / 127.0);
        let numbers = values
            .iter()
            .map(|value| (value / d.to_f32()).round() as i8);
        let numbers = numbers.map(i8::cast_unsigned);
        let block: Vec<u8> = d.to_le_bytes().into_iter().chain(numbers).collect();
        block
    };
    values.chunks(32).flat_map(block).collect()
}

#[test]
fn an_export_is_quantised_and_a_younger_type_is_not_decoded() {
    let quantise = |weights: &mut Weights, name: &str| {
        if weights.2[1] == 64 {
            (weights.1, weights.3) = (Dtype::parse(name).expect("a name"), q8_0(&weights.3));
        }
    };
    let verdict = after(|weights| quantise(weights, "Q8_0"));
    says(
        &verdict,
        VerdictKind::Quantised,
        "quantised: 2 of 4 tensors",
    );
    let quantised = |change: fn(usize, &mut Vec<u8>)| {
        let mut model = model();
        model
            .iter_mut()
            .for_each(|weights| quantise(weights, "Q8_0"));
        let before = file(&model, "a");
        model
            .iter_mut()
            .enumerate()
            .for_each(|(i, weights)| change(i, &mut weights.3));
        judged(&before, &file(&model, "a"))
    };
    // One of 127 steps of one element.
    let verdict = quantised(|i, bytes| {
        if i == 0 {
            bytes[2] = bytes[2].wrapping_add(1);
        }
    });
    assert_eq!(verdict.kind, VerdictKind::Partial);
    assert!(
        verdict.text.starts_with("fine-tune: rel. change"),
        "{}",
        verdict.text
    );
    // Of a type that is not decoded there are no numbers.
    let verdict = after(|weights| {
        if weights.2[1] == 64 {
            let bytes = weights.2[0] * 2 * 36;
            (weights.1, weights.3) = (
                Dtype::parse("Q8_1").expect("a name"),
                vec![1; bytes as usize],
            );
        }
    });
    says(&verdict, VerdictKind::Changed, "changed: 2 of 4 tensors");
    assert_eq!(
        verdict.notes,
        ["no figures for 2 changed tensors: Q8_1 is not decoded"]
    );
}
