//! Laws on the line: mixtures at a level and between two levels, quadrature over them, and solvers run on its nodes; and
//! the few numbers and checks that other studies share with this one.

use std::f64::consts::TAU;
use std::fmt::Debug;
use std::ops::RangeInclusive;

use crate::batch::{Batch, LANES};
use crate::data::CLEAN;
use crate::data::mixture::{Component, Covariance, Mixture};
use crate::data::preset::TwoMode;
use crate::error::{BadInput, Result};
use crate::run::{Ctx, Denoiser, Noise};
use crate::schedule::{Level, Schedule};
use crate::solver::Sample;
use crate::state::State;

/// `dx = -beta/2 x dt + sqrt(beta) dw` with the usual numbers: the process, where nothing else is said.
pub const VP: Schedule = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };

/// One Gaussian of a law.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Its probability.
    pub weight: f64,
    /// Its mean.
    pub mean: f64,
    /// Its variance.
    pub variance: f64,
}

/// A finite mixture of Gaussians on the line.
#[derive(Clone, Debug)]
pub struct LineLaw {
    /// Its Gaussians.
    pub parts: Vec<Part>,
}

/// Mean, variance and third central moment.
#[derive(Clone, Copy, Debug)]
pub struct Moments {
    /// `E x`.
    pub mean: f64,
    /// `E (x - mean)^2`.
    pub variance: f64,
    /// `E (x - mean)^3`.
    pub third: f64,
}

/// Components that weigh less than this are left out of quadratures: below round-off of what is left.
const LEAST_WEIGHT: f64 = 1e-22;

/// A quadrature reaches so many standard deviations beyond every mean: `e^{-9.5^2/2}` is 3e-20.
pub const REACH: f64 = 9.5;

impl LineLaw {
    /// The law of `x_t`: weights `w_k`, means `alpha mu_k`, variances `alpha^2 c_k + sigma^2`.
    pub fn marginal(data: &Mixture, at: &Level) -> Self {
        let part = |(weight, mu, c): (f64, f64, f64)| Part {
            weight,
            mean: at.alpha * mu,
            variance: at.marginal_variance(c),
        };
        LineLaw { parts: components(data).map(part).collect() }
    }

    /// The law of `x_s` given `x_t = x`, `s < t`: a mixture again. Given its component, a sample is Gaussian, and `x_s` has
    /// mean `alpha_s mu + (alpha_t/alpha_s)(v_s/v_t)(x - alpha_t mu)` and variance `b v_s/v_t`; the weights are the
    /// responsibilities at `x`.
    pub fn reverse(data: &Mixture, t: &Level, s: &Level, x: f64) -> Self {
        let there = LineLaw::marginal(data, t);
        let top = there.parts.iter().map(|p| p.ln_density(x)).fold(f64::NEG_INFINITY, f64::max);
        let share = |p: &Part| (p.ln_density(x) - top).exp();
        let total: f64 = there.parts.iter().map(share).sum();
        let b = t.variance_since(s);
        let part = |((_, mu, c), at_t): ((f64, f64, f64), &Part)| {
            let ratio = s.marginal_variance(c) / at_t.variance;
            Part {
                weight: share(at_t) / total,
                mean: s.alpha * mu + t.alpha / s.alpha * ratio * (x - at_t.mean),
                variance: b * ratio,
            }
        };
        LineLaw { parts: components(data).zip(&there.parts).map(part).collect() }
    }

    /// Its first three central moments.
    pub fn moments(&self) -> Moments {
        let mean = self.sum(|p| p.mean);
        let variance = self.sum(|p| p.variance + (p.mean - mean).powi(2));
        let third = self.sum(|p| (p.mean - mean).powi(3) + 3.0 * (p.mean - mean) * p.variance);
        Moments { mean, variance, third }
    }

    fn sum(&self, f: impl Fn(&Part) -> f64) -> f64 {
        self.parts.iter().map(|p| p.weight * f(p)).sum()
    }

