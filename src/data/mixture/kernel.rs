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

use crate::batch::{LANES, Lanes};
use crate::real::Real;
use crate::schedule::Level;

use super::{Covariance, Mixture};

/// Which of the three forms of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::data) enum Form {
    Denoised,
    Eps,
    Score,
}

/// Sums over components or coordinates take so many terms a pass over a block: accumulators are loaded and stored once
/// a pass, and the pass is one loop that becomes vector instructions as it stands.
const CHUNK: usize = 8;

/// Coordinates that share a pass over the weights.
const TILE: usize = 4;

/// A mixture at a noise level, in the precision of the samples.
pub(in crate::data) struct Kernel<R> {
    dim: usize,
    /// `ln w_k - sum_j ln v_kj / 2`, less the largest of them.
    log_weight: Vec<R>,
    /// The largest of them.
    pub(in crate::data) shift: f64,
    /// `alpha mu_kj`.
    mean: Vec<R>,
    spread: Spread<R>,
    /// Logits, then weights, of a block.
    logits: Vec<Lanes<R>>,
    /// Components with a weight that is not 0.
    live: Vec<usize>,
}

/// What depends on the kind of covariance: `half = -1/(2v)`, the gain, and `pull = (b - alpha g) mu`.
enum Spread<R> {
    /// One variance a component.
    Isotropic { half: Vec<R>, gain: Vec<R>, pull: Vec<R> },
    /// One a coordinate.
    Diagonal { half: Vec<R>, gain: Vec<R>, pull: Vec<R> },
    /// One a direction; `basis[(k dim + i) dim + j]` is coordinate `j` of direction `i`.
    Full { half: Vec<R>, gain: Vec<R>, mean: Vec<R>, basis: Vec<R>, turned: Vec<Lanes<R>> },
}

impl<R: Real> Kernel<R> {
    pub(in crate::data) fn new(mixture: &Mixture, at: &Level, form: Form) -> Self {
        let (dim, alpha) = (mixture.dim, at.alpha);
        let least = R::LEAST_VARIANCE.to_f64();
        let variance = |c: f64| at.marginal_variance(c).max(least);
        let (half, gain, rest): (Vec<f64>, Vec<f64>, Vec<f64>) = {
            let all = mixture.components.iter().flat_map(|c| c.covariance.variances());
            // (1/2v, gain, b - alpha g): the last without cancellation, 1 - alpha^2 c/v = sigma^2/v.
            let three = |&c: &f64| {
                let v = variance(c);
                let (gain, rest) = match form {
                    Form::Denoised => (alpha * c / v, (at.sigma * at.sigma).max(least) / v),
                    Form::Eps => (at.sigma / v, -alpha * at.sigma / v),
                    Form::Score => (-1.0 / v, alpha / v),
                };
                (-0.5 / v, gain, rest)
            };
            let mut lists = (Vec::new(), Vec::new(), Vec::new());
            for (h, g, r) in all.map(three) {
                lists.0.push(h);
                lists.1.push(g);
                lists.2.push(r);
            }
            lists
        };
        let log_weight: Vec<f64> = mixture
            .components
            .iter()
            .map(|c| {
                let repeated = dim as f64 / c.covariance.variances().len() as f64;
                let logs: f64 = c.covariance.variances().iter().map(|c| variance(*c).ln()).sum();
                c.weight.ln() - 0.5 * repeated * logs
            })
            .collect();
        let shift = log_weight.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let real = |list: &[f64]| list.iter().map(|x| R::from_f64(*x)).collect::<Vec<R>>();
        let means = || mixture.components.iter().map(|c| &c.mean);
        // rest_kj mu_kj, with one number a component or one a coordinate.
        let pull = |per: usize| {
            let each = means().flatten().enumerate();
            each.map(|(i, mu)| R::from_f64(rest[i * per / dim] * mu)).collect::<Vec<R>>()
        };
        let spread = match mixture.kind() {
            Kind::Isotropic => Spread::Isotropic { half: real(&half), gain: real(&gain), pull: pull(1) },
            Kind::Diagonal => Spread::Diagonal { half: real(&half), gain: real(&gain), pull: pull(dim) },
            Kind::Full => Spread::Full {
                half: real(&half),
                gain: real(&gain),
                mean: match form {
                    Form::Denoised => means().flatten().map(|x| R::from_f64(*x)).collect(),
                    _ => vec![R::ZERO; mixture.components.len() * dim],
                },
                basis: mixture.components.iter().flat_map(|c| real(&c.covariance.basis(dim))).collect(),
                turned: vec![[R::ZERO; LANES]; dim],
            },
        };
        Kernel {
            dim,
            log_weight: log_weight.iter().map(|l| R::from_f64(l - shift)).collect(),
            shift,
            mean: means().flatten().map(|mu| R::from_f64(alpha * mu)).collect(),
            spread,
            logits: vec![[R::ZERO; LANES]; mixture.components.len()],
            live: Vec::new(),
        }
    }

