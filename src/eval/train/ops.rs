//! Convolution and pooling for training, with their gradients.
//!
//! Candle's own gradient of a convolution runs at a small part of the machine's speed, and its gradient of max
//! pooling is the true one over the size of the window. Here a 3x3 convolution is
//! one matrix product over unfolded windows, and so is each of its gradients. Numbers lie with the channels last,
//! so that a window is three runs of memory. All of these take contiguous F32.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Error, Layout, Result, Shape, Tensor};

/// `[n, h, w, c]` to `[n * h * w, 9 * c]`: around each pixel its 3x3 window, zeros beyond the border.
pub(super) struct Unfold;

/// The adjoint of [`Unfold`]: each pixel becomes the sum of its places in all windows.
struct Fold(Shape);

/// The largest of each 2x2 window of `[n, h, w, c]`; a last odd row or column is dropped.
pub(super) struct Pool;

/// Of images and a gradient of their [`Pool`], the gradient of the images: it goes to the first largest pixel.
struct Unpool;

impl CustomOp1 for Unfold {
    fn name(&self) -> &'static str {
        "unfold"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let images = contiguous(storage, layout)?;
        let (n, h, w, c) = layout.shape().dims4()?;
        let mut out = vec![0.0; n * h * w * 9 * c];
        each_run(n, h, w, c, |window, pixel, length| {
            out[window..window + length].copy_from_slice(&images[pixel..pixel + length]);
        });
        Ok((CpuStorage::F32(out), (n * h * w, 9 * c).into()))
    }

    fn bwd(&self, arg: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let fold = Fold(arg.shape().clone());
        grad.contiguous()?.apply_op1_no_bwd(&fold).map(Some)
    }
}

impl CustomOp1 for Fold {
    fn name(&self) -> &'static str {
        "fold"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let windows = contiguous(storage, layout)?;
        let (n, h, w, c) = self.0.dims4()?;
        if windows.len() != n * h * w * 9 * c {
            return Err(refused());
        }
        let mut out = vec![0.0; n * h * w * c];
        each_run(n, h, w, c, |window, pixel, length| {
            let from = &windows[window..window + length];
            for (sum, value) in out[pixel..pixel + length].iter_mut().zip(from) {
                *sum += value;
            }
        });
        Ok((CpuStorage::F32(out), self.0.clone()))
    }
}

/// Calls `run` with each stretch of memory that windows and images have in common: where it begins among the
/// windows, where in the images, and its length.
fn each_run(n: usize, h: usize, w: usize, c: usize, mut run: impl FnMut(usize, usize, usize)) {
    for image in 0..n {
        for y in 0..h {
            for x in 0..w {
                let window = ((image * h + y) * w + x) * 9 * c;
                // Of the window's three columns, those inside the image.
                let (first, last) = (usize::from(x == 0), if x + 1 == w { 1 } else { 2 });
                for row in 0..3 {
                    let Some(at) = (y + row).checked_sub(1).filter(|at| *at < h) else {
                        continue;
                    };
                    let pixel = ((image * h + at) * w + x + first - 1) * c;
                    run(
                        window + (row * 3 + first) * c,
                        pixel,
                        (last + 1 - first) * c,
                    );
                }
            }
        }
    }
}

impl CustomOp1 for Pool {
    fn name(&self) -> &'static str {
        "pool"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let images = contiguous(storage, layout)?;
        let shape = layout.shape().dims4()?;
        let (n, h, w, c) = shape;
        let mut out = Vec::with_capacity(n * (h / 2) * (w / 2) * c);
        each_window(shape, |corners, channels| {
            for channel in 0..channels {
                out.push(
                    corners
                        .iter()
                        .fold(f32::NEG_INFINITY, |max, at| max.max(images[at + channel])),
                );
            }
        });
        Ok((CpuStorage::F32(out), (n, h / 2, w / 2, c).into()))
    }

    fn bwd(&self, arg: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        arg.apply_op2_no_bwd(&grad.contiguous()?, &Unpool).map(Some)
    }
}

