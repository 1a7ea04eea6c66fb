//! Strong errors: against refined paths, against an independent implementation, against closed forms, and as orders.

mod common;

use common::{law_of, levels, modes, schedule, solver, table, variants};
use proptest::prelude::*;
use scorebench::batch::Batch;
use scorebench::data::Gaussian;
use scorebench::law::{Init, Law, law_on_path};
use scorebench::metric::w2;
use scorebench::run::{Ctx, Noise};
use scorebench::schedule::{Clock, Level, Schedule};
use scorebench::solver::Sample;
use scorebench::solver::registry::{self, Handle};
use scorebench::state::State;

fn on_path(solver: &Handle, data: &Gaussian, schedule: &Schedule, grid: &[Level], l: f64) -> Law {
    law_on_path(solver, data, schedule, grid, Init::Marginal, Some(l))
        .unwrap_or_else(|e| panic!("{solver:?}, {} steps: {e}", grid.len() - 1))
}

/// The strong error, which there must be.
fn strong(text: &str, data: &Gaussian, schedule: &Schedule, grid: &[Level], l: f64) -> f64 {
    on_path(&solver(text), data, schedule, grid, l).strong_error.unwrap_or_else(|| panic!("{text}"))
}

/// `Phi(s, t)` of mode `k`, and the variance of the noise of the exact step.
fn exact_step(data: &Gaussian, k: usize, l: f64, t: &Level, s: &Level) -> (f64, f64) {
    let v = |at: &Level| at.alpha.powi(2) * data.variance()[k] + at.sigma.powi(2);
    let gain = (v(s) / v(t)).powf(0.5 * (1.0 + l)) * (t.alpha / s.alpha).powf(l);
    // The marginal is kept, so noise makes up for what the gain takes.
    (gain, v(s) - gain * gain * v(t))
}

/// Noise from a path whose fine increments are basis vectors: row 0 is no noise, row 1 the start, row `2 + i` the
/// increment over `fine[i] .. fine[i + 1]`. A functional of the path is spread over the increments inside it.
struct Refined {
    fine: Vec<Level>,
    dim: usize,
}

impl Refined {
    /// `sum_i c_i z_i` over the fine increments between two levels, `c` a function of their ends.
    fn spread(&self, from: &Level, to: &Level, c: impl Fn(&Level, &Level) -> f64) -> State<Batch> {
        let mut rows = vec![vec![0.0; self.dim]; self.fine.len() + 1];
        for (i, pair) in self.fine.windows(2).enumerate() {
            let middle = 0.5 * (pair[0].kappa() + pair[1].kappa());
            if to.kappa() < middle && middle < from.kappa() {
                rows[2 + i].fill(c(&pair[0], &pair[1]));
            }
        }
        State(Batch::from_rows(self.dim, rows.concat()))
    }
}

impl Noise<Batch> for Refined {
    fn increment(&mut self, _: &State<Batch>, from: &Level, to: &Level) -> State<Batch> {
        let between = |t: &Level, s: &Level| (t.kappa() - s.kappa()) * (t.kappa() + s.kappa());
        self.spread(from, to, |t, s| (between(t, s) / between(from, to)).sqrt())
    }
    fn fresh(&mut self, _: &State<Batch>) -> State<Batch> {
        unreachable!("fresh noise is of no path")
    }
    fn increment_and_area(
        &mut self,
        _: &State<Batch>,
        from: &Level,
        to: &Level,
        clock: Clock,
    ) -> (State<Batch>, State<Batch>) {
        let h = clock.length(from, to);
        let share = move |t: &Level, s: &Level| (clock.length(t, s) / h).sqrt();
        let middle = |t: &Level, s: &Level| 0.5 * (clock.length(from, t) + clock.length(from, s)) / h;
        (
            self.spread(from, to, share),
            self.spread(from, to, |t, s| 12f64.sqrt() * (0.5 - middle(t, s)) * share(t, s)),
        )
    }
}

