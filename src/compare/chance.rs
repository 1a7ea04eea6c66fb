//! Whether a difference between two sampled numbers may be chance.
//!
//! The hypothesis is that code did not change: both numbers are then of one distribution, and their difference has mean 0.
//! It is divided by its standard error and held to Student's t, as standard errors are themselves from some 64 batches. All
//! numbers of a comparison share one false-alarm rate by Holm's correction, which asks nothing of how they hang together:
//! metrics of one run are made of the same samples, and solvers of one experiment share starts and reference samples.
//!
//! The rate is that of a baseline and a run that are both drawn anew. Where one baseline is kept and many runs are held to it,
//! they share its luck: alarms then come together or not at all.
//!
//! A maximum or a norm of sampled numbers (the largest error of a weight, a Kolmogorov-Smirnov statistic, the root of a
//! chi-square) is not normal, but moves no more than its arguments do: it is a Lipschitz function of a Gaussian vector, and so
//! strays from its median no further than a normal with that constant as its deviation (Borell 1975; Sudakov & Tsirelson
//! 1974). The difference of two has median 0.

use statrs::function::beta::beta_reg;

use crate::metric::wasserstein::normal_cdf;

/// A value, its standard error, and the samples that both are from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Value {
    pub value: f64,
    pub stderr: f64,
    pub samples: Option<u64>,
    /// Degrees of freedom of the standard error.
    pub freedom: f64,
}

/// A difference in standard errors of its own, and the probability of a larger one by chance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Distance {
    pub errors: f64,
    pub p: f64,
    /// The standard error of the difference.
    pub stderr: f64,
}

/// Two-sided tail of Student's t.
pub(super) fn student(t: f64, freedom: f64) -> f64 {
    let square = t * t;
    match square.is_finite() {
        true if t == 0.0 => 1.0,
        true => beta_reg(0.5 * freedom, 0.5, freedom / (freedom + square)),
        false => 0.0,
    }
}

/// Two-sided tail of the normal.
pub(super) fn normal(z: f64) -> f64 {
    2.0 * normal_cdf(-z.abs())
}

/// Degrees of freedom of a metric's standard error.
pub(super) fn freedom(metric: &str, samples: Option<u64>) -> f64 {
    // Rows have outliers, so that many of them tell no more of their spread than 64 batches do.
    const MOST: f64 = 63.0;
    let n = samples.unwrap_or(0) as f64;
    let found = match metric {
        // Half the distance of order statistics sqrt(n) apart: that many exponentials, of relative variance 1/sqrt(n),
        // which a chi-square has at sqrt(n)/2 degrees.
        "median_error" => 0.5 * n.sqrt(),
        // Blocks of n/32 rows, up to 512.
        "energy" | "mmd" => (n / (n / 32.0).floor().clamp(2.0, 512.0)).floor() - 1.0,
        _ => n - 1.0,
    };
    found.clamp(1.0, MOST)
}

/// From `a` to `b`.
///
/// The variance of the difference is Welch's, and where sample sizes differ no less than that of one common spread: the
/// smaller sample of a skewed law often misses its tail, and then knows neither its mean nor how little it knows.
pub(super) fn between(a: &Value, b: &Value) -> Distance {
    let [u, v] = [a, b].map(|x| x.stderr * x.stderr);
    let (welch, freedom) = (u + v, (u + v).powi(2) / (u * u / a.freedom + v * v / b.freedom));
    let pooled = match (a.samples, b.samples) {
        (Some(n), Some(m)) if n != m && n > 0 && m > 0 => {
            let (n, m) = (n as f64, m as f64);
            (n * n * u + m * m * v) / (n + m) * (1.0 / n + 1.0 / m)
        }
        _ => 0.0,
    };
    let stderr = welch.max(pooled).sqrt();
    let difference = b.value - a.value;
    if stderr == 0.0 {
        let p = if difference == 0.0 { 1.0 } else { 0.0 };
        return Distance {
            errors: if p == 1.0 { 0.0 } else { f64::INFINITY.copysign(difference) },
            p,
            stderr,
        };
    }
    let errors = difference / stderr;
    let freedom = if freedom.is_finite() { freedom.max(1.0) } else { a.freedom.min(b.freedom) };
    Distance { errors, p: student(errors, freedom), stderr }
}

/// Modes whose weights are followed: see [`crate::metric::SAMPLED`].
const MODES: f64 = 64.0;

/// From one largest error of several to another; signs mean nothing, as another of them may be the largest.
pub(super) fn between_largest(a: &Value, b: &Value) -> Distance {
    let [a, b] = [a, b].map(|x| Value { value: x.value.abs(), ..*x });
    // The largest of k normals lies at most sqrt(2 ln 2k) deviations higher than without noise.
    let allowed = (2.0 * (2.0 * MODES).ln()).sqrt() * (a.stderr - b.stderr).abs();
    let difference = b.value - a.value;
    let shrunk = difference.signum() * (difference.abs() - allowed).max(0.0);
    between(&Value { value: 0.0, ..a }, &Value { value: shrunk, ..b })
}

/// From one Kolmogorov-Smirnov statistic to another, each the largest of all coordinates.
pub(super) fn between_kolmogorov(a: f64, n: u64, b: f64, m: u64) -> Distance {
    // An empirical distribution function has a deviation of at most 1/(2 sqrt n) anywhere; the largest of up to 4096
    // coordinates lies at most 2.2/sqrt n higher than without noise.
    let [one, two] = [n, m].map(|n| 1.0 / (n.max(1) as f64).sqrt());
    let difference = b - a;
    let shrunk = difference.signum() * (difference.abs() - 2.2 * (one - two).abs()).max(0.0);
    let stderr = 0.5 * one.hypot(two);
    let errors = shrunk / stderr;
    Distance { errors, p: normal(errors), stderr }
}

