//! What pictures of the geometry show: the density and the score of `x_t` in the plane at some times, and paths of
//! samples through a solver's grid.
//!
//! ```
//! use scorebench::data::{Data, Gaussian};
//! use scorebench::geometry::Field;
//! use scorebench::schedule::Schedule;
//! let data = Data::Gaussian(Gaussian::new(vec![0.0, 0.0], vec![1.0, 1.0])?);
//! let field = Field::new(&data, &Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 }, &[0.5], Some(3.0));
//! let (place, arrow) = field.moments[0].arrows[0];
//! assert!(arrow[0] * place[0] < 0.0); // the score of N(0, I) points to the origin
//! # Ok::<(), scorebench::error::BadInput>(())
//! ```

use std::panic::AssertUnwindSafe;

use crate::batch::Batch;
use crate::data::Data;
use crate::monte_carlo::Run;
use crate::noise::White;
use crate::run::Ctx;
use crate::schedule::{Level, Schedule};
use crate::solver::{Handle, Sample};
use crate::state::State;

/// Density and score of `x_t` at some times. Data of two coordinates (a Gaussian's are those of its eigenbasis).
#[derive(Clone, Debug)]
pub struct Field {
    /// The rectangle that is shown.
    pub window: Window,
    /// One a time.
    pub moments: Vec<Moment>,
}

/// Density and score at one level.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The level.
    pub at: Level,
    /// The density over the window, as a share of its largest value there.
    pub density: Mesh,
    /// Places, and `sigma` times the score there: a pure number of about 1 where samples are.
    pub arrows: Vec<([f64; 2], [f64; 2])>,
}

/// A rectangle of the plane: from where to where, each coordinate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Across.
    pub x: (f64, f64),
    /// Upwards.
    pub y: (f64, f64),
}

/// Values at the nodes of a rectangular mesh that spans a window: row after row from the lowest.
#[derive(Clone, Debug, PartialEq)]
pub struct Mesh {
    /// Nodes of a row.
    pub columns: usize,
    /// The values.
    pub values: Vec<f64>,
}

/// Paths of samples, at every level of a grid that a solver can be run to.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The rectangle that holds the first two coordinates (or the first, and it again).
    pub window: Window,
    /// Levels, from noise to data.
    pub levels: Vec<Level>,
    /// For each level the samples one after the other, coordinates in a row.
    pub states: Vec<Vec<f64>>,
    /// Coordinates of a sample.
    pub dim: usize,
    /// The density of the data at the last level over the window, as a share of its largest value there: two coordinates.
    pub density: Option<Mesh>,
    /// `lambda` at the first and the last column of `marginal`.
    pub lambda: (f64, f64),
    /// The density of the first coordinate against `lambda`, as a share of its largest value at each.
    pub marginal: Option<Mesh>,
}

/// Nodes of a mesh along each side, and arrows.
const NODES: usize = 121;
const ARROWS: usize = 20;
/// Windows leave out so much of a coordinate's law on either side, or what is so many standard deviations off.
const TAIL: f64 = 5e-4;
const WIDE: f64 = 3.5;
/// Samples that run, of which some are drawn: norms over a batch are means over these.
const BATCH: usize = 256;

impl Window {
    fn square(half_side: f64) -> Self {
        Window { x: (-half_side, half_side), y: (-half_side, half_side) }
    }

    /// The smallest square that holds all but the tails of the first two coordinates (or the first) at all levels.
    fn around(data: &Data, levels: &[Level]) -> Self {
        let last = data.dim().min(2) - 1;
        let (mut x, mut y) = ((f64::INFINITY, f64::NEG_INFINITY), (f64::INFINITY, f64::NEG_INFINITY));
        for at in levels {
            for (range, k) in [(&mut x, 0), (&mut y, last)] {
                let (low, high) = but_for_tails(data, at, k);
                *range = (range.0.min(low), range.1.max(high));
            }
        }
        let half = 0.53 * (x.1 - x.0).max(y.1 - y.0).max(1e-6);
        let centred = |(low, high): (f64, f64)| (0.5 * (low + high) - half, 0.5 * (low + high) + half);
        Window { x: centred(x), y: centred(y) }
    }

