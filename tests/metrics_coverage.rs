//! Do the metrics' standard errors tell the truth? Intervals cover as often as they say, z-scores are standard normal, and
//! a wrong solver is caught. Seeds are fixed; rates of false alarm are those of choosing them anew.

mod common;

use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use scorebench::batch::Batch;
use scorebench::data::Gaussian;
use scorebench::metric::batches::Batches;
use scorebench::metric::kernel::{energy, energy_on_the_line, mmd};
use scorebench::metric::kolmogorov::{kolmogorov_smirnov, kolmogorov_smirnov_two};
use scorebench::metric::paired::{difference, kl, rmse};
use scorebench::metric::significance::holm;
use scorebench::metric::sliced::{Directions, sliced_above_floor};
use scorebench::metric::wasserstein::{
    Univariate, normal_cdf, normal_partial_moments, wasserstein, wasserstein_to, wasserstein_to_above_floor,
};
use scorebench::metric::weak::{Expected, TestFunctions, Weak, WeakErrors};
use scorebench::metric::{Estimate, Samples, Test};
use scorebench::noise::White;
use scorebench::parallel;
use scorebench::run::{Ctx, Denoiser};
use scorebench::schedule::{Level, Schedule};
use scorebench::solver::Sample;
use scorebench::state::State;
use std::f64::consts::PI;

struct Draws(Xoshiro256PlusPlus);

impl Draws {
    fn new(seed: u64) -> Self {
        Draws(Xoshiro256PlusPlus::seed_from_u64(seed))
    }
    fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.0)
    }
    /// `n` numbers of N(mean, std^2).
    fn normals(&mut self, n: usize, mean: f64, std: f64) -> Vec<f64> {
        (0..n).map(|_| mean + std * self.normal()).collect()
    }
}

/// N(mean, std^2).
struct Normal(f64, f64);

impl Univariate for Normal {
    fn cdf(&self, x: f64) -> f64 {
        normal_cdf((x - self.0) / self.1)
    }
    fn quantile(&self, u: f64) -> f64 {
        use statrs::distribution::{ContinuousCDF, Normal};
        Normal::new(self.0, self.1).unwrap().inverse_cdf(u)
    }
    fn partial_moments(&self, x: f64) -> (f64, f64) {
        normal_partial_moments(self.0, self.1, x)
    }
}

const REPLICATIONS: u64 = 200;

/// Runs `replicate` 200 times and counts intervals of 95 % that cover. Of Binomial(200, 0.95), 178 to 199 leave out 3e-4.
/// A `conservative` error (of a degenerate metric, see there) may cover always.
fn covers(
    what: &str,
    truth: f64,
    conservative: bool,
    replicate: impl Fn(&mut Draws) -> Estimate + Sync + Send,
) {
    // Seeds of its own for each metric.
    let first = what.bytes().fold(1, |hash: u64, b| hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(b));
    let seeds: Vec<u64> = (0..REPLICATIONS).map(|k| first.wrapping_add(k)).collect();
    let all = parallel::map(&seeds, |&seed| replicate(&mut Draws::new(seed)));
    let inside = |e: &&Estimate| {
        let (low, high) = e.interval(0.95);
        (low..=high).contains(&truth)
    };
    let covered = all.iter().filter(inside).count();
    let mean = all.iter().map(|e| e.value).sum::<f64>() / REPLICATIONS as f64;
    let spread = (all.iter().map(|e| (e.value - mean).powi(2)).sum::<f64>() / REPLICATIONS as f64).sqrt();
    let stated = all.iter().map(|e| e.stderr).sum::<f64>() / REPLICATIONS as f64;
    println!(
        "{what}: {covered} of {REPLICATIONS}; mean {mean:.3e} for {truth:.3e}, sd {spread:.2e}, stated {stated:.2e}"
    );
    let most = if conservative { 200 } else { 199 };
    assert!((178..=most).contains(&covered), "{what}: {covered} of {REPLICATIONS} intervals cover {truth}");
}

