//! Models that are wrong in a controlled way, so that the effect of a wrong score is told from that of the solver.
//!
//! The law of the data stays what it is, and errors are still to it. What is wrong is the predicted noise `eps`, the
//! quantity that networks are trained on, whose coordinates have a mean square of about 1 at any level.

use rand::RngExt;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use crate::affine::Affine;
use crate::batch::{Batch, LANES, Lanes, Precision};
use crate::error::{BadInput, Result};
use crate::noise::{Purpose, generator};
use crate::real::Real;
use crate::run::Denoiser;
use crate::schedule::{Level, Schedule};
use crate::state::{Space, State};

/// What a model gets wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Perturbation {
    /// The kind of error.
    pub kind: Kind,
    /// How large it is.
    pub size: f64,
    /// Seed of a random error.
    #[serde(default)]
    pub seed: u64,
}

/// Kinds of error in the predicted noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// `eps + size` in every coordinate.
    Bias,
    /// `(1 + size) eps`.
    Scale,
    /// That of the level whose `lambda` is the nearest multiple of `size`, at the same `x/alpha`: a model that hears of
    /// the noise level in steps.
    FrozenInTime,
    /// `eps + size r(x, lambda)` with a random smooth field `r`: a network of 32 hidden units, at random, whose outputs
    /// have a root mean square of about 1 on `x/sd(x)`.
    RandomLipschitz,
}

impl Kind {
    /// As written in an experiment.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Bias => "bias",
            Kind::Scale => "scale",
            Kind::FrozenInTime => "frozen-in-time",
            Kind::RandomLipschitz => "random-lipschitz",
        }
    }
}

impl Perturbation {
    /// Whether an affine model stays affine.
    pub fn is_affine(&self) -> bool {
        self.kind != Kind::RandomLipschitz
    }

    /// Refuses sizes without a meaning.
    ///
    /// # Errors
    /// A size that is not finite, or no positive step in `lambda`.
    pub fn check(&self) -> Result<()> {
        let least = if self.kind == Kind::FrozenInTime { f64::MIN_POSITIVE } else { f64::NEG_INFINITY };
        if self.size.is_finite() && self.size >= least {
            return Ok(());
        }
        let why = "is no size of an error of this kind";
        Err(BadInput::new("size", self.size, why, "give a finite number (above 0 for frozen-in-time)"))
    }

    /// A model with this error. `spread` is the root mean square of a coordinate of the clean data.
    pub fn of<'a, V>(
        &'a self,
        model: &'a dyn Denoiser<V>,
        schedule: &'a Schedule,
        dim: usize,
        spread: f64,
    ) -> Wrong<'a, V> {
        let field = (self.kind == Kind::RandomLipschitz).then(|| Field::new(self.seed, dim, spread));
        Wrong { what: self, model, schedule, field }
    }
}

/// A wrong model.
pub struct Wrong<'a, V> {
    what: &'a Perturbation,
    model: &'a dyn Denoiser<V>,
    schedule: &'a Schedule,
    field: Option<Field>,
}

/// A space on which errors can be added.
pub trait Perturb: Space {
    /// `x + by` in every coordinate.
    fn shifted(&self, by: f64) -> Self;
    /// `x + c r(at)` with a random field `r`.
    fn stirred(&self, c: f64, field: &Field, at: &Self, level: &Level) -> Self;
}

impl<V: Perturb> Wrong<'_, V> {
    /// `y + c (eps' - eps)` for errors that are added to `eps`.
    fn add(&self, y: State<V>, c: f64, x: &State<V>, at: &Level) -> State<V> {
        State(match &self.field {
            None => y.0.shifted(c * self.what.size),
            Some(field) => y.0.stirred(c * self.what.size, field, &x.0, at),
        })
    }

    /// The noise predicted where the model believes to be.
    fn frozen(&self, x: &State<V>, at: &Level) -> State<V> {
        let step = self.what.size;
        let heard = self.schedule.at_lambda((at.lambda() / step).round() * step);
        let x = (heard.alpha / at.alpha * x).eval();
        self.model.eps(&x, &heard)
    }
}

