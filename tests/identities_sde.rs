//! Different names for one stochastic method, and what shipped variants really do.

mod common;

use common::{distance, law_of, levels, modes, schedule, solver};
use scorebench::data::Gaussian;
use scorebench::grid::Grid;
use scorebench::law::{Init, law_on_path};
use scorebench::metric::w2;
use scorebench::schedule::Level;
use scorebench::solver::{Claim, registry};

const ROUND_OFF: f64 = 1e-12;

/// Schedules with a grid each, the last three down to clean data and one from no signal at all.
const SETTINGS: &[(&str, &str)] = &[
    ("vp-linear", "uniform-lambda, start = 1.0, end = 1e-3"),
    ("vp-cosine", "quadratic-t, start = 0.99, end = 1e-3"),
    ("edm", "karras, sigma_max = 80.0, sigma_min = 0.002"),
    ("ve", "uniform-t, start = 1.0, end = 0.0"),
    ("sub-vp", "uniform-t, start = 1.0, end = 0.01"),
    ("flow", "uniform-t, start = 0.99, end = 0.01"),
    ("ddpm-discrete", "discrete, spacing = \"trailing\", final = \"sigma_min\""),
    ("edm", "karras, sigma_max = 80.0, sigma_min = 0.002, final = \"zero\""),
    ("flow", "uniform-t, start = 0.9, end = 0.0"),
    ("flow", "uniform-t, start = 1.0, end = 0.0"),
];

/// All the solvers give the law of the first, on the settings for which `on` holds.
fn same_on(on: impl Fn(&str, &str) -> bool, steps: &[usize], solvers: &[&str]) {
    let (data, mut settings) = (modes(), 0);
    for (name, rule) in SETTINGS.iter().filter(|(name, rule)| on(name, rule)) {
        let schedule = schedule(name);
        for &steps in steps {
            let grid = levels(&schedule, rule, steps);
            let law = |solver: &str| law_of(solver, &data, &schedule, &grid).moments;
            let (first, unit) = (law(solvers[0]), data.marginal(&grid[steps]));
            for solver in &solvers[1..] {
                let off = distance(&law(solver), &first, &unit);
                assert!(
                    off <= ROUND_OFF,
                    "{solver} is not {} on {name}, {rule}, {steps} steps: off by {off:e}",
                    solvers[0]
                );
            }
        }
        settings += 1;
    }
    assert!(settings > 0);
}

fn same(solvers: &[&str]) {
    same_on(|_, _| true, &[1, 2, 3, 5, 17, 100], solvers);
}

/// Where there is signal at the start: eps and `x/alpha` are defined.
fn with_signal(name: &str, rule: &str) -> bool {
    !(name == "flow" && rule.contains("start = 1.0"))
}

fn same_with_signal(solvers: &[&str]) {
    same_on(with_signal, &[1, 2, 5, 17, 100], solvers);
}

/// As the former, and where noise is left at the end.
fn same_inside(solvers: &[&str]) {
    let inside =
        |name: &str, rule: &str| !(rule.contains("zero") || name == "flow" && rule.contains("end = 0.0"));
    same_on(inside, &[1, 2, 5, 17, 100], solvers);
}

#[test]
fn euler_ancestral_is_ddim_with_the_same_eta() {
    same(&["ddim", "euler-ancestral, eta = 0.0", "euler-ancestral, eta = 0.0, s_noise = 3.0"]);
    same(&["ddim, eta = 0.5", "euler-ancestral, eta = 0.5"]);
    same(&["ddim, eta = 1.0", "euler-ancestral", "ddpm"]);
}

