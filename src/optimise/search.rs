//! The search: downhill from many starts, side by side.

use rand::RngExt;
use rand_distr::StandardNormal;

use super::descent::{Descent, descend};
use super::{Objective, Optimum, Places, Problem, Search, Start};
use crate::error::{BadInput, Result};
use crate::grid::Grid;
use crate::noise::{Purpose, generator};
use crate::parallel;

/// Within so much of the best, starts agree.
const AGREE: f64 = 0.01;

pub(super) fn optimise(problem: &Problem, search: &Search) -> Result<Optimum> {
    let starts = starts(problem, search);
    let ends = parallel::map(&starts, |(_, places)| descend(problem, places, search.iterations));
    let best = ends.iter().min_by(|a, b| a.value.total_cmp(&b.value)).expect("rules are starts");
    if best.value.is_infinite() {
        let (why, fix) =
            ("has no finite error on any grid that was tried", "give more steps, or another solver");
        return Err(BadInput::new("solver", problem.solver().label(), why, fix));
    }
    // Of a divergence the root is minimised.
    let power = if problem.objective() == Objective::Kl { 2.0 } else { 1.0 };
    let agree = ends.iter().filter(|end| power * (end.value - best.value) <= AGREE.ln_1p()).count();
    let start = |((name, places), end): (&(String, Places), &Descent)| Start {
        name: name.clone(),
        before: problem.mean_error(places),
        after: problem.mean_error(&end.places),
    };
    Ok(Optimum {
        error: problem.mean_error(&best.places),
        starts: starts.iter().zip(&ends).map(start).collect(),
        agree,
        exact: problem.is_exact(&best.places),
        idle: best.places.idle(),
        places: best.places.clone(),
        laws: ends.iter().map(|end| end.laws).sum(),
    })
}

/// The rules, on the first of the data, and variations of them.
fn starts(problem: &Problem, search: &Search) -> Vec<(String, Places)> {
    let span = &problem.members()[0].span;
    let of =
        |(name, grid): (&str, Grid)| Some((name.to_string(), Places::of(&grid, span, problem.steps()).ok()?));
    let mut all: Vec<(String, Places)> = span.rules().into_iter().filter_map(of).collect();
    let known = all.len();
    for k in 0..search.random {
        let mut random = generator(search.seed, Purpose::Other, k as u64);
        let (name, places) = &all[k % known];
        let vary = |z: f64| z + random.sample::<f64, _>(StandardNormal);
        let free: Vec<f64> = places.free().into_iter().map(vary).collect();
        all.push((format!("{name}, varied"), Places::from_free(&free)));
    }
    all
}
