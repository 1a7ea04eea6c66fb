//! The exact output law of a sampler on Gaussian data, with no Monte-Carlo error.
//!
//! ```
//! use scorebench::{data::Gaussian, grid::Grid, law, metric, schedule::Schedule, solver::ddim::Ddim};
//! let schedule = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };
//! let data = Gaussian::new(vec![0.0, 1.0], vec![1.0, 0.25])?;
//! let error = |steps| {
//!     let grid = Grid::UniformLambda { start: 1.0, end: 1e-3 }.levels(&schedule, Some(steps)).unwrap();
//!     let law = law::law(&Ddim { eta: 0.0 }, &data, &schedule, &grid, law::Init::Marginal).unwrap();
//!     metric::w2(&law.moments, &data.marginal(&grid[steps]))
//! };
//! let order = (error(256) / error(512)).log2();
//! assert!((order - 1.0).abs() < 0.01); // DDIM is of first order
//! # Ok::<(), scorebench::error::BadInput>(())
//! ```

use serde::{Deserialize, Serialize};

use crate::affine::Affine;
use crate::data::{Gaussian, Moments, Perturbation};
use crate::noise::{Draw, Probe};
use crate::parallel;
use crate::run::{Ctx, Denoiser, Look};
use crate::schedule::{Level, Schedule};
use crate::solver::Sample;
use crate::state::State;
use crate::strong::Path;

/// The law a run starts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Init {
    /// The exact marginal at the first level: no initialisation error.
    #[default]
    Marginal,
    /// What practice starts from: N(0, sigma_T^2 I) where `alpha = 1`, else N(0, I).
    Prior,
}

impl Init {
    /// As written in an experiment.
    pub fn name(self) -> &'static str {
        match self {
            Init::Marginal => "marginal",
            Init::Prior => "prior",
        }
    }

    /// The law itself.
    pub fn moments(self, data: &Gaussian, schedule: &Schedule, start: &Level) -> Moments {
        match self {
            Init::Marginal => data.marginal(start),
            Init::Prior => {
                Moments { mean: vec![0.0; data.modes()], std: vec![schedule.prior_std(start); data.modes()] }
            }
        }
    }
}

/// The output law of a run, and what the run cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Law {
    /// Mean and standard deviation, per mode.
    pub moments: Moments,
    /// `d x_out / d x_T`, per mode; NaN where the start has no spread.
    pub gain: Vec<f64>,
    /// Standard deviation of what the injected noises contribute, per mode.
    pub noise_std: Vec<f64>,
    /// Model calls.
    pub nfe: usize,
    /// Injected noises (the initial one not counted).
    pub draws: usize,
    /// Largest distance of the witness from `mean + sum_k z_k row_k`, relative to the sum of absolute terms and the
    /// spread at the start.
    pub witness: f64,
    /// Whether the solver looked at a norm that was answered by its expectation.
    pub mean_field: bool,
    /// Root mean square distance from the exact solution on the same start and path, where [`law_on_path`] was asked.
    pub strong_error: Option<f64>,
}

impl Law {
    /// The law of the same run from another start N(m, v): means and variances are affine in those of the start.
    /// Not for a `mean_field` run, whose steps depend on the start.
    pub fn restarted(&self, old: &Moments, new: &Moments) -> Moments {
        let modes = self.gain.len();
        let mean = |k: usize| self.moments.mean[k] + self.gain[k] * (new.mean[k] - old.mean[k]);
        let std = |k: usize| (self.gain[k] * new.std[k]).hypot(self.noise_std[k]);
        Moments { mean: (0..modes).map(mean).collect(), std: (0..modes).map(std).collect() }
    }
}

/// Why there is no exact law.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NoLaw {
    /// The solver refused ([`Ctx::refuse`]).
    #[error("undefined: {0}")]
    Refused(String),
    /// The solver looked at a realisation, so that its law is not Gaussian.
    #[error(
        "not affine: the solver looked at the value of a sample; measure it by Monte Carlo, or use expected norms"
    )]
    Looked,
    /// The witness row disagrees: the solver is not an affine map of its noises.
    #[error("not affine: the witness run is off by {0:e} of its size")]
    NotAffine(f64),
    /// The solver panicked: a bug in it.
    #[error("the solver panicked; its message is on stderr")]
    Panicked,
    /// A mode has no finite mean or variance.
    #[error("diverged: mode {mode} of {modes} is not finite")]
    Diverged {
        /// The first such mode, counted from 0.
        mode: usize,
        /// Number of modes.
        modes: usize,
    },
    /// A solver that looks at norms joins all modes, and their states do not fit.
    #[error("too large: a norm joins all {modes} modes, each with {draws} noises; use fewer modes or steps")]
    TooLarge {
        /// Number of modes.
        modes: usize,
        /// Number of noises, the initial one included.
        draws: usize,
    },
}

/// A witness further off than this is no round-off. (Amplified round-off of unstable but finite runs stays below:
/// the comparison is relative to the sum of absolute terms and the spread at the start.)
const WITNESS_TOLERANCE: f64 = 1e-9;

/// A state of a chunk should stay in the fast caches: this many values.
const CHUNK_VALUES: usize = 4096;

