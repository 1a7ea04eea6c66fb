use super::*;
use crate::data::{Covariance, Data, Mixture};
use crate::geometry::{Field, Paths};
use crate::grid::Grid;
use crate::law::Init;
use crate::monte_carlo::{Model, Run, Sampling};
use crate::record::Measure;
use crate::schedule::Schedule;
use crate::solver::registry;

fn row(solver: &str, grid: &str, steps: usize, w2: Option<f64>) -> Row {
    let (data, init) = ("gaussian(modes=5)".to_string(), "marginal".to_string());
    Row {
        data,
        init,
        grid: grid.into(),
        solver: solver.into(),
        steps,
        nfe: Some(steps),
        w2,
        ..Row::default()
    }
}

fn sample() -> Vec<Row> {
    let mut rows = Vec::new();
    for grid in ["uniform-t(start=1, end=0.001)", "uniform-lambda(start=1, end=0.01)"] {
        for (k, solver) in ["euler", "heun", "ddim(eta=0.5)", "ddim(eta=1)"].into_iter().enumerate() {
            for steps in [8, 16, 32, 64] {
                let w2 = Some((steps as f64).powi(-1 - k as i32 % 2));
                rows.push(Row {
                    w2_data: w2,
                    budget_discretisation: w2,
                    budget_init: Some(0.0),
                    budget_truncation: Some(1e-3),
                    ..row(solver, grid, steps, w2)
                });
            }
        }
    }
    rows
}

fn order(local: &str) -> OrderRow {
    let (solver, steps) = ("heun".into(), "8 16 32".into());
    OrderRow { solver, steps, metric: "w2".into(), local_orders: local.into(), ..OrderRow::default() }
}

fn all(rows: &[Row], orders: &[OrderRow]) -> [Figure; 5] {
    [
        convergence(rows, "a", "w2"),
        work_precision(rows, "b", "w2"),
        error_budget(rows, "c"),
        parameter_scan(rows, "d", "w2", "eta", 0.0),
        local_orders(orders, "e"),
    ]
}

#[test]
fn the_same_rows_give_the_same_bytes_on_any_thread() {
    let draw = || {
        let figures = all(&sample(), &[order("1.5 2")]);
        (figures.each_ref().map(Figure::svg), figures[0].png())
    };
    let there = std::thread::spawn(draw).join().expect("drawn");
    assert!(draw() == there);
}

#[test]
fn rows_without_numbers_give_a_figure_that_says_so() {
    let failed = |w2, steps| Row { error: "diverged".into(), ..row("euler", "g", steps, w2) };
    let bad = [None, Some(f64::NAN), Some(f64::INFINITY), Some(1e300), Some(0.0)];
    let rows: Vec<Row> = bad.into_iter().enumerate().map(|(k, w2)| failed(w2, k)).collect();
    for (rows, orders) in [(&rows[..], &[order("NaN inf"), order(""), order("x -")][..]), (&[], &[])] {
        for figure in all(rows, orders) {
            assert!(figure.svg().contains(">no finite data</text>"), "{}", figure.svg());
        }
    }
}

