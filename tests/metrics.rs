//! Metrics between samples: against scipy and brute force (`golden/metrics.py`), closed forms, and their own laws.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use scorebench::metric::batches::{Batches, Means};
use scorebench::metric::kernel::{energy, energy_on_the_line, median_distance, mmd};
use scorebench::metric::kolmogorov::{kolmogorov_smirnov, kolmogorov_smirnov_two};
use scorebench::metric::paired::{difference, kl, kl_by_control_variate, rmse};
use scorebench::metric::significance::{bonferroni, holm};
use scorebench::metric::sliced::{Directions, sliced, sliced_above_floor};
use scorebench::metric::wasserstein::{
    Univariate, normal_cdf, normal_partial_moments, wasserstein, wasserstein_to,
};
use scorebench::metric::weak::{Expected, TestFunctions, Weak, WeakErrors};
use scorebench::metric::{Estimate, Samples, Test, Undefined};
use scorebench::parallel;

fn numbers(n: usize, a: f64, b: f64, c: f64) -> Vec<f64> {
    (0..n).map(|i| ((i + 1) as f64 * a).fract() * b + c).collect()
}

/// The three samples of `golden/metrics.py`.
fn xyz() -> [Vec<f64>; 3] {
    [numbers(24, 0.618034, 3.0, -1.5), numbers(24, 0.414214, 2.5, -0.8), numbers(18, 0.732051, 2.0, -0.7)]
}

fn normals(n: usize, seed: u64) -> Vec<f64> {
    let mut generator = Xoshiro256PlusPlus::seed_from_u64(seed);
    (0..n).map(|_| StandardNormal.sample(&mut generator)).collect()
}

/// A mixture of normals on the line: (weight, mean, std).
struct Mixture(Vec<(f64, f64, f64)>);

impl Univariate for Mixture {
    fn cdf(&self, x: f64) -> f64 {
        self.0.iter().map(|(w, m, s)| w * normal_cdf((x - m) / s)).sum()
    }
    fn quantile(&self, u: f64) -> f64 {
        let (mut low, mut high) = (-50.0, 50.0);
        while high - low > 1e-14 {
            let middle = 0.5 * (low + high);
            if middle <= low || middle >= high {
                break;
            }
            *(if self.cdf(middle) < u { &mut low } else { &mut high }) = middle;
        }
        0.5 * (low + high)
    }
    fn partial_moments(&self, x: f64) -> (f64, f64) {
        let parts = self.0.iter().map(|(w, m, s)| (w, normal_partial_moments(*m, *s, x)));
        parts.fold((0.0, 0.0), |sum, (w, (a, b))| (sum.0 + w * a, sum.1 + w * b))
    }
}

fn two_modes() -> Mixture {
    Mixture(vec![(0.3, -1.0, 0.5), (0.7, 0.75, 0.25)])
}

#[test]
fn small_samples_have_the_metrics_of_scipy_brute_force_and_quadrature() {
    let [x, y, z] = xyz();
    let mixture = two_modes();
    let mut got = BTreeMap::new();
    for (name, other) in [("equal", &y), ("unequal", &z)] {
        let w = wasserstein(&x, other).unwrap();
        got.insert(format!("w1 {name}"), w.w1.value);
        got.insert(format!("w2 {name}"), w.w2.value);
        got.insert(format!("energy {name}"), energy_on_the_line(&x, other).unwrap().v_statistic.sqrt());
        got.insert(format!("ks2 {name}"), kolmogorov_smirnov_two(&x, other).unwrap().statistic);
    }
    let w = wasserstein_to(&x, &mixture).unwrap();
    got.insert("w1 mixture".into(), w.w1.value);
    got.insert("w2 mixture".into(), w.w2.value);
    let ks = kolmogorov_smirnov(&x, |v| mixture.cdf(v)).unwrap();
    got.insert("ks".into(), ks.statistic);
    let (u, v) = (Samples::new(2, &x), Samples::new(2, &y));
    for (name, e) in [("energy", energy(u, v, 2)), ("mmd", mmd(u, v, 0.8, 2))] {
        let e = e.unwrap();
        got.insert(format!("{name} blocks"), e.value);
        got.insert(format!("{name} blocks stderr"), e.stderr);
    }
    got.insert("energy unbiased equal".into(), energy_on_the_line(&x, &y).unwrap().squared.value);
    let pearson = Test::pearson(&[0.18, 0.35, 0.27, 0.2], &[0.1, 0.4, 0.3, 0.2], 100);
    got.insert("pearson".into(), pearson.statistic);
    got.insert("pearson p".into(), pearson.p_value);

    for row in csv::Reader::from_path("tests/golden/metrics.csv").unwrap().records() {
        let row = row.unwrap();
        let want: f64 = row[1].parse().unwrap();
        if let Some(l) = row[0].strip_prefix("kolmogorov ") {
            // One sample out of n at distance D is p(l) with l = (sqrt n + 0.12 + 0.11/sqrt n) D.
            let (l, n): (f64, usize) = (l.parse().unwrap(), 1_000_000);
            let root = (n as f64).sqrt();
            let shift = l / (root + 0.12 + 0.11 / root);
            let x: Vec<f64> = (0..n).map(|i| (i as f64 + 0.5) / n as f64).collect();
            let p = kolmogorov_smirnov(&x, |v| v - shift + 0.5 / n as f64).unwrap().p_value;
            assert!((p / want - 1.0).abs() < 1e-9, "{}: {p:e} for {want:e}", &row[0]);
        } else if &row[0] == "ks p exact" {
            assert!((ks.p_value - want).abs() < 2e-3, "Stephens' formula gives {} for {want}", ks.p_value);
        } else {
            let got = got.remove(&row[0]).unwrap_or_else(|| panic!("{}: not computed", &row[0]));
            assert!((got / want - 1.0).abs() < 1e-12, "{}: {got:e} for {want:e}", &row[0]);
        }
    }
    assert!(got.is_empty(), "no golden number for {got:?}");
}

