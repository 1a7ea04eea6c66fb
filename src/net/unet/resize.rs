//! Halving and doubling of images.

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};

/// Between a residual layer's first norm and its first convolution, and on its shortcut.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Resample {
    No,
    Halve,
    Double,
    FirHalve,
    FirDouble,
}

impl Resample {
    pub fn apply(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Resample::No => Ok(x.clone()),
            Resample::Halve => x.avg_pool2d(2),
            Resample::Double => double(x),
            Resample::FirHalve => fir(x, 1, 1, 2, 1.0),
            Resample::FirDouble => {
                let (n, c, h, w) = x.dims4()?;
                let spread =
                    x.reshape((n, c, h, 1, w, 1))?.pad_with_zeros(3, 0, 1)?.pad_with_zeros(5, 0, 1)?;
                fir(&spread.reshape((n, c, 2 * h, 2 * w))?, 2, 1, 1, 4.0)
            }
        }
    }
}

/// Each pixel four times.
pub(super) fn double(x: &Tensor) -> Result<Tensor> {
    if x.device().is_cpu() {
        return x.contiguous()?.apply_op1(Nearest);
    }
    let (_, _, h, w) = x.dims4()?;
    // candle's backward of this overwrites what other users of its argument have put there: give it one of its own.
    x.affine(1.0, 0.0)?.upsample_nearest2d(2 * h, 2 * w)
}

/// [`double`] on the processor: candle's own backward is a convolution a channel, ten times slower.
struct Nearest;

impl CustomOp1 for Nearest {
    fn name(&self) -> &'static str {
        "double"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, h, w) = layout.shape().dims4()?;
        let start = layout.start_offset();
        let of = start..start + n * c * h * w;
        let y = match x {
            CpuStorage::F32(x) => CpuStorage::F32(twice(&x[of], w)),
            CpuStorage::F64(x) => CpuStorage::F64(twice(&x[of], w)),
            _ => candle_core::bail!("networks compute in f32 or f64 on the processor"),
        };
        Ok((y, (n, c, 2 * h, 2 * w).into()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some((grad.avg_pool2d(2)? * 4.0)?))
    }
}

/// Rows of `width`, each value and each row twice.
fn twice<T: Copy>(x: &[T], width: usize) -> Vec<T> {
    let mut y = Vec::with_capacity(4 * x.len());
    for row in x.chunks_exact(width) {
        let start = y.len();
        y.extend(row.iter().flat_map(|&v| [v, v]));
        y.extend_from_within(start..);
    }
    y
}

/// The filter (1, 3, 3, 1)/8 along both sides (Karras et al. 2019), times `gain`, after so many zeros, each `stride`.
fn fir(x: &Tensor, before: usize, after: usize, stride: usize, gain: f64) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let taps = [1.0, 3.0, 3.0, 1.0].map(|tap| tap / 8.0 * gain.sqrt());
    let kernel: Vec<f64> = taps.iter().flat_map(|a| taps.map(|b| a * b)).collect();
    let kernel =
        Tensor::from_vec(kernel, (1, 1, 4, 4), &Device::Cpu)?.to_dtype(x.dtype())?.to_device(x.device())?;
    let x =
        x.reshape((n * c, 1, h, w))?.pad_with_zeros(2, before, after)?.pad_with_zeros(3, before, after)?;
    let y = x.conv2d(&kernel, 0, stride, 1, 1)?;
    let (_, _, h, w) = y.dims4()?;
    y.reshape((n, c, h, w))
}
