//! Mixtures by name: laws with a shape, in a handful of parameters.
//!
//! ```
//! use scorebench::data::preset::{Ring, Span};
//! let ring = Ring { std: Span { first: 0.1, last: 0.3 }, ..Ring::default() }.mixture()?;
//! assert_eq!((ring.components().len(), ring.dim()), (8, 2));
//! # Ok::<(), scorebench::error::BadInput>(())
//! ```

use std::f64::consts::TAU;
use std::fmt;

use nalgebra::DMatrix;
use rand::RngExt;
use rand_distr::StandardNormal;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Covariance, Mixture};
use crate::error::{BadInput, Result};
use crate::noise::{Purpose, generator};

/// Equal modes on a circle in the plane, at the angles `2 pi k / modes`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ring {
    /// Number of modes.
    pub modes: usize,
    /// Radius of the circle.
    pub radius: f64,
    /// Standard deviation of a mode in every direction, linear in `k`.
    pub std: Span,
}

impl Default for Ring {
    /// Eight modes of standard deviation 0.1 at radius 2.
    fn default() -> Self {
        Ring { modes: 8, radius: 2.0, std: Span::of(0.1) }
    }
}

impl Ring {
    /// The law.
    ///
    /// # Errors
    /// No modes, more than memory holds, or a number that is not finite (or a negative spread).
    pub fn mixture(&self) -> Result<Mixture> {
        check_size(("modes", self.modes), self.modes, 2)?;
        check_finite("radius", self.radius)?;
        self.std.check("std")?;
        let mode = |k: usize| {
            let angle = TAU * k as f64 / self.modes as f64;
            let mean = vec![self.radius * angle.cos(), self.radius * angle.sin()];
            (1.0, mean, Covariance::Isotropic(self.std.at(k, self.modes).powi(2)))
        };
        Mixture::new((0..self.modes).map(mode).collect())
    }
}

/// Equal modes on a square lattice in the plane, centred at the origin, the second coordinate running fastest.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lattice {
    /// Modes along a side.
    pub side: usize,
    /// Distance between neighbours.
    pub spacing: f64,
    /// Standard deviation of every mode in every direction.
    pub std: f64,
}

impl Default for Lattice {
    /// Five by five, at distance 2, of standard deviation 0.05.
    fn default() -> Self {
        Lattice { side: 5, spacing: 2.0, std: 0.05 }
    }
}

impl Lattice {
    /// The law.
    ///
    /// # Errors
    /// As [`Ring::mixture`].
    pub fn mixture(&self) -> Result<Mixture> {
        let modes = self.side.saturating_mul(self.side);
        check_size(("side", self.side), modes, 2)?;
        check_finite("spacing", self.spacing)?;
        check_std("std", self.std)?;
        let place = |i: usize| self.spacing * (i as f64 - 0.5 * (self.side - 1) as f64);
        let mode = |k: usize| {
            let mean = vec![place(k / self.side), place(k % self.side)];
            (1.0, mean, Covariance::Isotropic(self.std * self.std))
        };
        Mixture::new((0..modes).map(mode).collect())
    }
}

/// Four modes in the plane, far apart and of unequal weight: weights 0.1, 0.2, 0.3, 0.4 at (0, 0), (0, 11), (9, 9),
/// (11, 0), with correlated coordinates (He, Rojas & Tao 2024, "Zeroth-order sampling methods for non-log-concave
/// distributions", arXiv:2402.17886; covariances from the file `2d_gmm.yaml` of its program).
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FourModes {
    /// Standard deviation of every mode in every direction, instead of the paper's covariances.
    pub std: Option<f64>,
}

impl FourModes {
    /// The law.
    ///
    /// # Errors
    /// A standard deviation that is negative or not finite.
    pub fn mixture(&self) -> Result<Mixture> {
        const MEANS: [[f64; 2]; 4] = [[0.0, 0.0], [0.0, 11.0], [9.0, 9.0], [11.0, 0.0]];
        // Variance of either coordinate, and their covariance.
        const PAPER: [(f64, f64); 4] = [(1.0, 0.5), (0.3, -0.2), (1.0, 0.3), (1.2, -1.0)];
        self.std.map_or(Ok(()), |std| check_std("std", std))?;
        let mode = |k: usize| {
            let (c, rho) = PAPER[k];
            let covariance = match self.std {
                Some(std) => Covariance::Isotropic(std * std),
                None => Covariance::full(&[vec![c, rho], vec![rho, c]])?,
            };
            Ok((0.1 * (k + 1) as f64, MEANS[k].to_vec(), covariance))
        };
        Mixture::new((0..4).map(mode).collect::<Result<_>>()?)
    }
}

