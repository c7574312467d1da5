//! The made-up model: the shapes of a language model, weights that look like trained ones, and a fine-tune of them.
//!
//! A row of a matrix is normal, of a deviation of its own: 0.02 times e to a normal of 0.3. The fine-tune moves a
//! matrix by 1e-4 times the sum of 24 outer products of normals, the k-th over k, and of as much noise: a relative
//! change of 0.8 %. Every other row of an embedding stays, as those of words that did not occur.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::random::Random;
use crate::tensors::{bf16, create};

const RANK: usize = 24;
const STEP: f32 = 1e-4;

struct Shape {
    name: String,
    sides: Vec<usize>,
}

/// Writes both models into their folders. The sides of 2 GiB are 4096 and 11008, with a vocabulary of 32000; other
/// lengths have shorter ones.
pub(super) fn write(mib: usize, folders: &[PathBuf; 2]) {
    let scale = (mib as f64 / 2048.0).sqrt();
    let side = |full: f64| ((full * scale / 64.0).round() as usize).max(1) * 64;
    let (width, inner, words) = (side(4096.0), side(11008.0), side(32000.0));
    let mut shapes = vec![shape("model.embed_tokens.weight", &[words, width])];
    for layer in 0..4 {
        let mut add = |name: &str, sides: &[usize]| {
            shapes.push(shape(&format!("model.layers.{layer}.{name}.weight"), sides));
        };
        add("input_layernorm", &[width]);
        for name in ["q_proj", "k_proj", "v_proj", "o_proj"] {
            add(&format!("self_attn.{name}"), &[width, width]);
        }
        add("post_attention_layernorm", &[width]);
        add("mlp.gate_proj", &[inner, width]);
        add("mlp.up_proj", &[inner, width]);
        add("mlp.down_proj", &[width, inner]);
    }
    shapes.push(shape("model.norm.weight", &[width]));
    shapes.push(shape("lm_head.weight", &[words, width]));
    // The first shard ends with the second layer.
    let (first, second) = shapes.split_at(1 + 2 * 9);
    let mut random = Random(1);
    for (shard, shapes) in [first, second].into_iter().enumerate() {
        let name = format!("model-0000{}-of-00002.safetensors", shard + 1);
        let [before, after] = folders.each_ref().map(|folder| folder.join(&name));
        write_shard(&before, &after, shapes, &mut random);
    }
}

fn shape(name: &str, sides: &[usize]) -> Shape {
    Shape {
        name: name.to_owned(),
        sides: sides.to_vec(),
    }
}

fn write_shard(before: &Path, after: &Path, shapes: &[Shape], random: &mut Random) {
    let open = |path| {
        let tensors = shapes.iter().map(|Shape { name, sides }| {
            (
                name.as_str(),
                "BF16",
                sides.as_slice(),
                2 * sides.iter().product::<usize>(),
            )
        });
        create(path, tensors).expect("written")
    };
    let (mut before, mut after) = (open(before), open(after));
    for Shape { name, sides } in shapes {
        let (rows, columns) = match sides[..] {
            [rows, columns] => (rows, columns),
            _ => (1, sides[0]),
        };
        let sparse = name.contains("embed");
        let directions: Vec<f32> = (0..RANK * columns).map(|_| random.normal()).collect();
        for row in 0..rows {
            let base: Vec<f32> = match rows {
                1 => (0..columns).map(|_| 1.0 + 0.1 * random.normal()).collect(),
                _ => {
                    let size = 0.02 * (0.3 * random.normal()).exp();
                    (0..columns).map(|_| size * random.normal()).collect()
                }
            };
            let mut step = vec![0.0; columns];
            if !sparse || row % 2 == 0 {
                step.fill_with(|| random.normal());
                for (rank, direction) in directions.chunks(columns).enumerate() {
                    let strength = random.normal() / (1.0 + rank as f32);
                    for (step, x) in step.iter_mut().zip(direction) {
                        *step += strength * x;
                    }
                }
            }
            let tuned = base.iter().zip(&step).map(|(x, step)| x + STEP * step);
            let bytes: Vec<u8> = tuned.flat_map(bf16).collect();
            after.write_all(&bytes).expect("written");
            let bytes: Vec<u8> = base.into_iter().flat_map(bf16).collect();
            before.write_all(&bytes).expect("written");
        }
    }
    before.flush().expect("written");
    after.flush().expect("written");
}