#[test]
fn a_shift_costs_its_length_without_uncertainty() {
    let x = normals(3 * 500, 1);
    let shift = [0.3, -0.1, 0.2];
    let y: Vec<f64> = x.chunks(3).flat_map(|r| [r[0] + shift[0], r[1] + shift[1], r[2] + shift[2]]).collect();
    let (x, y) = (Samples::new(3, &x), Samples::new(3, &y));
    let length = shift.iter().map(|s| s * s).sum::<f64>().sqrt();
    let one = wasserstein(&x.column(0), &y.column(0)).unwrap();
    let w2 = sliced(x, y, &Directions::new(3, 12, 5)).unwrap().w2;
    let pairs = rmse(x, y).unwrap();
    for (what, got, want) in [
        ("W1", one.w1, 0.3),
        ("W2", one.w2, 0.3),
        ("sliced", w2, length / 3f64.sqrt()),
        ("rmse", pairs, length),
    ] {
        assert!((got.value - want).abs() < 1e-12 && got.stderr < 1e-12, "{what}: {got:?} for {want}");
    }
}

#[test]
fn directions_are_units_that_see_all_of_space_alike() {
    for (dim, count) in [(1, 1), (2, 7), (3, 12), (8, 24), (64, 64)] {
        let directions = Directions::new(dim, count, 3);
        let mut second = vec![0.0; dim * dim];
        for d in directions.iter() {
            for (k, s) in second.iter_mut().enumerate() {
                *s += d[k / dim] * d[k % dim] * dim as f64 / count as f64;
            }
        }
        for (k, s) in second.iter().enumerate() {
            let identity = if k / dim == k % dim { 1.0 } else { 0.0 };
            assert!((s - identity).abs() < 1e-12, "{dim} dimensions, entry {k}: {s}");
        }
    }
    // Without enough to fill a basis they still are units, and others for another seed.
    let (a, b) = (Directions::new(5, 3, 1), Directions::new(5, 3, 2));
    assert!(a != b && a.iter().all(|d| (d.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-14));
}

#[test]
fn energy_on_the_line_is_that_of_all_pairs_and_keeps_its_digits_far_from_zero() {
    let [x, _, z] = xyz();
    let pairs = |a: &[f64], b: &[f64]| {
        a.iter().flat_map(|u| b.iter().map(move |v| (u - v).abs())).sum::<f64>() / (a.len() * b.len()) as f64
    };
    let (n, m) = (24.0, 18.0);
    let want = 2.0 * pairs(&x, &z) - pairs(&x, &x) * n / (n - 1.0) - pairs(&z, &z) * m / (m - 1.0);
    let far: Vec<f64> = x.iter().map(|v| v + 1e6).collect();
    let far_z: Vec<f64> = z.iter().map(|v| v + 1e6).collect();
    assert!((energy_on_the_line(&x, &z).unwrap().squared.value - want).abs() < 1e-14);
    // The sums are about the centre: an offset costs the digits of the values, not those of their sums.
    assert!((energy_on_the_line(&far, &far_z).unwrap().squared.value - want).abs() < 1e-9);
}

#[test]
fn the_bandwidth_is_the_median_distance() {
    let x = Samples::new(1, &[0.0, 1.0, 3.0]);
    assert_eq!(median_distance(x), Ok(2.0)); // of 1, 2, 3
}

#[test]
fn kl_is_the_mean_log_ratio_and_its_control_variate_sees_far_smaller_ones() {
    // q = N(d, 1), p = N(0, 1): KL = d^2/2; ln q - ln p = d x - d^2/2.
    let d = 1e-4;
    let x: Vec<f64> = normals(20_000, 3).iter().map(|z| z + d).collect();
    let ln = |mean: f64| x.iter().map(|x| -0.5 * (x - mean).powi(2)).collect::<Vec<f64>>();
    let (plain, control) = (kl(&ln(d), &ln(0.0)).unwrap(), kl_by_control_variate(&ln(d), &ln(0.0)).unwrap());
    let truth = 0.5 * d * d;
    assert!(plain.z(truth).abs() < 4.0 && control.z(truth).abs() < 4.0, "{plain:?} {control:?}");
    assert!(control.stderr < 0.02 * truth && plain.stderr > 100.0 * truth);
    let outside = [0.0, f64::NEG_INFINITY];
    assert_eq!(kl(&[0.0, 0.0], &outside), Err(Undefined::Infinite { count: 1, of: 2 }));
    // Far in the tail of p all of the ratio underflows, and the term stays r - 1.
    assert_eq!(kl_by_control_variate(&[800.0, 800.0], &[0.0, 0.0]).unwrap().value, 799.0);
}

#[test]
fn many_p_values_are_corrected_as_worked_by_hand() {
    let p = [0.04, 0.01, f64::NAN, 0.02, 0.9];
    let close = |got: Vec<f64>, want: [f64; 5]| {
        got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-15 || (a.is_nan() && b.is_nan()))
    };
    assert!(close(bonferroni(&p), [0.16, 0.04, f64::NAN, 0.08, 1.0]));
    // Sorted 0.01 x 4, 0.02 x 3, 0.04 x 2, 0.9 x 1.
    assert!(close(holm(&p), [0.08, 0.04, f64::NAN, 0.06, 0.9]));
    assert!(close(holm(&[0.03, 0.031, 0.9, 1.0, 1.0]), [0.15, 0.15, 1.0, 1.0, 1.0]), "made monotone");
    let z = Estimate { value: 2.0, stderr: 0.5 }.z(1.0);
    assert!(
        (Test::normal(z).p_value - 0.045_500_263_896_358_4).abs() < 1e-15 && z == 2.0,
        "{:?}",
        Test::normal(z)
    );
    assert_eq!(Test::pearson(&[0.5, 0.25, 0.25], &[0.5, 0.5, 0.0], 10).p_value, 0.0, "where nothing can be");
    assert_eq!(Test::pearson(&[0.5, 0.5, 0.0], &[0.5, 0.5, 0.0], 10).p_value, 1.0);
}