/// `E|N(m, v)|`.
fn absolute(m: f64, v: f64) -> f64 {
    let z = m / v.sqrt();
    (2.0 * v / PI).sqrt() * (-0.5 * z * z).exp() + m * (1.0 - 2.0 * normal_cdf(-z))
}

#[test]
fn intervals_of_distances_on_the_line_cover() {
    let (n, m, s) = (1000, 0.5, 1.2);
    let w2_squared = m * m + (s - 1.0f64).powi(2);
    // W1 between normals: E|m + (s - 1) z|, the monotone map being affine.
    let w1 = absolute(m, (s - 1.0f64).powi(2));
    let law = Normal(0.0, 1.0);
    covers("W1 to a law", w1, false, |d| wasserstein_to(&d.normals(n, m, s), &law).unwrap().w1);
    covers("W2 to a law", w2_squared.sqrt(), false, |d| {
        wasserstein_to(&d.normals(n, m, s), &law).unwrap().w2
    });
    covers("W2 of two, one larger", w2_squared.sqrt(), false, |d| {
        wasserstein(&d.normals(n, m, s), &d.normals(1500, 0.0, 1.0)).unwrap().w2
    });
    covers("W2 of independent pairs", w2_squared.sqrt(), false, |d| {
        wasserstein(&d.normals(n, m, s), &d.normals(n, 0.0, 1.0)).unwrap().w2
    });
    let pairs = |d: &mut Draws| {
        let z = d.normals(n, 0.0, 1.0);
        let x: Vec<f64> = z.iter().map(|z| m + s * (0.8 * z + 0.6 * d.normal())).collect();
        (x, z)
    };
    covers("W2 of correlated pairs", w2_squared.sqrt(), false, |d| {
        let (x, z) = pairs(d);
        wasserstein(&x, &z).unwrap().w2
    });
    covers("excess of W2^2 to a law", w2_squared, false, |d| {
        let (x, z) = pairs(d);
        wasserstein_to_above_floor(&x, &z, &law).unwrap().w2.excess
    });
    covers("excess of W2^2 where there is none", 0.0, true, |d| {
        wasserstein_to_above_floor(&d.normals(n, 0.0, 1.0), &d.normals(n, 0.0, 1.0), &law).unwrap().w2.excess
    });
    let energy = 2.0 * absolute(m, 1.0 + s * s) - absolute(0.0, 2.0) - absolute(0.0, 2.0 * s * s);
    covers("energy of correlated pairs", energy, false, |d| {
        let (x, z) = pairs(d);
        energy_on_the_line(&x, &z).unwrap().squared
    });
    covers("energy of two, one larger", energy, false, |d| {
        energy_on_the_line(&d.normals(n, m, s), &d.normals(1500, 0.0, 1.0)).unwrap().squared
    });
    covers("energy where there is none", 0.0, true, |d| {
        energy_on_the_line(&d.normals(n, 0.0, 1.0), &d.normals(n, 0.0, 1.0)).unwrap().squared
    });
}

