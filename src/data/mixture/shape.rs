//! A mixture at a noise level, as tables that the kernel's sums run over.

use crate::batch::Aligned;
use crate::real::Real;
use crate::schedule::Level;

use super::{Component, Covariance, Mixture};

/// Which of the three forms of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::data) enum Form {
    Denoised,
    Eps,
    Score,
}

/// What depends on the kind of covariance. Tables are laid out as the sums over them run.
pub(super) enum Shape<R> {
    /// Isotropic or diagonal.
    Axes {
        /// `alpha mu_kj` at `[j][k]`.
        mean: Vec<R>,
        /// `-1/(2v)`: at `[k]`, or at `[j][k]`.
        half: Vec<R>,
        /// A row a component: `(b - alpha g) mu`, then its gains, one or one a coordinate.
        table: Vec<R>,
        /// The columns of the table, summed with the weights.
        sums: Aligned<R>,
    },
    /// Any other: everything at `[k]`, one number a coordinate or a direction.
    Full {
        /// `alpha mu`.
        mean: Vec<R>,
        /// `-1/(2v)`.
        half: Vec<R>,
        gain: Vec<R>,
        /// `b mu`.
        pull: Vec<R>,
        /// Coordinate `j` of direction `i` at `[k][j][i]`.
        into: Vec<R>,
        /// The same at `[k][i][j]`.
        back: Vec<R>,
        /// Deviations from a mean, and the same along the directions.
        off: Aligned<R>,
        turned: Aligned<R>,
    },
}

impl<R: Real> Shape<R> {
    pub(super) fn new(mixture: &Mixture, at: &Level, form: Form) -> Self {
        match mixture.kind() {
            Kind::Full => Shape::full(mixture, at, form),
            _ => Shape::axes(mixture, at, form),
        }
    }

    fn axes(mixture: &Mixture, at: &Level, form: Form) -> Self {
        let (dim, components) = (mixture.dim, &mixture.components);
        let per = components[0].covariance.variances().len();
        let count = components.len();
        let (mut mean, mut half) = (vec![R::ZERO; dim * count], vec![R::ZERO; per * count]);
        let mut table = Vec::with_capacity(count * (dim + per));
        let mut coefficients = Vec::with_capacity(per);
        for (k, Component { mean: mu, covariance, .. }) in components.iter().enumerate() {
            for (mean, mu) in mean[k..].iter_mut().step_by(count).zip(mu) {
                *mean = R::from_f64(at.alpha * mu);
            }
            for (half, c) in half[k..].iter_mut().step_by(count).zip(covariance.variances()) {
                *half = R::from_f64(-0.5 / variance::<R>(at, *c));
            }
            coefficients.clear();
            coefficients.extend(covariance.variances().iter().map(|c| gain_and_rest::<R>(at, form, *c)));
            match coefficients[..] {
                [(_, rest)] => table.extend(mu.iter().map(|mu| R::from_f64(rest * mu))),
                _ => table.extend(mu.iter().zip(&coefficients).map(|(mu, c)| R::from_f64(c.1 * mu))),
            }
            table.extend(coefficients.iter().map(|c| R::from_f64(c.0)));
        }
        Shape::Axes { mean, half, table, sums: Aligned::filled(dim + per, R::ZERO) }
    }

    fn full(mixture: &Mixture, at: &Level, form: Form) -> Self {
        let (dim, components) = (mixture.dim, &mixture.components);
        let means = |factor: f64| {
            let all = components.iter().flat_map(|c| &c.mean);
            all.map(|mu| R::from_f64(factor * mu)).collect()
        };
        let variances = |f: &dyn Fn(f64) -> f64| {
            let all = components.iter().flat_map(|c| c.covariance.variances());
            all.map(|c| R::from_f64(f(*c))).collect()
        };
        let bases: Vec<Vec<f64>> = components.iter().map(|c| c.covariance.basis(dim)).collect();
        let transposed =
            |u: &Vec<f64>| (0..dim * dim).map(|at| u[at % dim * dim + at / dim]).collect::<Vec<f64>>();
        Shape::Full {
            mean: means(at.alpha),
            half: variances(&|c| -0.5 / variance::<R>(at, c)),
            gain: variances(&|c| gain_and_rest::<R>(at, form, c).0),
            pull: means(if form == Form::Denoised { 1.0 } else { 0.0 }),
            into: bases.iter().flat_map(transposed).map(R::from_f64).collect(),
            back: bases.iter().flatten().map(|u| R::from_f64(*u)).collect(),
            off: Aligned::filled(dim, R::ZERO),
            turned: Aligned::filled(dim, R::ZERO),
        }
    }
}

/// What a component's variance is at a level, and divided by.
pub(super) fn variance<R: Real>(at: &Level, c: f64) -> f64 {
    at.marginal_variance(c).max(R::LEAST_VARIANCE.to_f64())
}

/// (gain, b - alpha g): the latter without cancellation, 1 - alpha^2 c/v = sigma^2/v.
fn gain_and_rest<R: Real>(at: &Level, form: Form, c: f64) -> (f64, f64) {
    let (v, least) = (variance::<R>(at, c), R::LEAST_VARIANCE.to_f64());
    match form {
        Form::Denoised => (at.alpha * c / v, (at.sigma * at.sigma).max(least) / v),
        Form::Eps => (at.sigma / v, -at.alpha * at.sigma / v),
        Form::Score => (-1.0 / v, at.alpha / v),
    }
}

/// The narrowest kind that holds all covariances of a mixture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Isotropic,
    Diagonal,
    Full,
}

impl Covariance {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Covariance::Isotropic(_) => Kind::Isotropic,
            Covariance::Diagonal(_) => Kind::Diagonal,
            Covariance::Full { .. } => Kind::Full,
        }
    }
}
