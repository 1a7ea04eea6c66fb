//! Different names for one method: the whole law of both agrees, mode by mode, to 1e-12 of the marginal's spread.

mod common;

use common::{distance, law_of, levels, modes, schedule};
use nalgebra::{DMatrix, DVector};
use scorebench::data::{Gaussian, Moments};
use scorebench::schedule::{Level, Schedule};

const ROUND_OFF: f64 = 1e-12;

/// Schedules with a grid each; the numbers of steps below are tried on all.
const SETTINGS: &[(&str, &str)] = &[
    ("vp-linear", "uniform-lambda, start = 1.0, end = 1e-3"),
    ("vp-cosine", "quadratic-t, start = 0.99, end = 1e-3"),
    ("edm", "karras, sigma_max = 80.0, sigma_min = 0.002"),
    ("ve", "uniform-t, start = 1.0, end = 0.0"),
    ("sub-vp", "uniform-t, start = 1.0, end = 0.01"),
    ("flow", "uniform-t, start = 0.99, end = 0.01"),
    ("ddpm-discrete", "discrete, spacing = \"trailing\", final = \"sigma_min\""),
    // The same, down to clean data.
    ("ddpm-discrete", "discrete, spacing = \"leading\""),
];

/// All the solvers give the law of the first, on the settings for which `on` holds.
fn same_on(on: impl Fn(&str) -> bool, steps: &[usize], solvers: &[&str]) {
    let data = modes();
    let mut settings = 0;
    for (name, rule) in SETTINGS.iter().filter(|(name, _)| on(name)) {
        let schedule = schedule(name);
        for &steps in steps {
            let grid = levels(&schedule, rule, steps);
            let law = |solver: &str| law_of(solver, &data, &schedule, &grid).moments;
            let (first, unit) = (law(solvers[0]), data.marginal(&grid[steps]));
            for solver in &solvers[1..] {
                let off = distance(&law(solver), &first, &unit);
                assert!(
                    off <= ROUND_OFF,
                    "{solver} is not {} on {name}, {steps} steps: off by {off:e}",
                    solvers[0]
                );
            }
        }
        settings += 1;
    }
    assert!(settings > 0);
}

fn same(solvers: &[&str]) {
    same_on(|_| true, &[1, 2, 5, 17, 100], solvers);
}

#[test]
fn ddim_is_euler_in_kappa_and_two_exponential_integrators() {
    same(&[
        "ddim",
        "euler, clock = \"edm\"",
        "exponential-integrator, lambda = 0.0, frozen = \"eps\"",
        "exponential-integrator, lambda = 0.0, frozen = \"d\"",
    ]);
}

#[test]
fn ddim_with_eta_1_is_ddpm_fixed_small_and_the_d_frozen_sde_integrator() {
    same(&[
        "ddim, eta = 1.0",
        "ddpm, variance = \"fixed-small\"",
        "exponential-integrator, lambda = 1.0, frozen = \"d\"",
    ]);
}

#[test]
fn one_step_of_dpmpp_2m_is_ddim() {
    same_on(|_| true, &[1], &["ddim", "dpmpp-2m"]);
}

#[test]
fn dpmpp_2m_that_ends_in_first_order_is_ddim_for_one_step_and_two() {
    // The first step has no history, and the last does without.
    same_on(|_| true, &[1, 2], &["ddim", "dpmpp-2m, lower_order_final = true"]);
}

#[test]
fn euler_maruyama_without_noise_is_euler() {
    same(&["euler", "euler-maruyama, lambda = 0.0"]);
}

#[test]
fn stochastic_heun_without_noise_is_heun_in_t() {
    same(&["heun", "stochastic-heun, lambda = 0.0"]);
}

#[test]
fn heun_that_does_not_churn_is_heun() {
    let heun = "heun, clock = \"edm\"";
    same(&[
        heun,
        &format!("{heun}, s_churn = 0.0, s_noise = 1.5"),
        &format!("{heun}, s_churn = 30.0, s_min = 1e9"),
        &format!("{heun}, s_churn = 30.0, s_max = 0.0"),
    ]);
}

#[test]
fn a_churned_step_is_a_step_from_the_raised_level() {
    // Raising the noise by fresh noise keeps the marginal, so the run is one that starts higher.
    let data = modes();
    for (name, start, end) in [("vp-linear", 0.5, 0.4), ("edm", 2.0, 1.0), ("flow", 0.5, 0.3)] {
        let schedule = schedule(name);
        for (churn, gamma) in [(0.2, 0.2), (9.0, 2f64.sqrt() - 1.0)] {
            let (t, s) = (schedule.at(start), schedule.at(end));
            let up = schedule.at_kappa(t.kappa() * (1.0 + gamma));
            let churned =
                law_of(&format!("heun, clock = \"edm\", s_churn = {churn}"), &data, &schedule, &[t, s]);
            let raised = law_of("heun, clock = \"edm\"", &data, &schedule, &[up, s]);
            let off = distance(&churned.moments, &raised.moments, &data.marginal(&s));
            assert!(off <= ROUND_OFF, "{name} {churn}: {off:e}");
        }
    }
}

