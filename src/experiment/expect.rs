//! What an experiment expects, and whether it came out.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::check::known_names;
use super::{Experiment, Named, is_called, rank};
use crate::config::suggest;
use crate::error::{BadInput, Result};
use crate::metric;
use crate::record::{NUMBERS, OrderRow, Row};

/// What a `[[solver]]` entry expects.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SolverExpectation {
    /// Order of W2 on every grid (or on those of `on`).
    pub order: Option<f64>,
    /// Names of the grids that `order` is expected on; all if empty.
    pub on: Vec<String>,
    /// Orders on single grids by name, where they differ.
    pub order_on: BTreeMap<String, f64>,
    /// Why some of its runs may have no finite result; such rows then do not fail the experiment.
    pub may_fail: Option<String>,
}

impl SolverExpectation {
    pub(super) fn check(&self) -> Result<()> {
        let orders = self.order.iter().map(|p| ("order".to_string(), *p));
        for (key, p) in orders.chain(self.order_on.iter().map(|(g, p)| (format!("order_on.{g}"), *p))) {
            if !p.is_finite() {
                return Err(BadInput::new(
                    &key,
                    p,
                    "is not finite",
                    "give the order you expect, such as 1.0",
                ));
            }
        }
        Ok(())
    }

    /// The order expected on a grid, if one is.
    pub fn order_for(&self, grid: &str) -> Option<f64> {
        let special = self.order_on.iter().find(|(name, _)| is_called(name, grid)).map(|(_, p)| *p);
        let general = self.on.is_empty() || self.on.iter().any(|name| is_called(name, grid));
        special.or(if general { self.order } else { None })
    }
}

/// An expectation on cells: those whose columns match, and what one column must be there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Label of the solver.
    pub solver: Option<String>,
    /// Label or name of the grid.
    pub grid: Option<String>,
    /// Label or name of the schedule.
    pub schedule: Option<String>,
    /// Label or name of the data.
    pub data: Option<String>,
    /// `marginal` or `prior`.
    pub init: Option<String>,
    /// Step count.
    pub steps: Option<usize>,
    /// The column, such as `w2`.
    #[serde(default = "w2")]
    pub column: String,
    /// Its expected value, to a relative tolerance `rel` or an absolute one `abs`.
    pub value: Option<f64>,
    /// Relative tolerance of `value`.
    pub rel: Option<f64>,
    /// Absolute tolerance of `value`.
    pub abs: Option<f64>,
    /// Largest value allowed.
    pub below: Option<f64>,
    /// Smallest value allowed.
    pub above: Option<f64>,
}

fn w2() -> String {
    "w2".into()
}

/// Whether an expectation came out.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It did; what was expected.
    Met(String),
    /// It cannot be told from these runs; why.
    Open(String),
    /// It did not; why.
    Failed(String),
}

impl Expectation {
    pub(super) fn check(&self) -> Result<()> {
        let known: Vec<&str> =
            NUMBERS.iter().copied().chain(metric::SAMPLED.iter().map(|(name, _)| *name)).collect();
        if !known.contains(&self.column.as_str()) {
            return Err(BadInput::new("column", &self.column, "is not known", suggest(&self.column, &known)));
        }
        if self.value.is_some() == (self.rel.is_none() && self.abs.is_none()) {
            return Err(BadInput::about(
                "value",
                "goes with a tolerance",
                "write value = 1.7e-3 and rel = 5e-3 (or abs = ...)",
            ));
        }
        let numbers = [("value", self.value), ("below", self.below), ("above", self.above)];
        if let Some((key, Some(x))) = numbers.iter().find(|(_, x)| x.is_some_and(f64::is_nan)) {
            return Err(BadInput::new(key, x, "is never met", "give a number"));
        }
        for (key, slack) in [("rel", self.rel), ("abs", self.abs)] {
            if let Some(x) = slack
                && (x.is_nan() || x < 0.0)
            {
                return Err(BadInput::new(key, x, "is no tolerance", "give a number of at least 0"));
            }
        }
        if self.value.is_none() && self.below.is_none() && self.above.is_none() {
            return Err(BadInput::about(
                "",
                "expects nothing",
                "add value with rel or abs, or below, or above",
            ));
        }
        Ok(())
    }