    /// The form at the samples of a block.
    #[inline(always)]
    pub(in crate::data) fn apply(&mut self, x: &[Lanes<R>], to: &mut [Lanes<R>]) {
        let (_, sum) = self.weigh(x);
        let mut inverse = [R::ZERO; LANES];
        for i in 0..LANES {
            inverse[i] = R::ONE / sum[i];
        }
        match &mut self.spread {
            Spread::Isotropic { gain, pull, .. } => {
                let mut slope = [R::ZERO; LANES];
                for (e, g) in self.logits.iter().zip(&*gain) {
                    for i in 0..LANES {
                        slope[i] = e[i].mul_add(*g, slope[i]);
                    }
                }
                weighted(&self.logits, &self.live, pull, to);
                for (to, x) in to.iter_mut().zip(x) {
                    for i in 0..LANES {
                        to[i] = slope[i].mul_add(x[i], to[i]) * inverse[i];
                    }
                }
            }
            Spread::Diagonal { gain, pull, .. } => {
                let dim = self.dim;
                for (j, (to, x)) in to.iter_mut().zip(x).enumerate() {
                    let (mut slope, mut sum) = ([R::ZERO; LANES], [R::ZERO; LANES]);
                    for (k, e) in self.logits.iter().enumerate() {
                        let (g, p) = (gain[k * dim + j], pull[k * dim + j]);
                        for i in 0..LANES {
                            slope[i] = e[i].mul_add(g, slope[i]);
                            sum[i] = e[i].mul_add(p, sum[i]);
                        }
                    }
                    for i in 0..LANES {
                        to[i] = slope[i].mul_add(x[i], sum[i]) * inverse[i];
                    }
                }
            }
            Spread::Full { gain, mean, basis, turned, .. } => {
                let dim = self.dim;
                to.fill([R::ZERO; LANES]);
                for &k in &self.live {
                    let own = k * dim..(k + 1) * dim;
                    let basis = &basis[k * dim * dim..(k + 1) * dim * dim];
                    turn(basis, x, &self.mean[own.clone()], turned);
                    let e = &self.logits[k];
                    for (y, g) in turned.iter_mut().zip(&gain[own.clone()]) {
                        for i in 0..LANES {
                            y[i] = y[i] * *g * e[i];
                        }
                    }
                    for (j, (to, mu)) in to.iter_mut().zip(&mean[own]).enumerate() {
                        for i in 0..LANES {
                            to[i] = e[i].mul_add(*mu, to[i]);
                        }
                        for (direction, y) in turned.iter().enumerate() {
                            let u = basis[direction * dim + j];
                            for i in 0..LANES {
                                to[i] = u.mul_add(y[i], to[i]);
                            }
                        }
                    }
                }
                for to in to {
                    for i in 0..LANES {
                        to[i] *= inverse[i];
                    }
                }
            }
        }
    }

    /// Leaves `e_k = exp(l_k - max l)` in `logits`; the maximum and the sum of the `e_k`.
    #[inline(always)]
    pub(in crate::data) fn weigh(&mut self, x: &[Lanes<R>]) -> (Lanes<R>, Lanes<R>) {
        self.logits(x);
        let mut top = self.logits[0];
        for l in &self.logits[1..] {
            for i in 0..LANES {
                top[i] = top[i].max(l[i]);
            }
        }
        let mut sum = [R::ZERO; LANES];
        self.live.clear();
        for (k, l) in self.logits.iter_mut().enumerate() {
            for i in 0..LANES {
                l[i] = (l[i] - top[i]).exp();
                sum[i] += l[i];
            }
            // Where a component costs little, so does leaving it in.
            if self.dim < CHUNK || any_positive(l) {
                self.live.push(k);
            }
        }
        (top, sum)
    }

    /// Weights of the components after [`Kernel::weigh`], not normalised.
    pub(in crate::data) fn weights(&self) -> &[Lanes<R>] {
        &self.logits
    }