#[test]
fn intervals_of_distances_in_the_plane_cover() {
    let (n, m, s) = (1500, 0.2, 1.1);
    let directions = Directions::new(2, 16, 0);
    // Normals N((m, 0), s^2 I) and N(0, I): every direction sees m cos and s.
    let excess = m * m / 2.0 + (s - 1.0f64).powi(2);
    covers("excess of sliced W2^2, common numbers", excess, false, |d| {
        let exact = d.normals(2 * n, 0.0, 1.0);
        let x: Vec<f64> = exact.chunks(2).flat_map(|z| [m + s * z[0], s * z[1]]).collect();
        let reference = d.normals(4 * n, 0.0, 1.0);
        let [x, exact, reference] = [&x, &exact, &reference].map(|v| Samples::new(2, v));
        sliced_above_floor(x, exact, reference, &directions).unwrap().w2.excess
    });
    let (h, v) = (1.3f64, [2.0, 2.0 * s * s, 1.0 + s * s]);
    let k = |v: f64, m: f64| h * h / (h * h + v) * (-0.5 * m * m / (h * h + v)).exp();
    let mmd_squared = k(v[0], 0.0) + k(v[1], 0.0) - 2.0 * k(v[2], m);
    for (truth, m, s) in [(mmd_squared, m, s), (0.0, 0.0, 1.0)] {
        covers(&format!("MMD^2, s = {s}"), truth, false, |d| {
            let (y, mut x) = (d.normals(2 * n, 0.0, 1.0), d.normals(2 * n, 0.0, s));
            x.iter_mut().step_by(2).for_each(|x| *x += m);
            mmd(Samples::new(2, &x), Samples::new(2, &y), h, 64).unwrap()
        });
    }
    // E|N(0, v I)| = sqrt(pi v/2) in the plane.
    let norm = |v: f64| (PI * v / 2.0).sqrt();
    let energy_squared = 2.0 * norm(v[2]) - norm(v[0]) - norm(v[1]);
    covers("energy by blocks, common numbers", energy_squared, false, |d| {
        let y = d.normals(2 * n, 0.0, 1.0);
        let x: Vec<f64> = y.iter().map(|z| s * z).collect();
        energy(Samples::new(2, &x), Samples::new(2, &y), 64).unwrap()
    });
}

#[test]
fn intervals_of_paired_metrics_cover() {
    let n = 1000;
    covers("rmse", (3.0f64 * 0.04).sqrt(), false, |d| {
        let x = d.normals(3 * n, 0.0, 1.0);
        let y: Vec<f64> = x.iter().map(|x| x + 0.2 * d.normal()).collect();
        rmse(Samples::new(3, &x), Samples::new(3, &y)).unwrap()
    });
    covers("difference of means", 0.01, false, |d| {
        let x = d.normals(n, 3.0, 5.0);
        difference(&x.iter().map(|x| x + 0.01 * (1.0 + d.normal())).collect::<Vec<_>>(), &x).unwrap()
    });
    let s: f64 = 1.3;
    covers("KL", 0.5 * (s * s - 1.0) - s.ln(), false, |d| {
        let x = d.normals(n, 0.0, s);
        let ln = |s: f64| x.iter().map(|x| -s.ln() - 0.5 * (x / s).powi(2)).collect::<Vec<_>>();
        kl(&ln(s), &ln(1.0)).unwrap()
    });
}

/// Weak errors of `n` samples in the plane whose first coordinate is N(m, s^2), beside exact standard normals of the
/// same numbers: against the exact law, and against those.
fn weak(d: &mut Draws, n: u64, m: f64, s: f64) -> (WeakErrors, WeakErrors) {
    let new = || {
        let functions = TestFunctions { centre: vec![0.0; 2], radii: vec![1.0, 3.0], modes: 2 };
        Weak::new(functions, Batches::new(n, Batches::DEFAULT))
    };
    let (mut run, mut exact) = (new(), new());
    for i in 0..n {
        let z = [d.normal(), d.normal()];
        let x = [m + s * z[0], z[1]];
        // Modes N(-+1, 1): their posterior is logistic. The samples have one mode, as if all mass were between.
        run.push(i, &x, &[1.0 / (1.0 + (2.0 * x[0]).exp()), 1.0 / (1.0 + (-2.0 * x[0]).exp())]);
        exact.push(i, &z, &[1.0 / (1.0 + (2.0 * z[0]).exp()), 1.0 / (1.0 + (-2.0 * z[0]).exp())]);
    }
    let expected = Expected {
        mean: vec![0.0; 2],
        covariance: vec![1.0, 0.0, 0.0, 1.0],
        fourth: 8.0,
        tails: [1.0f64, 3.0].map(|r| Some((-0.5 * r * r).exp())).into(),
        modes: vec![0.5, 0.5],
    };
    (run.errors(&expected).unwrap(), run.versus(&exact).unwrap())
}

