//! Laws of the data whose noised score is known in closed form.
//!
//! A [`Gaussian`] has an affine score: a sampler's output law is exact. A [`Mixture`], whose limit is a finite data set,
//! has any shape: its samplers are measured by Monte Carlo. A [`Product`] of mixtures on the line has an exact flow too.

use nalgebra::DMatrix;

use crate::batch::{Batch, Precision};
use crate::metric::wasserstein::normal_cdf;
use crate::noise::Purpose;
use crate::run::Denoiser;
use crate::schedule::Level;

pub mod classifier;
pub mod digits;
pub mod empirical;
pub mod gaussian;
pub mod images;
mod matching;
pub mod mixture;
pub mod perturb;
pub mod preset;
pub mod product;

pub use gaussian::{Gaussian, Modes, Moments};
pub use mixture::{Covariance, Mixture};
pub use perturb::Perturbation;
pub use product::Product;

/// A law of the data.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// One Gaussian, in its eigenbasis.
    Gaussian(Gaussian),
    /// Several.
    Mixture(Mixture),
    /// A mixture in every coordinate, independent of the others.
    Product(Product),
}

impl Data {
    /// Coordinates.
    pub fn dim(&self) -> usize {
        match self {
            Data::Gaussian(data) => data.modes(),
            Data::Mixture(data) => data.dim(),
            Data::Product(data) => data.dim(),
        }
    }

    /// The Gaussian, where it is one: what exact laws are for.
    pub fn gaussian(&self) -> Option<&Gaussian> {
        match self {
            Data::Gaussian(data) => Some(data),
            Data::Mixture(_) | Data::Product(_) => None,
        }
    }

    /// The mixture, where it is one.
    pub fn mixture(&self) -> Option<&Mixture> {
        match self {
            Data::Mixture(data) => Some(data),
            Data::Gaussian(_) | Data::Product(_) => None,
        }
    }

    /// All that it is made of, for content keys: different laws have different bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let (kind, parts): (u64, Vec<Vec<u8>>) = match self {
            Data::Gaussian(data) => {
                let bytes = |list: &[f64]| list.iter().flat_map(|x| x.to_le_bytes()).collect();
                (0, vec![bytes(data.mean()), bytes(data.variance())])
            }
            Data::Mixture(data) => (1, vec![data.bytes()]),
            Data::Product(data) => (2, data.factors().iter().map(Mixture::bytes).collect()),
        };
        // Lengths keep neighbouring parts from running into each other.
        let each = |part: Vec<u8>| [&(part.len() as u64).to_le_bytes()[..], &part].concat();
        kind.to_le_bytes().into_iter().chain(parts.into_iter().flat_map(each)).collect()
    }

    /// Distribution function of coordinate `k` of `x_t`, as a function of (k, x).
    pub fn coordinate_cdf(&self, at: &Level) -> Box<dyn Fn(usize, f64) -> f64> {
        match self {
            Data::Gaussian(data) => {
                let law = data.marginal(at);
                Box::new(move |k, x| normal_cdf((x - law.mean[k]) / law.std[k]))
            }
            Data::Mixture(data) => Box::new(data.marginal(at).coordinate_cdf()),
            Data::Product(data) => {
                let factors: Vec<_> =
                    data.factors().iter().map(|f| f.marginal(at).coordinate_cdf()).collect();
                Box::new(move |k, x| factors[k](0, x))
            }
        }
    }

    /// The exact model of batches.
    pub fn model<R: Precision>(&self) -> &dyn Denoiser<Batch<R>> {
        match self {
            Data::Gaussian(data) => data,
            Data::Mixture(data) => data,
            Data::Product(data) => data,
        }
    }

    /// Exact samples of `x_t`, numbered from `first`: see [`Mixture::sample`].
    pub fn sample<R: Precision>(
        &self,
        at: &Level,
        seed: u64,
        purpose: Purpose,
        first: u64,
        len: usize,
    ) -> Batch<R> {
        match self {
            Data::Gaussian(data) => data.sample(at, seed, purpose, first, len),
            Data::Mixture(data) => data.sample(at, seed, purpose, first, len),
            Data::Product(data) => data.sample(at, seed, purpose, first, len),
        }
    }

    /// `ln p_t(x)` of every sample, nats.
    pub fn log_density(&self, x: &Batch<f64>, at: &Level) -> Vec<f64> {
        match self {
            Data::Gaussian(data) => data.log_density(x, at),
            Data::Mixture(data) => data.log_density(x, at),
            Data::Product(data) => data.log_density(x, at),
        }
    }

    /// `Laplace ln p_t(x)`, the divergence of the score, of every sample: one coordinate.
    pub fn score_divergence(&self, x: &Batch<f64>, at: &Level) -> Batch<f64> {
        match self {
            Data::Gaussian(data) => data.score_divergence(x, at),
            Data::Mixture(data) => data.score_divergence(x, at),
            Data::Product(data) => data.score_divergence(x, at),
        }
    }

    /// The Jacobian of the score at `x` times `v`, of the same shape.
    pub fn score_jvp(&self, x: &Batch<f64>, v: &Batch<f64>, at: &Level) -> Batch<f64> {
        match self {
            Data::Gaussian(data) => data.score_jvp(v, at),
            Data::Mixture(data) => data.score_jvp(x, v, at),
            Data::Product(data) => data.score_jvp(x, v, at),
        }
    }

    /// Mean of `x_t`, one number a coordinate.
    pub fn mean(&self, at: &Level) -> Vec<f64> {
        match self {
            Data::Gaussian(data) => data.marginal(at).mean,
            Data::Mixture(data) => data.marginal(at).mean(),
            Data::Product(data) => data.mean(at),
        }
    }

    /// Covariance matrix of `x_t`.
    pub fn covariance(&self, at: &Level) -> DMatrix<f64> {
        match self {
            Data::Gaussian(data) => {
                let variance: Vec<f64> = data.marginal(at).std.iter().map(|s| s * s).collect();
                DMatrix::from_diagonal(&variance.into())
            }
            Data::Mixture(data) => data.marginal(at).covariance(),
            Data::Product(data) => DMatrix::from_diagonal(&data.variance(at).into()),
        }
    }

    /// `E |x_t|^2`.
    pub fn second_moment(&self, at: &Level) -> f64 {
        match self {
            Data::Gaussian(data) => {
                let law = data.marginal(at);
                law.mean.iter().chain(&law.std).map(|x| x * x).sum()
            }
            Data::Mixture(data) => data.marginal(at).second_moment(),
            Data::Product(data) => data.second_moment(at),
        }
    }

    /// `E |x_t|^4`.
    pub fn fourth_moment(&self, at: &Level) -> f64 {
        match self {
            Data::Gaussian(data) => data.fourth_moment(at),
            Data::Mixture(data) => data.marginal(at).fourth_moment(),
            Data::Product(data) => data.fourth_moment(at),
        }
    }
}

