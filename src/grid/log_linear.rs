//! A list of levels, drawn out to any number of steps.

use crate::error::{BadInput, Result};
use crate::schedule::{Level, Schedule};

/// `n` steps over the places of `listed`, between which `ln(sigma/alpha)` is linear. On a place of the list it is that
/// level itself.
pub(super) fn levels(schedule: &Schedule, listed: &[Level], n: usize) -> Result<Vec<Level>> {
    let clean = |at: &Level| at.sigma == 0.0;
    let (down, to_zero) = (clean(&listed[listed.len() - 1]), listed.len() > 2);
    if down && n > 1 && to_zero {
        // What has no logarithm is a step of its own.
        let mut levels = between(schedule, &listed[..listed.len() - 1], n - 1)?;
        levels.extend(listed.last());
        return Ok(levels);
    }
    if n == 1 {
        return Ok(vec![listed[0], listed[listed.len() - 1]]);
    }
    between(schedule, listed, n)
}

fn between(schedule: &Schedule, listed: &[Level], n: usize) -> Result<Vec<Level>> {
    if let Some(i) = listed.iter().position(|at| !at.lambda().is_finite()) {
        let why = format!("has no finite lambda at level {i} (alpha or sigma is 0 there)");
        return Err(BadInput::about("", why, "leave that level out, or use name = \"explicit\""));
    }
    let gaps = listed.len() - 1;
    let level = |i: usize| {
        let (gap, part) = (i * gaps / n, (i * gaps % n) as f64 / n as f64);
        if part == 0.0 {
            return listed[gap];
        }
        let (a, b) = (listed[gap].lambda(), listed[gap + 1].lambda());
        schedule.at_lambda(a + part * (b - a))
    };
    Ok((0..=n).map(level).collect())
}