#[test]
fn one_d_held_constant_is_one_method_under_seven_names() {
    same(&[
        "ddim, eta = 1.0",
        "sa-solver, predictor_order = 1, corrector_order = 0",
        "er-sde, order = 1, scale = \"sde\"",
        "gddim, lambda = 1.0",
        "seeds-1, form = \"d\"",
        "exponential-integrator, frozen = \"d\", lambda = 1.0",
    ]);
    same(&[
        "exponential-integrator, frozen = \"d\", lambda = 0.25",
        "sa-solver, predictor_order = 1, corrector_order = 0, tau = 0.5",
        "gddim, lambda = 0.5",
        "seeds-1, form = \"d\", lambda = 0.25",
    ]);
    same(&[
        "ddim",
        "sa-solver, predictor_order = 1, corrector_order = 0, tau = 0.0",
        "er-sde, order = 1, scale = \"ode\"",
        "gddim",
        "seeds-1, form = \"d\", lambda = 0.0",
    ]);
    same(&["exponential-integrator, frozen = \"d\", lambda = 0.5", "er-sde, order = 1, scale = \"sde-2\""]);
    same(&["exponential-integrator, frozen = \"d\", lambda = 1.5", "er-sde, order = 1, scale = \"sde-3\""]);
}

#[test]
fn sde_dpm_solver_1_and_seeds_1_hold_eps_constant() {
    same_with_signal(&["exponential-integrator, frozen = \"eps\"", "sde-dpm-solver-1", "seeds-1"]);
    same_with_signal(&["exponential-integrator, frozen = \"eps\", lambda = 0.5", "seeds-1, lambda = 0.5"]);
    let multistep = ["sde-dpm-solver-1", "sde-dpm-solver-2", "sde-dpm-solver-2, solver_type = \"heun\""];
    same_on(with_signal, &[1], &multistep);
}

#[test]
fn without_noise_two_stages_are_dpm_solver_pp_2s_under_three_names() {
    same(&[
        "dpmpp-2s-ancestral, eta = 0.0",
        "dpmpp-sde, eta = 0.0",
        "dpmpp-sde, eta = 0.0, noise = \"independent\"",
        "dpmpp-sde, eta = 0.0, noise = \"brownian-in-kappa\", s_noise = 2.0",
    ]);
    same_inside(&["dpmpp-2s-ancestral, eta = 0.0", "seeds-2, form = \"d\", lambda = 0.0"]);
    same_inside(&["dpmpp-sde, eta = 0.0, r = 0.25", "seeds-2, form = \"d\", lambda = 0.0, r = 0.25"]);
    // Not in one huge step, over which x/alpha cancels to a ten-thousandth of itself.
    same_on(with_signal, &[5, 17, 100], &["dpm2-ancestral, eta = 0.0", "seeds-2, lambda = 0.0"]);
}

#[test]
fn two_values_of_d_are_one_method_under_three_names() {
    for last in ["false", "true"] {
        let [ode, multistep] =
            ["dpmpp-2m", "dpmpp-2m-sde, eta = 0.0"].map(|s| format!("{s}, lower_order_final = {last}"));
        same(&[&ode, &multistep]);
    }
    for (tau, eta) in [(1.0, 1.0), (0.5, 0.25), (0.0, 0.0)] {
        for (weights, solver_type) in [("paper", "heun"), ("diffusers", "midpoint")] {
            let sa = format!(
                "sa-solver, predictor_order = 2, corrector_order = 0, tau = {tau:?}, weights = \"{weights}\""
            );
            let multistep = format!("dpmpp-2m-sde, solver_type = \"{solver_type}\", eta = {eta:?}");
            if weights == "paper" {
                same(&[&sa, &multistep]);
            } else {
                // H/2 for half of 1 - e^{-H}: the same only to second order.
                assert_eq!(solver(&sa).claim(), solver(&multistep).claim());
            }
        }
    }
}

#[test]
fn three_values_of_d_are_the_stochastic_adams_predictor() {
    for (tau, eta) in [(1.0, 1.0), (0.5, 0.25), (0.0, 0.0)] {
        let sa = format!("sa-solver, predictor_order = 3, corrector_order = 0, tau = {tau:?}");
        same(&[&sa, &format!("dpmpp-3m-sde, eta = {eta:?}")]);
    }
    same_on(
        |_, _| true,
        &[1, 2],
        &["dpmpp-3m-sde", "dpmpp-3m-sde, phi3 = \"k-diffusion\"", "dpmpp-3m-sde, phi3 = \"shipped\""],
    );
    same_on(|_, _| true, &[1, 2], &["dpmpp-2m-sde", "dpmpp-3m-sde, phi3 = \"diffusers\""]);
    // Of three steps, the last of order 1 and the one before of order 2.
    same_on(
        |_, _| true,
        &[3],
        &[
            "dpmpp-2m-sde, lower_order_final = true",
            "dpmpp-3m-sde, lower_order_final = true, phi3 = \"diffusers\"",
        ],
    );
}

