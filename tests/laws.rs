//! The exact law against everything else that knows it: Monte Carlo, integration of the moments, single modes, itself.

mod common;

use common::{distance, law_of, levels, modes, schedule, solver, try_law};
use scorebench::batch::Batch;
use scorebench::data::{Gaussian, Moments};
use scorebench::law::{self, Init, Law, NoLaw};
use scorebench::noise::{Purpose, White};
use scorebench::parallel;
use scorebench::run::{Ctx, Denoiser};
use scorebench::schedule::{Level, Schedule};
use scorebench::solver::Sample;
use scorebench::state::{Space, State};
use statrs::distribution::{ChiSquared, ContinuousCDF};

const VP_GRID: &str = "quadratic-t, start = 1.0, end = 1e-3";

/// Runs a solver on samples `first..first + count` from the exact marginal.
fn monte_carlo(
    text: &str,
    data: &Gaussian,
    schedule: &Schedule,
    grid: &[Level],
    first: u64,
    count: usize,
) -> Batch {
    let (start, mut noise) = (data.marginal(&grid[0]), White::new(7));
    let z = White::of(7, Purpose::Start).draw(&State(Batch::<f64>::zeros(data.modes(), first, count)));
    let mut rows = z.0.to_rows();
    for (i, x) in rows.iter_mut().enumerate() {
        let k = i % data.modes();
        *x = start.mean[k] + start.std[k] * *x;
    }
    let x = Batch::from_rows(data.modes(), rows).numbered(first);
    let mut cx = Ctx::new(data, &mut noise, schedule);
    solver(text).sample(&mut cx, grid, State(x)).0
}

#[test]
fn the_law_is_that_of_a_hundred_thousand_samples() {
    let data = Gaussian::new(vec![0.0, 1.0, -0.5], vec![1.0, 0.05, 4.0]).unwrap();
    let vp = schedule("vp-linear");
    let grid = levels(&vp, VP_GRID, 8);
    let count = 100_000;
    let mut chi_square = 0.0;
    let solvers = [
        "euler-maruyama",
        "ddim, eta = 0.5",
        "heun, clock = \"edm\", s_churn = 4.0",
        "stochastic-heun, lambda = 0.5",
        "predictor-corrector, step = 0.1, predictor = \"ddpm\"",
    ];
    for text in solvers {
        let law = law_of(text, &data, &vp, &grid).moments;
        let samples = monte_carlo(text, &data, &vp, &grid, 0, count);
        let n = count as f64;
        // Standardised by the law, the samples have covariance 1.
        let standard =
            |row: &[f64]| -> Vec<f64> { (0..3).map(|k| (row[k] - law.mean[k]) / law.std[k]).collect() };
        let (mut sum, mut products) = ([0.0; 3], [[0.0; 3]; 3]);
        for row in samples.to_rows().chunks_exact(3) {
            let z = standard(row);
            for i in 0..3 {
                sum[i] += z[i];
                for j in 0..3 {
                    products[i][j] += z[i] * z[j];
                }
            }
        }
        for i in 0..3 {
            let (mean, variance) = (sum[i] / n.sqrt(), (products[i][i] / n - 1.0) / (2.0 / n).sqrt());
            assert!(mean.abs() < 5.0 && variance.abs() < 5.0, "{text} mode {i}: {mean} and {variance} sigma");
            chi_square += mean * mean + variance * variance;
            for product in &products[i][..i] {
                assert!((product / n.sqrt()).abs() < 5.0, "{text}: modes are correlated");
            }
        }
    }
    // Squares of standard normals, six a solver.
    let tail = ChiSquared::new(6.0 * solvers.len() as f64).unwrap().sf(chi_square);
    assert!((1e-6..1.0 - 1e-6).contains(&tail), "chi-square {chi_square} has tail probability {tail:e}");
}

#[test]
fn samples_do_not_depend_on_how_they_are_batched() {
    let (data, vp) = (modes(), schedule("vp-linear"));
    let grid = levels(&vp, VP_GRID, 5);
    let text = "euler-maruyama";
    let whole = monte_carlo(text, &data, &vp, &grid, 0, 1000);
    for size in [1, 7, 333] {
        for first in [0, 500, 1000 - size] {
            let part = monte_carlo(text, &data, &vp, &grid, first as u64, size);
            assert_eq!(part.to_rows(), whole.to_rows()[5 * first..5 * (first + size)], "{size} from {first}");
        }
    }
}

