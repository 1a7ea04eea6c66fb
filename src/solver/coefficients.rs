//! A sampler as a table of numbers, one row a step: what learned solvers are published as (Bespoke and BNS solvers, S4S,
//! DC-Solver, learned linear multistep methods), and what any fixed linear sampler is on one grid ([`export`]).
use super::conditions::inconsistency;
use super::*;
use crate::error::BadInput;
use crate::state::Lin;

pub mod export;
mod rows;

pub use rows::Weights;

/// Step `i` makes `x_{i+1} = sum_j x_ij x_{i-j} + sum_k m_ik m_{i-k} + noise_i z`, where `m` is what the model said at
/// the states before: the denoised mean `d`, the predicted noise `eps` or the slope `u = dx/dt` of the probability flow,
/// by which of the three keys the weights are given.
///
/// As CSV, one line a step, newest first (`d0` weighs the model at the start of the step, `d1` one step before):
/// ```csv
/// sigma,x,d0,d1,noise
/// 3.0,0.5,0.5,,0
/// 1.5,0.2,1.2,-0.4,0
/// 0.3,,,,
/// ```
/// `x` is the newest state, `x1`, `x2`, ... are older ones; `eps0, eps1, ...` or `u0, u1, ...` stand in place of `d0, d1,
/// ...`. A column such as `d@0` or `x@0` is of the value made at step 0 (`x@0` is the start), whichever step weighs it.
/// Slopes `u` are those of the schedule's own time, which falls from noise to data: where a paper's rises, its weights have
/// the other sign. An empty cell is 0. `noise` may be missing. One of the columns `t`, `sigma` (of `sigma/alpha`) or `lambda` may give the
/// level that each step starts from, with a last line for the last level alone: a grid must then agree with it, which
/// `grid = { name = "explicit", file = "same.csv" }` does.
///
/// As TOML, the same columns as lists, in which a row is a number or a list, newest first:
/// ```toml
/// name  = "coefficients"
/// label = "mine"
/// x     = [0.5, 0.2]
/// d     = [0.5, [1.2, -0.4]]
/// sigma = [3.0, 1.5, 0.3]
/// ```
///
/// A row is consistent if it keeps `x = alpha d + sigma eps` where `d` and `eps` are constants; with noise, the variance.
/// Formulas of exponential integrators are, exactly. Others (Euler's in `t`) miss it by the error of a step, and learned
/// numbers by what was learned: rows that miss it by more than 1e-3 are refused unless `inconsistent = true`.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Coefficients {
    /// Weights of the states, a row a step, newest first.
    pub x: Vec<Weights>,
    /// Weights of the denoised means, newest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub d: Option<Vec<Weights>>,
    /// Weights of the predicted noises.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eps: Option<Vec<Weights>>,
    /// Weights of the slopes `dx/dt` of the probability flow, in the schedule's time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub u: Option<Vec<Weights>>,
    /// Standard deviation of the noise that a step adds; none at all if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub noise: Vec<f64>,
    /// Times of the levels, one more than there are steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub t: Option<Vec<f64>>,
    /// Values of `sigma/alpha`, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigma: Option<Vec<f64>>,
    /// Values of `ln(alpha/sigma)`, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lambda: Option<Vec<f64>>,
    /// Whether rows may be inconsistent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub inconsistent: bool,
}

/// What the weights are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// The denoised mean.
    D,
    /// The predicted noise.
    Eps,
    /// The slope of the probability flow in time.
    U,
}

/// What learned rows may miss consistency by; more is an error in them, or meant (`inconsistent = true`).
pub const LEARNED: f64 = 1e-3;
/// How far levels of the numbers may be from those of the grid, relative to `sigma/alpha`.
const SAME_LEVEL: f64 = 1e-6;

impl Coefficients {
    /// What the weights are of, and they.
    fn model(&self) -> (Of, &[Weights]) {
        match (&self.d, &self.eps, &self.u) {
            (_, Some(eps), _) => (Of::Eps, eps),
            (_, _, Some(u)) => (Of::U, u),
            (d, ..) => (Of::D, d.as_deref().unwrap_or_default()),
        }
    }