/// From one p-value of a chi-square test to another, of as many samples.
///
/// The root of a chi-square is the length of a vector whose entries have deviation 1; that of k cells without error has a
/// deviation of `1/sqrt 2` at most, in which p-values are counted. So their z-scores count half.
pub(super) fn between_tests(a: f64, b: f64) -> Distance {
    // Of a p-value above one half little is known of the root.
    let [one, two] = [a, b].map(|p| z_of(p.min(0.5)));
    let errors = 0.5 * (two - one);
    Distance { errors, p: normal(errors), stderr: 0.5 }
}

/// The z whose upper tail is `p`, for `p <= 1/2`; by bisection, which tails of 1e-300 allow.
fn z_of(p: f64) -> f64 {
    bisect(|z| normal_cdf(-z) > p, 40.0)
}

/// How many standard errors a difference must have to be less likely than `p`.
pub(super) fn needed(p: f64, freedom: f64) -> f64 {
    bisect(|t| student(t, freedom) > p, 1e6)
}

/// Where something that holds at 0 ceases to hold.
fn bisect(holds: impl Fn(f64) -> bool, most: f64) -> f64 {
    let (mut low, mut high) = (0.0, most);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if holds(middle) { low = middle } else { high = middle }
    }
    low
}

/// The level at which p-values are rejected when all share a false-alarm rate (Holm 1979).
pub(super) fn level(p_values: impl Iterator<Item = f64>, rate: f64) -> f64 {
    let mut sorted: Vec<f64> = p_values.collect();
    sorted.sort_by(f64::total_cmp);
    let m = sorted.len();
    let level = |k: usize| rate / (m - k).max(1) as f64;
    let rejected = sorted.iter().enumerate().take_while(|(k, p)| **p <= level(*k)).count();
    level(rejected.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(value: f64, stderr: f64, samples: u64) -> Value {
        Value { value, stderr, samples: Some(samples), freedom: 63.0 }
    }

    #[test]
    fn tails_of_student_are_those_of_the_tables() {
        // Abramowitz & Stegun, table 26.10; and far out against the normal.
        for (t, freedom, p) in [(2.2281, 10.0, 0.05), (3.1693, 10.0, 0.01), (1.9799, 120.0, 0.05)] {
            assert!((student(t, freedom) / p - 1.0).abs() < 1e-3, "{t}");
        }
        assert!((student(8.0, 1e9) / normal(8.0) - 1.0).abs() < 1e-4);
        assert_eq!((student(0.0, 5.0), student(f64::INFINITY, 5.0)), (1.0, 0.0));
        assert!((needed(1e-6, 126.0) - 5.14).abs() < 0.02);
    }

    #[test]
    fn a_difference_without_any_uncertainty_is_certain() {
        assert_eq!(between(&value(1.0, 0.0, 9), &value(1.0, 0.0, 9)).p, 1.0);
        assert_eq!(between(&value(1.0, 0.0, 9), &value(1.1, 0.0, 9)).p, 0.0);
    }

    #[test]
    fn a_smaller_sample_cannot_claim_to_know_more_than_a_larger_one() {
        let (small, large) = (value(1.0, 0.001, 100), value(1.3, 0.01, 10_000));
        let one = between(&small, &large);
        // The large one's spread is 1, so the mean of 100 is good to 0.1.
        assert!(one.stderr > 0.09, "{one:?}");
        let back = between(&large, &small);
        assert_eq!((back.errors, back.p), (-one.errors, one.p));
    }

    #[test]
    fn the_largest_of_several_errors_is_compared_without_its_sign() {
        let found = between_largest(&value(-8.6e-3, 3e-3, 1000), &value(8.4e-3, 3e-3, 1000));
        assert!(found.p > 0.9, "{found:?}");
        assert!(between_largest(&value(-8.6e-3, 3e-3, 1000), &value(0.1, 3e-3, 1000)).p < 1e-12);
    }

    #[test]
    fn tests_are_compared_by_how_far_apart_their_evidence_is() {
        assert!(between_tests(0.9, 0.6).p == 1.0);
        // 3.7 z-scores count as 1.9.
        assert!((between_tests(0.5, 1e-4).p - 0.0629).abs() < 1e-3);
        assert!(between_tests(0.5, 1e-40).p < 1e-9 && between_tests(1e-300, 0.0).p > 1e-3);
        assert!(between_kolmogorov(0.01, 10_000, 0.1, 10_000).p < 1e-30);
        // Of a hundred samples 0.1 is what one sees without error.
        assert_eq!(between_kolmogorov(0.01, 10_000, 0.1, 100).p, 1.0);
    }

    #[test]
    fn the_level_is_holms() {
        use crate::metric::significance::holm;
        let p: Vec<f64> = (1..40).map(|k| 1e-4 * 1.35f64.powi(k)).collect();
        let level = level(p.iter().copied(), 0.05);
        for (p, adjusted) in p.iter().zip(holm(&p)) {
            assert_eq!(*p <= level, adjusted <= 0.05, "{p}");
        }
        assert_eq!(super::level([0.5].into_iter(), 0.05), 0.05);
    }
}