impl<V: Perturb> Denoiser<V> for Wrong<'_, V> {
    fn denoise(&self, x: &State<V>, at: &Level) -> State<V> {
        match self.what.kind {
            Kind::Bias | Kind::RandomLipschitz => {
                self.add(self.model.denoise(x, at), -at.sigma / at.alpha, x, at)
            }
            // d' = (x - sigma (1 + size) eps)/alpha, with sigma eps = x - alpha d.
            Kind::Scale => {
                let d = self.model.denoise(x, at);
                ((1.0 + self.what.size) * &d - self.what.size / at.alpha * x).eval()
            }
            Kind::FrozenInTime => {
                let eps = self.frozen(x, at);
                ((x - at.sigma * &eps) / at.alpha).eval()
            }
        }
    }

    fn eps(&self, x: &State<V>, at: &Level) -> State<V> {
        match self.what.kind {
            Kind::Bias | Kind::RandomLipschitz => self.add(self.model.eps(x, at), 1.0, x, at),
            Kind::Scale => ((1.0 + self.what.size) * &self.model.eps(x, at)).eval(),
            Kind::FrozenInTime => self.frozen(x, at),
        }
    }

    fn score(&self, x: &State<V>, at: &Level) -> State<V> {
        match self.what.kind {
            Kind::Bias | Kind::RandomLipschitz => self.add(self.model.score(x, at), -1.0 / at.sigma, x, at),
            Kind::Scale => ((1.0 + self.what.size) * &self.model.score(x, at)).eval(),
            Kind::FrozenInTime => (-1.0 / at.sigma * &self.frozen(x, at)).eval(),
        }
    }

    fn posterior_noise(&self, z: &State<V>, t: &Level, s: &Level) -> Option<State<V>> {
        self.model.posterior_noise(z, t, s)
    }
}

impl Perturb for Affine {
    fn shifted(&self, by: f64) -> Self {
        self.map(&vec![1.0; self.modes()], &vec![by; self.modes()])
    }
    fn stirred(&self, _: f64, _: &Field, _: &Self, _: &Level) -> Self {
        unreachable!("experiments refuse exact laws of models that are not affine")
    }
}

impl<R: Precision> Perturb for Batch<R> {
    fn shifted(&self, by: f64) -> Self {
        let by = R::from_f64(by);
        self.map_blocks(
            #[inline(always)]
            |x, to| {
                for (to, x) in to.iter_mut().zip(x) {
                    for i in 0..LANES {
                        to[i] = x[i] + by;
                    }
                }
            },
        )
    }

    fn stirred(&self, c: f64, field: &Field, at: &Self, level: &Level) -> Self {
        let unit = field.unit::<R>(level);
        let c = R::from_f64(c);
        let mut places = at.blocks();
        self.map_blocks(
            #[inline(always)]
            |y, to| unit.add(c, places.next().expect("one block each"), y, to),
        )
    }
}

/// A random smooth field: `r_j = sqrt(2/M) sum_m a_jm tanh(w_m . x/sd + nu_m lambda + phi_m)`, everything drawn once.
pub struct Field {
    dim: usize,
    spread: f64,
    /// `w_m`, `M x dim`.
    inner: Vec<f64>,
    /// `(nu_m, phi_m)`.
    phase: Vec<(f64, f64)>,
    /// `a_jm`, `M x dim`.
    outer: Vec<f64>,
}

/// Hidden units of a random field.
const UNITS: usize = 32;

impl Field {
    fn new(seed: u64, dim: usize, spread: f64) -> Self {
        let mut random = generator(seed, Purpose::Other, 0);
        let mut normal = || -> f64 { random.sample(StandardNormal) };
        let scale = 1.5 / (dim as f64).sqrt();
        Field {
            dim,
            spread,
            inner: (0..UNITS * dim).map(|_| scale * normal()).collect(),
            phase: (0..UNITS).map(|_| (0.5 * normal(), normal())).collect(),
            outer: (0..UNITS * dim).map(|_| normal() * (2.0 / UNITS as f64).sqrt()).collect(),
        }
    }

    /// The field at a level, in the precision of the samples.
    fn unit<R: Real>(&self, level: &Level) -> Unit<R> {
        let sd = level.marginal_variance(self.spread * self.spread).sqrt();
        let real = |x: f64| R::from_f64(x);
        Unit {
            dim: self.dim,
            inner: self.inner.iter().map(|w| real(w / sd)).collect(),
            phase: self.phase.iter().map(|(nu, phi)| real(nu * level.lambda() + phi)).collect(),
            outer: self.outer.iter().map(|a| real(*a)).collect(),
        }
    }
}

struct Unit<R> {
    dim: usize,
    inner: Vec<R>,
    phase: Vec<R>,
    outer: Vec<R>,
}

impl<R: Real> Unit<R> {
    /// `to = y + c r(x)`.
    #[inline(always)]
    fn add(&self, c: R, x: &[Lanes<R>], y: &[Lanes<R>], to: &mut [Lanes<R>]) {
        to.copy_from_slice(y);
        let two = R::ONE + R::ONE;
        let rows = self.inner.chunks_exact(self.dim).zip(self.outer.chunks_exact(self.dim));
        for ((inner, outer), phase) in rows.zip(&self.phase) {
            let mut u = [*phase; LANES];
            for (x, w) in x.iter().zip(inner) {
                for i in 0..LANES {
                    u[i] = x[i].mul_add(*w, u[i]);
                }
            }
            // c tanh(u) = c - 2c/(1 + e^{2u}).
            for u in &mut u {
                *u = c - two * c / (R::ONE + (two * *u).exp());
            }
            for (to, a) in to.iter_mut().zip(outer) {
                for i in 0..LANES {
                    to[i] = u[i].mul_add(*a, to[i]);
                }
            }
        }
    }
}
