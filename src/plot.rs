//! Figures of results, as SVG and PNG.
//!
//! ```
//! use scorebench::{plot, record::Row};
//! let error = |steps: usize| Some(1.0 / (steps * steps) as f64);
//! let row = |steps| Row { solver: "heun".into(), steps, w2: error(steps), ..Row::default() };
//! let figure = plot::convergence(&[row(16), row(32), row(64)], "Is Heun of second order?", "w2");
//! assert!(figure.svg().contains(">heun</text>"));
//! assert!(figure.png().starts_with(b"\x89PNG"));
//! ```
//!
//! Every figure has a panel for each combination of labels that its rows hold, all panels the same axes, and a name
//! beside every curve, in the order in which the curves end. The same rows give the same bytes, on any machine.
//! Rows that hold nothing to draw give a figure that says so.

mod axis;
mod bars;
mod bitmap;
mod chart;
mod contour;
mod curves;
mod field;
mod floor;
mod guides;
mod label;
mod loss;
mod map;
mod panel;
mod paths;
mod pictures;
mod plane;
mod race;
mod ranks;
mod sampled;
mod scene;
mod style;
mod svg;
#[cfg(test)]
mod tests;

use std::path::Path;

use crate::record::{OrderRow, Row, write_atomically};
use chart::{Across, Chart, Up};
pub use curves::{Along, Looks, curves};
pub use field::field;
pub use loss::loss;
pub use map::amplification;
pub use paths::{PathsOf, paths};
pub use pictures::pictures;
pub use race::race;
pub use ranks::ranks;
pub use sampled::{by_grid, by_precision, perturbation};

use label::{Key, Label, end_time, tell_apart};
use panel::{Curve, Panel};
use sampled::{axis_title, error_curve};
use scene::Scene;
use style::Style;

/// The font of figures, carried in the program.
pub const FONT: &str = "DejaVu Sans";

/// A drawn figure.
#[derive(Clone, Debug)]
pub struct Figure {
    scene: Scene,
}

impl Figure {
    /// The figure as SVG. Text is text, in DejaVu Sans or the reader's nearest; pointing at a curve or at its name
    /// dims all others and shows its values.
    pub fn svg(&self) -> String {
        svg::write(&self.scene)
    }

    /// The figure as a PNG file, of twice the SVG's pixels.
    pub fn png(&self) -> Vec<u8> {
        bitmap::encode(&self.scene)
    }

    /// Writes `stem.svg` and `stem.png`, each atomically. (`stem` may hold dots; they are kept.)
    ///
    /// # Errors
    /// The file system's own.
    pub fn write(&self, stem: &Path) -> std::io::Result<()> {
        let with = |extension: &str| {
            let mut name = stem.as_os_str().to_owned();
            name.push(extension);
            std::path::PathBuf::from(name)
        };
        write_atomically(&with(".svg"), self.svg().as_bytes())?;
        write_atomically(&with(".png"), &self.png())
    }
}

/// An error (`w2`, another column, or a metric on samples) against steps, with slope guides: one panel for each data,
/// schedule, grid, init and mode. Errors from samples have bars of two standard errors, hollow markers where no error was
/// seen, and their sampling floor.
pub fn convergence(rows: &[Row], title: &str, metric: &str) -> Figure {
    error_against(rows, title, "steps N", metric, |row| Some(row.steps as f64))
}

/// An error against model calls, otherwise as [`convergence`].
pub fn work_precision(rows: &[Row], title: &str, metric: &str) -> Figure {
    error_against(rows, title, "model calls (NFE)", metric, |row| row.nfe.map(|n| n as f64))
}

fn error_against(
    rows: &[Row],
    title: &str,
    x_title: &str,
    metric: &str,
    x: impl Fn(&Row) -> Option<f64>,
) -> Figure {
    let solvers = distinct(rows.iter().map(|r| r.solver.clone()));
    let groups = grouped(rows, |r| {
        let mut key = circumstances(&r.data, &r.schedule, &r.grid, &r.init);
        key.push(("mode", r.sampling().into()));
        key
    });
    let panels = groups.iter().map(|(_, rows)| {
        let curves = solvers.iter().enumerate().map(|(k, solver)| {
            let mine = rows.iter().filter(|r| r.solver == *solver);
            let points = mine.filter_map(|r| Some((x(r).filter(|x| *x > 0.0)?, *r)));
            error_curve(k, solver.clone(), Style::nth(k), metric, points)
        });
        curves.collect()
    });
    let panels = panels.collect();
    let y_title = axis_title(metric);
    figure(&groups, panels, Chart { x_title: x_title.into(), y_title, slopes: true, ..chart(title) })
}

