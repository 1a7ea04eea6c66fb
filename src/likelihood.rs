//! Log-likelihoods along the probability flow, as a solver computes them (Song et al. 2021, app. D.2; Chen et al. 2018).
//!
//! A solver only forms linear combinations, so it integrates the likelihood by carrying one more coordinate. With
//! `y = x/alpha` the flow is `dy/dkappa = eps`, so a coordinate `l` whose "predicted noise" is `eps_l` gets
//! `d(l/alpha)/dkappa = eps_l` from every solver of the flow, of its own order, whichever of the three forms it asks for.
//! The flow changes the density of `u = x/r`, `r^2 = alpha^2 + sigma^2`, by
//!
//! `d ln p(u)/dkappa = eps_l := d kappa/(1 + kappa^2) - alpha div eps`, `div eps = -sigma Laplace ln p_t(x)`
//!
//! (the density of `y` by `-div_y eps = -alpha div_x eps`; the known factor `(r/alpha)^d` between them is not left
//! to quadrature, so that the rate vanishes with the signal, and everywhere if the data are standard normal). Then
//! `ln p_s(x_s) = ln p_t(x_t) + [l/alpha]_t^s + d ln(r_t/r_s)`.
//!
//! ```
//! use scorebench::data::{Data, mixture::{Covariance, Mixture}};
//! use scorebench::{batch::Batch, grid::Grid, likelihood, noise::Purpose, schedule::Schedule, solver::runge_kutta::Heun};
//! let spot = |x, y| (1.0, vec![x, y], Covariance::Isotropic(0.1));
//! let data = Data::Mixture(Mixture::new(vec![spot(-1.0, 0.0), spot(1.0, 0.5)])?);
//! let schedule = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };
//! let bits = |steps| {
//!     let grid = Grid::UniformLambda { start: 1.0, end: 1e-3 }.levels(&schedule, Some(steps)).unwrap();
//!     let start: Batch<f64> = data.sample(&grid[0], 1, Purpose::Start, 0, 64);
//!     let trace = likelihood::Trace::Exact;
//!     likelihood::generated(&Heun::default(), &data, &schedule, &grid, &start, trace).unwrap().rms_bits()
//! };
//! let order = (bits(64) / bits(128)).log2();
//! assert!((order - 2.0).abs() < 0.1);
//! # Ok::<(), scorebench::error::BadInput>(())
//! ```

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::batch::{Batch, LANES, Lanes};
use crate::data::Data;
use crate::noise::{Purpose, generator};
use crate::parallel;
use crate::run::{Ctx, Denoiser, Look, Noise};
use crate::schedule::{Level, Schedule};
use crate::solver::Sample;
use crate::state::{Space, State};

mod tangent;

pub use tangent::{Tangent, transported};

/// How the divergence of the model is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// In closed form.
    Exact,
    /// `v^T J v` with one random `v` a sample, the same all along its trajectory (Hutchinson 1989; FFJORD, Grathwohl et
    /// al. 2019): unbiased, also for the log-likelihood, if the trajectory is exact.
    Hutchinson {
        /// Samples of different seeds have independent probes.
        seed: u64,
        /// The law of `v`.
        probe: Probe,
    },
}

/// Laws of probes with independent coordinates of mean 0 and variance 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// -1 or 1: the least variance, and none where the Jacobian is diagonal.
    Rademacher,
    /// Standard normal.
    Normal,
}

impl Probe {
    /// One probe for every number from `first`, of `dim` coordinates.
    pub fn draw(self, seed: u64, dim: usize, first: u64, len: usize) -> Batch<f64> {
        let row = |number| {
            let mut random = generator(seed, Purpose::Other, number);
            let one = move || match self {
                Probe::Rademacher => {
                    if random.next_u64() >> 63 == 0 {
                        1.0
                    } else {
                        -1.0
                    }
                }
                Probe::Normal => random.sample(StandardNormal),
            };
            std::iter::repeat_with(one).take(dim).collect::<Vec<f64>>()
        };
        Batch::from_rows(dim, (first..first + len as u64).flat_map(row).collect()).numbered(first)
    }
}

