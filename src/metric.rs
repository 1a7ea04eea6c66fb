//! Distances between laws: with independent modes, in closed form ([`Errors`]); between samples, or from samples to an
//! exact law, with a standard error each.
//!
//! | between | metric | standard error |
//! |---|---|---|
//! | rows and an exact law | [`weak`]: mean, covariance, fourth moment, tails, mode weights; streaming | batches |
//! | rows and rows | [`sliced`]: `W1`, `W2` over fixed directions; sampling floor | influence |
//! | numbers and numbers, or a law | [`wasserstein`]: exact `W1`, `W2` by sorting | influence |
//! | | [`kolmogorov`]: Kolmogorov-Smirnov | p-value |
//! | rows and rows | [`kernel`]: energy distance, MMD, unbiased | blocks; influence on the line |
//! | rows of pairs | [`paired`]: RMSE, differences; KL from log densities | rows |
//! | rows and rows, or a law | [`frechet`]: squared Frechet distance of the Gaussians fitted to both | influence |
//! | ranking and ranking | [`rank`]: Spearman's rho, Kendall's tau | interval |
//!
//! *Batches*: [`batches::Means`] keeps sums over contiguous ranges of the global sample index and takes the delete-one-batch
//! jackknife. *Influence*: the infinitesimal jackknife (Jaeckel 1972): each row's first-order effect on the metric. Both
//! see the common random numbers of paired rows. What is significant of all that: [`significance`].

use crate::data::Moments;

pub mod batches;
pub mod estimate;
pub mod frechet;
pub mod kernel;
pub mod kolmogorov;
pub mod paired;
pub mod rank;
pub mod significance;
pub mod sliced;
pub mod wasserstein;
pub mod weak;

pub use estimate::{Distance, Estimate, Samples, Undefined};
pub use significance::Test;

/// Names of the columns, each with a one-line description.
pub const LIST: &[(&str, &str)] = &[
    ("w2", "Wasserstein-2 distance to the exact marginal at the last level, not divided by d"),
    ("w2_data", "Wasserstein-2 distance to the data law"),
    ("kl", "KL(sampler || exact marginal), nats; inf where it is"),
    ("mean_error", "l2 distance of the means"),
    ("cov_error", "Frobenius distance of the covariances"),
    ("strong_error", "root mean square distance from the exact solution on the same start and Brownian path"),
];

/// What is measured on samples, each with a one-line description.
pub const SAMPLED: &[(&str, &str)] = &[
    (
        "rmse",
        "root mean square distance from the exact probability flow of the same start (methods without noise)",
    ),
    (
        "median_error",
        "median distance from the exact flow: of a typical sample, where a few near a divide make up the rmse",
    ),
    (
        "strong_error",
        "root mean square distance from the solution of the solver's own equation on the same start and Brownian path",
    ),
    ("sliced_w2", "sliced W2 to the exact marginal, above the sampling floor; on the line W2 itself"),
    ("sliced_w1", "sliced W1, likewise"),
    ("energy", "squared energy distance, unbiased"),
    ("mmd", "squared maximum mean discrepancy, Gaussian kernel of median bandwidth, unbiased"),
    ("ks", "Kolmogorov-Smirnov: the largest statistic of a coordinate, and its p-value"),
    (
        "kl",
        "KL(sampler || exact marginal), nats, from the density that the solver's own map makes (methods without noise)",
    ),
    (
        "nll_bits",
        "root mean square error of the log-likelihood that the solver integrates, bits per dimension, exact trace",
    ),
    ("nll_bits_hutchinson", "likewise with Hutchinson's estimate of the trace, one probe a sample"),
    ("mean_error", "l2 distance of the means"),
    ("cov_error", "Frobenius distance of the covariances"),
    ("fourth_error", "error of E|x|^4"),
    ("mode_weights", "the largest error of a mode's weight, and the p-value of a chi-square test of all"),
];

/// How far a law is from an exact one, five ways.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Errors {
    /// Wasserstein-2 distance, not divided by the number of modes.
    pub w2: f64,
    /// `KL(law || exact)` in nats; infinite where an empty variance meets a positive one.
    pub kl: f64,
    /// l2 norm of the difference of means.
    pub mean_error: f64,
    /// Frobenius norm of the difference of covariances.
    pub cov_error: f64,
    /// The mode (counted from 0) with the largest share of `w2`.
    pub worst_mode: usize,
}

