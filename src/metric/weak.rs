//! Weak errors: differences of expectations of test functions, streaming. No sample is kept.
//!
//! `E x`, `Cov x`, `E|x|^4`, `P(|x - centre| > r)`, and the weights of a mixture's modes as means of posterior
//! probabilities `P(mode | x)`, whose expectation is the weight exactly, however much modes overlap (with a hard
//! assignment it is not). Errors are by batches: see [`Means`].
//!
//! ```
//! use scorebench::metric::{batches::Batches, weak::{Expected, TestFunctions, Weak}};
//! let batches = Batches::new(1000, Batches::DEFAULT);
//! let new = || Weak::new(TestFunctions { centre: vec![0.5], radii: vec![], modes: 0 }, batches);
//! let mut all = new();
//! for batch in 0..batches.count() {
//!     let mut one = new(); // on a thread of its own
//!     for i in batches.range(batch) {
//!         one.push(i, &[(i as f64 * 0.618).fract()], &[]);
//!     }
//!     all.merge(one);
//! }
//! let uniform = Expected { mean: vec![0.5], covariance: vec![1.0 / 12.0], fourth: 0.2, tails: vec![], modes: vec![] };
//! assert!(all.errors(&uniform)?.mean_error.value.value < 2e-3);
//! # Ok::<(), scorebench::metric::Undefined>(())
//! ```

use serde::Serialize;

use super::batches::{Batches, LeftOut, Means};
use super::estimate::{Distance, Estimate, Undefined};
use super::significance::Test;

/// Which functions of a sample of `centre.len()` coordinates.
#[derive(Clone, Debug, PartialEq)]
pub struct TestFunctions {
    /// About which second moments and tails are taken: the exact mean, so that little cancels.
    pub centre: Vec<f64>,
    /// Radii of the tails.
    pub radii: Vec<f64>,
    /// Modes whose weights are followed; 0 for none.
    pub modes: usize,
}

/// What the exact law says of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// `E x`, d numbers.
    pub mean: Vec<f64>,
    /// `Cov x`, d x d numbers, row-major.
    pub covariance: Vec<f64>,
    /// `E|x|^4`, about the origin; of `N(m, C)`: `(|m|^2 + tr C)^2 + 2 tr C^2 + 4 m'C m`.
    pub fourth: f64,
    /// `P(|x - centre| > r)`, one a radius, where it is known.
    pub tails: Vec<Option<f64>>,
    /// Weights of the modes.
    pub modes: Vec<f64>,
}

/// Errors of expectations: sampled less exact, or one run less another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WeakErrors {
    /// Samples behind it.
    pub samples: u64,
    /// Of the mean, by coordinate.
    pub mean: Vec<Estimate>,
    /// Of the variance, by coordinate, without bias.
    pub variance: Vec<Estimate>,
    /// l2 norm of the mean's error.
    pub mean_error: Distance,
    /// Frobenius norm of the covariance's error.
    pub cov_error: Distance,
    /// Of `E|x|^4`.
    pub fourth: Estimate,
    /// Of the tail probabilities, one a radius; `None` where the exact one is not known.
    pub tails: Vec<Option<Estimate>>,
    /// Of the weights of the modes.
    pub modes: Vec<Estimate>,
    /// Pearson's test of all weights at once, against exact ones where there are at least two.
    pub modes_test: Option<Test>,
}

/// A streaming, mergeable measurement of the test functions.
#[derive(Clone, Debug)]
pub struct Weak {
    functions: TestFunctions,
    means: Means,
    values: Vec<f64>,
}

impl Weak {
    /// Nothing pushed yet. Memory: some `1.5 d^2` numbers a batch.
    pub fn new(functions: TestFunctions, batches: Batches) -> Self {
        let width = functions.width();
        Weak { functions, means: Means::new(width, batches), values: vec![0.0; width] }
    }

    /// Adds a sample by its global index: its coordinates, and the posterior probability of each mode.
    ///
    /// # Panics
    /// If lengths are not those announced, or the index is beyond the samples announced.
    pub fn push(&mut self, index: u64, row: &[f64], posterior: &[f64]) {
        self.functions.evaluate(row, posterior, &mut self.values);
        self.means.push(index, &self.values);
    }

    /// Takes over the batches of `other`; bit-identical in any order if no batch is in both (see [`Means`]).
    ///
    /// # Panics
    /// If the two measure different things.
    pub fn merge(&mut self, other: Weak) {
        assert_eq!(self.functions, other.functions, "other test functions");
        self.means.merge(other.means);
    }

    /// Errors against the exact law. Tails get the binomial's standard error `sqrt(p(1-p)/n)` at
    /// `p = (count + 2)/(n + 4)` (Agresti & Coull 1998), which does not vanish where nothing was counted.
    ///
    /// # Errors
    /// [`Undefined::NotFinite`] where a sample (or the fourth power of its norm) is not finite;
    /// [`Undefined::TooFew`] where fewer than two batches have a sample.
    ///
    /// # Panics
    /// If lengths are not those announced.
    pub fn errors(&self, expected: &Expected) -> Result<WeakErrors, Undefined> {
        let own = self.means.left_out()?;
        let mut errors = self.functions.errors(&own.beside_exact(&self.functions.exact(expected)))?;
        let (tails, modes) = self.functions.shares();
        let n = own.samples;
        for ((error, share), known) in errors.tails.iter_mut().zip(&own.all[tails]).zip(&expected.tails) {
            *error = known.and(error.map(|e| Estimate { stderr: binomial(*share, n), ..e }));
        }
        for (error, share) in errors.modes.iter_mut().zip(&own.all[modes.clone()]) {
            if error.stderr == 0.0 {
                error.stderr = binomial(*share, n);
            }
        }
        let test = || Test::pearson(&own.all[modes.clone()], &expected.modes, n);
        errors.modes_test = (expected.modes.len() > 1).then(test);
        Ok(errors)
    }

