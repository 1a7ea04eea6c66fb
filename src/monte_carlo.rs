//! Samplers on samples: what is left where the score is not affine.
//!
//! Samples run through the solver in chunks that stay in the fast caches, and are handed over one after the other, so
//! that memory does not grow with their number where only statistics are kept. They are numbered, and everything that
//! happens to a sample is a pure function of the seed and its number: results are the same, bit for bit, on any number
//! of threads and with chunks of any length.
//!
//! ```
//! use scorebench::data::{Covariance, Data, Mixture};
//! use scorebench::grid::Grid;
//! use scorebench::law::Init;
//! use scorebench::monte_carlo::{Model, Run, Sampling};
//! use scorebench::schedule::Schedule;
//! use scorebench::solver::ddim::Ddim;
//!
//! let schedule = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };
//! let narrow = |mean: f64| (0.5, vec![mean], Covariance::Isotropic(0.01));
//! let data = Data::Mixture(Mixture::new(vec![narrow(-1.0), narrow(1.0)])?);
//! let levels = Grid::UniformLambda { start: 1.0, end: 1e-3 }.levels(&schedule, Some(20))?;
//! let sampling = Sampling { samples: 1000, seed: 1, ..Sampling::default() };
//! let (solver, init) = (&Ddim { eta: 0.0 }, Init::Prior);
//! let run = Run { solver, data: &data, model: Model::Exact, schedule: &schedule, levels: &levels, init, sampling };
//! let near = |x: &&f64| (x.abs() - 1.0).abs() < 0.5;
//! let out = run.fold(|_| 0, |sum, _, rows| *sum += rows.iter().filter(near).count()).unwrap();
//! assert!(out.batches.iter().sum::<usize>() > 950); // nearly all end at one of the two
//! # Ok::<(), scorebench::error::BadInput>(())
//! ```

use std::panic::AssertUnwindSafe;

use serde::{Deserialize, Serialize};

use crate::batch::{self, Batch, LANES, Rounding};
use crate::data::perturb::Wrong;
use crate::data::{CLEAN, Data, Perturbation};
use crate::law::Init;
use crate::metric::batches::Batches;
use crate::noise::{Purpose, White};
use crate::parallel;
use crate::run::{Ctx, Denoiser, Look, Noise};
use crate::schedule::{Level, Schedule};
use crate::solver::Sample;
use crate::state::State;

mod engine;
pub mod strong;

pub use engine::{Engine, Solve, Start};

/// How many samples, which, and in what precision their states are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sampling {
    /// Number of samples.
    pub samples: u64,
    /// Seed of everything random.
    pub seed: u64,
    /// Precision of states; coefficients are always `f64`.
    pub precision: Precision,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling { samples: 10_000, seed: 1, precision: Precision::F64 }
    }
}

/// Precision of states. Half states are computed in `f32` and rounded after every combination, model call and draw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 53 bits.
    #[default]
    F64,
    /// 24 bits.
    F32,
    /// 11 bits, up to 65504.
    F16,
    /// 8 bits.
    Bf16,
}

impl Precision {
    /// As written in an experiment.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F64 => "f64",
            Precision::F32 => "f32",
            Precision::F16 => "f16",
            Precision::Bf16 => "bf16",
        }
    }

    /// What states of the computing type, `f64` or else `f32`, are rounded to.
    fn rounding(self) -> Rounding {
        match self {
            Precision::F64 | Precision::F32 => Rounding::None,
            Precision::F16 => Rounding::F16,
            Precision::Bf16 => Rounding::Bf16,
        }
    }
}

/// A sampler on samples of a law.
pub struct Run<'a, S: ?Sized> {
    /// The solver.
    pub solver: &'a S,
    /// The law.
    pub data: &'a Data,
    /// What the solver sees of the law.
    pub model: Model<'a>,
    /// The forward process.
    pub schedule: &'a Schedule,
    /// Levels to visit.
    pub levels: &'a [Level],
    /// The law that samples start from.
    pub init: Init,
    /// How many, and how.
    pub sampling: Sampling,
}

/// The model that a solver is handed.
#[derive(Clone, Copy, Debug, Default)]
pub enum Model<'a> {
    /// The law's own.
    #[default]
    Exact,
    /// The law's own, made wrong.
    Wrong(&'a Perturbation),
    /// One without a closed form.
    Engine(&'a dyn Engine),
}

impl<'a> Model<'a> {
    /// The engine, where it is one.
    pub fn engine(self) -> Option<&'a dyn Engine> {
        if let Model::Engine(engine) = self { Some(engine) } else { None }
    }
}

