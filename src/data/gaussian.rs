//! Gaussian data: every marginal, score and exact flow in closed form, mode by mode.
//!
//! In the eigenbasis of the covariance the modes decouple: with data N(mu, c) a mode of `x_t` is
//! N(alpha mu, v), `v = alpha^2 c + sigma^2`. Everything below is per mode and in that basis.

use nalgebra::{DMatrix, DVector};

use crate::affine::Affine;
use crate::batch::{Batch, LANES, Lanes, Precision};
use crate::error::{BadInput, Result};
use crate::noise::{Purpose, White};
use crate::run::Denoiser;
use crate::schedule::Level;
use crate::state::{Space, State};

/// A Gaussian law: means and variances in an eigenbasis, and the basis where it is not the standard one.
///
/// ```
/// use scorebench::data::Gaussian;
/// let data = Gaussian::new(vec![0.0, 1.0], vec![1.0, 0.25])?;
/// assert_eq!(data.modes(), 2);
/// assert!(Gaussian::new(vec![0.0], vec![-1.0]).is_err());
/// # Ok::<(), scorebench::error::BadInput>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Gaussian {
    mean: Vec<f64>,
    variance: Vec<f64>,
    basis: Option<DMatrix<f64>>,
}

/// Mean and standard deviation of every mode of a law whose modes are independent.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// Means, one a mode.
    pub mean: Vec<f64>,
    /// Standard deviations, one a mode.
    pub std: Vec<f64>,
}

impl Gaussian {
    /// Independent coordinates N(mean_k, variance_k); zero variances are legal.
    ///
    /// # Errors
    /// Different lengths, no modes, or an entry that is negative or not finite.
    pub fn new(mean: Vec<f64>, variance: Vec<f64>) -> Result<Self> {
        if variance.is_empty() {
            return Err(BadInput::about("variance", "is empty", "give one variance a mode"));
        }
        if mean.len() != variance.len() {
            let (m, v) = (mean.len(), variance.len());
            return Err(BadInput::about(
                "mean",
                format!("has {m} entries where variance has {v}"),
                "give one of each a mode",
            ));
        }
        check_finite("mean", &mean)?;
        check_finite("variance", &variance)?;
        if let Some(k) = variance.iter().position(|c| *c < 0.0) {
            return Err(BadInput::new(
                &format!("variance[{k}]"),
                variance[k],
                "is negative",
                "give a value of at least 0",
            ));
        }
        Ok(Gaussian { mean, variance, basis: None })
    }

    /// N(mean, covariance) with a full covariance matrix, by its symmetric eigendecomposition.
    ///
    /// # Errors
    /// A matrix that is not square, symmetric and positive semi-definite; the entry or eigenvalue is named.
    pub fn from_covariance(mean: Vec<f64>, covariance: &[Vec<f64>]) -> Result<Self> {
        let d = covariance.len();
        if d == 0 || mean.len() != d {
            let m = mean.len();
            return Err(BadInput::about(
                "covariance",
                format!("has {d} rows where mean has {m} entries"),
                "give one row a coordinate",
            ));
        }
        check_finite("mean", &mean)?;
        let (basis, variance) = eigen(covariance)?;
        let mean = basis.transpose() * DVector::from_vec(mean);
        Ok(Gaussian { mean: mean.data.into(), variance, basis: Some(basis) })
    }

    /// Centred, with variances `k^-p`, `k = 1..=modes`: the spectrum of natural images is near `p = 1`.
    ///
    /// # Errors
    /// No modes, or an exponent that is not finite.
    pub fn power_law(modes: usize, p: f64) -> Result<Self> {
        if modes == 0 {
            return Err(BadInput::new("modes", modes, "is not positive", "give at least one mode"));
        }
        if !p.is_finite() {
            return Err(BadInput::new("p", p, "is not finite", "give an exponent such as 1.0"));
        }
        let variance: Vec<f64> = (1..=modes).map(|k| (k as f64).powf(-p)).collect();
        if variance[modes - 1].is_infinite() {
            return Err(BadInput::new("p", p, "makes infinite variances", "give an exponent such as 1.0"));
        }
        Gaussian::new(vec![0.0; modes], variance)
    }

