//! The exact probability flow of samples, as reference for what solvers make of it.
//!
//! The flow between two levels depends on their `alpha` and `sigma` alone, not on the schedule that joins them. Where it is
//! known in closed form ([`Gaussian`](crate::data::Gaussian), lines and [`Product`](crate::data::Product)s) that is
//! used; elsewhere it is integrated ([`integrate`]) until nothing but round-off is left to gain.
//!
//! ```
//! use scorebench::data::{Data, mixture::{Covariance, Mixture}};
//! use scorebench::{batch::Batch, flow, noise::Purpose, schedule::Schedule};
//! let spot = |x, y| (1.0, vec![x, y], Covariance::Isotropic(0.04));
//! let data = Data::Mixture(Mixture::new(vec![spot(-1.0, 0.0), spot(1.0, 0.0), spot(0.0, 1.0)])?);
//! let schedule = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };
//! let (noise, clean) = (schedule.at(1.0), schedule.at(1e-3));
//! let start: Batch<f64> = data.sample(&noise, 1, Purpose::Start, 0, 32);
//! let end = flow::reference(&data, &noise, &clean, &start).unwrap();
//! let back = flow::reference(&data, &clean, &noise, &end).unwrap();
//! let off = |(x, y): (f64, f64)| (x - y).abs();
//! assert!(start.to_rows().into_iter().zip(back.to_rows()).map(off).all(|off| off < 1e-11));
//! # Ok::<(), scorebench::error::BadInput>(())
//! ```

use crate::batch::{Batch, LANES};
use crate::data::{CLEAN, Data};
use crate::monte_carlo::Engine;
use crate::parallel;
use crate::schedule::Level;
use crate::solver::adaptive::Control;
use crate::solver::tableau::{self, Tableau};
use crate::state::{Lin, State};

mod cache;

pub use cache::{cached, cached_as};

/// What [`reference()`] tolerates as local error of a step, relative to the size of samples. Halving it moves results by
/// less than 5e-13 of that size (`tests/flow.rs`), times what the flow itself magnifies.
pub const TOLERANCE: f64 = 1e-14;

/// Attempts at steps after which a block of samples is given up; some 100 are usual.
const MOST_STEPS: usize = 20_000;

/// Why there is no flow.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NoFlow {
    /// Samples of another space than the data's.
    #[error("the samples have {samples} coordinates and the data {data}")]
    Shape {
        /// Coordinates of a sample.
        samples: usize,
        /// Coordinates of the data.
        data: usize,
    },
    /// There is no one trajectory through a point mass without noise.
    #[error("the flow is not defined from a level without noise where the data has point masses")]
    FromAtoms,
    /// A sample is not finite, at its start or at its end.
    #[error("sample {0} is not finite")]
    NotFinite(u64),
    /// The error control did not arrive.
    #[error("the flow from sample {first} to {last} needs steps below {step:e} in lambda at {lambda}")]
    Stuck {
        /// Number of the first sample of the block.
        first: u64,
        /// And of the last.
        last: u64,
        /// Where, in lambda.
        lambda: f64,
        /// The last step tried.
        step: f64,
    },
    /// The device of a network failed.
    #[error("{0}")]
    Device(String),
    /// The file of a cached flow cannot be written.
    #[error("{0}")]
    Storage(String),
}

/// Carries every sample of `x` exactly from level `from` to level `to`, up or down. One without noise is legal: an end for
/// all data, and a start where no point mass is.
///
/// Results do not depend on threads, nor on how samples are cut into batches if they are cut at multiples of
/// [`LANES`] (elsewhere in the last digit: samples of a block share their steps).
///
/// # Errors
/// See [`NoFlow`].
pub fn reference(data: &Data, from: &Level, to: &Level, x: &Batch<f64>) -> Result<Batch<f64>, NoFlow> {
    check(data, x)?;
    if from.sigma == 0.0 && has_atoms(data) {
        return Err(NoFlow::FromAtoms);
    }
    let closed = match data {
        Data::Gaussian(_) | Data::Product(_) => true,
        Data::Mixture(data) => data.dim() == 1,
    };
    if !closed {
        return integrate(data, from, to, x, TOLERANCE);
    }
    by_blocks(x, |block| {
        let flow = data.model().flow(&State(block), from, to);
        Ok(flow.ok_or(NoFlow::FromAtoms)?.0)
    })
}

