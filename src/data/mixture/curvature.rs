//! The Jacobian of a mixture's score, a block of samples at a time: what likelihoods and tangents are made of.
//!
//! With `A_k = (alpha^2 C_k + sigma^2)^{-1}`, `g_k = A_k (x - alpha mu_k)` and weights `r_k` (see
//! [`kernel`](super::kernel)), the score is `-g`, `g = sum_k r_k g_k`, and its Jacobian
//!
//! `J = -sum_k r_k A_k + sum_k r_k (g_k - g)(g_k - g)^T`.
//!
//! Deviations are squared, not squares subtracted: far out, where the `g_k` are large and alike, digits would be lost.

use crate::batch::{LANES, Lanes};
use crate::schedule::Level;

use super::kernel::Kernel;
use super::shape::{Form, Kind};
use super::{Covariance, Mixture};

const ZERO: Lanes<f64> = [0.0; LANES];

/// A mixture at a noise level.
pub(in crate::data) struct Curvature {
    dim: usize,
    kernel: Kernel<f64>,
    /// `alpha mu_kj`.
    mean: Vec<f64>,
    /// `1/v_kj`, along the directions of the covariance.
    inverse: Vec<f64>,
    /// Directions, as in the kernel; `None` where they are the coordinates.
    basis: Option<Vec<f64>>,
    score: Vec<Lanes<f64>>,
    /// Reciprocals of the sums of the kernel's weights.
    scale: Lanes<f64>,
    /// `g_k - g` and the vector that the Jacobian is applied to, along a component's directions.
    off: Vec<Lanes<f64>>,
    along: Vec<Lanes<f64>>,
}

impl Curvature {
    pub(in crate::data) fn new(mixture: &Mixture, at: &Level) -> Self {
        let dim = mixture.dim;
        let least = <f64 as crate::real::Real>::LEAST_VARIANCE;
        let components = || mixture.components.iter();
        let inverse = |c: &Covariance| {
            let v = c.variances();
            let each = |j: usize| 1.0 / at.marginal_variance(v[j.min(v.len() - 1)]).max(least);
            (0..dim).map(each).collect::<Vec<f64>>()
        };
        let full = mixture.kind() == Kind::Full;
        Curvature {
            dim,
            kernel: Kernel::new(mixture, at, Form::Score),
            mean: components().flat_map(|c| c.mean.iter().map(|mu| at.alpha * mu)).collect(),
            inverse: components().flat_map(|c| inverse(&c.covariance)).collect(),
            basis: full.then(|| components().flat_map(|c| c.covariance.basis(dim)).collect()),
            score: vec![ZERO; dim],
            scale: ZERO,
            off: vec![ZERO; dim],
            along: vec![ZERO; dim],
        }
    }

    /// The trace of the Jacobian, `Laplace ln p_t(x)`.
    #[inline(always)]
    pub(in crate::data) fn trace(&mut self, x: &[Lanes<f64>]) -> Lanes<f64> {
        self.weigh(x);
        let mut trace = ZERO;
        for k in 0..self.kernel.weights().len() {
            if self.kernel.weights()[k] == ZERO {
                continue;
            }
            self.deviate(k, x);
            let mut sum = ZERO;
            for (off, inverse) in self.off.iter().zip(&self.inverse[k * self.dim..]) {
                for i in 0..LANES {
                    sum[i] += off[i].mul_add(off[i], -inverse);
                }
            }
            let r = &self.kernel.weights()[k];
            for i in 0..LANES {
                trace[i] += r[i] * self.scale[i] * sum[i];
            }
        }
        trace
    }