    /// Number of modes.
    pub fn modes(&self) -> usize {
        self.mean.len()
    }

    /// Means in the eigenbasis.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Variances in the eigenbasis.
    pub fn variance(&self) -> &[f64] {
        &self.variance
    }

    /// The data law itself.
    pub fn moments(&self) -> Moments {
        Moments { mean: self.mean.clone(), std: self.variance.iter().map(|c| c.sqrt()).collect() }
    }

    /// The exact law of `x_t`: N(alpha mu, alpha^2 c + sigma^2) per mode.
    pub fn marginal(&self, at: &Level) -> Moments {
        Moments {
            mean: self.mean.iter().map(|m| at.alpha * m).collect(),
            std: self.variance.iter().map(|c| at.marginal_variance(*c).sqrt()).collect(),
        }
    }

    /// Carries the law `from` at level `t` exactly to level `s` by the member `l` of the family
    /// `dx = [f x - (1+l)/2 g^2 score] dt + sqrt(l) g dw`: the deviation from the marginal shrinks by
    /// `(v_s/v_t)^{(1+l)/2} (alpha_t/alpha_s)^l`, since `g^2/v dt = d ln v - 2 d ln alpha`.
    pub fn transport(&self, l: f64, t: &Level, s: &Level, from: &Moments) -> Moments {
        let (there, here) = (self.marginal(t), self.marginal(s));
        let drift = if l == 0.0 { 1.0 } else { (t.alpha / s.alpha).powf(l) };
        let (mut mean, mut std) = (here.mean, here.std);
        for k in 0..self.modes() {
            let gain = (std[k] / there.std[k]).powf(1.0 + l) * drift;
            mean[k] += gain * (from.mean[k] - there.mean[k]);
            // var - v_t as a product, so that a start at the marginal stays there to the last digit.
            let excess = (from.std[k] - there.std[k]) * (from.std[k] + there.std[k]);
            std[k] = (std[k] * std[k] + gain * gain * excess).max(0.0).sqrt();
        }
        Moments { mean, std }
    }

    /// Exact samples of `x_t` in the eigenbasis, numbered from `first`: the normals of a number are the same at every level.
    pub fn sample<R: Precision>(
        &self,
        at: &Level,
        seed: u64,
        purpose: Purpose,
        first: u64,
        len: usize,
    ) -> Batch<R> {
        let Moments { mean, std } = self.marginal(at);
        let z = White::of(seed, purpose).draw(&State(Batch::zeros(self.modes(), first, len)));
        z.0.per_mode(&std, &mean)
    }

    /// `ln p_t(x)` of every sample; infinite where a mode has no spread.
    pub fn log_density(&self, x: &Batch<f64>, at: &Level) -> Vec<f64> {
        let Moments { mean, std } = self.marginal(at);
        let one = |row: &[f64]| -> f64 {
            let mode = |((x, m), s): ((&f64, &f64), &f64)| ((x - m) / s).powi(2) + std::f64::consts::TAU.ln();
            -0.5 * row.iter().zip(&mean).zip(&std).map(mode).sum::<f64>()
                - std.iter().map(|s| s.ln()).sum::<f64>()
        };
        x.to_rows().chunks_exact(self.modes()).map(one).collect()
    }

    /// `Laplace ln p_t(x)`, the divergence of the score, of every sample: one coordinate, the same everywhere.
    pub fn score_divergence(&self, x: &Batch<f64>, at: &Level) -> Batch<f64> {
        let sum = self.variance.iter().map(|c| 1.0 / at.marginal_variance(*c)).sum::<f64>();
        Batch::zeros(1, x.first(), x.len()).map_blocks(|_, to| to[0] = [-sum; LANES])
    }

    /// The Jacobian of the score times `v`.
    pub fn score_jvp(&self, v: &Batch<f64>, at: &Level) -> Batch<f64> {
        let gain: Vec<f64> = self.variance.iter().map(|c| -1.0 / at.marginal_variance(*c)).collect();
        v.per_mode(&gain, &vec![0.0; gain.len()])
    }

