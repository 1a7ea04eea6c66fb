//! Images of twice the size, channels joined and images added: candle's own are slow, wait for threads or add up gradients wrongly.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Device, Layout, Result, Shape, Tensor, WithDType, bail};

use super::host::{in_precision, read, values};

/// Every pixel of `x` (n, c, h, w) twice in each direction. Contiguous.
pub(super) struct Double;

impl CustomOp1 for Double {
    fn name(&self) -> &'static str {
        "double"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, h, w) = layout.shape().dims4()?;
        let y = in_precision!(x.dtype(), T => {
            let x = values::<T>(x, layout)?;
            let mut y = vec![T::default(); 4 * x.len()];
            for (row, two) in x.chunks_exact(w.max(1)).zip(y.chunks_exact_mut((4 * w).max(1))) {
                let (first, second) = two.split_at_mut(2 * w);
                for (&x, pair) in row.iter().zip(first.as_chunks_mut::<2>().0) {
                    *pair = [x; 2];
                }
                second.copy_from_slice(first);
            }
            T::to_cpu_storage_owned(y)
        });
        Ok((y, (n, c, 2 * h, 2 * w).into()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let (g, w) = (g.contiguous()?, x.dim(3)?);
        in_precision!(x.dtype(), T => {
            read!(gradient: T = g);
            let mut dx = vec![T::default(); x.elem_count()];
            for (row, two) in dx.chunks_exact_mut(w.max(1)).zip(gradient.chunks_exact((4 * w).max(1))) {
                let (first, second) = two.split_at(2 * w);
                let pairs = first.as_chunks::<2>().0.iter().zip(second.as_chunks::<2>().0);
                for (sum, (a, b)) in row.iter_mut().zip(pairs) {
                    *sum = (a[0] + a[1]) + (b[0] + b[1]);
                }
            }
            Tensor::from_vec(dx, x.shape(), &Device::Cpu).map(Some)
        })
    }
}

/// The channels of `a` (n, c, ..), then those of `b` (n, c', ..). Both contiguous.
pub(super) struct Join;

impl CustomOp2 for Join {
    fn name(&self) -> &'static str {
        "join"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (mut dims, others) = (a_layout.dims().to_vec(), b_layout.dims());
        if dims.len() < 2 || dims.len() != others.len() || dims[0] != others[0] || dims[2..] != others[2..] {
            bail!("channels of {:?} beside those of {:?}", a_layout.shape(), b_layout.shape());
        }
        dims[1] += others[1];
        let n = dims[0].max(1);
        let y = in_precision!(a.dtype(), T => {
            let (a, b) = (values::<T>(a, a_layout)?, values::<T>(b, b_layout)?);
            let (each_a, each_b) = (a.len() / n, b.len() / n);
            let mut y = Vec::with_capacity(a.len() + b.len());
            for i in 0..n {
                y.extend_from_slice(&a[i * each_a..][..each_a]);
                y.extend_from_slice(&b[i * each_b..][..each_b]);
            }
            T::to_cpu_storage_owned(y)
        });
        Ok((y, dims.into()))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let part = |start: usize, like: &Tensor| g.narrow(1, start, like.dim(1)?)?.contiguous().map(Some);
        Ok((part(0, a)?, part(a.dim(1)?, b)?))
    }
}

/// `a + b`. Both contiguous, of one shape.
pub(super) struct Sum;

impl CustomOp2 for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        if a_layout.shape() != b_layout.shape() {
            bail!("{:?} plus {:?}", a_layout.shape(), b_layout.shape());
        }
        let y = in_precision!(a.dtype(), T => {
            let (a, b) = (values::<T>(a, a_layout)?, values::<T>(b, b_layout)?);
            T::to_cpu_storage_owned(a.iter().zip(b).map(|(a, b)| a + b).collect())
        });
        Ok((y, a_layout.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((Some(g.clone()), Some(g.clone())))
    }
}
