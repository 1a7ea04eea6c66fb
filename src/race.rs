//! One solver against others over a set of problems: who needs fewer model calls, by how much, and how sure that is.
//!
//! ```
//! use scorebench::race::{Options, Race};
//! use scorebench::solver::{Handle, ddim::Ddim, dpmpp_2m::DpmPp2m};
//!
//! let (new, old) = (Handle::new(DpmPp2m::default()), Handle::new(Ddim::default()));
//! let race = Race::on_preset(&new, &[old], "spectra", Options::default())?;
//! let found = race.run(None, &|| ()).expect("no files, no trouble");
//! let standing = &found.standings[0];
//! assert!(standing.won == 5 && standing.ratio.is_some_and(|r| r < 0.5));
//! // Five problems prove nothing, whatever they say.
//! assert_eq!((standing.p_value, standing.verdict.as_str()), (Some(0.0625), "undecided"));
//! # Ok::<(), scorebench::error::BadInput>(())
//! ```
//!
//! **What is compared.** On spectra an error of the exact law (W2 to the marginal). On samples the root mean square distance
//! from each start's own exact flow where no racer draws noise; else a distance of laws (sliced W2 less its sampling floor).
//! At as many model calls ([`compare`]): a *point* is won or lost where errors differ by more than a margin and, on samples, by
//! more than noise (95 %, by the jackknife over eight batches that all solvers share).
//!
//! **What is claimed.** Points of a problem are not independent, so the unit is the problem, won or lost as its median point is.
//! [`sign_test`] gives the probability of so uneven a count where either is as likely; [`mean_interval`] says within what
//! the geometric mean of error ratios lies for problems of which these were drawn. Presets were not drawn but chosen, and
//! spectra resemble one another: they are evidence for problems like them, over the calls that were run, and no more.

use crate::data::CLEAN;
use crate::error::{BadInput, Result};
use crate::experiment::{Cell, Mode};
use crate::metric::significance::holm;
use crate::record::{Row, Timing};
use crate::results::Store;
use crate::runner;
use crate::solver::Handle;
use crate::suite::Kind;

pub mod compare;
mod confidence;
mod field;
mod judge;
mod record;

use compare::{Curve, Margin, Node};
use field::{Course, Racers};

pub use confidence::{least_p, mean_interval, sign_test};
pub use field::{EXACT, PRESETS, SAMPLED};
pub use record::{CallsRow, PointRow, ProblemRow, Standing};

/// How a race is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Model calls to compare at, ascending; a folder's own, or for presets 5 to 40, where there are none.
    pub calls: Option<Vec<usize>>,
    /// Samples of a sampled problem (images of presets: an eighth); the folder's or preset's own where it is not given.
    pub samples: Option<u64>,
    /// Seed of everything random; a folder's own, or 1.
    pub seed: Option<u64>,
    /// The grid of presets: `uniform-lambda` or `karras`.
    pub grid: String,
    /// Errors to compare by, the first that a problem has: of [`EXACT`] or [`SAMPLED`].
    pub rank_by: Vec<String>,
    /// Errors that differ by so small a share are tied.
    pub margin: f64,
    /// Errors to count the calls to, as shares of the data's root mean square.
    pub targets: Vec<f64>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            calls: None,
            samples: None,
            seed: None,
            grid: "uniform-lambda".into(),
            rank_by: Vec::new(),
            margin: 0.05,
            targets: vec![1e-1, 1e-2, 1e-3],
        }
    }
}

/// A race that can be run.
#[derive(Clone, Debug)]
pub struct Race {
    /// The new solver, and then the baselines.
    racers: Vec<Handle>,
    options: Options,
    courses: Vec<Course>,
    left_out: Vec<String>,
}

