//! What a U-Net is made of, as differentiable functions of tensors of any device.

use candle_core::{D, Result, Tensor};

/// Correlation of images `x` (n, c, h, w) with kernels `w` (o, c, k, k), padded by zeros on all sides, plus `b` (o).
///
/// # Errors
/// Shapes that do not fit.
pub fn conv2d(x: &Tensor, w: &Tensor, b: &Tensor, stride: usize, padding: usize) -> Result<Tensor> {
    let y = x.conv2d(w, padding, stride, 1, 1)?;
    y.broadcast_add(&b.reshape((1, (), 1, 1))?)
}

/// Each image's `groups` groups of channels to mean 0 and variance 1 / (1 + eps/variance), then scaled by `gamma` and shifted
/// by `beta` (c each) a channel (Wu & He 2018); then through [`silu`] if wanted. `x` is (n, c, ..).
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
    let (n, c) = (x.dim(0)?, x.dim(1)?);
    let rows = x.reshape((n, groups, ()))?;
    let centred = rows.broadcast_sub(&rows.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let y = centred.broadcast_div(&(variance + eps)?.sqrt()?)?.reshape((n, c, ()))?;
    let (gamma, beta) = (gamma.reshape((1, c, 1))?, beta.reshape((1, c, 1))?);
    let y = y.broadcast_mul(&gamma)?.broadcast_add(&beta)?.reshape(x.shape())?;
    if silu { y.silu() } else { Ok(y) }
}

/// `x w^T + b`: `x` (.., i), `w` (o, i), `b` (o).
///
/// # Errors
/// Shapes that do not fit.
pub fn linear(x: &Tensor, w: &Tensor, b: &Tensor) -> Result<Tensor> {
    let rows = x.flatten_to(D::Minus(2))?;
    let y = rows.matmul(&w.t()?)?.broadcast_add(b)?;
    let mut shape = x.dims().to_vec();
    *shape.last_mut().expect("an axis") = w.dim(0)?;
    y.reshape(shape)
}

/// `softmax(q k^T / sqrt(d)) v` for `q`, `k`, `v` (n, heads, tokens, d) (Vaswani et al. 2017, eq. 1).
///
/// # Errors
/// Shapes that do not fit.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    let scale = 1.0 / (q.dim(D::Minus1)? as f64).sqrt();
    let logits = (q.matmul(&k.t()?)? * scale)?;
    let weights = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?.exp()?;
    weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?.matmul(v)
}