    /// `ln p(x)`.
    pub fn ln_density(&self, x: f64) -> f64 {
        let (mut top, mut sum) = (f64::NEG_INFINITY, 0.0);
        for l in self.parts.iter().map(|p| p.ln_density(x)) {
            if l > top {
                (sum, top) = (sum * (top - l).exp() + 1.0, l);
            } else if l > f64::NEG_INFINITY {
                sum += (l - top).exp();
            }
        }
        top + sum.ln()
    }

    /// First and second derivative of `ln p` at `x`.
    pub fn slopes(&self, x: f64) -> (f64, f64) {
        let (mut total, mut first, mut second) = (0.0, 0.0, 0.0);
        let top = self.parts.iter().map(|p| p.ln_density(x)).fold(f64::NEG_INFINITY, f64::max);
        for p in &self.parts {
            let (share, z) = ((p.ln_density(x) - top).exp(), (p.mean - x) / p.variance);
            total += share;
            first += share * z;
            second += share * (z * z - 1.0 / p.variance);
        }
        let score = first / total;
        (score, second / total - score * score)
    }

    /// Points and weights for means over this law, by the trapezoidal rule with `per_sd` points in the smallest standard
    /// deviation: for integrands without features finer than that the error falls faster than any power.
    pub fn nodes(&self, per_sd: f64) -> Vec<(f64, f64)> {
        let kept = || self.parts.iter().filter(|p| p.weight > LEAST_WEIGHT);
        let lo = kept().map(|p| p.mean - REACH * p.variance.sqrt()).fold(f64::INFINITY, f64::min);
        let hi = kept().map(|p| p.mean + REACH * p.variance.sqrt()).fold(f64::NEG_INFINITY, f64::max);
        let sd = kept().map(|p| p.variance.sqrt()).fold(f64::INFINITY, f64::min);
        // (Where no probability to speak of is, no node: gaps between far modes.)
        trapezoid(lo, hi, sd / per_sd)
            .map(|(x, dx)| (x, dx * self.ln_density(x).exp()))
            .filter(|(_, w)| *w > LEAST_WEIGHT)
            .collect()
    }
}

/// Points from `lo` to `hi` at a distance of at most `step`, each with that distance.
pub fn trapezoid(lo: f64, hi: f64, step: f64) -> impl Iterator<Item = (f64, f64)> {
    let n = ((hi - lo) / step).ceil().max(1.0);
    let dx = (hi - lo) / n;
    (0..=n as usize).map(move |i| (lo + i as f64 * dx, dx))
}

impl Part {
    /// `ln(w p(x))`.
    pub fn ln_density(&self, x: f64) -> f64 {
        let off = x - self.mean;
        self.weight.ln() - 0.5 * (off * off / self.variance + (TAU * self.variance).ln())
    }
}

/// Weights, means and variances of a mixture on the line.
fn components(data: &Mixture) -> impl Iterator<Item = (f64, f64, f64)> {
    let one = |c: &Component| (c.weight, c.mean[0], c.covariance.matrix(1)[0]);
    data.components().iter().map(one)
}

