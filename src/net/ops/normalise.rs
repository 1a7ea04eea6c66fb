//! Normalisation of groups of channels, with or without the activation that follows, forward and backward.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor, WithDType, bail};
use pulp::{Simd, WithSimd};

use super::host::{in_precision, read, values};
use crate::real::{Real, vectorised};

/// Images `x` (n, c, ..) by groups of channels, with `gamma` and `beta` (c). All contiguous.
pub(super) struct GroupNorm {
    pub groups: usize,
    pub eps: f64,
    /// Whether the result goes through x / (1 + e^-x).
    pub silu: bool,
}

impl CustomOp3 for GroupNorm {
    fn name(&self) -> &'static str {
        "group norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        gamma: &CpuStorage,
        gamma_layout: &Layout,
        beta: &CpuStorage,
        beta_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let pixels = self.pixels(x_layout.shape(), gamma_layout.shape(), beta_layout.shape())?;
        let y = in_precision!(x.dtype(), T => {
            let (x, gamma) = (values::<T>(x, x_layout)?, values(gamma, gamma_layout)?);
            let beta = values(beta, beta_layout)?;
            T::to_cpu_storage_owned(vectorised(Forward { op: self, x, gamma, beta, pixels }))
        });
        Ok((y, x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        beta: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let pixels = self.pixels(x.shape(), gamma.shape(), beta.shape())?;
        let g = g.contiguous()?;
        in_precision!(x.dtype(), T => {
            read!(gradient: T = g);
            read!(images: T = x);
            read!(scale: T = gamma);
            read!(shift: T = beta);
            let forward = Forward { op: self, x: images, gamma: scale, beta: shift, pixels };
            let [dx, dgamma, dbeta] = vectorised(Backward { forward, gradient });
            let made = |values: Vec<T>, like: &Tensor| Tensor::from_vec(values, like.shape(), &Device::Cpu);
            Ok((Some(made(dx, x)?), Some(made(dgamma, gamma)?), Some(made(dbeta, beta)?)))
        })
    }
}

impl GroupNorm {
    /// Pixels of an image.
    fn pixels(&self, x: &Shape, gamma: &Shape, beta: &Shape) -> Result<usize> {
        match *x.dims() {
            [_, c, ref rest @ ..]
                if self.groups > 0
                    && c.is_multiple_of(self.groups)
                    && gamma.dims() == [c]
                    && beta.dims() == [c] =>
            {
                Ok(rest.iter().product())
            }
            _ => bail!("{} groups of {x:?}, scaled by {gamma:?} and shifted by {beta:?}", self.groups),
        }
    }
}

struct Forward<'a, T> {
    op: &'a GroupNorm,
    x: &'a [T],
    gamma: &'a [T],
    beta: &'a [T],
    pixels: usize,
}

impl<T: Real> WithSimd for Forward<'_, T> {
    type Output = Vec<T>;
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Vec<T> {
        let mut y = Vec::with_capacity(self.x.len());
        for (channel, x) in self.groups() {
            let (mean, scale) = standard(x, self.op.eps);
            for (i, x) in x.chunks_exact(self.pixels).enumerate() {
                let (a, b) = self.line(channel + i, mean, scale);
                if self.op.silu {
                    y.extend(x.iter().map(|&x| silu(x.mul_add(a, b)).0));
                } else {
                    y.extend(x.iter().map(|&x| x.mul_add(a, b)));
                }
            }
        }
        y
    }
}

impl<T: Real> Forward<'_, T> {
    /// First channel and values of each group.
    #[inline(always)]
    fn groups(&self) -> impl Iterator<Item = (usize, &[T])> {
        let channels = self.gamma.len() / self.op.groups;
        let groups = self.x.chunks_exact((channels * self.pixels).max(1)).enumerate();
        groups.map(move |(i, x)| (i % self.op.groups * channels, x))
    }

    /// The slope and the intercept of a channel's normalisation.
    #[inline(always)]
    fn line(&self, channel: usize, mean: f64, scale: f64) -> (T, T) {
        let slope = scale * self.gamma[channel].to_f64();
        (T::from_f64(slope), T::from_f64(self.beta[channel].to_f64() - mean * slope))
    }
}

struct Backward<'a, T> {
    forward: Forward<'a, T>,
    gradient: &'a [T],
}