/// [`reference()`] by integration, whatever the data, with this tolerated local error: Dormand & Prince's method of order
/// 8 with its estimate of orders 5 and 3 (Hairer, Norsett & Wanner 1993, II.10), PI step control, steps in `lambda`.
///
/// The state is `u = x/r`, `r^2 = alpha^2 + sigma^2`, and with `c = alpha/r`, `d` the denoised mean at the level
/// `(alpha, sigma)/r`,
///
/// `du/dlambda = c (d - c u)`,
///
/// which tends to 0 like `kappa^{-1}` as noise grows and is relaxation to `d` at rate 1 as it vanishes: no end is stiff,
/// nothing is divided by `alpha` or `sigma`, and what is lost by cancellation is round-off of `x`. (From
/// `du/dtheta = c eps - (sigma/r) d`, `tan theta = kappa`, `dtheta/dlambda = -c sigma/r`, with `eps` written out.)
///
/// # Errors
/// See [`NoFlow`].
pub fn integrate(
    data: &Data,
    from: &Level,
    to: &Level,
    x: &Batch<f64>,
    tolerance: f64,
) -> Result<Batch<f64>, NoFlow> {
    check(data, x)?;
    if from.sigma == 0.0 && has_atoms(data) {
        return Err(NoFlow::FromAtoms);
    }
    // Beyond these levels samples move by less than 1e-17 of their size, or of the data's.
    let size = (data.second_moment(&CLEAN) / data.dim() as f64).sqrt();
    let size = if size > 0.0 { size } else { 1.0 };
    let bound = |level: &Level| level.lambda().clamp(-40.0 - size.ln(), 40.0 - size.ln());
    let flow = Integrator::new(data, None, tolerance);
    flow.carry([bound(from), bound(to)], from, to, x)
}

/// The flow of an engine's model between two levels with noise, as [`integrate`]: relative to the size that samples of `data`
/// have, the law that it was made for.
///
/// # Errors
/// See [`NoFlow`].
pub fn integrate_engine(
    engine: &dyn Engine,
    data: &Data,
    from: &Level,
    to: &Level,
    x: &Batch<f64>,
    tolerance: f64,
) -> Result<Batch<f64>, NoFlow> {
    check(data, x)?;
    let flow = Integrator::new(data, Some(engine), tolerance);
    flow.carry([from.lambda(), to.lambda()], from, to, x)
}

struct Integrator<'a> {
    data: &'a Data,
    engine: Option<&'a dyn Engine>,
    table: &'static Tableau,
    control: Control,
}

impl<'a> Integrator<'a> {
    fn new(data: &'a Data, engine: Option<&'a dyn Engine>, tolerance: f64) -> Self {
        let table = tableau::named("dop853").expect("it is in the list");
        Integrator { data, engine, table, control: Control::pi(tolerance, 0.0, 8) }
    }

    /// Every sample, from and to these lambdas.
    fn carry(
        &self,
        [start, end]: [f64; 2],
        from: &Level,
        to: &Level,
        x: &Batch<f64>,
    ) -> Result<Batch<f64>, NoFlow> {
        let (shrink, grow) = (1.0 / from.alpha.hypot(from.sigma), to.alpha.hypot(to.sigma));
        by_blocks(x, |block| {
            let u = (shrink * &State(block)).eval();
            Ok((grow * &self.run(start, end, u)?).eval().0)
        })
    }

    /// `u` at `end` of one block of samples.
    fn run(&self, start: f64, end: f64, mut u: State<Batch<f64>>) -> Result<State<Batch<f64>>, NoFlow> {
        let (mut lambda, mut last, mut rejected) = (start, 1e-4f64, false);
        let mut h = ((end - start) / 20.0).clamp(-0.25, 0.25);
        let mut slope = self.slope(&u, lambda);
        for _ in 0..MOST_STEPS {
            let left = end - lambda;
            if left == 0.0 {
                return Ok(u);
            }
            if lambda + h == lambda {
                break;
            }
            if h.abs() >= left.abs() {
                h = left;
            }
            let to = if h == left { end } else { lambda + h };
            let (new, slopes) = self.step(&u, lambda, h, slope);
            let err = self.error(&u, &new, to, h, &slopes);
            h *= self.control.factor(err, last, rejected);
            rejected = err.is_nan() || err > 1.0;
            if rejected {
                slope = slopes.into_iter().next().expect("a stage");
            } else {
                (u, lambda, last) = (new, to, err.max(1e-4));
                slope = self.slope(&u, lambda);
            }
        }
        let first = u.0.first();
        Err(NoFlow::Stuck { first, last: first + LANES as u64 - 1, lambda, step: h })
    }

    fn slope(&self, u: &State<Batch<f64>>, lambda: f64) -> State<Batch<f64>> {
        let at = normalised(lambda);
        let d = match self.engine {
            Some(engine) => engine.denoise(u, &at),
            None => self.data.model().denoise(u, &at),
        };
        (at.alpha * &d - at.alpha * at.alpha * u).eval()
    }

