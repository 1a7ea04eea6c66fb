//! The levels at which a sampler errs least: its law on Gaussian data is exact, so that its error is a smooth function of
//! them, with no noise to optimise through.
//!
//! A grid is held as the [`places`](Places) of its levels between two ends that stay fixed: 0 at the start, 1 at the end,
//! evenly in `lambda = ln(alpha/sigma)`. So one grid serves problems with other ends, and uniform-lambda is even places.
//!
//! ```
//! use scorebench::{data::Gaussian, optimise::{Member, Objective, Problem, Search, Span}, schedule::Schedule};
//! use scorebench::solver::{Handle, ddim::Ddim};
//! let schedule = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };
//! let span = Span { schedule, start: 1.0, end: 1e-3 };
//! let member = Member::new("images", Gaussian::power_law(8, 1.0)?, span);
//! let problem = Problem::new(Handle::new(Ddim { eta: 0.0 }), 5, vec![member], Objective::W2)?;
//! let best = problem.optimise(&Search::default())?;
//! assert!(best.starts.iter().all(|start| best.error <= start.before));
//! # Ok::<(), scorebench::error::BadInput>(())
//! ```

use std::panic::AssertUnwindSafe;

use serde::{Deserialize, Serialize};
use toml::Table;

use crate::data::Gaussian;
use crate::error::{BadInput, Result};
use crate::grid::{Grid, KarrasFinal};
use crate::law::{self, Init};
use crate::schedule::{Level, Schedule};
use crate::solver::{Claim, Handle};

pub mod compare;
mod descent;
mod places;
mod search;
pub mod source;
pub mod write;

pub use places::Places;

/// What is to be as small as it can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// Wasserstein-2 distance to the exact marginal at the last level.
    #[default]
    W2,
    /// KL(sampler || exact marginal).
    Kl,
    /// Wasserstein-2 distance to the data law, what truncation leaves included.
    W2Data,
}

impl Objective {
    /// Every objective.
    pub const ALL: [Objective; 3] = [Objective::W2, Objective::Kl, Objective::W2Data];

    /// As it is written on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Objective::W2 => "w2",
            Objective::Kl => "kl",
            Objective::W2Data => "w2-data",
        }
    }

    /// The column of a result table that holds it.
    pub fn column(self) -> &'static str {
        match self {
            Objective::W2Data => "w2_data",
            other => other.name(),
        }
    }
}

/// A schedule between two times: what a grid runs through.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// The forward process.
    pub schedule: Schedule,
    /// The time that runs start at.
    pub start: f64,
    /// The time that they end at.
    pub end: f64,
}

impl Span {
    /// `lambda` at both ends.
    pub fn ends(&self) -> (f64, f64) {
        (self.schedule.at(self.start).lambda(), self.schedule.at(self.end).lambda())
    }

    /// Values of `lambda` at these places.
    pub fn lambdas(&self, places: &Places) -> Vec<f64> {
        let (a, b) = self.ends();
        let last = places.steps();
        // The ends are taken as they are, not through the formula and its round-off.
        let at = |(i, &u): (usize, &f64)| match i {
            0 => a,
            i if i == last => b,
            _ => a + (b - a) * u,
        };
        places.0.iter().enumerate().map(at).collect()
    }

    /// The levels at these places, as an explicit list of `lambda` has them.
    pub fn levels(&self, places: &Places) -> Vec<Level> {
        self.lambdas(places).iter().map(|&lambda| self.schedule.at_lambda(lambda)).collect()
    }

    /// The known rules between these ends, by name: where searches start.
    pub fn rules(&self) -> Vec<(&'static str, Grid)> {
        let (start, end) = (self.start, self.end);
        let karras = |rho: f64| {
            let (sigma_max, sigma_min) = self.kappas();
            Grid::Karras { rho, sigma_max, sigma_min, last: KarrasFinal::SigmaMin }
        };
        vec![
            ("uniform-lambda", Grid::UniformLambda { start, end }),
            ("karras(rho=7)", karras(7.0)),
            ("karras(rho=3)", karras(3.0)),
            ("uniform-t", Grid::UniformT { start, end }),
            ("quadratic-t", Grid::QuadraticT { start, end }),
        ]
    }

    /// `sigma/alpha` at both ends.
    fn kappas(&self) -> (f64, f64) {
        (self.schedule.at(self.start).kappa(), self.schedule.at(self.end).kappa())
    }
}

/// Gaussian data, and where runs start and end.
#[derive(Clone, Debug)]
pub struct Member {
    /// What tables call it.
    pub label: String,
    /// The data law.
    pub data: Gaussian,
    /// The schedule between both ends.
    pub span: Span,
    /// The data as a user wrote them, for experiments.
    written: Option<Table>,
}