#[test]
fn weak_errors_are_those_of_the_moments_taken_at_once() {
    let [x, y, _] = xyz();
    let rows = Samples::new(2, &x);
    let functions = TestFunctions { centre: vec![0.3, -0.1], radii: vec![1.0], modes: 0 };
    let of = |x: &[f64]| {
        let mut weak = Weak::new(functions.clone(), Batches::new(12, 5));
        Samples::new(2, x).rows().zip(0..).for_each(|(row, i)| weak.push(i, row, &[]));
        weak
    };
    let mean = |f: &dyn Fn(&[f64]) -> f64| rows.rows().map(f).sum::<f64>() / 12.0;
    let m = [mean(&|r| r[0]), mean(&|r| r[1])];
    let cov = |i: usize, j: usize| mean(&|r| (r[i] - m[i]) * (r[j] - m[j]));
    let expected = Expected {
        mean: vec![0.2, 0.1],
        covariance: vec![0.9, 0.3, 0.3, 0.7],
        fourth: 1.5,
        tails: vec![Some(0.4)],
        modes: vec![],
    };
    let errors = of(&x).errors(&expected).unwrap();
    let frobenius =
        ((cov(0, 0) - 0.9).powi(2) + 2.0 * (cov(0, 1) - 0.3).powi(2) + (cov(1, 1) - 0.7).powi(2)).sqrt();
    let tail = mean(&|r| f64::from(u8::from((r[0] - 0.3).hypot(r[1] + 0.1) > 1.0))) - 0.4;
    let fourth = mean(&|r| (r[0] * r[0] + r[1] * r[1]).powi(2)) - 1.5;
    let pairs = [
        (errors.mean[1].value, m[1] - 0.1),
        (errors.mean_error.value.value, (m[0] - 0.2).hypot(m[1] - 0.1)),
        (errors.cov_error.value.value, frobenius),
        (errors.fourth.value, fourth),
        (errors.tails[0].unwrap().value, tail),
    ];
    for (k, (got, want)) in pairs.into_iter().enumerate() {
        assert!((got - want).abs() < 1e-14, "number {k}: {got} for {want}");
    }
    // The difference of two runs is the difference of their errors, where these are linear.
    let (versus, other) = (of(&x).versus(&of(&y)).unwrap(), of(&y).errors(&expected).unwrap());
    assert!((versus.fourth.value - (errors.fourth.value - other.fourth.value)).abs() < 1e-14);
    assert!((versus.mean[0].value - (errors.mean[0].value - other.mean[0].value)).abs() < 1e-14);
    assert_eq!(of(&x).versus(&of(&x)).unwrap().cov_error.value, Estimate { value: 0.0, stderr: 0.0 });
}

