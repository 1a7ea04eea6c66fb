//! Mixtures on the line: distribution functions, quantiles, and the probability flow, which is the monotone map.
//!
//! In one dimension the flow from `t` to `s` keeps the probability to the left of a sample: `F_s(x_s) = F_t(x_t)`. A
//! difference of distribution functions has no digits in a tail, nor in a gap between modes. So components are cut in two
//! at the sample, those with their mean to the left and those with it to the right, and with
//!
//! `P(x) = sum_right w_k Phi(z_k)`, `Q(x) = sum_left w_k Phi(-z_k)`, `z_k = (x - m_k)/s_k`,
//!
//! which are small where `F - P + Q = sum_left w_k` says nothing, `P_s(x) + Q_t = Q_s(x) + P_t` is solved for `x`, in
//! logarithms: both sides are sums of positive terms.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

use crate::batch::{Batch, LANES, Precision};
use crate::schedule::Level;

use super::{Component, Mixture};

/// A mixture in one coordinate at a noise level.
///
/// ```
/// use scorebench::data::{CLEAN, mixture::{Covariance, Mixture}};
/// let one = Mixture::new(vec![(1.0, vec![2.0], Covariance::Isotropic(9.0))])?;
/// let line = one.line(&CLEAN).expect("one coordinate");
/// assert_eq!(line.cdf(2.0), 0.5);
/// assert!((line.quantile(0.975) - (2.0 + 3.0 * 1.959963984540054)).abs() < 1e-14);
/// # Ok::<(), scorebench::error::BadInput>(())
/// ```
#[derive(Clone, Debug)]
pub struct Line {
    /// By the means of the data.
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    log_weight: f64,
    mean: f64,
    std: f64,
}

/// What is known of the point that is looked for: the first `cut` components are on its left, `ln P` and `ln Q` there.
struct Goal {
    cut: usize,
    log_p: f64,
    log_q: f64,
}

/// Attempts of a root search. Bisection alone needs some 60, from a bracket that is 1e16 times too wide some 110.
const MOST_STEPS: usize = 200;

impl Line {
    /// `F(x)`, accurate to its last digits in the left tail too.
    pub fn cdf(&self, x: f64) -> f64 {
        self.log_cdf(x).exp()
    }

    /// `1 - F(x)`, accurate to its last digits in the right tail too.
    pub fn survival(&self, x: f64) -> f64 {
        self.log_survival(x).exp()
    }

    /// `ln F(x)`, however small.
    pub fn log_cdf(&self, x: f64) -> f64 {
        self.sums(x, 0).log_p.value()
    }

    /// `ln (1 - F(x))`, however small.
    pub fn log_survival(&self, x: f64) -> f64 {
        self.sums(x, self.parts.len()).log_q.value()
    }

    /// The `x` with `F(x) = u`, for `u` in [0, 1]; NaN outside.
    pub fn quantile(&self, u: f64) -> f64 {
        if u > 0.5 { self.upper_quantile(1.0 - u) } else { self.tail(u, 0) }
    }

    /// The `x` with `1 - F(x) = u`: what [`Line::quantile`] has no digits for where `u` is small.
    pub fn upper_quantile(&self, u: f64) -> f64 {
        if u > 0.5 { self.quantile(1.0 - u) } else { self.tail(u, self.parts.len()) }
    }

    /// The `x` with a probability `u` of at most 1/2 on its left (`cut` 0) or on its right.
    fn tail(&self, u: f64, cut: usize) -> f64 {
        let left = cut == 0;
        if u.is_nan() || u < 0.0 {
            return f64::NAN;
        } else if u == 0.0 {
            return if left { f64::NEG_INFINITY } else { f64::INFINITY };
        }
        // Phi(-z) <= e^{-z^2/2}/2, so each component's own quantile is within z of its mean.
        let z = (-2.0 * (2.0 * u).ln()).max(0.0).sqrt();
        let z = if left { -z } else { z };
        let ends = self.parts.iter().flat_map(|p| [p.mean, p.mean + p.std * z]);
        let (lo, hi) = range(ends);
        let none = f64::NEG_INFINITY;
        let (log_p, log_q) = if left { (u.ln(), none) } else { (none, u.ln()) };
        self.solve(&Goal { cut, log_p, log_q }, (lo, hi), if left { lo } else { hi })
    }

