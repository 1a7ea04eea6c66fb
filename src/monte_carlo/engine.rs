//! Runs whose model lives elsewhere than on host batches: a network on its device.

use super::{NoRun, Outcome, Pilot, Precision, Run};
use crate::any::Any;
use crate::batch::{Batch, Rounding};
use crate::metric::batches::Batches;
use crate::noise::{Purpose, White};
use crate::parallel;
use crate::picture::View;
use crate::run::{Ctx, Denoiser, Look};
use crate::schedule::Schedule;
use crate::solver::Sample;
use crate::state::{Space, State};

/// A model that runs on a device of its own: a network. As a denoiser of host batches it is what exact flows are
/// integrated with; runs keep their states where the model is.
pub trait Engine: Denoiser<Batch<f64>> + std::fmt::Debug + Send + Sync {
    /// All that its numbers follow from, for content keys.
    fn bytes(&self) -> Vec<u8>;

    /// Least and greatest `kappa = sigma/alpha` that it knows.
    fn range(&self) -> (f64, f64);

    /// The forward process that it was trained on, where it has a name here.
    fn schedule(&self) -> Option<Schedule> {
        None
    }

    /// How its samples are images, where they are.
    fn view(&self) -> Option<View> {
        None
    }

    /// Samples that it likes to run at a time.
    fn batch(&self) -> usize;

    /// Whether several runs side by side are faster than one after the other.
    fn concurrent(&self) -> bool;

    /// Hands `solve` these samples and a context on the device, whose noise is [`White`]'s; the rows that it ends with.
    ///
    /// # Errors
    /// See [`NoRun`].
    fn run(
        &self,
        start: Start,
        noise: White,
        schedule: &Schedule,
        solve: &mut Solve,
    ) -> Result<Vec<f64>, NoRun>;

    /// Local error, as a share of the sample's size, below which integrating a flow through it finds its round-off.
    fn tolerance(&self) -> f64;

    /// Runs what asks it as a denoiser, and says what went wrong on the device.
    ///
    /// # Errors
    /// See [`NoRun::Device`].
    fn guarded(&self, run: &mut dyn FnMut()) -> Result<(), NoRun> {
        run();
        Ok(())
    }
}

/// What is done with samples in a context.
pub type Solve<'a> = dyn FnMut(&mut Ctx<Any>, State<Any>) -> State<Any> + 'a;

/// Samples at a run's first level, in either precision that devices compute states in.
#[derive(Clone, Debug)]
pub enum Start {
    /// 24 bits.
    F32(Batch<f32>),
    /// 53 bits.
    F64(Batch<f64>),
}

/// Samples that expected norms are taken of, at least.
const LEAST_PILOT: usize = 64;

impl<S: Sample + Sync + ?Sized> Run<'_, S> {
    /// As [`Run::fold_as`], with states on an engine's device.
    pub(super) fn fold_on<A: Send>(
        &self,
        engine: &dyn Engine,
        chunk: Option<usize>,
        fresh: &(impl Fn(usize) -> A + Sync),
        push: &(impl Fn(&mut A, u64, &[f64]) + Sync),
    ) -> Result<Outcome<A>, NoRun> {
        let pilot = self.pilot_on(engine)?;
        let (cut, n) = (Batches::new(self.sampling.samples, Batches::DEFAULT), self.sampling.samples);
        // A solver that looks at one realisation sees one.
        let length = if pilot.look == Look::Sample { 1 } else { chunk.unwrap_or(engine.batch()) };
        let mut sums: Vec<A> = (0..cut.count()).map(fresh).collect();
        let starts: Vec<u64> = (0..n).step_by(length).collect();
        // Chunks are as long as the engine likes them, across the borders of batches; a few at a time, to bound memory.
        for group in starts.chunks(if engine.concurrent() { 2 * parallel::threads() } else { 1 }) {
            let done = parallel::map(group, |&first| {
                self.chunk_on(engine, &pilot, first, length.min((n - first) as usize))
            });
            for (first, rows) in group.iter().zip(done) {
                for (i, row) in rows?.chunks_exact(self.data.dim()).enumerate() {
                    let sample = first + i as u64;
                    push(&mut sums[cut.of(sample)], sample, row);
                }
            }
        }
        Ok(pilot.outcome(sums))
    }

    /// Rows of the samples `first..first + len` as an engine makes them.
    fn chunk_on(
        &self,
        engine: &dyn Engine,
        pilot: &Pilot,
        first: u64,
        len: usize,
    ) -> Result<Vec<f64>, NoRun> {
        self.solve_on(engine, Purpose::Start, first, len, |cx, x| {
            cx.answer_norms(pilot.norms.clone());
            self.solver.sample(cx, pilot.levels(self.levels), x)
        })
    }

    /// As [`Run::pilot`]: one sample tells most, and as many as the engine takes at a time the norms.
    fn pilot_on(&self, engine: &dyn Engine) -> Result<Pilot, NoRun> {
        let one = self.pilot_of_on(engine, 1)?;
        let norms = one.look != Look::Never || one.plan.is_some();
        if norms { self.pilot_of_on(engine, engine.batch().max(LEAST_PILOT)) } else { Ok(one) }
    }

    fn pilot_of_on(&self, engine: &dyn Engine, samples: usize) -> Result<Pilot, NoRun> {
        let mut plan = None;
        self.solve_on(engine, Purpose::Pilot, 0, samples, |cx, x| {
            let copy = State(Any::combine(&[(1.0, &x.0)]));
            plan = self.solver.plan(cx, self.levels, copy).map(|levels| (levels, cx.nfe()));
            x
        })?;
        let mut pilot = Pilot { nfe: 0, draws: 0, look: Look::Never, norms: Vec::new(), plan };
        self.solve_on(engine, Purpose::Pilot, 0, samples, |cx, x| {
            let out = self.solver.sample(cx, pilot.levels(self.levels), x);
            (pilot.nfe, pilot.draws, pilot.look) = (cx.nfe(), cx.draws(), cx.look());
            pilot.norms = cx.norms().to_vec();
            out
        })?;
        Ok(pilot)
    }

    /// What `solve` makes on the engine of the samples `first..first + len` at the first level.
    fn solve_on(
        &self,
        engine: &dyn Engine,
        purpose: Purpose,
        first: u64,
        len: usize,
        mut solve: impl FnMut(&mut Ctx<Any>, State<Any>) -> State<Any>,
    ) -> Result<Vec<f64>, NoRun> {
        let noise = if purpose == Purpose::Pilot { Purpose::Pilot } else { Purpose::Noise };
        let (start, noise) = (self.start_on(purpose, first, len)?, White::of(self.sampling.seed, noise));
        let mut refusal = None;
        let rows = engine.run(start, noise, self.schedule, &mut |cx, x| {
            let out = solve(cx, x);
            refusal = cx.refusal().map(String::from);
            out
        })?;
        refusal.map_or(Ok(rows), |why| Err(NoRun::Refused(why)))
    }

    /// Samples at the first level.
    fn start_on(&self, purpose: Purpose, first: u64, len: usize) -> Result<Start, NoRun> {
        match self.sampling.precision {
            Precision::F64 => Ok(Start::F64(self.start(Rounding::None, purpose, first, len))),
            Precision::F32 => Ok(Start::F32(self.start(Rounding::None, purpose, first, len))),
            narrow => {
                Err(NoRun::Refused(format!("states of networks are f32 or f64, not {}", narrow.name())))
            }
        }
    }
}
