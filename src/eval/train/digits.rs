//! The bundled digits, as the network sees them.
//!
//! `fixtures/digits/digits.bin` holds 1797 records of 64 pixels, 0 to 16, and a label: first the 1437 images to
//! train with, then the 360 to test with. Where they come from and their licence is in the README beside it.

const FILE: &[u8] = include_bytes!("../../../fixtures/digits/digits.bin");

/// Side of a stored image.
const SMALL: usize = 8;

/// Bytes of a record.
const RECORD: usize = SMALL * SMALL + 1;

/// Images to train with; the others are for the test.
const TRAIN: usize = 1437;

/// Side of an image as the network sees it.
pub(super) const SIDE: usize = 28;

/// The images to train with, `[n, 3, 28, 28]`, and their labels.
#[cfg(feature = "eval")]
pub(super) fn train() -> (Vec<f32>, Vec<i64>) {
    read(0..TRAIN)
}

/// The images to test with, `[n, 3, 28, 28]`, and their labels.
pub(super) fn test() -> (Vec<f32>, Vec<i64>) {
    read(TRAIN..FILE.len() / RECORD)
}

fn read(records: std::ops::Range<usize>) -> (Vec<f32>, Vec<i64>) {
    let mut images = Vec::with_capacity(records.len() * 3 * SIDE * SIDE);
    let mut labels = Vec::with_capacity(records.len());
    for record in FILE
        .chunks_exact(RECORD)
        .skip(records.start)
        .take(records.len())
    {
        let (pixels, label) = record.split_at(RECORD - 1);
        let image = enlarged(pixels);
        for _ in 0..3 {
            images.extend(&image);
        }
        labels.extend(label.iter().map(|label| i64::from(*label)));
    }
    (images, labels)
}

/// PyTorch's bilinear interpolation with `align_corners=False`, of pixels divided by 16.
fn enlarged(pixels: &[u8]) -> Vec<f32> {
    // Where each new pixel lies between two old ones: the first, the second, and the second's share.
    let places: Vec<(usize, usize, f32)> = (0..SIDE)
        .map(|place| {
            let scale = SMALL as f32 / SIDE as f32;
            let at = ((place as f32 + 0.5) * scale - 0.5).max(0.0);
            let first = (at as usize).min(SMALL - 1);
            (first, (first + 1).min(SMALL - 1), at - first as f32)
        })
        .collect();
    let pixel = |y: usize, x: usize| f32::from(pixels[y * SMALL + x]) / 16.0;
    let mut image = Vec::with_capacity(SIDE * SIDE);
    for (top, bottom, down) in &places {
        for (left, right, across) in &places {
            let row = |y: usize| pixel(y, *left) * (1.0 - across) + pixel(y, *right) * across;
            image.push(row(*top) * (1.0 - down) + row(*bottom) * down);
        }
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_whole() {
        assert_eq!(FILE.len(), 1797 * RECORD);
        let about = include_str!("../../../fixtures/digits/README.md");
        assert!(about.contains(&crate::base::ObjectId::of(FILE).to_string()));
        let (images, labels) = test();
        assert_eq!((images.len(), labels.len()), (360 * 3 * 28 * 28, 360));
        assert!(images.iter().all(|pixel| (0.0..=1.0).contains(pixel)));
        assert!(labels.iter().all(|label| (0..10).contains(label)));
    }

    #[cfg(feature = "eval")]
    #[test]
    fn the_test_images_are_the_ones_that_pytorch_saw() {
        use crate::eval::numbers::{floats, integers};
        use crate::eval::tensors::memory::Memory;
        let Some(path) = crate::model::testing::workload("cnn/eval.safetensors") else {
            return;
        };
        let theirs = Memory::read(&std::fs::read(path).expect("readable"));
        let (images, labels) = test();
        assert_eq!(integers(&theirs, "labels").expect("labels").1, labels);
        let (_, inputs) = floats(&theirs, "inputs").expect("inputs");
        let far = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-6;
        assert_eq!(inputs.iter().zip(&images).position(far), None);
    }
}