    /// Whether a component has no spread here: a flow can end there, but not start.
    pub fn has_atoms(&self) -> bool {
        self.parts.iter().any(|p| p.std == 0.0)
    }

    /// The exact probability flow of `x` to the law of the same data at another level: `F_to(result) = F(x)`.
    ///
    /// Right to round-off of `x`: within a few units of its last place times `1 + |dx_to/dx|`, from the centre to as many
    /// standard deviations out as there are numbers for. NaN from a law with atoms, or if the laws are of different data.
    pub fn transport(&self, x: f64, to: &Line) -> f64 {
        if !x.is_finite() {
            return x;
        }
        if self.has_atoms() || self.parts.len() != to.parts.len() {
            return f64::NAN;
        }
        let cut = self.parts.partition_point(|p| p.mean <= x);
        let here = self.sums(x, cut);
        let goal = Goal { cut, log_p: here.log_p.value(), log_q: here.log_q.value() };
        // F_t(x) = F_s(y) lies between the components' own, so that y lies between theirs at z's of x.
        let z = |p: &Part| (x - p.mean) / p.std;
        let (least, most) = range(self.parts.iter().map(z));
        let (lo, _) = range(to.parts.iter().map(|p| p.mean + p.std * least));
        let (_, hi) = range(to.parts.iter().map(|p| p.mean + p.std * most));
        // A guess: as each component would carry it, in the proportion of their densities.
        let (mut sum, mut weight) = (0.0, 0.0);
        let top = self.parts.iter().map(|p| p.log_density(z(p))).fold(f64::NEG_INFINITY, f64::max);
        for (there, here) in to.parts.iter().zip(&self.parts) {
            let r = (here.log_density(z(here)) - top).exp();
            sum += r * (there.mean + there.std * z(here));
            weight += r;
        }
        to.solve(&goal, (lo, hi), sum / weight)
    }

    /// The root of `ln(P(x) + Q) - ln(Q(x) + P)`, which rises: Newton's method, within a bracket that is halved where
    /// it does not halve its step.
    fn solve(&self, goal: &Goal, (mut lo, mut hi): (f64, f64), guess: f64) -> f64 {
        let mut x = guess.clamp(lo, hi);
        let mut last = hi - lo;
        for _ in 0..MOST_STEPS {
            let (excess, slope) = self.excess(x, goal);
            if excess > 0.0 {
                hi = x;
            } else {
                lo = x;
            }
            let step = -excess / slope;
            let mut next = x + step;
            // An excess of 0 but for round-off, or a step of less than x resolves.
            if excess.abs() <= f64::EPSILON || step.abs() <= f64::EPSILON * x.abs() {
                return if next.is_finite() { next.clamp(lo, hi) } else { x };
            }
            if !(next > lo && next < hi && step.abs() < 0.5 * last) {
                next = lo + 0.5 * (hi - lo);
                if next <= lo || next >= hi {
                    break;
                }
            }
            last = (next - x).abs();
            x = next;
        }
        self.snap(x, hi - lo)
    }

    /// The point mass at `x`, if there is one: a search for a jump ends next to it, in a bracket of this width.
    fn snap(&self, x: f64, width: f64) -> f64 {
        let near =
            |p: &&Part| p.std == 0.0 && (x - p.mean).abs() <= 4.0 * f64::EPSILON * p.mean.abs() + width;
        self.parts.iter().find(near).map_or(x, |p| p.mean)
    }

    fn excess(&self, x: f64, goal: &Goal) -> (f64, f64) {
        let Sums { mut log_p, mut log_q, right, left } = self.sums(x, goal.cut);
        log_p.add(goal.log_q);
        log_q.add(goal.log_p);
        let (p, q) = (log_p.value(), log_q.value());
        (p - q, (right.value() - p).exp() + (left.value() - q).exp())
    }

