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

use super::tile::accumulate;
use super::{Component, Covariance, Mixture};

/// Which of the three forms of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::data) enum Form {
    Denoised,
    Eps,
    Score,
}

/// From so many coordinates on, a component that gives no sample of a block any weight is worth leaving out.
const MANY: usize = 8;

/// A mixture at a noise level, in the precision of the samples.
pub(in crate::data) struct Kernel<R> {
    arch: Arch,
    dim: usize,
    /// `ln w_k - sum_j ln v_kj / 2`, less the largest of them.
    log_weight: Vec<R>,
    /// The largest of them.
    pub(in crate::data) shift: f64,
    /// `alpha mu_kj`.
    mean: Vec<R>,
    /// `-1/(2v)`: one a component, or one a coordinate or direction of each.
    half: Vec<R>,
    shape: Shape<R>,
    /// Logits, then weights, of a block.
    logits: Aligned<R>,
    /// Components with a weight that is not 0.
    live: Vec<usize>,
}

/// What depends on the kind of covariance.
enum Shape<R> {
    /// Isotropic or diagonal. A row of `table` is, of one component, `(b - alpha g) mu`, then its gains: one, or one a
    /// coordinate. `sums` are its columns summed with the weights.
    Axes { table: Vec<R>, sums: Aligned<R> },
    /// `into[(k dim + j) dim + i] = back[(k dim + i) dim + j]` is coordinate `j` of direction `i`; `mean = b mu`.
    Full { gain: Vec<R>, mean: Vec<R>, into: Vec<R>, back: Vec<R>, off: Aligned<R>, turned: Aligned<R> },
}

