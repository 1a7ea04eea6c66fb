//! Mixtures of Gaussians: every marginal is one too, so its score, density and moments are closed forms.
//!
//! ```
//! use scorebench::data::mixture::{Covariance, Mixture};
//! let two = Mixture::new(vec![
//!     (0.25, vec![-1.0], Covariance::Isotropic(0.04)),
//!     (0.75, vec![1.0], Covariance::Isotropic(0.04)),
//! ])?;
//! assert_eq!(two.mean(), [0.5]);
//! # Ok::<(), scorebench::error::BadInput>(())
//! ```

use nalgebra::DMatrix;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::batch::{Batch, LANES, Precision};
use crate::error::{BadInput, Result};
use crate::metric::wasserstein::normal_cdf;
use crate::noise::{Purpose, generator};
use crate::run::Denoiser;
use crate::schedule::Level;
use crate::state::State;

mod curvature;
mod kernel;
mod line;
mod shape;
mod tile;

pub(super) use curvature::Curvature;
pub(super) use kernel::Kernel;
pub use line::Line;
pub(super) use line::flow;
pub(super) use shape::Form;
use shape::Kind;

/// A mixture of `components` Gaussians in `dim` coordinates; point masses (zero variance) are legal.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    dim: usize,
    components: Vec<Component>,
}

/// One Gaussian of a mixture.
#[derive(Clone, Debug, PartialEq)]
pub struct Component {
    /// Its probability; those of a mixture add up to 1.
    pub weight: f64,
    /// One number a coordinate.
    pub mean: Vec<f64>,
    /// Its covariance.
    pub covariance: Covariance,
}

/// A covariance matrix.
#[derive(Clone, Debug, PartialEq)]
pub enum Covariance {
    /// The same variance in every direction.
    Isotropic(f64),
    /// Independent coordinates: one variance each.
    Diagonal(Vec<f64>),
    /// Any: one variance a direction.
    Full {
        /// Directions as columns.
        basis: DMatrix<f64>,
        /// Variances along them.
        variance: Vec<f64>,
    },
}

impl Covariance {
    /// From a symmetric, positive semi-definite matrix, by its eigendecomposition.
    ///
    /// # Errors
    /// Another matrix; the entry or the eigenvalue is named.
    pub fn full(matrix: &[Vec<f64>]) -> Result<Self> {
        let (basis, variance) = super::gaussian::eigen(matrix)?;
        Ok(Covariance::Full { basis, variance })
    }

    /// Variances: one for all directions, or one each.
    fn variances(&self) -> &[f64] {
        match self {
            Covariance::Isotropic(c) => std::slice::from_ref(c),
            Covariance::Diagonal(c) | Covariance::Full { variance: c, .. } => c,
        }
    }

    /// Directions, row after row.
    fn basis(&self, dim: usize) -> Vec<f64> {
        match self {
            Covariance::Full { basis, .. } => basis.as_slice().to_vec(),
            _ => DMatrix::<f64>::identity(dim, dim).as_slice().to_vec(),
        }
    }

    /// The same covariance as one of a wider kind.
    fn widened(self, kind: Kind, dim: usize) -> Self {
        match (kind, self) {
            (Kind::Diagonal, Covariance::Isotropic(c)) => Covariance::Diagonal(vec![c; dim]),
            (Kind::Full, Covariance::Isotropic(c)) => {
                Covariance::Full { basis: DMatrix::identity(dim, dim), variance: vec![c; dim] }
            }
            (Kind::Full, Covariance::Diagonal(c)) => {
                Covariance::Full { basis: DMatrix::identity(dim, dim), variance: c }
            }
            (_, same) => same,
        }
    }

    /// The matrix.
    pub fn matrix(&self, dim: usize) -> DMatrix<f64> {
        match self {
            Covariance::Isotropic(c) => DMatrix::from_diagonal_element(dim, dim, *c),
            Covariance::Diagonal(c) => DMatrix::from_diagonal(&c.clone().into()),
            Covariance::Full { basis, variance } => {
                basis * DMatrix::from_diagonal(&variance.clone().into()) * basis.transpose()
            }
        }
    }
}