#[test]
fn the_jackknife_of_a_square_has_the_unbiased_estimate() {
    // One sample a batch: mean^2 less s^2/n is the mean of x_i x_j over i != j; of a mean, batch means.
    let x = &xyz()[0];
    let mut means = Means::new(1, Batches::new(24, 24));
    x.iter().zip(0..).for_each(|(v, i)| means.push(i, &[*v]));
    let square = means.left_out().unwrap().jackknife(|m| m[0] * m[0]);
    let sum: f64 = x.iter().sum();
    let unbiased = (sum * sum - x.iter().map(|v| v * v).sum::<f64>()) / (24.0 * 23.0);
    assert!((square.corrected - unbiased).abs() < 1e-15, "{square:?} for {unbiased}");
    let (batch, plain) = (means.estimate(0).unwrap(), Estimate::mean(x).unwrap());
    assert!((batch.value - plain.value).abs() < 1e-16 && (batch.stderr - plain.stderr).abs() < 1e-15);
}

/// Points of a two-dimensional law with three modes that overlap, as a stream.
fn stream(batches: Batches, chunk: u64) -> WeakErrors {
    let new =
        || Weak::new(TestFunctions { centre: vec![0.1, -0.2], radii: vec![0.5, 2.0], modes: 3 }, batches);
    let all: Vec<usize> = (0..batches.count()).collect();
    let parts = parallel::map(&all, |&b| {
        let (mut weak, range) = (new(), batches.range(b));
        let mut first = range.start;
        while first < range.end {
            let end = range.end.min(first + chunk);
            for i in first..end {
                let z = normals(2, i);
                let p = 1.0 / (1.0 + z[0].exp());
                weak.push(i, &z, &[p, 0.5 * (1.0 - p), 0.5 * (1.0 - p)]);
            }
            first = end;
        }
        weak
    });
    let mut whole = new();
    // In any order.
    parts.into_iter().rev().for_each(|part| whole.merge(part));
    let tails = vec![None, Some((-2f64).exp())];
    let expected = Expected {
        mean: vec![0.0; 2],
        covariance: vec![1.0, 0.0, 0.0, 1.0],
        fourth: 8.0,
        tails,
        modes: vec![0.5, 0.25, 0.25],
    };
    whole.errors(&expected).unwrap()
}

#[test]
fn weak_errors_do_not_depend_on_threads_or_chunks_bit_for_bit() {
    let batches = Batches::new(5003, 7);
    let one = parallel::with_threads(Some(1), || stream(batches, 1)).unwrap();
    for (threads, chunk) in [(2, 1), (3, 333), (2, 1 << 20)] {
        assert!(
            parallel::with_threads(Some(threads), || stream(batches, chunk)).unwrap() == one,
            "{threads}"
        );
    }
    assert_eq!(one.samples, 5003);
    assert!(one.tails[0].is_none() && one.tails[1].is_some() && one.modes_test.is_some());
}

#[test]
fn sliced_distances_do_not_depend_on_threads_bit_for_bit() {
    let (x, y, z) = (normals(3000, 1), normals(3000, 2), normals(1800, 3));
    let [x, y, z] = [&x, &y, &z].map(|v| Samples::new(3, v));
    let run = |threads| {
        let directions = Directions::new(3, 20, 1);
        parallel::with_threads(Some(threads), || sliced_above_floor(x, y, z, &directions).unwrap()).unwrap()
    };
    assert!(run(1) == run(2) && run(2) == run(3));
}