    /// `ln P`, `ln Q` and the logarithms of their derivatives (of `-Q`).
    fn sums(&self, x: f64, cut: usize) -> Sums {
        let mut sums = Sums::default();
        let (left, right) = self.parts.split_at(cut);
        for p in right {
            let z = p.standardised(x);
            sums.log_p.add(p.log_weight + log_normal_cdf(z));
            sums.right.add(p.log_density(z));
        }
        for p in left {
            let z = p.standardised(x);
            sums.log_q.add(p.log_weight + log_normal_cdf(-z));
            sums.left.add(p.log_density(z));
        }
        sums
    }
}

impl Part {
    /// `(x - mean)/std`; 0 at a point mass.
    fn standardised(&self, x: f64) -> f64 {
        let off = x - self.mean;
        if off == 0.0 { 0.0 } else { off / self.std }
    }

    /// `ln(w phi(z)/s)`.
    fn log_density(&self, z: f64) -> f64 {
        self.log_weight - 0.5 * (z * z + TAU.ln()) - self.std.ln()
    }
}

#[derive(Default)]
struct Sums {
    log_p: LogSum,
    log_q: LogSum,
    right: LogSum,
    left: LogSum,
}

/// `ln sum e^l`, a term at a time.
struct LogSum {
    top: f64,
    sum: f64,
}

impl Default for LogSum {
    fn default() -> Self {
        LogSum { top: f64::NEG_INFINITY, sum: 0.0 }
    }
}

impl LogSum {
    fn add(&mut self, l: f64) {
        if l > self.top {
            self.sum = self.sum * (self.top - l).exp() + 1.0;
            self.top = l;
        } else if l > f64::NEG_INFINITY {
            self.sum += (l - self.top).exp();
        }
    }

    fn value(&self) -> f64 {
        self.top + self.sum.ln()
    }
}

/// `ln Phi(z)`.
fn log_normal_cdf(z: f64) -> f64 {
    if z > 0.0 {
        return (-0.5 * libm::erfc(z * FRAC_1_SQRT_2)).ln_1p();
    } else if z > -30.0 {
        return (0.5 * libm::erfc(-z * FRAC_1_SQRT_2)).ln();
    }
    // Phi(z) = phi(z)/|z| (1 - 1/z^2 + 3/z^4 - ...) (Abramowitz & Stegun 1964, 26.2.12), to 1e-17 here.
    let v = 1.0 / (z * z);
    let series = (0..8).rev().fold(1.0, |sum, n| 1.0 - f64::from(2 * n + 1) * v * sum);
    -0.5 * (z * z + TAU.ln()) - (-z).ln() + series.ln()
}

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), x| (lo.min(x), hi.max(x)))
}

impl Mixture {
    /// The law of `x_t` on the line; `None` if there is more than one coordinate.
    pub fn line(&self, at: &Level) -> Option<Line> {
        if self.dim != 1 {
            return None;
        }
        let mut components: Vec<&Component> = self.components.iter().collect();
        components.sort_by(|a, b| a.mean[0].total_cmp(&b.mean[0]));
        let part = |c: &&Component| Part {
            log_weight: c.weight.ln(),
            mean: at.alpha * c.mean[0],
            std: at.marginal_variance(c.covariance.variances()[0]).sqrt(),
        };
        Some(Line { parts: components.iter().map(part).collect() })
    }
}

/// The probability flow of independent coordinates; `None` where one is no line, or a point mass at `t`.
pub(in crate::data) fn flow<R: Precision>(
    factors: &[Mixture],
    x: &Batch<R>,
    t: &Level,
    s: &Level,
) -> Option<Batch<R>> {
    let ends = |m: &Mixture| Some((m.line(t).filter(|line| !line.has_atoms())?, m.line(s)?));
    let lines: Vec<(Line, Line)> = factors.iter().map(ends).collect::<Option<_>>()?;
    Some(x.map_blocks(|block, to| {
        for ((to, x), (from, line)) in to.iter_mut().zip(block).zip(&lines) {
            for i in 0..LANES {
                to[i] = R::from_f64(from.transport(x[i].to_f64(), line));
            }
        }
    }))
}