/// The strong error on a path of `refine` increments a step, the exact solution being run over every one of them.
fn refined(text: &str, data: &Gaussian, schedule: &Schedule, grid: &[Level], l: f64, refine: usize) -> f64 {
    let mut fine = vec![grid[0]];
    for (t, s) in grid.windows(2).map(|p| (p[0], p[1])) {
        let at = |i| t.lambda() + (s.lambda() - t.lambda()) * i as f64 / refine as f64;
        fine.extend((1..refine).map(|i| schedule.at_lambda(at(i))));
        fine.push(s);
    }
    let (dim, end) = (data.modes(), grid.len() - 1);
    let start = data.marginal(&grid[0]);
    let mut rows = vec![start.mean.clone(); fine.len() + 1];
    for (x, sd) in rows[1].iter_mut().zip(&start.std) {
        *x += sd;
    }
    let mut noise = Refined { fine: fine.clone(), dim };
    let x = State(Batch::from_rows(dim, rows.concat()));
    let out = solver(text).sample(&mut Ctx::new(data, &mut noise, schedule), grid, x).0;
    let rows = out.to_rows();
    let out: Vec<&[f64]> = rows.chunks_exact(dim).collect();
    let mut square = 0.0;
    for (k, (mean, std)) in data.mean().iter().zip(&start.std).enumerate() {
        let exact_mean = grid[end].alpha * mean;
        let mut exact = vec![0.0; fine.len() + 1];
        exact[1] = *std;
        for (i, (t, s)) in fine.windows(2).map(|p| (&p[0], &p[1])).enumerate() {
            let (gain, variance) = exact_step(data, k, l, t, s);
            exact.iter_mut().for_each(|x| *x *= gain);
            exact[2 + i] += variance.max(0.0).sqrt();
        }
        square += (out[0][k] - exact_mean).powi(2);
        square += (1..exact.len()).map(|i| (out[i][k] - out[0][k] - exact[i]).powi(2)).sum::<f64>();
    }
    square.sqrt()
}

#[test]
fn the_closed_form_is_the_limit_of_refined_paths() {
    let data = Gaussian::new(vec![1.0, -0.5, 0.3], vec![0.25, 4.0, 0.01]).unwrap();
    for (name, rule) in [
        ("vp-linear", "uniform-t, start = 1.0, end = 0.01"),
        ("vp-cosine", "uniform-t, start = 0.95, end = 0.05"),
        ("edm", "karras, sigma_max = 20.0, sigma_min = 0.02"),
        ("ve", "uniform-t, start = 1.0, end = 0.2"),
        ("sub-vp", "uniform-t, start = 0.9, end = 0.05"),
        ("flow", "uniform-t, start = 0.95, end = 0.02"),
        ("ddpm-discrete", "discrete, spacing = \"trailing\", final = \"sigma_min\""),
        ("heat", "uniform-t, start = 4.0, end = 0.01"),
    ] {
        let schedule = schedule(name);
        let grid = levels(&schedule, rule, 6);
        for (text, l) in [
            ("euler-maruyama", 1.0),
            ("euler-maruyama, lambda = 0.5", 0.5),
            ("stochastic-heun, lambda = 2.0", 2.0),
            ("ddpm", 1.0),
            ("ddim, eta = 0.6", 0.36),
            ("exponential-integrator, lambda = 0.5", 0.5),
            ("sra1", 1.0),
            ("sra3, lambda = 2.0, clock = \"edm\"", 2.0),
            ("sosra, lambda = 0.5, clock = \"lambda\"", 0.5),
            // No noise at all, measured against an equation with noise.
            ("ddim", 1.0),
        ] {
            let got = strong(text, &data, &schedule, &grid, l);
            let [coarse, fine] = [30, 60].map(|n| refined(text, &data, &schedule, &grid, l, n));
            // Squares converge like refine^-2; a table's own entries are not met by the refinement.
            let limit = ((4.0 * fine * fine - coarse * coarse) / 3.0).sqrt();
            let tolerance = if name == "ddpm-discrete" && text.starts_with("sra1") { 1e-4 } else { 1e-5 };
            let (off, far) = ((limit / got - 1.0).abs(), (coarse / got - 1.0).abs());
            assert!(off < tolerance, "{name} {text}: {got:e} for {limit:e} ({coarse:e}, {fine:e})");
            assert!(far < 1e-2, "{name} {text}: {got:e} for {coarse:e}");
        }
    }
}

