//! The nine versions: what people keep of one model, made of two that were trained.
//!
//! | version | what |
//! | --- | --- |
//! | `base` | MiniLM as published, F32 |
//! | `tuned` | its fine-tune, F32 |
//! | `tuned-on` | a later checkpoint: each weight that moved goes on by a tenth, give or take half of that |
//! | `lora` | `base` with a LoRA of rank 8 on query and value merged: `W + 2 B A`, B and A normal of 0.01 and 0.02 |
//! | `resized` | `base` with 64 new rows in the word embedding, normal of 0.05 |
//! | `base-bf16`, `tuned-bf16` | casts, rounded to nearest even |
//! | `pruned` | `tuned` with the smaller half of each matrix set to 0 |
//! | `int8` | `tuned` with each matrix as I8, and its largest size over 127 as a scale beside it |

use std::path::{Path, PathBuf};

use crate::random::Random;
use crate::tensors::{Tensor, bf16, read, write};

/// Writes every version into a folder of its own, as `model.safetensors`.
pub(super) fn versions(first: &Path, second: &Path, folder: &Path) -> Vec<(&'static str, PathBuf)> {
    let (base, tuned) = (read(first), read(second));
    let mut random = Random(1);
    let made: [(&str, Vec<Tensor>); 7] = [
        ("tuned-on", later(&base, &tuned, &mut random)),
        (
            "lora",
            base.iter()
                .map(|tensor| lora(tensor, &mut random))
                .collect(),
        ),
        (
            "resized",
            base.iter()
                .map(|tensor| resized(tensor, &mut random))
                .collect(),
        ),
        ("base-bf16", base.iter().map(cast).collect()),
        ("tuned-bf16", tuned.iter().map(cast).collect()),
        ("pruned", tuned.iter().map(pruned).collect()),
        ("int8", tuned.iter().flat_map(int8).collect()),
    ];
    let place = |name: &'static str| {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).expect("made");
        (name, folder)
    };
    let mut versions = Vec::new();
    for (name, model) in [("base", first), ("tuned", second)] {
        versions.push(place(name));
        let target = folder.join(name).join("model.safetensors");
        std::fs::copy(model, target).expect("copied");
    }
    for (name, tensors) in made {
        versions.push(place(name));
        write(&folder.join(name).join("model.safetensors"), &tensors);
    }
    versions
}

fn later(base: &[Tensor], tuned: &[Tensor], random: &mut Random) -> Vec<Tensor> {
    let pairs = base.iter().zip(tuned);
    let moved = pairs.map(|(base, tuned)| {
        let before = base.floats().unwrap_or_default();
        tuned.map(|now| {
            for (x, before) in now.iter_mut().zip(before) {
                let step = *x - before;
                if step != 0.0 {
                    *x += step * 0.1 * (1.0 + 0.5 * random.normal());
                }
            }
        })
    });
    moved.collect()
}

fn lora(tensor: &Tensor, random: &mut Random) -> Tensor {
    const RANK: usize = 8;
    let aimed = ["query.weight", "value.weight"];
    if !aimed.iter().any(|name| tensor.name.ends_with(name)) {
        return tensor.clone();
    }
    let (rows, columns) = (tensor.shape[0], tensor.shape[1]);
    let mut factor = |len: usize, size: f32| -> Vec<f32> {
        (0..len * RANK).map(|_| random.normal() * size).collect()
    };
    let (b, a) = (factor(rows, 0.01), factor(columns, 0.02));
    tensor.map(|weights| {
        for (row, b) in weights.chunks_mut(columns).zip(b.chunks(RANK)) {
            for (x, a) in row.iter_mut().zip(a.chunks(RANK)) {
                *x += 2.0 * b.iter().zip(a).map(|(b, a)| b * a).sum::<f32>();
            }
        }
    })
}

fn resized(tensor: &Tensor, random: &mut Random) -> Tensor {
    const MORE: usize = 64;
    if !tensor.name.contains("word_embeddings") {
        return tensor.clone();
    }
    let (rows, columns) = (tensor.shape[0], tensor.shape[1]);
    let mut longer = tensor.map(|weights| {
        weights.extend((0..MORE * columns).map(|_| random.normal() * 0.05));
    });
    longer.shape[0] = rows + MORE;
    longer
}

fn cast(tensor: &Tensor) -> Tensor {
    let Some(floats) = tensor.floats() else {
        return tensor.clone();
    };
    Tensor {
        dtype: "BF16".into(),
        bytes: floats.into_iter().flat_map(bf16).collect(),
        ..tensor.clone()
    }
}

fn pruned(tensor: &Tensor) -> Tensor {
    if tensor.shape.len() != 2 {
        return tensor.clone();
    }
    tensor.map(|weights| {
        let mut sizes: Vec<f32> = weights.iter().map(|x| x.abs()).collect();
        let middle = sizes.len() / 2;
        let (_, limit, _) = sizes.select_nth_unstable_by(middle, f32::total_cmp);
        for x in weights.iter_mut().filter(|x| x.abs() < *limit) {
            *x = 0.0;
        }
    })
}

fn int8(tensor: &Tensor) -> Vec<Tensor> {
    let Some(floats) = tensor.floats().filter(|_| tensor.shape.len() == 2) else {
        return vec![tensor.clone()];
    };
    let largest = floats
        .iter()
        .fold(0.0, |largest: f32, x| largest.max(x.abs()));
    let scale = largest / 127.0;
    let rounded = floats.iter().map(|x| (x / scale).round() as i8 as u8);
    let numbers = Tensor {
        dtype: "I8".into(),
        bytes: rounded.collect(),
        ..tensor.clone()
    };
    let scale = Tensor::of_f32(&format!("{}_scale", tensor.name), vec![1], &[scale]);
    vec![numbers, scale]
}
