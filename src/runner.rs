//! Runs the cells of an experiment, those that are not finished yet, and fits orders.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::data;
use crate::experiment::{Cell, Experiment, Flows};
use crate::law::Init;
use crate::metric::Estimate;
use crate::order;
use crate::parallel;
use crate::record::{OrderRow, Row, Timing};
use crate::results::{Finished, Store};
use crate::solver::Claim;

mod study;

pub use study::{Studied, run_study};

/// What a run makes.
#[derive(Clone, Debug)]
pub struct Results {
    /// Every cell, in the experiment's order.
    pub cells: Vec<Finished>,
    /// Fitted orders.
    pub orders: Vec<OrderRow>,
    /// How many cells were computed now, not found finished.
    pub computed: usize,
}

impl Results {
    /// The rows of `exact.csv`.
    pub fn rows(&self) -> Vec<Row> {
        self.cells.iter().map(|f| f.row.clone()).collect()
    }

    /// The rows of `timing.csv`.
    pub fn timings(&self) -> Vec<Timing> {
        self.cells.iter().map(|f| f.timing.clone()).collect()
    }
}

/// Cells this large fill all threads by themselves and run one after the other; smaller ones run side by side.
const LARGE: usize = 128;

/// Runs what is not in the store yet, writing every finished cell to it; `tick` is called after each cell.
///
/// # Errors
/// The store's file system errors.
pub fn run(
    experiment: &Experiment,
    store: Option<&Store>,
    tick: &(dyn Fn() + Sync),
) -> std::io::Result<Results> {
    let cells = experiment.cells();
    let keys: Vec<String> = cells.iter().map(Cell::key).collect();
    let known = |key: &String| store.and_then(|s| s.get(key)).cloned();
    let todo: Vec<usize> = (0..cells.len()).filter(|&i| known(&keys[i]).is_none()).collect();
    // Beside the result folders: it serves all experiments.
    let cache = store.and_then(|s| Some(s.folder().parent()?.join(".cache")));
    let flows = Flows::prepare(todo.iter().map(|&i| &cells[i]), cache.as_deref());
    let finish = |&i: &usize| {
        let done = time(&cells[i], &flows);
        store.map_or(Ok(()), |s| s.add(&done))?;
        tick();
        Ok((i, done))
    };
    (0..cells.len() - todo.len()).for_each(|_| tick());
    let alone = |i: &&usize| cells[**i].modes() > LARGE || cells[**i].runs_on_device();
    let (large, small): (Vec<usize>, Vec<usize>) = todo.iter().partition(alone);
    let small: std::io::Result<Vec<(usize, Finished)>> = parallel::map(&small, finish).into_iter().collect();
    let large: std::io::Result<Vec<(usize, Finished)>> = large.iter().map(finish).collect();
    let mut new: BTreeMap<usize, Finished> = small?.into_iter().chain(large?).collect();
    let all = (0..cells.len()).map(|i| {
        let done = new.remove(&i).or_else(|| known(&keys[i])).expect("every cell is known or was run");
        relabelled(done, &cells[i])
    });
    let all: Vec<Finished> = all.collect();
    let rows: Vec<Row> = all.iter().map(|f| f.row.clone()).collect();
    Ok(Results { orders: orders(experiment, &rows), cells: all, computed: todo.len() })
}

fn time(cell: &Cell, flows: &Flows) -> Finished {
    let start = Instant::now();
    let row = cell.run(flows);
    let seconds = Some(start.elapsed().as_secs_f64());
    let timing = Timing {
        seconds,
        threads: parallel::threads(),
        modes: cell.modes(),
        key: row.key.clone(),
        ..Timing::default()
    };
    Finished::new(row, timing)
}

/// Numbers belong to a content key, labels to the experiment as it reads now.
fn relabelled(mut done: Finished, cell: &Cell) -> Finished {
    let row = &mut done.row;
    row.experiment = cell.experiment.into();
    row.data = cell.data_label();
    row.schedule = cell.schedule.label.clone();
    row.grid = cell.grid.label.clone();
    row.solver = cell.solver.label.clone();
    let timing = &mut done.timing;
    (timing.experiment, timing.solver) = (row.experiment.clone(), row.solver.clone());
    timing.steps = row.steps;
    done.row = done.row.sealed();
    done
}

/// An error below this is round-off: some ulps of the law's size, grown by the square root of the steps; or, through a
/// network, what its reference is unsure of.
fn round_off(cell: &Cell, rows: &[Row], metric: &str, steps: usize) -> f64 {
    if cell.runs_on_device() {
        return rows.iter().filter_map(|r| r.measure(metric)?.floor).fold(0.0, f64::max);
    }
    let size = cell.data.value.second_moment(&data::CLEAN).sqrt();
    32.0 * f64::EPSILON * (1.0 + size) * (steps as f64).sqrt()
}