#[test]
fn strong_errors_are_those_of_an_independent_implementation() {
    let data = Gaussian::new(vec![1.0, -0.5], vec![0.25, 0.01]).unwrap();
    let (mut rows, mut worst) = (0, 0f64);
    for row in csv::Reader::from_path("tests/golden/strong.csv").unwrap().records() {
        let row = row.unwrap();
        let names: Vec<&str> = Schedule::LIST.iter().map(|(name, _)| *name).collect();
        let schedule: Schedule = scorebench::config::read_named(table(&row[0]), &names).unwrap();
        let rule = format!("uniform-t, start = {}, end = {}", &row[1], &row[2]);
        let grid = levels(&schedule, &rule, row[3].parse().unwrap());
        let solver = registry::solver(table(&row[4])).unwrap();
        let l: f64 = row[5].parse().unwrap();
        assert_eq!(solver.equation(), Some(l));
        let law = on_path(&solver, &data, &schedule, &grid, l);
        let w2 = w2(&law.moments, &data.marginal(&grid[grid.len() - 1]));
        for (got, want) in [(w2, &row[6]), (law.strong_error.unwrap(), &row[7])] {
            let want: f64 = want.parse().unwrap();
            worst = worst.max((got / want - 1.0).abs());
            assert!((got / want - 1.0).abs() < 1e-10, "{row:?}: {got:e} for {want:e}");
        }
        rows += 1;
    }
    assert_eq!(rows, 340);
    println!("worst relative difference {worst:e}");
}

/// Squared distance of a solver's mean and gain from the exact ones, summed over modes.
fn start_part(law: &Law, data: &Gaussian, l: f64, t: &Level, s: &Level) -> f64 {
    let (start, end) = (data.marginal(t), data.marginal(s));
    (0..data.modes())
        .map(|k| {
            let (gain, _) = exact_step(data, k, l, t, s);
            (law.moments.mean[k] - end.mean[k]).powi(2) + ((law.gain[k] - gain) * start.std[k]).powi(2)
        })
        .sum()
}

fn noise_variance(data: &Gaussian, l: f64, t: &Level, s: &Level) -> f64 {
    (0..data.modes()).map(|k| exact_step(data, k, l, t, s).1).sum()
}

#[test]
fn against_the_flow_mean_gain_and_all_noise_count() {
    let data = modes();
    for (name, rule) in [
        ("vp-linear", "quadratic-t, start = 1.0, end = 1e-3"),
        ("edm", "karras, sigma_max = 80.0, sigma_min = 0.002, final = \"zero\""),
        ("flow", "uniform-t, start = 1.0, end = 0.0"), // from infinite noise down to none
    ] {
        let schedule = schedule(name);
        let grid = levels(&schedule, rule, 20);
        for text in ["ddim", "heun, clock = \"t\"", "dpmpp-2m", "ddpm", "ddim, eta = 0.5"] {
            if solver(text).check_grid(&schedule, &grid).is_err() {
                continue;
            }
            let law = on_path(&solver(text), &data, &schedule, &grid, 0.0);
            let noise: f64 = law.noise_std.iter().map(|s| s * s).sum();
            let want = (start_part(&law, &data, 0.0, &grid[0], &grid[20]) + noise).sqrt();
            let got = law.strong_error.unwrap();
            assert!((got - want).abs() < 1e-12 * want, "{name} {text}: {got:e} for {want:e}");
            // Without noise and with a positive gain, the same start is the optimal coupling.
            if noise == 0.0 && law.gain.iter().all(|g| *g > 0.0) {
                let w2 = w2(&law.moments, &data.marginal(&grid[20]));
                assert!((got - w2).abs() < 1e-12, "{name} {text}: {got:e}, W2 {w2:e}");
            }
        }
    }
}

#[test]
fn noise_that_a_method_does_not_draw_counts_and_so_does_noise_of_no_path() {
    let (data, vp) = (modes(), schedule("vp-linear"));
    let grid = levels(&vp, "uniform-lambda, start = 1.0, end = 1e-3", 50);
    for l in [0.5, 1.0, 2.0] {
        // All of the exact noise is missing...
        let law = on_path(&solver("ddim"), &data, &vp, &grid, l);
        let (t, s) = (&grid[0], &grid[50]);
        let want = (start_part(&law, &data, l, t, s) + noise_variance(&data, l, t, s)).sqrt();
        let got = law.strong_error.unwrap();
        assert!((got / want - 1.0).abs() < 1e-11, "l = {l}: {got:e} for {want:e}");
        // ...and churn is no substitute.
        let churned = solver("heun, clock = \"edm\", s_churn = 20.0");
        let law = on_path(&churned, &data, &vp, &grid, l);
        let noise: f64 = law.noise_std.iter().map(|s| s * s).sum();
        let want = (start_part(&law, &data, l, t, s) + noise_variance(&data, l, t, s) + noise).sqrt();
        let got = law.strong_error.unwrap();
        assert!((got / want - 1.0).abs() < 1e-11, "l = {l}: {got:e} for {want:e}");
    }
    // A corrector's noise is a floor that no number of steps lowers.
    let text = "predictor-corrector, step = 0.3, predictor = \"ddpm\"";
    let off = |n| strong(text, &data, &vp, &levels(&vp, "uniform-lambda, start = 0.7, end = 0.4", n), 1.0);
    assert!(off(512) > 0.1 && (off(256) / off(512)).log2() < 0.1, "{:e}, {:e}", off(256), off(512));
}

