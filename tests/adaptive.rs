//! Adaptive Runge-Kutta pairs: the levels they plan, what planning costs, and the errors over those levels.

mod common;

use common::{law_of, modes, schedule, solver};
use scorebench::law::Init;
use scorebench::metric::w2;
use scorebench::noise::{Draw, Probe};
use scorebench::run::Ctx;
use scorebench::schedule::{Clock, Level, Schedule};
use scorebench::solver::Sample;
use scorebench::state::State;

/// The levels that an adaptive solver visits from the exact marginal, and the calls it takes to find them.
fn planned(text: &str, schedule: &Schedule, grid: &[Level]) -> Result<(Vec<Level>, usize), String> {
    let data = modes();
    let start = Init::Marginal.moments(&data, schedule, &grid[0]);
    let model = data.slice(0..data.modes());
    let mut probe = Probe::new(0, data.modes());
    let x = State(probe.draw(Draw::Fresh).0.map(&start.std, &start.mean));
    let mut cx = Ctx::new(&model, &mut probe, schedule);
    let levels = solver(text).plan(&mut cx, grid, x).expect("it is adaptive");
    cx.refusal().map_or(Ok((levels, cx.nfe())), |why| Err(why.into()))
}

/// The levels and their halves in a clock.
fn halved(clock: Clock, schedule: &Schedule, grid: &[Level]) -> Vec<Level> {
    let mut halves = vec![grid[0]];
    for pair in grid.windows(2) {
        let middle = 0.5 * (clock.of(&pair[0]) + clock.of(&pair[1]));
        let level = match clock {
            Clock::T => schedule.at(middle),
            Clock::Edm => schedule.at_kappa(middle),
            Clock::Lambda => schedule.at_lambda(middle),
        };
        halves.extend([level, pair[1]]);
    }
    halves
}

#[test]
fn adaptive_pairs_keep_their_tolerance_and_their_order() {
    let (data, vp) = (modes(), schedule("vp-linear"));
    let ends = [vp.at(1.0), vp.at(1e-3)];
    let error =
        |text: &str, grid: &[Level]| w2(&law_of(text, &data, &vp, grid).moments, &data.marginal(&ends[1]));
    for (name, order, tolerances) in [
        ("bs23", 3.0, [1e-6, 1e-7, 1e-8]),
        ("dopri5", 5.0, [1e-8, 1e-9, 1e-10]),
        ("rk45", 5.0, [1e-8, 1e-9, 1e-10]),
        ("dop853", 8.0, [1e-7, 1e-8, 1e-9]),
    ] {
        for clock in Clock::ALL {
            let spelled = toml::Value::try_from(clock).unwrap();
            let with = |tol: f64| format!("{name}, clock = {spelled}, rtol = {tol:e}, atol = {tol:e}");
            let plans = tolerances.map(|tol| planned(&with(tol), &vp, &ends).expect(name).0);
            for (tol, grid) in tolerances.iter().zip(&plans) {
                assert_eq!((grid[0], grid[grid.len() - 1]), (ends[0], ends[1]));
                assert!(grid.windows(2).all(|p| p[1].t < p[0].t), "{name} {clock:?}");
                let off = error(name, grid) / tol;
                // Many steps may each err by as much as is tolerated.
                assert!((1e-3..1e3).contains(&off), "{name} {clock:?}, {tol:e}: {off:e} of the tolerance");
            }
            // The error of a step is of order h^q, q = p here; steps grow like tolerance^(-1/q).
            let growth = (plans[2].len() as f64 / plans[0].len() as f64).log10() / 2.0;
            assert!((growth * order - 1.0).abs() < 0.5, "{name} {clock:?}: steps grow with power {growth}");
            // A coarse plan, halved: the order is that of the propagated solution.
            let run = format!("{name}, clock = {spelled}");
            let coarse = plans[0].clone();
            let grids = [halved(clock, &vp, &coarse)];
            let finer = halved(clock, &vp, &grids[0]);
            let (near, nearer) = (error(&run, &grids[0]), error(&run, &finer));
            let slope = (near / nearer).log2();
            assert!(
                slope > order - 0.6 || nearer < 1e-11,
                "{name} {clock:?}: {slope} for {order}, {nearer:e}"
            );
        }
    }
}

#[test]
fn slopes_that_are_known_are_not_asked_for_again() {
    // Six calls an attempt of a pair with seven stages, the last of which is the first of the next step; one more for
    // the first step of all.
    let edm = schedule("edm");
    let (grid, nfe) = planned("dopri5, clock = \"lambda\"", &edm, &[edm.at(80.0), edm.at(0.002)]).unwrap();
    assert_eq!(nfe % 6, 1, "{nfe} calls for {} steps", grid.len() - 1);
    assert!(nfe > 6 * (grid.len() - 1));
}

#[test]
fn plans_that_cannot_be_are_refused_in_words() {
    let edm = schedule("edm");
    let ends = [edm.at(80.0), edm.at(0.0)];
    let why = planned("dopri5, clock = \"edm\"", &edm, &ends).unwrap_err();
    assert!(why.contains("sigma = 0"), "{why}");
    let why = planned("bs23, clock = \"lambda\"", &edm, &ends).unwrap_err();
    assert!(why.contains("does not show both ends"), "{why}");
    let why = planned("bs23, rtol = 0.0, atol = 1e-300", &edm, &[edm.at(80.0), edm.at(1.0)]).unwrap_err();
    assert!(why.contains("tolerances"), "{why}");
}
