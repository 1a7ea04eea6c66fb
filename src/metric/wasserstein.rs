//! Exact `W1` and `W2` on the line, by sorting: between samples of any two sizes, and from a sample to an exact law.
//!
//! `W_p^p` is the cost of the monotone coupling, `int_0^1 |F^{-1} - G^{-1}|^p du` (Vallender 1974 for p = 1; Villani
//! 2003, thm. 2.18). Its first-order dependence on the samples is their Kantorovich potential, which gives the standard
//! error (del Barrio & Loubes 2019, thm. 4.1: a central limit theorem about the mean of `W_2^2`, with the variance of
//! the potential). Where the laws are equal the potential is itself noise, and the error is on average
//! overstated.

use super::estimate::{Distance, Estimate, Sum, Undefined, mean, sum};
use crate::parallel;

/// Wasserstein distances of both orders.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wasserstein {
    /// `W1`, the mean distance moved.
    pub w1: Estimate,
    /// `W2`, the root mean square distance moved.
    pub w2: Estimate,
}

/// The same above the sampling floor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AboveFloor {
    /// `excess` is `W1 - floor`.
    pub w1: Distance,
    /// `excess` is `W2^2 - floor^2`.
    pub w2: Distance,
}

/// A law on the line, known exactly.
pub trait Univariate: Sync {
    /// `F(x) = P(X <= x)`.
    fn cdf(&self, x: f64) -> f64;
    /// The `x` with `F(x) = u`, for `0 < u < 1`.
    fn quantile(&self, u: f64) -> f64;
    /// `(E[X; X <= x], E[X^2; X <= x])`; of a mixture the weighted sum of its parts'. All of it at infinity.
    /// For normals see [`normal_partial_moments`].
    fn partial_moments(&self, x: f64) -> (f64, f64);
}

/// [`Univariate::partial_moments`] of `N(mean, std^2)`, with `z = (x - mean)/std`:
/// `mean Phi(z) - std phi(z)` and `(mean^2 + std^2) Phi(z) - std (mean + x) phi(z)`.
pub fn normal_partial_moments(mean: f64, std: f64, x: f64) -> (f64, f64) {
    if x.is_infinite() {
        return if x > 0.0 { (mean, mean * mean + std * std) } else { (0.0, 0.0) };
    }
    let z = (x - mean) / std;
    let below = normal_cdf(z);
    let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
    (mean * below - std * density, (mean * mean + std * std) * below - std * (mean + x) * density)
}

/// `Phi(z)`, to an ulp or two in the lower tail as well: no difference from 1.
pub fn normal_cdf(z: f64) -> f64 {
    // libm's, as that of statrs 0.19 is good to 1e-10 only (at z = 0.7).
    0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}

/// Between two samples. Equal sizes are taken as rows of pairs, for the standard error: right for common random numbers
/// and for independent samples alike; unequal sizes are taken as independent.
///
/// # Errors
/// [`Undefined::NotFinite`]; [`Undefined::TooFew`] below two of either.
pub fn wasserstein(x: &[f64], y: &[f64]) -> Result<Wasserstein, Undefined> {
    Undefined::check(x, 1, 2)?;
    Undefined::check(y, 1, 2)?;
    Transport::between(x, y).distances()
}

/// From a sample to an exact law: no sampling error but the sample's own. Costs a quantile and a CDF a sample.
///
/// # Errors
/// As [`wasserstein`].
pub fn wasserstein_to(x: &[f64], law: &impl Univariate) -> Result<Wasserstein, Undefined> {
    Undefined::check(x, 1, 2)?;
    Transport::to(x, law).distances()
}

/// From `x` to an exact law, with the floor taken from `control`, a sample of that law of the same size; pairs of rows
/// where the sizes are equal, as in [`wasserstein`].
///
/// With another solver's sample as `control` the excess is the difference between the two solvers.
///
/// # Errors
/// As [`wasserstein`].
pub fn wasserstein_to_above_floor(
    x: &[f64],
    control: &[f64],
    law: &impl Univariate,
) -> Result<AboveFloor, Undefined> {
    Undefined::check(x, 1, 2)?;
    Undefined::check(control, 1, 2)?;
    Transport::to(x, law).above(&Transport::to(control, law))
}

/// `W_p^p` for p = 1 and 2, and the potential of every row: its mean over a sample's rows is the sample's part of the
/// cost, and its deviation from that mean the effect of the row, times n.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    cost: [f64; 2],
    x: [Vec<f64>; 2],
    /// Empty where the other side is exact.
    y: [Vec<f64>; 2],
}