    #[inline(always)]
    fn logits(&mut self, x: &[Lanes<R>]) {
        let dim = self.dim;
        match &mut self.spread {
            Spread::Isotropic { half, .. } => {
                for (k, out) in self.logits.iter_mut().enumerate() {
                    let square = distance(x, &self.mean[k * dim..(k + 1) * dim]);
                    let (half, log_weight) = (half[k], self.log_weight[k]);
                    for i in 0..LANES {
                        out[i] = square[i].mul_add(half, log_weight);
                    }
                }
            }
            Spread::Diagonal { half, .. } => {
                for (k, out) in self.logits.iter_mut().enumerate() {
                    let mut sum = [self.log_weight[k]; LANES];
                    let own = k * dim..(k + 1) * dim;
                    for ((x, m), h) in x.iter().zip(&self.mean[own.clone()]).zip(&half[own]) {
                        for i in 0..LANES {
                            let y = x[i] - *m;
                            sum[i] = (y * *h).mul_add(y, sum[i]);
                        }
                    }
                    *out = sum;
                }
            }
            Spread::Full { half, basis, turned, .. } => {
                for (k, out) in self.logits.iter_mut().enumerate() {
                    let own = k * dim..(k + 1) * dim;
                    turn(&basis[k * dim * dim..(k + 1) * dim * dim], x, &self.mean[own.clone()], turned);
                    let mut sum = [self.log_weight[k]; LANES];
                    for (y, h) in turned.iter().zip(&half[own]) {
                        for i in 0..LANES {
                            sum[i] = (y[i] * *h).mul_add(y[i], sum[i]);
                        }
                    }
                    *out = sum;
                }
            }
        }
    }
}

/// Squared distances of a block from a mean.
#[inline(always)]
fn distance<R: Real>(x: &[Lanes<R>], mean: &[R]) -> Lanes<R> {
    let mut square = [R::ZERO; LANES];
    let ((eights, x), (means, mean)) = (x.as_chunks::<CHUNK>(), mean.as_chunks::<CHUNK>());
    for (x, mean) in eights.iter().zip(means) {
        add_squares(x, mean, &mut square);
    }
    let ((twos, x), (means, mean)) = (x.as_chunks::<2>(), mean.as_chunks::<2>());
    for (x, mean) in twos.iter().zip(means) {
        add_squares(x, mean, &mut square);
    }
    for (x, mean) in x.iter().zip(mean) {
        add_squares(&[*x], &[*mean], &mut square);
    }
    square
}

#[inline(always)]
fn add_squares<R: Real, const N: usize>(x: &[Lanes<R>; N], mean: &[R; N], square: &mut Lanes<R>) {
    for i in 0..LANES {
        let mut sum = square[i];
        for n in 0..N {
            let y = x[n][i] - mean[n];
            sum = y.mul_add(y, sum);
        }
        square[i] = sum;
    }
}

/// `to_j = sum_k e_k pull_kj` over the components that are live.
#[inline(always)]
fn weighted<R: Real>(e: &[Lanes<R>], live: &[usize], pull: &[R], to: &mut [Lanes<R>]) {
    let dim = to.len();
    to.fill([R::ZERO; LANES]);
    let (eights, rest) = live.as_chunks::<CHUNK>();
    for k in eights {
        let (tiles, last) = to.as_chunks_mut::<TILE>();
        for (tile, to) in tiles.iter_mut().enumerate() {
            add_weighted(e, k, &pull[tile * TILE..], dim, to);
        }
        let before = dim - last.len();
        for (j, to) in last.iter_mut().enumerate() {
            add_weighted(e, k, &pull[before + j..], dim, std::array::from_mut(to));
        }
    }
    for &k in rest {
        for (to, p) in to.iter_mut().zip(&pull[k * dim..]) {
            for i in 0..LANES {
                to[i] = e[k][i].mul_add(*p, to[i]);
            }
        }
    }
}

#[inline(always)]
fn add_weighted<R: Real, const J: usize>(
    e: &[Lanes<R>],
    k: &[usize; CHUNK],
    pull: &[R],
    dim: usize,
    to: &mut [Lanes<R>; J],
) {
    let e = k.map(|k| &e[k]);
    let pull: [[R; CHUNK]; J] = std::array::from_fn(|j| k.map(|k| pull[k * dim + j]));
    for i in 0..LANES {
        for j in 0..J {
            let mut sum = to[j][i];
            for n in 0..CHUNK {
                sum = e[n][i].mul_add(pull[j][n], sum);
            }
            to[j][i] = sum;
        }
    }
}

/// Whether a sample gives a component any weight.
#[inline(always)]
fn any_positive<R: Real>(e: &Lanes<R>) -> bool {
    let (eights, _) = e.as_chunks::<8>();
    let mut most = eights[0];
    for eight in &eights[1..] {
        for i in 0..8 {
            most[i] = most[i].max(eight[i]);
        }
    }
    most.iter().any(|m| *m > R::ZERO)
}

/// Deviations from a mean, in an eigenbasis.
#[inline(always)]
fn turn<R: Real>(basis: &[R], x: &[Lanes<R>], mean: &[R], to: &mut [Lanes<R>]) {
    for (to, direction) in to.iter_mut().zip(basis.chunks_exact(x.len())) {
        let mut sum = [R::ZERO; LANES];
        for ((x, m), u) in x.iter().zip(mean).zip(direction) {
            for i in 0..LANES {
                sum[i] = (x[i] - *m).mul_add(*u, sum[i]);
            }
        }
        *to = sum;
    }
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