/// One fit a metric and (data, schedule, grid, init, solver) with at least two step counts.
pub fn orders(experiment: &Experiment, rows: &[Row]) -> Vec<OrderRow> {
    let cells = experiment.cells();
    // Cells come with the step count innermost: a group is a run of equal labels.
    let group = |i: usize| {
        let r = &rows[i];
        (&r.data, r.sampling(), &r.schedule, &r.grid, &r.init, &r.solver)
    };
    let mut out = Vec::new();
    let mut from = 0;
    while from < rows.len() {
        let to = (from..rows.len()).find(|&i| group(i) != group(from)).unwrap_or(rows.len());
        if to - from >= 2 {
            let fits = experiment.metrics.iter().map(|m| fit(experiment, &cells[from], &rows[from..to], m));
            out.extend(fits.flatten());
        }
        from = to;
    }
    out
}

/// The fit of one column; none where nothing was measured.
fn fit(experiment: &Experiment, cell: &Cell, rows: &[Row], metric: &str) -> Option<OrderRow> {
    let spec = experiment
        .solvers
        .iter()
        .find(|s| s.solver.label == cell.solver.label)
        .expect("the cell's own solver");
    let strong = metric == "strong_error";
    let none = |r: &Row| r.error.is_empty() && r.number(metric).is_none();
    if rows.iter().all(none) || UNFITTED.contains(&metric) {
        return None;
    }
    let own = match (cell.init, cell.solver.value.claim()) {
        // A divergence is of second order in the error of a density.
        (Init::Marginal, Claim::Order(p)) if metric == "kl" => Claim::Order(2.0 * p),
        // From the starts of the runs themselves, whatever their law.
        (_, claim) if metric == "rmse" || metric == "median_error" => claim,
        // From the prior, the initialisation error stays whatever the steps.
        (Init::Prior, _) => Claim::Floor,
        (Init::Marginal, claim) if strong => {
            let solver = &cell.solver.value;
            let gaussian = cell.data.value.gaussian().is_some();
            let strong = if gaussian { solver.strong_on_gaussian_data() } else { solver.strong() };
            strong.map_or(claim, Claim::Order)
        }
        (Init::Marginal, claim) => claim,
    };
    let claim = match spec.expect.order_for(&cell.grid.label) {
        Some(p) if cell.init == Init::Marginal && !strong && metric != "kl" => Claim::Order(p),
        _ => own,
    };
    let first = &rows[0];
    let row = OrderRow {
        experiment: first.experiment.clone(),
        data: first.data.clone(),
        schedule: first.schedule.clone(),
        grid: first.grid.clone(),
        init: first.init.clone(),
        solver: first.solver.clone(),
        mode: first.sampling().into(),
        metric: metric.into(),
        claimed: if let Claim::Order(p) = claim { Some(p) } else { None },
        ..OrderRow::default()
    };
    let noisy: Vec<(usize, Estimate)> =
        rows.iter().filter_map(|r| Some((r.steps, r.measure(metric)?.signed()?))).collect();
    Some(if noisy.is_empty() || PATHWISE.contains(&metric) {
        fit_exact(row, cell, rows, &claim)
    } else {
        fit_noisy(row, &noisy, &claim)
    })
}

/// Measures that are no errors with an order: tests, squares, and distances that the noise of a sample adds to.
const UNFITTED: &[&str] =
    &["ks", "energy", "mmd", "mode_weights", "sliced_w1", "sliced_w2", "nll_bits_hutchinson"];

/// Distances between paths of the same starts: the same samples at every step count, whose noise the errors share.
const PATHWISE: &[&str] = &["rmse", "median_error", "strong_error", "nll_bits", "kl"];

/// Errors known to round-off. (Those of samples that share their starts share nearly all of their noise too.)
fn fit_exact(row: OrderRow, cell: &Cell, rows: &[Row], claim: &Claim) -> OrderRow {
    let mut points: Vec<(usize, f64)> =
        rows.iter().map(|r| (r.steps, r.number(&row.metric).unwrap_or(f64::NAN))).collect();
    points.sort_by_key(|p| p.0);
    let most = points.last().map_or(0, |p| p.0);
    let fit = order::fit(&points, round_off(cell, rows, &row.metric, most));
    let (verdict, reason) = fit.verdict(claim);
    OrderRow {
        order: fit.order,
        stderr: fit.stderr,
        verdict: verdict.to_string(),
        reason,
        from_steps: fit.window.map(|w| w.0),
        to_steps: fit.window.map(|w| w.1),
        local_orders: words(fit.local.iter().map(|p| format!("{p:.4}"))),
        steps: words(points.iter().map(|p| p.0.to_string())),
        floor: rows.iter().find_map(|r| r.floor).or(fit.floor),
        ..row
    }
}

/// Errors known to a standard error.
fn fit_noisy(row: OrderRow, points: &[(usize, Estimate)], claim: &Claim) -> OrderRow {
    let fit = order::noisy::fit(points, claim);
    OrderRow {
        order: fit.order,
        stderr: fit.stderr,
        verdict: fit.verdict.to_string(),
        reason: fit.reason,
        from_steps: fit.window.map(|w| w.0),
        to_steps: fit.window.map(|w| w.1),
        ..row
    }
}

fn words(list: impl Iterator<Item = String>) -> String {
    list.collect::<Vec<_>>().join(" ")
}