/// Local orders (between neighbouring step counts, at their geometric mean): one panel for each data, schedule, grid,
/// init and metric. Orders outside -1 to 5 leave the frame.
pub fn local_orders(orders: &[OrderRow], title: &str) -> Figure {
    let solvers = distinct(orders.iter().map(|r| r.solver.clone()));
    let groups = grouped(orders, |r| {
        let mut key = circumstances(&r.data, &r.schedule, &r.grid, &r.init);
        key.push(("metric", format!("error: {}", r.metric)));
        key.push(("mode", r.mode.clone()));
        key
    });
    let panels = groups.iter().map(|(_, rows)| {
        let curves = solvers.iter().enumerate().map(|(k, solver)| {
            let mine = rows.iter().filter(|r| r.solver == *solver);
            curve(k, solver.clone(), Style::nth(k), mine.flat_map(|r| order_points(r)).collect())
        });
        curves.collect()
    });
    let panels = panels.collect();
    let chart = Chart {
        x: Across::Counts(orders.iter().flat_map(|r| numbers(&r.steps)).filter(|n| *n > 0.0).collect()),
        x_title: "steps N (geometric mean of each pair)".into(),
        y: Up::Integers { low: -1.0, high: 5.0 },
        y_title: "local order".into(),
        ..chart(title)
    };
    figure(&groups, panels, chart)
}

fn numbers(text: &str) -> Vec<f64> {
    text.split_whitespace().map(|word| word.parse().unwrap_or(f64::NAN)).collect()
}

fn order_points(row: &OrderRow) -> Vec<(f64, f64)> {
    let steps = numbers(&row.steps);
    let middles = steps.windows(2).map(|pair| (pair[0] * pair[1]).sqrt());
    let finite = |p: f64| if p.is_finite() { p } else { f64::NAN };
    middles.zip(numbers(&row.local_orders)).map(|(x, p)| (x, finite(p))).filter(|p| p.0 > 0.0).collect()
}

