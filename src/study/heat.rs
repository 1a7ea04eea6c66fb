//! What the studies of the heat equation share: a density on the line, cells of an interval, and cosine series, which
//! diagonalise the Laplacian with reflecting ends.

use std::f64::consts::PI;

use serde::Deserialize;

use crate::batch::Batch;
use crate::data::mixture::{Covariance, Mixture};
use crate::error::{BadInput, Result};
use crate::schedule::Level;

/// A mixture of Gaussians on the line. By default it is skew, so that no odd cumulant vanishes.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct LineMixture {
    /// Of the components; divided by their sum.
    pub weights: Vec<f64>,
    /// One a component.
    pub means: Vec<f64>,
    /// Standard deviations, one a component, above 0.
    pub stds: Vec<f64>,
}

impl Default for LineMixture {
    fn default() -> Self {
        LineMixture { weights: vec![0.3, 0.7], means: vec![-1.0, 1.0], stds: vec![0.4, 0.6] }
    }
}

impl LineMixture {
    /// The law.
    ///
    /// # Errors
    /// Lists of different lengths, components without spread, or numbers that are none.
    pub fn law(&self) -> Result<Mixture> {
        let n = self.means.len();
        for (key, list) in [("weights", &self.weights), ("stds", &self.stds)] {
            if list.len() != n {
                let why = format!("has {} entries for {n} means", list.len());
                return Err(BadInput::about(key, why, "give one a component"));
            }
        }
        let bad = |s: &&f64| !(s.is_finite() && (1e-3..=1e3).contains(*s));
        if let Some(s) = self.stds.iter().find(bad) {
            return Err(BadInput::new("stds", s, "is out of range", "give numbers from 1e-3 to 1e3"));
        }
        if let Some(m) = self.means.iter().find(|m| !(-1e3..=1e3).contains(*m)) {
            return Err(BadInput::new("means", m, "is out of range", "give numbers from -1e3 to 1e3"));
        }
        let part = |k: usize| {
            (self.weights[k], vec![self.means[k]], Covariance::Isotropic(self.stds[k] * self.stds[k]))
        };
        Mixture::new((0..n).map(part).collect())
    }

    /// Cosine coefficients, as [`Cosines`] has them, of the density after time `t`, in closed form: each component's
    /// `w e^{-xi^2 (s^2 + t)/2} cos(xi (m + half_width))`. They keep their digits where a transform of values would leave
    /// nothing but round-off.
    pub fn spectrum(&self, cells: &Cells, t: f64) -> Vec<f64> {
        let total: f64 = self.weights.iter().sum();
        let one = |(k, xi): (usize, f64)| -> f64 {
            let parts = self.weights.iter().zip(&self.means).zip(&self.stds);
            let part = |((w, m), s): ((&f64, &f64), &f64)| {
                w / total * gain(xi, s * s + t) * (xi * (m + cells.half_width)).cos()
            };
            cells.scale(k) * parts.map(part).sum::<f64>()
        };
        cells.frequencies().into_iter().enumerate().map(one).collect()
    }

    /// How far from 0 the law at time `t` of `dx = dw` reaches: nine standard deviations beyond every mean.
    pub fn reach(&self, t: f64) -> f64 {
        let end = |(m, s): (&f64, &f64)| m.abs() + 9.0 * (s * s + t).sqrt();
        self.means.iter().zip(&self.stds).map(end).fold(0.0, f64::max)
    }

    /// The narrowest component, whose spectrum reaches farthest: (weight, standard deviation).
    pub fn narrowest(&self) -> (f64, f64) {
        let total: f64 = self.weights.iter().sum();
        let parts = self.weights.iter().map(|w| w / total).zip(self.stds.iter().copied());
        parts.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((1.0, 1.0))
    }
}

/// Time `t` of `dx = dw`: `alpha = 1`, `sigma^2 = t`.
pub fn brownian(t: f64) -> Level {
    Level { t, alpha: 1.0, sigma: t.sqrt(), f: 0.0, g2: 1.0 }
}

/// The density of `x_t` at every point.
pub fn density(law: &Mixture, at: &Level, x: &[f64]) -> Vec<f64> {
    law.log_density(&Batch::from_rows(1, x.to_vec()), at).into_iter().map(f64::exp).collect()
}

/// `[-half_width, half_width]` in equal cells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cells {
    /// Half of the interval.
    pub half_width: f64,
    /// How many.
    pub count: usize,
}

impl Cells {
    /// Their width.
    pub fn width(&self) -> f64 {
        2.0 * self.half_width / self.count as f64
    }

    /// Their centres.
    pub fn centres(&self) -> Vec<f64> {
        (0..self.count).map(|i| (i as f64 + 0.5) * self.width() - self.half_width).collect()
    }

    /// What the integral of a density times `cos(xi_k (x + half_width))` is multiplied by to be a coefficient of
    /// [`Cosines`].
    pub fn scale(&self, k: usize) -> f64 {
        let modes = if k == 0 { 1.0 } else { 2.0 };
        (modes / self.count as f64).sqrt() / self.width()
    }

    /// The angular frequency of every mode, `xi_k = pi k/(2 half_width)`.
    pub fn frequencies(&self) -> Vec<f64> {
        (0..self.count).map(|k| PI * k as f64 / (2.0 * self.half_width)).collect()
    }
}