#[test]
fn restart_that_does_not_is_heun_in_kappa() {
    let heun = "heun, clock = \"edm\"";
    same_with_signal(&[heun, "restart, n_restarts = 0", "restart, t_min = 1e4, t_max = 1e5"]);
    same_inside(&[heun, "restart, t_min = 1e-9, t_max = 1.0"]);
}

#[test]
fn a_restart_is_a_run_from_the_raised_level() {
    // Raised by fresh noise, the marginal is the higher one's: what was before is forgotten but for its error.
    let (data, edm) = (modes(), schedule("edm"));
    let grid = common::grid("explicit, sigma = [2.0, 1.0, 0.5]").levels(&edm, None).unwrap();
    let restart = solver("restart, t_min = 0.9, t_max = 1.5, n_restarts = 1, n_steps = 1");
    let law = common::try_law(&restart, &data, &edm, &grid).unwrap();
    assert_eq!((law.nfe, law.draws, restart.claim()), (2 * 3, 1, Claim::Floor));
    let heun = |levels: &[f64]| {
        let grid: Vec<Level> = levels.iter().map(|k| edm.at(*k)).collect();
        let law = law_of("heun, clock = \"edm\"", &data, &edm, &grid);
        (law.moments, law.gain)
    };
    // By hand: down to 1, up to 1.5, down to 1 and 0.5.
    let (first, _) = heun(&[2.0, 1.0]);
    let (second, gain) = heun(&[1.5, 1.0, 0.5]);
    let high = data.marginal(&edm.at(1.5));
    for (k, gain) in gain.iter().enumerate() {
        let raised = first.std[k].hypot((1.5f64.powi(2) - 1.0).sqrt());
        let mean = second.mean[k] + gain * (first.mean[k] - high.mean[k]);
        assert!((law.moments.std[k] - gain * raised).abs() < ROUND_OFF, "mode {k}");
        assert!((law.moments.mean[k] - mean).abs() < ROUND_OFF, "mode {k}");
    }
}

#[test]
fn single_step_over_pairs_is_dpmpp_sde_where_the_middle_levels_are_in_the_middle() {
    let (data, vp) = (modes(), schedule("vp-linear"));
    let rule = "uniform-lambda, start = 1.0, end = 1e-3";
    for noise in ["brownian", "brownian-in-kappa", "independent"] {
        for steps in [1, 4, 30] {
            let (coarse, fine) = (levels(&vp, rule, steps), levels(&vp, rule, 2 * steps));
            let two = law_of(&format!("dpmpp-sde, noise = \"{noise}\""), &data, &vp, &coarse);
            let pairs = law_of(&format!("dpmpp-2s-sde, noise = \"{noise}\""), &data, &vp, &fine);
            let off = distance(&two.moments, &pairs.moments, &data.marginal(&vp.at(1e-3)));
            assert!(off < 1e-11, "{noise}, {steps} steps: {off:e}");
        }
    }
}

#[test]
fn methods_that_hold_d_constant_are_exact_on_a_point_mass() {
    let points = Gaussian::new(vec![0.0, 1.0, -0.5], vec![0.0; 3]).unwrap();
    for (name, rule) in SETTINGS {
        let schedule = schedule(name);
        let grid = levels(&schedule, rule, 40);
        let (exact, start) = (points.marginal(&grid[40]), points.marginal(&grid[0]));
        let unit = if grid[40].sigma == 0.0 { &start } else { &exact };
        for text in [
            "euler-ancestral, eta = 0.7",
            "dpmpp-2s-ancestral",
            "dpmpp-sde",
            "dpmpp-sde, noise = \"brownian-in-kappa\", eta = 0.5, r = 0.3",
            "dpmpp-2s-sde",
            "dpmpp-2m-sde, eta = 0.6",
            "dpmpp-2m-sde, warm_up = \"one-step\"",
            "dpmpp-3m-sde, phi3 = \"diffusers\"",
            "sa-solver, tau = 0.8, predictor_order = 3, corrector_order = 4",
            "er-sde",
            "er-sde, scale = \"sde-1\", derivative = \"corrected\"",
            "seeds-2, form = \"d\", lambda = 0.4",
            "seeds-3, form = \"d\"",
        ] {
            let off = distance(&law_of(text, &points, &schedule, &grid).moments, &exact, unit);
            assert!(off <= ROUND_OFF, "{text} on {name}, {rule}: {off:e}");
        }
    }
}