    /// The new state, and the slopes at the stages of which `first` is known.
    fn step(
        &self,
        u: &State<Batch<f64>>,
        lambda: f64,
        h: f64,
        first: State<Batch<f64>>,
    ) -> (State<Batch<f64>>, Vec<State<Batch<f64>>>) {
        let advance = |weights: &[f64], slopes: &[State<Batch<f64>>]| {
            let terms = weights.iter().zip(slopes).filter(|(a, _)| **a != 0.0).map(|(a, k)| (h * a, k));
            Lin::sum(std::iter::once((1.0, u)).chain(terms)).eval()
        };
        let mut slopes = vec![first];
        for (c, a) in self.table.c.iter().zip(&self.table.a).skip(1) {
            slopes.push(self.slope(&advance(a, &slopes), lambda + c * h));
        }
        (advance(&self.table.b, &slopes), slopes)
    }

    /// The largest error of any sample of the block, in units of what is tolerated of it.
    fn error(
        &self,
        u: &State<Batch<f64>>,
        new: &State<Batch<f64>>,
        lambda: f64,
        h: f64,
        slopes: &[State<Batch<f64>>],
    ) -> f64 {
        let weighted = |weights: &[f64]| Lin::sum(weights.iter().zip(slopes).map(|(e, k)| (h * e, k))).eval();
        let [fine, coarse] = [0, 1].map(|k| mean_squares(&weighted(&self.table.errors[k]).0));
        let (before, after) = (mean_squares(&u.0), mean_squares(&new.0));
        let usual = self.data.second_moment(&normalised(lambda)) / self.data.dim() as f64;
        let mut worst: f64 = 0.0;
        for i in 0..LANES {
            // As in Hairer's code: an estimate that falls like h^8.
            let spread = fine[i] + 0.01 * coarse[i];
            let error = if spread == 0.0 { 0.0 } else { fine[i] / spread.sqrt() };
            let error = error / (self.control.rtol * before[i].max(after[i]).max(usual).sqrt());
            worst = if error.is_nan() { f64::NAN } else { worst.max(error) };
            if worst.is_nan() {
                break;
            }
        }
        worst
    }
}

/// Mean square over the coordinates, of every sample of one block.
fn mean_squares(x: &Batch<f64>) -> [f64; LANES] {
    let mut sum = [0.0; LANES];
    for x in x.blocks().flatten() {
        for i in 0..LANES {
            sum[i] += x[i] * x[i];
        }
    }
    sum.map(|s| s / x.dim() as f64)
}

/// The level at `lambda` with `alpha^2 + sigma^2 = 1`.
fn normalised(lambda: f64) -> Level {
    let kappa = (-lambda).exp();
    let alpha = 1.0 / kappa.hypot(1.0);
    Level { t: 0.0, alpha, sigma: kappa * alpha, f: 0.0, g2: 0.0 }
}

/// Applies `f` to whole blocks of samples, on all threads: those numbered from a multiple of [`LANES`]. Where samples are
/// missing from the first or last block, copies of their neighbour stand in.
fn by_blocks(
    x: &Batch<f64>,
    f: impl Fn(Batch<f64>) -> Result<Batch<f64>, NoFlow> + Sync + Send,
) -> Result<Batch<f64>, NoFlow> {
    if x.is_empty() {
        return Ok(x.clone());
    }
    let (dim, first, lanes) = (x.dim(), x.first(), LANES as u64);
    let rows = x.to_rows();
    let end = first + x.len() as u64;
    let starts: Vec<u64> = (first / lanes..end.div_ceil(lanes)).map(|block| block * lanes).collect();
    let blocks = parallel::map(&starts, |&start| {
        let mut block = Vec::with_capacity(dim * LANES);
        for number in start..start + lanes {
            let i = (number.clamp(first, end - 1) - first) as usize;
            block.extend_from_slice(&rows[i * dim..(i + 1) * dim]);
        }
        let done = f(Batch::from_rows(dim, block).numbered(start))?.to_rows();
        let inside = |number: u64| (number.clamp(start, start + lanes) - start) as usize * dim;
        Ok(done[inside(first)..inside(end)].to_vec())
    });
    let blocks: Vec<Vec<f64>> = blocks.into_iter().collect::<Result<_, _>>()?;
    let done = Batch::from_rows(dim, blocks.concat()).numbered(first);
    finite(&done)?;
    Ok(done)
}

fn check(data: &Data, x: &Batch<f64>) -> Result<(), NoFlow> {
    if x.dim() != data.dim() {
        return Err(NoFlow::Shape { samples: x.dim(), data: data.dim() });
    }
    finite(x)
}

fn finite(x: &Batch<f64>) -> Result<(), NoFlow> {
    match x.to_rows().iter().position(|x| !x.is_finite()) {
        Some(i) => Err(NoFlow::NotFinite(x.first() + (i / x.dim()) as u64)),
        None => Ok(()),
    }
}

/// Whether some direction of the data has no spread.
fn has_atoms(data: &Data) -> bool {
    match data {
        Data::Gaussian(data) => data.variance().contains(&0.0),
        Data::Mixture(data) => data.has_atoms(),
        Data::Product(data) => data.factors().iter().any(|f| f.has_atoms()),
    }
}