    /// Names must be those of the experiment: a misspelt one would cover nothing.
    pub(super) fn check_names(&self, experiment: &Experiment) -> Result<()> {
        fn labels<T>(list: &[Named<T>]) -> Vec<&str> {
            list.iter().map(|named| named.label.as_str()).collect()
        }
        let known = |key: &str, word: &Option<String>, labels: &[&str]| {
            known_names(word, labels).map_err(|e| e.within(key))
        };
        let grids: Vec<&str> = experiment.grids.iter().map(|(g, _)| g.label.as_str()).collect();
        let inits: Vec<&str> = experiment.inits.iter().map(|i| i.name()).collect();
        known("grid", &self.grid, &grids)?;
        known("schedule", &self.schedule, &labels(&experiment.schedules))?;
        let data = experiment.data_labels();
        known("data", &self.data, &data.iter().map(String::as_str).collect::<Vec<_>>())?;
        known("init", &self.init, &inits)?;
        let solvers: Vec<&str> = experiment.solvers.iter().map(|s| s.solver.label.as_str()).collect();
        match &self.solver {
            Some(s) if !solvers.contains(&s.as_str()) => {
                Err(BadInput::new("solver", s, "is not in this experiment", suggest(s, &solvers)))
            }
            _ => Ok(()),
        }
    }

    fn covers(&self, row: &Row) -> bool {
        let like = |want: &Option<String>, label: &str| want.as_ref().is_none_or(|w| is_called(w, label));
        // A solver's bare name is its label with default parameters, not all of its variants.
        self.solver.as_ref().is_none_or(|s| *s == row.solver)
            && like(&self.grid, &row.grid)
            && like(&self.schedule, &row.schedule)
            && like(&self.data, &row.data)
            && like(&self.init, &row.init)
            && self.steps.is_none_or(|n| n == row.steps)
    }

    fn holds(&self, row: &Row) -> Outcome {
        let found = row.number(&self.column);
        let place = format!(
            "{} {} {} {} {} N = {}",
            row.data, row.schedule, row.grid, row.init, row.solver, row.steps
        );
        let (Some(x), Some(want)) = (found, Some(self.describe())) else {
            return Outcome::Failed(format!("{place}: {} is missing ({})", self.column, row.error));
        };
        let close = self.value.is_none_or(|v| {
            let slack = self.abs.unwrap_or(0.0) + self.rel.unwrap_or(0.0) * v.abs();
            x == v || (x - v).abs() <= slack
        });
        let inside = close && self.below.is_none_or(|b| x <= b) && self.above.is_none_or(|a| x >= a);
        let said = format!("{place}: {} = {x:e}, expected {want}", self.column);
        if inside { Outcome::Met(said) } else { Outcome::Failed(said) }
    }

    fn describe(&self) -> String {
        let mut parts = Vec::new();
        if let Some(v) = self.value {
            let rel = self.rel.map(|r| format!(" to {r:e} relative"));
            let abs = self.abs.map(|a| format!(" to {a:e}"));
            parts.push(format!("{v:e}{}{}", rel.unwrap_or_default(), abs.unwrap_or_default()));
        }
        parts.extend(self.below.map(|b| format!("at most {b:e}")));
        parts.extend(self.above.map(|a| format!("at least {a:e}")));
        parts.join(", ")
    }
}

/// Every expectation of an experiment against its rows.
pub(super) fn outcomes(experiment: &Experiment, rows: &[Row], orders: &[OrderRow]) -> Vec<Outcome> {
    let mut out = Vec::new();
    for spec in &experiment.solvers {
        let mine = |solver: &String| *solver == spec.solver.label;
        for row in
            rows.iter().filter(|r| mine(&r.solver) && !r.error.is_empty() && spec.expect.may_fail.is_none())
        {
            out.push(Outcome::Failed(format!(
                "{} {} {} {} {} N = {}: {}",
                row.data, row.schedule, row.grid, row.init, row.solver, row.steps, row.error
            )));
        }
        for order in orders.iter().filter(|o| mine(&o.solver) && o.init == "marginal") {
            if spec.expect.order_for(&order.grid).is_none() {
                continue;
            }
            let measured = order.order.map_or("none".into(), |p| format!("{p:.3}"));
            let claimed = order.claimed.unwrap_or(f64::NAN);
            let said = format!(
                "{} {} {} {}: order {measured}, expected {claimed} ({})",
                order.data, order.schedule, order.grid, order.solver, order.reason
            );
            out.push(match order.verdict.as_str() {
                "pass" => Outcome::Met(said),
                "fail" => Outcome::Failed(said),
                _ => Outcome::Open(said),
            });
        }
    }
    for (i, expectation) in experiment.expect.iter().enumerate() {
        let covered: Vec<&Row> = rows.iter().filter(|r| expectation.covers(r)).collect();
        if covered.is_empty() {
            out.push(Outcome::Open(format!("expect[{i}] covers no cell of this run")));
        }
        out.extend(covered.into_iter().map(|row| expectation.holds(row)));
    }
    out.extend(rank::outcomes(experiment, rows));
    out
}
