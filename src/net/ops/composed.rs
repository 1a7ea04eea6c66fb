//! The same functions out of candle's own, for devices other than the CPU.

use candle_core::{D, Result, Tensor};

pub(super) fn conv2d(x: &Tensor, w: &Tensor, b: &Tensor, stride: usize, padding: usize) -> Result<Tensor> {
    let y = x.conv2d(w, padding, stride, 1, 1)?;
    y.broadcast_add(&b.reshape(((), w.dim(0)?, 1, 1))?)
}

pub(super) fn group_norm(
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

pub(super) fn attention(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    let scale = 1.0 / (q.dim(D::Minus1)? as f64).sqrt();
    let logits = (q.matmul(&k.t()?)? * scale)?;
    let weights = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?.exp()?;
    weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?.matmul(v)
}
