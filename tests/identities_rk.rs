//! Runge-Kutta methods: their tables, the names that mean one method, and the shipped samplers that they are.

mod common;

use common::{distance, law_of, levels, modes, schedule, solver};
use scorebench::law::Init;
use scorebench::metric::w2;
use scorebench::noise::{Draw, Probe};
use scorebench::run::Ctx;
use scorebench::schedule::{Level, Schedule};
use scorebench::solver::implicit_runge_kutta::{self, ImplicitRungeKutta};
use scorebench::solver::{Sample, order_conditions, tableau};
use scorebench::state::State;

const ROUND_OFF: f64 = 1e-12;

#[test]
fn every_explicit_table_has_the_order_it_declares_and_no_more() {
    let mut wrong = Vec::new();
    for table in tableau::all() {
        table.check_explicit(&table.name).unwrap_or_else(|e| panic!("{e}"));
        let found = order_conditions::order(&table.square(), &table.b);
        if found != table.order as usize {
            wrong.push(format!("{}: {found} for {}", table.name, table.order));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(tableau::all().len() >= 25);
}

/// A named table written out in TOML.
fn inline(name: &str) -> String {
    let table = tableau::named(name).unwrap();
    format!("table = {{ c = {:?}, a = {:?}, b = {:?}, order = {} }}", table.c, table.a, table.b, table.order)
}

#[test]
fn a_perturbed_coefficient_lowers_the_order_of_every_table() {
    for table in tableau::all() {
        let (a, b) = (table.square(), &table.b);
        // A weight, at the cost of another; and a stage's weights, at the cost of each other.
        let used: Vec<usize> = (0..b.len()).filter(|j| b[*j] != 0.0).collect();
        if let [i, .., j] = used[..]
            && table.c[i] != table.c[j]
        {
            let mut bent = b.clone();
            (bent[i], bent[j]) = (bent[i] + 1e-8, bent[j] - 1e-8);
            let found = order_conditions::order(&a, &bent);
            assert!(found < table.order as usize, "{}: {found} with bent weights", table.name);
        }
        for i in 2..b.len() {
            let mut bent = a.clone();
            (bent[i][0], bent[i][1]) = (bent[i][0] + 1e-6, bent[i][1] - 1e-6);
            let found = order_conditions::order(&bent, b);
            // A stage that first reaches the result through others enters conditions of higher order only.
            assert!(found < table.order as usize || b[i] == 0.0, "{}: {found} with row {i} bent", table.name);
        }
    }
}

#[test]
fn the_certificate_takes_well_under_a_millisecond() {
    let start = std::time::Instant::now();
    let sum: usize = tableau::all().iter().map(|t| order_conditions::order(&t.square(), &t.b)).sum();
    let each = start.elapsed().as_secs_f64() / tableau::all().len() as f64;
    assert!(sum > 100 && each < 1e-3, "{each:e} s");
}

#[test]
fn named_tables_are_the_methods_of_those_names_and_may_be_written_out() {
    let data = modes();
    for (name, rule) in SETTINGS {
        let schedule = schedule(name);
        for steps in [1, 3, 20] {
            let grid = levels(&schedule, rule, steps);
            for clock in ["t", "edm", "lambda"] {
                let clock = format!("clock = \"{clock}\"");
                for (own, table) in [
                    ("euler", "euler-1"),
                    ("heun", "heun-2"),
                    ("midpoint", "midpoint-2"),
                    ("rk4", "classic-4"),
                ] {
                    let own = law_of(&format!("{own}, {clock}"), &data, &schedule, &grid);
                    let named = law_of(
                        &format!("runge-kutta, {clock}, table = \"{table}\""),
                        &data,
                        &schedule,
                        &grid,
                    );
                    let written =
                        law_of(&format!("runge-kutta, {clock}, {}", inline(table)), &data, &schedule, &grid);
                    assert_eq!((&own, &own), (&named, &written), "{table} {clock} on {name}");
                }
            }
        }
    }
}

/// Schedules with a grid each.
const SETTINGS: &[(&str, &str)] = &[
    ("vp-linear", "uniform-lambda, start = 1.0, end = 1e-3"),
    ("edm", "karras, sigma_max = 80.0, sigma_min = 0.002"),
    ("flow", "uniform-t, start = 0.99, end = 0.01"),
];

/// The two give one law, on all settings.
fn same(one: &str, other: &str) {
    let data = modes();
    for (name, rule) in SETTINGS {
        let schedule = schedule(name);
        for steps in [1, 2, 5, 40] {
            let grid = levels(&schedule, rule, steps);
            let law = |text: &str| law_of(text, &data, &schedule, &grid);
            let (a, b) = (law(one), law(other));
            let off = distance(&a.moments, &b.moments, &data.marginal(&grid[steps]));
            assert!(off <= ROUND_OFF, "{one} is not {other} on {name}, {steps} steps: {off:e}");
        }
    }
}

#[test]
fn few_sweeps_of_implicit_methods_are_explicit_ones() {
    for clock in ["t", "edm", "lambda"] {
        let clock = format!("clock = \"{clock}\"");
        let implicit =
            |table: &str| format!("implicit-runge-kutta, {clock}, table = \"{table}\", sweeps = 1");
        same(&implicit("gauss-1"), &format!("midpoint, {clock}"));
        same(&implicit("lobatto-iiia-2"), &format!("heun, {clock}"));
    }
}

#[test]
fn many_sweeps_solve_the_implicit_equations() {
    // On Gaussian data dy/dkappa = kappa (y - mu)/(c + kappa^2) per mode: the stages solve a linear system.
    let (data, edm) = (modes(), schedule("edm"));
    let grid = common::grid("explicit, sigma = [1.0, 0.97, 0.9, 0.85]").levels(&edm, None).unwrap();
    for table in implicit_runge_kutta::all() {
        let text = format!("implicit-runge-kutta, table = \"{}\", clock = \"edm\", sweeps = 60", table.name);
        let law = law_of(&text, &data, &edm, &grid);
        for k in 0..data.modes() {
            let c = data.variance()[k];
            let mut gain = 1.0;
            for pair in grid.windows(2) {
                let (from, h) = (pair[0].kappa(), pair[1].kappa() - pair[0].kappa());
                let rate: Vec<f64> =
                    table.c.iter().map(|c_i| from + c_i * h).map(|q| q / (c + q * q)).collect();
                let n = rate.len();
                let m = nalgebra::DMatrix::from_fn(n, n, |i, j| {
                    f64::from(u8::from(i == j)) - h * rate[i] * table.a[i][j]
                });
                let slopes = m.lu().solve(&nalgebra::DVector::from_vec(rate)).unwrap();
                gain *= 1.0 + h * slopes.iter().zip(&table.b).map(|(k, b)| k * b).sum::<f64>();
            }
            assert!(
                (law.gain[k] / gain - 1.0).abs() < 1e-12,
                "{} mode {k}: {} for {gain}",
                table.name,
                law.gain[k]
            );
        }
    }
}

#[test]
fn sweeps_have_the_order_that_the_conditions_of_the_unrolled_table_give() {
    for table in implicit_runge_kutta::all() {
        let implicit = order_conditions::order(&table.a, &table.b);
        let simplified = order_conditions::simplified_order(&table.c, &table.a, &table.b);
        let order = table.order as usize;
        assert_eq!(implicit, order.min(8), "{}", table.name);
        assert!(simplified <= order, "{}: {simplified}", table.name);
        assert!(order <= 8 || simplified == order, "{}: {simplified}", table.name);
        let sums = table.a.iter().map(|row| row.iter().sum::<f64>());
        // (The Lobatto IIIB tables of 2 stages have rows that do not add up to their nodes.)
        let consistent = sums.zip(&table.c).all(|(sum, c)| (sum - c).abs() < 1e-14);
        assert_eq!(consistent, table.name != "lobatto-iiib-2", "{}", table.name);
        for sweeps in 1..=order.min(9) {
            let method =
                ImplicitRungeKutta { table: table.name.clone(), sweeps: Some(sweeps), ..Default::default() };
            let (a, b) = method.unrolled();
            let claimed = order.min(sweeps + 1);
            assert_eq!(order_conditions::order(&a, &b), claimed.min(8), "{} {sweeps}", table.name);
        }
    }
}

#[test]
fn the_pairs_have_error_estimates_of_their_orders() {
    for (name, orders) in
        [("ralston-3", vec![2]), ("fehlberg-5", vec![4]), ("dopri5", vec![4]), ("dop853", vec![5, 3])]
    {
        let table = tableau::named(name).unwrap();
        assert_eq!(table.errors.len(), orders.len());
        for (error, order) in table.errors.iter().zip(orders) {
            // The second solution; where the slope at the end takes part it is one more stage, with the weights b.
            let n = error.len();
            let mut a: Vec<Vec<f64>> = table.square();
            let mut b = table.b.clone();
            if n > b.len() {
                a.push(b.clone());
                b.push(0.0);
            }
            for row in &mut a {
                row.resize(n, 0.0);
            }
            let second: Vec<f64> = b.iter().zip(error).map(|(b, e)| b - e).collect();
            assert_eq!(order_conditions::order(&a, &second), order, "{name}");
        }
    }
}

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

#[test]
fn adaptive_pairs_have_their_order_along_a_ladder_of_tolerances() {
    let (data, vp) = (modes(), schedule("vp-linear"));
    for (name, claimed, tolerances) in [
        ("bs23", 3.0, [1e-5, 1e-6, 1e-7, 1e-8]),
        ("dopri5", 5.0, [1e-5, 1e-6, 1e-7, 1e-8]),
        ("rk45", 5.0, [1e-5, 1e-6, 1e-7, 1e-8]),
        ("dop853", 8.0, [1e-6, 1e-7, 1e-8, 1e-9]),
    ] {
        for clock in ["t", "lambda", "edm"] {
            let ends = [vp.at(1.0), vp.at(1e-3)];
            let mut points = Vec::new();
            for tolerance in tolerances {
                let text = format!("{name}, clock = \"{clock}\", rtol = {tolerance:e}, atol = {tolerance:e}");
                let (grid, nfe) = planned(&text, &vp, &ends).expect(&text);
                assert_eq!((grid[0], grid[grid.len() - 1]), (ends[0], ends[1]));
                assert!(grid.windows(2).all(|p| p[1].t < p[0].t));
                let law = law_of(&text, &data, &vp, &grid);
                let error = w2(&law.moments, &data.marginal(&ends[1]));
                println!("{text}: {} steps, {nfe} calls to plan, {error:e}", grid.len() - 1);
                points.push((grid.len() as f64 - 1.0, error));
            }
            let (first, last) = (points[0], points[points.len() - 1]);
            let slope = (first.1 / last.1).ln() / (last.0 / first.0).ln();
            println!("{name} {clock}: {slope} for {claimed}");
        }
    }
}
