//! Likelihoods that solvers integrate along the flow, and densities of their own maps.

mod common;

use scorebench::batch::Batch;
use scorebench::data::mixture::{Covariance, Mixture};
use scorebench::data::{CLEAN, Data, Gaussian, Product};
use scorebench::law::{Init, law};
use scorebench::likelihood::{
    self, Likelihoods, NoLikelihood, Probe, Trace, encoded, generated, transported,
};
use scorebench::metric::paired::kl_by_control_variate;
use scorebench::metric::{self, Estimate};
use scorebench::noise::Purpose;
use scorebench::schedule::{Level, Schedule};
use scorebench::state::State;

use common::{levels, solver};

fn vp() -> Schedule {
    Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 }
}

fn line() -> Mixture {
    let part = |w, m, c| (w, vec![m], Covariance::Isotropic(c));
    Mixture::new(vec![part(0.3, -1.0, 0.09), part(0.7, 1.0, 0.25)]).expect("legal")
}

fn plane() -> Data {
    let part = |w, m: [f64; 2], c: [[f64; 2]; 2]| {
        (w, m.to_vec(), Covariance::full(&c.map(|r| r.to_vec())).expect("legal"))
    };
    Data::Mixture(
        Mixture::new(vec![
            part(0.3, [-1.0, 0.5], [[0.2, 0.1], [0.1, 0.3]]),
            part(0.5, [1.0, 0.0], [[0.1, -0.05], [-0.05, 0.2]]),
            part(0.2, [0.0, -1.5], [[0.4, 0.0], [0.0, 0.1]]),
        ])
        .expect("legal"),
    )
}

/// One of every kind, three coordinates each.
fn kinds() -> Vec<Data> {
    let means = [[-1.0, 0.5, 0.0], [1.0, 0.0, 2.0], [0.5, -0.5, -1.0]];
    let mixture = |covariance: &dyn Fn(f64) -> Covariance| {
        let part = |(m, w): (&[f64; 3], f64)| (w, m.to_vec(), covariance(w));
        Data::Mixture(Mixture::new(means.iter().zip([0.2, 0.3, 0.5]).map(part).collect()).expect("legal"))
    };
    let full = |w: f64| vec![vec![w, 0.1, 0.0], vec![0.1, 0.4, -0.05], vec![0.0, -0.05, 0.3]];
    vec![
        mixture(&|w| Covariance::Isotropic(w)),
        mixture(&|w| Covariance::Diagonal(vec![w, 0.1, 0.3 * w])),
        mixture(&|w| Covariance::full(&full(w)).expect("legal")),
        Data::Product(Product::new(vec![line(); 3]).expect("legal")),
        Data::Gaussian(Gaussian::new(vec![0.1, 0.2, 0.3], vec![1.0, 0.2, 0.05]).expect("legal")),
    ]
}

fn starts(data: &Data, at: &Level, len: usize) -> Batch<f64> {
    data.sample(at, 11, Purpose::Start, 3, len)
}

#[test]
fn jacobians_of_scores_agree_with_differences_and_with_their_traces() {
    let at = Level { alpha: 0.9, sigma: 0.4, ..CLEAN };
    for data in kinds() {
        let x = starts(&data, &at, 40);
        let mut trace = vec![0.0; x.len()];
        for j in 0..3 {
            let unit: Vec<f64> = (0..x.len() * 3).map(|i| if i % 3 == j { 1.0 } else { 0.0 }).collect();
            let v = Batch::from_rows(3, unit).numbered(3);
            let got = data.score_jvp(&x, &v, &at).to_rows();
            let h = 1e-5;
            let moved = |h: f64| {
                let rows = x.to_rows().iter().zip(v.to_rows()).map(|(x, v)| x + h * v).collect();
                data.model().score(&State(Batch::from_rows(3, rows)), &at).0.to_rows()
            };
            for ((got, up), down) in got.iter().zip(moved(h)).zip(moved(-h)) {
                let want = (up - down) / (2.0 * h);
                assert!((got - want).abs() < 1e-7, "{got} for {want} of {data:?}");
            }
            trace.iter_mut().zip(got.chunks_exact(3)).for_each(|(sum, row)| *sum += row[j]);
        }
        for (got, want) in data.score_divergence(&x, &at).to_rows().iter().zip(trace) {
            assert!((got - want).abs() < 1e-13 * want.abs().max(10.0), "{got} for {want} of {data:?}");
        }
    }
}