impl Mixture {
    /// A mixture of (weight, mean, covariance); weights are divided by their sum.
    ///
    /// # Errors
    /// No components, weights that are not positive, lengths that differ, entries that are not finite or variances below 0.
    pub fn new(parts: Vec<(f64, Vec<f64>, Covariance)>) -> Result<Self> {
        let Some((_, first, _)) = parts.first() else {
            return Err(BadInput::about("means", "is empty", "give one mean a component"));
        };
        let dim = first.len();
        if dim == 0 {
            return Err(BadInput::about("means", "have no coordinates", "give at least one number each"));
        }
        let total: f64 = parts.iter().map(|p| p.0).sum();
        for (k, (weight, mean, covariance)) in parts.iter().enumerate() {
            if !(weight.is_finite() && *weight > 0.0 && total.is_finite()) {
                let fix = "give a number above 0, or leave the component out";
                return Err(BadInput::new(&format!("weights[{k}]"), weight, "is no weight", fix));
            }
            if mean.len() != dim {
                let why = format!("has {} coordinates where means[0] has {dim}", mean.len());
                return Err(BadInput::about(&format!("means[{k}]"), why, "give means of one length"));
            }
            if let Some(x) = mean.iter().find(|x| !x.is_finite()) {
                return Err(BadInput::new(&format!("means[{k}]"), x, "is not finite", "give finite numbers"));
            }
            let variances = covariance.variances();
            if covariance.kind() != Kind::Isotropic && variances.len() != dim {
                let why = format!("has {} entries for {dim} coordinates", variances.len());
                return Err(BadInput::about(&format!("variances[{k}]"), why, "give one a coordinate"));
            }
            if let Some(c) = variances.iter().find(|c| !(c.is_finite() && **c >= 0.0)) {
                let fix = "give a finite number of at least 0";
                return Err(BadInput::new(&format!("variances[{k}]"), c, "is no variance", fix));
            }
        }
        // One kind for all: the narrowest that holds every covariance.
        let kind = parts.iter().map(|p| p.2.kind()).max().expect("a component");
        let component = |(weight, mean, covariance): (f64, Vec<f64>, Covariance)| Component {
            weight: weight / total,
            mean,
            covariance: covariance.widened(kind, dim),
        };
        Ok(Mixture { dim, components: parts.into_iter().map(component).collect() })
    }

    /// Equal point masses: the law of a finite data set, which a network that fits its training data perfectly learns.
    ///
    /// # Errors
    /// As [`Mixture::new`].
    pub fn points(points: Vec<Vec<f64>>) -> Result<Self> {
        Mixture::new(points.into_iter().map(|p| (1.0, p, Covariance::Isotropic(0.0))).collect())
    }

    /// Coordinates.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The Gaussians.
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// Whether a component has a direction without spread.
    pub fn has_atoms(&self) -> bool {
        self.components.iter().any(|c| c.covariance.variances().contains(&0.0))
    }

    fn kind(&self) -> Kind {
        self.components[0].covariance.kind()
    }

    /// The law of `x_t` at a level: weights `w_k`, means `alpha mu_k`, covariances `alpha^2 C_k + sigma^2`.
    pub fn marginal(&self, at: &Level) -> Mixture {
        let spread = |c: &f64| at.marginal_variance(*c);
        let each = |c: &Component| Component {
            weight: c.weight,
            mean: c.mean.iter().map(|m| at.alpha * m).collect(),
            covariance: match &c.covariance {
                Covariance::Isotropic(c) => Covariance::Isotropic(spread(c)),
                Covariance::Diagonal(c) => Covariance::Diagonal(c.iter().map(spread).collect()),
                Covariance::Full { basis, variance } => {
                    let variance = variance.iter().map(spread).collect();
                    Covariance::Full { basis: basis.clone(), variance }
                }
            },
        };
        Mixture { dim: self.dim, components: self.components.iter().map(each).collect() }
    }

    /// The mean, one number a coordinate.
    pub fn mean(&self) -> Vec<f64> {
        let coordinate = |j| self.components.iter().map(|c| c.weight * c.mean[j]).sum();
        (0..self.dim).map(coordinate).collect()
    }

