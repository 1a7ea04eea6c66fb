//! What the test files share: things by their TOML names, exact laws, and how far two laws are apart.
#![allow(dead_code)] // Every test file is a crate of its own and uses its own part of this.

use scorebench::config::read_named;
use scorebench::data::{Gaussian, Moments};
use scorebench::grid::Grid;
use scorebench::law::{self, Init, Law, NoLaw};
use scorebench::schedule::{Level, Schedule};
use scorebench::solver::registry::{self, Handle};
use toml::{Table, Value};

/// The inline table `{ body }`.
pub fn table(body: &str) -> Value {
    let text: Table = format!("x = {{ {body} }}").parse().unwrap_or_else(|e| panic!("{body}: {e}"));
    text["x"].clone()
}

fn names(list: &[(&'static str, &'static str)]) -> Vec<&'static str> {
    list.iter().map(|(name, _)| *name).collect()
}

/// `vp-linear`, or `ve, sigma_max = 10.0`: a name and the body of a table.
fn named(text: &str) -> Value {
    let (name, rest) = text.split_once(',').unwrap_or((text, ""));
    table(&format!("name = \"{name}\"{}{rest}", if rest.is_empty() { "" } else { "," }))
}

pub fn schedule(text: &str) -> Schedule {
    let schedule: Schedule = read_named(named(text), &names(Schedule::LIST)).expect(text);
    schedule.check().expect(text);
    schedule
}

pub fn grid(text: &str) -> Grid {
    read_named(named(text), &names(Grid::LIST)).expect(text)
}

pub fn solver(text: &str) -> Handle {
    registry::solver(named(text)).unwrap_or_else(|e| panic!("{text}: {e}"))
}

pub fn levels(schedule: &Schedule, text: &str, steps: usize) -> Vec<Level> {
    grid(text).levels(schedule, Some(steps)).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// The modes of `golden.rs`.
pub fn modes() -> Gaussian {
    Gaussian::new(vec![0.0, 1.0, -0.5, 0.0, 0.3], vec![1.0, 0.25, 4.0, 0.01, 0.1]).expect("legal")
}

/// The law of a solver started at the exact marginal.
pub fn try_law(solver: &Handle, data: &Gaussian, schedule: &Schedule, grid: &[Level]) -> Result<Law, NoLaw> {
    law::law(solver, data, schedule, grid, Init::Marginal)
}

/// The same, where there must be one.
pub fn law_of(text: &str, data: &Gaussian, schedule: &Schedule, grid: &[Level]) -> Law {
    try_law(&solver(text), data, schedule, grid)
        .unwrap_or_else(|e| panic!("{text}, {} steps: {e}", grid.len() - 1))
}

/// Largest difference of two laws in any mean or standard deviation, in units of `unit`'s standard deviations.
pub fn distance(a: &Moments, b: &Moments, unit: &Moments) -> f64 {
    assert_eq!((a.mean.len(), a.std.len()), (b.mean.len(), b.std.len()));
    let mut worst: f64 = 0.0;
    for k in 0..unit.std.len() {
        let (mean, std) = ((a.mean[k] - b.mean[k]).abs(), (a.std[k] - b.std[k]).abs());
        let off = mean.max(std) / unit.std[k];
        worst = if off.is_nan() { f64::INFINITY } else { worst.max(off) };
    }
    worst
}

/// Every variant that the registered solvers hold to their claims.
pub fn variants() -> Vec<Handle> {
    registry::all().iter().flat_map(registry::Entry::variants).collect()
}