    /// The Jacobian times `v`.
    #[inline(always)]
    pub(in crate::data) fn times(&mut self, x: &[Lanes<f64>], v: &[Lanes<f64>], to: &mut [Lanes<f64>]) {
        self.weigh(x);
        let dim = self.dim;
        to.fill(ZERO);
        for k in 0..self.kernel.weights().len() {
            if self.kernel.weights()[k] == ZERO {
                continue;
            }
            self.deviate(k, x);
            let basis = self.basis.as_ref().map(|b| &b[k * dim * dim..(k + 1) * dim * dim]);
            turn(basis, v, &mut self.along);
            let mut dot = ZERO;
            for (off, v) in self.off.iter().zip(&self.along) {
                for i in 0..LANES {
                    dot[i] = off[i].mul_add(v[i], dot[i]);
                }
            }
            // r_k [(g_k - g) ((g_k - g) . v) - A_k v].
            let r = &self.kernel.weights()[k];
            for ((off, v), inverse) in self.off.iter().zip(&mut self.along).zip(&self.inverse[k * dim..]) {
                for i in 0..LANES {
                    v[i] = r[i] * self.scale[i] * off[i].mul_add(dot[i], -inverse * v[i]);
                }
            }
            turn_back(basis, &self.along, to);
        }
    }

    /// Weights and score of a block.
    #[inline(always)]
    fn weigh(&mut self, x: &[Lanes<f64>]) {
        self.kernel.apply(x, &mut self.score);
        let mut sum = ZERO;
        for e in self.kernel.weights() {
            for i in 0..LANES {
                sum[i] += e[i];
            }
        }
        self.scale = sum.map(|sum| 1.0 / sum);
    }

    /// Leaves `g_k - g` in `off`.
    #[inline(always)]
    fn deviate(&mut self, k: usize, x: &[Lanes<f64>]) {
        let dim = self.dim;
        let own = k * dim..(k + 1) * dim;
        for ((y, x), m) in self.along.iter_mut().zip(x).zip(&self.mean[own.clone()]) {
            for i in 0..LANES {
                y[i] = x[i] - m;
            }
        }
        let basis = self.basis.as_ref().map(|b| &b[k * dim * dim..(k + 1) * dim * dim]);
        // A_k is a diagonal along the directions, and the score is turned to them as well.
        let (deviation, score) = (&self.along, &self.score);
        for (j, (off, inverse)) in self.off.iter_mut().zip(&self.inverse[own]).enumerate() {
            let (y, s) = match basis {
                None => (deviation[j], score[j]),
                Some(basis) => (component(basis, j, deviation), component(basis, j, score)),
            };
            for i in 0..LANES {
                off[i] = y[i].mul_add(*inverse, s[i]);
            }
        }
    }
}

/// The coordinate of `x` along direction `j`.
#[inline(always)]
fn component(basis: &[f64], j: usize, x: &[Lanes<f64>]) -> Lanes<f64> {
    let mut sum = ZERO;
    for (x, u) in x.iter().zip(&basis[j * x.len()..]) {
        for i in 0..LANES {
            sum[i] = x[i].mul_add(*u, sum[i]);
        }
    }
    sum
}

/// `x` along the directions of a basis.
#[inline(always)]
fn turn(basis: Option<&[f64]>, x: &[Lanes<f64>], to: &mut [Lanes<f64>]) {
    match basis {
        None => to.copy_from_slice(x),
        Some(basis) => {
            for (j, to) in to.iter_mut().enumerate() {
                *to = component(basis, j, x);
            }
        }
    }
}

/// Adds a vector given along the directions of a basis.
#[inline(always)]
fn turn_back(basis: Option<&[f64]>, y: &[Lanes<f64>], to: &mut [Lanes<f64>]) {
    let dim = to.len();
    for (j, y) in y.iter().enumerate() {
        match basis {
            None => {
                for i in 0..LANES {
                    to[j][i] += y[i];
                }
            }
            Some(basis) => {
                for (to, u) in to.iter_mut().zip(&basis[j * dim..]) {
                    for i in 0..LANES {
                        to[i] = y[i].mul_add(*u, to[i]);
                    }
                }
            }
        }
    }
}