/// A funnel: a chain of modes that grows wider along the first coordinate, as in Neal's (2003, "Slice sampling", sec. 8):
/// `v ~ N(0, std^2)`, and every other coordinate `N(0, e^v)` given `v`.
///
/// Here `v` is a mixture itself: means `v_k` evenly from `-3 std` to `3 std` at distance `h`, variances `h^2`, weights
/// proportional to `exp(-v_k^2 / (2 (std^2 - h^2)))`; and the other coordinates of mode `k` are `N(0, e^(v_k))`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Funnel {
    /// Number of modes, at least 8 (fewer are too far apart to add up to a Gaussian).
    pub modes: usize,
    /// Coordinates, at least 2.
    pub dim: usize,
    /// Standard deviation of the first coordinate (Neal's is 3).
    pub std: f64,
}

impl Default for Funnel {
    /// Thirteen modes in the plane, with `v` of standard deviation 1: the other coordinate's goes from 0.2 to 4.5.
    fn default() -> Self {
        Funnel { modes: 13, dim: 2, std: 1.0 }
    }
}

impl Funnel {
    /// The law.
    ///
    /// # Errors
    /// Fewer than 8 modes or 2 coordinates, more than memory holds, or a standard deviation that is not above 0 and at
    /// most 100.
    pub fn mixture(&self) -> Result<Mixture> {
        if self.modes < 8 {
            return Err(BadInput::new("modes", self.modes, "is too few for a funnel", "give at least 8"));
        }
        if self.dim < 2 {
            return Err(BadInput::new("dim", self.dim, "is too few for a funnel", "give at least 2"));
        }
        let largest = if self.dim > self.modes { ("dim", self.dim) } else { ("modes", self.modes) };
        check_size(largest, self.modes, self.dim.saturating_mul(2))?;
        // Up to e^300: squares of variances are still numbers.
        if !(self.std > 0.0 && self.std <= 100.0) {
            let fix = "give a number above 0 and at most 100";
            return Err(BadInput::new("std", self.std, "makes no funnel", fix));
        }
        let h = 6.0 * self.std / (self.modes - 1) as f64;
        let mode = |k: usize| {
            let v = h * (k as f64 - 0.5 * (self.modes - 1) as f64);
            let weight = (-0.5 * v * v / (self.std * self.std - h * h)).exp();
            let (mut mean, mut variance) = (vec![0.0; self.dim], vec![v.exp(); self.dim]);
            (mean[0], variance[0]) = (v, h * h);
            (weight, mean, Covariance::Diagonal(variance))
        };
        Mixture::new((0..self.modes).map(mode).collect())
    }
}

/// Two unequal modes on the line: 0.3 of N(-1, 0.2^2) and 0.7 of N(1.5, 0.4^2). Its quantiles, and with them the exact
/// probability flow, are one root away.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwoMode {}

impl TwoMode {
    /// The law.
    ///
    /// # Errors
    /// None.
    pub fn mixture(&self) -> Result<Mixture> {
        Mixture::new(vec![
            (0.3, vec![-1.0], Covariance::Isotropic(0.2 * 0.2)),
            (0.7, vec![1.5], Covariance::Isotropic(0.4 * 0.4)),
        ])
    }
}

/// Equal modes at random places, the same for the same seed; further modes leave the first ones where they are.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomMixture {
    /// Number of modes.
    pub modes: usize,
    /// Coordinates.
    pub dim: usize,
    /// Where the random numbers start.
    pub seed: u64,
    /// Means are N(0, spread^2) in every coordinate.
    pub spread: f64,
    /// Standard deviations are uniform between these.
    pub std: Span,
    /// Shape of the modes.
    pub covariance: Shape,
}

/// Shape of random modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// One standard deviation a mode.
    Isotropic,
    /// One a coordinate.
    Diagonal,
    /// A Wishart matrix of `2 dim` degrees of freedom, scaled so that its mean is the variance of the mode.
    Full,
}

impl Default for RandomMixture {
    /// Ten round modes of standard deviation 0.5 in the plane, spread by 2.
    fn default() -> Self {
        let (std, covariance) = (Span::of(0.5), Shape::Isotropic);
        RandomMixture { modes: 10, dim: 2, seed: 0, spread: 2.0, std, covariance }
    }
}

