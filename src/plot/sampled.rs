//! Errors that were measured on samples: error bars, what was seen of them, the sampling floor; and figures that only
//! such rows have.

use super::axis::number;
use super::chart::{Across, Chart};
use super::label::Label;
use super::panel::{Curve, Spread};
use super::style::Style;
use super::{Figure, chart, circumstances, curve, distinct, error_of, figure, grouped};
use crate::record::{Measure, Row};

/// Bars reach so many standard errors to either side; an error within as many of none was not seen.
pub(super) const WIDE: f64 = 2.0;
/// p-values below this say the same.
const SIGNIFICANT: f64 = 0.05;

/// The curve of an error over some rows, each at its `x`. Errors with a sign are drawn without it.
pub(super) fn error_curve<'a>(
    series: usize,
    name: String,
    mut style: Style,
    metric: &str,
    rows: impl Iterator<Item = (f64, &'a Row)>,
) -> Curve {
    let (mut points, mut spread) = (Vec::new(), Vec::new());
    for (x, row) in rows {
        match row.measure(metric) {
            Some(measure) => {
                points.push((x, size_of(measure)));
                spread.extend(spread_of(x, measure));
            }
            // A metric that such a solver does not have, such as the distance from a flow it does not follow.
            None if !row.sampling().is_empty() && row.error.is_empty() => {}
            None => points.push((x, error_of(row, row.number(metric)))),
        }
    }
    if !spread.is_empty() {
        // Hollow means that nothing was seen.
        style.marker.hollow = false;
    }
    Curve { spread, ..curve(series, name, style, points) }
}

fn size_of(measure: &Measure) -> f64 {
    match measure.value {
        Some(v) if v.is_finite() => v.abs(),
        None if measure.error.is_empty() => f64::NAN,
        _ => f64::INFINITY,
    }
}

fn spread_of(x: f64, measure: &Measure) -> Option<Spread> {
    let value = measure.value.filter(|v| v.is_finite())?;
    let reach = measure.stderr.map_or(0.0, |s| WIDE * s);
    let seen = match (measure.p_value, measure.excess, measure.excess_stderr) {
        (Some(p), ..) => p < SIGNIFICANT,
        (None, Some(excess), Some(stderr)) => excess > WIDE * stderr,
        _ => value.abs() > reach || reach == 0.0,
    };
    Some(Spread { x, reach, seen, floor: measure.floor.filter(|f| f.is_finite() && *f > 0.0) })
}

/// What an axis calls an error.
pub(super) fn axis_title(metric: &str) -> String {
    let title = match metric {
        "w2" => "error W₂",
        "rmse" => "RMSE to the exact flow",
        "sliced_w2" => "sliced W₂",
        "sliced_w1" => "sliced W₁",
        "energy" => "squared energy distance",
        "mmd" => "squared MMD",
        "ks" => "Kolmogorov-Smirnov distance",
        "mean_error" => "error of the mean",
        "cov_error" => "error of the covariance",
        "fourth_error" => "error of E|x|⁴",
        "mode_weights" => "largest error of a mode's weight",
        other => return other.replace('_', " "),
    };
    title.into()
}

/// Precisions in the order of their bits.
const PRECISIONS: [&str; 4] = ["f64", "f32", "f16", "bf16"];

/// An error against steps, a curve each precision of states: one panel for each solver, data, schedule, grid and init.
pub fn by_precision(rows: &[Row], title: &str, metric: &str) -> Figure {
    let precision = |r: &Row| Label::parse(r.sampling()).text("precision").map(str::to_string);
    let mut all = distinct(rows.iter().filter_map(precision));
    all.sort_by_key(|p| PRECISIONS.iter().position(|q| q == p).unwrap_or(PRECISIONS.len()));
    let groups = grouped(rows, |r| {
        let mut key = vec![("solver", r.solver.clone())];
        key.extend(circumstances(&r.data, &r.schedule, &r.grid, &r.init));
        key.push(("mode", Label::parse(r.sampling()).without("precision")));
        key
    });
    let panels = groups.iter().map(|(_, rows)| {
        let curves = all.iter().enumerate().map(|(k, name)| {
            let mine = rows.iter().filter(|r| precision(r).as_ref() == Some(name));
            let points = mine.map(|r| (r.steps as f64, *r)).filter(|p| p.0 > 0.0);
            error_curve(k, name.clone(), Style::nth(k), metric, points)
        });
        curves.collect()
    });
    let panels = panels.collect();
    let y_title = axis_title(metric);
    figure(&groups, panels, Chart { x_title: "steps N".into(), y_title, slopes: true, ..chart(title) })
}

