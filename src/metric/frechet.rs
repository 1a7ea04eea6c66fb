//! Squared Frechet distance between the Gaussians with the means and covariances of two laws:
//! `|m - m'|^2 + tr(C + C' - 2 (C C')^(1/2))`, the square of their `W2` (Dowson & Landau 1982), which is what is reported as
//! FID where rows are features of a network (Heusel et al. 2017, eq. 6). Not the root.
//!
//! Of finite samples it is too large: between two of one law by the *sampling floor*, of order `d^2/n` where variances are
//! alike (Chong & Forsyth 2020). [`frechet_above_floor`] measures it on a control sample and takes it off.
//!
//! ```
//! use scorebench::metric::{Samples, frechet::frechet};
//! let x: Vec<f64> = (0..400).map(|i| (i as f64 * 0.618).fract()).collect();
//! let y: Vec<f64> = x.iter().map(|x| x + 2.0).collect();
//! let d = frechet(Samples::new(2, &x), Samples::new(2, &y))?;
//! assert!((d.value - 8.0).abs() < 1e-9);
//! # Ok::<(), scorebench::metric::Undefined>(())
//! ```

use nalgebra::{DMatrix, DVector, SymmetricEigen};

use super::estimate::{Distance, Estimate, Samples, Undefined};
use super::wasserstein::stderr;
use crate::parallel;

/// Rows that share a matrix product.
const CHUNK: usize = 512;

/// A mean, and the root of a covariance.
#[derive(Clone, Debug)]
pub struct Fit {
    mean: DVector<f64>,
    covariance: DMatrix<f64>,
    root: DMatrix<f64>,
    /// The root's inverse, 0 where the covariance is.
    inverse: DMatrix<f64>,
}

impl Fit {
    /// Of a law whose mean (d numbers) and covariance (d x d, symmetric, eigenvalues of at least 0) are known.
    ///
    /// # Errors
    /// [`Undefined::Overflow`] for numbers that are not finite.
    ///
    /// # Panics
    /// If sizes differ.
    pub fn exact(mean: &[f64], covariance: DMatrix<f64>) -> Result<Self, Undefined> {
        let mean = DVector::from_row_slice(mean);
        assert!(covariance.is_square() && covariance.nrows() == mean.len(), "d, and d x d numbers");
        if !mean.iter().chain(covariance.iter()).all(|v| v.is_finite()) {
            return Err(Undefined::Overflow);
        }
        let (root, inverse) = roots(covariance.clone());
        Ok(Fit { mean, covariance, root, inverse })
    }

    /// To a sample: its mean, and its covariance over `n - 1`.
    ///
    /// # Errors
    /// [`Undefined::NotFinite`]; [`Undefined::TooFew`] below two rows; [`Undefined::Overflow`].
    pub fn of(x: Samples) -> Result<Self, Undefined> {
        x.check(2)?;
        let (mean, covariance) = moments(x);
        Fit::exact(mean.as_slice(), covariance)
    }
}

/// Between two samples; pairs of rows where the sizes are equal, as in [`super::wasserstein::wasserstein`].
///
/// # Errors
/// As [`Fit::of`].
///
/// # Panics
/// If dimensions differ.
pub fn frechet(x: Samples, y: Samples) -> Result<Estimate, Undefined> {
    let to = Fit::of(y)?;
    let between = Between::of(x, &to)?;
    let effect = between.of_other(y, &to);
    Estimate { value: between.value, stderr: stderr(&[&between.effect, &effect]) }.finite()
}

/// From a sample to a law whose moments are known: no sampling error but the sample's own.
///
/// # Errors
/// As [`Fit::of`].
///
/// # Panics
/// If dimensions differ.
pub fn frechet_to(x: Samples, law: &Fit) -> Result<Estimate, Undefined> {
    let between = Between::of(x, law)?;
    Estimate { value: between.value, stderr: stderr(&[&between.effect]) }.finite()
}

/// Between `x` and an exact sample `reference`, above the floor that `control` has: an exact sample as large as `x`. All
/// three are independent, but that rows of `x` and `control` are pairs (common random numbers) where their sizes are equal.
/// `value` and `floor` are squared distances, and `excess` is their difference.
///
/// The bias that is left is the difference between the floors of the two laws: small where they are near. With another
/// solver's sample as `control` the excess is the difference between the two solvers.
///
/// # Errors
/// As [`Fit::of`].
///
/// # Panics
/// If dimensions differ.
pub fn frechet_above_floor(x: Samples, control: Samples, reference: Samples) -> Result<Distance, Undefined> {
    let to = Fit::of(reference)?;
    let (one, floor) = (Between::of(x, &to)?, Between::of(control, &to)?);
    let (effect, of_floor) = (one.of_other(reference, &to), floor.of_other(reference, &to));
    let difference: Vec<f64> = effect.iter().zip(&of_floor).map(|(a, b)| a - b).collect();
    one.above(&floor, &effect, &difference)
}

/// The same to a law whose moments are known, of which `control` is a sample as large as `x`.
///
/// # Errors
/// As [`Fit::of`].
///
/// # Panics
/// If dimensions differ.
pub fn frechet_to_above_floor(x: Samples, control: Samples, law: &Fit) -> Result<Distance, Undefined> {
    Between::of(x, law)?.above(&Between::of(control, law)?, &[], &[])
}