#[test]
fn a_predictor_that_is_never_corrected_is_itself() {
    for predictor in ["ddpm", "euler-maruyama", "rk4", "ddim"] {
        let corrected =
            format!("predictor-corrector, corrections = 0, predictor = {{ name = \"{predictor}\" }}");
        same(&[predictor, &corrected]);
    }
    let (reverse, ancestral) =
        ("reverse-diffusion", "predictor-corrector, corrections = 0, predictor = \"ancestral\"");
    same_on(|name| name == "vp-linear", &[100], &[reverse, "predictor-corrector, corrections = 0"]);
    same_on(|name| name == "vp-linear", &[100], &["ancestral", ancestral]);
}

#[test]
fn reverse_diffusion_is_euler_maruyama_where_it_has_no_form_of_its_own() {
    same_on(
        |name| ["flow", "sub-vp"].contains(&name),
        &[1, 2, 5, 17, 100],
        &["euler-maruyama", "reverse-diffusion"],
    );
}

#[test]
fn score_sde_samplers_on_ve_are_ddpm() {
    let ve = |name: &str| ["ve", "edm"].contains(&name);
    same_on(ve, &[1, 2, 5, 17, 100], &["ddpm, variance = \"fixed-small\"", "ancestral"]);
    same_on(ve, &[1, 2, 5, 17, 100], &["ddpm, variance = \"fixed-large\"", "reverse-diffusion"]);
}

#[test]
fn score_sde_steps_on_vp_are_the_formulas_of_the_paper() {
    // A step x' = keep x + push score + sqrt(b) z, on the marginal N(alpha mu, v), mode by mode.
    let (data, vp) = (modes(), schedule("vp-linear"));
    let (t, s) = (vp.at(0.6), vp.at(0.57));
    let b = (0.1 + 0.6 * 19.9) * (0.6 - 0.57f64);
    for (solver, keep, push) in [
        ("reverse-diffusion", 2.0 - (1.0 - b).sqrt(), b),
        ("ancestral", 1.0 / (1.0 - b).sqrt(), b / (1.0 - b).sqrt()),
        ("euler-maruyama", 1.0 + 0.5 * b, b),
    ] {
        let v = |k: usize| t.alpha.powi(2) * data.variance()[k] + t.sigma.powi(2);
        let by_hand = Moments {
            mean: data.mean().iter().map(|mu| keep * t.alpha * mu).collect(),
            std: (0..5).map(|k| ((keep - push / v(k)).powi(2) * v(k) + b).sqrt()).collect(),
        };
        let law = law_of(solver, &data, &vp, &[t, s]).moments;
        assert!(distance(&law, &by_hand, &data.marginal(&s)) < ROUND_OFF, "{solver}");
    }
}

/// Slopes of `log2 error` when `refine` is doubled.
fn slopes(errors: &[f64]) -> Vec<f64> {
    errors.windows(2).map(|e| (e[0] / e[1]).log2()).collect()
}

#[test]
fn ancestral_on_vp_is_ddpm_fixed_large_up_to_second_order_in_the_step() {
    let (data, vp) = (modes(), schedule("vp-linear"));
    let difference = |grid: &[Level]| {
        let [ancestral, ddpm] = ["ancestral", "ddpm, variance = \"fixed-large\""]
            .map(|solver| law_of(solver, &data, &vp, grid).moments);
        distance(&ancestral, &ddpm, &data.marginal(&grid[grid.len() - 1]))
    };
    let step = |h: f64| difference(&[vp.at(0.5), vp.at(0.5 - h)]);
    let run = |n| difference(&levels(&vp, "uniform-t, start = 1.0, end = 1e-3", n));
    for slope in slopes(&[4e-3, 2e-3, 1e-3, 5e-4].map(step)) {
        assert!((slope - 2.0).abs() < 0.05, "one step: {slope}");
    }
    for slope in slopes(&[256, 512, 1024].map(run)) {
        assert!((slope - 1.0).abs() < 0.05, "a whole run: {slope}");
    }
}