/// What a run made of its samples, and what each cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome<A> {
    /// One accumulator a batch: see [`Batches`].
    pub batches: Vec<A>,
    /// Model calls of a sample.
    pub nfe: usize,
    /// Noises of a sample, the start not counted.
    pub draws: usize,
    /// Whether the solver looked at norms that a pilot run answered.
    pub mean_field: bool,
    /// For an adaptive method, the levels that its pilot planned, and the model calls of that.
    pub plan: Option<(Vec<Level>, usize)>,
}

/// Samples of a pilot run, which answers what no single chunk may: expected norms.
const PILOT: usize = 1024;

/// A state of a chunk has about this many values: tables of the model are made anew for every level and chunk, so chunks
/// fill the second cache rather than the first.
const CHUNK_VALUES: usize = 16_384;

/// Why there are no samples.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NoRun {
    /// The solver refused ([`Ctx::refuse`]).
    #[error("undefined: {0}")]
    Refused(String),
    /// The solver panicked: a bug in it.
    #[error("the solver panicked; its message is on stderr")]
    Panicked,
    /// The device of a network failed.
    #[error("{0}")]
    Device(String),
}

/// What the pilot found.
struct Pilot {
    nfe: usize,
    draws: usize,
    look: Look,
    norms: Vec<f64>,
    plan: Option<(Vec<Level>, usize)>,
}

impl Pilot {
    fn outcome<A>(self, batches: Vec<A>) -> Outcome<A> {
        let Pilot { nfe, draws, look, plan, .. } = self;
        Outcome { batches, nfe, draws, mean_field: look == Look::Expected, plan }
    }

    /// The levels that samples visit: those planned, or those given.
    fn levels<'a>(&'a self, given: &'a [Level]) -> &'a [Level] {
        self.plan.as_ref().map_or(given, |(levels, _)| levels)
    }
}

