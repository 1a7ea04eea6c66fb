//! What is known row by row: distances and differences of pairs from the same start, and KL from log densities.
//!
//! Slices here, streams through [`super::batches::Means`] of the same terms.

use super::estimate::{Estimate, Samples, Undefined, sum};

/// Root of the mean over rows of `|x_i - y_i|^2`, not divided by the dimension: the strong error of pairs that share
/// start and noise. Standard error by the delta method, `se(rmse^2)/(2 rmse)`.
///
/// # Errors
/// [`Undefined::NotFinite`]; [`Undefined::TooFew`] below two rows.
///
/// # Panics
/// If shapes differ.
pub fn rmse(x: Samples, y: Samples) -> Result<Estimate, Undefined> {
    assert_eq!((x.dim(), x.len()), (y.dim(), y.len()), "rows of pairs");
    x.check(2)?;
    y.check(2)?;
    let square = |(a, b): (&[f64], &[f64])| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
    Ok(mean_of_finite(x.rows().zip(y.rows()).map(square).collect())?.sqrt())
}

/// Median over rows of `|x_i - y_i|`: what a typical pair is apart, where a few far ones make up the mean square. Standard
/// error: half the distance between the order statistics one binomial standard deviation `sqrt(n)/2` to either side.
///
/// # Errors
/// [`Undefined::NotFinite`]; [`Undefined::TooFew`] below two rows.
///
/// # Panics
/// If shapes differ.
pub fn median(x: Samples, y: Samples) -> Result<Estimate, Undefined> {
    assert_eq!((x.dim(), x.len()), (y.dim(), y.len()), "pairs of another shape");
    x.check(2)?;
    y.check(2)?;
    let distance =
        |(a, b): (&[f64], &[f64])| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    let mut all: Vec<f64> = x.rows().zip(y.rows()).map(distance).collect();
    all.sort_by(f64::total_cmp);
    let (last, n) = (all.len() - 1, all.len() as f64);
    let at = |place: f64| all[(place.round().max(0.0) as usize).min(last)];
    let (middle, side) = (0.5 * (n - 1.0), 0.5 * n.sqrt());
    let value = 0.5 * (at(middle.floor()) + at(middle.ceil()));
    Estimate { value, stderr: 0.5 * (at(middle + side) - at(middle - side)) }.finite()
}

/// Mean over rows of `f_i - g_i`: by common random numbers known much better than either mean.
///
/// # Errors
/// [`Undefined::NotFinite`]; [`Undefined::TooFew`] below two rows.
///
/// # Panics
/// If lengths differ.
pub fn difference(f: &[f64], g: &[f64]) -> Result<Estimate, Undefined> {
    assert_eq!(f.len(), g.len(), "rows of pairs");
    Undefined::check(f, 1, 2)?;
    Undefined::check(g, 1, 2)?;
    mean_of_finite(f.iter().zip(g).map(|(f, g)| f - g).collect())
}

/// `KL(q || p)`, nats, from log densities at samples of `q`: the mean of `ln q - ln p`.
///
/// # Errors
/// [`Undefined::Infinite`] where `ln p` is minus infinity; [`Undefined::NotFinite`] for any other value that is not
/// finite; [`Undefined::TooFew`] below two.
///
/// # Panics
/// If lengths differ.
pub fn kl(ln_q: &[f64], ln_p: &[f64]) -> Result<Estimate, Undefined> {
    mean_of_finite(log_ratios(ln_q, ln_p)?)
}

/// `KL(q || p)` as the mean of `u - ln(1 + u)`, `u = p/q - 1`: the same expectation wherever `q > 0` on the support of
/// `p`, as `E_q[u] = 0`, but every term is at least 0 and of second order in the difference, so that a KL of 1e-8 is seen
/// through a thousand samples. Not for a `q` that misses or underrates a part of `p`: rare, huge terms.
///
/// # Errors
/// As [`kl`].
///
/// # Panics
/// If lengths differ.
pub fn kl_by_control_variate(ln_q: &[f64], ln_p: &[f64]) -> Result<Estimate, Undefined> {
    let term = |r: f64| {
        let u = (-r).exp_m1();
        // Further out u + r loses nothing, and 1 + u may have underflowed.
        if u.abs() < 0.05 { super::minus_ln_1p(u) } else { u + r }
    };
    mean_of_finite(log_ratios(ln_q, ln_p)?.into_iter().map(term).collect())
}

/// `ln q - ln p`.
fn log_ratios(ln_q: &[f64], ln_p: &[f64]) -> Result<Vec<f64>, Undefined> {
    assert_eq!(ln_q.len(), ln_p.len(), "log densities at the same samples");
    Undefined::check(ln_q, 1, 2)?;
    let count = ln_p.iter().filter(|p| **p == f64::NEG_INFINITY).count() as u64;
    if count > 0 {
        return Err(Undefined::Infinite { count, of: ln_p.len() as u64 });
    }
    Undefined::check(ln_p, 1, 2)?;
    Ok(ln_q.iter().zip(ln_p).map(|(q, p)| q - p).collect())
}

/// The mean of terms made from finite numbers: one that is not finite has overflowed.
fn mean_of_finite(terms: Vec<f64>) -> Result<Estimate, Undefined> {
    if sum(terms.iter().copied()).is_finite() { Estimate::mean(&terms) } else { Err(Undefined::Overflow) }
}
