//! Kolmogorov-Smirnov: the largest difference of distribution functions, and how likely a larger one is by chance.
//!
//! Samples must be independent of each other, and of the second sample where there is one: a p-value on pairs with
//! common random numbers means nothing.

use super::estimate::{Samples, Undefined};
use super::significance::Test;
use std::f64::consts::PI;

/// `sup |F_n - F|` of a sample against a continuous CDF.
///
/// # Errors
/// [`Undefined::NotFinite`]; [`Undefined::TooFew`] where there is no sample.
pub fn kolmogorov_smirnov(x: &[f64], cdf: impl Fn(f64) -> f64) -> Result<Test, Undefined> {
    let n = x.len() as f64;
    let gap = |(i, v): (usize, &f64)| {
        let f = cdf(*v);
        ((i + 1) as f64 / n - f).max(f - i as f64 / n)
    };
    let statistic = sorted(x)?.iter().enumerate().map(gap).fold(0.0, f64::max);
    Ok(Test { statistic, p_value: p_value(statistic, n) })
}

/// The same of every coordinate; `cdf(k, x)` is that of coordinate `k`. The smallest of d p-values is not a p-value: see
/// [`super::significance::holm`].
///
/// # Errors
/// As [`kolmogorov_smirnov`].
pub fn kolmogorov_smirnov_each(x: Samples, cdf: impl Fn(usize, f64) -> f64) -> Result<Vec<Test>, Undefined> {
    (0..x.dim()).map(|k| kolmogorov_smirnov(&x.column(k), |v| cdf(k, v))).collect()
}

/// `sup |F_n - G_m|` of two independent samples, with `n m/(n + m)` in the place of n.
///
/// # Errors
/// As [`kolmogorov_smirnov`], of either.
pub fn kolmogorov_smirnov_two(x: &[f64], y: &[f64]) -> Result<Test, Undefined> {
    let (n, m) = (x.len() as f64, y.len() as f64);
    let (x, y) = (sorted(x)?, sorted(y)?);
    let (mut i, mut j, mut statistic) = (0, 0, 0.0f64);
    while i < x.len() && j < y.len() {
        // Both pass a value that both have before they are compared.
        let at = x[i].min(y[j]);
        while i < x.len() && x[i] <= at {
            i += 1;
        }
        while j < y.len() && y[j] <= at {
            j += 1;
        }
        statistic = statistic.max((i as f64 / n - j as f64 / m).abs());
    }
    Ok(Test { statistic, p_value: p_value(statistic, n * m / (n + m)) })
}

fn sorted(x: &[f64]) -> Result<Vec<f64>, Undefined> {
    Undefined::check(x, 1, 1)?;
    let mut x = x.to_vec();
    x.sort_unstable_by(f64::total_cmp);
    Ok(x)
}

/// Kolmogorov's limit at `(sqrt n + 0.12 + 0.11/sqrt n) D` (Stephens 1970): within 0.01 of the exact
/// probability from n = 4 on.
fn p_value(statistic: f64, n: f64) -> f64 {
    survival((n.sqrt() + 0.12 + 0.11 / n.sqrt()) * statistic)
}

/// `2 sum_k (-1)^(k-1) exp(-2 k^2 l^2)`, and below 1.18, where that converges slowly, 1 less its theta transform
/// `sqrt(2 pi)/l sum_k exp(-(2k-1)^2 pi^2/(8 l^2))` (Kolmogorov 1933).
fn survival(l: f64) -> f64 {
    if l < 0.05 {
        return 1.0;
    }
    if l < 1.18 {
        let term = |k: i32| (-f64::from((2 * k - 1).pow(2)) * PI * PI / (8.0 * l * l)).exp();
        return 1.0 - (2.0 * PI).sqrt() / l * (1..=4).map(term).sum::<f64>();
    }
    let term = |k: i32| f64::from(1 - 2 * ((k + 1) % 2)) * (-2.0 * f64::from(k * k) * l * l).exp();
    (2.0 * (1..=6).map(term).sum::<f64>()).clamp(0.0, 1.0)
}
