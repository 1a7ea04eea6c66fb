//! Affine maps of rows, forward and backward.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor, WithDType, bail};

use super::host::{in_precision, read, values};
use super::product::{Left, Right, Run, add_product, run_length};
use crate::real::Real;

/// `x w^T + b`: `x` (rows, i), `w` (o, i), `b` (o). All contiguous.
pub(super) struct Linear;

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let ((rows, i), (o, w_i)) = (x_layout.shape().dims2()?, w_layout.shape().dims2()?);
        if i != w_i || b_layout.dims() != [o] {
            bail!("{:?} times {:?}, plus {:?}", x_layout.shape(), w_layout.shape(), b_layout.shape());
        }
        let y = in_precision!(x.dtype(), T => {
            let (x, w, b) = (values::<T>(x, x_layout)?, values(w, w_layout)?, values(b, b_layout)?);
            let mut y = b.repeat(rows);
            add(Matrix { values: x, strides: [i, 1] }, Matrix { values: w, strides: [1, i] }, [rows, i, o], &mut y);
            T::to_cpu_storage_owned(y)
        });
        Ok((y, (rows, o).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let ((rows, i), o) = (x.dims2()?, w.dim(0)?);
        let g = g.contiguous()?;
        in_precision!(x.dtype(), T => {
            read!(gradient: T = g);
            read!(inputs: T = x);
            read!(weights: T = w);
            let (mut dx, mut dw) = (vec![T::default(); rows * i], vec![T::default(); o * i]);
            let mut db = vec![T::default(); o];
            let [inputs, weights] = [inputs, weights].map(|values| Matrix { values, strides: [i, 1] });
            add(Matrix { values: gradient, strides: [o, 1] }, weights, [rows, o, i], &mut dx);
            add(Matrix { values: gradient, strides: [1, o] }, inputs, [o, rows, i], &mut dw);
            for g in gradient.chunks_exact(o.max(1)) {
                for (sum, &g) in db.iter_mut().zip(g) {
                    *sum += g;
                }
            }
            let made = |values: Vec<T>, like: &Tensor| Tensor::from_vec(values, like.shape(), &Device::Cpu);
            Ok((Some(made(dx, x)?), Some(made(dw, w)?), Some(made(db, b)?)))
        })
    }
}

/// Entries by the distances of rows and of columns.
struct Matrix<'a, T> {
    values: &'a [T],
    strides: [usize; 2],
}

/// `c += a b` for `a` (m, k), `b` (k, n) and `c` (m, n).
fn add<T: Real>(a: Matrix<T>, b: Matrix<T>, [m, k, n]: [usize; 3], c: &mut [T]) {
    let offsets = |stride: usize| (0..k).map(|k| k * stride).collect::<Vec<_>>();
    let a = Left::pack(a.values, m, a.strides[0], &offsets(a.strides[1]));
    let [down, across] = b.strides;
    let length = if across == 1 { run_length::<T>(n) } else { 1 };
    let runs: Vec<_> = (0..n).step_by(length).map(|to| Run { from: to * across, to }).collect();
    add_product(&a, Right { values: b.values, depth: &offsets(down), runs: &runs, length }, c, n);
}
