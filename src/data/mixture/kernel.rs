//! Scores of mixtures, a block of samples at a time.
//!
//! With weights `w_k`, means `mu_k` and, in the eigenbasis of the covariance `C_k`, variances `c_kj`, the law of `x_t` has
//! the same weights, means `alpha mu_k` and variances `v_kj = alpha^2 c_kj + sigma^2`. All three forms of the model are
//!
//! `sum_k r_k [ g_k (x - alpha mu_k) + b mu_k ]`, `r_k = softmax_k( ln w_k - sum_j (y_kj^2/v_kj + ln v_kj)/2 )`,
//!
//! with `y_k` the deviation `x - alpha mu_k` in the eigenbasis, and (gain, b) = (alpha c/v, 1) for `d`, (sigma/v, 0) for
//! `eps`, (-1/v, 0) for the score. Distances are sums of squared differences: the expanded product, which is a matrix
//! product, loses all digits where noise is small.

use pulp::{Arch, Simd, WithSimd};

use crate::batch::{Aligned, LANES, Lanes};
use crate::real::Real;
use crate::schedule::Level;

use super::shape::{Form, Shape, variance};
use super::tile::{accumulate, fused, replace, zip, zip_mut};
use super::{Component, Mixture};

/// From so many coordinates on, a component that gives no sample of a block any weight is worth leaving out.
const MANY: usize = 8;

/// A mixture at a noise level, in the precision of the samples.
pub(in crate::data) struct Kernel<R> {
    arch: Arch,
    /// `ln w_k - sum_j ln v_kj / 2`, less the largest of them.
    log_weight: Vec<R>,
    /// The largest of them.
    pub(in crate::data) shift: f64,
    shape: Shape<R>,
    /// Logits, then weights, of a block.
    logits: Aligned<R>,
    /// Components with a weight that is not 0.
    live: Vec<usize>,
}

impl<R: Real> Kernel<R> {
    pub(in crate::data) fn new(mixture: &Mixture, at: &Level, form: Form) -> Self {
        let components = &mixture.components;
        let log_weight = |c: &Component| {
            let variances = c.covariance.variances();
            let logs: f64 = variances.iter().map(|c| variance::<R>(at, *c).ln()).sum();
            c.weight.ln() - 0.5 * (mixture.dim / variances.len()) as f64 * logs
        };
        let log_weights: Vec<f64> = components.iter().map(log_weight).collect();
        let shift = log_weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Kernel {
            arch: Arch::new(),
            log_weight: log_weights.iter().map(|l| R::from_f64(l - shift)).collect(),
            shift,
            shape: Shape::new(mixture, at, form),
            logits: Aligned::filled(components.len(), R::ZERO),
            live: Vec::with_capacity(components.len()),
        }
    }

    /// The form at the samples of a block.
    pub(in crate::data) fn apply(&mut self, x: &[Lanes<R>], to: &mut [Lanes<R>]) {
        self.arch.dispatch(Apply { kernel: self, x, to });
    }

    /// Leaves `e_k = exp(l_k - max l)` in `logits`; the maximum and the sum of the `e_k`.
    pub(in crate::data) fn weigh(&mut self, x: &[Lanes<R>]) -> (Lanes<R>, Lanes<R>) {
        self.arch.dispatch(Weigh { kernel: self, x })
    }

    /// Weights of the components after [`Kernel::weigh`], not normalised.
    pub(in crate::data) fn weights(&self) -> &[Lanes<R>] {
        &self.logits
    }
}

struct Apply<'a, R> {
    kernel: &'a mut Kernel<R>,
    x: &'a [Lanes<R>],
    to: &'a mut [Lanes<R>],
}