#[test]
fn one_point_equal_values_and_extremes_are_drawn() {
    let one = row("euler", "g", 8, Some(0.25));
    let equal: Vec<Row> = sample().into_iter().map(|r| Row { w2: Some(0.5), ..r }).collect();
    let extreme: Vec<Row> =
        [1e-300, 1e-16, 1e-5, 1e99].iter().enumerate().map(|(k, w)| row("euler", "g", k, Some(*w))).collect();
    for rows in [&[one][..], &equal, &extreme] {
        for figure in [
            convergence(rows, "", "w2"),
            work_precision(rows, "", "w2"),
            parameter_scan(rows, "", "w2", "x", 1.0),
        ] {
            let svg = figure.svg();
            assert!(svg.contains(">euler</text>") || svg.contains(">N = "), "{svg}");
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}

#[test]
fn panels_are_named_and_failures_are_told() {
    let mut rows = sample();
    rows.push(Row { error: "diverged".into(), ..row("heun", &rows[0].grid.clone(), 128, None) });
    rows.push(Row { error: "undefined".into(), ..row("rk4", &rows[0].grid.clone(), 8, None) });
    let svg = convergence(&rows, "A & B", "w2").svg();
    for text in [
        ">A &amp; B</text>",
        ">uniform-t(end=0.001)</text>",
        "gaussian(modes=5) · grid start=1 · init: marginal",
        "▲ above the axis, or failed, at the last point.",
        "No finite value in uniform-t(end=0.001): rk4.",
        ">10⁻³</text>",
        ">order 4</text>",
    ] {
        assert!(svg.contains(text), "{text} in {svg}");
    }
    // One colour a solver, in both panels.
    assert_eq!(svg.matches("class=\"s s2\"").count(), 2);
    // Solvers without the parameter are none of a scan's business.
    let scan = parameter_scan(&rows, "", "w2", "eta", 0.0).svg();
    assert!(scan.contains(">ddim · ") && !scan.contains("rk4"), "{scan}");
}

#[test]
fn orders_stand_between_the_steps_they_compare() {
    assert_eq!(order_points(&order("1.5 inf")).iter().map(|p| p.0.round()).collect::<Vec<_>>(), [11.0, 23.0]);
    assert!(order_points(&order("1.5 inf"))[1].1.is_nan());
    assert_eq!(order_points(&order("1.5")).len(), 1);
}

#[test]
fn both_files_are_written() {
    let folder = tempfile::tempdir().expect("a folder");
    convergence(&sample(), "", "w2").write(&folder.path().join("figure-1.5")).expect("written");
    for name in ["figure-1.5.svg", "figure-1.5.png"] {
        assert!(folder.path().join(name).exists(), "{name}");
    }
}

fn measure(metric: &str, value: f64, stderr: f64) -> Measure {
    Measure { metric: metric.into(), value: Some(value), stderr: Some(stderr), ..Measure::default() }
}

/// A distance with a floor of 0.02, from samples.
fn distance(value: f64, stderr: f64) -> Measure {
    let (excess, excess_stderr) = (Some(value * value - 4e-4), Some(2.0 * value * stderr));
    Measure { floor: Some(0.02), excess, excess_stderr, ..measure("sliced_w2", value, stderr) }
}

fn sampled(solver: &str, steps: usize, precision: &str, measures: Vec<Measure>) -> Row {
    let mode = format!("monte-carlo(precision={precision}, samples=1000, seed=1)");
    Row { mode, measures, ..row(solver, "g", steps, None) }
}

/// Two solvers down to the floor, in two precisions.
fn samples() -> Vec<Row> {
    let mut rows = Vec::new();
    for precision in ["f32", "f64"] {
        for (solver, order) in [("ddim", 1), ("heun", 2)] {
            for steps in [8, 16, 32, 64] {
                let error = (steps as f64).powi(-order);
                let w2 = distance(error.hypot(0.02), 2e-3);
                let measures =
                    vec![w2, measure("rmse", error, 0.1 * error), measure("energy", -error, error)];
                rows.push(sampled(solver, steps, precision, measures));
            }
        }
    }
    rows
}

/// Paths of a figure that are filled white: hollow markers.
fn hollow(svg: &str) -> usize {
    svg.lines().filter(|l| l.starts_with("<path") && l.contains("fill=\"#ffffff\"")).count()
}

/// Strokes of the width that only error bars have.
const BAR: &str = "stroke-width=\"0.9\"";

fn bars(svg: &str) -> usize {
    svg.lines().filter(|l| l.contains(BAR)).count()
}

#[test]
fn measures_have_bars_and_hollow_markers_where_nothing_was_seen_and_exact_errors_have_neither() {
    let exact = convergence(&sample(), "", "w2").svg();
    assert_eq!((bars(&exact), hollow(&exact)), (0, 0));
    assert!(!exact.contains("sampling floor") && !exact.contains("Bars:"));
    let w2 = convergence(&samples(), "", "sliced_w2").svg();
    assert!(bars(&w2) > 0);
    // Heun's last points lie on the floor, in two panels; a curve's hollow markers are one path.
    assert_eq!(hollow(&w2), 2);
    assert_eq!(w2.matches(">sampling floor</text>").count(), 2);
    assert!(w2.contains("Bars: two standard errors") && w2.contains("Hollow: no error was seen"));
    let rmse = work_precision(&samples(), "", "rmse").svg();
    assert!(bars(&rmse) > 0 && hollow(&rmse) == 0 && !rmse.contains("sampling floor"));
    // Squared distances may fall below 0, and are drawn by their size.
    let energy = convergence(&samples(), "", "energy").svg();
    assert!(hollow(&energy) == 4 && !energy.contains("no finite data"), "{energy}");
}

#[test]
fn floors_that_differ_are_drawn_at_each_point() {
    let floored = |floor| Measure { floor: Some(floor), ..distance(0.1, 1e-3) };
    let rows = |second| [(8, 0.02), (16, second)].map(|(n, f)| sampled("ddim", n, "f64", vec![floored(f)]));
    let band = convergence(&rows(0.03), "", "sliced_w2").svg();
    assert!(band.contains(">sampling floor</text>") && !band.contains("Short lines"));
    let each = convergence(&rows(0.3), "", "sliced_w2").svg();
    assert!(
        !each.contains(">sampling floor</text>") && each.contains("Short lines: the sampling floor of each")
    );
}

#[test]
fn modes_are_told_apart_and_what_they_share_is_said_once() {
    let svg = convergence(&samples(), "", "sliced_w2").svg();
    assert!(svg.contains(">precision=f32</text>") && svg.contains(">precision=f64</text>"));
    assert!(svg.contains("monte-carlo(samples=1000, seed=1)") && svg.contains(">sliced W₂</text>"));
    let by = by_precision(&samples(), "", "rmse").svg();
    for text in
        [">ddim</text>", ">heun</text>", ">f64</text>", ">f32</text>", "monte-carlo(samples=1000, seed=1)"]
    {
        assert!(by.contains(text), "{text} in {by}");
    }
    // The series are ordered by their bits, not by their rows.
    assert!(by.contains("class=\"s s0\"><title>f64") && by.contains("class=\"s s1\"><title>f32"));
}

#[test]
fn bars_that_reach_below_zero_end_at_the_frame() {
    let rows: Vec<Row> = [(8, 0.1, 0.002), (16, 0.03, 0.02)]
        .map(|(n, value, stderr)| sampled("ddim", n, "f64", vec![measure("fourth_error", -value, stderr)]))
        .into();
    let svg = convergence(&rows, "", "fourth_error").svg();
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    // Two serifs and a bar; a bar and its upper serif.
    let pieces: usize = svg.lines().filter(|l| l.contains(BAR)).map(|l| l.matches('M').count()).sum();
    assert_eq!((bars(&svg), pieces), (2, 5));
    assert_eq!(hollow(&svg), 1);
}

#[test]
fn what_could_not_be_measured_has_failed_and_p_values_decide_where_there_are_some() {
    let why = Measure { metric: "ks".into(), error: "not finite".into(), ..Measure::default() };
    let ks = |p| Measure { p_value: Some(p), stderr: None, ..measure("ks", 0.1, 0.0) };
    let rows = [("a", ks(0.5)), ("b", ks(1e-3)), ("c", why)]
        .map(|(solver, measure)| sampled(solver, 8, "f64", vec![measure]));
    let svg = convergence(&rows, "", "ks").svg();
    assert!(svg.contains("No finite value: c.") && hollow(&svg) == 1 && bars(&svg) == 0, "{svg}");
}

#[test]
fn perturbations_stand_at_their_sizes_and_the_right_model_at_zero() {
    let wrong = |data: &str, steps, w2| Row { data: data.into(), ..row("ddim", "g", steps, Some(w2)) };
    let mut rows = vec![wrong("ring", 64, 1e-3), wrong("ring", 32, 0.9)];
    for (size, w2) in [(0.01, 0.01), (0.1, 0.1), (0.2, 0.2)] {
        for kind in ["bias", "scale"] {
            rows.push(wrong(&format!("ring(perturb={kind}, size={size})"), 64, w2));
        }
    }
    let svg = perturbation(&rows, "", "w2").svg();
    for text in
        [">bias</text>", ">scale</text>", ">0</text>", ">0.01</text>", ">0.2</text>", "ring · ", "N = 64"]
    {
        assert!(svg.contains(text), "{text} in {svg}");
    }
    assert!(!svg.contains("9.000e-1"), "only the most steps are drawn");
    let signed =
        [wrong("ring(perturb=bias, size=-0.1)", 8, 0.1), wrong("ring(perturb=bias, size=0.1)", 8, 0.1)];
    assert!(perturbation(&signed, "", "w2").svg().contains(">−0.10</text>"));
    for empty in [&rows[..1], &[]] {
        assert!(perturbation(empty, "", "w2").svg().contains(">no finite data</text>"));
        assert!(by_precision(empty, "", "w2").svg().contains(">no finite data</text>"));
    }
}

/// A ring of narrow modes.
fn ring(dim: usize) -> Data {
    let mode = |k: usize| {
        let (sin, cos) = (k as f64 * std::f64::consts::TAU / 8.0).sin_cos();
        (1.0, [2.0 * cos, 2.0 * sin][..dim].to_vec(), Covariance::Isotropic(0.02))
    };
    Data::Mixture(Mixture::new((0..8).map(mode).collect()).expect("a mixture"))
}

const VP: Schedule = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };

fn walk(dim: usize, solver: &str) -> PathsOf {
    let (data, solver) = (ring(dim), registry::solver(toml::Value::String(solver.into())).expect("a solver"));
    let levels = Grid::UniformLambda { start: 1.0, end: 1e-3 }.levels(&VP, Some(100)).expect("a grid");
    let sampling = Sampling::default();
    let run = Run {
        solver: &solver,
        data: &data,
        model: Model::Exact,
        schedule: &VP,
        levels: &levels,
        init: Init::Prior,
        sampling,
    };
    let paths = Paths::new(&run, 30, None);
    PathsOf { data: "ring".into(), schedule: "vp".into(), grid: "g".into(), solver: solver.label(), paths }
}

#[test]
fn geometry_is_small_the_same_on_any_thread_and_says_what_it_shows() {
    let draw = || {
        let of = |times: &[f64]| ("ring".into(), "vp".into(), Field::new(&ring(2), &VP, times, Some(4.0)));
        let arrows = field(&[of(&[0.9, 0.5, 0.2, 0.05])], "a");
        let lines = paths(&[walk(2, "ddim"), walk(2, "euler-maruyama")], "b");
        (arrows.svg(), lines.svg(), arrows.png(), lines.png())
    };
    let (arrows, lines, arrows_png, lines_png) = draw();
    let again = std::thread::spawn(draw).join().expect("drawn");
    assert!((&arrows, &lines, &arrows_png, &lines_png) == (&again.0, &again.1, &again.2, &again.3));
    for svg in [&arrows, &lines] {
        assert!(svg.len() < 300_000 && !svg.contains("NaN") && !svg.contains("inf"), "{}", svg.len());
    }
    for text in [">t = 0.05, λ = 1.75</text>", ">x₂</text>", "ring · vp", "σ times the score"] {
        assert!(arrows.contains(text), "{text}");
    }
    for text in [">ddim</text>", ">euler-maruyama</text>", "N = 100", "ring · vp · g"] {
        assert!(lines.contains(text), "{text}");
    }
}

#[test]
fn paths_on_the_line_have_one_panel_and_failed_ones_say_why() {
    let line = paths(&[walk(1, "ddim")], "").svg();
    assert!(line.contains("λ = ln(α/σ)") && !line.contains("x₂"));
    let failed = PathsOf { paths: Err("undefined here".into()), ..walk(1, "ddim") };
    assert!(paths(&[failed], "").svg().contains(">no paths: undefined here</text>"));
    assert!(paths(&[], "a").svg().contains(">a</text>") && field(&[], "a").svg().contains(">a</text>"));
}

#[test]
fn solvers_without_the_metric_are_left_out_and_failed_ones_are_not() {
    let mut rows = samples();
    rows.push(sampled("ddpm", 8, "f64", vec![measure("ks", 0.1, 0.0)]));
    rows.push(Row { error: "diverged".into(), ..sampled("rk4", 8, "f64", Vec::new()) });
    let svg = by_precision(&rows, "", "rmse").svg();
    assert!(!svg.contains("ddpm") && svg.contains("No finite value in rk4: f64."), "{svg}");
}

#[test]
fn lists_of_levels_for_several_budgets_are_one_curve_by_grid() {
    let row = |grid: &str, nfe: usize, w2: f64| Row {
        grid: grid.into(),
        solver: "ddim".into(),
        nfe: Some(nfe),
        steps: nfe,
        w2: Some(w2),
        ..Row::default()
    };
    let rows =
        [row("best, 5", 5, 0.1), row("best, 10", 10, 0.01), row("karras", 5, 0.2), row("karras", 10, 0.1)];
    let svg = by_grid(&rows, "", "w2").svg();
    assert!(svg.contains(">best</text>") && svg.contains(">karras</text>") && !svg.contains("best, 5"));
}