impl Member {
    /// Data of that label.
    pub fn new(label: &str, data: Gaussian, span: Span) -> Self {
        Member { label: label.into(), data, span, written: None }
    }
}

/// A solver, its number of steps, and the data (one law, or a family) on which it is to err least.
///
/// What is minimised is the mean over the data of `ln(r^2 + f^2)/2`, `r` being the error (of a divergence its root) and `f`
/// what counts as none: round-off, or in a family a thousandth of the error on uniform-lambda. So zeros, which errors may
/// pass through, are minima like others.
#[derive(Clone, Debug)]
pub struct Problem {
    solver: Handle,
    steps: usize,
    members: Vec<Member>,
    objective: Objective,
    /// Norms of residuals that are no worse than none.
    floors: Vec<f64>,
}

/// How to look for the least.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// Starts beside the known rules: these, with every step longer or shorter at random.
    pub random: usize,
    /// Seed of that.
    pub seed: u64,
    /// Most iterations from a start.
    pub iterations: usize,
}

impl Default for Search {
    fn default() -> Self {
        Search { random: 10, seed: 1, iterations: 200 }
    }
}

/// Where one start led.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Start {
    /// The rule that it is, or that it was varied from.
    pub name: String,
    /// Error at the start.
    pub before: f64,
    /// Error at the end; geometric means over a family, both; infinite where there is none.
    pub after: f64,
}

/// The best grid found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Optimum {
    /// Its levels.
    pub places: Places,
    /// Its error; the geometric mean over a family.
    pub error: f64,
    /// Every start.
    pub starts: Vec<Start>,
    /// How many of them came within 1 % of the best.
    pub agree: usize,
    /// Whether the error is round-off: the levels are then one choice among many.
    pub exact: bool,
    /// Steps as short as is allowed (a ten-thousandth of an even step): the method would do without them.
    pub idle: usize,
    /// Laws computed.
    pub laws: usize,
}

/// An error below so many ulps of the law's size is round-off, and no grid is better for being below.
const FLOOR: f64 = 64.0 * f64::EPSILON;

/// Errors of a family may fall to this share of uniform-lambda's before they count as none.
const MOST_GAIN: f64 = 1000.0;

impl Problem {
    /// Checks that there is something to optimise.
    ///
    /// # Errors
    /// Fewer than two steps, ends that have no finite `lambda` or the wrong order, an adaptive method or a forward chain,
    /// a solver that is not defined there or has no error at all.
    pub fn new(solver: Handle, steps: usize, members: Vec<Member>, objective: Objective) -> Result<Self> {
        check_solver(&solver)?;
        if members.is_empty() {
            return Err(BadInput::about("data", "is empty", "give at least one law"));
        }
        if steps < 2 {
            let why = "leaves no level free: both ends are held";
            return Err(BadInput::new("steps", steps, why, "give at least 2 steps"));
        }
        if steps > MOST_STEPS {
            let why = "is more than can be searched";
            return Err(BadInput::new("steps", steps, why, format!("give at most {MOST_STEPS}")));
        }
        for member in &members {
            let Span { schedule, start, end } = &member.span;
            let levels = Grid::UniformLambda { start: *start, end: *end }.levels(schedule, Some(steps))?;
            if levels[0].kappa() < levels[steps].kappa() {
                let fix = "swap start and end: samplers run from noise to data";
                return Err(BadInput::new("end", end, "has more noise than the start", fix));
            }
            solver.check_grid(schedule, &levels).map_err(|why| {
                let what = format!("is not defined on {} between these ends: {why}", member.label);
                BadInput::new("solver", solver.label(), what, "give another solver or other ends")
            })?;
        }
        let floors = members.iter().map(|m| round_off(m, objective)).collect();
        let mut problem = Problem { solver, steps, members, objective, floors };
        if problem.members.len() > 1 {
            problem.bound_gains();
        }
        Ok(problem)
    }

    /// In a family no law pays for more than a factor [`MOST_GAIN`]: a grid on which the error on one of them passes
    /// through zero would else be best whatever it does to the others.
    fn bound_gains(&mut self) {
        let even = Places::even(self.steps);
        for m in 0..self.members.len() {
            let square = self.residuals(m, &even).map(|r| r.iter().map(|r| r * r).sum::<f64>());
            let least = square.map_or(0.0, |square| square.sqrt() / MOST_GAIN);
            self.floors[m] = self.floors[m].max(least);
        }
    }

    /// The solver.
    pub fn solver(&self) -> &Handle {
        &self.solver
    }