#[test]
fn white_noise_is_standard_normal_and_new_at_every_draw_sample_and_seed() {
    let shape = State(Batch::<f64>::zeros(4, 0, 50_000));
    let draws = |seed| {
        let mut noise = White::new(seed);
        [noise.draw(&shape).0.to_rows(), noise.draw(&shape).0.to_rows()]
    };
    let ([a, b], [c, _]) = (draws(1), draws(2));
    let n = a.len() as f64;
    let moment = |x: &[f64], p: i32| x.iter().map(|x| x.powi(p)).sum::<f64>() / n;
    for x in [&a, &b, &c] {
        // Moments 1..4 of a standard normal are 0, 1, 0, 3, with variances 1, 2, 15, 96 a sample.
        for (p, want, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0f64)] {
            assert!((moment(x, p) - want).abs() < 5.0 * (variance / n).sqrt(), "moment {p}");
        }
        // Neighbours within and across samples.
        for lag in [1, 4] {
            let products = x.iter().zip(&x[lag..]).map(|(x, y)| x * y).sum::<f64>();
            assert!((products / n.sqrt()).abs() < 5.0, "lag {lag}");
        }
    }
    for (x, y) in [(&a, &b), (&a, &c)] {
        let products = x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        assert!((products / n.sqrt()).abs() < 5.0);
    }
    let mut all: Vec<u64> = [&a, &b, &c].iter().copied().flatten().map(|x| x.to_bits()).collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    // Doubles have 53 digits: 600 thousand of them hardly ever meet by chance.
    assert!(count - all.len() < 3, "{} of {count} numbers repeat", count - all.len());
}

/// 700 modes, more than a chunk holds.
fn many_modes() -> Gaussian {
    let mean = (0..700).map(|k| (k as f64 * 0.37).sin()).collect();
    Gaussian::new(mean, (1..=700).map(|k| 3.0 / k as f64).collect()).unwrap()
}

#[test]
fn the_law_is_the_same_on_any_number_of_threads_bit_for_bit() {
    let (data, vp) = (many_modes(), schedule("vp-linear"));
    for (text, steps) in [("ddim", 10), ("euler-maruyama", 200), ("predictor-corrector", 40)] {
        let grid = levels(&vp, VP_GRID, steps);
        let on = |threads| parallel::with_threads(Some(threads), || law_of(text, &data, &vp, &grid)).unwrap();
        let one = on(1);
        assert_eq!((on(2), on(3)), (one.clone(), one), "{text}");
    }
}

#[test]
fn the_law_of_many_modes_is_that_of_each_by_itself_bit_for_bit() {
    let (data, vp) = (many_modes(), schedule("vp-linear"));
    for (text, steps) in [("heun", 10), ("euler-maruyama", 30), ("ddpm, variance = \"exact\"", 30)] {
        let grid = levels(&vp, VP_GRID, steps);
        let whole = law_of(text, &data, &vp, &grid);
        for k in 0..700 {
            let single = Gaussian::new(vec![data.mean()[k]], vec![data.variance()[k]]).unwrap();
            let one = law_of(text, &single, &vp, &grid);
            let of = |law: &Law, k: usize| {
                [law.moments.mean[k], law.moments.std[k], law.gain[k], law.noise_std[k]]
            };
            assert_eq!(of(&one, 0), of(&whole, k), "{text}, mode {k}");
            assert_eq!((one.nfe, one.draws), (whole.nfe, whole.draws));
        }
    }
}

#[test]
fn the_witness_of_an_affine_run_is_round_off() {
    let (data, vp) = (modes(), schedule("vp-linear"));
    for text in ["ddim", "euler-maruyama", "rk4, clock = \"edm\"", "dpmpp-2m", "predictor-corrector"] {
        let law = law_of(text, &data, &vp, &levels(&vp, VP_GRID, 100));
        assert!(law.witness > 0.0 && law.witness < 1e-13, "{text}: {:e}", law.witness);
        assert_eq!(law.mean_field, text == "predictor-corrector", "{text}");
    }
}