impl<R: Real> Kernel<R> {
    pub(in crate::data) fn new(mixture: &Mixture, at: &Level, form: Form) -> Self {
        let (dim, alpha) = (mixture.dim, at.alpha);
        let components = &mixture.components;
        let each = components.len() * components[0].covariance.variances().len();
        let (mut half, mut mean) = (Vec::with_capacity(each), Vec::with_capacity(components.len() * dim));
        let mut log_weight = Vec::with_capacity(components.len());
        let least = R::LEAST_VARIANCE.to_f64();
        for Component { weight, mean: mu, covariance } in components {
            let variances = covariance.variances();
            let mut logs = 0.0;
            for c in variances {
                let v = at.marginal_variance(*c).max(least);
                logs += v.ln();
                half.push(R::from_f64(-0.5 / v));
            }
            log_weight.push(weight.ln() - 0.5 * (dim / variances.len()) as f64 * logs);
            mean.extend(mu.iter().map(|mu| R::from_f64(alpha * mu)));
        }
        let shift = log_weight.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Kernel {
            arch: Arch::new(),
            dim,
            log_weight: log_weight.iter().map(|l| R::from_f64(l - shift)).collect(),
            shift,
            mean,
            half,
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

impl<R: Real> Shape<R> {
    fn new(mixture: &Mixture, at: &Level, form: Form) -> Self {
        let (dim, alpha, components) = (mixture.dim, at.alpha, &mixture.components);
        let least = R::LEAST_VARIANCE.to_f64();
        // (gain, b - alpha g): the latter without cancellation, 1 - alpha^2 c/v = sigma^2/v.
        let gain_and_rest = |&c: &f64| {
            let v = at.marginal_variance(c).max(least);
            match form {
                Form::Denoised => (alpha * c / v, (at.sigma * at.sigma).max(least) / v),
                Form::Eps => (at.sigma / v, -alpha * at.sigma / v),
                Form::Score => (-1.0 / v, alpha / v),
            }
        };
        let per = components[0].covariance.variances().len();
        if mixture.kind() == Kind::Full {
            let bases: Vec<Vec<f64>> = components.iter().map(|c| c.covariance.basis(dim)).collect();
            let transposed = |u: &Vec<f64>| {
                (0..dim * dim).map(|at| R::from_f64(u[at % dim * dim + at / dim])).collect::<Vec<R>>()
            };
            let b = if form == Form::Denoised { 1.0 } else { 0.0 };
            return Shape::Full {
                gain: components
                    .iter()
                    .flat_map(|c| c.covariance.variances())
                    .map(|c| R::from_f64(gain_and_rest(c).0))
                    .collect(),
                mean: components.iter().flat_map(|c| &c.mean).map(|mu| R::from_f64(b * mu)).collect(),
                into: bases.iter().flat_map(transposed).collect(),
                back: bases.iter().flatten().map(|u| R::from_f64(*u)).collect(),
                off: Aligned::filled(dim, R::ZERO),
                turned: Aligned::filled(dim, R::ZERO),
            };
        }
        let mut table = Vec::with_capacity(components.len() * (dim + per));
        for Component { mean, covariance, .. } in components {
            match covariance.variances() {
                [c] => {
                    let (gain, rest) = gain_and_rest(c);
                    table.extend(mean.iter().map(|mu| R::from_f64(rest * mu)));
                    table.push(R::from_f64(gain));
                }
                all => {
                    table.extend(mean.iter().zip(all).map(|(mu, c)| R::from_f64(gain_and_rest(c).1 * mu)));
                    table.extend(all.iter().map(|c| R::from_f64(gain_and_rest(c).0)));
                }
            }
        }
        Shape::Axes { table, sums: Aligned::filled(dim + per, R::ZERO) }
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
        let (_, sum) = Weigh { kernel: &mut *kernel, x }.with_simd(simd);
        let one = R::splat(simd, R::ONE);
        let mut inverse = sum;
        each::<S, R>(
            &mut inverse,
            &sum,
            #[inline(always)]
            |_, sum| R::over(simd, one, sum),
        );
        let dim = x.len();
        let Kernel { mean: means, shape, logits, live, .. } = kernel;
        match shape {
            Shape::Axes { table, sums } => {
                let width = sums.len();
                sums.fill([R::ZERO; LANES]);
                let terms = live.iter().map(
                    #[inline(always)]
                    |&k| (k, &logits[k]),
                );
                accumulate::<S, R>(
                    terms,
                    sums,
                    #[inline(always)]
                    |sum, e, k, n| R::fused(simd, R::splat(simd, table[k * width + n]), e, sum),
                );
                let (pulls, slopes) = sums.split_at(dim);
                for (j, ((to, x), pull)) in to.iter_mut().zip(x).zip(pulls).enumerate() {
                    let slope = &slopes[j.min(slopes.len() - 1)];
                    let slope = R::registers::<S>(slope).iter().zip(R::registers::<S>(&inverse));
                    let terms = R::registers::<S>(x).iter().zip(R::registers::<S>(pull)).zip(slope);
                    for (to, ((x, pull), (slope, inverse))) in R::registers_mut::<S>(to).iter_mut().zip(terms)
                    {
                        *to = R::times(simd, R::fused(simd, *slope, *x, *pull), *inverse);
                    }
                }
            }
            Shape::Full { gain, mean, into, back, off, turned } => {
                to.fill([R::ZERO; LANES]);
                for &k in &*live {
                    let own = k * dim..(k + 1) * dim;
                    turn(simd, x, &means[own.clone()], &into[k * dim * dim..], off, turned);
                    let e = &logits[k];
                    for (y, g) in turned.iter_mut().zip(&gain[own.clone()]) {
                        let g = R::splat(simd, *g);
                        each::<S, R>(
                            y,
                            e,
                            #[inline(always)]
                            |y, e| R::times(simd, R::times(simd, y, g), e),
                        );
                    }
                    for (to, mu) in to.iter_mut().zip(&mean[own]) {
                        let mu = R::splat(simd, *mu);
                        each::<S, R>(
                            to,
                            e,
                            #[inline(always)]
                            |to, e| R::fused(simd, e, mu, to),
                        );
                    }
                    add_product(simd, &back[k * dim * dim..], turned, to);
                }
                for to in to {
                    each::<S, R>(
                        to,
                        &inverse,
                        #[inline(always)]
                        |to, inverse| R::times(simd, to, inverse),
                    );
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
        let Kernel { logits, live, dim, .. } = kernel;
        let mut top = logits[0];
        for l in &logits[1..] {
            each::<S, R>(
                &mut top,
                l,
                #[inline(always)]
                |top, l| R::larger(simd, top, l),
            );
        }
        let mut sum = [R::ZERO; LANES];
        live.clear();
        for (k, l) in logits.iter_mut().enumerate() {
            each::<S, R>(
                l,
                &top,
                #[inline(always)]
                |l, top| R::minus(simd, l, top),
            );
            if *dim >= MANY && !any_weight(l) {
                l.fill(R::ZERO);
                continue;
            }
            for l in l.iter_mut() {
                *l = l.exp();
            }
            each::<S, R>(
                &mut sum,
                l,
                #[inline(always)]
                |sum, e| R::plus(simd, sum, e),
            );
            live.push(k);
        }
        (top, sum)
    }
}

impl<R: Real> Kernel<R> {
    #[inline(always)]
    fn find_logits<S: Simd>(&mut self, simd: S, x: &[Lanes<R>]) {
        let dim = x.len();
        let Kernel { log_weight, mean, half, shape, logits, .. } = self;
        match shape {
            Shape::Axes { .. } if half.len() == logits.len() => {
                logits.fill([R::ZERO; LANES]);
                accumulate::<S, R>(
                    x.iter().enumerate(),
                    logits,
                    #[inline(always)]
                    |sum, x, j, k| {
                        let y = R::minus(simd, x, R::splat(simd, mean[k * dim + j]));
                        R::fused(simd, y, y, sum)
                    },
                );
                for ((l, half), log_weight) in logits.iter_mut().zip(half).zip(log_weight) {
                    let (half, log_weight) = (R::splat(simd, *half), R::splat(simd, *log_weight));
                    for l in R::registers_mut::<S>(l) {
                        *l = R::fused(simd, *l, half, log_weight);
                    }
                }
            }
            Shape::Axes { .. } => {
                for (l, log_weight) in logits.iter_mut().zip(log_weight) {
                    l.fill(*log_weight);
                }
                accumulate::<S, R>(
                    x.iter().enumerate(),
                    logits,
                    #[inline(always)]
                    |sum, x, j, k| {
                        let y = R::minus(simd, x, R::splat(simd, mean[k * dim + j]));
                        R::fused(simd, R::times(simd, y, R::splat(simd, half[k * dim + j])), y, sum)
                    },
                );
            }
            Shape::Full { into, off, turned, .. } => {
                for (k, l) in logits.iter_mut().enumerate() {
                    let own = k * dim..(k + 1) * dim;
                    turn(simd, x, &mean[own.clone()], &into[k * dim * dim..], off, turned);
                    l.fill(log_weight[k]);
                    for (y, h) in turned.iter().zip(&half[own]) {
                        let h = R::splat(simd, *h);
                        each::<S, R>(
                            l,
                            y,
                            #[inline(always)]
                            |l, y| R::fused(simd, R::times(simd, y, h), y, l),
                        );
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
    for ((off, x), m) in off.iter_mut().zip(x).zip(mean) {
        let m = R::splat(simd, *m);
        each::<S, R>(
            off,
            x,
            #[inline(always)]
            |_, x| R::minus(simd, x, m),
        );
    }
    to.fill([R::ZERO; LANES]);
    add_product(simd, into, off, to);
}

/// `to_n += sum_k table[k][n] v_k`.
#[inline(always)]
fn add_product<S: Simd, R: Real>(simd: S, table: &[R], v: &[Lanes<R>], to: &mut [Lanes<R>]) {
    let width = to.len();
    accumulate::<S, R>(
        v.iter().enumerate(),
        to,
        #[inline(always)]
        |sum, v, k, n| R::fused(simd, R::splat(simd, table[k * width + n]), v, sum),
    );
}

/// `to = f(to, from)`.
#[inline(always)]
fn each<S: Simd, R: Real>(
    to: &mut Lanes<R>,
    from: &Lanes<R>,
    f: impl Fn(R::Register<S>, R::Register<S>) -> R::Register<S>,
) {
    for (to, from) in R::registers_mut::<S>(to).iter_mut().zip(R::registers::<S>(from)) {
        *to = f(*to, *from);
    }
}

/// Whether a sample gives a component any weight, by its logits less the largest.
#[inline(always)]
fn any_weight<R: Real>(l: &Lanes<R>) -> bool {
    let (eights, _) = l.as_chunks::<8>();
    let mut most = eights[0];
    for eight in &eights[1..] {
        for i in 0..8 {
            most[i] = most[i].max(eight[i]);
        }
    }
    most.iter().any(|m| *m >= R::LEAST_EXPONENT)
}

/// The narrowest kind that holds all covariances of a mixture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Isotropic,
    Diagonal,
    Full,
}

impl Covariance {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Covariance::Isotropic(_) => Kind::Isotropic,
            Covariance::Diagonal(_) => Kind::Diagonal,
            Covariance::Full { .. } => Kind::Full,
        }
    }
}