    /// Steps of a grid.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The data.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// What is minimised.
    pub fn objective(&self) -> Objective {
        self.objective
    }

    /// What the method gets wrong on one member, number by number: half the sum of squares is the divergence, or the root
    /// of the sum the distance. None where the method has no finite law.
    fn residuals(&self, member: usize, places: &Places) -> Option<Vec<f64>> {
        let Member { data, span, .. } = &self.members[member];
        let levels = span.levels(places);
        let run = || law::law(&self.solver, data, &span.schedule, &levels, Init::Marginal);
        // A bug in a solver must not take the others' grids with it.
        let found = std::panic::catch_unwind(AssertUnwindSafe(run)).ok()?.ok()?.moments;
        let exact = match self.objective {
            Objective::W2Data => data.moments(),
            _ => data.marginal(&levels[self.steps]),
        };
        let kl = self.objective == Objective::Kl;
        let modes = found.mean.iter().zip(&found.std).zip(exact.mean.iter().zip(&exact.std));
        let each = modes.flat_map(|((m, s), (m0, s0))| {
            let (dm, ds) = (m - m0, s - s0);
            if kl {
                // u - ln(1 + u) is the square of a number that passes smoothly through 0 with u.
                let u = ds * (s + s0) / (s0 * s0);
                [dm / s0, root_kl(u)]
            } else {
                [dm, ds]
            }
        });
        let all: Vec<f64> = each.collect();
        all.iter().all(|r| r.is_finite()).then_some(all)
    }

    /// The error on one member; infinite where the method has no finite one.
    pub fn error(&self, member: usize, places: &Places) -> f64 {
        let error = |r: Vec<f64>| {
            let square: f64 = r.iter().map(|r| r * r).sum();
            if self.objective == Objective::Kl { 0.5 * square } else { square.sqrt() }
        };
        self.residuals(member, places).map_or(f64::INFINITY, error)
    }

    /// The geometric mean of the errors.
    pub fn mean_error(&self, places: &Places) -> f64 {
        let logs = (0..self.members.len()).map(|m| self.error(m, places).ln());
        (logs.sum::<f64>() / self.members.len() as f64).exp()
    }

    /// Searches from every known rule and from random variations of them. The same on any number of threads.
    ///
    /// # Errors
    /// A method that has no error on this data, or no finite one, whatever the grid.
    pub fn optimise(&self, search: &Search) -> Result<Optimum> {
        search::optimise(self, search)
    }

    /// Whether every error is round-off.
    fn is_exact(&self, places: &Places) -> bool {
        let norm = |r: Vec<f64>| r.iter().map(|r| r * r).sum::<f64>().sqrt();
        let small = |m: usize| {
            self.residuals(m, places).is_some_and(|r| norm(r) <= round_off(&self.members[m], self.objective))
        };
        (0..self.members.len()).all(small)
    }
}

/// More free levels than finite differences should be taken in.
const MOST_STEPS: usize = 200;

/// The norm of residuals that round-off alone would show.
fn round_off(member: &Member, objective: Objective) -> f64 {
    let end = member.data.marginal(&member.span.schedule.at(member.span.end));
    match objective {
        // Residuals are relative there.
        Objective::Kl => FLOOR * (end.mean.len() as f64).sqrt(),
        _ => FLOOR * end.mean.iter().chain(&end.std).map(|x| x * x).sum::<f64>().sqrt(),
    }
}

/// Refuses methods that have no grid to optimise.
fn check_solver(solver: &Handle) -> Result<()> {
    let refuse = |why: &str, fix: &str| Err(BadInput::new("solver", solver.label(), why, fix));
    if solver.forward() {
        return refuse("is a forward chain, not a sampler", "give a sampler: `scorebench list solvers`");
    }
    if solver.adaptive() {
        return refuse("finds its own levels", "give a method that runs over given ones");
    }
    if solver.on_gaussian_data() == Claim::Exact {
        return refuse("makes no error on Gaussian data, whatever the grid", "give another");
    }
    Ok(())
}

/// `sign(u) sqrt(u - ln(1 + u))`, without cancellation near 0, where it is `u/sqrt(2)`.
fn root_kl(u: f64) -> f64 {
    if u.abs() > 0.05 {
        return (u - u.ln_1p()).sqrt().copysign(u);
    }
    // u^2 sum_{n>=2} (-u)^{n-2}/n; 14 terms leave less than 1e-18 of the first.
    let sum = (2..16).rev().fold(0.0, |sum, n| 1.0 / f64::from(n) - u * sum);
    u * f64::sqrt(sum)
}