impl<R: Real> WithSimd for Apply<'_, R> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Apply { kernel, x, to } = self;
        let (_, mut inverse) = Weigh { kernel: &mut *kernel, x }.with_simd(simd);
        let one = R::splat(simd, R::ONE);
        for sum in R::registers_mut::<S>(&mut inverse) {
            *sum = R::over(simd, one, *sum);
        }
        let Kernel { shape, logits, live, .. } = kernel;
        let (dim, logits): (usize, &[Lanes<R>]) = (x.len(), logits);
        match shape {
            Shape::Axes { table, sums, .. } => {
                let terms = live.iter().map(
                    #[inline(always)]
                    |&k| (k, &logits[k]),
                );
                accumulate(simd, terms, [table], sums, fused::<S, R>, replace::<S, R>);
                let (pulls, slopes) = sums.split_at(dim);
                for (j, ((to, x), pull)) in to.iter_mut().zip(x).zip(pulls).enumerate() {
                    *to = *pull;
                    let factors = zip::<S, R>(x, &slopes[j.min(slopes.len() - 1)]);
                    for ((to, inverse), (x, slope)) in zip_mut::<S, R>(to, &inverse).zip(factors) {
                        *to = R::times(simd, R::fused(simd, *slope, *x, *to), *inverse);
                    }
                }
            }
            Shape::Full { mean, gain, pull, into, back, off, turned, .. } => {
                to.fill([R::ZERO; LANES]);
                for &k in &*live {
                    let own = k * dim..(k + 1) * dim;
                    turn(simd, x, &mean[own.clone()], &into[k * dim * dim..], off, turned);
                    for (y, gain) in turned.iter_mut().zip(&gain[own.clone()]) {
                        let gain = R::splat(simd, *gain);
                        for (y, e) in zip_mut::<S, R>(y, &logits[k]) {
                            *y = R::times(simd, R::times(simd, *y, gain), *e);
                        }
                    }
                    for (to, pull) in to.iter_mut().zip(&pull[own]) {
                        let pull = R::splat(simd, *pull);
                        for (to, e) in zip_mut::<S, R>(to, &logits[k]) {
                            *to = R::fused(simd, *e, pull, *to);
                        }
                    }
                    let back = &back[k * dim * dim..];
                    accumulate(
                        simd,
                        turned.iter().enumerate(),
                        [back],
                        to,
                        fused::<S, R>,
                        #[inline(always)]
                        |simd, to, sum, _| R::plus(simd, to, sum),
                    );
                }
                for to in to {
                    for (to, inverse) in zip_mut::<S, R>(to, &inverse) {
                        *to = R::times(simd, *to, *inverse);
                    }
                }
            }
        }
    }
}

struct Weigh<'a, R> {
    kernel: &'a mut Kernel<R>,
    x: &'a [Lanes<R>],
}

impl<R: Real> WithSimd for Weigh<'_, R> {
    type Output = (Lanes<R>, Lanes<R>);
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        let Weigh { kernel, x } = self;
        kernel.find_logits(simd, x);
        let Kernel { logits, live, .. } = kernel;
        let (mut top, mut sum) = (logits[0], [R::ZERO; LANES]);
        for l in &logits[1..] {
            for (top, l) in zip_mut::<S, R>(&mut top, l) {
                *top = R::larger(simd, *top, *l);
            }
        }
        live.clear();
        for (k, l) in logits.iter_mut().enumerate() {
            if x.len() >= MANY && !any_weight(simd, l, &top) {
                l.fill(R::ZERO);
                continue;
            }
            for i in 0..LANES {
                l[i] = (l[i] - top[i]).exp();
            }
            for (sum, e) in zip_mut::<S, R>(&mut sum, l) {
                *sum = R::plus(simd, *sum, *e);
            }
            live.push(k);
        }
        (top, sum)
    }
}

impl<R: Real> Kernel<R> {
    #[inline(always)]
    fn find_logits<S: Simd>(&mut self, simd: S, x: &[Lanes<R>]) {
        let Kernel { log_weight, shape, logits, .. } = self;
        let (dim, log_weight): (usize, &[R]) = (x.len(), log_weight);
        match shape {
            Shape::Axes { mean, half, .. } if half.len() == log_weight.len() => accumulate(
                simd,
                x.iter().enumerate(),
                [mean],
                logits,
                #[inline(always)]
                |simd, sum, x, [mean]| {
                    let y = R::minus(simd, x, mean);
                    R::fused(simd, y, y, sum)
                },
                #[inline(always)]
                |simd, _, sum, k| R::fused(simd, sum, R::splat(simd, half[k]), R::splat(simd, log_weight[k])),
            ),
            Shape::Axes { mean, half, .. } => accumulate(
                simd,
                x.iter().enumerate(),
                [mean, half],
                logits,
                #[inline(always)]
                |simd, sum, x, [mean, half]| {
                    let y = R::minus(simd, x, mean);
                    R::fused(simd, R::times(simd, y, half), y, sum)
                },
                #[inline(always)]
                |simd, _, sum, k| R::plus(simd, sum, R::splat(simd, log_weight[k])),
            ),
            Shape::Full { mean, half, into, off, turned, .. } => {
                for (k, l) in logits.iter_mut().enumerate() {
                    let own = k * dim..(k + 1) * dim;
                    turn(simd, x, &mean[own.clone()], &into[k * dim * dim..], off, turned);
                    l.fill(log_weight[k]);
                    for (y, half) in turned.iter().zip(&half[own]) {
                        let half = R::splat(simd, *half);
                        for (l, y) in zip_mut::<S, R>(l, y) {
                            *l = R::fused(simd, R::times(simd, *y, half), *y, *l);
                        }
                    }
                }
            }
        }
    }
}