    /// Expectations of this run less those of another, with the standard errors of the differences: where the two share
    /// random numbers sample by sample, most of the noise is gone.
    ///
    /// # Errors
    /// As [`Weak::errors`], of either.
    ///
    /// # Panics
    /// If the two measure different things, or on different batches.
    pub fn versus(&self, other: &Weak) -> Result<WeakErrors, Undefined> {
        assert_eq!(self.functions, other.functions, "other test functions");
        self.functions.errors(&self.means.left_out()?.beside(&other.means.left_out()?))
    }
}

/// Standard error of a fraction of n.
fn binomial(share: f64, n: u64) -> f64 {
    let n = n as f64;
    let p = (share * n + 2.0) / (n + 4.0);
    (p * (1.0 - p) / n).sqrt()
}

impl TestFunctions {
    /// `x - c` (d numbers); its products, upper triangle by rows; `|x|^4`; tails; modes.
    fn width(&self) -> usize {
        self.shares().1.end
    }

    fn fourth(&self) -> usize {
        let d = self.centre.len();
        d + d * (d + 1) / 2
    }

    /// Where the tails are, and the modes.
    fn shares(&self) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        let first = self.fourth() + 1;
        let between = first + self.radii.len();
        (first..between, between..between + self.modes)
    }

    fn evaluate(&self, row: &[f64], posterior: &[f64], out: &mut [f64]) {
        let d = self.centre.len();
        assert!(row.len() == d && posterior.len() == self.modes, "a sample of another shape");
        let (centred, rest) = out.split_at_mut(d);
        for ((to, x), c) in centred.iter_mut().zip(row).zip(&self.centre) {
            *to = x - c;
        }
        let mut rest = rest.iter_mut();
        for (i, a) in centred.iter().enumerate() {
            for b in &centred[i..] {
                *rest.next().expect("as wide as announced") = a * b;
            }
        }
        let square: f64 = row.iter().map(|x| x * x).sum();
        let about_centre: f64 = centred.iter().map(|x| x * x).sum();
        let tail = |r: &f64| f64::from(u8::from(about_centre > r * r));
        let values = [square * square].into_iter().chain(self.radii.iter().map(tail));
        rest.zip(values.chain(posterior.iter().copied())).for_each(|(to, v)| *to = v);
    }

    /// What the functions' means would be without error. Unknown tails become 0, and their errors `None` later.
    fn exact(&self, expected: &Expected) -> Vec<f64> {
        let d = self.centre.len();
        assert!(
            expected.mean.len() == d
                && expected.covariance.len() == d * d
                && expected.tails.len() == self.radii.len()
                && expected.modes.len() == self.modes,
            "expectations of other functions"
        );
        let shift: Vec<f64> = expected.mean.iter().zip(&self.centre).map(|(m, c)| m - c).collect();
        let second = |i: usize, j: usize| expected.covariance[i * d + j] + shift[i] * shift[j];
        let mut exact = shift.clone();
        exact.extend((0..d).flat_map(|i| (i..d).map(move |j| (i, j))).map(|(i, j)| second(i, j)));
        exact.push(expected.fourth);
        exact.extend(expected.tails.iter().map(|p| p.unwrap_or(0.0)));
        exact.extend(&expected.modes);
        exact
    }

    /// From the means of two sides, one beside the other.
    fn errors(&self, both: &LeftOut) -> Result<WeakErrors, Undefined> {
        let (d, width) = (self.centre.len(), self.width());
        let difference = |k: usize| both.jackknife(|m| m[k] - m[width + k]).estimate().finite();
        // Covariances from means and second moments, both about the centre.
        let covariance = |m: &[f64], k: usize, i: usize, j: usize| {
            (m[d + k] - m[i] * m[j]) - (m[width + d + k] - m[width + i] * m[width + j])
        };
        let triangle: Vec<(usize, usize)> = (0..d).flat_map(|i| (i..d).map(move |j| (i, j))).collect();
        let variance = |(k, &(i, j)): (usize, &(usize, usize))| {
            (i == j).then(|| both.jackknife(|m| covariance(m, k, i, i)).corrected().finite())
        };
        let mean = |m: &[f64]| (0..d).map(|k| m[k] - m[width + k]).collect();
        // Frobenius: what is off the diagonal counts twice.
        let cov = |m: &[f64]| {
            let entry = |(k, &(i, j)): (usize, &(usize, usize))| {
                let weight = if i == j { 1.0 } else { std::f64::consts::SQRT_2 };
                weight * covariance(m, k, i, j)
            };
            triangle.iter().enumerate().map(entry).collect()
        };
        let (tails, modes) = self.shares();
        Ok(WeakErrors {
            samples: both.samples,
            mean: (0..d).map(difference).collect::<Result<_, _>>()?,
            variance: triangle.iter().enumerate().filter_map(variance).collect::<Result<_, _>>()?,
            mean_error: both.norm(mean)?,
            cov_error: both.norm(cov)?,
            fourth: difference(self.fourth())?,
            tails: tails.map(|k| difference(k).map(Some)).collect::<Result<_, _>>()?,
            modes: modes.map(difference).collect::<Result<_, _>>()?,
            modes_test: None,
        })
    }
}