    /// The middles of `n` by `n` cells, or the corners of `n - 1` by `n - 1`.
    fn places(&self, n: usize, corners: bool) -> Vec<[f64; 2]> {
        let share = |k: usize| if corners { k as f64 / (n - 1) as f64 } else { (k as f64 + 0.5) / n as f64 };
        let along = |(low, high): (f64, f64), k: usize| low + (high - low) * share(k);
        (0..n).flat_map(|j| (0..n).map(move |i| [along(self.x, i), along(self.y, j)])).collect()
    }
}

/// From the quantile [`TAIL`] of coordinate `k` to that of the other side; [`WIDE`] standard deviations to either side of
/// the mean where it has none.
fn but_for_tails(data: &Data, at: &Level, k: usize) -> (f64, f64) {
    let (mean, sd) = (data.mean(at)[k], data.covariance(at)[(k, k)].sqrt());
    if sd.is_nan() || sd <= 0.0 {
        return (mean - WIDE * sd, mean + WIDE * sd);
    }
    let cdf = data.coordinate_cdf(at);
    let quantile = |p: f64| {
        // Chebyshev: the tails beyond hold less than TAIL.
        let (mut low, mut high) = (mean - 50.0 * sd, mean + 50.0 * sd);
        for _ in 0..40 {
            let middle = 0.5 * (low + high);
            if cdf(k, middle) < p { low = middle } else { high = middle }
        }
        high
    };
    (quantile(TAIL), quantile(1.0 - TAIL))
}

impl Field {
    /// Density and score at times, over the square of this half side around the origin, or over what holds all but the
    /// tails of the law at all times.
    ///
    /// # Panics
    /// If the data do not have two coordinates.
    pub fn new(data: &Data, schedule: &Schedule, times: &[f64], half_side: Option<f64>) -> Self {
        assert_eq!(data.dim(), 2, "a field lies in the plane");
        let levels: Vec<Level> = times.iter().map(|t| schedule.at(*t)).collect();
        let window = half_side.map_or_else(|| Window::around(data, &levels), Window::square);
        let moments = levels.iter().map(|at| Moment {
            at: *at,
            density: density(data, at, &window),
            arrows: arrows(data, at, &window),
        });
        Field { window, moments: moments.collect() }
    }
}

fn density(data: &Data, at: &Level, window: &Window) -> Mesh {
    let nodes = Batch::from_rows(2, window.places(NODES, true).into_flattened());
    let logs = data.log_density(&nodes, at);
    let most = logs.iter().copied().filter(|l| l.is_finite()).fold(f64::NEG_INFINITY, f64::max);
    let values = logs.into_iter().map(|l| if l.is_finite() { (l - most).exp() } else { 0.0 });
    Mesh { columns: NODES, values: values.collect() }
}

fn arrows(data: &Data, at: &Level, window: &Window) -> Vec<([f64; 2], [f64; 2])> {
    let places = window.places(ARROWS, false);
    let x = State(Batch::from_rows(2, places.concat()));
    let eps = data.model::<f64>().eps(&x, at).0.to_rows();
    let arrows = places.into_iter().zip(eps.chunks_exact(2)).map(|(place, e)| (place, [-e[0], -e[1]]));
    arrows.filter(|(_, a)| a[0].is_finite() && a[1].is_finite()).collect()
}

impl Paths {
    /// The first `count` samples of a run: where they are at a level is where a run over the grid up to there, from the
    /// same start and with the same noise, ends. (For a method that does its last step in another way, or that spreads
    /// noise over its steps by their number, that is what stopping there would give.) An adaptive method plans its levels
    /// first. States are `f64`, the model exact.
    ///
    /// # Errors
    /// Why the solver cannot be run, in words.
    pub fn new(run: &Run<Handle>, count: usize, half_side: Option<f64>) -> Result<Self, String> {
        let walked = std::panic::catch_unwind(AssertUnwindSafe(|| walk(run, count)));
        let (levels, states) = walked.unwrap_or_else(|_| Err("the solver panicked".into()))?;
        let (data, schedule) = (run.data, run.schedule);
        let end = &run.levels[run.levels.len() - 1];
        let window = half_side.map_or_else(|| Window::around(data, run.levels), Window::square);
        let finite = || levels.iter().map(Level::lambda).filter(|l| l.is_finite());
        let lambda = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
        let plane = data.dim() == 2 && end.sigma > 0.0;
        Ok(Paths {
            window,
            states,
            dim: data.dim(),
            density: plane.then(|| density(data, end, &window)),
            marginal: marginal(data, schedule, lambda, window.x),
            lambda,
            levels,
        })
    }
}