    fn noise(&self, step: usize) -> f64 {
        self.noise.get(step).copied().unwrap_or(0.0)
    }

    /// The levels that the numbers are said to be of, as the clock shows them.
    fn levels(&self) -> impl Iterator<Item = (&'static str, Clock, &Vec<f64>)> {
        let all = [
            ("t", Clock::T, &self.t),
            ("sigma", Clock::Edm, &self.sigma),
            ("lambda", Clock::Lambda, &self.lambda),
        ];
        all.into_iter().filter_map(|(key, clock, list)| Some((key, clock, list.as_ref()?)))
    }

    /// Refuses a grid of other levels than the numbers are of.
    fn same_levels(&self, schedule: &Schedule, grid: &[Level]) -> std::result::Result<(), String> {
        for (key, clock, list) in self.levels() {
            for (i, (&value, level)) in list.iter().zip(grid).enumerate() {
                let own = match clock {
                    Clock::T => schedule.at(value).kappa(),
                    Clock::Edm => value,
                    Clock::Lambda => (-value).exp(),
                };
                let kappa = level.kappa();
                let same = own == kappa || (own - kappa).abs() <= SAME_LEVEL * kappa;
                if !same {
                    return Err(format!(
                        "its coefficients are of {key} = {value:?} at level {i}, where the grid has {:?}; \
                         give the grid they are of: {{ name = \"explicit\", {key} = ... }}, or the same file",
                        clock.of(level)
                    ));
                }
            }
        }
        Ok(())
    }
}

impl Sample for Coefficients {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], x: State<V>) -> State<V> {
        let (of, model) = self.model();
        if model.len() != grid.len() - 1 {
            cx.refuse(self.other_steps(grid.len() - 1));
            return x;
        }
        let longest = |rows: &[Weights]| rows.iter().map(|row| row.0.len()).max().unwrap_or(0).max(1);
        let (keep_states, keep_values) = (longest(&self.x), longest(model));
        // Newest first, as the weights.
        let (mut states, mut values) = (vec![x], Vec::new());
        for (i, pair) in grid.windows(2).enumerate() {
            let (t, s) = (&pair[0], &pair[1]);
            values.insert(0, of.ask(cx, &states[0], t));
            values.truncate(keep_values);
            let noise = self.noise(i);
            let z = (noise != 0.0).then(|| cx.increment(&states[0], t, s));
            let known = self.x[i].0.iter().zip(&states).chain(model[i].0.iter().zip(&values));
            let terms = known.map(|(c, v)| (*c, v)).chain(z.iter().map(|z| (noise, z)));
            let next = combine(terms.filter(|(c, _)| *c != 0.0).collect(), &states[0]);
            states.insert(0, next);
            states.truncate(keep_states);
        }
        states.swap_remove(0)
    }
}

/// The sum of any number of terms, in as many passes as that takes; 0 times `like` if there are none.
fn combine<V: Space>(terms: Vec<(f64, &State<V>)>, like: &State<V>) -> State<V> {
    let mut chunks = terms.chunks(Lin::<V>::MAX - 1);
    let Some(first) = chunks.next() else { return (0.0 * like).eval() };
    let sum = Lin::sum(first.iter().copied()).eval();
    chunks.fold(sum, |sum, more| Lin::sum(std::iter::once((1.0, &sum)).chain(more.iter().copied())).eval())
}

impl Of {
    /// What the model says; one call.
    fn ask<V: Space>(self, cx: &mut Ctx<V>, x: &State<V>, at: &Level) -> State<V> {
        match self {
            Of::D => cx.denoise(x, at),
            Of::Eps => cx.eps(x, at),
            Of::U => Clock::T.slope(cx, x, at),
        }
    }

    /// The key, and the name of its columns.
    pub fn key(self) -> &'static str {
        match self {
            Of::D => "d",
            Of::Eps => "eps",
            Of::U => "u",
        }
    }
}