/// `x + r eps` at the first level, with `r` the rms of eps by one of the two ways to look at it.
struct Looking {
    expected: bool,
}

impl Sample for Looking {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], x: State<V>) -> State<V> {
        let eps = cx.eps(&x, &grid[0]);
        let r = if self.expected { cx.expected_rms(&eps) } else { cx.rms(&eps) };
        (&x + r * &eps).eval()
    }
}

#[test]
fn a_solver_that_looks_at_a_sample_has_no_law() {
    let (data, vp) = (modes(), schedule("vp-linear"));
    let grid = levels(&vp, VP_GRID, 1);
    let looked = law::law(&Looking { expected: false }, &data, &vp, &grid, Init::Marginal);
    assert_eq!(looked, Err(NoLaw::Looked));
    let sampled =
        try_law(&solver("predictor-corrector, norm = \"sample\""), &data, &vp, &levels(&vp, VP_GRID, 40));
    assert_eq!(sampled, Err(NoLaw::Looked));
}

#[test]
fn an_expected_norm_is_that_of_the_law_over_all_modes() {
    let schedule = schedule("edm");
    for data in [modes(), many_modes()] {
        let at = schedule.at(0.7);
        let grid = [at, schedule.at(0.5)];
        let law = law::law(&Looking { expected: true }, &data, &schedule, &grid, Init::Prior).unwrap();
        // x is N(0, 0.49), and eps = sigma (x - mu)/v: a mean and a spread in every mode.
        let mode = |k: usize| (-data.mean()[k], 0.7 / (data.variance()[k] + 0.49));
        let square = |(mean, gain): (f64, f64)| gain * gain * (mean * mean + 0.49);
        let r = ((0..data.modes()).map(|k| square(mode(k))).sum::<f64>() / data.modes() as f64).sqrt();
        let (mean, std) =
            (0..data.modes()).map(mode).map(|(m, gain)| (r * gain * m, 0.7 * (1.0 + r * gain))).unzip();
        assert!(distance(&law.moments, &Moments { mean, std }, &data.marginal(&at)) < 1e-13);
        assert!(law.mean_field && law.nfe == 1 && law.draws == 0);
    }
}

#[test]
fn a_law_restarted_is_the_law_of_another_start() {
    let data = modes();
    for (name, rule) in [
        ("vp-linear", "uniform-lambda, start = 0.5, end = 1e-3"),
        ("edm", "karras, sigma_max = 5.0, sigma_min = 0.002"),
        ("flow", "uniform-t, start = 0.9, end = 0.0"),
    ] {
        let schedule = schedule(name);
        for (text, steps) in [("ddim", 5), ("euler-maruyama", 50), ("ddim, eta = 1.0", 10), ("heun", 20)] {
            let grid = levels(&schedule, rule, steps);
            let fresh = |init| law::law(&solver(text), &data, &schedule, &grid, init).unwrap();
            let (marginal, prior) = (fresh(Init::Marginal), fresh(Init::Prior));
            let start = |init: Init| init.moments(&data, &schedule, &grid[0]);
            let restarted = marginal.restarted(&start(Init::Marginal), &start(Init::Prior));
            let unit = data.marginal(&grid[steps]);
            assert!(distance(&restarted, &prior.moments, &unit) < 1e-12, "{text} on {name}");
            assert!(
                distance(&prior.moments, &marginal.moments, &unit) > 1e-4,
                "{text} on {name}: no other start"
            );
        }
    }
}

#[test]
fn the_prior_is_as_wide_as_the_noise_or_one() {
    let data = Gaussian::new(vec![3.0, -1.0], vec![2.0, 0.5]).unwrap();
    for (name, t, std) in [
        ("vp-linear", 1.0, 1.0),
        ("flow", 0.9, 1.0),
        ("sub-vp", 1.0, 1.0),
        ("edm", 80.0, 80.0),
        ("heat", 8.0, 4.0),
    ] {
        let schedule = schedule(name);
        let prior = Init::Prior.moments(&data, &schedule, &schedule.at(t));
        assert_eq!(prior, Moments { mean: vec![0.0; 2], std: vec![std; 2] }, "{name}");
    }
}

