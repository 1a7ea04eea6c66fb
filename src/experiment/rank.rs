//! Whether the ranking of solvers on one data law predicts their ranking on the others.

use serde::Deserialize;

use super::ladder::most_steps;
use super::{Experiment, Ladder, Mode, Named, Outcome, SolverSpec, is_called, names};
use crate::config;
use crate::error::{BadInput, Result};
use crate::grid::Grid;
use crate::law::Init;
use crate::metric::{self, Estimate, rank};
use crate::record::{Comparison, Pair, RankRow, RankedError, Row};
use crate::schedule::Schedule;

/// Which data are to predict the ranking of solvers on the others, and by which error.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rank {
    /// Label or name of the data that predict.
    pub by: String,
    /// The error; the experiment's first metric if not given.
    pub metric: Option<String>,
    /// The least of Spearman's rho that is expected, on all other data and at every budget.
    pub least: Option<f64>,
}

/// Fewer solvers have no ranking to speak of.
const FEWEST: usize = 4;

impl Rank {
    /// Refuses what the experiment has no rankings for.
    pub(super) fn check(&self, experiment: &Experiment) -> Result<()> {
        let labels = experiment.data_labels();
        if labels.len() < 2 {
            let fix = "write data = [{ ... }, { ... }]";
            return Err(BadInput::about("", "compares data, of which there is only one", fix));
        }
        self.predictor(&labels)?;
        self.check_metric(experiment)?;
        if let Some(least) = self.least.filter(|r| !(-1.0..=1.0).contains(r)) {
            return Err(BadInput::new("least", least, "is no correlation", "give a number from -1 to 1"));
        }
        if experiment.solvers.len() < FEWEST {
            let why = format!("ranks solvers, of which there are {}", experiment.solvers.len());
            return Err(BadInput::about("", why, format!("give at least {FEWEST}")));
        }
        Ok(())
    }

    /// The label that is meant: as written, or the only one of this name.
    fn predictor<'a>(&self, labels: &'a [String]) -> Result<&'a str> {
        let all: Vec<&str> = labels.iter().map(String::as_str).collect();
        if let Some(label) = all.iter().find(|label| **label == self.by) {
            return Ok(label);
        }
        let called: Vec<&str> = all.iter().copied().filter(|label| is_called(&self.by, label)).collect();
        match called[..] {
            [label] => Ok(label),
            [] => {
                let fix = config::suggest(&self.by, &all);
                Err(BadInput::new("by", &self.by, "is not in this experiment", fix))
            }
            _ => {
                let fix = format!("write one of: {}", called.join("; "));
                Err(BadInput::new("by", &self.by, "is the name of several data", fix))
            }
        }
    }

    fn check_metric(&self, experiment: &Experiment) -> Result<()> {
        let Some(metric) = &self.metric else {
            let none = experiment.metrics.is_empty();
            let fix = "add metric = \"w2\", or another error";
            return if none { Err(BadInput::about("metric", "is missing", fix)) } else { Ok(()) };
        };
        if experiment.sampled() {
            let known: Vec<&str> = experiment.metrics.iter().map(String::as_str).collect();
            if !known.contains(&metric.as_str()) {
                let fix = format!("add it to metrics, or {}", config::suggest(metric, &known));
                return Err(BadInput::new("metric", metric, "is not measured in this experiment", fix));
            }
            return Ok(());
        }
        let known = names(metric::LIST);
        if known.contains(&metric.as_str()) {
            return Ok(());
        }
        Err(BadInput::new("metric", metric, "is no error to rank by", config::suggest(metric, &known)))
    }

    fn metric<'a>(&'a self, experiment: &'a Experiment) -> &'a str {
        self.metric.as_deref().unwrap_or_else(|| &experiment.metrics[0])
    }
}

/// What runs have in common that are ranked together.
struct Place<'a> {
    schedule: &'a Named<Schedule>,
    grid: &'a (Named<Grid>, Ladder),
    init: Init,
    /// As [`Row::sampling`] says it.
    mode: String,
}

