//! Independent coordinates, each a mixture on the line: nonlinear scores in any dimension, with an exact flow.
//!
//! ```
//! use scorebench::data::{CLEAN, Product, mixture::{Covariance, Mixture}};
//! let two = Mixture::new(vec![
//!     (0.3, vec![-1.0], Covariance::Isotropic(0.04)),
//!     (0.7, vec![1.0], Covariance::Isotropic(0.01)),
//! ])?;
//! let data = Product::new(vec![two; 5])?; // 32 modes
//! assert_eq!((data.dim(), data.mean(&CLEAN)), (5, vec![0.7 - 0.3; 5]));
//! # Ok::<(), scorebench::error::BadInput>(())
//! ```

use crate::batch::{Batch, Precision};
use crate::error::{BadInput, Result};
use crate::noise::{Purpose, generator};
use crate::run::Denoiser;
use crate::schedule::Level;
use crate::state::State;

use super::mixture::{self, Curvature, Form, Kernel, Mixture};

/// A product of mixtures on the line, one a coordinate.
#[derive(Clone, Debug, PartialEq)]
pub struct Product {
    factors: Vec<Mixture>,
}

impl Product {
    /// One mixture a coordinate.
    ///
    /// # Errors
    /// No factors, or one that has more than one coordinate.
    pub fn new(factors: Vec<Mixture>) -> Result<Self> {
        if factors.is_empty() {
            return Err(BadInput::about("factors", "is empty", "give one mixture a coordinate"));
        }
        if let Some((j, factor)) = factors.iter().enumerate().find(|(_, f)| f.dim() != 1) {
            let why = format!("has {} coordinates", factor.dim());
            return Err(BadInput::about(&format!("factors[{j}]"), why, "give mixtures on the line"));
        }
        Ok(Product { factors })
    }

    /// Coordinates.
    pub fn dim(&self) -> usize {
        self.factors.len()
    }

    /// The mixtures, one a coordinate.
    pub fn factors(&self) -> &[Mixture] {
        &self.factors
    }

    /// One sample of `x_t` for every number from `first`, exactly; see [`Mixture::sample`].
    pub fn sample<R: Precision>(
        &self,
        at: &Level,
        seed: u64,
        purpose: Purpose,
        first: u64,
        len: usize,
    ) -> Batch<R> {
        let mut rows = vec![0.0; len * self.dim()];
        let ends: Vec<Vec<f64>> = self.factors.iter().map(Mixture::ends).collect();
        for (row, number) in rows.chunks_exact_mut(self.dim()).zip(first..) {
            let mut random = generator(seed, purpose, number);
            for ((factor, ends), x) in self.factors.iter().zip(&ends).zip(row) {
                factor.draw(ends, at, &mut random, std::slice::from_mut(x));
            }
        }
        Batch::from_rows(self.dim(), rows.into_iter().map(R::from_f64).collect()).numbered(first)
    }

    /// `ln p_t(x)` of every sample.
    pub fn log_density(&self, x: &Batch<f64>, at: &Level) -> Vec<f64> {
        let mut sum = vec![0.0; x.len()];
        for (j, factor) in self.factors.iter().enumerate() {
            for (sum, l) in sum.iter_mut().zip(factor.log_density(&coordinate(x, j), at)) {
                *sum += l;
            }
        }
        sum
    }

    /// `Laplace ln p_t(x)`, the divergence of the score, of every sample: one coordinate.
    pub fn score_divergence(&self, x: &Batch<f64>, at: &Level) -> Batch<f64> {
        let (mut each, mut blocks) = (self.curvatures(at), x.blocks());
        Batch::zeros(1, x.first(), x.len()).map_blocks(
            #[inline(always)]
            |_, to| {
                for (x, curvature) in blocks.next().expect("as many blocks").iter().zip(&mut each) {
                    let trace = curvature.trace(std::slice::from_ref(x));
                    for (to, trace) in to[0].iter_mut().zip(trace) {
                        *to += trace;
                    }
                }
            },
        )
    }

    /// The Jacobian of the score at `x`, which is diagonal, times `v`.
    pub fn score_jvp(&self, x: &Batch<f64>, v: &Batch<f64>, at: &Level) -> Batch<f64> {
        let (mut each, mut vs) = (self.curvatures(at), v.blocks());
        x.map_blocks(
            #[inline(always)]
            |x, to| {
                let v = vs.next().expect("as many blocks");
                for (((to, x), v), curvature) in to.iter_mut().zip(x).zip(v).zip(&mut each) {
                    let trace = curvature.trace(std::slice::from_ref(x));
                    for ((to, trace), v) in to.iter_mut().zip(trace).zip(v) {
                        *to = trace * v;
                    }
                }
            },
        )
    }

    /// Means of `x_t`, one a coordinate.
    pub fn mean(&self, at: &Level) -> Vec<f64> {
        self.factors.iter().map(|f| f.marginal(at).mean()[0]).collect()
    }

    /// Variances of `x_t`, one a coordinate.
    pub fn variance(&self, at: &Level) -> Vec<f64> {
        self.factors.iter().map(|f| f.marginal(at).covariance()[0]).collect()
    }

    /// `E |x_t|^2`.
    pub fn second_moment(&self, at: &Level) -> f64 {
        self.factors.iter().map(|f| f.marginal(at).second_moment()).sum()
    }

    /// `E |x_t|^4`: `sum_j (E x_j^4 - (E x_j^2)^2) + (sum_j E x_j^2)^2`.
    pub fn fourth_moment(&self, at: &Level) -> f64 {
        let own = |f: &Mixture| {
            let f = f.marginal(at);
            f.fourth_moment() - f.second_moment().powi(2)
        };
        self.factors.iter().map(own).sum::<f64>() + self.second_moment(at).powi(2)
    }

    fn curvatures(&self, at: &Level) -> Vec<Curvature> {
        self.factors.iter().map(|f| Curvature::new(f, at)).collect()
    }

    fn apply<R: Precision>(&self, x: &State<Batch<R>>, at: &Level, form: Form) -> State<Batch<R>> {
        let mut kernels: Vec<Kernel<R>> = self.factors.iter().map(|f| Kernel::new(f, at, form)).collect();
        State(x.0.map_blocks(
            #[inline(always)]
            |block, to| {
                for ((to, x), kernel) in to.iter_mut().zip(block).zip(&mut kernels) {
                    kernel.apply(std::slice::from_ref(x), std::slice::from_mut(to));
                }
            },
        ))
    }
}

/// One coordinate of every sample.
fn coordinate(x: &Batch<f64>, j: usize) -> Batch<f64> {
    let mut blocks = x.blocks();
    Batch::zeros(1, x.first(), x.len()).map_blocks(|_, to| to[0] = blocks.next().expect("as many blocks")[j])
}

impl<R: Precision> Denoiser<Batch<R>> for Product {
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
        mixture::flow(&self.factors, &x.0, t, s).map(State)
    }
}
