//! Orders of errors that are known to a standard error: a weighted line through their logarithms.

use super::{SPAN, TOLERANCE, Verdict};
use crate::metric::{Estimate, Test};
use crate::solver::Claim;

/// Errors of fewer standard errors than this may be nothing but noise.
const SEEN: f64 = 4.0;
/// A line that errors miss by more than chance would in one case of a hundred is not theirs.
const MISFIT: f64 = 0.01;
/// Orders known no better than this say nothing.
const VAGUE: f64 = 0.1;

/// What noisy errors say of the order.
#[derive(Clone, Debug, PartialEq)]
pub struct NoisyFit {
    /// Weighted slope of `-ln |error|` on `ln steps`.
    pub order: Option<f64>,
    /// Its standard error, from those of the errors.
    pub stderr: Option<f64>,
    /// Smallest and largest step count of the fit.
    pub window: Option<(usize, usize)>,
    /// Orders between neighbouring step counts that are above the noise.
    pub local: Vec<f64>,
    /// Whether the claim is borne out.
    pub verdict: Verdict,
    /// Why, in words.
    pub reason: String,
}

/// A line through the most of the finest errors that one describes: each at least four standard errors from 0, at
/// least three over a factor of 3 in steps. An error may have either sign.
pub fn fit(points: &[(usize, Estimate)], claim: &Claim) -> NoisyFit {
    let mut points: Vec<(usize, Estimate)> = points.to_vec();
    points.sort_by_key(|p| p.0);
    // Beyond the finest that is seen there is only noise; a dip before it is a change of sign.
    let seen: Vec<(usize, Estimate)> =
        points.iter().copied().filter(|(_, e)| e.value.abs() > SEEN * e.stderr).collect();
    let line = |p: &(usize, Estimate)| {
        let (n, e) = p;
        ((*n as f64).ln(), -e.value.abs().ln(), e.value.abs() / e.stderr.max(1e-12 * e.value.abs()))
    };
    let xyw: Vec<(f64, f64, f64)> = seen.iter().map(line).collect();
    let local: Vec<f64> = xyw.windows(2).map(|w| (w[1].1 - w[0].1) / (w[1].0 - w[0].0)).collect();
    let nothing = |reason: String| NoisyFit {
        order: None,
        stderr: None,
        window: None,
        local: local.clone(),
        verdict: Verdict::Inconclusive,
        reason,
    };
    let n = xyw.len();
    let wide = |from: usize| n - from >= 3 && xyw[n - 1].0 - xyw[from].0 >= SPAN.ln() - 1e-9;
    let Some(from) = (0..n).filter(|&from| wide(from)).find(|&from| misfit(&xyw[from..]) >= MISFIT) else {
        return nothing(match (0..n).any(wide) {
            true => "errors above the noise lie on no line: no settled order".into(),
            false => format!(
                "fewer than three errors above the noise, or over less than a factor of {SPAN} in steps"
            ),
        });
    };
    let (order, stderr, _) = weighted_line(&xyw[from..]);
    let window = (seen[from].0, seen[n - 1].0);
    let says =
        format!("measured {order:.3} (standard error {stderr:.1e}) from {} to {} steps", window.0, window.1);
    let (verdict, reason) = match claim {
        Claim::Order(claimed) => {
            let (a, b) = (xyw[n - 2], xyw[n - 1]);
            let last_stderr = (1.0 / a.2).hypot(1.0 / b.2) / (b.0 - a.0);
            let (off, last) = (order - claimed, local[n - 2] - claimed);
            // Before the limit, the slope of a window lags behind that of its end.
            let settled = last * off > 0.0 && last.abs() > TOLERANCE + 2.0 * last_stderr;
            if stderr > VAGUE {
                (Verdict::Inconclusive, format!("{says}: too vague"))
            } else if off.abs() <= TOLERANCE + 2.0 * stderr {
                (Verdict::Pass, format!("{says}: within the claimed {claimed}"))
            } else if off.abs() > TOLERANCE + 4.0 * stderr && settled {
                (Verdict::Fail, format!("{says}: the claimed {claimed} lies outside"))
            } else {
                (Verdict::Inconclusive, format!("{says}: the claimed {claimed} is not settled"))
            }
        }
        Claim::Exact => (Verdict::Fail, format!("claimed exact, but an error falls: {says}")),
        Claim::Floor => (Verdict::Inconclusive, format!("no order is claimed; {says}")),
    };
    NoisyFit { order: Some(order), stderr: Some(stderr), window: Some(window), local, verdict, reason }
}

/// Slope, its standard error and chi-square of the line through `(x, y, 1/error of y)`.
fn weighted_line(points: &[(f64, f64, f64)]) -> (f64, f64, f64) {
    let sum = |f: &dyn Fn(f64, f64) -> f64| points.iter().map(|p| p.2 * p.2 * f(p.0, p.1)).sum::<f64>();
    let weight = sum(&|_, _| 1.0);
    let (x0, y0) = (sum(&|x, _| x) / weight, sum(&|_, y| y) / weight);
    let sxx = sum(&|x, _| (x - x0).powi(2));
    let slope = sum(&|x, y| (x - x0) * (y - y0)) / sxx;
    (slope, sxx.powf(-0.5), sum(&|x, y| (y - y0 - slope * (x - x0)).powi(2)))
}

/// The probability of a worse fit by chance.
fn misfit(points: &[(f64, f64, f64)]) -> f64 {
    Test::chi_square(weighted_line(points).2, points.len() - 2).p_value
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `C N^-p` with relative noise of the given size, of alternating sign.
    fn errors(p: f64, noise: f64) -> Vec<(usize, Estimate)> {
        let one = |k: i32| {
            let (n, sign) = (8usize << k, if k % 2 == 0 { 1.0 } else { -1.0 });
            let value = 3.0 * (n as f64).powf(-p);
            (n, Estimate { value: value * (1.0 + 0.7 * sign * noise), stderr: noise * value })
        };
        (0..6).map(one).collect()
    }

    #[test]
    fn an_order_within_its_error_of_the_claim_passes_and_another_fails() {
        for noise in [1e-6, 0.01, 0.03] {
            let fit = fit(&errors(2.0, noise), &Claim::Order(2.0));
            assert!((fit.order.unwrap() - 2.0).abs() < 3.0 * fit.stderr.unwrap(), "{noise}");
            assert_eq!(fit.verdict, Verdict::Pass, "{noise}");
        }
        assert_eq!(fit(&errors(1.0, 0.01), &Claim::Order(2.0)).verdict, Verdict::Fail);
        assert_eq!(fit(&errors(1.8, 0.01), &Claim::Order(2.0)).verdict, Verdict::Fail);
    }

    #[test]
    fn noise_alone_concludes_nothing() {
        let noise: Vec<_> = (0..6).map(|k| (8 << k, Estimate { value: 1e-3, stderr: 1e-3 })).collect();
        let fit = fit(&noise, &Claim::Order(1.0));
        assert_eq!((fit.verdict, fit.order), (Verdict::Inconclusive, None));
    }

    #[test]
    fn coarse_errors_off_the_line_are_left_out() {
        let mut points = errors(1.0, 0.01);
        points[0].1.value *= 2.0;
        assert_eq!(fit(&points, &Claim::Order(1.0)).window, Some((16, 256)));
    }
}