/// Deviations from a mean, in an eigenbasis.
#[inline(always)]
fn turn<S: Simd, R: Real>(
    simd: S,
    x: &[Lanes<R>],
    mean: &[R],
    into: &[R],
    off: &mut [Lanes<R>],
    to: &mut [Lanes<R>],
) {
    for ((off, x), mean) in off.iter_mut().zip(x).zip(mean) {
        let mean = R::splat(simd, *mean);
        for (off, x) in zip_mut::<S, R>(off, x) {
            *off = R::minus(simd, *x, mean);
        }
    }
    accumulate(simd, off.iter().enumerate(), [into], to, fused::<S, R>, replace::<S, R>);
}

/// Whether a sample gives a component any weight, by its logits and the largest ones.
#[inline(always)]
fn any_weight<S: Simd, R: Real>(simd: S, l: &Lanes<R>, top: &Lanes<R>) -> bool {
    let mut most = R::splat(simd, R::LEAST_EXPONENT - R::ONE);
    for (l, top) in zip::<S, R>(l, top) {
        most = R::larger(simd, most, R::minus(simd, *l, *top));
    }
    R::largest(simd, most) >= R::LEAST_EXPONENT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::mixture::Covariance;
    use crate::schedule::Schedule;

    /// The widest vectors that there are, those of AVX2, and none.
    fn processors() -> Vec<Arch> {
        #[cfg(target_arch = "x86_64")]
        let older = pulp::x86::V3::try_new().map(Arch::V3);
        #[cfg(not(target_arch = "x86_64"))]
        let older = None;
        [Arch::new(), Arch::Scalar].into_iter().chain(older).collect()
    }

    fn check<R: Real>(law: &Mixture) {
        let at = Schedule::Edm {}.at(0.5);
        let lane = |j: usize| std::array::from_fn(|i| R::from_f64(((i + 7 * j) as f64 * 0.37).sin() * 2.0));
        let x: Vec<Lanes<R>> = (0..law.dim()).map(lane).collect();
        let on = |arch: Arch| {
            let mut to = x.clone();
            let mut kernel = Kernel::new(law, &at, Form::Denoised);
            kernel.arch = arch;
            kernel.apply(&x, &mut to);
            to
        };
        let all: Vec<_> = processors().into_iter().map(on).collect();
        assert!(all.iter().all(|to| *to == all[0]));
    }

    #[test]
    fn results_do_not_depend_on_the_processor() {
        for dim in [1, 2, 3, 11] {
            let mean = |k: usize| (0..dim).map(|j| ((k * dim + j) as f64 * 1.7).cos()).collect::<Vec<f64>>();
            let variances: Vec<f64> = (0..dim).map(|j| 0.1 + j as f64).collect();
            let basis = nalgebra::DMatrix::from_fn(dim, dim, |i, j| f64::from(i == j) - 2.0 / dim as f64);
            let kinds = [
                Covariance::Isotropic(0.2),
                Covariance::Diagonal(variances.clone()),
                Covariance::Full { basis, variance: variances },
            ];
            for covariance in kinds {
                let law =
                    Mixture::new((0..11).map(|k| (1.0, mean(k), covariance.clone())).collect()).unwrap();
                check::<f32>(&law);
                check::<f64>(&law);
            }
        }
    }
}
