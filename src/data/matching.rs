//! The Gaussian with the mean and the covariance of another law: what is left of a data set in second order.

use nalgebra::DMatrix;

use super::images::Images;
use super::preset::check_std;
use super::{CLEAN, Covariance, Data, Gaussian, Mixture};
use crate::error::{BadInput, Result};

/// Coordinates whose covariance matrix can be held and decomposed: a 32 x 32 image in colour has 3072.
const MOST_COORDINATES: usize = 4096;

/// Points that share a matrix product.
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
        check_dim(dim)?;
        let covariance = match data {
            Data::Mixture(mixture) => covariance(mixture),
            _ => data.covariance(&CLEAN),
        };
        from_matrix(data.mean(&CLEAN), &covariance)
    }

    /// The same of the finite data set of these images with N(0, std^2) about each, which need not fit into a mixture.
    ///
    /// # Errors
    /// More than 4096 coordinates, or a standard deviation below 0.
    pub fn of_images(images: &Images, std: f64) -> Result<Gaussian> {
        check_std("std", std)?;
        let dim = images.shape().numbers();
        check_dim(dim)?;
        let weight = 1.0 / images.len() as f64;
        let mut mean = vec![0.0; dim];
        for k in 0..images.len() {
            mean.iter_mut().zip(images.image(k)).for_each(|(m, x)| *m += weight * f64::from(*x));
        }
        let mut covariance = scatter(images.len(), &mean, |_| weight, |j, k| f64::from(images.image(k)[j]));
        (0..dim).for_each(|j| covariance[(j, j)] += std * std);
        from_matrix(mean, &covariance)
    }
}

fn check_dim(dim: usize) -> Result<()> {
    if dim <= MOST_COORDINATES {
        return Ok(());
    }
    let why = format!("has {dim} coordinates, too many for a covariance matrix");
    Err(BadInput::about("of", why, format!("give at most {MOST_COORDINATES}")))
}

fn from_matrix(mean: Vec<f64>, covariance: &DMatrix<f64>) -> Result<Gaussian> {
    let rows: Vec<Vec<f64>> = covariance.row_iter().map(|row| row.iter().copied().collect()).collect();
    Gaussian::from_covariance(mean, &rows)
}

/// [`Mixture::covariance`], with the means' part by matrix products.
fn covariance(mixture: &Mixture) -> DMatrix<f64> {
    let (dim, all) = (mixture.dim(), mixture.components());
    let mut sum = scatter(all.len(), &mixture.mean(), |k| all[k].weight, |j, k| all[k].mean[j]);
    let mut diagonal = vec![0.0; dim];
    for component in all {
        match &component.covariance {
            Covariance::Isotropic(c) => diagonal.iter_mut().for_each(|s| *s += component.weight * c),
            Covariance::Diagonal(c) => {
                diagonal.iter_mut().zip(c).for_each(|(s, c)| *s += component.weight * c);
            }
            full => sum += component.weight * full.matrix(dim),
        }
    }
    sum + DMatrix::from_diagonal(&diagonal.into())
}

/// `sum_k w_k (x_k - m)(x_k - m)^T` of `n` points with coordinates `at(j, k)`, by matrix products: data sets have many.
fn scatter(
    n: usize,
    mean: &[f64],
    weight: impl Fn(usize) -> f64,
    at: impl Fn(usize, usize) -> f64,
) -> DMatrix<f64> {
    let dim = mean.len();
    let mut sum = DMatrix::zeros(dim, dim);
    for first in (0..n).step_by(CHUNK) {
        let off = |j: usize, k: usize| weight(first + k).sqrt() * (at(j, first + k) - mean[j]);
        let off = DMatrix::from_fn(dim, CHUNK.min(n - first), off);
        sum.gemm(1.0, &off, &off.transpose(), 1.0);
    }
    sum
}