/// An error against model calls, a curve each grid: one panel for each solver, data, schedule and init. Labels of grids that
/// differ by a last `, N` alone (lists of levels for N calls) are one curve.
pub fn by_grid(rows: &[Row], title: &str, metric: &str) -> Figure {
    let family = |r: &Row| match r.grid.rsplit_once(", ") {
        Some((name, count)) if count.parse::<usize>().is_ok() => name.to_string(),
        _ => r.grid.clone(),
    };
    let all = distinct(rows.iter().map(family));
    let groups = grouped(rows, |r| {
        let mut key = vec![("solver", r.solver.clone())];
        key.extend(circumstances(&r.data, &r.schedule, "", &r.init));
        key.push(("mode", r.sampling().into()));
        key
    });
    let panels = groups.iter().map(|(_, rows)| {
        let curves = all.iter().enumerate().map(|(k, name)| {
            let mine = rows.iter().filter(|r| family(r) == *name);
            let points = mine.filter_map(|r| Some((r.nfe.filter(|n| *n > 0)? as f64, *r)));
            error_curve(k, name.clone(), Style::nth(k), metric, points)
        });
        curves.collect()
    });
    let panels = panels.collect();
    let (x_title, y_title) = ("model calls (NFE)".into(), axis_title(metric));
    figure(&groups, panels, Chart { x_title, y_title, slopes: true, ..chart(title) })
}

/// An error against the size of the model's error (`..., perturb=KIND, size=X` in the label of the data), a curve each
/// solver, at its most steps: one panel for each kind, data, schedule, grid and init. Where a model without error was
/// run, too, it stands at size 0.
pub fn perturbation(rows: &[Row], title: &str, metric: &str) -> Figure {
    let size = |r: &Row| Label::parse(&r.data).value("size").filter(|s| s.is_finite());
    let kind = |r: &Row| Label::parse(&r.data).text("perturb").map(str::to_string);
    let rest = |r: &Row| {
        let data = ["perturb", "size"].iter().fold(r.data.clone(), |d, key| Label::parse(&d).without(key));
        let mut key = circumstances(&data, &r.schedule, &r.grid, &r.init);
        key.push(("mode", r.sampling().into()));
        key
    };
    let wrong: Vec<Row> = rows.iter().filter(|r| kind(r).is_some() && size(r).is_some()).cloned().collect();
    let groups = grouped(&wrong, |r| {
        let mut key = vec![("perturb", kind(r).unwrap_or_default())];
        key.extend(rest(r));
        key
    });
    let right: Vec<&Row> = rows.iter().filter(|r| kind(r).is_none()).collect();
    let places = Places::of(wrong.iter().filter_map(size).collect(), !right.is_empty());
    let solvers = distinct(rows.iter().map(|r| r.solver.clone()));
    let mut steps = Vec::new();
    let panels = groups.iter().map(|(key, rows)| {
        let unperturbed: Vec<&Row> = right.iter().copied().filter(|r| rest(r)[..] == key[1..]).collect();
        let curves = solvers.iter().enumerate().map(|(k, solver)| {
            let mine = rows.iter().chain(&unperturbed).copied().filter(|r| r.solver == *solver);
            let most = mine.clone().map(|r| r.steps).max().unwrap_or(0);
            steps.extend((most > 0).then_some(most));
            let finest = mine.filter(|r| r.steps == most);
            let points = finest.map(|r| (size(r).filter(|_| kind(r).is_some()).unwrap_or(places.zero), r));
            let mut curve = error_curve(k, solver.clone(), Style::nth(k), metric, points);
            curve.points.extend(places.gap.map(|x| (x, f64::NAN)).filter(|_| !curve.points.is_empty()));
            curve.points.sort_by(|a, b| a.0.total_cmp(&b.0));
            curve
        });
        curves.collect()
    });
    let panels = panels.collect();
    steps.sort_unstable();
    steps.dedup();
    let context = match steps[..] {
        [] => Vec::new(),
        [n] => vec![format!("N = {n}")],
        _ => vec!["each at its largest N".into()],
    };
    let x_title = "size of the perturbation".into();
    let y_title = axis_title(metric);
    figure(&groups, panels, Chart { x: places.axis, x_title, y_title, context, ..chart(title) })
}

/// Where sizes stand: on a logarithmic axis, with a place for 0 beside it, as long as all are positive.
struct Places {
    axis: Across,
    zero: f64,
    /// Where a curve is broken between 0 and the others.
    gap: Option<f64>,
}

impl Places {
    fn of(sizes: Vec<f64>, with_zero: bool) -> Self {
        let least = sizes.iter().copied().fold(f64::INFINITY, f64::min);
        let most = sizes.iter().copied().fold(0.0, f64::max);
        if !(least > 0.0 && most.is_finite()) {
            return Places { axis: Across::Linear, zero: 0.0, gap: None };
        }
        let zero = least / (most / least).powf(0.25).max(2.0);
        let named = sizes.into_iter().map(|s| (s, size_label(s)));
        let named = with_zero.then(|| (zero, "0".into())).into_iter().chain(named).collect();
        let gap = with_zero.then(|| (zero * least).sqrt());
        Places { axis: Across::Sizes(named), zero, gap }
    }
}

fn size_label(size: f64) -> String {
    if (1e-3..1e4).contains(&size) { size.to_string() } else { number(size) }
}
