//! A number from samples, and how far sampling may have moved it.

use serde::{Deserialize, Serialize};
use statrs::function::erf::erfc_inv;
use std::f64::consts::SQRT_2;

/// A measured value and its standard error, both finite.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The value, in the metric's own unit.
    pub value: f64,
    /// Standard deviation of `value` over repetitions of the sampling, in the same unit.
    pub stderr: f64,
}

impl Estimate {
    /// The mean of independent values; `stderr^2 = sum (v - mean)^2 / (n (n-1))`.
    ///
    /// # Errors
    /// [`Undefined::NotFinite`]; [`Undefined::TooFew`] below two values.
    pub fn mean(values: &[f64]) -> Result<Self, Undefined> {
        Undefined::check(values, 1, 2)?;
        let n = values.len() as f64;
        let value = mean(values);
        let squares = sum(values.iter().map(|v| (v - value).powi(2)));
        Estimate { value, stderr: (squares / (n * (n - 1.0))).sqrt() }.finite()
    }

    /// How many standard errors the value lies above `exact`. Infinite where there is a difference and no uncertainty.
    pub fn z(&self, exact: f64) -> f64 {
        let difference = self.value - exact;
        if difference == 0.0 { 0.0 } else { difference / self.stderr }
    }

    /// The interval that covers the truth with probability `coverage` (in `[0, 1)`) where the value is normal.
    pub fn interval(&self, coverage: f64) -> (f64, f64) {
        let half = SQRT_2 * erfc_inv(1.0 - coverage) * self.stderr;
        (self.value - half, self.value + half)
    }

    /// `self - other` for *independent* estimates. Where both came from the same random numbers this overstates the
    /// error: see [`super::paired::difference`] and [`super::weak::Weak::versus`].
    pub fn minus(&self, other: &Estimate) -> Estimate {
        Estimate { value: self.value - other.value, stderr: self.stderr.hypot(other.stderr) }
    }

    /// The root, by the delta method. Squares that fell below 0 by round-off count as 0.
    pub(super) fn sqrt(self) -> Self {
        let value = self.value.max(0.0).sqrt();
        let stderr = if value > 0.0 { 0.5 * self.stderr / value } else { self.stderr.sqrt() };
        Estimate { value, stderr }
    }

    /// Itself, or what it means that it overflowed.
    pub(super) fn finite(self) -> Result<Self, Undefined> {
        let fine = self.value.is_finite() && self.stderr.is_finite();
        if fine { Ok(self) } else { Err(Undefined::Overflow) }
    }
}

/// A distance that cannot be negative, and therefore is positive between any two samples, even of one law.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Distance {
    /// The distance between what was sampled: biased upwards by the floor.
    pub value: Estimate,
    /// The *sampling floor*: about what `value` is, at this size, for a sampler without error.
    pub floor: f64,
    /// `value^p - floor^p`, with the metric's own `p` (2, but 1 for W1): free of that bias, so of either sign, and what
    /// to compare solvers by. Zero within its error: nothing was seen.
    pub excess: Estimate,
}

/// Rows of equal length, borrowed: `n x dim` values, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Samples<'a> {
    dim: usize,
    values: &'a [f64],
}

impl<'a> Samples<'a> {
    /// Rows of length `dim`.
    ///
    /// # Panics
    /// If the values do not make whole rows.
    pub fn new(dim: usize, values: &'a [f64]) -> Self {
        assert!(dim > 0 && values.len().is_multiple_of(dim), "values must make whole rows");
        Samples { dim, values }
    }

    /// Coordinates of a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Row `i`.
    pub fn row(&self, i: usize) -> &'a [f64] {
        &self.values[i * self.dim..(i + 1) * self.dim]
    }

    /// The rows in order.
    pub fn rows(&self) -> impl Iterator<Item = &'a [f64]> {
        self.values.chunks_exact(self.dim)
    }

    /// Coordinate `k` of every row.
    pub fn column(&self, k: usize) -> Vec<f64> {
        self.rows().map(|row| row[k]).collect()
    }

    /// `<direction, row>` of every row.
    pub fn project(&self, direction: &[f64]) -> Vec<f64> {
        self.rows().map(|row| row.iter().zip(direction).map(|(x, d)| x * d).sum()).collect()
    }

    /// That there are enough rows, all finite.
    pub(super) fn check(&self, need: usize) -> Result<(), Undefined> {
        Undefined::check(self.values, self.dim, need)
    }
}

/// Why a metric has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undefined {
    /// Some samples diverged.
    #[error("diverged: {count} of {of} samples are not finite")]
    NotFinite {
        /// Samples with a coordinate (or a test function) that is infinite or not a number.
        count: u64,
        /// All samples.
        of: u64,
    },
    /// No standard error can be had from so few.
    #[error("{have} samples, or batches with a sample, where the metric needs {need}")]
    TooFew {
        /// How many there are.
        have: u64,
        /// How many it takes.
        need: u64,
    },
    /// The divergence is infinite.
    #[error("infinite: {count} of {of} samples lie where the exact density is 0")]
    Infinite {
        /// Samples outside the support of the exact law.
        count: u64,
        /// All samples.
        of: u64,
    },
    /// Finite samples, too far out to be squared.
    #[error("overflow: samples are finite, the metric is not")]
    Overflow,
}

impl Undefined {
    /// That there are at least `need` rows of `dim` values, all finite.
    pub(super) fn check(values: &[f64], dim: usize, need: usize) -> Result<(), Undefined> {
        let of = (values.len() / dim) as u64;
        let bad = |row: &&[f64]| !row.iter().all(|x| x.is_finite());
        let count = values.chunks_exact(dim).filter(bad).count() as u64;
        if count > 0 {
            return Err(Undefined::NotFinite { count, of });
        }
        if of < need as u64 { Err(Undefined::TooFew { have: of, need: need as u64 }) } else { Ok(()) }
    }
}

/// A sum with compensation (Neumaier 1974): error of an ulp or two of the sum of absolute values, for any length.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    pub(super) fn add(&mut self, v: f64) {
        let next = self.sum + v;
        self.lost += if self.sum.abs() >= v.abs() { (self.sum - next) + v } else { (v - next) + self.sum };
        self.sum = next;
    }

    pub(super) fn value(&self) -> f64 {
        // An infinite sum would make the compensation not a number.
        if self.lost.is_finite() { self.sum + self.lost } else { self.sum }
    }
}

/// The sum, with compensation.
pub(super) fn sum(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sum = Sum::default();
    values.into_iter().for_each(|v| sum.add(v));
    sum.value()
}

/// The mean, with compensation.
pub(super) fn mean(values: &[f64]) -> f64 {
    sum(values.iter().copied()) / values.len() as f64
}