impl<T: Real> WithSimd for Backward<'_, T> {
    type Output = [Vec<T>; 3];
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Self::Output {
        let Self { forward, gradient } = self;
        let (pixels, c) = (forward.pixels, forward.gamma.len());
        let mut dx = vec![T::ZERO; forward.x.len()];
        let (mut dgamma, mut dbeta) = (vec![0.0; c], vec![0.0; c]);
        let size = (c / forward.op.groups * pixels).max(1);
        let outer = dx.chunks_exact_mut(size).zip(gradient.chunks_exact(size));
        for ((first, x), (dx, g)) in forward.groups().zip(outer) {
            let (mean, scale) = standard(x, forward.op.eps);
            // Means over the group of the gradient of its normalised values, and of that times those values.
            let (mut m, mut mx) = (0.0, 0.0);
            let channels =
                x.chunks_exact(pixels).zip(dx.chunks_exact_mut(pixels)).zip(g.chunks_exact(pixels));
            for (channel, ((x, dx), g)) in (first..).zip(channels) {
                let (a, b) = forward.line(channel, mean, scale);
                activation_gradient(x, g, dx, forward.op.silu.then_some((a, b)));
                let (sum, with_x) = sums_of(dx, x, T::from_f64(mean));
                let with_x = with_x * scale;
                dgamma[channel] += with_x;
                dbeta[channel] += sum;
                m += forward.gamma[channel].to_f64() * sum / size as f64;
                mx += forward.gamma[channel].to_f64() * with_x / size as f64;
            }
            for (channel, (x, dx)) in (first..).zip(x.chunks_exact(pixels).zip(dx.chunks_exact_mut(pixels))) {
                let slope = T::from_f64(scale * forward.gamma[channel].to_f64());
                let of_x = T::from_f64(-mx * scale * scale);
                let rest = T::from_f64((mx * scale * mean - m) * scale);
                for (dx, &x) in dx.iter_mut().zip(x) {
                    *dx = dx.mul_add(slope, x.mul_add(of_x, rest));
                }
            }
        }
        let narrow = |sums: Vec<f64>| sums.into_iter().map(T::from_f64).collect();
        [dx, narrow(dgamma), narrow(dbeta)]
    }
}

/// `g` times the derivative of the activation at `a x + b`; `g` itself where there is none.
#[inline(always)]
fn activation_gradient<T: Real>(x: &[T], g: &[T], to: &mut [T], line: Option<(T, T)>) {
    match line {
        Some((a, b)) => {
            for ((to, &x), &g) in to.iter_mut().zip(x).zip(g) {
                *to = g * silu(x.mul_add(a, b)).1;
            }
        }
        None => to.copy_from_slice(g),
    }
}

/// x s and its derivative s + x s (1 - s), with s = 1 / (1 + e^-x) (Elfwing, Uchibe & Doya 2018).
#[inline(always)]
pub(super) fn silu<T: Real>(x: T) -> (T, T) {
    let s = T::ONE / (T::ONE + (-x).exp());
    (x * s, (x * s).mul_add(T::ONE - s, s))
}

/// Sums are kept in so many parts, that they may be vectors, the same ones on all processors.
const PARTS: usize = 32;

/// The mean, and one over the standard deviation.
#[inline(always)]
fn standard<T: Real>(x: &[T], eps: f64) -> (f64, f64) {
    let n = x.len() as f64;
    let mean = sum(x, |x| x) / n;
    let centre = T::from_f64(mean);
    let variance = sum(x, |x| (x - centre) * (x - centre)) / n;
    (mean, 1.0 / (variance + eps).sqrt())
}

/// The sum of `f` of all values.
#[inline(always)]
fn sum<T: Real>(x: &[T], f: impl Fn(T) -> T) -> f64 {
    let mut parts = [T::ZERO; PARTS];
    let (whole, rest) = x.as_chunks::<PARTS>();
    for x in whole {
        for i in 0..PARTS {
            parts[i] += f(x[i]);
        }
    }
    for (part, &x) in parts.iter_mut().zip(rest) {
        *part += f(x);
    }
    parts.iter().map(|part| part.to_f64()).sum()
}

/// The sums of `g` and of `g (x - centre)`.
#[inline(always)]
fn sums_of<T: Real>(g: &[T], x: &[T], centre: T) -> (f64, f64) {
    let (mut plain, mut with_x) = ([T::ZERO; PARTS], [T::ZERO; PARTS]);
    let ((g, g_rest), (x, x_rest)) = (g.as_chunks::<PARTS>(), x.as_chunks::<PARTS>());
    for (g, x) in g.iter().zip(x) {
        for i in 0..PARTS {
            plain[i] += g[i];
            with_x[i] = g[i].mul_add(x[i] - centre, with_x[i]);
        }
    }
    for (i, (&g, &x)) in g_rest.iter().zip(x_rest).enumerate() {
        plain[i] += g;
        with_x[i] = g.mul_add(x - centre, with_x[i]);
    }
    let total = |parts: [T; PARTS]| parts.iter().map(|part| part.to_f64()).sum();
    (total(plain), total(with_x))
}

/// The sum of all values.
pub(super) fn total<T: Real>(x: &[T]) -> f64 {
    struct Total<'a, T>(&'a [T]);
    impl<T: Real> WithSimd for Total<'_, T> {
        type Output = f64;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> f64 {
            sum(self.0, |x| x)
        }
    }
    vectorised(Total(x))
}