impl RandomMixture {
    /// The law.
    ///
    /// # Errors
    /// As [`Ring::mixture`].
    pub fn mixture(&self) -> Result<Mixture> {
        if self.dim == 0 {
            return Err(BadInput::new("dim", 0, "is no space", "give at least 1"));
        }
        let numbers = match self.covariance {
            Shape::Isotropic => self.dim,
            Shape::Diagonal => self.dim.saturating_mul(2),
            Shape::Full => self.dim.saturating_mul(self.dim.saturating_add(2)),
        };
        let largest = if numbers > self.modes { ("dim", self.dim) } else { ("modes", self.modes) };
        check_size(largest, self.modes, numbers)?;
        check_std("spread", self.spread)?;
        self.std.check("std")?;
        Mixture::new((0..self.modes).map(|k| self.mode(k)).collect::<Result<_>>()?)
    }

    fn mode(&self, k: usize) -> Result<(f64, Vec<f64>, Covariance)> {
        let mut random = generator(self.seed, Purpose::Other, k as u64);
        let mean = (0..self.dim).map(|_| self.spread * random.sample::<f64, _>(StandardNormal)).collect();
        let mut variance =
            || (self.std.first + (self.std.last - self.std.first) * random.random::<f64>()).powi(2);
        let covariance = match self.covariance {
            Shape::Isotropic => Covariance::Isotropic(variance()),
            Shape::Diagonal => Covariance::Diagonal((0..self.dim).map(|_| variance()).collect()),
            Shape::Full => {
                let (d, degrees) = (self.dim, 2 * self.dim);
                let scale = variance() / degrees as f64;
                let a = DMatrix::<f64>::from_fn(d, degrees, |_, _| random.sample(StandardNormal));
                let wishart = &a * a.transpose();
                let row = |i| (0..d).map(|j| scale * wishart[(i, j)]).collect();
                Covariance::full(&(0..d).map(row).collect::<Vec<_>>())?
            }
        };
        Ok((1.0, mean, covariance))
    }
}

/// One number for all, or the first and the last of a range; in TOML a number or `[first, last]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// The first.
    pub first: f64,
    /// The last.
    pub last: f64,
}

impl Span {
    /// The same number everywhere.
    pub fn of(x: f64) -> Self {
        Span { first: x, last: x }
    }

    /// The `k`-th of `n` evenly spaced numbers.
    fn at(&self, k: usize, n: usize) -> f64 {
        if n < 2 {
            return self.first;
        }
        self.first + (self.last - self.first) * k as f64 / (n - 1) as f64
    }

    fn check(&self, key: &str) -> Result<()> {
        check_std(key, self.first).and_then(|()| check_std(key, self.last))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        from.deserialize_any(SpanVisitor)
    }
}

struct SpanVisitor;

impl<'de> Visitor<'de> for SpanVisitor {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or [first, last]")
    }
    fn visit_f64<E>(self, x: f64) -> std::result::Result<Span, E> {
        Ok(Span::of(x))
    }
    fn visit_i64<E>(self, x: i64) -> std::result::Result<Span, E> {
        Ok(Span::of(x as f64))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Span, A::Error> {
        let wrong = |n| serde::de::Error::invalid_length(n, &self);
        let first = list.next_element()?.ok_or_else(|| wrong(0))?;
        let last = list.next_element()?.ok_or_else(|| wrong(1))?;
        match list.next_element::<f64>()? {
            None => Ok(Span { first, last }),
            Some(_) => Err(wrong(3)),
        }
    }
}

/// Numbers that a law may hold: with the copies that a score makes of them, 1 to 2 GB.
pub(super) const MOST_NUMBERS: usize = 50_000_000;

/// Whether memory holds so many modes of so many numbers each; what a mode needs besides is as much as sixteen of them.
pub(crate) fn fits(modes: usize, numbers: usize) -> bool {
    modes.saturating_mul(numbers.saturating_add(16)) <= MOST_NUMBERS
}

/// Refuses laws of no modes and those that do not fit; the key and the value to complain of come first.
fn check_size((key, value): (&str, usize), modes: usize, numbers: usize) -> Result<()> {
    if modes == 0 {
        return Err(BadInput::new(key, value, "makes no mode", "give at least 1"));
    }
    if !fits(modes, numbers) {
        let fix = format!("stay below {MOST_NUMBERS} numbers in all");
        return Err(BadInput::new(key, value, "is too many to hold", fix));
    }
    Ok(())
}

fn check_finite(key: &str, x: f64) -> Result<()> {
    if x.is_finite() {
        return Ok(());
    }
    Err(BadInput::new(key, x, "is not finite", "give a finite number"))
}

/// A standard deviation whose square is a number.
pub(crate) fn check_std(key: &str, std: f64) -> Result<()> {
    if std >= 0.0 && (std * std).is_finite() {
        return Ok(());
    }
    Err(BadInput::new(key, std, "is no standard deviation", "give a number of at least 0, such as 0.1"))
}