#[test]
fn jacobians_are_exact_far_out_and_at_point_masses() {
    // One component counts, the widest, on both sides: the Jacobian is -1/v.
    let far = Batch::from_rows(1, vec![1e6, -1e6]);
    let at = Level { alpha: 0.5, sigma: 0.5, ..CLEAN };
    let got = Data::Mixture(line()).score_divergence(&far, &at).to_rows();
    let want = -1.0 / at.marginal_variance(0.25);
    assert!(got.iter().all(|got| (got / want - 1.0).abs() < 1e-9), "{got:?} for {want}");
    let data = Data::Mixture(Mixture::points(vec![vec![0.0, 1.0], vec![2.0, 3.0]]).expect("legal"));
    let at = Level { alpha: 1.0, sigma: 1e-8, ..CLEAN };
    let x = Batch::from_rows(2, vec![1e-8, 1.0]);
    assert!((data.score_divergence(&x, &at).to_rows()[0] / -2e16 - 1.0).abs() < 1e-9);
}

/// Slope of the root mean square error in bits between two numbers of steps.
fn order(text: &str, data: &Data, steps: usize) -> (f64, f64) {
    let bits = |steps| {
        let grid = levels(&vp(), "uniform-lambda, start = 1.0, end = 1e-3", steps);
        let x = starts(data, &grid[0], 128);
        generated(&solver(text), data, &vp(), &grid, &x, Trace::Exact).expect(text).rms_bits()
    };
    let (coarse, fine) = (bits(steps), bits(2 * steps));
    ((coarse / fine).log2(), fine)
}

fn check_orders(data: &Data) {
    for (text, want, steps) in [
        ("euler", 1.0, 512),
        ("ddim", 1.0, 512),
        ("euler, clock = \"lambda\"", 1.0, 512),
        ("heun", 2.0, 256),
        ("heun, clock = \"edm\"", 2.0, 256),
        ("dpmpp-2m", 2.0, 256),
        ("rk4", 4.0, 128),
    ] {
        let (got, bits) = order(text, data, steps);
        println!("{text}: order {got:.3}, {bits:e} bits at {} steps", 2 * steps);
        assert!((got - want).abs() < 0.1, "{text}: order {got}, {bits:e} bits");
    }
}

#[test]
fn the_error_of_a_likelihood_on_the_line_falls_with_the_order_of_the_solver() {
    check_orders(&Data::Mixture(line()));
}

#[test]
fn the_error_of_a_likelihood_in_the_plane_falls_with_the_order_of_the_solver() {
    check_orders(&plane());
}

#[test]
fn likelihoods_of_all_kinds_of_data_are_exact_in_the_limit() {
    let grid = levels(&vp(), "uniform-lambda, start = 1.0, end = 1e-3", 512);
    for data in kinds() {
        let x = starts(&data, &grid[0], 40);
        let run = generated(&solver("rk4, clock = \"lambda\""), &data, &vp(), &grid, &x, Trace::Exact);
        let bits = run.expect("a flow").rms_bits();
        assert!(bits < 1e-7, "{bits:e} of {data:?}");
    }
}

#[test]
fn likelihoods_are_the_same_down_and_up_in_the_limit() {
    let data = plane();
    let down = levels(&vp(), "uniform-lambda, start = 1.0, end = 1e-2", 512);
    let up: Vec<Level> = down.iter().rev().copied().collect();
    for text in ["rk4", "rk4, clock = \"lambda\"", "heun"] {
        let x = starts(&data, &up[0], 64);
        let error = |grid: &[Level]| {
            encoded(&solver(text), &data, &vp(), grid, &x, Trace::Exact).expect(text).rms_bits()
        };
        let coarse: Vec<Level> = up.iter().copied().step_by(2).collect();
        let (fine, order) = (error(&up), (error(&coarse) / error(&up)).log2());
        println!("{text} up: {fine:e} bits, order {order:.2}");
        let want = if text == "heun" { 2.0 } else { 4.0 };
        assert!((order - want).abs() < 0.15 || fine < 1e-10, "{text}: {fine:e} bits, order {order}");
    }
}

#[test]
fn standard_normal_data_have_likelihoods_without_quadrature_error() {
    // Every rate is 0: what is left is where samples go, from a start without signal down to no noise.
    let data = Data::Gaussian(Gaussian::new(vec![0.0; 4], vec![1.0; 4]).expect("legal"));
    for (schedule, text) in [
        (Schedule::VpCosine {}, "uniform-t, start = 1.0, end = 0.0"),
        (vp(), "uniform-t, start = 1.0, end = 1e-3"),
    ] {
        let grid = levels(&schedule, text, 7);
        let x = starts(&data, &grid[0], 40);
        let run = generated(&solver("ddim"), &data, &schedule, &grid, &x, Trace::Exact).expect("a flow");
        let start = data.log_density(&x, &grid[0]);
        assert!(run.estimate.iter().zip(start).all(|(a, b)| (a - b).abs() < 1e-12));
    }
}