    /// `E |x_t|^4` = `(|m|^2 + tr C)^2 + 2 tr C^2 + 4 m^T C m`.
    pub fn fourth_moment(&self, at: &Level) -> f64 {
        let Moments { mean, std } = self.marginal(at);
        let (mut square, mut rest) = (0.0, 0.0);
        for (m, s) in mean.iter().zip(&std) {
            let v = s * s;
            square += m * m + v;
            rest += 2.0 * v * v + 4.0 * m * m * v;
        }
        square * square + rest
    }

    /// Mean and covariance in the coordinates that the data was given in.
    pub fn in_given_coordinates(&self, law: &Moments) -> (DVector<f64>, DMatrix<f64>) {
        let mean = DVector::from_column_slice(&law.mean);
        let covariance =
            DMatrix::from_diagonal(&DVector::from_iterator(law.std.len(), law.std.iter().map(|s| s * s)));
        match &self.basis {
            None => (mean, covariance),
            Some(q) => (q * mean, q * covariance * q.transpose()),
        }
    }

    /// The modes `range` as a model on [`Affine`] states.
    pub fn slice(&self, range: std::ops::Range<usize>) -> Modes<'_> {
        Modes { mean: &self.mean[range.clone()], variance: &self.variance[range] }
    }
}

/// A few modes of a [`Gaussian`]: the exact model of the probe.
#[derive(Clone, Copy, Debug)]
pub struct Modes<'a> {
    mean: &'a [f64],
    variance: &'a [f64],
}

impl Modes<'_> {
    /// Gain and bias of `m(x) = gain (x - alpha mu) + offset mu`, with `gain` a function of (c, v).
    fn map<V: PerMode>(
        &self,
        x: &State<V>,
        at: &Level,
        offset: f64,
        gain: impl Fn(f64, f64) -> f64,
    ) -> State<V> {
        let gain: Vec<f64> = self.variance.iter().map(|&c| gain(c, at.marginal_variance(c))).collect();
        let bias: Vec<f64> = self.mean.iter().zip(&gain).map(|(m, g)| (offset - g * at.alpha) * m).collect();
        State(x.0.per_mode(&gain, &bias))
    }
}

/// A space on which `gain_j x_j + bias_j` can be computed in every mode `j`.
trait PerMode: Space {
    fn per_mode(&self, gain: &[f64], bias: &[f64]) -> Self;
}

impl PerMode for Affine {
    fn per_mode(&self, gain: &[f64], bias: &[f64]) -> Self {
        self.map(gain, bias)
    }
}

impl<R: Precision> PerMode for Batch<R> {
    fn per_mode(&self, gain: &[f64], bias: &[f64]) -> Self {
        self.map_blocks(
            #[inline(always)]
            |block: &[Lanes<R>], to: &mut [Lanes<R>]| {
                for (((to, x), g), b) in to.iter_mut().zip(block).zip(gain).zip(bias) {
                    let (g, b) = (R::from_f64(*g), R::from_f64(*b));
                    for i in 0..LANES {
                        to[i] = g.mul_add(x[i], b);
                    }
                }
            },
        )
    }
}

impl<V: PerMode> Denoiser<V> for Modes<'_> {
    fn denoise(&self, x: &State<V>, at: &Level) -> State<V> {
        // d = mu + (alpha c/v)(x - alpha mu); a point mass without noise is where it is.
        self.map(x, at, 1.0, |c, v| if v == 0.0 { 0.0 } else { at.alpha * c / v })
    }

    fn eps(&self, x: &State<V>, at: &Level) -> State<V> {
        self.map(x, at, 0.0, |_, v| at.sigma / v)
    }

    fn score(&self, x: &State<V>, at: &Level) -> State<V> {
        self.map(x, at, 0.0, |_, v| -1.0 / v)
    }

    fn flow(&self, x: &State<V>, t: &Level, s: &Level) -> Option<State<V>> {
        // x_s = alpha_s mu + sqrt(v_s/v_t) (x_t - alpha_t mu).
        let gain = |c: &f64| (s.marginal_variance(*c) / t.marginal_variance(*c)).sqrt();
        let gain: Vec<f64> = self.variance.iter().map(gain).collect();
        let bias: Vec<f64> = self.mean.iter().zip(&gain).map(|(m, g)| (s.alpha - g * t.alpha) * m).collect();
        Some(State(x.0.per_mode(&gain, &bias)))
    }

    fn posterior_noise(&self, z: &State<V>, t: &Level, s: &Level) -> Option<State<V>> {
        // Variance of x_s given x_t: b v_s/v_t, with b what the forward step adds (0 from an exactly known x_t).
        let b = t.variance_since(s);
        let gain: Vec<f64> =
            self.variance
                .iter()
                .map(|&c| {
                    if b == 0.0 { 0.0 } else { (b * s.marginal_variance(c) / t.marginal_variance(c)).sqrt() }
                })
                .collect();
        Some(State(z.0.per_mode(&gain, &vec![0.0; gain.len()])))
    }
}

