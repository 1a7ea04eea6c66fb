//! What a solver is handed: a model that counts its own calls, a source of noise, and the schedule.

use crate::any::{Any, AnyModel, AnyNoise, Backend};
use crate::schedule::{Clock, Level, Schedule};
use crate::state::{Space, State};

/// A model of the data at every noise level. One of the three forms is native; the others follow from
/// `x = alpha d + sigma eps` and `score = -eps/sigma`, and are overridden where they are native too,
/// so that no solver pays a cancelling round trip.
pub trait Denoiser<V: Space> {
    /// `d = E[x_0 | x_t = x]`.
    fn denoise(&self, x: &State<V>, at: &Level) -> State<V>;

    /// `eps = E[z | x_t = x]`, the predicted noise.
    fn eps(&self, x: &State<V>, at: &Level) -> State<V> {
        let d = self.denoise(x, at);
        ((x - at.alpha * &d) / at.sigma).eval()
    }

    /// `score = grad log p_t(x)`.
    fn score(&self, x: &State<V>, at: &Level) -> State<V> {
        let eps = self.eps(x, at);
        (-1.0 / at.sigma * &eps).eval()
    }

    /// The exact probability flow from `x` at `t` down to `s`. `None` where the model does not know it in closed form.
    fn flow(&self, _x: &State<V>, _t: &Level, _s: &Level) -> Option<State<V>> {
        None
    }

    /// `z` coloured by the root of the covariance of `x_s` given `x_t`: one exact reverse step is the
    /// exact reverse mean plus this. `None` where the model does not know it in closed form.
    fn posterior_noise(&self, _z: &State<V>, _t: &Level, _s: &Level) -> Option<State<V>> {
        None
    }
}

/// Standard normal draws shaped like `x`.
pub trait Noise<V> {
    /// The Brownian increment between the two levels, normalised to unit variance. Increments over
    /// disjoint intervals are independent.
    fn increment(&mut self, x: &State<V>, from: &Level, to: &Level) -> State<V>;

    /// Noise tied to no interval (Langevin correctors, churn).
    fn fresh(&mut self, x: &State<V>) -> State<V>;

    /// Two independent normals `(z1, z2)` from the path between two levels, as `clock` sees it. With `W` the path as
    /// a Brownian motion in the clock's own unit, run for `h = |u_s - u_t|` from `t` down to `s`:
    /// `W_h = sqrt(h) z1` and its area `int_0^h W du = h^{3/2} (z1/2 + z2/sqrt(12))`.
    fn increment_and_area(
        &mut self,
        x: &State<V>,
        from: &Level,
        to: &Level,
        _clock: Clock,
    ) -> (State<V>, State<V>) {
        // What has no path has independent normals all the same.
        (self.increment(x, from, to), self.fresh(x))
    }
}

/// Proof that a look at a value is recorded: only [`Ctx`] makes one. A coefficient computed from a look that nobody
/// recorded would pass for a constant, and the exact law for exact.
#[derive(Debug)]
pub struct Recorded(pub(crate) ());

/// How a solver looked at a value, if it did: from then on it need not be an affine map of its noises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Look {
    /// It did not: the exact law holds.
    #[default]
    Never,
    /// At a root mean square over the law ([`Ctx::expected_rms`]), which the exact law answers by expectation.
    Expected,
    /// At the value of one realisation ([`Ctx::rms`]).
    Sample,
}

/// Everything a solver may use besides its grid and its state. Model calls are counted here and nowhere else.
pub struct Ctx<'a, V> {
    model: &'a dyn Denoiser<V>,
    noise: &'a mut dyn Noise<V>,
    schedule: &'a Schedule,
    nfe: usize,
    draws: usize,
    look: Look,
    norms: Norms,
    refusal: Option<String>,
}

/// Expected norms: what a run finds, or what a pilot run found.
#[derive(Debug)]
enum Norms {
    Found(Vec<f64>),
    Given(std::vec::IntoIter<f64>),
}

impl<V: Backend> Ctx<'_, V> {
    /// Goes on in a context of [`Any`] backend, with the same model, noise and counts.
    pub(crate) fn with_any<T>(&mut self, x: State<V>, run: impl FnOnce(&mut Ctx<Any>, State<Any>) -> T) -> T {
        let (model, mut noise) = (AnyModel(self.model), AnyNoise(&mut *self.noise));
        let norms = std::mem::replace(&mut self.norms, Norms::Found(Vec::new()));
        let (schedule, refusal) = (self.schedule, self.refusal.take());
        let (nfe, draws, look) = (self.nfe, self.draws, self.look);
        let mut any = Ctx { model: &model, noise: &mut noise, schedule, nfe, draws, look, norms, refusal };
        let out = run(&mut any, State(V::wrap(x)));
        let Ctx { nfe, draws, look, norms, refusal, .. } = any;
        (self.nfe, self.draws, self.look, self.norms, self.refusal) = (nfe, draws, look, norms, refusal);
        out
    }
}

impl<'a, V: Space> Ctx<'a, V> {
    /// A context that has counted nothing yet.
    pub fn new(model: &'a dyn Denoiser<V>, noise: &'a mut dyn Noise<V>, schedule: &'a Schedule) -> Self {
        let norms = Norms::Found(Vec::new());
        Ctx { model, noise, schedule, nfe: 0, draws: 0, look: Look::Never, norms, refusal: None }
    }