#[test]
fn hutchinsons_estimate_is_exact_for_isotropic_gaussians() {
    let data = Data::Gaussian(Gaussian::new(vec![0.5; 4], vec![0.3; 4]).expect("legal"));
    let grid = levels(&vp(), "uniform-lambda, start = 1.0, end = 1e-3", 16);
    let x = starts(&data, &grid[0], 40);
    let run = |trace| generated(&solver("heun"), &data, &vp(), &grid, &x, trace).expect("a flow");
    let exact = run(Trace::Exact);
    let probed = run(Trace::Hutchinson { seed: 1, probe: Probe::Rademacher });
    assert_eq!(probed.x, exact.x);
    for (got, want) in probed.estimate.iter().zip(exact.estimate) {
        assert!((got - want).abs() < 1e-12, "{got} for {want}");
    }
}

#[test]
fn hutchinsons_estimate_is_unbiased() {
    // Means over 400 seeds, 64 samples each: two z-scores beyond 4.5 in one of 70,000 choices of seeds.
    let data = plane();
    let grid = levels(&vp(), "uniform-lambda, start = 1.0, end = 1e-2", 16);
    let x = starts(&data, &grid[0], 64);
    let run = |trace| generated(&solver("heun"), &data, &vp(), &grid, &x, trace).expect("a flow").estimate;
    let exact = run(Trace::Exact);
    for probe in [Probe::Rademacher, Probe::Normal] {
        let mean_of = |seed| {
            let off = run(Trace::Hutchinson { seed, probe }).into_iter().zip(&exact).map(|(a, b)| a - b);
            off.sum::<f64>() / 64.0
        };
        let means: Vec<f64> = (0..400).map(mean_of).collect();
        let mean = means.iter().sum::<f64>() / 400.0;
        let error = (means.iter().map(|m| (m - mean).powi(2)).sum::<f64>() / 399.0 / 400.0).sqrt();
        println!("{probe:?}: {mean:e} +- {error:e} nats");
        assert!(error > 1e-4 && mean.abs() < 4.5 * error, "{probe:?}: {mean} +- {error}");
    }
}

#[test]
fn probes_belong_to_samples() {
    for probe in [Probe::Rademacher, Probe::Normal] {
        let all = probe.draw(5, 3, 10, 100).to_rows();
        assert_eq!(probe.draw(5, 3, 40, 20).to_rows(), all[90..150]);
        assert_ne!(probe.draw(6, 3, 10, 100).to_rows(), all);
        let square = all.iter().map(|v| v * v).sum::<f64>() / 300.0;
        assert!((square - 1.0).abs() < 0.4, "{square}"); // 5 standard errors
    }
}

#[test]
fn densities_of_discrete_maps_are_exact_on_gaussians() {
    let gaussian = Gaussian::new(vec![0.3, -1.0], vec![0.5, 2.0]).expect("legal");
    let data = Data::Gaussian(gaussian.clone());
    let grid = levels(&vp(), "uniform-lambda, start = 1.0, end = 1e-2", 6);
    let x = starts(&data, &grid[0], 5000);
    for text in ["ddim", "heun", "rk4", "dpmpp-2m", "unipc, order = 3", "deis"] {
        let method = solver(text);
        let run = transported(&method, &data, &vp(), &grid, &x).expect(text);
        let moments = law(&method, &gaussian, &vp(), &grid, Init::Marginal).expect(text).moments;
        let q =
            Gaussian::new(moments.mean.clone(), moments.std.iter().map(|s| s * s).collect()).expect("legal");
        for (got, want) in run.estimate.iter().zip(q.log_density(&run.x, &CLEAN)) {
            assert!((got - want).abs() < 1e-11 * (1.0 + want.abs()), "{text}: {got} for {want}");
        }
        // Within 4.5 standard errors of the exact divergence but for one in 150,000 choices of seed.
        let Estimate { value: mean, stderr: error } =
            kl_by_control_variate(&run.estimate, &run.exact).expect(text);
        let kl = metric::Errors::between(&moments, &gaussian.marginal(&grid[6])).kl;
        println!("{text}: KL {mean:e} +- {error:e}, exact {kl:e}");
        assert!((mean - kl).abs() < 4.5 * error, "{text}: {mean} +- {error} for {kl}");
    }
}