/// Mean and variance of a mode from `t` to `s` under the family member `l`, by RK4 on their own equations.
fn integrated(data: &Gaussian, schedule: &Schedule, l: f64, t: f64, s: f64, from: &Moments) -> Moments {
    const STEPS: usize = 20_000;
    let h = (s - t) / STEPS as f64;
    let mut out = from.clone();
    for k in 0..data.modes() {
        let (mu, c) = (data.mean()[k], data.variance()[k]);
        // dx = [f x - (1+l)/2 g^2 score] dt + sqrt(l) g dw, dt < 0, score = -(x - alpha mu)/v.
        let rate = |t: f64, [m, v]: [f64; 2]| {
            let at = schedule.at(t);
            let pull = (1.0 + l) / 2.0 * at.g2 / (at.alpha.powi(2) * c + at.sigma.powi(2));
            [at.f * m + pull * (m - at.alpha * mu), 2.0 * (at.f + pull) * v - l * at.g2]
        };
        let mut y = [from.mean[k], from.std[k].powi(2)];
        for i in 0..STEPS {
            let at = t + i as f64 * h;
            let after = |k: [f64; 2], h: f64| [y[0] + h * k[0], y[1] + h * k[1]];
            let k1 = rate(at, y);
            let k2 = rate(at + h / 2.0, after(k1, h / 2.0));
            let k3 = rate(at + h / 2.0, after(k2, h / 2.0));
            let k4 = rate(at + h, after(k3, h));
            for j in 0..2 {
                y[j] += h / 6.0 * (k1[j] + 2.0 * k2[j] + 2.0 * k3[j] + k4[j]);
            }
        }
        (out.mean[k], out.std[k]) = (y[0], y[1].sqrt());
    }
    out
}

#[test]
fn transport_is_the_integral_of_the_family() {
    let data = Gaussian::new(vec![0.5, -1.0, 0.0], vec![1.0, 0.05, 4.0]).unwrap();
    for (name, t, s) in
        [("vp-linear", 1.0, 0.02), ("flow", 0.95, 0.02), ("sub-vp", 0.6, 0.05), ("edm", 3.0, 0.1)]
    {
        let schedule = schedule(name);
        let (from, to) = (schedule.at(t), schedule.at(s));
        let unit = data.marginal(&to);
        let start = Moments { mean: vec![0.3, 0.0, -2.0], std: vec![1.5, 0.4, 3.0] };
        for l in [0.0, 0.5, 1.0, 2.0] {
            let got = data.transport(l, &from, &to, &start);
            let off = distance(&got, &integrated(&data, &schedule, l, t, s, &start), &unit);
            assert!(off < 1e-9, "{name}, l = {l}: {off:e}");
            // The marginal is carried to the marginal, to the last digit.
            assert_eq!(data.transport(l, &from, &to, &data.marginal(&from)), unit, "{name}, l = {l}");
            let middle = schedule.at(0.5 * (t + s));
            let in_two = data.transport(l, &middle, &to, &data.transport(l, &from, &middle, &start));
            assert!(distance(&in_two, &got, &unit) < 1e-12, "{name}, l = {l}: in two legs");
        }
    }
}

#[test]
fn exact_ddpm_steps_are_the_transport_of_the_reverse_sde() {
    let data = modes();
    for (name, rule) in [
        ("vp-linear", "uniform-t, start = 0.3, end = 0.0"),
        ("edm", "karras, sigma_max = 1.0, sigma_min = 0.002"),
    ] {
        let schedule = schedule(name);
        let grid = levels(&schedule, rule, 20);
        let law =
            law::law(&solver("ddpm, variance = \"exact\""), &data, &schedule, &grid, Init::Prior).unwrap();
        let prior = Init::Prior.moments(&data, &schedule, &grid[0]);
        let carried = data.transport(1.0, &grid[0], &grid[20], &prior);
        let unit = data.marginal(&grid[20]);
        assert!(distance(&law.moments, &carried, &unit) < 1e-12, "{name}");
        assert!(distance(&carried, &unit, &unit) > 1e-3, "{name}: the start does not show");
    }
}

