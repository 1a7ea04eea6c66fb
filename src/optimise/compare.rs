//! What a grid is worth: beside the known rules, on the data that it was fitted to and on other data.
//!
//! Elsewhere the grid keeps its places: the same shares, in `lambda`, of the way between that problem's own ends.

use serde::Serialize;
use toml::{Table, Value};

use super::{Places, Problem, Span, source};
use crate::error::Result;
use crate::runner;
use crate::suite::{self, Kind};

/// The grids that are compared: the optimised one, and the rules at the same number of steps.
pub const GRIDS: [&str; 4] = ["optimised", "uniform-lambda", "karras(rho=7)", "uniform-t"];

/// An error, with its standard error where it was found on samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Found {
    /// The error; infinite where a run diverged.
    pub value: f64,
    /// Its standard error.
    pub stderr: Option<f64>,
}

/// The errors on one problem.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// The data.
    pub data: String,
    /// Whether the grid was fitted to it.
    pub fitted: bool,
    /// What is measured.
    pub metric: String,
    /// One error for each of [`GRIDS`]; none where there is none.
    pub errors: Vec<Option<Found>>,
    /// Why there is none.
    pub note: String,
}

impl Score {
    /// How many times the error of the optimised grid the smallest error of a rule is; below 1 where the grid loses. None where
    /// samples are too few to tell either from none.
    pub fn gain(&self) -> Option<f64> {
        let rules = self.errors[1..].iter().flatten().map(|found| found.value);
        let best = rules.fold(f64::INFINITY, f64::min);
        let own = self.errors[0].as_ref()?.value;
        (own > 0.0 && best > 0.0 && best.is_finite()).then(|| best / own)
    }
}

/// The problem's own data, one score each.
pub fn fitted(problem: &Problem, places: &Places) -> Vec<Score> {
    (0..problem.members().len()).map(|m| exact(problem, m, places, true)).collect()
}

/// The preset spectra and mixtures that are not among the problem's data; mixtures on so many samples, none if 0.
pub fn unseen(problem: &Problem, places: &Places, samples: u64, seed: u64) -> Vec<Score> {
    let known = |name: &str| problem.members().iter().any(|member| member.label == name);
    let others = suite::standard().into_iter().filter(|other| !known(&other.name));
    let score = |other: suite::Problem| {
        let found = match other.kind {
            Kind::Spectrum => on_spectrum(problem, &other, places),
            Kind::Mixture if samples > 1 => on_mixture(problem, &other, places, samples, seed),
            // Images take minutes.
            Kind::Mixture | Kind::Images => return None,
        };
        Some(found.unwrap_or_else(|why| Score {
            data: other.name.clone(),
            fitted: false,
            metric: String::new(),
            errors: vec![None; GRIDS.len()],
            note: why.to_string(),
        }))
    };
    others.filter_map(score).collect()
}

fn exact(problem: &Problem, m: usize, places: &Places, fitted: bool) -> Score {
    let member = &problem.members()[m];
    let error = |places: Option<Places>| {
        places.map(|places| Found { value: problem.error(m, &places), stderr: None })
    };
    let of_rule = |name: &&str| {
        let (_, grid) = member.span.rules().into_iter().find(|(rule, _)| rule == name)?;
        Places::of(&grid, &member.span, problem.steps()).ok()
    };
    let grids = std::iter::once(Some(places.clone())).chain(GRIDS[1..].iter().map(of_rule));
    Score {
        data: member.label.clone(),
        fitted,
        metric: problem.objective().name().into(),
        errors: grids.map(error).collect(),
        note: String::new(),
    }
}

fn on_spectrum(problem: &Problem, other: &suite::Problem, places: &Places) -> Result<Score> {
    let member = source::preset(other)?;
    let problem = Problem::new(problem.solver().clone(), problem.steps(), vec![member], problem.objective())?;
    Ok(exact(&problem, 0, places, false))
}

/// On samples: the distance from the exact end of each sample's own path where the method draws no noise, else sliced W2
/// above its sampling floor.
fn on_mixture(
    problem: &Problem,
    other: &suite::Problem,
    places: &Places,
    samples: u64,
    seed: u64,
) -> Result<Score> {
    let (solver, steps) = (problem.solver(), problem.steps());
    let metric = if solver.draws(steps) == 0 { "rmse" } else { "sliced_w2" };
    let span = source::span(other)?;
    let mut rest = Table::new();
    let sampling = format!("{{ monte-carlo = {{ samples = {samples}, seed = {seed} }} }}");
    rest.insert("mode".into(), crate::config::value(&sampling).expect("valid TOML"));
    rest.insert("metrics".into(), Value::Array(vec![metric.into()]));
    let experiment = other.experiment(&[solver.table()], &grids(&span, places), &rest)?;
    let results = runner::run(&experiment, None, &|| ()).expect("nothing is written");
    let rows = results.rows();
    let found = |row: &crate::record::Row| {
        let estimate = row.measure(metric)?.signed()?;
        Some(Found { value: estimate.value, stderr: Some(estimate.stderr) })
    };
    Ok(Score {
        data: other.name.clone(),
        fitted: false,
        metric: if metric == "rmse" { metric.into() } else { "sliced_w2 above its floor".into() },
        errors: rows.iter().map(found).collect(),
        note: rows.iter().map(|row| row.error.clone()).find(|e| !e.is_empty()).unwrap_or_default(),
    })
}

/// The tables of [`GRIDS`] as an experiment has them.
pub(super) fn grids(span: &Span, places: &Places) -> [Table; 4] {
    let steps = Value::Array(vec![Value::Integer(places.steps() as i64)]);
    let table = |pairs: Vec<(&str, Value)>| pairs.into_iter().map(|(k, v)| (k.to_string(), v)).collect();
    let timed = |name: &str| {
        let ends = [("start", span.start.into()), ("end", span.end.into())];
        table([vec![("name", name.into())], ends.into(), vec![("steps", steps.clone())]].concat())
    };
    let lambdas = span.lambdas(places).into_iter().map(Value::Float).collect();
    let (sigma_max, sigma_min) = span.kappas();
    [
        table(vec![("name", "explicit".into()), ("lambda", Value::Array(lambdas))]),
        timed("uniform-lambda"),
        table(vec![
            ("name", "karras".into()),
            ("sigma_max", sigma_max.into()),
            ("sigma_min", sigma_min.into()),
            ("steps", steps.clone()),
        ]),
        timed("uniform-t"),
    ]
}