#[test]
fn densities_of_discrete_maps_are_those_of_their_slopes() {
    let data = Data::Mixture(line());
    let grid = levels(&vp(), "uniform-lambda, start = 1.0, end = 1e-2", 8);
    let x = starts(&data, &grid[0], 64);
    let h = 1e-5;
    let moved = |h: f64| Batch::from_rows(1, x.to_rows().iter().map(|x| x + h).collect()).numbered(3);
    for text in ["ddim", "dpmpp-2m", "heun"] {
        let run = |x: &Batch<f64>| transported(&solver(text), &data, &vp(), &grid, x).expect(text);
        let start = data.log_density(&x, &grid[0]);
        let (up, down) = (run(&moved(h)).x.to_rows(), run(&moved(-h)).x.to_rows());
        let Likelihoods { estimate, .. } = run(&x);
        for (i, got) in estimate.iter().enumerate() {
            let want = start[i] - ((up[i] - down[i]) / (2.0 * h)).abs().ln();
            assert!((got - want).abs() < 1e-6, "{text}: {got} for {want}");
        }
    }
}

#[test]
fn the_divergence_from_the_exact_law_falls_at_twice_the_order() {
    let data = plane();
    for (text, want) in [("ddim", 2.0), ("heun", 4.0)] {
        let kl = |steps| {
            let grid = levels(&vp(), "uniform-lambda, start = 1.0, end = 1e-2", steps);
            let run =
                transported(&solver(text), &data, &vp(), &grid, &starts(&data, &grid[0], 4096)).expect(text);
            let kl = kl_by_control_variate(&run.estimate, &run.exact).expect(text);
            (kl.value, run.estimate.iter().zip(&run.exact).map(|(q, p)| q - p).collect::<Vec<f64>>())
        };
        let ((coarse, _), (fine, each)) = (kl(32), kl(64));
        // The plain mean of ln q - ln p has the same expectation and far more noise.
        let mean = each.iter().sum::<f64>() / 4096.0;
        let error = (each.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / 4096.0 / 4096.0).sqrt();
        let order = (coarse / fine).log2();
        println!("{text}: KL {fine:e}, order {order:.2}; plain mean {mean:e} +- {error:e}");
        assert!((order - want).abs() < 0.3, "{text}: order {order}");
        assert!((mean - fine).abs() < 4.5 * error, "{text}: {mean} +- {error} for {fine}");
    }
}

#[test]
fn what_has_no_likelihood_is_an_error() {
    let data = plane();
    let grid = levels(&vp(), "uniform-t, start = 1.0, end = 1e-2", 8);
    let x = starts(&data, &grid[0], 4);
    let run = |text: &str, grid: &[Level], x: &Batch<f64>| {
        generated(&solver(text), &data, &vp(), grid, x, Trace::Exact).expect_err(text)
    };
    assert_eq!(run("ddim, eta = 0.5", &grid, &x), NoLikelihood::Noisy);
    let wrong = Batch::from_rows(1, vec![0.0]);
    assert_eq!(run("ddim", &grid, &wrong), NoLikelihood::Shape { samples: 1, data: 2 });
    let nan = Batch::from_rows(2, vec![0.0, f64::NAN]).numbered(7);
    assert_eq!(run("ddim", &grid, &nan), NoLikelihood::NotFinite(7));
    let up: Vec<Level> = grid.iter().rev().copied().collect();
    let encoded = generated(&solver("ddim"), &data, &vp(), &up, &x, Trace::Exact);
    assert!(encoded.is_ok(), "run up the levels, DDIM encodes");
    let exact = run("dpmpp-2m, warm_up = \"exact\"", &grid, &x);
    assert!(matches!(exact, NoLikelihood::Refused(_)), "{exact}");
}

#[test]
fn likelihoods_do_not_depend_on_threads() {
    let data = plane();
    let grid = levels(&vp(), "uniform-t, start = 1.0, end = 1e-2", 8);
    let x = starts(&data, &grid[0], 700);
    let run = || {
        generated(
            &solver("heun"),
            &data,
            &vp(),
            &grid,
            &x,
            Trace::Hutchinson { seed: 3, probe: Probe::Normal },
        )
    };
    let one = scorebench::parallel::with_threads(Some(1), run).expect("threads").expect("a flow");
    assert_eq!(one, scorebench::parallel::with_threads(Some(3), run).expect("threads").expect("a flow"));
    assert_eq!(likelihood::Likelihoods { nfe: 16, ..one.clone() }, one);
}