/// A state that cannot be cut into chunks may have this many values (1 GiB); a few are held at once.
const MOST_VALUES: usize = 1 << 27;

/// Runs `solver` over `grid` from `init` on every mode of `data` at once.
///
/// Cost: `draws^2/2` row updates a mode where noise is injected at every step. Identical on any number of threads.
///
/// # Errors
/// See [`NoLaw`]; divergence is one.
pub fn law<S: Sample + Sync + ?Sized>(
    solver: &S,
    data: &Gaussian,
    schedule: &Schedule,
    grid: &[Level],
    init: Init,
) -> Result<Law, NoLaw> {
    law_with(solver, data, schedule, grid, init, Options::default())
}

/// As [`law`], and the strong error against the exact solution of member `l` of the family, where `l` is given and the
/// noise of the run is that of a path (see [`crate::strong`]).
///
/// # Errors
/// See [`NoLaw`].
pub fn law_on_path<S: Sample + Sync + ?Sized>(
    solver: &S,
    data: &Gaussian,
    schedule: &Schedule,
    grid: &[Level],
    init: Init,
    l: Option<f64>,
) -> Result<Law, NoLaw> {
    law_with(solver, data, schedule, grid, init, Options { equation: l, wrong: None })
}

/// What may be asked of a law beyond its moments.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// The member of the family whose exact paths the strong error is to.
    pub equation: Option<f64>,
    /// What the model gets wrong, if it is wrong. Must be affine ([`Perturbation::is_affine`]).
    pub wrong: Option<&'a Perturbation>,
}

/// As [`law`], with options.
///
/// # Errors
/// See [`NoLaw`].
pub fn law_with<S: Sample + Sync + ?Sized>(
    solver: &S,
    data: &Gaussian,
    schedule: &Schedule,
    grid: &[Level],
    init: Init,
    options: Options,
) -> Result<Law, NoLaw> {
    let l = options.equation;
    let start = init.moments(data, schedule, &grid[0]);
    let problem = Problem { data, schedule, wrong: options.wrong };
    let chunk = |range: std::ops::Range<usize>, path: Option<&Path>| {
        Chunk::run(solver, problem, grid, &start, range, path)
    };
    // One mode tells how many draws there are, and whether the solver looks at norms (which join all modes).
    let pilot = chunk(0..1, None)?;
    let (modes, draws) = (data.modes(), pilot.draws.len());
    if pilot.look != Look::Never && modes.saturating_mul(draws + 3) > MOST_VALUES {
        return Err(NoLaw::TooLarge { modes, draws });
    }
    let size = if pilot.look == Look::Never { (CHUNK_VALUES / (draws + 3)).clamp(4, 512) } else { modes };
    let ranges: Vec<_> = (0..modes.div_ceil(size)).map(|i| i * size..modes.min((i + 1) * size)).collect();
    let path = l.and_then(|l| Path::new(schedule, grid, &pilot.draws, l));
    let chunks = parallel::map(&ranges, |range| chunk(range.clone(), path.as_ref()));

    let mut law = Law {
        moments: Moments { mean: Vec::with_capacity(modes), std: Vec::with_capacity(modes) },
        gain: Vec::with_capacity(modes),
        noise_std: Vec::with_capacity(modes),
        nfe: pilot.nfe,
        draws: draws - 1,
        witness: 0.0,
        mean_field: pilot.look != Look::Never,
        strong_error: None,
    };
    let mut strong = 0.0;
    for chunk in chunks {
        let chunk = chunk?;
        law.moments.mean.extend(chunk.mean);
        law.moments.std.extend(chunk.std);
        law.gain.extend(chunk.gain);
        law.noise_std.extend(chunk.noise_std);
        law.witness = law.witness.max(chunk.witness);
        strong += chunk.strong;
    }
    law.strong_error = path.map(|_| strong.sqrt());
    let finite = |k: &usize| law.moments.mean[*k].is_finite() && law.moments.std[*k].is_finite();
    if let Some(mode) = (0..modes).find(|k| !finite(k)) {
        return Err(NoLaw::Diverged { mode, modes });
    }
    if law.witness > WITNESS_TOLERANCE {
        return Err(NoLaw::NotAffine(law.witness));
    }
    Ok(law)
}

/// The levels that an adaptive method visits, and what finding them cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Levels, both ends of the given grid included.
    pub levels: Vec<Level>,
    /// Model calls of the pilot run, rejected steps included.
    pub nfe: usize,
}

/// The pilot run of an adaptive method between the ends of `grid`: its error control sees expected norms over all modes.
///
/// # Errors
/// [`NoLaw::Refused`] where the method is not adaptive, or gives up.
pub fn plan<S: Sample + Sync + ?Sized>(
    solver: &S,
    data: &Gaussian,
    schedule: &Schedule,
    grid: &[Level],
    init: Init,
    wrong: Option<&Perturbation>,
) -> Result<Plan, NoLaw> {
    let start = init.moments(data, schedule, &grid[0]);
    let mut probe = Probe::new(0, data.modes());
    let x = State(probe.draw(Draw::Fresh).0.map(&start.std, &start.mean));
    Problem { data, schedule, wrong }.with_model(0..data.modes(), |model| {
        let mut cx = Ctx::new(model, &mut probe, schedule);
        let levels = solver.plan(&mut cx, grid, x);
        if let Some(why) = cx.refusal() {
            return Err(NoLaw::Refused(why.into()));
        }
        let levels = levels.ok_or_else(|| NoLaw::Refused("the method is not adaptive".into()))?;
        Ok(Plan { levels, nfe: cx.nfe() })
    })
}