impl CustomOp2 for Unpool {
    fn name(&self) -> &'static str {
        "unpool"
    }

    fn cpu_fwd(
        &self,
        images: &CpuStorage,
        layout: &Layout,
        grad: &CpuStorage,
        grad_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let images = contiguous(images, layout)?;
        let mut grads = contiguous(grad, grad_layout)?.iter();
        let mut out = vec![0.0; images.len()];
        each_window(layout.shape().dims4()?, |corners, channels| {
            for channel in 0..channels {
                let mut best = corners[0] + channel;
                for corner in corners {
                    if images[corner + channel] > images[best] {
                        best = corner + channel;
                    }
                }
                out[best] = grads.next().copied().unwrap_or_default();
            }
        });
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }
}

/// Calls `window` with where the four pixels of each 2x2 window begin, and the number of channels.
fn each_window(
    (n, h, w, c): (usize, usize, usize, usize),
    mut window: impl FnMut([usize; 4], usize),
) {
    for image in 0..n {
        for y in 0..h / 2 {
            for x in 0..w / 2 {
                let first = ((image * h + 2 * y) * w + 2 * x) * c;
                window([first, first + c, first + w * c, first + (w + 1) * c], c);
            }
        }
    }
}

fn contiguous<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(all), Some((start, end))) => all.get(start..end).ok_or_else(refused),
        _ => Err(refused()),
    }
}

fn refused() -> Error {
    Error::Msg("contiguous F32 is needed".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    /// The sum of products of `out` with fixed numbers, and its gradient in `of`.
    fn gradient(out: &Tensor, of: &Tensor) -> Vec<f32> {
        let weights: Vec<f32> = (0..out.elem_count())
            .map(|i| (i % 7) as f32 - 2.5)
            .collect();
        let weights = Tensor::from_vec(weights, out.shape(), &Device::Cpu).expect("a tensor");
        let grads = (out * weights)
            .and_then(|y| y.sum_all()?.backward())
            .expect("gradients");
        let grad = grads.get(of).expect("a gradient").flatten_all();
        grad.and_then(|grad| grad.to_vec1()).expect("numbers")
    }

    fn close(a: &[f32], b: &[f32]) {
        assert_eq!(a.len(), b.len());
        assert!(
            a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3),
            "{a:?}\n{b:?}"
        );
    }

    fn numbers(shape: &[usize], step: usize) -> Var {
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count)
            .map(|i| ((i * step) % 23) as f32 / 11.0 - 1.0)
            .collect();
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).expect("a tensor");
        Var::from_tensor(&tensor).expect("a variable")
    }

    #[test]
    fn convolution_agrees_with_candles_and_so_do_its_gradients() {
        let (x, k) = (numbers(&[2, 3, 5, 4], 7), numbers(&[6, 3, 3, 3], 5));
        let run = || -> Result<()> {
            let theirs = x.conv2d(&k, 1, 1, 1, 1)?;
            let kernel = k.permute((0, 2, 3, 1))?.reshape((6, 27))?.t()?;
            let ours = x
                .permute((0, 2, 3, 1))?
                .contiguous()?
                .apply_op1(Unfold)?
                .matmul(&kernel)?
                .reshape((2, 5, 4, 6))?
                .permute((0, 3, 1, 2))?
                .contiguous()?;
            close(
                &ours.flatten_all()?.to_vec1()?,
                &theirs.flatten_all()?.to_vec1()?,
            );
            close(&gradient(&ours, &k), &gradient(&theirs, &k));
            close(&gradient(&ours, &x), &gradient(&theirs, &x));
            Ok(())
        };
        run().expect("computed");
    }

    #[test]
    fn pooling_takes_the_largest_and_its_gradient_goes_there() {
        // Two channels of 2x3: the last column is dropped.
        let values: [f32; 12] = [1.0, 8.0, 3.0, 6.0, 9.0, 9.0, 2.0, 5.0, 3.0, 7.0, 9.0, 9.0];
        let x = Tensor::from_slice(&values, (1, 2, 3, 2), &Device::Cpu).expect("a tensor");
        let x = Var::from_tensor(&x).expect("a variable");
        let y = x.apply_op1(Pool).expect("pooled");
        assert_eq!(
            y.flatten_all()
                .and_then(|y| y.to_vec1::<f32>())
                .expect("numbers"),
            [3.0, 8.0]
        );
        // Of the two threes the first one has it.
        let mut wanted = [0.0; 12];
        (wanted[2], wanted[1]) = (-2.5, -1.5);
        close(&gradient(&y, &x), &wanted);
    }
}