#[test]
fn ddpm_with_the_exact_variance_is_exact_on_any_gaussian_at_any_number_of_steps() {
    let isotropic = Gaussian::new(vec![2.0, -1.0, 0.0], vec![0.7; 3]).unwrap();
    for data in [modes(), isotropic] {
        for (name, rule) in SETTINGS {
            let schedule = schedule(name);
            for steps in [1, 2, 10, 1000] {
                let grid =
                    levels(&schedule, rule, if name.starts_with("ddpm") { steps.min(400) } else { steps });
                let law = law_of("ddpm, variance = \"exact\"", &data, &schedule, &grid);
                let exact = data.marginal(&grid[grid.len() - 1]);
                let off = distance(&law.moments, &exact, &exact);
                assert!(off <= ROUND_OFF, "{name} {steps}: {off:e}");
            }
        }
    }
}

/// Every solver reproduces the marginal of `data`.
fn exact_on(data: &Gaussian, on: impl Fn(&str) -> bool, steps: &[usize], solvers: &[&str]) {
    for (name, rule) in SETTINGS.iter().filter(|(name, _)| on(name)) {
        let schedule = schedule(name);
        for &steps in steps {
            let grid = levels(&schedule, rule, steps);
            let (exact, unit) = (data.marginal(&grid[steps]), data.marginal(&grid[0]));
            // A point mass ends as a point: then the spread at the start is the only scale.
            let unit = if grid[steps].sigma == 0.0 { &unit } else { &exact };
            for solver in solvers {
                let off = distance(&law_of(solver, data, &schedule, &grid).moments, &exact, unit);
                assert!(off <= ROUND_OFF, "{solver} on {name}, {steps} steps: {off:e}");
            }
        }
    }
}

#[test]
fn methods_that_hold_d_or_eps_constant_are_exact_on_a_point_mass() {
    // d is the point, and the flow is a straight line in x/alpha over kappa.
    let points = Gaussian::new(vec![0.0, 1.0, -0.5], vec![0.0; 3]).unwrap();
    // Not a few huge steps: x - kappa_t eps cancels to kappa_s/kappa_t of itself, once more in every stage.
    exact_on(
        &points,
        |_| true,
        &[17, 100],
        &[
            "heun, clock = \"edm\"",
            "euler, clock = \"edm\"",
            "midpoint, clock = \"edm\"",
            "rk4, clock = \"edm\"",
            "ddim",
            "ddim, eta = 0.5",
            "ddpm",
            "dpmpp-2m",
            "exponential-integrator, frozen = \"d\", lambda = 0.7",
        ],
    );
}

#[test]
fn ddpm_fixed_large_is_exact_on_unit_variance_where_variance_is_preserved() {
    let unit = Gaussian::new(vec![0.0, 1.0, -0.5], vec![1.0; 3]).unwrap();
    let preserved = |name: &str| name.contains("vp-") && name != "sub-vp" || name.contains("ddpm");
    exact_on(&unit, preserved, &[1, 2, 17], &["ddpm, variance = \"fixed-large\""]);
}

#[test]
fn a_langevin_correction_is_the_recurrence_written_out() {
    let (data, vp) = (modes(), schedule("vp-linear"));
    let (t, s) = (vp.at(0.5), vp.at(0.45));
    let unit = data.marginal(&s);
    // x + e score + sqrt(2e) z on a marginal of variance v: mean and spread by hand, k times.
    let langevin = |mut law: Moments, at: &Level, e: f64, times: usize| {
        for _ in 0..times {
            for k in 0..data.modes() {
                let (v, centre) = (at.marginal_variance(data.variance()[k]), at.alpha * data.mean()[k]);
                law.mean[k] = centre + (1.0 - e / v) * (law.mean[k] - centre);
                law.std[k] = ((1.0 - e / v).powi(2) * law.std[k].powi(2) + 2.0 * e).sqrt();
            }
        }
        law
    };
    let predictor = |grid: &[Level]| law_of("ddim", &data, &vp, grid).moments;
    let corrector = |rest: &str| format!("predictor-corrector, predictor = {{ name = \"ddim\" }}, {rest}");
    let after = law_of(&corrector("corrections = 3, step = 0.1"), &data, &vp, &[t, s]).moments;
    let by_hand = langevin(predictor(&[t, s]), &s, 0.1 * s.sigma.powi(2), 3);
    assert!(distance(&after, &by_hand, &unit) < ROUND_OFF, "{after:?} {by_hand:?}");
    // The snr rule: e = 2 A (snr |z|/|score|)^2 with E|score|^2 of the law at hand, and A = alpha^2, or 1 - beta h.
    for (scale, a) in [("paper", s.alpha.powi(2)), ("code", 1.0 - (t.t - s.t) * s.g2)] {
        let rest = format!("snr = 0.2, scale = \"{scale}\"");
        let snr = law_of(&corrector(&rest), &data, &vp, &[t, s]).moments;
        let predicted = predictor(&[t, s]);
        let score2 = |k: usize| {
            let (v, centre) = (s.marginal_variance(data.variance()[k]), s.alpha * data.mean()[k]);
            ((predicted.mean[k] - centre).powi(2) + predicted.std[k].powi(2)) / (v * v)
        };
        let e = 2.0 * a * 0.2f64.powi(2) * data.modes() as f64 / (0..data.modes()).map(score2).sum::<f64>();
        assert!(distance(&snr, &langevin(predicted, &s, e, 1), &unit) < ROUND_OFF, "{scale}");
    }
    // NCSN in x: a rescaling to the level, then steps of alpha^2 a_i/2, a_i = epsilon kappa_i^2/kappa_N^2.
    let annealed =
        law_of("annealed-langevin, epsilon = 1e-3, steps_per_level = 2", &data, &vp, &[t, s]).moments;
    let share = 0.5 * 1e-3 / s.kappa().powi(2);
    let mut law = langevin(data.marginal(&t), &t, share * t.sigma.powi(2), 2);
    for x in law.mean.iter_mut().chain(&mut law.std) {
        *x *= s.alpha / t.alpha;
    }
    let by_hand = langevin(law, &s, share * s.sigma.powi(2), 2);
    assert!(distance(&annealed, &by_hand, &unit) < ROUND_OFF, "{annealed:?} {by_hand:?}");
}