/// The levels that the solver can be run to, and the samples there.
fn walk(run: &Run<Handle>, count: usize) -> Result<(Vec<Level>, Vec<Vec<f64>>), String> {
    let start = run.starts(0, count.max(BATCH));
    let drawn = |x: &Batch| x.to_rows()[..count * run.data.dim()].to_vec();
    let refused = |cx: &Ctx<Batch>| cx.refusal().map_or(Ok(()), |why| Err(why.to_string()));
    let mut noise = White::new(run.sampling.seed);
    let mut cx = Ctx::new(run.data.model(), &mut noise, run.schedule);
    let plan = run.solver.plan(&mut cx, run.levels, State(start.clone()));
    refused(&cx)?;
    let all = plan.as_deref().unwrap_or(run.levels);
    let (mut levels, mut states) = (vec![all[0]], vec![drawn(&start)]);
    for k in 1..all.len() {
        let prefix = &all[..=k];
        let last = k + 1 == all.len();
        if !last && run.solver.check_grid(run.schedule, prefix).is_err() {
            continue;
        }
        let mut noise = White::new(run.sampling.seed);
        let mut cx = Ctx::new(run.data.model(), &mut noise, run.schedule);
        let x = run.solver.sample(&mut cx, prefix, State(start.clone())).0;
        refused(&cx)?;
        levels.push(all[k]);
        states.push(drawn(&x));
    }
    Ok((levels, states))
}