/// What a solver says of the density at its samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Likelihoods {
    /// Where the run ended.
    pub x: Batch<f64>,
    /// The solver's log density, nats, one a sample: at `x` for [`generated`] and [`transported`], at the data for
    /// [`encoded`].
    pub estimate: Vec<f64>,
    /// The exact one of the data's marginal, at the same points.
    pub exact: Vec<f64>,
    /// Model calls.
    pub nfe: usize,
}

impl Likelihoods {
    /// Errors in bits per dimension, one a sample: of `-log2 p / d`.
    pub fn bits(&self) -> Vec<f64> {
        let unit = self.x.dim() as f64 * std::f64::consts::LN_2;
        self.exact.iter().zip(&self.estimate).map(|(exact, estimate)| (exact - estimate) / unit).collect()
    }

    /// Root mean square of [`Likelihoods::bits`].
    pub fn rms_bits(&self) -> f64 {
        let bits = self.bits();
        (bits.iter().map(|b| b * b).sum::<f64>() / bits.len() as f64).sqrt()
    }
}

/// Why a solver gives no likelihood.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NoLikelihood {
    /// The solver refused ([`Ctx::refuse`]).
    #[error("undefined: {0}")]
    Refused(String),
    /// The solver asked for noise: its trajectories are no flow.
    #[error(
        "not a flow: the solver draws noise; give one of the probability flow, such as ddim with eta = 0"
    )]
    Noisy,
    /// The solver looked at a norm, which its steps then share with the likelihood.
    #[error("not fixed: the solver looked at the value of a sample; give it the levels that it would visit")]
    Looked,
    /// A sample or its likelihood is not finite.
    #[error("sample {0} or its likelihood is not finite")]
    NotFinite(u64),
    /// Samples of another space than the data's.
    #[error("the samples have {samples} coordinates and the data {data}")]
    Shape {
        /// Coordinates of a sample.
        samples: usize,
        /// Coordinates of the data.
        data: usize,
    },
}

/// Runs a solver of the probability flow down `grid` from samples of the exact law at its first level, and says what
/// density the solver computes for the samples that it arrives at.
///
/// # Errors
/// See [`NoLikelihood`].
pub fn generated(
    solver: &(impl Sample + Sync),
    data: &Data,
    schedule: &Schedule,
    grid: &[Level],
    x: &Batch<f64>,
    trace: Trace,
) -> Result<Likelihoods, NoLikelihood> {
    let (x_end, change, nfe) = along(solver, data, schedule, grid, x, trace)?;
    let start = data.log_density(x, &grid[0]);
    let estimate = start.iter().zip(&change).map(|(start, change)| start + change).collect();
    let exact = data.log_density(&x_end, &grid[grid.len() - 1]);
    Ok(Likelihoods { x: x_end, estimate, exact, nfe })
}

/// Runs a solver up `grid`, from samples `x` of the exact law at its first level to noise, and says what density the
/// solver computes for the former from the exact one where it arrives. For solvers that take steps of either sign:
/// Runge-Kutta and Adams methods do, those that write a noise into their step (`ddim`) do not.
///
/// # Errors
/// See [`NoLikelihood`].
pub fn encoded(
    solver: &(impl Sample + Sync),
    data: &Data,
    schedule: &Schedule,
    grid: &[Level],
    x: &Batch<f64>,
    trace: Trace,
) -> Result<Likelihoods, NoLikelihood> {
    let (x_end, change, nfe) = along(solver, data, schedule, grid, x, trace)?;
    let end = data.log_density(&x_end, &grid[grid.len() - 1]);
    let estimate = end.iter().zip(&change).map(|(end, change)| end - change).collect();
    Ok(Likelihoods { x: x_end, estimate, exact: data.log_density(x, &grid[0]), nfe })
}