/// Names as written in an experiment, each with a one-line description.
pub const LIST: &[(&str, &str)] = &[
    (
        "gaussian",
        "N(mean, variance) per mode; or a full covariance; or spectrum = \"file.csv\", one variance a line; or of = DATA, with the mean and covariance of that",
    ),
    ("power-law", "centred, variances k^-p for k = 1..modes"),
    ("mixture", "of Gaussians: weights, means, and std, variances or covariances"),
    ("ring", "modes = 8 on a circle of radius = 2, std = 0.1 or [first, last]"),
    ("grid", "side = 5 squared modes in the plane, spacing = 2, std = 0.05"),
    ("four-modes", "weights 0.1, 0.2, 0.3, 0.4 at (0, 0), (0, 11), (9, 9), (11, 0), correlated; or std"),
    ("funnel", "modes = 13 that widen along the first of dim = 2 coordinates, itself N(0, std = 1)"),
    ("two-mode", "on the line: 0.3 N(-1, 0.2^2) + 0.7 N(1.5, 0.4^2)"),
    (
        "random-mixture",
        "modes = 10 in dim = 2 at N(0, spread = 2), std = 0.5 or [least, most], covariance isotropic, diagonal or full; by seed",
    ),
    ("product", "independent coordinates: of = [DATA, ..] on the line, or of = DATA and copies = d"),
    (
        "points",
        "a data set: csv = \"file.csv\", one point a line; or folder = \"images/\"; or points = [[..], ..]; std = 0 of a kernel",
    ),
    ("digits", "1797 handwritten digits of 8 x 8 pixels (UCI), from -1 to 1; class, count, std = 0"),
    ("cifar10", "binary version: path = \"cifar-10-batches-bin\", split = \"train\"; class, count, std = 0"),
    ("cifar100", "likewise, fine classes: path = \"cifar-100-binary\""),
    (
        "mnist",
        "idx files, .gz or not, of MNIST, Fashion-MNIST: path = \"FOLDER\", split = \"train\"; class, count, std = 0",
    ),
    (
        "images",
        "PNG and JPEG: path = \"FOLDER\", sub-folders are classes; size = [height, width], grey = true, class, count, std = 0",
    ),
    (
        "parquet",
        "image sets of the Hugging Face hub (feature parquet): path = \"FILE\" or \"FOLDER\", split; as images",
    ),
];

/// Clean data: no noise, nothing scaled.
pub const CLEAN: Level = Level { t: 0.0, alpha: 1.0, sigma: 0.0, f: 0.0, g2: 0.0 };