/// `|a - b|^p`, p = 1 and 2.
fn costs(a: f64, b: f64) -> [f64; 2] {
    let d = (a - b).abs();
    [d, d * d]
}

/// Values in order, each with the row it is from.
fn sorted(x: &[f64]) -> Vec<(f64, usize)> {
    let mut order: Vec<(f64, usize)> = x.iter().copied().zip(0..).collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    order
}

impl Transport {
    /// Between two samples, both finite and not empty.
    pub(super) fn between(x: &[f64], y: &[f64]) -> Self {
        let (xs, ys) = (sorted(x), sorted(y));
        let mut it = Transport { cost: [0.0; 2], x: Self::blank(x.len()), y: Self::blank(y.len()) };
        let mut total = [Sum::default(); 2];
        // Masses in units of 1/lcm(n, m): atoms of x have m/gcd of them.
        let common = gcd(x.len(), y.len());
        let (whole_x, whole_y) = (y.len() / common, x.len() / common);
        let (mut i, mut j, mut left_x, mut left_y) = (0, 0, whole_x, whole_y);
        let mut f = [0.0; 2];
        let mut g = costs(xs[0].0, ys[0].0);
        loop {
            let here = costs(xs[i].0, ys[j].0);
            let moved = left_x.min(left_y);
            (left_x, left_y) = (left_x - moved, left_y - moved);
            for p in 0..2 {
                total[p].add(moved as f64 * here[p]);
                it.x[p][xs[i].1] = f[p];
                it.y[p][ys[j].1] = g[p];
            }
            let (more_x, more_y) = (left_x == 0, left_y == 0);
            if (more_x && i + 1 == xs.len()) || (more_y && j + 1 == ys.len()) {
                break; // both end together
            }
            let (to_i, to_j) = (i + usize::from(more_x), j + usize::from(more_y));
            // f + g = cost along the coupling. Where both sides step at once, f may move with either
            // neighbour of y: halfway between is the derivative from both sides, averaged.
            let (with_old, with_new) = (costs(xs[to_i].0, ys[j].0), costs(xs[i].0, ys[to_j].0));
            let next = costs(xs[to_i].0, ys[to_j].0);
            for p in 0..2 {
                if more_x {
                    let (first, last) = (with_old[p] - here[p], next[p] - with_new[p]);
                    f[p] += 0.5 * (first + last);
                }
                g[p] = next[p] - f[p];
            }
            (i, j) = (to_i, to_j);
            left_x = if more_x { whole_x } else { left_x };
            left_y = if more_y { whole_y } else { left_y };
        }
        let units = x.len() as f64 * whole_x as f64;
        it.cost = total.map(|t| t.value() / units);
        it
    }

    /// To an exact law. With `q = F^{-1}` at both ends of a cell and `M_k` the partial moments, the cell of `x` costs
    /// `x^2/n - 2x dM_1 + dM_2`, and for p = 1 is cut at `F(x)`.
    pub(super) fn to(x: &[f64], law: &impl Univariate) -> Self {
        let (xs, n) = (sorted(x), x.len() as f64);
        let mut it = Transport { cost: [0.0; 2], x: Self::blank(x.len()), y: Default::default() };
        let ranks: Vec<usize> = (0..=xs.len()).collect();
        let ends = parallel::map(&ranks, |&i| {
            let q = match i {
                0 => f64::NEG_INFINITY,
                i if i == xs.len() => f64::INFINITY,
                i => law.quantile(i as f64 / n),
            };
            (q, law.partial_moments(q))
        });
        let mut total = [Sum::default(); 2];
        let mut f = [0.0; 2];
        for (i, &(at, row)) in xs.iter().enumerate() {
            let ((low, below), (high, above)) = (ends[i], ends[i + 1]);
            let (first, second) = (above.0 - below.0, above.1 - below.1);
            let absolute = if at <= low {
                first - at / n
            } else if at >= high {
                at / n - first
            } else {
                let (u, (m, _)) = (law.cdf(at), law.partial_moments(at));
                let (left, right) = (u - i as f64 / n, (i + 1) as f64 / n - u);
                at * (left - right) - (m - below.0) + (above.0 - m)
            };
            let square = at * at / n - 2.0 * at * first + second;
            for (p, part) in [absolute, square].into_iter().enumerate() {
                total[p].add(part);
                if i > 0 {
                    f[p] += costs(at, low)[p] - costs(xs[i - 1].0, low)[p];
                }
                it.x[p][row] = f[p];
            }
        }
        // Round-off may leave less than nothing; what is not a number stays so.
        it.cost = total.map(|t| if t.value() < 0.0 { 0.0 } else { t.value() });
        it
    }