/// End points of a run, the change of `ln p` along it as the solver integrates it, and its model calls.
fn along(
    solver: &(impl Sample + Sync),
    data: &Data,
    schedule: &Schedule,
    grid: &[Level],
    x: &Batch<f64>,
    trace: Trace,
) -> Result<(Batch<f64>, Vec<f64>, usize), NoLikelihood> {
    let dim = data.dim();
    let (rows, nfe) = run(solver, data, schedule, grid, x, |part| {
        (Augmented::new(data, trace, part.first(), part.len()), widen(part, 1, |_, _| {}))
    })?;
    let (from, to) = (&grid[0], &grid[grid.len() - 1]);
    let known = dim as f64 * (from.alpha.hypot(from.sigma) / to.alpha.hypot(to.sigma)).ln();
    let change: Vec<f64> = rows.chunks_exact(dim + 1).map(|row| row[dim] / to.alpha + known).collect();
    if let Some(i) = change.iter().position(|l| !l.is_finite()) {
        return Err(NoLikelihood::NotFinite(x.first() + i as u64));
    }
    let x_end: Vec<f64> = rows.chunks_exact(dim + 1).flat_map(|row| &row[..dim]).copied().collect();
    Ok((Batch::from_rows(dim, x_end).numbered(x.first()), change, nfe))
}

/// Samples that a run carries at a time.
const CHUNK: usize = 8 * LANES;

/// The rows of states that a run ends with, and its model calls; `start` makes the model and the state from samples.
fn run<M: Denoiser<Batch<f64>>>(
    solver: &(impl Sample + Sync),
    data: &Data,
    schedule: &Schedule,
    grid: &[Level],
    x: &Batch<f64>,
    start: impl Fn(&Batch<f64>) -> (M, Batch<f64>) + Sync + Send,
) -> Result<(Vec<f64>, usize), NoLikelihood> {
    if x.dim() != data.dim() {
        return Err(NoLikelihood::Shape { samples: x.dim(), data: data.dim() });
    }
    let rows = x.to_rows();
    let parts: Vec<(u64, &[f64])> =
        rows.chunks(CHUNK * x.dim()).zip(0..).map(|(part, i)| (x.first() + i * CHUNK as u64, part)).collect();
    let done = parallel::map(&parts, |&(first, part)| {
        let part = Batch::from_rows(x.dim(), part.to_vec()).numbered(first);
        let (model, state) = start(&part);
        let mut noise = Silence { asked: false };
        let mut cx = Ctx::new(&model, &mut noise, schedule);
        let end = solver.sample(&mut cx, grid, State(state)).0;
        let (nfe, look, refusal) = (cx.nfe(), cx.look(), cx.refusal().map(String::from));
        match refusal {
            Some(why) => Err(NoLikelihood::Refused(why)),
            None if noise.asked => Err(NoLikelihood::Noisy),
            None if look != Look::Never => Err(NoLikelihood::Looked),
            None => match end.to_rows().iter().position(|x| !x.is_finite()) {
                Some(i) => Err(NoLikelihood::NotFinite(first + (i / end.dim()) as u64)),
                None => Ok((end.to_rows(), nfe)),
            },
        }
    });
    let done: Vec<(Vec<f64>, usize)> = done.into_iter().collect::<Result<_, _>>()?;
    let nfe = done.first().map_or(0, |d| d.1);
    Ok((done.into_iter().flat_map(|d| d.0).collect(), nfe))
}

/// No noise, and whether there was a need for it.
struct Silence {
    asked: bool,
}

impl Noise<Batch<f64>> for Silence {
    fn increment(&mut self, x: &State<Batch<f64>>, _: &Level, _: &Level) -> State<Batch<f64>> {
        self.fresh(x)
    }
    fn fresh(&mut self, x: &State<Batch<f64>>) -> State<Batch<f64>> {
        self.asked = true;
        State(Batch::combine(&[(0.0, &x.0)]))
    }
}

/// A model of samples and one coordinate more, `l`, in which any solver of the probability flow carries the change of
/// their log-likelihood along: see the [module](self).
#[derive(Clone, Debug)]
pub struct Augmented<'a> {
    data: &'a Data,
    /// `None` for the exact trace.
    probe: Option<Batch<f64>>,
}

impl<'a> Augmented<'a> {
    /// A model for the `len` samples numbered from `first`.
    pub fn new(data: &'a Data, trace: Trace, first: u64, len: usize) -> Self {
        let probe = match trace {
            Trace::Exact => None,
            Trace::Hutchinson { seed, probe } => Some(probe.draw(seed, data.dim(), first, len)),
        };
        Augmented { data, probe }
    }