/// One problem of a race, run.
#[derive(Clone, Debug)]
pub struct Contest {
    /// Its name.
    pub name: String,
    /// What is known of its solution.
    pub kind: Kind,
    /// The error that is compared.
    pub metric: String,
    /// Root mean square of the data.
    pub scale: f64,
    /// Calls at which solvers are compared; all that they have if there are none.
    pub calls: Option<Vec<usize>>,
    /// Errors of those that run on it, in the order of the race.
    pub curves: Vec<Curve>,
}

/// What a race found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The problems.
    pub contests: Vec<Contest>,
    /// One row a baseline.
    pub standings: Vec<Standing>,
    /// One a problem and baseline.
    pub problems: Vec<ProblemRow>,
    /// One a problem, baseline and number of calls.
    pub points: Vec<PointRow>,
    /// One a problem, target and solver.
    pub calls: Vec<CallsRow>,
    /// Problems and solvers that do not go together, in words.
    pub left_out: Vec<String>,
    /// The runs.
    pub rows: Vec<Row>,
    /// How long they took.
    pub timings: Vec<Timing>,
    /// How many were computed now.
    pub computed: usize,
}

impl Race {
    /// Over preset problems: see [`PRESETS`].
    ///
    /// # Errors
    /// An unknown preset, solvers that cannot race, or options without a meaning.
    pub fn on_preset(new: &Handle, against: &[Handle], preset: &str, options: Options) -> Result<Self> {
        Race::new(new, against, options, |racers, options| field::preset(preset, racers, options))
    }

    /// Over the data, schedules, grids, starts and modes of the experiments in a folder, or of one file.
    ///
    /// # Errors
    /// What cannot be read, solvers that cannot race, or options without a meaning.
    pub fn on_folder(
        new: &Handle,
        against: &[Handle],
        folder: &std::path::Path,
        options: Options,
    ) -> Result<Self> {
        Race::new(new, against, options, |racers, options| field::folder(folder, racers, options))
    }

    fn new(
        new: &Handle,
        against: &[Handle],
        options: Options,
        field: impl Fn(&Racers, &Options) -> Result<field::Field>,
    ) -> Result<Self> {
        let racers: Vec<Handle> = std::iter::once(new).chain(against).cloned().collect();
        check_racers(&racers)?;
        options.check()?;
        let (courses, left_out) = field(&Racers(&racers), &options)?;
        if courses.is_empty() {
            let why = format!("holds nothing to race on: {}", left_out.join("; "));
            return Err(BadInput::about("--on", why, "give other problems, or other solvers"));
        }
        Ok(Race { racers, options, courses, left_out })
    }

    /// How many runs it takes.
    pub fn cells(&self) -> usize {
        self.courses.iter().map(|c| c.experiment.cells().len()).sum()
    }

    /// Labels of the solvers; the first is the new one.
    pub fn labels(&self) -> Vec<String> {
        self.racers.iter().map(Handle::label).collect()
    }

    /// Runs what is not in the store yet; `tick` is called after each run.
    ///
    /// # Errors
    /// The store's file system errors.
    pub fn run(&self, store: Option<&Store>, tick: &(dyn Fn() + Sync)) -> std::io::Result<Found> {
        let (mut contests, mut rows, mut timings, mut computed) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for course in &self.courses {
            let results = runner::run(&course.experiment, store, tick)?;
            let all = results.rows();
            contests.extend(contests_of(course, &all));
            rows.extend(all);
            timings.extend(results.timings());
            computed += results.computed;
        }
        let (points, problems) = judge::points(&self.labels(), &contests, Margin(self.options.margin));
        let standings = judge::standings(&self.labels(), &problems, self.options.seed.unwrap_or(1));
        let calls = judge::calls(&self.labels(), &contests, &self.options.targets);
        let left_out = self.left_out.clone();
        Ok(Found { contests, standings, problems, points, calls, left_out, rows, timings, computed })
    }
}