impl Place<'_> {
    fn holds(&self, row: &Row) -> bool {
        (&row.schedule, &row.grid) == (&self.schedule.label, &self.grid.0.label)
            && (row.init.as_str(), row.sampling()) == (self.init.name(), &self.mode)
    }

    /// From the least to the greatest.
    fn budgets(&self) -> Vec<Budget> {
        let ascending = |list: &[usize]| {
            let mut list = list.to_vec();
            list.sort_unstable();
            list
        };
        match &self.grid.1 {
            Ladder::Own => {
                let levels = self.grid.0.value.levels(&self.schedule.value, None);
                vec![Budget::Steps(levels.expect("checked when the experiment was read").len() - 1)]
            }
            Ladder::Steps(list) => ascending(list).into_iter().map(Budget::Steps).collect(),
            Ladder::Calls(list) => {
                let mut above = 0;
                let budget = |most| Budget::Calls { above: std::mem::replace(&mut above, most), most };
                ascending(list).into_iter().map(budget).collect()
            }
        }
    }
}

/// What a run may cost to be ranked among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Budget {
    /// Model calls, more than those of the budget below.
    Calls {
        above: usize,
        most: usize,
    },
    Steps(usize),
}

impl Budget {
    /// The run of a solver that is ranked: on a ladder of calls, the most steps that the budget affords (which may be those of
    /// the budget below); of a solver that chooses its own, the dearest that no lower budget has.
    fn pick<'a>(&self, spec: &SolverSpec, rows: &[&'a Row]) -> Option<&'a Row> {
        let solver = &spec.solver.value;
        let of = |steps: usize| rows.iter().copied().find(|r| r.steps == steps);
        match *self {
            Budget::Steps(steps) => of(steps).filter(|_| !solver.adaptive()),
            Budget::Calls { most, .. } if !solver.adaptive() && spec.steps.is_none() => {
                most_steps(solver, most).and_then(of)
            }
            Budget::Calls { above, most } => {
                // A run that diverged counted none.
                let calls = |r: &Row| r.nfe.unwrap_or_else(|| solver.calls(r.steps));
                let within = rows.iter().copied().filter(|r| calls(r) > above && calls(r) <= most);
                within.max_by_key(|r| calls(r))
            }
        }
    }
}

impl Experiment {
    /// How the rankings on all other data agree with that of the data which are to predict them, at every schedule, grid,
    /// start, mode and budget; none where the experiment does not ask.
    pub fn comparisons(&self, rows: &[Row]) -> Vec<Comparison> {
        let Some(rank) = &self.rank else { return Vec::new() };
        let labels = self.data_labels();
        let by = rank.predictor(&labels).expect("checked when the experiment was read");
        let mut out = Vec::new();
        for place in self.places() {
            let mine: Vec<&Row> = rows.iter().filter(|r| place.holds(r)).collect();
            for data in labels.iter().filter(|label| *label != by) {
                for budget in place.budgets() {
                    out.push(self.compare(&place, budget, [by, data], &mine));
                }
            }
        }
        out
    }

    fn places(&self) -> Vec<Place<'_>> {
        let mut places = Vec::new();
        for (schedule, grid) in self.schedules.iter().flat_map(|s| self.grids.iter().map(move |g| (s, g))) {
            for (&init, mode) in self.inits.iter().flat_map(|i| self.modes.iter().map(move |m| (i, m))) {
                let mode = if *mode == Mode::Exact { String::new() } else { mode.label() };
                places.push(Place { schedule, grid, init, mode });
            }
        }
        places
    }

    fn compare(&self, place: &Place, budget: Budget, [by, data]: [&str; 2], rows: &[&Row]) -> Comparison {
        let metric = self.rank.as_ref().map_or("", |r| r.metric(self));
        let (mut pairs, mut missing) = (Vec::new(), None);
        for spec in self.solvers.iter().filter(|s| s.runs_on(place.schedule)) {
            let mut error = |data: &str| {
                let of = |r: &&&Row| r.data == data && r.solver == spec.solver.label;
                let mine: Vec<&Row> = rows.iter().filter(of).copied().collect();
                let found = error_of(budget.pick(spec, &mine)?, metric);
                found.map_err(|why| missing.get_or_insert(format!("{}: {why}", spec.solver.label))).ok()
            };
            if let (Some(by), Some(on)) = (error(by), error(data)) {
                pairs.push(Pair { solver: spec.solver.label.clone(), by, on });
            }
        }
        let (unit, most) = match budget {
            Budget::Calls { most, .. } => ("calls", most),
            Budget::Steps(steps) => ("steps", steps),
        };
        let row = RankRow {
            experiment: self.name.clone(),
            data: data.into(),
            by: by.into(),
            schedule: place.schedule.label.clone(),
            grid: place.grid.0.label.clone(),
            init: place.init.name().into(),
            mode: place.mode.clone(),
            metric: metric.into(),
            unit: unit.into(),
            budget: most,
            ..correlated(&pairs, missing)
        };
        Comparison { row, pairs }
    }
}