    /// `eps_l` of every sample: one coordinate.
    fn rate(&self, x: &Batch<f64>, at: &Level) -> Batch<f64> {
        let (alpha, sigma) = (at.alpha, at.sigma);
        // d kappa/(1 + kappa^2), legal at either end.
        let known = self.data.dim() as f64 * alpha * sigma / (alpha * alpha + sigma * sigma);
        let laplacian = match &self.probe {
            None => self.data.score_divergence(x, at),
            Some(v) => dot(v, &self.data.score_jvp(x, v, at)),
        };
        laplacian.map_blocks(|l, to| to[0] = l[0].map(|l| known + alpha * sigma * l))
    }

    /// A form of the model, with `last(l, eps_l)` in the coordinate that follows it.
    fn join(
        &self,
        x: &State<Batch<f64>>,
        at: &Level,
        form: impl Fn(&dyn Denoiser<Batch<f64>>, &State<Batch<f64>>) -> State<Batch<f64>>,
        last: impl Fn(f64, f64) -> f64,
    ) -> State<Batch<f64>> {
        let dim = self.data.dim();
        let position = State(part(&x.0, 0, dim));
        let (form, rate) = (form(self.data.model(), &position), self.rate(&position.0, at));
        let (mut forms, mut rates) = (form.0.blocks(), rate.blocks());
        State(x.0.map_blocks(|x, to| {
            to[..dim].copy_from_slice(forms.next().expect("as many blocks"));
            let rate = &rates.next().expect("as many blocks")[0];
            for i in 0..LANES {
                to[dim][i] = last(x[dim][i], rate[i]);
            }
        }))
    }
}

impl Denoiser<Batch<f64>> for Augmented<'_> {
    fn denoise(&self, x: &State<Batch<f64>>, at: &Level) -> State<Batch<f64>> {
        // (l - sigma eps_l)/alpha; without signal nothing has changed yet, and the rate vanishes.
        let last = |l: f64, rate: f64| if at.alpha == 0.0 { 0.0 } else { (l - at.sigma * rate) / at.alpha };
        self.join(x, at, |model, x| model.denoise(x, at), last)
    }
    fn eps(&self, x: &State<Batch<f64>>, at: &Level) -> State<Batch<f64>> {
        self.join(x, at, |model, x| model.eps(x, at), |_, rate| rate)
    }
    fn score(&self, x: &State<Batch<f64>>, at: &Level) -> State<Batch<f64>> {
        self.join(x, at, |model, x| model.score(x, at), |_, rate| -rate / at.sigma)
    }
}

/// The coordinates `from` to `to` of every sample.
fn part(x: &Batch<f64>, from: usize, to: usize) -> Batch<f64> {
    let mut blocks = x.blocks();
    Batch::zeros(to - from, x.first(), x.len())
        .map_blocks(|_, part| part.copy_from_slice(&blocks.next().expect("as many blocks")[from..to]))
}

/// Samples with `more` coordinates that are 0 but for what `fill` writes, given the block and them.
fn widen(x: &Batch<f64>, more: usize, fill: impl Fn(&[Lanes<f64>], &mut [Lanes<f64>])) -> Batch<f64> {
    let mut blocks = x.blocks();
    Batch::zeros(x.dim() + more, x.first(), x.len()).map_blocks(|_, to| {
        let block = blocks.next().expect("as many blocks");
        to[..x.dim()].copy_from_slice(block);
        fill(block, &mut to[x.dim()..]);
    })
}

/// Inner products: one coordinate.
fn dot(a: &Batch<f64>, b: &Batch<f64>) -> Batch<f64> {
    let mut pairs = a.blocks().zip(b.blocks());
    Batch::zeros(1, a.first(), a.len()).map_blocks(|_, to| {
        let (a, b) = pairs.next().expect("as many blocks");
        for (a, b) in a.iter().zip(b) {
            for i in 0..LANES {
                to[0][i] = a[i].mul_add(b[i], to[0][i]);
            }
        }
    })
}