/// The orthonormal cosine transform of `n` cell values (DCT-II): `c_k = sqrt(2/n) sum_i v_i cos(pi k (i + 1/2)/n)`, with
/// `sqrt(1/n)` for `k = 0`.
#[derive(Clone, Debug)]
pub struct Cosines {
    n: usize,
    rows: Vec<f64>,
}

impl Cosines {
    /// For `n` values.
    pub fn new(n: usize) -> Self {
        let entry = |k: usize, i: usize| {
            // The angle is reduced in whole numbers: cos has no digits to lose.
            let turn = (k * (2 * i + 1)) % (4 * n);
            let scale = if k == 0 { 1.0 } else { 2.0 };
            (scale / n as f64).sqrt() * (PI * turn as f64 / (2 * n) as f64).cos()
        };
        let rows = (0..n).flat_map(|k| (0..n).map(move |i| (k, i))).map(|(k, i)| entry(k, i)).collect();
        Cosines { n, rows }
    }

    /// Mode `k`, a value a cell, of norm 1.
    pub fn mode(&self, k: usize) -> &[f64] {
        &self.rows[k * self.n..(k + 1) * self.n]
    }

    /// Coefficients of values.
    pub fn analyse(&self, values: &[f64]) -> Vec<f64> {
        (0..self.n).map(|k| self.mode(k).iter().zip(values).map(|(c, v)| c * v).sum()).collect()
    }

    /// Values from coefficients.
    pub fn synthesise(&self, coefficients: &[f64]) -> Vec<f64> {
        let mut values = vec![0.0; self.n];
        for (k, c) in coefficients.iter().enumerate() {
            values.iter_mut().zip(self.mode(k)).for_each(|(v, m)| *v += c * m);
        }
        values
    }

    /// Coefficients of a square image, row after row.
    pub fn analyse_image(&self, pixels: &[f64]) -> Vec<f64> {
        self.both_ways(pixels, |line| self.analyse(line))
    }

    /// A square image from its coefficients.
    pub fn synthesise_image(&self, coefficients: &[f64]) -> Vec<f64> {
        self.both_ways(coefficients, |line| self.synthesise(line))
    }

    fn both_ways(&self, square: &[f64], one: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
        let turned = |square: &[f64]| -> Vec<f64> {
            let at = |j: usize, i: usize| square[i * self.n + j];
            (0..self.n).flat_map(|j| (0..self.n).map(move |i| (j, i))).map(|(j, i)| at(j, i)).collect()
        };
        let lines = |square: &[f64]| -> Vec<f64> { square.chunks_exact(self.n).flat_map(&one).collect() };
        turned(&lines(&turned(&lines(square))))
    }
}

/// `exp(-xi^2 t/2)`: what the heat semigroup of `dx = dw` leaves of a frequency.
pub fn gain(xi: f64, t: f64) -> f64 {
    (-0.5 * xi * xi * t).exp()
}

/// Root of the sum of squares.
pub fn norm(v: impl IntoIterator<Item = f64>) -> f64 {
    v.into_iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// `count` numbers from `from` to `to` with equal ratios.
pub fn geometric(from: f64, to: f64, count: usize) -> Vec<f64> {
    let at = |i: usize| from * (to / from).powf(i as f64 / (count - 1).max(1) as f64);
    (0..count).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosines_are_orthonormal_and_images_come_back() {
        let cosines = Cosines::new(8);
        let image: Vec<f64> = (0..64).map(|i| (i as f64 * 0.618).fract()).collect();
        let modes = cosines.analyse_image(&image);
        assert!((norm(modes.clone()) - norm(image.clone())).abs() < 1e-14);
        for (a, b) in cosines.synthesise_image(&modes).iter().zip(&image) {
            assert!((a - b).abs() < 1e-14);
        }
        // The second line of modes is the second mode down the columns.
        let stripes: Vec<f64> = (0..64).map(|i| cosines.mode(1)[i / 8]).collect();
        assert!((cosines.analyse_image(&stripes)[8] - 8f64.sqrt()).abs() < 1e-14);
    }

    #[test]
    fn a_spectral_heat_step_is_the_convolution() {
        let (data, cells) = (LineMixture::default(), Cells { half_width: 12.0, count: 192 });
        let (law, x, cosines) = (data.law().unwrap(), cells.centres(), Cosines::new(192));
        let modes = cosines.analyse(&density(&law, &brownian(0.0), &x));
        let damped: Vec<f64> =
            modes.iter().zip(cells.frequencies()).map(|(c, xi)| c * gain(xi, 0.5)).collect();
        for (a, b) in cosines.synthesise(&damped).iter().zip(density(&law, &brownian(0.5), &x)) {
            assert!((a - b).abs() < 1e-14);
        }
        for (a, b) in damped.iter().zip(data.spectrum(&cells, 0.5)) {
            assert!((a - b).abs() < 1e-14);
        }
    }

    #[test]
    fn mixtures_that_are_none_are_refused() {
        let data = LineMixture::default();
        for bad in [
            LineMixture { stds: vec![0.4], ..data.clone() },
            LineMixture { stds: vec![0.4, 0.0], ..data.clone() },
            LineMixture { means: vec![f64::NAN, 1.0], ..data.clone() },
            LineMixture { weights: vec![1.0, -1.0], ..data.clone() },
            LineMixture { weights: vec![], means: vec![], stds: vec![] },
        ] {
            assert!(bad.law().is_err(), "{bad:?}");
        }
    }
}