impl Errors {
    /// Compares `law` with `exact`.
    ///
    /// # Panics
    /// If the two have different numbers of modes.
    pub fn between(law: &Moments, exact: &Moments) -> Self {
        assert_eq!(law.mean.len(), exact.mean.len(), "laws of different dimension");
        let mut e = Errors { w2: 0.0, kl: 0.0, mean_error: 0.0, cov_error: 0.0, worst_mode: 0 };
        let mut worst = 0.0;
        for (k, (((m, s), m0), s0)) in
            law.mean.iter().zip(&law.std).zip(&exact.mean).zip(&exact.std).enumerate()
        {
            let (dm, ds) = (m - m0, s - s0);
            let part = dm * dm + ds * ds;
            e.w2 += part;
            e.mean_error += dm * dm;
            e.cov_error += (ds * (s + s0)).powi(2);
            e.kl += kl(dm, *s, *s0);
            if part > worst {
                (worst, e.worst_mode) = (part, k);
            }
        }
        Errors { w2: e.w2.sqrt(), mean_error: e.mean_error.sqrt(), cov_error: e.cov_error.sqrt(), ..e }
    }
}

/// Wasserstein-2 distance between Gaussian laws with independent modes: the root of the sum over modes of
/// `(m - m')^2 + (s - s')^2` (Dowson & Landau 1982; Gelbrich 1990).
pub fn w2(a: &Moments, b: &Moments) -> f64 {
    Errors::between(a, b).w2
}

/// `KL(N(m, s^2) || N(m0, s0^2))` with `dm = m - m0`: `(r - 1 - ln r)/2 + dm^2/(2 s0^2)`, `r = s^2/s0^2`.
fn kl(dm: f64, s: f64, s0: f64) -> f64 {
    if s0 == 0.0 || s == 0.0 {
        return if s == s0 && dm == 0.0 { 0.0 } else { f64::INFINITY };
    }
    let u = (s - s0) * (s + s0) / (s0 * s0);
    0.5 * minus_ln_1p(u) + 0.5 * (dm / s0).powi(2)
}

/// `u - ln(1 + u)` for `u > -1`, without cancellation near 0.
pub(crate) fn minus_ln_1p(u: f64) -> f64 {
    if u.abs() > 0.05 {
        return u - u.ln_1p();
    }
    // sum_{n>=2} (-1)^n u^n/n; 14 terms leave less than 1e-18 of the first.
    let mut sum = 0.0;
    for n in (2..16).rev() {
        sum = 1.0 / n as f64 - u * sum;
    }
    u * u * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn law(mean: &[f64], std: &[f64]) -> Moments {
        Moments { mean: mean.to_vec(), std: std.to_vec() }
    }

    #[test]
    fn the_five_errors_of_a_case_worked_by_hand() {
        let e = Errors::between(&law(&[1.0, 0.0], &[2.0, 3.0]), &law(&[0.0, 0.0], &[1.0, 1.0]));
        assert_eq!(e.w2, 6f64.sqrt());
        assert_eq!((e.mean_error, e.cov_error, e.worst_mode), (1.0, 73f64.sqrt(), 1));
        let kl = 0.5 * (4.0 - 1.0 - 4f64.ln()) + 0.5 + 0.5 * (9.0 - 1.0 - 9f64.ln());
        assert!((e.kl - kl).abs() < 1e-15);
    }

    #[test]
    fn kl_has_no_cancellation_for_laws_that_almost_agree() {
        // u - ln(1+u) = u^2/2 - u^3/3 + ..., with u = 2e-9 from s = 1 + 1e-9: below the ulp of u itself.
        let (s, u) = (1.0 + 1e-9, 2e-9f64);
        assert!((kl(0.0, s, 1.0) / (0.25 * u * u) - 1.0).abs() < 1e-6);
        for u in [-0.05f64, 0.05, 0.049_999, -0.049_999] {
            assert!((minus_ln_1p(u) / (u - u.ln_1p()) - 1.0).abs() < 1e-12, "{u}");
        }
    }

    #[test]
    fn kl_is_infinite_where_one_variance_is_empty() {
        assert_eq!(kl(0.0, 0.0, 0.0), 0.0);
        assert_eq!(kl(1.0, 0.0, 0.0), f64::INFINITY);
        assert_eq!(kl(0.0, 1.0, 0.0), f64::INFINITY);
        assert_eq!(kl(0.0, 0.0, 1.0), f64::INFINITY);
    }
}
