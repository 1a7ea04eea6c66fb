//! What a U-Net is made of, as differentiable functions of tensors of any device.

mod attention;
mod composed;
mod convolution;
pub(super) mod host;
mod linear;
mod normalise;
mod product;
mod rearrange;

use candle_core::{D, Result, Tensor, bail};

use attention::Attention;
use convolution::Convolution;
use linear::Linear;
use normalise::GroupNorm;
use rearrange::{Double, Join, Sum};

/// Correlation of images `x` (n, c, h, w) with kernels `w` (o, c, k, k), padded by zeros on all sides, plus `b`: (o), or
/// (n, o) for a bias of each image's own, which adds an embedding for nothing.
///
/// # Errors
/// Shapes that do not fit.
pub fn conv2d(x: &Tensor, w: &Tensor, b: &Tensor, stride: usize, padding: usize) -> Result<Tensor> {
    conv2d_padded(x, w, b, stride, [padding; 2])
}

/// [`conv2d`] with so many zeros before the first and after the last pixel of either axis.
///
/// # Errors
/// Shapes that do not fit.
pub fn conv2d_padded(
    x: &Tensor,
    w: &Tensor,
    b: &Tensor,
    stride: usize,
    padding: [usize; 2],
) -> Result<Tensor> {
    let ((_, _, height, width), (_, _, k, k_w), [before, after]) = (x.dims4()?, w.dims4()?, padding);
    if k != k_w || stride == 0 || height.min(width) + before + after < k {
        bail!(
            "no {k} x {k} patch, each {stride}, in {height} x {width} pixels padded by {before} and {after}"
        );
    }
    if !x.device().is_cpu() || before.max(after) >= k {
        return composed::conv2d(x, w, b, stride, padding);
    }
    let op = Convolution { stride, padding };
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
    shape.pop();
    shape.push(w.dim(0)?);
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

/// Every pixel of `x` (n, c, h, w) twice in each direction: (n, c, 2h, 2w).
///
/// # Errors
/// Not such a shape.
pub fn double(x: &Tensor) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return composed::double(x);
    }
    host::computed([x], |[x]| x.apply_op1(Double))
}

/// The channels of `a` (n, c, ..), then those of `b` (n, c', ..).
///
/// # Errors
/// Shapes that do not fit.
pub fn join(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if !a.device().is_cpu() {
        return Tensor::cat(&[a, b], 1);
    }
    host::computed([a, b], |[a, b]| a.apply_op2(b, Join))
}

/// `a + b`, of one shape, on the caller's thread: candle's own sum spreads over threads of its own, which wait by spinning and
/// serve one caller at a time.
///
/// # Errors
/// Shapes that differ.
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if !a.device().is_cpu() {
        return a + b;
    }
    host::computed([a, b], |[a, b]| a.apply_op2(b, Sum))
}
