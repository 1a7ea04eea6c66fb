//! Grids, and how many steps each solver takes on them.

use std::path::Path;

use toml::Value;

use super::{Named, file, names};
use crate::config;
use crate::error::{BadInput, Result};
use crate::grid::Grid;
use crate::solver::{Handle, registry};

/// The step counts of a grid.
#[derive(Clone, Debug, PartialEq)]
pub enum Ladder {
    /// The grid is a list of levels, with a number of steps of its own.
    Own,
    /// These.
    Steps(Vec<usize>),
    /// For each solver the most steps that cost no more than so many model calls.
    Calls(Vec<usize>),
}

impl Ladder {
    /// The step counts of a solver, `own` being those it was given itself.
    pub(super) fn steps(&self, solver: &Handle, own: Option<&[usize]>) -> Vec<Option<usize>> {
        match (self, own) {
            (Ladder::Own, _) => vec![None],
            // An adaptive method finds its own steps between the ends.
            _ if solver.adaptive() => vec![Some(1)],
            (_, Some(own)) => own.iter().map(|n| Some(*n)).collect(),
            (Ladder::Steps(list), None) => list.iter().map(|n| Some(*n)).collect(),
            (Ladder::Calls(list), None) => {
                let mut steps: Vec<_> =
                    list.iter().filter_map(|&c| most_steps(solver, c)).map(Some).collect();
                steps.dedup();
                steps
            }
        }
    }
}

/// The most steps, at least one, that cost no more than `calls`.
pub(super) fn most_steps(solver: &Handle, calls: usize) -> Option<usize> {
    // Calls grow with steps, of which there are no more than calls (or one call makes many steps: none does).
    let affordable = |n: &usize| solver.calls(*n) <= calls;
    let (mut low, mut high) = (0, calls + 1);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if affordable(&middle) { low = middle } else { high = middle }
    }
    (low > 0).then_some(low)
}

/// Reads a grid; a file that lists its levels is relative to `folder`.
pub(super) fn read_grid(
    value: Value,
    folder: &Path,
    quick: Option<&[usize]>,
) -> Result<(Named<Grid>, Ladder)> {
    let (mut value, from_file) = file::grid(value, folder)?;
    let mut take = |key| value.as_table_mut().and_then(|t| t.remove(key));
    let (steps, calls, own) = (take("steps"), take("calls"), take("label"));
    let own = own.map(config::read::<String>).transpose().map_err(|e| e.within("label"))?;
    let grid: Grid = config::read_named(value.clone(), &names(Grid::LIST))?;
    let label = own.or(from_file).unwrap_or_else(|| grid_label(&grid, &value));
    let quick = quick.map(|q| Ladder::Steps(q.to_vec()));
    let given = match (&grid, steps, calls) {
        (Grid::Explicit { .. }, None, None) => return Ok((Named { label, value: grid }, Ladder::Own)),
        (Grid::Explicit { .. }, steps, calls) => {
            let key = if steps.is_some() { "steps" } else { "calls" };
            let value = steps.or(calls).expect("one of the two");
            let fix = "remove it: the list says how many";
            let why = "does not go with an explicit grid";
            return Err(BadInput::new(key, config::Plain(&value), why, fix));
        }
        (_, Some(steps), None) => Ladder::Steps(read_counts("steps", &steps)?),
        (_, None, Some(calls)) => Ladder::Calls(read_counts("calls", &calls)?),
        (_, None, None) => {
            return Err(BadInput::about("steps", "is missing", "add steps = [16, 32, 64]"));
        }
        (_, Some(_), Some(calls)) => {
            let (why, fix) = ("is given beside steps", "give one of the two");
            return Err(BadInput::new("calls", config::Plain(&calls), why, fix));
        }
    };
    let steps = quick.unwrap_or(given);
    Ok((Named { label, value: grid }, steps))
}

/// What a grid is called that nobody gave a label.
fn grid_label(grid: &Grid, value: &Value) -> String {
    // A list is no label: its ends and its length are.
    let name = match grid {
        Grid::Explicit { .. } => "explicit",
        Grid::LogLinear { .. } => "log-linear",
        _ => return registry::label_of(value),
    };
    match grid.list() {
        Some((key, list @ [first, .., last])) => {
            format!("{name}({key}={first}..{last}, steps={})", list.len() - 1)
        }
        _ => name.into(),
    }
}

/// A count or a list of different ones.
pub(super) fn read_counts(key: &str, value: &Value) -> Result<Vec<usize>> {
    let list = match value {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    };
    if list.is_empty() {
        return Err(BadInput::about(key, "is empty", "give at least one number"));
    }
    let mut steps = Vec::new();
    for v in &list {
        match v.as_integer() {
            Some(n) if n > 0 && !steps.contains(&(n as usize)) => steps.push(n as usize),
            Some(n) if n > 0 => return Err(BadInput::new(key, n, "is listed twice", "remove one")),
            _ => {
                return Err(BadInput::new(
                    key,
                    config::Plain(v),
                    "is not a positive whole number",
                    "give numbers such as [16, 32, 64]",
                ));
            }
        }
    }
    Ok(steps)
}