/// Slopes of `log2 error` between numbers of steps that double, on `vp-linear`.
fn slopes(text: &str, steps: &[usize], grid: impl Fn(usize) -> Vec<Level>) -> Vec<f64> {
    let (data, vp) = (modes(), schedule("vp-linear"));
    let error = |n: &usize| {
        let grid = grid(*n);
        w2(&law_of(text, &data, &vp, &grid).moments, &data.marginal(&grid[grid.len() - 1]))
    };
    let errors: Vec<f64> = steps.iter().map(error).collect();
    errors.windows(2).map(|e| (e[0] / e[1]).log2()).collect()
}

/// Every slope is within 0.06 of `order`.
fn has_order(text: &str, order: f64, steps: &[usize], grid: impl Fn(usize) -> Vec<Level>) {
    let got = slopes(text, steps, grid);
    assert!(got.iter().all(|slope| (slope - order).abs() < 0.06), "{text}: {got:?} for {order}");
}

/// A grid that starts where the data already shows: what the start leaves is not forgotten, nor small.
fn late(n: usize) -> Vec<Level> {
    levels(&schedule("vp-linear"), "uniform-lambda, start = 0.3, end = 0.02", n)
}

/// Steps that alternate by a factor 2 in lambda.
fn uneven(n: usize) -> Vec<Level> {
    let vp = schedule("vp-linear");
    let (a, b) = (vp.at(0.3).lambda(), vp.at(0.02).lambda());
    let unit = (b - a) / (1.5 * n as f64);
    let lambda = (0..=n).map(|i| a + unit * (1.5 * i as f64 - if i % 2 == 1 { 0.5 } else { 0.0 })).collect();
    Grid::Explicit { t: None, lambda: Some(lambda), sigma: None }.levels(&vp, None).unwrap()
}

#[test]
fn orders_where_the_start_matters_are_those_claimed() {
    const FEW: &[usize] = &[256, 512, 1024];
    const MORE: &[usize] = &[1024, 2048, 4096];
    for (text, order, steps) in [
        ("sa-solver", 2.0, MORE),
        ("sa-solver, tau = 0.5", 2.0, FEW),
        ("sa-solver, tau_min = 0.3, tau_max = 0.6", 2.0, MORE),
        ("sa-solver, tau = 0.0, predictor_order = 3, corrector_order = 4", 3.0, FEW),
        ("sa-solver, tau = 0.0, predictor_order = 3, corrector_order = 0", 2.0, FEW),
        ("dpmpp-3m-sde, eta = 0.0", 2.0, FEW),
        ("dpmpp-3m-sde, eta = 0.0, warm_up = \"exact\"", 3.0, FEW),
        ("gddim, order = 3", 2.0, FEW),
        ("gddim, order = 3, warm_up = \"exact\"", 3.0, FEW),
        ("gddim, order = 4, warm_up = \"exact\"", 4.0, &[128, 256]),
        ("er-sde, scale = \"ode\", derivative = \"corrected\"", 2.0, FEW),
        ("er-sde, scale = \"ode\", derivative = \"corrected\", warm_up = \"exact\"", 3.0, FEW),
        ("er-sde, scale = \"ode\", derivative = \"published\", warm_up = \"exact\"", 2.0, FEW),
        ("sa-solver, tau = 0.0, predictor_order = 3, corrector_order = 0, warm_up = \"exact\"", 3.0, FEW),
        ("seeds-1", 1.0, FEW),
        ("seeds-1, lambda = 0.5", 1.0, FEW),
        ("seeds-2", 2.0, FEW),
        ("seeds-2, lambda = 0.5", 2.0, FEW),
        ("sde-dpm-solver-1", 1.0, FEW),
        ("dpmpp-2s-sde, lower_order_final = true", 2.0, MORE),
    ] {
        assert_eq!(solver(text).claim(), Claim::Order(order), "{text}");
        has_order(text, order, steps, late);
    }
}