/// The error of a run; infinite if it diverged. Otherwise why it has none, if it is known (no reason is given of a metric
/// that such a solver does not have).
fn error_of(row: &Row, metric: &str) -> std::result::Result<RankedError, String> {
    let (found, why) = match row.measure(metric) {
        Some(measure) => {
            let bare = measure.value.map(|value| RankedError { value, stderr: None });
            let signed =
                measure.signed().map(|e: Estimate| RankedError { value: e.value, stderr: Some(e.stderr) });
            (signed.or(bare), &measure.error)
        }
        None => (row.number(metric).map(|value| RankedError { value, stderr: None }), &row.error),
    };
    // Words of `NoLaw` and of `Undefined`.
    let diverged = ["diverged: ", "overflow: "].iter().any(|word| why.starts_with(word));
    match found {
        // Above or below what it should be: as wrong.
        Some(e) if metric == "fourth_error" => Ok(RankedError { value: e.value.abs(), ..e }),
        Some(e) if !e.value.is_nan() => Ok(e),
        _ if diverged => Ok(RankedError { value: f64::INFINITY, stderr: Some(0.0) }),
        _ if why.is_empty() => Err(format!("{metric} is not measured")),
        _ => Err(why.clone()),
    }
}

/// The numbers of a row.
fn correlated(pairs: &[Pair], missing: Option<String>) -> RankRow {
    const SEED: u64 = 0;
    let values = |of: fn(&Pair) -> RankedError| pairs.iter().map(|p| of(p).value).collect::<Vec<f64>>();
    let (by, on) = (values(|p| p.by), values(|p| p.on));
    let found = match rank::correlation(&by, &on) {
        Ok(found) => found,
        Err(_) => {
            let why = if pairs.len() < FEWEST {
                let more = missing.map_or(String::new(), |why| format!(" ({why})"));
                format!("{} solvers have an error on both, {FEWEST} make a ranking{more}", pairs.len())
            } else {
                "all solvers are tied".into()
            };
            return RankRow { solvers: pairs.len(), error: why, ..RankRow::default() };
        }
    };
    let estimates = |of: fn(&Pair) -> RankedError| -> Option<Vec<Estimate>> {
        pairs.iter().map(of).map(|e| Some(Estimate { value: e.value, stderr: e.stderr? })).collect()
    };
    let noise = estimates(|p| p.by).zip(estimates(|p| p.on));
    let noise = noise.and_then(|(by, on)| rank::within_errors(&by, &on, SEED).ok());
    // The first, of equals.
    let best = pairs.iter().reduce(|a, b| if b.by.value < a.by.value { b } else { a });
    RankRow {
        solvers: pairs.len(),
        rho: Some(found.rho),
        rho_low: Some(found.low),
        rho_high: Some(found.high),
        tau: Some(found.tau),
        p_value: Some(found.p_value),
        noise_low: noise.map(|n| n.0),
        noise_high: noise.map(|n| n.1),
        best: best.map_or(String::new(), |p| p.solver.clone()),
        regret: best.and_then(|p| regret(p.on.value, &on)),
        ..RankRow::default()
    }
}

/// An error as a multiple of the least.
fn regret(chosen: f64, all: &[f64]) -> Option<f64> {
    let least = all.iter().copied().fold(f64::INFINITY, f64::min);
    match chosen == least {
        true => Some(1.0),
        false => (least > 0.0).then(|| chosen / least),
    }
}

/// Whether every rho is as large as is expected.
pub(super) fn outcomes(experiment: &Experiment, rows: &[Row]) -> Vec<Outcome> {
    let Some(least) = experiment.rank.as_ref().and_then(|r| r.least) else { return Vec::new() };
    let one = |Comparison { row, .. }: Comparison| {
        let said = format!("rank: {row}, expected rho of at least {least}");
        match row.rho {
            None => Outcome::Open(said),
            Some(rho) if rho >= least => Outcome::Met(said),
            Some(_) => Outcome::Failed(said),
        }
    };
    experiment.comparisons(rows).into_iter().map(one).collect()
}