#[test]
fn a_run_that_overflows_is_said_to_diverge_and_where() {
    let data = Gaussian::new(vec![0.0, 1.0, 2.0], vec![1e6, 0.5, 0.5]).unwrap();
    let edm = schedule("edm");
    let text = "predictor-corrector, step = 50.0, predictor = \"ddim\"";
    let run = |steps| {
        try_law(&solver(text), &data, &edm, &levels(&edm, "uniform-t, start = 2.0, end = 1.0", steps))
    };
    // Each correction multiplies the small modes by about -30: large, finite laws first, none in the end.
    assert!(run(20).expect("still finite").moments.std[1] > 1e20);
    assert_eq!(run(400), Err(NoLaw::Diverged { mode: 1, modes: 3 }));
    assert_eq!(run(400).unwrap_err().to_string(), "diverged: mode 1 of 3 is not finite");
}

#[test]
fn the_three_forms_of_the_model_agree_and_are_the_conditional_means() {
    let data = modes();
    for name in ["vp-linear", "edm", "flow", "sub-vp"] {
        let at = schedule(name).at(0.4);
        let x = State(Batch::from_rows(5, vec![0.7, -1.2, 0.1, 2.0, 0.0]));
        let [d, eps, score] = [data.denoise(&x, &at), data.eps(&x, &at), data.score(&x, &at)];
        for k in 0..5 {
            let [x, d, eps, score] = [&x, &d, &eps, &score].map(|v| v.0.to_rows()[k]);
            // Normal prior N(mu, c) times likelihood N(x; alpha x_0, sigma^2), precisions added.
            let (mu, c) = (data.mean()[k], data.variance()[k]);
            let want = (mu / c + at.alpha * x / at.sigma.powi(2)) / (1.0 / c + (at.alpha / at.sigma).powi(2));
            assert!((d - want).abs() < 1e-13, "{name} {k}");
            assert!((at.alpha * d + at.sigma * eps - x).abs() < 1e-13, "{name} {k}");
            assert!((score + eps / at.sigma).abs() < 1e-12, "{name} {k}");
        }
    }
}

#[test]
fn data_that_is_no_gaussian_is_refused_by_entry() {
    let symmetric = |a: f64, b: f64| Gaussian::from_covariance(vec![0.0; 2], &[vec![1.0, a], vec![b, 1.0]]);
    for (refused, key) in [
        (Gaussian::new(vec![], vec![]), "variance"),
        (Gaussian::new(vec![0.0], vec![1.0, 2.0]), "mean"),
        (Gaussian::new(vec![0.0, f64::NAN], vec![1.0, 2.0]), "mean[1]"),
        (Gaussian::new(vec![0.0, 0.0], vec![1.0, -2.0]), "variance[1]"),
        (Gaussian::from_covariance(vec![0.0; 2], &[vec![1.0, 0.0], vec![0.0]]), "covariance[1]"),
        (symmetric(f64::INFINITY, 0.0), "covariance[0][1]"),
        (symmetric(0.5, 0.4), "covariance[1][0]"),
        (symmetric(2.0, 2.0), "covariance"),
        (Gaussian::power_law(0, 1.0), "modes"),
        (Gaussian::power_law(3, f64::NAN), "p"),
    ] {
        assert_eq!(refused.expect_err(key).key(), key);
    }
    let singular = symmetric(1.0, 1.0).unwrap();
    assert!(singular.variance().iter().all(|c| *c >= 0.0) && singular.variance().iter().any(|c| *c < 1e-15));
    assert_eq!(Gaussian::power_law(3, 2.0).unwrap().variance(), [1.0, 0.25, 1.0 / 9.0]);
}

#[test]
fn deterministic_methods_run_up_the_levels_with_their_order() {
    let (schedule, data) = (schedule("vp-linear"), Gaussian::new(vec![0.5, -1.0], vec![0.25, 2.0]).unwrap());
    let error = |name: &str, steps: usize| {
        let mut up = levels(&schedule, "uniform-lambda, start = 1.0, end = 1e-3", steps);
        up.reverse();
        let exact = data.marginal(&up[steps]);
        distance(&law_of(name, &data, &schedule, &up).moments, &exact, &exact)
    };
    for (name, order) in [("ddim", 1.0), ("heun", 2.0), ("dpm-solver-2", 2.0), ("dpm-solver-3", 3.0)] {
        let measured = (error(name, 256) / error(name, 512)).log2();
        assert!((measured - order).abs() < 0.05, "{name}: {measured}");
    }
}