fn check_racers(racers: &[Handle]) -> Result<()> {
    let [new, against @ ..] = racers else { return Ok(()) };
    if against.is_empty() {
        return Err(BadInput::about("--against", "names nobody", "write --against ddim,dpmpp-2m"));
    }
    for (k, solver) in racers.iter().enumerate() {
        let label = solver.label();
        if solver.forward() {
            let why = "runs from data to noise, and cannot race samplers";
            return Err(BadInput::new("solver", label, why, "see `scorebench list solvers`"));
        }
        if k > 0 && label == new.label() {
            let why = "is the new solver itself";
            return Err(BadInput::new("--against", label, why, "name others, or other parameters"));
        }
        if racers[..k].iter().any(|s| s.label() == label) {
            return Err(BadInput::new("--against", label, "is named twice", "remove one"));
        }
    }
    Ok(())
}

impl Options {
    fn check(&self) -> Result<()> {
        if let Some(calls) = &self.calls {
            let ascending = calls.windows(2).all(|w| w[0] < w[1]);
            if calls.is_empty() || calls[0] == 0 || !ascending {
                let fix = "give rising numbers such as 5,7,10,14,20,28,40";
                return Err(BadInput::new("--calls", calls, "is no ladder of model calls", fix));
            }
        }
        if !(self.margin.is_finite() && self.margin >= 0.0) {
            let fix = "give a share such as 0.05";
            return Err(BadInput::new("--margin", self.margin, "is no margin", fix));
        }
        if let Some(target) = self.targets.iter().find(|t| !(t.is_finite() && **t > 0.0)) {
            return Err(BadInput::new("--targets", target, "is no error to reach", "give shares above 0"));
        }
        let grids = ["uniform-lambda", "karras"];
        if !grids.contains(&self.grid.as_str()) {
            let fix = crate::config::suggest(&self.grid, &grids);
            return Err(BadInput::new("--grid", &self.grid, "is no grid of a race", fix));
        }
        let own = SAMPLED.iter().filter(|m| !EXACT.contains(m));
        let known: Vec<&str> = EXACT.iter().chain(own).copied().collect();
        if let Some(metric) = self.rank_by.iter().find(|m| !known.contains(&m.as_str())) {
            let fix = crate::config::suggest(metric, &known);
            return Err(BadInput::new("--rank-by", metric, "is no error to compare by", fix));
        }
        check_samples("--samples", self.samples.unwrap_or(1 << 10), self.seed.unwrap_or(1))
    }
}

/// Batches of two images at least, and seeds that stay whole numbers of TOML.
fn check_samples(key: &str, samples: u64, seed: u64) -> Result<()> {
    let (least, most) = (16 * field::BATCHES, 1 << 40);
    if !(least..=most).contains(&samples) {
        let fix = format!("give {least} to {most}: they are cut into {} batches", field::BATCHES);
        return Err(BadInput::new(key, samples, "is no number of samples to race on", fix));
    }
    if seed >= 1 << 59 {
        return Err(BadInput::new("--seed", seed, "is too large", "give a number below 2^59"));
    }
    Ok(())
}

/// What runs of one course have in common that are compared.
#[derive(Clone, PartialEq)]
struct Place([String; 5]);

impl Place {
    fn of(cell: &Cell) -> Self {
        let precision = match cell.mode {
            Mode::Exact => "",
            Mode::MonteCarlo(sampling) => sampling.precision.name(),
        };
        let (schedule, grid) = (cell.schedule.label.clone(), cell.grid.label.clone());
        Place([cell.data_label(), schedule, grid, cell.init.name().into(), precision.into()])
    }
}