    fn blank(n: usize) -> [Vec<f64>; 2] {
        [vec![0.0; n], vec![0.0; n]]
    }

    /// `self += share other`, for means over directions.
    pub(super) fn add(&mut self, share: f64, other: &Transport) {
        for p in 0..2 {
            self.cost[p] += share * other.cost[p];
            for (mine, theirs) in [(&mut self.x[p], &other.x[p]), (&mut self.y[p], &other.y[p])] {
                mine.iter_mut().zip(theirs).for_each(|(a, b)| *a += share * b);
            }
        }
    }

    /// Nothing yet, for `n` and `m` rows.
    pub(super) fn zero(n: usize, m: usize) -> Self {
        Transport { cost: [0.0; 2], x: Self::blank(n), y: Self::blank(m) }
    }

    pub(super) fn distances(&self) -> Result<Wasserstein, Undefined> {
        let of = |p: usize| Estimate { value: self.cost[p], stderr: stderr(&[&self.x[p], &self.y[p]]) };
        Ok(Wasserstein { w1: of(0).finite()?, w2: of(1).finite()?.sqrt() })
    }

    /// `self` with `floor` as its floor. Both go to the same other side (an exact law or the same rows), whose effect
    /// on the difference is the difference of its potentials.
    pub(super) fn above(&self, floor: &Transport) -> Result<AboveFloor, Undefined> {
        let distances = self.distances()?;
        let excess = |p: usize| {
            let minus: Vec<f64> = floor.x[p].iter().map(|f| -f).collect();
            let other: Vec<f64> = self.y[p].iter().zip(&floor.y[p]).map(|(a, b)| a - b).collect();
            let value = self.cost[p] - floor.cost[p];
            Estimate { value, stderr: stderr(&[&self.x[p], &minus, &other]) }.finite()
        };
        let [floor1, floor2] = floor.cost;
        Ok(AboveFloor {
            w1: Distance { value: distances.w1, floor: floor1, excess: excess(0)? },
            w2: Distance { value: distances.w2, floor: floor2.sqrt(), excess: excess(1)? },
        })
    }
}

/// Standard error from the effects of rows on a metric: sets of equal size are rows of one sample, and their effects add
/// row by row; sets of other sizes are independent.
pub(super) fn stderr(effects: &[&[f64]]) -> f64 {
    let mut rows: Vec<Vec<f64>> = Vec::new();
    for &effect in effects.iter().filter(|e| !e.is_empty()) {
        match rows.iter_mut().find(|r| r.len() == effect.len()) {
            Some(have) => have.iter_mut().zip(effect).for_each(|(a, b)| *a += b),
            None => rows.push(effect.to_vec()),
        }
    }
    let variance = |row: Vec<f64>| {
        let (n, centre) = (row.len() as f64, mean(&row));
        sum(row.iter().map(|v| (v - centre).powi(2))) / (n * (n - 1.0))
    };
    rows.into_iter().map(variance).sum::<f64>().sqrt()
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn potentials_are_a_dual_solution_of_the_transport_problem() {
        let number = |i: usize, k: f64| (i as f64 * k).fract() * 3.0 - 1.0;
        for (n, m) in [(7, 7), (12, 8), (5, 9), (2, 31)] {
            let x: Vec<f64> = (0..n).map(|i| number(i + 1, 0.618_034)).collect();
            let y: Vec<f64> = (0..m).map(|j| 0.4 + number(j + 1, 0.414_214)).collect();
            let t = Transport::between(&x, &y);
            for p in 0..2 {
                // Strong duality, and feasibility: f_i + g_j <= |x_i - y_j|^p.
                assert!((mean(&t.x[p]) + mean(&t.y[p]) - t.cost[p]).abs() < 1e-14, "{n} {m} p = {}", p + 1);
                for (i, j) in (0..n).flat_map(|i| (0..m).map(move |j| (i, j))) {
                    assert!(t.x[p][i] + t.y[p][j] <= costs(x[i], y[j])[p] + 1e-14, "{n} {m} p = {}", p + 1);
                }
            }
        }
    }
}