/// The laws of data that steps are measured on: a Gaussian, two modes far apart, and two that make one skew hump.
pub fn laws() -> [(&'static str, Mixture); 3] {
    let made = |m: Result<Mixture>| m.expect("legal numbers");
    let part = |w, mu, sd: f64| (w, vec![mu], Covariance::Isotropic(sd * sd));
    [
        ("gaussian", made(Mixture::new(vec![part(1.0, 0.5, 0.5)]))),
        ("two-mode", made(TwoMode {}.mixture())),
        ("skew", made(Mixture::new(vec![part(0.75, 0.0, 0.3), part(0.25, 1.0, 0.6)]))),
    ]
}

/// One of [`laws`] by its name.
pub fn law_named(name: &str) -> Mixture {
    laws().into_iter().find(|(n, _)| *n == name).map(|(_, m)| m).expect("a law of the list")
}

/// Every normal that a solver asks for has this value: where it is 0 a step returns its mean, where it is 1 its mean
/// plus its standard deviation.
pub struct Fixed(pub f64);

impl Noise<Batch<f64>> for Fixed {
    fn increment(&mut self, x: &State<Batch<f64>>, _: &Level, _: &Level) -> State<Batch<f64>> {
        State(x.0.map_blocks(|_, to| to.fill([self.0; LANES])))
    }
    fn fresh(&mut self, x: &State<Batch<f64>>) -> State<Batch<f64>> {
        self.increment(x, &CLEAN, &CLEAN)
    }
}

/// What a solver makes of every point of `x` over the levels of `grid`, if all its normals are `z`.
pub fn run<S: Sample + ?Sized>(
    solver: &S,
    model: &dyn Denoiser<Batch<f64>>,
    schedule: &Schedule,
    grid: &[Level],
    x: &[f64],
    z: f64,
) -> Vec<f64> {
    let mut noise = Fixed(z);
    let mut cx = Ctx::new(model, &mut noise, schedule);
    solver.sample(&mut cx, grid, State(Batch::from_rows(1, x.to_vec()))).0.to_rows()
}

/// `p ln(p/q) - p + q` from the logarithms of two densities. It is never negative, so that nothing cancels in its integral,
/// which is `KL(p || q)`, however close the two are.
pub fn defect(ln_p: f64, ln_q: f64) -> f64 {
    let ratio = ln_p - ln_q;
    if ratio.abs() < 0.02 {
        // q [(1+u) ln(1+u) - u] with ln(1+u) = r: q (r e^r - e^r + 1) = q sum_{n>=2} r^n/(n (n-2)!).
        let series = [1.0 / 144.0, 1.0 / 30.0, 1.0 / 8.0, 1.0 / 3.0, 0.5];
        return ln_q.exp() * ratio * ratio * series.iter().fold(0.0, |sum, c| sum * ratio + c);
    }
    let p = ln_p.exp();
    p * ratio - p + ln_q.exp()
}

/// `lambda''/lambda'^2` at a level inside the schedule, with a prime for `d/dt`: how a step in time is bent in lambda.
pub fn bend(schedule: &Schedule, at: &Level) -> f64 {
    let rate = |t: f64| {
        let at = schedule.at(t);
        -at.g2 / (2.0 * at.sigma.powi(2))
    };
    let d = 1e-5 * at.t;
    (rate(at.t + d) - rate(at.t - d)) / (2.0 * d) / rate(at.t).powi(2)
}

/// `-d ln sigma/d lambda`, which is `alpha^2` where `alpha^2 + sigma^2 = 1` and 1 where `alpha = 1`.
pub fn fall_of_noise(at: &Level) -> f64 {
    1.0 + 2.0 * at.f * at.sigma.powi(2) / at.g2
}

/// Mean and standard error of independent values.
pub fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let square: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (mean, (square / (n * (n - 1.0))).sqrt())
}

/// The largest size; not a number if one of the values is none. (`f64::max` passes over those, and a claim that all of
/// them are small would hold of a method that returned nothing but NaN.)
pub fn largest(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().map(f64::abs).fold(0.0, |most, v| if v.is_nan() || v > most { v } else { most })
}

/// Refuses a list that is empty or has a number out of range: a claim about all of none would hold.
///
/// # Errors
/// Names the key, the first such number and the range.
pub fn within<T: PartialOrd + Copy + Debug>(key: &str, list: &[T], range: RangeInclusive<T>) -> Result<()> {
    let fix = format!("give numbers from {:?} to {:?}", range.start(), range.end());
    match list.iter().find(|x| !range.contains(x)) {
        Some(x) => Err(BadInput::new(key, x, "is out of range", fix)),
        None if list.is_empty() => Err(BadInput::about(key, "is empty", fix)),
        None => Ok(()),
    }
}

