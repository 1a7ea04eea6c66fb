//! What is significant: p-values of z-scores and counts, and corrections for many of them.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// A test: its statistic, and the probability of one at least as extreme where the hypothesis holds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Test {
    /// The statistic.
    pub statistic: f64,
    /// In `[0, 1]`.
    pub p_value: f64,
}

impl Test {
    /// Of a standard normal, two-sided.
    pub fn normal(z: f64) -> Self {
        Test { statistic: z, p_value: 2.0 * super::wasserstein::normal_cdf(-z.abs()) }
    }

    /// Of a chi-square with this many degrees of freedom (at least 1), upper tail.
    pub fn chi_square(statistic: f64, freedom: usize) -> Self {
        // The constructor refuses only what is not positive.
        let tail = ChiSquared::new(freedom.max(1) as f64).map_or(f64::NAN, |law| law.sf(statistic));
        Test { statistic, p_value: tail }
    }

    /// Pearson's test that a fraction `observed[k]` of n samples fell where `expected[k]` were due (both sum to 1):
    /// `n sum (observed - expected)^2/expected`, one degree of freedom less than there are cells. A sample in a cell
    /// that has probability 0 rejects outright. Fractions may be sums of posterior probabilities instead of counts:
    /// these vary less (law of total variance), so that the test errs on the side of silence.
    ///
    /// # Panics
    /// If lengths differ.
    pub fn pearson(observed: &[f64], expected: &[f64], n: u64) -> Self {
        assert_eq!(observed.len(), expected.len(), "one expectation a cell");
        let term = |(o, e): (&f64, &f64)| if o == e { 0.0 } else { (o - e).powi(2) / e };
        let cells = expected.iter().filter(|e| **e > 0.0).count();
        let statistic = n as f64 * super::estimate::sum(observed.iter().zip(expected).map(term));
        Test::chi_square(statistic, cells.saturating_sub(1))
    }

    /// Whether z-scores that should be independent standard normals are: the sum of their squares is a chi-square, and
    /// here both of its tails count, as errors stated too small and too large are both wrong.
    pub fn calibration(z: &[f64]) -> Self {
        let upper = Test::chi_square(z.iter().map(|z| z * z).sum(), z.len());
        Test { p_value: 2.0 * upper.p_value.min(1.0 - upper.p_value), ..upper }
    }
}

/// p-values of m tests, each times m (Bonferroni): a rejection at a level is wrong with at most that probability in all.
/// What is not a number counts as no test.
pub fn bonferroni(p_values: &[f64]) -> Vec<f64> {
    let m = p_values.iter().filter(|p| !p.is_nan()).count() as f64;
    p_values.iter().map(|p| if p.is_nan() { *p } else { (p * m).min(1.0) }).collect()
}

/// The same guarantee with more power (Holm 1979): the k-th smallest times `m - k + 1`, made monotone; in the order given.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).filter(|&i| !p_values[i].is_nan()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let (m, mut adjusted, mut largest) = (order.len(), p_values.to_vec(), 0.0f64);
    for (k, &i) in order.iter().enumerate() {
        largest = largest.max(((m - k) as f64 * p_values[i]).min(1.0));
        adjusted[i] = largest;
    }
    adjusted
}