/// The parts of the error against the grids' end time, at the largest step count: the whole (`w2_data`), and what
/// discretisation, initialisation and truncation alone would cause. One panel for each solver and init (and data,
/// schedule and kind of grid). Zeros have no place on a logarithmic axis and are left out.
pub fn error_budget(rows: &[Row], title: &str) -> Figure {
    type Part = (&'static str, usize, fn(&Row) -> Option<f64>);
    const PARTS: [Part; 4] = [
        ("discretisation", 0, |r| r.budget_discretisation),
        ("initialisation", 1, |r| r.budget_init),
        ("truncation", 2, |r| r.budget_truncation),
        ("whole", 13, |r| r.w2_data),
    ];
    let rows: Vec<Row> = rows.iter().map(|row| with_budget(row, rows)).collect();
    let mut ends =
        distinct(rows.iter().map(|r| r.grid.clone())).iter().map(|g| end_time(g)).collect::<Vec<_>>();
    ends.sort_by(|a, b| a.0.unwrap_or(f64::INFINITY).total_cmp(&b.0.unwrap_or(f64::INFINITY)));
    let ends = distinct(ends.into_iter().map(|(_, label)| label));
    let groups = grouped(&rows, |r| {
        let grid = Label::parse(&r.grid);
        let grid = if grid.value("end").is_some() { grid.without("end") } else { String::new() };
        let mut key = vec![("solver", r.solver.clone())];
        key.extend(circumstances(&r.data, &r.schedule, &grid, &r.init));
        key
    });
    let mut steps = Vec::new();
    let panels = groups.iter().map(|(_, rows)| {
        let finest = ends.iter().enumerate().filter_map(|(x, end)| {
            let mine = rows.iter().filter(|r| end_time(&r.grid).1 == *end);
            mine.max_by_key(|r| r.steps).map(|r| (x as f64, *r))
        });
        let finest: Vec<(f64, &Row)> = finest.collect();
        steps.extend(finest.iter().map(|(_, r)| r.steps));
        let curves = PARTS.iter().enumerate().map(|(k, (name, looks, part))| {
            let value = |r: &Row| part(r).filter(|v| *v > 0.0 && *v < MOST).unwrap_or(f64::NAN);
            let points = finest.iter().map(|(x, r)| (*x, value(r))).collect();
            curve(k, (*name).into(), Style::nth(*looks), points)
        });
        // A part that is zero throughout is no failure to be told of.
        curves.filter(Curve::named).collect()
    });
    let panels = panels.collect();
    let (least, most) = (steps.iter().min(), steps.iter().max());
    let context = match (least, most) {
        (Some(least), Some(most)) if least == most => vec![format!("N = {most}")],
        (Some(_), Some(_)) => vec!["each at its largest N".into()],
        _ => Vec::new(),
    };
    let x = Across::Categories(ends);
    figure(&groups, panels, Chart { x, x_title: "end time of the grid".into(), context, ..chart(title) })
}

/// A row with its budget: from the marginal all of `w2` is discretisation, and truncation is that of any start.
fn with_budget(row: &Row, all: &[Row]) -> Row {
    if row.init != "marginal" {
        return row.clone();
    }
    let there = |r: &&Row| (&r.data, &r.schedule, &r.grid) == (&row.data, &row.schedule, &row.grid);
    Row {
        budget_truncation: all.iter().filter(there).find_map(|r| r.budget_truncation),
        budget_discretisation: row.budget_discretisation.or(row.w2),
        ..row.clone()
    }
}

/// An error against a numeric parameter of the solvers, one curve a step count: one panel for each solver (but for the
/// parameter), data, schedule, grid, init and mode. A label that does not name the parameter has it at `default`.
pub fn parameter_scan(rows: &[Row], title: &str, metric: &str, parameter: &str, default: f64) -> Figure {
    let place = |r: &Row| {
        let solver = Label::parse(&r.solver);
        if solver.has(parameter) { solver.value(parameter) } else { Some(default) }.filter(|v| v.abs() < MOST)
    };
    let mut steps: Vec<usize> = rows.iter().map(|r| r.steps).collect();
    steps.sort_unstable();
    steps.dedup();
    let mut groups = grouped(rows, |r| {
        let mut key = vec![("solver", Label::parse(&r.solver).without(parameter))];
        key.extend(circumstances(&r.data, &r.schedule, &r.grid, &r.init));
        key.push(("mode", r.sampling().into()));
        key
    });
    // Solvers that do not have the parameter, beside some that do.
    let scanned = |rows: &[&Row]| rows.iter().any(|r| Label::parse(&r.solver).has(parameter));
    if groups.iter().any(|(_, rows)| scanned(rows)) {
        groups.retain(|(_, rows)| scanned(rows));
    }
    let panels = groups.iter().map(|(_, rows)| {
        let curves = steps.iter().enumerate().map(|(k, &n)| {
            let mine = rows.iter().filter(|r| r.steps == n);
            let points = mine.filter_map(|r| Some((place(r)?, *r)));
            error_curve(k, format!("N = {n}"), Style::ordered(k, steps.len()), metric, points)
        });
        curves.collect()
    });
    let panels = panels.collect();
    let y_title = axis_title(metric);
    let chart = Chart { x: Across::Linear, x_title: parameter.into(), y_title, ..chart(title) };
    figure(&groups, panels, chart)
}

/// What most figures have in common.
fn chart(title: &str) -> Chart {
    Chart {
        title: title.into(),
        context: Vec::new(),
        x: Across::Counts(Vec::new()),
        x_title: String::new(),
        y: Up::Errors,
        y_title: axis_title("w2"),
        panels: Vec::new(),
        slopes: false,
        frame: None,
    }
}

/// Names the panels by what differs between their keys, and draws.
fn figure<R>(groups: &[(Key, Vec<&R>)], panels: Vec<Vec<Curve>>, mut chart: Chart) -> Figure {
    let keys: Vec<Key> = groups.iter().map(|(key, _)| key.clone()).collect();
    let (mut shared, own) = tell_apart(&keys);
    shared.append(&mut chart.context);
    chart.context = shared;
    let named = own.into_iter().zip(panels);
    chart.panels = named
        .map(|(own, mut curves)| {
            curves.retain(|c| !c.points.is_empty());
            Panel { title: own.join(", "), curves }
        })
        .filter(|panel| !panel.curves.is_empty())
        .collect();
    Figure { scene: chart.draw() }
}

/// The labels that a panel stands for.
fn circumstances(data: &str, schedule: &str, grid: &str, init: &str) -> Key {
    let init = if init.is_empty() { String::new() } else { format!("init: {init}") };
    vec![("data", data.into()), ("schedule", schedule.into()), ("grid", grid.into()), ("init", init)]
}

/// Larger is as good as infinite, and would overflow on the way to pixels.
const MOST: f64 = 1e100;

/// An error of a row; infinite where the run failed, NaN where there is simply none.
fn error_of(row: &Row, error: Option<f64>) -> f64 {
    match error {
        Some(w2) if w2 < MOST => w2,
        Some(w2) if !w2.is_nan() => f64::INFINITY,
        _ if !row.error.is_empty() => f64::INFINITY,
        _ => f64::NAN,
    }
}

/// A curve with its points in order; of several at one place, the last.
fn curve(series: usize, name: String, style: Style, mut points: Vec<(f64, f64)>) -> Curve {
    points.reverse();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points.dedup_by_key(|p| p.0);
    Curve { series, name, style, points, spread: Vec::new() }
}

/// Each value once, in the order of first appearance.
fn distinct(values: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    values.filter(|v| seen.insert(v.clone())).collect()
}

/// Rows with equal keys together, in the order of first appearance.
fn grouped<R>(rows: &[R], key: impl Fn(&R) -> Key) -> Vec<(Key, Vec<&R>)> {
    let mut groups: Vec<(Key, Vec<&R>)> = Vec::new();
    for row in rows {
        let key = key(row);
        match groups.iter_mut().find(|(k, _)| *k == key) {
            Some((_, rows)) => rows.push(row),
            None => groups.push((key, vec![row])),
        }
    }
    groups
}