#[test]
fn variable_steps_cost_no_order() {
    for (text, order) in [
        ("dpmpp-2m-sde", 2.0),
        ("dpmpp-2m-sde, solver_type = \"heun\"", 2.0),
        ("dpmpp-3m-sde", 2.0),
        ("dpmpp-3m-sde, eta = 0.0, warm_up = \"exact\"", 3.0),
        ("sde-dpm-solver-2", 2.0),
        ("er-sde, scale = \"sde\"", 2.0),
        ("er-sde, scale = \"ode\", derivative = \"corrected\", warm_up = \"exact\"", 3.0),
        ("dpmpp-2s-sde", 2.0),
        ("dpmpp-sde", 3.0),
        ("gddim, order = 3, warm_up = \"exact\"", 3.0),
    ] {
        assert!(matches!(solver(text).on_uneven_steps(), Claim::Order(p) if p == order), "{text}");
        has_order(text, order, &[1024, 2048, 4096], uneven);
    }
}

#[test]
fn diffusers_third_order_sde_step_is_not_stable_on_uneven_steps() {
    let text = "dpmpp-3m-sde, phi3 = \"diffusers\"";
    for slope in slopes(text, &[256, 512, 1024], uneven) {
        assert!(slope < 0.2, "{slope}");
    }
    assert_eq!(solver(text).on_uneven_steps(), Claim::Floor);
    let off = |text: &str| {
        let (data, vp) = (modes(), schedule("vp-linear"));
        let grid = late(100);
        w2(&law_of(text, &data, &vp, &grid).moments, &data.marginal(&grid[100]))
    };
    assert!(off(text) > 10.0 * off("dpmpp-2m-sde"));
}

#[test]
fn independent_stage_noise_costs_an_order_and_a_tree_in_kappa_the_third() {
    has_order("dpmpp-sde, noise = \"independent\"", 1.0, &[256, 512, 1024], late);
    has_order("dpmpp-sde, noise = \"brownian-in-kappa\"", 2.0, &[256, 512, 1024], late);
    has_order("dpmpp-sde", 3.0, &[256, 512, 1024], late);
    has_order("dpmpp-sde, eta = 0.9", 2.0, &[1024, 2048, 4096], late);
}

#[test]
fn the_sum_of_100_points_is_of_first_order_in_the_end() {
    // A hundredth of the second-order term is left: it shows where steps are small.
    let riemann =
        |n| slopes("er-sde, order = 2, scale = \"sde\", integral = \"riemann\"", &[n, 2 * n], late)[0];
    assert!(riemann(64) > 1.5 && riemann(4096) < 1.2, "{} to {}", riemann(64), riemann(4096));
    has_order("er-sde, order = 2, scale = \"sde\"", 2.0, &[256, 512, 1024], late);
}

#[test]
fn a_fixed_number_of_steps_in_a_restart_leaves_a_floor() {
    let text = "restart, n_steps = 2";
    assert_eq!(solver(text).claim(), Claim::Floor);
    let rule = |n| levels(&schedule("vp-linear"), "uniform-lambda, start = 1.0, end = 1e-3", n);
    for slope in slopes(text, &[128, 256, 512], rule) {
        assert!(slope.abs() < 0.2, "{slope}");
    }
}