#[test]
fn one_step_to_clean_data_is_the_closed_form() {
    // ddpm's only step to sigma = 0 returns d: its gain is alpha_t c/v, and it draws nothing.
    let data = modes();
    for name in ["vp-linear", "edm", "flow", "sub-vp", "vp-cosine", "heat"] {
        let schedule = schedule(name);
        let grid = [schedule.at(0.4), schedule.at(0.0)];
        let want: f64 = (0..data.modes())
            .map(|k| {
                let (c, v) = (data.variance()[k], grid[0].marginal_variance(data.variance()[k]));
                let (gain, variance) = exact_step(&data, k, 1.0, &grid[0], &grid[1]);
                (grid[0].alpha * c / v - gain).powi(2) * v + variance
            })
            .sum();
        let got = strong("ddpm", &data, &schedule, &grid, 1.0);
        assert!((got / want.sqrt() - 1.0).abs() < 1e-11, "{name}: {got:e} for {:e}", want.sqrt());
    }
}

#[test]
fn another_start_than_the_marginal_is_the_exact_solutions_too() {
    let (data, vp) = (modes(), schedule("vp-linear"));
    let grid = levels(&vp, "quadratic-t, start = 0.3, end = 0.02", 400);
    for (text, l) in [("stochastic-heun", 1.0), ("heun", 0.0), ("sra1, lambda = 0.5", 0.5)] {
        let law = law_on_path(&solver(text), &data, &vp, &grid, Init::Prior, Some(l)).unwrap();
        let to = data.transport(l, &grid[0], &grid[400], &Init::Prior.moments(&data, &vp, &grid[0]));
        let (strong, w2) = (law.strong_error.unwrap(), w2(&law.moments, &to));
        assert!(w2 < 1.0000001 * strong && strong < 0.05, "{text}: {strong:e}, W2 {w2:e}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_strong_error_is_below_the_distance_of_the_laws(
        which in 0usize..12,
        case in 0usize..6,
        steps in 1usize..25,
        l in prop_oneof![Just(0.0), Just(0.5), Just(1.0), Just(2.0), 0.0..3.0],
        mean in -3.0..3.0,
        variance in prop_oneof![Just(0.0), 1e-6..1e-2, 1e-2..10.0],
    ) {
        let (name, rule) = [
            ("vp-linear", "uniform-t, start = 1.0, end = 0.001"),
            ("vp-cosine", "uniform-t, start = 0.9, end = 0.1"),
            ("edm", "karras, sigma_max = 80.0, sigma_min = 0.002"),
            ("ve", "uniform-t, start = 1.0, end = 0.0"),
            ("flow", "uniform-t, start = 0.99, end = 0.0"),
            ("ddpm-discrete", "discrete, spacing = \"leading\""),
        ][case];
        let text = [
            "ddim", "heun", "ddim, eta = 0.5", "ddpm", "ddpm, variance = \"exact\"",
            "exponential-integrator, frozen = \"d\", lambda = 2.0", "euler-maruyama",
            "euler-maruyama, lambda = 0.5", "stochastic-heun", "sra1", "sra3, clock = \"edm\"",
            "predictor-corrector, step = 0.1, predictor = \"ddpm\"",
        ][which];
        let (schedule, solver) = (schedule(name), solver(text));
        let grid = levels(&schedule, rule, steps);
        let data = Gaussian::new(vec![mean], vec![variance]).unwrap();
        let Ok(law) = law_on_path(&solver, &data, &schedule, &grid, Init::Marginal, Some(l)) else {
            return Ok(()); // diverged, or a point mass at a level without noise
        };
        let w2 = w2(&law.moments, &data.marginal(&grid[steps]));
        if let Some(strong) = law.strong_error {
            let round_off = 1e-13 * (1.0 + law.moments.std[0] + mean.abs());
            prop_assert!(strong >= w2 * (1.0 - 1e-11) - round_off, "{text} {name} l = {l}: {strong:e}, W2 {w2:e}");
        } else {
            prop_assert!(grid[0].kappa().is_infinite());
        }
    }
}

/// Slopes of `log2` of the strong error against the method's own equation.
fn strong_slopes(solver: &Handle, rule: &str) -> Vec<f64> {
    let (data, vp, l) = (modes(), schedule("vp-linear"), solver.equation().expect("an equation"));
    let error = |n| {
        on_path(solver, &data, &vp, &levels(&vp, rule, n), l)
            .strong_error
            .expect("falling and disjoint draws")
    };
    let errors = [128, 256, 512, 1024].map(error);
    errors.windows(2).map(|e| (e[0] / e[1]).log2()).collect()
}

#[test]
fn every_claimed_strong_order_is_measured() {
    let (mut wrong, mut held) = (Vec::new(), 0);
    let grids = ["uniform-lambda, start = 1.0, end = 1e-3", "quadratic-t, start = 1.0, end = 1e-3"];
    // (Without noise a strong order is the order of the flow, which conformance.rs measures.)
    for solver in variants().into_iter().filter(|s| s.equation().is_some_and(|l| l > 0.0) && !s.forward()) {
        let Some(claimed) = solver.strong_on_gaussian_data() else { continue };
        let slopes = grids.map(|rule| strong_slopes(&solver, rule));
        // Fewer than claimed nowhere, and no more than claimed somewhere: the last doubling tells.
        let last = slopes.each_ref().map(|s| s[2]);
        let (least, most) = (last[0].min(last[1]), claimed + 0.05);
        println!("{solver:?}: {claimed} claimed, {last:.3?}");
        if least.is_nan() || least < claimed - 0.05 || least > most {
            wrong.push(format!("{solver:?}: {claimed} claimed, slopes {slopes:.3?}"));
        }
        assert!(solver.strong() <= solver.strong_on_gaussian_data(), "{solver:?}");
        held += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(held > 30, "{held}");
}

#[test]
fn whoever_sees_increments_alone_is_no_better_than_the_best_constant() {
    // int h^2 F'^2/12 du over the run bounds every such method from below, exactly so as steps shrink.
    let (data, vp) = (Gaussian::new(vec![0.0], vec![0.25]).unwrap(), schedule("vp-linear"));
    let grid = levels(&vp, "uniform-lambda, start = 1.0, end = 1e-3", 400);
    // The exact kernel against dB(kappa^2), and its slope in that clock by a difference.
    let kernel = |at: &Level| exact_step(&data, 0, 1.0, at, &grid[400]).0 * at.alpha;
    let floor: f64 = grid
        .windows(2)
        .map(|p| {
            let h = p[0].kappa().powi(2) - p[1].kappa().powi(2);
            (kernel(&p[0]) - kernel(&p[1])).powi(2) * h / 12.0
        })
        .sum();
    let exact = strong("ddpm, variance = \"exact\"", &data, &vp, &grid, 1.0);
    assert!((exact / floor.sqrt() - 1.0).abs() < 1e-2, "{exact:e} for {:e}", floor.sqrt());
    for text in ["euler-maruyama", "ddpm", "stochastic-heun", "exponential-integrator, frozen = \"eps\""] {
        assert!(strong(text, &data, &vp, &grid, 1.0) > 0.999 * floor.sqrt(), "{text}");
    }
    for text in ["sra1", "sra3", "sosra"] {
        assert!(strong(text, &data, &vp, &grid, 1.0) < 0.1 * floor.sqrt(), "{text}");
    }
}

#[test]
fn strong_errors_do_not_depend_on_how_modes_are_cut() {
    let (vp, many) = (schedule("vp-linear"), Gaussian::power_law(50, 1.0).unwrap());
    let grid = levels(&vp, "uniform-lambda, start = 1.0, end = 1e-3", 40);
    let whole = strong("sra1", &many, &vp, &grid, 1.0).powi(2);
    let parts: f64 = (0..50)
        .map(|k| {
            let one = Gaussian::new(vec![0.0], vec![many.variance()[k]]).unwrap();
            strong("sra1", &one, &vp, &grid, 1.0).powi(2)
        })
        .sum();
    assert!((whole / parts - 1.0).abs() < 1e-12);
    // And it is nowhere where nobody asked.
    assert_eq!(law_of("sra1", &many, &vp, &grid).strong_error, None);
}