/// The squared distance from a sample to a fit, and the effect of each row on it.
///
/// With `R` the root of the fit's covariance and `S = (R C R)^(1/2)`, the map that carries the sample's Gaussian to the
/// fit's has the matrix `T = R S^-1 R`, and its inverse is `R^-1 S R^-1`. The distance has the gradient `I - T` in C and
/// `I - T^-1` in the fit's covariance (Bhatia, Jain & Lim 2019, "On the Bures-Wasserstein distance between positive
/// definite matrices"), and `+-2 (m - m')` in the means. So a row has the effect `2 <m - m', x - m> + <x - m, (I - T)(x - m)>`,
/// less the mean of that over rows. Inverses are 0 where roots are: there no row is, either.
struct Between {
    value: f64,
    effect: Vec<f64>,
    /// `m - m'`.
    shift: DVector<f64>,
    /// `S`.
    middle: DMatrix<f64>,
}

impl Between {
    fn of(x: Samples, to: &Fit) -> Result<Self, Undefined> {
        x.check(2)?;
        assert_eq!(x.dim(), to.mean.len(), "two samples of one dimension");
        let (mean, covariance) = moments(x);
        let product = symmetric(&to.root * &covariance * &to.root);
        if !product.iter().all(|v| v.is_finite()) {
            return Err(Undefined::Overflow);
        }
        let (middle, inverse) = roots(product);
        let shift = &mean - &to.mean;
        let value = shift.norm_squared() + covariance.trace() + to.covariance.trace() - 2.0 * middle.trace();
        let gradient = DMatrix::identity(x.dim(), x.dim()) - symmetric(&to.root * inverse * &to.root);
        let effect = effects(x, &mean, &(2.0 * &shift), &gradient);
        // Round-off may leave less than nothing.
        Ok(Between { value: value.max(0.0), effect, shift, middle })
    }

    /// Of the rows of the sample that the fit is to.
    fn of_other(&self, y: Samples, to: &Fit) -> Vec<f64> {
        let map = symmetric(&to.inverse * &self.middle * &to.inverse);
        effects(y, &to.mean, &(-2.0 * &self.shift), &(DMatrix::identity(y.dim(), y.dim()) - map))
    }

    fn above(&self, floor: &Between, other: &[f64], difference: &[f64]) -> Result<Distance, Undefined> {
        let minus: Vec<f64> = floor.effect.iter().map(|f| -f).collect();
        let value = Estimate { value: self.value, stderr: stderr(&[&self.effect, other]) };
        let excess =
            Estimate { value: self.value - floor.value, stderr: stderr(&[&self.effect, &minus, difference]) };
        Ok(Distance { value: value.finite()?, floor: floor.value, excess: excess.finite()? })
    }
}

/// `<linear, x - m> + <x - m, quadratic (x - m)>` of every row.
fn effects(x: Samples, mean: &DVector<f64>, linear: &DVector<f64>, quadratic: &DMatrix<f64>) -> Vec<f64> {
    // Of the covariance over n - 1.
    let quadratic = quadratic * (x.len() as f64 / (x.len() as f64 - 1.0));
    let effect = |first: &usize| -> Vec<f64> {
        let off = centred(x, mean, *first);
        let bent = &quadratic * &off;
        let one =
            |(a, b): (nalgebra::DVectorView<f64>, nalgebra::DVectorView<f64>)| linear.dot(&a) + a.dot(&b);
        off.column_iter().zip(bent.column_iter()).map(one).collect()
    };
    parallel::map(&(0..x.len()).step_by(CHUNK).collect::<Vec<_>>(), effect).concat()
}

/// Mean, and covariance over `n - 1`.
fn moments(x: Samples) -> (DVector<f64>, DMatrix<f64>) {
    let (n, d) = (x.len(), x.dim());
    let mut mean = DVector::zeros(d);
    for row in x.rows() {
        mean.iter_mut().zip(row).for_each(|(m, v)| *m += v);
    }
    mean /= n as f64;
    let mut covariance = DMatrix::zeros(d, d);
    for first in (0..n).step_by(CHUNK) {
        let off = centred(x, &mean, first);
        covariance.gemm(1.0 / (n as f64 - 1.0), &off, &off.transpose(), 1.0);
    }
    (mean, symmetric(covariance))
}

/// Rows from `first` on less the mean, one a column.
fn centred(x: Samples, mean: &DVector<f64>, first: usize) -> DMatrix<f64> {
    DMatrix::from_fn(x.dim(), CHUNK.min(x.len() - first), |j, i| x.row(first + i)[j] - mean[j])
}

fn symmetric(a: DMatrix<f64>) -> DMatrix<f64> {
    0.5 * (&a + a.transpose())
}

/// The root of a matrix without negative eigenvalues, and the root's inverse. Eigenvalues within round-off of 0 are 0: their
/// roots would be far from it.
fn roots(a: DMatrix<f64>) -> (DMatrix<f64>, DMatrix<f64>) {
    let d = a.nrows() as f64;
    let SymmetricEigen { eigenvectors: basis, eigenvalues } = a.symmetric_eigen();
    let least = d * f64::EPSILON * eigenvalues.amax();
    let root = |v: f64| if v > least { v.sqrt() } else { 0.0 };
    let with = |f: &dyn Fn(f64) -> f64| {
        let mut scaled = basis.clone();
        scaled.column_iter_mut().zip(&eigenvalues).for_each(|(mut column, v)| column *= f(*v));
        symmetric(scaled * basis.transpose())
    };
    let inverse = |v: f64| if v > least { 1.0 / v.sqrt() } else { 0.0 };
    (with(&root), with(&inverse))
}
