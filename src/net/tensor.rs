//! States on a device: samples one after the other in a candle tensor, the first axis theirs.
//!
//! Coefficients are `f64` and states `f32` or `f64`; on the CPU combinations are those of [`Batch`], bit for bit.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use scorebench::state::State;
//! let x = State(Tensor::new(&[[1.0f64, 2.0]], &Device::Cpu)?);
//! let y = (0.5 * &x - 2.0 * &x).eval();
//! assert_eq!(y.0.to_vec2::<f64>()?, [[-1.5, -3.0]]);
//! # Ok::<(), candle_core::Error>(())
//! ```

use candle_core::{DType, Device, Tensor, WithDType};

use super::ops::host::{on_cpu, values};
use crate::any::{Any, Backend};
use crate::batch::{self, Batch, Precision};
use crate::noise::White;
use crate::run::{Ctx, Noise, Recorded};
use crate::schedule::Level;
use crate::state::{Space, State};

impl Space for Tensor {
    fn combine(terms: &[(f64, &Self)]) -> Self {
        let x = terms[0].1;
        assert!(
            terms.iter().all(|(_, y)| y.shape() == x.shape()),
            "tensors of different shapes were combined"
        );
        must(match (x.device(), x.dtype()) {
            (Device::Cpu, DType::F64) => combine_on_host::<f64>(terms),
            (Device::Cpu, DType::F32) => combine_on_host::<f32>(terms),
            _ => combine_on_device(terms),
        })
    }

    fn rms(&self, _: &Recorded) -> f64 {
        // On the host, in the order in which batches add theirs.
        let rows = || self.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
        let squares = || match self.device() {
            Device::Cpu => Ok(rows()?.iter().map(|x| x * x).sum::<f64>() / self.elem_count() as f64),
            _ => self.to_dtype(DType::F64)?.sqr()?.mean_all()?.to_scalar::<f64>(),
        };
        must(squares()).sqrt()
    }

    fn with_any<T>(
        cx: &mut Ctx<Self>,
        x: State<Self>,
        run: impl FnOnce(&mut Ctx<Any>, State<Any>) -> T,
    ) -> T {
        cx.with_any(x, run)
    }

    fn from_any(x: State<Any>) -> State<Self> {
        <Self as Backend>::unwrap(x.0)
    }
}

/// One pass over memory.
fn combine_on_host<R: Precision + WithDType>(terms: &[(f64, &Tensor)]) -> candle_core::Result<Tensor> {
    let whole: Vec<Tensor> = terms.iter().map(|(_, x)| x.contiguous()).collect::<Result<_, _>>()?;
    let held: Vec<_> = whole.iter().map(Tensor::storage_and_layout).collect();
    let mut flat = Vec::with_capacity(terms.len());
    for ((c, _), (storage, layout)) in terms.iter().zip(&held) {
        flat.push((*c, values::<R>(on_cpu(storage)?, layout)?));
    }
    let mut to = vec![R::ZERO; whole[0].elem_count()];
    batch::combine(&flat, &mut to);
    Tensor::from_vec(to, whole[0].shape(), &Device::Cpu)
}

/// Two temporaries at a time.
fn combine_on_device(terms: &[(f64, &Tensor)]) -> candle_core::Result<Tensor> {
    let mut sum = (terms[0].1 * terms[0].0)?;
    for (c, x) in &terms[1..] {
        sum = (sum + (*x * *c)?)?;
    }
    Ok(sum)
}

/// A tensor, or the end of the run: states know no errors. What is thrown here, without a word on stderr, is caught where
/// runs on devices start.
pub(super) fn must<T>(found: candle_core::Result<T>) -> T {
    found.unwrap_or_else(|error| std::panic::resume_unwind(Box::new(error)))
}

/// A precision that states on devices have.
pub trait Uploaded: Precision + WithDType {}
impl Uploaded for f32 {}
impl Uploaded for f64 {}

/// The samples of a batch as rows of a tensor.
///
/// # Errors
/// The device's own.
pub fn upload<R: Uploaded>(x: &Batch<R>, device: &Device) -> candle_core::Result<Tensor> {
    Tensor::from_vec(x.to_rows(), (x.len(), x.dim()), device)
}

/// Rows of a tensor as samples, numbered from `first`.
///
/// # Errors
/// The device's own, and another precision.
pub fn download<R: Uploaded>(x: &Tensor, first: u64) -> candle_core::Result<Batch<R>> {
    let (len, dim) = (x.dim(0)?, x.elem_count() / x.dim(0)?);
    let rows = x.reshape((len, dim))?.to_device(&Device::Cpu)?.flatten_all()?.to_vec1::<R>()?;
    Ok(Batch::from_rows(dim, rows).numbered(first))
}

/// The noise of the same samples on the host, uploaded: runs share their numbers whatever the device.
pub struct Uploads<R> {
    white: White,
    samples: State<Batch<R>>,
    device: Device,
}

impl<R: Uploaded> Uploads<R> {
    /// For the samples of a batch.
    pub fn new(white: White, samples: &Batch<R>, device: &Device) -> Self {
        let samples = State(Batch::zeros(samples.dim(), samples.first(), samples.len()));
        Uploads { white, samples, device: device.clone() }
    }
}

impl<R: Uploaded> Noise<Tensor> for Uploads<R> {
    fn increment(&mut self, x: &State<Tensor>, _: &Level, _: &Level) -> State<Tensor> {
        self.fresh(x)
    }

    fn fresh(&mut self, x: &State<Tensor>) -> State<Tensor> {
        let z = self.white.draw(&self.samples);
        State(must(upload(&z.0, &self.device).and_then(|z| z.reshape(x.0.shape()))))
    }
}