impl Solver for Coefficients {
    const NAME: &'static str = "coefficients";
    const ABOUT: &'static str = "weights of your own for every step of one grid: x, d | eps | u, noise; from a file: file = \"solver.csv\"";
    const SOURCE: &'static str =
        "the form of Bespoke and BNS solvers (Shaul et al. 2024), S4S (Frankel et al. 2025) and others";

    fn claim(&self) -> Claim {
        // There are no more steps to add.
        Claim::Floor
    }
    fn equation(&self) -> Option<f64> {
        self.noise.iter().all(|n| *n == 0.0).then_some(0.0)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        Needs { time: self.model().0 == Of::U, alpha: false, sigma: false }
    }
    fn check(&self) -> Result<()> {
        self.check_rows()
    }
    fn fits(&self, schedule: &Schedule, grid: &[Level]) -> std::result::Result<(), String> {
        if self.x.len() != grid.len() - 1 {
            return Err(self.other_steps(grid.len() - 1));
        }
        self.same_levels(schedule, grid)?;
        match inconsistency(&rows::conditions(self, grid), LEARNED) {
            Some(c) if !self.inconsistent => Err(format!(
                "{} comes out as {:?} where it is {:?}, off by {:.1e}; correct that row, or write inconsistent = true if \
                 it is meant so",
                c.place(),
                c.got,
                c.want,
                c.off
            )),
            _ => Ok(()),
        }
    }
    fn draws(&self, steps: usize) -> usize {
        self.noise.iter().take(steps).filter(|n| **n != 0.0).count()
    }
    fn conditions(&self, on: Option<(&Schedule, &[Level])>) -> Vec<Condition> {
        // (Unchecked numbers may have no shape.)
        let shaped = |grid: &[Level]| grid.len() == self.x.len() + 1 && self.check_rows().is_ok();
        on.filter(|(_, grid)| shaped(grid)).map_or(Vec::new(), |(_, grid)| rows::conditions(self, grid))
    }
    fn catalogue() -> Vec<Self> {
        Vec::new()
    }
}

impl Coefficients {
    fn other_steps(&self, steps: usize) -> String {
        let own = self.x.len();
        format!(
            "it has coefficients for {own} steps, and the grid has {steps}; give the grid that they are of"
        )
    }

    /// Refuses what is no table: rows that are missing, not finite, or reach before the start.
    fn check_rows(&self) -> Result<()> {
        if self.x.is_empty() {
            let fix =
                "give a row of weights for every step: file = \"solver.csv\", or x = [1.0], d = [[0.1]]";
            return Err(BadInput::about("x", "is missing", fix));
        }
        let given = [("d", &self.d), ("eps", &self.eps), ("u", &self.u)];
        if given.iter().filter(|(_, list)| list.is_some()).count() != 1 {
            let fix =
                "give one of d, eps and u: weights of the denoised mean, of the predicted noise or of dx/dt";
            return Err(BadInput::about("", "needs exactly one list of weights of the model", fix));
        }
        let (of, model) = self.model();
        let steps = self.x.len();
        let mut lengths = vec![(of.key(), model.len(), steps)];
        if !self.noise.is_empty() {
            lengths.push(("noise", self.noise.len(), steps));
        }
        lengths.extend(self.levels().map(|(key, _, list)| (key, list.len(), steps + 1)));
        for (key, len, want) in lengths {
            if len != want {
                let why = format!("has {len} entries where x has {steps} rows");
                let fix =
                    if want > steps { "give a level more than there are steps" } else { "give one a step" };
                return Err(BadInput::about(key, why, fix));
            }
        }
        for (key, rows) in [("x", &self.x[..]), (of.key(), model)] {
            rows.iter().enumerate().try_for_each(|(i, row)| row.check(key, i))?;
        }
        let noise = self.noise.iter().position(|n| !(n.is_finite() && *n >= 0.0));
        if let Some(i) = noise {
            let fix = "give standard deviations of at least 0";
            return Err(BadInput::new(
                &format!("noise[{i}]"),
                self.noise[i],
                "is no standard deviation",
                fix,
            ));
        }
        Ok(())
    }
}