#[test]
fn the_smld_chain_with_sampled_scales_is_the_sde() {
    let (data, ve) = (modes(), schedule("ve"));
    for steps in [1, 3, 50, 500] {
        let grid = levels(&ve, "uniform-t, start = 0.0, end = 1.0", steps);
        let law = law_of("smld-chain, scales = \"sampled\"", &data, &ve, &grid).moments;
        let exact = data.marginal(&grid[steps]);
        assert!(distance(&law, &exact, &exact) <= ROUND_OFF, "{steps}");
        // The published scales end at sigma_max as well.
        let published = law_of("smld-chain", &data, &ve, &grid).moments;
        assert!(steps == 1 || distance(&published, &exact, &exact) <= ROUND_OFF, "published, {steps}");
    }
}

#[test]
fn a_thousand_published_ddpm_steps_are_the_table_of_ho_et_al() {
    let (data, vp) = (modes(), schedule("vp-linear, beta_min = 0.1, beta_max = 20.0"));
    let grid = levels(&vp, "uniform-t, start = 0.0, end = 1.0", 1000);
    let law = law_of("ddpm-chain, table = \"published\"", &data, &vp, &grid).moments;
    let table = schedule("ddpm-discrete, beta_start = 1e-4, beta_end = 0.02");
    let exact = data.marginal(&table.at(999.0));
    assert!(distance(&law, &exact, &exact) <= ROUND_OFF, "{:e}", distance(&law, &exact, &exact));
}

#[test]
fn a_full_covariance_gives_the_rotated_law_of_its_diagonal_twin() {
    // Q reflects along v; the data is N(Q mu, Q diag(c) Q).
    let (mean, variance) = (vec![0.5, -1.0, 2.0, 0.0], vec![1.0, 0.25, 4.0, 0.01]);
    let v = DVector::from_vec(vec![1.0, -2.0, 0.5, 3.0]).normalize();
    let q: DMatrix<f64> = DMatrix::identity(4, 4) - 2.0 * &v * v.transpose();
    let c: DMatrix<f64> = &q * DMatrix::from_diagonal(&DVector::from_vec(variance.clone())) * &q;
    let rows: Vec<Vec<f64>> = c.row_iter().map(|row| row.iter().copied().collect()).collect();
    let rotated_mean: DVector<f64> = &q * DVector::from_vec(mean.clone());
    let full = Gaussian::from_covariance(rotated_mean.data.as_vec().clone(), &rows).unwrap();
    let twin = Gaussian::new(mean, variance).unwrap();
    for (name, rule) in [SETTINGS[0], SETTINGS[2], SETTINGS[5]] {
        let schedule: Schedule = schedule(name);
        let grid = levels(&schedule, rule, 20);
        for solver in ["ddim", "euler-maruyama", "heun", "ddpm, variance = \"exact\"", "dpmpp-2m"] {
            let law = |data: &Gaussian| {
                let law = law_of(solver, data, &schedule, &grid);
                data.in_given_coordinates(&law.moments)
            };
            let ((m, s), (m0, s0)) = (law(&full), law(&twin));
            let (mean_off, spread_off) = ((m - &q * m0).norm(), (s - &q * &s0 * &q).norm());
            assert!(
                mean_off <= 1e-11 && spread_off <= 1e-11 * s0.norm(),
                "{solver}: {mean_off:e} {spread_off:e}"
            );
        }
    }
}