/// The problems of a course: one, or one for each data, schedule, grid, start and precision of a file.
fn contests_of(course: &Course, rows: &[Row]) -> Vec<Contest> {
    let cells = course.experiment.cells();
    let runs: Vec<(Place, &Cell, &Row)> = cells.iter().zip(rows).map(|(c, r)| (Place::of(c), c, r)).collect();
    let mut places: Vec<&Place> = Vec::new();
    for (place, ..) in &runs {
        if !places.contains(&place) {
            places.push(place);
        }
    }
    let varies = |k: usize| places.iter().any(|p| p.0[k] != places[0].0[k]);
    let contest = |place: &&Place| {
        let mine: Vec<(&Cell, &Row)> = runs.iter().filter(|r| r.0 == **place).map(|r| (r.1, r.2)).collect();
        let own: Vec<&str> = (0..5).filter(|k| varies(*k)).map(|k| place.0[k].as_str()).collect();
        let name = course.experiment.name.clone();
        let data = mine[0].0.data;
        let scale = data.value.second_moment(&CLEAN).sqrt();
        let kind = match mine[0].0.mode {
            Mode::Exact => Kind::Spectrum,
            _ if data.images.is_some() || data.engine.is_some() => Kind::Images,
            _ => Kind::Mixture,
        };
        Contest {
            name: if own.is_empty() { name } else { format!("{name}: {}", own.join(", ")) },
            kind: course.kind.unwrap_or(kind),
            metric: course.metric.clone(),
            scale,
            calls: course.calls.clone(),
            curves: curves(&mine, &course.metric, scale),
        }
    };
    places.iter().map(contest).collect()
}

/// Exact errors below this share of the data's size are round-off, and alike.
const ROUND_OFF: f64 = 1e-13;

/// A curve a solver, over its runs that have such an error.
fn curves(runs: &[(&Cell, &Row)], metric: &str, scale: f64) -> Vec<Curve> {
    let mut solvers: Vec<&str> = Vec::new();
    for (cell, _) in runs {
        if !solvers.contains(&cell.solver.label.as_str()) {
            solvers.push(&cell.solver.label);
        }
    }
    let curve = |label: &&str| {
        let mine: Vec<&(&Cell, &Row)> = runs.iter().filter(|(c, _)| c.solver.label == **label).collect();
        let mut steps: Vec<Option<usize>> = mine.iter().map(|(c, _)| c.steps).collect();
        steps.sort_unstable();
        steps.dedup();
        let sampled = *mine[0].0.mode != Mode::Exact;
        let (power, floored) = if sampled { compare::power(metric) } else { (1, false) };
        let mut nodes: Vec<Node> = Vec::new();
        for count in steps {
            let batches: Vec<&(&Cell, &Row)> =
                mine.iter().filter(|(c, _)| c.steps == count).copied().collect();
            // A run that diverged counted none.
            let calls =
                |(cell, row): &(&Cell, &Row)| row.nfe.unwrap_or_else(|| cell.solver.value.calls(row.steps));
            let most = batches.iter().map(|b| calls(b)).max().unwrap_or(0);
            nodes.extend(node(&batches, metric, scale, most));
        }
        nodes.retain(|n| n.calls > 0);
        nodes.sort_by_key(|n| n.calls);
        nodes.dedup_by_key(|n| n.calls);
        Curve { solver: (*label).into(), nodes, power, floored }
    };
    solvers.iter().map(curve).collect()
}

/// The error of a run, from its batches; none where it has no such error, infinite where it failed.
fn node(batches: &[&(&Cell, &Row)], metric: &str, scale: f64, calls: usize) -> Option<Node> {
    if *batches[0].0.mode == Mode::Exact {
        let row = batches[0].1;
        let error = match row.number(metric) {
            Some(e) if e.is_finite() => e.max(ROUND_OFF * scale),
            None if row.error.is_empty() => return None,
            _ => f64::INFINITY,
        };
        return Some(Node::exact(calls, error));
    }
    let mut values = Vec::new();
    for (_, row) in batches {
        values.push(match row.measure(metric) {
            Some(measure) if measure.error.is_empty() => compare::averaged(measure),
            None if row.error.is_empty() => return None,
            _ => f64::INFINITY,
        });
    }
    Some(Node::of_batches(calls, &values))
}