    /// The covariance matrix: `sum_k w_k (C_k + (mu_k - m)(mu_k - m)^T)`.
    pub fn covariance(&self) -> DMatrix<f64> {
        let mean = self.mean();
        let mut sum = DMatrix::zeros(self.dim, self.dim);
        for c in &self.components {
            let off = DMatrix::from_fn(self.dim, 1, |j, _| c.mean[j] - mean[j]);
            sum += c.weight * (c.covariance.matrix(self.dim) + &off * off.transpose());
        }
        sum
    }

    /// `E |x|^2`: `sum_k w_k (|mu|^2 + tr C)`.
    pub fn second_moment(&self) -> f64 {
        let trace = |c: &Covariance| {
            let variances = c.variances();
            variances.iter().sum::<f64>() * self.dim as f64 / variances.len() as f64
        };
        let one = |c: &Component| c.mean.iter().map(|m| m * m).sum::<f64>() + trace(&c.covariance);
        self.components.iter().map(|c| c.weight * one(c)).sum()
    }

    /// `E |x|^4`: `sum_k w_k [(|mu|^2 + tr C)^2 + 2 tr C^2 + 4 mu^T C mu]`.
    pub fn fourth_moment(&self) -> f64 {
        let one = |c: &Component| {
            let matrix = c.covariance.matrix(self.dim);
            let mu = DMatrix::from_column_slice(self.dim, 1, &c.mean);
            let square = mu.norm_squared() + matrix.trace();
            square * square + 2.0 * matrix.norm_squared() + 4.0 * (mu.transpose() * &matrix * &mu)[0]
        };
        self.components.iter().map(|c| c.weight * one(c)).sum()
    }

