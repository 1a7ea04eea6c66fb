//! The Gaussian with the mean and the covariance of another law: what is left of a data set in second order.

use nalgebra::DMatrix;

use super::{CLEAN, Covariance, Data, Gaussian, Mixture};
use crate::error::{BadInput, Result};

/// Coordinates whose covariance matrix can be held and decomposed: a 32 x 32 image in colour has 3072.
const MOST_COORDINATES: usize = 4096;

/// Components that share a matrix product.
const CHUNK: usize = 1024;

impl Gaussian {
    /// N(mean, covariance) of the clean data, in the eigenbasis of its covariance; a Gaussian is itself.
    ///
    /// # Errors
    /// More than 4096 coordinates.
    pub fn matching(data: &Data) -> Result<Gaussian> {
        if let Some(gaussian) = data.gaussian() {
            return Ok(gaussian.clone());
        }
        let dim = data.dim();
        if dim > MOST_COORDINATES {
            let why = format!("has {dim} coordinates, too many for a covariance matrix");
            return Err(BadInput::about("of", why, format!("give at most {MOST_COORDINATES}")));
        }
        let covariance = match data {
            Data::Mixture(mixture) => covariance(mixture),
            _ => data.covariance(&CLEAN),
        };
        let rows: Vec<Vec<f64>> = covariance.row_iter().map(|row| row.iter().copied().collect()).collect();
        Gaussian::from_covariance(data.mean(&CLEAN), &rows)
    }
}

/// [`Mixture::covariance`] by matrix products: data sets have many components.
fn covariance(mixture: &Mixture) -> DMatrix<f64> {
    let (dim, mean) = (mixture.dim(), mixture.mean());
    let (mut sum, mut diagonal) = (DMatrix::zeros(dim, dim), vec![0.0; dim]);
    for some in mixture.components().chunks(CHUNK) {
        let off = |j: usize, k: usize| some[k].weight.sqrt() * (some[k].mean[j] - mean[j]);
        let off = DMatrix::from_fn(dim, some.len(), off);
        sum.gemm(1.0, &off, &off.transpose(), 1.0);
        for component in some {
            match &component.covariance {
                Covariance::Isotropic(c) => diagonal.iter_mut().for_each(|s| *s += component.weight * c),
                Covariance::Diagonal(c) => {
                    diagonal.iter_mut().zip(c).for_each(|(s, c)| *s += component.weight * c);
                }
                full => sum += component.weight * full.matrix(dim),
            }
        }
    }
    sum + DMatrix::from_diagonal(&diagonal.into())
}