/// Root mean square over weighted values.
pub fn rms(values: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (mut total, mut sum) = (0.0, 0.0);
    for (w, value) in values {
        total += w;
        sum += w * value * value;
    }
    (sum / total).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::factorial;

    fn levels() -> (Level, Level) {
        (VP.at_kappa(0.7), VP.at_kappa(0.4))
    }

    #[test]
    fn the_reverse_transition_is_what_bayes_rule_says() {
        let (t, s) = levels();
        for (name, data) in laws() {
            let (p_s, p_t) = (LineLaw::marginal(&data, &s), LineLaw::marginal(&data, &t));
            let (keep, variance) = (t.alpha / s.alpha, t.variance_since(&s));
            for (x, y) in [(-2.0, -1.0), (0.1, 0.3), (1.7, -0.4), (0.0, 2.5)] {
                let forward = Part { weight: 1.0, mean: keep * x, variance }.ln_density(y);
                let bayes = forward + p_s.ln_density(x) - p_t.ln_density(y);
                let direct = LineLaw::reverse(&data, &t, &s, y).ln_density(x);
                assert!((bayes - direct).abs() < 1e-12, "{name} at {x}, {y}: {bayes} for {direct}");
            }
        }
    }

    #[test]
    fn moments_are_those_of_the_density() {
        let (t, s) = levels();
        for (name, data) in laws() {
            let law = LineLaw::reverse(&data, &t, &s, 0.2);
            let mean = |f: &dyn Fn(f64) -> f64| law.nodes(8.0).iter().map(|(x, w)| w * f(*x)).sum::<f64>();
            let m = law.moments();
            assert!((mean(&|_| 1.0) - 1.0).abs() < 1e-13, "{name}");
            assert!((mean(&|x| x) - m.mean).abs() < 1e-13, "{name}");
            assert!((mean(&|x| (x - m.mean).powi(2)) - m.variance).abs() < 1e-13, "{name}");
            assert!((mean(&|x| (x - m.mean).powi(3)) - m.third).abs() < 1e-13, "{name}");
        }
    }

    #[test]
    fn the_largest_of_numbers_of_which_one_is_none_is_none() {
        assert_eq!(largest([0.5, -2.0, 1.0]), 2.0);
        assert!(largest([f64::NAN, 1.0]).is_nan() && largest([1.0, f64::NAN, 2.0]).is_nan());
    }

    #[test]
    fn empty_lists_and_numbers_out_of_range_are_refused_by_name() {
        let said = |list: &[f64]| within("steps", list, 1e-6..=3.0).map_err(|e| e.to_string());
        assert!(said(&[1e-6, 3.0]).is_ok());
        assert!(said(&[]).unwrap_err().contains("steps is empty"));
        for bad in [0.0, 3.1, f64::NAN] {
            let said = said(&[1.0, bad]).unwrap_err();
            assert!(
                said.contains(&format!("steps = {bad:?}")) && said.contains("from 1e-6 to 3.0"),
                "{said}"
            );
        }
    }

    #[test]
    fn the_defect_keeps_its_digits_and_its_two_branches_meet() {
        // q (r e^r - e^r + 1) as its series: sum_{n>=2} r^n/(n (n-2)!).
        let series =
            |r: f64| (2..20).map(|n| r.powi(n) / (f64::from(n) * factorial(n as u32 - 2))).sum::<f64>();
        for r in [-0.5, -0.02, -0.0199, -1e-6, 1e-9, 0.0199, 0.02, 0.5] {
            assert!((defect(r, 0.0) / series(r) - 1.0).abs() < 1e-11, "{r}");
        }
    }

    #[test]
    fn slopes_are_derivatives_of_the_log_density() {
        let law = LineLaw::marginal(&law_named("two-mode"), &levels().0);
        for x in [-2.0, -0.5, 0.3, 1.8] {
            let (d, f) = (1e-4, |x| law.ln_density(x));
            let (first, second) = law.slopes(x);
            assert!((first - (f(x + d) - f(x - d)) / (2.0 * d)).abs() < 1e-6);
            assert!((second - (f(x + d) - 2.0 * f(x) + f(x - d)) / (d * d)).abs() < 1e-5);
        }
    }
}
