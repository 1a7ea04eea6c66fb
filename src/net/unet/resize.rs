//! Halving and doubling of images.

use candle_core::{Device, Result, Tensor};

use crate::net::ops;

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
            Resample::Double => ops::double(x),
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