/// What every chunk has in common.
#[derive(Clone, Copy)]
struct Problem<'a> {
    data: &'a Gaussian,
    schedule: &'a Schedule,
    wrong: Option<&'a Perturbation>,
}

impl Problem<'_> {
    /// Runs `f` on the model of a range of modes.
    fn with_model<T>(&self, range: std::ops::Range<usize>, f: impl FnOnce(&dyn Denoiser<Affine>) -> T) -> T {
        let exact = self.data.slice(range);
        match self.wrong {
            None => f(&exact),
            // (The spread is for random fields, which are not affine.)
            Some(wrong) => f(&wrong.of(&exact, self.schedule, self.data.modes(), 1.0)),
        }
    }
}

/// The law of a range of modes.
struct Chunk {
    mean: Vec<f64>,
    std: Vec<f64>,
    gain: Vec<f64>,
    noise_std: Vec<f64>,
    nfe: usize,
    draws: Vec<Draw>,
    witness: f64,
    look: Look,
    /// Sum over the modes of the mean square distance from the exact path.
    strong: f64,
}

impl Chunk {
    fn run<S: Sample + ?Sized>(
        solver: &S,
        problem: Problem,
        grid: &[Level],
        start: &Moments,
        range: std::ops::Range<usize>,
        path: Option<&Path>,
    ) -> Result<Self, NoLaw> {
        let Problem { data, schedule, .. } = problem;
        let mut probe = Probe::new(range.start, range.len());
        let x = State(probe.draw(Draw::Fresh).0.map(&start.std[range.clone()], &start.mean[range.clone()]));
        let (out, nfe, look, refusal) = problem.with_model(range.clone(), |model| {
            let mut cx = Ctx::new(model, &mut probe, schedule);
            let out = solver.sample(&mut cx, grid, x).0;
            (out, cx.nfe(), cx.look(), cx.refusal().map(String::from))
        });
        if let Some(why) = refusal {
            return Err(NoLaw::Refused(why));
        }
        if look == Look::Sample {
            return Err(NoLaw::Looked);
        }
        let strong = path.map_or(0.0, |path| Self::strong(&out, data, start, range.clone(), path));
        let draws = probe.draws().to_vec();
        Ok(Chunk { nfe, look, draws, strong, ..Self::read(&out, &start.std[range.clone()], range.start) })
    }

    /// Sum over the modes of the mean square distance from the exact path.
    fn strong(
        out: &Affine,
        data: &Gaussian,
        start: &Moments,
        range: std::ops::Range<usize>,
        path: &Path,
    ) -> f64 {
        let mut weights = Vec::new();
        let one = |(j, mode): (usize, usize)| {
            weights.clear();
            for (k, row) in out.rows() {
                weights.resize(k, 0.0);
                weights.push(row[j]);
            }
            let (mean, c) = (data.mean()[mode], data.variance()[mode]);
            path.square(mean, c, start.mean[mode], start.std[mode], out.constant()[j], &weights)
        };
        range.enumerate().map(one).sum()
    }

    /// Mean, gain and spread from the rows, and the witness's distance from what they predict.
    fn read(out: &Affine, start_std: &[f64], first_mode: usize) -> Self {
        let modes = out.modes();
        let mean = out.constant().to_vec();
        let (mut variance, mut noise, mut gain) = (vec![0.0; modes], vec![0.0; modes], vec![0.0; modes]);
        let (mut predicted, mut size) = (mean.clone(), mean.iter().map(|m| m.abs()).collect::<Vec<_>>());
        for (k, row) in out.rows() {
            for j in 0..modes {
                variance[j] += row[j] * row[j];
                let term = Probe::witness(k, first_mode + j) * row[j];
                predicted[j] += term;
                size[j] += term.abs();
                if k == 0 {
                    gain[j] = row[j] / start_std[j];
                } else {
                    noise[j] += row[j] * row[j];
                }
            }
        }
        let off = |j: usize| {
            let difference = (out.witness()[j] - predicted[j]).abs();
            // Round-off is relative to what the run started from, which may be far larger than what it ends with:
            // a point mass at sigma = 0 is nothing but round-off.
            if difference == 0.0 { 0.0 } else { difference / (size[j] + start_std[j]) }
        };
        Chunk {
            witness: (0..modes).map(off).filter(|w| !w.is_nan()).fold(0.0, f64::max),
            std: variance.iter().map(|v| v.sqrt()).collect(),
            noise_std: noise.iter().map(|v| v.sqrt()).collect(),
            mean,
            gain,
            nfe: 0,
            draws: Vec::new(),
            look: Look::Never,
            strong: 0.0,
        }
    }
}