impl<R: Precision> Denoiser<Batch<R>> for Gaussian {
    fn denoise(&self, x: &State<Batch<R>>, at: &Level) -> State<Batch<R>> {
        self.slice(0..self.modes()).denoise(x, at)
    }
    fn eps(&self, x: &State<Batch<R>>, at: &Level) -> State<Batch<R>> {
        self.slice(0..self.modes()).eps(x, at)
    }
    fn score(&self, x: &State<Batch<R>>, at: &Level) -> State<Batch<R>> {
        self.slice(0..self.modes()).score(x, at)
    }
    fn flow(&self, x: &State<Batch<R>>, t: &Level, s: &Level) -> Option<State<Batch<R>>> {
        self.slice(0..self.modes()).flow(x, t, s)
    }
    fn posterior_noise(&self, z: &State<Batch<R>>, t: &Level, s: &Level) -> Option<State<Batch<R>>> {
        self.slice(0..self.modes()).posterior_noise(z, t, s)
    }
}

/// Directions (as columns) and variances of a covariance matrix, by its symmetric eigendecomposition.
///
/// # Errors
/// A matrix that is not square, symmetric and positive semi-definite; the entry or eigenvalue is named.
pub(super) fn eigen(covariance: &[Vec<f64>]) -> Result<(DMatrix<f64>, Vec<f64>)> {
    let d = covariance.len();
    for (i, row) in covariance.iter().enumerate() {
        let name = format!("covariance[{i}]");
        if row.len() != d {
            return Err(BadInput::about(
                &name,
                format!("has {} entries in a matrix of {d} rows", row.len()),
                "give a square matrix",
            ));
        }
        check_finite(&name, row)?;
    }
    let size = covariance.iter().flatten().fold(0.0, |m: f64, x| m.max(x.abs()));
    for (i, row) in covariance.iter().enumerate() {
        for (j, &a) in row.iter().enumerate().take(i) {
            let b = covariance[j][i];
            if (a - b).abs() > 1e-12 * size {
                let why = format!("differs from its mirror image covariance[{j}][{i}] = {b:?}");
                return Err(BadInput::new(
                    &format!("covariance[{i}][{j}]"),
                    a,
                    why,
                    "give a symmetric matrix",
                ));
            }
        }
    }
    let matrix = DMatrix::from_fn(d, d, |i, j| 0.5 * covariance[i][j] + 0.5 * covariance[j][i]);
    let eigen = matrix.symmetric_eigen();
    // Round-off of the decomposition is a few ulps of the largest entry: that much below zero is zero.
    let least = eigen.eigenvalues.min();
    if least < -1e-12 * size * d as f64 {
        let why = format!("is not positive semi-definite: it has the eigenvalue {least:?}");
        return Err(BadInput::about("covariance", why, "give a covariance matrix"));
    }
    let variance = eigen.eigenvalues.iter().map(|c| c.max(0.0)).collect();
    Ok((eigen.eigenvectors, variance))
}

fn check_finite(name: &str, values: &[f64]) -> Result<()> {
    match values.iter().position(|x| !x.is_finite()) {
        Some(k) => {
            Err(BadInput::new(&format!("{name}[{k}]"), values[k], "is not finite", "give a finite number"))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_covariances_do_not_overflow() {
        let data = Gaussian::from_covariance(vec![0.0; 2], &[vec![1e308, 0.0], vec![0.0, 1e308]]);
        assert_eq!(data.expect("legal").variance(), [1e308, 1e308]);
    }
}
