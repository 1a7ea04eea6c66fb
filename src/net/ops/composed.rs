//! The same functions out of candle's own, for devices other than the CPU.

use candle_core::{D, Result, Tensor};

pub(super) fn conv2d(
    x: &Tensor,
    w: &Tensor,
    b: &Tensor,
    stride: usize,
    padding: [usize; 2],
) -> Result<Tensor> {
    let [before, after] = padding;
    let y = if before == after {
        x.conv2d(w, before, stride, 1, 1)?
    } else {
        x.pad_with_zeros(2, before, after)?.pad_with_zeros(3, before, after)?.conv2d(w, 0, stride, 1, 1)?
    };
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

/// By broadcasting: the backward of candle's `upsample_nearest2d` overwrites what other users of its argument have added.
pub(super) fn double(x: &Tensor) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    x.reshape((n, c, h, 1, w, 1))?.broadcast_as((n, c, h, 2, w, 2))?.reshape((n, c, 2 * h, 2 * w))
}
