//! Runge-Kutta methods: their tables, and the names that mean one method.

mod common;

use common::{distance, law_of, levels, modes, schedule, solver};
use scorebench::metric::w2;
use scorebench::solver::implicit_runge_kutta::{self, ImplicitRungeKutta};
use scorebench::solver::{order_conditions, registry, tableau};

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
    same_within(one, other, ROUND_OFF);
}

fn same_within(one: &str, other: &str, round_off: f64) {
    let data = modes();
    for (name, rule) in SETTINGS {
        let schedule = schedule(name);
        for steps in [1, 2, 5, 40] {
            let grid = levels(&schedule, rule, steps);
            let law = |text: &str| law_of(text, &data, &schedule, &grid);
            let (a, b) = (law(one), law(other));
            let off = distance(&a.moments, &b.moments, &data.marginal(&grid[steps]));
            assert!(off <= round_off, "{one} is not {other} on {name}, {steps} steps: {off:e}");
        }
    }
}

#[test]
fn few_sweeps_of_implicit_methods_are_explicit_ones() {
    for clock in ["t", "edm", "lambda"] {
        let clock = format!("clock = \"{clock}\"");
        let implicit =
            |table: &str| format!("implicit-runge-kutta, {clock}, table = \"{table}\", sweeps = 1");
        same(&implicit("gauss-2"), &format!("midpoint, {clock}"));
        same(&implicit("gauss-legendre-1"), &implicit("gauss-1"));
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

#[test]
fn stork_4_on_velocities_is_adams_bashforth_3_whatever_its_stages() {
    for clock in ["t", "edm", "lambda"] {
        let stork = |stages: usize| {
            format!("stork-4, clock = \"{clock}\", stages = {stages}, warm_up = \"one-step\"")
        };
        let adams = format!("adams-bashforth, clock = \"{clock}\", order = 3, warm_up = \"one-step\"");
        for stages in [5, 10, 20, 50] {
            // (Few steps in lambda are long, and amplify round-off.)
            same_within(&stork(stages), &adams, 1e-10);
        }
    }
}

#[test]
fn stork_as_shipped_loses_its_order_and_stork_4_does_not_converge() {
    let (data, flow) = (modes(), schedule("flow"));
    let error = |text: &str, steps: usize| {
        let grid = levels(&flow, "uniform-t, start = 0.9, end = 0.1", steps);
        w2(&law_of(text, &data, &flow, &grid).moments, &data.marginal(&grid[steps]))
    };
    let slope = |text: &str| (error(text, 4096) / error(text, 8192)).log2();
    for (text, order) in [("stork-2", 2.0), ("stork-4", 2.0), ("stork-2, variant = \"shipped\"", 1.0)] {
        assert!((slope(text) - order).abs() < 0.1, "{text}: {}", slope(text));
    }
    // The weights of its slopes add up to 0.99895 with 50 stages, to 0.958 with 5.
    for (stages, floor) in [(50, 1e-4), (5, 1e-2)] {
        let text = format!("stork-4, variant = \"shipped\", stages = {stages}");
        assert!(error(&text, 8192) > floor && slope(&text).abs() < 0.05, "{text}: {:e}", error(&text, 8192));
    }
}

#[test]
fn edm_stochastic_is_heun_with_churn() {
    same(
        "edm-stochastic",
        "heun, clock = \"edm\", s_churn = 40.0, s_min = 0.05, s_max = 50.0, s_noise = 1.003",
    );
    same("edm-stochastic, s_churn = 0.0", "heun, clock = \"edm\"");
    same("dpm2, s_churn = 30.0, s_max = 0.0", "dpm2");
    same("euler, clock = \"edm\", s_churn = 30.0, s_min = 1e9", "ddim");
}

#[test]
fn tables_that_are_none_are_refused_by_their_part() {
    for (body, key, why) in [
        ("table = \"rk5\"", "table", "is not known"),
        ("table = 4", "table", ""),
        ("table = { c = [0.0], a = [[]], b = [1.0] }", "table.order", "missing"),
        ("table = { c = [0.0], a = [[]], b = [1.0], order = 1, d = 2 }", "table.d", ""),
        ("table = { c = [0.0], a = [[]], b = [1.0], order = 0 }", "table.order", "is 0"),
        ("table = { c = [], a = [], b = [], order = 1 }", "table.b", "0 weights"),
        ("table = { c = [0.0], a = [[], [1.0]], b = [0.5, 0.5], order = 2 }", "table.c", "1 entries"),
        ("table = { c = [0.0, 1.0], a = [[]], b = [0.5, 0.5], order = 2 }", "table.a", "1 entries"),
        ("table = { c = [0.0, 1.0], a = [[], [0.5]], b = [0.5, 0.5], order = 2 }", "table.a", "row 2"),
        ("table = { c = [0.0, 1.0], a = [[], [0.5, 0.5]], b = [0.5, 0.5], order = 2 }", "table.a", "row 2"),
        ("table = { c = [0.0, 2.0], a = [[], [2.0]], b = [0.75, 0.25], order = 2 }", "table.c", "row 2"),
        ("table = { c = [0.0, 1.0], a = [[], [1.0]], b = [0.5, 0.6], order = 2 }", "table.b", "adds up"),
        ("table = { c = [0.0, 1.0], a = [[], [1.0]], b = [0.5, nan], order = 2 }", "table.b", "adds up"),
        ("table = { c = [0.0, nan], a = [[], [1.0]], b = [0.5, 0.5], order = 2 }", "table.a", "row 2"),
    ] {
        let refused =
            registry::solver(common::table(&format!("name = \"runge-kutta\", {body}"))).expect_err(body);
        assert!(refused.key() == key && refused.to_string().contains(why), "{body}: {refused}");
    }
    for (name, body, key) in [
        ("implicit-runge-kutta", "table = \"gauss-12\"", "table"),
        ("implicit-runge-kutta", "sweeps = 0", "sweeps"),
        ("stork-4", "stages = 7", "stages"),
        ("stork-2", "stages = 1", "stages"),
        ("stork-2", "form = \"eps\", clock = \"edm\"", "clock"),
        ("stork-2", "form = \"eps\", variant = \"shipped\"", "variant"),
        ("dopri5", "rtol = -1.0", "rtol"),
        ("dopri5", "rtol = 0.0, atol = 0.0", "rtol"),
        ("dpm2", "s_churn = -1.0", "s_churn"),
        ("euler", "s_churn = 1.0", "s_churn"),
        ("edm-stochastic", "s_min = 100.0", "s_min"),
    ] {
        let refused = registry::solver(common::table(&format!("name = \"{name}\", {body}"))).expect_err(body);
        assert_eq!(refused.key(), key, "{name}, {body}: {refused}");
    }
    // Zeros in and above the diagonal are no stages that depend on later ones.
    solver("runge-kutta, table = { c = [0, 1], a = [[0, 0], [1, 0]], b = [0.5, 0.5], order = 2 }");
}