    /// All that it is made of: its coordinates and its kind, which say what the numbers that follow are.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let one = |c: &Component| {
            let basis = match &c.covariance {
                Covariance::Full { basis, .. } => basis.as_slice(),
                _ => &[],
            };
            [&[c.weight], &c.mean[..], c.covariance.variances(), basis].concat()
        };
        let shape = [self.dim as u64, self.kind() as u64].into_iter().flat_map(u64::to_le_bytes);
        shape.chain(self.components.iter().flat_map(one).flat_map(f64::to_le_bytes)).collect()
    }

    /// Distribution function of coordinate `k`, as a function of (k, x).
    pub(super) fn coordinate_cdf(&self) -> impl Fn(usize, f64) -> f64 + use<> {
        let one = |c: &Component| {
            let matrix = c.covariance.matrix(self.dim);
            let sd: Vec<f64> = (0..self.dim).map(|j| matrix[(j, j)].sqrt()).collect();
            (c.weight, c.mean.clone(), sd)
        };
        let parts: Vec<_> = self.components.iter().map(one).collect();
        move |k, x| parts.iter().map(|(w, mean, sd)| w * normal_cdf((x - mean[k]) / sd[k])).sum()
    }

    /// One sample of `x_t` for every number from `first`, exactly: a component, then its Gaussian. Those of different
    /// purposes are independent; the same (seed, purpose, number) gives the same component and the same normals at every
    /// level.
    pub fn sample<R: Precision>(
        &self,
        at: &Level,
        seed: u64,
        purpose: Purpose,
        first: u64,
        len: usize,
    ) -> Batch<R> {
        let (mut rows, ends) = (vec![0.0; len * self.dim], self.ends());
        for (row, number) in rows.chunks_exact_mut(self.dim).zip(first..) {
            self.draw(&ends, at, &mut generator(seed, purpose, number), row);
        }
        Batch::from_rows(self.dim, rows.into_iter().map(R::from_f64).collect()).numbered(first)
    }

    /// Where the stretches of the unit interval that stand for the components end.
    pub(super) fn ends(&self) -> Vec<f64> {
        let running = |sum: &mut f64, c: &Component| {
            *sum += c.weight;
            Some(*sum)
        };
        self.components.iter().scan(0.0, running).collect()
    }

    /// One sample of `x_t`: a uniform number for the component, then a normal one for each direction.
    pub(super) fn draw(&self, ends: &[f64], at: &Level, random: &mut impl Rng, x: &mut [f64]) {
        let u: f64 = random.random();
        let k = ends.partition_point(|end| *end <= u).min(self.components.len() - 1);
        let Component { mean, covariance, .. } = &self.components[k];
        let sd = |c: f64| at.marginal_variance(c).sqrt();
        x.fill_with(|| random.sample(StandardNormal));
        match covariance {
            Covariance::Isotropic(c) => x.iter_mut().for_each(|x| *x *= sd(*c)),
            Covariance::Diagonal(c) => x.iter_mut().zip(c).for_each(|(x, c)| *x *= sd(*c)),
            Covariance::Full { basis, variance } => {
                x.iter_mut().zip(variance).for_each(|(x, c)| *x *= sd(*c));
                let turned = basis * nalgebra::DVector::from_column_slice(x);
                x.copy_from_slice(turned.as_slice());
            }
        }
        x.iter_mut().zip(mean).for_each(|(x, m)| *x += at.alpha * m);
    }

    /// `ln p_t(x)` of every sample.
    pub fn log_density(&self, x: &Batch<f64>, at: &Level) -> Vec<f64> {
        let mut kernel = Kernel::<f64>::new(self, at, Form::Score);
        let constant = kernel.shift - 0.5 * self.dim as f64 * std::f64::consts::TAU.ln();
        let mut logs = Vec::with_capacity(x.len());
        for block in x.blocks() {
            let (top, sum) = kernel.weigh(block);
            let most = (x.len() - logs.len()).min(LANES);
            logs.extend((0..most).map(|i| top[i] + sum[i].ln() + constant));
        }
        logs
    }

    /// `Laplace ln p_t(x)`, the divergence of the score, of every sample: one coordinate.
    pub fn score_divergence(&self, x: &Batch<f64>, at: &Level) -> Batch<f64> {
        let (mut curvature, mut blocks) = (Curvature::new(self, at), x.blocks());
        Batch::zeros(1, x.first(), x.len()).map_blocks(
            #[inline(always)]
            |_, to| to[0] = curvature.trace(blocks.next().expect("as many blocks")),
        )
    }

    /// The Jacobian of the score at `x` times `v`, of the same shape.
    pub fn score_jvp(&self, x: &Batch<f64>, v: &Batch<f64>, at: &Level) -> Batch<f64> {
        let (mut curvature, mut vs) = (Curvature::new(self, at), v.blocks());
        x.map_blocks(
            #[inline(always)]
            |x, to| curvature.times(x, vs.next().expect("as many blocks"), to),
        )
    }

    /// Probability of each component given `x_t`, sample after sample.
    pub fn responsibilities(&self, x: &Batch<f64>, at: &Level) -> Vec<f64> {
        let mut kernel = Kernel::<f64>::new(self, at, Form::Score);
        let mut all = Vec::with_capacity(x.len() * self.components.len());
        for block in x.blocks() {
            let (_, sum) = kernel.weigh(block);
            let most = (x.len() - all.len() / self.components.len()).min(LANES);
            for i in 0..most {
                all.extend(kernel.weights().iter().map(|e| e[i] / sum[i]));
            }
        }
        all
    }

    pub(super) fn apply<R: Precision>(&self, x: &State<Batch<R>>, at: &Level, form: Form) -> State<Batch<R>> {
        let mut kernel = Kernel::new(self, at, form);
        State(x.0.map_blocks(
            #[inline(always)]
            |block, to| kernel.apply(block, to),
        ))
    }
}

impl<R: Precision> Denoiser<Batch<R>> for Mixture {
    fn denoise(&self, x: &State<Batch<R>>, at: &Level) -> State<Batch<R>> {
        self.apply(x, at, Form::Denoised)
    }
    fn eps(&self, x: &State<Batch<R>>, at: &Level) -> State<Batch<R>> {
        self.apply(x, at, Form::Eps)
    }
    fn score(&self, x: &State<Batch<R>>, at: &Level) -> State<Batch<R>> {
        self.apply(x, at, Form::Score)
    }
    fn flow(&self, x: &State<Batch<R>>, t: &Level, s: &Level) -> Option<State<Batch<R>>> {
        line::flow(std::slice::from_ref(self), &x.0, t, s).map(State)
    }
}
