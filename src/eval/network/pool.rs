//! The pooling that candle does not do as PyTorch does.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape};

/// The largest number of each square window of `[n, channels, height, width]`, a NaN where there is one in it.
///
/// Candle's own drops NaNs, and so makes a broken network look sound. The window fits into the image.
pub(super) struct Max {
    pub(super) size: usize,
    pub(super) stride: usize,
}

impl CustomOp1 for Max {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let refused = || candle_core::Error::Msg("max_pool2d takes contiguous F32 images".into());
        let (CpuStorage::F32(all), Some((start, end))) = (storage, layout.contiguous_offsets())
        else {
            return Err(refused());
        };
        let (n, channels, h, w) = layout.shape().dims4()?;
        let side = |side: usize| Some(side.checked_sub(self.size)? / self.stride.max(1) + 1);
        let (Some(out_h), Some(out_w), Some(images)) = (side(h), side(w), all.get(start..end))
        else {
            return Err(refused());
        };
        let mut out = Vec::with_capacity(n * channels * out_h * out_w);
        for image in images.chunks_exact((h * w).max(1)) {
            for y in 0..out_h {
                for x in 0..out_w {
                    let corner = y * self.stride * w + x * self.stride;
                    let rows = (0..self.size).map(|row| corner + row * w);
                    let window = rows.flat_map(|row| &image[row..row + self.size]);
                    out.push(window.fold(f32::NEG_INFINITY, |max, value| {
                        // A NaN fails both comparisons, and stays once it is in.
                        match *value <= max || max.is_nan() {
                            true => max,
                            false => *value,
                        }
                    }));
                }
            }
        }
        Ok((CpuStorage::F32(out), (n, channels, out_h, out_w).into()))
    }
}