/// Probabilities of small intervals of the first coordinate: exact, however narrow its peaks.
fn marginal(data: &Data, schedule: &Schedule, lambda: (f64, f64), x: (f64, f64)) -> Option<Mesh> {
    if lambda.0 >= lambda.1 {
        return None;
    }
    let half = 0.5 * (x.1 - x.0) / (NODES - 1) as f64;
    let mut values = vec![0.0; NODES * NODES];
    for i in 0..NODES {
        let at = schedule.at_lambda(lambda.0 + (lambda.1 - lambda.0) * i as f64 / (NODES - 1) as f64);
        let cdf = data.coordinate_cdf(&at);
        let edges: Vec<f64> = (0..=NODES).map(|j| cdf(0, x.0 + half * (2.0 * j as f64 - 1.0))).collect();
        let masses: Vec<f64> = edges.windows(2).map(|e| e[1] - e[0]).collect();
        let most = masses.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        for (j, mass) in masses.iter().enumerate() {
            values[j * NODES + i] = mass / most;
        }
    }
    Some(Mesh { columns: NODES, values })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Covariance, Gaussian, Mixture};
    use crate::grid::Grid;
    use crate::law::Init;
    use crate::monte_carlo::Model;
    use crate::monte_carlo::Sampling;
    use crate::solver::registry;

    const SCHEDULE: Schedule = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };

    fn handle(name: &str) -> Handle {
        registry::solver(toml::Value::String(name.into())).expect("a registered solver")
    }

    fn two() -> Data {
        let part = |x: f64| (0.5, vec![x, 0.5], Covariance::Isotropic(0.04));
        Data::Mixture(Mixture::new(vec![part(-1.0), part(1.0)]).expect("a mixture"))
    }

    fn run<'a>(solver: &'a Handle, data: &'a Data, levels: &'a [Level]) -> Run<'a, Handle> {
        let sampling = Sampling { samples: 40, seed: 3, ..Sampling::default() };
        Run { solver, data, model: Model::Exact, schedule: &SCHEDULE, levels, init: Init::Marginal, sampling }
    }

    #[test]
    fn arrows_are_the_score_and_densities_are_densities_on_a_gaussian() {
        let data = Data::Gaussian(Gaussian::new(vec![0.5, 0.0], vec![1.0, 0.25]).expect("a law"));
        let field = Field::new(&data, &SCHEDULE, &[0.3, 0.01], Some(2.0));
        for Moment { at, density, arrows } in &field.moments {
            let v = [at.marginal_variance(1.0), at.marginal_variance(0.25)];
            let mean = [0.5 * at.alpha, 0.0];
            assert_eq!((arrows.len(), density.values.len()), (400, 121 * 121));
            for (x, arrow) in arrows {
                for k in 0..2 {
                    let score = -(x[k] - mean[k]) / v[k];
                    assert!((arrow[k] - at.sigma * score).abs() < 1e-12);
                }
            }
            // Nodes (column 60, row 60) and (90, 75) are the origin and (1, 0.5).
            let log = |x: f64, y: f64| -0.5 * ((x - mean[0]).powi(2) / v[0] + y * y / v[1]);
            let ratio = density.values[75 * 121 + 90] / density.values[60 * 121 + 60];
            assert!((ratio.ln() - log(1.0, 0.5) + log(0.0, 0.0)).abs() < 1e-9);
            assert_eq!(density.values.iter().copied().fold(0.0, f64::max), 1.0);
        }
    }

    #[test]
    fn paths_end_where_runs_do_and_each_step_goes_on_from_the_last() {
        let data = two();
        let levels =
            Grid::UniformLambda { start: 1.0, end: 1e-2 }.levels(&SCHEDULE, Some(12)).expect("a grid");
        for name in ["ddpm", "ddim", "dpmpp-2m", "unipc"] {
            let solver = handle(name);
            let run = run(&solver, &data, &levels);
            let paths = Paths::new(&run, 40, None).expect(name);
            assert_eq!((paths.levels.len(), paths.states.len(), paths.dim), (13, 13, 2));
            let ends = run.fold(|_| Vec::new(), |all, _, rows| all.extend_from_slice(rows)).expect("it runs");
            assert_eq!(paths.states[12], ends.batches.concat(), "{name}");
            assert!(paths.density.is_some() && paths.marginal.is_some());
        }
        // DDIM has no memory: its path from any level on is its run from there.
        let ddim = handle("ddim");
        let paths = Paths::new(&run(&ddim, &data, &levels), 40, None).expect("ddim");
        let mut noise = White::new(0);
        let mut cx = Ctx::new(data.model(), &mut noise, &SCHEDULE);
        let there = State(Batch::from_rows(2, paths.states[5].clone()));
        let rest = ddim.sample(&mut cx, &levels[5..], there).0.to_rows();
        assert!(rest.iter().zip(&paths.states[12]).all(|(a, b)| (a - b).abs() < 1e-12));
    }

    #[test]
    fn windows_hold_all_but_the_tails_and_not_much_more() {
        let at = SCHEDULE.at(1e-4);
        let normal = Data::Gaussian(Gaussian::new(vec![1.0, 0.0], vec![4.0, 1.0]).expect("a law"));
        // The quantile 5e-4 of N(0, 1) is -3.2905 (scipy.stats.norm.ppf).
        let (low, high) = but_for_tails(&normal, &at, 0);
        assert!((low - 1.0 + 2.0 * 3.2905).abs() < 2e-3 && (high - 1.0 - 2.0 * 3.2905).abs() < 2e-3);
        let window = Window::around(&two(), &[at]);
        assert!(window.x.0 < -1.5 && window.x.1 > 1.5 && window.x.1 - window.x.0 < 3.8, "{window:?}");
        assert!(((window.x.1 - window.x.0) - (window.y.1 - window.y.0)).abs() < 1e-9);
    }

    #[test]
    fn what_cannot_run_says_why() {
        let data = two();
        let levels =
            Grid::UniformLambda { start: 1.0, end: 1e-2 }.levels(&SCHEDULE, Some(4)).expect("a grid");
        let exact = registry::solver(toml::toml! { name = "ddpm" variance = "exact" }.into()).expect("ddpm");
        let why = Paths::new(&run(&exact, &data, &levels), 5, None).expect_err("no reverse covariance");
        assert!(why.contains("not known"), "{why}");
    }

    #[test]
    fn the_marginal_of_a_column_is_the_law_of_the_first_coordinate() {
        let data = Data::Gaussian(Gaussian::new(vec![0.0], vec![1.0]).expect("a law"));
        // N(0, 1) at every level: exp(-x^2/2), in each column.
        let mesh = marginal(&data, &SCHEDULE, (-2.0, 2.0), (-3.0, 3.0)).expect("a law with a CDF");
        for i in [0, 60, 120] {
            for j in [0, 40, 60, 100] {
                let x = -3.0 + 0.05 * j as f64;
                assert!((mesh.values[j * 121 + i] - (-0.5 * x * x).exp()).abs() < 1e-3);
            }
        }
        assert_eq!(marginal(&data, &SCHEDULE, (1.0, 1.0), (-3.0, 3.0)), None);
    }
}
