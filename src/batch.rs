//! Host batches: samples as rows, for Monte-Carlo runs and for models that are not affine.

use crate::run::Recorded;
use crate::solver::registry::{Erased, RunOn};
use crate::state::Space;

/// `rows x dim` values, row-major. `first` is the global index of row 0, so that the noise of a sample does
/// not depend on how samples are cut into batches.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    dim: usize,
    first: u64,
    values: Vec<f64>,
}

impl Batch {
    /// Rows of length `dim`, numbered from 0.
    ///
    /// # Panics
    /// If the values do not make whole rows.
    pub fn from_rows(dim: usize, values: Vec<f64>) -> Self {
        assert!(dim > 0 && values.len().is_multiple_of(dim), "values must make whole rows");
        Batch { dim, first: 0, values }
    }

    /// The same rows, numbered from `first`.
    pub fn numbered(mut self, first: u64) -> Self {
        self.first = first;
        self
    }

    /// Values, row after row.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Coordinates of a sample.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The samples, each with its global index.
    pub fn rows(&self) -> impl Iterator<Item = (u64, &[f64])> {
        self.values.chunks_exact(self.dim).enumerate().map(|(i, row)| (self.first + i as u64, row))
    }

    /// A batch of the same shape and numbering, row `i` filled by `fill(i, input row, output row)`.
    pub fn map_rows(&self, mut fill: impl FnMut(u64, &[f64], &mut [f64])) -> Self {
        let mut out = Batch { dim: self.dim, first: self.first, values: vec![0.0; self.values.len()] };
        for ((i, row), to) in self.rows().zip(out.values.chunks_exact_mut(self.dim)) {
            fill(i, row, to);
        }
        out
    }
}

impl Space for Batch {
    fn combine(terms: &[(f64, &Self)]) -> Self {
        let (c, v) = terms[0];
        assert!(
            terms.iter().all(|(_, w)| (w.values.len(), w.dim, w.first) == (v.values.len(), v.dim, v.first)),
            "batches of different shapes were combined"
        );
        let mut values: Vec<f64> = match terms.get(1) {
            None => v.values.iter().map(|x| c * x).collect(),
            Some((d, w)) => v.values.iter().zip(&w.values).map(|(x, y)| c * x + d * y).collect(),
        };
        for (c, v) in terms.iter().skip(2) {
            for (sum, x) in values.iter_mut().zip(&v.values) {
                *sum += c * x;
            }
        }
        Batch { dim: v.dim, first: v.first, values }
    }

    fn rms(&self, _: &Recorded) -> f64 {
        (self.values.iter().map(|x| x * x).sum::<f64>() / self.values.len() as f64).sqrt()
    }

    fn erased(solver: &dyn Erased) -> &dyn RunOn<Self> {
        solver
    }
}
