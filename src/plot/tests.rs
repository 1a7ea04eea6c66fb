use super::*;

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
        work_precision(rows, "b"),
        error_budget(rows, "c"),
        parameter_scan(rows, "d", "eta", 0.0),
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
        for figure in
            [convergence(rows, "", "w2"), work_precision(rows, ""), parameter_scan(rows, "", "x", 1.0)]
        {
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
    let scan = parameter_scan(&rows, "", "eta", 0.0).svg();
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