#[test]
fn batches_are_ranges_that_cover_each_sample_once() {
    for (samples, count) in [(10, 3), (7, 64), (64, 64), (1_000_003, 64), (0, 4), (u64::MAX, 5)] {
        let batches = Batches::new(samples, count);
        let mut next = 0;
        for b in 0..batches.count() {
            let range = batches.range(b);
            assert_eq!(range.start, next);
            next = range.end;
            if !range.is_empty() {
                assert_eq!((batches.of(range.start), batches.of(range.end - 1)), (b, b));
            }
        }
        assert_eq!(next, samples);
    }
}

#[test]
fn a_sum_of_ten_million_terms_keeps_its_digits() {
    let mut means = Means::new(1, Batches::new(10_000_000, 2));
    (0..10_000_000).for_each(|i| means.push(i, &[0.1]));
    let e = means.estimate(0).unwrap();
    assert!((e.value - 0.1).abs() < 1e-15, "{:e}", e.value - 0.1);
}

#[test]
fn samples_that_are_not_finite_are_counted_and_leave_no_value() {
    let (mut x, y) = (normals(120, 1), normals(120, 2));
    (x[7], x[60]) = (f64::NAN, f64::INFINITY);
    let (u, v) = (Samples::new(2, &x), Samples::new(2, &y));
    let bad = |of| Some(Undefined::NotFinite { count: 2, of });
    let directions = Directions::new(2, 5, 0);
    assert_eq!(wasserstein(&y, &x).err(), bad(120));
    assert_eq!(wasserstein_to(&x, &two_modes()).err(), bad(120));
    assert_eq!(sliced(u, v, &directions).err(), bad(60));
    assert_eq!(sliced_above_floor(v, v, u, &directions).err(), bad(60));
    assert_eq!(energy_on_the_line(&x, &y).err(), bad(120));
    assert_eq!(energy(u, v, 64).err(), bad(60));
    assert_eq!(mmd(v, u, 1.0, 64).err(), bad(60));
    assert_eq!(kolmogorov_smirnov(&x, |v| v).err(), bad(120));
    assert_eq!(kolmogorov_smirnov_two(&y, &x).err(), bad(120));
    assert_eq!(rmse(u, v).err(), bad(60));
    assert_eq!(difference(&x, &y).err(), bad(120));
    let mut weak =
        Weak::new(TestFunctions { centre: vec![0.0; 2], radii: vec![], modes: 0 }, Batches::new(60, 8));
    u.rows().zip(0..).for_each(|(row, i)| weak.push(i, row, &[]));
    assert_eq!(weak.versus(&weak).err(), bad(60));
    assert_eq!(bad(60).unwrap().to_string(), "diverged: 2 of 60 samples are not finite");
}

proptest! {
    #[test]
    fn no_metric_panics_or_returns_what_is_not_finite(
        x in prop::collection::vec(any::<f64>(), 0..40),
        scale in 1e-300f64..1e300,
        y in prop::collection::vec(-1.0f64..1.0, 0..40),
    ) {
        let scaled: Vec<f64> = y.iter().map(|v| v * scale).collect();
        let law = two_modes();
        for (a, b) in [(&x, &y), (&scaled, &y), (&y, &x), (&scaled, &scaled)] {
            let n = a.len().min(b.len());
            let (u, v) = (Samples::new(1, a), Samples::new(1, b));
            let (c, d) = (&a[..n], &b[..n]);
            let mut all = vec![rmse(Samples::new(1, c), Samples::new(1, d)), difference(c, d), kl(c, d)];
            all.extend([kl_by_control_variate(c, d), energy(u, v, 8), mmd(u, v, 1.0, 8), Estimate::mean(a)]);
            all.push(energy_on_the_line(a, b).map(|e| e.squared));
            for w in [wasserstein(a, b), wasserstein_to(a, &law), sliced(u, v, &Directions::new(1, 1, 0))] {
                all.extend([w.map(|w| w.w1), w.map(|w| w.w2)]);
            }
            for estimate in all.into_iter().flatten() {
                prop_assert!(estimate.value.is_finite() && estimate.stderr.is_finite());
            }
            if let Ok(test) = kolmogorov_smirnov_two(a, b) {
                prop_assert!((0.0..=1.0).contains(&test.p_value) && (0.0..=1.0).contains(&test.statistic));
            }
        }
    }
}
