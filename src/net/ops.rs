//! What a U-Net is made of, as differentiable functions of tensors of any device.

mod attention;
mod composed;
mod convolution;
mod host;
mod linear;
mod normalise;
mod product;

use candle_core::{D, Result, Tensor};

use attention::Attention;
use convolution::Convolution;
use linear::Linear;
use normalise::GroupNorm;

/// Correlation of images `x` (n, c, h, w) with kernels `w` (o, c, k, k), padded by zeros on all sides, plus `b`: (o), or
/// (n, o) for a bias of each image's own, which adds an embedding for nothing.
///
/// # Errors
/// Shapes that do not fit.
pub fn conv2d(x: &Tensor, w: &Tensor, b: &Tensor, stride: usize, padding: usize) -> Result<Tensor> {
    if !x.device().is_cpu() || padding >= w.dim(w.rank() - 1)? || stride == 0 {
        return composed::conv2d(x, w, b, stride, padding);
    }
    let op = Convolution { stride, padding: [padding; 2] };
    host::computed([x, w, b], |[x, w, b]| x.apply_op3(w, b, op))
}

/// Each image's `groups` groups of channels to mean 0 and variance 1 / (1 + eps/variance), then scaled by `gamma` and shifted
/// by `beta` (c each) a channel (Wu & He 2018); then through `x / (1 + e^-x)` if `silu`. `x` is (n, c, ..).
///
/// # Errors
/// Shapes that do not fit.
pub fn group_norm(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    groups: usize,
    eps: f64,
    silu: bool,
) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return composed::group_norm(x, gamma, beta, groups, eps, silu);
    }
    let op = GroupNorm { groups, eps, silu };
    host::computed([x, gamma, beta], |[x, gamma, beta]| x.apply_op3(gamma, beta, op))
}

/// `x w^T + b`: `x` (.., i), `w` (o, i), `b` (o).
///
/// # Errors
/// Shapes that do not fit.
pub fn linear(x: &Tensor, w: &Tensor, b: &Tensor) -> Result<Tensor> {
    let rows = x.flatten_to(D::Minus(2))?;
    let y = if x.device().is_cpu() {
        host::computed([&rows, w, b], |[x, w, b]| x.apply_op3(w, b, Linear))?
    } else {
        rows.matmul(&w.t()?)?.broadcast_add(b)?
    };
    let mut shape = x.dims().to_vec();
    *shape.last_mut().expect("an axis") = w.dim(0)?;
    y.reshape(shape)
}

/// `softmax(q k^T / sqrt(d)) v` for `q`, `k`, `v` (n, heads, tokens, d) (Vaswani et al. 2017, eq. 1).
///
/// On the CPU all are computed as (n, heads, d, tokens): arguments that are transposes of such are not copied, nor is the
/// result, which is one, when it is transposed back.
///
/// # Errors
/// Shapes that do not fit.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    if !q.device().is_cpu() {
        return composed::attention(q, k, v);
    }
    let [q, k, v] = [q.transpose(2, 3)?, k.transpose(2, 3)?, v.transpose(2, 3)?];
    host::computed([&q, &k, &v], |[q, k, v]| q.apply_op3(k, v, Attention))?.transpose(2, 3)
}