#[test]
fn intervals_of_weak_errors_cover() {
    let (n, m, s) = (4000, 0.1, 1.1f64);
    // x1 ~ N(m, s^2), x2 ~ N(0, 1): E|x|^4 = E x1^4 + 2 E x1^2 + 3.
    let second = m * m + s * s;
    let fourth = m.powi(4) + 6.0 * m * m * s * s + 3.0 * s.powi(4) + 2.0 * second + 3.0 - 8.0;
    covers("mean", m, false, |d| weak(d, n, m, s).0.mean[0]);
    covers("variance", s * s - 1.0, false, |d| weak(d, n, m, s).0.variance[0]);
    covers("mean error^2", m * m, false, |d| weak(d, n, m, s).0.mean_error.excess);
    covers("mean error^2 of none", 0.0, true, |d| weak(d, n, 0.0, 1.0).0.mean_error.excess);
    covers("covariance error^2 of none", 0.0, true, |d| weak(d, n, 0.0, 1.0).0.cov_error.excess);
    covers("covariance error^2", (s * s - 1.0).powi(2), false, |d| weak(d, n, m, s).0.cov_error.excess);
    covers("fourth", fourth, false, |d| weak(d, n, m, s).0.fourth);
    covers("a tail", 0.0, false, |d| weak(d, n, 0.0, 1.0).0.tails[0].unwrap());
    covers("a far tail", 0.0, false, |d| weak(d, n, 0.0, 1.0).0.tails[1].unwrap());
    covers("a weight", 0.0, false, |d| weak(d, n, 0.0, 1.0).0.modes[1]);
    covers("mean, common numbers", m, false, |d| weak(d, n, m, s).1.mean[0]);
    covers("variance, common numbers", s * s - 1.0, false, |d| weak(d, n, m, s).1.variance[0]);
    covers("fourth, common numbers", fourth, false, |d| weak(d, n, m, s).1.fourth);
    // What common numbers are for.
    let (alone, versus) = weak(&mut Draws::new(1), n, m, s);
    assert!(versus.mean[0].stderr < 0.2 * alone.mean[0].stderr, "{:?} {:?}", versus.mean, alone.mean);
    // And the floor of a norm: n^-1/2 times the root of the trace of the covariance.
    let floor = weak(&mut Draws::new(2), n, 0.0, 1.0).0.mean_error.floor;
    assert!((floor / (2.0 / n as f64).sqrt() - 1.0).abs() < 0.3, "{floor}");
}

#[test]
fn p_values_of_true_hypotheses_are_uniform() {
    // Four independent mode counts, and Kolmogorov-Smirnov with one sample and with two: each fails at a rate of 1e-3.
    let weights = [0.1, 0.2, 0.3, 0.4];
    let seeds: Vec<u64> = (0..400).collect();
    let all = parallel::map(&seeds, |&seed| {
        let mut d = Draws::new(seed);
        let mut counts = [0.0; 4];
        for _ in 0..2000 {
            let u: f64 = d.0.random();
            counts[usize::from(u > 0.1) + usize::from(u > 0.3) + usize::from(u > 0.6)] += 1.0 / 2000.0;
        }
        let (x, y) = (d.normals(300, 0.0, 1.0), d.normals(500, 0.0, 1.0));
        [
            Test::pearson(&counts, &weights, 2000).p_value,
            kolmogorov_smirnov(&x, normal_cdf).unwrap().p_value,
            kolmogorov_smirnov_two(&x, &y).unwrap().p_value,
        ]
    });
    for k in 0..3 {
        let p: Vec<f64> = all.iter().map(|p| p[k]).collect();
        let uniform = kolmogorov_smirnov(&p, |p| p).unwrap();
        assert!(uniform.p_value > 1e-3, "test {k}: {uniform:?}");
    }
}