impl<S: Sample + Sync + ?Sized> Run<'_, S> {
    /// Runs all samples. They are pushed to the accumulator of their batch (see [`Batches`]) in the order of their numbers,
    /// a chunk at a time: the number of the first, and rows of `dim` coordinates. What an accumulator makes of a row must
    /// not depend on the chunk that it comes in.
    ///
    /// # Errors
    /// See [`NoRun`]. (A sample that diverges is no error: its coordinates are not finite.)
    pub fn fold<A: Send>(
        &self,
        fresh: impl Fn(usize) -> A + Sync,
        push: impl Fn(&mut A, u64, &[f64]) + Sync,
    ) -> Result<Outcome<A>, NoRun> {
        self.fold_in_chunks(None, fresh, push)
    }

    /// As [`Run::fold`], with chunks of a given length: results do not depend on it.
    ///
    /// # Errors
    /// See [`NoRun`].
    pub fn fold_in_chunks<A: Send>(
        &self,
        chunk: Option<usize>,
        fresh: impl Fn(usize) -> A + Sync,
        push: impl Fn(&mut A, u64, &[f64]) + Sync,
    ) -> Result<Outcome<A>, NoRun> {
        let run = || match (self.model, self.sampling.precision) {
            (Model::Engine(engine), _) => self.fold_on(engine, chunk, &fresh, &push),
            (_, Precision::F64) => self.fold_as::<f64, A>(chunk, Rounding::None, &fresh, &push),
            (_, narrow) => self.fold_as::<f32, A>(chunk, narrow.rounding(), &fresh, &push),
        };
        std::panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or(Err(NoRun::Panicked))
    }

    fn fold_as<R: batch::Precision, A: Send>(
        &self,
        chunk: Option<usize>,
        rounding: Rounding,
        fresh: &(impl Fn(usize) -> A + Sync),
        push: &(impl Fn(&mut A, u64, &[f64]) + Sync),
    ) -> Result<Outcome<A>, NoRun> {
        let pilot = self.pilot::<R>(rounding)?;
        let batches = self.in_chunks(&pilot, chunk, fresh, |sum: &mut A, first, len| {
            let mut noise = White::new(self.sampling.seed);
            let rows = self.chunk::<R>(rounding, &pilot, &mut noise, first, len)?.to_rows();
            push(sum, first, &rows.into_iter().map(R::to_f64).collect::<Vec<_>>());
            Ok(())
        })?;
        Ok(pilot.outcome(batches))
    }

    /// Does `work` on all samples, a chunk (its first number and its length) at a time, in order within a batch.
    fn in_chunks<A: Send>(
        &self,
        pilot: &Pilot,
        chunk: Option<usize>,
        fresh: impl Fn(usize) -> A + Sync,
        work: impl Fn(&mut A, u64, usize) -> Result<(), NoRun> + Sync,
    ) -> Result<Vec<A>, NoRun> {
        let default = (CHUNK_VALUES / self.data.dim() / LANES * LANES).clamp(LANES, 2048);
        // A solver that looks at one realisation sees one.
        let length = if pilot.look == Look::Sample { 1 } else { chunk.unwrap_or(default) };
        let cut = Batches::new(self.sampling.samples, Batches::DEFAULT);
        let batches = parallel::map(&(0..cut.count()).collect::<Vec<_>>(), |batch| {
            let (mut sum, range) = (fresh(*batch), cut.range(*batch));
            for first in range.clone().step_by(length) {
                work(&mut sum, first, length.min((range.end - first) as usize))?;
            }
            Ok(sum)
        });
        batches.into_iter().collect()
    }

    fn wrong_model<R: batch::Precision>(&self) -> Option<Wrong<'_, Batch<R>>> {
        let Model::Wrong(wrong) = self.model else { return None };
        let dim = self.data.dim();
        let spread = (self.data.second_moment(&CLEAN) / dim as f64).sqrt();
        Some(wrong.of(self.data.model(), self.schedule, dim, spread))
    }

    /// The model that the solver sees.
    fn model<'m, R: batch::Precision>(
        &'m self,
        wrong: &'m Option<Wrong<'m, Batch<R>>>,
    ) -> &'m dyn Denoiser<Batch<R>> {
        wrong.as_ref().map_or(self.data.model(), |wrong| wrong)
    }

    /// Samples `first..first + len` at the first level.
    fn start<R: batch::Precision>(
        &self,
        rounding: Rounding,
        purpose: Purpose,
        first: u64,
        len: usize,
    ) -> Batch<R> {
        let (at, seed) = (&self.levels[0], self.sampling.seed);
        let x = match self.init {
            Init::Marginal => self.data.sample(at, seed, purpose, first, len),
            Init::Prior => {
                let z = White::of(seed, purpose).draw(&State(Batch::zeros(self.data.dim(), first, len)));
                (self.schedule.prior_std(at) * &z).eval().0
            }
        };
        x.rounded(rounding)
    }

    /// What a few samples tell, and more where the solver asks for norms.
    fn pilot<R: batch::Precision>(&self, rounding: Rounding) -> Result<Pilot, NoRun> {
        let few = self.pilot_of::<R>(rounding, LANES)?;
        let norms = few.look != Look::Never || few.plan.is_some();
        if norms { self.pilot_of::<R>(rounding, PILOT) } else { Ok(few) }
    }

    fn pilot_of<R: batch::Precision>(&self, rounding: Rounding, samples: usize) -> Result<Pilot, NoRun> {
        let refused = |cx: &Ctx<Batch<R>>| cx.refusal().map(|why| NoRun::Refused(why.into()));
        let start = || State(self.start::<R>(rounding, Purpose::Pilot, 0, samples));
        let wrong = self.wrong_model();
        let model = self.model(&wrong);
        let mut noise = White::of(self.sampling.seed, Purpose::Pilot);
        let mut cx = Ctx::new(model, &mut noise, self.schedule);
        let plan = self.solver.plan(&mut cx, self.levels, start()).map(|levels| (levels, cx.nfe()));
        if let Some(why) = refused(&cx) {
            return Err(why);
        }
        let levels = plan.as_ref().map_or(self.levels, |(levels, _)| levels);
        let mut noise = White::of(self.sampling.seed, Purpose::Pilot);
        let mut cx = Ctx::new(model, &mut noise, self.schedule);
        self.solver.sample(&mut cx, levels, start());
        if let Some(why) = refused(&cx) {
            return Err(why);
        }
        Ok(Pilot { nfe: cx.nfe(), draws: cx.draws(), look: cx.look(), norms: cx.norms().to_vec(), plan })
    }

    fn chunk<R: batch::Precision>(
        &self,
        rounding: Rounding,
        pilot: &Pilot,
        noise: &mut dyn Noise<Batch<R>>,
        first: u64,
        len: usize,
    ) -> Result<Batch<R>, NoRun> {
        let levels = pilot.levels(self.levels);
        let wrong = self.wrong_model();
        let model = self.model(&wrong);
        let mut cx = Ctx::new(model, noise, self.schedule).with_norms(pilot.norms.clone());
        let x = State(self.start::<R>(rounding, Purpose::Start, first, len));
        let out = self.solver.sample(&mut cx, levels, x).0;
        match cx.refusal() {
            Some(why) => Err(NoRun::Refused(why.into())),
            None => Ok(out),
        }
    }

    /// Where sample numbers `first..first + len` start, as the run starts them, in `f64`.
    pub fn starts(&self, first: u64, len: usize) -> Batch<f64> {
        match self.sampling.precision {
            Precision::F64 => self.start::<f64>(Rounding::None, Purpose::Start, first, len),
            narrow => {
                let rows = self.start::<f32>(narrow.rounding(), Purpose::Start, first, len).to_rows();
                Batch::from_rows(self.data.dim(), rows.into_iter().map(f64::from).collect()).numbered(first)
            }
        }
    }
}