    /// The same, answering [`Ctx::expected_rms`] by what a pilot run found: a batch is then no law of its own.
    pub fn with_norms(mut self, norms: Vec<f64>) -> Self {
        self.answer_norms(norms);
        self
    }

    /// See [`Ctx::with_norms`].
    pub(crate) fn answer_norms(&mut self, norms: Vec<f64>) {
        self.norms = Norms::Given(norms.into_iter());
    }

    /// `d = E[x_0 | x_t = x]`; one model call.
    pub fn denoise(&mut self, x: &State<V>, at: &Level) -> State<V> {
        self.nfe += 1;
        self.model.denoise(x, at)
    }

    /// Predicted noise `eps = (x - alpha d)/sigma`, natively where the model has it; one model call.
    pub fn eps(&mut self, x: &State<V>, at: &Level) -> State<V> {
        self.nfe += 1;
        self.model.eps(x, at)
    }

    /// Score `-eps/sigma`, natively where the model has it; one model call.
    pub fn score(&mut self, x: &State<V>, at: &Level) -> State<V> {
        self.nfe += 1;
        self.model.score(x, at)
    }

    /// The Brownian increment between two levels, normalised. Draws over overlapping intervals would be
    /// correlated: a solver that needs both asks for the atomic pieces and adds them.
    pub fn increment(&mut self, x: &State<V>, from: &Level, to: &Level) -> State<V> {
        self.draws += 1;
        self.noise.increment(x, from, to)
    }

    /// The normals behind the Brownian increment and its space-time area over a step, as `clock` sees them:
    /// see [`Noise::increment_and_area`]. For methods of strong order above 1.
    pub fn increment_and_area(
        &mut self,
        x: &State<V>,
        from: &Level,
        to: &Level,
        clock: Clock,
    ) -> (State<V>, State<V>) {
        self.draws += 2;
        self.noise.increment_and_area(x, from, to, clock)
    }

    /// Standard normal noise tied to no interval.
    pub fn fresh(&mut self, x: &State<V>) -> State<V> {
        self.draws += 1;
        self.noise.fresh(x)
    }

    /// `z` coloured by the exact covariance of the reverse step; see [`Denoiser::posterior_noise`].
    /// Refuses the run (and returns `z`) where the model does not know it.
    pub fn posterior_noise(&mut self, z: State<V>, t: &Level, s: &Level) -> State<V> {
        match self.model.posterior_noise(&z, t, s) {
            Some(coloured) => coloured,
            None => {
                self.refuse("the exact reverse covariance is not known for this model");
                z
            }
        }
    }

    /// The exact probability flow from `x` at `t` down to `s`, for starting values without an error of their own.
    /// Refuses the run (and returns `x`) where the model does not know it.
    pub fn flow(&mut self, x: &State<V>, t: &Level, s: &Level) -> State<V> {
        self.model.flow(x, t, s).unwrap_or_else(|| {
            self.refuse("the exact flow is not known for this model");
            State(V::combine(&[(1.0, &x.0)]))
        })
    }

    /// Root mean square of this very realisation. The exact law refuses a solver that asks.
    pub fn rms(&mut self, x: &State<V>) -> f64 {
        self.look = Look::Sample;
        x.0.rms(&Recorded(()))
    }

    /// Root of the *expected* mean square: over the law where it is known (mean field), over the batch elsewhere.
    pub fn expected_rms(&mut self, x: &State<V>) -> f64 {
        self.look = self.look.max(Look::Expected);
        match &mut self.norms {
            Norms::Found(found) => {
                found.push(x.0.rms(&Recorded(())));
                found[found.len() - 1]
            }
            // (A run that asks more often than its pilot did has taken another path: nothing it says would be right.)
            Norms::Given(given) => given.next().unwrap_or(f64::NAN),
        }
    }

    /// The level at time `t`, for methods with stages between grid points.
    pub fn at(&self, t: f64) -> Level {
        self.schedule.at(t)
    }

    /// The level at half log-SNR `lambda`.
    pub fn at_lambda(&self, lambda: f64) -> Level {
        self.schedule.at_lambda(lambda)
    }

    /// The level at `sigma/alpha = kappa`.
    pub fn at_kappa(&self, kappa: f64) -> Level {
        self.schedule.at_kappa(kappa)
    }

    /// The forward process.
    pub fn schedule(&self) -> &'a Schedule {
        self.schedule
    }

    /// Declares that this run cannot mean anything, and why; the first reason is kept and the run's
    /// result is discarded. (For what can be known beforehand, see `Solver::check_grid`.)
    pub fn refuse(&mut self, why: impl Into<String>) {
        self.refusal.get_or_insert_with(|| why.into());
    }

    /// Model calls so far.
    pub fn nfe(&self) -> usize {
        self.nfe
    }

    /// Noises so far.
    pub fn draws(&self) -> usize {
        self.draws
    }

    /// Expected norms so far, in the order in which they were asked for.
    pub fn norms(&self) -> &[f64] {
        match &self.norms {
            Norms::Found(found) => found,
            Norms::Given(rest) => rest.as_slice(),
        }
    }

    /// The closest look at a value so far.
    pub fn look(&self) -> Look {
        self.look
    }

    /// Why the run is refused, if it is.
    pub fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }
}