/// A model whose score is `scale` times the right one.
struct Scaled<'a>(&'a Gaussian, f64);

impl Denoiser<Batch> for Scaled<'_> {
    fn denoise(&self, x: &State<Batch>, at: &Level) -> State<Batch> {
        self.0.denoise(x, at)
    }
    fn score(&self, x: &State<Batch>, at: &Level) -> State<Batch> {
        (self.1 * &self.0.score(x, at)).eval()
    }
}

/// z-scores of the six moments of Euler-Maruyama's samples against its exact law, from `n` samples.
fn moments(data: &Gaussian, vp: &Schedule, n: usize, seed: u64, scale: f64) -> Vec<f64> {
    let grid = common::levels(vp, "quadratic-t, start = 1.0, end = 1e-3", 10);
    let law = common::law_of("euler-maruyama", data, vp, &grid).moments;
    let (start, mut noise) = (data.marginal(&grid[0]), White::new(seed));
    let z = noise.draw(&State(Batch::from_rows(3, vec![0.0; 3 * n])));
    let mut rows = z.0.to_rows();
    for (i, x) in rows.iter_mut().enumerate() {
        *x = start.mean[i % 3] + start.std[i % 3] * *x;
    }
    let x = Batch::from_rows(3, rows).numbered(z.0.first());
    let (model, solver) = (Scaled(data, scale), common::solver("euler-maruyama"));
    let out = solver.sample(&mut Ctx::new(&model, &mut noise, vp), &grid, State(x)).0;
    let functions = TestFunctions { centre: law.mean.clone(), radii: vec![], modes: 0 };
    let mut weak = Weak::new(functions, Batches::new(n as u64, Batches::DEFAULT));
    for (i, row) in out.to_rows().chunks_exact(3).enumerate() {
        weak.push(out.first() + i as u64, row, &[]);
    }
    let covariance = (0..9).map(|k| if k % 4 == 0 { law.std[k / 4].powi(2) } else { 0.0 }).collect();
    let expected = Expected { mean: law.mean, covariance, fourth: 0.0, tails: vec![], modes: vec![] };
    let errors = weak.errors(&expected).unwrap();
    errors.mean.iter().chain(&errors.variance).map(|e| e.z(0.0)).collect()
}

#[test]
fn z_scores_of_exact_moments_over_twenty_seeds_are_standard_normal_and_one_per_cent_wrong_is_caught() {
    let data = Gaussian::new(vec![0.0, 1.0, -0.5], vec![1.0, 0.05, 4.0]).unwrap();
    let vp = common::schedule("vp-linear");
    let scores = |scale: f64| -> Vec<f64> {
        let seeds: Vec<u64> = (0..20).collect();
        parallel::map(&seeds, |&seed| moments(&data, &vp, 20_000, 1000 + seed, scale)).concat()
    };
    let right = scores(1.0);
    let (calibration, normal) = (Test::calibration(&right), kolmogorov_smirnov(&right, normal_cdf).unwrap());
    println!("right: {calibration:?} {normal:?}");
    assert_eq!(right.len(), 120);
    assert!(calibration.p_value > 1e-3 && normal.p_value > 1e-3, "{calibration:?} {normal:?}");

    let wrong = scores(1.01);
    println!("wrong: {:?} {:?}", Test::calibration(&wrong), &wrong[..6]);
    assert!(Test::calibration(&wrong).p_value < 1e-6, "{wrong:?}");
    // And in one run, by the moment that is furthest off, corrected for there being six.
    let one = moments(&data, &vp, 400_000, 1, 1.01);
    let p = holm(&one.iter().map(|z| Test::normal(*z).p_value).collect::<Vec<_>>());
    assert!(p.iter().any(|p| *p < 1e-6), "{one:?}");
}
