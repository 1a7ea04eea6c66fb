//! One run as the command line asks for it, in the words of experiments.

use std::path::Path;

use toml::Value;

use super::check::check_defined;
use super::ladder::{Ladder, read_grid};
use super::{Subject, data, read_schedule};
use crate::error::Result;
use crate::experiment::Named;
use crate::grid::{Grid, KarrasFinal};
use crate::schedule::{Level, Schedule};
use crate::solver::Handle;

/// What `data = ...` of an experiment would be; paths are relative to where the program runs.
///
/// # Errors
/// As of an experiment.
pub(crate) fn subject(value: &Value) -> Result<Subject> {
    data::read_subject(value.clone(), Path::new("."), None)
}

/// What `schedule = ...` would be.
///
/// # Errors
/// As of an experiment.
pub(crate) fn schedule(value: Value) -> Result<Schedule> {
    read_schedule(value).map(|named| named.value)
}

/// What `grid = ...` would be, in so many steps.
///
/// # Errors
/// As of an experiment.
pub(crate) fn levels(mut value: Value, schedule: &Schedule, steps: usize) -> Result<Vec<Level>> {
    if let Some(table) = value.as_table_mut() {
        let explicit = table.get("name").and_then(Value::as_str) == Some("explicit");
        if !explicit && !["steps", "calls"].iter().any(|key| table.contains_key(*key)) {
            table.insert("steps".into(), Value::Array(vec![Value::Integer(steps as i64)]));
        }
    }
    let (grid, ladder) = read_grid(value, Path::new("."), None)?;
    grid.value.levels(schedule, if ladder == Ladder::Own { None } else { Some(steps) })
}

/// The forward process that a network was trained on, where it has a name here; for data laws the one of most papers.
pub(crate) fn default_schedule(subject: &Subject) -> Schedule {
    match &subject.engine {
        Some(engine) => engine.schedule().unwrap_or(Schedule::Edm {}),
        None => Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 },
    }
}

/// From the most noise that the model knows to none.
///
/// # Errors
/// Step counts that the grid refuses.
pub(crate) fn default_levels(subject: &Subject, schedule: &Schedule, steps: usize) -> Result<Vec<Level>> {
    let grid = match &subject.engine {
        // Karras et al. 2022, eq. 5, over the noise that the network was trained on.
        Some(engine) => {
            let (sigma_min, sigma_max) = engine.range();
            Grid::Karras { rho: 7.0, sigma_min, sigma_max, last: KarrasFinal::Zero }
        }
        None => Grid::UniformLambda { start: 1.0, end: 1e-3 },
    };
    grid.levels(schedule, Some(steps))
}

/// Refuses a solver that is not defined there, and levels that a network does not know.
///
/// # Errors
/// Names the solver, or the level.
pub(crate) fn check(solver: &Handle, subject: &Subject, schedule: &Schedule, levels: &[Level]) -> Result<()> {
    let solver = Named { label: solver.label(), value: solver.clone() };
    let label = serde_json::to_string(schedule).expect("plain values");
    let schedule = Named { label, value: schedule.clone() };
    check_defined(&solver, &schedule, "the grid", levels).map_err(|e| e.within("--solver"))?;
    subject.check_range(levels).map_err(|e| e.within("--grid"))
}