#[test]
fn strong_orders_are_those_claimed() {
    let (data, vp) = (modes(), schedule("vp-linear"));
    let error = |text: &str, n: usize| {
        let s = solver(text);
        let grid = levels(&vp, "uniform-lambda, start = 1.0, end = 1e-3", n);
        law_on_path(&s, &data, &vp, &grid, Init::Marginal, s.equation()).unwrap().strong_error.unwrap()
    };
    for text in [
        "euler-ancestral",
        "dpm2-ancestral",
        "dpmpp-2s-ancestral, eta = 0.5",
        "dpmpp-sde",
        "dpmpp-sde, eta = 0.5",
        "dpmpp-sde, noise = \"brownian-in-kappa\"",
        "dpmpp-sde, noise = \"independent\"",
        "dpmpp-2s-sde",
        "dpmpp-2m-sde",
        "dpmpp-2m-sde, warm_up = \"one-step\"",
        "dpmpp-3m-sde, eta = 0.5",
        "sde-dpm-solver-1",
        "sde-dpm-solver-2",
        "sa-solver",
        "sa-solver, tau = 0.5",
        "er-sde, scale = \"sde\"",
        "er-sde, scale = \"sde-3\"",
        "gddim, lambda = 1.0",
        "seeds-2",
        "seeds-3",
        "seeds-3, form = \"d\"",
    ] {
        let slope = (error(text, 512) / error(text, 1024)).log2();
        let claimed = solver(text).strong().expect(text);
        assert!((slope - claimed).abs() < 0.06, "{text}: {slope} for {claimed}");
    }
    for text in ["dpmpp-2m-sde, eta = 0.0", "dpmpp-sde, s_noise = 1.1", "er-sde", "restart", "gddim"] {
        assert_eq!(solver(text).strong(), None, "{text}");
    }
}

#[test]
fn noise_of_a_falsified_size_leaves_a_floor() {
    let rule = |n| levels(&schedule("vp-linear"), "uniform-lambda, start = 1.0, end = 1e-3", n);
    for name in
        ["euler-ancestral", "dpmpp-sde", "dpmpp-2m-sde", "dpmpp-3m-sde", "seeds-2", "dpmpp-2s-ancestral"]
    {
        let text = format!("{name}, s_noise = 1.1");
        assert_eq!((solver(&text).claim(), solver(&text).equation()), (Claim::Floor, None), "{text}");
        for slope in slopes(&text, &[1024, 2048], rule) {
            assert!(slope.abs() < 0.1, "{text}: {slope}");
        }
    }
}

#[test]
fn parameters_without_a_meaning_are_refused_by_name() {
    for (name, rest, key) in [
        ("euler-ancestral", "eta = -1.0", "eta"),
        ("dpm2-ancestral", "s_noise = inf", "s_noise"),
        ("dpmpp-sde", "r = 0.0", "r"),
        ("dpmpp-sde", "r = 1.5", "r"),
        ("dpmpp-2m-sde", "warm_up = \"exact\"", "warm_up"),
        ("dpmpp-3m-sde", "warm_up = \"one-step\"", "warm_up"),
        ("sa-solver", "predictor_order = 0", "predictor_order"),
        ("sa-solver", "corrector_order = 9", "corrector_order"),
        ("sa-solver", "tau = -0.5", "tau"),
        ("sa-solver", "tau_min = 2.0, tau_max = 1.0", "tau_min"),
        ("sa-solver", "warm_up = \"exact\"", "warm_up"),
        ("er-sde", "order = 4", "order"),
        ("er-sde", "warm_up = \"exact\"", "warm_up"),
        ("gddim", "order = 2, lambda = 1.0", "order"),
        ("gddim", "order = 0", "order"),
        ("restart", "t_min = 1.0, t_max = 0.5", "t_min"),
        ("restart", "t_max = inf", "t_max"),
        ("restart", "s_noise = -1.0", "s_noise"),
        ("seeds-2", "r = 0.0", "r"),
        ("seeds-3", "r_1 = 0.7", "r_2"),
        ("seeds-1", "lambda = -1.0", "lambda"),
    ] {
        let refused = registry::solver(common::table(&format!("name = \"{name}\", {rest}"))).expect_err(rest);
        assert_eq!(refused.key(), key, "{name}, {rest}: {refused}");
    }
}

#[test]
fn a_noise_scale_that_no_noise_fits_is_refused_in_words() {
    let (data, edm) = (modes(), schedule("edm"));
    let run = |from: f64| {
        common::try_law(
            &solver("er-sde, scale = \"sde-4\""),
            &data,
            &edm,
            &[edm.at(from), edm.at(0.8 * from)],
        )
    };
    assert!(run(100.0).is_ok());
    let refusal = run(1e5).expect_err("sde-4 grows slower than kappa there").to_string();
    assert!(refusal.contains("no noise fits") && refusal.ends_with("start the grid lower"), "{refusal}");
}
